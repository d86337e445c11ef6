<?php

declare(strict_types=1);

namespace PostHog;

/**
 * libphc cannot be used in this process, or not with this key, host or proxy. The client logs that once and
 * captures nothing; the site continues to work.
 */
final class Unavailable extends \RuntimeException
{
    /**
     * Writes the reason into the error log, once.
     *
     * @internal
     */
    public function log(): void
    {
        Host::logOnce(' events are not captured: ' . $this->getMessage(), 'unavailable');
    }
}
