<?php

/*
 * What a capture takes from the calling thread, in processor time, which other work on the machine changes little:
 * one number for each round, in microseconds. Nothing is sent. `make bench-php` runs it by the extension, by FFI and
 * with posthog-php; by hand, from the root of the repository:
 *
 *     PHC_LIBRARY=target/ship/libphc.so php benches/php/capture.php
 *
 * With PEER_PHP it is posthog-php, of the checkout that it names. Its HTTP client is replaced by one that sends nothing
 * and responds at once: the figure has no time in which a page would wait for the network.
 */

declare(strict_types=1);

use PostHog\Client;
use PostHog\PostHog;

require __DIR__ . '/event.php';

const CALLS = 1000;
const BATCHES = 20;

function processor_us(): float
{
    $used = getrusage();
    $seconds = $used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec'];
    return $seconds * 1e6 + $used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec'];
}

/** Rounds of calls, after one that is not counted. Between batches of them the events are taken out of the queue. */
function rounds(callable $call, ?callable $clear = null): void
{
    for ($round = 0; $round <= 5; $round++) {
        $us = 0.0;
        for ($batch = 0; $batch < BATCHES; $batch++) {
            $start = processor_us();
            for ($i = 0; $i < CALLS; $i++) {
                $call($i);
            }
            $us += processor_us() - $start;
            $clear === null || $clear();
        }
        if ($round > 0) {
            printf("%.3f\n", $us / CALLS / BATCHES);
        }
    }
}

function fail(string $why): never
{
    fwrite(STDERR, "$why\n");
    exit(1);
}

if (($argv[1] ?? '') === 'array') {
    rounds(event(...));
    exit;
}
$peer = getenv('PEER_PHP') ?: '';
$clear = null;
if ($peer !== '') {
    require __DIR__ . '/../peers/php/peer.php';
    Peer\load($peer);
    $client = new Client('phc_bench', ['batch_size' => 100], Peer\silent_client());
} else {
    require __DIR__ . '/../../bindings/php/autoload.php';
    $client = new Client('phc_bench', ['settings' => ['test_mode' => true]]);
    $expected = $argv[1] ?? $client->binding();
    $clear = static function () use ($client): void {
        while ($client->nextTestEvent() !== null) {
        }
    };
    $client->binding() === $expected || fail("not by $expected: " . ($client->problem() ?? $client->binding()));
}
PostHog::init('phc_bench', [], $client);
rounds(static function (int $i): void {
    PostHog::capture(event($i)) || fail('not captured');
}, $clear);
