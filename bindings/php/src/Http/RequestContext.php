<?php

declare(strict_types=1);

namespace PostHog\Http;

use PostHog\Context;
use PostHog\Host;
use Psr\Http\Message\ServerRequestInterface;

/**
 * What the events of one HTTP request have in common, for PostHog::withContext: the ids in the headers of PostHog's
 * browser library, and the properties $current_url (without the query), $request_method, $request_path, $user_agent
 * and $ip.
 */
final class RequestContext
{
    /** The longest property in characters. */
    private const MAX_TEXT = 1000;

    /**
     * @param bool $captureTracingHeaders whether the ids in X-PostHog-Distinct-Id and X-PostHog-Session-Id are used. Any
     *     client can send any id: it is right for analytics, and never for access to anything
     * @param int $trustedProxies how many proxies are in front of the server that add the address of their peer to
     *     X-Forwarded-For. $ip is then the address that the outermost of them has added: they are counted from the
     *     right, and what is further left is written by clients. With 0 the header is not read
     */
    public function __construct(
        private readonly bool $captureTracingHeaders = true,
        private readonly int $trustedProxies = 0,
    ) {
    }

    /**
     * The context of a request that PHP itself serves.
     *
     * @param array<string, mixed> $server $_SERVER
     * @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}
     */
    public function fromServer(array $server): array
    {
        if (Host::missing() !== null) {
            return Context::NONE;
        }
        $text = static fn (string $name): string => is_string($server[$name] ?? null) ? $server[$name] : '';
        $isSecure = $text('HTTPS') !== '' && strtolower($text('HTTPS')) !== 'off';
        // The target of a request to a proxy begins with a scheme and a host.
        $target = (string) preg_replace('~^[a-z][a-z0-9+.-]*://[^/?#]*~i', '', $text('REQUEST_URI'));
        return $this->of(
            $server,
            $text('REQUEST_METHOD'),
            ($isSecure ? 'https://' : 'http://') . $text('HTTP_HOST'),
            (string) preg_replace('/[?#].*$/sD', '', $target),
            $text('HTTP_USER_AGENT'),
            $text('REMOTE_ADDR'),
            $text('HTTP_X_FORWARDED_FOR'),
        );
    }

    /**
     * The context of a request of PSR-7.
     *
     * @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}
     */
    public function fromRequest(ServerRequestInterface $request): array
    {
        $uri = $request->getUri();
        $port = $uri->getPort();
        $peer = $request->getServerParams()['REMOTE_ADDR'] ?? '';
        return $this->of(
            $request->getHeaders(),
            $request->getMethod(),
            $uri->getScheme() . '://' . $uri->getHost() . ($port === null ? '' : ":$port"),
            $uri->getPath(),
            $request->getHeaderLine('User-Agent'),
            is_string($peer) ? $peer : '',
            $request->getHeaderLine('X-Forwarded-For'),
        );
    }

    /**
     * @internal
     * @param array<string, mixed> $headers
     * @param string $origin scheme and host
     * @return array{distinctId: ?string, sessionId: ?string, properties: array<string, mixed>}
     */
    public function of(
        array $headers,
        string $method,
        string $origin,
        string $path,
        string $userAgent,
        string $peer,
        string $forwarded = '',
    ): array {
        if (Host::missing() !== null) {
            return Context::NONE;
        }
        $context = $this->captureTracingHeaders ? Context::fromHeaders($headers) : Context::NONE;
        $properties = [
            '$current_url' => substr($origin, -3) === '://' || $origin[0] === ':' ? '' : $origin . $path,
            '$request_method' => $method,
            '$request_path' => $path,
            '$user_agent' => $userAgent,
            '$ip' => $this->clientAddress($peer, $forwarded),
        ];
        foreach ($properties as $name => $value) {
            $value = self::text($value);
            if ($value !== '') {
                $context['properties'][$name] = $value;
            }
        }
        return $context;
    }

    private function clientAddress(string $peer, string $forwarded): string
    {
        $peer = self::address($peer);
        $chain = preg_split('/,/', $forwarded);
        if ($this->trustedProxies <= 0 || count($chain) < $this->trustedProxies) {
            return $peer;
        }
        $address = self::address($chain[count($chain) - $this->trustedProxies]);
        return $address === '' ? $peer : $address;
    }

    /** The IP address in a text with or without a port; empty if it is not one, as for the peer of a Unix socket. */
    private static function address(string $text): string
    {
        $text = trim($text);
        // [::1]:80, 127.0.0.1:80, fe80::1%eth0, ::ffff:127.0.0.1
        $text = (string) preg_replace('/^\[(.*)\](:\d+)?$|^([\d.]+):\d+$/D', '$1$3', $text);
        $text = (string) preg_replace(['/%.*$/D', '/^::ffff:(?=\d+\.)/iD'], '', $text);
        return filter_var($text, FILTER_VALIDATE_IP) === false ? '' : $text;
    }

    private static function text(string $text): string
    {
        if (preg_match('//u', $text) !== 1) {
            $text = (string) json_decode((string) json_encode($text, JSON_INVALID_UTF8_SUBSTITUTE));
        }
        $text = trim((string) preg_replace('/\p{Cc}/u', '', $text));
        return preg_match('/^.{' . self::MAX_TEXT . '}/su', $text, $first) === 1 ? $first[0] : $text;
    }
}
