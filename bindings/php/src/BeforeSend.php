<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The option before_send. As in posthog-php it sees the event complete, with its id, time and added properties, and
 * what it removes is not sent.
 *
 * @internal
 */
final class BeforeSend
{
    /** Properties that posthog-php adds. Here a header says what the first two do, and the third is not sent. */
    private const LIBRARY = [
        '$lib' => 'posthog-php-phc',
        '$lib_version' => PostHog::VERSION,
        '$lib_consumer' => 'libphc',
    ];

    /** Events that have no uuid yet when a callback of posthog-php sees them. */
    private const WITHOUT_UUID = ['$identify', '$create_alias'];

    /** How many calls of the callback there are, one inside of another. */
    private int $running = 0;

    public function __construct(private readonly \Closure $callback, private readonly Callbacks $callbacks)
    {
    }

    /**
     * @param array<string, mixed> $event
     * @return array{array<string, mixed>, list<array{string, string}>}|null the event to send, and remarks; null if it
     *     is discarded
     */
    public function apply(array $event): ?array
    {
        $remarks = [];
        $shown = self::complete($event, $remarks);
        $this->running++;
        try {
            $result = ($this->callback)($shown);
        } catch (\Throwable $error) {
            $this->callbacks->refused('before_send', 'before_send failed: ' . $error->getMessage());
            return null;
        } finally {
            $this->running--;
        }
        if ($result === null) {
            return null;
        }
        if (!is_array($result)) {
            $type = get_debug_type($result);
            $text = "before_send returned $type and not an array or null: the event is sent as it was";
            $this->callbacks->refused('before_send', $text);
            return [$event, []];
        }
        [$event, $further] = self::back($result, $shown);
        return [$event, [...$remarks, ...$further]];
    }

    public function isRunning(): bool
    {
        return $this->running > 0;
    }

    /**
     * The event as a callback of posthog-php sees it.
     *
     * @param array<string, mixed> $event
     * @param list<array{string, string}> $remarks more are added
     * @return array<string, mixed>
     */
    private static function complete(array $event, array &$remarks): array
    {
        $properties = (array) ($event['properties'] ?? []) + self::LIBRARY;
        if (isset($event['groups'])) {
            $event['$groups'] = $properties['$groups'] = $event['groups'];
        }
        if (($event['event'] ?? null) === '$create_alias') {
            $properties['distinct_id'] = $event['distinct_id'] ?? null;
            $event['distinct_id'] = null;
        }
        if (isset($event['timestamp']) && !Timestamp::set($event)) {
            $remarks[] = Timestamp::REMARK;
        }
        if (!isset($event['timestamp'])) {
            $event['timestamp'] = Timestamp::write(new \DateTimeImmutable('now', new \DateTimeZone('UTC')));
        }
        if (!in_array($event['event'] ?? null, self::WITHOUT_UUID, true)) {
            $event['uuid'] ??= Uuid::v7();
        }
        $event['groups'] ??= [];
        $event['properties'] = $properties;
        return $event;
    }

    /**
     * The event that a callback returned, in the form of libphc.
     *
     * @param array<int|string, mixed> $result
     * @param array<string, mixed> $shown
     * @return array{array<string, mixed>, list<array{string, string}>}
     */
    private static function back(array $result, array $shown): array
    {
        // The groups are in the properties, too, which count. These two do where the callback has changed them.
        foreach (['groups', '$groups'] as $name) {
            $groups = $result[$name] ?? null;
            unset($result[$name]);
            if (is_array($groups) && $groups !== [] && $groups !== ($shown[$name] ?? null)) {
                $result['properties'] = ['$groups' => $groups] + (array) ($result['properties'] ?? []);
            }
        }
        $properties = $result['properties'] ?? null;
        if (is_array($properties)) {
            if (($properties['$lib_consumer'] ?? null) === self::LIBRARY['$lib_consumer']) {
                unset($result['properties']['$lib_consumer']);
            }
            if (($shown['event'] ?? null) === '$create_alias') {
                $id = $properties['distinct_id'] ?? null;
                if (!Message::hasId($result)) {
                    $result['distinct_id'] = $id;
                }
                if (Message::idOf($result) === Message::id($id)) {
                    unset($result['properties']['distinct_id']);
                }
            }
        }
        return Message::event($result);
    }
}
