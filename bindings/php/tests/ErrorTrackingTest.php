<?php

declare(strict_types=1);

namespace PostHog\Tests;

use PHPUnit\Framework\TestCase;

/** The handlers that the option error_tracking installs, in scripts of their own. */
final class ErrorTrackingTest extends TestCase
{
    /** Prints the events that the script has captured, after all that ends it. */
    private const SHOW = <<<'PHP'
        register_shutdown_function(function (): void {
            register_shutdown_function(function (): void {
                echo "\nEVENTS";
                while (($event = PostHog\PostHog::getClient()->nextTestEvent()) !== null) {
                    echo $event, "\n";
                }
            });
        });
        PHP;

    /**
     * Runs code with the handlers installed.
     *
     * @param string $before what is run first
     * @param array<string, mixed> $tracking
     * @param list<string> $php
     * @return array{Script, string, list<array<string, mixed>>} what else it printed, and its events
     */
    private static function script(string $code, string $before = '', array $tracking = [], array $php = []): array
    {
        $options = ['error_tracking' => $tracking + ['enabled' => true], 'settings' => ['test_mode' => true]];
        $init = "PostHog\\PostHog::init('phc_key', " . var_export($options, true) . ");\n";
        $script = Script::run(self::SHOW . "$before\n$init$code", $php);
        [$printed, $events] = explode("\nEVENTS", $script->output) + [1 => ''];
        $lines = array_filter(explode("\n", $events));
        return [$script, $printed, array_map(static fn (string $line) => json_decode($line, true), array_values($lines))];
    }

    /**
     * @param array<string, mixed> $event
     * @return list<mixed> type, value, handled, mechanism, level and source
     */
    private static function facts(array $event): array
    {
        $properties = $event['properties'];
        $item = $properties['$exception_list'][0];
        return [
            $item['type'], $item['value'], $item['mechanism']['handled'], $item['mechanism']['type'],
            $properties['$exception_level'], $properties['$exception_source'],
        ];
    }

    private const UNCAUGHT = [false, 'auto.exception_handler', 'fatal', 'php_exception_handler'];

    public function testAnUncaughtExceptionEndsTheScriptAsWithoutTheHandler(): void
    {
        $code = 'function broken(): never { throw new DomainException("no way", 7, new Exception("why")); } broken();';
        $without = Script::run(self::SHOW . "PostHog\\PostHog::init('k', ['settings' => ['test_mode' => true]]);\n$code");
        [$script, $printed, $events] = self::script($code);
        self::assertCount(1, $events);
        self::assertSame(['DomainException', 'no way', ...self::UNCAUGHT], self::facts($events[0]));
        $frames = $events[0]['properties']['$exception_list'][0]['stacktrace']['frames'];
        self::assertSame('broken', end($frames)['function']);
        self::assertArrayNotHasKey('$php_error_severity', $events[0]['properties']);
        self::assertFalse($events[0]['properties']['$exception_list'][1]['mechanism']['handled']);
        self::assertFalse($events[0]['options']['process_person_profile']);
        self::assertSame(255, $script->status);
        self::assertSame($without->status, $script->status);
        $plain = static fn (string $log): string => (string) preg_replace('~\S*/phc\w+|:\d+|\(\d+\)|line \d+~', 'X', $log);
        self::assertStringContainsString('PHP Fatal error:  Uncaught Exception: why', $script->errors);
        self::assertSame($plain($without->errors), $plain($script->errors));
    }

    public function testAnUncaughtExceptionHasTheContextThatItLeft(): void
    {
        [, , $events] = self::script(<<<'PHP'
            $in = fn (string $id, Closure $run) => PostHog\PostHog::withContext(
                ['distinctId' => $id, 'properties' => [$id => true]],
                $run,
            );
            $in('outer', fn () => $in('inner', fn () => throw new Exception('e')));
            PHP);
        self::assertSame('inner', $events[0]['distinct_id']);
        self::assertSame([true, true], [$events[0]['properties']['outer'], $events[0]['properties']['inner']]);
        [, , $events] = self::script(<<<'PHP'
            try {
                PostHog\PostHog::withContext(['distinctId' => 'left'], fn () => throw new Exception('caught'));
            } catch (Exception) {
            }
            throw new Exception('another');
            PHP);
        self::assertFalse($events[0]['options']['process_person_profile']);
    }

