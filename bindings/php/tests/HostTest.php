<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Host;

/** Functions and classes of PHP that the host has disabled. */
final class HostTest extends TestCase
{
    /**
     * Calls everything. It must not itself call a function that the package calls. Warnings become
     * exceptions, as in most frameworks.
     */
    private const SITE = <<<'PHP'
        function say(bool $value): void
        {
            echo $value ? 'true ' : 'false ';
        }
        try {
            set_error_handler(function (int $number, string $text): bool {
                if ((error_reporting() & $number) === 0) {
                    return false;
                }
                throw new ErrorException($text);
            });
        } catch (Error) {
            // It is disabled.
        }
        use PostHog\PostHog;
        $message = ['distinctId' => 'u', 'event' => 'e', 'properties' => [
            'float' => 0.1, 'nan' => NAN, 'bytes' => "\xff", 'date' => new DateTime(), 'text' => 'text',
            'object' => new ArrayObject([1]), 'list' => [1, true, null],
        ]];
        PostHog::init('phc_key', [
            'host' => HOST, 'library' => LIBRARY, 'flush_interval_seconds' => 5, 'batch_size' => 100,
            'compress_request' => true, 'consumer' => 'socket', 'on_success' => fn (array $report) => null,
            'before_send' => fn (array $event) => $event, 'timeout' => 'none',
            'settings' => ['header.x-a' => ['1', '2']],
            'error_tracking' => ['enabled' => true, 'excluded_exceptions' => ['OutOfRangeException']],
        ]);
        $client = PostHog::getClient();
        $client->register('plan', 'pro');
        say(PostHog::capture($message));
        say(PostHog::capture(['event' => 'without an id']));
        foreach ([1_700_000_000, 1.5, '1.5', '17', '2024-06-01 12:00:00 +0200', new DateTime()] as $time) {
            say(PostHog::capture(['timestamp' => $time] + $message));
        }
        say(PostHog::identify(['distinctId' => 5, 'properties' => ['a' => 1]]));
        say(PostHog::alias(['distinctId' => 5, 'alias' => 6]));
        say(PostHog::groupIdentify(['groupType' => 't', 'groupKey' => 'k']));
        say(PostHog::raw('{"event":"raw","distinct_id":"u"}'));
        PostHog::withContext(
            PostHog::contextFromHeaders(['HTTP_X_POSTHOG_DISTINCT_ID' => 'u']),
            fn () => say(PostHog::capture(['event' => 'in a context'])),
        );
        $client->poll();
        say(PostHog::captureException(new RuntimeException('e', 0, new Exception("\xff")), 'u'));
        say(PostHog::flush());
        say(PostHog::capture(['timestamp' => 'no date', 'unknown' => 1, 'groups' => 'none'] + $message));
        say(PostHog::capture(['distinctId' => 1.5, 'uuid' => 'none', 'properties' => $message] + $message));
        echo PostHog::alias(['distinctId' => 'u', 'alias' => true]) ? 'wrong ' : '';
        $client->stats();
        PostHog::shutdown();
        echo $client->problem() ?? 'no problem';
        PHP;

    /** What the site says is this many times true, or false. */
    private const CALLS = 17;

    /** All calls but the flush capture one. */
    private const EVENTS = self::CALLS - 1;

    /**
     * Runs the site with functions or classes disabled.
     *
     * @param list<string> $options further options of php
     */
    private static function site(Sink $sink, string $functions, array $options = []): Script
    {
        $library = getenv('PHC_LIBRARY');
        $constants = "const HOST = '$sink->host';\nconst LIBRARY = '$library';\n";
        return Script::run($constants . self::SITE, ['-d', "disable_functions=$functions", ...$options]);
    }

