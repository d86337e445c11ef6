<?php

/*
 * The conformance worker for PHP: one client, driven by JSON lines on standard input, each with
 * one line in response. docs/conformance.md describes the protocol.
 *
 * In the form "array" events are captured as PHP values, as programs do it; in the form "text" as
 * the text of the case.
 */

declare(strict_types=1);

use PostHog\Client;
use PostHog\PostHog;

require __DIR__ . '/../../../bindings/php/autoload.php';
require __DIR__ . '/Exact.php';

final class Worker
{
    private const MEMBERS = [
        'event', 'distinct_id', 'properties', 'timestamp', 'uuid', '$set', '$set_once', '$unset', 'groups',
        'options', 'session_id', 'window_id',
    ];

    private ?Client $client = null;
    private bool $registered = false;

    /** @var array{string, string} status and message of the last refusal */
    private array $refused = ['ok', ''];

    /** @var list<array<string, mixed>> */
    private array $reports = [];

    /**
     * The response to a request.
     *
     * @return array<string, mixed>
     */
    public function respond(string $line): array
    {
        // The argument is kept as text: its numbers must not be rounded.
        preg_match('/^\{"do":"(\w+)"(?:,"form":"(\w*)")?(?:,"with":(.*))?\}$/s', $line, $parts);
        [, $do, $form, $with] = $parts + ['', '', '', 'null'];
        $calls = [
            'hello' => $this->hello(...),
            'init' => fn () => $this->init(json_decode($with)),
            'reset' => $this->reset(...),
            'capture' => fn () => $form === 'text' ? $this->text($with) : $this->capture($with),
            'capture_text' => fn () => $this->text(json_decode($with)),
            'capture_hex' => fn () => $this->text(hex2bin(json_decode($with))),
            'identify' => fn () => $this->identify(Exact::values($with)),
            'alias' => fn () => $this->captured($this->client->alias((array) Exact::values($with))),
            'group_identify' => fn () => $this->groupIdentify(Exact::values($with)),
            'register' => fn () => $this->register(Exact::values($with)),
            'unregister' => fn () => self::ok(fn () => $this->client->unregister(json_decode($with))),
            'flush' => fn () => $this->flush(json_decode($with)),
            'close' => fn () => $this->close(json_decode($with)),
            'stats' => $this->stats(...),
            'reports' => $this->readReports(...),
            'get_feature_flag' => fn () => $this->getFeatureFlag($with),
            'reload_feature_flag_definitions' => fn () => $this->reloadDefinitions(json_decode($with)),
        ];
        $unsupported = [
            'opt_out' => 'as in posthog-php, only the consumer noop opts out',
            'opt_in' => 'as in posthog-php, only the consumer noop opts out',
            'flush_begin' => 'flushResult() begins a flush and waits for it',
            'flush_wait' => 'flushResult() begins a flush and waits for it',
        ];
        if (!isset($calls[$do])) {
            return ['unsupported' => $unsupported[$do] ?? "there is no call '$do'"];
        }
        if ($this->client === null && !in_array($do, ['hello', 'init', 'reset'], true)) {
            return ['status' => 'invalid_argument', 'message' => 'there is no client; call init first'];
        }
        try {
            return $calls[$do]();
        } catch (Unsupported $reason) {
            return ['unsupported' => $reason->getMessage()];
        } catch (InvalidArgumentException $error) {
            $status = $do === 'init' ? 'invalid_setting' : 'invalid_argument';
            return ['status' => $status, 'message' => $error->getMessage()];
        }
    }

    private function hello(): array
    {
        $forms = ['array', 'text'];
        return ['sdk_name' => 'posthog-php-phc', 'sdk_version' => PostHog::VERSION, 'forms' => $forms];
    }

    private function init(object $with): array
    {
        $this->reset();
        $this->reports = [];
        $this->registered = false;
        $settings = (array) ($with->settings ?? []);
        // Defaults of the package that differ from libphc's, which the cases expect.
        $defaults = ['is_server' => 'false', 'exit_flush_ms' => '0'];
        $this->client = new Client($with->api_key, [
            'settings' => $settings + $defaults,
            'error_handler' => function (int|string $status, string $message): void {
                $this->refused = [(string) $status, $message];
            },
            'on_error' => function (array $report): void {
                $this->reports[] = $report;
            },
            // It gets every delivery, whatever the setting says.
            'on_success' => ($settings['reports'] ?? '') === 'all' ? $this->addDeliveries(...) : null,
        ]);
        $problem = (string) $this->client->problem();
        // Such a client captures nothing: the configuration of a server never stops a site.
        return str_contains($problem, 'cannot make a client')
            ? ['status' => 'invalid_setting', 'message' => $problem]
            : ['status' => 'ok'];
    }

    /** The deliveries of a report whose failures on_error got just before are added to it. */
    private function addDeliveries(array $report): void
    {
        $last = array_key_last($this->reports);
        $attempt = static fn (?array $of): array => [$of['request_id'] ?? null, $of['attempt'] ?? null];
        if ($attempt($this->reports[$last] ?? null) !== $attempt($report)) {
            $this->reports[] = $report;
            return;
        }
        $events = array_merge($this->reports[$last]['events'], $report['events']);
        $this->reports[$last]['events'] = array_values(array_column($events, null, 'uuid'));
    }