    public function testTheHandlerThatWasThereBeforeIsCalled(): void
    {
        [$script, $printed, $events] = self::script(
            'throw new LogicException("x");',
            'set_exception_handler(function (Throwable $e): void { echo "before: ", $e->getMessage(); });',
        );
        self::assertSame('before: x', $printed);
        self::assertCount(1, $events);
        self::assertSame('', $script->errors);
    }

    public function testWhatTheApplicationHasCapturedIsNotCapturedAgain(): void
    {
        [, , $events] = self::script(
            'try { throw new LogicException("x"); } catch (LogicException $e) {'
            . ' PostHog\PostHog::captureException($e, "u"); throw $e; }',
        );
        self::assertCount(1, $events);
        self::assertTrue($events[0]['properties']['$exception_list'][0]['mechanism']['handled']);
    }

    public function testWhatAHandlerBeforeThrowsIsReportedByPhp(): void
    {
        [$script, , $events] = self::script(
            'throw new LogicException("x");',
            'set_exception_handler(function (Throwable $e): void { throw new Exception("other"); });',
        );
        self::assertCount(2, $events);
        self::assertSame('x', self::facts($events[0])[1]);
        self::assertStringStartsWith('Uncaught Exception: other', self::facts($events[1])[1]);
        self::assertStringContainsString('Uncaught Exception: other', $script->errors);
        self::assertSame(255, $script->status);
    }

    public function testErrors(): void
    {
        [$script, , $events] = self::script(<<<'PHP'
            function looks(): void { echo $missing; }
            looks();
            @trigger_error('hidden');
            trigger_error('old', E_USER_DEPRECATED);
            fopen('/no/such/file', 'r');
            echo 'goes on';
            PHP);
        self::assertStringContainsString('goes on', $script->output);
        self::assertSame([
            ['ErrorException', 'Undefined variable $missing', true, 'auto.error_handler', 'warning', 'php_error_handler'],
            ['ErrorException', 'old', true, 'auto.error_handler', 'info', 'php_error_handler'],
            [
                'ErrorException', 'fopen(/no/such/file): Failed to open stream: No such file or directory', true,
                'auto.error_handler', 'warning', 'php_error_handler',
            ],
        ], array_map(self::facts(...), $events));
        self::assertSame([E_WARNING, E_USER_DEPRECATED, E_WARNING], array_map(
            static fn (array $event): int => $event['properties']['$php_error_severity'],
            $events,
        ));
        // PHP reports them as without a handler.
        self::assertStringContainsString('PHP Warning:  Undefined variable $missing', $script->errors);
        foreach ([['looks', 'echo $missing'], ['{main}', 'trigger_error'], ['{main}', 'fopen']] as $i => [$function, $line]) {
            $frames = $events[$i]['properties']['$exception_list'][0]['stacktrace']['frames'];
            self::assertSame($function, end($frames)['function']);
            self::assertStringContainsString($line, end($frames)['context_line']);
            self::assertCount($i === 0 ? 2 : 1, $frames);
        }
    }

    public function testAnErrorThatRepeatsIsCapturedOnce(): void
    {
        [, , $events] = self::script('for ($i = 0; $i < 1000; $i++) { trigger_error("again"); } trigger_error("other");');
        self::assertSame(['again', 'other'], array_map(static fn (array $event): string => self::facts($event)[1], $events));
        [, , $events] = self::script('for ($i = 0; $i < 250; $i++) { trigger_error("error $i"); } trigger_error("error 249");');
        self::assertCount(250, $events);
    }

    public function testTheErrorHandlerThatWasThereBeforeDecides(): void
    {
        [$script, $printed, $events] = self::script(
            'trigger_error("one"); trigger_error("two", E_USER_WARNING);',
            'set_error_handler(function (int $n, string $text, string $file, int $line): bool {'
            . ' echo "$n $text ", basename($file) === basename(__FILE__) ? "here" : $file, " "; return $text === "one"; });',
        );
        self::assertSame('1024 one here 512 two here ', $printed);
        self::assertCount(2, $events);
        self::assertStringNotContainsString('one', $script->errors);
        self::assertStringContainsString('PHP Warning:  two', $script->errors);
    }

