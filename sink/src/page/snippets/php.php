<?php
require 'vendor/autoload.php';

use PostHog\PostHog;

PostHog::init('phc_local', ['host' => 'HOST']);
PostHog::capture([
    'distinctId' => 'user-1',
    'event' => 'order placed',
    'properties' => ['total' => 99.9],
]);
// What is pending is sent at the end of the script.
