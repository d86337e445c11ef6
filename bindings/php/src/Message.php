<?php

declare(strict_types=1);

namespace PostHog;

/**
 * Turns messages of posthog-php into events of libphc: the names of members, the forms of
 * identify, alias and group identify.
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
    private const OBJECTS = ['properties', '$set', '$set_once', 'groups', 'options'];

    /**
     * @param array<int|string, mixed> $message
     * @return array{array<string, mixed>, list<int|string>} the event, and unknown members
     */
    public static function event(array $message): array
    {
        $event = $unknown = [];
        foreach ($message as $key => $value) {
            if ($value === null || isset(self::IGNORED[$key])) {
                continue;
            }
            $name = self::MEMBERS[$key] ?? null;
            if ($name === null) {
                $unknown[] = $key;
            } elseif ($value !== '' || !isset($event[$name])) {
                // Of two spellings of one member, the one that is not empty.
                $event[$name] = $value;
            }
        }
        return [$event, $unknown];
    }

    /** Writes an event as JSON for libphc. */
    public static function encode(array $event): string
    {
        if (is_int($event['distinct_id'] ?? null)) {
            $event['distinct_id'] = (string) $event['distinct_id'];
        }
        if (isset($event['timestamp'])) {
            $event['timestamp'] = Timestamp::read($event['timestamp']);
            if ($event['timestamp'] === null) {
                unset($event['timestamp']);
            }
        }
        foreach (self::OBJECTS as $name) {
            if (($event[$name] ?? null) === []) {
                $event[$name] = new \stdClass();
            }
        }
        foreach (['$set', '$set_once', '$groups', '$group_set'] as $name) {
            if (is_array($event['properties'] ?? null) && ($event['properties'][$name] ?? null) === []) {
                $event['properties'][$name] = new \stdClass();
            }
        }
        return Json::encode($event);
    }

    /**
     * @param array<int|string, mixed> $message
     * @return array<int|string, mixed>
     */
    public static function identify(array $message): array
    {
        // array_merge would renumber keys such as '2024'.
        $message['$set'] = (array) ($message['properties'] ?? []) + (array) ($message['$set'] ?? []);
        unset($message['properties']);
        return ['event' => '$identify'] + $message;
    }

    /**
     * @param array<int|string, mixed> $message
     * @return array<int|string, mixed>
     */
    public static function alias(array $message): array
    {
        $properties = (array) ($message['properties'] ?? []);
        $alias = $message['alias'] ?? null;
        if (is_string($alias)) {
            // It is the distinct id of other events, around which there is never white space.
            $around = '/^[\s\p{Z}\x{85}]+|[\s\p{Z}\x{85}]+$/uD';
            $alias = preg_replace($around, '', $alias) ?? $alias;
        }
        $message['properties'] = ['alias' => is_int($alias) ? (string) $alias : $alias] + $properties;
        unset($message['alias']);
        return ['event' => '$create_alias'] + $message;
    }

    /**
     * @param array<int|string, mixed> $message
     * @return array<int|string, mixed>
     */
    public static function groupIdentify(array $message): array
    {
        $type = $message['groupType'] ?? null;
        $key = $message['groupKey'] ?? null;
        $set = $message['properties'] ?? [];
        $properties = ['$group_type' => $type, '$group_key' => $key, '$group_set' => $set];
        unset($message['groupType'], $message['groupKey'], $message['properties']);
        if (!self::hasId($message)) {
            unset($message['distinct_id']);
            $message['distinctId'] = "\${$type}_$key";
        }
        return ['event' => '$groupidentify', 'properties' => $properties] + $message;
    }

    /**
     * Adds properties to a message. Its own ones have precedence.
     *
     * @param array<int|string, mixed> $message
     * @param array<string, mixed> $properties
     * @return array<int|string, mixed>
     */
    public static function with(array $message, array $properties): array
    {
        $given = $message['properties'] ?? [];
        if ($properties !== [] && (is_array($given) || $given instanceof \stdClass)) {
            $all = (array) $given + $properties;
            $message['properties'] = is_array($given) ? $all : (object) $all;
        }
        return $message;
    }

    /** @param array<int|string, mixed> $message */
    public static function hasId(array $message): bool
    {
        return ($message['distinctId'] ?? '') !== '' || ($message['distinct_id'] ?? '') !== '';
    }
}
