<?php

declare(strict_types=1);

namespace PostHog;

/**
 * Writes PHP values as JSON. A value that JSON cannot express never costs the event.
 *
 * NaN and infinities, resources, closures, objects that throw and cycles become null; bytes that
 * are not UTF-8 become U+FFFD. Whole numbers are exact, floats are the shortest text that reads
 * back the same, dates are RFC 3339 with milliseconds, enums are their value.
 *
 * @internal
 */
final class Json
{
    private const FLAGS = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_PRESERVE_ZERO_FRACTION | JSON_INVALID_UTF8_SUBSTITUTE;

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
        $plain = (new self())->members($value, 0);
        $precision = ini_get('serialize_precision');
        if ($precision === '-1') {
            return self::text($plain);
        }
        ini_set('serialize_precision', '-1');
        try {
            return self::text($plain);
        } finally {
            ini_set('serialize_precision', $precision);
        }
    }

    private static function text(mixed $plain): string
    {
        $text = json_encode($plain, self::FLAGS);
        if ($text === false) {
            $text = json_encode($plain, self::FLAGS | JSON_PARTIAL_OUTPUT_ON_ERROR);
        }
        return (string) $text;
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
        if ($value instanceof \DateTimeInterface) {
            return $value->format('Y-m-d\TH:i:s.vP');
        }
        if ($value instanceof \UnitEnum) {
            return $value instanceof \BackedEnum ? $value->value : $value->name;
        }
        $id = spl_object_id($value);
        if ($value instanceof \Closure || isset($this->open[$id])) {
            return null;
        }
        $this->open[$id] = true;
        try {
            return $value instanceof \JsonSerializable
                ? $this->value($value->jsonSerialize(), $depth)
                : (object) $this->members(get_object_vars($value), $depth);
        } catch (\Throwable) {
            return null;
        } finally {
            unset($this->open[$id]);
        }
    }
}
