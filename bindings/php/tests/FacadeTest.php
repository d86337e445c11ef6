<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\NotSupported;
use PostHog\PostHog;

/** What becomes of a call, on the wire bytes of test mode. */
final class FacadeTest extends TestCase
{
    /** @var list<array{int|string, string}> */
    private array $told = [];

    /** @param array<string, mixed> $options */
    private function init(array $options = []): Client
    {
        PostHog::init('phc_key', $options + [
            'is_server' => false,
            'settings' => ['test_mode' => true],
            'error_handler' => function (int|string $code, string $message): void {
                $this->told[] = [$code, $message];
            },
        ]);
        return PostHog::getClient();
    }

    /**
     * Without what is new each time.
     *
     * @return array<string, mixed>
     */
    private function event(): array
    {
        $event = json_decode(PostHog::getClient()->testNext() ?? '[]', true);
        unset($event['uuid'], $event['timestamp'], $event['options']);
        return $event;
    }

    public function testCapture(): void
    {
        $client = $this->init();
        self::assertTrue(PostHog::capture([
            'distinctId' => 'u', 'event' => 'e', 'properties' => ['a' => 1], 'groups' => ['company' => 'acme'],
            'uuid' => '0190a5d0-0000-7000-8000-000000000001', 'timestamp' => 1_700_000_000,
        ]));
        self::assertSame('0190a5d0-0000-7000-8000-000000000001', $client->lastUuid());
        self::assertSame(
            '{"timestamp":"2023-11-14T22:13:20.000Z","uuid":"0190a5d0-0000-7000-8000-000000000001","event":"e",'
            . '"distinct_id":"u","properties":{"a":1,"$groups":{"company":"acme"}},"options":{}}',
            $client->testNext(),
        );
        self::assertNull($client->testNext());
    }

