<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The feature flags of a Client, with the methods of posthog-php.
 *
 * Flags are evaluated from definitions that the process has, which its thread fetches for all requests, without
 * waiting. What they leave open the server is asked for, in one request of at most `feature_flag_request_timeout_ms`.
 * Nothing here throws: a flag that has no value is null, and the error handler or the error log has the reason.
 */
trait FeatureFlagMethods
{
    /**
     * Evaluates flags for a person, by one request at most, and returns a snapshot of their values.
     *
     * @param string|null $distinctId null means that of the context (withContext)
     * @param array<string, string|int> $groups the key of the person's group by type
     * @param array<string, mixed> $personProperties what is known of the person
     * @param array<string, array<string, mixed>> $groupProperties by the type of the group
     * @param bool $onlyEvaluateLocally whether the server is not asked
     * @param bool|null $disableGeoip whether the server does not look up where this machine is; null means what the
     *     setting disable_geoip says
     * @param list<string>|null $flagKeys the flags that are wanted; null means all
     * @param bool $onlyEvaluateRemotely whether the server is asked for all of them, whatever definitions there are
     */
    public function evaluateFlags(
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        ?bool $disableGeoip = null,
        ?array $flagKeys = null,
        bool $onlyEvaluateRemotely = false,
    ): FeatureFlagEvaluations {
        $id = $this->flagId($distinctId, 'evaluateFlags');
        if ($id === null || $flagKeys === []) {
            return new FeatureFlagEvaluations($this, null);
        }
        $limit = $onlyEvaluateLocally ? 0 : self::NO_LIMIT;
        $query = new FlagQuery($id, $groups, $personProperties, $groupProperties, $flagKeys ?? [], $limit);
        if ($onlyEvaluateRemotely) {
            $query->options[Declarations::FLAGS_REMOTE_ONLY] = 1;
        }
        if ($disableGeoip !== null) {
            $query->options[Declarations::FLAGS_DISABLE_GEOIP] = (int) $disableGeoip;
        }
        return $this->evaluate($query);
    }

    /**
     * Whether a flag is on for a person, with or without a variant; null if it has no value. evaluateFlags() is better
     * for more than one flag.
     *
     * @param array<string, string|int> $groups as for evaluateFlags(), like the other arguments
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     * @param bool $sendFeatureFlagEvents whether the read is captured as $feature_flag_called
     */
    public function isFeatureEnabled(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        bool $sendFeatureFlagEvents = true,
    ): ?bool {
        $value = $this->getFeatureFlag(
            $key,
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
            $onlyEvaluateLocally,
            $sendFeatureFlagEvents,
        );
        return $value === null ? null : (bool) $value;
    }

    /**
     * The variant of a flag for a person, or whether it is on; null if it has no value.
     *
     * @param array<string, string|int> $groups as for isFeatureEnabled(), like the other arguments
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     */
    public function getFeatureFlag(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        bool $sendFeatureFlagEvents = true,
    ): bool|string|null {
        $properties = [$groups, $personProperties, $groupProperties];
        $isRead = $sendFeatureFlagEvents;
        return $this->flag($key, $distinctId, $properties, $onlyEvaluateLocally, $isRead)?->getFlag($key);
    }

    /**
     * The value of a flag for a person together with its payload; null if it has no value.
     *
     * @param array<string, string|int> $groups as for isFeatureEnabled(), like the other arguments
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     */
    public function getFeatureFlagResult(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        bool $sendFeatureFlagEvents = true,
    ): ?FeatureFlagResult {
        $properties = [$groups, $personProperties, $groupProperties];
        $flags = $this->flag($key, $distinctId, $properties, $onlyEvaluateLocally, $sendFeatureFlagEvents);
        $value = $flags?->getFlag($key);
        return $value === null ? null : new FeatureFlagResult(
            $key,
            $value !== false,
            is_string($value) ? $value : null,
            $flags->getFlagPayload($key),
        );
    }

    /**
     * The payload of a flag's value for a person, as PHP values; null if it has none. It is not captured.
     *
     * @param array<string, string|int> $groups as for evaluateFlags(), like the other arguments
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     */
    public function getFeatureFlagPayload(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
    ): mixed {
        $properties = [$groups, $personProperties, $groupProperties];
        return $this->flag($key, $distinctId, $properties, false, false)?->getFlagPayload($key);
    }

    /**
     * The values of all flags for a person, by key. They do not count as reads.
     *
     * @param array<string, string|int> $groups as for evaluateFlags(), like the other arguments
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     * @return array<string, bool|string> without flags that have no value
     */
    public function getAllFlags(
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
    ): array {
        $id = $this->flagId($distinctId, 'getAllFlags');
        $limit = $onlyEvaluateLocally ? 0 : self::NO_LIMIT;
        return $id === null
            ? []
            : $this->evaluate(new FlagQuery($id, $groups, $personProperties, $groupProperties, [], $limit))->values();
    }

    /**
     * The values of all flags for a person as the server has them, whatever definitions there are.
     *
     * @param array<string, string|int> $groups as for evaluateFlags(), like the other arguments
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     * @return array<string, bool|string>
     */
    public function fetchFeatureVariants(
        string $distinctId,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
    ): array {
        return $this->flags($distinctId, $groups, $personProperties, $groupProperties)['featureFlags'];
    }

