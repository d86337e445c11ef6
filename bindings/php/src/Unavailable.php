<?php

declare(strict_types=1);

namespace PostHog;

/**
 * libphc cannot be used in this process. The client logs that once and captures nothing; the
 * site continues to work.
 */
final class Unavailable extends \RuntimeException
{
    /**
     * Writes the reason into the error log, once.
     *
     * PHP forgets all variables at the end of a request, but all workers of a server share the
     * opcode cache: the file logged.php is in it if the reason was logged before. Without the
     * cache it is logged once in each request.
     *
     * @internal
     */
    public function log(): void
    {
        static $logged = false;
        $marker = __DIR__ . '/logged.php';
        if ($logged || (Host::has('opcache_is_script_cached') && @opcache_is_script_cached($marker))) {
            return;
        }
        $logged = true;
        require $marker;
        Host::log(' events are not captured: ' . $this->getMessage());
    }
}
