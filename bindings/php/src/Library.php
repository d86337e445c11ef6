<?php

declare(strict_types=1);

namespace PostHog;

/**
 * libphc, loaded into this process: where it is found, and what of it has been
 * declared to PHP.
 *
 * PHP parses declarations anew in each request, so there are two sets: the few
 * that a request needs (some 5 µs) and all of them (some 40 µs), for a flush,
 * counters and tests.
 *
 * @internal
 */
final class Library
{
    /** @var array<string, self|Unavailable> by the path that was asked for */
    private static array $loaded = [];

    private ?\FFI $whole = null;

    private function __construct(
        /** The functions that a request needs. */
        public readonly \FFI $ffi,
        public readonly string $path,
    ) {
    }

    /**
     * @param string|null $path where it is; else PHC_LIBRARY of the environment,
     *     else the package's own copy, else the system's
     * @throws Unavailable
     */
    public static function load(?string $path): self
    {
        $library = self::$loaded[$path ?? ''] ??= self::find($path);
        if ($library instanceof Unavailable) {
            throw $library;
        }
        return $library;
    }

    /** All functions. */
    public function whole(): \FFI
    {
        return $this->whole ??= \FFI::cdef(Declarations::ALL, $this->path);
    }

    private static function find(?string $path): self|Unavailable
    {
        if (!class_exists('FFI', false)) {
            return new Unavailable('the PHP extension ffi is not loaded (Debian has it in php-common; php --ri ffi)');
        }
        $path ??= getenv('PHC_LIBRARY') ?: null;
        $bundled = __DIR__ . '/../lib/' . self::platform() . '/libphc.so';
        $place = match (true) {
            $path !== null => $path,
            is_file($bundled) => $bundled,
            default => 'libphc.so.0',
        };
        try {
            $ffi = \FFI::cdef(Declarations::REQUEST, $place);
        } catch (\FFI\Exception $error) {
            return new Unavailable(self::explain($place, $error->getMessage()));
        }
        $abi = $ffi->phc_abi_version();
        if ($abi !== Declarations::ABI) {
            return new Unavailable(sprintf(
                '%s has the binary interface %d, this package (%s) needs %d; install the libphc that belongs to it',
                $place,
                $abi,
                PostHog::VERSION,
                Declarations::ABI,
            ));
        }
        return new self($ffi, $place);
    }

    /** A folder of lib/: linux-x86_64. */
    private static function platform(): string
    {
        return strtolower(PHP_OS_FAMILY) . '-' . php_uname('m');
    }

    private static function explain(string $place, string $error): string
    {
        return match (true) {
            str_contains($error, 'restricted') => 'FFI is refused here (ffi.enable = ' . ini_get('ffi.enable') . '): '
                . 'set opcache.preload = ' . dirname(__DIR__) . '/preload.php, or ffi.enable = true, in php.ini',
            str_contains($error, 'Failed resolving') => "$place does not belong to this package ("
                . PostHog::VERSION . "): $error",
            default => "libphc was not found: $error. Name it with the option 'library' or PHC_LIBRARY, "
                . 'put it into ' . dirname(__DIR__) . '/lib/' . self::platform() . ', or install it',
        };
    }
}
