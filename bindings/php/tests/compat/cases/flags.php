<?php

/*
 * Feature flags, evaluated by definitions: neither package asks a server here. cases.php says what a case is, and has
 * the variables.
 */

namespace PostHog\Tests\Compat;

use PostHog\PostHog;

$everyone = ['groups' => [['properties' => [], 'rollout_percentage' => 100]]];
$plan = static fn (string $operator, mixed $value): array => ['groups' => [[
    'properties' => [['key' => 'plan', 'value' => $value, 'operator' => $operator, 'type' => 'person']],
    'rollout_percentage' => 100,
]]];
$flag = static fn (string $key, array $filters, array $more = []): array => $more
    + ['id' => strlen($key), 'key' => $key, 'active' => true, 'filters' => $filters];
$variants = ['multivariate' => ['variants' => [['key' => 'compact', 'rollout_percentage' => 100]]]];
$definitions = [
    $flag('company', ['aggregation_group_type_index' => 0] + $everyone),
    $flag('layout', $everyone + $variants + ['payloads' => ['compact' => '{"columns": 2}']]),
    $flag('off', $everyone, ['active' => false]),
    $flag('on', $everyone),
    $flag('pro', $plan('exact', ['pro'])),
];
// Reads are not captured but where a case is about that.
$one = static fn (callable $call, array $flags = []): array => ['call' => static function () use (
    $call,
    $flags,
    $definitions,
) {
    Sdk::define($flags ?: $definitions);
    return $call();
}];
$value = static fn (string $key, array $properties = []): callable =>
    static fn () => PostHog::getFeatureFlag($key, 'u', ['company' => 'acme'], $properties, [], true, false);
$operator = static fn (string $operator, mixed $value, mixed $property): array => [
    'call' => static function () use ($operator, $value, $property, $flag, $plan) {
        Sdk::define([$flag('f', $plan($operator, $value))]);
        return PostHog::getFeatureFlag('f', 'u', [], ['plan' => $property], [], true, false);
    },
];
$snapshot = static fn (callable $read): array => $one(
    static fn () => $read(PostHog::evaluateFlags('u', ['company' => 'acme'], ['plan' => 'pro'])),
);
// Of each captured read what both packages have. Without groups posthog-php adds an empty list of them.
$reads = static fn (callable $call): array => $one($call) + ['options' => ['before_send' => static fn (array $event) => [
    'properties' => array_filter(array_intersect_key(
        $event['properties'],
        array_flip(['$feature_flag', '$feature_flag_response', '$groups', '$is_server']),
    ), static fn (mixed $value): bool => $value !== []),
] + $event]];

