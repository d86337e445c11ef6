<?php

declare(strict_types=1);

namespace App\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Tests\Sink;

require_once dirname(__DIR__, 3) . '/bindings/php/tests/Sink.php';

/**
 * The application, installed by Composer in the folder PROJECT, and phc-sink, which shows what PostHog would receive.
 */
final class ApplicationTest extends TestCase
{
    private Sink $sink;
    private string $database;

    protected function setUp(): void
    {
        $this->sink = new Sink();
        $this->database = (string) tempnam(sys_get_temp_dir(), 'phc');
        // So that the test need not wait for five seconds.
        file_put_contents(self::settings(), "<?php return ['options' => ['flush_interval_seconds' => 0.1]];");
    }

    protected function tearDown(): void
    {
        unlink($this->database);
        unlink(self::settings());
        self::assertSame('[]', trim($this->sink->violations()));
    }

    private static function settings(): string
    {
        return getenv('PROJECT') . '/config/posthog.php';
    }

    /** @return list<string> */
    private static function php(string ...$arguments): array
    {
        // A program that hangs fails, and one that its test leaves ends.
        return ['setpriv', '--pdeathsig', 'KILL', 'timeout', '60', PHP_BINARY, ...$arguments];
    }

    /** @param array<string, string> $more */
    private function environment(array $more = []): array
    {
        return $more + [
            'POSTHOG_API_KEY' => 'phc_example', 'POSTHOG_HOST' => $this->sink->host, 'POSTHOG_CAPTURE_EXCEPTIONS' => 'true',
            'DB_DATABASE' => $this->database, 'APP_KEY' => 'base64:' . base64_encode(str_repeat('k', 32)),
        ] + getenv();
    }

    /**
     * Runs a program of the application until it ends.
     *
     * @param list<string> $command
     * @param array<string, string> $environment
     * @return array{string, string, int} what it printed, the error log, and its status
     */
    private function program(array $command, array $environment = []): array
    {
        $log = tmpfile();
        $process = proc_open(
            self::php(...$command),
            [['file', '/dev/null', 'r'], ['pipe', 'w'], $log],
            $pipes,
            (string) getenv('PROJECT'),
            $this->environment($environment),
        );
        $output = (string) stream_get_contents($pipes[1]);
        $status = proc_close($process);
        rewind($log);
        return [$output, (string) stream_get_contents($log), $status];
    }

    private function migrate(): void
    {
        $database = new \PDO("sqlite:$this->database");
        $database->exec('create table jobs (id integer primary key, queue text, payload text, attempts integer, '
            . 'reserved_at integer, available_at integer, created_at integer)');
    }

    /** @return array<string, array<string, mixed>> by name or type */
    private function events(int $count): array
    {
        $found = [];
        foreach ($events = $this->sink->events($count) as $event) {
            $found[$event['properties']['$exception_list'][0]['value'] ?? $event['event']] = $event;
        }
        self::assertCount($count, $events);
        return $found;
    }

    public function testPages(): void
    {
        $this->migrate();
        $port = random_int(20_000, 30_000);
        // As for any website: FFI, and the library of the extension, need leave.
        $settings = ['-d', 'ffi.enable=true', '-d', 'phc.library=' . getenv('PHC_LIBRARY')];
        $server = proc_open(
            self::php(...$settings, ...['-S', "127.0.0.1:$port", '-t', 'public', 'public/index.php']),
            [['file', '/dev/null', 'r'], ['file', '/dev/null', 'w'], ['file', '/dev/null', 'w']],
            $pipes,
            (string) getenv('PROJECT'),
            $this->environment(),
        );
        try {
            for ($i = 0; $i < 200 && !@fsockopen('127.0.0.1', $port); $i++) {
                usleep(50_000);
            }
            $get = static function (string $method, string $path, array $headers = []) use ($port): string {
                $headers = [...$headers, 'User-Agent: a browser', 'Accept: application/json', 'X-Forwarded-For: 6.6.6.6'];
                $context = stream_context_create(['http' => [
                    'method' => $method, 'header' => $headers, 'ignore_errors' => true, 'timeout' => 30,
                ]]);
                @file_get_contents("http://127.0.0.1:$port$path", false, $context);
                return explode(' ', $http_response_header[0] ?? '- none')[1];
            };
            $ids = ['X-PostHog-Distinct-Id: customer', 'X-PostHog-Session-Id: session'];
            self::assertSame('201', $get('POST', '/orders?email=a@example.com&total=9.5', $ids));
            self::assertSame('500', $get('GET', '/broken', $ids));
            self::assertSame('200', $get('GET', '/handled'));
            self::assertSame('404', $get('GET', '/no-such-page'));
            $events = $this->events(3);
        } finally {
            proc_terminate($server);
            proc_close($server);
        }

        $order = $events['order placed'];
        self::assertSame(['customer', 'session'], [$order['distinct_id'], $order['session_id']]);
        self::assertEquals([
            'total' => 9.5, '$is_server' => true, '$current_url' => "http://127.0.0.1:$port/orders",
            '$request_method' => 'POST', '$request_path' => '/orders', '$user_agent' => 'a browser', '$ip' => '127.0.0.1',
        ], $order['properties']);

        $broken = $events['the cart is gone'];
        self::assertSame('customer', $broken['distinct_id']);
        self::assertSame(
            ['laravel.exception_handler', 'fatal', '/broken', false],
            [
                $broken['properties']['$exception_source'], $broken['properties']['$exception_level'],
                $broken['properties']['$request_path'],
                $broken['properties']['$exception_list'][0]['mechanism']['handled'],
            ],
        );
        $frames = $broken['properties']['$exception_list'][0]['stacktrace']['frames'];
        self::assertStringContainsString('the cart is gone', end($frames)['context_line']);
        self::assertSame(
            [true, 'web.php'],
            [end($frames)['in_app'], end($frames)['filename']],
        );
        self::assertFalse(prev($frames)['in_app']);

        $handled = $events['a recommendation is missing'];
        self::assertTrue($handled['properties']['$exception_list'][0]['mechanism']['handled']);
        self::assertSame('error', $handled['properties']['$exception_level']);
        self::assertFalse($handled['options']['process_person_profile']);
    }

