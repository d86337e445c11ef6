<?php

/* The default client: init, options, flush and shutdown. cases.php says what a case is, and has the variables. */

namespace PostHog\Tests\Compat;

use PostHog\PostHog;

return [
    'before init' => [
        'capture' => ['init' => false, 'call' => $with([])],
        'identify' => ['init' => false, 'call' => static fn () => PostHog::identify(['distinctId' => 'u'])],
        'alias' => ['init' => false, 'call' => static fn () => PostHog::alias(['distinctId' => 'u', 'alias' => 'a'])],
        'groupIdentify' => [
            'init' => false, 'call' => static fn () => PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 'k']),
        ],
        'raw' => ['init' => false, 'call' => static fn () => PostHog::raw(['event' => 'e'])],
        'flush' => ['init' => false, 'call' => static fn () => PostHog::flush()],
        'shutdown' => ['init' => false, 'call' => static fn () => PostHog::shutdown()],
        'withContext' => [
            'init' => false,
            'call' => static fn () => PostHog::withContext(['distinctId' => 'u'], static fn () => 'called'),
        ],
        'getContext' => ['init' => false, 'call' => static fn () => PostHog::getContext()],
        'getClient' => ['init' => false, 'call' => static fn () => get_class(PostHog::getClient())],
        'an event without a name' => ['init' => false, 'call' => static fn () => PostHog::capture([])],
        'one line in the log for two calls' => [
            'init' => false, 'compares' => 'logs', 'call' => static fn () => [PostHog::flush(), PostHog::flush()],
        ],
        'and an init after it' => [
            'init' => false,
            'call' => static fn () => [PostHog::flush(), Sdk::init('phc_key', []), PostHog::capture($e)],
        ],
    ],
    'init' => [
        'the key of the environment' => $settings + [
            'key' => null, 'before' => static fn () => putenv('POSTHOG_API_KEY=phc_env'),
        ],
        'an empty key: that of the environment' => $settings + [
            'key' => ' ', 'before' => static fn () => putenv('POSTHOG_API_KEY=phc_env'),
        ],
        'a key of false: that of the environment' => [
            'key' => false, 'before' => static fn () => putenv('POSTHOG_API_KEY=phc_env'), 'call' => $with([]),
        ],
        'no key' => ['key' => null, 'call' => $with([])],
        'no key, in the log' => ['key' => null, 'call' => $with([]), 'compares' => 'logs'],
        'no key, with the consumer noop' => [
            'key' => null, 'options' => ['consumer' => 'noop'], 'call' => $with([]), 'compares' => 'logs',
        ],
        'no key, and an event without a name' => ['key' => null, 'call' => static fn () => PostHog::capture([])],
        'white space around the key' => $settings + ['key' => " phc_key\n"],
        'no host' => $settings,
        'a host of false' => $settings + ['options' => ['host' => false]],
        'an empty host' => $settings + ['options' => ['host' => '']],
        'a host of null' => $settings + ['options' => ['host' => null]],
        'the host of the environment' => $settings + [
            'before' => static fn () => putenv('POSTHOG_HOST=https://eu.i.posthog.com'),
        ],
        'a host of null, and one of the environment' => $settings + [
            'options' => ['host' => null], 'before' => static fn () => putenv('POSTHOG_HOST=https://eu.i.posthog.com'),
            'ours' => ['settings' => ['to' => 'https://eu.i.posthog.com']],
            'why' => "with ['host' => getenv('OTHER')] events would go to another region than that of POSTHOG_HOST",
        ],
        'white space around the host' => $settings + ['options' => ['host' => " eu.i.posthog.com\n"]],
        'a host with http' => $settings + ['options' => ['host' => 'http://localhost:8000']],
        'a host with a slash' => $settings + ['options' => ['host' => 'https://a.example/']],
        'a host with a path' => $settings + ['options' => ['host' => 'https://a.example/in']],
        'ssl false' => $settings + ['options' => ['host' => 'localhost:8000', 'ssl' => false]],
        'ssl false and https' => $settings + ['options' => ['host' => 'https://localhost:8000', 'ssl' => false]],
        'ssl true and http' => $settings + ['options' => ['host' => 'http://localhost:8000', 'ssl' => true]],
        'ssl null and http' => $settings + [
            'options' => ['host' => 'http://localhost:8000', 'ssl' => null],
            'ours' => ['settings' => ['to' => 'http://localhost:8000']],
            'why' => 'null is not given, so the scheme of the host counts',
        ],
        'options of null' => ['options' => null, 'call' => static fn () => get_class(PostHog::getClient())],
        'secretKey' => [
            'init' => false,
            'call' => static function () use ($e): bool {
                Sdk::init('phc_key', [], ['secretKey' => null]);
                return PostHog::capture($e);
            },
        ],
        'a client that is given' => [
            'init' => false,
            'call' => static function () use ($e): bool {
                PostHog::init('other', [], Sdk::client('phc_key', []));
                return PostHog::capture($e);
            },
        ],
        'batch_size' => $settings + ['options' => ['batch_size' => 20]],
        'batch_size as text' => $settings + ['options' => ['batch_size' => '20']],
        'batch_size 0' => $settings + ['options' => ['batch_size' => 0]],
        'batch_size -1' => $settings + ['options' => ['batch_size' => -1]],
        'flush_interval_seconds' => $settings + ['options' => ['flush_interval_seconds' => 2]],
        'flush_interval_seconds of a float' => $settings + ['options' => ['flush_interval_seconds' => 0.5]],
        'flush_interval_seconds 0' => $settings + [
            'options' => ['flush_interval_seconds' => 0],
            'ours' => ['settings' => ['flush_interval_ms' => 1]],
            'why' => 'a thread sends, a millisecond later',
        ],
        'flush_interval_seconds -1' => $settings + ['options' => ['flush_interval_seconds' => -1]],
        'flush_interval_seconds INF' => $settings + ['options' => ['flush_interval_seconds' => INF]],
        'flush_interval_seconds as text' => $settings + [
            'options' => ['flush_interval_seconds' => '2'],
            'ours' => ['settings' => ['flush_interval_ms' => 2000]],
            'why' => 'variables of the environment are text',
        ],
        'compress_request' => $settings + ['options' => ['compress_request' => true]],
        'compress_request false' => $settings + ['options' => ['compress_request' => false]],
        'compress_request "true"' => $settings + ['options' => ['compress_request' => 'true']],
        'compress_request "false"' => $settings + ['options' => ['compress_request' => 'false']],
        'max_queue_size' => $settings + ['options' => ['max_queue_size' => 500]],
        'the defaults of batches and queue' => [
            'call' => $with([]), 'compares' => 'limits',
            'ours' => ['limits' => ['compression' => 'zstd', 'max_queue_size' => 100_000]],
            'why' => 'the queue is that of the process, not of a page; compressing takes place on another thread',
        ],
        'timeout 1.5' => ['options' => ['timeout' => 1.5], 'call' => $with([])],
        'timeout of text' => ['options' => ['timeout' => 'x'], 'call' => $with([])],
        'verify_batch_events_request' => ['options' => ['verify_batch_events_request' => true], 'call' => $with([])],
        'options of feature flags' => [
            'options' => ['feature_flag_request_timeout_ms' => 1, 'feature_flag_request_max_retries' => 3],
            'call' => $with([]),
        ],
        'filename' => ['options' => ['filename' => '/tmp/x'], 'call' => $with([])],
        'error_tracking' => ['options' => ['error_tracking' => ['enabled' => true]], 'call' => $with([])],
        'maximum_backoff_duration 0' => ['options' => ['maximum_backoff_duration' => 0], 'call' => $with([])],
        'the consumer noop' => ['options' => ['consumer' => 'noop'], 'call' => $with([])],
        'the consumer noop, and flush' => [
            'options' => ['consumer' => 'noop'], 'call' => static fn () => PostHog::flush(),
        ],
        'the consumer file' => [
            'options' => ['consumer' => 'file', 'filename' => '/dev/null'], 'call' => $with([]),
            'ours' => ['returns' => false],
            'why' => 'it writes a file that another program sends later, perhaps never: nothing is captured, and the '
                . 'log says so. Without the option events are sent',
        ],
        'a consumer that is not known' => [
            'options' => ['consumer' => 'pigeon'], 'call' => $with([]),
            'ours' => ['throws' => "The option 'consumer' must be noop, lib_curl, socket, fork_curl"],
            'why' => 'only the text differs',
        ],
        'an option that is not known' => [
            'options' => ['flsh_at' => 5], 'call' => $with([]),
            'ours' => [
                'throws' => "There is no option 'flsh_at'; settings of libphc belong into 'settings'",
                'returns' => null, 'events' => [],
            ],
            'why' => 'a typing error would go unnoticed',
        ],
        'a host that is not an address' => [
            'options' => ['host' => 'not a host'], 'call' => $with([]),
            'ours' => $refused,
            'why' => 'events cannot arrive: the log says so at once',
        ],
    ],
    'flush and shutdown' => [
        'flush without events' => ['call' => static fn () => PostHog::flush()],
        'flush with events' => ['call' => static fn () => [PostHog::capture($e), PostHog::flush()]],
        'shutdown' => ['call' => static fn () => [PostHog::capture($e), PostHog::shutdown()]],
        'a second shutdown' => ['call' => static fn () => [PostHog::shutdown(), PostHog::shutdown()]],
        'a capture after a shutdown' => [
            'call' => static fn () => [PostHog::shutdown(), PostHog::capture($e)],
            'ours' => ['returns' => [true, false], 'events' => []],
            'why' => 'a shutdown takes no more events; there a later one can wait for a flush that is never made',
        ],
        'shutdown of a client without a key' => ['key' => null, 'call' => static fn () => PostHog::shutdown()],
    ],
];
