<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The handlers that the option `error_tracking` installs: of uncaught exceptions, of errors, and of the fatal error
 * that ended a script. Each passes on to the handler that was there before, or leaves to PHP what PHP does
 * without one.
 *
 * @internal
 */
final class ExceptionHandlers
{
    /** Errors that end the script: no handler gets them. */
    private const FATAL = E_ERROR | E_PARSE | E_CORE_ERROR | E_COMPILE_ERROR;

    /** The level of each severity; a fatal one is `fatal`. */
    private const LEVELS = [
        E_RECOVERABLE_ERROR => 'error',
        E_WARNING => 'warning', E_CORE_WARNING => 'warning', E_COMPILE_WARNING => 'warning', E_USER_WARNING => 'warning',
        E_NOTICE => 'info', E_USER_NOTICE => 'info', E_DEPRECATED => 'info', E_USER_DEPRECATED => 'info',
    ];

    /** An error that repeats, such as a notice in a loop, is captured once in this time. */
    private const REPEATS_AFTER_MS = 60_000;

    /** The most errors that are remembered for it. */
    private const MAX_REMEMBERED = 100;

    /** What a script that has used all its memory still needs to capture that. */
    private const RESERVE = 512 << 10;

    /** The classes that a capture needs. */
    private const CLASSES = [
        ExceptionEvent::class, ExceptionBudget::class, StackTrace::class, SourceLines::class, Message::class,
        Json::class, Uuid::class,
    ];

    /** The client of the handlers: the last one whose option enables them. */
    private static ?Client $client = null;

    private static ErrorTracking $options;
    private static bool $isInstalled = false;
    private static bool $hasErrorHandler = false;
    private static bool $isCapturing = false;
    private static ?string $reserve = null;

    /** The place of an exception that PHP reports as a fatal error next; its handler has seen it. */
    private static ?string $uncaught = null;

    /** @var \WeakMap<\Throwable, true>|null what was captured: no handler captures it again */
    private static ?\WeakMap $captured = null;

    /** @var array<string, float> when each error was captured */
    private static array $errors = [];

    private static ?\Closure $previousExceptionHandler = null;
    private static ?\Closure $previousErrorHandler = null;

    public static function install(Client $client, ErrorTracking $options): void
    {
        self::$client = $client;
        self::$options = $options;
        if (!self::$isInstalled && Host::has('set_exception_handler')) {
            self::$isInstalled = true;
            self::$previousExceptionHandler = self::closure(set_exception_handler(self::exception(...)));
        }
        if ($options->capturesErrors && !self::$hasErrorHandler && Host::has('set_error_handler')) {
            self::$hasErrorHandler = true;
            self::$previousErrorHandler = self::closure(set_error_handler(self::error(...)));
            if (Host::has('register_shutdown_function') && Host::has('error_get_last') && Host::has('str_repeat')) {
                self::$reserve = str_repeat("\0", self::RESERVE);
                // The classes are here when there is no memory to load them.
                foreach (self::CLASSES as $class) {
                    class_exists($class);
                }
                register_shutdown_function(self::end(...));
            }
        }
    }

    private static function closure(mixed $handler): ?\Closure
    {
        return is_callable($handler) ? \Closure::fromCallable($handler) : null;
    }

    /** Notes that an exception was captured: where it ends in a handler, it is not captured again. */
    public static function note(\Throwable $exception): void
    {
        self::$captured ??= new \WeakMap();
        self::$captured[$exception] = true;
    }

    public static function isNoted(\Throwable $exception): bool
    {
        return isset(self::$captured[$exception]);
    }

    /**
     * Captures an exception that a framework has got, unless it was captured before. Whatever fails here does not reach
     * the application.
     *
     * @param string $source where it was caught, such as laravel.exception_handler
     * @param array<string, mixed> $properties
     */
    public static function captureFor(
        Client $client,
        \Throwable $exception,
        string $source,
        array $properties = [],
        bool $isHandled = false,
    ): void {
        try {
            $tracking = $client->errorTracking();
            if (self::isNoted($exception) || $tracking->excludes($exception)) {
                return;
            }
            $mechanism = ['type' => 'auto.exception_handler', 'handled' => $isHandled];
            $list = ExceptionEvent::list($exception, $tracking->maxFrames, $mechanism);
            $properties += ['$exception_source' => $source, '$exception_level' => $isHandled ? 'error' : 'fatal'];
            if ($client->captureAfter($exception, ExceptionEvent::message($list, null, $properties))) {
                self::note($exception);
            }
        } catch (\Throwable $error) {
            self::failed($error);
        }
    }

    private static function failed(\Throwable $error): void
    {
        Host::log(' an exception was not captured: ' . $error->getMessage());
    }

    /** @throws \Throwable the exception itself, which PHP then reports as it does without a handler */
    private static function exception(\Throwable $exception): void
    {
        self::$uncaught = $exception->getFile() . ':' . $exception->getLine();
        if (!self::isNoted($exception) && !self::$options->excludes($exception)) {
            self::capture($exception, 'exception_handler', fn (array $mechanism): array => ExceptionEvent::list(
                $exception,
                self::$options->maxFrames,
                $mechanism,
            ));
        }
        if (self::$previousExceptionHandler === null) {
            throw $exception;
        }
        (self::$previousExceptionHandler)($exception);
    }

