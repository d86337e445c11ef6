<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The options of a client: those of posthog-php, as settings of libphc, and those of this
 * package. An unknown option is an error, because a typing mistake would otherwise go unnoticed.
 *
 * @internal
 */
final class Options
{
    /** Options that are a setting of libphc under another name. */
    private const SETTINGS = [
        'host' => 'host',
        'timeout' => 'request_timeout_ms',
        'batch_size' => 'flush_at',
        'max_queue_size' => 'queue_max_events',
        'maximum_backoff_duration' => 'retry_max_ms',
        'is_server' => 'is_server',
    ];

    /** Options of posthog-php that have no effect here, with the reason. */
    private const WITHOUT_EFFECT = [
        'verify_batch_events_request' => 'a page never waits for a response',
        'feature_flag_request_timeout_ms' => 'there are no feature flags',
    ];

    /** Consumers of posthog-php. Whichever is given, a thread of libphc sends. */
    private const CONSUMERS = ['lib_curl', 'socket', 'fork_curl'];

    /** Defaults that differ from libphc's. */
    private const DEFAULTS = [
        'sdk_name' => 'posthog-php-phc',
        'sdk_version' => PostHog::VERSION,
        'is_server' => 'true',
        // A worker of PHP-FPM ends after a number of requests, and a script at its last line. The
        // end waits for pending events, at most for this long.
        'exit_flush_ms' => '3000',
    ];

    /** @var array<string, string> for libphc */
    public array $settings = self::DEFAULTS;

    /** The setting `reports` as the caller gives it. */
    public string $reports = 'losses';

    public bool $noop = false;
    public bool $debug = false;
    public ?string $library = null;
    public ?\Closure $beforeSend = null;
    public ?\Closure $errorHandler = null;
    public ?\Closure $onError = null;
    public ?\Closure $onSuccess = null;

    /**
     * @param array<string, mixed> $options
     * @throws \InvalidArgumentException
     * @throws NotSupported
     */
    public function __construct(array $options)
    {
        foreach ($options as $name => $value) {
            if ($value !== null) {
                $this->read((string) $name, $value);
            }
        }
        // In posthog-php the host has no scheme, and `ssl` says which it is.
        $host = $this->settings['host'] ?? '';
        if (($options['ssl'] ?? true) === false && $host !== '' && !str_contains($host, '://')) {
            $this->settings['host'] = "http://$host";
        }
        foreach ((array) ($options['settings'] ?? []) as $key => $value) {
            $this->settings[(string) $key] = self::text("settings.$key", $value);
        }
        $this->chooseReports();
    }

    /**
     * phc_poll has delivered events only with "all"; Callbacks leaves out what the caller did not
     * ask for. An unknown word is left for libphc to refuse.
     */
    private function chooseReports(): void
    {
        if (isset($this->settings['reports'])) {
            $this->reports = trim($this->settings['reports']);
        }
        if ($this->onSuccess !== null && in_array($this->reports, ['losses', 'warnings'], true)) {
            $this->settings['reports'] = 'all';
        }
    }

    private function read(string $name, mixed $value): void
    {
        if (isset(self::SETTINGS[$name])) {
            $this->settings[self::SETTINGS[$name]] = self::text($name, $value);
            return;
        }
        match ($name) {
            'settings' => is_array($value) || throw self::wrong($name, 'must be an array of libphc settings'),
            'ssl' => null,
            'debug' => $this->debug = (bool) $value,
            'library' => $this->library = self::text($name, $value),
            'compress_request' => $this->settings['compression'] = self::isTrue($value) ? 'gzip' : 'none',
            'before_send' => $this->beforeSend = self::callback($name, $value),
            'error_handler' => $this->errorHandler = self::callback($name, $value),
            'on_error' => $this->onError = self::callback($name, $value),
            'on_success' => $this->onSuccess = self::callback($name, $value),
            'consumer' => $this->noop = self::consumer($value),
            'filename' => throw self::notSupported($name, 'no consumer writes a file'),
            'error_tracking' => self::isOff($value)
                || throw self::notSupported($name, 'this package delivers events'),
            default => isset(self::WITHOUT_EFFECT[$name]) || throw new \InvalidArgumentException(
                "There is no option '$name'; settings of libphc belong into 'settings'",
            ),
        };
    }

    /** Whether nothing is to be captured. */
    private static function consumer(mixed $value): bool
    {
        return match (true) {
            $value === 'noop' => true,
            in_array($value, self::CONSUMERS, true) => false,
            $value === 'file' => throw new NotSupported(
                "The consumer 'file' is not supported: events are sent, not written",
            ),
            default => throw self::wrong('consumer', 'must be noop, ' . implode(', ', self::CONSUMERS)),
        };
    }

    private static function isOff(mixed $value): bool
    {
        return !is_array($value) || !($value['enabled'] ?? false);
    }

    private static function isTrue(mixed $value): bool
    {
        return filter_var($value, FILTER_VALIDATE_BOOL);
    }

    /** libphc takes every setting as text, so that a new setting needs no new package. */
    private static function text(string $name, mixed $value): string
    {
        return match (true) {
            is_bool($value) => $value ? 'true' : 'false',
            is_scalar($value), $value instanceof \Stringable => (string) $value,
            is_array($value) && array_is_list($value) => implode(',', $value),
            default => throw self::wrong($name, 'must be text, a number, a boolean or a list'),
        };
    }

    private static function callback(string $name, mixed $value): \Closure
    {
        is_callable($value) || throw self::wrong($name, 'must be callable');
        return \Closure::fromCallable($value);
    }

    private static function notSupported(string $name, string $why): NotSupported
    {
        return new NotSupported("The option '$name' is not supported: $why");
    }

    private static function wrong(string $name, string $rule): \InvalidArgumentException
    {
        return new \InvalidArgumentException("The option '$name' $rule");
    }
}
