<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\FeatureFlagEvaluations;
use PostHog\PostHog;

/** Feature flags: what each method returns, what is sent for it, and what is captured. */
final class FlagsTest extends TestCase
{
    /** For everyone. */
    private const ON = ['key' => 'on', 'id' => 1, 'active' => true, 'filters' => [
        'groups' => [['properties' => []]], 'payloads' => ['true' => '{"cta": "Try", "empty": {}}'],
    ]];
    private const OFF = ['key' => 'off', 'id' => 2, 'active' => false];
    /** For people of the plan pro. */
    private const PRO = ['key' => 'pro', 'id' => 3, 'active' => true, 'filters' => ['groups' => [
        ['properties' => [['key' => 'plan', 'value' => 'pro', 'type' => 'person', 'operator' => 'exact']]],
    ]]];
    /** The variant is "compact", for everyone. */
    private const LAYOUT = ['key' => 'layout', 'id' => 4, 'active' => true, 'filters' => [
        'groups' => [['properties' => []]], 'payloads' => ['compact' => '[1,2]'],
        'multivariate' => ['variants' => [['key' => 'compact', 'rollout_percentage' => 100]]],
    ]];
    /** For groups of the type 0, which is "company", with more than ten seats. */
    private const COMPANY = ['key' => 'company', 'id' => 5, 'active' => true, 'filters' => [
        'aggregation_group_type_index' => 0, 'groups' => [['properties' => [
            ['key' => 'seats', 'value' => 10, 'type' => 'group', 'operator' => 'gt', 'group_type_index' => 0],
        ]]],
    ]];

    /** @var list<array{int|string, string}> what the error handler got */
    private array $errors = [];

    /** @param array<string, mixed> $options */
    private function client(array $options = [], ?string $secretKey = null): Client
    {
        return new Client('phc_key', $options + [
            'is_server' => false,
            'settings' => ['test_mode' => true],
            'error_handler' => function (int|string $code, string $message): void {
                $this->errors[] = [$code, $message];
            },
        ], secretKey: $secretKey);
    }

    /** @param list<array<string, mixed>> $flags */
    private static function define(Client $client, array $flags): void
    {
        $definitions = ['flags' => $flags, 'group_type_mapping' => (object) ['company']];
        self::assertTrue($client->setFlagDefinitions((string) json_encode($definitions)));
    }

    /** @return list<array<string, mixed>> the events of a client in test mode */
    private static function events(Client $client): array
    {
        $events = [];
        while (($json = $client->nextTestEvent()) !== null) {
            $events[] = json_decode($json, true);
        }
        return $events;
    }

    public function testASnapshotHasTheValuesOfItsFlags(): void
    {
        $client = $this->client();
        self::define($client, [self::ON, self::OFF, self::PRO, self::LAYOUT, self::COMPANY]);
        $flags = $client->evaluateFlags('u', ['company' => 'acme'], ['plan' => 'pro'], ['company' => ['seats' => 20]]);
        self::assertSame(['on', 'off', 'pro', 'layout', 'company'], $flags->getKeys());
        self::assertTrue($flags->isEnabled('on'));
        self::assertTrue($flags->getFlag('on'));
        self::assertTrue($flags->isLocallyEvaluated('on'));
        self::assertFalse($flags->isLocallyEvaluated('missing'));
        self::assertSame(['cta' => 'Try', 'empty' => []], $flags->getFlagPayload('on'));
        self::assertFalse($flags->isEnabled('off'));
        self::assertFalse($flags->getFlag('off'));
        self::assertNull($flags->getFlagPayload('off'));
        self::assertTrue($flags->getFlag('pro'));
        self::assertTrue($flags->isEnabled('layout'));
        self::assertSame('compact', $flags->getFlag('layout'));
        self::assertSame([1, 2], $flags->getFlagPayload('layout'));
        self::assertTrue($flags->getFlag('company'));
        self::assertFalse($flags->isEnabled('missing'));
        self::assertNull($flags->getFlag('missing'));
        self::assertSame('', $flags->getError());
        self::assertSame([], $flags->getUnresolved());
        self::assertSame([], $this->errors);
    }

