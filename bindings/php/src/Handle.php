<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A client of libphc. Only this class and Library touch native memory.
 *
 * PHP forgets its pointers at the end of a request; the next one finds the client again by the
 * name that it was opened with. So the client is not freed with the request: the free would
 * wait for its events.
 *
 * @internal
 */
final class Handle
{
    /** No native wait is longer than this, so that signal handlers of PHP run. */
    private const SLICE_MS = 100;

    /** @var array<string, self> by name */
    private static array $open = [];

    private ?\FFI\CData $uuid = null;

    /** Whether a close is waiting. */
    private bool $closing = false;

    private function __construct(
        private readonly Library $library,
        /** Null once it is freed: libphc returns a status for NULL. */
        private ?\FFI\CData $client,
        private readonly ?string $name,
    ) {
    }

    /**
     * Returns the client of this process with these settings; the first request that asks for it
     * makes it. In test mode every call makes one.
     *
     * @throws \InvalidArgumentException for a setting of the caller's own that libphc does not accept
     * @throws Unavailable for any other reason: the key, the host, the environment, or what the system refuses
     */
    public static function open(Library $library, string $apiKey, Options $options): self
    {
        $settings = $options->settings;
        $test = in_array($settings['test_mode'] ?? '', ['true', '1'], true);
        $name = $test ? null : self::name([$apiKey, $settings, $library->path]);
        return self::$open[$name ?? ''] ?? self::make($library, $apiKey, $options, $name);
    }

    /**
     * The same text for the same settings. It does not show the key, unless the host has disabled md5.
     *
     * @param list<mixed> $values
     */
    private static function name(array $values): string
    {
        $text = (string) json_encode($values, JSON_INVALID_UTF8_SUBSTITUTE);
        return Host::has('md5') ? md5($text) : $text;
    }

    private static function make(Library $library, string $apiKey, Options $options, ?string $name): self
    {
        $ffi = $library->ffi;
        $config = $ffi->phc_config_new($apiKey);
        try {
            foreach ($options->settings as $key => $value) {
                $status = $ffi->phc_config_set($config, (string) $key, $value);
                if ($status !== Declarations::OK) {
                    throw self::error($status, $ffi->phc_last_error(), isset($options->own[$key]));
                }
            }
            $status = $ffi->new('phc_status');
            $client = $name === null
                ? $ffi->phc_client_new($config, \FFI::addr($status))
                : $ffi->phc_client_open($name, $config, \FFI::addr($status));
            if ($client === null) {
                $message = $ffi->phc_last_error();
                // It names the settings that it is about.
                $isOwn = false;
                foreach ($options->own as $key => $_) {
                    $isOwn = $isOwn || str_contains($message, (string) $key);
                }
                throw self::error($status->cdata, $message, $isOwn);
            }
        } finally {
            $ffi->phc_config_free($config);
        }
        $handle = new self($library, $client, $name);
        if ($name !== null) {
            self::$open[$name] = $handle;
        }
        return $handle;
    }

    /** A mistake in the code is an InvalidArgumentException. No other reason may stop a site. */
    private static function error(int $status, string $message, bool $isOwn): \Exception
    {
        $isMistake = $isOwn && in_array($status, [Declarations::INVALID_ARGUMENT, Declarations::INVALID_SETTING], true);
        return $isMistake
            ? new \InvalidArgumentException($message)
            : new Unavailable("libphc cannot make a client: $message");
    }

    public function __destruct()
    {
        if ($this->name === null) {
            // At the end of a request PHP calls destructors in any order. The destructor of a
            // Client, which asks for reports, may come after this one.
            $client = $this->client;
            $this->client = null;
            $this->library->ffi->phc_client_free($client);
        }
    }

    /** Captures an event. Returns a status. */
    public function capture(string $json): int
    {
        if ($this->closing) {
            return Declarations::CLOSED;
        }
        $this->uuid ??= $this->library->ffi->new('char[' . Declarations::UUID_SIZE . ']');
        return $this->library->ffi->phc_capture_json($this->client, $json, strlen($json), $this->uuid);
    }

    /** The uuid of the last event that was captured. */
    public function uuid(): string
    {
        return \FFI::string($this->uuid);
    }

    /** Counts an event that before_send discarded. */
    public function countDiscarded(): void
    {
        $this->library->ffi->phc_binding_count_discarded($this->client);
    }

