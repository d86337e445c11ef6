<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A client as in posthog-php: one destination with its settings.
 *
 * libphc delivers the events. A method here writes one JSON text and makes one native call; it
 * never opens a connection. Clients with the same key and options share one native client of the
 * process, in every request of a worker. It sends on a thread of its own.
 *
 * A mistake in the code (an unknown option, a missing distinctId) throws. A mistake in the data or in the
 * configuration of a server, and everything about delivery, does not: the method returns false, and the error
 * handler or the error log has the reason.
 *
 * The methods in NotSupported::METHODS throw NotSupported.
 */
class Client
{
    use DeliveryMethods;
    use FeatureFlagMethods;

    /** For flush() and shutdown(): wait without a limit. */
    public const NO_LIMIT = Declarations::NO_LIMIT;

    /** The default time limit of what waits for more than a page should. */
    private const FLUSH_MS = 10_000;

    private readonly Options $options;
    private readonly Callbacks $callbacks;
    private readonly Context $context;
    private ?BeforeSend $beforeSend = null;
    private ?Handle $handle = null;
    private ?string $problem = null;
    private ?string $lastUuid = null;

    /** @var array<string, mixed> */
    private array $registered = [];

    /**
     * @param string|false|null $apiKey your project key; with an empty one nothing is captured
     * @param array{
     *     host?: string|false|null,
     *     ssl?: bool,
     *     timeout?: int|float,
     *     batch_size?: int,
     *     flush_interval_seconds?: int|float,
     *     max_queue_size?: int,
     *     maximum_backoff_duration?: int,
     *     feature_flag_request_timeout_ms?: int,
     *     feature_flag_request_max_retries?: int,
     *     compress_request?: bool|string,
     *     is_server?: bool,
     *     error_tracking?: array{
     *         enabled?: bool,
     *         capture_errors?: bool,
     *         excluded_exceptions?: list<class-string>,
     *         max_frames?: int,
     *         context_provider?: callable(array<string, mixed>): array<string, mixed>
     *     },
     *     consumer?: 'lib_curl'|'socket'|'fork_curl'|'noop',
     *     debug?: bool,
     *     error_handler?: callable(int|string, string): void,
     *     on_error?: callable(array<string, mixed>): void,
     *     on_success?: callable(array<string, mixed>): void,
     *     before_send?: callable(array<string, mixed>): ?array<string, mixed>,
     *     library?: string,
     *     settings?: array<string, scalar|list<scalar>|null>
     * } $options those of posthog-php; `settings` are those of libphc, see docs/settings.md
     * @param mixed $httpClient must be null; for tests use the setting test_mode
     * @param string|null $personalAPIKey the older name of $secretKey
     * @param bool $loadFeatureFlags whether definitions of feature flags are fetched; without them the server evaluates
     *     all flags
     * @param string|null $secretKey the feature flags secure key of the project (phs_…) or a personal key (phx_…), with
     *     which definitions are fetched
     * @throws \InvalidArgumentException for an unknown option, or one of `settings` that is not accepted
     * @throws NotSupported for an HTTP client
     */
    public function __construct(
        string|false|null $apiKey = null,
        array $options = [],
        mixed $httpClient = null,
        ?string $personalAPIKey = null,
        bool $loadFeatureFlags = true,
        ?string $secretKey = null,
    ) {
        if ($httpClient !== null) {
            throw new NotSupported('An HTTP client is not supported; for tests use the setting test_mode');
        }
        $missing = Host::missing();
        $this->options = new Options($missing === null ? $options : null);
        if ($missing === null) {
            $this->options->readSecretKey($secretKey ?? $personalAPIKey, $loadFeatureFlags);
        }
        $this->callbacks = new Callbacks($this->options);
        $this->context = new Context();
        if ($missing !== null) {
            $this->cannot(new Unavailable("the host has disabled the function $missing of PHP; take it out "
                . 'of disable_functions in php.ini'));
            return;
        }
        $this->registered = $this->options->isServer ? ['$is_server' => true] : [];
        if ($this->options->remarks !== []) {
            Host::logOnce(' ' . implode('; ', $this->options->remarks), 'options');
        }
        if ($this->options->beforeSend !== null) {
            $this->beforeSend = new BeforeSend($this->options->beforeSend, $this->callbacks);
        }
        $apiKey = trim((string) $apiKey);
        if ($this->options->noop) {
            $this->problem = $this->options->problem;
        } elseif ($apiKey === '') {
            $this->cannot(new Unavailable('apiKey is empty after trimming whitespace; check your project API key'));
        } elseif ($this->options->problem !== null) {
            $this->cannot(new Unavailable($this->options->problem));
        } else {
            $this->open($apiKey);
        }
    }

    /**
     * The client before PostHog::init(), which captures nothing.
     *
     * @internal
     */
    public static function beforeInit(): self
    {
        $client = new self(null, ['consumer' => 'noop']);
        $client->problem = 'PostHog::init() was not called';
        Host::logOnce(" events are not captured: $client->problem", 'init');
        return $client;
    }