    /**
     * PHP handles an error itself only if the handler returns exactly false.
     *
     * @dataProvider results
     */
    public function testTheErrorHandlerThatWasThereBeforeHandlesUnlessItReturnsFalse(string $handler, bool $isHandled): void
    {
        $before = "set_error_handler($handler);";
        $code = 'trigger_error("one", E_USER_WARNING); echo $missing; trigger_error("two", E_USER_ERROR); echo "goes on";';
        $without = Script::run("$before\n$code", ['-d', 'display_errors=1']);
        [$script, $printed, $events] = self::script($code, $before, [], ['-d', 'display_errors=1']);
        self::assertSame($isHandled, str_ends_with($without->output, 'goes on'));
        self::assertSame($isHandled, str_ends_with($printed, 'goes on'), $printed);
        self::assertSame([$without->status, $isHandled ? 0 : 255], [$script->status, $script->status]);
        // Shown and logged is the same: where there is a handler, nothing.
        $plain = static fn (string $text): string => (string) preg_replace('~\S*/phc\w+|on line \d+~', 'X', $text);
        self::assertSame($plain($without->output), $plain($printed));
        self::assertSame($plain($without->errors), $plain($script->errors));
        self::assertSame(['one', 'Undefined variable $missing', 'two'], array_map(
            static fn (array $event): string => self::facts($event)[1],
            $events,
        ));
        self::assertSame([true, true, $isHandled], array_map(
            static fn (array $event): bool => self::facts($event)[2],
            $events,
        ));
    }

    /** @return array<string, array{string, bool}> */
    public static function results(): array
    {
        return [
            'nothing' => ['function (int $level, string $text): void { echo "mine: $text\n"; }', true],
            'null' => ['fn () => null', true],
            'zero' => ['fn () => 0', true],
            'an empty text' => ["fn () => ''", true],
            'true' => ['fn () => true', true],
            'false' => ['fn () => false', false],
            'no handler' => ['null', false],
        ];
    }

    /** PHP has no function that says for which levels a handler was set. One that looks is as it was. */
    public function testTheErrorHandlerThatWasThereBeforeGetsAllLevels(): void
    {
        [, $printed] = self::script(
            'trigger_error("warning", E_USER_WARNING); trigger_error("old", E_USER_DEPRECATED); @trigger_error("hidden");',
            'error_reporting(E_ALL & ~E_USER_DEPRECATED);'
            . ' set_error_handler(function (int $level, string $text): void { echo "$text "; }, E_USER_WARNING);',
        );
        self::assertSame('warning old hidden ', $printed);
        $before = 'error_reporting(E_ALL & ~E_USER_DEPRECATED); set_error_handler(function (int $level, string $text) {'
            . ' if (!($level & E_USER_WARNING)) { return false; } echo "$text "; }, E_USER_WARNING);';
        $code = 'trigger_error("warning", E_USER_WARNING); trigger_error("old", E_USER_DEPRECATED); trigger_error("note");';
        $without = Script::run("$before\n$code");
        [$script, $printed, $events] = self::script($code, $before);
        self::assertSame([$without->output, 'warning '], [$printed, $printed]);
        self::assertStringContainsString('PHP Notice:  note', $script->errors);
        self::assertSame(['warning', 'note'], array_map(static fn (array $event): string => self::facts($event)[1], $events));
    }

    public function testAnErrorThatAHandlerMakesAnExceptionIsOneOnlyIfNothingCatchesIt(): void
    {
        $before = 'set_error_handler(function (int $n, string $text, string $file, int $line): never {'
            . ' throw new ErrorException($text, 0, $n, $file, $line); });';
        [, , $events] = self::script('try { trigger_error("one"); } catch (ErrorException) {} trigger_error("two");', $before);
        self::assertSame([['ErrorException', 'two', ...self::UNCAUGHT]], array_map(self::facts(...), $events));
    }

    /** @dataProvider fatal */
    public function testAFatalError(string $code, string $message, string $handler, string $before = ''): void
    {
        [$script, , $events] = self::script($code, $before, [], ['-d', 'memory_limit=32M']);
        self::assertSame(255, $script->status, $script->errors);
        self::assertCount(1, $events, $script->errors);
        self::assertStringContainsString($message, self::facts($events[0])[1]);
        self::assertSame([false, "auto.$handler", 'fatal', "php_$handler"], array_slice(self::facts($events[0]), 2));
        self::assertStringContainsString($message, $script->errors);
        self::assertNotSame([], $events[0]['properties']['$exception_list'][0]['stacktrace']['frames']);
    }