    public function statusName(int $status): string
    {
        return $this->library->ffi->phc_status_name($status);
    }

    /** Why the last capture failed. */
    public function lastError(): string
    {
        return $this->closing ? 'the client is being shut down' : $this->library->ffi->phc_last_error();
    }

    /**
     * Waits until everything that was captured before is settled, in slices.
     *
     * @param int $timeoutMs Declarations::NO_LIMIT waits without a limit
     * @return array{status: string, settled: int, delivered: int, lost: int, pending: int}
     */
    public function flush(int $timeoutMs): array
    {
        $ffi = $this->library->all();
        $client = $this->clientOfAll();
        $flush = $ffi->new('uint64_t');
        $result = $ffi->new('phc_flush_result');
        $status = $ffi->phc_flush_begin($client, \FFI::addr($flush));
        if ($status === Declarations::OK) {
            $deadline = $timeoutMs >= Declarations::NO_LIMIT ? null : Host::milliseconds() + $timeoutMs;
            try {
                do {
                    $left = $deadline === null
                        ? Declarations::NO_LIMIT
                        : (int) ($deadline - Host::milliseconds() + 0.999);
                    $status = $ffi->phc_flush_wait(
                        $client,
                        $flush->cdata,
                        max(0, min(self::SLICE_MS, $left)),
                        \FFI::addr($result),
                        \FFI::sizeof($result),
                    );
                } while ($status === Declarations::TIMEOUT && $left > self::SLICE_MS);
            } finally {
                // After a timeout, or if a signal handler throws, libphc would keep it.
                $ffi->phc_flush_end($client, $flush->cdata);
            }
        }
        return [
            'status' => $this->statusName($status),
            'settled' => $result->settled,
            'delivered' => $result->delivered,
            'lost' => $result->lost,
            'pending' => $result->pending,
        ];
    }

    /**
     * Takes no more events, flushes, and counts what is left as lost. If a signal handler throws
     * meanwhile, the client stays open.
     *
     * @param int $timeoutMs Declarations::NO_LIMIT waits without a limit
     * @return int a status
     */
    public function close(int $timeoutMs): int
    {
        $this->closing = true;
        try {
            // A flush would begin to send what a close without time can only cancel.
            if ($timeoutMs > 0) {
                $this->flush($timeoutMs);
            }
            $status = $this->library->all()->phc_client_close($this->clientOfAll(), 0);
        } finally {
            $this->closing = false;
        }
        if ($this->name !== null) {
            unset(self::$open[$this->name]);
        }
        return $status;
    }

    /** Whether events are neither delivered nor lost yet. False after a close. */
    public function hasPending(): bool
    {
        return (json_decode($this->stats(), true)['pending_events'] ?? 0) > 0;
    }

    /** The counters, as JSON. */
    public function stats(): string
    {
        return $this->text('phc_stats_json') ?? '{}';
    }

    /** In test mode: removes the oldest event and returns its wire bytes. */
    public function nextTestEvent(): ?string
    {
        return $this->text('phc_binding_next_test_event');
    }

    /** Removes the oldest waiting report and returns it as JSON. Does not wait. */
    public function nextReport(): ?string
    {
        $ffi = $this->library->ffi;
        $report = $ffi->phc_poll($this->client, 0);
        if ($report === null) {
            return null;
        }
        try {
            return $ffi->phc_report_json($report);
        } finally {
            $ffi->phc_report_free($report);
        }
    }

    /** The text that a function writes like snprintf; null if there is none. */
    private function text(string $function): ?string
    {
        $ffi = $this->library->all();
        $client = $this->clientOfAll();
        $size = 0;
        $buffer = null;
        // The text may have grown since its length was returned.
        while (($length = $ffi->$function($client, $buffer, $size)) >= $size && $length > 0) {
            $size = $length + 1;
            $buffer = $ffi->new("char[$size]");
        }
        return $length > 0 && $buffer !== null ? \FFI::string($buffer, $length) : null;
    }

    /** The client as a value of Library::all(): PHP distinguishes types by their declarations. */
    private function clientOfAll(): ?\FFI\CData
    {
        return $this->client === null ? null : $this->library->all()->cast('phc_client *', $this->client);
    }
}
