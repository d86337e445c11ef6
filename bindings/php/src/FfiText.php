<?php

declare(strict_types=1);

namespace PostHog;

/**
 * Text that functions of C write into a buffer.
 *
 * @internal
 */
final class FfiText
{
    /**
     * The text that a function writes like snprintf; null if there is none.
     *
     * @param int $size of the buffer that is tried first; 0 for none
     * @param \Closure(?\FFI\CData, int): int $write gets a buffer and its size
     */
    public static function read(\FFI $ffi, int $size, \Closure $write): ?string
    {
        $buffer = $size === 0 ? null : $ffi->new("char[$size]");
        // The text may have grown since its length was returned.
        while (($length = $write($buffer, $size)) >= $size && $length > 0) {
            $size = $length + 1;
            $buffer = $ffi->new("char[$size]");
        }
        return $length > 0 && $buffer !== null ? \FFI::string($buffer, $length) : null;
    }
}
