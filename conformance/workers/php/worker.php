<?php

/*
 * The conformance worker for PHP: one client, driven by JSON lines on standard
 * input, each answered by a line. docs/conformance.md has the protocol.
 *
 * The way "array" gives events as PHP values, as users do; the way "text" gives
 * them as the text that the case has.
 */

declare(strict_types=1);

use PostHog\Client;
use PostHog\PostHog;

require __DIR__ . '/../../../bindings/php/autoload.php';
require __DIR__ . '/Exact.php';

final class Worker
{
    private const MEMBERS = [
        'event', 'distinct_id', 'properties', 'timestamp', 'uuid', '$set', '$set_once', 'groups', 'options', 'session_id',
        'window_id',
    ];

    private ?Client $client = null;
    private bool $registered = false;

    /** @var array{string, string} status and message of the last call that took nothing */
    private array $refused = ['ok', ''];

    /** @return array<string, mixed> */
    public function run(string $line): array
    {
        // The event's own text, whose numbers are not read here.
        preg_match('/^\{"do":"(\w+)"(?:,"way":"(\w+)","with":(.*)\}$)?/s', $line, $parts);
        [, $do, $way, $with] = $parts + ['', '', 'array', 'null'];
        if ($do === 'init') {
            return $this->init(json_decode($line)->with);
        }
        $calls = [
            'hello' => $this->hello(...),
            'reset' => $this->reset(...),
            'capture' => fn () => $way === 'text' ? $this->text($with) : $this->capture($with),
            'capture_text' => fn () => $way === 'text' ? $this->text(json_decode($with)) : self::only('text'),
            'capture_hex' => fn () => $way === 'text' ? $this->text(hex2bin(json_decode($with))) : self::only('text'),
            'identify' => fn () => $this->identify(Exact::values($with)),
            'alias' => fn () => $this->taken($this->client->alias((array) Exact::values($with))),
            'group_identify' => fn () => $this->groupIdentify(Exact::values($with)),
            'register' => fn () => $this->register(Exact::values($with)),
            'unregister' => fn () => $this->ok(fn () => $this->client->unregister(json_decode($with))),
            'opt_out' => fn () => throw new Inexpressible('posthog-php has no opt-out but the consumer noop'),
            'opt_in' => fn () => throw new Inexpressible('posthog-php has no opt-out but the consumer noop'),
            'flush' => fn () => $this->flush(json_decode($with)),
            'close' => fn () => $this->close(json_decode($with)),
            'stats' => $this->stats(...),
            'reports' => $this->reports(...),
        ];
        if (!isset($calls[$do])) {
            return ['not_offered' => "there is no call '$do'"];
        }
        if ($this->client === null && !in_array($do, ['hello', 'reset'], true)) {
            return ['status' => 'invalid_argument', 'message' => 'there is no client; init comes first'];
        }
        try {
            return $calls[$do]();
        } catch (Inexpressible $why) {
            return ['not_offered' => $why->getMessage()];
        } catch (InvalidArgumentException $error) {
            return ['status' => 'invalid_argument', 'message' => $error->getMessage()];
        }
    }

    private static function only(string $way): never
    {
        throw new Inexpressible("only the way '$way' takes a whole text");
    }

    private function hello(): array
    {
        return ['sdk_name' => 'posthog-php-phc', 'sdk_version' => PostHog::VERSION, 'ways' => ['array', 'text']];
    }

    private function init(object $with): array
    {
        $this->reset();
        $this->reports = [];
        $this->registered = false;
        try {
            // The face's own defaults, which cases do not know, are undone.
            $this->client = new Client($with->api_key, [
                'settings' => (array) ($with->settings ?? []) + ['is_server' => 'false', 'exit_flush_ms' => '0'],
                'error_handler' => function (int|string $status, string $message): void {
                    $this->refused = [(string) $status, $message];
                },
                'on_error' => $this->hear(...),
                'on_success' => $this->hear(...),
            ]);
        } catch (InvalidArgumentException $error) {
            return ['status' => 'invalid_setting', 'message' => $error->getMessage()];
        }
        return ['status' => 'ok'];
    }

    /** @var array<string, array<string, mixed>> */
    private array $reports = [];

    /** Both handlers see their part of a report: they are one again here. */
    private function hear(array $report): void
    {
        $key = "$report[request_id] $report[attempt]";
        $report['events'] = array_merge($this->reports[$key]['events'] ?? [], $report['events']);
        $this->reports[$key] = $report;
    }

    private function reset(): array
    {
        $this->client?->shutdown(0);
        $this->client = null;
        return ['status' => 'ok'];
    }

    private function capture(string $with): array
    {
        $event = (array) Exact::values($with);
        if (($event['distinct_id'] ?? '') === '') {
            throw new Inexpressible('without a distinct_id posthog-php captures an event of nobody');
        }
        $timestamp = $event['timestamp'] ?? null;
        if (is_scalar($timestamp) && !preg_match('/^\d{4}-\d\d-\d\d[T ].*(Z|[+-]\d.*)$/i', (string) $timestamp)) {
            throw new Inexpressible('posthog-php reads every text and number that may be a date');
        }
        if (array_diff_key($event, array_flip(self::MEMBERS)) !== []) {
            throw new Inexpressible('as in posthog-php a member that is not known does not cost the event; it is reported');
        }
        return $this->taken($this->client->capture($event));
    }

    private function text(string $json): array
    {
        if ($this->registered) {
            throw new Inexpressible('a text is sent as it is, without registered properties');
        }
        return $this->taken($this->client->raw($json));
    }

    private function identify(object $with): array
    {
        return $this->taken($this->client->identify([
            'distinctId' => $with->distinct_id ?? null,
            'properties' => isset($with->set) ? (array) $with->set : null,
            '$set_once' => $with->set_once ?? null,
        ]));
    }

    private function groupIdentify(object $with): array
    {
        return $this->taken($this->client->groupIdentify([
            'groupType' => $with->group_type ?? null,
            'groupKey' => $with->group_key ?? null,
            'properties' => $with->set ?? null,
            'distinctId' => $with->distinct_id ?? null,
        ]));
    }

    private function register(object $with): array
    {
        $this->registered = true;
        return $this->ok(fn () => $this->client->register($with->key, $with->value));
    }

    private function flush(object $with): array
    {
        $result = $this->client->flushResult($with->timeout_ms ?? 0);
        return ['status' => $result['status'], 'result' => array_diff_key($result, ['status' => 0])];
    }

    private function close(object $with): array
    {
        return ['status' => $this->client->shutdown($with->timeout_ms ?? 0) ? 'ok' : 'lost_events'];
    }

    private function reports(): array
    {
        $this->client->poll();
        $reports = array_values($this->reports);
        $this->reports = [];
        return ['status' => 'ok', 'result' => $reports];
    }

    private function ok(callable $call): array
    {
        $call();
        return ['status' => 'ok'];
    }

    private function taken(bool $taken): array
    {
        return match (true) {
            $taken => ['status' => 'ok', 'uuid' => $this->client->lastUuid()],
            $this->client->problem() !== null => ['status' => 'disabled', 'message' => $this->client->problem()],
            default => ['status' => $this->refused[0], 'message' => $this->refused[1]],
        };
    }

    private function stats(): array
    {
        $stats = $this->client->stats();
        foreach (['lost', 'refused'] as $reasons) {
            $stats[$reasons] = (object) $stats[$reasons];
        }
        return ['status' => 'ok', 'result' => $stats];
    }
}

$worker = new Worker();
while (($line = fgets(STDIN)) !== false) {
    echo json_encode($worker->run(trim($line)), JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION), "\n";
}
