<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Environment;
use PostHog\Options;

/** The proxy and the certificates of the environment, by the rules of libcurl. */
final class EnvironmentTest extends TestCase
{
    private const VARIABLES = [
        'http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'no_proxy', 'NO_PROXY',
        'CURL_CA_BUNDLE', 'SSL_CERT_FILE',
    ];

    /** @var array<string, string|false> */
    private array $before = [];

    protected function setUp(): void
    {
        foreach (self::VARIABLES as $name) {
            $this->before[$name] = getenv($name, true);
            putenv($name);
        }
    }

    protected function tearDown(): void
    {
        foreach ($this->before as $name => $value) {
            putenv($value === false ? $name : "$name=$value");
        }
    }

    /**
     * @dataProvider proxies
     * @param array<string, string> $variables
     */
    public function testTheProxy(string $host, array $variables, ?string $proxy): void
    {
        foreach ($variables as $name => $value) {
            putenv("$name=$value");
        }
        self::assertSame($proxy, (new Environment())->settings($host)['proxy'] ?? null);
    }

    /** @return iterable<string, array{string, array<string, string>, string|null}> */
    public static function proxies(): iterable
    {
        $p = 'http://proxy:3128';
        yield 'none' => ['https://eu.i.posthog.com', [], null];
        yield 'https' => ['https://eu.i.posthog.com', ['https_proxy' => $p], $p];
        yield 'https, upper case' => ['https://eu.i.posthog.com', ['HTTPS_PROXY' => $p], $p];
        yield 'lower case first' => ['eu.i.posthog.com', ['https_proxy' => $p, 'HTTPS_PROXY' => 'http://other:1'], $p];
        yield 'http' => ['http://eu.i.posthog.com', ['http_proxy' => $p], $p];
        yield 'a header of the request' => ['http://eu.i.posthog.com', ['HTTP_PROXY' => $p], null];
        yield 'the other scheme' => ['http://eu.i.posthog.com', ['https_proxy' => $p], null];
        yield 'without a scheme it is https' => ['localhost:8000', ['http_proxy' => $p], null];
        yield 'all' => ['https://eu.i.posthog.com', ['all_proxy' => $p], $p];
        yield 'all, upper case' => ['http://eu.i.posthog.com', ['ALL_PROXY' => $p], $p];
        yield 'an empty one counts as absent' => ['https://a.com', ['https_proxy' => '', 'all_proxy' => $p], $p];
        yield 'without a scheme' => ['https://a.com', ['https_proxy' => 'proxy:3128'], $p];
        yield 'without a port' => ['https://a.com', ['https_proxy' => 'http://proxy'], 'http://proxy:1080'];
        yield 'without both' => ['https://a.com', ['https_proxy' => 'u:p@proxy/'], 'http://u:p@proxy:1080/'];
        yield 'by TLS' => ['https://a.com', ['https_proxy' => 'https://proxy'], 'https://proxy:443'];
        yield 'IPv6' => ['https://a.com', ['https_proxy' => 'http://[::1]'], 'http://[::1]:1080'];
        yield 'a user' => ['https://a.com', ['https_proxy' => 'http://u:p@proxy:8/'], 'http://u:p@proxy:8/'];
        yield 'SOCKS' => ['https://a.com', ['all_proxy' => 'socks5://proxy'], 'socks5://proxy'];
        foreach ([
            ['https://a.com', 'a.com', true], ['https://A.com.', 'a.COM', true], ['https://b.a.com/x', 'a.com', true],
            ['https://b.a.com', '.a.com', true], ['https://ba.com', 'a.com', false],
            ['https://a.com', 'b.a.com', false],
            ['https://a.com:8443', 'x.org, a.com ,y.org', true], ['https://a.com', 'x.org y.org a.com', true],
            ['https://a.com', '*', true], ['https://a.com', '*.com', false], ['https://a.com', '', false],
            ['https://10.1.2.3', '10.0.0.0/8', true], ['https://11.1.2.3', '10.0.0.0/8', false],
            ['https://10.1.2.3', '10.1.2.3', true], ['https://10.1.2.3', '10.1.2.0/30', true],
            ['https://10.1.2.4', '10.1.2.0/30', false], ['https://10.1.2.3', '2.3', false],
            ['https://10.1.2.3', '0.0.0.0/0', true], ['https://[fd00::1]', 'fd00::/8', true],
            ['https://[fe00::1]:1', 'fd00::/8', false], ['https://[::1]', '::1', true],
            ['https://[::1]', '[::1]', true],
            ['https://10.1.2.3', 'fd00::/8', false], ['https://user:10@a.com', 'a.com', true],
        ] as [$host, $list, $isExcluded]) {
            foreach (['no_proxy', 'NO_PROXY'] as $name) {
                yield "$host $name=$list" => [$host, ['https_proxy' => $p, $name => $list], $isExcluded ? null : $p];
            }
        }
    }

