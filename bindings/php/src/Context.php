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
    public const NONE = ['distinctId' => null, 'sessionId' => null, 'properties' => []];

    /** The longest id in bytes. With a longer one the server drops the event. */
    public const MAX_ID = 200;

    /** Unicode's White_Space. */
    private const SPACE = '[\p{Z}\t-\r\x{85}]';

    /** @var \WeakMap<object, array<string, mixed>|null> by fiber; outside of fibers the key is $this */
    private \WeakMap $current;

    /** @var \WeakMap<\Throwable, array<string, mixed>> the context that an exception has left, the innermost */
    private \WeakMap $left;

    public function __construct()
    {
        $this->current = new \WeakMap();
        $this->left = new \WeakMap();
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
        } catch (\Throwable $error) {
            $this->left[$error] ??= $this->current[$scope];
            throw $error;
        } finally {
            $this->current[$scope] = $around;
        }
    }

    /** Calls a function in the context that an exception has left: a handler gets it when that has ended. */
    public function after(\Throwable $error, callable $run): mixed
    {
        $left = $this->left[$error] ?? null;
        return $left === null ? $run() : $this->with($left, $run, true);
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
            $found[$name] = $value;
        }
        $session = self::first($found['x-posthog-session-id'] ?? null);
        return [
            'distinctId' => self::first($found['x-posthog-distinct-id'] ?? null),
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
        $session = self::usable(Message::id($data['sessionId'] ?? $data['session_id'] ?? null));
        $properties = $session === null ? [] : ['$session_id' => $session];
        $given = $data['properties'] ?? [];
        return [
            'distinctId' => self::usable(Message::idOf($data)) ?? $around['distinctId'],
            'sessionId' => $session ?? $around['sessionId'],
            'properties' => (is_array($given) ? $given : []) + $properties + $around['properties'],
        ];
    }

    /** The first of the values of a header that can be an id. */
    private static function first(mixed $values): ?string
    {
        foreach (is_array($values) ? $values : [$values] as $value) {
            $id = self::clean($value);
            if ($id !== null) {
                return $id;
            }
        }
        return null;
    }

    /**
     * A client can send any bytes in a header. Each value that cannot be an id is as if it were not there: one that is
     * cut off would be the id of somebody else.
     */
    private static function clean(mixed $value): ?string
    {
        return is_string($value) ? self::usable(preg_replace('/\p{Cc}++/u', '', $value)) : null;
    }

    /** An id without white space around it, which the server does not keep; null for what is not UTF-8. */
    private static function usable(?string $id): ?string
    {
        $id = (string) preg_replace('/^' . self::SPACE . '++|(?<!' . self::SPACE . ')' . self::SPACE . '++$/Du', '', $id ?? '');
        return $id !== '' && strlen($id) <= self::MAX_ID ? $id : null;
    }
}