    private function open(string $apiKey): void
    {
        try {
            $library = Library::load($this->options->library);
            $this->handle = Handle::open($library, $apiKey, $this->options);
            AtExit::watch($this->handle, $this->callbacks, $this->options);
            if ($this->options->errorTracking?->isEnabled) {
                ExceptionHandlers::install($this, $this->options->errorTracking);
            }
        } catch (Unavailable $error) {
            $this->cannot($error);
        }
    }

    private function cannot(Unavailable $error): void
    {
        $this->problem = $error->getMessage();
        $error->log();
    }

    public function __destruct()
    {
        $this->poll();
    }

    /**
     * Captures an event.
     *
     * As in posthog-php, an event without a distinctId gets a new random id and creates no person.
     *
     * @param array{
     *     event: string,
     *     distinctId?: string|int,
     *     distinct_id?: string|int,
     *     properties?: array<string, mixed>,
     *     groups?: array<string, string>,
     *     timestamp?: int|float|string|\DateTimeInterface,
     *     uuid?: string,
     *     flags?: FeatureFlagEvaluations,
     *     send_feature_flags?: bool
     * } $message flags are what evaluateFlags() returned; the event gets their values. With send_feature_flags they are
     *     evaluated here, for which the server is asked if there are no definitions. Also: $set, $set_once, $unset, $groups, options, session_id, window_id
     * @return bool whether the event was captured
     */
    public function capture(array $message): bool
    {
        if ($this->handle === null) {
            return false;
        }
        if (($message['event'] ?? null) === '$groupidentify') {
            return $this->submit($message, $this->registered);
        }
        $context = $this->context->current();
        $added = $context['properties'] ?? [];
        if (isset($context['sessionId'])) {
            $added['$session_id'] ??= $context['sessionId'];
        }
        if (Message::idOf($message) === null) {
            $id = $context['distinctId'] ?? null;
            unset($message['distinct_id']);
            $message['distinctId'] = $id ?? Uuid::v4();
            $added += $id === null ? ['$process_person_profile' => false] : [];
        }
        $flags = $this->flagProperties($message, $added['$process_person_profile'] ?? true ? Message::idOf($message) : null);
        if ($flags !== []) {
            $added = $flags + $added;
        }
        unset($message['flags'], $message['send_feature_flags'], $message['sendFeatureFlags']);
        return $this->submit($message, $added === [] ? $this->registered : $added + $this->registered);
    }

    /**
     * Captures an exception and what caused it, as the event $exception. Without an id it is that of the context, else
     * the event belongs to no person.
     *
     * @param \Throwable|string $exception a text is an exception without a stack
     * @param array<string, mixed> $additionalProperties of the event, such as $exception_fingerprint
     * @return bool whether the event was captured
     */
    public function captureException(
        \Throwable|string $exception,
        ?string $distinctId = null,
        array $additionalProperties = [],
    ): bool {
        if ($this->handle === null) {
            return false;
        }
        $list = ExceptionEvent::list($exception, $this->errorTracking()->maxFrames);
        $isCaptured = $this->capture(ExceptionEvent::message($list, $distinctId, $additionalProperties));
        if ($isCaptured && $exception instanceof \Throwable) {
            ExceptionHandlers::note($exception);
        }
        return $isCaptured;
    }

    /**
     * Captures the event of an exception that a handler has got, with the context that the exception has left.
     *
     * @internal
     * @param array<string, mixed> $message
     */
    public function captureAfter(\Throwable $exception, array $message): bool
    {
        return $this->context->after($exception, fn (): bool => $this->capture($message));
    }

    /** @internal */
    public function errorTracking(): ErrorTracking
    {
        return $this->options->errorTracking ?? new ErrorTracking();
    }

    /**
     * Sets properties of a person.
     *
     * @param array{
     *     distinctId?: string|int,
     *     distinct_id?: string|int,
     *     properties?: array<string, mixed>
     * } $message also: $set (the same as properties), $set_once
     * @return bool whether the event was captured
     */
    public function identify(array $message): bool
    {
        return $this->handle !== null && $this->submit(Message::identify($message), $this->registered);
    }

    /**
     * Declares that alias is the same person as distinctId, which is the canonical id.
     *
     * @param array{distinctId?: string|int, distinct_id?: string|int, alias: string|int} $message
     * @return bool whether the event was captured
     * @throws \InvalidArgumentException without an alias
     */
    public function alias(array $message): bool
    {
        self::requireMember($message, 'alias', 'alias() requires an alias');
        if ($this->handle === null) {
            return false;
        }
        $alias = Message::id($message['alias']);
        if ($alias === null) {
            $type = get_debug_type($message['alias']);
            $this->callbacks->refused('invalid_argument', "an alias must be text or a number, not $type");
            return false;
        }
        $alias = Message::trimmed($alias);
        self::requireMember(['alias' => $alias], 'alias', 'alias() requires an alias, not only white space');
        if (strlen($alias) > Context::MAX_ID) {
            $bytes = strlen($alias);
            $this->callbacks->refused('invalid_argument', "the alias has $bytes bytes; the server takes 1 to 200");
            return false;
        }
        return $this->submit(Message::alias($message, $alias), $this->registered);
    }