    public function testAFlagWithoutAValueIsNullAndNotOff(): void
    {
        $client = $this->client();
        self::define($client, [self::ON, self::PRO]);
        $flags = $client->evaluateFlags('u');
        self::assertSame(['on'], $flags->getKeys());
        self::assertNull($flags->getFlag('pro'));
        self::assertFalse($flags->isEnabled('pro'));
        self::assertSame(['pro' => 'missing_context'], $flags->getUnresolved());
        self::assertSame('local_evaluation_inconclusive', $flags->getError());
        self::assertNull($client->isFeatureEnabled('pro', 'u'));
        self::assertFalse($client->isFeatureEnabled('pro', 'u', personProperties: ['plan' => 'free']));
        self::assertNull($client->getFeatureFlag('pro', 'u'));
        self::assertNull($client->getFeatureFlagResult('pro', 'u'));
        self::assertNull($client->getFeatureFlagPayload('pro', 'u'));
        self::assertSame(['on' => true], $client->getAllFlags('u'));
        self::assertSame([], $this->errors, 'a flag without a value is not a failure');
    }

    public function testTheMethodsForOneFlag(): void
    {
        $client = $this->client();
        self::define($client, [self::ON, self::OFF, self::LAYOUT]);
        self::assertTrue($client->isFeatureEnabled('on', 'u'));
        self::assertTrue($client->isFeatureEnabled('layout', 'u'));
        self::assertFalse($client->isFeatureEnabled('off', 'u'));
        self::assertSame('compact', $client->getFeatureFlag('layout', 'u'));
        self::assertSame([1, 2], $client->getFeatureFlagPayload('layout', 'u'));
        $result = $client->getFeatureFlagResult('layout', 'u');
        self::assertSame(
            ['layout', true, 'compact', 'compact', [1, 2]],
            [
                $result->getKey(), $result->isEnabled(), $result->getVariant(), $result->getValue(),
                $result->getPayload(),
            ],
        );
        $off = $client->getFeatureFlagResult('off', 'u');
        self::assertSame([false, null, false], [$off->isEnabled(), $off->getVariant(), $off->getValue()]);
        self::assertSame(['on' => true, 'off' => false, 'layout' => 'compact'], $client->getAllFlags('u'));
        PostHog::init('', null, $client);
        self::assertTrue(PostHog::isFeatureEnabled('on', 'u'));
        self::assertSame('compact', PostHog::getFeatureFlag('layout', 'u'));
        self::assertSame('compact', PostHog::getFeatureFlagResult('layout', 'u')->getVariant());
        self::assertSame([1, 2], PostHog::getFeatureFlagPayload('layout', 'u'));
        self::assertSame('compact', PostHog::getAllFlags('u')['layout']);
        self::assertSame(['off'], PostHog::evaluateFlags('u', flagKeys: ['off'])->getKeys());
    }

