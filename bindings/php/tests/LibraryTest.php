<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;
use PostHog\Declarations;

/** Where the library is found, and what is said when it is not. */
final class LibraryTest extends TestCase
{
    private const TRY = <<<'PHP'
        use PostHog\PostHog;
        for ($i = 0; $i < 3; $i++) {
            PostHog::init('phc_key', ['library' => LIBRARY, 'settings' => ['test_mode' => true]]);
            echo var_export(PostHog::capture(['distinctId' => 'u', 'event' => 'e']), true), ' ';
        }
        echo PostHog::getClient()->problem() ?? 'none';
        PostHog::flush();
        PHP;

    /** @param list<string> $php */
    private static function try(?string $library, array $php = [], array $environment = []): Script
    {
        return Script::run('define("LIBRARY", ' . var_export($library, true) . ');' . "\n" . strtr(self::TRY, ['use PostHog\PostHog;' => '', 'PostHog::' => 'PostHog\PostHog::']), $php, $environment);
    }

    private static function assertRefused(Script $script, string $problem): void
    {
        self::assertStringStartsWith('false false false ', $script->output, $script->errors);
        self::assertStringContainsString($problem, $script->output);
        self::assertSame(1, substr_count($script->errors, 'events are not captured'), $script->errors);
        self::assertSame(0, $script->status);
    }

    public function testTheOptionWinsOverTheEnvironment(): void
    {
        $library = getenv('PHC_LIBRARY');
        self::assertSame('true true true none', self::try($library, [], ['PHC_LIBRARY' => '/nowhere'])->output);
        self::assertSame('true true true none', self::try(null)->output);
    }

    public function testOneThatIsNotThere(): void
    {
        self::assertRefused(self::try('/nowhere/libphc.so'), 'libphc was not found: Failed loading \'/nowhere/libphc.so\'');
    }

    public function testAnotherBinaryInterface(): void
    {
        $library = self::build('unsigned phc_abi_version(void) { return 99; }');
        self::assertRefused(self::try($library), 'has the binary interface 99, this package (0.1.0) needs 1');
    }

    public function testAFunctionThatIsMissing(): void
    {
        $library = self::build(null);
        self::assertRefused(self::try($library), "does not belong to this package (0.1.0): Failed resolving C function 'phc_abi_version'");
    }

    public function testFfiThatIsRefused(): void
    {
        self::assertRefused(self::try(null, ['-d', 'ffi.enable=false']), 'opcache.preload');
    }

    public function testNoFfiAtAll(): void
    {
        $script = self::try(null, ['-n']);
        self::assertRefused($script, 'the PHP extension ffi is not loaded');
    }

    public function testThePreloadedPackage(): void
    {
        $script = self::try(null, ['-d', 'opcache.enable_cli=1', '-d', 'opcache.preload=' . dirname(__DIR__) . '/preload.php']);
        if (str_contains($script->errors, 'opcache.preload_user')) {
            $script = self::try(null, ['-d', 'opcache.enable_cli=1', '-d', 'opcache.preload_user=root', '-d', 'opcache.preload=' . dirname(__DIR__) . '/preload.php']);
        }
        self::assertSame('true true true none', $script->output, $script->errors);
    }

    public function testDestructorsInAnyOrder(): void
    {
        // PHP fills the slots of freed objects from the last one freed, and calls
        // destructors by slot: here a handle comes before its client.
        $script = Script::run(<<<'PHP'
            class_exists(PostHog\Listener::class);
            $holes = array_map(fn () => new stdClass(), range(1, 40));
            while ($holes !== []) {
                array_shift($holes);
            }
            PostHog\PostHog::init('phc_key', ['settings' => ['test_mode' => true]]);
            PostHog\PostHog::capture(['distinctId' => 'u', 'event' => 'e']);
            PHP, [], ['MALLOC_PERTURB_' => '165']);
        self::assertSame(0, $script->status, $script->errors);
    }

    /** A library that has all functions that a request needs, or none. */
    private static function build(?string $abi): string
    {
        $source = tempnam(sys_get_temp_dir(), 'phc') . '.c';
        preg_match_all('/\b(phc_\w+)\(/', Declarations::REQUEST, $names);
        $code = 'int unused;';
        foreach ($abi === null ? [] : $names[1] as $name) {
            $code .= $name === 'phc_abi_version' ? $abi : "void *$name(void) { return 0; }";
        }
        file_put_contents($source, $code);
        $library = substr($source, 0, -2) . '.so';
        exec('cc -shared -fPIC -o ' . escapeshellarg($library) . ' ' . escapeshellarg($source), result_code: $status);
        self::assertSame(0, $status);
        register_shutdown_function(static fn () => array_map('unlink', [$source, $library, substr($source, 0, -2)]));
        return $library;
    }
}
