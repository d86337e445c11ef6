//! Bodies: decompressed, searched for uuids, answered.

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

/// Decompresses into memory that it keeps.
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
    /// The body's text; empty when it is broken.
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

/// Writes an answer with a verdict for each uuid; how many there were.
pub fn verdicts(text: &[u8], answer: &mut Vec<u8>) -> u64 {
    // The length stands before the body, so the body is measured first.
    let key = b"\"uuid\":\"";
    let mut events = 0;
    let head = reserve(answer);
    answer.extend_from_slice(BEFORE);
    for at in memchr::memmem::find_iter(text, key) {
        let Some(uuid) = text.get(at + key.len()..at + key.len() + 36) else { break };
        answer.extend_from_slice(if events == 0 { b"\"" } else { b",\"" });
        answer.extend_from_slice(uuid);
        answer.extend_from_slice(VERDICT);
        events += 1;
    }
    answer.extend_from_slice(b"}}");
    fill(answer, head);
    events
}

pub fn frame(answer: &mut Vec<u8>, body: &[u8]) {
    let head = reserve(answer);
    answer.extend_from_slice(body);
    fill(answer, head);
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
/// Digits of the length, with leading zeros.
const DIGITS: usize = 9;

fn reserve(answer: &mut Vec<u8>) -> usize {
    answer.extend_from_slice(HEAD);
    answer.extend_from_slice(&[b'0'; DIGITS]);
    answer.extend_from_slice(b"\r\n\r\n");
    answer.len()
}

fn fill(answer: &mut [u8], head: usize) {
    let length = answer.len() - head;
    let mut digits = &mut answer[HEAD.len()..HEAD.len() + DIGITS];
    let _ = write!(digits, "{length:09}");
}
