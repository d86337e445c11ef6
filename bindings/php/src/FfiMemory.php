<?php

declare(strict_types=1);

namespace PostHog;

/**
 * Memory that functions of C write to. PHP parses the text of a type only once here, and memory is used again: both take
 * longer than most calls about feature flags.
 *
 * @internal
 */
final class FfiMemory
{
    /** @var array<string, \FFI\CType> */
    private array $types = [];

    /** @var array<string, \FFI\CData> what no call uses, by its type */
    private array $free = [];

    /** @param \FFI $ffi with the declarations of the types */
    public function __construct(private readonly \FFI $ffi)
    {
    }

    /** New memory, of zeros. */
    public function make(string $type): \FFI\CData
    {
        return $this->ffi->new($this->types[$type] ??= $this->ffi->type($type));
    }

    /**
     * Memory for one call, which gives it back by keep(). It has the content of an earlier call. What interrupts the call,
     * such as a signal handler, gets other memory.
     */
    public function take(string $type): \FFI\CData
    {
        $memory = $this->free[$type] ?? $this->make($type);
        unset($this->free[$type]);
        return $memory;
    }

    public function keep(string $type, \FFI\CData $memory): void
    {
        $this->free[$type] = $memory;
    }
}
