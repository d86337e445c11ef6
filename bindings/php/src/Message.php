<?php

declare(strict_types=1);

namespace PostHog;

// Named here, PHP makes instructions of them, not calls.
use function array_is_list;
use function is_array;
use function is_float;
use function is_int;
use function is_object;
use function is_string;

/**
 * Turns messages of posthog-php into events of libphc: the names of members, the forms of
 * identify, alias and group identify.
 *
 * Nothing in a message but its name and its id can cost the event: what cannot be used is left out, with a remark.
 *
 * @internal
 */
final class Message
{
    /** Members of a message, and the name of each in an event. */
    private const MEMBERS = [
        'event' => 'event',
        'distinctId' => 'distinct_id',
        'distinct_id' => 'distinct_id',
        'properties' => 'properties',
        'timestamp' => 'timestamp',
        'uuid' => 'uuid',
        '$set' => '$set',
        '$set_once' => '$set_once',
        '$unset' => '$unset',
        'groups' => 'groups',
        '$groups' => 'groups',
        'options' => 'options',
        'session_id' => 'session_id',
        'window_id' => 'window_id',
    ];

    /** Members that posthog-php adds. A message for raw() may have them. */
    private const IGNORED = [
        'type' => true, 'library' => true, 'library_version' => true, 'library_consumer' => true,
        'send_feature_flags' => true, 'sendFeatureFlags' => true, 'flags' => true,
    ];

    /** Members that are objects. PHP cannot distinguish an empty one from an empty list. */
    private const OBJECTS = [
        'properties' => true, '$set' => true, '$set_once' => true, 'groups' => true, 'options' => true,
    ];

    /** Properties that are objects. */
    private const OBJECT_PROPERTIES = ['$set', '$set_once', '$groups', '$group_set'];

    /**
     * @param array<int|string, mixed> $message
     * @return array{array<string, mixed>, list<array{string, string}>} the event, and remarks: a status and a text
     */
    public static function event(array $message): array
    {
        $event = $remarks = [];
        $unknown = '';
        if (isset($message['distinctId'], $message['distinct_id'])) {
            unset($message[self::id($message['distinctId']) === null ? 'distinctId' : 'distinct_id']);
        }
        if (isset($message['groups'], $message['$groups'])) {
            unset($message['groups']);
        }
        foreach ($message as $key => $value) {
            $name = self::MEMBERS[$key] ?? null;
            if ($value === null) {
                continue;
            }
            if ($name === null) {
                if (!isset(self::IGNORED[$key])) {
                    $unknown .= ", '$key'";
                }
                continue;
            }
            if (isset(self::OBJECTS[$name]) && !is_array($value)) {
                $value = self::object($value);
                if ($value === null) {
                    $remarks[] = ['invalid_property', "an event is sent without its '$key', which is not an array"];
                    continue;
                }
            }
            $event[$name] = $value;
        }
        if ($unknown !== '') {
            $remarks[] = ['unknown_member', 'an event is sent without unknown members: ' . substr($unknown, 2)];
        }
        return [$event, $remarks];
    }

    /** What JSON shows of an object, as a new object; null for anything else. */
    private static function object(mixed $value): ?\stdClass
    {
        if ($value instanceof \stdClass) {
            return $value;
        }
        $plain = is_object($value) ? json_decode(Json::encode(['v' => $value]))->v ?? null : null;
        return $plain instanceof \stdClass ? $plain : null;
    }

    /**
     * Writes an event as JSON for libphc.
     *
     * @param array<string, mixed> $event
     * @param list<array{string, string}> $remarks more are added
     */
    public static function encode(array $event, array &$remarks): string
    {
        $id = $event['distinct_id'] ?? null;
        if ($id !== null && !is_string($id)) {
            $event['distinct_id'] = self::id($id) ?? $id;
        }
        if (isset($event['event']) && !is_string($event['event'])) {
            $event['event'] = self::id($event['event']) ?? $event['event'];
        }
        if (isset($event['timestamp']) && !Timestamp::set($event)) {
            $remarks[] = Timestamp::REMARK;
        }
        if (isset($event['uuid']) && self::isEverybodys($event['uuid'])) {
            unset($event['uuid']);
        }
        foreach ($event as $name => $value) {
            if (is_array($value) && isset(self::OBJECTS[$name]) && array_is_list($value)) {
                $event[$name] = (object) $value;
            }
        }
        if (isset($event['properties']) && is_array($event['properties'])) {
            foreach (self::OBJECT_PROPERTIES as $name) {
                if (isset($event['properties'][$name]) && $event['properties'][$name] === []) {
                    $event['properties'][$name] = new \stdClass();
                }
            }
        }
        return Json::encode($event);
    }

