//! Text on its way into a JSON string: repair, escape, unescape.

use std::borrow::Cow;

use super::scan::{behind_plain_run, hex4, is_plain};

/// The text as UTF-8, each bad sequence replaced by U+FFFD.
pub fn repaired(bytes: &[u8]) -> Cow<'_, str> {
    // The repair goes byte by byte, the check does not.
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if is_plain(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        write_escaped(out, text);
    }
    out.push(b'"');
}

#[inline(never)]
fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let special = behind_plain_run(rest);
        out.extend_from_slice(rest.split_at_checked(rest.len() - special.len()).unwrap_or_default().0);
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
    fn repairs_each_bad_sequence() {
        assert_eq!(repaired(b"a\xffb\xc3"), "a\u{fffd}b\u{fffd}");
    }
}
