<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\Declarations;
use PostHog\ErrorTracking;
use PostHog\ExceptionEvent;
use PostHog\PostHog;

/** Exceptions that the application captures itself. */
final class ExceptionTest extends TestCase
{
    /** @param array<string, mixed> $options */
    private static function client(array $options = []): Client
    {
        return new Client('phc_key', $options + ['settings' => ['test_mode' => true]]);
    }

    /** @return array<string, mixed> */
    private static function event(Client $client): array
    {
        $json = $client->nextTestEvent();
        self::assertNotNull($json, 'there is no event');
        return json_decode($json, true);
    }

    /** @return list<array<string, mixed>> the entries of an event */
    private static function listOf(Client $client): array
    {
        return self::event($client)['properties']['$exception_list'];
    }

    private static function breaks(): never
    {
        throw new \RuntimeException('the outer one', 1, new \LogicException('the inner one'));
    }

    private static function caught(\Closure $call): \Throwable
    {
        try {
            $call();
        } catch (\Throwable $error) {
            return $error;
        }
        self::fail('nothing was thrown');
    }

    public function testAnExceptionAndItsCause(): void
    {
        $client = self::client();
        $error = self::caught(self::breaks(...));
        self::assertTrue($client->captureException($error, 'user', ['slot' => 1]));
        $event = self::event($client);
        self::assertSame(['$exception', 'user'], [$event['event'], $event['distinct_id']]);
        self::assertSame([1, 'error', true], [
            $event['properties']['slot'], $event['properties']['$exception_level'], $event['properties']['$is_server'],
        ]);
        [$outer, $inner] = $event['properties']['$exception_list'];
        self::assertSame(['RuntimeException', 'the outer one'], [$outer['type'], $outer['value']]);
        self::assertSame(['LogicException', 'the inner one'], [$inner['type'], $inner['value']]);
        self::assertEquals(['type' => 'generic', 'handled' => true, 'exception_id' => 0], $outer['mechanism']);
        self::assertEquals(
            ['type' => 'chained', 'source' => 'cause', 'handled' => true, 'exception_id' => 1, 'parent_id' => 0],
            $inner['mechanism'],
        );
        self::assertSame('raw', $outer['stacktrace']['type']);
    }

    public function testFramesAreTheFunctionsThatThePlacesAreIn(): void
    {
        $client = self::client();
        $error = self::caught(static fn () => array_map(static fn () => self::breaks(), [1]));
        $client->captureException($error);
        $frames = array_slice(self::listOf($client)[0]['stacktrace']['frames'], -5);
        $functions = array_map(static fn (array $frame): string => $frame['function'], $frames);
        self::assertSame('PostHog\Tests\ExceptionTest::caught', $functions[0]);
        self::assertStringContainsString('{closure', $functions[1]);
        self::assertSame('array_map', $functions[2]);
        self::assertStringContainsString('{closure', $functions[3]);
        self::assertSame('PostHog\Tests\ExceptionTest::breaks', $functions[4]);
        self::assertSame(__FILE__, $frames[4]['abs_path']);
        self::assertSame(basename(__FILE__), $frames[4]['filename']);
        self::assertStringContainsString('throw new', $frames[4]['context_line']);
        self::assertSame($error->getLine(), $frames[4]['lineno']);
        self::assertCount(5, $frames[4]['pre_context']);
        self::assertCount(5, $frames[4]['post_context']);
        self::assertSame('    }', $frames[4]['post_context'][0]);
        self::assertStringContainsString('self::breaks()', $frames[3]['context_line']);
        // A function of PHP calls it: that has no place.
        self::assertSame(['platform' => 'php', 'function' => 'array_map', 'in_app' => false], $frames[2]);
        self::assertSame([true, true], [$frames[3]['in_app'], $frames[4]['in_app']]);
    }

