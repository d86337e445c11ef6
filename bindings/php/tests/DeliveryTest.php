<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;

/** Delivery to a server. */
final class DeliveryTest extends TestCase
{
    private const EVENT = ['distinctId' => 'u', 'event' => 'e'];

    /** @param array<string, mixed> $options */
    private static function client(Sink $sink, array $options = []): Client
    {
        $options['settings'] = ($options['settings'] ?? []) + [
            'retry_initial_ms' => 10,
            'retry_max_ms' => 50,
            'flush_interval_ms' => 3_600_000,
            'exit_flush_ms' => 30_000,
        ];
        return new Client('phc_key', ['host' => $sink->host] + $options);
    }

    /** Code for a script that makes the default client. */
    private static function init(Sink $sink, string $settings): string
    {
        return "PostHog\\PostHog::init('phc_key', ['host' => '$sink->host', 'settings' => [$settings]]);\n";
    }

    public function testEventsArriveUnderTheNameOfThisPackage(): void
    {
        $sink = new Sink();
        $client = self::client($sink);
        self::assertTrue($client->capture(self::EVENT + ['properties' => ['a' => 1]]));
        self::assertTrue($client->identify(['distinctId' => 'u', 'properties' => ['plan' => 'pro']]));
        self::assertTrue($client->flush());
        self::assertSame('posthog-php-phc/0.1.0', $sink->requests()[0]['headers']['posthog-sdk-info']);
        self::assertCount(2, $sink->uuids());
        self::assertSame('[]', $sink->violations());
        self::assertSame(2, $client->stats()['delivered']);
    }

    public function testClientsWithTheSameOptionsShareOneQueue(): void
    {
        $sink = new Sink();
        $first = self::client($sink);
        $first->capture(self::EVENT);
        unset($first);
        $second = self::client($sink);
        self::assertSame(1, $second->stats()['captured']);
        self::assertSame(1, $second->flushResult()['delivered']);
        // Another key makes another client.
        self::assertSame(0, (new Client('phc_other', ['host' => $sink->host]))->stats()['captured']);
    }

    /**
     * One attempt that is repeated, and then stores an event, drops one, and stores one with a
     * warning.
     *
     * @dataProvider reports
     * @param array<string, string> $settings
     * @param list<array{int, list<string>}> $expected the pending events and the outcomes of each
     *     report for on_error
     */
    public function testTheSettingReportsSelectsWhatOnErrorGets(array $settings, array $expected): void
    {
        $sink = new Sink('{"steps":[{"status":503},{"verdicts":["ok","drop","warning"]}]}');
        $failed = $delivered = [];
        $client = self::client($sink, [
            'on_error' => function (array $report) use (&$failed): void {
                $failed[] = [$report['pending'], array_column($report['events'], 'outcome')];
            },
            'on_success' => function (array $report) use (&$delivered): void {
                $delivered[] = array_column($report['events'], 'outcome');
            },
            'settings' => $settings,
        ]);
        for ($i = 0; $i < 3; $i++) {
            $client->capture(self::EVENT);
        }
        self::assertFalse($client->flush());
        self::assertSame($expected, $failed);
        self::assertSame([['delivered', 'delivered']], $delivered);
        self::assertSame(1, $client->stats()['delivered_with_warning']);
    }

    /** @return array<string, array{array<string, string>, list<array{int, list<string>}>}> */
    public static function reports(): array
    {
        return [
            'by default' => [[], [[0, ['dropped']]]],
            'losses' => [['reports' => 'losses'], [[0, ['dropped']]]],
            'warnings' => [['reports' => 'warnings'], [[0, ['dropped', 'delivered']]]],
            'all' => [['reports' => 'all'], [[3, []], [0, ['dropped', 'delivered']]]],
        ];
    }