    public function testTheFirstReadOfAValueIsCapturedAsAnEventOfThePackage(): void
    {
        $client = $this->client(['is_server' => true]);
        $client->register('release', 7);
        self::define($client, [self::ON, self::LAYOUT]);
        $flags = $client->evaluateFlags('u', ['company' => 'acme']);
        $flags->getFlagPayload('on');
        $client->getAllFlags('u');
        $client->getFeatureFlagPayload('on', 'u');
        $client->getFeatureFlag('on', 'u', sendFeatureFlagEvents: false);
        self::assertSame([], self::events($client), 'only reads are captured');
        $client->withContext(['properties' => ['page' => '/']], static fn (): bool => $flags->isEnabled('on'));
        $flags->getFlag('on');
        $client->evaluateFlags('u', ['company' => 'acme'])->getFlag('on');
        [$event] = self::events($client);
        self::assertSame(['$feature_flag_called', 'u'], [$event['event'], $event['distinct_id']]);
        $properties = $event['properties'];
        self::assertIsInt($properties['$feature_flag_definitions_loaded_at']);
        unset($properties['$feature_flag_definitions_loaded_at']);
        ksort($properties);
        self::assertSame([
            '$feature/on' => true, '$feature_flag' => 'on', '$feature_flag_id' => 1,
            '$feature_flag_payload' => ['cta' => 'Try', 'empty' => []],
            '$feature_flag_reason' => 'Evaluated locally', '$feature_flag_response' => true,
            '$groups' => ['company' => 'acme'], '$is_server' => true, 'locally_evaluated' => true, 'page' => '/',
            'release' => 7,
        ], $properties);
        // In another group it is another read.
        self::assertSame('compact', $client->getFeatureFlag('layout', 'u'));
        self::assertNull($client->getFeatureFlag('missing', 'u'));
        self::assertTrue($client->getFeatureFlag('on', 'u'));
        $responses = [];
        foreach (self::events($client) as $event) {
            $responses[] = [$event['properties']['$feature_flag'], $event['properties']['$feature_flag_response']];
        }
        self::assertSame([['layout', 'compact'], ['missing', null], ['on', true]], $responses);
    }

    public function testReadsAreCapturedAlsoWhereNoneIsRemembered(): void
    {
        $client = $this->client(['settings' => ['test_mode' => true, 'flags_called_cache' => 0]]);
        self::define($client, [self::ON]);
        $flags = $client->evaluateFlags('u');
        self::assertTrue($flags->getFlag('on'));
        self::assertTrue($flags->getFlag('on'));
        self::assertNull($flags->getFlag('missing'));
        self::assertTrue($client->getFeatureFlag('on', 'u'));
        $read = array_map(static fn (array $event): string => $event['properties']['$feature_flag'], self::events($client));
        self::assertSame(['on', 'missing', 'on'], $read);
    }

    public function testAReadPassesBeforeSend(): void
    {
        $seen = [];
        $client = null;
        $client = $this->client(['before_send' => function (array $event) use (&$seen, &$client): ?array {
            $seen[] = $event['properties']['$feature_flag'] ?? $event['event'];
            // A read inside of it would be passed to it in turn.
            self::assertTrue($client->getFeatureFlag('on', 'inside'));
            unset($event['properties']['$feature_flag_payload']);
            return ($event['properties']['$feature_flag'] ?? '') === 'layout' ? null : $event;
        }]);
        self::define($client, [self::ON, self::LAYOUT]);
        self::assertTrue($client->getFeatureFlag('on', 'u'));
        self::assertSame('compact', $client->getFeatureFlag('layout', 'u'));
        // What it discarded is not shown again.
        self::assertSame('compact', $client->getFeatureFlag('layout', 'u'));
        self::assertSame('compact', $client->evaluateFlags('u')->getFlag('layout'));
        self::assertSame(['on', 'layout'], $seen);
        [$event] = self::events($client);
        self::assertSame('on', $event['properties']['$feature_flag']);
        self::assertArrayNotHasKey('$feature_flag_payload', $event['properties']);
        self::assertSame([], $this->errors);
    }

    public function testAFlagWithoutAnExperimentHasFewPropertiesWhereTheServerWantsThat(): void
    {
        $client = $this->client(['is_server' => true]);
        $client->register('release', 7);
        $client->setFlagDefinitions((string) json_encode([
            'flags' => [self::ON + ['has_experiment' => false]], 'minimal_flag_called_events' => true,
        ]));
        self::assertTrue($client->getFeatureFlag('on', 'u'));
        $properties = self::events($client)[0]['properties'];
        self::assertSame([
            '$feature_flag', '$feature_flag_response', 'locally_evaluated', '$feature_flag_id',
            '$feature_flag_reason', '$feature_flag_has_experiment', '$is_server',
        ], array_keys($properties));
    }