    /** A function of PHP itself throws at the place of its call, and a function of the application at a place of its own. */
    public function testTheInnermostFrame(): void
    {
        $client = self::client();
        foreach ([
            [static fn () => new \DateTimeZone('none'), '{closure'],
            [static fn () => strlen([]), '{closure'],
            [static fn () => self::typed('text'), 'typed'],
        ] as [$call, $function]) {
            $client->captureException($error = self::caught($call));
            $frames = self::listOf($client)[0]['stacktrace']['frames'];
            $last = end($frames);
            self::assertStringContainsString($function, $last['function']);
            self::assertSame($error->getLine(), $last['lineno']);
            self::assertNotSame([$last['function'], $last['lineno']], [$frames[count($frames) - 2]['function'], $last['lineno']]);
        }
    }

    private static function typed(int $number): int
    {
        return $number;
    }

    public function testTheFramesOfAnErrorThatAHandlerMadeAnException(): void
    {
        $client = self::client();
        set_error_handler(static function (int $severity, string $message, string $file, int $line): never {
            throw new \ErrorException($message, 0, $severity, $file, $line);
        });
        try {
            $error = self::caught(static fn () => self::undefined());
        } finally {
            restore_error_handler();
        }
        $client->captureException($error);
        $item = self::listOf($client)[0];
        $last = end($item['stacktrace']['frames']);
        self::assertSame('PostHog\Tests\ExceptionTest::undefined', $last['function']);
        self::assertStringContainsString('$values[1]', $last['context_line']);
    }

    private static function undefined(): mixed
    {
        $values = [];
        return $values[1];
    }

    public function testATextIsAnExceptionWithoutAStack(): void
    {
        $client = self::client();
        self::assertTrue($client->captureException('it broke'));
        self::assertSame(
            [['type' => 'Error', 'value' => 'it broke', 'mechanism' => ['type' => 'generic', 'handled' => true]]],
            self::listOf($client),
        );
    }

    public function testThePersonIsThatOfTheCallOrOfTheContext(): void
    {
        $client = self::client();
        $client->captureException('e');
        $event = self::event($client);
        self::assertFalse($event['options']['process_person_profile']);
        self::assertMatchesRegularExpression('/^[0-9a-f-]{36}$/', $event['distinct_id']);
        $context = ['distinctId' => 'c', 'sessionId' => 's', 'properties' => ['$request_path' => '/p']];
        $client->withContext($context, static fn () => $client->captureException('e'));
        $event = self::event($client);
        self::assertSame(['c', 's'], [$event['distinct_id'], $event['session_id'] ?? null]);
        self::assertSame('/p', $event['properties']['$request_path']);
        self::assertSame([], $event['options'] ?? []);
        $client->withContext($context, static fn () => $client->captureException('e', 'own'));
        self::assertSame('own', self::event($client)['distinct_id']);
    }

    public function testPropertiesDoNotReplaceThoseOfTheException(): void
    {
        $client = self::client();
        $client->captureException('e', 'u', [
            '$exception_list' => [], '$exception_handled' => true, '$exception_types' => [], '$cymbal_errors' => 1,
            '$exception_level' => 'warning', '$exception_fingerprint' => 'mine', 'own' => 1,
        ]);
        $properties = self::event($client)['properties'];
        self::assertCount(1, $properties['$exception_list']);
        unset($properties['$exception_list']);
        self::assertEquals(
            ['$exception_level' => 'warning', '$exception_fingerprint' => 'mine', 'own' => 1, '$is_server' => true],
            $properties,
        );
    }

    public function testBeforeSendSeesAndChangesIt(): void
    {
        $client = self::client(['before_send' => static function (array $event): array {
            self::assertSame('$exception', $event['event']);
            $event['properties']['$exception_list'][0]['value'] = 'redacted';
            return $event;
        }]);
        $client->captureException(new \Exception('secret'), 'u');
        $json = (string) $client->nextTestEvent();
        self::assertStringContainsString('"redacted"', $json);
        self::assertStringNotContainsString('"secret"', $json);
    }