    /**
     * The calls of global functions in the sources: a call that is added needs no change here.
     *
     * @return array<string, true>
     */
    private static function called(): array
    {
        $folder = dirname(__DIR__);
        $called = [];
        foreach ([...glob("$folder/src/*.php"), ...glob("$folder/src/Http/*.php"), "$folder/autoload.php"] as $file) {
            $tokens = array_values(array_filter(
                \PhpToken::tokenize(file_get_contents($file)),
                static fn (\PhpToken $token): bool => !$token->isIgnorable(),
            ));
            foreach ($tokens as $i => $token) {
                $before = $tokens[$i - 1] ?? null;
                $isName = $token->is([T_STRING, T_NAME_FULLY_QUALIFIED]);
                $isCall = $isName && ($tokens[$i + 1]->text ?? '') === '(';
                if ($isCall && !$before->is(['->', '?->', '::', T_FUNCTION, T_NEW])) {
                    $called[ltrim($token->text, '\\')] = true;
                }
            }
        }
        // What the loops above look for is there.
        self::assertArrayHasKey('json_encode', $called);
        self::assertArrayHasKey('spl_autoload_register', $called);
        return $called;
    }

    /** @return iterable<string, array{string}> */
    public static function functions(): iterable
    {
        foreach (self::called() as $function => $_) {
            yield $function => [$function];
        }
    }

    private static function assertAllCaptured(Script $script): void
    {
        self::assertSame(str_repeat('true ', self::CALLS) . 'no problem', $script->output, $script->errors);
    }

    public function testTheRequiredFunctionsAreThoseThatAreCalled(): void
    {
        self::assertSame([], array_diff(Host::REQUIRED, array_keys(self::called())));
    }

    /**
     * With one function disabled all events are delivered, or none is captured and the log says once why.
     *
     * @dataProvider functions
     */
    public function testADisabledFunctionBreaksNoSite(string $function): void
    {
        $sink = new Sink();
        $script = self::site($sink, $function);
        self::assertSame(0, $script->status, $script->output . $script->errors);
        if (in_array($function, Host::REQUIRED, true)) {
            $reason = "the host has disabled the function $function of PHP";
            self::assertStringStartsWith(str_repeat('false ', self::CALLS), $script->output, $script->errors);
            self::assertStringContainsString($reason, $script->output);
            self::assertSame(1, substr_count($script->errors, $reason), $script->errors);
            self::assertSame([], $sink->uuids());
        } else {
            self::assertAllCaptured($script);
            self::assertCount(self::EVENTS, $sink->uuids());
        }
        self::assertStringNotContainsString('PHP Warning', $script->errors);
        self::assertStringNotContainsString('PHP Deprecated', $script->errors);
        self::assertSame('[]', trim($sink->violations()));
    }

    public function testAllThatHostersDisableAtOnce(): void
    {
        $sink = new Sink();
        $replaced = array_diff(array_keys(self::called()), Host::REQUIRED);
        self::assertContains('php_uname', $replaced);
        $further = ['exec', 'passthru', 'phpinfo', 'getmypid', 'get_cfg_var', 'serialize', 'microtime'];
        $script = self::site($sink, implode(',', [...$replaced, ...$further]));
        self::assertAllCaptured($script);
        self::assertCount(self::EVENTS, $sink->uuids());
    }

    public function testTheReasonIsWrittenWithoutErrorLogToo(): void
    {
        $script = self::site(new Sink(), 'error_log,json_encode');
        self::assertSame(1, substr_count($script->errors, 'the function json_encode'), $script->errors);
    }

    public function testAClassThatIsDisabled(): void
    {
        foreach ([[], ['-d', 'ffi.enable=true'], ['-d', 'ffi.enable=false']] as $options) {
            $script = self::site(new Sink(), '', ['-d', 'disable_classes=FFI', ...$options]);
            self::assertCapturedWithoutFfi($script, 'take it out of disable_classes');
        }
    }

    public function testFfiThatIsRefusedWhereIniGetIsDisabled(): void
    {
        $script = self::site(new Sink(), 'ini_get', ['-d', 'ffi.enable=false']);
        self::assertCapturedWithoutFfi($script, 'FFI is refused here (ffi.enable = unknown)');
    }

    /** With the extension everything is captured; without it nothing, and the log says once why. */
    private static function assertCapturedWithoutFfi(Script $script, string $reason): void
    {
        if (extension_loaded('phc')) {
            self::assertAllCaptured($script);
            return;
        }
        self::assertStringStartsWith(str_repeat('false ', self::CALLS), $script->output, $script->errors);
        self::assertSame(1, substr_count($script->errors, $reason), $script->errors);
    }

