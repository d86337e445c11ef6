<?php

declare(strict_types=1);

namespace PostHog\Tests\Compat;

use PostHog\Client;
use PostHog\PostHog;

/** The package that the cases run with: posthog-php, or this one. Both have the same classes. */
final class Sdk
{
    /** The folder of posthog-php; null for this package. */
    private static ?string $theirs = null;

    public static function load(?string $theirs): void
    {
        self::$theirs = $theirs;
        if ($theirs === null) {
            require __DIR__ . '/../../autoload.php';
            return;
        }
        if (is_file("$theirs/vendor/autoload.php")) {
            require "$theirs/vendor/autoload.php";
        } else {
            spl_autoload_register(static function (string $class) use ($theirs): void {
                $file = "$theirs/lib/" . strtr(substr($class, 8), '\\', '/') . '.php';
                if (str_starts_with($class, 'PostHog\\') && is_file($file)) {
                    require $file;
                }
            });
            require __DIR__ . '/Clock.php';
        }
        require __DIR__ . '/Requests.php';
    }

    /** The version, and the commit if the folder is a checkout. */
    public static function version(): string
    {
        $git = 'git -C ' . escapeshellarg((string) self::$theirs) . ' rev-parse --short=7 HEAD 2>/dev/null';
        $commit = trim((string) shell_exec($git));
        return PostHog::VERSION . ($commit === '' ? '' : " ($commit)");
    }

    /**
     * PostHog::init, without a network.
     *
     * @param array<string, mixed>|null $options
     * @param array<string, mixed> $named further arguments
     */
    public static function init(string|false|null $key, ?array $options, array $named = []): void
    {
        if (self::$theirs === null) {
            PostHog::init($key, self::inTestMode($options), ...$named);
            return;
        }
        // posthog-php has no false; without strict types it becomes an empty text.
        PostHog::init($key === false ? '' : $key, $options, ...$named);
        self::withoutNetwork(PostHog::getClient());
    }

    /** @param array<string, mixed> $options */
    public static function client(string $key, array $options): Client
    {
        if (self::$theirs === null) {
            return new Client($key, self::inTestMode($options));
        }
        return self::withoutNetwork(new Client($key, $options));
    }

    /**
     * Gives the default client definitions of feature flags.
     *
     * @param list<array<string, mixed>> $flags
     */
    public static function define(array $flags): void
    {
        $definitions = ['flags' => $flags, 'group_type_mapping' => (object) ['company'], 'cohorts' => new \stdClass()];
        $json = (string) json_encode($definitions);
        $client = PostHog::getClient();
        if (self::$theirs === null) {
            $client->setFlagDefinitions($json) || throw new \RuntimeException('the definitions cannot be read');
            return;
        }
        Requests::$definitions = $json;
        (new \ReflectionProperty(Client::class, 'httpClient'))->setValue($client, new Requests('none'));
        $client->loadFlags();
    }

    /** @return array<string, mixed>|null */
    private static function inTestMode(?array $options): ?array
    {
        return $options === null ? null : ['settings' => ['test_mode' => true]] + $options;
    }

    private static function withoutNetwork(Client $client): Client
    {
        $consumer = self::property($client, 'consumer');
        if ($consumer instanceof \PostHog\Consumer\LibCurl) {
            $property = new \ReflectionProperty(\PostHog\Consumer\LibCurl::class, 'httpClient');
            $property->setValue($consumer, new Requests('none'));
        }
        return $client;
    }

    /** @return list<array<string, mixed>> the events that were sent, as this package or posthog-php sends them */
    public static function sent(): array
    {
        $client = self::property(PostHog::class, 'client');
        if ($client === null) {
            return [];
        }
        if (self::$theirs !== null) {
            $client->flush();
            return Requests::$events;
        }
        $events = [];
        while (($json = $client->nextTestEvent()) !== null) {
            $events[] = json_decode($json, true);
        }
        return $events;
    }

    /** What the options of the default client mean, in words of this package. */
    public static function settings(): array
    {
        $client = PostHog::getClient();
        $options = self::property($client, 'options');
        if (self::$theirs === null) {
            $settings = $options->settings;
            $host = $settings['host'] ?? 'us.i.posthog.com';
            return [
                'to' => rtrim(str_contains($host, '://') ? $host : "https://$host", '/'),
                'batch_size' => (int) ($settings['flush_at'] ?? 100),
                'flush_interval_ms' => (int) ($settings['flush_interval_ms'] ?? 5000),
                'compression' => $settings['compression'] ?? 'zstd',
                'max_queue_size' => (int) ($settings['queue_max_events'] ?? 100_000),
            ];
        }
        $consumer = self::property($client, 'consumer');
        $isHttps = self::property($consumer, 'options')['ssl'] ?? true;
        return [
            'to' => ($isHttps ? 'https://' : 'http://') . self::property($consumer, 'host'),
            'batch_size' => self::property($consumer, 'batch_size'),
            'flush_interval_ms' => (int) (self::property($consumer, 'flush_interval') * 1000),
            'compression' => self::property($consumer, 'compress_request') ? 'gzip' : 'none',
            'max_queue_size' => self::property($consumer, 'max_queue_size'),
        ];
    }

    private static function property(object|string $of, string $name): mixed
    {
        $property = new \ReflectionProperty($of, $name);
        return is_string($of) ? $property->getValue() : $property->getValue($of);
    }
}
