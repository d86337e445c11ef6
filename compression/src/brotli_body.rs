//! Compresses one body with brotli, and ends early when it is cancelled.

use brotlic::encode::{BrotliEncoder, BrotliEncoderOptions, BrotliOperation};
use brotlic::{BlockSize, Quality};

/// What the encoder is given at a time. At qualities 0 and 1 it compresses each piece by itself, so small ones would
/// make a larger body; at all others it collects them to blocks.
const PIECE: usize = 256 << 10;

/// The same from quality 10 on, where the encoder takes a quarter of a second for 256 KiB.
const PIECE_OF_SLOW_QUALITIES: usize = 64 << 10;

/// What the encoder returns at a time.
const OUTPUT: usize = 32 << 10;

/// Returns the compressed body; `None` if brotli or memory fails, or at the next piece once `is_cancelled` is true.
pub(crate) fn compressed(quality: u32, body: &[u8], is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let is_slow = quality >= 10;
    let mut encoder = encoder(quality, body.len(), is_slow)?;
    let mut out = Vec::new();
    out.try_reserve(body.len() / 4 + 128).ok()?;
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(OUTPUT).ok()?;
    buffer.resize(OUTPUT, 0);
    let pieces = body.chunks(if is_slow { PIECE_OF_SLOW_QUALITIES } else { PIECE });
    for piece in pieces {
        if is_cancelled() {
            return None;
        }
        let mut rest = piece;
        while !rest.is_empty() || encoder.has_output() {
            rest = step(&mut encoder, rest, BrotliOperation::Process, &mut buffer, &mut out)?;
        }
    }
    while !encoder.is_finished() {
        step(&mut encoder, &[], BrotliOperation::Finish, &mut buffer, &mut out)?;
    }
    Some(out)
}

fn encoder(quality: u32, length: usize, is_slow: bool) -> Option<BrotliEncoder> {
    let mut options = BrotliEncoderOptions::new();
    options.quality(Quality::new(u8::try_from(quality).ok()?).ok()?);
    options.size_hint(u32::try_from(length).unwrap_or(u32::MAX));
    if is_slow {
        // A block is what is compressed without a look at `is_cancelled`. A body is 0.1 % larger for it.
        options.block_size(BlockSize::new(16).ok()?);
    }
    options.build().ok()
}

/// Gives the encoder some of `input`, appends what it returns to `out`, and returns the rest of the input.
fn step<'a>(
    encoder: &mut BrotliEncoder,
    input: &'a [u8],
    operation: BrotliOperation,
    buffer: &mut [u8],
    out: &mut Vec<u8>,
) -> Option<&'a [u8]> {
    let done = encoder.compress(input, buffer, operation).ok()?;
    out.try_reserve(done.bytes_written).ok()?;
    out.extend_from_slice(buffer.get(..done.bytes_written)?);
    input.get(done.bytes_read..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brotli_ends_soon_after_it_is_cancelled() {
        let text = b"{\"n\":1},".repeat(100_000);
        let reads = std::cell::Cell::new(0);
        let cancel = || {
            reads.set(reads.get() + 1);
            reads.get() > 3
        };
        assert_eq!(compressed(11, &text, &cancel), None);
        assert_eq!(reads.get(), 4);
    }
}
