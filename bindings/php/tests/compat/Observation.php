<?php

declare(strict_types=1);

namespace PostHog\Tests\Compat;

/**
 * What a case does, in a form that both packages have: an event with the properties that PostHog stores of it. Members
 * that the older endpoint has beside the properties are put where its server looks for them.
 */
final class Observation
{
    /** Members of an event of the older endpoint, and of Capture v1, that are properties. */
    private const PROPERTIES = ['$set', '$set_once', 'session_id' => '$session_id', 'window_id' => '$window_id'];

    /** What says which package it was. */
    private const LIBRARY = ['$lib', '$lib_version', '$lib_consumer'];

    /** What a case can compare of the settings. */
    private const SETTINGS = [
        'settings' => ['to', 'batch_size', 'flush_interval_ms'], 'limits' => ['compression', 'max_queue_size'],
    ];

    private const UUID = '/^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i';
    private const TIME = '/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/';

    /**
     * Runs a case in a process of its own.
     *
     * @param array<string, mixed> $case
     * @return array<string, mixed>
     */
    public static function of(array $case): array
    {
        [$parent, $child] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $pid = pcntl_fork();
        if ($pid === 0) {
            fclose($parent);
            fwrite($child, (string) json_encode(self::run($case), JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR));
            // Without destructors and shutdown functions: a test of the parent could run in them.
            posix_kill(getmypid(), SIGKILL);
        }
        fclose($child);
        $json = stream_get_contents($parent);
        pcntl_waitpid($pid, $status);
        return json_decode($json, true) ?? ['failed' => $json];
    }

    /** @param array<string, mixed> $case */
    private static function run(array $case): array
    {
        $log = tempnam(sys_get_temp_dir(), 'phc');
        ini_set('log_errors', '1');
        ini_set('display_errors', '0');
        ini_set('error_log', $log);
        // So that a date without an offset shows whose time zone it is in.
        date_default_timezone_set('America/St_Johns');
        foreach (['POSTHOG_API_KEY', 'POSTHOG_HOST'] as $name) {
            putenv($name);
        }
        $returns = $throws = null;
        try {
            isset($case['before']) && $case['before']();
            if ($case['init'] ?? true) {
                $key = array_key_exists('key', $case) ? $case['key'] : 'phc_key';
                Sdk::init($key, array_key_exists('options', $case) ? $case['options'] : []);
            }
            $returns = self::plain($case['call']());
        } catch (\Throwable $error) {
            $throws = $error->getMessage();
        }
        $events = [];
        try {
            $events = array_map(self::event(...), Sdk::sent());
        } catch (\Throwable $error) {
            $throws ??= 'at the flush: ' . $error->getMessage();
        }
        $observation = [
            'returns' => self::sorted($returns), 'throws' => $throws, 'events' => self::sorted(self::short($events)),
        ];
        foreach (self::SETTINGS as $name => $members) {
            if (($case['compares'] ?? '') === $name) {
                $observation[$name] = self::settings($case, $members);
            }
        }
        if (($case['compares'] ?? '') === 'logs') {
            $observation['logs'] = str_contains((string) file_get_contents($log), '[PostHog]');
        }
        unlink($log);
        return $observation;
    }

    /**
     * @param array<string, mixed> $case
     * @param list<string> $members
     * @return array<string, mixed>
     */
    private static function settings(array $case, array $members): array
    {
        $settings = Sdk::settings();
        // Those of which the defaults differ only count where the option is given.
        foreach (['compress_request' => 'compression', 'max_queue_size' => 'max_queue_size'] as $option => $member) {
            if (isset($case['options'][$option])) {
                $members[] = $member;
            }
        }
        return array_intersect_key($settings, array_flip($members));
    }

    /** With the members of objects in the order of their names, at every depth. */
    public static function sorted(mixed $value): mixed
    {
        if (is_array($value)) {
            $value = array_map(self::sorted(...), $value);
            array_is_list($value) || ksort($value, SORT_STRING);
        }
        return $value;
    }

