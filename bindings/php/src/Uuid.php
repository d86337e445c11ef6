<?php

declare(strict_types=1);

namespace PostHog;

/** @internal */
final class Uuid
{
    /** A random one, for a person who is not known. */
    public static function v4(): string
    {
        return self::text(random_bytes(16), 0x40);
    }

    /** One that begins with the time, as libphc makes for an event. */
    public static function v7(): string
    {
        $now = (new \DateTimeImmutable())->format('Uv');
        $time = '';
        for ($i = 5; $i >= 0; $i--) {
            $time .= chr((int) $now >> $i * 8 & 0xff);
        }
        return self::text($time . random_bytes(10), 0x70);
    }

    private static function text(string $bytes, int $version): string
    {
        $bytes[6] = chr(ord($bytes[6]) & 0x0f | $version);
        $bytes[8] = chr(ord($bytes[8]) & 0x3f | 0x80);
        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }
}
