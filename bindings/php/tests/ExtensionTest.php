<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\Declarations;
use PostHog\FfiClient;
use PostHog\FfiFlags;
use PostHog\FfiLibrary;
use PostHog\Json;
use PostHog\Message;

/**
 * The extension phc beside FFI and the package's own encoder. PHC_BINDING says which of the two this run is for:
 * `extension` or `ffi`.
 */
final class ExtensionTest extends TestCase
{
    private const TEST = ['test_mode' => 'true'];

    public function testWhatCallsTheLibrary(): void
    {
        $expected = getenv('PHC_BINDING') ?: (extension_loaded('phc') ? 'extension' : 'ffi');
        self::assertSame($expected, (new Client('phc_key', ['settings' => self::TEST]))->binding());
        self::assertNull((new Client(null, ['consumer' => 'noop']))->binding());
        if ($expected === 'extension') {
            self::assertStringContainsString('phc', implode(' ', get_loaded_extensions()));
            ob_start();
            phpinfo(INFO_MODULES);
            self::assertStringContainsString('PostHog events by libphc => enabled', ob_get_clean());
        }
    }

    /** @requires extension phc */
    public function testTheExtensionHasTheMethodsOfTheFfiClasses(): void
    {
        $pairs = [
            [FfiLibrary::class, \Phc\Library::class],
            [FfiClient::class, \Phc\Client::class],
            [FfiFlags::class, \Phc\Flags::class],
        ];
        foreach ($pairs as [$ffi, $extension]) {
            foreach ((new \ReflectionClass($ffi))->getMethods(\ReflectionMethod::IS_PUBLIC) as $method) {
                if (in_array($method->getName(), ['__construct', '__destruct', 'flags', 'all', 'memory'], true)) {
                    continue;
                }
                $other = new \ReflectionMethod($extension, $method->getName());
                self::assertSame(self::signature($method), self::signature($other));
            }
        }
    }

    private static function signature(\ReflectionMethod $method): string
    {
        $parameters = array_map(
            static fn (\ReflectionParameter $parameter): string => "{$parameter->getType()} \${$parameter->getName()}",
            $method->getParameters(),
        );
        $result = str_replace('PostHog\Ffi', 'Phc\\', (string) $method->getReturnType());
        return $method->getName() . '(' . implode(', ', $parameters) . "): $result";
    }

    /**
     * What the package itself writes; null if it makes a remark.
     *
     * @param array<int|string, mixed> $message
     * @param array<string, mixed> $added
     */
    private static function written(array $message, array $added): ?string
    {
        [$event, $remarks] = Message::event($message);
        $json = Message::encode(Message::with($event, $added), $remarks);
        return $remarks === [] ? $json : null;
    }

    /**
     * Where the extension encodes a message, it writes what the package writes.
     *
     * @requires extension phc
     */
    public function testBothWaysWriteTheSame(): void
    {
        $seed = (int) (getenv('PHC_SEED') ?: 1);
        mt_srand($seed);
        $encoded = 0;
        $count = (int) (getenv('PHC_CASES') ?: 5000);
        for ($i = 0; $i < $count; $i++) {
            [$message, $added] = RandomMessage::make();
            $copy = serialize([$message, $added]);
            $json = \Phc\Client::encode($message, $added);
            self::assertSame($copy, serialize([$message, $added]), 'the message changed');
            if ($json !== null) {
                self::assertSame(self::written($message, $added), $json, "PHC_SEED=$seed, message $i");
                $encoded++;
            }
        }
        self::assertGreaterThan($count / 4, $encoded);
        self::assertLessThan($count * 3 / 4, $encoded);
    }

    /**
     * Where the extension encodes the properties of a person or group, it writes what the package writes.
     *
     * @requires extension phc
     */
    public function testBothWaysWriteTheSameObject(): void
    {
        $seed = (int) (getenv('PHC_SEED') ?: 1);
        mt_srand($seed);
        [$encoded, $objects] = [0, 0];
        $count = (int) (getenv('PHC_CASES') ?: 5000);
        for ($i = 0; $i < $count; $i++) {
            [$message] = RandomMessage::make();
            $members = $message['properties'] ?? null;
            if (!is_array($members) || array_is_list($members)) {
                continue;
            }
            $objects++;
            $json = \Phc\Client::encodeObject($members);
            if ($json !== null) {
                self::assertSame(Json::encode($members), $json, "PHC_SEED=$seed, message $i");
                $encoded++;
            }
        }
        self::assertGreaterThan($objects / 4, $encoded);
        self::assertLessThan($objects, $encoded);
        $deep = 1;
        for ($i = 0; $i < 98; $i++) {
            $deep = [$deep];
        }
        self::assertSame(Json::encode(['v' => $deep]), \Phc\Client::encodeObject(['v' => $deep]));
        self::assertNull(\Phc\Client::encodeObject(['v' => [$deep]]));
        self::assertNull(\Phc\Client::encodeObject(['v' => range(0, 100_000)]));
    }

