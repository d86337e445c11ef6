<?php

declare(strict_types=1);

namespace PostHog\Tests;

use Nyholm\Psr7\Response;
use Nyholm\Psr7\ServerRequest;
use PHPUnit\Framework\TestCase;
use PostHog\Client;
use PostHog\Http\RequestContext;
use PostHog\Http\RequestContextMiddleware;
use PostHog\PostHog;
use Psr\Http\Message\ResponseInterface;
use Psr\Http\Message\ServerRequestInterface;
use Psr\Http\Server\RequestHandlerInterface;

require_once __DIR__ . '/psr15.php';

/** What the events of one HTTP request have in common. */
final class RequestContextTest extends TestCase
{
    private const SERVER = [
        'REQUEST_METHOD' => 'POST', 'REQUEST_URI' => '/pay?card=1', 'HTTP_HOST' => 'shop.example:8080',
        'HTTP_USER_AGENT' => 'curl/8', 'REMOTE_ADDR' => '192.0.2.1',
    ];

    private static function client(): Client
    {
        return new Client('phc_key', ['settings' => ['test_mode' => true]]);
    }

    /** @return array<string, mixed>|null */
    private static function event(Client $client): ?array
    {
        $json = $client->nextTestEvent();
        return $json === null ? null : json_decode($json, true);
    }

    public function testARequestOfPhpItself(): void
    {
        $headers = ['HTTP_X_POSTHOG_DISTINCT_ID' => 'user', 'HTTP_X_POSTHOG_SESSION_ID' => 'session'];
        $context = (new RequestContext())->fromServer(self::SERVER + $headers);
        self::assertSame(['user', 'session'], [$context['distinctId'], $context['sessionId']]);
        self::assertEquals([
            '$session_id' => 'session', '$current_url' => 'http://shop.example:8080/pay', '$request_method' => 'POST',
            '$request_path' => '/pay', '$user_agent' => 'curl/8', '$ip' => '192.0.2.1',
        ], $context['properties']);
        $context = (new RequestContext(captureTracingHeaders: false))->fromServer(self::SERVER + $headers);
        self::assertSame([null, null], [$context['distinctId'], $context['sessionId']]);
        self::assertArrayNotHasKey('$session_id', $context['properties']);
    }

    /**
     * @dataProvider servers
     * @param array<string, mixed> $server
     */
    public function testAProperty(array $server, string $name, ?string $value): void
    {
        self::assertSame($value, (new RequestContext())->fromServer($server + self::SERVER)['properties'][$name] ?? null);
    }

    /** @return iterable<string, array{array<string, mixed>, string, ?string}> */
    public static function servers(): iterable
    {
        $url = '$current_url';
        yield 'https' => [['HTTPS' => 'on'], $url, 'https://shop.example:8080/pay'];
        yield 'off' => [['HTTPS' => 'off'], $url, 'http://shop.example:8080/pay'];
        yield 'no host' => [['HTTP_HOST' => ''], $url, null];
        yield 'a target with a host' => [['REQUEST_URI' => 'http://u:p@other/a?b'], $url, 'http://shop.example:8080/a'];
        yield 'a fragment' => [['REQUEST_URI' => '/a#b?c'], '$request_path', '/a'];
        yield 'no path' => [['REQUEST_URI' => '?a=b'], '$request_path', null];
        yield 'control characters' => [['HTTP_USER_AGENT' => " a\x00\u{85}b\n "], '$user_agent', 'ab'];
        yield 'not UTF-8' => [['HTTP_USER_AGENT' => "a\xff"], '$user_agent', "a\u{FFFD}"];
        yield 'long' => [['HTTP_USER_AGENT' => str_repeat('é', 1001)], '$user_agent', str_repeat('é', 1000)];
        yield 'not text' => [['HTTP_USER_AGENT' => ['a']], '$user_agent', null];
        yield 'IPv6' => [['REMOTE_ADDR' => '2001:db8::1'], '$ip', '2001:db8::1'];
        yield 'IPv4 in IPv6' => [['REMOTE_ADDR' => '::ffff:192.0.2.9'], '$ip', '192.0.2.9'];
        yield 'with a zone' => [['REMOTE_ADDR' => 'fe80::1%eth0'], '$ip', 'fe80::1'];
        yield 'a Unix socket' => [['REMOTE_ADDR' => 'unix:'], '$ip', null];
        yield 'X-Forwarded-For' => [['HTTP_X_FORWARDED_FOR' => '203.0.113.1'], '$ip', '192.0.2.1'];
    }

