<?php

// What every page does first. Later requests of the same worker find the client again, with what is still pending.

declare(strict_types=1);

use PostHog\PostHog;

require __DIR__ . '/vendor/autoload.php';

// Without arguments the key and the host are those of POSTHOG_API_KEY and POSTHOG_HOST.
PostHog::init(options: ['error_tracking' => ['enabled' => true]]);
