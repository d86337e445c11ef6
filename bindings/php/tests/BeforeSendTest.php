<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\PostHog;

/** The option before_send: what it sees, and what becomes of what it returns. */
final class BeforeSendTest extends TestCase
{
    private const UUID = '0190a5d0-0000-7000-8000-000000000001';

    /** @var list<array<string, mixed>> what it saw */
    private array $seen = [];

    /** @var list<array{int|string, string}> what the error handler got */
    private array $errors = [];

    private function client(callable $callback): Client
    {
        return new Client('phc_key', [
            'settings' => ['test_mode' => true],
            'error_handler' => function (int|string $code, string $message): void {
                $this->errors[] = [$code, $message];
            },
            'before_send' => function (array $event) use ($callback): mixed {
                $this->seen[] = $event;
                return $callback($event);
            },
        ]);
    }

    /** @return array<string, mixed> */
    private static function wire(Client $client): array
    {
        return json_decode($client->nextTestEvent() ?? '[]', true);
    }

    public function testACaptureIsComplete(): void
    {
        $client = $this->client(static fn (array $event): array => $event);
        $client->register('plan', 'pro');
        $before = new \DateTimeImmutable('-1 second');
        self::assertTrue($client->capture(['event' => 'e', 'properties' => ['a' => 1], 'groups' => ['team' => 't']]));
        [$event] = $this->seen;
        $keys = array_keys($event);
        sort($keys);
        self::assertSame(['$groups', 'distinct_id', 'event', 'groups', 'properties', 'timestamp', 'uuid'], $keys);
        self::assertGreaterThan($before, new \DateTimeImmutable($event['timestamp']));
        self::assertMatchesRegularExpression('/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/', $event['uuid']);
        self::assertEquals([
            'a' => 1, '$process_person_profile' => false, '$is_server' => true, 'plan' => 'pro',
            '$lib' => 'posthog-php-phc', '$lib_version' => PostHog::VERSION, '$lib_consumer' => 'libphc',
            '$groups' => ['team' => 't'],
        ], $event['properties']);
        $wire = self::wire($client);
        self::assertSame($event['uuid'], $wire['uuid']);
        self::assertSame($event['distinct_id'], $wire['distinct_id']);
        self::assertSame(substr($event['timestamp'], 0, 23), substr($wire['timestamp'], 0, 23));
        $properties = ['$groups' => ['team' => 't'], '$is_server' => true, 'a' => 1, 'plan' => 'pro'];
        self::assertEquals($properties, $wire['properties']);
    }

    /** As in posthog-php, a timestamp and a uuid of the message are there, and there are groups without any. */
    public function testWhatTheMessageHas(): void
    {
        $client = $this->client(static fn (array $event): array => $event);
        $client->capture(['event' => 'e', 'distinctId' => 7, 'timestamp' => 1_700_000_000, 'uuid' => self::UUID]);
        [$event] = $this->seen;
        self::assertSame(['2023-11-14T22:13:20Z', self::UUID], [$event['timestamp'], $event['uuid']]);
        self::assertSame([[], 7], [$event['groups'], $event['distinct_id']]);
        self::assertSame('7', self::wire($client)['distinct_id']);
    }

    public function testWhatIsRemovedIsNotSent(): void
    {
        $client = $this->client(function (array $event): array {
            unset($event['properties']['email'], $event['$set']['email'], $event['properties']['$is_server']);
            unset($event['properties']['$group_set']['email'], $event['properties']['$groups']);
            return $event;
        });
        $properties = ['email' => 'secret', 'a' => 1];
        $client->capture(['event' => 'e', 'properties' => $properties, 'groups' => ['team' => 'secret']]);
        $client->identify(['distinctId' => 'u', 'properties' => $properties]);
        $client->groupIdentify(['groupType' => 't', 'groupKey' => 'k', 'properties' => $properties]);
        $client->raw(['event' => 'e', 'distinct_id' => 'u', 'properties' => $properties]);
        for ($i = 0; $i < 4; $i++) {
            $json = $client->nextTestEvent();
            self::assertStringNotContainsString('secret', $json);
            self::assertStringNotContainsString('$is_server', $json);
            self::assertStringContainsString('"a":1', $json);
        }
        self::assertSame([], $this->errors);
    }

