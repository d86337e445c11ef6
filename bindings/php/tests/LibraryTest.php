<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Declarations;
use PostHog\Library;

/** Where libphc is looked for, and what happens if it cannot be used. */
final class LibraryTest extends TestCase
{
    private const CAPTURE_THREE = <<<'PHP'
        for ($i = 0; $i < 3; $i++) {
            PostHog\PostHog::init('phc_key', ['library' => LIBRARY, 'settings' => SETTINGS]);
            $captured = PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
            echo var_export($captured, true), ' ';
        }
        echo PostHog\PostHog::getClient()->problem() ?? 'no problem';
        PostHog\PostHog::flush();
        PHP;

    private const ALL_CAPTURED = 'true true true no problem';

    /**
     * Captures three events with this library, in a process of its own.
     *
     * @param list<string> $php options of php
     * @param array<string, string> $environment
     * @param array<string, mixed> $settings
     */
    private static function capture(
        ?string $library,
        array $php = [],
        array $environment = [],
        array $settings = ['test_mode' => true],
    ): Script {
        $constants = 'define("LIBRARY", ' . var_export($library, true) . ');'
            . 'define("SETTINGS", ' . var_export($settings, true) . ");\n";
        return Script::run($constants . self::CAPTURE_THREE, $php, $environment);
    }

    /** The script goes on, captures nothing, and logs the reason once. */
    private static function assertUnavailable(Script $script, string $problem): void
    {
        self::assertStringStartsWith('false false false ', $script->output, $script->errors);
        self::assertStringContainsString($problem, $script->output);
        self::assertSame(1, substr_count($script->errors, 'events are not captured'), $script->errors);
        self::assertSame(0, $script->status);
    }

    public function testTheOptionTakesPrecedenceOverTheEnvironment(): void
    {
        $library = getenv('PHC_LIBRARY');
        $environment = ['PHC_LIBRARY' => '/nowhere'];
        self::assertSame(self::ALL_CAPTURED, self::capture($library, [], $environment)->output);
        self::assertSame(self::ALL_CAPTURED, self::capture(null)->output);
    }

    public function testAFileThatDoesNotExist(): void
    {
        $script = self::capture('/nowhere/libphc.so');
        self::assertUnavailable($script, "libphc was not found: Failed loading '/nowhere/libphc.so'");
        self::assertStringContainsString(' (there is no such file, or open_basedir hides it). ', $script->output);
    }

    /** @dataProvider machines */
    public function testALibraryForAnotherMachine(int $machine, string $needed, string $builtFor): void
    {
        $library = tempnam(sys_get_temp_dir(), 'phc');
        $header = "\x7fELF\2\1\1" . str_repeat("\0", 9) . pack('vv', 3, $machine);
        file_put_contents($library, str_pad($header, 64, "\0") . $needed);
        $here = 'linux-' . php_uname('m');
        $script = self::capture($library);
        self::assertUnavailable($script, "libphc was not found: Failed loading '$library'");
        $hint = " (it was built for $builtFor, and this PHP for $here). ";
        self::assertSame($builtFor !== $here, str_contains($script->output, $hint), $script->output);
        unlink($library);
    }

    /** @return list<array{int, string, string}> */
    public static function machines(): array
    {
        return [
            [183, "libc.so.6\0", 'linux-aarch64'],
            [183, "libc.so\0", 'linux-aarch64-musl'],
            [62, "libc.so.6\0", 'linux-x86_64'],
            [62, "libc.so\0", 'linux-x86_64-musl'],
        ];
    }

    /**
     * Which of the libraries in the package may fit.
     *
     * @dataProvider folders
     * @param list<string> $machines
     * @param list<string> $folders
     */
    public function testTheLibrariesThatMayFit(string $os, array $machines, ?bool $isMusl, array $folders): void
    {
        $choice = new \ReflectionMethod(Library::class, 'folders');
        self::assertSame($folders, $choice->invoke(null, $os, $machines, $isMusl));
    }

    /** @return iterable<string, array{string, list<string>, bool|null, list<string>}> */
    public static function folders(): iterable
    {
        yield 'glibc' => ['linux', ['x86_64'], false, ['linux-x86_64']];
        yield 'musl' => ['linux', ['aarch64'], true, ['linux-aarch64-musl']];
        yield 'one of the two' => ['linux', ['x86_64'], null, ['linux-x86_64', 'linux-x86_64-musl']];
        $all = ['linux-x86_64', 'linux-aarch64', 'linux-x86_64-musl', 'linux-aarch64-musl'];
        yield 'nothing is known' => ['linux', ['x86_64', 'aarch64'], null, $all];
        yield 'not Linux' => ['darwin', ['arm64'], true, ['darwin-arm64']];
    }

