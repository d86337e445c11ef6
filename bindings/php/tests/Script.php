<?php

declare(strict_types=1);

namespace PostHog\Tests;

/** Runs PHP code in a process of its own, as a command-line script. */
final class Script
{
    private const LOG_TO_STDERR = ['-d', 'log_errors=1', '-d', 'display_errors=0', '-d', 'error_log='];

    private function __construct(
        public readonly string $output,
        /** What was written to the error log. */
        public readonly string $errors,
        public readonly int $status,
        public readonly float $seconds,
    ) {
    }

    /**
     * Runs code after loading the package.
     *
     * @param list<string> $php options of php
     * @param array<string, string> $environment
     */
    public static function run(string $code, array $php = [], array $environment = []): self
    {
        $file = tempnam(sys_get_temp_dir(), 'phc');
        $autoload = var_export(dirname(__DIR__) . '/autoload.php', true);
        file_put_contents($file, "<?php\ndeclare(strict_types=1);\nrequire $autoload;\n$code");
        $start = hrtime(true);
        $process = proc_open(
            // A script that hangs fails.
            ['timeout', '120', PHP_BINARY, ...self::LOG_TO_STDERR, ...$php, $file],
            [['file', '/dev/null', 'r'], ['pipe', 'w'], $log = tmpfile()],
            $pipes,
            null,
            $environment + getenv(),
        );
        $output = stream_get_contents($pipes[1]);
        $status = proc_close($process);
        unlink($file);
        rewind($log);
        return new self($output, stream_get_contents($log), $status, (hrtime(true) - $start) / 1e9);
    }
}
