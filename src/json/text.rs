//! Text on its way into and out of JSON strings: repair, escape, unescape.

use std::borrow::Cow;

use super::bytes::{is_plain, run_length};
use crate::memory::NoMemory;

/// The text as UTF-8, each invalid sequence replaced by U+FFFD.
pub(crate) fn repair(bytes: &[u8]) -> Cow<'_, str> {
    // The check goes word by word, the repair byte by byte.
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// U+FFFD, which stands for an invalid sequence.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// The same in memory of its own.
pub(super) fn try_repair(bytes: &[u8]) -> Result<Vec<u8>, NoMemory> {
    let replacement = |invalid: &[u8]| if invalid.is_empty() { b"" } else { REPLACEMENT };
    let length = bytes.utf8_chunks().map(|chunk| chunk.valid().len() + replacement(chunk.invalid()).len());
    let mut out = Vec::new();
    out.try_reserve_exact(length.sum())?;
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        out.extend_from_slice(replacement(chunk.invalid()));
    }
    Ok(out)
}

/// How many bytes [`write_repaired`] appends, or somewhat more.
#[cold]
pub(crate) fn escaped_length(bytes: &[u8]) -> usize {
    let of_text = |text: &str| -> usize {
        let of_byte = |byte: &u8| match byte {
            b'"' | b'\\' => 2,
            0..0x20 => 6,
            _ => 1,
        };
        text.as_bytes().iter().map(of_byte).sum()
    };
    bytes.utf8_chunks().map(|chunk| of_text(chunk.valid()) + REPLACEMENT.len()).sum()
}

/// Appends `text` as a JSON string, quotes included.
#[inline]
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_escaped(out, text);
    }
    out.push(b'"');
}

/// Appends text as it stands between the quotes of a JSON string, repaired where it is not UTF-8; returns
/// whether that was necessary.
#[inline]
pub(crate) fn write_repaired(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    if is_plain(bytes) {
        out.extend_from_slice(bytes);
        return false;
    }
    write_not_plain(out, bytes)
}

#[cold]
fn write_not_plain(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let text = repair(bytes);
    write_escaped(out, &text);
    matches!(text, Cow::Owned(_))
}

/// Appends what stands between the quotes of a JSON string.
#[inline(never)]
pub(crate) fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let (run, special) = rest.split_at_checked(run_length(rest)).unwrap_or_default();
        out.extend_from_slice(run);
        let Some((&byte, after)) = special.split_first() else { break };
        write_escape(out, byte);
        rest = after;
    }
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

/// The text that a JSON string stands for, given what is between its quotes. Invalid UTF-8 and lone
/// surrogates become U+FFFD.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    if !raw.contains(&b'\\') {
        return repair(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(plain) = take_escape(&mut rest) else { break };
        out.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// How many bytes [`unescape`] returns, for text that is UTF-8.
pub(crate) fn unescaped_length(raw: &[u8]) -> usize {
    let (mut length, mut rest) = (0, raw);
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        length += if byte == b'\\' { take_escape(&mut rest).map_or(0, char::len_utf8) } else { 1 };
    }
    length
}

/// Takes what stands behind a backslash, two escapes if they are a surrogate pair; returns the character that it stands
/// for.
pub(crate) fn take_escape(rest: &mut &[u8]) -> Option<char> {
    let (&kind, after) = rest.split_first()?;
    *rest = after;
    Some(match kind {
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'u' => unicode_escape(rest),
        other => char::from(other),
    })
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

/// The number that four hexadecimal digits stand for.
pub(super) fn hex4(digits: &[u8]) -> Option<u16> {
    let valid = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| valid)?;
    u16::from_str_radix(text, 16).ok()
}

/// Replaces each lone surrogate escape in sound JSON text by that of U+FFFD, which is equally long.
pub(super) fn repair_surrogates(text: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += found;
        at += match (unit_at(text, at), unit_at(text, at + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                if let Some(escape) = text.get_mut(at..at + 6) {
                    escape.copy_from_slice(b"\\ufffd");
                }
                6
            }
            // The second byte may be a backslash, which does not begin an escape of its own.
            _ => 2,
        };
    }
}

/// The UTF-16 unit of the escape `\uXXXX` at this place, if there is one.
fn unit_at(text: &[u8], at: usize) -> Option<u16> {
    text.get(at..at + 6)?.strip_prefix(b"\\u").and_then(hex4)
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
            assert_eq!(unescape(raw.as_bytes()), expected);
            assert_eq!(unescaped_length(raw.as_bytes()), expected.len());
        }
        assert_eq!(unescape(br"\ud800x"), "\u{fffd}x");
        assert_eq!(unescape(br"\ud800\u0041"), "\u{fffd}A");
    }

    #[test]
    fn text_that_is_copied_whole_is_as_if_escaped() {
        for byte in 0..=255_u8 {
            for length in 1..40 {
                for at in 0..length {
                    let mut text = vec![b'~'; length];
                    text[at] = byte;
                    let (mut out, mut expected) = (Vec::new(), Vec::new());
                    assert_eq!(write_repaired(&mut out, &text), byte >= 0x80);
                    write_escaped(&mut expected, &String::from_utf8_lossy(&text));
                    assert_eq!(out, expected, "{byte:#x} at {at} of {length}");
                    assert!((out.len()..=6 * length + 6).contains(&escaped_length(&text)));
                }
            }
        }
        let mut out = Vec::new();
        assert!(!write_repaired(&mut out, b""));
        assert!(!write_repaired(&mut out, "é\u{1F600}".as_bytes()));
        assert_eq!(out, "é\u{1F600}".as_bytes());
    }

    #[test]
    fn repairs_each_invalid_sequence() {
        let table: [&[u8]; 6] =
            [b"", b"sound", b"a\xffb\xc3", b"\xff\xfe", b"\xf0\x9f\x8e.\xe2\x82", "é\u{1F600}".as_bytes()];
        assert_eq!(repair(table[2]), "a\u{fffd}b\u{fffd}");
        for text in table {
            assert_eq!(try_repair(text).unwrap(), repair(text).as_bytes(), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn repairs_each_lone_surrogate_and_nothing_else() {
        for (given, expected) in [
            (r#""\ud800""#, r#""\ufffd""#),
            (r#""\udc00\ud800x""#, r#""\ufffd\ufffdx""#),
            (r#""\ud800\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\uD83D\uDE00\uDE00""#, r#""\uD83D\uDE00\ufffd""#),
            (r#""\\ud800\u0041\n""#, r#""\\ud800\u0041\n""#),
        ] {
            let mut text = given.as_bytes().to_vec();
            repair_surrogates(&mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
