<?php

// posthog-php, from a checkout that the reader brings.

declare(strict_types=1);

namespace Peer;

use PostHog\HttpClient;
use PostHog\HttpResponse;

function load(string $checkout): void
{
    if (is_file("$checkout/vendor/autoload.php")) {
        require "$checkout/vendor/autoload.php";
        return;
    }
    spl_autoload_register(static function (string $class) use ($checkout): void {
        $file = "$checkout/lib/" . strtr(substr($class, strlen('PostHog\\')), '\\', '/') . '.php';
        if (str_starts_with($class, 'PostHog\\') && is_file($file)) {
            require $file;
        }
    });
    // In the place of symfony/clock, which a checkout without `composer install` does not have.
    require __DIR__ . '/../../../bindings/php/tests/compat/Clock.php';
}

/** One that sends nothing: every batch is accepted at once. */
function silent_client(): HttpClient
{
    return new class ('localhost') extends HttpClient {
        public function sendRequest(
            string $path,
            ?string $payload,
            array $extraHeaders = [],
            array $requestOptions = [],
        ): HttpResponse {
            return new HttpResponse('{"status":1}', 200);
        }
    };
}