    /**
     * Sets properties of a group.
     *
     * @param array{
     *     groupType: string,
     *     groupKey: string,
     *     properties?: array<string, mixed>,
     *     distinctId?: string|int
     * } $message
     * @return bool whether the event was captured
     * @throws \InvalidArgumentException without groupType or groupKey
     */
    public function groupIdentify(array $message): bool
    {
        self::requireMember($message, 'groupType', 'groupIdentify() expects a groupType');
        self::requireMember($message, 'groupKey', 'groupIdentify() expects a groupKey');
        if ($this->handle === null) {
            return false;
        }
        foreach (['groupType', 'groupKey'] as $member) {
            if (Message::id($message[$member]) === null) {
                $type = get_debug_type($message[$member]);
                $this->callbacks->refused('invalid_argument', "a $member must be text or a number, not $type");
                return false;
            }
        }
        return $this->submit(Message::groupIdentify($message), $this->registered);
    }

    /**
     * Captures a prepared event and adds nothing to it. As for capture(), one without an id creates no person.
     *
     * @param array<string, mixed>|string $message as for capture; or the text of one JSON object, which is
     *     not changed: for numbers that PHP cannot hold, and for events that are JSON already
     * @return bool whether the event was captured
     */
    public function raw(array|string $message): bool
    {
        if ($this->handle === null) {
            return false;
        }
        if (is_string($message)) {
            // before_send gets every event.
            $read = $this->beforeSend === null ? null : json_decode($message, true);
            if (!is_array($read)) {
                return $this->settle($this->handle, $this->handle->capture($message));
            }
            return $this->submit($read, []);
        }
        $added = [];
        if (Message::idOf($message) === null) {
            unset($message['distinct_id']);
            $message['distinctId'] = Uuid::v4();
            $added = ['$process_person_profile' => false];
        }
        return $this->submit($message, $added);
    }

    /**
     * Adds a property to every event of this object from now on (a super property). A property
     * of the event itself has precedence.
     */
    public function register(string $key, mixed $value): void
    {
        $this->registered[$key] = $value;
    }

    /** Stops adding a super property. */
    public function unregister(string $key): void
    {
        unset($this->registered[$key]);
    }

    /**
     * With the setting test_mode: removes the oldest event and returns its wire bytes; null if there
     * is no event.
     */
    public function nextTestEvent(): ?string
    {
        return $this->handle?->nextTestEvent();
    }

    /** The uuid of the last event that was captured. */
    public function lastUuid(): ?string
    {
        return $this->lastUuid;
    }

    /** What calls libphc: `extension`, which costs a capture less, or `ffi`. Null if events are not captured here. */
    public function binding(): ?string
    {
        return $this->handle?->binding();
    }

    /** Why events are not captured here; null if they are. */
    public function problem(): ?string
    {
        return $this->problem;
    }

    /**
     * Calls a function, and adds these data to its captures.
     *
     * @param array{distinctId?: string, sessionId?: string, properties?: array<string, mixed>} $data
     * @param array{fresh?: bool} $options fresh: without the data of an outer withContext
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
     * The context in the headers that PostHog's web library sends.
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
     * @param array<string, mixed> $added properties that the message does not have itself
     */
    private function submit(array $message, array $added): bool
    {
        if ($this->handle === null) {
            return false;
        }
        $captured = $this->beforeSend === null ? $this->handle->captureMessage($message, $added) : null;
        if ($captured !== null) {
            return $this->settle($this->handle, $captured);
        }
        [$event, $remarks] = Message::event($message);
        if (!empty($message['send_feature_flags'] ?? $message['sendFeatureFlags'] ?? null)) {
            $remarks[] = ['not_supported', 'an event is sent without feature flags'];
        }
        $event = Message::with($event, $added);
        if ($this->beforeSend !== null) {
            $returned = $this->beforeSend->apply($event);
            if ($returned === null) {
                $this->handle->countDiscarded();
                return false;
            }
            $event = $returned[0];
            $remarks = [...$remarks, ...$returned[1]];
        }
        $json = Message::encode($event, $remarks);
        foreach ($remarks as [$status, $text]) {
            $this->callbacks->refused($status, $text);
        }
        return $this->settle($this->handle, $this->handle->capture($json));
    }

    /** @param string|int $captured what Handle::capture returned */
    private function settle(Handle $handle, string|int $captured): bool
    {
        if (is_string($captured)) {
            $this->lastUuid = $captured;
            return true;
        }
        return $this->isDone($handle, $captured);
    }

    /** Whether a call of libphc has succeeded. If not, that is reported. */
    private function isDone(Handle $handle, int $status): bool
    {
        if ($status !== Declarations::OK) {
            $this->callbacks->refused($handle->statusName($status), $handle->lastError());
        }
        return $status === Declarations::OK;
    }

    /** @param array<int|string, mixed> $message */
    private static function requireMember(array $message, string $member, string $error): void
    {
        if (($message[$member] ?? '') === '') {
            throw new \InvalidArgumentException("PostHog::$error");
        }
    }
}
