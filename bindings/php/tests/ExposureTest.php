<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;

/** The variants that experiments put persons into, where the server says by which rule it did so. */
final class ExposureTest extends TestCase
{
    private const RULE = '018f4f9e-0000-7000-8000-000000000001';

    public function testTheVariantOfAnExperimentIsExposedOnce(): void
    {
        $sink = new Sink();
        $metadata = ['id' => 12, 'version' => 4, 'config_version' => 2, 'rule_type' => 'experiment'];
        $sink->flags(['button' => [
            'key' => 'button', 'value' => 'red', 'reason' => ['code' => 'experiment_split'],
            'metadata' => $metadata + ['rule_id' => self::RULE, 'variant_key' => 'red'],
        ]]);
        $seen = [];
        $client = new Client('phc_key', [
            'host' => $sink->host,
            'settings' => ['flags_request_version' => 4],
            'before_send' => static function (array $event) use (&$seen): array {
                $seen[] = $event['event'];
                return $event;
            },
        ]);
        self::assertSame('red', $client->evaluateFlags('u')->getFlag('button'));
        self::assertSame('red', $client->getFeatureFlag('button', 'u'));
        self::assertSame(['$feature_flag_called', '$experiment_exposure'], $seen);
        self::assertTrue($client->shutdown());
        $exposures = array_filter(
            $sink->events(2),
            static fn (array $event): bool => $event['event'] === '$experiment_exposure',
        );
        self::assertCount(1, $exposures);
        $properties = reset($exposures)['properties'];
        self::assertSame(
            ['button', 'red', self::RULE, 'red'],
            [
                $properties['$feature_flag'], $properties['$feature_flag_response'],
                $properties['$feature_flag_rule_id'], $properties['$feature_flag_variant_key'],
            ],
        );
        self::assertSame('[]', $sink->violations());
    }
}
