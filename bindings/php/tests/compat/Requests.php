<?php

declare(strict_types=1);

namespace PostHog\Tests\Compat;

use PostHog\HttpClient;
use PostHog\HttpResponse;

/** The HTTP client of posthog-php, which keeps the events and sends nothing. */
final class Requests extends HttpClient
{
    /** @var list<array<string, mixed>> */
    public static array $events = [];

    /** What the endpoint of definitions returns. */
    public static string $definitions = '';

    public function sendRequest(
        string $path,
        ?string $payload,
        array $extraHeaders = [],
        array $requestOptions = [],
    ): HttpResponse {
        if (str_starts_with($path, '/flags')) {
            return new HttpResponse(str_starts_with($path, '/flags/definitions') ? self::$definitions : '{"flags":{}}', 200);
        }
        $body = ($requestOptions['compressRequest'] ?? false) ? gzdecode($payload) : $payload;
        // A body that is empty, because a value could not be encoded, has no events.
        array_push(self::$events, ...json_decode((string) $body, true)['batch'] ?? []);
        return new HttpResponse('{"status":1}', 200);
    }
}
