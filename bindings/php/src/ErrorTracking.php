<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The option `error_tracking`, as in posthog-php. Like any option of posthog-php it never throws: a part that cannot
 * be used has its default.
 *
 * @internal
 */
final class ErrorTracking
{
    private const DEFAULT_FRAMES = 20;

    /** Whether the handlers are installed. */
    public readonly bool $isEnabled;

    /** Whether they are also those of errors, and not only that of exceptions. */
    public readonly bool $capturesErrors;

    /** How many frames an exception of the chain may have. */
    public readonly int $maxFrames;

    /** Returns an id and properties for what a handler captures. */
    public readonly ?\Closure $contextProvider;

    /** @var list<string> classes of which a handler captures nothing */
    private readonly array $excluded;

    public function __construct(mixed $option = null)
    {
        $given = is_array($option) ? $option : [];
        $this->isEnabled = (bool) ($given['enabled'] ?? false);
        $this->capturesErrors = (bool) ($given['capture_errors'] ?? true);
        $frames = $given['max_frames'] ?? null;
        $this->maxFrames = is_numeric($frames)
            ? (int) max(0, min(ExceptionBudget::MAX_FRAMES, (float) $frames))
            : self::DEFAULT_FRAMES;
        $provider = $given['context_provider'] ?? null;
        $this->contextProvider = is_callable($provider) ? \Closure::fromCallable($provider) : null;
        $excluded = [];
        foreach (is_array($given['excluded_exceptions'] ?? null) ? $given['excluded_exceptions'] : [] as $class) {
            if (is_string($class)) {
                $excluded[] = $class;
            }
        }
        $this->excluded = $excluded;
    }

    /** Whether a handler captures nothing of this class. */
    public function excludes(\Throwable $exception): bool
    {
        foreach ($this->excluded as $class) {
            if ($exception instanceof $class) {
                return true;
            }
        }
        return false;
    }
}
