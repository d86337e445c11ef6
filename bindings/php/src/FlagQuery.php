<?php

declare(strict_types=1);

namespace PostHog;

/**
 * For whom feature flags are evaluated and what is known of them, as libphc takes it: texts and JSON.
 *
 * Nothing in it throws. A value that JSON cannot express is written as in an event; a group without a usable key is left
 * out.
 *
 * @internal
 */
final class FlagQuery
{
    /** One JSON object. */
    public readonly string $person;

    /** @var list<array{string, string, string}> the type and key of each group, and its properties as JSON */
    public readonly array $groups;

    /** @var list<string> of the flags that are wanted; none means all */
    public readonly array $keys;

    public readonly string $distinctId;

    /** @var array<int, int> */
    public array $options = [Declarations::FLAGS_NO_EVENTS => 1];

    /**
     * @param array<mixed> $groups
     * @param array<mixed> $personProperties
     * @param array<mixed> $groupProperties
     * @param array<mixed> $keys
     * @param int $timeoutMs how long the server may be waited for; with 0 it is not asked
     */
    public function __construct(
        string $distinctId,
        array $groups,
        array $personProperties,
        array $groupProperties,
        array $keys,
        public readonly int $timeoutMs,
    ) {
        $this->distinctId = self::text($distinctId);
        $this->person = self::object($personProperties);
        $usable = [];
        foreach ($groups as $type => $group) {
            $key = Message::id($group);
            if ($key !== null) {
                $properties = $groupProperties[$type] ?? null;
                $properties = self::object(is_array($properties) ? $properties : []);
                $usable[] = [self::text((string) $type), self::text($key), $properties];
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
        return strtr($text, ["\0" => "\u{FFFD}"]);
    }

    /** @param array<mixed> $members */
    private static function object(array $members): string
    {
        return array_is_list($members) ? '{}' : Json::encode($members);
    }
}