    public function testAWarningIsADelivery(): void
    {
        $sink = new Sink('{"steps":[{"verdicts":[{"result":"warning","details":"unusual id"}]}]}');
        $errors = $delivered = [];
        $client = self::client($sink, [
            'error_handler' => function (int|string $code, string $message) use (&$errors): void {
                $errors[] = $message;
            },
            'on_error' => function (array $report) use (&$errors): void {
                $errors[] = $report;
            },
            'on_success' => function (array $report) use (&$delivered): void {
                $delivered = $report['events'];
            },
        ]);
        $client->capture(self::EVENT);
        self::assertTrue($client->flush());
        self::assertSame([], $errors);
        $event = ['uuid' => $client->lastUuid(), 'outcome' => 'delivered'];
        self::assertSame([$event + ['verdict' => 'warning', 'details' => 'unusual id']], $delivered);
    }

    public function testLossesCallTheErrorHandlerAndOnError(): void
    {
        $sink = new Sink('{"steps":[{"verdicts":["ok","drop","warning"]},{"status":401}]}');
        $errors = $lost = [];
        $client = self::client($sink, [
            'error_handler' => function (int|string $code, string $message) use (&$errors): void {
                $errors[] = [$code, $message];
            },
            'on_error' => function (array $report) use (&$lost): void {
                $lost = array_merge($lost, array_column($report['events'], 'outcome'));
                throw new \RuntimeException('an exception in a callback has no effect');
            },
        ]);
        $log = ini_set('error_log', '/dev/null');
        for ($i = 0; $i < 3; $i++) {
            $client->capture(self::EVENT);
        }
        self::assertSame(
            ['status' => 'lost_events', 'settled' => 3, 'delivered' => 2, 'lost' => 1, 'pending' => 0],
            $client->flushResult(),
        );
        $client->capture(self::EVENT);
        self::assertFalse($client->flush());
        ini_set('error_log', (string) $log);
        self::assertSame(['dropped', 'rejected'], $lost);
        self::assertSame([200, 401], array_column($errors, 0));
        self::assertSame('1 event lost (dropped)', $errors[0][1]);
        self::assertStringStartsWith('1 event lost (rejected): HTTP 401', $errors[1][1]);
    }

    public function testAResponseThatIsNotCaptureV1(): void
    {
        $sink = new Sink('{"steps":[{"body":"{}"}]}');
        $lost = [];
        $client = self::client($sink, [
            'on_error' => function (array $report) use (&$lost): void {
                $lost = $report['events'];
            },
            'settings' => ['max_retries' => 0],
        ]);
        $client->capture(self::EVENT);
        self::assertFalse($client->flush());
        self::assertSame(
            [['uuid' => $client->lastUuid(), 'outcome' => 'malformed_response', 'maybe_delivered' => true]],
            $lost,
        );
        self::assertSame(['malformed_response' => 1], $client->stats()['lost']);
    }

    public function testLossesAreInTheErrorLogIfThereIsNoHandler(): void
    {
        $sink = new Sink('{"then":{"status":400,"body":"no"}}');
        $script = Script::run(
            "\$client = new PostHog\\Client('phc_key', ['host' => '$sink->host']);"
            . "\$client->capture(['distinctId' => 'u', 'event' => 'e']);"
            . 'echo var_export($client->flush());',
        );
        self::assertSame('false', $script->output);
        self::assertStringContainsString('[PostHog] 1 event lost (rejected): HTTP 400', $script->errors);
    }

    public function testAFlushHasATimeLimitAndAbandonsNothing(): void
    {
        $sink = new Sink('{"steps":[{"wait_for_script":true}]}');
        $client = self::client($sink, ['settings' => ['request_timeout_ms' => 300_000]]);
        $client->capture(self::EVENT);
        $start = hrtime(true);
        $result = $client->flushResult(250);
        // Without the limit it would take minutes.
        self::assertLessThan(10_000, (hrtime(true) - $start) / 1e6);
        self::assertSame(['timeout', 1], [$result['status'], $result['pending']]);
        $sink->script('{}');
        self::assertTrue($client->flush(Client::NO_LIMIT));
        self::assertSame(1, $client->stats()['delivered']);
    }

