<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;

/** What a script that never waits hears of its events. */
final class ExitTest extends TestCase
{
    private const CAPTURE = "PostHog\\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);";

    /** @param array<string, mixed> $options */
    private static function init(array $options): string
    {
        return "PostHog\\PostHog::init('phc_key', " . var_export($options, true) . ");\n";
    }

    public function testADeliveryIsNotAnError(): void
    {
        $sink = new Sink('{"then":{"delay_ms":300}}');
        $script = Script::run(self::init(['host' => $sink->host]) . self::CAPTURE);
        self::assertSame(['', '', 0], [$script->output, $script->errors, $script->status]);
        self::assertCount(1, $sink->uuids());
    }

    /**
     * @dataProvider losses
     * @param array<string, mixed> $options
     */
    public function testALossIsReported(string $script, array $options, string $line): void
    {
        $options += ['host' => (new Sink($script))->host];
        foreach (['', 'exit(0);', 'unset($client);'] as $end) {
            $code = self::init($options) . '$client = PostHog\PostHog::getClient();' . self::CAPTURE . $end;
            $script = Script::run($code);
            self::assertSame('', $script->output);
            self::assertSame(1, substr_count($script->errors, '[PostHog]'), $script->errors);
            self::assertStringContainsString($line, $script->errors);
            self::assertSame(0, $script->status);
        }
    }

    /** @return array<string, array{string, array<string, mixed>, string}> */
    public static function losses(): array
    {
        $once = ['max_retries' => 0];
        return [
            'the wrong key' => ['{"then":{"status":401}}', [], '1 event lost (rejected): HTTP 401'],
            'another server' => ['{"then":{"status":404,"body":"<html>not found</html>"}}', [], 'HTTP 404'],
            'dropped' => ['{"then":{"verdicts":["drop"]}}', [], '1 event lost (dropped)'],
            'no server' => [
                '{}', ['host' => 'http://127.0.0.1:1', 'settings' => $once],
                '127.0.0.1:1: tcp connect error: Connection refused',
            ],
            'no such name' => [
                '{}', ['host' => 'no-such-host.invalid', 'settings' => $once], 'no-such-host.invalid:443: the name',
            ],
            'no proxy' => [
                '{}',
                ['host' => 'http://192.0.2.1', 'settings' => ['proxy' => 'http://user:secret@127.0.0.1:1'] + $once],
                '192.0.2.1:80 through the proxy http://127.0.0.1:1: the proxy cannot be reached',
            ],
            'a server that does not respond' => [
                '{"then":{"never":true}}', ['settings' => ['exit_flush_ms' => 300]], '1 event lost (closed)',
            ],
        ];
    }

    public function testTheHandlerGetsTheLoss(): void
    {
        $sink = new Sink('{"then":{"status":401}}');
        $script = Script::run(<<<PHP
            \$handler = function (int|string \$code, string \$message): void { echo "\$code: \$message"; };
            PostHog\\PostHog::init('phc_key', ['host' => '$sink->host', 'error_handler' => \$handler]);
            PHP . self::CAPTURE);
        self::assertStringStartsWith('401: 1 event lost (rejected): HTTP 401', $script->output, $script->errors);
        self::assertSame('', $script->errors);
    }

    /** An object of a client, of which there is no reference any more. */
    public function testAClientThatIsGone(): void
    {
        $sink = new Sink('{"then":{"status":401}}');
        $script = Script::run("(function () { \$client = new PostHog\\Client('k', ['host' => '$sink->host']);"
            . "\$client->capture(['event' => 'e']); })();");
        self::assertStringContainsString('1 event lost (rejected): HTTP 401', $script->errors);
    }

    /** Functions that a script registers for its end capture, too; and so do destructors. */
    public function testWhatIsCapturedAtTheEnd(): void
    {
        $sink = new Sink('{"then":{"delay_ms":200}}');
        $script = Script::run(self::init(['host' => $sink->host]) . <<<'PHP'
            final class Last
            {
                public function __destruct()
                {
                    PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'destructor']) || print('refused');
                }
            }
            $last = new Last();
            register_shutdown_function(function () {
                PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'first']);
                register_shutdown_function(function () {
                    PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'second']);
                });
            });
            PHP);
        self::assertSame(['', '', 0], [$script->output, $script->errors, $script->status]);
        self::assertCount(3, $sink->uuids());
    }

    /** The reports are read when every function that the script registers has run. */
    public function testALossOfWhatIsCapturedAtTheEnd(): void
    {
        $sink = new Sink('{"then":{"status":401}}');
        $late = 'register_shutdown_function(function () {' . self::CAPTURE . '});';
        $script = Script::run(self::init(['host' => $sink->host]) . $late);
        self::assertSame(1, substr_count($script->errors, '1 event lost (rejected): HTTP 401'), $script->errors);
    }

    /** Two clients wait for the same time, and the process does not wait once more. */
    public function testTheTimeIsThatOfTheSetting(): void
    {
        $sinks = [new Sink('{"then":{"never":true}}'), new Sink('{"then":{"never":true}}')];
        $script = Script::run(implode('', array_map(
            static fn (Sink $sink): string => self::init(['host' => $sink->host, 'settings' => [
                'exit_flush_ms' => 2000, 'request_timeout_ms' => 300_000,
            ]]) . self::CAPTURE,
            $sinks,
        )));
        self::assertSame(2, substr_count($script->errors, '1 event lost (closed)'), $script->errors);
        // Four waits would take 8 s.
        self::assertLessThan(7, $script->seconds);
        self::assertGreaterThan(1.9, $script->seconds);
    }

    public function testWithoutATimeNothingWaits(): void
    {
        $sink = new Sink('{"then":{"never":true}}');
        $options = ['host' => $sink->host, 'settings' => ['exit_flush_ms' => 0, 'request_timeout_ms' => 300_000]];
        $script = Script::run(self::init($options) . self::CAPTURE);
        self::assertSame('', $script->errors);
        self::assertLessThan(10, $script->seconds);
    }

    /** Each process reports what it lost itself. */
    public function testForkedProcesses(): void
    {
        $sink = new Sink('{"then":{"status":401}}');
        $script = Script::run(self::init(['host' => $sink->host]) . self::CAPTURE . <<<'PHP'
            for ($i = 0; $i < 2; $i++) {
                if (pcntl_fork() === 0) {
                    $i === 0 && PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
                    exit;
                }
            }
            while (pcntl_wait($status) > 0);
            PHP);
        self::assertSame(2, substr_count($script->errors, '1 event lost (rejected): HTTP 401'), $script->errors);
    }
}
