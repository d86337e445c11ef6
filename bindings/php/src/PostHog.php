<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The default client of a process, as in posthog-php.
 *
 * The methods in NotSupported::METHODS throw NotSupported.
 */
class PostHog
{
    public const LIBRARY = 'posthog-php-phc';
    public const VERSION = '0.1.0';
    public const ENV_API_KEY = 'POSTHOG_API_KEY';
    public const ENV_HOST = 'POSTHOG_HOST';

    private static ?Client $client = null;

    /**
     * Makes the default client. Call it in each request: in a later request of the same worker it
     * finds the client again, with the events that are still pending.
     *
     * @param string|false|null $apiKey your project key; an empty one means POSTHOG_API_KEY of the environment
     * @param array<string, mixed>|null $options see Client; without a `host` it is POSTHOG_HOST
     * @param Client|null $client an existing client; the other arguments are then not used
     * @param string|null $personalAPIKey the older name of $secretKey
     * @param string|null $secretKey fetches the definitions of feature flags; see Client
     * @throws \InvalidArgumentException for an unknown option, or one of `settings` that is not accepted
     */
    public static function init(
        string|false|null $apiKey = null,
        ?array $options = [],
        ?Client $client = null,
        ?string $personalAPIKey = null,
        ?string $secretKey = null,
    ): void {
        if ($client === null) {
            $options ??= [];
            if (Host::missing() === null) {
                $apiKey = Options::isBlank($apiKey) ? Host::environment(self::ENV_API_KEY) : $apiKey;
                $options['host'] = self::host($options);
            }
        }
        self::$client = $client
            ?? new Client($apiKey, $options, personalAPIKey: $personalAPIKey, secretKey: $secretKey);
    }

    /**
     * The host of the options, else that of the environment. As in posthog-php, the option `ssl` has precedence over
     * its scheme.
     *
     * @param array<string, mixed> $options
     */
    private static function host(array $options): mixed
    {
        $host = Options::isBlank($options['host'] ?? null)
            ? Host::environment(self::ENV_HOST)
            : $options['host'];
        return isset($options['ssl']) && is_string($host) ? preg_replace('~^\s*https?://~i', '', $host) : $host;
    }

    /**
     * Captures a user action; see Client::capture.
     *
     * @param array<string, mixed> $message
     * @return bool whether the event was captured
     * @throws \InvalidArgumentException without an event
     */
    public static function capture(array $message): bool
    {
        $client = self::getClient();
        self::assert(!empty($message['event']), 'PostHog::capture() expects an event');
        return $client->capture($message);
    }

    /**
     * Captures an exception; see Client::captureException.
     *
     * @param array<string, mixed> $additionalProperties
     * @return bool whether the event was captured
     */
    public static function captureException(
        \Throwable|string $exception,
        ?string $distinctId = null,
        array $additionalProperties = [],
    ): bool {
        return self::getClient()->captureException($exception, $distinctId, $additionalProperties);
    }

    /**
     * Sets properties of a person; see Client::identify.
     *
     * @param array<string, mixed> $message
     * @return bool whether the event was captured
     * @throws \InvalidArgumentException without a distinctId
     */
    public static function identify(array $message): bool
    {
        $client = self::getClient();
        self::validate($message, 'identify');
        return $client->identify($message);
    }

    /**
     * Sets properties of a group; see Client::groupIdentify.
     *
     * @param array<string, mixed> $message
     * @return bool whether the event was captured
     * @throws \InvalidArgumentException without groupType or groupKey
     */
    public static function groupIdentify(array $message): bool
    {
        return self::getClient()->groupIdentify($message);
    }

    /**
     * Makes alias another name of distinctId; see Client::alias.
     *
     * @param array<string, mixed> $message
     * @return bool whether the event was captured
     * @throws \InvalidArgumentException without a distinctId or an alias
     */
    public static function alias(array $message): bool
    {
        $client = self::getClient();
        self::assert(($message['alias'] ?? '') !== '', 'PostHog::alias() requires an alias');
        self::validate($message, 'alias');
        return $client->alias($message);
    }

    /**
     * Captures a prepared event; see Client::raw.
     *
     * @param array<string, mixed>|string $message
     * @return bool whether the event was captured
     */
    public static function raw(array|string $message): bool
    {
        return self::getClient()->raw($message);
    }

    /**
     * Evaluates flags for a person and returns a snapshot of their values; see Client::evaluateFlags.
     *
     * @param array<string, string|int> $groups
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     * @param list<string>|null $flagKeys
     */
    public static function evaluateFlags(
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        ?bool $disableGeoip = null,
        ?array $flagKeys = null,
        bool $onlyEvaluateRemotely = false,
    ): FeatureFlagEvaluations {
        return self::getClient()->evaluateFlags(
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
            $onlyEvaluateLocally,
            $disableGeoip,
            $flagKeys,
            $onlyEvaluateRemotely,
        );
    }

