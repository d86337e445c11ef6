//! Text on its way into a JSON string: repair, escape, unescape.

use std::borrow::Cow;

use wide::u8x16;

use super::scan::{behind_plain_run, hex4};

/// The text as UTF-8, each bad sequence replaced by U+FFFD.
pub fn repaired(bytes: &[u8]) -> Cow<'_, str> {
    // The check goes word by word, the repair byte by byte.
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// The bytes of sound text.
pub fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// Appends `text` as a JSON string, quotes included.
#[inline]
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_escaped(out, text);
    }
    out.push(b'"');
}

/// Appends what stands between the quotes of a JSON string, and repairs it where
/// it is no UTF-8; answers whether that was necessary.
#[inline]
pub fn write_repaired(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
        return false;
    }
    write_odd(out, bytes)
}

#[cold]
fn write_odd(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let text = repaired(bytes);
    write_escaped(out, &text);
    matches!(text, Cow::Owned(_))
}

/// Appends what stands between the quotes of a JSON string.
#[inline(never)]
pub fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let special = behind_plain_run(rest);
        out.extend_from_slice(rest.split_at_checked(rest.len() - special.len()).unwrap_or_default().0);
        let Some((&byte, after)) = special.split_first() else { break };
        write_escape(out, byte);
        rest = after;
    }
}

/// Whether these bytes are ASCII that may stand in a JSON string as it is. The
/// last bytes are looked at in a block of their own, which may overlap the one
/// before it, so that none are left over to be looked at one by one.
#[inline]
pub fn is_plain(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        let blocks = bytes.as_chunks::<16>().0;
        let odd = blocks.iter().fold(odd_of_16(*last), |odd, block| odd | odd_of_16(*block));
        return odd.to_bitmask() == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        return odd_of_8(u64::from_le_bytes(*first)) | odd_of_8(u64::from_le_bytes(*last)) == 0;
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let both = u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last));
        return odd_of_8(both) == 0;
    }
    bytes.iter().all(|byte| matches!(byte, 0x20..=0x7F) && !matches!(byte, b'"' | b'\\'))
}

/// The highest bit of a byte is set where it is not plain.
#[inline]
fn odd_of_16(block: [u8; 16]) -> u8x16 {
    let block = u8x16::new(block);
    let is = |byte| block.simd_eq(u8x16::splat(byte));
    let is_control = block.min(u8x16::splat(0x1F)).simd_eq(block);
    block | is(b'"') | is(b'\\') | is_control
}

/// Zero if none of the eight bytes is odd. Where one is, bits of its neighbours
/// may be set too.
#[inline]
fn odd_of_8(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Subtracting borrows the highest bit of a byte that is smaller.
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound));
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (word | below(word, 0x20) | is(b'"') | is(b'\\')) & (EACH * 0x80)
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(b'0', |c| c as u8);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// The text that a scanned JSON string stands for, given what is between its
/// quotes. A lone surrogate becomes U+FFFD.
pub fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&kind, after)) = rest.split_first() else { break };
        rest = after;
        let plain = match kind {
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => unicode_escape(&mut rest),
            other => char::from(other),
        };
        out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Takes `XXXX`, or `XXXX\uYYYY` when the two are a surrogate pair.
fn unicode_escape(rest: &mut &[u8]) -> char {
    let unit = |bytes: Option<&[u8]>| bytes.and_then(hex4);
    let Some(first) = unit(rest.get(..4)) else { return char::REPLACEMENT_CHARACTER };
    *rest = rest.get(4..).unwrap_or_default();
    let second = rest.strip_prefix(b"\\u").and_then(|after| unit(after.get(..4)));
    let units = [first, second.unwrap_or(0)];
    match char::decode_utf16(units).next() {
        Some(Ok(c)) => {
            if c.len_utf16() == 2 {
                *rest = rest.get(6..).unwrap_or_default();
            }
            c
        }
        _ => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_json_readers_read_back() {
        let all: String =
            (0..0x250_u32).filter_map(char::from_u32).chain("\u{1F600}\u{2028}".chars()).collect();
        for text in ["", "plain", "a\"b\\c\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}", &all] {
            let mut out = Vec::new();
            write_string(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn unescapes_as_json_readers_do() {
        for raw in [r"plain", r#"\"\\\/\b\f\n\r\t"#, r"\u0024lib", r"\ud83d\ude00!", r"\u00e9é"] {
            let expected: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            assert_eq!(unescaped(raw), expected);
        }
        assert_eq!(unescaped(r"\ud800x"), "\u{fffd}x");
        assert_eq!(unescaped(r"\ud800\u0041"), "\u{fffd}A");
    }

    #[test]
    fn text_that_is_written_at_once_is_as_if_escaped() {
        for byte in 0..=255_u8 {
            for length in 1..40 {
                for at in 0..length {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    let (mut out, mut expected) = (Vec::new(), Vec::new());
                    assert_eq!(write_repaired(&mut out, &text), byte >= 0x80);
                    write_escaped(&mut expected, &String::from_utf8_lossy(&text));
                    assert_eq!(out, expected, "{byte:#x} at {at} of {length}");
                    let plain = matches!(byte, 0x20..=0x7F) && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&text), plain, "{byte:#x} at {at} of {length}");
                }
            }
        }
        let mut out = Vec::new();
        assert!(!write_repaired(&mut out, b""));
        assert!(!write_repaired(&mut out, "é\u{1F600}".as_bytes()));
        assert_eq!(out, "é\u{1F600}".as_bytes());
    }

    #[test]
    fn repairs_each_bad_sequence() {
        assert_eq!(repaired(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
    }
}
