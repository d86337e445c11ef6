<?php

/* Events, and what is in them. cases.php says what a case is, and has the variables. */

namespace PostHog\Tests\Compat;

use PostHog\PostHog;

return [
    'capture' => [
        'an event with properties' => [
            'call' => $with(['properties' => ['a' => 1, 'b' => ['c' => [1.5, null, true]]]]),
        ],
        'without properties' => ['call' => $with([])],
        'distinct_id in place of distinctId' => [
            'call' => static fn () => PostHog::capture(['distinct_id' => 'u', 'event' => 'e']),
        ],
        'both names of the id' => ['call' => $with(['distinct_id' => 'other'])],
        'both names, distinct_id first' => [
            'call' => static fn () => PostHog::capture(['distinct_id' => 'other', 'distinctId' => 'u', 'event' => 'e']),
        ],
        'an empty distinctId and a distinct_id' => [
            'call' => static fn () => PostHog::capture(['distinctId' => '', 'distinct_id' => 'u', 'event' => 'e']),
        ],
        'no id: a personless event' => ['call' => static fn () => PostHog::capture(['event' => 'e'])],
        'an id of null' => ['call' => $with(['distinctId' => null])],
        'an empty id' => ['call' => $with(['distinctId' => ''])],
        'an id of false' => ['call' => $with(['distinctId' => false])],
        'an id that is an array' => ['call' => $with(['distinctId' => ['u']])],
        'an id that is an object' => ['call' => $with(['distinctId' => new \stdClass()])],
        'an id that is an integer' => ['call' => $with(['distinctId' => 42])],
        'an id of 0' => ['call' => $with(['distinctId' => 0])],
        'an id that is a whole float' => ['call' => $with(['distinctId' => 42.0])],
        'an id that is a float' => ['call' => $with(['distinctId' => 1.5])],
        'an id that is an object with __toString' => [
            'call' => $with(['distinctId' => new Text('u')]),
            'ours' => ['events' => $sent([])],
            'why' => 'such objects (UUIDs of Ramsey or Symfony) are ids; there the event loses its person',
        ],
        'an id of true' => [
            'call' => $with(['distinctId' => true]),
            'ours' => ['events' => $personless],
            'why' => 'it would join the events of all persons',
        ],
        'an id that is NaN' => [
            'call' => $with(['distinctId' => NAN]),
            'ours' => ['events' => $personless],
            'why' => 'there the whole batch is lost',
        ],
        'an id of more than 200 bytes' => [
            'call' => $with(['distinctId' => str_repeat('x', 201)]),
            'ours' => $refused,
            'why' => 'the server of Capture v1 drops the event; so it is refused, with the reason',
        ],
        'a name of more than 200 bytes' => [
            'call' => $with(['event' => str_repeat('x', 201)]),
            'ours' => $refused,
            'why' => 'the server of Capture v1 drops the event; so it is refused, with the reason',
        ],
        'a name that is a number' => ['call' => $with(['event' => 404])],
        'no name' => ['call' => static fn () => PostHog::capture(['distinctId' => 'u'])],
        'an empty name' => ['call' => $with(['event' => ''])],
        'properties of the caller that the package adds, too' => [
            'call' => $with(['properties' => ['$is_server' => false]]),
            'ours' => ['events' => [['properties' => ['$is_server' => false]]]],
            'why' => 'what an event says itself has precedence over what is added to it',
        ],
        'is_server false' => ['options' => ['is_server' => false], 'call' => $with([])],
        'is_server 1' => ['options' => ['is_server' => 1], 'call' => $with([])],
        'is_server null' => ['options' => ['is_server' => null], 'call' => $with([])],
        '$set and $set_once' => ['call' => $with(['$set' => ['a' => 1], '$set_once' => ['b' => 2]])],
        '$set in the properties' => ['call' => $with(['properties' => ['$set' => ['a' => 1]]])],
        '$session_id in the properties' => ['call' => $with(['properties' => ['$session_id' => 's']])],
        'type, library and the like' => [
            'call' => $with([
                'type' => 'capture', 'library' => 'x', 'library_version' => '1', 'library_consumer' => 'y',
            ]),
        ],
        'a member that is not known' => ['call' => $with(['propertys' => ['a' => 1]])],
        'a member that is not known, in the log' => [
            'call' => $with(['propertys' => ['a' => 1]]),
            'compares' => 'logs',
            'ours' => $line,
            'why' => 'it is a typing error more often than not',
        ],
        'many events at once' => [
            'call' => static function () use ($e): int {
                $captured = 0;
                for ($i = 0; $i < 250; $i++) {
                    $captured += PostHog::capture($e + ['properties' => ['i' => $i]]) ? 1 : 0;
                }
                return $captured;
            },
        ],
    ],
    'groups' => [
        'groups' => ['call' => $with(['groups' => ['company' => 'acme']])],
        '$groups' => ['call' => $with(['$groups' => ['company' => 'acme']])],
        '$groups and groups' => ['call' => $with(['$groups' => ['a' => '1'], 'groups' => ['b' => '2']])],
        '$groups in the properties' => ['call' => $with(['properties' => ['$groups' => ['company' => 'acme']]])],
        'groups, also in the properties' => [
            'call' => $with(['groups' => ['a' => '1'], 'properties' => ['$groups' => ['b' => '2']]]),
            'ours' => ['events' => $sent(['$groups' => ['b' => '2', 'a' => '1']])],
            'why' => 'both are sent; there those of the properties are lost',
        ],
        'groups that are a list' => ['call' => $with(['groups' => ['acme']])],
        'groups that are not an array' => [
            'call' => $with(['groups' => 'acme']),
            'ours' => ['events' => $sent([])],
            'why' => 'groups are keys by type; anything else is left out, and reported',
        ],
    ],
    'properties' => [
        'a list' => ['call' => $with(['properties' => ['a', 'b']])],
        'text' => ['call' => $with(['properties' => 'none'])],
        'null' => ['call' => $with(['properties' => null])],
        'an object' => [
            'call' => $with(['properties' => (object) ['a' => 1]]),
            'ours' => ['events' => $sent(['a' => 1])],
            'why' => 'there the properties are lost',
        ],
        'an object that is JsonSerializable' => [
            'call' => $with(['properties' => new Serialising(['a' => 1])]),
            'ours' => ['events' => $sent(['a' => 1])],
            'why' => 'there the properties are lost',
        ],
        'keys that are numbers' => [
            'call' => $with(['properties' => ['2024' => 'a', '7' => 'b']]),
            'ours' => ['events' => $sent(['2024' => 'a', '7' => 'b'])],
            'why' => 'there they become 0 and 1',
        ],
        'values of every kind' => ['call' => $with(['properties' => [
            'int' => PHP_INT_MAX, 'float' => 0.1, 'exp' => 1e300, 'text' => "/\u{e9}\u{2028}\"\\", 'list' => [1, [2]],
            'null' => null, 'bool' => false, 'object' => (object) ['x' => 1], 'enum' => Suit::Hearts,
            'json' => new Serialising([1]),
            'nested' => ['a' => ['b' => ['c' => 'd']]],
        ]])],
        'a whole float' => [
            'call' => $with(['properties' => ['f' => 10.0]]),
            'ours' => ['events' => $sent(['f' => 10.0])],
            'why' => 'a float stays one',
        ],
        'NaN' => [
            'call' => $with(['properties' => ['a' => 1, 'n' => NAN]]),
            'ours' => ['events' => $sent(['a' => 1, 'n' => null])],
            'why' => 'there the whole batch is lost',
        ],
        'bytes that are not UTF-8' => [
            'call' => $with(['properties' => ['a' => "a\xff"]]),
            'ours' => ['events' => $sent(['a' => "a\u{FFFD}"])],
            'why' => 'there the whole batch is lost',
        ],
        'a cycle' => [
            'call' => $with(['properties' => ['a' => 1, 'c' => Serialising::cycle()]]),
            'ours' => ['events' => $sent(['a' => 1, 'c' => ['self' => null]])],
            'why' => 'there the whole batch is lost',
        ],
        'an object that throws' => [
            'call' => $with(['properties' => [
                'a' => 1, 'o' => new Serialising(static fn () => throw new \RuntimeException('no')),
            ]]),
            'ours' => ['throws' => null, 'events' => $sent(['a' => 1, 'o' => null])],
            'why' => 'there the exception reaches the page at the flush, and the whole batch is lost',
        ],
        'a date' => [
            'call' => $with(['properties' => ['d' => new \DateTimeImmutable('2024-06-01T12:00:00.5Z')]]),
            'ours' => ['events' => $sent(['d' => '2024-06-01T12:00:00.500+00:00'])],
            'why' => 'PostHog reads RFC 3339 as a date; there it is an object with a timezone_type',
        ],
        'an enum without values' => [
            'call' => $with(['properties' => ['e' => Side::Left]]),
            'ours' => ['events' => $sent(['e' => 'Left'])],
            'why' => 'there the whole batch is lost',
        ],
    ],
    'timestamp and uuid' => [
        'seconds' => ['call' => $with(['timestamp' => 1_700_000_000])],
        'zero' => ['call' => $with(['timestamp' => 0])],
        'a float' => ['call' => $with(['timestamp' => 1_700_000_000.25])],
        'digits' => ['call' => $with(['timestamp' => '1700000000'])],
        'digits of a float' => ['call' => $with(['timestamp' => '1700000000.25'])],
        'RFC 3339' => ['call' => $with(['timestamp' => '2024-06-01T12:00:00.123+02:00'])],
        'a date without an offset' => ['call' => $with(['timestamp' => '2024-06-01 12:00:00'])],
        'a relative text' => ['call' => $with(['timestamp' => 'now'])],
        'a day that does not exist' => ['call' => $with(['timestamp' => '2024-02-30T00:00:00Z'])],
        'hour 24' => ['call' => $with(['timestamp' => '2024-02-01T24:00:00Z'])],
        'null' => ['call' => $with(['timestamp' => null])],
        'empty' => ['call' => $with(['timestamp' => ''])],
        'text that is not a date' => ['call' => $with(['timestamp' => 'the day after'])],
        'text that is not a date, in the log' => [
            'call' => $with(['timestamp' => 'the day after']),
            'compares' => 'logs',
            'ours' => $line,
            'why' => 'the time is lost',
        ],
        'an array' => ['call' => $with(['timestamp' => [1]])],
        'false' => ['call' => $with(['timestamp' => false])],
        'true' => [
            'call' => $with(['timestamp' => true]),
            'ours' => ['events' => [['timestamp' => 'now']]],
            'why' => 'there it is one second after the start of 1970',
        ],
        'a DateTime' => [
            'call' => $with(['timestamp' => new \DateTime('2024-06-01T12:00:00Z')]),
            'ours' => ['events' => [['timestamp' => '2024-06-01T12:00:00.000Z']]],
            'why' => 'there it is the current time',
        ],
        'milliseconds' => [
            'call' => $with(['timestamp' => 1_700_000_000_000]),
            'ours' => ['events' => [['timestamp' => 'now']]],
            'why' => 'there it is the year 55840; here it is reported, and the event has the current time',
        ],
        'a uuid' => ['call' => $with(['uuid' => '0190a5d0-0000-7000-8000-000000000001'])],
        'a uuid in capitals' => [
            'call' => $with(['uuid' => '0190A5D0-0000-7000-8000-00000000000A']),
            'ours' => ['events' => [['uuid' => '0190a5d0-0000-7000-8000-00000000000a']]],
            'why' => 'it is sent in its canonical form, which the server stores',
        ],
        'no uuid' => ['call' => $with(['uuid' => 'none'])],
        'a uuid that is a number' => ['call' => $with(['uuid' => 5])],
        'the nil uuid' => ['call' => $with(['uuid' => '00000000-0000-0000-0000-000000000000'])],
    ],
];