    /**
     * Whether a flag is on for a person; null if it has no value; see Client::isFeatureEnabled.
     *
     * @param array<string, string|int> $groups
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     */
    public static function isFeatureEnabled(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        bool $sendFeatureFlagEvents = true,
    ): ?bool {
        return self::getClient()->isFeatureEnabled(
            $key,
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
            $onlyEvaluateLocally,
            $sendFeatureFlagEvents,
        );
    }

    /**
     * The value of a flag for a person; null if it has none; see Client::getFeatureFlag.
     *
     * @param array<string, string|int> $groups
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     */
    public static function getFeatureFlag(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        bool $sendFeatureFlagEvents = true,
    ): bool|string|null {
        return self::getClient()->getFeatureFlag(
            $key,
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
            $onlyEvaluateLocally,
            $sendFeatureFlagEvents,
        );
    }

    /**
     * The value of a flag and its payload; null if it has no value; see Client::getFeatureFlagResult.
     *
     * @param array<string, string|int> $groups
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     */
    public static function getFeatureFlagResult(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
        bool $sendFeatureFlagEvents = true,
    ): ?FeatureFlagResult {
        return self::getClient()->getFeatureFlagResult(
            $key,
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
            $onlyEvaluateLocally,
            $sendFeatureFlagEvents,
        );
    }

    /**
     * The payload of the value of a flag for a person; null if it has none; see Client::getFeatureFlagPayload.
     *
     * @param array<string, string|int> $groups
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     */
    public static function getFeatureFlagPayload(
        string $key,
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
    ): mixed {
        return self::getClient()->getFeatureFlagPayload(
            $key,
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
        );
    }

    /**
     * The values of all flags for a person, by key; see Client::getAllFlags.
     *
     * @param array<string, string|int> $groups
     * @param array<string, mixed> $personProperties
     * @param array<string, array<string, mixed>> $groupProperties
     * @return array<string, bool|string>
     */
    public static function getAllFlags(
        ?string $distinctId = null,
        array $groups = [],
        array $personProperties = [],
        array $groupProperties = [],
        bool $onlyEvaluateLocally = false,
    ): array {
        return self::getClient()->getAllFlags(
            $distinctId,
            $groups,
            $personProperties,
            $groupProperties,
            $onlyEvaluateLocally,
        );
    }

    /**
     * The values of all flags for a person as the server has them; see Client::fetchFeatureVariants.
     *
     * @param array<string, string|int> $groups
     * @return array<string, bool|string>
     */
    public static function fetchFeatureVariants(string $distinctId, array $groups = []): array
    {
        return self::getClient()->fetchFeatureVariants($distinctId, $groups);
    }

    /**
     * Waits until every event that was captured before is delivered or lost; see Client::flush.
     *
     * @return bool whether all of them were delivered
     */
    public static function flush(?int $timeoutMs = null): bool
    {
        return self::getClient()->flush($timeoutMs);
    }

    /**
     * Flushes and ends the client of this process; see Client::shutdown.
     *
     * @return bool whether every event that this process captured with it was delivered
     */
    public static function shutdown(?int $timeoutMs = null): bool
    {
        return self::getClient()->shutdown($timeoutMs);
    }

    /**
     * Calls a function, and adds these data to its captures; see Client::withContext.
     *
     * @param array<string, mixed> $data
     * @param array{fresh?: bool} $options
     */
    public static function withContext(array $data, callable $fn, array $options = []): mixed
    {
        return self::getClient()->withContext($data, $fn, $options);
    }

    /** @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}|null */
    public static function getContext(): ?array
    {
        return self::getClient()->getContext();
    }

    /**
     * @param array<string, mixed> $headers or $_SERVER
     * @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}
     */
    public static function contextFromHeaders(array $headers): array
    {
        return Context::fromHeaders($headers);
    }

    /** The default client; before init one that captures nothing, which is logged once. */
    public static function getClient(): Client
    {
        return self::$client ??= Client::beforeInit();
    }

    /**
     * @internal
     * @param array<string, mixed> $msg
     */
    public static function validate($msg, $type): void
    {
        self::assert(Message::hasId($msg), "PostHog::{$type}() requires distinctId");
    }

    /** @param array<int, mixed> $arguments */
    public static function __callStatic(string $name, array $arguments): never
    {
        throw NotSupported::method(self::class, $name);
    }

    private static function assert(bool $holds, string $message): void
    {
        if (!$holds) {
            throw new \InvalidArgumentException($message);
        }
    }
}
