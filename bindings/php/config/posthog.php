<?php

// Publish it with: php artisan vendor:publish --tag=posthog-config

return [
    // Without a key nothing is captured.
    'api_key' => env('POSTHOG_API_KEY'),

    // Null is https://us.i.posthog.com.
    'host' => env('POSTHOG_HOST'),

    // Whether the events of a request have its address, method, path, user agent and IP address, and the ids of the
    // headers that PostHog's browser library sends.
    'request_context' => true,

    // Whether the ids of these headers are used. Any client can send any id.
    'use_tracing_headers' => true,

    // Whether exceptions that Laravel reports are captured.
    'capture_exceptions' => env('POSTHOG_CAPTURE_EXCEPTIONS', false),

    // Further options of PostHog::init.
    'options' => [],
];
