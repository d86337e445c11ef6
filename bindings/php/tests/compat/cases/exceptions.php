<?php

// The cases of exceptions; see ../cases.php.

namespace PostHog\Tests\Compat;

use PostHog\PostHog;

$capture = static fn (mixed ...$arguments): \Closure => static fn () => PostHog::captureException(...$arguments);
$made = ['type' => 'generic', 'handled' => true];
$item = static fn (string $type, string $value, array $mechanism, ?string $source = null): array
    => ['type' => $type, 'value' => $value, 'mechanism' => $mechanism] + ($source === null ? [] : ['stacktrace' => [
        'platform' => 'php', 'in_app' => true, 'filename' => 'values.php', 'source' => $source,
        'function' => 'PostHog\Tests\Compat\Thrown::make',
    ]]);
$text = $item('Error', 'it broke', $made);
$line = "return new \\RuntimeException('it broke', 1, \$cause);";
$event = static fn (array $list, array $more = [], string $id = 'u'): array => ['events' => [
    [
        'event' => '$exception', 'distinct_id' => $id,
        'properties' => $more + ['$exception_list' => $list, '$exception_level' => 'error', '$is_server' => true],
    ],
]];
$why = 'with a level; the server makes $exception_handled itself, and what is not known is left out';

return [
    'captureException' => [
        'a text' => ['call' => $capture('it broke', 'u'), 'ours' => $event([$text]), 'why' => $why],
        'an exception' => [
            'call' => static fn () => PostHog::captureException(Thrown::make(), 'u'),
            'ours' => $event([$item('RuntimeException', 'it broke', $made, $line)]), 'why' => $why,
        ],
        'an exception with a cause' => [
            'call' => static fn () => PostHog::captureException(Thrown::make(Thrown::make()), 'u'),
            'ours' => $event([
                $item('RuntimeException', 'it broke', $made + ['exception_id' => 0], $line),
                $item('RuntimeException', 'it broke', [
                    'type' => 'chained', 'handled' => true, 'exception_id' => 1, 'parent_id' => 0, 'source' => 'cause',
                ], $line),
            ]),
            'why' => 'the entries also say which caused which',
        ],
        'without an id' => [
            'call' => $capture('it broke'),
            'ours' => $event([$text], ['$process_person_profile' => false], 'a random id'), 'why' => $why,
        ],
        'in a context' => [
            'call' => static fn () => PostHog::withContext(
                ['distinctId' => 'c', 'sessionId' => 's', 'properties' => ['a' => 1]],
                static fn () => PostHog::captureException('it broke'),
            ),
            'ours' => $event([$text], ['a' => 1, '$session_id' => 's'], 'c'), 'why' => $why,
        ],
        'with properties' => [
            'call' => $capture('it broke', 'u', ['a' => 1, '$exception_list' => [], '$exception_fingerprint' => 'f']),
            'ours' => $event([$text], ['a' => 1, '$exception_fingerprint' => 'f']), 'why' => $why,
        ],
        'a value of another type' => [
            'call' => static fn () => get_class((static function (): \Throwable {
                try {
                    PostHog::captureException(['x']);
                } catch (\TypeError $error) {
                    return $error;
                }
            })()),
        ],
        'of a client without a key' => ['key' => null, 'call' => $capture('it broke', 'u')],
        'before_send sees it' => [
            'options' => $returning(static function (array $event): array {
                $event['properties'] = ['names' => count($event['properties']['$exception_list'])];
                return $event;
            }),
            'call' => $capture('it broke', 'u'),
        ],
        'it returns null' => ['options' => $returning(static fn () => null), 'call' => $capture('it broke', 'u')],
        'before init' => ['init' => false, 'call' => $capture('it broke', 'u')],
    ],
];
