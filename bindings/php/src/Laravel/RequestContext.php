<?php

declare(strict_types=1);

namespace PostHog\Laravel;

use Illuminate\Http\Request;
use PostHog\Client;
use PostHog\Http\RequestContext as HttpContext;

/**
 * Middleware of Laravel: the events that are captured while a request is handled have its context. $ip is what Laravel
 * says: a forwarded address counts if it is of a proxy that the application trusts.
 */
final class RequestContext
{
    private readonly HttpContext $context;

    /** @param bool|null $useTracingHeaders null means that of config/posthog.php */
    public function __construct(private readonly Client $client, ?bool $useTracingHeaders = null)
    {
        $this->context = new HttpContext($useTracingHeaders ?? (bool) config('posthog.use_tracing_headers', true));
    }

    public function handle(Request $request, \Closure $next): mixed
    {
        $context = $this->context->of(
            $request->headers->all(),
            $request->method(),
            $request->getSchemeAndHttpHost(),
            $request->getBaseUrl() . $request->getPathInfo(),
            (string) $request->userAgent(),
            (string) $request->ip(),
        );
        return $this->client->withContext($context, static fn (): mixed => $next($request), ['fresh' => true]);
    }
}
