<?php

// The benchmark's driver for the PHP package, on the command line, and with PEER_PHP for posthog-php of the checkout that
// it names. ../README.md describes the measures. posthog-php needs ext-curl: the call that fills a batch of 100 events
// sends it.

declare(strict_types=1);

require __DIR__ . '/event.php';
require __DIR__ . '/../peers/php/peer.php';
$peer = getenv('PEER_PHP') ?: '';
$peer === '' ? require __DIR__ . '/../../bindings/php/autoload.php' : Peer\load($peer);

use PostHog\Client;

// No capture of a measure meets a full queue.
const LARGE_QUEUE = ['queue_max_events' => '1000000', 'queue_max_bytes' => '1073741824'];
// Nothing is sent before a flush either.
const QUIET = LARGE_QUEUE + ['flush_at' => '100000', 'flush_interval_ms' => '3600000', 'max_batch_events' => '100000',
    'max_batch_bytes' => '16777216'];
// A capture that meets a full queue waits.
const BLOCKING = ['overflow' => 'block', 'block_timeout_ms' => '60000'];

$options = [];
foreach (array_slice($argv, 2) as $argument) {
    [$key, $value] = explode('=', $argument, 2);
    $options[$key] = $value;
}

function client(array $settings): Client
{
    global $options, $peer;
    if ($peer !== '') {
        return new Client('phc_bench', ['host' => $options['host'], 'max_queue_size' => 1_000_000]);
    }
    if (isset($options['codec'])) {
        $settings['compression'] = $options['codec'];
    }
    $client = new Client('phc_bench', ['host' => $options['host'], 'library' => $options['library'],
        'settings' => $settings]);
    $expected = $options['binding'] ?? $client->binding();
    $client->binding() === $expected || fail("not by $expected: " . ($client->problem() ?? $client->binding()));
    return $client;
}

function capture(Client $client): void
{
    $client->capture(event()) || fail('not captured');
}

function flush_all(Client $client): void
{
    // posthog-php takes no limit.
    $client->flush(4294967295) || fail('not delivered');
}

function fail(string $why): never
{
    fwrite(STDERR, "$why\n");
    exit(1);
}

$measures = [
    // What a call takes from its caller.
    'capture' => function () use ($options): array {
        $client = client(($options['quiet'] ?? '0') === '1' ? QUIET : LARGE_QUEUE);
        $calls = (int) ($options['calls'] ?? 5000);
        $round = function () use ($client, $calls): array {
            $times = [];
            $start = $last = hrtime(true);
            for ($i = 0; $i < $calls; $i++) {
                capture($client);
                $now = hrtime(true);
                $times[] = $now - $last;
                $last = $now;
            }
            $seconds = ($last - $start) / 1e9;
            flush_all($client);
            return [$times, $seconds];
        };
        for ($i = 0; ($options['warm'] ?? '0') === '1' && $i < 5; $i++) {
            $round();
        }
        $all = [];
        $seconds = 0.0;
        for ($i = 0; $i < (int) ($options['rounds'] ?? 1); $i++) {
            [$times, $took] = $round();
            $seconds += $took;
            array_push($all, ...$times);
        }
        $client->shutdown();
        sort($all);
        $at = fn(float $share): int => $all[(int) ((count($all) - 1) * $share)];
        return ['mean' => array_sum($all) / count($all), 'p50' => $at(0.5), 'p99' => $at(0.99), 'p999' => $at(0.999),
            'max' => $at(1), 'calls' => count($all), 'seconds' => $seconds];
    },
    // Captures so many events and waits for the last verdict.
    'throughput' => function () use ($options): array {
        $client = client(BLOCKING);
        $events = (int) ($options['events'] ?? 100000);
        $start = hrtime(true);
        for ($i = 0; $i < $events; $i++) {
            capture($client);
        }
        flush_all($client);
        $seconds = (hrtime(true) - $start) / 1e9;
        $client->shutdown();
        return ['seconds' => $seconds, 'events' => $events];
    },
    // Evaluates the flags of a file for a person, all or the one that `key` names, and reads one.
    'flags' => function () use ($options): array {
        $client = client(['test_mode' => 'true']);
        $client->setFlagDefinitions(file_get_contents($options['definitions'])) || fail('no definitions');
        $calls = (int) ($options['calls'] ?? 1000);
        $keys = isset($options['key']) ? [$options['key']] : null;
        $round = function () use ($client, $calls, $keys): float {
            $start = hrtime(true);
            for ($i = 0; $i < $calls; $i++) {
                $person = ['country' => 'DE', 'email' => 'someone@example.com', 'version' => '2.31.4'];
                $flags = $client->evaluateFlags('user-4711', [], $person, [], true, null, $keys);
                $flags->isEnabled('flag-7') || fail('the flag is off');
            }
            return (hrtime(true) - $start) / $calls;
        };
        $round();
        $times = [];
        for ($i = 0; $i < (int) ($options['rounds'] ?? 20); $i++) {
            $times[] = $round();
        }
        $client->shutdown();
        sort($times);
        return ['best' => $times[0], 'median' => $times[intdiv(count($times), 2)]];
    },
    // Captures and delivers one event.
    'once' => function (): array {
        $client = client(LARGE_QUEUE);
        capture($client);
        flush_all($client);
        $client->shutdown();
        return ['done' => true];
    },
];

echo json_encode($measures[$argv[1]]()), "\n";
