//! Compression of request bodies, with contexts that are reused from batch to batch, and how
//! long it takes.

use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::config::{Codec, ZSTD_MAX_LEVEL};

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

/// The compressors of one client.
pub(super) struct Compressor {
    level: u32,
    gzip: Option<Compress>,
    deflate: Option<Compress>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Compressor {
    /// Compressors of this level. Nothing is allocated before the first body.
    pub(super) fn new(level: u32) -> Self {
        Compressor { level, gzip: None, deflate: None, zstd: None }
    }

    /// Returns the compressed body; `None` if the codec is [`Codec::None`] or fails, as it
    /// does when there is no memory for the body, or soon after `is_cancelled` is true. Only
    /// brotli looks at that: nothing else takes long enough.
    pub(super) fn compress(
        &mut self,
        codec: Codec,
        body: &[u8],
        is_cancelled: &dyn Fn() -> bool,
    ) -> Option<Vec<u8>> {
        let zlib_level = Compression::new(self.level.clamp(1, 9));
        match codec {
            Codec::None => None,
            Codec::Gzip => {
                deflated(self.gzip.get_or_insert_with(|| Compress::new_gzip(zlib_level, 15)), body)
            }
            Codec::Deflate => {
                deflated(self.deflate.get_or_insert_with(|| Compress::new(zlib_level, true)), body)
            }
            Codec::Zstd => {
                if self.zstd.is_none() {
                    let level = i32::try_from(self.level.clamp(1, ZSTD_MAX_LEVEL)).unwrap_or(1);
                    self.zstd = zstd::bulk::Compressor::new(level).ok();
                }
                let mut out = Vec::new();
                out.try_reserve_exact(zstd::zstd_safe::compress_bound(body.len())).ok()?;
                self.zstd.as_mut()?.compress_to_buffer(body, &mut out).ok()?;
                Some(out)
            }
            Codec::Br => brotli_compressed(self.level.min(11), body, is_cancelled),
        }
    }
}

fn deflated(compress: &mut Compress, body: &[u8]) -> Option<Vec<u8>> {
    compress.reset();
    let mut out = Vec::new();
    out.try_reserve(body.len() / 4 + 128).ok()?;
    loop {
        let consumed = usize::try_from(compress.total_in()).ok()?;
        let rest = body.get(consumed..)?;
        match compress.compress_vec(rest, &mut out, FlushCompress::Finish).ok()? {
            Status::StreamEnd => return Some(out),
            Status::Ok | Status::BufError => out.try_reserve(out.capacity().max(128)).ok()?,
        }
    }
}

/// A body that brotli reads chunk by chunk, until it is cancelled.
#[cfg(feature = "brotli")]
struct Cancellable<'a>(&'a [u8], &'a dyn Fn() -> bool);

#[cfg(feature = "brotli")]
impl std::io::Read for Cancellable<'_> {
    fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<usize> {
        if self.1() { Err(std::io::ErrorKind::Other.into()) } else { self.0.read(chunk) }
    }
}

#[cfg(feature = "brotli")]
fn brotli_compressed(quality: u32, body: &[u8], is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len() / 4 + 128);
    let mut params = brotli::enc::BrotliEncoderParams {
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

#[cfg(not(feature = "brotli"))]
fn brotli_compressed(_quality: u32, _body: &[u8], _is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decoded(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match codec {
            Codec::None => out = bytes.to_vec(),
            Codec::Gzip => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap()),
            Codec::Deflate => {
                assert_eq!(bytes[0], 0x78);
                flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out).unwrap();
            }
            Codec::Zstd => out = zstd::decode_all(bytes).unwrap(),
            #[cfg(feature = "brotli")]
            Codec::Br => brotli::BrotliDecompress(&mut &bytes[..], &mut out).unwrap(),
            #[cfg(not(feature = "brotli"))]
            Codec::Br => unreachable!(),
        }
        out
    }

    #[test]
    fn every_codec_round_trips() {
        let text: Vec<u8> = (0..20_000_u32)
            .flat_map(|i| format!("{{\"n\":{},\"x\":\"{}\"}}", i, i * 7919 % 1000).into_bytes())
            .collect();
        let random: Vec<u8> =
            (0..50_000_u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
        for codec in [Codec::Gzip, Codec::Deflate, Codec::Zstd, Codec::Br] {
            if codec == Codec::Br && cfg!(not(feature = "brotli")) {
                continue;
            }
            for level in [0, 1, 6, 11] {
                let mut compressor = Compressor::new(level);
                for body in [text.as_slice(), b"{}", &random, &text] {
                    let small = compressor.compress(codec, body, &|| false).unwrap();
                    assert_eq!(decoded(codec, &small), body, "{codec:?} {level}");
                }
                assert!(compressor.compress(codec, &text, &|| false).unwrap().len() < text.len() / 2);
            }
        }
        assert_eq!(Compressor::new(1).compress(Codec::None, b"{}", &|| false), None);
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

    #[cfg(feature = "brotli")]
    #[test]
    fn brotli_ends_soon_after_it_is_cancelled() {
        let text = b"{\"n\":1},".repeat(100_000);
        let reads = std::cell::Cell::new(0);
        let cancel = || {
            reads.set(reads.get() + 1);
            reads.get() > 3
        };
        assert_eq!(Compressor::new(11).compress(Codec::Br, &text, &cancel), None);
        assert_eq!(reads.get(), 4);
    }

    /// zstd chooses its strategy by the level and by the size of the body.
    #[test]
    fn every_level_of_zstd_is_built_for_every_size() {
        let text: Vec<u8> = (0..400_000_u64)
            .flat_map(|i| format!("{{\"n\":{i},\"x\":{}}}", i.wrapping_mul(i) % 977).into_bytes())
            .take(5 << 20)
            .collect();
        let edges = [16, 128, 256, 512, 1024, 2048, 4096, 5120].map(|kib| kib << 10);
        let around = edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]);
        let sizes: Vec<usize> = (0..300).chain(around).filter(|size| *size <= text.len()).collect();
        for level in 0..=ZSTD_MAX_LEVEL {
            let mut compressor = Compressor::new(level);
            for size in &sizes {
                let body = &text[..*size];
                let small = compressor.compress(Codec::Zstd, body, &|| false).unwrap();
                assert!(decoded(Codec::Zstd, &small) == body, "level {level}, {size} bytes");
                assert!(
                    *size < 300 || small.len() < size / 2,
                    "level {level}, {size} bytes: {}",
                    small.len()
                );
            }
        }
    }
}
