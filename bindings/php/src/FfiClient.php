<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A client of libphc, called by FFI. Phc\Client of the extension has the same methods, and two that encode.
 *
 * The client is not freed with its object: that would wait for its events. A later request finds it again by name.
 *
 * @internal
 */
final class FfiClient
{
    private ?\FFI\CData $uuid = null;

    /** @param \FFI\CData|null $client null once it is freed: libphc returns a status for NULL */
    public function __construct(private readonly FfiLibrary $library, private ?\FFI\CData $client)
    {
    }

    /** Captures an event. Returns its uuid, or a status. */
    public function capture(string $json): string|int
    {
        $this->uuid ??= $this->library->ffi->new('char[' . Declarations::UUID_SIZE . ']');
        $status = $this->library->ffi->phc_capture_json($this->client, $json, strlen($json), $this->uuid);
        return $status === Declarations::OK ? \FFI::string($this->uuid) : $status;
    }

    /** Counts an event that before_send discarded. */
    public function countDiscarded(): void
    {
        $this->library->ffi->phc_binding_count_discarded($this->client);
    }

    /** @return array{int, int} a status and the flush, which is to be ended if the status is OK */
    public function flushBegin(): array
    {
        $flush = $this->library->all()->new('uint64_t');
        $status = $this->library->all()->phc_flush_begin($this->clientOfAll(), \FFI::addr($flush));
        return [$status, $flush->cdata];
    }

    /** @return array{int, int, int, int, int} a status, and how many events are settled, delivered, lost and pending */
    public function flushWait(int $flush, int $timeoutMs): array
    {
        $ffi = $this->library->all();
        $result = $ffi->new('phc_flush_result');
        $address = \FFI::addr($result);
        $size = \FFI::sizeof($result);
        $status = $ffi->phc_flush_wait($this->clientOfAll(), $flush, $timeoutMs, $address, $size);
        return [$status, $result->settled, $result->delivered, $result->lost, $result->pending];
    }

    public function flushEnd(int $flush): void
    {
        $this->library->all()->phc_flush_end($this->clientOfAll(), $flush);
    }

    /** Takes no more events, and waits until those that are pending are delivered or lost. Returns a status. */
    public function close(int $timeoutMs): int
    {
        return $this->library->all()->phc_client_close($this->clientOfAll(), $timeoutMs);
    }

    public function free(): void
    {
        $client = $this->client;
        $this->client = null;
        $this->library->ffi->phc_client_free($client);
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

    /** The counters, as JSON. */
    public function stats(): ?string
    {
        return $this->text('phc_stats_json');
    }

    /** In test mode: removes the oldest event and returns its wire bytes. */
    public function nextTestEvent(): ?string
    {
        return $this->text('phc_binding_next_test_event');
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

    /** The client as a value of FfiLibrary::all(): PHP distinguishes types by their declarations. */
    private function clientOfAll(): ?\FFI\CData
    {
        return $this->client === null ? null : $this->library->all()->cast('phc_client *', $this->client);
    }
}
