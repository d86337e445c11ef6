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
    (Codec::Gzip, &[3, 3, 5, 6, 7, 7, 9, 11, 16, 16]),
    (Codec::Deflate, &[3, 3, 5, 6, 7, 7, 9, 11, 16, 16]),
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
/// the body, or soon after `is_cancelled` is true. zstd does not look at that: it takes some 50 ms for the largest body.
pub(super) fn compress(
    compressor: &mut Compressor,
    codec: Codec,
    body: &[u8],
    is_cancelled: &dyn Fn() -> bool,
) -> Option<Vec<u8>> {
    match codec {
        Codec::None => None,
        Codec::Gzip => compressor.gzip(body, is_cancelled),
        Codec::Deflate => compressor.deflate(body, is_cancelled),
        Codec::Zstd => compressor.zstd(body),
        Codec::Br => compressor.brotli(body, is_cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each of them writes is tested in their own crate.
    #[test]
    fn each_codec_has_its_own_compressor() {
        let body = b"{\"n\":1},".repeat(100);
        let new = || Compressor::new(1);
        for (codec, expected) in [
            (Codec::None, None),
            (Codec::Gzip, new().gzip(&body, &|| false)),
            (Codec::Deflate, new().deflate(&body, &|| false)),
            (Codec::Zstd, new().zstd(&body)),
            (Codec::Br, new().brotli(&body, &|| false)),
        ] {
            let works = codec != Codec::None && (codec != Codec::Br || cfg!(feature = "brotli"));
            assert_eq!(expected.is_some(), works, "{codec:?}");
            assert_eq!(compress(&mut new(), codec, &body, &|| false), expected, "{codec:?}");
        }
        for codec in [Codec::Gzip, Codec::Deflate, Codec::Br] {
            assert_eq!(compress(&mut new(), codec, &body, &|| true), None, "{codec:?}");
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
