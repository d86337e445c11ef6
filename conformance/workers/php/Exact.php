<?php

declare(strict_types=1);

/**
 * Reads JSON as PHP values, if they express the same: PHP rounds numbers and merges duplicate
 * keys.
 */
final class Exact
{
    private const TOKEN = '/"(?:[^"\\\\]|\\\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}\[\]:,]/';

    /** @throws Unsupported */
    public static function values(string $json): mixed
    {
        $values = json_decode($json, false, 512);
        if ($values === null && trim($json) !== 'null') {
            throw new Unsupported('PHP cannot read this JSON');
        }
        $again = json_encode($values, JSON_PRESERVE_ZERO_FRACTION | JSON_PARTIAL_OUTPUT_ON_ERROR);
        if (self::tokens($json) !== self::tokens($again)) {
            throw new Unsupported('PHP would change a number, or an object has a key twice');
        }
        return $values;
    }

    /** @return list<string> text by its meaning, numbers by their digits */
    private static function tokens(string $json): array
    {
        preg_match_all(self::TOKEN, $json, $found);
        return array_map(
            static fn (string $token): string => $token[0] === '"' ? '"' . json_decode($token) : $token,
            $found[0],
        );
    }
}

/** A call that this package does not have, or an argument that PHP cannot express. */
final class Unsupported extends RuntimeException
{
}