    /** A shutdown reports what was ever lost. */
    public function testAFlushReportsOnlyItsOwnLosses(): void
    {
        $sink = new Sink('{"steps":[{"status":400}]}');
        $client = self::client($sink, ['error_handler' => fn () => null]);
        $client->capture(self::EVENT);
        $result = $client->flushResult();
        self::assertSame(['lost_events', 1], [$result['status'], $result['lost']]);
        self::assertSame(
            ['status' => 'ok', 'settled' => 0, 'delivered' => 0, 'lost' => 0, 'pending' => 0],
            $client->flushResult(),
        );
        $client->capture(self::EVENT);
        self::assertTrue($client->flush());
        self::assertFalse($client->shutdown());
    }

    public function testShutdown(): void
    {
        $sink = new Sink();
        $errors = [];
        $client = self::client($sink, ['error_handler' => function (string $status) use (&$errors): void {
            $errors[] = $status;
        }]);
        $client->capture(self::EVENT);
        self::assertTrue($client->shutdown(Client::NO_LIMIT));
        self::assertCount(1, $sink->uuids());
        self::assertFalse($client->capture(self::EVENT));
        self::assertSame(['closed'], $errors);
        self::assertSame('closed', $client->flushResult()['status']);
        self::assertSame(['closed' => 1], $client->stats()['refused']);
    }

    public function testAfterAShutdownTheNextRequestHasANewClient(): void
    {
        $sink = new Sink();
        $client = self::client($sink, ['error_handler' => fn () => null]);
        $client->capture(self::EVENT);
        self::assertTrue($client->shutdown());
        $client = self::client($sink, ['error_handler' => fn () => null]);
        self::assertTrue($client->capture(self::EVENT));
        self::assertTrue($client->flush());
        self::assertCount(2, $sink->uuids());
    }

    public function testAShutdownCountsWhatIsPendingAsLost(): void
    {
        $sink = new Sink('{"then":{"never":true}}');
        $lost = [];
        $client = self::client($sink, [
            'on_error' => function (array $report) use (&$lost): void {
                $lost = array_merge($lost, array_column($report['events'], 'outcome'));
            },
            'settings' => ['request_timeout_ms' => 300_000],
        ]);
        $client->capture(self::EVENT);
        $start = hrtime(true);
        self::assertFalse($client->shutdown(0));
        self::assertLessThan(10_000, (hrtime(true) - $start) / 1e6);
        self::assertSame(['closed'], $lost);
    }

    /** @dataProvider ends */
    public function testEventsAreSentAtTheEndOfAScript(string $end, int $status): void
    {
        $sink = new Sink('{"then":{"delay_ms":300}}');
        $script = Script::run(self::init($sink, "'exit_flush_ms' => 30_000") . <<<'PHP'
            for ($i = 0; $i < 50; $i++) {
                PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
            }

            PHP . $end);
        self::assertSame($status, $script->status, $script->errors);
        self::assertCount(50, $sink->uuids());
        self::assertSame('[]', $sink->violations());
    }

    /** @return array<string, array{string, int}> */
    public static function ends(): array
    {
        return [
            'its last line' => ['', 0],
            'exit' => ['exit(3);', 3],
            'an exception' => ['throw new Exception("x");', 255],
            'a fatal error' => ['ini_set("memory_limit", "4M"); $a = str_repeat("x", 100_000_000);', 255],
        ];
    }

    public function testAnUnreachableServerDelaysTheEndOfAScriptByTheExitFlush(): void
    {
        $script = Script::run(
            "PostHog\\PostHog::init('phc_key', ['host' => 'http://127.0.0.1:1', 'settings' => ["
            . "'exit_flush_ms' => 500, 'retry_initial_ms' => 50_000, 'retry_max_ms' => 50_000]]);"
            . "PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);",
        );
        // The next attempt would be in 50 s.
        self::assertLessThan(15, $script->seconds);
    }