    private function readReports(): array
    {
        $this->client->poll();
        $reports = $this->reports;
        $this->reports = [];
        return ['status' => 'ok', 'result' => $reports];
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
            throw new Unsupported('as in posthog-php, an event without a distinct_id gets a random one');
        }
        if (!self::isInstant($event['timestamp'] ?? null)) {
            throw new Unsupported('as in posthog-php, what may be a date is one, and anything else means now');
        }
        if (!is_object($event['properties'] ?? (object) [])) {
            throw new Unsupported('as in posthog-php, properties that are not an object do not cost the event');
        }
        if (preg_match('/^(0+|f+)$/i', strtr(is_string($uuid = $event['uuid'] ?? '') ? $uuid : '', ['-' => '']))) {
            throw new Unsupported('as in posthog-php, the nil and the largest uuid are replaced');
        }
        if (array_diff_key($event, array_flip(self::MEMBERS)) !== []) {
            throw new Unsupported('an unknown member is reported and does not cost the event');
        }
        return $this->captured($this->client->capture($event));
    }

    /** Whether there is no timestamp, or one that PHP reads as it is: of February 30 it makes the first of March. */
    private static function isInstant(mixed $timestamp): bool
    {
        $rfc3339 = '/^\d{4}-\d\d-\d\d[T ].*(Z|[+-]\d\d:\d\d)$/i';
        if ($timestamp === null || !is_string($timestamp) || !preg_match($rfc3339, $timestamp)) {
            return $timestamp === null;
        }
        try {
            $date = new DateTimeImmutable($timestamp);
        } catch (Exception) {
            return false;
        }
        $year = $date->setTimezone(new DateTimeZone('UTC'))->format('Y');
        $read = $date->format('Y-m-d H:i:s');
        return preg_match('/^\d{4}$/', $year) && $read === strtr(substr($timestamp, 0, 19), 'Tt', '  ');
    }

    private function text(string $json): array
    {
        if ($this->registered) {
            throw new Unsupported('nothing is added to a text, not even registered properties');
        }
        return $this->captured($this->client->raw($json));
    }

    private function identify(object $with): array
    {
        if (!is_object($with->set ?? (object) [])) {
            throw new Unsupported('as in posthog-php, properties that are not an object do not cost the event');
        }
        return $this->captured($this->client->identify([
            'distinctId' => $with->distinct_id ?? null,
            'properties' => isset($with->set) ? (array) $with->set : null,
            '$set_once' => $with->set_once ?? null,
        ]));
    }

    private function groupIdentify(object $with): array
    {
        return $this->captured($this->client->groupIdentify([
            'groupType' => $with->group_type ?? null,
            'groupKey' => $with->group_key ?? null,
            'properties' => $with->set ?? null,
            'distinctId' => $with->distinct_id ?? null,
        ]));
    }

    private function register(object $with): array
    {
        $this->registered = true;
        return self::ok(fn () => $this->client->register($with->key, $with->value));
    }

    private function flush(object $with): array
    {
        $result = $this->client->flushResult($with->timeout_ms ?? 0);
        $response = ['status' => $result['status'], 'result' => array_diff_key($result, ['status' => 0])];
        return $result['status'] === 'ok'
            ? $response
            : $response + ['message' => "the flush returned $result[status]"];
    }

    private function close(object $with): array
    {
        return $this->client->shutdown($with->timeout_ms ?? 0)
            ? ['status' => 'ok']
            : ['status' => 'lost_events', 'message' => 'events were lost'];
    }

    /** PHP has no time limit of its own for an evaluation. */
    private function getFeatureFlag(string $with): array
    {
        $with = (array) Exact::values($with);
        $members = static fn (mixed $object): array => array_map(
            static fn (mixed $value): mixed => $value instanceof stdClass ? (array) $value : $value,
            (array) $object,
        );
        $arguments = [
            (string) $with['distinct_id'], $members($with['groups'] ?? []), (array) ($with['person_properties'] ?? []),
            $members($with['group_properties'] ?? []),
        ];
        $key = $with['key'];
        $flags = $this->client->evaluateFlags(...[
            ...$arguments, $with['only_evaluate_locally'] ?? false, $with['disable_geoip'] ?? null, [$key],
            $with['force_remote'] ?? false,
        ]);
        return ['status' => 'ok', 'result' => [
            'value' => $flags->getFlag($key),
            'locally_evaluated' => $flags->isLocallyEvaluated($key),
            'error' => $flags->getError(),
        ]];
    }

    private function reloadDefinitions(object $with): array
    {
        return $this->client->loadFlags($with->timeout_ms)
            ? ['status' => 'ok']
            : ['status' => $this->refused[0], 'message' => $this->refused[1]];
    }

    private function stats(): array
    {
        $stats = $this->client->stats();
        foreach (['lost', 'refused'] as $reasons) {
            $stats[$reasons] = (object) $stats[$reasons];
        }
        return ['status' => 'ok', 'result' => $stats];
    }

    private static function ok(callable $call): array
    {
        $call();
        return ['status' => 'ok'];
    }

    private function captured(bool $captured): array
    {
        return match (true) {
            $captured => ['status' => 'ok', 'uuid' => $this->client->lastUuid()],
            $this->client->problem() !== null
                => ['status' => 'disabled', 'message' => $this->client->problem()],
            default => ['status' => $this->refused[0], 'message' => $this->refused[1]],
        };
    }
}

$worker = new Worker();
$flags = JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION;
while (($line = fgets(STDIN)) !== false) {
    echo json_encode($worker->respond(trim($line)), $flags), "\n";
}
