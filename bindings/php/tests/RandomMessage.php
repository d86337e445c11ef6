<?php

declare(strict_types=1);

namespace PostHog\Tests;

enum Unusual
{
    case One;
}

/** Random messages of posthog-php, most of them ordinary, by mt_rand(). */
final class RandomMessage
{
    private const TEXTS = [
        '', 'plan', "/\u{e9}\u{2028}\"\\", "\u{1F600}\u{7ff}\u{800}", "\0\n\x1f\x7f", '0', '-1', '007', '1e3', 'null',
    ];
    private const KEYS = [
        '$set', '$set_once', '$groups', '$group_set', '$is_server', 'a', 'b', 'c', '', '0', '5', "\u{e9}", 'a"b', "\0a",
    ];

    /** @return array{array<int|string, mixed>, array<int|string, mixed>} a message, and what is added to it */
    public static function make(): array
    {
        $message = [];
        foreach (self::members() as $name => $value) {
            if (mt_rand(0, 3) === 0 || $name === 'event') {
                $message[$name] = $value();
            }
        }
        // In any order.
        $keys = array_keys($message);
        usort($keys, static fn (): int => mt_rand(-1, 1));
        $shuffled = [];
        foreach ($keys as $key) {
            $shuffled[$key] = $message[$key];
        }
        return [$shuffled, mt_rand(0, 2) === 0 ? [] : self::values(mt_rand(1, 3), 0)];
    }

    /** @return array<string, callable(): mixed> */
    private static function members(): array
    {
        $object = static fn (): mixed => self::rarely(self::value(...), self::object(...));
        return [
            'event' => static fn (): mixed => self::rarely(self::value(...), self::text(...)),
            'distinctId' => static fn (): mixed => self::rarely(self::value(...), self::id(...)),
            'distinct_id' => static fn (): mixed => self::rarely(self::id(...), static fn () => null),
            'properties' => $object,
            '$set' => $object,
            '$set_once' => $object,
            'groups' => $object,
            '$groups' => static fn (): mixed => self::rarely(self::object(...), static fn () => null),
            'options' => $object,
            '$unset' => self::value(...),
            'session_id' => self::value(...),
            'window_id' => self::value(...),
            'timestamp' => static fn (): mixed => self::rarely(self::value(...), self::time(...)),
            'uuid' => static fn (): mixed => self::rarely(self::value(...), self::uuid(...)),
            'type' => static fn (): mixed => self::rarely(self::value(...), static fn () => null),
        ];
    }

    private static function rarely(callable $one, callable $other): mixed
    {
        return mt_rand(0, 15) === 0 ? $one() : $other();
    }

    /** @return array<int|string, mixed> */
    private static function object(): array
    {
        return self::values(mt_rand(0, 6), 0);
    }

    /** @return array<int|string, mixed> */
    private static function values(int $count, int $depth): array
    {
        $values = [];
        $isList = mt_rand(0, 3) === 0;
        for (; $count > 0; $count--) {
            if ($isList) {
                $values[] = self::value($depth);
            } else {
                $values[self::key()] = self::value($depth);
            }
        }
        if ($values !== [] && mt_rand(0, 7) === 0) {
            unset($values[array_rand($values)]);
        }
        if ($values !== [] && mt_rand(0, 7) === 0) {
            $reference = &$values[array_rand($values)];
        }
        return $values;
    }

    private static function key(): int|string
    {
        return match (mt_rand(0, 3)) {
            0 => mt_rand(-3, 20),
            1 => self::text(),
            default => self::KEYS[mt_rand(0, count(self::KEYS) - 1)],
        };
    }

    private static function value(int $depth = 0): mixed
    {
        return match (mt_rand(0, $depth < 5 ? 12 : 9)) {
            0 => null,
            1 => (bool) mt_rand(0, 1),
            2 => mt_rand(-100, 100),
            3 => self::int(),
            4, 5 => self::float(),
            6, 7, 8 => self::text(),
            9 => [],
            10 => self::rarely(self::unusual(...), self::text(...)),
            default => self::values(mt_rand(0, 5), $depth + 1),
        };
    }

    private static function int(): int
    {
        return unpack('q', self::bytes(8))[1] >> mt_rand(0, 63);
    }

    private static function float(): float
    {
        return match (mt_rand(0, 5)) {
            0 => mt_rand() / 7,
            // Decimal numbers, and what is next to one.
            3, 4 => self::int() / 10 ** mt_rand(0, 8) * (mt_rand(0, 3) === 0 ? 1 + PHP_FLOAT_EPSILON : 1),
            1 => (float) mt_rand(-1000, 1000),
            2 => mt_rand(-100, 100) / 10 ** mt_rand(0, 30) * 10 ** mt_rand(0, 30),
            // Of any bits: one in two thousand is not finite.
            default => unpack('d', self::bytes(8))[1],
        };
    }

    private static function text(): string
    {
        return match (mt_rand(0, 40)) {
            0 => self::bytes(mt_rand(1, 4)),
            1 => self::bytes(mt_rand(0, 9)) & str_repeat("\x7f", 9),
            2 => str_repeat(self::TEXTS[mt_rand(0, count(self::TEXTS) - 1)], mt_rand(1, 200)),
            5, 6 => substr_replace(str_repeat('x', mt_rand(0, 20)), self::bytes(1) & "\x7f", mt_rand(0, 20), 1),
            3, 4 => mb_chr(mt_rand(0, 1) ? mt_rand(0, 0xd7ff) : mt_rand(0xe000, 0x10ffff)),
            default => self::TEXTS[mt_rand(0, count(self::TEXTS) - 1)],
        };
    }

    private static function id(): mixed
    {
        return mt_rand(0, 2) === 0 ? self::int() : self::text();
    }

    private static function time(): mixed
    {
        $seconds = mt_rand(-62_167_219_200 >> 8, 253_402_300_799 >> 8) * 256 + mt_rand(0, 255);
        if (mt_rand(0, 1)) {
            return $seconds;
        }
        $text = gmdate('Y-m-d\TH:i:s', $seconds);
        $text .= ['', '.5', '.123456789', '.'][mt_rand(0, 3)] . ['Z', '+02:00', '-23:59', '+24:00', ''][mt_rand(0, 4)];
        if (mt_rand(0, 3) === 0) {
            $text[mt_rand(0, strlen($text) - 1)] = ' TtZz0129:-+.'[mt_rand(0, 12)];
        }
        return $text;
    }

    private static function uuid(): mixed
    {
        $digits = [self::bytes(16), str_repeat("\0", 16), str_repeat("\xff", 16)][mt_rand(0, 2)];
        $text = bin2hex($digits);
        return mt_rand(0, 3) === 0 ? strtoupper($text) : vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split($text, 4));
    }

    private static function unusual(): mixed
    {
        return [NAN, -INF, new \stdClass(), new \ArrayObject([1]), Unusual::One, "\xff", "\u{e9}\xc3"][mt_rand(0, 6)];
    }

    private static function bytes(int $count): string
    {
        $bytes = '';
        for (; $count > 0; $count--) {
            $bytes .= chr(mt_rand(0, 255));
        }
        return $bytes;
    }
}