    /**
     * What the server has for all flags of a person, whatever definitions there are, in the form of posthog-php.
     *
     * @param array<string, string|int> $groups as for evaluateFlags(), like the other arguments
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     * @param list<string>|null $flagKeys
     * @return array{
     *     featureFlags: array<string, bool|string>,
     *     featureFlagPayloads: array<string, string>,
     *     flags: array<string, array<string, mixed>>
     * } payloads are JSON
     */
    public function flags(
        string $distinctId,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        ?bool $disableGeoip = null,
        ?array $flagKeys = null,
    ): array {
        $snapshot = $this->evaluateFlags(
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
            false,
            $disableGeoip,
            $flagKeys,
            true,
        );
        $payloads = [];
        foreach ($snapshot->all()['flags'] as $key => $flag) {
            if (isset($flag['metadata']['payload'])) {
                $payloads[$key] = $flag['metadata']['payload'];
            }
        }
        return [
            'featureFlags' => $snapshot->values(),
            'featureFlagPayloads' => $payloads,
            'flags' => $snapshot->all()['flags'],
        ];
    }

    /**
     * Fetches the definitions of feature flags now, and waits for them. An application does not need it: the process
     * fetches them from the first evaluation on.
     *
     * @param int|null $timeoutMs the time limit; null means ten seconds
     * @return bool whether the client has the newest definitions. If not, it keeps those that it has
     */
    public function loadFlags(?int $timeoutMs = null): bool
    {
        $limit = max(0, $timeoutMs ?? self::FLUSH_MS);
        return $this->handle !== null && $this->isDone($this->handle, $this->handle->reloadFlags($limit));
    }

    /**
     * Whether there are definitions of feature flags, by which flags are evaluated without a request. The first call
     * begins to fetch them, as the first evaluation does.
     *
     * @param int $timeoutMs how long it waits for the first ones; 0 means that it does not wait
     */
    public function flagsReady(int $timeoutMs = 0): bool
    {
        return $this->handle !== null && $this->handle->flagsReady(max(0, $timeoutMs)) === Declarations::OK;
    }

    /**
     * Sets the definitions of feature flags, for tests and caches.
     *
     * @param string $json what PostHog's endpoint /flags/definitions returns
     * @return bool whether they can be read
     */
    public function setFlagDefinitions(string $json): bool
    {
        return $this->handle !== null && $this->isDone($this->handle, $this->handle->setFlagDefinitions($json));
    }

    /**
     * Whether reads of flags are captured: an event of before_send would be passed to before_send.
     *
     * @internal
     */
    public function capturesReads(): bool
    {
        return !($this->beforeSend?->isRunning() ?? false);
    }

    /**
     * Captures the event of a read, as any other event.
     *
     * @internal
     * @param string $event what phc_binding_flags_read writes
     */
    public function captureRead(string $event): void
    {
        // Objects, because an empty one is not a list.
        $read = json_decode($event);
        $message = [
            'event' => $read->event, 'distinctId' => $read->distinct_id, 'properties' => (array) $read->properties,
        ];
        if ($read->is_minimal) {
            $this->submit($message, $this->options->isServer ? ['$is_server' => true] : []);
        } else {
            $this->capture($message);
        }
    }

    /** @internal */
    public function reportFlags(string $status, string $text): void
    {
        $this->callbacks->refused($status, $text);
    }

    /**
     * The properties of an event that is to have flags: those of a snapshot, else of an evaluation.
     *
     * @param array<int|string, mixed> $message
     * @param string|null $id null for a person of whom nothing is known
     * @return array<string, mixed>
     */
    private function flagProperties(array $message, ?string $id): array
    {
        $snapshot = $message['flags'] ?? null;
        if ($snapshot instanceof FeatureFlagEvaluations) {
            return $snapshot->getEventProperties();
        }
        $isWanted = $message['send_feature_flags'] ?? $message['sendFeatureFlags'] ?? false;
        if (empty($isWanted) || $id === null || $this->handle === null) {
            return [];
        }
        $groups = $message['$groups'] ?? $message['groups'] ?? [];
        // A capture asks the server only if there is no other way.
        $limit = $this->flagsReady() ? 0 : self::NO_LIMIT;
        $query = new FlagQuery($id, is_array($groups) ? $groups : [], [], [], [], $limit);
        return $this->evaluate($query)->getEventProperties();
    }

    /**
     * A snapshot with one flag; null without an id.
     *
     * @param array{array<mixed>, array<mixed>, array<mixed>} $properties groups, and properties of person and groups
     */
    private function flag(
        string $key,
        ?string $distinctId,
        array $properties,
        bool $isLocal,
        bool $sendsEvents,
    ): ?FeatureFlagEvaluations {
        $id = $this->flagId($distinctId, 'the evaluation of a feature flag');
        if ($id === null) {
            return null;
        }
        [$groups, $person, $groupProperties] = $properties;
        $limit = $isLocal ? 0 : self::NO_LIMIT;
        return $this->evaluate(new FlagQuery($id, $groups, $person, $groupProperties, [$key], $limit), $sendsEvents);
    }

    private function evaluate(FlagQuery $query, bool $sendsEvents = true): FeatureFlagEvaluations
    {
        if ($this->handle === null) {
            return new FeatureFlagEvaluations($this, null);
        }
        [$status, $flags] = $this->handle->evaluate($query);
        // A flag that has no value here is null, and no failure.
        if ($status !== Declarations::WOULD_WAIT) {
            $this->isDone($this->handle, $status);
        }
        return new FeatureFlagEvaluations($this, $flags, $sendsEvents);
    }

    /** The id that flags are evaluated for; null if there is none, which is reported. */
    private function flagId(?string $distinctId, string $what): ?string
    {
        if ($this->handle === null) {
            return null;
        }
        $id = $distinctId ?? $this->context->current()['distinctId'] ?? '';
        if ($id === '') {
            $this->callbacks->refused('invalid_argument', "$what needs a distinctId, and there is none in the context");
        }
        return $id === '' ? null : $id;
    }
}