    public function testXForwardedForIsReadFromTheRight(): void
    {
        foreach ([
            ['203.0.113.1', 1, '203.0.113.1'],
            ['6.6.6.6, 203.0.113.1', 1, '203.0.113.1'],
            ['6.6.6.6, 203.0.113.1 , 10.0.0.1', 2, '203.0.113.1'],
            ['203.0.113.1:4711', 1, '203.0.113.1'],
            ['[2001:db8::1]:4711', 1, '2001:db8::1'],
            ['[2001:db8::1]', 1, '2001:db8::1'],
            // Fewer addresses than proxies, and what is not an address.
            ['203.0.113.1', 2, '192.0.2.1'],
            ['unknown', 1, '192.0.2.1'],
            ['', 1, '192.0.2.1'],
            ['203.0.113.1,', 1, '192.0.2.1'],
        ] as [$header, $proxies, $ip]) {
            $context = new RequestContext(trustedProxies: $proxies);
            $server = ['HTTP_X_FORWARDED_FOR' => $header] + self::SERVER;
            self::assertSame($ip, $context->fromServer($server)['properties']['$ip'], "$header, $proxies");
            $request = (new ServerRequest('GET', 'http://h/', [], null, '1.1', self::SERVER))
                ->withHeader('X-Forwarded-For', array_map('trim', explode(',', $header)));
            self::assertSame($ip, $context->fromRequest($request)['properties']['$ip'], "$header, $proxies, PSR-7");
        }
    }

    public function testIdsThatCannotBeIdsCountAsAbsent(): void
    {
        $long = str_repeat('x', 201);
        $space = "\u{A0}\u{1680}\u{2003}\t\u{2028}\u{202F}\u{85}\u{3000}"; // some of Unicode's white space
        foreach ([$long, "\xff", '', " \x07 ", $space] as $id) {
            $context = PostHog::contextFromHeaders(['X-PostHog-Distinct-Id' => [$id, 'second'], 'x-posthog-session-id' => $id]);
            self::assertSame(['second', null], [$context['distinctId'], $context['sessionId']]);
        }
        $client = self::client();
        $capture = static fn () => $client->capture(['event' => 'e']);
        foreach ([$long, $space] as $id) {
            $client->withContext(['distinctId' => 'outer', 'sessionId' => 's'], static fn () => $client->withContext(
                ['distinctId' => $id, 'sessionId' => $id],
                $capture,
            ));
            $event = self::event($client);
            self::assertSame(['outer', 's'], [$event['distinct_id'], $event['session_id']]);
        }
        // It is not counted.
        $id = str_repeat('x', 200);
        $context = PostHog::contextFromHeaders(['X-PostHog-Distinct-Id' => "\x07$space$id$space", 'X-PostHog-Session-Id' => $space . 's']);
        self::assertSame([$id, 's'], [$context['distinctId'], $context['sessionId']]);
        $client->withContext(['distinctId' => $long], $capture);
        self::assertFalse(self::event($client)['options']['process_person_profile']);
    }

    private static function handler(\Closure $handle): RequestHandlerInterface
    {
        return new class ($handle) implements RequestHandlerInterface {
            public function __construct(private readonly \Closure $handle)
            {
            }

            public function handle(ServerRequestInterface $request): ResponseInterface
            {
                return ($this->handle)($request);
            }
        };
    }

