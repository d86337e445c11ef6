<?php

declare(strict_types=1);

namespace PostHog\Tests;

/** A namespace of phc-sink that only one test uses. PHC_SINK is the sink's address. */
final class Sink
{
    private static int $namespaces = 0;

    public readonly string $host;

    public function __construct(?string $script = null)
    {
        $address = getenv('PHC_SINK')
            ?: throw new \RuntimeException('set PHC_SINK to the address of a running phc-sink');
        $this->host = "http://$address/php/" . getmypid() . '/' . ++self::$namespaces;
        if ($script !== null) {
            $this->script($script);
        }
    }

    /** Sets a script. Responses that wait for a new script are then sent. */
    public function script(string $script): void
    {
        $this->request('/_script', $script);
    }

    /** @return list<string> */
    public function uuids(): array
    {
        $lines = array_filter(explode("\n", $this->request('/_events?fields=uuid')));
        sort($lines);
        return $lines;
    }

    /** @return list<array<string, mixed>> */
    public function requests(): array
    {
        return json_decode($this->request('/_requests'), true);
    }

    /**
     * The events, once there are so many that the sink has accepted.
     *
     * @return list<array<string, mixed>>
     */
    public function events(int $count): array
    {
        $this->request("/_wait?accepted=$count&timeout_ms=20000");
        $records = json_decode($this->request('/_events?accepted=1'), true);
        return array_map(static fn (array $record): array => $record['event'], $records);
    }

    /**
     * Sets what the server evaluates flags to, for everyone: true, false, a variant, or a whole record.
     *
     * @param array<string, mixed> $flags
     */
    public function flags(array $flags): void
    {
        $this->request('/_flags', (string) json_encode((object) $flags));
    }

    /**
     * Sets the definitions of flags.
     *
     * @param list<array<string, mixed>> $flags
     */
    public function definitions(array $flags): void
    {
        $this->request('/_definitions', (string) json_encode(['flags' => $flags]));
    }

    /**
     * The requests for flags, or for their definitions.
     *
     * @return list<array<string, mixed>>
     */
    public function flagRequests(string $endpoint = 'flags'): array
    {
        $all = json_decode($this->request('/_flags'), true);
        return array_values(array_filter($all, static fn (array $each): bool => $each['endpoint'] === $endpoint));
    }

    public function violations(): string
    {
        return $this->request('/_violations');
    }

    private function request(string $path, ?string $body = null): string
    {
        $options = [
            'method' => $body === null ? 'GET' : 'POST', 'header' => 'Content-Type: application/json',
            'content' => $body ?? '', 'timeout' => 30,
        ];
        $context = stream_context_create(['http' => $options]);
        return (string) file_get_contents($this->host . $path, false, $context);
    }
}
