<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Json;

enum Plan: string
{
    case Pro = 'pro';
}

enum Side
{
    case Left;
}

final class JsonTest extends TestCase
{
    /** @dataProvider values */
    public function testAValueBecomes(mixed $value, string $json): void
    {
        self::assertSame("{\"v\":$json,\"rest\":1}", Json::encode(['v' => $value, 'rest' => 1]));
    }

    /** @return iterable<string, array{mixed, string}> */
    public static function values(): iterable
    {
        $closed = fopen('php://memory', 'r');
        fclose($closed);
        $cycle = new \stdClass();
        $cycle->self = $cycle;
        $cycle->a = 1;
        $loop = ['a' => 1];
        $loop['self'] = &$loop;
        yield 'NaN' => [NAN, 'null'];
        yield 'infinity' => [[1.5, -INF], '[1.5,null]'];
        yield 'a resource' => [fopen('php://memory', 'r'), 'null'];
        yield 'a closed resource' => [$closed, 'null'];
        yield 'a closure' => [strlen(...), 'null'];
        yield 'bad UTF-8' => ["a\xffb\xe2\x82", "\"a\u{FFFD}b\u{FFFD}\""];
        yield 'bad UTF-8 in a key' => [["a\xff" => 1], "{\"a\u{FFFD}\":1}"];
        yield 'a cycle' => [$cycle, '{"self":null,"a":1}'];
        yield 'an object that fails' => [self::failing(), 'null'];
        yield 'the largest integer' => [PHP_INT_MAX, '9223372036854775807'];
        yield 'the smallest integer' => [PHP_INT_MIN, '-9223372036854775808'];
        yield 'a float' => [0.1, '0.1'];
        yield 'a whole float' => [10.0, '10.0'];
        yield 'a negative zero' => [-0.0, '-0.0'];
        yield 'null, true and false' => [[null, true, false], '[null,true,false]'];
        yield 'an empty array' => [[], '[]'];
        yield 'an empty object' => [new \stdClass(), '{}'];
        yield 'a gap in a list' => [[1 => 'a'], '{"1":"a"}'];
        yield 'slashes and Unicode' => ["/ü\u{2028}", "\"/ü\u{2028}\""];
        $date = new \DateTime('2024-02-03 04:05:06.789', new \DateTimeZone('+02:00'));
        yield 'a date' => [$date, '"2024-02-03T04:05:06.789+02:00"'];
        $immutable = new \DateTimeImmutable('2024-02-03T04:05:06Z');
        yield 'an immutable date, nested' => [['at' => $immutable], '{"at":"2024-02-03T04:05:06.000+00:00"}'];
        yield 'enums' => [[Plan::Pro, Side::Left], '["pro","Left"]'];
        $serialising = self::serialising(['n' => NAN, 'a' => 1]);
        yield 'an object that serialises itself' => [$serialising, '{"n":null,"a":1}'];
        yield 'public properties' => [new class {
            public int $seen = 1;
            private int $hidden = 2;
        }, '{"seen":1}'];
    }

    public function testDepthAndSizeAreBounded(): void
    {
        $deep = 1;
        for ($i = 0; $i < 2000; $i++) {
            $deep = [$deep];
        }
        self::assertStringContainsString('[null]', Json::encode(['v' => $deep]));
        $loop = ['a' => 1];
        $loop['self'] = &$loop;
        $loop['again'] = &$loop;
        self::assertLessThan(10_000_000, strlen(Json::encode($loop)));
    }

    public function testTheArrayOfTheCallerDoesNotChange(): void
    {
        $value = NAN;
        $given = ['n' => &$value, 'date' => new \DateTime('2024-01-01')];
        Json::encode($given);
        self::assertNan($value);
        self::assertInstanceOf(\DateTime::class, $given['date']);
    }

    public function testTheIniSettingOfThePrecisionHasNoEffect(): void
    {
        $before = ini_set('serialize_precision', '17');
        self::assertSame('{"v":0.1}', Json::encode(['v' => 0.1]));
        self::assertSame('17', ini_get('serialize_precision'));
        ini_set('serialize_precision', $before);
    }

    private static function failing(): \JsonSerializable
    {
        return new class implements \JsonSerializable {
            public function jsonSerialize(): mixed
            {
                throw new \RuntimeException('no');
            }
        };
    }

    private static function serialising(mixed $value): \JsonSerializable
    {
        return new class ($value) implements \JsonSerializable {
            public function __construct(private readonly mixed $value)
            {
            }

            public function jsonSerialize(): mixed
            {
                return $this->value;
            }
        };
    }
}
