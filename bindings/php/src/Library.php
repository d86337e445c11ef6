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

    /** The machines in the header of an ELF file, by the two bytes of e_machine. */
    private const ELF_MACHINES = ["\x3e\x00" => 'x86_64', "\xb7\x00" => 'aarch64'];

    /** How to install libphc itself. */
    private const GUIDE = 'https://github.com/PostHog/libphc/blob/main/docs/install.md';

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
            $file = dirname(__DIR__) . "/lib/$platform/libphc.so";
            // A warning, for instance of open_basedir, could become an exception.
            if (@is_file($file)) {
                $files[] = $file;
            }
        }
        return $files === [] ? ['libphc.so.0'] : $files;
    }

    /** @return list<string> the folders of lib/ whose library may fit this process: what is not known is tried */
    private static function platforms(): array
    {
        $machines = Host::has('php_uname') ? [php_uname('m')] : self::MACHINES;
        return self::folders(strtolower(PHP_OS_FAMILY), $machines, self::isMusl());
    }

    /**
     * The folders of lib/, such as linux-x86_64 for glibc and linux-x86_64-musl.
     *
     * @param list<string> $machines
     * @param bool|null $isMusl null if it is not known
     * @return list<string>
     */
    private static function folders(string $system, array $machines, ?bool $isMusl): array
    {
        $libcs = match ($system === 'linux' ? $isMusl : false) {
            false => [''],
            true => ['-musl'],
            null => ['', '-musl'],
        };
        $folders = [];
        foreach ($libcs as $libc) {
            foreach ($machines as $machine) {
                $folders[] = "$system-$machine$libc";
            }
        }
        return $folders;
    }

    /**
     * Whether this process runs with musl; null if it is not known. The process itself is asked, in 0.3 µs: a host
     * may refuse access to /proc, and a system may have both C libraries.
     */
    private static function isMusl(): ?bool
    {
        try {
            \FFI::cdef('void gnu_get_libc_version(void);');
            return false;
        } catch (\Throwable $error) {
            // FFI may be refused: then that is the problem that is reported.
            return str_contains($error->getMessage(), 'resolving C function') ? true : null;
        }
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
            default => "libphc was not found: $error" . self::hint($file, $error) . ". Name its file by the option "
                . "'library' or by PHC_LIBRARY, put it into " . dirname(__DIR__) . '/lib/' . self::platforms()[0]
                . ', or install it (' . self::GUIDE . ')',
        };
    }

    /** What the linker's message does not say. */
    private static function hint(string $file, string $error): string
    {
        if (str_contains($error, 'GLIBC_')) {
            return ' (it needs a newer glibc; that of a release needs 2.17)';
        }
        if (!str_contains($file, '/')) {
            return '';
        }
        if (!@is_file($file)) {
            return ' (there is no such file, or open_basedir hides it)';
        }
        $here = self::platforms();
        $for = self::builtFor($file);
        return match (true) {
            $for !== null && !in_array($for, $here, true)
                => " (it was built for $for, and this PHP for $here[0])",
            // PHP before 8.3 does not pass on what the linker said.
            !str_contains($error, "' (") => ' (the file is there; ldd shows what it lacks)',
            default => '',
        };
    }

    /** The platform of a shared library for Linux; null if it is not known. */
    private static function builtFor(string $file): ?string
    {
        $bytes = Host::has('file_get_contents') ? @file_get_contents($file) : '';
        $machine = self::ELF_MACHINES[substr((string) $bytes, 18, 2)] ?? null;
        if ($machine === null || substr($bytes, 0, 4) !== "\x7fELF") {
            return null;
        }
        return "linux-$machine" . (str_contains($bytes, "libc.so.6\0") ? '' : '-musl');
    }
}