return [
    'feature flags' => [
        'a flag that is on' => $one($value('on')),
        'a flag that is off' => $one($value('off')),
        'a variant' => $one($value('layout')),
        'a flag that is not there' => $one($value('missing')),
        'a property that matches' => $one($value('pro', ['plan' => 'pro'])),
        'a property that does not match' => $one($value('pro', ['plan' => 'free'])),
        'a property that is not given' => $one($value('pro')),
        'a group' => $one($value('company')),
        'a group that is not given' => $one(
            static fn () => PostHog::getFeatureFlag('company', 'u', [], [], [], true, false),
        ),
        'isFeatureEnabled' => $one(static fn () => array_map(
            static fn (string $key) => PostHog::isFeatureEnabled($key, 'u', [], [], [], true, false),
            ['on', 'off', 'layout', 'pro', 'missing'],
        )),
        'getAllFlags' => $one(static fn () => PostHog::getAllFlags('u', ['company' => 'acme'], ['plan' => 'x'], [], true)),
        'getAllFlags, one of which has no value' => $one(static fn () => PostHog::getAllFlags('u', [], [], [], true)),
        'getFeatureFlagResult' => $one(static function () {
            $result = PostHog::getFeatureFlagResult('layout', 'u', [], [], [], true, false);
            return [get_class($result), $result->getKey(), $result->isEnabled(), $result->getVariant(), $result->getValue()];
        }),
        'getFeatureFlagResult of a flag that is not there' => $one(
            static fn () => PostHog::getFeatureFlagResult('missing', 'u', [], [], [], true, false),
        ),
        'the payload of a flag that is evaluated here' => $one(
            static fn () => PostHog::getFeatureFlagPayload('layout', 'u'),
        ) + [
            'ours' => ['returns' => ['columns' => 2]],
            'why' => 'the definition has it',
        ],
        'without an id' => $one(static fn () => [
            PostHog::getFeatureFlag('on', null, [], [], [], true, false), PostHog::getAllFlags(null, [], [], [], true),
            PostHog::evaluateFlags(null)->getKeys(),
        ]),
        'the id of the context' => $one(static fn () => PostHog::withContext(
            ['distinctId' => 'c'],
            static fn () => PostHog::getFeatureFlag('on', null, [], [], [], true, false),
        )),
        'the keys of a snapshot' => $snapshot(static fn ($flags) => $flags->getKeys()),
        'a snapshot of some flags' => $one(
            static fn () => PostHog::evaluateFlags('u', [], [], [], true, false, ['off', 'on'])->getKeys(),
        ),
        'a snapshot of no flags' => $one(
            static fn () => PostHog::evaluateFlags('u', [], [], [], true, false, [])->getKeys(),
        ),
        'only' => $snapshot(static fn ($flags) => $flags->only(['layout', 'missing'])->getKeys()),
        'onlyAccessed before a read' => $snapshot(static fn ($flags) => $flags->onlyAccessed()->getKeys()),
        'an event with a snapshot' => $snapshot(
            static fn ($flags) => PostHog::capture($e + ['flags' => $flags, 'properties' => ['$feature/on' => 'own']]),
        ),
        'an event with a snapshot without flags that are on' => $snapshot(
            static fn ($flags) => PostHog::capture($e + ['flags' => $flags->only(['off'])]),
        ),
        'send_feature_flags' => $one(
            static fn () => PostHog::capture($e + ['send_feature_flags' => true, 'groups' => ['company' => 'acme']]),
        ),
        'send_feature_flags, without an id' => $one(
            static fn () => PostHog::capture(['event' => 'e', 'send_feature_flags' => true]),
        ),
        'a read is captured' => $reads(static fn () => PostHog::getFeatureFlag('layout', 'u')),
        'a read that is repeated' => $reads(static fn () => [
            PostHog::getFeatureFlag('on', 'u'), PostHog::isFeatureEnabled('on', 'u'), PostHog::getFeatureFlag('on', 'v'),
        ]),
        'a read in another group' => $reads(static fn () => [
            PostHog::getFeatureFlag('on', 'u'), PostHog::getFeatureFlag('on', 'u', ['company' => 'acme']),
        ]),
        'reads of a snapshot' => $reads(static function () {
            $flags = PostHog::evaluateFlags('u', [], ['plan' => 'pro']);
            return [$flags->isEnabled('on'), $flags->getFlag('off'), $flags->getFlag('on'), $flags->getFlag('missing')];
        }),
        'what is not a read' => $reads(static fn () => [
            PostHog::evaluateFlags('u', ['company' => 'acme'], ['plan' => 'pro'])->getFlagPayload('on'),
            PostHog::getAllFlags('u', ['company' => 'acme'], ['plan' => 'pro']),
            PostHog::isFeatureEnabled('on', 'u', [], [], [], false, false),
        ]),
        'text of another case' => $operator('exact', 'PRO', 'pro'),
        'text that is a number' => $operator('exact', '30', 30),
        'a number in a text that is less' => $operator('gt', '9', '10') + [
            'ours' => ['returns' => true], 'why' => 'the server compares numbers; there "10" is less than "9"',
        ],
        'a part at the beginning' => $operator('not_icontains', 'pro', 'product') + [
            'ours' => ['returns' => false], 'why' => 'it contains the part',
        ],
        'before init' => ['init' => false, 'call' => static fn () => [
            PostHog::isFeatureEnabled('on', 'u'), PostHog::getFeatureFlag('on', 'u'), PostHog::getAllFlags('u'),
            PostHog::evaluateFlags('u')->getKeys(), PostHog::getFeatureFlagPayload('on', 'u'),
            PostHog::getFeatureFlagResult('on', 'u'), PostHog::fetchFeatureVariants('u'),
        ]],
    ],
];
