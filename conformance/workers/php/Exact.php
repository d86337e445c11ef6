<?php

declare(strict_types=1);

/**
 * JSON as PHP values, when they say the same: PHP rounds numbers and knows a
 * key of an object once only.
 */
final class Exact
{
    private const TOKEN = '/"(?:[^"\\\\]|\\\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}\[\]:,]/';

    /** @throws Inexpressible */
    public static function values(string $json): mixed
    {
        $values = json_decode($json, false, 512);
        if ($values === null && trim($json) !== 'null') {
            throw new Inexpressible('PHP reads no such JSON');
        }
        $again = json_encode($values, JSON_PRESERVE_ZERO_FRACTION | JSON_PARTIAL_OUTPUT_ON_ERROR);
        if (self::tokens($json) !== self::tokens($again)) {
            throw new Inexpressible('a number that PHP would round or write in another way, or a key twice');
        }
        return $values;
    }

    /** @return list<string> text by what it means, numbers by how they are written */
    private static function tokens(string $json): array
    {
        preg_match_all(self::TOKEN, $json, $found);
        return array_map(
            static fn (string $token): string => $token[0] === '"' ? '"' . json_decode($token) : $token,
            $found[0],
        );
    }
}

/** What the language cannot say. */
final class Inexpressible extends RuntimeException
{
}
