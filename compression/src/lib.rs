//! Compresses request bodies with gzip, deflate, zstd and brotli, and keeps the contexts of the first three from
//! body to body.
//!
//! This is a crate of its own because cargo chooses a level of optimisation by crate: libphc is built for speed, for its
//! own hot code, and what is here for size. The inner loops are those of the codecs, which are built as docs/dependencies.md
//! says. So nothing here is generic, and no exported function is inlined into its caller.

#[cfg(feature = "brotli")]
mod brotli_body;

use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::{CCtx, CParameter, compress_bound};

/// The highest level of zstd: .cargo/config.toml leaves out what higher ones need.
pub const ZSTD_MAX_LEVEL: u32 = 3;

/// Compressors of one level, for one thread at a time.
///
/// Each method returns the compressed body, or `None` if the codec fails, as it does when there is no memory for the
/// body.
pub struct Compressor {
    level: u32,
    gzip: Option<Compress>,
    deflate: Option<Compress>,
    zstd: Option<CCtx<'static>>,
}

impl Compressor {
    /// Compressors of this level, which each codec limits to those that it has: gzip and deflate to 1 to 9, zstd to 1
    /// to [`ZSTD_MAX_LEVEL`], brotli to 0 to 11. Nothing is allocated before the first body.
    pub fn new(level: u32) -> Self {
        Compressor { level, gzip: None, deflate: None, zstd: None }
    }

    /// RFC 1952. Also `None` soon after `is_cancelled` is true, for a large body may take seconds.
    #[inline(never)]
    pub fn gzip(&mut self, body: &[u8], is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let level = self.zlib_level();
        deflated(self.gzip.get_or_insert_with(|| Compress::new_gzip(level, 15)), body, is_cancelled)
    }

    /// RFC 1950: deflate in the format of zlib. `is_cancelled` as for gzip.
    #[inline(never)]
    pub fn deflate(&mut self, body: &[u8], is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        let level = self.zlib_level();
        deflated(self.deflate.get_or_insert_with(|| Compress::new(level, true)), body, is_cancelled)
    }

    fn zlib_level(&self) -> Compression {
        Compression::new(self.level.clamp(1, 9))
    }

    /// RFC 8878, in one frame.
    #[inline(never)]
    pub fn zstd(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let context = if let Some(context) = &mut self.zstd {
            context
        } else {
            let level = i32::try_from(self.level.clamp(1, ZSTD_MAX_LEVEL)).unwrap_or(1);
            let mut context = CCtx::try_create()?;
            context.set_parameter(CParameter::CompressionLevel(level)).ok()?;
            self.zstd.insert(context)
        };
        let mut out = Vec::new();
        out.try_reserve_exact(compress_bound(body.len())).ok()?;
        context.compress2(&mut out, body).ok()?;
        Some(out)
    }

    /// RFC 7932. Also `None` soon after `is_cancelled` is true, for this may take seconds, and always without the
    /// feature `brotli`.
    #[inline(never)]
    pub fn brotli(&mut self, body: &[u8], is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
        #[cfg(feature = "brotli")]
        return brotli_body::compressed(self.level.min(11), body, is_cancelled);
        #[cfg(not(feature = "brotli"))]
        {
            let _ = (body, is_cancelled);
            None
        }
    }
}

/// How much zlib is given at a time: at its slowest, at level 9, it takes some 30 ms for that.
const PIECE: usize = 64 * 1024;

