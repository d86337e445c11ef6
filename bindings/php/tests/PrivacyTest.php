<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\Http\RequestContext;

/** docs/privacy.md lists what is added to an event that has no properties of its own. */
final class PrivacyTest extends TestCase
{
    public function testNothingIsAddedThatThePageDoesNotList(): void
    {
        $page = (string) file_get_contents(__DIR__ . '/../../../docs/privacy.md');
        preg_match_all('/^\| PHP \| `([^`]+)` /m', $page, $rows);
        $listed = $rows[1];
        sort($listed);
        self::assertNotEmpty($listed);
        $client = new Client('phc_key', ['settings' => ['test_mode' => true]]);
        self::assertTrue($client->capture(['distinctId' => 'u', 'event' => 'e']));
        $event = json_decode((string) $client->nextTestEvent(), true);
        $added = [...array_keys($event['properties']), ...array_keys($event['options'] ?? [])];
        sort($added);
        self::assertSame($listed, $added);
    }

    public function testThePageListsWhatTheContextOfARequestAdds(): void
    {
        $page = (string) file_get_contents(__DIR__ . '/../../../docs/privacy.md');
        preg_match('/^PHP\'s `RequestContext`.*?\n\n/ms', $page, $paragraph);
        preg_match_all('/`(\$\w+)`/', $paragraph[0] ?? '', $listed);
        $properties = (new RequestContext())->fromServer([
            'REQUEST_METHOD' => 'GET', 'REQUEST_URI' => '/', 'HTTP_HOST' => 'h', 'HTTP_USER_AGENT' => 'u',
            'REMOTE_ADDR' => '127.0.0.1', 'HTTP_X_POSTHOG_SESSION_ID' => 's', 'HTTP_REFERER' => 'r', 'HTTP_COOKIE' => 'c',
            'REMOTE_USER' => 'x', 'QUERY_STRING' => 'secret=1', 'SERVER_NAME' => 'n',
        ])['properties'];
        self::assertEqualsCanonicalizing($listed[1], array_keys($properties));
    }
}