    public function testAnEventHasTheFlagsOfASnapshot(): void
    {
        $client = $this->client();
        self::define($client, [self::ON, self::OFF, self::LAYOUT]);
        $flags = $client->evaluateFlags('u');
        $event = ['event' => 'e', 'distinctId' => 'u'];
        self::assertTrue($client->capture($event + ['flags' => $flags, 'properties' => ['$feature/on' => 'own']]));
        self::assertTrue($client->capture($event + ['flags' => $flags->only(['off'])]));
        self::assertTrue($client->capture($event + ['flags' => $flags->onlyAccessed()]));
        $flags->getFlag('layout');
        self::assertTrue($client->capture($event + ['flags' => $flags->onlyAccessed()]));
        self::assertTrue($client->capture($event + ['send_feature_flags' => true]));
        self::assertTrue($client->capture($event + ['send_feature_flags' => false]));
        // Nothing is known of a person without an id.
        self::assertTrue($client->capture(['event' => 'e', 'send_feature_flags' => true]));
        $all = ['$feature/on' => true, '$feature/off' => false, '$feature/layout' => 'compact'];
        $active = ['$active_feature_flags' => ['layout', 'on']];
        $found = [];
        foreach (self::events($client) as $event) {
            if ($event['event'] === 'e') {
                $found[] = $event['properties'];
            }
        }
        self::assertEquals([
            ['$feature/on' => 'own'] + $all + $active,
            ['$feature/off' => false, '$active_feature_flags' => []],
            ['$active_feature_flags' => []],
            ['$feature/layout' => 'compact', '$active_feature_flags' => ['layout']],
            $all + $active,
            [],
            [],
        ], $found);
        self::assertSame([], $this->errors);
    }

    public function testACopyOfASnapshot(): void
    {
        $client = $this->client();
        self::define($client, [self::ON, self::OFF, self::LAYOUT]);
        $flags = $client->evaluateFlags('u');
        $some = $flags->only(['layout', 'typing mistake']);
        self::assertSame(['layout'], $some->getKeys());
        self::assertSame([['unknown_flag', "only() leaves out 'typing mistake', which has no value"]], $this->errors);
        self::assertNull($some->getFlag('on'));
        self::assertSame([], $flags->onlyAccessed()->getKeys());
        $flags->isEnabled('off');
        self::assertSame(['off'], $flags->onlyAccessed()->getKeys());
        unset($flags, $client);
        gc_collect_cycles();
        self::assertSame('compact', $some->getFlag('layout'));
    }

    public function testWithoutAnIdNothingIsEvaluated(): void
    {
        $client = $this->client();
        self::define($client, [self::ON]);
        self::assertSame([], $client->evaluateFlags()->getKeys());
        self::assertNull($client->getFeatureFlag('on'));
        self::assertNull($client->getFeatureFlag('on', ''));
        self::assertSame([], $client->getAllFlags());
        self::assertCount(4, $this->errors);
        self::assertSame('invalid_argument', $this->errors[0][0]);
        self::assertStringContainsString('needs a distinctId', $this->errors[0][1]);
        $read = $client->withContext(['distinctId' => 'c'], static fn () => $client->getFeatureFlag('on'));
        self::assertTrue($read);
        self::assertSame('c', self::events($client)[0]['distinct_id']);
        self::assertSame([], $client->evaluateFlags('u', flagKeys: [])->getKeys());
        self::assertCount(4, $this->errors);
    }

