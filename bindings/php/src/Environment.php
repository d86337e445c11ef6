<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The proxy and the certificates that the environment names, by the rules of libcurl and of PHP's extensions curl and
 * openssl, which posthog-php uses. libphc itself reads no variable.
 *
 * @internal
 */
final class Environment
{
    /** Where PHP's extensions look for a file of certificates. */
    private const CA_INI = ['openssl.cafile', 'curl.cainfo'];

    /** Where the program curl and OpenSSL look for it. */
    private const CA_VARIABLES = ['CURL_CA_BUNDLE', 'SSL_CERT_FILE'];

    /** The port of a proxy whose URL has none, in libcurl. */
    private const PROXY_PORTS = ['http' => 1080, 'https' => 443];

    private const URL = '~^(?:([a-z][a-z0-9+.-]*)://)?(?:[^/?#@]*@)?(\[[^\]]*\]|[^/?#:]*)(:\d+)?~i';

    /** @var list<string> what was found and is not used, in words */
    public array $remarks = [];

    /**
     * The settings `proxy` and `ca_file` for a host, where the environment has them.
     *
     * @return array<string, string>
     */
    public function settings(string $host): array
    {
        $settings = [];
        $proxy = self::proxy($host);
        if ($proxy !== null) {
            $settings['proxy'] = $proxy;
        }
        $file = $this->certificates();
        if ($file !== null) {
            $settings['ca_file'] = $file;
        }
        return $settings;
    }

    /** The scheme, the name and the port of a URL, without the name and the password of a user. */
    private static function parts(string $url, string $scheme): array
    {
        preg_match(self::URL, trim($url), $found);
        $scheme = strtolower(($found[1] ?? '') === '' ? $scheme : $found[1]);
        return [$scheme, strtolower($found[2] ?? ''), (int) substr($found[3] ?? '', 1)];
    }

    private static function proxy(string $host): ?string
    {
        // Not HTTP_PROXY: for a web server that is a header of the request.
        $proxy = self::variable('http_proxy');
        if (strtolower(substr($host, 0, 7)) !== 'http://') {
            $proxy = self::variable('https_proxy') ?? self::variable('HTTPS_PROXY');
        }
        $proxy ??= self::variable('all_proxy') ?? self::variable('ALL_PROXY');
        if ($proxy === null || self::isExcluded(self::parts($host, 'https')[1])) {
            return null;
        }
        $proxy = trim($proxy);
        [$scheme, , $port] = self::parts($proxy, 'http');
        $url = str_contains($proxy, '://') ? $proxy : "http://$proxy";
        if ($port === 0 && isset(self::PROXY_PORTS[$scheme])) {
            $port = self::PROXY_PORTS[$scheme];
            $url = preg_replace('~^([^/]*//[^/?#]*?):?([/?#]|$)~', "\${1}:$port\$2", $url) ?? $url;
        }
        return $url;
    }

    /** Whether no_proxy has the name of a host, a domain that it is in, or a network that it is in. */
    private static function isExcluded(string $name): bool
    {
        $list = trim(self::variable('no_proxy') ?? self::variable('NO_PROXY') ?? '');
        if ($list === '*') {
            return true;
        }
        $name = trim($name, '[].');
        $address = self::address($name);
        foreach (preg_split('/[\s,]+/', strtolower($list)) ?: [] as $entry) {
            $isExcluded = match (true) {
                $entry === '' => false,
                $address !== null => self::isInNetwork($address, $entry),
                default => str_ends_with(".$name", '.' . trim($entry, '.')),
            };
            if ($isExcluded) {
                return true;
            }
        }
        return false;
    }

    /** @param string $network an address, perhaps with the number of bits that count: 10.0.0.0/8 */
    private static function isInNetwork(string $address, string $network): bool
    {
        [$start, $bits] = [...preg_split('~/~', $network, 2) ?: [], null];
        $start = self::address(trim((string) $start, '[]'));
        if ($start === null || strlen($start) !== strlen($address)) {
            return false;
        }
        $bits = $bits === null ? strlen($start) * 8 : (int) $bits;
        for ($i = 0; $i < strlen($start) && $bits > 0; $i++, $bits -= 8) {
            $counts = $bits >= 8 ? 0xff : 0xff << 8 - $bits & 0xff;
            if ((ord($start[$i]) ^ ord($address[$i])) & $counts) {
                return false;
            }
        }
        return true;
    }

    /** The bytes of an address; null for a name. */
    private static function address(string $name): ?string
    {
        if (!Host::has('inet_pton')) {
            return null;
        }
        $bytes = @inet_pton($name);
        return $bytes === false ? null : $bytes;
    }

    private function certificates(): ?string
    {
        foreach (Host::has('ini_get') ? self::CA_INI : [] as $name) {
            $file = (string) ini_get($name);
            if ($file !== '') {
                return $file;
            }
        }
        foreach (self::CA_VARIABLES as $name) {
            $file = self::variable($name);
            if ($file !== null && @is_file($file)) {
                return $file;
            }
            if ($file !== null) {
                $this->remarks[] = "$name of the environment names the file '$file', which is not there";
            }
        }
        return null;
    }

    /** A variable of the process, and never one that a web server makes of a request. */
    private static function variable(string $name): ?string
    {
        try {
            $value = getenv($name, true);
        } catch (\Error) {
            $value = $_ENV[$name] ?? '';
        }
        return is_string($value) && $value !== '' ? $value : null;
    }
}