    /**
     * Floats are what json_encode writes: decimal numbers, those next to one, and those of any bits.
     *
     * @requires extension phc
     */
    public function testEveryFloatIsWhatJsonEncodeWrites(): void
    {
        mt_srand((int) (getenv('PHC_SEED') ?: 1));
        $count = (int) (getenv('PHC_CASES') ?: 5000) * 10;
        for ($i = 0; $i < $count; $i++) {
            $float = mt_rand(-10 ** mt_rand(1, 9), 10 ** mt_rand(1, 9)) * 10 ** mt_rand(0, 7) / 10 ** mt_rand(0, 12);
            $near = unpack('d', pack('q', unpack('q', pack('d', $float))[1] + mt_rand(-3, 3)))[1];
            $any = unpack('d', pack('NN', mt_rand(0, 0xffffffff), mt_rand(0, 0xffffffff)))[1];
            foreach ([(float) $float, $near, $any] as $value) {
                if (is_finite($value)) {
                    $text = json_encode($value, JSON_PRESERVE_ZERO_FRACTION);
                    $json = \Phc\Client::encode(['event' => 'e', 'window_id' => $value], []);
                    if ($json !== "{\"event\":\"e\",\"window_id\":$text}") {
                        self::fail("$text is written as $json");
                    }
                }
            }
        }
        self::assertSame($count, $i);
    }

    /**
     * @requires extension phc
     * @dataProvider ordinary
     * @param array<int|string, mixed> $message
     */
    public function testAnOrdinaryMessageIsEncoded(array $message): void
    {
        foreach ([[], ['$is_server' => true, 'plan' => 'pro', 7 => 1]] as $added) {
            $json = \Phc\Client::encode($message, $added);
            self::assertNotNull($json);
            self::assertSame(self::written($message, $added), $json);
        }
    }

    /** @return iterable<string, array{array<int|string, mixed>}> */
    public static function ordinary(): iterable
    {
        $event = ['event' => 'e', 'distinctId' => 'u'];
        yield 'a name and an id' => [$event];
        yield 'a number as the id' => [['event' => 'e', 'distinct_id' => -5]];
        yield 'null as an id' => [['distinct_id' => null] + $event];
        yield 'no properties' => [$event + ['properties' => []]];
        yield 'a list as properties' => [$event + ['properties' => ['a', 'b']]];
        yield 'a property that is also added' => [$event + ['properties' => ['plan' => null, 7 => 2]]];
        yield 'empty objects' => [$event + ['$set' => [], 'groups' => [], 'options' => [], 'properties' => [
            '$set' => [], '$set_once' => [], '$groups' => [], '$group_set' => [], '$other' => [],
        ]]];
        yield 'values' => [$event + ['properties' => [
            'null' => null, 'bools' => [true, false], 'ints' => [0, -1, PHP_INT_MAX, PHP_INT_MIN],
            'floats' => [0.1, 1 / 3, -0.0, 10.0, 1e25, 1.5e-9, 5e-324, PHP_FLOAT_MAX, 1e15, 1e17, 123456789012345680.0],
            'texts' => ['', '"\\/', "\0\1\x08\t\n\x0b\x0c\r\x1f\x7f", "\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}"],
            'lists' => [[], [1, [2]], [1 => 'a'], [-1 => 'a'], ['a' => [], '' => 1, "\0*\0b" => 2]],
        ]]];
        foreach ([0, 1, -1, 951_782_400, 1_709_164_800, 1_700_000_000, -62_167_219_200, 253_402_300_799] as $seconds) {
            yield "$seconds seconds" => [$event + ['timestamp' => $seconds]];
        }
        foreach (['2024-02-28T00:00:00Z', '0001-01-01t23:59:59.123456789z', '2024-12-01 12:34:56.7-23:59'] as $time) {
            yield $time => [$event + ['timestamp' => $time]];
        }
        yield 'a uuid' => [$event + ['uuid' => '018f6f2e-0000-7000-8000-000000000000']];
        yield 'what is not one' => [$event + ['uuid' => 'x']];
        $value = ['a' => 1];
        $message = $event + ['properties' => &$value];
        $value['again'] = &$message['event'];
        yield 'references' => [$message];
        $deep = 1;
        for ($i = 0; $i < 97; $i++) {
            $deep = [$deep];
        }
        yield 'as deep as can be' => [$event + ['properties' => ['v' => $deep]]];
        yield 'as many as can be' => [$event + ['properties' => range(1, 99_000)]];
        $array = [1, 2, 3];
        unset($array[0], $array[2]);
        yield 'holes' => [$event + ['properties' => ['one' => $array, 'none' => array_diff($array, [2])]]];
    }