    /** @return array<string, list<string>> */
    public static function fatal(): array
    {
        $end = 'shutdown_handler';
        return [
            'no memory' => ['$all = []; while (true) { $all[] = str_repeat("x", 1000); }', 'Allowed memory size', $end],
            'no memory at once' => ['$all = str_repeat("x", 100_000_000);', 'Allowed memory size', $end],
            'no time' => ['set_time_limit(1); while (true) { sqrt(2); }', 'Maximum execution time', $end],
            'a class twice' => [
                'file_put_contents($f = tempnam("/tmp", "phc"), "<?php class A {}"); register_shutdown_function('
                . 'fn () => unlink($f)); include $f; include $f;', 'Cannot declare class A', $end,
            ],
            'an error of the application' => ['trigger_error("the end", E_USER_ERROR);', 'the end', 'error_handler'],
        ];
    }

    public function testAnErrorThatWasHandledIsNotTheEnd(): void
    {
        [, , $events] = self::script('trigger_error("handled", E_USER_ERROR); echo 1;', 'set_error_handler(fn () => true);');
        self::assertCount(1, $events);
        self::assertTrue(self::facts($events[0])[2]);
        [, , $events] = self::script('trigger_error("a warning", E_USER_WARNING);', '', ['capture_errors' => false]);
        self::assertSame([], $events);
        [, , $events] = self::script('set_time_limit(1); while (true) {}', '', ['capture_errors' => false]);
        self::assertSame([], $events);
        [, , $events] = self::script('throw new Exception("e");', '', ['capture_errors' => false]);
        self::assertCount(1, $events);
    }

    public function testExcludedExceptions(): void
    {
        foreach (['throw new OutOfRangeException("e");', 'trigger_error("e");', 'str_repeat("x", 1 << 30);'] as $code) {
            $excluded = ['excluded_exceptions' => ['LogicException', 'ErrorException']];
            [, , $events] = self::script($code, '', $excluded, ['-d', 'memory_limit=32M']);
            self::assertSame([], $events, $code);
        }
    }

    public function testTheContextProvider(): void
    {
        foreach ([
            ["fn (array \$p) => ['distinctId' => 'user', 'properties' => ['seen' => \$p['source'], '\$exception_source' => 'x']]", 'user'],
            ['fn () => throw new Exception("the provider failed")', null],
            ['fn () => "text"', null],
            ['fn () => new stdClass()', null],
        ] as [$provider, $id]) {
            $script = Script::run(self::SHOW . "PostHog\\PostHog::init('k', ['settings' => ['test_mode' => true], "
                . "'error_tracking' => ['enabled' => true, 'context_provider' => $provider]]);"
                . 'PostHog\PostHog::withContext(["distinctId" => "c"], fn () => trigger_error("e"));');
            $events = explode("\nEVENTS", $script->output)[1];
            $event = json_decode($events, true);
            self::assertSame($id ?? 'c', $event['distinct_id'], $script->errors);
            self::assertSame('php_error_handler', $event['properties']['$exception_source']);
            self::assertSame($id === null ? null : 'error_handler', $event['properties']['seen'] ?? null);
        }
    }

    public function testTheLastClientThatEnablesItCaptures(): void
    {
        [, , $events] = self::script(
            "PostHog\\PostHog::init('other', ['error_tracking' => ['enabled' => true], 'settings' => ['test_mode' => true]]);"
            . 'trigger_error("e");',
        );
        self::assertCount(1, $events);
        [, , $events] = self::script('trigger_error("e");', '', ['enabled' => false]);
        self::assertSame([], $events);
    }

    public function testAnUncaughtExceptionArrivesFromAScriptThatNeverFlushes(): void
    {
        $sink = new Sink();
        $options = var_export(['host' => $sink->host, 'error_tracking' => ['enabled' => true]], true);
        $script = Script::run("PostHog\\PostHog::init('phc_key', $options); throw new Exception('the end');");
        self::assertSame(255, $script->status);
        self::assertCount(1, $sink->uuids(), $script->errors);
        self::assertSame('[]', trim($sink->violations()));
    }
}
