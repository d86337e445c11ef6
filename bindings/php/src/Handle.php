<?php

declare(strict_types=1);

namespace PostHog;

/**
 * A client of libphc, by the extension phc or by FFI.
 *
 * PHP forgets its pointers at the end of a request; the next one finds the client again by the
 * name that it was opened with. So the client is not freed with the request: the free would
 * wait for its events.
 *
 * @internal
 */
final class Handle
{
    /** No native wait is longer than this, so that signal handlers of PHP run. */
    private const SLICE_MS = 100;

    /** @var array<string, self> by name */
    private static array $open = [];

    /** Whether a close is waiting. */
    private bool $closing = false;

    /** Whether the client encodes messages itself. */
    private readonly bool $encodes;

    private function __construct(
        private readonly Library $library,
        private readonly FfiClient|\Phc\Client $client,
        private readonly ?string $name,
    ) {
        $this->encodes = !$client instanceof FfiClient;
    }

    /**
     * Returns the client of this process with these settings; the first request that asks for it
     * makes it. In test mode every call makes one.
     *
     * @throws \InvalidArgumentException for a setting of the caller's own that libphc does not accept
     * @throws Unavailable for any other reason: the key, the host, the environment, or what the system refuses
     */
    public static function open(Library $library, string $apiKey, Options $options): self
    {
        $settings = $options->settings;
        $test = in_array($settings['test_mode'] ?? '', ['true', '1'], true);
        $name = $test ? null : self::name([$apiKey, $settings, $library->path]);
        return self::$open[$name ?? ''] ?? self::make($library, $apiKey, $options, $name);
    }

    /**
     * The same text for the same settings. It does not show the key, unless the host has disabled md5.
     *
     * @param list<mixed> $values
     */
    private static function name(array $values): string
    {
        $text = (string) json_encode($values, JSON_INVALID_UTF8_SUBSTITUTE);
        return Host::has('md5') ? md5($text) : $text;
    }

    private static function make(Library $library, string $apiKey, Options $options, ?string $name): self
    {
        $client = $library->native->open($apiKey, $options->settings, $name);
        if (is_array($client) && $client[2] === 'secret_key' && !isset($options->own['secret_key'])) {
            // No event may be lost for it: the server evaluates the flags.
            Host::logOnce(" no definitions of feature flags are fetched: $client[1]", 'options');
            $client = $library->native->open($apiKey, ['secret_key' => ''] + $options->settings, $name);
        }
        if (is_array($client)) {
            throw self::error($client, $options);
        }
        $handle = new self($library, $client, $name);
        if ($name !== null) {
            self::$open[$name] = $handle;
        }
        return $handle;
    }

    /**
     * A mistake in the code is an InvalidArgumentException. No other reason may stop a site.
     *
     * @param array{int, string, ?string} $refused
     */
    private static function error(array $refused, Options $options): \Exception
    {
        [$status, $message, $setting] = $refused;
        $isOwn = $setting !== null && isset($options->own[$setting]);
        if ($setting === null) {
            // The message names the settings that it is about.
            foreach ($options->own as $key => $_) {
                $isOwn = $isOwn || str_contains($message, (string) $key);
            }
        }
        $isMistake = $isOwn && in_array($status, [Declarations::INVALID_ARGUMENT, Declarations::INVALID_SETTING], true);
        return $isMistake
            ? new \InvalidArgumentException($message)
            : new Unavailable("libphc cannot make a client: $message");
    }

    public function __destruct()
    {
        if ($this->name === null) {
            // At the end of a request PHP calls destructors in any order. The destructor of a
            // Client, which asks for reports, may come after this one.
            $this->client->free();
        }
    }

    /** What calls libphc here: `extension` or `ffi`. */
    public function binding(): string
    {
        return $this->encodes ? 'extension' : 'ffi';
    }

    /** Captures an event. Returns its uuid, or a status. */
    public function capture(string $json): string|int
    {
        return $this->closing ? Declarations::CLOSED : $this->client->capture($json);
    }

    /**
     * Captures the event of a message as Message and Json write it. The extension does so for most messages.
     *
     * @param array<int|string, mixed> $message
     * @param array<string, mixed> $added properties that the message does not have itself
     * @return string|int|null the uuid, or a status; null if Message and Json have to write it
     */
    public function captureMessage(array $message, array $added): string|int|null
    {
        return $this->encodes && !$this->closing ? $this->client->captureMessage($message, $added) : null;
    }

    /** Counts an event that before_send discarded. */
    public function countDiscarded(): void
    {
        $this->client->countDiscarded();
    }

    public function statusName(int $status): string
    {
        return $this->library->native->statusName($status);
    }

    /** Why the last call failed. */
    public function lastError(): string
    {
        return $this->closing ? 'the client is being shut down' : $this->library->native->lastError();
    }

