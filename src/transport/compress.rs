//! What each codec of the configuration means to a request: its header, its compressor, and how long it takes.

use std::time::Duration;

use phc_compression::Compressor;

use crate::config::Codec;

impl Codec {
    /// The value of `Content-Encoding`; `None` for a body that is not compressed.
    pub(super) fn content_encoding(self) -> Option<&'static str> {
        match self {
            Codec::None => None,
            Codec::Gzip => Some("gzip"),
            Codec::Deflate => Some("deflate"),
            Codec::Zstd => Some("zstd"),
            Codec::Br => Some("br"),
        }
    }
}

/// What takes longer is not done on `phc-io`.
const LONG: Duration = Duration::from_millis(2);

/// Nanoseconds per byte at each level, from 0, on events as they are common, rounded up.
const NANOSECONDS: [(Codec, &[u64]); 4] = [
    (Codec::Zstd, &[1, 1, 2, 3]),
    (Codec::Gzip, &[2, 2, 4, 5, 5, 6, 7, 9, 15, 15]),
    (Codec::Deflate, &[2, 2, 4, 5, 5, 6, 7, 9, 15, 15]),
    (Codec::Br, &[9, 10, 11, 12, 25, 30, 40, 60, 80, 100, 800, 2500]),
];

/// Whether the compression of so many bytes takes long.
pub(super) fn takes_long(codec: Codec, level: u32, bytes: usize) -> bool {
    let Some((_, levels)) = NANOSECONDS.iter().find(|(known, _)| *known == codec) else { return false };
    let level = usize::try_from(level).unwrap_or(usize::MAX);
    let Some(each) = levels.get(level).or(levels.last()) else { return false };
    Duration::from_nanos(each.saturating_mul(bytes as u64)) > LONG
}

/// Returns the compressed body; `None` if the codec is [`Codec::None`] or fails, as it does when there is no memory for
/// the body, or soon after `is_cancelled` is true. Only brotli looks at that: nothing else takes long enough.
pub(super) fn compress(
    compressor: &mut Compressor,
    codec: Codec,
    body: &[u8],
    is_cancelled: &dyn Fn() -> bool,
) -> Option<Vec<u8>> {
    match codec {
        Codec::None => None,
        Codec::Gzip => compressor.gzip(body),
        Codec::Deflate => compressor.deflate(body),
        Codec::Zstd => compressor.zstd(body),
        Codec::Br => compressor.brotli(body, is_cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The crate of the compressors has the tests of what they write.
    #[test]
    fn each_codec_writes_its_own_format() {
        let body = b"{\"n\":1},".repeat(100);
        let mut compressor = Compressor::new(1);
        for (codec, begins) in [
            (Codec::None, None),
            (Codec::Gzip, Some(&[0x1f, 0x8b][..])),
            (Codec::Deflate, Some(&[0x78])),
            (Codec::Zstd, Some(&[0x28, 0xb5, 0x2f, 0xfd])),
            (Codec::Br, cfg!(feature = "brotli").then_some(&[0x0b])),
        ] {
            let small = compress(&mut compressor, codec, &body, &|| false);
            let start = small.as_deref().zip(begins).and_then(|(small, begins)| small.get(..begins.len()));
            assert_eq!(start, begins, "{codec:?}");
            assert_eq!(small.is_some(), begins.is_some(), "{codec:?}");
        }
    }

    #[test]
    fn what_takes_long_follows_from_codec_level_and_size() {
        for (codec, level, bytes, long) in [
            (Codec::None, 0, usize::MAX, false),
            (Codec::Zstd, 1, 1 << 20, false),
            (Codec::Zstd, 3, 1 << 20, true),
            (Codec::Gzip, 9, 100_000, false),
            (Codec::Gzip, 9, 200_000, true),
            (Codec::Br, 11, 500, false),
            (Codec::Br, 11, 1000, true),
            (Codec::Br, 99, 1000, true),
        ] {
            assert_eq!(takes_long(codec, level, bytes), long, "{codec:?} {level}, {bytes} bytes");
        }
    }
}
