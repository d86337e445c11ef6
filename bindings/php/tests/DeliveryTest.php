<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;

/** Against a server. */
final class DeliveryTest extends TestCase
{
    private const EVENT = ['distinctId' => 'u', 'event' => 'e'];

    /** @param array<string, mixed> $options */
    private static function client(Sink $sink, array $options = []): Client
    {
        $settings = ['retry_initial_ms' => 10, 'retry_max_ms' => 50, 'flush_interval_ms' => 3_600_000, 'exit_flush_ms' => 30_000];
        $options['settings'] = ($options['settings'] ?? []) + $settings;
        return new Client('phc_key', ['host' => $sink->host] + $options);
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

    public function testClientsWithTheSameOptionsAreOne(): void
    {
        $sink = new Sink();
        $first = self::client($sink);
        $first->capture(self::EVENT);
        unset($first);
        $second = self::client($sink);
        self::assertSame(1, $second->stats()['captured']);
        self::assertSame(1, $second->flushResult()['delivered']);
        // Another key is another client.
        self::assertSame(0, (new Client('phc_other', ['host' => $sink->host]))->stats()['captured']);
    }

    public function testLossesAreTold(): void
    {
        $sink = new Sink('{"steps":[{"verdicts":["ok","drop","warning"]},{"status":401}]}');
        $told = $lost = $delivered = [];
        $client = self::client($sink, [
            'error_handler' => function (int|string $code, string $message) use (&$told): void {
                $told[] = [$code, $message];
            },
            'on_error' => function (array $report) use (&$lost): void {
                $lost = array_merge($lost, array_column($report['events'], 'ending'));
                throw new \RuntimeException('a handler that fails costs nothing');
            },
            'on_success' => function (array $report) use (&$delivered): void {
                $delivered = array_merge($delivered, $report['events']);
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
        self::assertCount(2, $delivered);
        self::assertSame([200, 401], array_column($told, 0));
        self::assertStringStartsWith('1 events lost, rejected (HTTP 401', $told[1][1]);
    }

    public function testLossesAreInTheErrorLogWhenNobodyListens(): void
    {
        $sink = new Sink('{"then":{"status":400,"body":"no"}}');
        $script = Script::run(
            "\$client = new PostHog\\Client('phc_key', ['host' => '$sink->host']);"
            . "\$client->capture(['distinctId' => 'u', 'event' => 'e']);"
            . 'echo var_export($client->flush());',
        );
        self::assertSame('false', $script->output);
        self::assertMatchesRegularExpression('/\[PostHog\] 1 events lost, rejected \(HTTP 400/', $script->errors);
    }

    public function testAFlushHasATimeLimitAndAbandonsNothing(): void
    {
        $sink = new Sink('{"steps":[{"wait_for_script":true}]}');
        $client = self::client($sink, ['settings' => ['request_timeout_ms' => 300_000]]);
        $client->capture(self::EVENT);
        $start = hrtime(true);
        $result = $client->flushResult(250);
        // Else it would take minutes.
        self::assertLessThan(10_000, (hrtime(true) - $start) / 1e6);
        self::assertSame(['timeout', 1], [$result['status'], $result['pending']]);
        $sink->script('{}');
        self::assertTrue($client->flush());
        self::assertSame(1, $client->stats()['delivered']);
    }

    public function testShutdown(): void
    {
        $sink = new Sink();
        $client = self::client($sink, ['error_handler' => fn () => null]);
        $client->capture(self::EVENT);
        self::assertTrue($client->shutdown());
        self::assertCount(1, $sink->uuids());
        self::assertFalse($client->capture(self::EVENT));
        self::assertSame('closed', $client->flushResult()['status']);
        // The name is free for a new client.
        $client = self::client($sink, ['error_handler' => fn () => null]);
        self::assertTrue($client->capture(self::EVENT));
        self::assertTrue($client->flush());
    }

    /** @dataProvider endings */
    public function testAScriptThatEndsLosesNothing(string $ending, int $status): void
    {
        $sink = new Sink('{"then":{"delay_ms":300}}');
        $script = Script::run(
            "PostHog\\PostHog::init('phc_key', ['host' => '$sink->host', 'settings' => ['exit_flush_ms' => 30_000]]);"
            . "for (\$i = 0; \$i < 50; \$i++) { PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']); }\n"
            . $ending,
        );
        self::assertSame($status, $script->status, $script->errors);
        self::assertCount(50, $sink->uuids());
        self::assertSame('[]', $sink->violations());
    }

    /** @return array<string, array{string, int}> */
    public static function endings(): array
    {
        return [
            'its last line' => ['', 0],
            'exit' => ['exit(3);', 3],
            'an exception' => ['throw new Exception("x");', 255],
            'a fatal error' => ['ini_set("memory_limit", "4M"); $a = str_repeat("x", 100_000_000);', 255],
        ];
    }

    public function testAnUnreachableServerHoldsNoScriptForLong(): void
    {
        $script = Script::run(
            "PostHog\\PostHog::init('phc_key', ['host' => 'http://127.0.0.1:1', 'settings' => ["
            . "'exit_flush_ms' => 500, 'retry_initial_ms' => 50_000, 'retry_max_ms' => 50_000]]);"
            . "PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);",
        );
        // Of the wait before the next attempt, 50 s, it waits for half a second.
        self::assertLessThan(15, $script->seconds);
    }

    public function testForkedProcesses(): void
    {
        $sink = new Sink('{"then":{"delay_ms":200}}');
        $script = Script::run(<<<PHP
            PostHog\\PostHog::init('phc_key', ['host' => '$sink->host', 'settings' => ['exit_flush_ms' => 30_000]]);
            \$capture = function (string \$uuid) {
                PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e', 'uuid' => \$uuid]) || exit(9);
            };
            for (\$i = 0; \$i < 10; \$i++) {
                \$capture(sprintf('00000000-0000-4000-8000-%012x', \$i));
                if (pcntl_fork() === 0) {
                    for (\$j = 0; \$j < 5; \$j++) {
                        \$capture(sprintf('%08x-0000-4000-8000-%012x', \$i + 1, \$j));
                    }
                    \$i % 2 === 0 && (PostHog\\PostHog::flush() || exit(8));
                    exit;
                }
            }
            while (pcntl_wait(\$status) > 0) {
                \$status === 0 || print("a child ended with \$status");
            }
            PHP);
        self::assertSame(['', 0], [$script->output, $script->status], $script->errors);
        $uuids = $sink->uuids();
        self::assertCount(60, $uuids);
        self::assertSame($uuids, array_unique($uuids));
        self::assertSame('[]', $sink->violations());
    }

    public function testSignalHandlersRunDuringAFlush(): void
    {
        $sink = new Sink('{"then":{"never":true}}');
        $script = Script::run(<<<PHP
            pcntl_async_signals(true);
            PostHog\\PostHog::init('phc_key', ['host' => '$sink->host', 'settings' => ['exit_flush_ms' => 0, 'request_timeout_ms' => 300_000]]);
            PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
            pcntl_signal(SIGTERM, function () use (&\$sent) {
                throw new Exception(hrtime(true) - (int) file_get_contents(SENT) < 10e9 ? 'soon' : 'late');
            });
            define('SENT', tempnam(sys_get_temp_dir(), 'phc'));
            if (pcntl_fork() === 0) {
                usleep(300_000);
                file_put_contents(SENT, (string) hrtime(true));
                posix_kill(posix_getppid(), SIGTERM);
                exit;
            }
            try {
                PostHog\\PostHog::flush(100_000);
                echo 'flushed';
            } catch (Exception \$e) {
                echo \$e->getMessage();
            }
            pcntl_wait(\$status);
            unlink(SENT);
            PHP);
        self::assertSame('soon', $script->output, $script->errors);
        self::assertLessThan(30, $script->seconds);
    }
}
