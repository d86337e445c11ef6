//! A validating JSON scanner that answers *where* things are.
//!
//! It walks JSON text (RFC 8259) once, without building a tree, and refuses
//! what would make a strict reader refuse a whole batch: broken syntax, a
//! number beyond a double's range, nesting deeper than [`MAX_DEPTH`]. A lone
//! surrogate escape is legal syntax but no legal text, so its position is
//! noted for the caller to repair. It knows nothing about events.

use std::fmt;
use std::ops::Range;

/// The deepest nesting of containers that is let through. The envelope adds
/// levels of its own to the server's limit of 128.
pub const MAX_DEPTH: u32 = 100;

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
pub struct Scanner<'a> {
    /// The whole text.
    pub text: &'a [u8],
    at: usize,
    /// Whether numbers that no double can hold are let through.
    any_number: bool,
    /// Offsets of the four hex digits of every lone surrogate escape seen.
    pub lone_surrogates: Vec<usize>,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Scanner { text: text.as_bytes(), at: 0, any_number: false, lone_surrogates: Vec::new() }
    }

    /// For text that is only read, never sent on: any number will do.
    pub fn lenient(text: &'a str) -> Self {
        Scanner { any_number: true, ..Scanner::new(text) }
    }

    /// Offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Steps into the object that starts here, `depth` containers deep already;
    /// answers whether it has a member.
    pub fn open_object(&mut self, depth: u32) -> Result<bool, Fault> {
        if self.peek_token() != Some(b'{') {
            return Err(self.fault("an object is expected here"));
        }
        if depth >= MAX_DEPTH {
            return Err(self.fault(TOO_DEEP));
        }
        self.at += 1;
        Ok(!self.eat(b'}'))
    }

    /// Steps over the comma to the next member, or out of the object.
    pub fn more_members(&mut self) -> Result<bool, Fault> {
        let more = match self.peek_token() {
            Some(b',') => true,
            Some(b'}') => false,
            _ => return Err(self.fault("a comma or `}` is expected here")),
        };
        self.at += 1;
        Ok(more)
    }

    /// Calls `each` for every member of the object that starts here.
    pub fn members(&mut self, depth: u32, mut each: impl FnMut(Member)) -> Result<(), Fault> {
        let mut more = self.open_object(depth)?;
        while more {
            let (key, escaped) = self.key()?;
            let value = self.spanned_value(depth + 1)?;
            each(Member { key, escaped, value });
            more = self.more_members()?;
        }
        Ok(())
    }

    /// Scans one value and answers where it is.
    pub fn spanned_value(&mut self, outer: u32) -> Result<Range<usize>, Fault> {
        self.skip_space();
        let start = self.at;
        self.value(outer)?;
        Ok(start..self.at)
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.peek_token() {
            None => Ok(()),
            Some(_) => Err(self.fault("the JSON text ends before this byte")),
        }
    }

    /// Scans one value of any kind, `outer` containers deep already.
    pub fn value(&mut self, outer: u32) -> Result<(), Fault> {
        // Bit `depth % 128` says whether the container at that depth is an
        // object. MAX_DEPTH bits are enough, so no stack is allocated.
        let mut objects: u128 = 0;
        let mut depth: u32 = 0;
        loop {
            match self.peek_token() {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    if outer + depth >= MAX_DEPTH {
                        return Err(self.fault(TOO_DEEP));
                    }
                    self.at += 1;
                    let object = open == b'{';
                    if !self.eat(if object { b'}' } else { b']' }) {
                        objects = objects << 1 | u128::from(object);
                        depth += 1;
                        if object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                Some(_) => return Err(self.fault("a JSON value is expected here")),
                None => return Err(self.fault("the text ends where a value is expected")),
            }
            // A value is complete: close what closes after it.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let in_object = objects & 1 == 1;
                match self.peek_token() {
                    Some(b',') => {
                        self.at += 1;
                        if in_object {
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if in_object => self.at += 1,
                    Some(b']') if !in_object => self.at += 1,
                    _ if in_object => return Err(self.fault("a comma or `}` is expected here")),
                    _ => return Err(self.fault("a comma or `]` is expected here")),
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    /// Scans `"key":` and answers the key's range and whether it is escaped.
    pub fn key(&mut self) -> Result<(Range<usize>, bool), Fault> {
        if self.peek_token() != Some(b'"') {
            return Err(self.fault("a key in double quotes is expected here"));
        }
        self.at += 1;
        let start = self.at;
        let escaped = self.string()?;
        let key = start..self.at - 1;
        if self.peek_token() != Some(b':') {
            return Err(self.fault("a colon is expected after the key"));
        }
        self.at += 1;
        Ok((key, escaped))
    }

    /// Scans the rest of a string whose opening quote has been read.
    #[inline]
    fn string(&mut self) -> Result<bool, Fault> {
        let mut escaped = false;
        loop {
            self.at += plain_run(self.text.get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                Some(_) => {
                    return Err(self.fault("a control character must be escaped in a string"));
                }
                None => return Err(self.fault("the text ends inside a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.at + 1;
                let unit = self.hex4(digits)?;
                self.at = digits + 4;
                match unit {
                    0xD800..=0xDBFF if self.low_surrogate_follows()? => self.at += 6,
                    0xD800..=0xDFFF => self.lone_surrogates.push(digits),
                    _ => {}
                }
            }
            _ => return Err(self.fault("this is no JSON escape")),
        }
        Ok(())
    }

    fn low_surrogate_follows(&self) -> Result<bool, Fault> {
        if self.text.get(self.at..self.at + 2) != Some(b"\\u") {
            return Ok(false);
        }
        Ok(matches!(self.hex4(self.at + 2)?, 0xDC00..=0xDFFF))
    }

    fn hex4(&self, at: usize) -> Result<u16, Fault> {
        hex4(self.text.get(at..at + 4).unwrap_or_default())
            .ok_or(Fault { at, what: "four hexadecimal digits are expected after \\u" })
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        let leading_zero = self.text.get(self.at - whole) == Some(&b'0');
        if whole == 0 || (whole > 1 && leading_zero) {
            return Err(Fault { at: start, what: "this is no JSON number" });
        }
        // Without an exponent only a very long number can leave the range.
        let mut may_overflow = whole > 300;
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.fault("a digit is expected after the decimal point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.fault("a digit is expected in the exponent"));
            }
            may_overflow = true;
        }
        if may_overflow
            && !self.any_number
            && !as_double(self.text.get(start..self.at).unwrap_or_default()).is_some_and(f64::is_finite)
        {
            return Err(Fault { at: start, what: "this number is beyond the range of a double" });
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += count;
        count
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if self.text.get(self.at..self.at + word.len()) != Some(word) {
            return Err(self.fault("a JSON value is expected here"));
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The next byte that is not white space.
    #[inline]
    pub fn peek_token(&mut self) -> Option<u8> {
        match self.peek() {
            Some(b' ' | b'\n' | b'\r' | b'\t') => {
                self.skip_space();
                self.peek()
            }
            byte => byte,
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek_token() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault { at: self.at, what }
    }
}

const TOO_DEEP: &str = "nesting deeper than 100 containers is refused";

/// The number's value as a double; infinite when beyond its range.
pub fn as_double(number: &[u8]) -> Option<f64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// The number that four hexadecimal digits stand for.
pub fn hex4(digits: &[u8]) -> Option<u16> {
    let valid = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| valid)?;
    u16::from_str_radix(text, 16).ok()
}

/// How many bytes from the start may stand in a JSON string as they are: no
/// quote, no backslash, no control character. Eight bytes at a time.
#[inline]
pub fn plain_run(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut run = 0;
    for word in words {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return run + special.trailing_zeros() as usize / 8;
        }
        run += 8;
    }
    run + tail.iter().take_while(|b| !matches!(b, b'"' | b'\\' | 0..=0x1F)).count()
}

/// Sets the top bit of the first byte that is a quote, a backslash or below
/// 0x20. Borrows can set further bits above that one, never below it.
#[inline]
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let is_quote = quote.wrapping_sub(ONES) & !quote;
    let is_backslash = backslash.wrapping_sub(ONES) & !backslash;
    let is_control = word.wrapping_sub(ONES * 0x20) & !word;
    (is_quote | is_backslash | is_control) & TOPS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Result<Vec<usize>, Fault> {
        let mut scanner = Scanner::new(text);
        scanner.value(0)?;
        scanner.end()?;
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
            for before in 0..20 {
                let mut text = vec![b'a'; before];
                text.push(byte);
                text.extend_from_slice(&[0x80; 9]);
                let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                let expected = if special { before } else { before + 10 };
                assert_eq!(plain_run(&text), expected, "{byte:#x} after {before}");
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
