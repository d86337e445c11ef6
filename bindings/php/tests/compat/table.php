<?php

/* Writes docs/compatibility-php.md, which CompatTest compares with the cases. */

declare(strict_types=1);

namespace PostHog\Tests\Compat;

require __DIR__ . '/values.php';
require __DIR__ . '/Sdk.php';
require __DIR__ . '/Observation.php';
require __DIR__ . '/Table.php';

Sdk::load(null);
file_put_contents(dirname(__DIR__, 4) . '/docs/compatibility-php.md', Table::page());
