<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A client as in posthog-php: one destination, with its settings.
 *
 * Delivery is libphc's: a method here makes one JSON text and one call, never
 * a connection. Clients with the same key and options are one client of the
 * process, in every request of a worker; it sends beside the requests.
 *
 * What the code gets wrong (an option, a missing distinctId) throws. What an
 * event gets wrong, and everything about delivery, does not: the call answers
 * false, and the error handler or the error log says why.
 *
 * The methods in NotSupported::METHODS throw NotSupported.
 */
class Client
{
    /** How long a flush waits that does not say so. */
    private const FLUSH_MS = 10_000;

    private readonly Options $options;
    private readonly Listener $listener;
    private readonly Context $context;
    private ?Handle $handle = null;
    private ?string $problem = null;
    private ?string $lastUuid = null;

    /** @var array<string, mixed> */
    private array $registered = [];

    /**
     * @param string|null $apiKey your project key; empty makes a client that takes nothing
     * @param array{
     *     host?: string,
     *     ssl?: bool,
     *     timeout?: int,
     *     batch_size?: int,
     *     max_queue_size?: int,
     *     maximum_backoff_duration?: int,
     *     compress_request?: bool|string,
     *     is_server?: bool,
     *     consumer?: 'lib_curl'|'socket'|'fork_curl'|'noop',
     *     debug?: bool,
     *     error_handler?: callable(int|string, string): void,
     *     on_error?: callable(array<string, mixed>): void,
     *     on_success?: callable(array<string, mixed>): void,
     *     before_send?: callable(array<string, mixed>): ?array<string, mixed>,
     *     library?: string,
     *     settings?: array<string, scalar|list<scalar>>
     * } $options those of posthog-php; `settings` are libphc's, docs/settings.md has them all
     * @param mixed $httpClient there is none; for tests use the setting test_mode
     * @param string|null $personalAPIKey of feature flags: not used
     * @param bool $loadFeatureFlags not used
     * @throws \InvalidArgumentException for an option or a setting that is not accepted
     */
    public function __construct(
        ?string $apiKey = null,
        array $options = [],
        mixed $httpClient = null,
        ?string $personalAPIKey = null,
        bool $loadFeatureFlags = true,
    ) {
        if ($httpClient !== null) {
            throw new NotSupported('A HTTP client of your own is not supported; for tests there is the setting test_mode');
        }
        $this->options = new Options($options);
        $this->listener = new Listener($this->options);
        $this->context = new Context();
        $apiKey = trim($apiKey ?? '');
        if ($apiKey === '') {
            $this->problem = 'apiKey is empty after trimming whitespace; check your project API key';
            error_log("[PostHog][Client] $this->problem");
        } elseif ($this->options->noop) {
            $this->problem = 'the consumer is noop';
        } else {
            $this->open($apiKey);
        }
    }

    private function open(string $apiKey): void
    {
        try {
            $this->handle = Handle::open(Library::load($this->options->library), $apiKey, $this->options->settings);
        } catch (Unavailable $error) {
            $this->problem = $error->getMessage();
            $error->tell();
        }
    }

    public function __destruct()
    {
        $this->poll();
    }

    /**
     * Tells the handlers what has become of events by now. Waits for nothing,
     * sends nothing. It happens at the end of a request and at a flush; a daemon
     * calls it now and then.
     */
    public function poll(): void
    {
        if ($this->handle !== null) {
            $this->listener->hear($this->handle);
        }
    }

    /**
     * Captures a user action.
     *
     * Without a distinctId the event belongs to nobody: it gets a fresh id and
     * makes no person, as in posthog-php.
     *
     * @param array{
     *     event: string,
     *     distinctId?: string,
     *     distinct_id?: string,
     *     properties?: array<string, mixed>,
     *     groups?: array<string, string>,
     *     timestamp?: int|float|string|\DateTimeInterface,
     *     uuid?: string
     * } $message also: $set, $set_once, $groups, options, session_id, window_id
     * @return bool whether the event was taken
     */
    public function capture(array $message): bool
    {
        if (($message['event'] ?? null) === '$groupidentify') {
            return $this->take($message);
        }
        $context = $this->context->current();
        $properties = $context['properties'] ?? [];
        if (isset($context['sessionId'])) {
            $properties['$session_id'] ??= $context['sessionId'];
        }
        if (!Message::hasId($message)) {
            $id = $context['distinctId'] ?? null;
            unset($message['distinct_id']);
            $message['distinctId'] = $id ?? self::randomId();
            $properties += $id === null ? ['$process_person_profile' => false] : [];
        }
        return $this->take(Message::with($message, $properties));
    }