    public function testAClientThatCapturesNothingHasNoFlags(): void
    {
        $client = new Client(null, ['consumer' => 'noop']);
        self::assertNull($client->isFeatureEnabled('a', 'u'));
        self::assertNull($client->getFeatureFlag('a', 'u'));
        self::assertNull($client->getFeatureFlagResult('a', 'u'));
        self::assertNull($client->getFeatureFlagPayload('a', 'u'));
        self::assertSame([], $client->getAllFlags('u'));
        self::assertSame([], $client->fetchFeatureVariants('u'));
        self::assertSame(['featureFlags' => [], 'featureFlagPayloads' => [], 'flags' => []], $client->flags('u'));
        $flags = $client->evaluateFlags('u');
        self::assertInstanceOf(FeatureFlagEvaluations::class, $flags);
        self::assertFalse($flags->isEnabled('a'));
        self::assertSame([], $flags->onlyAccessed()->getKeys());
        self::assertSame(['$active_feature_flags' => []], $flags->getEventProperties());
        self::assertFalse($client->loadFlags());
        self::assertFalse($client->flagsReady());
    }

    public function testTheServerHasWhatCannotBeEvaluatedHere(): void
    {
        $sink = new Sink();
        $sink->flags(['on' => false, 'pro' => true, 'layout' => 'wide', 'other' => 'x']);
        $client = $this->client(['host' => $sink->host, 'settings' => []]);
        self::define($client, [self::ON, self::PRO]);
        self::assertTrue($client->getFeatureFlag('on', 'u'));
        self::assertNull($client->getFeatureFlag('pro', 'u', onlyEvaluateLocally: true));
        self::assertSame(['on'], $client->evaluateFlags('u', onlyEvaluateLocally: true)->getKeys());
        self::assertSame(['on' => true], $client->getAllFlags('u', onlyEvaluateLocally: true));
        self::assertSame([], $sink->flagRequests(), 'the definitions suffice, or the server may not be asked');
        $flags = $client->evaluateFlags('u', personProperties: ['seen' => new \DateTimeImmutable('2024-06-01T00:00Z')]);
        self::assertSame(
            ['on' => true, 'layout' => 'wide', 'other' => 'x', 'pro' => true],
            $flags->values(),
        );
        self::assertSame(
            ['layout' => 'wide', 'on' => false, 'other' => 'x', 'pro' => true],
            $client->fetchFeatureVariants('u'),
        );
        self::assertTrue($client->isFeatureEnabled('other', 'u', ['company' => 5], [], ['company' => ['seats' => 2]]));
        $requests = $sink->flagRequests();
        self::assertCount(3, $requests);
        [$all, $remote, $one] = array_column($requests, 'body');
        self::assertSame(
            ['distinct_id' => 'u', 'seen' => '2024-06-01T00:00:00.000+00:00'],
            self::sorted($all['person_properties']),
        );
        self::assertArrayNotHasKey('flag_keys_to_evaluate', $all);
        self::assertSame(['distinct_id' => 'u'], $remote['person_properties']);
        self::assertSame(['other'], $one['flag_keys_to_evaluate']);
        self::assertSame(['company' => '5'], $one['groups']);
        self::assertSame(['$group_key' => '5', 'seats' => 2], self::sorted($one['group_properties']['company']));
        self::assertFalse($one['geoip_disable']);
        $client->evaluateFlags('u', disableGeoip: true, flagKeys: ['a', 'b']);
        $last = $sink->flagRequests()[3]['body'];
        self::assertSame([true, ['a', 'b']], [$last['geoip_disable'], $last['flag_keys_to_evaluate']]);
        self::assertTrue($client->shutdown());
        self::assertSame('[]', $sink->violations());
    }

    /** @param array<string, mixed> $members */
    private static function sorted(array $members): array
    {
        ksort($members);
        return $members;
    }

