<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Client;

/** Events on disk: those of a process that ends without delivering them are sent by a later one. */
final class SpoolTest extends TestCase
{
    private ?string $folder = null;

    protected function tearDown(): void
    {
        if ($this->folder !== null) {
            exec('rm -rf ' . escapeshellarg($this->folder));
        }
    }

    /** The setting of a new folder; skips the test where the library has no spool. */
    private function spool(): string
    {
        $this->folder = sys_get_temp_dir() . '/phc-spool-' . bin2hex(random_bytes(8));
        try {
            $client = new Client('phc_key', ['settings' => ['spool_dir' => $this->folder, 'test_mode' => true]]);
        } catch (\InvalidArgumentException $error) {
            self::assertStringContainsString('spool', $error->getMessage());
            self::markTestSkipped('this libphc is built without the feature spool');
        }
        self::assertNull($client->problem());
        return $this->folder;
    }

    /** Runs a script with a client that cannot deliver, and ends it by a signal. */
    private function killed(string $folder, Sink $sink, string $code): Script
    {
        $options = var_export([
            'host' => $sink->host, 'error_handler' => null, 'settings' => ['spool_dir' => $folder],
        ], true);
        return Script::run("\$client = new PostHog\\Client('phc_key', $options);\n$code\n"
            . 'fflush(STDOUT); posix_kill(getmypid(), SIGKILL); sleep(60);');
    }

    public function testAnEventThatIsOnDiskOutlivesItsProcess(): void
    {
        $folder = $this->spool();
        $sink = new Sink('{"then":{"status":503}}');
        $script = $this->killed($folder, $sink, <<<'PHP'
            for ($i = 0; $i < 3; $i++) { $client->capture(['event' => "e$i", 'distinctId' => 'u']); }
            var_dump($client->persist(60_000), $client->stats()['spooled'] ?? null);
            PHP);
        self::assertSame("bool(true)\nint(3)\n", $script->output, $script->errors);
        self::assertNotSame(0, $script->status);
        $sink->script('{}');
        $client = new Client('phc_key', ['host' => $sink->host, 'settings' => ['spool_dir' => $folder]]);
        $client->capture(['event' => 'later', 'distinctId' => 'u']);
        $events = array_column($sink->events(4), 'event');
        sort($events);
        self::assertSame(['e0', 'e1', 'e2', 'later'], $events);
        self::assertSame(3, $client->stats()['recovered']);
        self::assertTrue($client->shutdown());
    }

    public function testDiscardedEventsAreNeitherSentNorKept(): void
    {
        $folder = $this->spool();
        $sink = new Sink('{"then":{"status":503}}');
        $lost = [];
        $client = new Client('phc_key', [
            'host' => $sink->host, 'settings' => ['spool_dir' => $folder],
            'on_error' => static function (array $report) use (&$lost): void {
                $lost = array_merge($lost, array_column($report['events'], 'outcome'));
            },
        ]);
        $client->capture(['event' => 'a', 'distinctId' => 'u']);
        $client->capture(['event' => 'b', 'distinctId' => 'u']);
        self::assertTrue($client->persist(60_000));
        self::assertSame(2, $client->discardSpool(60_000));
        self::assertSame(0, $client->discardSpool(60_000));
        $client->poll();
        self::assertSame(['discarded', 'discarded'], $lost);
        self::assertSame(2, $client->stats()['lost']['discarded']);
        self::assertTrue($client->persist(60_000));
        $client->shutdown();
        self::assertSame([], $sink->uuids());
    }

    public function testWithoutASpoolTheReasonIsReported(): void
    {
        $sink = new Sink();
        $errors = [];
        $client = new Client('phc_key', [
            'host' => $sink->host,
            'error_handler' => static function (int|string $code, string $message) use (&$errors): void {
                $errors[] = [$code, $message];
            },
        ]);
        self::assertTrue($client->capture(['event' => 'e', 'distinctId' => 'u']));
        self::assertFalse($client->persist(0));
        self::assertNull($client->discardSpool(0));
        self::assertSame(['spool', 'spool'], array_column($errors, 0));
        self::assertStringContainsString('spool_dir', $errors[0][1]);
        self::assertTrue($client->shutdown());
        $none = new Client(null, ['consumer' => 'noop']);
        self::assertFalse($none->persist());
        self::assertNull($none->discardSpool());
    }
}