    /** What this PHP says about its C library is what it has mapped. */
    public function testTheCLibraryOfThisProcess(): void
    {
        $asked = (new \ReflectionMethod(Library::class, 'isMusl'))->invoke(null);
        self::assertSame(!str_contains(file_get_contents('/proc/self/maps'), 'libc.so.6'), $asked);
        $refused = Script::run(
            'var_dump((new ReflectionMethod(PostHog\Library::class, "isMusl"))->invoke(null));',
            ['-d', 'ffi.enable=false'],
        );
        $known = extension_loaded('phc') ? var_export($asked, true) : null;
        self::assertSame($known === null ? "NULL\n" : "bool($known)\n", $refused->output, $refused->errors);
    }

    public function testAnotherBinaryInterface(): void
    {
        $library = self::build(['phc_abi_version' => 'unsigned phc_abi_version(void) { return 99; }']);
        $problem = 'has version 99 of the binary interface, and this package (0.1.0) needs version 1';
        self::assertUnavailable(self::capture($library), $problem);
    }

    public function testAFunctionThatIsMissing(): void
    {
        $problem = 'is not a libphc that this package (0.1.0) can use: '
            . "Failed resolving C function 'phc_abi_version'";
        self::assertUnavailable(self::capture(self::build(null)), $problem);
    }

    /** For both constructors: test mode uses phc_client_new. */
    public function testASystemThatRefusesWhatAClientNeeds(): void
    {
        $library = self::build([
            'phc_abi_version' => 'unsigned phc_abi_version(void) { return 1; }',
            'phc_last_error' => 'const char *phc_last_error(void) { return "no randomness"; }',
            'phc_client_new' => 'void *phc_client_new(void *config, int *status) { *status = 19; return 0; }',
            'phc_client_open' => 'void *phc_client_open(void *name, void *config, int *status)'
                . ' { *status = 19; return 0; }',
        ]);
        foreach ([['test_mode' => true], []] as $settings) {
            $script = self::capture($library, [], [], $settings);
            self::assertUnavailable($script, 'libphc cannot make a client: no randomness');
        }
    }

    public function testFfiThatIsDisabled(): void
    {
        $script = self::capture(null, ['-d', 'ffi.enable=false']);
        if (extension_loaded('phc')) {
            self::assertSame(self::ALL_CAPTURED, $script->output, $script->errors);
        } else {
            self::assertUnavailable($script, 'opcache.preload');
        }
    }

    public function testPhpWithoutFfi(): void
    {
        self::assertUnavailable(self::capture(null, ['-n']), 'the PHP extension ffi is not loaded');
    }

    public function testThePreloadedPackage(): void
    {
        $preload = ['-d', 'opcache.enable_cli=1'];
        array_push($preload, '-d', 'opcache.preload=' . dirname(__DIR__) . '/preload.php');
        $script = self::capture(null, $preload);
        if (str_contains($script->errors, 'opcache.preload_user')) {
            $script = self::capture(null, [...$preload, '-d', 'opcache.preload_user=root']);
        }
        self::assertSame(self::ALL_CAPTURED, $script->output, $script->errors);
    }

    /** @requires extension ffi */
    public function testAllDeclarationsAreUnderstood(): void
    {
        $ffi = \FFI::cdef(Declarations::ALL, getenv('PHC_LIBRARY'));
        self::assertSame(Declarations::NO_LIMIT, $ffi->PHC_NO_LIMIT);
        self::assertSame(Declarations::ABI_VERSION, $ffi->phc_abi_version());
        $stats = $ffi->new('phc_stats');
        self::assertSame($ffi->PHC_LOSS_SLOTS, count($stats->lost_by_reason));
        self::assertSame($ffi->PHC_STATUS_SLOTS, count($stats->refused_by_status));
    }

    public function testDestructorsInAnyOrder(): void
    {
        // PHP fills the slots of freed objects from the last one freed, and calls destructors in
        // the order of slots: here that of a handle before that of its client.
        $script = Script::run(<<<'PHP'
            class_exists(PostHog\Callbacks::class);
            $holes = array_map(fn () => new stdClass(), range(1, 40));
            while ($holes !== []) {
                array_shift($holes);
            }
            PostHog\PostHog::init('phc_key', ['settings' => ['test_mode' => true]]);
            PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
            PHP, [], ['MALLOC_PERTURB_' => '165']);
        self::assertSame(0, $script->status, $script->errors);
    }

    /**
     * Builds a library with every function of libphc; with null it has no functions.
     *
     * @param array<string, string>|null $functions C code by name; the others return 0
     */
    private static function build(?array $functions): string
    {
        $source = tempnam(sys_get_temp_dir(), 'phc') . '.c';
        preg_match_all('/\b(phc_\w+)\(/', Declarations::ALL, $names);
        $code = 'int unused;';
        foreach ($functions === null ? [] : $names[1] as $name) {
            $code .= ($functions[$name] ?? "void *$name(void) { return 0; }") . "\n";
        }
        file_put_contents($source, $code);
        $library = substr($source, 0, -2) . '.so';
        $command = ['cc', '-shared', '-fPIC', '-o', $library, $source];
        exec(implode(' ', array_map('escapeshellarg', $command)), result_code: $status);
        self::assertSame(0, $status);
        $files = [$source, $library, substr($source, 0, -2)];
        register_shutdown_function(static fn () => array_map('unlink', $files));
        return $library;
    }
}
