<?php

declare(strict_types=1);

namespace PostHog;

/**
 * Who is told what became of events.
 *
 * Reports are fetched, for a callback from libphc's thread would crash PHP. So
 * a handler hears of an event at the end of a later request, or at a flush.
 *
 * @internal
 */
final class Listener
{
    /** Of one request's end; the next one goes on. */
    private const MAX_REPORTS = 100;

    /** @var array<string, true> what has been said */
    private array $said = [];

    public function __construct(private readonly Options $options)
    {
    }

    /** An event was not taken, or not as it was given. */
    public function refused(string $status, string $message): void
    {
        if ($this->options->errorHandler !== null) {
            $this->call($this->options->errorHandler, $status, $message);
        }
        if ($this->options->debug || ($this->options->errorHandler === null && !isset($this->said[$status]))) {
            $this->said[$status] = true;
            error_log("[PostHog] $status: $message");
        }
    }

    /** Fetches the reports that wait and tells them. */
    public function hear(Handle $handle): void
    {
        $losses = [];
        for ($i = 0; $i < self::MAX_REPORTS && ($json = $handle->report()) !== null; $i++) {
            $report = json_decode($json, true, 512, JSON_BIGINT_AS_STRING | JSON_INVALID_UTF8_SUBSTITUTE);
            if (is_array($report)) {
                $losses = array_merge($losses, $this->tell($report));
            }
        }
        if ($losses !== [] && ($this->options->debug || !$this->hasHandler())) {
            error_log('[PostHog] ' . implode('; ', $losses));
        }
    }

    /**
     * @param array<string, mixed> $report
     * @return list<string> what was lost, in words
     */
    private function tell(array $report): array
    {
        $lost = $delivered = [];
        foreach ($report['events'] as $event) {
            if ($event['ending'] === 'delivered') {
                $delivered[] = $event;
            } else {
                $lost[$event['ending']][] = $event;
            }
        }
        if ($delivered !== [] && $this->options->onSuccess !== null) {
            $this->call($this->options->onSuccess, ['events' => $delivered] + $report);
        }
        $losses = [];
        foreach ($lost as $loss => $events) {
            $about = $report['error'] ?: $events[0]['details'] ?? '';
            $losses[] = $text = count($events) . " events lost, $loss" . ($about === '' ? '' : " ($about)");
            if ($this->options->errorHandler !== null) {
                $this->call($this->options->errorHandler, $report['status'] ?: $loss, $text);
            }
        }
        // An attempt that failed and will be repeated has lost nothing yet.
        if (($lost !== [] || $report['error'] !== '') && $this->options->onError !== null) {
            $this->call($this->options->onError, ['events' => array_merge(...array_values($lost))] + $report);
        }
        return $losses;
    }

    private function hasHandler(): bool
    {
        return $this->options->errorHandler !== null || $this->options->onError !== null;
    }

    /** A handler that fails costs the page nothing. */
    private function call(\Closure $handler, mixed ...$arguments): void
    {
        try {
            $handler(...$arguments);
        } catch (\Throwable $error) {
            error_log('[PostHog] a handler failed: ' . $error->getMessage());
        }
    }
}
