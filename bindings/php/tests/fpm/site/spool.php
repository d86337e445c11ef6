<?php

// A page with one capture into a spool. The response says whether the event was captured, by which process, when the
// capture returned, and how long it took, in milliseconds.
declare(strict_types=1);

use PostHog\PostHog;

require $_SERVER['PACKAGE'] . '/autoload.php';

PostHog::init('phc_hosts_key', ['host' => $_SERVER['SINK'], 'settings' => [
    'spool_dir' => "$_SERVER[SPOOL]-$_GET[level]", 'spool_safety' => $_GET['level'], 'spool_min_free_bytes' => 0,
    'request_timeout_ms' => 1000, 'retry_initial_ms' => 10, 'retry_max_ms' => 200,
]]);
$begun = hrtime(true);
$captured = PostHog::capture(['distinctId' => 'user', 'event' => 'page viewed', 'uuid' => $_GET['uuid']]);
$took = (int) ((hrtime(true) - $begun) / 1e6);
$body = $captured
    ? sprintf('taken %d %d %d', getmypid(), microtime(true) * 1000, $took)
    : 'not taken: ' . PostHog::getClient()->problem();
header('Content-Length: ' . strlen($body));
echo $body;