    public function testWhatIsGivenHasPrecedence(): void
    {
        putenv('https_proxy=http://proxy:1');
        putenv('SSL_CERT_FILE=' . __FILE__);
        $settings = (new Options([]))->settings;
        self::assertSame(['http://proxy:1', __FILE__], [$settings['proxy'], $settings['ca_file']]);
        $settings = (new Options(['settings' => ['proxy' => '', 'ca_file' => '/ca.pem']]))->settings;
        self::assertSame(['', '/ca.pem'], [$settings['proxy'], $settings['ca_file']]);
        self::assertArrayNotHasKey('proxy', (new Options(['host' => 'http://localhost']))->settings);
    }

    public function testTheFileOfCertificates(): void
    {
        $files = [dirname(__DIR__) . '/composer.json', __FILE__];
        putenv("SSL_CERT_FILE=$files[0]");
        self::assertSame($files[0], (new Options([]))->settings['ca_file']);
        putenv("CURL_CA_BUNDLE=$files[1]");
        self::assertSame($files[1], (new Options([]))->settings['ca_file']);
        putenv('CURL_CA_BUNDLE=/nowhere');
        $options = new Options([]);
        self::assertSame($files[0], $options->settings['ca_file']);
        self::assertStringContainsString("names the file '/nowhere', which is not there", $options->remarks[0]);
    }

    public function testTheFileOfCertificatesOfPhp(): void
    {
        $code = "echo (new PostHog\\Options([]))->settings['ca_file'] ?? 'none';";
        $script = Script::run($code, ['-d', 'openssl.cafile=/ca.pem'], ['SSL_CERT_FILE' => __FILE__]);
        self::assertSame('/ca.pem', $script->output, $script->errors);
    }

    /** Real requests go to the proxy. */
    public function testARequestGoesToTheProxy(): void
    {
        $server = stream_socket_server('tcp://127.0.0.1:0');
        $address = stream_socket_get_name($server, false);
        $environment = ['http_proxy' => $address, 'no_proxy' => 'other.test'];
        $script = Script::run(
            "PostHog\\PostHog::init('phc_key', ['host' => 'http://target.test/in', 'settings' => ["
            . "'exit_flush_ms' => 500]]); PostHog\\PostHog::capture(['event' => 'e']);",
            [],
            $environment,
        );
        $connection = stream_socket_accept($server, 5);
        self::assertStringStartsWith('POST http://target.test/in/', (string) fgets($connection), $script->errors);
        self::assertStringContainsString("1 event lost", $script->errors);
    }

    /**
     * An environment that cannot be used stops no site.
     *
     * @dataProvider unusable
     * @param array<string, string> $environment
     */
    public function testAnEnvironmentThatCannotBeUsed(array $environment, string $reason): void
    {
        $script = Script::run(
            "for (\$i = 0; \$i < 2; \$i++) { PostHog\\PostHog::init('phc_key', ['settings' => ['flush_at' => 5]]);"
            . "echo var_export(PostHog\\PostHog::capture(['event' => 'e']), true), ' '; }",
            [],
            $environment,
        );
        self::assertSame('false false ', $script->output, $script->errors);
        self::assertSame(1, substr_count($script->errors, 'events are not captured'), $script->errors);
        self::assertStringContainsString($reason, $script->errors);
    }

    /** @return array<string, array{array<string, string>, string}> */
    public static function unusable(): array
    {
        return [
            'SOCKS' => [['all_proxy' => 'socks5://proxy:1'], 'the scheme "socks5" is not supported'],
            'no certificates' => [['SSL_CERT_FILE' => __FILE__], 'ca_file'],
            'no host' => [['POSTHOG_HOST' => 'not a host'], 'host = "not a host"'],
        ];
    }
}