fn deflated(compress: &mut Compress, body: &[u8], is_cancelled: &dyn Fn() -> bool) -> Option<Vec<u8>> {
    compress.reset();
    let mut out = Vec::new();
    out.try_reserve(body.len() / 4 + 128).ok()?;
    while !is_cancelled() {
        let consumed = usize::try_from(compress.total_in()).ok()?;
        let rest = body.get(consumed..)?;
        let (piece, flush) = match rest.get(..PIECE) {
            Some(piece) if rest.len() > PIECE => (piece, FlushCompress::None),
            _ => (rest, FlushCompress::Finish),
        };
        match compress.compress_vec(piece, &mut out, flush).ok()? {
            Status::StreamEnd => return Some(out),
            // All of the piece was taken.
            Status::Ok if out.len() < out.capacity() => {}
            Status::Ok | Status::BufError => out.try_reserve(out.capacity().max(128)).ok()?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    type Coding = (&'static str, fn(&mut Compressor, &[u8]) -> Option<Vec<u8>>, fn(&[u8]) -> Vec<u8>);

    /// Each codec with a decoder that is not this crate's.
    const CODINGS: &[Coding] = &[
        ("gzip", |c, body| c.gzip(body, &|| false), |bytes| read(flate2::read::GzDecoder::new(bytes))),
        (
            "deflate",
            |c, body| c.deflate(body, &|| false),
            |bytes| {
                assert_eq!(bytes[0], 0x78);
                read(flate2::read::ZlibDecoder::new(bytes))
            },
        ),
        ("zstd", Compressor::zstd, |bytes| zstd::decode_all(bytes).unwrap()),
        #[cfg(feature = "brotli")]
        (
            "brotli",
            |compressor, body| compressor.brotli(body, &|| false),
            |bytes| {
                let mut out = Vec::new();
                brotli::BrotliDecompress(&mut &bytes[..], &mut out).unwrap();
                out
            },
        ),
    ];

    fn read(mut decoder: impl Read) -> Vec<u8> {
        let mut out = Vec::new();
        decoder.read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn every_codec_round_trips() {
        let text: Vec<u8> = (0..20_000_u32)
            .flat_map(|i| format!("{{\"n\":{},\"x\":\"{}\"}}", i, i * 7919 % 1000).into_bytes())
            .collect();
        let random: Vec<u8> =
            (0..50_000_u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect();
        for (name, compress, decode) in CODINGS {
            for level in [0, 1, 6, 11] {
                let mut compressor = Compressor::new(level);
                for body in [text.as_slice(), b"{}", &random, &text] {
                    let small = compress(&mut compressor, body).unwrap();
                    assert_eq!(decode(&small), body, "{name} {level}");
                }
                assert!(compress(&mut compressor, &text).unwrap().len() < text.len() / 2, "{name} {level}");
            }
        }
    }

    /// What zlib is slowest at: runs that are a little longer than the longest match.
    #[test]
    fn gzip_and_deflate_end_soon_after_they_are_cancelled() {
        let body: Vec<u8> = [[b'a'; 257].as_slice(), b"b"].concat().repeat(8 * PIECE / 258);
        let asked = std::cell::Cell::new(0);
        let cancelled_at = |last| {
            asked.set(0);
            move |asked: &std::cell::Cell<u32>| {
                asked.set(asked.get() + 1);
                asked.get() >= last
            }
        };
        let mut compressor = Compressor::new(9);
        for last in [1, 3, 8] {
            let is_cancelled = cancelled_at(last);
            assert_eq!(compressor.gzip(&body, &|| is_cancelled(&asked)), None);
            assert_eq!(asked.get(), last);
            let is_cancelled = cancelled_at(last);
            assert_eq!(compressor.deflate(&body, &|| is_cancelled(&asked)), None);
            assert_eq!(asked.get(), last);
        }
        // The next body is whole.
        let whole = compressor.gzip(&body, &|| false).unwrap();
        assert!(read(flate2::read::GzDecoder::new(&whole[..])) == body);
    }

    #[cfg(not(feature = "brotli"))]
    #[test]
    fn without_its_feature_brotli_compresses_nothing() {
        assert_eq!(Compressor::new(1).brotli(b"{}", &|| false), None);
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
                let small = compressor.zstd(body).unwrap();
                assert!(zstd::decode_all(&small[..]).unwrap() == body, "level {level}, {size} bytes");
                assert!(
                    *size < 300 || small.len() < size / 2,
                    "level {level}, {size} bytes: {}",
                    small.len()
                );
            }
        }
    }
}
