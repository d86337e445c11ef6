<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;

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
}
