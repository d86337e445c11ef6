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
    /** The machines whose library may be in the package. */
    private const MACHINES = ['x86_64', 'aarch64', 'arm64'];

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
        $path ??= Host::environment('PHC_LIBRARY');
        $problem = $ffi = null;
        foreach ($path === null ? self::installed() : [$path] as $file) {
            try {
                $ffi = \FFI::cdef(Declarations::REQUEST, $file);
                break;
            } catch (\Throwable $error) {
                // Not only FFI\Exception: a host may have disabled the class FFI.
                $problem ??= new Unavailable(self::explain($file, $error->getMessage()));
            }
        }
        if ($ffi === null) {
            return $problem;
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

    /** @return list<string> the package's own copy, if there is one for this machine; else the system's */
    private static function installed(): array
    {
        $files = [];
        foreach (self::platforms() as $platform) {
            $file = __DIR__ . "/../lib/$platform/libphc.so";
            // A warning, for instance of open_basedir, could become an exception.
            if (@is_file($file)) {
                $files[] = $file;
            }
        }
        return $files === [] ? ['libphc.so.0'] : $files;
    }

    /**
     * The folder of lib/ for this machine, such as linux-x86_64; all of them if the host has disabled the
     * function that names the machine: only one that fits can be loaded.
     *
     * @return list<string>
     */
    private static function platforms(): array
    {
        $machines = Host::has('php_uname') ? [php_uname('m')] : self::MACHINES;
        return array_map(static fn (string $machine) => strtolower(PHP_OS_FAMILY) . "-$machine", $machines);
    }

    private static function explain(string $file, string $error): string
    {
        return match (true) {
            str_contains($error, 'restricted') => 'FFI is refused here (ffi.enable = '
                . (Host::has('ini_get') ? ini_get('ffi.enable') : 'unknown') . '); set opcache.preload = '
                . dirname(__DIR__) . '/preload.php, or ffi.enable = true, '
                . 'in php.ini',
            str_contains($error, 'undefined method') || str_contains($error, 'disabled for security reasons')
                => 'the class FFI is disabled here; take it out of disable_classes in php.ini',
            str_contains($error, 'Failed resolving') => "$file is not a libphc that this package ("
                . PostHog::VERSION . ") can use: $error",
            default => "libphc was not found: $error. Name its file by the option 'library' or by "
                . 'PHC_LIBRARY, put it into ' . dirname(__DIR__) . '/lib/' . self::platforms()[0]
                . ', or install it',
        };
    }
}
