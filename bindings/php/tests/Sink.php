<?php

declare(strict_types=1);

namespace PostHog\Tests;

/** A space of phc-sink (PHC_SINK is its address) that a test has for itself. */
final class Sink
{
    private static int $spaces = 0;

    public readonly string $host;

    public function __construct(?string $script = null)
    {
        $address = getenv('PHC_SINK') ?: throw new \RuntimeException('PHC_SINK is not set; run make test-php');
        $this->host = "http://$address/php/" . getmypid() . '/' . ++self::$spaces;
        if ($script !== null) {
            $this->script($script);
        }
    }

    /** What the sink does from now on; held answers go. */
    public function script(string $script): void
    {
        $this->ask('/_script', $script);
    }

    /** @return list<string> */
    public function uuids(): array
    {
        $lines = array_filter(explode("\n", $this->ask('/_events?fields=uuid')));
        sort($lines);
        return $lines;
    }

    /** @return list<array<string, mixed>> */
    public function requests(): array
    {
        return json_decode($this->ask('/_requests'), true);
    }

    public function violations(): string
    {
        return $this->ask('/_violations');
    }

    private function ask(string $path, ?string $body = null): string
    {
        $options = [
            'method' => $body === null ? 'GET' : 'POST', 'header' => 'Content-Type: application/json',
            'content' => $body ?? '', 'timeout' => 30,
        ];
        return (string) file_get_contents($this->host . $path, false, stream_context_create(['http' => $options]));
    }
}
