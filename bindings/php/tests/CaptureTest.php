<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\NotSupported;
use PostHog\PostHog;

/** What each method captures, as wire bytes in test mode. */
final class CaptureTest extends TestCase
{
    private const EVENT = ['distinctId' => 'u', 'event' => 'e'];

    /** @var list<array{int|string, string}> what the error handler got */
    private array $errors = [];

    /** @param array<string, mixed> $options */
    private function init(array $options = []): Client
    {
        PostHog::init('phc_key', $options + [
            'is_server' => false,
            'settings' => ['test_mode' => true],
            'error_handler' => function (int|string $code, string $message): void {
                $this->errors[] = [$code, $message];
            },
        ]);
        return PostHog::getClient();
    }

    /**
     * The oldest event, without the members that differ each time.
     *
     * @return array<string, mixed>
     */
    private function event(): array
    {
        $event = json_decode(PostHog::getClient()->nextTestEvent() ?? '[]', true);
        unset($event['uuid'], $event['timestamp'], $event['options']);
        return $event;
    }

    public function testCapture(): void
    {
        $client = $this->init();
        $uuid = '0190a5d0-0000-7000-8000-000000000001';
        self::assertTrue(PostHog::capture([
            'distinctId' => 'u', 'event' => 'e', 'properties' => ['a' => 1], 'uuid' => $uuid,
            'groups' => ['company' => 'acme'], 'timestamp' => 1_700_000_000,
        ]));
        self::assertSame($uuid, $client->lastUuid());
        self::assertSame(
            '{"timestamp":"2023-11-14T22:13:20.000Z","uuid":"' . $uuid . '","event":"e",'
            . '"distinct_id":"u","properties":{"a":1,"$groups":{"company":"acme"}},"options":{}}',
            $client->nextTestEvent(),
        );
        self::assertNull($client->nextTestEvent());
    }

