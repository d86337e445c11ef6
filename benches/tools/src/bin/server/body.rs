//! Decompresses bodies, finds the uuids in them, and writes the responses.

use std::io::{Read, Write};

#[derive(Clone, Copy)]
pub enum Encoding {
    None,
    Gzip,
    Deflate,
    Zstd,
    Brotli,
}

impl Encoding {
    pub fn of(name: &[u8]) -> Encoding {
        match name {
            b"gzip" => Encoding::Gzip,
            b"deflate" => Encoding::Deflate,
            b"zstd" => Encoding::Zstd,
            b"br" => Encoding::Brotli,
            _ => Encoding::None,
        }
    }
}

/// Decompresses into memory that is allocated once.
pub struct Decoder {
    text: Vec<u8>,
    deflate: libdeflater::Decompressor,
    zstd: zstd::bulk::Decompressor<'static>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder {
            text: vec![0; 32 << 20],
            deflate: libdeflater::Decompressor::new(),
            zstd: zstd::bulk::Decompressor::new().expect("memory"),
        }
    }
}

impl Decoder {
    /// Returns the text of the body; empty if it cannot be decompressed.
    pub fn decode<'a>(&'a mut self, body: &'a [u8], encoding: Encoding) -> &'a [u8] {
        let length = match encoding {
            Encoding::None => return body,
            Encoding::Gzip => self.deflate.gzip_decompress(body, &mut self.text).unwrap_or(0),
            Encoding::Deflate => self.deflate.zlib_decompress(body, &mut self.text).unwrap_or(0),
            Encoding::Zstd => self.zstd.decompress_to_buffer(body, &mut self.text[..]).unwrap_or(0),
            Encoding::Brotli => {
                let mut reader = brotli_decompressor::Decompressor::new(body, 64 * 1024);
                let mut length = 0;
                while let Ok(read) = reader.read(&mut self.text[length..]) {
                    if read == 0 {
                        break;
                    }
                    length += read;
                }
                length
            }
        };
        &self.text[..length]
    }
}

const BEFORE: &[u8] = b"{\"results\":{";
const VERDICT: &[u8] = b"\":{\"result\":\"ok\"}";

/// Writes a response with a verdict for each uuid, and returns how many there are.
pub fn verdicts(text: &[u8], response: &mut Vec<u8>) -> u64 {
    // The length precedes the body, so it is filled in when the body is complete.
    let key = b"\"uuid\":\"";
    let mut events = 0;
    let head = reserve(response);
    response.extend_from_slice(BEFORE);
    for at in memchr::memmem::find_iter(text, key) {
        let Some(uuid) = text.get(at + key.len()..at + key.len() + 36) else { break };
        response.extend_from_slice(if events == 0 { b"\"" } else { b",\"" });
        response.extend_from_slice(uuid);
        response.extend_from_slice(VERDICT);
        events += 1;
    }
    response.extend_from_slice(b"}}");
    fill(response, head);
    events
}

/// Writes a response with this body.
pub fn frame(response: &mut Vec<u8>, body: &[u8]) {
    let head = reserve(response);
    response.extend_from_slice(body);
    fill(response, head);
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
/// The number of digits of the length, leading zeros included.
const DIGITS: usize = 9;

/// Writes the head with a length of zero, and returns where the body begins.
fn reserve(response: &mut Vec<u8>) -> usize {
    response.extend_from_slice(HEAD);
    response.extend_from_slice(&[b'0'; DIGITS]);
    response.extend_from_slice(b"\r\n\r\n");
    response.len()
}

/// Writes the length of the body into the head.
fn fill(response: &mut [u8], head: usize) {
    let length = response.len() - head;
    let mut digits = &mut response[HEAD.len()..HEAD.len() + DIGITS];
    let _ = write!(digits, "{length:09}");
}