    public function testGroupsThatAreChanged(): void
    {
        $client = $this->client(static fn (array $event): array => ['groups' => ['team' => 'new']] + $event);
        $client->capture(['event' => 'e', 'groups' => ['team' => 'old']]);
        self::assertSame(['team' => 'new'], self::wire($client)['properties']['$groups']);
        $client = $this->client(function (array $event): array {
            $event['properties']['$groups']['team'] = 'new';
            return $event;
        });
        $client->capture(['event' => 'e', 'groups' => ['team' => 'old']]);
        self::assertSame(['team' => 'new'], self::wire($client)['properties']['$groups']);
    }

    /** The id of an alias is where posthog-php has it: in the properties. */
    public function testAnAlias(): void
    {
        $client = $this->client(function (array $event): array {
            $event['properties']['distinct_id'] = 'hash of ' . $event['properties']['distinct_id'];
            $event['properties']['alias'] = 'hash of ' . $event['properties']['alias'];
            return $event;
        });
        self::assertTrue($client->alias(['distinctId' => 'u', 'alias' => 'a']));
        self::assertNull($this->seen[0]['distinct_id']);
        $wire = self::wire($client);
        self::assertSame('hash of u', $wire['distinct_id']);
        self::assertEquals(['alias' => 'hash of a', '$is_server' => true], $wire['properties']);
        $client = $this->client(static fn (array $event): array => ['distinct_id' => 'v'] + $event);
        self::assertTrue($client->alias(['distinctId' => 'u', 'alias' => 'a']));
        self::assertSame('v', self::wire($client)['distinct_id']);
    }

    public function testAMemberThatIsAddedDoesNotCostTheEvent(): void
    {
        $client = $this->client(static fn (array $event): array => $event + ['inserted' => true, 'type' => 'capture']);
        self::assertTrue($client->capture(['event' => 'e', 'distinctId' => 'u']));
        self::assertSame('u', self::wire($client)['distinct_id']);
        self::assertSame([['unknown_member', "an event is sent without unknown members: 'inserted'"]], $this->errors);
    }

    public function testTheSpellingOfPosthogPhpInTheResult(): void
    {
        $client = $this->client(static fn (array $event): array => ['event' => 'new', 'distinctId' => 'v']);
        self::assertTrue($client->capture(['event' => 'e', 'distinctId' => 'u']));
        $wire = self::wire($client);
        self::assertSame(['new', 'v', []], [$wire['event'], $wire['distinct_id'], $wire['properties']]);
    }

    /** @dataProvider otherResults */
    public function testAnyOtherResultSendsTheEventAsItWas(mixed $result): void
    {
        $client = $this->client(static fn (array $event): mixed => $result);
        self::assertTrue($client->capture(['event' => 'e', 'distinctId' => 'u', 'properties' => ['a' => 1]]));
        self::assertSame(1, self::wire($client)['properties']['a']);
        self::assertSame('before_send', $this->errors[0][0]);
        self::assertStringContainsString('and not an array or null', $this->errors[0][1]);
    }

    /** @return list<array{mixed}> */
    public static function otherResults(): array
    {
        return [[true], [false], ['event'], [new \stdClass()], [1.5]];
    }

    public function testValuesThatArePutIn(): void
    {
        $client = $this->client(static fn (array $event): array => [
            'distinct_id' => 43, 'timestamp' => new \DateTimeImmutable('2024-06-01T12:00:00Z'), 'uuid' => 5,
            'properties' => ['nan' => NAN, 0 => 'zero'], '$set' => 'no array',
        ] + $event);
        self::assertTrue($client->capture(['event' => 'e', 'distinctId' => 'u']));
        $wire = self::wire($client);
        self::assertSame(['43', '2024-06-01T12:00:00.000Z'], [$wire['distinct_id'], $wire['timestamp']]);
        self::assertSame(['nan' => null, 0 => 'zero'], $wire['properties']);
        self::assertSame(['invalid_property'], array_column($this->errors, 0));
    }

    public function testATextOfJson(): void
    {
        $client = $this->client(static fn (array $event): array => $event);
        self::assertTrue($client->raw('{"event":"e","distinct_id":"u","properties":{"a":1}}'));
        self::assertSame(['a' => 1], self::wire($client)['properties']);
        foreach (['5', '"text"', '[', 'null'] as $text) {
            self::assertFalse($client->raw($text));
            self::assertSame('invalid_json', end($this->errors)[0]);
        }
    }
}
