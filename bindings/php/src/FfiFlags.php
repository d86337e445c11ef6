<?php

declare(strict_types=1);

namespace PostHog;

/**
 * The values of feature flags for one person, by FFI. Phc\Flags of the extension has the same methods.
 *
 * @internal
 */
final class FfiFlags
{
    /** Most events of reads need no more. */
    private const FIRST_SIZE = 2048;

    private const BUFFER = 'char[2048]';

    public function __construct(private readonly FfiLibrary $library, private readonly \FFI\CData $flags)
    {
    }

    public function __destruct()
    {
        $this->library->flags()->phc_flags_free($this->flags);
    }

    /**
     * Reads a flag.
     *
     * @return array{int, ?string} one of Declarations::FLAG_…, and the variant
     */
    public function get(string $key): array
    {
        $memory = $this->library->memory();
        $variant = $memory->take('const char *[1]');
        $kind = $this->library->flags()->phc_flags_get($this->flags, $key, $variant);
        $text = $kind === Declarations::FLAG_VARIANT ? $variant[0] : null;
        $memory->keep('const char *[1]', $variant);
        return [$kind, $text];
    }

    /** Notes that a flag is read, and returns the event that is to be captured for it, as JSON; null if there is none. */
    public function event(string $key): ?string
    {
        $ffi = $this->library->flags();
        $memory = $this->library->memory();
        $buffer = $memory->take(self::BUFFER);
        $length = $ffi->phc_binding_flags_read($this->flags, $key, $buffer, self::FIRST_SIZE);
        $text = $length > 0 && $length < self::FIRST_SIZE ? \FFI::string($buffer, $length) : null;
        $memory->keep(self::BUFFER, $buffer);
        if ($length < self::FIRST_SIZE) {
            return $text;
        }
        $write = fn ($buffer, $size) => $ffi->phc_binding_flags_read($this->flags, $key, $buffer, $size);
        return FfiText::read($ffi, $length + 1, $write);
    }

    /** The payload of a flag, as JSON; null if it has none. It does not count as a read. */
    public function payload(string $key): ?string
    {
        return $this->library->flags()->phc_flags_payload($this->flags, $key, null);
    }

    /** The whole snapshot, as JSON. */
    public function json(): string
    {
        $ffi = $this->library->flags();
        $write = fn ($buffer, $size) => $ffi->phc_flags_json($this->flags, $buffer, $size);
        return FfiText::read($ffi, self::FIRST_SIZE, $write) ?? '';
    }

    /**
     * A copy with the flags that have these keys.
     *
     * @param list<string> $keys
     */
    public function only(array $keys): FfiFlags
    {
        $ffi = $this->library->flags();
        $count = count($keys);
        $pointers = $ffi->new('const char *[' . max(1, $count) . ']');
        $texts = [];
        foreach ($keys as $i => $key) {
            $text = $ffi->new('char[' . strlen($key) + 1 . ']');
            \FFI::memcpy($text, $key . "\0", strlen($key) + 1);
            $texts[] = $text;
            $pointers[$i] = $ffi->cast('char *', $text);
        }
        return new self($this->library, $ffi->phc_flags_only($this->flags, $pointers, $count));
    }

    /** A copy with the flags that were read. */
    public function onlyAccessed(): FfiFlags
    {
        return new self($this->library, $this->library->flags()->phc_flags_only_accessed($this->flags));
    }
}