    public function testWhatTheServerReturnsInTheFormOfPosthogPhp(): void
    {
        $sink = new Sink();
        $record = ['key' => 'a', 'enabled' => true, 'variant' => 'v', 'reason' => ['code' => 'condition_match'],
            'metadata' => ['id' => 4, 'version' => 2, 'payload' => '{"n": 1}']];
        $sink->flags(['a' => $record, 'b' => false]);
        $client = $this->client(['host' => $sink->host, 'settings' => []]);
        self::define($client, [self::ON]);
        $flags = $client->flags('u');
        self::assertSame(['a' => 'v', 'b' => false], $flags['featureFlags']);
        self::assertSame(['a' => '{"n": 1}'], $flags['featureFlagPayloads']);
        self::assertSame([4, 2], [$flags['flags']['a']['metadata']['id'], $flags['flags']['a']['metadata']['version']]);
        self::assertTrue($client->shutdown());
        self::assertSame('[]', $sink->violations());
    }

    public function testAServerThatFails(): void
    {
        $sink = new Sink('{"then":{"when":{"endpoint":"flags"},"status":500}}');
        $client = $this->client(['host' => $sink->host, 'settings' => []]);
        self::define($client, [self::ON]);
        $flags = $client->evaluateFlags('u', flagKeys: ['on', 'a']);
        self::assertSame('api_error_500', $flags->getError());
        self::assertTrue($flags->getFlag('on'), 'what is known here is there');
        self::assertNull($flags->getFlag('a'));
        self::assertSame(['unavailable'], array_column($this->errors, 0));
        $errors = [];
        self::assertTrue($client->flush());
        foreach ($sink->events(2) as $event) {
            $errors[$event['properties']['$feature_flag']] = $event['properties']['$feature_flag_error'] ?? null;
        }
        self::assertSame(['a' => 'api_error_500', 'on' => null], self::sorted($errors));
        self::assertTrue($client->shutdown());
    }

    public function testAServerThatIsSlowCostsNoMoreThanTheTimeLimit(): void
    {
        $sink = new Sink('{"then":{"when":{"endpoint":"flags"},"wait_for_script":true}}');
        $client = $this->client(['host' => $sink->host, 'settings' => [], 'feature_flag_request_timeout_ms' => 100]);
        $start = hrtime(true);
        self::assertSame('timeout', $client->evaluateFlags('u', flagKeys: ['a'])->getError());
        self::assertLessThan(10, (hrtime(true) - $start) / 1e9);
        self::assertSame(['timeout'], array_column($this->errors, 0));
        $sink->script('{}');
        self::assertTrue($client->shutdown());
    }

    public function testDefinitionsAreFetchedWithTheSecretKey(): void
    {
        $sink = new Sink();
        $sink->definitions([self::ON]);
        $client = $this->client(['host' => $sink->host, 'settings' => []], ' phs_secret ');
        self::assertSame([], $sink->flagRequests('definitions'), 'to make a client sends nothing');
        self::assertTrue($client->loadFlags());
        self::assertTrue($client->flagsReady());
        self::assertTrue($client->getFeatureFlag('on', 'u'));
        $request = $sink->flagRequests('definitions')[0];
        self::assertSame('Bearer phs_secret', $request['headers']['authorization']);
        self::assertSame([], $sink->flagRequests());
        // A later client is another object over the same definitions.
        $later = $this->client(['host' => $sink->host, 'settings' => []], 'phs_secret');
        self::assertTrue($later->flagsReady());
        self::assertTrue($later->flagsReady(20_000));
        self::assertCount(1, $sink->flagRequests('definitions'));
        self::assertTrue($client->shutdown());
        self::assertSame('[]', $sink->violations());
    }

    public function testTheOlderNameOfTheSecretKey(): void
    {
        $sink = new Sink();
        $sink->definitions([self::ON]);
        PostHog::init('phc_key', ['host' => $sink->host], null, 'phx_personal');
        self::assertTrue(PostHog::getClient()->flagsReady(20_000));
        self::assertTrue(PostHog::isFeatureEnabled('on', 'u', onlyEvaluateLocally: true));
        self::assertTrue(PostHog::shutdown());
        // Without definitions the server evaluates everything.
        $sink->flags(['on' => 'remote']);
        $client = new Client('phc_key', ['host' => $sink->host], null, 'phx_personal', false);
        self::assertSame('remote', $client->getFeatureFlag('on', 'u'));
        self::assertFalse($client->flagsReady(100));
        self::assertTrue($client->shutdown());
        self::assertCount(1, $sink->flagRequests('definitions'));
    }

