<?php

/*
 * load.php SOCKET CLIENTS PAIRS COST [PID]: requests pages with and without a capture in turn
 * from a web server, over persistent connections, and reloads PHP-FPM (USR2 to PID) in the middle.
 * Prints the uuid of each event that was captured. Writes into the file COST what a capture costs
 * a page: the difference of the medians, in microseconds.
 */

declare(strict_types=1);

[, $socket, $clients, $pairs, $cost, $master] = $argv + [5 => '0'];
$clients = (int) $clients;
$each = intdiv((int) $pairs, $clients);

final class Browser
{
    /** @var resource */
    private $connection;

    public function __construct(private readonly string $socket)
    {
        $this->connect();
    }

    private function connect(): void
    {
        $this->connection = stream_socket_client("unix://$this->socket", timeout: 10) ?: exit(2);
        stream_set_timeout($this->connection, 60);
    }

    /** @return array{float, string} milliseconds and the body */
    public function get(string $path): array
    {
        $start = hrtime(true);
        fwrite($this->connection, "GET $path HTTP/1.1\r\nHost: localhost\r\n\r\n");
        $status = (string) fgets($this->connection);
        $length = 0;
        while (($line = trim((string) fgets($this->connection))) !== '') {
            if (stripos($line, 'content-length:') === 0) {
                $length = (int) substr($line, 15);
            }
        }
        $body = $length > 0 ? (string) stream_get_contents($this->connection, $length) : '';
        $took = (hrtime(true) - $start) / 1e6;
        return [$took, str_contains($status, ' 200 ') ? $body : "$status $body"];
    }
}

function median(array $values): float
{
    sort($values);
    return $values[intdiv(count($values), 2)];
}

$pipes = [];
for ($client = 0; $client < $clients; $client++) {
    [$ours, $theirs] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    if (pcntl_fork() === 0) {
        $browser = new Browser($socket);
        $results = ['with' => [], 'without' => [], 'captured' => [], 'failed' => []];
        for ($i = 0; $i < $each; $i++) {
            $uuid = sprintf('%08x-0000-4000-8000-%012x', $client, $i);
            // Each of them is the first one as often.
            foreach ($i % 2 === 0 ? ['with', 'without'] : ['without', 'with'] as $page) {
                [$took, $body] = $browser->get("/$page.php?uuid=$uuid");
                $results[$page][] = $took;
                if ($body !== 'taken') {
                    $results['failed'][] = "$page $uuid: $body";
                } elseif ($page === 'with') {
                    $results['captured'][] = $uuid;
                }
            }
            if ($client === 0 && $i === intdiv($each, 2) && (int) $master > 0) {
                posix_kill((int) $master, SIGUSR2);
            }
        }
        fwrite($theirs, serialize($results));
        exit;
    }
    fclose($theirs);
    $pipes[] = $ours;
}
$all = ['with' => [], 'without' => [], 'captured' => [], 'failed' => []];
foreach ($pipes as $pipe) {
    foreach (unserialize(stream_get_contents($pipe)) as $key => $values) {
        $all[$key] = array_merge($all[$key], $values);
    }
}
echo implode("\n", $all['captured']), "\n";
$with = median($all['with']);
$without = median($all['without']);
file_put_contents($cost, (string) (int) round(($with - $without) * 1000));
fprintf(
    STDERR,
    "   %d pages with a capture: %.3f ms, %d without: %.3f ms (median)\n",
    count($all['with']),
    $with,
    count($all['without']),
    $without,
);
foreach (array_slice($all['failed'], 0, 5) as $failed) {
    fprintf(STDERR, "FAILED %s\n", $failed);
}
exit($all['failed'] === [] ? 0 : 1);
