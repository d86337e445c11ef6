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

    /** RFC 3339, which libphc reads itself: it refuses a day and an hour that do not exist. */
    private const RFC3339 = '/^\s*\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\s*$/D';

    /** The largest number of seconds that is read; it is beyond the year 9999. */
    private const MAX_SECONDS = 1e12;

    /**
     * Returns RFC 3339 text in UTC for a number of seconds, a date object, or any text that PHP reads as a
     * date; null for an empty text. Anything else is returned as it is, and libphc refuses it.
     */
    public static function read(mixed $value): mixed
    {
        return match (true) {
            $value === '' => null,
            is_int($value) => gmdate(self::SECONDS . '\Z', $value),
            is_float($value) => self::seconds($value),
            is_string($value) => self::text($value),
            $value instanceof \DateTimeInterface => self::object($value),
            default => $value,
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

    private static function seconds(float $value): string
    {
        if (!is_finite($value) || $value > self::MAX_SECONDS || $value < -self::MAX_SECONDS) {
            return (string) $value;
        }
        // Microseconds first: 0.29 is a little less than 0.29.
        $milliseconds = (int) floor(round($value * 1e6) / 1000);
        $seconds = (int) floor($milliseconds / 1000);
        return gmdate(self::SECONDS, $seconds) . sprintf('.%03dZ', $milliseconds - $seconds * 1000);
    }

    /** Digits are seconds, as in posthog-php; other text is what DateTimeImmutable reads in it. */
    private static function text(string $value): string
    {
        if (preg_match('/^-?\d+$/', $value)) {
            return gmdate(self::SECONDS . '\Z', (int) $value);
        }
        if (is_numeric($value)) {
            return self::seconds((float) $value);
        }
        if (preg_match(self::RFC3339, $value)) {
            return $value;
        }
        try {
            return self::utc(new \DateTimeImmutable($value));
        } catch (\Throwable) {
            return $value;
        }
    }

    /** An object of a subclass may be incomplete, or throw. */
    private static function object(\DateTimeInterface $value): string
    {
        try {
            return self::utc($value);
        } catch (\Throwable) {
            return 'an incomplete ' . $value::class;
        }
    }
}
