<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Tests\Compat\Observation;
use PostHog\Tests\Compat\Table;

require_once __DIR__ . '/compat/values.php';
require_once __DIR__ . '/compat/Sdk.php';
require_once __DIR__ . '/compat/Observation.php';
require_once __DIR__ . '/compat/Table.php';

/**
 * This package does what posthog-php does, as recorded from it by record.php. Where it differs on purpose, cases.php
 * says how and why.
 */
final class CompatTest extends TestCase
{
    /** @var array<string, array<string, array<string, mixed>>> what this package does */
    private static array $observed;

    public static function setUpBeforeClass(): void
    {
        exec(escapeshellarg(PHP_BINARY) . ' ' . escapeshellarg(__DIR__ . '/compat/observe.php'), $lines, $status);
        self::assertSame(0, $status, implode("\n", $lines));
        self::$observed = json_decode(implode("\n", $lines), true);
    }

    /**
     * @dataProvider cases
     * @param array<string, mixed> $case
     * @param array<string, mixed> $theirs
     */
    public function testACase(string $group, string $name, array $case, array $theirs): void
    {
        $ours = self::$observed[$group][$name];
        $differing = $case['ours'] ?? [];
        foreach ($ours as $member => $value) {
            if (array_key_exists($member, $differing)) {
                $expected = Observation::sorted($differing[$member]);
                self::assertSame($expected, self::chosen($value, $expected), $member);
                self::assertNotSame($theirs[$member], $value, "$member does not differ any more");
                unset($differing[$member]);
            } else {
                self::assertSame($theirs[$member], $value, $member);
            }
        }
        self::assertSame([], $differing, 'what differs is not observed');
    }

    /** The members of events and settings that are expected; the others are not named. */
    private static function chosen(mixed $value, mixed $expected): mixed
    {
        if (!is_array($value) || !is_array($expected)) {
            return $value;
        }
        $chosen = [];
        foreach ($expected as $key => $part) {
            if (array_key_exists($key, $value)) {
                $chosen[$key] = $key === 'properties' ? $value[$key] : self::chosen($value[$key], $part);
            }
        }
        return array_is_list($value) && count($value) !== count($expected) ? $value : $chosen;
    }

    /** @return iterable<string, array{string, string, array<string, mixed>, array<string, mixed>}> */
    public static function cases(): iterable
    {
        $recorded = Table::recorded()['cases'];
        foreach (Table::cases() as $group => $cases) {
            foreach ($cases as $name => $case) {
                yield "$group: $name" => [$group, $name, $case, $recorded[$group][$name] ?? ['not' => 'recorded']];
            }
        }
    }

    public function testEveryRecordedCaseIsThere(): void
    {
        $names = static fn (array $groups): array => array_map(array_keys(...), $groups);
        self::assertSame($names(Table::recorded()['cases']), $names(Table::cases()));
    }

    public function testEveryDifferenceHasAReason(): void
    {
        foreach (Table::cases() as $cases) {
            foreach ($cases as $name => $case) {
                self::assertSame(isset($case['ours']), isset($case['why']), $name);
            }
        }
    }

    public function testTheTableOfTheDocumentation(): void
    {
        $page = file_get_contents(dirname(__DIR__, 3) . '/docs/compatibility-php.md');
        self::assertSame(Table::page(), $page, 'run php bindings/php/tests/compat/table.php');
    }
}
