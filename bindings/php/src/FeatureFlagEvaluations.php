<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The values of feature flags for one person, as of one evaluation, as in posthog-php. Client::evaluateFlags() makes it.
 *
 * Reads cause no request. The first read of a flag by isEnabled() or getFlag() is captured as $feature_flag_called,
 * unless the process has captured a read of the same value for the same person in the same groups before.
 */
class FeatureFlagEvaluations
{
    /** @var array<string, bool|string|null> what was read */
    private array $read = [];

    /** @var array{flags: array<string, array<string, mixed>>, unresolved: array<string, string>, error: string}|null */
    private ?array $all = null;

    /**
     * @internal
     * @param FfiFlags|\Phc\Flags|null $native null for a snapshot without flags
     * @param bool $sendsEvents whether reads are captured
     */
    public function __construct(
        private readonly Client $client,
        private readonly FfiFlags|\Phc\Flags|null $native,
        private readonly bool $sendsEvents = true,
    ) {
    }

    /** @return list<string> the keys of the flags that have a value */
    public function getKeys(): array
    {
        $keys = [];
        foreach ($this->all()['flags'] as $key => $_) {
            $keys[] = (string) $key;
        }
        return $keys;
    }

    /** Whether the flag is on, with or without a variant. False if it has no value. */
    public function isEnabled(string $key): bool
    {
        $value = $this->getFlag($key);
        return $value !== null && $value !== false;
    }

    /** The variant of the flag, or whether it is on; null if it has no value. */
    public function getFlag(string $key): bool|string|null
    {
        // One without a value is looked up again.
        if (isset($this->read[$key]) || $this->native === null) {
            return $this->read[$key] ?? null;
        }
        $text = FlagQuery::text($key);
        $events = $this->sendsEvents && $this->client->capturesReads() ? $this->eventsOf($text) : [];
        [$kind, $variant] = $this->native->get($text);
        $value = match ($kind) {
            Declarations::FLAG_FALSE => false,
            Declarations::FLAG_TRUE => true,
            Declarations::FLAG_VARIANT => $variant,
            default => null,
        };
        $this->read[$key] = $value;
        foreach ($events as $event) {
            $this->client->captureRead($event);
        }
        return $value;
    }

    /**
     * The events that are to be captured for a read.
     *
     * @return list<string>
     */
    private function eventsOf(string $key): array
    {
        $events = [];
        while (($event = $this->native->event($key)) !== null) {
            $events[] = $event;
        }
        return $events;
    }

    /** The payload of the flag's value as PHP values; null if it has none. It does not count as a read. */
    public function getFlagPayload(string $key): mixed
    {
        $payload = $this->native?->payload(FlagQuery::text($key));
        return $payload === null ? null : json_decode($payload, true);
    }

    /** Whether the flag has its value from definitions, without a request. It does not count as a read. */
    public function isLocallyEvaluated(string $key): bool
    {
        return $this->all()['flags'][$key]['locally_evaluated'] ?? false;
    }

    /**
     * Why flags have no value, by their keys: missing_context, unsupported_definition, unresolved_dependency,
     * experience_continuity or evaluation_failed. docs/flags.md says what to do.
     *
     * @return array<string, string>
     */
    public function getUnresolved(): array
    {
        return $this->all()['unresolved'];
    }

    /** What the snapshot lacks, in the words of $feature_flag_error; empty if it lacks nothing. */
    public function getError(): string
    {
        return $this->all()['error'];
    }

    /** A copy with those flags only that were read. */
    public function onlyAccessed(): self
    {
        return new self($this->client, $this->native?->onlyAccessed(), $this->sendsEvents);
    }

    /**
     * A copy with those flags only that have these keys. One that has no value here is reported, as a typing mistake
     * would be.
     *
     * @param array<string> $keys
     */
    public function only(array $keys): self
    {
        $known = $this->all()['flags'];
        $texts = [];
        foreach ($keys as $key) {
            $key = (string) $key;
            if (!isset($known[$key])) {
                $this->client->reportFlags('unknown_flag', "only() leaves out '$key', which has no value");
            }
            $texts[] = FlagQuery::text($key);
        }
        return new self($this->client, $this->native?->only($texts), $this->sendsEvents);
    }

    /**
     * The properties of an event that has this snapshot: $feature/<key> for each flag with a value, and the keys of
     * those that are on.
     *
     * @return array<string, mixed>
     */
    public function getEventProperties(): array
    {
        $properties = [];
        $active = [];
        foreach ($this->values() as $key => $value) {
            $properties["\$feature/$key"] = $value;
            if ($value !== false) {
                $active[] = (string) $key;
            }
        }
        sort($active, SORT_STRING);
        $properties['$active_feature_flags'] = $active;
        return $properties;
    }

    /**
     * The values of all flags that have one. That does not count as a read.
     *
     * @internal
     * @return array<string, bool|string>
     */
    public function values(): array
    {
        $values = [];
        foreach ($this->all()['flags'] as $key => $flag) {
            $values[$key] = $flag['variant'] ?? $flag['enabled'];
        }
        return $values;
    }

    /**
     * All flags, in the form of the server's responses.
     *
     * @internal
     * @return array{flags: array<string, array<string, mixed>>, unresolved: array<string, string>, error: string}
     */
    public function all(): array
    {
        return $this->all ??= ($this->native === null ? [] : json_decode($this->native->json(), true) ?? [])
            + ['flags' => [], 'unresolved' => [], 'error' => ''];
    }
}