    /**
     * Whether it is the nil or the largest UUID. They are those of many events, of which the server would keep one.
     * What is not a UUID libphc replaces itself.
     */
    private static function isEverybodys(mixed $value): bool
    {
        return is_string($value) && $value !== '' && (trim($value, '0-{} ') === '' || trim($value, 'fF-{} ') === '');
    }

    /** The text of an id or a name: text, a number, or an object that is text. Null for anything else. */
    public static function id(mixed $value): ?string
    {
        if (is_string($value)) {
            return $value === '' ? null : $value;
        }
        if (is_int($value)) {
            return (string) $value;
        }
        if (is_float($value)) {
            $text = Json::encode([$value]);
            return $text === '[null]' ? null : preg_replace('/\.0$/', '', trim($text, '[]'));
        }
        try {
            return $value instanceof \Stringable && (string) $value !== '' ? (string) $value : null;
        } catch (\Throwable) {
            return null;
        }
    }

    /**
     * @param array<int|string, mixed> $message
     * @return array<int|string, mixed>
     */
    public static function identify(array $message): array
    {
        // array_merge would renumber keys such as '2024'.
        $message['$set'] = self::members($message['properties'] ?? []) + self::members($message['$set'] ?? []);
        unset($message['properties']);
        return ['event' => '$identify'] + $message;
    }

    /** @return array<int|string, mixed> */
    private static function members(mixed $value): array
    {
        return is_array($value) ? $value : (array) self::object($value);
    }

    /**
     * @param array<int|string, mixed> $message
     * @param string $alias its text
     * @return array<int|string, mixed>
     */
    public static function alias(array $message, string $alias): array
    {
        unset($message['alias']);
        $message['properties'] = ['alias' => $alias] + self::members($message['properties'] ?? []);
        return ['event' => '$create_alias'] + $message;
    }

    /** An alias is the distinct id of other events, around which there is never white space. */
    public static function trimmed(string $alias): string
    {
        return preg_replace('/^[\s\p{Z}\x{85}]+|[\s\p{Z}\x{85}]+$/uD', '', $alias) ?? $alias;
    }

    /**
     * @param array<int|string, mixed> $message
     * @return array<int|string, mixed>
     */
    public static function groupIdentify(array $message): array
    {
        $type = $message['groupType'] ?? null;
        $key = $message['groupKey'] ?? null;
        $set = self::members($message['properties'] ?? []);
        $properties = ['$group_type' => $type, '$group_key' => $key, '$group_set' => $set];
        unset($message['groupType'], $message['groupKey'], $message['properties']);
        if (self::idOf($message) === null) {
            unset($message['distinct_id']);
            $message['distinctId'] = '$' . self::id($type) . '_' . self::id($key);
        }
        return ['event' => '$groupidentify', 'properties' => $properties] + $message;
    }

    /**
     * Adds properties to an event. Its own ones have precedence.
     *
     * @param array<int|string, mixed> $event
     * @param array<string, mixed> $properties
     * @return array<int|string, mixed>
     */
    public static function with(array $event, array $properties): array
    {
        if ($properties !== []) {
            $given = $event['properties'] ?? [];
            $event['properties'] = (is_array($given) ? $given : (array) $given) + $properties;
        }
        return $event;
    }

    /**
     * The id of a message, by either name.
     *
     * @param array<int|string, mixed> $message
     */
    public static function idOf(array $message): ?string
    {
        return self::id($message['distinctId'] ?? null) ?? self::id($message['distinct_id'] ?? null);
    }

    /**
     * Whether a message has something as its id. It may not be one: that is a mistake in the data.
     *
     * @param array<int|string, mixed> $message
     */
    public static function hasId(array $message): bool
    {
        foreach (['distinctId', 'distinct_id'] as $name) {
            $value = $message[$name] ?? false;
            if ($value !== '' && $value !== false && $value !== []) {
                return true;
            }
        }
        return false;
    }
}
