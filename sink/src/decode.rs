//! Decompresses request bodies, up to a bound.
//!
//! It knows the codecs of the contract and nothing of what the bodies contain.

use std::io::Read;

/// Why a body could not be decompressed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// The codec is not one of the contract's.
    UnknownCodec,
    /// The bytes are not in the codec that `Content-Encoding` names; the reason.
    Broken(String),
    /// The decompressed body is larger than the bound.
    TooLarge,
}

/// Decompresses a body with this `Content-Encoding` (`None`: not compressed) to at most `bound` bytes.
pub(crate) fn decode(encoding: Option<&str>, body: &[u8], bound: usize) -> Result<Vec<u8>, DecodeError> {
    match encoding {
        None => Ok(body.to_vec()),
        Some("gzip") => bounded(flate2::read::GzDecoder::new(body), bound),
        Some("deflate") if body.first() != Some(&0x78) => {
            Err(DecodeError::Broken("deflate must be zlib-wrapped: the first byte is not 0x78".to_owned()))
        }
        Some("deflate") => bounded(flate2::read::ZlibDecoder::new(body), bound),
        Some("zstd") => match zstd::Decoder::new(body) {
            Ok(decoder) => bounded(decoder, bound),
            Err(error) => Err(DecodeError::Broken(error.to_string())),
        },
        Some("br") => bounded(brotli::Decompressor::new(body, 64 * 1024), bound),
        Some(_) => Err(DecodeError::UnknownCodec),
    }
    .and_then(|text| if text.len() > bound { Err(DecodeError::TooLarge) } else { Ok(text) })
}

fn bounded(reader: impl Read, bound: usize) -> Result<Vec<u8>, DecodeError> {
    let mut text = Vec::new();
    let limit = u64::try_from(bound).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(limit).read_to_end(&mut text).map_err(|error| DecodeError::Broken(error.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn decodes_each_codec_and_stops_at_the_bound() {
        let text = b"{\"batch\":[]}".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(&text).unwrap();
        let mut br = Vec::new();
        brotli::BrotliCompress(&mut &text[..], &mut br, &brotli::enc::BrotliEncoderParams::default())
            .unwrap();
        let encoded = [
            (None, text.clone()),
            (Some("gzip"), gzip.finish().unwrap()),
            (Some("deflate"), zlib.finish().unwrap()),
            (Some("zstd"), zstd::encode_all(&text[..], 1).unwrap()),
            (Some("br"), br),
        ];
        for (encoding, body) in encoded {
            assert_eq!(decode(encoding, &body, text.len()).unwrap(), text, "{encoding:?}");
            assert_eq!(decode(encoding, &body, text.len() - 1), Err(DecodeError::TooLarge), "{encoding:?}");
            if encoding.is_some() {
                assert!(
                    matches!(decode(encoding, &text, 1 << 20), Err(DecodeError::Broken(_))),
                    "{encoding:?}"
                );
                assert!(decode(encoding, &body[..body.len() / 2], 1 << 20).is_err(), "{encoding:?}");
            }
        }
        assert_eq!(decode(Some("lzma"), b"", 10), Err(DecodeError::UnknownCodec));
    }
}
