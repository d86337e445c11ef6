<?php

declare(strict_types=1);

namespace PostHog;

/**
 * Reads the timestamps of messages, and writes dates as RFC 3339 text with milliseconds.
 *
 * @internal
 */
final class Timestamp
{
    private const SECONDS = 'Y-m-d\TH:i:s';

    /** RFC 3339 that every reader reads alike: libphc reads it. What other text means, PHP's own parser says. */
    private const RFC3339 = '/^(?!0000|9999)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])[Tt ]'
        . '(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/D';

    /** The first and the last second of the years that there are on the wire. */
    private const FIRST = -62_167_219_200;
    private const LAST = 253_402_300_799;

    /** A status and a text for any other timestamp. */
    public const REMARK = [
        'invalid_timestamp',
        'an event is sent with the current time: its timestamp is neither a date of the years 0 to 9999 nor seconds '
            . 'since 1970 (divide milliseconds by 1000)',
    ];

    /**
     * Makes RFC 3339 text of the timestamp of an event: of a number of seconds, a date object, or any text that PHP
     * reads as a date. Takes any other one out, so that it becomes the time of the capture.
     *
     * @param array<string, mixed> $event
     * @return bool whether it could be read; an empty one is like none
     */
    public static function set(array &$event): bool
    {
        $value = $event['timestamp'];
        $text = self::read($value);
        if ($text === null) {
            unset($event['timestamp']);
            return $value === '';
        }
        $event['timestamp'] = $text;
        return true;
    }

    /** RFC 3339 text in UTC; null for what cannot be read. */
    public static function read(mixed $value): ?string
    {
        return match (true) {
            is_int($value) => self::seconds($value),
            is_float($value) => self::seconds($value),
            is_string($value) => self::text($value),
            $value instanceof \DateTimeInterface => self::object($value),
            default => null,
        };
    }

    /** A date in its own offset, if that has whole minutes and is less than a day; else in UTC. */
    public static function write(\DateTimeInterface $date): string
    {
        $offset = $date->getOffset();
        $isExact = $offset % 60 === 0 && $offset > -86_400 && $offset < 86_400;
        return $isExact ? $date->format(self::SECONDS . '.vP') : self::utc($date);
    }

    private static function utc(\DateTimeInterface $date): string
    {
        return gmdate(self::SECONDS, $date->getTimestamp()) . $date->format('.v\Z');
    }

    private static function seconds(int|float $value): ?string
    {
        if ($value < self::FIRST || $value > self::LAST + 0.9999 || !is_finite($value)) {
            return null;
        }
        if (is_int($value)) {
            return gmdate(self::SECONDS . '\Z', $value);
        }
        // Microseconds first: 0.29 is a little less than 0.29.
        $milliseconds = (int) floor(round($value * 1e6) / 1000);
        $seconds = (int) floor($milliseconds / 1000);
        return gmdate(self::SECONDS, $seconds) . sprintf('.%03dZ', $milliseconds - $seconds * 1000);
    }

    /** Digits are seconds, as in posthog-php; other text is what DateTimeImmutable reads in it. */
    private static function text(string $value): ?string
    {
        $value = trim($value);
        if (preg_match(self::RFC3339, $value)) {
            return $value;
        }
        if (preg_match('/^[+-]?\d{1,15}$/D', $value)) {
            return self::seconds((int) $value);
        }
        if (is_numeric($value)) {
            return self::seconds((float) $value);
        }
        try {
            return $value === '' ? null : self::object(new \DateTimeImmutable($value));
        } catch (\Throwable) {
            return null;
        }
    }

    /** An object of a subclass may be incomplete, or throw. */
    private static function object(\DateTimeInterface $value): ?string
    {
        try {
            $seconds = $value->getTimestamp();
            return $seconds < self::FIRST || $seconds > self::LAST ? null : self::utc($value);
        } catch (\Throwable) {
            return null;
        }
    }
}