    private static function request(string $id = 'user'): ServerRequestInterface
    {
        $headers = ['X-PostHog-Distinct-Id' => $id, 'X-POSTHOG-SESSION-ID' => 'session', 'User-Agent' => 'curl/8'];
        return new ServerRequest('PUT', 'https://u:p@shop.example/pay?card=1', $headers, null, '1.1', self::SERVER);
    }

    public function testTheMiddleware(): void
    {
        $client = self::client();
        $middleware = new RequestContextMiddleware($client);
        $capture = self::handler(static function () use ($client): ResponseInterface {
            $client->capture(['event' => 'paid']);
            return new Response(201);
        });
        $client->withContext(['properties' => ['of' => 'before']], static function () use ($middleware, $capture): void {
            self::assertSame(201, $middleware->process(self::request(), $capture)->getStatusCode());
        });
        $event = self::event($client);
        self::assertSame(['user', 'session'], [$event['distinct_id'], $event['session_id']]);
        self::assertEquals([
            '$current_url' => 'https://shop.example/pay', '$request_method' => 'PUT', '$request_path' => '/pay',
            '$user_agent' => 'curl/8', '$ip' => '192.0.2.1', '$is_server' => true,
        ], $event['properties']);
        // The next request, and what comes after it, have nothing of this one.
        $middleware->process(new ServerRequest('GET', 'http://h/'), $capture);
        $event = self::event($client);
        self::assertFalse($event['options']['process_person_profile']);
        self::assertArrayNotHasKey('session_id', $event);
        $client->capture(['event' => 'e']);
        self::assertSame(['$is_server'], array_keys(self::event($client)['properties']));
    }

    public function testTheMiddlewareWithoutTracingHeaders(): void
    {
        PostHog::init(client: self::client());
        $handler = self::handler(static function (): ResponseInterface {
            PostHog::capture(['event' => 'e']);
            return new Response();
        });
        (new RequestContextMiddleware(captureTracingHeaders: false))->process(self::request(), $handler);
        $event = self::event(PostHog::getClient());
        self::assertNotSame('user', $event['distinct_id']);
        self::assertSame('/pay', $event['properties']['$request_path']);
    }

    public function testAnExceptionOfAHandlerGoesOn(): void
    {
        $client = self::client();
        foreach ([false, true, true] as $i => $captures) {
            $error = new \DomainException("number $i");
            $middleware = new RequestContextMiddleware($client, captureExceptions: $captures);
            try {
                $middleware->process(self::request(), self::handler(static fn () => throw $error));
                self::fail('nothing was thrown');
            } catch (\DomainException $caught) {
                self::assertSame($error, $caught);
            }
            $event = self::event($client);
            self::assertSame($captures, $event !== null);
            if ($captures) {
                self::assertSame('user', $event['distinct_id']);
                $properties = $event['properties'];
                self::assertSame(
                    ['psr15.middleware', 'fatal', 500, '/pay'],
                    [$properties['$exception_source'], $properties['$exception_level'],
                        $properties['$response_status_code'], $properties['$request_path']],
                );
                self::assertSame(
                    ['DomainException', ['type' => 'auto.exception_handler', 'handled' => false]],
                    [$properties['$exception_list'][0]['type'], $properties['$exception_list'][0]['mechanism']],
                );
            }
            self::assertNull($client->getContext());
        }
        // One that the application has captured, or that passes two of them, is captured once.
        $inner = new RequestContextMiddleware($client, captureExceptions: true);
        $nested = self::handler(static fn ($request) => $inner->process($request, self::handler(
            static fn () => throw new \DomainException(),
        )));
        try {
            $inner->process(self::request(), $nested);
        } catch (\DomainException) {
            self::assertNotNull(self::event($client));
            self::assertNull(self::event($client));
        }
    }
}
