<?php

declare(strict_types=1);

namespace PostHog;

/**
 * libphc, loaded into this process.
 *
 * PHP parses declarations again in each request, so there are two sets: the few that a request
 * needs (about 5 µs), and all of them (about 40 µs) for a flush, counters and tests.
 *
 * @internal
 */
final class Library
{
    /** @var array<string, self|Unavailable> by the path that was asked for */
    private static array $loaded = [];

    private ?\FFI $all = null;

    private function __construct(
        /** The functions that a request needs. */
        public readonly \FFI $ffi,
        public readonly string $path,
    ) {
    }

    /**
     * @param string|null $path the file; null means that of PHC_LIBRARY in the environment, else the
     *     package's own copy, else the system's
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
    public function all(): \FFI
    {
        return $this->all ??= \FFI::cdef(Declarations::ALL, $this->path);
    }

    private static function find(?string $path): self|Unavailable
    {
        if (!class_exists('FFI', false)) {
            return new Unavailable('the PHP extension ffi is not loaded; install and enable it (on Debian it '
                . 'is part of php-common), and check with php --ri ffi');
        }
        $path ??= getenv('PHC_LIBRARY') ?: null;
        $bundled = __DIR__ . '/../lib/' . self::platform() . '/libphc.so';
        $file = match (true) {
            $path !== null => $path,
            is_file($bundled) => $bundled,
            default => 'libphc.so.0',
        };
        try {
            $ffi = \FFI::cdef(Declarations::REQUEST, $file);
        } catch (\FFI\Exception $error) {
            return new Unavailable(self::explain($file, $error->getMessage()));
        }
        $abi = $ffi->phc_abi_version();
        if ($abi !== Declarations::ABI_VERSION) {
            return new Unavailable(sprintf(
                '%s has version %d of the binary interface, and this package (%s) needs version %d; '
                    . 'install the libphc that belongs to it',
                $file,
                $abi,
                PostHog::VERSION,
                Declarations::ABI_VERSION,
            ));
        }
        return new self($ffi, $file);
    }

    /** A folder of lib/, such as linux-x86_64. */
    private static function platform(): string
    {
        return strtolower(PHP_OS_FAMILY) . '-' . php_uname('m');
    }

    private static function explain(string $file, string $error): string
    {
        return match (true) {
            str_contains($error, 'restricted') => 'FFI is refused here (ffi.enable = ' . ini_get('ffi.enable')
                . '); set opcache.preload = ' . dirname(__DIR__) . '/preload.php, or ffi.enable = true, '
                . 'in php.ini',
            str_contains($error, 'Failed resolving') => "$file is not a libphc that this package ("
                . PostHog::VERSION . ") can use: $error",
            default => "libphc was not found: $error. Name its file by the option 'library' or by "
                . 'PHC_LIBRARY, put it into ' . dirname(__DIR__) . '/lib/' . self::platform()
                . ', or install it',
        };
    }
}