    /**
     * @requires extension phc
     * @dataProvider unusual
     * @param array<int|string, mixed> $message
     */
    public function testAnUnusualMessageIsLeftToThePackage(array $message): void
    {
        self::assertNull(\Phc\Client::encode($message, []));
        self::assertNull(\Phc\Client::encode(['event' => 'e'], ['v' => NAN]));
    }

    /** @return iterable<string, array{array<int|string, mixed>}> */
    public static function unusual(): iterable
    {
        $event = ['event' => 'e', 'distinctId' => 'u'];
        yield 'nothing' => [[]];
        yield 'only null' => [['event' => null]];
        yield 'two ids' => [$event + ['distinct_id' => 'v']];
        yield 'two kinds of groups' => [$event + ['groups' => ['a' => 'b'], '$groups' => ['c' => 'd']]];
        yield 'a member that is not known' => [$event + ['more' => 1]];
        yield 'a number as a member' => [$event + [1]];
        yield 'feature flags' => [$event + ['send_feature_flags' => true]];
        yield 'properties that are not an array' => [$event + ['properties' => 'p']];
        yield 'a name that is not text' => [['event' => 1] + $event];
        foreach ([true, 1.5, [], new \stdClass()] as $id) {
            yield get_debug_type($id) . ' as the id' => [['distinctId' => $id] + $event];
        }
        $uuids = ['', '00000000-0000-0000-0000-000000000000', 'FFFFFFFF-ffff-ffff-ffff-ffffffffffff', 1];
        foreach ($uuids as $uuid) {
            yield "uuid $uuid" => [$event + ['uuid' => $uuid]];
        }
        $times = [
            '', 'now', '2024-02-29T00:00:00Z', '0000-01-01T00:00:00Z', '9999-01-01T00:00:00Z', '2024-13-01T00:00:00Z',
            '2024-01-01T24:00:00Z', '2024-01-01T00:60:00Z', '2024-01-01T00:00:60Z', '2024-01-01T00:00:00',
            '2024-01-01T00:00:00.Z', '2024-01-01T00:00:00+24:00', '2024-01-01T00:00:00+0000', '2024-01-01T00:00:00Z ',
            "2024-01-01T00:00:00Z\n", "2024-01-01T00:00:00Z\0", 1.5, true, -62_167_219_201, 253_402_300_800, PHP_INT_MAX,
            PHP_INT_MIN, new \DateTime(),
        ];
        foreach ($times as $i => $time) {
            yield "timestamp $i" => [$event + ['timestamp' => $time]];
        }
        $loop = [];
        $loop['self'] = &$loop;
        $deep = 1;
        for ($i = 0; $i < 98; $i++) {
            $deep = [$deep];
        }
        $values = [
            NAN, INF, fopen('php://memory', 'r'), new \stdClass(), new \DateTime(), static fn () => 1, Unusual::One, $loop,
            range(0, 100_000), "\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\x80", ["\xff" => 1],
        ];
        yield 'too deep' => [$event + ['properties' => ['v' => $deep]]];
        foreach ($values as $i => $value) {
            yield "value $i" => [$event + ['properties' => ['v' => $value]]];
            yield "value $i elsewhere" => [$event + ['window_id' => $value]];
        }
    }

    /**
     * An unusual message is captured by the package.
     *
     * @requires extension phc
     */
    public function testAnUnusualMessageIsCaptured(): void
    {
        $client = new Client('phc_key', ['settings' => self::TEST]);
        self::assertTrue($client->capture(['event' => 'e', 'distinctId' => 1.5, 'properties' => ['v' => [NAN, "\xff"]]]));
        self::assertStringContainsString("\"v\":[null,\"\u{FFFD}\"]", (string) $client->nextTestEvent());
    }

    /**
     * php.ini's precision has no effect with the extension either.
     *
     * @requires extension phc
     */
    public function testFloatsWithAnotherPrecision(): void
    {
        $before = ini_set('serialize_precision', '5');
        try {
            $message = ['event' => 'e', 'distinctId' => 'u', 'properties' => ['v' => 1 / 3]];
            self::assertNull(\Phc\Client::encode($message, []));
            $client = new Client('phc_key', ['settings' => self::TEST]);
            $client->capture($message);
            self::assertStringContainsString('"v":0.3333333333333333', (string) $client->nextTestEvent());
        } finally {
            ini_set('serialize_precision', $before);
        }
    }

