<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A client of libphc, called by FFI. Phc\Client of the extension has the same methods, and three that encode.
 *
 * The client is not freed with its object: that would wait for its events. A later request finds it again by name.
 *
 * @internal
 */
final class FfiClient
{
    private ?\FFI\CData $uuid = null;

    private ?\FFI\CData $clientOfFlags = null;

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

    /** Waits until what was captured before is on disk. Returns a status. */
    public function persist(int $timeoutMs): int
    {
        return $this->library->all()->phc_persist($this->clientOfAll(), $timeoutMs);
    }

    /** @return array{int, int} a status, and how many pending events it has ended, in memory and on disk */
    public function discardSpool(int $timeoutMs): array
    {
        $discarded = $this->library->all()->new('uint64_t');
        $address = \FFI::addr($discarded);
        $status = $this->library->all()->phc_spool_discard($this->clientOfAll(), $timeoutMs, $address);
        return [$status, $discarded->cdata];
    }

    /**
     * Evaluates the feature flags of a person.
     *
     * @param string $person its properties, as one JSON object
     * @param list<array{string, string, ?string}> $groups the type and key of each, and its properties as JSON
     * @param list<string> $keys of the flags that are wanted; none means all
     * @param array<int, int> $options values of Declarations::FLAGS_…
     * @param int $timeoutMs how long the server may be waited for; with 0 it is not asked
     * @return array{int, ?FfiFlags} a status, and the snapshot, which there is with most of them
     */
    public function evaluate(
        string $distinctId,
        string $person,
        array $groups,
        array $keys,
        array $options,
        int $timeoutMs,
    ): array {
        $ffi = $this->library->flags();
        $query = $ffi->phc_flags_query_new($distinctId);
        try {
            $ffi->phc_flags_query_set_person_json($query, $person, strlen($person));
            foreach ($groups as [$type, $key, $properties]) {
                $ffi->phc_flags_query_set_group($query, $type, $key, $properties);
            }
            foreach ($keys as $key) {
                $ffi->phc_flags_query_add_key($query, $key);
            }
            foreach ($options as $option => $value) {
                $ffi->phc_flags_query_set_option($query, $option, $value);
            }
            $flags = $this->library->memory()->make('phc_flags *');
            $status = $ffi->phc_flags_evaluate($this->clientOfFlags(), $query, $timeoutMs, \FFI::addr($flags));
            return [$status, \FFI::isNull($flags) ? null : new FfiFlags($this->library, $flags)];
        } finally {
            $ffi->phc_flags_query_free($query);
        }
    }

    /** Whether there are definitions of feature flags, which it waits for. Returns a status. */
    public function flagsReady(int $timeoutMs): int
    {
        return $this->library->flags()->phc_flags_ready($this->clientOfFlags(), $timeoutMs);
    }

    /** Fetches the definitions of feature flags. Returns a status. */
    public function reloadFlags(int $timeoutMs): int
    {
        return $this->library->all()->phc_flags_reload($this->clientOfAll(), $timeoutMs);
    }

    /** Sets the definitions of feature flags, as JSON. Returns a status. */
    public function setFlagDefinitions(string $json): int
    {
        return $this->library->all()->phc_flags_definitions_set($this->clientOfAll(), $json, strlen($json));
    }

    /** Takes no more events, and waits until those that are pending are delivered or lost. Returns a status. */
    public function close(int $timeoutMs): int
    {
        return $this->library->all()->phc_client_close($this->clientOfAll(), $timeoutMs);
    }

    public function free(): void
    {
        $client = $this->client;
        $this->client = $this->clientOfFlags = null;
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

    /** The text that a function writes of the client; null if there is none. */
    private function text(string $function): ?string
    {
        $ffi = $this->library->all();
        $client = $this->clientOfAll();
        return FfiText::read($ffi, 0, static fn ($buffer, $size) => $ffi->$function($client, $buffer, $size));
    }

    /** The client as a value of FfiLibrary::all(): PHP distinguishes types by their declarations. */
    private function clientOfAll(): ?\FFI\CData
    {
        return $this->client === null ? null : $this->library->all()->cast('phc_client *', $this->client);
    }

    /** The client as a value of FfiLibrary::flags(). */
    private function clientOfFlags(): ?\FFI\CData
    {
        return $this->client === null
            ? null
            : $this->clientOfFlags ??= $this->library->flags()->cast('phc_client *', $this->client);
    }
}