    public function testForkedProcesses(): void
    {
        $sink = new Sink('{"then":{"delay_ms":200}}');
        $script = Script::run(self::init($sink, "'exit_flush_ms' => 30_000") . <<<'PHP'
            $capture = function (string $uuid) {
                PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'uuid' => $uuid]) || exit(9);
            };
            for ($i = 0; $i < 10; $i++) {
                $capture(sprintf('00000000-0000-4000-8000-%012x', $i));
                if (pcntl_fork() === 0) {
                    for ($j = 0; $j < 5; $j++) {
                        $capture(sprintf('%08x-0000-4000-8000-%012x', $i + 1, $j));
                    }
                    $i % 2 === 0 && (PostHog\PostHog::flush() || exit(8));
                    exit;
                }
            }
            while (pcntl_wait($status) > 0) {
                $status === 0 || print("a child ended with $status");
            }
            PHP);
        self::assertSame(['', 0], [$script->output, $script->status], $script->errors);
        $uuids = $sink->uuids();
        self::assertCount(60, $uuids);
        self::assertSame($uuids, array_unique($uuids));
        self::assertSame('[]', $sink->violations());
    }

    /** @dataProvider waits */
    public function testSignalHandlersRunDuringAWait(string $wait): void
    {
        $sink = new Sink('{"then":{"never":true}}');
        $settings = "'exit_flush_ms' => 0, 'request_timeout_ms' => 300_000";
        $script = Script::run(self::init($sink, $settings) . <<<PHP
            pcntl_async_signals(true);
            PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
            pcntl_signal(SIGTERM, function () {
                throw new Exception(hrtime(true) - (int) file_get_contents(SENT) < 10e9 ? 'soon' : 'late');
            });
            define('SENT', tempnam(sys_get_temp_dir(), 'phc'));
            if (pcntl_fork() === 0) {
                // Only the wait sends, so it has begun.
                file_get_contents('{$sink->host}/_wait?timeout_ms=20000&requests=1');
                file_put_contents(SENT, (string) hrtime(true));
                posix_kill(posix_getppid(), SIGTERM);
                exit;
            }
            try {
                PostHog\\PostHog::$wait;
                echo 'returned';
            } catch (Exception \$e) {
                echo \$e->getMessage();
            }
            pcntl_wait(\$status);
            unlink(SENT);
            // The client is still open.
            echo PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']) ? ' captured' : ' refused';
            PHP);
        self::assertSame('soon captured', $script->output, $script->errors);
        self::assertLessThan(30, $script->seconds);
    }

    /** @return array<string, array{string}> */
    public static function waits(): array
    {
        return [
            'flush' => ['flush(100_000)'],
            'flush without a limit' => ['flush(PostHog\Client::NO_LIMIT)'],
            'shutdown' => ['shutdown(100_000)'],
        ];
    }

    public function testASignalHandlerCannotCaptureDuringAShutdown(): void
    {
        $sink = new Sink('{"steps":[{"wait_for_script":true}]}');
        $settings = "'exit_flush_ms' => 0, 'request_timeout_ms' => 300_000, 'shutdown_timeout_ms' => 60_000";
        $script = Script::run(self::init($sink, $settings) . "define('HOST', '$sink->host');" . <<<'PHP'
            pcntl_async_signals(true);
            PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
            pcntl_signal(SIGALRM, function () {
                $captured = PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'late']);
                echo $captured ? 'captured' : 'refused';
                // Now the sink responds.
                $post = ['http' => ['method' => 'POST', 'content' => '{}', 'header' => 'Content-Type: text/json']];
                file_get_contents(HOST . '/_script', false, stream_context_create($post));
            });
            if (pcntl_fork() === 0) {
                // Only the shutdown sends, so it has begun.
                file_get_contents(HOST . '/_wait?timeout_ms=20000&requests=1');
                posix_kill(posix_getppid(), SIGALRM);
                exit;
            }
            echo PostHog\PostHog::shutdown() ? ' all delivered' : ' lost';
            pcntl_wait($status);
            PHP);
        self::assertSame('refused all delivered', $script->output, $script->errors);
        self::assertStringContainsString('closed: the client is being shut down', $script->errors);
        self::assertCount(1, $sink->uuids());
    }
}
