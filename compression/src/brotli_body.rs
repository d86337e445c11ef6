//! Compresses one body with brotli, and ends early when it is cancelled.

use brotli::enc::BrotliEncoderParams;

/// A body that brotli reads chunk by chunk, until it is cancelled.
struct Cancellable<'a>(&'a [u8], &'a dyn Fn() -> bool);

impl std::io::Read for Cancellable<'_> {
    fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<usize> {
        if self.1() { Err(std::io::ErrorKind::Other.into()) } else { self.0.read(chunk) }
    }
}

/// Returns the compressed body; `None` if brotli fails, or at the next chunk once `is_cancelled` is true.
pub(crate) fn compressed(quality: u32, body: &[u8], is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() / 4 + 128);
    let mut params = BrotliEncoderParams {
        quality: i32::try_from(quality).unwrap_or(1),
        size_hint: body.len(),
        ..Default::default()
    };
    if quality >= 10 {
        // Blocks of 64 KiB, the smallest, in place of 256: it reads nothing while it works at
        // one, and that takes a quarter of a second at level 11. A body is 0.1 % larger.
        params.lgblock = 16;
    }
    brotli::BrotliCompress(&mut Cancellable(body, is_cancelled), &mut out, &params).ok()?;
    Some(out)
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