    public function testAQueueWorker(): void
    {
        $this->migrate();
        $dispatch = ['-r', 'require "vendor/autoload.php"; $app = require "bootstrap/app.php";'
            . '$app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();'
            . 'foreach (["a@example.com", "unknown@example.com", "b@example.com"] as $customer) {'
            . ' App\Jobs\SendReceipt::dispatch($customer); } echo "dispatched";'];
        self::assertSame(['dispatched', '', 0], $this->program($dispatch));
        [, $errors, $status] = $this->program(['artisan', 'queue:work', '--stop-when-empty', '--tries=1', '--sleep=0']);
        self::assertSame(0, $status, $errors);
        $sent = $this->sink->events(3);
        $ids = array_map(static fn (array $event): string => $event['event'] . ' ' . $event['distinct_id'], $sent);
        self::assertContains('receipt sent a@example.com', $ids);
        self::assertContains('receipt sent b@example.com', $ids);
        $lost = array_values(array_filter($sent, static fn (array $event): bool => $event['event'] === '$exception'));
        self::assertCount(1, $lost);
        self::assertSame('DomainException', $lost[0]['properties']['$exception_list'][0]['type']);
    }

    /** A worker that a time limit ends is killed after this event of Laravel. */
    public function testWhatIsPendingIsSentBeforeAWorkerIsKilled(): void
    {
        $this->program(['-r', 'require "vendor/autoload.php"; $app = require "bootstrap/app.php";'
            . '$app->make(Illuminate\Contracts\Console\Kernel::class)->bootstrap();'
            . 'PostHog\PostHog::capture(["distinctId" => "u", "event" => "the last"]);'
            . '$app["events"]->dispatch(new Illuminate\Queue\Events\WorkerStopping(0)); posix_kill(getmypid(), SIGKILL);']);
        self::assertCount(1, $this->sink->uuids());
    }

    /** It has the context of each request, does not grow, and hears of lost events while it runs. */
    public function testWhatALongWorkerDoes(): void
    {
        [$output, $errors, $status] = $this->program([__DIR__ . '/worker.php']);
        self::assertSame(0, $status, $output . $errors);
        $result = json_decode($output, true);
        self::assertIsArray($result, $output . $errors);
        self::assertSame([], $result['wrong']);
        self::assertLessThan(100_000, $result['grown']);
        self::assertSame(2, preg_match_all('/^\[PostHog\] .* lost \(dropped\)/m', explode('the end', $errors)[0]), $errors);
        self::assertCount($result['captured'], array_unique($this->sink->uuids()));
    }

    public function testWithoutAKeyTheApplicationWorks(): void
    {
        foreach (['local' => 0, 'production' => 1] as $environment => $lines) {
            $values = ['POSTHOG_API_KEY' => '', 'APP_ENV' => $environment];
            [$output, $errors, $status] = $this->program(['artisan', '--version'], $values);
            self::assertSame(0, $status);
            self::assertStringContainsString('Laravel Framework', $output);
            self::assertSame($lines, substr_count($errors, '[PostHog] events are not captured: apiKey is empty'), $errors);
        }
    }

    public function testTheConfigurationIsPublished(): void
    {
        unlink(self::settings());
        [, $errors, $status] = $this->program(['artisan', 'vendor:publish', '--tag=posthog-config']);
        self::assertSame(0, $status, $errors);
        self::assertFileEquals(dirname(__DIR__, 3) . '/bindings/php/config/posthog.php', self::settings());
    }
}
