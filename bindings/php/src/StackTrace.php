<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The frames of a stack, as PostHog reads those of PHP.
 *
 * An entry of PHP's traces has a function and the place from which it is called. A frame has a function and the place
 * in it where it is. So each place belongs to the function of the next entry.
 *
 * @internal
 */
final class StackTrace
{
    /** The function of code that is in none. */
    private const MAIN = '{main}';

    public function __construct(private readonly SourceLines $sources = new SourceLines())
    {
    }

    /**
     * The frames of an exception, innermost first.
     *
     * @return list<array<string, mixed>>
     */
    public function of(\Throwable $exception, int $limit): array
    {
        $trace = $exception->getTrace();
        [$file, $line] = [$exception->getFile(), $exception->getLine()];
        if ($exception instanceof \ErrorException) {
            return $this->ofError($file, $line, $trace, $limit);
        }
        // Where a function of PHP itself throws, the place is that of its call.
        $isPlace = self::isPlace($trace[0] ?? [], $file, $line) && self::isInternal($trace[0]);
        return $this->frames($file, $line, $isPlace ? $trace : [[], ...$trace], $limit);
    }

    /**
     * The frames of an error that a handler gets, or that a handler has made an exception of: without those of
     * handlers.
     *
     * @param list<array<string, mixed>> $trace
     * @return list<array<string, mixed>>
     */
    public function ofError(string $file, int $line, array $trace, int $limit): array
    {
        $begun = [];
        foreach ($trace as $entry) {
            if ($begun !== [] || self::isPlace($entry, $file, $line)) {
                $begun[] = $entry;
            }
        }
        return $this->frames($file, $line, $begun === [] ? [[]] : $begun, $limit);
    }

    /**
     * @param list<array<string, mixed>> $trace the first entry is called at the file and the line
     * @return list<array<string, mixed>>
     */
    private function frames(string $file, int $line, array $trace, int $limit): array
    {
        $frames = [];
        for ($i = 0; isset($trace[$i]) && count($frames) < $limit; $i++) {
            $place = $i === 0 ? ['file' => $file, 'line' => $line] : $trace[$i];
            $frames[] = $this->frame($place, self::function($trace[$i + 1] ?? []));
        }
        return $frames;
    }

    /** @param array<string, mixed> $entry */
    private static function isPlace(array $entry, string $file, int $line): bool
    {
        return ($entry['file'] ?? null) === $file && ($entry['line'] ?? null) === $line;
    }

    /** @param array<string, mixed> $entry */
    private static function isInternal(array $entry): bool
    {
        try {
            return isset($entry['class'])
                ? (new \ReflectionMethod($entry['class'], $entry['function']))->isInternal()
                : (new \ReflectionFunction($entry['function']))->isInternal();
        } catch (\ReflectionException) {
            // Closures, and methods that __call makes up.
            return false;
        }
    }

    /** @param array<string, mixed> $entry */
    private static function function(array $entry): string
    {
        return isset($entry['class'])
            ? self::class($entry['class']) . ($entry['type'] ?? '::') . $entry['function']
            : $entry['function'] ?? self::MAIN;
    }

    /** The name of a class. PHP appends the file to that of an anonymous one, after NUL. */
    private static function class(string $name): string
    {
        return preg_replace('/\0.*$/sD', '', $name) ?? $name;
    }

    /**
     * @param array<string, mixed> $place
     * @return array<string, mixed>
     */
    private function frame(array $place, string $function): array
    {
        $frame = ['platform' => 'php', 'function' => self::text($function), 'in_app' => false];
        if (!isset($place['file'])) {
            return $frame;
        }
        $file = $place['file'];
        $frame['filename'] = self::text(preg_replace('~^.*[/\\\\]~s', '', $file) ?? $file);
        $frame['abs_path'] = self::text($file);
        $frame['lineno'] = $place['line'] ?? 0;
        $frame['in_app'] = self::isInApp($file);
        return $frame['in_app'] ? $frame + $this->sources->around($file, $frame['lineno']) : $frame;
    }

    private static function text(string $text): string
    {
        return ExceptionBudget::cut(ExceptionBudget::valid($text), ExceptionBudget::MAX_TEXT);
    }

    /** Code of the application: neither below a folder vendor, nor of the system's PHP, nor of this package. */
    private static function isInApp(string $file): bool
    {
        $file = strtr($file, '\\', '/');
        foreach ([PEAR_INSTALL_DIR, strtr(__DIR__, '\\', '/')] as $folder) {
            if ($folder !== '' && substr($file, 0, strlen($folder) + 1) === "$folder/") {
                return false;
            }
        }
        return !str_contains($file, '/vendor/');
    }
}
