<?php

// A page with one capture. The response says whether the event was captured.
declare(strict_types=1);

use PostHog\PostHog;

require $_SERVER['PACKAGE'] . '/autoload.php';

PostHog::init('phc_hosts_key', ['host' => $_SERVER['SINK']]);
$captured = PostHog::capture([
    'distinctId' => 'user-' . random_int(1, 1000),
    'event' => 'page viewed',
    'uuid' => $_GET['uuid'],
    'properties' => [
        'path' => '/pricing', 'referrer' => 'https://example.com/', 'status' => 200, 'took_ms' => 12.5,
        'logged_in' => true, 'plan' => 'pro', 'locale' => 'de_CH', 'experiments' => ['a', 'b'],
        'cart' => ['items' => 3, 'total' => 99.9], 'query' => '',
    ],
]);
$body = $captured ? 'taken' : 'not taken: ' . PostHog::getClient()->problem();
header('Content-Length: ' . strlen($body));
echo $body;