    public function testAValueThatJsonCannotExpressDoesNotCostTheEvent(): void
    {
        $this->init();
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'properties' => [
            'nan' => NAN, 'bytes' => "\xff", 'resource' => STDIN, 'good' => 1,
        ]]));
        self::assertSame(
            ['nan' => null, 'bytes' => "\u{FFFD}", 'resource' => null, 'good' => 1],
            $this->event()['properties'],
        );
        self::assertSame([], $this->errors);
    }

    public function testAValueThatIsNestedTooDeepDoesNotCostTheEvent(): void
    {
        $this->init();
        $deep = 1;
        for ($i = 0; $i < 300; $i++) {
            $deep = [$deep];
        }
        $properties = ['deep' => $deep, 'b' => 1];
        self::assertTrue(PostHog::capture(self::EVENT + ['properties' => $properties]));
        self::assertSame(1, $this->event()['properties']['b']);
        self::assertTrue(PostHog::identify(['distinctId' => 'u', 'properties' => $properties]));
        $group = ['groupType' => 't', 'groupKey' => 'k', 'properties' => $properties];
        self::assertTrue(PostHog::groupIdentify($group));
    }

    public function testIdentify(): void
    {
        $this->init();
        self::assertTrue(PostHog::identify([
            'distinctId' => 'u', 'properties' => ['plan' => 'pro'], '$set_once' => ['first' => 1],
        ]));
        $properties = ['$set' => ['plan' => 'pro'], '$set_once' => ['first' => 1]];
        self::assertSame(
            ['event' => '$identify', 'distinct_id' => 'u', 'properties' => $properties],
            $this->event(),
        );
    }

    public function testKeysThatLookLikeNumbersAreKept(): void
    {
        $this->init();
        $properties = ['2024' => 'a', '7' => 'b'];
        PostHog::identify(['distinctId' => 'u', 'properties' => $properties, '$set' => ['2025' => 'c']]);
        self::assertSame(['2024' => 'a', '7' => 'b', '2025' => 'c'], $this->event()['properties']['$set']);
        PostHog::withContext(['properties' => ['2024' => 'a']], fn () => PostHog::capture(
            ['distinctId' => 'u', 'event' => 'e', 'properties' => ['7' => 'b']],
        ));
        self::assertSame(['7' => 'b', '2024' => 'a'], $this->event()['properties']);
    }

    public function testBothSpellingsOfTheDistinctId(): void
    {
        $this->init();
        foreach ([['distinctId' => 'u'], ['distinct_id' => 'u'], ['distinctId' => '', 'distinct_id' => 'u'],
            ['distinct_id' => 'u', 'distinctId' => ''], ['distinct_id' => null, 'distinctId' => 'u'],
        ] as $ids) {
            self::assertTrue(PostHog::capture(['event' => 'e'] + $ids));
            self::assertSame('u', $this->event()['distinct_id']);
        }
        self::assertTrue(PostHog::capture(['event' => 'e', 'distinctId' => 42]));
        self::assertSame('42', $this->event()['distinct_id']);
    }

    /** In every helper. */
    public function testAnIdMayBeANumber(): void
    {
        $this->init();
        $helpers = [
            'capture' => ['event' => 'e'], 'identify' => ['properties' => ['a' => 1]],
            'alias' => ['alias' => 'a'], 'groupIdentify' => ['groupType' => 't', 'groupKey' => 'k'],
            'raw' => ['event' => 'e'],
        ];
        foreach ($helpers as $helper => $message) {
            foreach ([42, 0, -7, PHP_INT_MAX, '42', '007'] as $id) {
                foreach (['distinctId', 'distinct_id'] as $name) {
                    self::assertTrue(PostHog::$helper([$name => $id] + $message), "$helper $id");
                    self::assertSame((string) $id, $this->event()['distinct_id'], $helper);
                }
            }
            $stringable = new class {
                public function __toString(): string
                {
                    return 'text';
                }
            };
            foreach ([[1.5, '1.5'], [7.0, '7'], [1e20, '1.0e+20'], [$stringable, 'text']] as [$id, $text]) {
                self::assertTrue(PostHog::$helper(['distinctId' => $id] + $message), "$helper $text");
                self::assertSame($text, $this->event()['distinct_id'], $helper);
            }
        }
        self::assertTrue(PostHog::alias(['distinctId' => 1, 'alias' => 2]));
        self::assertSame(['alias' => '2'], $this->event()['properties']);
        foreach ([NAN, true, ['a']] as $alias) {
            self::assertFalse(PostHog::alias(['distinctId' => 1, 'alias' => $alias]));
            $type = get_debug_type($alias);
            $message = "an alias must be text or a number, not $type";
            self::assertSame(['invalid_argument', $message], end($this->errors));
        }
        self::assertFalse(PostHog::alias(['distinctId' => 1, 'alias' => ' ' . str_repeat('é', 101)]));
        $message = 'the alias has 202 bytes; the server takes 1 to 200';
        self::assertSame(['invalid_argument', $message], end($this->errors));
        PostHog::withContext(['distinctId' => 42], fn () => PostHog::capture(['event' => 'e']));
        self::assertSame('42', $this->event()['distinct_id']);
        $client = $this->init(['before_send' => fn (array $event) => ['distinct_id' => 43] + $event]);
        self::assertTrue($client->capture(self::EVENT));
        self::assertSame('43', $this->event()['distinct_id']);
    }

    /**
     * What is not an id: capture, raw and groupIdentify go on without it, identify and alias cannot.
     *
     * @dataProvider noIds
     */
    public function testWhatIsNotAnId(mixed $id): void
    {
        $this->init();
        $uuid4 = '/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/';
        foreach (['capture', 'raw'] as $method) {
            self::assertTrue(PostHog::$method(['distinctId' => $id, 'event' => 'e']));
            $event = json_decode(PostHog::getClient()->nextTestEvent(), true);
            self::assertMatchesRegularExpression($uuid4, $event['distinct_id']);
            self::assertSame(['process_person_profile' => false], $event['options']);
            self::assertTrue(PostHog::$method(['distinctId' => $id, 'distinct_id' => 'u', 'event' => 'e']));
            self::assertSame('u', $this->event()['distinct_id']);
        }
        self::assertTrue(PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 'k', 'distinctId' => $id]));
        self::assertSame('$t_k', $this->event()['distinct_id']);
        PostHog::withContext(['distinctId' => 'outer'], fn () => PostHog::withContext(
            ['distinctId' => $id, 'sessionId' => $id],
            fn () => PostHog::capture(['event' => 'e']),
        ));
        self::assertSame('outer', $this->event()['distinct_id']);
        foreach (['identify' => [], 'alias' => ['alias' => 'a']] as $method => $message) {
            self::assertFalse(PostHog::$method(['distinctId' => $id] + $message));
            self::assertSame('invalid_distinct_id', end($this->errors)[0]);
        }
    }

    /** @return array<string, array{mixed}> */
    public static function noIds(): array
    {
        return [
            'true' => [true], 'a list' => [['u']], 'NaN' => [NAN], 'an object' => [new \stdClass()],
            'an object whose text fails' => [new class {
                public function __toString(): string
                {
                    throw new \RuntimeException('no');
                }
            }],
        ];
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
        $group = ['groupType' => 'company', 'groupKey' => 'acme'];
        self::assertTrue(PostHog::groupIdentify($group + ['properties' => ['size' => 5]]));
        $event = ['event' => '$groupidentify', 'distinct_id' => '$company_acme', 'properties' => [
            '$group_type' => 'company', '$group_key' => 'acme', '$group_set' => ['size' => 5],
        ]];
        self::assertSame($event, $this->event());
        PostHog::groupIdentify($group + ['distinctId' => 'u']);
        self::assertStringContainsString('"distinct_id":"u"', $json = PostHog::getClient()->nextTestEvent());
        self::assertStringContainsString('"$group_set":{}', $json);
    }

    public function testEmptyArraysAreObjectsWhereObjectsBelong(): void
    {
        $this->init();
        foreach (['properties', 'groups', '$set', '$set_once'] as $member) {
            self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', $member => []]), $member);
            self::assertStringNotContainsString('[]', PostHog::getClient()->nextTestEvent());
        }
        PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'properties' => ['list' => []]]);
        self::assertStringContainsString('"list":[]', PostHog::getClient()->nextTestEvent());
    }

    /** @dataProvider timestamps */
    public function testATimestampBecomesUtcWithMilliseconds(mixed $given, string $wire): void
    {
        $client = $this->init();
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'timestamp' => $given]));
        self::assertSame($wire, json_decode($client->nextTestEvent(), true)['timestamp']);
    }

    /** @return list<array{mixed, string}> */
    public static function timestamps(): array
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

    public function testAnEventWithoutADistinctId(): void
    {
        $client = $this->init();
        PostHog::capture(['event' => 'e']);
        $event = json_decode($client->nextTestEvent(), true);
        $uuid4 = '/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/';
        self::assertMatchesRegularExpression($uuid4, $event['distinct_id']);
        self::assertSame(['process_person_profile' => false], $event['options']);
    }

    public function testContext(): void
    {
        $client = $this->init();
        $headers = ['HTTP_X_POSTHOG_DISTINCT_ID' => " u\x07 ", 'x-posthog-session-id' => ['s']];
        PostHog::withContext(PostHog::contextFromHeaders($headers), function (): void {
            PostHog::withContext(['properties' => ['url' => '/', 'a' => 'outer']], function (): void {
                PostHog::capture(['event' => 'e', 'properties' => ['a' => 'own']]);
                PostHog::identify(['distinctId' => 'v', 'properties' => []]);
            });
            $capture = fn () => PostHog::capture(['event' => 'e']);
            PostHog::withContext(['distinctId' => 'w'], $capture, ['fresh' => true]);
        });
        $wire = json_decode($client->nextTestEvent(), true);
        self::assertSame(['u', 's'], [$wire['distinct_id'], $wire['session_id']]);
        self::assertSame(['a' => 'own', 'url' => '/'], $wire['properties']);
        self::assertArrayNotHasKey('url', $this->event()['properties']);
        $wire = json_decode($client->nextTestEvent(), true);
        self::assertSame('w', $wire['distinct_id']);
        self::assertArrayNotHasKey('session_id', $wire);
        self::assertNull(PostHog::getContext());
    }

    public function testFibersHaveContextsOfTheirOwn(): void
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
        self::assertSame('out', json_decode($client->nextTestEvent(), true)['distinct_id']);
        self::assertSame('in', json_decode($client->nextTestEvent(), true)['distinct_id']);
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

    public function testRawTextIsNotChanged(): void
    {
        $client = $this->init();
        $json = '{"distinct_id":"u","event":"e","properties":{"n":12345678901234567890.10}}';
        self::assertTrue(PostHog::raw($json));
        self::assertStringContainsString('"n":12345678901234567890.10', $client->nextTestEvent());
        self::assertFalse(PostHog::raw('{"event":'));
        self::assertSame('invalid_json', $this->errors[0][0]);
    }

    public function testBeforeSendCanChangeAndDiscardEvents(): void
    {
        $client = $this->init(['before_send' => function (array $event): ?array {
            unset($event['properties']['secret']);
            return match ($event['event']) {
                'discard' => null,
                'fail' => throw new \RuntimeException('oops'),
                default => $event,
            };
        }]);
        $properties = ['secret' => 1, 'a' => 1];
        self::assertTrue(PostHog::capture(self::EVENT + ['properties' => $properties]));
        self::assertTrue(PostHog::raw('{"distinct_id":"u","event":"e","properties":{"secret":1,"a":1}}'));
        self::assertFalse(PostHog::capture(['distinctId' => 'u', 'event' => 'discard']));
        self::assertFalse(PostHog::capture(['distinctId' => 'u', 'event' => 'fail']));
        self::assertSame(['a' => 1], $this->event()['properties']);
        self::assertSame(['a' => 1], $this->event()['properties']);
        self::assertSame(['before_send' => 2], $client->stats()['refused']);
        self::assertSame([['before_send', 'before_send failed: oops']], $this->errors);
    }

    /** @dataProvider refusals */
    public function testAnEventThatIsRefusedReturnsFalse(array $message, string $status): void
    {
        $this->init();
        self::assertFalse(PostHog::capture($message));
        self::assertSame($status, $this->errors[0][0]);
    }

    /** @return list<array{array<string, mixed>, string}> */
    public static function refusals(): array
    {
        $e = ['distinctId' => 'u', 'event' => 'e'];
        return [
            [['event' => str_repeat('x', 201)] + $e, 'invalid_event'],
            [['distinctId' => str_repeat('x', 201)] + $e, 'invalid_distinct_id'],
            [['properties' => ['x' => str_repeat('x', 1_000_000)]] + $e, 'event_too_large'],
        ];
    }

    public function testAnUnknownMemberDoesNotCostTheEvent(): void
    {
        $this->init();
        self::assertTrue(PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'propertys' => ['a' => 1]]));
        $message = "an event is sent without unknown members: 'propertys'";
        self::assertSame([['unknown_member', $message]], $this->errors);
        self::assertTrue(PostHog::raw(self::EVENT + ['send_feature_flags' => true]));
        self::assertSame('not_supported', $this->errors[1][0]);
    }

    /** @dataProvider wrongCalls */
    public function testAWrongCallThrows(string $method, array $message, string $text): void
    {
        $this->init();
        $this->expectException(\InvalidArgumentException::class);
        $this->expectExceptionMessage($text);
        PostHog::$method($message);
    }

    /** @return list<array{string, array<string, mixed>, string}> */
    public static function wrongCalls(): array
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

    public function testUnsupportedMethodsThrow(): void
    {
        $client = $this->init();
        foreach (NotSupported::METHODS as $method) {
            foreach ([[PostHog::class, $method], [$client, strtoupper($method)]] as $call) {
                try {
                    $call('key', 'user');
                    self::fail($method);
                } catch (NotSupported $error) {
                    $message = $error->getMessage();
                    self::assertStringContainsStringIgnoringCase("$method() is not supported", $message);
                }
            }
        }
        $this->expectException(\BadMethodCallException::class);
        $client->noSuchMethod();
    }

    /** As in posthog-php: one line, no exception. */
    public function testBeforeInit(): void
    {
        $script = Script::run(<<<'PHP'
            use PostHog\PostHog;
            $message = ['event' => 'e', 'distinctId' => 'u'];
            echo var_export([
                PostHog::capture($message), PostHog::identify($message), PostHog::alias($message + ['alias' => 'a']),
                PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 'k']), PostHog::raw($message),
                PostHog::flush(), PostHog::shutdown(),
            ], true);
            echo PostHog::withContext(['distinctId' => 'u'], fn () => ' called ');
            echo var_export(PostHog::getContext(), true), PostHog::getClient()->problem();
            echo PostHog::getClient() === PostHog::getClient() ? ' same' : ' another';
            PostHog::init('k', ['settings' => ['test_mode' => true]]);
            echo PostHog::capture($message) ? ' captured' : '';
            PHP);
        self::assertSame(7, substr_count($script->output, 'false'), $script->output . $script->errors);
        self::assertStringEndsWith(' called NULLPostHog::init() was not called same captured', $script->output);
        self::assertSame(1, substr_count($script->errors, 'PostHog::init() was not called'), $script->errors);
        self::assertSame(1, substr_count($script->errors, '[PostHog]'), $script->errors);
    }

    public function testKeyAndHostFromTheEnvironment(): void
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

    /** The lines of the README, with strict types and without the variables. */
    public function testTheQuickstartWithoutTheEnvironment(): void
    {
        $code = "PostHog\\PostHog::init(getenv('POSTHOG_API_KEY'), ['host' => getenv('POSTHOG_HOST'), 'settings' => "
            . "['exit_flush_ms' => 0, 'proxy' => 'http://127.0.0.1:1', 'max_retries' => 0]]);"
            . "echo var_export(PostHog\\PostHog::capture(['event' => 'e']), true); PostHog\\PostHog::flush();";
        $unset = ['POSTHOG_HOST' => '', 'POSTHOG_API_KEY' => ''];
        $script = Script::run("putenv('POSTHOG_HOST'); putenv('POSTHOG_API_KEY');" . $code, [], $unset);
        self::assertSame('false', $script->output, $script->errors);
        self::assertSame(1, substr_count($script->errors, 'apiKey is empty'), $script->errors);
        $script = Script::run("putenv('POSTHOG_HOST'); putenv('POSTHOG_API_KEY=k');" . $code, [], $unset);
        self::assertSame('true', $script->output, $script->errors);
        self::assertStringContainsString('us.i.posthog.com:443 through the proxy http://127.0.0.1:1: ', $script->errors);
    }

    public function testADisabledClientCapturesNothing(): void
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