    /**
     * An exception that the handler before throws is not captured here: it ends in that of exceptions, or is caught. It
     * gets errors of all levels, because PHP does not say for which ones it was set.
     *
     * @return bool false leaves the error to PHP. A handler does so by exactly false: most others return nothing.
     */
    private static function error(int $severity, string $message, string $file = '', int $line = 0): bool
    {
        $isHandled = self::$previousErrorHandler !== null
            && (self::$previousErrorHandler)($severity, $message, $file, $line) !== false;
        $reported = Host::has('error_reporting') ? error_reporting() : E_ALL;
        $isShown = ($severity & $reported) !== 0 && ($severity & self::FATAL) === 0;
        $error = new \ErrorException($message, 0, $severity, $file, $line);
        if ($isShown && !self::$options->excludes($error) && self::isNew("$severity $file:$line $message")) {
            $limit = ExceptionBudget::MAX_FRAMES;
            $trace = Host::has('debug_backtrace') ? debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, $limit) : [];
            $frames = (new StackTrace())->ofError($file, $line, $trace, self::$options->maxFrames);
            $endsScript = $severity === E_USER_ERROR && !$isHandled;
            self::capture($error, 'error_handler', fn (array $mechanism): array => ExceptionEvent::single(
                $error,
                $frames,
                ['handled' => !$endsScript] + $mechanism,
            ));
        }
        return $isHandled;
    }

    private static function isNew(string $error): bool
    {
        $now = Host::milliseconds();
        if ($now < (self::$errors[$error] ?? -INF) + self::REPEATS_AFTER_MS) {
            return false;
        }
        if (count(self::$errors) >= self::MAX_REMEMBERED) {
            self::$errors = [];
        }
        self::$errors[$error] = $now;
        return true;
    }

    /** The end of the script: if an error that no handler gets has ended it, that is captured. */
    private static function end(): void
    {
        self::$reserve = null;
        $last = error_get_last();
        if ($last === null || ($last['type'] & (self::FATAL | E_USER_ERROR)) === 0 || !self::$options->capturesErrors) {
            return;
        }
        [$file, $line, $message] = [$last['file'], $last['line'], $last['message']];
        $isSeen = "$file:$line" === self::$uncaught || isset(self::$errors["$last[type] $file:$line $message"]);
        $error = new \ErrorException($message, 0, $last['type'], $file, $line);
        if (!$isSeen && !self::$options->excludes($error)) {
            $frames = (new StackTrace())->ofError($file, $line, [], self::$options->maxFrames);
            self::capture($error, 'shutdown_handler', fn (array $mechanism): array => ExceptionEvent::single(
                $error,
                $frames,
                $mechanism,
            ));
        }
    }

    /**
     * Captures what a handler has got. Whatever fails here does not reach the application, nor is it captured itself.
     *
     * @param string $handler its name in posthog-php
     * @param \Closure(array{type: string, handled: bool}): list<array<string, mixed>> $list
     */
    private static function capture(\Throwable $exception, string $handler, \Closure $list): void
    {
        if (self::$isCapturing || self::$client === null) {
            return;
        }
        self::$isCapturing = true;
        try {
            $isError = $handler !== 'exception_handler';
            $severity = $isError && $exception instanceof \ErrorException ? $exception->getSeverity() : null;
            [$distinctId, $properties] = self::provided($exception, $handler, $severity);
            $properties['$exception_source'] = "php_$handler";
            $properties['$exception_level'] = self::LEVELS[$severity ?? 0] ?? 'fatal';
            if ($severity !== null) {
                $properties['$php_error_severity'] = $severity;
            }
            $items = $list(['type' => "auto.$handler", 'handled' => false]);
            if (self::$client->captureAfter($exception, ExceptionEvent::message($items, $distinctId, $properties))) {
                self::note($exception);
            }
        } catch (\Throwable $error) {
            self::failed($error);
        } finally {
            self::$isCapturing = false;
        }
    }

    /**
     * What the application's context_provider adds.
     *
     * @return array{?string, array<string, mixed>} an id and properties
     */
    private static function provided(\Throwable $exception, string $handler, ?int $severity): array
    {
        $provider = self::$options->contextProvider;
        try {
            $given = $provider === null ? null : $provider([
                'source' => $handler, 'exception' => $exception, 'severity' => $severity,
                'message' => $exception->getMessage(), 'file' => $exception->getFile(), 'line' => $exception->getLine(),
            ]);
        } catch (\Throwable $error) {
            Host::log(' the context_provider failed: ' . $error->getMessage());
            $given = null;
        }
        $given = is_array($given) ? $given : [];
        $properties = $given['properties'] ?? [];
        return [Message::id($given['distinctId'] ?? null), is_array($properties) ? $properties : []];
    }
}
