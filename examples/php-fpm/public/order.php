<?php

declare(strict_types=1);

use PostHog\Http\RequestContext;
use PostHog\PostHog;

require dirname(__DIR__) . '/posthog.php';

// The person and the session are those of the browser, the address and the path those of the request.
PostHog::withContext((new RequestContext())->fromServer($_SERVER), function (): void {
    $isCaptured = PostHog::capture(['event' => 'order placed', 'properties' => ['total' => 9.5]]);
    echo $isCaptured ? 'thank you' : PostHog::getClient()->problem();
});