    /**
     * Sets properties of a person.
     *
     * @param array{distinctId?: string, distinct_id?: string, properties?: array<string, mixed>} $message
     *     also: $set (the same as properties), $set_once
     * @return bool whether it was taken
     */
    public function identify(array $message): bool
    {
        return $this->take(Message::identify($message));
    }

    /**
     * Makes alias another name of distinctId, which is the canonical one.
     *
     * @param array{distinctId?: string, distinct_id?: string, alias: string} $message
     * @return bool whether it was taken
     * @throws \InvalidArgumentException without an alias
     */
    public function alias(array $message): bool
    {
        self::need($message, 'alias', 'alias() requires an alias');
        return $this->take(Message::alias($message));
    }

    /**
     * Sets properties of a group.
     *
     * @param array{groupType: string, groupKey: string, properties?: array<string, mixed>, distinctId?: string} $message
     * @return bool whether it was taken
     * @throws \InvalidArgumentException without groupType or groupKey
     */
    public function groupIdentify(array $message): bool
    {
        self::need($message, 'groupType', 'groupIdentify() expects a groupType');
        self::need($message, 'groupKey', 'groupIdentify() expects a groupKey');
        return $this->take(Message::groupIdentify($message));
    }

    /**
     * Captures a prepared event, to which nothing is added.
     *
     * @param array<string, mixed>|string $message as for capture; or one JSON object of text, which is
     *     sent as it is: for numbers that PHP cannot hold, and for events that come from elsewhere
     * @return bool whether it was taken
     */
    public function raw(array|string $message): bool
    {
        if (is_string($message) && $this->options->beforeSend !== null) {
            // The hook sees every event.
            $message = json_decode($message, true) ?? $message;
        }
        if (is_string($message)) {
            return $this->handle === null ? false : $this->send($this->handle, $message);
        }
        return $this->take($message, []);
    }

    /**
     * Adds a property to every event of this object from now on. What an event
     * has itself wins over it.
     */
    public function register(string $key, mixed $value): void
    {
        $this->registered[$key] = $value;
    }

    /** Adds it no longer. */
    public function unregister(string $key): void
    {
        unset($this->registered[$key]);
    }

    /**
     * Waits until everything that was captured before is delivered or lost.
     *
     * A web request needs none: events go out beside it, and at the end of the
     * process. Handlers of signals run while it waits.
     *
     * @param int|null $timeoutMs at most so long; ten seconds unless given
     * @return bool whether all of it was delivered
     */
    public function flush(?int $timeoutMs = null): bool
    {
        return $this->flushResult($timeoutMs)['status'] === 'ok';
    }

    /**
     * A flush, and what it has seen.
     *
     * @return array{status: string, settled: int, delivered: int, lost: int, pending: int}
     *     status: ok, lost_events, timeout, closed, or disabled
     */
    public function flushResult(?int $timeoutMs = null): array
    {
        if ($this->handle === null) {
            return ['status' => 'disabled', 'settled' => 0, 'delivered' => 0, 'lost' => 0, 'pending' => 0];
        }
        try {
            return $this->handle->flush(max(0, $timeoutMs ?? self::FLUSH_MS));
        } finally {
            $this->poll();
        }
    }

    /**
     * Flushes for at most so long and ends the process's client, for all its
     * requests. For the end of a script or of a test; what is still pending is
     * lost, and counted so.
     *
     * @return bool whether nothing was lost since the last flush
     */
    public function shutdown(?int $timeoutMs = null): bool
    {
        if ($this->handle === null) {
            return true;
        }
        try {
            return $this->handle->close(max(0, $timeoutMs ?? self::FLUSH_MS)) === Handle::OK;
        } finally {
            $this->poll();
        }
    }

