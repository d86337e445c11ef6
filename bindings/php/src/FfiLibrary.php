<?php

declare(strict_types=1);

namespace PostHog;

/**
 * libphc, loaded by FFI. Phc\Library of the extension has the same methods.
 *
 * PHP parses declarations again in each request, so there are three sets: the few that a request
 * needs (about 5 µs), those of feature flags, and all of them (about 40 µs) for a flush, counters and tests.
 *
 * @internal
 */
final class FfiLibrary
{
    /** The functions that a request needs. */
    public readonly \FFI $ffi;

    private ?\FFI $flags = null;

    private ?\FFI $all = null;

    private ?FfiMemory $memory = null;

    public function __construct(private readonly string $file)
    {
        $this->ffi = \FFI::cdef(Declarations::REQUEST, $file);
    }

    /** The functions that evaluate feature flags. */
    public function flags(): \FFI
    {
        return $this->flags ??= \FFI::cdef(Declarations::FLAGS, $this->file);
    }

    /** All functions. */
    public function all(): \FFI
    {
        return $this->all ??= \FFI::cdef(Declarations::ALL, $this->file);
    }

    /** For the types of flags(). */
    public function memory(): FfiMemory
    {
        return $this->memory ??= new FfiMemory($this->flags());
    }

    public function abiVersion(): int
    {
        return $this->ffi->phc_abi_version();
    }

    public function statusName(int $status): string
    {
        return $this->ffi->phc_status_name($status);
    }

    /** Why the last call failed. */
    public function lastError(): string
    {
        return $this->ffi->phc_last_error();
    }

    /**
     * Makes a client; with a name it is the one of this process with that name, if there is one.
     *
     * @param array<string, string> $settings
     * @return FfiClient|array{int, string, ?string} what was refused: a status, why, and the setting if it is one
     */
    public function open(string $apiKey, array $settings, ?string $name): FfiClient|array
    {
        $ffi = $this->ffi;
        $config = $ffi->phc_config_new($apiKey);
        try {
            foreach ($settings as $key => $value) {
                $status = $ffi->phc_config_set($config, (string) $key, $value);
                if ($status !== Declarations::OK) {
                    return [$status, $ffi->phc_last_error(), (string) $key];
                }
            }
            $status = $ffi->new('phc_status');
            $client = $name === null
                ? $ffi->phc_client_new($config, \FFI::addr($status))
                : $ffi->phc_client_open($name, $config, \FFI::addr($status));
            return $client === null
                ? [$status->cdata, $ffi->phc_last_error(), null]
                : new FfiClient($this, $client);
        } finally {
            $ffi->phc_config_free($config);
        }
    }
}
