<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The default client, as in posthog-php.
 *
 * The methods in NotSupported::METHODS throw NotSupported.
 */
class PostHog
{
    public const VERSION = '0.1.0';
    public const ENV_API_KEY = 'POSTHOG_API_KEY';
    public const ENV_HOST = 'POSTHOG_HOST';

    private static ?Client $client = null;

    /**
     * Makes the default client. It is found again in the next request of this
     * worker, with what it has still to send; call this in each.
     *
     * @param string|null $apiKey your project key; POSTHOG_API_KEY of the environment when null
     * @param array<string, mixed>|null $options see Client; host is POSTHOG_HOST when not given
     * @param Client|null $client a client that is made already; the others are then not used
     * @param string|null $personalAPIKey of feature flags: not used
     * @throws \InvalidArgumentException for an option or a setting that is not accepted
     */
    public static function init(
        ?string $apiKey = null,
        ?array $options = [],
        ?Client $client = null,
        ?string $personalAPIKey = null,
    ): void {
        if ($client === null) {
            $options ??= [];
            $apiKey ??= getenv(self::ENV_API_KEY) ?: null;
            $options['host'] ??= getenv(self::ENV_HOST) ?: null;
        }
        self::$client = $client ?? new Client($apiKey, $options);
    }

    /**
     * Captures a user action; see Client::capture.
     *
     * @param array<string, mixed> $message
     * @return bool whether the event was taken
     * @throws \InvalidArgumentException without an event
     */
    public static function capture(array $message): bool
    {
        $client = self::getClient();
        self::assert(!empty($message['event']), 'PostHog::capture() expects an event');
        return $client->capture($message);
    }

    /**
     * Sets properties of a person; see Client::identify.
     *
     * @param array<string, mixed> $message
     * @return bool whether it was taken
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
     * @return bool whether it was taken
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
     * @return bool whether it was taken
     * @throws \InvalidArgumentException without a distinctId or an alias
     */
    public static function alias(array $message): bool
    {
        $client = self::getClient();
        self::validate($message, 'alias');
        return $client->alias($message);
    }

    /**
     * Captures a prepared event; see Client::raw.
     *
     * @param array<string, mixed>|string $message
     * @return bool whether it was taken
     */
    public static function raw(array|string $message): bool
    {
        return self::getClient()->raw($message);
    }

    /**
     * Waits until what was captured before is delivered or lost; see Client::flush.
     *
     * @return bool whether all of it was delivered
     */
    public static function flush(?int $timeoutMs = null): bool
    {
        return self::getClient()->flush($timeoutMs);
    }

    /**
     * Ends the process's client; see Client::shutdown.
     *
     * @return bool whether nothing was lost since the last flush
     */
    public static function shutdown(?int $timeoutMs = null): bool
    {
        return self::getClient()->shutdown($timeoutMs);
    }

    /**
     * Runs a callback in whose captures these are added; see Client::withContext.
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

    /** @throws \LogicException before init */
    public static function getClient(): Client
    {
        return self::$client
            ?? throw new \LogicException('PostHog::init() must be called before any other capturing method.');
    }

    /**
     * @internal
     * @param array<string, mixed> $msg
     */
    public static function validate($msg, $type): void
    {
        $id = !empty($msg['distinctId']) || !empty($msg['distinct_id']);
        self::assert($id, "PostHog::{$type}() requires distinctId");
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
