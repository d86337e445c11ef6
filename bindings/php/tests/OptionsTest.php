<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\Declarations;
use PostHog\NotSupported;
use PostHog\Options;

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
            [['compress_request' => 'true'], 'compression', 'gzip'],
            [['compress_request' => false], 'compression', 'none'],
            [['is_server' => false], 'is_server', 'false'],
            [[], 'is_server', 'true'],
            [[], 'exit_flush_ms', '3000'],
            [[], 'sdk_name', 'posthog-php-phc'],
            [['settings' => ['exit_flush_ms' => 0]], 'exit_flush_ms', '0'],
            [['settings' => ['retry_statuses' => [500, 503]]], 'retry_statuses', '500,503'],
            [['settings' => ['header.X-Test' => 'a', 'disable_geoip' => true]], 'disable_geoip', 'true'],
            [['settings' => ['reports' => 'warnings']], 'reports', 'warnings'],
            [['settings' => ['client_cert_file' => '/c.pem']], 'client_cert_file', '/c.pem'],
        ];
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
    }

    /** @return list<list<array<string, mixed>>> */
    public static function withoutEffect(): array
    {
        return [
            [['consumer' => 'lib_curl']], [['consumer' => 'socket']], [['consumer' => 'fork_curl']],
            [['verify_batch_events_request' => false]], [['feature_flag_request_timeout_ms' => 3000]],
            [['error_tracking' => ['enabled' => false]]], [['host' => null]],
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
            [['consumer' => 'file'], NotSupported::class, 'sent, not written'],
            [['filename' => '/tmp/x'], NotSupported::class, 'filename'],
            [['error_tracking' => ['enabled' => true]], NotSupported::class, 'error_tracking'],
            [['before_send' => 'no such function'], $wrong, 'callable'],
            [['timeout' => new \stdClass()], $wrong, 'timeout'],
            [['settings' => ['flsh_at' => 1]], $wrong, 'flush_at'],
            [['settings' => ['flush_at' => 'many']], $wrong, 'flush_at'],
            [['settings' => 'flush_at=1'], $wrong, 'settings'],
            [['batch_size' => 0], $wrong, 'flush_at'],
            [['settings' => ['compression_level' => 9]], $wrong, 'compression_level'],
        ];
    }

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
