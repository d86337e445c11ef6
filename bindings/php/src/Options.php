<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The options of a client: those of posthog-php, as settings of libphc, and those of this package.
 *
 * An option of posthog-php never throws, whatever its value is: a site that works with posthog-php must start.
 * What has no meaning here is a remark for the log. An unknown option is an error, because a typing mistake
 * would otherwise go unnoticed.
 *
 * @internal
 */
final class Options
{
    /** Where events are sent without a host. */
    public const DEFAULT_HOST = 'https://us.i.posthog.com';

    /**
     * Options that are numbers: the setting of libphc, its unit in that of the option, and the bounds of the setting.
     * A value outside of them becomes the nearest one. A page never waits for a request, so less than a second for
     * one would only lose events.
     */
    private const NUMBERS = [
        'timeout' => ['request_timeout_ms', 1, 1000, 3_600_000],
        'batch_size' => ['flush_at', 1, 1, 100_000],
        'flush_interval_seconds' => ['flush_interval_ms', 1000, 1, 3_600_000],
        'max_queue_size' => ['queue_max_events', 1, 1, 100_000_000],
        'maximum_backoff_duration' => ['retry_max_ms', 1, 200, 3_600_000],
        'feature_flag_request_timeout_ms' => ['flags_timeout_ms', 1, 1, 3_600_000],
        'feature_flag_request_max_retries' => ['flags_max_retries', 1, 0, 10],
    ];

    /** The numbers that may be 0. */
    private const MAY_BE_ZERO = [
        'flush_interval_seconds', 'maximum_backoff_duration', 'feature_flag_request_max_retries',
    ];

    /** Options of posthog-php that have no effect here, with the reason. */
    private const WITHOUT_EFFECT = [
        'verify_batch_events_request' => 'a page never waits for a response',
        'flag_definition_cache_provider' => 'a process keeps the definitions of feature flags for all its requests',
        'filename' => 'no consumer writes a file',
    ];

    /** Consumers of posthog-php. Whichever is given, a thread of libphc sends. */
    private const CONSUMERS = ['lib_curl', 'socket', 'fork_curl'];

    /** Settings that are text, so false is not a value: it is what getenv() returns without the variable. */
    private const TEXTS = [
        'host', 'proxy', 'ca_file', 'client_cert_file', 'client_key_file', 'sdk_name', 'sdk_version', 'secret_key',
        'spool_dir',
    ];

    /** Defaults that differ from libphc's. */
    private const DEFAULTS = [
        'sdk_name' => 'posthog-php-phc',
        'sdk_version' => PostHog::VERSION,
        // A worker of PHP-FPM ends after a number of requests, and a script at its last line. The
        // end waits for pending events, at most for this long.
        'exit_flush_ms' => '3000',
    ];

    /** @var array<string, string> for libphc */
    public array $settings = self::DEFAULTS;

    /** @var array<string, true> settings of the caller's own: a wrong value is a mistake in the code */
    public array $own = [];

    /** @var list<string> what is passed over, for the log */
    public array $remarks = [];

    /** The setting `reports` as the caller gives it. */
    public string $reports = 'losses';

    /** Why nothing is to be captured; null if events are. */
    public ?string $problem = null;

    /** Whether $is_server is added to events here, and not by the setting of libphc. */
    public bool $isServer = true;

    public bool $noop = false;
    public bool $debug = false;
    public ?string $library = null;
    public ?ErrorTracking $errorTracking = null;
    public ?\Closure $beforeSend = null;
    public ?\Closure $errorHandler = null;
    public ?\Closure $onError = null;
    public ?\Closure $onSuccess = null;

    /**
     * @param array<string, mixed>|null $options null for those of a client that captures nothing
     * @throws \InvalidArgumentException for an unknown option, and for a wrong value of one of this package's own
     */
    public function __construct(?array $options)
    {
        if ($options === null) {
            return;
        }
        foreach ($options as $name => $value) {
            if ($value !== null) {
                $this->read((string) $name, $value);
            }
        }
        // For the consumer socket of posthog-php it is seconds.
        if (($options['consumer'] ?? null) === 'socket' && is_numeric($options['timeout'] ?? null)) {
            $this->number('timeout', (float) $options['timeout'] * 1000);
        }
        // In posthog-php the host has no scheme, and `ssl` says which it is.
        $host = $this->settings['host'] ?? '';
        if (!($options['ssl'] ?? true) && !str_contains($host, '://')) {
            $this->settings['host'] = 'http://' . ($host === '' ? substr(self::DEFAULT_HOST, 8) : $host);
        }
        $this->readSettings($options['settings'] ?? []);
        $this->readEnvironment();
        $this->chooseReports();
    }

