<?php

// A page that reads a feature flag. The response is the process and the value.
declare(strict_types=1);

use PostHog\PostHog;

require $_SERVER['PACKAGE'] . '/autoload.php';

$options = ['host' => $_SERVER['SINK'], 'settings' => ['flags_poll_interval_ms' => 3_600_000]];
PostHog::init('phc_hosts_key', $options, secretKey: 'phs_hosts_key');
// The first page of a process waits here for what its further pages have.
$isReady = PostHog::getClient()->flagsReady(20_000);
$value = PostHog::getFeatureFlag('layout', 'user', onlyEvaluateLocally: true);
$body = getmypid() . ' ' . ($isReady ? json_encode($value) : PostHog::getClient()->problem() ?? 'no definitions');
header('Content-Length: ' . strlen($body));
echo $body;
