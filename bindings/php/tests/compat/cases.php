<?php

/*
 * What applications of posthog-php rely on: calls, by groups. Each case is run with posthog-php by record.php, whose
 * results are in posthog-php.json, and with this package by CompatTest.
 *
 *     call      what is done after init with the key phc_key; what it returns is compared
 *     options   of init
 *     before    what is done before it; with `init` => false there is no init
 *     compares  also 'settings' (what the options mean) or 'logs' (whether a line is logged), beside what is returned
 *               and the events that are sent
 *     ours      where this package differs on purpose: what it does, in the members that differ
 *     why       then: the reason
 *
 * As in most applications there are no strict types.
 */

namespace PostHog\Tests\Compat;

use PostHog\PostHog;

$e = ['distinctId' => 'u', 'event' => 'e'];
$with = static fn (array $more): \Closure => static fn () => PostHog::capture($more + $e);
$properties = static fn (array $more): array => $more + ['$is_server' => true];
$sent = static fn (array $properties): array => [
    ['event' => 'e', 'distinct_id' => 'u', 'properties' => $properties + ['$is_server' => true]],
];
$personless = [['distinct_id' => 'a random id', 'properties' => $properties(['$process_person_profile' => false])]];
$refused = ['returns' => false, 'events' => []];
$line = ['logs' => true];
$seen = static fn (callable $call): \Closure => static function () use ($call): array {
    Seen::$events = [];
    $returns = $call();
    return ['returns' => $returns, 'seen' => Seen::$events];
};
$shows = ['before_send' => static function (array $event): array {
    Seen::$events[] = $event;
    return $event;
}];
$settings = ['call' => $with([]), 'compares' => 'settings'];
$returning = static fn (callable $change): array => ['before_send' => $change];

return [
    ...require __DIR__ . '/cases/events.php',
    ...require __DIR__ . '/cases/people.php',
    ...require __DIR__ . '/cases/exceptions.php',
    ...require __DIR__ . '/cases/client.php',
    ...require __DIR__ . '/cases/flags.php',
];