    public function testAKeyThatCannotFetchDefinitionsCostsNoEvent(): void
    {
        $script = Script::run(<<<'PHP'
            $client = new PostHog\Client('phc_key', ['settings' => ['test_mode' => true]], secretKey: 'phc_public');
            var_dump($client->problem(), $client->capture(['event' => 'e']));
            PHP);
        self::assertSame("NULL\nbool(true)\n", $script->output);
        self::assertStringContainsString('no definitions of feature flags are fetched: ', $script->errors);
        self::assertStringContainsString('secret_key', $script->errors);
        $this->expectException(\InvalidArgumentException::class);
        $this->client(['settings' => ['secret_key' => 'phc_public']]);
    }

    public function testDefinitionsThatCannotBeFetchedAreReported(): void
    {
        $sink = new Sink('{"then":{"when":{"endpoint":"definitions"},"status":401}}');
        $client = $this->client(['host' => $sink->host, 'settings' => []], 'phs_wrong');
        self::assertFalse($client->loadFlags());
        self::assertSame('unavailable', $this->errors[0][0]);
        self::assertStringContainsString('401', $this->errors[0][1]);
        $without = $this->client();
        self::assertFalse($without->loadFlags());
        self::assertStringContainsString('secret_key', $this->errors[1][1]);
        self::assertFalse($without->setFlagDefinitions('[]'));
        self::assertSame('invalid_json', $this->errors[2][0]);
        $client->shutdown();
    }

    public function testTextThatIsNotTextForC(): void
    {
        $client = $this->client();
        self::define($client, [self::ON, ['key' => '7', 'active' => true, 'filters' => ['groups' => [['properties' => []]]]]]);
        self::assertTrue($client->getFeatureFlag('on', "a\0b", ["t\0" => "g\0"], ['list']));
        self::assertSame("a\u{FFFD}b", self::events($client)[0]['distinct_id']);
        self::assertNull($client->getFeatureFlag("on\0", 'u'));
        self::assertTrue($client->getFeatureFlag('on', "\xff"));
        $flags = $client->evaluateFlags('u', ['none' => [], 'nan' => NAN], ['f' => fn () => 1, 'b' => "\xff"]);
        self::assertSame(['on', '7'], $flags->getKeys());
        self::assertTrue($flags->getFlag('7'));
        self::assertSame(['7'], $flags->only(['7'])->getKeys());
    }

    public function testAPropertyThatNeedsMoreThanTheFirstBuffer(): void
    {
        $client = $this->client();
        $payload = ['groups' => [['properties' => []]], 'payloads' => ['true' => json_encode(str_repeat('long ', 2000))]];
        self::define($client, [['key' => 'long', 'active' => true, 'filters' => $payload]]);
        self::assertSame(10_000, strlen($client->getFeatureFlagResult('long', 'u')->getPayload()));
        self::assertSame(10_000, strlen(self::events($client)[0]['properties']['$feature_flag_payload']));
    }

    public function testReadsOfEveryLength(): void
    {
        $client = $this->client();
        self::define($client, [self::LAYOUT]);
        $lengths = [1, 5000, 1, ...range(1500, 2100, 7), 3, 70_000, 4];
        foreach ($lengths as $i => $length) {
            $groups = ['company' => str_repeat('x', $length)];
            self::assertSame('compact', $client->getFeatureFlag('layout', "u$i", $groups, ['n' => $i], [], true));
            $events = self::events($client);
            self::assertSame(["u$i"], array_column($events, 'distinct_id'), "of $length bytes");
            self::assertSame($groups, $events[0]['properties']['$groups']);
            self::assertSame('compact', $events[0]['properties']['$feature_flag_response']);
        }
    }
}
