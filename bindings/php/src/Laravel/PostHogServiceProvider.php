<?php

declare(strict_types=1);

namespace PostHog\Laravel;

use Illuminate\Contracts\Debug\ExceptionHandler;
use Illuminate\Contracts\Http\Kernel;
use Illuminate\Queue\Events\JobExceptionOccurred;
use Illuminate\Queue\Events\JobProcessed;
use Illuminate\Queue\Events\Looping;
use Illuminate\Queue\Events\WorkerStopping;
use Illuminate\Support\ServiceProvider;
use PostHog\Client;
use PostHog\ExceptionHandlers;
use PostHog\Options;
use PostHog\PostHog;

/**
 * PostHog in Laravel: the client, the context of requests, the exceptions that Laravel reports, and what long-running
 * workers need. Laravel finds it by itself; config/posthog.php says what it does.
 */
final class PostHogServiceProvider extends ServiceProvider
{
    private const CONFIG = __DIR__ . '/../../config/posthog.php';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, 'posthog');
        $this->app->singleton(Client::class, $this->client(...));
    }

    public function boot(): void
    {
        $this->publishes([self::CONFIG => $this->app->configPath('posthog.php')], 'posthog-config');
        $client = $this->app->make(Client::class);
        if ($this->setting('request_context')) {
            // At the end, after the middleware by which Laravel trusts proxies.
            $this->callAfterResolving(Kernel::class, static function (object $kernel): void {
                if (method_exists($kernel, 'pushMiddleware')) {
                    $kernel->pushMiddleware(RequestContext::class);
                }
            });
        }
        if ($this->setting('capture_exceptions')) {
            $this->callAfterResolving(ExceptionHandler::class, static function (object $handler) use ($client): void {
                if (method_exists($handler, 'reportable')) {
                    $handler->reportable(static function (\Throwable $error) use ($client): void {
                        self::report($client, $error);
                    });
                }
            });
        }
        $this->watchWorkers($client);
    }

    /** The client, which is also that of the class PostHog. */
    private function client(): Client
    {
        $options = (array) $this->setting('options');
        $key = $this->setting('api_key');
        if (Options::isBlank($key) && $this->app->environment('local', 'testing')) {
            // There a key is rarely wanted, so the log need not say that there is none.
            $options['consumer'] ??= 'noop';
        }
        PostHog::init($key, $options + ['host' => $this->setting('host')]);
        return PostHog::getClient();
    }

    private function setting(string $name): mixed
    {
        return $this->app->make('config')->get("posthog.$name");
    }

    /** Exceptions that the application passes to report() itself are handled. */
    private static function report(Client $client, \Throwable $error): void
    {
        $isHandled = false;
        foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS) as $call) {
            $isHandled = $isHandled || (!isset($call['class']) && $call['function'] === 'report');
        }
        ExceptionHandlers::captureFor($client, $error, 'laravel.exception_handler', [], $isHandled);
    }

    /**
     * Workers live long: reports of lost events are read after each job and each request (of Octane, too). A worker that is
     * to end may be killed before the end of its process, so it waits for pending events first.
     */
    private function watchWorkers(Client $client): void
    {
        $poll = static function () use ($client): void {
            $client->poll();
        };
        $events = $this->app->make('events');
        $events->listen([JobProcessed::class, JobExceptionOccurred::class, Looping::class], $poll);
        $events->listen(WorkerStopping::class, static function () use ($client): void {
            $client->flush();
        });
        $this->app->terminating($poll);
    }
}