    /**
     * No use of the extension's classes ends the process.
     *
     * @requires extension phc
     */
    public function testMisuse(): void
    {
        $library = new \Phc\Library(getenv('PHC_LIBRARY'));
        $client = $library->open('phc_key', self::TEST, null);
        foreach ([$library, $client] as $object) {
            self::assertThrows(static fn () => clone $object);
            self::assertThrows(static fn () => serialize($object));
            self::assertThrows(static fn () => unserialize(sprintf('O:%d:"%s":0:{}', strlen($object::class), $object::class)));
            self::assertThrows(static fn () => $object->dynamic = 1);
            self::assertThrows(static fn () => (new \ReflectionClass($object))->newInstanceWithoutConstructor());
        }
        self::assertThrows(static fn () => new \Phc\Client());
        self::assertThrows(static fn () => new \Phc\Library("a\0b"));
        self::assertThrows(static fn () => $library->open('k', ['host' => 1], null));
        self::assertSame('0', $library->open('k', ['http://x'], null)[2]);
        [$status, $message, $setting] = $library->open('k', ['no_such' => '1'], null);
        self::assertSame([Declarations::INVALID_SETTING, 'no_such'], [$status, $setting], $message);
        self::assertIsString($library->statusName(PHP_INT_MAX));
        $client->flushEnd(12345);
        self::assertIsArray($client->flushWait(-1, -1));
        self::assertIsInt($client->capture(''));
        self::assertIsInt($client->capture("\0\xff"));
        $client->free();
        $client->free();
        self::assertIsInt($client->capture('{}'));
        self::assertIsInt($client->captureMessage(['event' => 'e', 'distinctId' => 'u'], []));
        self::assertIsInt($client->close(0));
        self::assertIsArray($client->flushBegin());
        self::assertIsArray($client->flushWait(0, 0));
        $client->flushEnd(0);
        $client->countDiscarded();
        self::assertNull($client->nextReport());
        self::assertNull($client->stats());
        self::assertNull($client->nextTestEvent());
        // A library outlives its object.
        $client = $library->open('phc_key', self::TEST, null);
        unset($library);
        self::assertIsString($client->captureMessage(['event' => 'e', 'distinctId' => 'u'], []));
        $client->free();
    }

    private static function assertThrows(callable $call): void
    {
        try {
            $call();
        } catch (\Throwable) {
            self::assertTrue(true);
            return;
        }
        self::fail('nothing was thrown');
    }

    /**
     * php.ini can name the library; the option and the environment have precedence.
     *
     * @requires extension phc
     */
    public function testTheLibraryOfPhpIni(): void
    {
        $code = "PostHog\\PostHog::init('k', ['settings' => ['test_mode' => true]]);"
            . "var_dump(PostHog\\PostHog::capture(['event' => 'e']), PostHog\\PostHog::getClient()->problem());";
        $none = ['PHC_LIBRARY' => ''];
        $script = Script::run($code, ['-d', 'phc.library=' . getenv('PHC_LIBRARY')], $none);
        self::assertSame("bool(true)\nNULL\n", $script->output, $script->errors);
        $script = Script::run($code, ['-d', 'phc.library=/nowhere/libphc.so'], $none);
        self::assertStringContainsString("Failed loading '/nowhere/libphc.so'", $script->output);
        $script = Script::run($code, ['-d', 'phc.library=/nowhere/libphc.so']);
        self::assertSame("bool(true)\nNULL\n", $script->output, $script->errors);
        $script = Script::run("var_dump(ini_set('phc.library', '/nowhere'));");
        self::assertSame("bool(false)\n", $script->output);
    }

    /**
     * A forked child captures with a queue of its own, and its end does not touch that of the parent.
     *
     * @requires extension phc
     * @requires extension pcntl
     */
    public function testAFork(): void
    {
        $sink = new Sink();
        $script = Script::run(<<<PHP
            PostHog\\PostHog::init('phc_key', ['host' => '$sink->host']);
            \$say = fn (string \$who) => PostHog\\PostHog::capture(['event' => \$who, 'distinctId' => 'u']);
            \$say('parent');
            \$child = pcntl_fork();
            if (\$child === 0) {
                \$say('child');
                exit(PostHog\\PostHog::flush() ? 0 : 1);
            }
            pcntl_waitpid(\$child, \$status);
            \$say('parent');
            var_dump(\$status, PostHog\\PostHog::flush(), PostHog\\PostHog::getClient()->binding());
            PHP);
        self::assertSame("int(0)\nbool(true)\nstring(9) \"extension\"\n", $script->output, $script->errors);
        self::assertCount(3, $sink->uuids());
        self::assertSame('[]', trim($sink->violations()));
    }
}
