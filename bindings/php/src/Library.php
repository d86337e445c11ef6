<?php

declare(strict_types=1);

namespace PostHog;

/**
 * libphc, loaded into this process: which file, and whether the extension phc or FFI calls it.
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

    /** The methods of the extension, and the rules by which it encodes: PHC_EXT_INTERFACE. */
    private const INTERFACE = 3;

    /** @var array<string, self|Unavailable> by the path that was asked for */
    private static array $loaded = [];

    private function __construct(public readonly FfiLibrary|\Phc\Library $native, public readonly string $path)
    {
    }

    /**
     * @param string|null $path the file; null means that of PHC_LIBRARY in the environment, else that of
     *     phc.library in php.ini, else the package's own copy, else the system's
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

    private static function find(?string $path): self|Unavailable
    {
        $path ??= Host::environment('PHC_LIBRARY') ?? self::setting();
        $problem = null;
        foreach (self::bindings() as $class) {
            foreach ($path === null ? self::installed() : [$path] as $file) {
                try {
                    return self::checked(new $class($file), $file);
                } catch (\Throwable $error) {
                    // Not only FFI\Exception: a host may have disabled the class FFI.
                    $problem ??= new Unavailable(self::explain($file, $error->getMessage()));
                }
            }
        }
        return $problem ?? new Unavailable('the PHP extension ffi is not loaded, nor is phc; install and enable ffi (on '
            . 'Debian it is part of php-common), and check with php --ri ffi');
    }

    /** @return list<class-string> what can load libphc here */
    private static function bindings(): array
    {
        $bindings = self::hasExtension() ? [\Phc\Library::class] : [];
        return class_exists('FFI', false) ? [...$bindings, FfiLibrary::class] : $bindings;
    }

    /** Whether there is the extension, with the methods that this package calls. */
    private static function hasExtension(): bool
    {
        return class_exists('Phc\Library', false) && \Phc\Library::INTERFACE === self::INTERFACE;
    }

    private static function checked(FfiLibrary|\Phc\Library $native, string $file): self|Unavailable
    {
        $abi = $native->abiVersion();
        return $abi === Declarations::ABI_VERSION ? new self($native, $file) : new Unavailable(sprintf(
            '%s has version %d of the binary interface, and this package (%s) needs version %d; '
                . 'install the libphc that belongs to it',
            $file,
            $abi,
            PostHog::VERSION,
            Declarations::ABI_VERSION,
        ));
    }

    /** The file that php.ini names for the extension. */
    private static function setting(): ?string
    {
        $file = Host::has('ini_get') ? ini_get('phc.library') : false;
        return $file === false || $file === '' ? null : $file;
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
        if (self::hasExtension()) {
            return \Phc\Library::IS_MUSL;
        }
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
            str_contains($error, 'phc.library') => "the PHP extension phc loads no library here that php.ini does not "
                . "name; set phc.library = $file, or opcache.preload = " . dirname(__DIR__) . '/preload.php',
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
