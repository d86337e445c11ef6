<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;

/** The timestamps of events. PHP's own parser decides what a text means. */
final class TimestampTest extends TestCase
{
    private const WIRE = 'Y-m-d\TH:i:s.v\Z';

    /** How text shows a time with its offset; and without it, which is then that of the default zone. */
    private const FORMATS = [
        DATE_ATOM, DATE_COOKIE, DATE_ISO8601, DATE_RFC822, DATE_RFC850, DATE_RFC1036, DATE_RFC1123, DATE_RFC2822,
        DATE_RFC3339, DATE_RFC3339_EXTENDED, DATE_RFC7231, DATE_RSS, DATE_W3C, 'Y-m-d H:i:s O', 'Y-m-d H:i:s P',
        'Y-m-d H:i:sO', 'Y-m-d\TH:iO', 'Y-m-d\TH:iP', 'Y-m-d\TH:i\Z', 'Y-m-d\TH:i:s.uO', 'Y-m-d H:i:s.uP',
        'Y-m-d\TH:i:s.v\Z', 'Ymd\THisO', 'Ymd\THis\Z', 'YmdHis O', '@U', '@U.u', 'D M d Y H:i:s \G\M\TO',
        'D M d H:i:s T Y', 'Y-m-d H:i:s O T', 'Y-m-d H:i:s e', 'Y-m-d\TH:i:s e', 'o-\WW-N\TH:i:sP', 'd.m.Y H:i:s P',
        'm/d/Y h:i A T', 'd-M-Y H:i:s O', 'Y-m-d', 'Y-m-d H:i:s', 'Y-m-d\TH:i:s', 'Y-m-d\TH:i', 'd F Y', 'D, d M y',
        'Y-m-d\TH:i:60P', 'Y-02-30 H:i', 'Y-m-d\T24:00', 'Y-02-30\TH:i:sP', 'Y-m-d\T24:00:00P',
    ];

    /** Zones, some with an offset of minutes or seconds at one of the times. */
    private const ZONES = [
        'UTC', 'Europe/Berlin', 'America/St_Johns', 'Asia/Kathmandu', 'Pacific/Apia', 'Europe/Amsterdam',
        'Africa/Monrovia', '+05:30', '-00:44', '+14:00',
    ];

    private const TIMES = [
        '2024-06-01 12:00:00.123456', '2024-10-27 02:30:00', '1930-06-01 12:00:00', '1971-06-01 12:00:00.999999',
        '1969-12-31 23:59:59.5', '2016-12-31 23:59:59', '0999-01-01 00:00:00',
    ];

    private string $zone;
    private Client $client;
    /** @var list<string> */
    private array $refused = [];

    protected function setUp(): void
    {
        $this->zone = date_default_timezone_get();
        $this->client = new Client('phc_key', [
            'settings' => ['test_mode' => true],
            'error_handler' => function (string $status): void {
                $this->refused[] = $status;
            },
        ]);
    }

    protected function tearDown(): void
    {
        date_default_timezone_set($this->zone);
    }

    /** The timestamp of an event on the wire; null if the event was not captured. */
    private function wire(mixed $timestamp): ?string
    {
        $event = ['distinctId' => 'u', 'event' => 'e', 'timestamp' => $timestamp];
        $isCaptured = $this->client->capture($event);
        return $isCaptured ? json_decode($this->client->nextTestEvent(), true)['timestamp'] : null;
    }

    private static function inUtc(\DateTimeImmutable $date): string
    {
        return $date->setTimezone(new \DateTimeZone('UTC'))->format(self::WIRE);
    }

    public function testEveryTextThatPhpReadsIsTheSameInstant(): void
    {
        $read = 0;
        foreach (['Europe/Berlin', 'America/St_Johns'] as $default) {
            date_default_timezone_set($default);
            foreach (self::texts() as $text) {
                try {
                    $date = new \DateTimeImmutable($text);
                } catch (\Exception) {
                    continue;
                }
                $read++;
                self::assertSame(self::inUtc($date), $this->wire($text), $text);
            }
        }
        self::assertGreaterThan(5000, $read);
        self::assertSame([], $this->refused);
    }

    /** @return iterable<string> */
    private static function texts(): iterable
    {
        foreach (self::ZONES as $zone) {
            foreach (self::TIMES as $time) {
                foreach (self::FORMATS as $format) {
                    yield (new \DateTimeImmutable($time, new \DateTimeZone($zone)))->format($format);
                }
            }
        }
    }