    public function testMaxFrames(): void
    {
        $deep = static function (int $depth) use (&$deep): never {
            $depth === 0 ? throw new \Exception('deep') : $deep($depth - 1);
        };
        foreach ([[[], 20], [['max_frames' => 5], 5], [['max_frames' => 1000], 64], [['max_frames' => 'x'], 20]] as [$set, $count]) {
            $client = self::client(['error_tracking' => $set]);
            $client->captureException($error = self::caught(static fn () => $deep(100)));
            $frames = self::listOf($client)[0]['stacktrace']['frames'];
            self::assertCount($count, $frames);
            self::assertSame($error->getLine(), end($frames)['lineno']);
        }
        $client = self::client(['error_tracking' => ['max_frames' => 0]]);
        $client->captureException(new \Exception());
        self::assertArrayNotHasKey('stacktrace', self::listOf($client)[0]);
    }

    public function testCodeOfLibrariesIsNotTheApplications(): void
    {
        $folder = sys_get_temp_dir() . '/phc' . getmypid();
        $files = ['app.php' => true, 'vendor/lib/a.php' => false, 'vendored/a.php' => true];
        try {
            foreach ($files as $file => $inApp) {
                @mkdir(dirname("$folder/$file"), 0700, true);
                file_put_contents("$folder/$file", "<?php\nreturn new Exception('e');\n");
                $client = self::client();
                $client->captureException(require "$folder/$file");
                $frames = self::listOf($client)[0]['stacktrace']['frames'];
                self::assertSame($inApp, end($frames)['in_app'], $file);
                self::assertSame($inApp, isset(end($frames)['context_line']), $file);
                // PHPUnit of Debian, or of a folder vendor.
                self::assertFalse($frames[2]['in_app'], $frames[2]['abs_path'] ?? '');
            }
        } finally {
            exec('rm -rf ' . escapeshellarg($folder));
        }
    }

    /** Each text is cut, and what it is of does not matter: sources that are gone, long lines, bytes that are not text. */
    public function testSourcesOfEveryKind(): void
    {
        $file = tempnam(sys_get_temp_dir(), 'phc');
        $throw = 'return (static fn () => new Exception("e"))();';
        foreach ([
            "<?php $throw" => 1,
            "<?php\r\n\r\n$throw" => 3,
            "<?php /* \xff */ $throw" => 1,
            '<?php /* ' . str_repeat('é', 1000) . "*/ $throw" => 1,
        ] as $code => $line) {
            file_put_contents($file, $code);
            $client = self::client();
            self::assertTrue($client->captureException(require $file));
            $frames = self::listOf($client)[0]['stacktrace']['frames'];
            $last = end($frames);
            self::assertSame($line, $last['lineno']);
            self::assertLessThanOrEqual(500, strlen($last['context_line']));
            self::assertStringStartsWith($line === 3 ? $throw : '<?php ', $last['context_line']);
        }
        file_put_contents($file, "<?php $throw" . str_repeat("\n", 1 << 20));
        $error = require $file;
        foreach (['too large', 'gone'] as $why) {
            $client = self::client();
            self::assertTrue($client->captureException($error));
            $frames = self::listOf($client)[0]['stacktrace']['frames'];
            self::assertArrayNotHasKey('context_line', end($frames), $why);
            @unlink($file);
        }
        $client = self::client();
        self::assertTrue($client->captureException(eval($throw)));
        $frames = self::listOf($client)[0]['stacktrace']['frames'];
        self::assertStringContainsString("eval()'d code", end($frames)['abs_path']);
    }

    public function testAMessageOfAnyBytes(): void
    {
        $client = self::client();
        $client->captureException(new \Exception("a\xffb\0\u{2028}\""));
        self::assertSame("a\u{FFFD}b\0\u{2028}\"", self::listOf($client)[0]['value']);
        $anonymous = new class ('e') extends \Exception {
        };
        $client->captureException($anonymous);
        self::assertSame('Exception@anonymous', self::listOf($client)[0]['type']);
        $thrower = new class () {
            public function throws(): never
            {
                throw new \Exception();
            }
        };
        $client->captureException(self::caught($thrower->throws(...)));
        $frames = self::listOf($client)[0]['stacktrace']['frames'];
        self::assertSame('class@anonymous->throws', end($frames)['function']);
    }