    /** @dataProvider precisions */
    public function testFloats(string $functions, string $precision, string $wire, int $lines): void
    {
        $code = "PostHog\\PostHog::init('k', ['settings' => ['test_mode' => true]]);"
            . "foreach ([1, 2] as \$i) {"
            . "PostHog\\PostHog::capture(['event' => 'e', 'properties' => ['f' => [0.1, 1 / 3]]]);"
            . "echo PostHog\\PostHog::getClient()->nextTestEvent(); }";
        $options = ['-d', "disable_functions=$functions", '-d', "serialize_precision=$precision"];
        $script = Script::run($code, $options);
        self::assertSame(2, substr_count($script->output, "\"f\":$wire"), $script->output . $script->errors);
        self::assertSame($lines, substr_count($script->errors, 'floats have the digits'), $script->errors);
    }

    /** @return list<array{string, string, string, int}> */
    public static function precisions(): array
    {
        $shortest = '[0.1,0.3333333333333333]';
        return [
            ['', '-1', $shortest, 0],
            ['', '5', $shortest, 0],
            ['ini_get', '-1', $shortest, 0],
            ['ini_get', '5', $shortest, 0],
            ['ini_set', '-1', $shortest, 0],
            ['ini_set', '5', '[0.1,0.33333]', 1],
            ['ini_get,ini_set', '5', '[0.1,0.33333]', 1],
            ['ini_get,ini_set', '-1', $shortest, 0],
        ];
    }

    /** The package's own copy of libphc is found among those for other machines and for musl. */
    public function testTheLibraryOfThePackage(): void
    {
        $package = self::package(['linux-' . php_uname('m') => getenv('PHC_LIBRARY')]);
        // Without php_uname each machine is tried.
        foreach (['', 'php_uname', 'file_get_contents,php_uname'] as $functions) {
            $script = self::inPackage($package, ['-d', "disable_functions=$functions"]);
            self::assertSame('true', $script->output, $script->errors);
        }
        $allowed = implode(':', [sys_get_temp_dir(), dirname(__DIR__)]);
        $script = self::inPackage($package, ['-d', "open_basedir=$allowed"]);
        self::assertSame('true', $script->output, $script->errors);
        exec('rm -r ' . escapeshellarg($package));
    }

    /** What the package has for this machine is broken: the reason is that, not what is on the system. */
    public function testALibraryOfThePackageThatCannotBeLoaded(): void
    {
        $package = self::package([]);
        $script = self::inPackage($package, []);
        self::assertStringStartsWith('false', $script->output);
        $file = '/lib/linux-' . php_uname('m') . "/libphc.so'";
        self::assertMatchesRegularExpression("~Failed loading '.*$file.*(too short|file is there)~", $script->output);
        exec('rm -r ' . escapeshellarg($package));
    }

    /**
     * A package with a folder for each platform: with these libraries, or with text in their place.
     *
     * @param array<string, string> $libraries
     */
    private static function package(array $libraries): string
    {
        $package = sys_get_temp_dir() . '/phc' . bin2hex(random_bytes(8));
        $folders = ['linux-x86_64', 'linux-aarch64', 'linux-arm64', 'linux-x86_64-musl', 'linux-aarch64-musl'];
        foreach ($folders as $folder) {
            mkdir("$package/lib/$folder", 0777, true);
            isset($libraries[$folder])
                ? copy($libraries[$folder], "$package/lib/$folder/libphc.so")
                : file_put_contents("$package/lib/$folder/libphc.so", 'for another');
        }
        exec('cp -r ' . escapeshellarg(dirname(__DIR__) . '/src') . ' ' . escapeshellarg($package));
        return $package;
    }

    /**
     * Captures an event with the classes of that package; the output is whether it was captured, and the problem.
     *
     * @param list<string> $options
     */
    private static function inPackage(string $package, array $options): Script
    {
        $code = "spl_autoload_register(function (\$class) {"
            . "require '$package/src/' . substr(\$class, 8) . '.php'; }, true, true);"
            . "PostHog\\PostHog::init('k', ['settings' => ['test_mode' => true]]);"
            . "echo var_export(PostHog\\PostHog::capture(['event' => 'e']), true);"
            . "echo PostHog\\PostHog::getClient()->problem();";
        return Script::run($code, $options, ['PHC_LIBRARY' => '']);
    }
}
