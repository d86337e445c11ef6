//! A naive JSON reader: byte by byte, by recursion, each rule written down once. It is what the cursor must
//! agree with, in what it accepts, what it finds, and what it says is wrong.

use crate::json::cursor::{Key, Member, SyntaxError};

/// What is found in a text.
pub(crate) struct Reference<'a> {
    text: &'a [u8],
    pub saw_lone_surrogate: bool,
}

type Found<T> = Result<T, SyntaxError>;

fn fail<T>(at: usize, what: &'static str) -> Found<T> {
    Err(SyntaxError { at, what })
}

impl<'a> Reference<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Reference { text, saw_lone_surrogate: false }
    }

    /// The members of the object that is the whole text.
    pub(crate) fn object(&mut self) -> Found<Vec<Member>> {
        let (members, end) = self.members(0, 0)?;
        self.end(end)?;
        Ok(members)
    }

    /// Where the value ends that is the whole text but for white space.
    pub(crate) fn whole(&mut self) -> Found<usize> {
        let end = self.value(0, 0)?;
        self.end(end)?;
        Ok(end)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    fn skip_space(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        at
    }

    fn end(&self, at: usize) -> Found<()> {
        let at = self.skip_space(at);
        if at == self.text.len() { Ok(()) } else { fail(at, "the JSON text ends before this byte") }
    }

    fn members(&mut self, at: usize, depth: u32) -> Found<(Vec<Member>, usize)> {
        let mut at = self.skip_space(at);
        if self.byte(at) != Some(b'{') {
            return fail(at, "an object is expected here");
        }
        if depth >= 100 {
            return fail(at, "nesting deeper than 100 containers is refused");
        }
        let mut members = Vec::new();
        at = self.skip_space(at + 1);
        if self.byte(at) == Some(b'}') {
            return Ok((members, at + 1));
        }
        loop {
            let quote = self.skip_space(at);
            if self.byte(quote) != Some(b'"') {
                return fail(quote, "a key in double quotes is expected here");
            }
            let after_key = self.string(quote)?;
            let inside = quote + 1..after_key - 1;
            let escaped = self.text[inside.clone()].contains(&b'\\');
            at = self.skip_space(after_key);
            if self.byte(at) != Some(b':') {
                return fail(at, "a colon is expected after the key");
            }
            let start = self.skip_space(at + 1);
            let end = self.value(start, depth + 1)?;
            members.push(Member { key: Key { inside, escaped }, value: start..end });
            at = self.skip_space(end);
            match self.byte(at) {
                Some(b',') => at += 1,
                Some(b'}') => return Ok((members, at + 1)),
                _ => return fail(at, "a comma or `}` is expected here"),
            }
        }
    }

    fn elements(&mut self, at: usize, depth: u32) -> Found<usize> {
        if depth >= 100 {
            return fail(at, "nesting deeper than 100 containers is refused");
        }
        let mut at = self.skip_space(at + 1);
        if self.byte(at) == Some(b']') {
            return Ok(at + 1);
        }
        loop {
            at = self.value(at, depth + 1)?;
            at = self.skip_space(at);
            match self.byte(at) {
                Some(b',') => at += 1,
                Some(b']') => return Ok(at + 1),
                _ => return fail(at, "a comma or `]` is expected here"),
            }
        }
    }

    fn value(&mut self, at: usize, depth: u32) -> Found<usize> {
        let at = self.skip_space(at);
        match self.byte(at) {
            None => fail(at, "the text ends where a value is expected"),
            Some(b'"') => self.string(at),
            Some(b'{') => Ok(self.members(at, depth)?.1),
            Some(b'[') => self.elements(at, depth),
            Some(b'-' | b'0'..=b'9') => self.number(at),
            Some(_) => {
                let word = [&b"true"[..], b"false", b"null"]
                    .into_iter()
                    .find(|word| self.text[at..].starts_with(word));
                word.map_or_else(|| fail(at, "a JSON value is expected here"), |word| Ok(at + word.len()))
            }
        }
    }

    fn string(&mut self, quote: usize) -> Found<usize> {
        let mut at = quote + 1;
        loop {
            match self.byte(at) {
                None => return fail(at, "the text ends inside a string"),
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at = self.escape(at + 1)?,
                Some(0..0x20) => return fail(at, "a control character must be escaped in a string"),
                Some(_) => at += 1,
            }
        }
    }

    fn escape(&mut self, at: usize) -> Found<usize> {
        match self.byte(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
            Some(b'u') => {
                let unit = self.unit(at + 1)?;
                let is_pair = (0xD800..0xDC00).contains(&unit)
                    && self.text[at + 5..].starts_with(b"\\u")
                    && (0xDC00..0xE000).contains(&self.unit(at + 7)?);
                self.saw_lone_surrogate |= (0xD800..0xE000).contains(&unit) && !is_pair;
                Ok(if is_pair { at + 11 } else { at + 5 })
            }
            _ => fail(at, "this is not a JSON escape"),
        }
    }

    fn unit(&self, at: usize) -> Found<u32> {
        (at..at + 4).try_fold(0, |unit, digit| {
            let digit = self.byte(digit).and_then(|byte| char::from(byte).to_digit(16));
            match digit {
                Some(digit) => Ok(unit * 16 + digit),
                None => fail(at, "four hexadecimal digits are expected after \\u"),
            }
        })
    }

    fn number(&self, start: usize) -> Found<usize> {
        let digits = |mut at: usize| {
            while self.byte(at).is_some_and(|byte| byte.is_ascii_digit()) {
                at += 1;
            }
            at
        };
        let whole = start + usize::from(self.byte(start) == Some(b'-'));
        let mut at = digits(whole);
        if at == whole || (self.byte(whole) == Some(b'0') && at > whole + 1) {
            return fail(start, "this is not a JSON number");
        }
        if self.byte(at) == Some(b'.') {
            let fraction = at + 1;
            at = digits(fraction);
            if at == fraction {
                return fail(at, "a digit is expected after the decimal point");
            }
        }
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            let signed = matches!(self.byte(at + 1), Some(b'+' | b'-'));
            let exponent = at + 1 + usize::from(signed);
            at = digits(exponent);
            if at == exponent {
                return fail(at, "a digit is expected in the exponent");
            }
        }
        let value: f64 = std::str::from_utf8(&self.text[start..at]).unwrap().parse().unwrap();
        if value.is_finite() { Ok(at) } else { fail(start, "this number is beyond the range of a double") }
    }
}