    public function testARelativeTextIsReadAtTheCapture(): void
    {
        $texts = ['now', 'yesterday noon', 'tomorrow', '+1 week 2 days', 'last monday', 'first day of next month'];
        foreach ($texts as $text) {
            $before = self::inUtc(new \DateTimeImmutable($text));
            $wire = $this->wire($text);
            self::assertGreaterThanOrEqual($before, $wire, $text);
            self::assertLessThanOrEqual(self::inUtc(new \DateTimeImmutable($text)), $wire, $text);
        }
    }

    public function testObjectsInAnyZone(): void
    {
        foreach (self::ZONES as $zone) {
            foreach (self::TIMES as $time) {
                $date = new \DateTimeImmutable($time, new \DateTimeZone($zone));
                self::assertSame(self::inUtc($date), $this->wire($date), "$time $zone");
                self::assertSame(self::inUtc($date), $this->wire(\DateTime::createFromInterface($date)));
            }
        }
        self::assertSame('2024-06-01T12:00:00.000Z', $this->wire(new class ('2024-06-01T12:00Z') extends \DateTime {
        }));
    }

    public function testNumbersAreSeconds(): void
    {
        foreach ([
            [0, '1970-01-01T00:00:00.000Z'], [-1, '1969-12-31T23:59:59.000Z'], [-0.5, '1969-12-31T23:59:59.500Z'],
            ['-1.25', '1969-12-31T23:59:58.750Z'], [1_700_000_000.29, '2023-11-14T22:13:20.290Z'],
            [0.001, '1970-01-01T00:00:00.001Z'], ['1.7e9', '2023-11-14T22:13:20.000Z'],
            ['20240601', '1970-08-23T06:23:21.000Z'], [253_402_300_799.999, '9999-12-31T23:59:59.999Z'],
        ] as [$given, $wire]) {
            self::assertSame($wire, $this->wire($given), (string) $given);
        }
    }

    /**
     * The event is sent, and its timestamp is reported.
     *
     * @dataProvider wrong
     */
    public function testAnythingElseIsTheCurrentTime(mixed $timestamp): void
    {
        $before = self::inUtc(new \DateTimeImmutable());
        $wire = $this->wire($timestamp);
        self::assertGreaterThanOrEqual($before, $wire);
        self::assertLessThanOrEqual(self::inUtc(new \DateTimeImmutable()), $wire);
        self::assertSame(['invalid_timestamp'], $this->refused);
    }

    /** @return array<string, array{mixed}> */
    public static function wrong(): array
    {
        return [
            'words' => ['the day after'], 'month 13' => ['2024-13-01T00:00:00Z'], 'hour 25' => ['2024-01-01T25:00:00Z'],
            'year 10000 in UTC' => ['9999-12-31T23:59:59-00:01'], 'year -1 in UTC' => ['0000-01-01T00:00:00+00:01'],
            'white space' => ['  '], 'no zone' => ['2024-06-01 12:00 Europe/Nowhere'],
            'bytes' => ["2024-06-01\xff"], 'a far year' => ['@999999999999'], 'before the year 0' => ['-0044-03-15'],
            'not a number' => [NAN], 'infinite' => [INF], 'large' => [1e300], 'milliseconds' => [1_700_000_000_000],
            'many digits' => ['99999999999999999999'], 'true' => [true], 'false' => [false], 'a list' => [[1]],
            'an object' => [new \stdClass()], 'a date that was not constructed' => [new class extends \DateTime {
                public function __construct()
                {
                }
            }],
        ];
    }

    public function testADateInAPropertyIsTheSameInstant(): void
    {
        foreach (self::ZONES as $zone) {
            foreach (self::TIMES as $time) {
                $date = new \DateTimeImmutable($time, new \DateTimeZone($zone));
                $properties = ['date' => $date, 'list' => [\DateTime::createFromImmutable($date)]];
                $this->client->capture(['distinctId' => 'u', 'event' => 'e', 'properties' => $properties]);
                $wire = json_decode($this->client->nextTestEvent(), true)['properties'];
                foreach ([$wire['date'], $wire['list'][0]] as $text) {
                    self::assertMatchesRegularExpression('/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+\-Z]/', $text);
                    self::assertSame(self::inUtc($date), self::inUtc(new \DateTimeImmutable($text)), $text);
                }
            }
        }
    }
}
