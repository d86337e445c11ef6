<?php

declare(strict_types=1);

namespace PostHog;

/**
 * Passes refusals and reports on to the handlers and callbacks of the options, or to the error
 * log.
 *
 * A thread of libphc's own cannot call PHP. So reports are read at the end of a later request,
 * or at a flush.
 *
 * @internal
 */
final class Callbacks
{
    /** The most reports that one call reads; the next call reads further ones. */
    private const MAX_REPORTS = 100;

    /** @var array<string, true> statuses that are in the error log */
    private array $logged = [];

    public function __construct(private readonly Options $options)
    {
    }

    /** An event was not captured, or not as it was given. */
    public function refused(string $status, string $message): void
    {
        if ($this->options->errorHandler !== null) {
            $this->call($this->options->errorHandler, $status, $message);
        }
        $isNew = $this->options->errorHandler === null && !isset($this->logged[$status]);
        if ($isNew || $this->options->debug) {
            $this->logged[$status] = true;
            Host::log(" $status: $message");
        }
    }

    /** Reads the waiting reports and passes them on. */
    public function poll(Handle $handle): void
    {
        $losses = [];
        for ($i = 0; $i < self::MAX_REPORTS && ($json = $handle->nextReport()) !== null; $i++) {
            $report = json_decode($json, true, 512, JSON_BIGINT_AS_STRING | JSON_INVALID_UTF8_SUBSTITUTE);
            if (is_array($report)) {
                $losses = array_merge($losses, $this->dispatch($report));
            }
        }
        if ($losses !== [] && ($this->options->debug || !$this->hasErrorHandler())) {
            Host::log(' ' . implode('; ', $losses));
        }
    }

    /**
     * on_error and on_success are libphc's error and delivery callbacks: each gets its own events.
     *
     * @param array<string, mixed> $report
     * @return list<string> what was lost, in words
     */
    private function dispatch(array $report): array
    {
        [$failures, $deliveries] = $this->split($report);
        $losses = $failures === null ? [] : $this->reportLosses($failures);
        if ($failures !== null && $this->options->onError !== null) {
            $this->call($this->options->onError, $failures);
        }
        if ($deliveries !== null && $this->options->onSuccess !== null) {
            $this->call($this->options->onSuccess, $deliveries);
        }
        return $losses;
    }

    /**
     * Splits a report as libphc does for its two callbacks. With on_success it has reports of every
     * attempt; on_error gets what the caller's setting `reports` asks for.
     *
     * @param array<string, mixed> $report
     * @return array{array<string, mixed>|null, array<string, mixed>|null} null where a callback is
     *     not concerned
     */
    private function split(array $report): array
    {
        $warnings = $this->options->reports !== 'losses';
        $all = $this->options->reports === 'all';
        $failed = $delivered = [];
        foreach ($report['events'] as $event) {
            $isDelivered = $event['outcome'] === 'delivered';
            if (!$isDelivered || ($warnings && isset($event['verdict']))) {
                $failed[] = $event;
            }
            if ($isDelivered) {
                $delivered[] = $event;
            }
        }
        if (!$all) {
            unset($report['pending_events']);
        }
        $hasFailed = $failed !== [] || ($all && $report['pending'] > 0);
        $failures = $hasFailed ? ['events' => $failed] + $report : null;
        // A sum over both parts counts what was missed once.
        $missed = $failures === null ? [] : ['missed_reports' => 0, 'missed_events' => 0];
        $deliveries = $delivered === [] ? null : ['events' => $delivered] + $missed + $report;
        return [$failures, $deliveries];
    }

    /**
     * Calls the error handler once for each reason.
     *
     * @param array<string, mixed> $report
     * @return list<string>
     */
    private function reportLosses(array $report): array
    {
        $lost = $losses = [];
        foreach ($report['events'] as $event) {
            if ($event['outcome'] !== 'delivered') {
                $lost[$event['outcome']][] = $event;
            }
        }
        foreach ($lost as $reason => $events) {
            $details = $report['error'] ?: $events[0]['details'] ?? '';
            $count = count($events) === 1 ? '1 event' : count($events) . ' events';
            $losses[] = $message = "$count lost ($reason)" . ($details === '' ? '' : ": $details");
            if ($this->options->errorHandler !== null) {
                $this->call($this->options->errorHandler, $report['status'] ?: $reason, $message);
            }
        }
        return $losses;
    }

    private function hasErrorHandler(): bool
    {
        return $this->options->errorHandler !== null || $this->options->onError !== null;
    }

    /** An exception in a callback is logged: it must not cost the page. */
    private function call(\Closure $callback, mixed ...$arguments): void
    {
        try {
            $callback(...$arguments);
        } catch (\Throwable $error) {
            Host::log(' a callback failed: ' . $error->getMessage());
        }
    }
}
