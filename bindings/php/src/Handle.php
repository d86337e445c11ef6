<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A client of libphc. With Library, all that touches native memory.
 *
 * Handles of a process stay: PHP forgets its pointers at the end of a request,
 * and the next one finds the client again by the name it was opened with. A
 * client that were freed with the request would wait for its events.
 *
 * @internal
 */
final class Handle
{
    public const OK = 0;
    private const TIMEOUT = 6;

    /** A native wait is no longer than this, so that signal handlers of PHP run. */
    private const SLICE_MS = 100;

    /** @var array<string, self> by name */
    private static array $open = [];

    private ?\FFI\CData $uuid = null;

    private function __construct(
        private readonly Library $library,
        /** Null when it is freed: libphc answers NULL with a status. */
        private ?\FFI\CData $client,
        private readonly ?string $name,
    ) {
    }

    /**
     * The process's client with these settings: made by the first request that
     * asks for it. In test mode one of its own.
     *
     * @param array<string, string> $settings
     * @throws \InvalidArgumentException for a setting that libphc does not accept
     */
    public static function open(Library $library, string $apiKey, array $settings): self
    {
        $test = in_array($settings['test_mode'] ?? '', ['true', '1'], true);
        $name = $test ? null : md5(serialize([$apiKey, $settings, $library->path]));
        return self::$open[$name ?? ''] ?? self::make($library, $apiKey, $settings, $name);
    }

    /** @param array<string, string> $settings */
    private static function make(Library $library, string $apiKey, array $settings, ?string $name): self
    {
        $ffi = $library->ffi;
        $config = $ffi->phc_config_new($apiKey);
        try {
            foreach ($settings as $key => $value) {
                if ($ffi->phc_config_set($config, (string) $key, $value) !== self::OK) {
                    throw new \InvalidArgumentException($ffi->phc_config_error($config));
                }
            }
            $client = $name === null ? $ffi->phc_client_new($config, null, 0) : self::named($ffi, $name, $config);
            if ($client === null) {
                throw new \InvalidArgumentException($ffi->phc_last_error());
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

    private static function named(\FFI $ffi, string $name, \FFI\CData $config): ?\FFI\CData
    {
        $client = $ffi->new('phc_client *');
        return $ffi->phc_client_open($name, $config, \FFI::addr($client)) === self::OK ? $client : null;
    }

    public function __destruct()
    {
        if ($this->name === null) {
            // At the end of a request PHP calls destructors in any order: that
            // of a Client, which asks for reports, may come after this one.
            $client = $this->client;
            $this->client = null;
            $this->library->ffi->phc_client_free($client);
        }
    }

    /** Takes an event. Answers a status. */
    public function capture(string $json): int
    {
        $this->uuid ??= $this->library->ffi->new('char[37]');
        return $this->library->ffi->phc_capture_json($this->client, $json, strlen($json), $this->uuid);
    }

    /** The uuid of the last event that was taken. */
    public function uuid(): string
    {
        return \FFI::string($this->uuid);
    }

    public function countDropped(): void
    {
        $this->library->ffi->phc_count_dropped($this->client);
    }

    public function statusName(int $status): string
    {
        return $this->library->ffi->phc_status_name($status);
    }

    /** What was wrong with the last call that failed. */
    public function lastError(): string
    {
        return $this->library->ffi->phc_last_error();
    }

    /**
     * Waits until all that was captured before is settled, at most so long.
     *
     * @return array{status: string, settled: int, delivered: int, lost: int, pending: int}
     */
    public function flush(int $timeoutMs): array
    {
        $ffi = $this->library->whole();
        $client = $this->inWhole();
        $ticket = $ffi->new('uint64_t');
        $result = $ffi->new('phc_flush_result');
        $status = $ffi->phc_flush_begin($client, \FFI::addr($ticket));
        if ($status === self::OK) {
            $deadline = hrtime(true) + $timeoutMs * 1_000_000;
            try {
                do {
                    $left = intdiv($deadline - hrtime(true) + 999_999, 1_000_000);
                    $slice = max(0, min(self::SLICE_MS, $left));
                    $status = $ffi->phc_flush_wait(
                        $client,
                        $ticket->cdata,
                        $slice,
                        \FFI::addr($result),
                        \FFI::sizeof($result),
                    );
                } while ($status === self::TIMEOUT && $left > self::SLICE_MS);
            } finally {
                // Also when a signal handler has thrown.
                $ffi->phc_flush_end($client, $ticket->cdata);
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

    /** Ends the process's client. */
    public function close(int $timeoutMs): int
    {
        if ($this->name !== null) {
            unset(self::$open[$this->name]);
        }
        return $this->library->whole()->phc_client_close($this->inWhole(), $timeoutMs);
    }

    /** The counters, as JSON. */
    public function stats(): string
    {
        return $this->text('phc_stats_json') ?? '{}';
    }

    /** The wire bytes of the oldest event that was captured in test mode. */
    public function testNext(): ?string
    {
        return $this->text('phc_test_next');
    }

    /** The oldest report that waits, as JSON. Does not wait itself. */
    public function report(): ?string
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

    /** The text that a function writes like snprintf. */
    private function text(string $function): ?string
    {
        $ffi = $this->library->whole();
        $client = $this->inWhole();
        $room = 0;
        $buffer = null;
        // It may have grown since it was measured.
        while (($length = $ffi->$function($client, $buffer, $room)) >= $room && $length > 0) {
            $room = $length + 1;
            $buffer = $ffi->new("char[$room]");
        }
        return $length > 0 && $buffer !== null ? \FFI::string($buffer, $length) : null;
    }

    /** The client as the other set of declarations knows it. */
    private function inWhole(): ?\FFI\CData
    {
        return $this->client === null ? null : $this->library->whole()->cast('phc_client *', $this->client);
    }
}
