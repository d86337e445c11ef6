<?php

declare(strict_types=1);

namespace PostHog;

/**
 * How much an exception may still have: the bounds of phc_exception in phc.h, so that it is never too large to be sent.
 *
 * @internal
 */
final class ExceptionBudget
{
    /** The most exceptions of a chain. */
    public const MAX_ITEMS = 50;

    /** The most frames of one exception. */
    public const MAX_FRAMES = 64;

    /** The most bytes of one text. */
    public const MAX_TEXT = 16 << 10;

    /** What a frame counts beside its own text. */
    private const FRAME_REST = 128;

    /** The bytes that all texts and frames may still have. */
    private int $left = 512 << 10;

    /** Returns as much of a text as fits, and counts it as it is written. */
    public function text(string $text): string
    {
        $text = self::cut(self::valid($text), self::MAX_TEXT);
        while ($text !== '' && ($over = self::size($text) - $this->left) > 0) {
            // A character takes at most six bytes when it is written.
            $text = self::cut($text, (int) max(0, strlen($text) - max(1, floor($over / 6))));
        }
        $this->left -= self::size($text);
        return $text;
    }

    /**
     * Whether a frame fits. It is counted then.
     *
     * @param array<string, mixed> $frame
     */
    public function frame(array $frame): bool
    {
        $size = strlen(Json::encode($frame)) + self::FRAME_REST;
        if ($size > $this->left) {
            return false;
        }
        $this->left -= $size;
        return true;
    }

    /** At most so many bytes of a text of UTF-8, without half a character at its end. */
    public static function cut(string $text, int $bytes): string
    {
        if (strlen($text) <= $bytes) {
            return $text;
        }
        while ($bytes > 0 && (ord($text[$bytes]) & 0xC0) === 0x80) {
            $bytes--;
        }
        return substr($text, 0, $bytes);
    }

    /** A text with U+FFFD for bytes that are not UTF-8. */
    public static function valid(string $text): string
    {
        $text = substr($text, 0, self::MAX_TEXT + 4);
        return preg_match('//u', $text) === 1
            ? $text
            : (string) json_decode((string) json_encode($text, JSON_INVALID_UTF8_SUBSTITUTE));
    }

    private static function size(string $text): int
    {
        return strlen((string) json_encode($text, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE)) - 2;
    }
}
