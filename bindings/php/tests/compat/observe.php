<?php

/* Runs the cases with this package and prints what they do, for CompatTest: in a process where nothing else ran. */

declare(strict_types=1);

namespace PostHog\Tests\Compat;

require __DIR__ . '/values.php';
require __DIR__ . '/Sdk.php';
require __DIR__ . '/Observation.php';
require __DIR__ . '/Table.php';

Sdk::load(null);
echo json_encode(Table::observe(), JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR);
