<?php

declare(strict_types=1);

namespace PostHog;

/**
 * libphc cannot be used in this process. The client says so once and takes no
 * event; the site goes on.
 */
final class Unavailable extends \RuntimeException
{
    /**
     * Writes the reason into the error log, once.
     *
     * PHP forgets everything at the end of a request, but the opcode cache is
     * shared by all workers of a server: the file told.php is in it exactly
     * when somebody was here before. Without the cache it is once a request.
     *
     * @internal
     */
    public function tell(): void
    {
        static $told = false;
        $marker = __DIR__ . '/told.php';
        if ($told || (function_exists('opcache_is_script_cached') && @opcache_is_script_cached($marker))) {
            return;
        }
        $told = true;
        require $marker;
        error_log('[PostHog] events are not captured: ' . $this->getMessage());
    }
}
