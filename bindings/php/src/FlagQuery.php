<?php

declare(strict_types=1);

namespace PostHog;

/**
 * For whom feature flags are evaluated and what is known of them: texts as libphc takes them, and properties, which
 * Handle writes as JSON.
 *
 * Nothing in it throws. A group without a usable key is left out.
 *
 * @internal
 */
final class FlagQuery
{
    /** @var list<array{string, string, array<mixed>}> the type and key of each group, and its properties */
    public readonly array $groups;

    /** @var list<string> of the flags that are wanted; none means all */
    public readonly array $keys;

    public readonly string $distinctId;

    /** @var array<int, int> */
    public array $options = [Declarations::FLAGS_NO_EVENTS => 1];

    /**
     * @param array<mixed> $groups
     * @param array<mixed> $person its properties
     * @param array<mixed> $groupProperties
     * @param array<mixed> $keys
     * @param int $timeoutMs how long the server may be waited for; with 0 it is not asked
     */
    public function __construct(
        string $distinctId,
        array $groups,
        public readonly array $person,
        array $groupProperties,
        array $keys,
        public readonly int $timeoutMs,
    ) {
        $this->distinctId = self::text($distinctId);
        $usable = [];
        foreach ($groups as $type => $group) {
            $key = Message::id($group);
            if ($key !== null) {
                $properties = $groupProperties[$type] ?? null;
                $usable[] = [self::text((string) $type), self::text($key), is_array($properties) ? $properties : []];
            }
        }
        $this->groups = $usable;
        $texts = [];
        foreach ($keys as $key) {
            if (is_scalar($key)) {
                $texts[] = self::text((string) $key);
            }
        }
        $this->keys = $texts;
    }

    /** Text ends at a NUL byte in C, and would then be another person's id. */
    public static function text(string $text): string
    {
        return str_contains($text, "\0") ? strtr($text, ["\0" => "\u{FFFD}"]) : $text;
    }
}
