//! A validating JSON scanner that answers *where* things are.
//!
//! It walks JSON text (RFC 8259) once, without building a tree, and refuses
//! what would make a strict reader refuse a whole batch: broken syntax, a
//! number beyond a double's range, nesting deeper than [`MAX_DEPTH`]. A lone
//! surrogate escape is legal syntax but no legal text, so its position is
//! noted for the caller to repair. It knows nothing about events.
#![allow(clippy::inline_always, reason = "measured: it takes a tenth off a capture")]

use std::fmt;
use std::ops::Range;

use wide::u8x16;

use super::number::{as_double, behind_number, behind_usual_number};

/// The deepest nesting of containers that is let through. The envelope adds
/// levels of its own to the server's limit of 128.
pub const MAX_DEPTH: u32 = 100;

/// What is wrong with a value that is no object where one belongs.
pub const NO_OBJECT: &str = "an object is expected here";

/// What the scanner refuses, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the offending byte in the text.
    pub at: usize,
    /// What was wrong with it, as an instruction to the reader.
    pub what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.what)
    }
}

/// One member of an object: where its key and its value are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key's text between its quotes, escapes as written.
    pub key: Range<usize>,
    /// Whether the key holds an escape.
    pub escaped: bool,
    /// The value, without surrounding white space.
    pub value: Range<usize>,
}

