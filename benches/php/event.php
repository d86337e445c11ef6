<?php

// The event of ../event.json, for libphc and for posthog-php.

declare(strict_types=1);

/** With a member that is not known before, so that PHP makes the array anew for each call. */
function event(int $items = 3): array
{
    return [
        'distinctId' => 'user-1234567890',
        'event' => 'page_viewed',
        'properties' => [
            'path' => '/products/kitchen/espresso-machine',
            'referrer' => 'https://example.com/search?q=espresso+machine&sort=price&page=2',
            'browser' => 'Firefox 128.0',
            'country' => 'Norway',
            'width' => 1920,
            'height' => 1080,
            'items' => $items,
            'price' => 249.95,
            'logged_in' => true,
            'cart' => ['id' => 'c-77812-4f1b', 'total' => 512.4, 'currency' => 'NOK'],
        ],
    ];
}
