<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The end of a command-line script, which waits for pending events and reports what was lost. libphc itself also
 * waits, but after PHP has ended, when no handler can be called. A website does not need it: a later request of the
 * worker reads the reports.
 *
 * @internal
 */
final class AtExit
{
    private const SCRIPTS = ['cli', 'phpdbg'];

    /** @var array<int, array{Handle, Callbacks, int}> a client, who gets its reports, and its time limit in ms */
    private static array $clients = [];

    private static bool $isRegistered = false;

    /** @param Options $options those of the callbacks */
    public static function watch(Handle $handle, Callbacks $callbacks, Options $options): void
    {
        $isTest = in_array($options->settings['test_mode'] ?? '', ['true', '1'], true);
        if ($isTest || !in_array(PHP_SAPI, self::SCRIPTS, true)) {
            return;
        }
        self::$clients[spl_object_id($handle)] = [$handle, $callbacks, (int) $options->settings['exit_flush_ms']];
        if (!self::$isRegistered && Host::has('register_shutdown_function')) {
            self::$isRegistered = true;
            // Functions that the script registers may capture. One that another registers runs after all of them.
            register_shutdown_function(static fn () => register_shutdown_function(self::end(...)));
        }
    }

    private static function end(): void
    {
        $start = Host::milliseconds();
        foreach (self::$clients as [$handle, $callbacks, $limit]) {
            $left = (int) max(0, $limit - (Host::milliseconds() - $start));
            try {
                if ($limit > 0 && $handle->hasPending() && $handle->flush($left)['status'] === 'timeout') {
                    // Now they are lost: the end of the process would wait for the same time again.
                    $handle->close(0);
                }
                $callbacks->poll($handle);
            } catch (\Throwable $error) {
                Host::log(' the end of the script: ' . $error->getMessage());
            }
        }
    }
}
