<?php

declare(strict_types=1);

namespace PostHog;

/** What a Client has for events after their capture: waiting, counters, reports, and the disk. */
trait DeliveryMethods
{
    /**
     * Calls the handlers and callbacks with the reports that wait. Does not wait itself. It is also
     * called at the end of a request and by a flush; a daemon should call it regularly.
     */
    public function poll(): void
    {
        if ($this->handle !== null) {
            $this->callbacks->poll($this->handle);
        }
    }

    /**
     * Waits until every event that was captured before is delivered or lost.
     *
     * A web request does not need it: events are sent meanwhile, and at the end of the process.
     * Signal handlers run while it waits.
     *
     * @param int|null $timeoutMs the time limit; null means ten seconds, Client::NO_LIMIT none
     * @return bool whether all of them were delivered
     */
    public function flush(?int $timeoutMs = null): bool
    {
        return $this->flushResult($timeoutMs)['status'] === 'ok';
    }

    /**
     * Flushes, and returns what became of the events.
     *
     * @param int|null $timeoutMs as for flush()
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
     * Takes no more events, flushes, and ends the client of this process, for all its requests.
     * What is still pending at the time limit is counted as lost. It is meant for the end of a
     * script or of a test.
     *
     * @param int|null $timeoutMs as for flush()
     * @return bool whether every event that this process captured with the client was delivered
     */
    public function shutdown(?int $timeoutMs = null): bool
    {
        if ($this->handle === null) {
            return false;
        }
        try {
            return $this->handle->close(max(0, $timeoutMs ?? self::FLUSH_MS)) === Declarations::OK;
        } finally {
            $this->poll();
        }
    }

    /**
     * Waits until every event that was captured before is on disk and synced, where neither the end of the process nor a
     * power cut loses it. It needs the setting spool_dir, and no network. Signal handlers run while it waits.
     *
     * @param int|null $timeoutMs as for flush()
     * @return bool whether all of them are. If not, the error handler or the error log has the reason; nothing is lost
     *     by it
     */
    public function persist(?int $timeoutMs = null): bool
    {
        return $this->handle !== null
            && $this->isDone($this->handle, $this->handle->persist(max(0, $timeoutMs ?? self::FLUSH_MS)));
    }

    /**
     * Ends every pending event without sending it, in memory, on disk, and what ended processes have left there: for an
     * opt-out or a logout. It needs the setting spool_dir.
     *
     * @param int|null $timeoutMs as for flush()
     * @return int|null the number of events; null if that cannot be done. If their files are not removed yet, or if it
     *     cannot be done, the error handler or the error log has the reason
     */
    public function discardSpool(?int $timeoutMs = null): ?int
    {
        if ($this->handle === null) {
            return null;
        }
        [$status, $discarded] = $this->handle->discardSpool(max(0, $timeoutMs ?? self::FLUSH_MS));
        return $this->isDone($this->handle, $status) || $status === Declarations::TIMEOUT ? $discarded : null;
    }

    /**
     * The counters. At every instant captured + recovered = delivered + all of lost + kept + pending_events.
     *
     * @return array<string, mixed> empty if events are not captured here
     */
    public function stats(): array
    {
        return $this->handle === null ? [] : json_decode($this->handle->stats(), true);
    }
}
