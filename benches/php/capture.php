<?php

/*
 * What a capture takes from the calling thread, in processor time, which other work on the machine changes little.
 * Nothing is sent. From the root of the repository:
 *
 *     PHC_LIBRARY=target/ship/libphc.so php -d ffi.enable=1 benches/php/capture.php
 */

declare(strict_types=1);

use PostHog\PostHog;

require __DIR__ . '/../../bindings/php/autoload.php';

function processor_us(): float
{
    $used = getrusage();
    $seconds = $used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec'];
    return $seconds * 1e6 + $used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec'];
}

PostHog::init('phc_bench', ['settings' => ['test_mode' => true, 'queue_max_bytes' => 1 << 30]]);
$message = ['distinctId' => 'user-1', 'event' => 'page viewed', 'properties' => [
    'path' => '/pricing', 'referrer' => 'https://example.com/', 'status' => 200, 'took_ms' => 12.5,
    'logged_in' => true, 'plan' => 'pro', 'locale' => 'de_CH', 'experiments' => ['a', 'b'],
    'cart' => ['items' => 3, 'total' => 99.9], 'query' => '',
]];
for ($round = 0; $round < 5; $round++) {
    $start = processor_us();
    for ($i = 0; $i < 20_000; $i++) {
        PostHog::capture($message) || exit("not captured\n");
    }
    printf("%.2f µs per capture\n", (processor_us() - $start) / 20_000);
}