    /** The event is what libphc itself makes of the same exceptions, with the same bounds. */
    public function testTheShapeAndTheBoundsOfLibphc(): void
    {
        if (!extension_loaded('ffi')) {
            self::markTestSkipped('phc_capture_exception is called by FFI');
        }
        $long = 'x' . str_repeat('é', 9_999);
        $last = null;
        for ($i = 0; $i < 60; $i++) {
            $last = new \RuntimeException($i % 2 === 0 ? $long : str_repeat('z', 20_000), 0, $last);
        }
        foreach ([new \Exception('short', 0, new \Error('')), $last] as $error) {
            $list = ExceptionEvent::list($error, 64);
            $ours = self::client();
            $ours->captureException($error, 'u', ['slot' => 1]);
            $theirs = self::ofLibphc($error);
            $event = self::event($ours);
            unset($event['properties']['$is_server']);
            foreach (['event', 'distinct_id', 'properties'] as $member) {
                self::assertEquals($theirs[$member], $event[$member], $member);
            }
            self::assertLessThan(600_000, strlen(json_encode($list, JSON_UNESCAPED_UNICODE)));
        }
    }

    /** @return array<string, mixed> the event of phc_capture_exception */
    private static function ofLibphc(\Throwable $error): array
    {
        $ffi = \FFI::cdef(Declarations::ALL, (string) getenv('PHC_LIBRARY'));
        $config = $ffi->phc_config_new('phc_key');
        $ffi->phc_config_set($config, 'test_mode', 'true');
        $client = $ffi->phc_client_new($config, null);
        $exception = $ffi->phc_exception_new($error::class, $error->getMessage());
        $stack = new \PostHog\StackTrace();
        for ($next = $error; $next !== null; $next = $next->getPrevious()) {
            if ($next !== $error) {
                $ffi->phc_exception_add_cause($exception, $next::class, $next->getMessage(), null);
            }
            foreach ($stack->of($next, 20) as $frame) {
                $json = \PostHog\Json::encode($frame);
                $ffi->phc_exception_add_frame_json($exception, $json, strlen($json));
            }
        }
        self::assertSame(0, $ffi->phc_capture_exception($client, 'u', $exception, '{"slot":1}', null));
        $size = $ffi->phc_binding_next_test_event($client, null, 0) + 1;
        $buffer = $ffi->new("char[$size]");
        $ffi->phc_binding_next_test_event($client, $buffer, $size);
        $ffi->phc_client_free($client);
        $ffi->phc_config_free($config);
        return json_decode(\FFI::string($buffer), true);
    }

    public function testWithoutAClientNothingIsCaptured(): void
    {
        self::assertFalse((new Client(null, ['consumer' => 'noop']))->captureException('e'));
        PostHog::init(client: self::client());
        self::assertTrue(PostHog::captureException(new \Exception('e'), 'u'));
        self::assertSame('e', self::listOf(PostHog::getClient())[0]['value']);
    }

    /** @dataProvider options */
    public function testAnOptionThatCannotBeUsedIsNotGiven(mixed $option): void
    {
        $tracking = new ErrorTracking($option);
        self::assertSame([false, 20, null], [$tracking->isEnabled, $tracking->maxFrames, $tracking->contextProvider]);
        self::assertFalse($tracking->excludes(new \Exception()));
    }

    /** @return list<list<mixed>> */
    public static function options(): array
    {
        return [
            [null], [true], ['text'], [new \stdClass()], [[]], [['enabled' => 0]],
            [['max_frames' => [], 'context_provider' => 'no such function', 'excluded_exceptions' => 'Exception']],
            [['excluded_exceptions' => [1, null, 'No\Such\Class']]],
        ];
    }
}
