<?php

declare(strict_types=1);

use PostHog\Http\RequestContext;
use PostHog\PostHog;

require dirname(__DIR__) . '/posthog.php';

PostHog::withContext((new RequestContext())->fromServer($_SERVER), function (): void {
    throw new RuntimeException('the cart is gone');
});
