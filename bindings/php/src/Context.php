<?php

declare(strict_types=1);

namespace PostHog;

/**
 * What withContext adds to the captures inside it: an id, a session and properties. Each fiber
 * has one of its own.
 *
 * @internal
 */
final class Context
{
    private const NONE = ['distinctId' => null, 'sessionId' => null, 'properties' => []];
    private const MAX_HEADER = 1000;

    /** @var \WeakMap<object, array<string, mixed>|null> by fiber; outside of fibers the key is $this */
    private \WeakMap $current;

    public function __construct()
    {
        $this->current = new \WeakMap();
    }

    /** @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}|null */
    public function current(): ?array
    {
        return $this->current[\Fiber::getCurrent() ?? $this] ?? null;
    }

    /** @param array<string, mixed> $data */
    public function with(array $data, callable $run, bool $fresh): mixed
    {
        if (Host::missing() !== null) {
            return $run();
        }
        $scope = \Fiber::getCurrent() ?? $this;
        $around = $this->current[$scope] ?? null;
        $this->current[$scope] = self::join($fresh ? self::NONE : $around ?? self::NONE, $data);
        try {
            return $run();
        } finally {
            $this->current[$scope] = $around;
        }
    }

    /**
     * @param array<string, mixed> $headers of a request, or $_SERVER
     * @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}
     */
    public static function fromHeaders(array $headers): array
    {
        if (Host::missing() !== null) {
            return self::NONE;
        }
        $found = [];
        foreach ($headers as $name => $value) {
            $name = preg_replace('/^http-/', '', strtolower(strtr((string) $name, '_', '-')));
            $found[$name] = is_array($value) ? reset($value) : $value;
        }
        $session = self::clean($found['x-posthog-session-id'] ?? null);
        return [
            'distinctId' => self::clean($found['x-posthog-distinct-id'] ?? null),
            'sessionId' => $session,
            'properties' => $session === null ? [] : ['$session_id' => $session],
        ];
    }

    /**
     * @param array<string, mixed> $around
     * @param array<string, mixed> $data
     * @return array<string, mixed>
     */
    private static function join(array $around, array $data): array
    {
        $text = static fn (mixed $value): ?string
            => (is_string($value) || is_int($value)) && $value !== '' ? (string) $value : null;
        $session = $text($data['sessionId'] ?? $data['session_id'] ?? null);
        $properties = $session === null ? [] : ['$session_id' => $session];
        $id = $text($data['distinctId'] ?? $data['distinct_id'] ?? null);
        return [
            'distinctId' => $id ?? $around['distinctId'],
            'sessionId' => $session ?? $around['sessionId'],
            'properties' => (array) ($data['properties'] ?? []) + $properties + $around['properties'],
        ];
    }

    /** A client can send any bytes in a header. */
    private static function clean(mixed $value): ?string
    {
        $text = is_string($value) ? trim((string) preg_replace('/[\x00-\x1F\x7F]/', '', $value)) : '';
        return $text === '' ? null : substr($text, 0, self::MAX_HEADER);
    }
}
