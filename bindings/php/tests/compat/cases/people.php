<?php

/* Persons, groups, contexts, and the option before_send. cases.php says what a case is, and has the variables. */

namespace PostHog\Tests\Compat;

use PostHog\PostHog;

return [
    'identify' => [
        'properties' => [
            'call' => static fn () => PostHog::identify(['distinctId' => 'u', 'properties' => ['plan' => 'pro']]),
            'ours' => ['events' => [
                ['event' => '$identify', 'properties' => $properties(['$set' => ['plan' => 'pro']])],
            ]],
            'why' => 'they are sent once; there they are properties of the event, too',
        ],
        'without properties' => ['call' => static fn () => PostHog::identify(['distinctId' => 'u'])],
        '$set and $set_once' => [
            'call' => static fn () => PostHog::identify([
                'distinctId' => 'u', '$set' => ['a' => 1], '$set_once' => ['b' => 2],
            ]),
        ],
        'properties and $set' => [
            'call' => static fn () => PostHog::identify([
                'distinctId' => 'u', 'properties' => ['a' => 1], '$set' => ['a' => 2, 'b' => 2],
            ]),
            'ours' => ['events' => [['properties' => $properties(['$set' => ['a' => 1, 'b' => 2]])]]],
            'why' => 'both are sent; there $set is lost',
        ],
        'no id' => ['call' => static fn () => PostHog::identify(['properties' => ['a' => 1]])],
        'an empty id' => ['call' => static fn () => PostHog::identify(['distinctId' => ''])],
        'an id of 0' => [
            'call' => static fn () => PostHog::identify(['distinctId' => 0, '$set' => ['a' => 1]]),
            'ours' => ['returns' => true, 'throws' => null, 'events' => [['distinct_id' => '0']]],
            'why' => 'it is an id in capture() of both packages',
        ],
        'an id that is an array' => [
            'call' => static fn () => PostHog::identify(['distinctId' => ['u'], '$set' => ['a' => 1]]),
            'ours' => $refused,
            'why' => 'the server cannot use it; so it is refused, with the reason',
        ],
        'with a timestamp' => [
            'call' => static fn () => PostHog::identify(['distinctId' => 'u', 'timestamp' => 1_700_000_000]),
        ],
        'inside a context' => [
            'call' => static fn () => PostHog::withContext(
                ['distinctId' => 'c', 'properties' => ['a' => 1]],
                static fn () => PostHog::identify(['distinctId' => 'u']),
            ),
        ],
    ],
    'alias' => [
        'an alias' => [
            'call' => static fn () => PostHog::alias(['distinctId' => 'u', 'alias' => 'a']),
            'ours' => ['events' => [
                ['event' => '$create_alias', 'distinct_id' => 'u', 'properties' => $properties(['alias' => 'a'])],
            ]],
            'why' => 'Capture v1 has the id in distinct_id; there it is null, and the id is a property',
        ],
        'no alias' => ['call' => static fn () => PostHog::alias(['distinctId' => 'u'])],
        'an empty alias' => ['call' => static fn () => PostHog::alias(['distinctId' => 'u', 'alias' => ''])],
        'no id' => ['call' => static fn () => PostHog::alias(['alias' => 'a'])],
        'neither' => ['call' => static fn () => PostHog::alias([])],
    ],
    'groupIdentify' => [
        'a group' => [
            'call' => static fn () => PostHog::groupIdentify([
                'groupType' => 'company', 'groupKey' => 'acme', 'properties' => ['size' => 5],
            ]),
        ],
        'without properties' => [
            'call' => static fn () => PostHog::groupIdentify(['groupType' => 'company', 'groupKey' => 'acme']),
        ],
        'with an id' => [
            'call' => static fn () => PostHog::groupIdentify([
                'groupType' => 't', 'groupKey' => 'k', 'distinctId' => 'u',
            ]),
        ],
        'with distinct_id' => [
            'call' => static fn () => PostHog::groupIdentify([
                'groupType' => 't', 'groupKey' => 'k', 'distinct_id' => 'u',
            ]),
        ],
        'with an id that is an array' => [
            'call' => static fn () => PostHog::groupIdentify([
                'groupType' => 't', 'groupKey' => 'k', 'distinctId' => [1],
            ]),
        ],
        'a key that is a number' => [
            'call' => static fn () => PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 5]),
        ],
        'no type' => ['call' => static fn () => PostHog::groupIdentify(['groupKey' => 'k'])],
        'no key' => ['call' => static fn () => PostHog::groupIdentify(['groupType' => 't'])],
        'with a timestamp' => [
            'call' => static fn () => PostHog::groupIdentify([
                'groupType' => 't', 'groupKey' => 'k', 'timestamp' => 1_700_000_000,
            ]),
            'ours' => ['events' => [['timestamp' => '2023-11-14T22:13:20.000Z']]],
            'why' => 'there the timestamp is lost',
        ],
        'inside a context' => [
            'call' => static fn () => PostHog::withContext(
                ['distinctId' => 'c', 'properties' => ['a' => 1]],
                static fn () => PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 'k']),
            ),
        ],
    ],
    'raw' => [
        'an event' => [
            'call' => static fn () => PostHog::raw(['event' => 'e', 'distinct_id' => 'u', 'properties' => ['a' => 1]]),
        ],
        'with the members that the SDK adds' => [
            'call' => static fn () => PostHog::raw([
                'event' => 'e', 'distinct_id' => 'u', 'type' => 'capture', 'library' => 'x',
                'timestamp' => '2024-06-01T12:00:00Z',
            ]),
        ],
        'a uuid that is not one' => [
            'call' => static fn () => PostHog::raw(['event' => 'e', 'distinct_id' => 'u', 'uuid' => 'none']),
        ],
        'no id' => [
            'call' => static fn () => PostHog::raw(['event' => 'e']),
            'ours' => ['events' => [
                ['distinct_id' => 'a random id', 'properties' => ['$process_person_profile' => false]],
            ]],
            'why' => 'as in capture(): an event without an id cannot be stored',
        ],
        'with before_send' => [
            'options' => $returning(static fn (array $event): ?array => null),
            'call' => static fn () => PostHog::raw(['event' => 'e', 'distinct_id' => 'u']),
            'ours' => $refused,
            'why' => 'a callback that redacts gets every event',
        ],
    ],
    'context' => [
        'id and properties' => [
            'call' => static fn () => PostHog::withContext(
                ['distinctId' => 'c', 'properties' => ['a' => 'context', 'b' => 1]],
                static fn () => PostHog::capture(['event' => 'e', 'properties' => ['a' => 'own']]),
            ),
        ],
        'an id of the event' => [
            'call' => static fn () => PostHog::withContext(['distinctId' => 'c'], static fn () => PostHog::capture($e)),
        ],
        'a session' => [
            'call' => static fn () => PostHog::withContext(['sessionId' => 's'], static fn () => PostHog::capture($e)),
        ],
        'names with an underscore' => [
            'call' => static fn () => PostHog::withContext(
                ['distinct_id' => 'c', 'session_id' => 's'],
                static fn () => PostHog::capture(['event' => 'e']),
            ),
        ],
        'contexts in contexts' => [
            'call' => static fn () => PostHog::withContext(
                ['distinctId' => 'c', 'properties' => ['a' => 1]],
                static fn () => PostHog::withContext(
                    ['properties' => ['b' => 2]],
                    static fn () => PostHog::capture(['event' => 'e']),
                ),
            ),
        ],
        'fresh' => [
            'call' => static fn () => PostHog::withContext(
                ['distinctId' => 'c', 'properties' => ['a' => 1]],
                static fn () => PostHog::withContext(
                    ['distinctId' => 'd'],
                    static fn () => PostHog::capture(['event' => 'e']),
                    ['fresh' => true],
                ),
            ),
        ],
        'an id that is a number' => [
            'call' => static fn () => PostHog::withContext(
                ['distinctId' => 42],
                static fn () => PostHog::capture(['event' => 'e']),
            ),
        ],
        'what getContext returns' => [
            'call' => static fn () => [
                PostHog::getContext(),
                PostHog::withContext(
                    ['distinctId' => 'c', 'sessionId' => 's', 'properties' => ['a' => 1]],
                    static fn () => PostHog::getContext(),
                ),
                PostHog::getContext(),
            ],
        ],
        'an exception inside' => [
            'call' => static function (): array {
                try {
                    PostHog::withContext(['distinctId' => 'c'], static fn () => throw new \RuntimeException('x'));
                } catch (\RuntimeException $error) {
                    return [$error->getMessage(), PostHog::getContext()];
                }
            },
        ],
        'a Fiber' => [
            'call' => static function (): array {
                $fiber = new \Fiber(static fn () => PostHog::getContext());
                PostHog::withContext(['distinctId' => 'c'], static fn () => $fiber->start());
                return [$fiber->getReturn()];
            },
        ],
        'headers' => [
            'call' => static fn () => PostHog::contextFromHeaders([
                'X-PostHog-Distinct-Id' => " u\x07 ", 'x-posthog-session-id' => ['s', 't'], 'Other' => 'o',
            ]),
        ],
        'headers of $_SERVER' => [
            'call' => static fn () => PostHog::contextFromHeaders([
                'HTTP_X_POSTHOG_DISTINCT_ID' => 'u', 'HTTP_X_POSTHOG_SESSION_ID' => '', 'REQUEST_TIME' => 5,
            ]),
        ],
        'no headers' => ['call' => static fn () => PostHog::contextFromHeaders([])],
        'a header id of 200 bytes' => [
            'call' => static fn () => PostHog::contextFromHeaders(['X-PostHog-Distinct-Id' => str_repeat('x', 200)]),
        ],
        'a header id of 201 bytes' => [
            'call' => static fn () => PostHog::contextFromHeaders(['X-PostHog-Distinct-Id' => str_repeat('x', 201)]),
            'ours' => ['returns' => ['distinctId' => null, 'sessionId' => null, 'properties' => []]],
            'why' => 'the server drops every event with it; so a browser could switch off the events of a page',
        ],
        'a header id that is not UTF-8' => [
            'call' => static fn () => ['text' => bin2hex((string) PostHog::contextFromHeaders([
                'X-PostHog-Distinct-Id' => "u\xff",
            ])['distinctId'])],
            'ours' => ['returns' => ['text' => '']],
            'why' => 'there the whole batch is lost',
        ],
    ],
    'before_send' => [
        'what it sees of a capture' => [
            'options' => $shows, 'call' => $seen($with(['properties' => ['a' => 1], 'groups' => ['g' => 'k']])),
        ],
        'what it sees of a personless capture' => [
            'options' => $shows, 'call' => $seen(static fn () => PostHog::capture(['event' => 'e'])),
        ],
        'what it sees of identify' => [
            'options' => $shows,
            'call' => $seen(static fn () => PostHog::identify(['distinctId' => 'u', '$set' => ['a' => 1]])),
        ],
        'what it sees of alias' => [
            'options' => $shows,
            'call' => static function (): array {
                Seen::$events = [];
                PostHog::alias(['distinctId' => 'u', 'alias' => 'a']);
                return Seen::$events;
            },
            'ours' => ['events' => [['distinct_id' => 'u', 'properties' => $properties(['alias' => 'a'])]]],
            'why' => 'it sees the same; what is sent differs as above',
        ],
        'what it sees of groupIdentify' => [
            'options' => $shows,
            'call' => $seen(static fn () => PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 'k'])),
        ],
        'it removes a property' => [
            'options' => $returning(static function (array $event): array {
                unset($event['properties']['email']);
                return $event;
            }),
            'call' => $with(['properties' => ['email' => 'x', 'a' => 1]]),
        ],
        'it removes $is_server' => [
            'options' => $returning(static function (array $event): array {
                unset($event['properties']['$is_server']);
                return $event;
            }),
            'call' => $with([]),
        ],
        'it removes a property of $set' => [
            'options' => $returning(static function (array $event): array {
                unset($event['$set']['email'], $event['properties']['email']);
                return $event;
            }),
            'call' => static fn () => PostHog::identify(['distinctId' => 'u', '$set' => ['email' => 'x', 'a' => 1]]),
        ],
        'it changes the name and the id' => [
            'options' => $returning(static fn (array $event): array => ['event' => 'n', 'distinct_id' => 'v'] + $event),
            'call' => $with([]),
        ],
        'it adds a property' => [
            'options' => $returning(static function (array $event): array {
                $event['properties']['added'] = true;
                return $event;
            }),
            'call' => $with([]),
        ],
        'it adds a member' => [
            'options' => $returning(static fn (array $event): array => $event + ['inserted' => true]),
            'call' => $with([]),
        ],
        'it returns null' => ['options' => $returning(static fn () => null), 'call' => $with([])],
        'it returns text' => ['options' => $returning(static fn () => 'text'), 'call' => $with([])],
        'it returns text, in the log' => [
            'options' => $returning(static fn () => 'text'), 'call' => $with([]), 'compares' => 'logs',
        ],
        'it throws' => [
            'options' => $returning(static fn () => throw new \RuntimeException('no')), 'call' => $with([]),
            'compares' => 'logs',
        ],
        'it is not callable' => ['options' => ['before_send' => 'no such function'], 'call' => $with([])],
        'it is not callable, in the log' => [
            'options' => ['before_send' => 'no such function'], 'call' => $with([]), 'compares' => 'logs',
        ],
        'of a client that is disabled' => [
            'options' => $shows + ['consumer' => 'noop'],
            'call' => $seen($with([])),
            'ours' => ['returns' => ['returns' => false, 'seen' => []]],
            'why' => 'there is no event that it could change',
        ],
    ],
];
