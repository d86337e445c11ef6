<?php

declare(strict_types=1);

namespace PostHog;

// Named here, PHP makes instructions of them, not calls.
use function count;
use function is_array;
use function is_bool;
use function is_float;
use function is_int;
use function is_object;
use function is_scalar;
use function is_string;

/**
 * Writes PHP values as JSON. A value that JSON cannot express never costs the event.
 *
 * NaN and infinities, resources, closures, objects that throw and cycles become null; bytes that
 * are not UTF-8 become U+FFFD. Whole numbers are exact, floats are the shortest text that reads
 * back the same, dates are RFC 3339 with milliseconds, enums are their value or their name. Other
 * objects are what json_encode writes.
 *
 * @internal
 */
final class Json
{
    private const FLAGS = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_PRESERVE_ZERO_FRACTION;

    /** A value that is nested deeper becomes null: libphc would refuse the event. */
    private const MAX_DEPTH = 98;

    /** The most values of one event. Further ones become null, so that a graph of objects ends. */
    private const MAX_VALUES = 100_000;

    /** @var array<int, true> objects that are being written, by id */
    private array $open = [];

    private int $values = 0;

    /** @param array<int|string, mixed> $value */
    public static function encode(array $value): string
    {
        try {
            $isShortest = ini_get('serialize_precision') === '-1';
        } catch (\Error) {
            $isShortest = false;
        }
        // Most events have nothing that json_encode cannot write. To look is cheaper than to make a copy.
        if ($isShortest && self::scalars($value, 0, 0) <= self::MAX_VALUES) {
            $text = json_encode($value, self::FLAGS);
            if ($text !== false) {
                return $text;
            }
        }
        $plain = (new self())->members($value, 0);
        return $isShortest ? self::text($plain) : self::exactly($plain);
    }

    /**
     * The number of values in arrays of arrays and scalars, which json_encode writes as members() would leave them, or
     * fails for; more than MAX_VALUES if there is anything else.
     *
     * @param array<int|string, mixed> $values
     */
    private static function scalars(array $values, int $depth, int $seen): int
    {
        $seen += count($values);
        if ($depth > self::MAX_DEPTH) {
            return PHP_INT_MAX;
        }
        foreach ($values as $value) {
            if (is_array($value)) {
                $seen = self::scalars($value, $depth + 1, $seen);
                if ($seen > self::MAX_VALUES) {
                    return $seen;
                }
            } elseif (!is_scalar($value) && $value !== null) {
                return PHP_INT_MAX;
            }
        }
        return $seen;
    }

    /** With the shortest text of each float, whatever php.ini says. */
    private static function exactly(mixed $plain): string
    {
        try {
            $before = ini_set('serialize_precision', '-1');
        } catch (\Error) {
            $before = false;
        }
        if ($before === false) {
            if (json_encode([0.1, 1 / 3]) !== '[0.1,0.3333333333333333]') {
                Host::logOnce(' floats have the digits that serialize_precision in php.ini gives them: the '
                    . 'host does not let it be changed');
            }
            return self::text($plain);
        }
        try {
            return self::text($plain);
        } finally {
            ini_set('serialize_precision', $before);
        }
    }

    private static function text(mixed $plain): string
    {
        $text = json_encode($plain, self::FLAGS);
        if ($text === false) {
            $flags = self::FLAGS | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR;
            $text = json_encode(self::repaired($plain), $flags);
        }
        return (string) $text;
    }

    /** With U+FFFD in the keys. Two keys may then be the same: the last one is kept. */
    private static function repaired(mixed $plain): mixed
    {
        if (!is_array($plain) && !is_object($plain)) {
            return $plain;
        }
        $repaired = [];
        foreach ((array) $plain as $key => $value) {
            if (is_string($key)) {
                $key = json_decode((string) json_encode($key, JSON_INVALID_UTF8_SUBSTITUTE));
            }
            $repaired[$key] = self::repaired($value);
        }
        return is_array($plain) ? $repaired : (object) $repaired;
    }

    /**
     * Returns a new array, because the caller's may hold references.
     *
     * @param array<int|string, mixed> $values
     * @return array<int|string, mixed>
     */
    private function members(array $values, int $depth): array
    {
        $plain = [];
        foreach ($values as $key => $value) {
            $plain[$key] = is_string($value) || is_int($value) ? $value : $this->value($value, $depth);
        }
        $this->values += count($values);
        return $plain;
    }

    private function value(mixed $value, int $depth): mixed
    {
        return match (true) {
            is_bool($value) => $value,
            is_float($value) => is_finite($value) ? $value : null,
            $depth >= self::MAX_DEPTH, $this->values > self::MAX_VALUES => is_scalar($value) ? $value : null,
            is_array($value) => $this->members($value, $depth + 1),
            is_object($value) => $this->object($value, $depth + 1),
            is_string($value), is_int($value) => $value,
            default => null,
        };
    }

    private function object(object $value, int $depth): mixed
    {
        $id = spl_object_id($value);
        if ($value instanceof \Closure || isset($this->open[$id])) {
            return null;
        }
        $this->open[$id] = true;
        try {
            return match (true) {
                $value instanceof \DateTimeInterface => Timestamp::write($value),
                $value instanceof \JsonSerializable => $this->serialised($value, $depth),
                $value instanceof \BackedEnum => $value->value,
                $value instanceof \UnitEnum => $value->name,
                default => (object) $this->members(self::properties($value), $depth),
            };
        } catch (\Throwable) {
            return null;
        } finally {
            unset($this->open[$id]);
        }
    }

    private function serialised(\JsonSerializable $value, int $depth): mixed
    {
        $plain = $value->jsonSerialize();
        return $plain === $value
            ? (object) $this->members(self::properties($value), $depth)
            : $this->value($plain, $depth);
    }

    /**
     * What json_encode writes of an object: its public properties. Those of some classes of PHP, such as
     * DateTimeZone, are only in its array form; that of an ArrayObject is what it holds.
     *
     * @return array<int|string, mixed>
     */
    private static function properties(object $value): array
    {
        $isArray = $value instanceof \ArrayObject || $value instanceof \ArrayIterator;
        $properties = $isArray ? [] : get_object_vars($value);
        if ($value::class === \stdClass::class) {
            return $properties;
        }
        foreach ((array) $value as $name => $property) {
            // The names of private and protected ones begin with NUL.
            if (!isset($properties[$name]) && (is_int($name) || $name === '' || $name[0] !== "\0")) {
                $properties[$name] = $property;
            }
        }
        return $properties;
    }
}
