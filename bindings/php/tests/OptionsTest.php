<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\Declarations;
use PostHog\Options;
use PostHog\PostHog;

final class OptionsTest extends TestCase
{
    /**
     * @dataProvider mapped
     * @param array<string, mixed> $options
     */
    public function testAnOptionBecomesASetting(array $options, string $key, string $value): void
    {
        self::assertSame($value, (new Options($options))->settings[$key] ?? null);
    }

    /** @return list<array{array<string, mixed>, string, string}> */
    public static function mapped(): array
    {
        return [
            [['host' => 'https://eu.i.posthog.com'], 'host', 'https://eu.i.posthog.com'],
            [['host' => 'localhost:8000', 'ssl' => false], 'host', 'http://localhost:8000'],
            [['host' => 'localhost:8000', 'ssl' => true], 'host', 'localhost:8000'],
            [['timeout' => 2500], 'request_timeout_ms', '2500'],
            [['batch_size' => 20], 'flush_at', '20'],
            [['max_queue_size' => 1000], 'queue_max_events', '1000'],
            [['maximum_backoff_duration' => 5000], 'retry_max_ms', '5000'],
            [['maximum_backoff_duration' => 0], 'retry_max_ms', '200'],
            [['feature_flag_request_timeout_ms' => 2500], 'flags_timeout_ms', '2500'],
            [['feature_flag_request_max_retries' => 0], 'flags_max_retries', '0'],
            [['feature_flag_request_max_retries' => 99], 'flags_max_retries', '10'],
            [['timeout' => 2500.4], 'request_timeout_ms', '2500'],
            [['timeout' => 1.5], 'request_timeout_ms', '1000'],
            [['timeout' => 1.5, 'consumer' => 'socket'], 'request_timeout_ms', '1500'],
            [['consumer' => 'socket', 'timeout' => '5'], 'request_timeout_ms', '5000'],
            [['batch_size' => '20'], 'flush_at', '20'],
            [['batch_size' => 1_000_000], 'flush_at', '100000'],
            [['flush_interval_seconds' => 0.25], 'flush_interval_ms', '250'],
            [['flush_interval_seconds' => 0], 'flush_interval_ms', '1'],
            [['flush_interval_seconds' => 86400], 'flush_interval_ms', '3600000'],
            [['host' => " https://eu.i.posthog.com\n"], 'host', 'https://eu.i.posthog.com'],
            [['ssl' => false], 'host', 'http://us.i.posthog.com'],
            [['ssl' => 0, 'host' => 'localhost'], 'host', 'http://localhost'],
            [['settings' => ['proxy' => '']], 'proxy', ''],
            [['compress_request' => 'true'], 'compression', 'gzip'],
            [['compress_request' => false], 'compression', 'none'],
            [[], 'exit_flush_ms', '3000'],
            [[], 'sdk_name', 'posthog-php-phc'],
            [['settings' => ['exit_flush_ms' => 0]], 'exit_flush_ms', '0'],
            [['settings' => ['retry_statuses' => [500, 503]]], 'retry_statuses', '500,503'],
            [['settings' => ['header.X-Test' => 'a', 'disable_geoip' => true]], 'disable_geoip', 'true'],
            [['settings' => ['reports' => 'warnings']], 'reports', 'warnings'],
            [['settings' => ['client_cert_file' => '/c.pem']], 'client_cert_file', '/c.pem'],
        ];
    }

    /**
     * What getenv() returns without the variable is not a value.
     *
     * @dataProvider blanks
     */
    public function testABlankTextIsNotGiven(mixed $blank): void
    {
        $options = new Options(['host' => $blank, 'consumer' => $blank, 'library' => $blank]);
        self::assertSame((new Options([]))->settings, $options->settings);
        self::assertSame([null, null], [$options->library, $options->problem]);
        self::assertSame([], $options->remarks);
    }

    /** @return list<array{mixed}> */
    public static function blanks(): array
    {
        return [[null], [false], [''], ["  \n"]];
    }

    public function testASettingOfTextThatIsFalseIsNotGiven(): void
    {
        $settings = ['host' => false, 'proxy' => false, 'ca_file' => false, 'flush_at' => null];
        self::assertSame((new Options([]))->settings, (new Options(['settings' => $settings]))->settings);
    }