    /** Many events are their number, the first and the last. */
    private static function short(array $events): array
    {
        return count($events) < 5 ? $events : ['number' => count($events), 'ends' => [$events[0], end($events)]];
    }

    /**
     * @param array<string, mixed> $event
     * @return array<string, mixed>
     */
    private static function event(array $event): array
    {
        $properties = (array) ($event['properties'] ?? []);
        foreach (self::PROPERTIES as $member => $name) {
            $member = is_int($member) ? $name : $member;
            // An empty $set says nothing.
            if (!empty($event[$member]) && !isset($properties[$name])) {
                $properties[$name] = $event[$member];
            }
        }
        foreach ($event['options'] ?? [] as $name => $value) {
            $properties["\$$name"] = $value;
        }
        if (($properties['$set'] ?? null) === []) {
            unset($properties['$set']);
        }
        $properties = array_diff_key($properties, array_flip(self::LIBRARY));
        if (isset($properties['$exception_list'])) {
            $properties['$exception_list'] = array_map(self::exception(...), $properties['$exception_list']);
        }
        $id = $event['distinct_id'] ?? null;
        return [
            'event' => isset($event['event']) ? (string) $event['event'] : null,
            'distinct_id' => match (true) {
                is_string($id) && preg_match(self::UUID, $id) === 1 => 'a random id',
                is_int($id) || is_float($id) => json_encode($id),
                default => $id,
            },
            'properties' => $properties,
            'timestamp' => self::time($event['timestamp'] ?? null),
            'uuid' => self::uuid($event['uuid'] ?? null),
        ];
    }

    /**
     * An entry of an exception with its innermost frame, of which the path and the lines of the source are left out.
     *
     * @param array<string, mixed> $item
     * @return array<string, mixed>
     */
    private static function exception(array $item): array
    {
        $frames = $item['stacktrace']['frames'] ?? [];
        if ($frames !== []) {
            $frame = end($frames);
            $item['stacktrace'] = array_diff_key(
                $frame,
                ['abs_path' => 0, 'lineno' => 0, 'pre_context' => 0, 'context_line' => 0, 'post_context' => 0],
            );
            $item['stacktrace']['source'] = trim($frame['context_line'] ?? '');
        }
        return $item;
    }

    /** An instant with milliseconds, or now. Text of any other form is as it is. */
    private static function time(?string $text): string
    {
        if ($text !== null && !preg_match(self::TIME, $text)) {
            return $text;
        }
        $date = new \DateTimeImmutable($text ?? 'now');
        return abs($date->getTimestamp() - time()) < 60
            ? 'now'
            : $date->setTimezone(new \DateTimeZone('UTC'))->format('Y-m-d\TH:i:s.v\Z');
    }

    /** What is not a uuid is as it is; a uuid of a case begins with the same digits; any other is new. */
    private static function uuid(?string $uuid): string
    {
        $isOfCase = $uuid !== null && (!preg_match(self::UUID, $uuid) || stripos($uuid, '0190a5d0-') === 0);
        return $isOfCase ? $uuid : 'new';
    }

    /** What is returned, without what differs each time. */
    private static function plain(mixed $value, string $name = ''): mixed
    {
        if (is_array($value)) {
            if (isset($value['seen'])) {
                $value['seen'] = array_map(self::seen(...), $value['seen']);
            } elseif (isset($value[0]['event'])) {
                $value = array_map(self::seen(...), $value);
            }
        }
        return is_object($value) ? get_class($value) : $value;
    }

    /**
     * An event that before_send saw.
     *
     * @param array<string, mixed> $event
     * @return array<string, mixed>
     */
    private static function seen(array $event): array
    {
        foreach (self::LIBRARY as $name) {
            if (isset($event['properties'][$name])) {
                $event['properties'][$name] = 'text';
            }
        }
        foreach (['timestamp' => self::TIME, 'uuid' => self::UUID, 'distinct_id' => self::UUID] as $name => $pattern) {
            if (isset($event[$name]) && preg_match($pattern, (string) $event[$name])) {
                $event[$name] = "a $name";
            }
        }
        return $event;
    }
}
