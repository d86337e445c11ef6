<?php

declare(strict_types=1);

namespace PostHog\Http;

use PostHog\Client;
use PostHog\ExceptionHandlers;
use PostHog\PostHog;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Server\MiddlewareInterface;
use Psr\Http\Server\RequestHandlerInterface;

/**
 * Middleware of PSR-15: the events that are captured while a request is handled have its RequestContext.
 */
final class RequestContextMiddleware implements MiddlewareInterface
{
    private readonly RequestContext $context;

    /**
     * @param Client|null $client null means that of PostHog::init
     * @param bool $captureTracingHeaders see RequestContext
     * @param int $trustedProxies see RequestContext
     * @param bool $captureExceptions whether exceptions of the handlers are captured; they are then thrown again
     */
    public function __construct(
        private readonly ?Client $client = null,
        bool $captureTracingHeaders = true,
        int $trustedProxies = 0,
        private readonly bool $captureExceptions = false,
    ) {
        $this->context = new RequestContext($captureTracingHeaders, $trustedProxies);
    }

    public function process(ServerRequestInterface $request, RequestHandlerInterface $handler): ResponseInterface
    {
        $client = $this->client ?? PostHog::getClient();
        return $client->withContext(
            $this->context->fromRequest($request),
            fn (): ResponseInterface => $this->handle($client, $request, $handler),
            ['fresh' => true],
        );
    }

    private function handle(
        Client $client,
        ServerRequestInterface $request,
        RequestHandlerInterface $handler,
    ): ResponseInterface {
        try {
            return $handler->handle($request);
        } catch (\Throwable $error) {
            if ($this->captureExceptions) {
                ExceptionHandlers::captureFor($client, $error, 'psr15.middleware', ['$response_status_code' => 500]);
            }
            throw $error;
        }
    }
}