    public function testTheSecretKeyOfFeatureFlags(): void
    {
        $read = static function (array $options, mixed ...$arguments): array {
            $options = new Options($options);
            $options->readSecretKey(...$arguments);
            return [$options->settings['secret_key'] ?? null, $options->settings['local_evaluation'] ?? null];
        };
        self::assertSame(['phs_a', null], $read([], " phs_a\n", true));
        self::assertSame(['phs_a', 'false'], $read([], 'phs_a', false));
        self::assertSame([null, null], $read([], null, false));
        self::assertSame([null, null], $read([], ' ', true));
        self::assertSame(['phs_own', null], $read(['settings' => ['secret_key' => 'phs_own']], 'phs_a', true));
        self::assertSame(['phs_a', null], $read(['settings' => ['secret_key' => false]], 'phs_a', true));
    }

    public function testIsServer(): void
    {
        $is = static fn (array $options): array => [
            (new Options($options))->isServer, (new Options($options))->settings['is_server'] ?? null,
        ];
        self::assertSame([true, null], $is([]));
        self::assertSame([true, null], $is(['is_server' => true]));
        // As in posthog-php, only true is true.
        foreach ([false, 0, 1, 'true'] as $value) {
            self::assertSame([false, null], $is(['is_server' => $value]));
        }
        self::assertSame([false, 'true'], $is(['settings' => ['is_server' => true]]));
    }

    /**
     * An option of posthog-php never throws. What is passed over is in the log, once.
     *
     * @dataProvider passedOver
     * @param array<string, mixed> $options
     */
    public function testAValueOfPosthogPhpThatCannotBeUsedIsPassedOver(array $options, string $remark): void
    {
        $read = new Options($options);
        self::assertSame((new Options([]))->settings, $read->settings);
        self::assertCount(1, $read->remarks);
        self::assertStringContainsString($remark, $read->remarks[0]);
    }

    /** @return list<array{array<string, mixed>, string}> */
    public static function passedOver(): array
    {
        return [
            [['batch_size' => 0], "'batch_size' is passed over: 0 is not"], [['batch_size' => -1], '-1'],
            [['batch_size' => 'many'], '"many" is not a usable number'], [['timeout' => 0], "'timeout'"],
            [['timeout' => new \stdClass()], 'stdClass is not'], [['timeout' => NAN], "'timeout'"],
            [['max_queue_size' => 0], "'max_queue_size'"],
            [['flush_interval_seconds' => -1], "'flush_interval_seconds'"],
            [['flush_interval_seconds' => INF], "'flush_interval_seconds'"],
            [['maximum_backoff_duration' => [1]], "'maximum_backoff_duration'"],
            [['host' => ['eu.i.posthog.com']], "'host' is passed over"], [['host' => true], "'host'"],
            [['before_send' => 'no such function'], "'before_send' is passed over: it is not callable"],
            [['error_handler' => 'no such function'], "'error_handler' is passed over"],
            [['feature_flag_request_timeout_ms' => 0], "'feature_flag_request_timeout_ms'"],
            [['feature_flag_request_max_retries' => -1], "'feature_flag_request_max_retries'"],
            [['flag_definition_cache_provider' => new \stdClass()], 'no effect: a process keeps the definitions'],
            [['verify_batch_events_request' => false], 'a page never waits'],
            [['filename' => '/tmp/x'], 'no consumer writes a file'],
        ];
    }

    public function testWhatIsPassedOverIsLoggedOnce(): void
    {
        $script = Script::run(
            "for (\$i = 0; \$i < 3; \$i++) { PostHog\\PostHog::init('k', ['batch_size' => 0, 'before_send' => 'none', "
            . "'filename' => '/tmp/x', 'settings' => ['test_mode' => true]]);"
            . "echo var_export(PostHog\\PostHog::capture(['event' => 'e']), true), ' '; }",
        );
        self::assertSame('true true true ', $script->output, $script->errors);
        self::assertSame(1, substr_count($script->errors, '[PostHog]'), $script->errors);
        foreach (['batch_size', 'before_send', 'filename'] as $name) {
            self::assertStringContainsString("the option '$name'", $script->errors);
        }
    }

    /** A server's configuration can be wrong in many ways. None of them stops the site. */
    public function testWhatLibphcRefusesOfTheConfigurationStopsNoSite(): void
    {
        foreach ([
            ['k', ['host' => 'not a host'], 'host = "not a host"'], ["a\nb", [], 'the project key is not valid'],
            ['k', ['consumer' => 'file'], "the consumer 'file' is not supported"], [' ', [], 'apiKey is empty'],
            [false, [], 'apiKey is empty'],
        ] as [$key, $options, $reason]) {
            $script = Script::run('define("GIVEN", ' . var_export([$key, $options], true) . ');' . <<<'PHP'
                for ($i = 0; $i < 2; $i++) {
                    $client = new PostHog\Client(...GIVEN);
                    echo var_export([$client->capture(['event' => 'e']), $client->flush(), $client->shutdown()], true);
                }
                PHP);
            self::assertSame(6, substr_count($script->output, 'false'), $script->output . $script->errors);
            self::assertSame(1, substr_count($script->errors, $reason), $script->errors);
        }
    }

