<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The options of a client: those of posthog-php, as settings of libphc, and
 * what this package has besides. One that is not known is an error, for a typo
 * would otherwise go unnoticed.
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

    /** Options of posthog-php that have nothing to act on here, with the reason. */
    private const WITHOUT_EFFECT = [
        'verify_batch_events_request' => 'a request never waits for the answer',
        'feature_flag_request_timeout_ms' => 'there are no feature flags',
    ];

    /** Which consumer sends: here it is libphc's thread, whatever is asked for. */
    private const CONSUMERS = ['lib_curl', 'socket', 'fork_curl'];

    /** What this face sets before the caller does. */
    private const DEFAULTS = [
        'sdk_name' => 'posthog-php-phc',
        'sdk_version' => PostHog::VERSION,
        'is_server' => 'true',
        // A worker of PHP-FPM ends after so many requests, and a script at its
        // last line: what is pending then is waited for, at most so long.
        'exit_flush_ms' => '3000',
    ];

    /** @var array<string, string> for libphc */
    public array $settings = self::DEFAULTS;

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
        // posthog-php takes a host without a scheme and a flag beside it.
        $host = $this->settings['host'] ?? '';
        if (($options['ssl'] ?? true) === false && $host !== '' && !str_contains($host, '://')) {
            $this->settings['host'] = "http://$host";
        }
        if ($this->onSuccess !== null) {
            $this->settings['reports'] ??= 'all';
        }
        foreach ((array) ($options['settings'] ?? []) as $key => $value) {
            $this->settings[(string) $key] = self::text("settings.$key", $value);
        }
    }

    private function read(string $name, mixed $value): void
    {
        if (isset(self::SETTINGS[$name])) {
            $this->settings[self::SETTINGS[$name]] = self::text($name, $value);
            return;
        }
        match ($name) {
            'settings' => is_array($value) || throw self::wrong($name, 'is an array of settings of libphc'),
            'ssl' => null,
            'debug' => $this->debug = (bool) $value,
            'library' => $this->library = self::text($name, $value),
            'compress_request' => $this->settings['compression'] = self::isTrue($value) ? 'gzip' : 'none',
            'before_send' => $this->beforeSend = self::callback($name, $value),
            'error_handler' => $this->errorHandler = self::callback($name, $value),
            'on_error' => $this->onError = self::callback($name, $value),
            'on_success' => $this->onSuccess = self::callback($name, $value),
            'consumer' => $this->noop = self::consumer($value),
            'filename' => throw new NotSupported("The option 'filename' is not supported: no consumer writes a file"),
            'error_tracking' => self::isOff($value)
                || throw new NotSupported("The option 'error_tracking' is not supported: this package delivers events"),
            default => isset(self::WITHOUT_EFFECT[$name])
                || throw new \InvalidArgumentException("There is no option '$name'; settings of libphc go into 'settings'"),
        };
    }

    /** Whether the consumer is none at all. */
    private static function consumer(mixed $value): bool
    {
        return match (true) {
            $value === 'noop' => true,
            in_array($value, self::CONSUMERS, true) => false,
            $value === 'file' => throw new NotSupported("The consumer 'file' is not supported: events are sent, not written"),
            default => throw self::wrong('consumer', 'is one of noop, ' . implode(', ', self::CONSUMERS)),
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

    /** A setting travels as text, so that a new one needs no new package. */
    private static function text(string $name, mixed $value): string
    {
        return match (true) {
            is_bool($value) => $value ? 'true' : 'false',
            is_scalar($value), $value instanceof \Stringable => (string) $value,
            is_array($value) && array_is_list($value) => implode(',', $value),
            default => throw self::wrong($name, 'is text, a number, a boolean or a list'),
        };
    }

    private static function callback(string $name, mixed $value): \Closure
    {
        return is_callable($value) ? \Closure::fromCallable($value) : throw self::wrong($name, 'is a callable');
    }

    private static function wrong(string $name, string $is): \InvalidArgumentException
    {
        return new \InvalidArgumentException("The option '$name' $is");
    }
}