    /** Whether a text is not given: getenv() returns false without the variable. */
    public static function isBlank(mixed $value): bool
    {
        return $value === null || $value === false || (is_string($value) && trim($value) === '');
    }

    /**
     * The arguments of posthog-php for feature flags. `settings` have precedence.
     *
     * @param bool $loads whether definitions are fetched
     */
    public function readSecretKey(?string $key, bool $loads): void
    {
        if (!self::isBlank($key)) {
            $this->settings += ['secret_key' => trim((string) $key)] + ($loads ? [] : ['local_evaluation' => 'false']);
        }
    }

    private function readSettings(mixed $settings): void
    {
        foreach (is_array($settings) ? $settings : [] as $key => $value) {
            $key = (string) $key;
            if ($value === null || ($value === false && in_array($key, self::TEXTS, true))) {
                continue;
            }
            $this->settings[$key] = self::text("settings.$key", $value);
            $this->own[$key] = true;
        }
        if (isset($this->settings['is_server'])) {
            $this->isServer = false;
        }
    }

    private function readEnvironment(): void
    {
        $environment = new Environment();
        $this->settings += $environment->settings($this->settings['host'] ?? self::DEFAULT_HOST);
        $this->remarks = [...$this->remarks, ...$environment->remarks];
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
        if (isset(self::NUMBERS[$name])) {
            $this->number($name, $value);
            return;
        }
        if (isset(self::WITHOUT_EFFECT[$name])) {
            $this->remarks[] = "the option '$name' has no effect: " . self::WITHOUT_EFFECT[$name];
            return;
        }
        match ($name) {
            'settings' => is_array($value) || throw self::wrong($name, 'must be an array of libphc settings'),
            'ssl' => null,
            'debug' => $this->debug = (bool) $value,
            'host' => $this->host($value),
            'is_server' => $this->isServer = $value === true,
            'error_tracking' => $this->errorTracking = new ErrorTracking($value),
            'library' => self::isBlank($value) || $this->library = self::text($name, $value),
            'compress_request' => self::isBlank($value) && $value !== false
                || $this->settings['compression'] = self::isTrue($value) ? 'gzip' : 'none',
            'before_send' => $this->beforeSend = $this->callbackOrRemark($name, $value),
            'error_handler' => $this->errorHandler = $this->callbackOrRemark($name, $value),
            'on_error' => $this->onError = self::callback($name, $value),
            'on_success' => $this->onSuccess = self::callback($name, $value),
            'consumer' => $this->consumer($value),
            default => throw new \InvalidArgumentException(
                "There is no option '$name'; settings of libphc belong into 'settings'",
            ),
        };
    }

    private function host(mixed $value): void
    {
        if (self::isBlank($value)) {
            return;
        }
        if (!is_string($value) && !$value instanceof \Stringable) {
            $this->remarks[] = "the option 'host' is passed over: it is not text";
            return;
        }
        $this->settings['host'] = trim((string) $value);
    }

    private function number(string $name, mixed $value): void
    {
        [$setting, $unit, $lowest, $highest] = self::NUMBERS[$name];
        $number = is_numeric($value) ? (float) $value : NAN;
        if (!is_finite($number) || $number < 0 || ($number === 0.0 && !in_array($name, self::MAY_BE_ZERO, true))) {
            $shown = is_scalar($value) ? json_encode($value, JSON_PARTIAL_OUTPUT_ON_ERROR) : get_debug_type($value);
            $this->remarks[] = "the option '$name' is passed over: $shown is not a usable number";
            return;
        }
        $this->settings[$setting] = (string) (int) max($lowest, min($highest, round($number * $unit)));
    }

    private function consumer(mixed $value): void
    {
        match (true) {
            self::isBlank($value) || in_array($value, self::CONSUMERS, true) => null,
            $value === 'noop' => [$this->noop = true, $this->problem = 'the consumer is noop'],
            $value === 'file' => $this->problem = "the consumer 'file' is not supported: events are not written into "
                . 'a file; without the option they are sent',
            default => throw self::wrong('consumer', 'must be noop, ' . implode(', ', self::CONSUMERS)),
        };
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

    private function callbackOrRemark(string $name, mixed $value): ?\Closure
    {
        if (is_callable($value)) {
            return \Closure::fromCallable($value);
        }
        if (!self::isBlank($value)) {
            $this->remarks[] = "the option '$name' is passed over: it is not callable";
        }
        return null;
    }

    private static function callback(string $name, mixed $value): \Closure
    {
        is_callable($value) || throw self::wrong($name, 'must be callable');
        return \Closure::fromCallable($value);
    }

    private static function wrong(string $name, string $rule): \InvalidArgumentException
    {
        return new \InvalidArgumentException("The option '$name' $rule");
    }
}
