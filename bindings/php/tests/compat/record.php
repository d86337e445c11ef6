<?php

/*
 * Runs the cases with a checkout of posthog-php and writes what it does into posthog-php.json:
 *
 *     git clone https://github.com/PostHog/posthog-php
 *     POSTHOG_PHP=posthog-php php bindings/php/tests/compat/record.php
 *
 * Nothing is sent, so ext-curl is not needed. Without `composer install` in the checkout a stand-in for symfony/clock
 * is used. The checkout is not part of this project.
 */

declare(strict_types=1);

namespace PostHog\Tests\Compat;

require __DIR__ . '/values.php';
require __DIR__ . '/Sdk.php';
require __DIR__ . '/Observation.php';
require __DIR__ . '/Table.php';

$checkout = getenv('POSTHOG_PHP') ?: exit("set POSTHOG_PHP to a checkout of posthog-php\n");
Sdk::load($checkout);
$recorded = ['version' => Sdk::version(), 'php' => PHP_VERSION, 'cases' => Table::observe()];
Table::record($recorded);
echo array_sum(array_map('count', $recorded['cases'])), " cases recorded with posthog-php $recorded[version]\n";
