//! The classes of bytes that matter inside a JSON string, once for the whole library.
//!
//! - *special*: a quote, a backslash or a control character (below 0x20). These end a run of text that
//!   means itself (RFC 8259, section 7).
//! - *plain*: ASCII that is not special. Text of plain bytes is valid UTF-8 and its own JSON escape.
//!
//! The SIMD comes from `wide`, so there is no `unsafe` here; on x86-64 it compiles to SSE2, which every
//! such processor has.

use wide::u8x16;

/// How many bytes [`special_in_block`] classifies at a time: as many as a word has bits.
pub(super) const BLOCK: usize = 64;

/// Whether the byte is special. The definition that the others are tested against.
pub(super) const fn is_special(byte: u8) -> bool {
    matches!(byte, 0..0x20 | b'"' | b'\\')
}

/// Each byte of the result has its top bit set exactly where `bytes` has a special byte. With bit 1 flipped,
/// a quote (0x22) becomes 0x20 and nothing else does, so quotes and control characters are the bytes up to
/// 0x20: one comparison instead of two.
#[inline]
fn special(bytes: u8x16) -> u8x16 {
    let flipped = bytes ^ u8x16::splat(0x02);
    let is_quote_or_control = flipped.min(u8x16::splat(0x20)).simd_eq(flipped);
    is_quote_or_control | bytes.simd_eq(u8x16::splat(b'\\'))
}

/// Bit n of the first result is set exactly when byte n of the block is special. The second result is all
/// bytes ORed together, so its top bits say whether there was anything but ASCII.
#[inline]
pub(super) fn special_in_block(block: &[u8; BLOCK]) -> (u64, u8x16) {
    let (mut bits, mut seen) = (0, u8x16::splat(0));
    for (i, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        seen |= bytes;
        bits |= u64::from(special(bytes).to_bitmask()) << (16 * i);
    }
    (bits, seen)
}

/// The same for fewer bytes than a block.
pub(super) fn special_in_part(part: &[u8]) -> (u64, u8x16) {
    let (mut bits, mut seen) = (0, u8x16::splat(0));
    let mut classify = |start: usize, bytes: [u8; 16]| {
        let bytes = u8x16::new(bytes);
        seen |= bytes;
        bits |= u64::from(special(bytes).to_bitmask()) << start;
    };
    if let Some(last) = part.last_chunk::<16>() {
        for (i, bytes) in part.as_chunks::<16>().0.iter().enumerate() {
            classify(16 * i, *bytes);
        }
        // It may overlap the bytes before it, which are classified twice.
        classify(part.len() - 16, *last);
    } else {
        let mut bytes = [b' '; 16];
        for (byte, given) in bytes.iter_mut().zip(part) {
            *byte = *given;
        }
        classify(0, bytes);
    }
    (bits, seen)
}

/// The number of bytes before the first special one.
#[inline]
pub(super) fn run_length(text: &[u8]) -> usize {
    let (blocks, _) = text.as_chunks::<16>();
    let mut before = 0;
    for block in blocks {
        let bits = special(u8x16::new(*block)).to_bitmask();
        if bits != 0 {
            return before + bits.trailing_zeros() as usize;
        }
        before += 16;
    }
    before + text.iter().skip(before).take_while(|byte| !is_special(**byte)).count()
}

/// Whether all bytes are plain. The last bytes are classified in a block of their own, which may overlap
/// the one before it, so that no byte has to be classified on its own.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<16>() {
        let not_plain = |block: &[u8; 16]| u8x16::new(*block) | special(u8x16::new(*block));
        let blocks = text.as_chunks::<16>().0;
        let all = blocks.iter().fold(not_plain(last), |all, block| all | not_plain(block));
        return all.to_bitmask() == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        return not_plain_in_word(u64::from_le_bytes(*first)) | not_plain_in_word(u64::from_le_bytes(*last))
            == 0;
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let both = u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
        return are_plain(both);
    }
    text.iter().all(|byte| byte.is_ascii() && !is_special(*byte))
}

/// Whether all eight bytes of a word are plain.
#[inline]
pub(crate) fn are_plain(word: u64) -> bool {
    not_plain_in_word(word) == 0
}

/// Zero exactly when all eight bytes are plain. Which bits are set otherwise has no meaning, because a
/// subtraction borrows from the next byte.
#[inline]
fn not_plain_in_word(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Subtracting sets the top bit of a byte that is smaller.
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound));
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (word | below(word, 0x20) | is(b'"') | is(b'\\')) & (EACH * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_classify_a_byte_agrees_with_the_definition() {
        for byte in 0..=255_u8 {
            let plain = byte.is_ascii() && !is_special(byte);
            for length in 1..40 {
                for at in 0..length {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    assert_eq!(is_plain(&text), plain, "{byte:#x} at {at} of {length}");
                    let run = if is_special(byte) { at } else { length };
                    assert_eq!(run_length(&text), run, "{byte:#x} at {at} of {length}");
                }
            }
            for at in 0..BLOCK {
                let mut block = [0x80; BLOCK];
                block[at] = byte;
                let (bits, seen) = special_in_block(&block);
                assert_eq!(bits, u64::from(is_special(byte)) << at, "{byte:#x} at {at}");
                assert_ne!(seen.to_bitmask(), 0);
            }
            let (_, seen) = special_in_block(&[byte; BLOCK]);
            assert_eq!(seen.to_bitmask() == 0, byte.is_ascii());
        }
        assert!(is_plain(b"") && run_length(b"") == 0);
    }

    #[test]
    fn a_run_ends_at_the_first_of_several_special_bytes() {
        for first in 0..40 {
            for second in first..40 {
                let mut text = [0xC3; 40];
                (text[first], text[second]) = (b'\\', b'"');
                assert_eq!(run_length(&text), first);
            }
        }
    }
}
