<?php

declare(strict_types=1);

namespace PostHog;

/**
 * What the host lets this package do. A hoster may disable any function of PHP (disable_functions);
 * a call of it would then throw an Error into the page.
 *
 * For the functions that hosters do disable there is another way, here or where they are called.
 * The others are in REQUIRED: without one of them nothing is captured, and the reason is logged.
 *
 * @internal
 */
final class Host
{
    /** The functions of PHP for which there is no other way. */
    public const REQUIRED = [
        'array_is_list', 'array_map', 'array_merge', 'bin2hex', 'chr', 'class_exists', 'count', 'dirname',
        'filter_var', 'floor', 'get_debug_type', 'get_object_vars', 'gmdate', 'implode', 'in_array',
        'is_array', 'is_bool', 'is_callable', 'is_file', 'is_finite', 'is_float', 'is_int', 'is_numeric',
        'is_object', 'is_scalar', 'is_string', 'json_decode', 'json_encode', 'max', 'min', 'ord',
        'preg_match', 'preg_replace', 'preg_split', 'random_bytes', 'round', 'sort', 'spl_object_id', 'sprintf',
        'str_contains', 'str_ends_with', 'str_split', 'strlen', 'strtolower', 'strtr', 'substr', 'trim', 'vsprintf',
    ];

    /** The name of the first missing function; false before it was looked for. */
    private static string|false|null $missing = false;

    /** @var array<string, true> what logOnce has written */
    private static array $logged = [];

    /** The first of the required functions that does not exist; null if they all do. */
    public static function missing(): ?string
    {
        if (self::$missing === false) {
            self::$missing = null;
            foreach (self::REQUIRED as $function) {
                if (!self::has($function)) {
                    self::$missing = $function;
                    break;
                }
            }
        }
        return self::$missing;
    }

    /** Whether there is a function of this name; false if it is disabled. */
    public static function has(string $function): bool
    {
        try {
            return function_exists($function);
        } catch (\Error) {
            // This function, too, can be disabled. Reflection needs none.
            try {
                new \ReflectionFunction($function);
                return true;
            } catch (\ReflectionException) {
                return false;
            }
        }
    }

    /** Writes a line into the error log; to standard error if the host has disabled the function. */
    public static function log(string $line): void
    {
        if (self::has('error_log')) {
            error_log("[PostHog]$line");
        } elseif (self::has('file_put_contents')) {
            @file_put_contents('php://stderr', "[PostHog]$line\n");
        }
    }

    /**
     * Writes a line into the error log, unless this request has written it.
     *
     * PHP forgets all variables at the end of a request, but all workers of a server share the opcode cache. So
     * where lines have a kind, a file of that name in logged/ is in the cache if one was written before: then it
     * is written once in the life of the server. Without the cache it is written once in each request.
     */
    public static function logOnce(string $line, ?string $kind = null): void
    {
        $marker = __DIR__ . "/logged/$kind.php";
        if (isset(self::$logged[$line]) || ($kind !== null && self::isCached($marker))) {
            return;
        }
        self::$logged[$line] = true;
        if ($kind !== null) {
            require $marker;
        }
        self::log($line);
    }

    private static function isCached(string $file): bool
    {
        return self::has('opcache_is_script_cached') && @opcache_is_script_cached($file);
    }

    /** A variable of the environment; null if there is none or it is empty. */
    public static function environment(string $name): ?string
    {
        $value = self::has('getenv') ? getenv($name) : $_SERVER[$name] ?? $_ENV[$name] ?? '';
        return $value === false || $value === '' ? null : (string) $value;
    }

    /** Milliseconds on the monotonic clock; on that of the system if the host has disabled the other. */
    public static function milliseconds(): float
    {
        return self::has('hrtime')
            ? hrtime(true) / 1e6
            : (float) (new \DateTimeImmutable())->format('U.u') * 1e3;
    }
}
