<?php

/*
 * One process that serves many requests, as those of Octane do: the application is made once, and each request gets a
 * copy of it. Prints what was wrong, how many events were captured, and by how many bytes the process has grown.
 */

declare(strict_types=1);

use Illuminate\Contracts\Http\Kernel;
use Illuminate\Http\Request;
use Illuminate\Queue\Events\Looping;
use Illuminate\Support\Facades\Facade;
use PostHog\Client;
use PostHog\PostHog;

require getcwd() . '/vendor/autoload.php';

$app = require getcwd() . '/bootstrap/app.php';
$app->make(Kernel::class)->bootstrap();
$client = $app->make(Client::class);
$router = $app->make('router');
$router->get('/who', fn () => response()->json(
    [PostHog::capture(['event' => 'seen']), PostHog::getContext()['distinctId'], PostHog::getContext()['properties']],
));

$wrong = [];
$captured = 0;
$serve = static function (int $number) use ($app, &$wrong, &$captured): void {
    $sandbox = clone $app;
    $sandbox->instance('app', $sandbox);
    Facade::clearResolvedInstances();
    Facade::setFacadeApplication($sandbox);
    $id = $number % 3 === 0 ? null : "user $number";
    $request = Request::create("/who?number=$number", 'GET', [], [], [], [
        'HTTP_USER_AGENT' => "agent $number", ...($id === null ? [] : ['HTTP_X_POSTHOG_DISTINCT_ID' => $id]),
    ]);
    $kernel = $sandbox->make(Kernel::class);
    // What is around the request is not of it.
    $around = ['properties' => ['around' => true]];
    $response = PostHog::withContext($around, static fn () => $kernel->handle($request));
    $kernel->terminate($request, $response);
    [$isCaptured, $seen, $properties] = json_decode((string) $response->getContent(), true) ?? [false, null, []];
    $captured += (int) $isCaptured;
    $isRight = $isCaptured && $seen === $id && $properties['$user_agent'] === "agent $number";
    if (!$isRight || isset($properties['around']) || PostHog::getContext() !== null) {
        $wrong[] = $response->getContent();
    }
};
for ($number = 0; $number < 100; $number++) {
    $serve($number);
}
PostHog::flush();
gc_collect_cycles();
$before = memory_get_usage();
for (; $number < 400; $number++) {
    $serve($number);
}
PostHog::flush();
gc_collect_cycles();
$grown = memory_get_usage() - $before;

// The server drops two events. The reports are read after the next request, and by a worker of queues in its loop.
$sink = (string) config('posthog.host');
$script = static fn (string $body): mixed => file_get_contents("$sink/_script", false, stream_context_create(
    ['http' => ['method' => 'POST', 'content' => $body, 'header' => 'Content-Type: application/json']],
));
$reads = [static fn () => $serve(++$number), static fn () => $app['events']->dispatch(new Looping('connection', 'queue'))];
foreach ($reads as $losses => $read) {
    $script('{"then":{"verdicts":["drop"]}}');
    $serve(++$number);
    for ($i = 0; $i < 200 && array_sum($client->stats()['lost']) <= $losses; $i++) {
        usleep(50_000);
    }
    $script('{}');
    $read();
}
// What comes now is read at the end of the script.
fwrite(STDERR, "the end\n");

echo json_encode(['wrong' => $wrong, 'captured' => $captured, 'grown' => $grown]);