/// A position in a JSON text that is known to be UTF-8.
///
/// The position is kept as the rest of the text: moving on is taking a shorter
/// slice, which the compiler turns into a pointer without a bounds check. A step
/// that refuses answers none, which fits into a register, and leaves what was
/// wrong with the scanner.
pub struct Scanner<'a> {
    text: &'a str,
    rest: &'a [u8],
    /// Whether numbers that no double can hold are let through.
    any_number: bool,
    /// Offsets of the four hex digits of every lone surrogate escape seen.
    pub lone_surrogates: Vec<usize>,
    refused: Option<Fault>,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Scanner { text, rest: text.as_bytes(), any_number: false, lone_surrogates: Vec::new(), refused: None }
    }

    /// For text that is only read, never sent on: any number will do.
    pub fn lenient(text: &'a str) -> Self {
        Scanner { any_number: true, ..Scanner::new(text) }
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// What was wrong, once a step has answered none.
    #[cold]
    pub fn fault(&mut self) -> Fault {
        self.refused.take().unwrap_or(Fault { at: self.position(), what: "the text is refused" })
    }

    /// The text of a range that this scanner answered.
    #[inline]
    pub fn slice(&self, range: &Range<usize>) -> &'a str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// Offset of the next byte.
    #[inline]
    pub fn position(&self) -> usize {
        self.offset(self.rest)
    }

    /// Offset of the first byte of this rest.
    #[inline(always)]
    fn offset(&self, rest: &[u8]) -> usize {
        self.text.len() - rest.len()
    }

    /// Steps into the object that starts here, `depth` containers deep already;
    /// answers whether it has a member.
    pub fn open_object(&mut self, depth: u32) -> Option<bool> {
        self.rest = token(self.rest);
        let Some((b'{', inside)) = self.rest.split_first() else {
            return self.refuse(self.rest, NO_OBJECT);
        };
        if depth >= MAX_DEPTH {
            return self.refuse(self.rest, TOO_DEEP);
        }
        self.rest = token(inside);
        match self.rest.split_first() {
            Some((b'}', behind)) => {
                self.rest = behind;
                Some(false)
            }
            _ => Some(true),
        }
    }

    /// Steps over the comma to the next member, or out of the object.
    #[inline(always)]
    pub fn more_members(&mut self) -> Option<bool> {
        let (more, rest) = self.behind_member(self.rest)?;
        self.rest = rest;
        Some(more)
    }

    #[inline(always)]
    fn behind_member(&mut self, rest: &'a [u8]) -> Option<(bool, &'a [u8])> {
        let rest = token(rest);
        match rest.split_first() {
            Some((b',', behind)) => Some((true, behind)),
            Some((b'}', behind)) => Some((false, behind)),
            _ => self.refuse(rest, NO_MEMBER_END),
        }
    }

    /// Calls `each` for every member of the object that starts here.
    #[inline(always)]
    pub fn members(&mut self, depth: u32, mut each: impl FnMut(Member)) -> Option<()> {
        let mut more = self.open_object(depth)?;
        // A local is kept in a register, a field of the scanner is not.
        let mut rest = self.rest;
        while more {
            let (key, behind_key, escaped) = self.key_at(rest)?;
            let value = token(self.colon(behind_key)?);
            let behind_value = self.value_at(value, depth + 1)?;
            each(Member {
                key: self.offset(key)..self.offset(behind_key) - 1,
                escaped,
                value: self.offset(value)..self.offset(behind_value),
            });
            (more, rest) = self.behind_member(behind_value)?;
        }
        self.rest = rest;
        Some(())
    }

    /// Scans one value and answers where it is.
    #[inline(always)]
    pub fn spanned_value(&mut self, outer: u32) -> Option<Range<usize>> {
        let value = token(self.rest);
        self.rest = self.value_at(value, outer)?;
        Some(self.offset(value)..self.position())
    }

    /// What stands behind the value that starts with this rest.
    #[inline(always)]
    fn value_at(&mut self, value: &'a [u8], outer: u32) -> Option<&'a [u8]> {
        // What most properties are, without the loop for containers.
        match value.split_first() {
            Some((b'"', inside)) => Some(self.string(inside)?.0),
            Some((b'-' | b'0'..=b'9', _)) => self.number(value),
            Some((b't', _)) => self.literal(value, b"true"),
            Some((b'f', _)) => self.literal(value, b"false"),
            _ => self.behind_value(value, outer),
        }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Option<()> {
        self.rest = token(self.rest);
        if self.rest.is_empty() {
            Some(())
        } else {
            self.refuse(self.rest, "the JSON text ends before this byte")
        }
    }

    /// The next byte that is not white space.
    #[inline]
    pub fn peek_token(&mut self) -> Option<u8> {
        self.rest = token(self.rest);
        self.rest.first().copied()
    }

    /// Steps over sound JSON text, if it comes next exactly like this.
    #[inline]
    pub fn skip(&mut self, text: &[u8]) -> bool {
        let behind = self.rest.strip_prefix(text);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    /// Scans `"key":` and answers the key's range and whether it is escaped.
    #[inline(always)]
    pub fn key(&mut self) -> Option<(Range<usize>, bool)> {
        let (inside, behind, escaped) = self.key_at(self.rest)?;
        self.rest = self.colon(behind)?;
        Some((self.offset(inside)..self.offset(behind) - 1, escaped))
    }

    /// What stands inside the quotes of a key and all behind, what stands behind
    /// them, and whether the key is escaped.
    #[inline(always)]
    fn key_at(&mut self, rest: &'a [u8]) -> Option<(&'a [u8], &'a [u8], bool)> {
        let quoted = token(rest);
        let Some((b'"', inside)) = quoted.split_first() else { return self.refuse(quoted, NO_KEY) };
        let (behind, escaped) = self.string(inside)?;
        Some((inside, behind, escaped))
    }

    #[inline(always)]
    fn colon(&mut self, behind_key: &'a [u8]) -> Option<&'a [u8]> {
        let colon = token(behind_key);
        match colon.split_first() {
            Some((b':', behind)) => Some(behind),
            _ => self.refuse(colon, "a colon is expected after the key"),
        }
    }

    /// Scans a key of whose place nobody asks.
    #[inline(always)]
    fn behind_key(&mut self, quoted: &'a [u8]) -> Option<&'a [u8]> {
        let Some((b'"', inside)) = quoted.split_first() else { return self.refuse(quoted, NO_KEY) };
        let (behind, _) = self.string(inside)?;
        Some(token(self.colon(behind)?))
    }

    /// Scans one value of any kind, `outer` containers deep already.
    pub fn value(&mut self, outer: u32) -> Option<()> {
        self.rest = self.behind_value(token(self.rest), outer)?;
        Some(())
    }

    #[inline(never)]
    fn behind_value(&mut self, mut rest: &'a [u8], outer: u32) -> Option<&'a [u8]> {
        // The lowest bit says whether the innermost container is an object, the
        // next one whether the one around it is, and so on. MAX_DEPTH bits are
        // enough, so no stack is allocated.
        let mut objects: u128 = 0;
        let mut depth: u32 = 0;
        loop {
            rest = match rest.split_first() {
                Some((b'"', inside)) => self.string(inside)?.0,
                Some((open @ (b'{' | b'['), inside)) => {
                    if outer + depth >= MAX_DEPTH {
                        return self.refuse(rest, TOO_DEEP);
                    }
                    let object = *open == b'{';
                    let inside = token(inside);
                    match inside.split_first() {
                        Some((b'}', behind)) if object => behind,
                        Some((b']', behind)) if !object => behind,
                        _ => {
                            objects = objects << 1 | u128::from(object);
                            depth += 1;
                            rest = if object { self.behind_key(inside)? } else { inside };
                            continue;
                        }
                    }
                }
                Some((b'-' | b'0'..=b'9', _)) => self.number(rest)?,
                Some((b't', _)) => self.literal(rest, b"true")?,
                Some((b'f', _)) => self.literal(rest, b"false")?,
                Some((b'n', _)) => self.literal(rest, b"null")?,
                Some(_) => return self.refuse(rest, NO_VALUE),
                None => return self.refuse(rest, "the text ends where a value is expected"),
            };
            // A value is complete: close what closes after it.
            loop {
                if depth == 0 {
                    return Some(rest);
                }
                let in_object = objects & 1 == 1;
                rest = token(rest);
                match rest.split_first() {
                    Some((b',', next)) => {
                        rest = token(next);
                        if in_object {
                            rest = self.behind_key(rest)?;
                        }
                        break;
                    }
                    Some((b'}', behind)) if in_object => rest = behind,
                    Some((b']', behind)) if !in_object => rest = behind,
                    _ if in_object => return self.refuse(rest, NO_MEMBER_END),
                    _ => return self.refuse(rest, "a comma or `]` is expected here"),
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    /// Scans a string, given what stands behind its opening quote; answers what
    /// stands behind the closing one, and whether an escape is between them.
    #[inline(always)]
    fn string(&mut self, inside: &'a [u8]) -> Option<(&'a [u8], bool)> {
        let rest = behind_plain_run(inside);
        match rest.split_first() {
            Some((b'"', behind)) => Some((behind, false)),
            _ => Some((self.odd_string(rest)?, true)),
        }
    }

    /// Goes on with a string at its first byte that is not plain.
    #[inline(never)]
    fn odd_string(&mut self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            rest = match rest.split_first() {
                Some((b'"', behind)) => return Some(behind),
                Some((b'\\', escape)) => behind_plain_run(self.escape(escape)?),
                Some(_) => return self.refuse(rest, "a control character must be escaped in a string"),
                None => return self.refuse(rest, "the text ends inside a string"),
            }
        }
    }

    /// Scans an escape, given what stands behind its backslash.
    fn escape(&mut self, escape: &'a [u8]) -> Option<&'a [u8]> {
        match escape.split_first() {
            Some((b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', behind)) => Some(behind),
            Some((b'u', digits)) => {
                let (unit, behind) = self.unit(digits)?;
                if (0xD800..=0xDBFF).contains(&unit)
                    && let Some(low_digits) = behind.strip_prefix(b"\\u")
                    && let (0xDC00..=0xDFFF, behind_pair) = self.unit(low_digits)?
                {
                    return Some(behind_pair);
                }
                if (0xD800..=0xDFFF).contains(&unit) {
                    self.lone_surrogates.push(self.text.len() - digits.len());
                }
                Some(behind)
            }
            _ => self.refuse(escape, "this is no JSON escape"),
        }
    }

    fn unit(&mut self, digits: &'a [u8]) -> Option<(u16, &'a [u8])> {
        match digits.split_at_checked(4).and_then(|(four, behind)| Some((hex4(four)?, behind))) {
            Some(unit) => Some(unit),
            None => self.refuse(digits, "four hexadecimal digits are expected after \\u"),
        }
    }

    #[inline(always)]
    fn number(&mut self, number: &'a [u8]) -> Option<&'a [u8]> {
        match behind_usual_number(number) {
            Some(behind) => Some(behind),
            None => self.odd_number(number),
        }
    }

    #[inline(never)]
    fn odd_number(&mut self, number: &'a [u8]) -> Option<&'a [u8]> {
        match behind_number(number) {
            Ok((behind, false)) => Some(behind),
            Ok((behind, true)) => {
                let text = number.get(..number.len() - behind.len()).unwrap_or_default();
                if self.any_number || as_double(text).is_some_and(f64::is_finite) {
                    return Some(behind);
                }
                self.refuse(number, "this number is beyond the range of a double")
            }
            Err((at, what)) => self.refuse(at, what),
        }
    }

    #[inline(always)]
    fn literal(&mut self, at: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
        match at.strip_prefix(word) {
            Some(behind) => Some(behind),
            None => self.refuse(at, NO_VALUE),
        }
    }

    /// Notes what is wrong with the first byte of this rest.
    #[cold]
    #[inline(never)]
    fn refuse<T>(&mut self, rest: &[u8], what: &'static str) -> Option<T> {
        self.refused = Some(Fault { at: self.text.len() - rest.len(), what });
        None
    }
}

const NO_VALUE: &str = "a JSON value is expected here";
const NO_MEMBER_END: &str = "a comma or `}` is expected here";
const NO_KEY: &str = "a key in double quotes is expected here";
const TOO_DEEP: &str = "nesting deeper than 100 containers is refused";

/// The text from the next byte that is not white space. What machines write has
/// none, so that is asked first.
#[inline(always)]
fn token(rest: &[u8]) -> &[u8] {
    match rest.first() {
        Some(byte) if *byte > b' ' => rest,
        _ => behind_space(rest),
    }
}

#[inline(never)]
fn behind_space(mut rest: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\n' | b'\r' | b'\t', behind)) = rest.split_first() {
        rest = behind;
    }
    rest
}

/// The number that four hexadecimal digits stand for.
pub fn hex4(digits: &[u8]) -> Option<u16> {
    let valid = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| valid)?;
    u16::from_str_radix(text, 16).ok()
}

/// The text from the first byte that may not stand in a JSON string as it is: a
/// quote, a backslash, a control character. Sixteen bytes at a time.
#[inline]
pub fn behind_plain_run(mut bytes: &[u8]) -> &[u8] {
    while let Some((block, behind)) = bytes.split_first_chunk::<16>() {
        let special = special_bytes(*block);
        if special != 0 {
            return bytes.split_at_checked(special.trailing_zeros() as usize).unwrap_or_default().1;
        }
        bytes = behind;
    }
    behind_short_plain_run(bytes)
}

#[inline(never)]
fn behind_short_plain_run(mut bytes: &[u8]) -> &[u8] {
    if let Some((word, behind)) = bytes.split_first_chunk::<8>() {
        let special = special_in_word(u64::from_le_bytes(*word));
        if special != 0 {
            let plain = special.trailing_zeros() as usize / 8;
            return bytes.split_at_checked(plain).unwrap_or_default().1;
        }
        bytes = behind;
    }
    while let Some((0x20..=0x21 | 0x23..=0x5B | 0x5D..=0xFF, behind)) = bytes.split_first() {
        bytes = behind;
    }
    bytes
}

/// The lowest bit that is set is in the first byte that is a quote, a backslash or
/// below 0x20; behind it, bits say nothing.
#[inline]
fn special_in_word(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Subtracting borrows the highest bit of a byte that is smaller.
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & (EACH * 0x80)
}

/// Bit n says whether byte n is a quote, a backslash or below 0x20.
#[inline]
fn special_bytes(block: [u8; 16]) -> u32 {
    let block = u8x16::new(block);
    let is = |byte| block.simd_eq(u8x16::splat(byte));
    let is_control = block.min(u8x16::splat(0x1F)).simd_eq(block);
    (is(b'"') | is(b'\\') | is_control).to_bitmask()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Vec<usize>, Fault> {
        let mut scanner = Scanner::new(text);
        scanner.value(0).and_then(|()| scanner.end()).ok_or_else(|| scanner.fault())?;
        Ok(scanner.lone_surrogates)
    }

    #[test]
    fn accepts_and_refuses_what_rfc_8259_says() {
        let good = [
            "{}",
            "[]",
            " [ ] ",
            "0",
            "-0",
            "1.5e+3",
            "\"\"",
            "null",
            "true",
            "false",
            r#"{"a":[1,{"b":null}],"c":"\n\u00e9\ud83d\ude00"}"#,
            "123456789012345678901234567890",
            "1e308",
            "1e-999",
            "[[],{}]",
        ];
        for text in good {
            assert_eq!(scan(text), Ok(vec![]), "{text}");
        }
        let bad = [
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "nul",
            "nulll",
            "tru",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1}",
            "{]",
            "1 2",
            "'a'",
            "NaN",
            "Infinity",
            "-",
            "--1",
            "\"\\u+123\"",
            "\u{feff}{}",
        ];
        for text in bad {
            assert!(scan(text).is_err(), "{text}");
        }
    }

    #[test]
    fn agrees_with_serde_json_on_mutated_text() {
        let seed = br#"{"a":[1,-2.5e3,"x\u0041\n",{"$b":null}],"c":true,"d":"\ud83d\ude00"}"#;
        let alphabet = b"{}[]:,\"\\ue0-+.9 tfn\n";
        let mut checked = 0;
        for position in 0..seed.len() {
            for &byte in alphabet {
                let mut text = seed.to_vec();
                text[position] = byte;
                let text = String::from_utf8(text).unwrap();
                let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
                let ours = scan(&text).is_ok_and(|lone| lone.is_empty());
                assert_eq!(ours, theirs, "{text}");
                checked += 1;
            }
        }
        assert!(checked > 1000);
    }

    #[test]
    fn bounds_depth() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(scan(&nested(100)).is_ok());
        assert_eq!(scan(&nested(101)), Err(Fault { at: 100, what: TOO_DEEP }));
        let objects = |n: usize| "{\"a\":".repeat(n) + "1" + &"}".repeat(n);
        assert!(scan(&objects(100)).is_ok());
        assert!(scan(&objects(101)).is_err());
        assert!(scan(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn refuses_numbers_beyond_a_double() {
        assert!(scan("1e309").is_err());
        assert!(scan("-1e400").is_err());
        assert!(scan(&"9".repeat(308)).is_ok());
        assert!(scan(&"9".repeat(400)).is_err());
    }

    #[test]
    fn notes_lone_surrogates() {
        assert_eq!(scan(r#""\ud800""#), Ok(vec![3]));
        assert_eq!(scan(r#""\udc00\ud800x""#), Ok(vec![3, 9]));
        assert_eq!(scan(r#""\ud800\ud83d\ude00""#), Ok(vec![3]));
        assert_eq!(scan(r#""\uD83D\uDE00""#), Ok(vec![]));
        assert!(scan(r#""\ud800\u12""#).is_err());
    }

    #[test]
    fn plain_runs_end_at_every_special_byte() {
        for byte in 0..=255_u8 {
            for before in 0..40 {
                let mut text = vec![b'a'; before];
                text.push(byte);
                text.extend_from_slice(&[0x80; 29]);
                let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                let expected = if special { before } else { before + 30 };
                let run = text.len() - behind_plain_run(&text).len();
                assert_eq!(run, expected, "{byte:#x} after {before}");
            }
        }
    }

    #[test]
    fn answers_members() {
        let text = r#" { "a" : [1, 2] , "\u0062":{} } "#;
        let mut seen = Vec::new();
        let mut scanner = Scanner::new(text);
        scanner.members(0, |m| seen.push((&text[m.key], m.escaped, &text[m.value]))).unwrap();
        assert_eq!(seen, [("a", false, "[1, 2]"), ("\\u0062", true, "{}")]);
        scanner.end().unwrap();
    }
}
