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

    /** The longest id in bytes. With a longer one the server drops the event. */
    private const MAX_HEADER = 200;

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
        $session = Message::id($data['sessionId'] ?? $data['session_id'] ?? null);
        $properties = $session === null ? [] : ['$session_id' => $session];
        $given = $data['properties'] ?? [];
        return [
            'distinctId' => Message::idOf($data) ?? $around['distinctId'],
            'sessionId' => $session ?? $around['sessionId'],
            'properties' => (is_array($given) ? $given : []) + $properties + $around['properties'],
        ];
    }

    /**
     * A client can send any bytes in a header. Each value that cannot be an id is as if it were not there: one that is
     * cut off would be the id of somebody else.
     */
    private static function clean(mixed $value): ?string
    {
        $text = is_string($value) ? trim((string) preg_replace('/[\x00-\x1F\x7F]/', '', trim($value))) : '';
        $isId = $text !== '' && strlen($text) <= self::MAX_HEADER && preg_match('//u', $text) === 1;
        return $isId ? $text : null;
    }
}