    /**
     * The counters: captured = delivered + lost + pending, and more.
     *
     * @return array<string, mixed> empty where events are not captured
     */
    public function stats(): array
    {
        return $this->handle === null ? [] : json_decode($this->handle->stats(), true);
    }

    /**
     * With the setting test_mode: the wire bytes of the oldest event, which is
     * taken away; null when there is none.
     */
    public function testNext(): ?string
    {
        return $this->handle?->testNext();
    }

    /** The uuid of the last event that was taken. */
    public function lastUuid(): ?string
    {
        return $this->lastUuid;
    }

    /** Why events are not captured here; null when they are. */
    public function problem(): ?string
    {
        return $this->problem;
    }

    /**
     * Runs a callback in whose captures these are added.
     *
     * @param array{distinctId?: string, sessionId?: string, properties?: array<string, mixed>} $data
     * @param array{fresh?: bool} $options fresh: without what is around it
     */
    public function withContext(array $data, callable $fn, array $options = []): mixed
    {
        return $this->context->with($data, $fn, (bool) ($options['fresh'] ?? false));
    }

    /** @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}|null */
    public function getContext(): ?array
    {
        return $this->context->current();
    }

    /**
     * The context that PostHog's web library sends along.
     *
     * @param array<string, mixed> $headers or $_SERVER
     * @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}
     */
    public function contextFromHeaders(array $headers): array
    {
        return Context::fromHeaders($headers);
    }

    /** @param array<int, mixed> $arguments */
    public function __call(string $name, array $arguments): never
    {
        throw NotSupported::method(self::class, $name);
    }

    /**
     * @param array<int|string, mixed> $message
     * @param array<string, mixed>|null $registered instead of those of this object
     */
    private function take(array $message, ?array $registered = null): bool
    {
        if ($this->handle === null) {
            return false;
        }
        [$event, $unknown] = Message::event($message);
        if ($unknown !== []) {
            $this->listener->refused('unknown_member', "left out of an event: '" . implode("', '", $unknown) . "'");
        }
        if (!empty($message['send_feature_flags'] ?? $message['sendFeatureFlags'] ?? null)) {
            $this->listener->refused('not_supported', 'an event is sent without feature flags');
        }
        $event = Message::with($event, $registered ?? $this->registered);
        if ($this->options->beforeSend !== null) {
            $event = $this->ask($this->handle, $this->options->beforeSend, $event);
            if ($event === null) {
                return false;
            }
        }
        return $this->send($this->handle, Message::encode($event));
    }

    /**
     * @param array<string, mixed> $event
     * @return array<string, mixed>|null what is to be sent, or nothing
     */
    private function ask(Handle $handle, \Closure $beforeSend, array $event): ?array
    {
        try {
            $event = $beforeSend($event);
        } catch (\Throwable $error) {
            $event = null;
            $this->listener->refused('before_send', 'before_send failed: ' . $error->getMessage());
        }
        if (!is_array($event)) {
            $handle->countDropped();
            return null;
        }
        return $event;
    }

    private function send(Handle $handle, string $json): bool
    {
        $status = $handle->capture($json);
        if ($status === Handle::OK) {
            $this->lastUuid = $handle->uuid();
            return true;
        }
        $this->listener->refused($handle->statusName($status), $handle->lastError());
        return false;
    }

    /** @param array<int|string, mixed> $message */
    private static function need(array $message, string $member, string $otherwise): void
    {
        if (($message[$member] ?? '') === '') {
            throw new \InvalidArgumentException("PostHog::$otherwise");
        }
    }

    private static function randomId(): string
    {
        $bytes = random_bytes(16);
        $bytes[6] = chr(ord($bytes[6]) & 0x0f | 0x40);
        $bytes[8] = chr(ord($bytes[8]) & 0x3f | 0x80);
        return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
    }
}