    public function testTheArgumentsOfPosthogPhp(): void
    {
        $options = ['settings' => ['test_mode' => true]];
        $client = new Client('phc_key', $options, secretKey: 'phs_x', loadFeatureFlags: false);
        self::assertNull($client->problem());
        PostHog::init('phc_key', $options, secretKey: 'phs_x', personalAPIKey: 'phx_x');
        self::assertTrue(PostHog::capture(['event' => 'e']));
        self::assertIsString(PostHog::LIBRARY);
    }

    /** libphc reports deliveries only with "all". Callbacks filters by the caller's word. */
    public function testOnSuccessNeedsEveryReport(): void
    {
        foreach (['losses', 'warnings', 'all'] as $word) {
            $options = new Options(['on_success' => 'strlen', 'settings' => ['reports' => $word]]);
            self::assertSame(['all', $word], [$options->settings['reports'], $options->reports]);
        }
        $options = new Options(['on_success' => 'strlen']);
        self::assertSame(['all', 'losses'], [$options->settings['reports'], $options->reports]);
        $this->expectException(\InvalidArgumentException::class);
        $this->expectExceptionMessage('losses, warnings, all');
        new Client('phc_key', ['on_success' => 'strlen', 'settings' => ['reports' => 'al']]);
    }

    /**
     * @dataProvider withoutEffect
     * @param array<string, mixed> $options
     */
    public function testAnOptionWithoutEffectIsAccepted(array $options): void
    {
        self::assertEquals((new Options([]))->settings, (new Options($options))->settings);
        self::assertSame([], (new Options($options))->remarks);
    }

    /** @return list<list<array<string, mixed>>> */
    public static function withoutEffect(): array
    {
        return [
            [['consumer' => 'lib_curl']], [['consumer' => 'socket']], [['consumer' => 'fork_curl']],
            [['error_tracking' => ['enabled' => false]]], [['host' => null]], [['error_tracking' => []]],
            [['error_tracking' => 'x']],
        ];
    }

    /**
     * @dataProvider refused
     * @param array<string, mixed> $options
     * @param class-string<\Throwable> $exception
     */
    public function testAWrongOptionThrows(array $options, string $exception, string $message): void
    {
        $this->expectException($exception);
        $this->expectExceptionMessage($message);
        new Client('phc_key', $options);
    }

    /** @return list<array{array<string, mixed>, class-string<\Throwable>, string}> */
    public static function refused(): array
    {
        $wrong = \InvalidArgumentException::class;
        return [
            [['flsh_at' => 1], $wrong, "There is no option 'flsh_at'"],
            [['consumer' => 'carrier_pigeon'], $wrong, 'lib_curl'],
            [['on_error' => 'no such function'], $wrong, 'callable'],
            [['settings' => ['ca_file' => '/nowhere']], $wrong, 'ca_file'],
            [['settings' => ['host' => 'not a host']], $wrong, 'host'],
            [['settings' => ['flsh_at' => 1]], $wrong, 'flush_at'],
            [['settings' => [7 => 1]], $wrong, '7'],
            [['settings' => ['flush_at' => 'many']], $wrong, 'flush_at'],
            [['settings' => 'flush_at=1'], $wrong, 'settings'],
            [['settings' => ['compression_level' => 9]], $wrong, 'compression_level'],
        ];
    }

    /** @requires extension ffi */
    public function testEverySettingOfTheLibraryIsAccepted(): void
    {
        $ffi = \FFI::cdef(Declarations::ALL, getenv('PHC_LIBRARY'));
        $setting = $ffi->new('phc_setting');
        self::assertGreaterThan(25, $ffi->phc_setting_count());
        for ($i = 0; $i < $ffi->phc_setting_count(); $i++) {
            $ffi->phc_setting_at($i, \FFI::addr($setting), \FFI::sizeof($setting));
            $settings = [\FFI::string($setting->key) => \FFI::string($setting->default_value)];
            self::assertNull((new Client('phc_key', ['settings' => $settings]))->problem(), key($settings));
        }
    }
}