    /**
     * Waits until everything that was captured before is settled, in slices.
     *
     * @param int $timeoutMs Declarations::NO_LIMIT waits without a limit
     * @return array{status: string, settled: int, delivered: int, lost: int, pending: int}
     */
    public function flush(int $timeoutMs): array
    {
        [$status, $flush] = $this->client->flushBegin();
        $counts = [0, 0, 0, 0];
        if ($status === Declarations::OK) {
            try {
                $status = $this->inSlices($timeoutMs, function (int $wait) use ($flush, &$counts): int {
                    $waited = $this->client->flushWait($flush, $wait);
                    [, $counts[0], $counts[1], $counts[2], $counts[3]] = $waited;
                    return $waited[0];
                });
            } finally {
                // After a timeout, or if a signal handler throws, libphc would keep it.
                $this->client->flushEnd($flush);
            }
        }
        [$settled, $delivered, $lost, $pending] = $counts;
        return ['status' => $this->statusName($status)]
            + ['settled' => $settled, 'delivered' => $delivered, 'lost' => $lost, 'pending' => $pending];
    }

    /**
     * Waits until everything that was captured before is on disk, in slices.
     *
     * @return int a status
     */
    public function persist(int $timeoutMs): int
    {
        return $this->inSlices($timeoutMs, $this->client->persist(...));
    }

    /**
     * Ends every pending event without sending it.
     *
     * @return array{int, int} a status, and the number of events
     */
    public function discardSpool(int $timeoutMs): array
    {
        $total = 0;
        $status = $this->inSlices($timeoutMs, function (int $wait) use (&$total): int {
            [$status, $discarded] = $this->client->discardSpool($wait);
            $total += $discarded;
            return $status;
        });
        return [$status, $total];
    }

    /**
     * Evaluates feature flags.
     *
     * @return array{int, FfiFlags|\Phc\Flags|null} a status, and the snapshot, which there is with most of them
     */
    public function evaluate(FlagQuery $query): array
    {
        $groups = $query->groups;
        foreach ($groups as $i => $group) {
            $groups[$i][2] = $this->object($group[2]);
        }
        return $this->client->evaluate(
            $query->distinctId,
            $this->object($query->person),
            $groups,
            $query->keys,
            $query->options,
            $query->timeoutMs,
        );
    }

    /**
     * Properties as one JSON object. A value that JSON cannot express is written as in an event.
     *
     * @param array<mixed> $members
     */
    private function object(array $members): string
    {
        if (array_is_list($members)) {
            return '{}';
        }
        return ($this->encodes ? $this->client->encodeObject($members) : null) ?? Json::encode($members);
    }

    /** Whether there are definitions of feature flags, which it waits for. Returns a status. */
    public function flagsReady(int $timeoutMs): int
    {
        return $timeoutMs === 0
            ? $this->client->flagsReady(0)
            : $this->inSlices($timeoutMs, $this->client->flagsReady(...));
    }

    /** Fetches the definitions of feature flags. Returns a status. */
    public function reloadFlags(int $timeoutMs): int
    {
        return $this->client->reloadFlags($timeoutMs);
    }

    /** Sets the definitions of feature flags, as JSON. Returns a status. */
    public function setFlagDefinitions(string $json): int
    {
        return $this->client->setFlagDefinitions($json);
    }

    /**
     * Calls what waits for a time and returns a status, again and again while that is a timeout.
     *
     * @param int $timeoutMs for all calls together; Declarations::NO_LIMIT waits without a limit
     * @param \Closure(int): int $call
     */
    private function inSlices(int $timeoutMs, \Closure $call): int
    {
        $deadline = $timeoutMs >= Declarations::NO_LIMIT ? null : Host::milliseconds() + $timeoutMs;
        do {
            $left = $deadline === null
                ? Declarations::NO_LIMIT
                : (int) ($deadline - Host::milliseconds() + 0.999);
            $status = $call(max(0, min(self::SLICE_MS, $left)));
        } while ($status === Declarations::TIMEOUT && $left > self::SLICE_MS);
        return $status;
    }

    /**
     * Takes no more events, flushes, and counts what is left as lost. If a signal handler throws
     * meanwhile, the client stays open.
     *
     * @param int $timeoutMs Declarations::NO_LIMIT waits without a limit
     * @return int a status
     */
    public function close(int $timeoutMs): int
    {
        $this->closing = true;
        try {
            // A flush would begin to send what a close without time can only cancel.
            if ($timeoutMs > 0) {
                $this->flush($timeoutMs);
            }
            $status = $this->client->close(0);
        } finally {
            $this->closing = false;
        }
        if ($this->name !== null) {
            unset(self::$open[$this->name]);
        }
        return $status;
    }

    /** Whether events are neither delivered nor lost yet. False after a close. */
    public function hasPending(): bool
    {
        return (json_decode($this->stats(), true)['pending_events'] ?? 0) > 0;
    }

    /** The counters, as JSON. */
    public function stats(): string
    {
        return $this->client->stats() ?? '{}';
    }

    /** In test mode: removes the oldest event and returns its wire bytes. */
    public function nextTestEvent(): ?string
    {
        return $this->client->nextTestEvent();
    }

    /** Removes the oldest waiting report and returns it as JSON. Does not wait. */
    public function nextReport(): ?string
    {
        return $this->client->nextReport();
    }
}
