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

enum Colour: int implements \JsonSerializable
{
    case Red = 1;

    public function jsonSerialize(): mixed
    {
        return ['colour' => $this->name];
    }
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
            protected int $guarded = 2;
            private int $hidden = 2;
        }, '{"seen":1}'];
        $seconds = new \DateTime('1930-06-01 12:00', new \DateTimeZone('Europe/Amsterdam'));
        yield 'a date whose offset has seconds' => [$seconds, '"1930-06-01T10:40:28.000Z"'];
        $far = new \DateTime('2024-02-03T04:05:06', new \DateTimeZone('+30:00'));
        yield 'a date whose offset is more than a day' => [$far, '"2024-02-01T22:05:06.000Z"'];
        yield 'a date that was not constructed' => [new class extends \DateTime {
            public function __construct()
            {
            }
        }, 'null'];
        yield 'an enum that serialises itself' => [Colour::Red, '{"colour":"Red"}'];
        yield 'an object that serialises as itself' => [new class implements \JsonSerializable {
            public int $seen = 1;
            private int $hidden = 2;

            public function jsonSerialize(): mixed
            {
                return $this;
            }
        }, '{"seen":1}'];
        $nested = self::serialising(['a' => self::serialising([self::failing(), NAN, self::serialising(1)])]);
        yield 'objects that serialise themselves, nested' => [$nested, '{"a":[null,null,1]}'];
        $first = self::serialising(null);
        $first->value = self::serialising($first);
        yield 'two objects that serialise as each other' => [$first, 'null'];
        yield 'an endless chain of objects' => [new class implements \JsonSerializable {
            public function jsonSerialize(): mixed
            {
                return new self();
            }
        }, 'null'];
        yield 'an object that ends in an Error' => [self::serialising(fn () => undefined_function()), 'null'];
        yield 'a generator' => [(fn () => yield 1)(), '{}'];
        $storage = new \ArrayObject(['plan' => 'pro', 'n' => NAN, 'at' => new \DateTime('2024-01-01Z')]);
        yield 'an ArrayObject' => [$storage, '{"plan":"pro","n":null,"at":"2024-01-01T00:00:00.000+00:00"}'];
        yield 'numbers as names of properties' => [(object) ['1' => 'a', '01' => 'b'], '{"1":"a","01":"b"}'];
        $keys = ["a\xff" => 1, 'b' => 2, "a\xfe" => 3];
        yield 'keys that become the same' => [$keys, "{\"a\u{FFFD}\":3,\"b\":2}"];
        $keys = (object) ["\xff" => [(object) ["\xff" => 1, "\xfe" => "\xff"]], 7 => 1];
        yield 'such keys, nested' => [$keys, "{\"\u{FFFD}\":[{\"\u{FFFD}\":\"\u{FFFD}\"}],\"7\":1}"];
    }

    /** Objects of PHP's own classes, and of classes that extend them. */
    public function testOtherObjectsAreWhatJsonEncodeWrites(): void
    {
        $with = new class ([1, 'a' => 2]) extends \ArrayObject {
            public int $own = 1;
            private int $hidden = 2;
        };
        $queue = new \SplQueue();
        $queue[] = 1;
        $dynamic = new class extends \stdClass {
            public mixed $null = null;
            protected int $guarded = 2;
        };
        $dynamic->{'7'} = 'x';
        $objects = [
            $with, $queue, $dynamic, new \DateTimeZone('Europe/Berlin'), new \DateInterval('P1DT5M'),
            new \ArrayIterator(['a' => 1]), new \ArrayObject([1, 2]), new \ArrayObject(new \DateTimeZone('UTC')),
            new \RecursiveArrayIterator([1, [2]]), \SplFixedArray::fromArray([1, 2]), new \RuntimeException('x'),
            new \ReflectionClass(\stdClass::class),
            new class ('UTC') extends \DateTimeZone {
                public int $own = 1;
            },
        ];
        foreach (get_declared_classes() as $class) {
            $reflection = new \ReflectionClass($class);
            $isDate = is_a($class, \DateTimeInterface::class, true);
            if ($reflection->isInternal() && $reflection->isInstantiable() && !$isDate) {
                try {
                    $objects[] = new $class();
                } catch (\Throwable) {
                    // It needs arguments.
                }
            }
        }
        self::assertGreaterThan(30, count($objects));
        foreach ($objects as $object) {
            $expected = json_encode(['v' => [$object]]);
            if ($expected !== false) {
                $written = Json::encode(['v' => [$object]]);
                self::assertEquals(json_decode($expected), json_decode($written), $object::class);
            }
        }
    }

    /** What json_encode writes at once is what it writes of the copy, in which everything else is plain. */
    public function testBothWaysWriteTheSame(): void
    {
        $members = new \ReflectionMethod(Json::class, 'members');
        $text = new \ReflectionMethod(Json::class, 'text');
        mt_srand(1);
        for ($i = 0; $i < 3000; $i++) {
            $value = self::random(0);
            $copy = $members->invoke(new Json(), $value, 0);
            self::assertSame($text->invoke(null, $copy), Json::encode($value));
        }
        foreach (range(90, 110) as $depth) {
            $value = 1;
            for ($i = 0; $i < $depth; $i++) {
                $value = [$value];
            }
            self::assertSame($text->invoke(null, $members->invoke(new Json(), $value, 0)), Json::encode($value));
        }
    }

    /** @return array<int|string, mixed> */
    private static function random(int $depth): array
    {
        $values = [];
        for ($i = mt_rand(0, 5); $i > 0; $i--) {
            $value = match (mt_rand(0, $depth < 5 ? 13 : 9)) {
                0 => mt_rand() / 7, 1 => PHP_INT_MAX - mt_rand(), 2 => (bool) mt_rand(0, 1), 3 => null,
                4 => "/\u{e9}\u{2028}\"", 5 => (float) mt_rand(0, 9), 6 => [], 7 => (string) mt_rand(), 8 => '',
                9 => -0.0,
                10 => mt_rand(0, 20) === 0 ? NAN : 'n', 11 => mt_rand(0, 20) === 0 ? "\xff" : 'b',
                12 => mt_rand(0, 9) === 0 ? new \DateTimeImmutable('2024-01-01') : 'd',
                default => self::random($depth + 1),
            };
            if (mt_rand(0, 1)) {
                $values["k$i"] = $value;
            } else {
                $values[] = $value;
            }
        }
        return $values;
    }

    public function testDepthAndSizeAreBounded(): void
    {
        $deep = 1;
        for ($i = 0; $i < 2000; $i++) {
            $deep = [$deep];
        }
        self::assertStringContainsString('[null]', Json::encode(['v' => $deep]));
        $twice = ['a' => 1];
        for ($i = 0; $i < 40; $i++) {
            $twice = [$twice, $twice];
        }
        self::assertLessThan(10_000_000, strlen(Json::encode($twice)));
        self::assertSame(200_001, substr_count(Json::encode(range(0, 200_000)), ',') + 1);
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
            public function __construct(public mixed $value)
            {
            }

            public function jsonSerialize(): mixed
            {
                return $this->value instanceof \Closure ? ($this->value)() : $this->value;
            }
        };
    }
}