    public function testWhatOneValueCosts(): void
    {
        $this->init();
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'properties' => [
            'nan' => NAN, 'bytes' => "\xff", 'resource' => STDIN, 'good' => 1,
        ]]));
        self::assertSame(
            ['nan' => null, 'bytes' => "\u{FFFD}", 'resource' => null, 'good' => 1],
            $this->event()['properties'],
        );
        self::assertSame([], $this->told);
    }

    public function testDepthIsCutWhereTheLibraryWouldRefuse(): void
    {
        $this->init();
        $deep = 1;
        for ($i = 0; $i < 300; $i++) {
            $deep = [$deep];
        }
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'properties' => ['deep' => $deep, 'b' => 1]]));
        self::assertSame(1, $this->event()['properties']['b']);
        self::assertTrue(PostHog::identify(['distinctId' => 'u', 'properties' => ['deep' => $deep, 'b' => 1]]));
        self::assertTrue(PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 'k', 'properties' => ['deep' => $deep]]));
    }

    public function testIdentify(): void
    {
        $this->init();
        self::assertTrue(PostHog::identify([
            'distinctId' => 'u', 'properties' => ['plan' => 'pro'], '$set_once' => ['first' => 1],
        ]));
        self::assertSame(
            ['event' => '$identify', 'distinct_id' => 'u', 'properties' => ['$set' => ['plan' => 'pro'], '$set_once' => ['first' => 1]]],
            $this->event(),
        );
    }

    public function testKeysThatLookLikeNumbersStay(): void
    {
        $this->init();
        PostHog::identify(['distinctId' => 'u', 'properties' => ['2024' => 'a', '7' => 'b'], '$set' => ['2025' => 'c']]);
        self::assertSame(['2024' => 'a', '7' => 'b', '2025' => 'c'], $this->event()['properties']['$set']);
        PostHog::withContext(['properties' => ['2024' => 'a']], fn () => PostHog::capture(
            ['distinctId' => 'u', 'event' => 'e', 'properties' => ['7' => 'b']],
        ));
        self::assertSame(['7' => 'b', '2024' => 'a'], $this->event()['properties']);
    }

    public function testEitherSpellingOfTheId(): void
    {
        $this->init();
        foreach ([['distinctId' => 'u'], ['distinct_id' => 'u'], ['distinctId' => '', 'distinct_id' => 'u'],
            ['distinct_id' => 'u', 'distinctId' => ''], ['distinct_id' => null, 'distinctId' => 'u']] as $ids) {
            self::assertTrue(PostHog::capture(['event' => 'e'] + $ids));
            self::assertSame('u', $this->event()['distinct_id']);
        }
        self::assertTrue(PostHog::capture(['event' => 'e', 'distinctId' => 42]));
        self::assertSame('42', $this->event()['distinct_id']);
    }

    public function testAlias(): void
    {
        $this->init();
        self::assertTrue(PostHog::alias(['distinctId' => 'u', 'alias' => 'anon']));
        self::assertSame(
            ['event' => '$create_alias', 'distinct_id' => 'u', 'properties' => ['alias' => 'anon']],
            $this->event(),
        );
    }

    public function testGroupIdentify(): void
    {
        $this->init();
        self::assertTrue(PostHog::groupIdentify(['groupType' => 'company', 'groupKey' => 'acme', 'properties' => ['size' => 5]]));
        $event = ['event' => '$groupidentify', 'distinct_id' => '$company_acme', 'properties' => [
            '$group_type' => 'company', '$group_key' => 'acme', '$group_set' => ['size' => 5],
        ]];
        self::assertSame($event, $this->event());
        PostHog::groupIdentify(['groupType' => 'company', 'groupKey' => 'acme', 'distinctId' => 'u']);
        self::assertStringContainsString('"distinct_id":"u"', $json = PostHog::getClient()->testNext());
        self::assertStringContainsString('"$group_set":{}', $json);
    }

    public function testEmptyArraysAreObjectsWhereObjectsBelong(): void
    {
        $this->init();
        foreach (['properties', 'groups', '$set', '$set_once'] as $member) {
            self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', $member => []]), $member);
            self::assertStringNotContainsString('[]', PostHog::getClient()->testNext());
        }
        PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'properties' => ['list' => []]]);
        self::assertStringContainsString('"list":[]', PostHog::getClient()->testNext());
    }

    /** @dataProvider instants */
    public function testATimestampIs(mixed $given, string $wire): void
    {
        $client = $this->init();
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'timestamp' => $given]));
        self::assertSame($wire, json_decode($client->testNext(), true)['timestamp']);
    }

    /** @return list<array{mixed, string}> */
    public static function instants(): array
    {
        return [
            [1_700_000_000, '2023-11-14T22:13:20.000Z'],
            ['1700000000', '2023-11-14T22:13:20.000Z'],
            [1_700_000_000.25, '2023-11-14T22:13:20.250Z'],
            ['2024-02-03T04:05:06.789+02:00', '2024-02-03T02:05:06.789Z'],
            ['2024-02-03 04:05:06 UTC', '2024-02-03T04:05:06.000Z'],
            [new \DateTimeImmutable('2024-02-03T04:05:06.789+02:00'), '2024-02-03T02:05:06.789Z'],
        ];
    }

    public function testAnEventOfNobody(): void
    {
        $client = $this->init();
        PostHog::capture(['event' => 'e']);
        $event = json_decode($client->testNext(), true);
        self::assertMatchesRegularExpression('/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/', $event['distinct_id']);
        self::assertSame(['process_person_profile' => false], $event['options']);
    }

    public function testContext(): void
    {
        $client = $this->init();
        $headers = ['HTTP_X_POSTHOG_DISTINCT_ID' => " u\x07 ", 'x-posthog-session-id' => ['s'], 'Other' => '1'];
        PostHog::withContext(PostHog::contextFromHeaders($headers) + [], function (): void {
            PostHog::withContext(['properties' => ['url' => '/', 'a' => 'outer']], function (): void {
                PostHog::capture(['event' => 'e', 'properties' => ['a' => 'own']]);
                PostHog::identify(['distinctId' => 'v', 'properties' => []]);
            });
            PostHog::withContext(['distinctId' => 'w'], fn () => PostHog::capture(['event' => 'e']), ['fresh' => true]);
        });
        $wire = json_decode($client->testNext(), true);
        self::assertSame(['u', 's'], [$wire['distinct_id'], $wire['session_id']]);
        self::assertSame(['a' => 'own', 'url' => '/'], $wire['properties']);
        self::assertArrayNotHasKey('url', $this->event()['properties']);
        $wire = json_decode($client->testNext(), true);
        self::assertSame('w', $wire['distinct_id']);
        self::assertArrayNotHasKey('session_id', $wire);
        self::assertNull(PostHog::getContext());
    }

    public function testContextsOfFibersAreApart(): void
    {
        $client = $this->init();
        $fiber = new \Fiber(function (): void {
            PostHog::withContext(['distinctId' => 'in'], function (): void {
                \Fiber::suspend();
                PostHog::capture(['event' => 'e']);
            });
        });
        PostHog::withContext(['distinctId' => 'out'], function () use ($fiber): void {
            $fiber->start();
            PostHog::capture(['event' => 'e']);
            $fiber->resume();
        });
        self::assertSame('out', json_decode($client->testNext(), true)['distinct_id']);
        self::assertSame('in', json_decode($client->testNext(), true)['distinct_id']);
    }

    public function testRegisteredProperties(): void
    {
        $client = $this->init();
        $client->register('plan', 'pro');
        $client->register('a', 1);
        $client->capture(['distinctId' => 'u', 'event' => 'e', 'properties' => ['a' => 2]]);
        self::assertSame(['a' => 2, 'plan' => 'pro'], $this->event()['properties']);
        $client->unregister('plan');
        $client->capture(['distinctId' => 'u', 'event' => 'e']);
        self::assertSame(['a' => 1], $this->event()['properties']);
        $client->raw(['distinct_id' => 'u', 'event' => 'e']);
        self::assertSame([], $this->event()['properties']);
    }

    public function testRawTextIsSentAsItIs(): void
    {
        $client = $this->init();
        self::assertTrue(PostHog::raw('{"distinct_id":"u","event":"e","properties":{"n":12345678901234567890.10}}'));
        self::assertStringContainsString('"n":12345678901234567890.10', $client->testNext());
        self::assertFalse(PostHog::raw('{"event":'));
        self::assertSame('invalid_json', $this->told[0][0]);
    }

    public function testBeforeSendSeesChangesAndDrops(): void
    {
        $client = $this->init(['before_send' => function (array $event): ?array {
            unset($event['properties']['secret']);
            return match ($event['event']) {
                'drop' => null,
                'fail' => throw new \RuntimeException('oops'),
                default => $event,
            };
        }]);
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'properties' => ['secret' => 1, 'a' => 1]]));
        self::assertTrue(PostHog::raw('{"distinct_id":"u","event":"e","properties":{"secret":1,"a":1}}'));
        self::assertFalse(PostHog::capture(['distinctId' => 'u', 'event' => 'drop']));
        self::assertFalse(PostHog::capture(['distinctId' => 'u', 'event' => 'fail']));
        self::assertSame(['a' => 1], $this->event()['properties']);
        self::assertSame(['a' => 1], $this->event()['properties']);
        self::assertSame(['before_send' => 2], $client->stats()['refused']);
        self::assertSame([['before_send', 'before_send failed: oops']], $this->told);
    }

    /** @dataProvider refusals */
    public function testAnEventThatIsRefusedAnswersFalse(array $message, string $status): void
    {
        $this->init();
        self::assertFalse(PostHog::capture($message));
        self::assertSame($status, $this->told[0][0]);
    }

    /** @return list<array{array<string, mixed>, string}> */
    public static function refusals(): array
    {
        $e = ['distinctId' => 'u', 'event' => 'e'];
        return [
            [['event' => str_repeat('x', 201)] + $e, 'invalid_event'],
            [['distinctId' => str_repeat('x', 201)] + $e, 'invalid_distinct_id'],
            [['distinctId' => ['u']] + $e, 'invalid_distinct_id'],
            [['timestamp' => 'the day after'] + $e, 'invalid_timestamp'],
            [['properties' => 'none'] + $e, 'invalid_property'],
            [['properties' => ['x' => str_repeat('x', 1_000_000)]] + $e, 'event_too_large'],
        ];
    }

    public function testAMemberThatIsNotKnownDoesNotCostTheEvent(): void
    {
        $this->init();
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'propertys' => ['a' => 1]]));
        self::assertSame([['unknown_member', "left out of an event: 'propertys'"]], $this->told);
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'send_feature_flags' => true]));
        self::assertSame('not_supported', $this->told[1][0]);
    }

    /** @dataProvider misuse */
    public function testMisuseThrows(string $method, array $message, string $text): void
    {
        $this->init();
        $this->expectException(\InvalidArgumentException::class);
        $this->expectExceptionMessage($text);
        PostHog::$method($message);
    }

    /** @return list<array{string, array<string, mixed>, string}> */
    public static function misuse(): array
    {
        return [
            ['capture', ['distinctId' => 'u'], 'PostHog::capture() expects an event'],
            ['identify', ['properties' => []], 'PostHog::identify() requires distinctId'],
            ['alias', ['distinctId' => 'u'], 'PostHog::alias() requires an alias'],
            ['alias', ['alias' => 'a'], 'PostHog::alias() requires distinctId'],
            ['groupIdentify', ['groupKey' => 'k'], 'PostHog::groupIdentify() expects a groupType'],
            ['groupIdentify', ['groupType' => 't'], 'PostHog::groupIdentify() expects a groupKey'],
        ];
    }

    public function testWhatIsNotSupportedSaysSo(): void
    {
        $client = $this->init();
        foreach (NotSupported::METHODS as $method) {
            foreach ([[PostHog::class, $method], [$client, strtoupper($method)]] as $call) {
                try {
                    $call('key', 'user');
                    self::fail($method);
                } catch (NotSupported $error) {
                    self::assertStringContainsStringIgnoringCase("$method() is not supported", $error->getMessage());
                }
            }
        }
        $this->expectException(\BadMethodCallException::class);
        $client->noSuchMethod();
    }

    public function testBeforeInit(): void
    {
        $script = Script::run('try { PostHog\PostHog::capture([]); } catch (LogicException $e) { echo $e->getMessage(); }');
        self::assertSame('PostHog::init() must be called before any other capturing method.', $script->output);
    }

    public function testTheEnvironmentNamesKeyAndHost(): void
    {
        $script = Script::run(
            "PostHog\\PostHog::init(null, ['settings' => ['test_mode' => true]]);"
            . "echo var_export(PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']));",
            [],
            ['POSTHOG_API_KEY' => 'phc_key', 'POSTHOG_HOST' => 'not a host'],
        );
        self::assertStringContainsString('host', $script->errors);
        $script = Script::run(
            "PostHog\\PostHog::init(null, ['settings' => ['test_mode' => true]]);"
            . "echo var_export(PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']));",
            [],
            ['POSTHOG_API_KEY' => 'phc_key', 'POSTHOG_HOST' => 'example.com'],
        );
        self::assertSame('true', $script->output, $script->errors);
    }

    public function testADisabledClientTakesNothing(): void
    {
        $script = Script::run(
            "PostHog\\PostHog::init(' ');"
            . "echo var_export([PostHog\\PostHog::capture(['event' => 'e']), PostHog\\PostHog::flush()]);",
            [],
            ['POSTHOG_API_KEY' => ''],
        );
        self::assertSame(1, substr_count($script->errors, 'apiKey is empty'));
        self::assertSame(2, substr_count($script->output, 'false'));
        $client = new Client('phc_key', ['consumer' => 'noop']);
        self::assertFalse($client->capture(['event' => 'e']));
        self::assertSame('the consumer is noop', $client->problem());
    }
}
