//! The one reader of JSON text: it validates, and reports *where* things are.
//!
//! It reads a text (RFC 8259) once and builds no tree. It refuses what would make a strict reader refuse a
//! whole batch: broken syntax, a number beyond a double's range, nesting deeper than [`MAX_DEPTH`]. Whether
//! the text is UTF-8 it leaves to its caller, see [`read_checked`](super::read_checked).
//!
//! Positions are byte offsets that go into a method and come out of it; the cursor itself remembers only
//! the special bytes of one block. A method that refuses returns `None`, which fits into a register, and
//! leaves the reason in the cursor, see [`Cursor::error`].
//!
//! # How strings are read
//!
//! Most of a text is inside strings, so a string must not cost a step for each byte. *Special* bytes
//! (quotes, backslashes, control characters) are found for a block of 64 bytes at a time, as the bits of a
//! word:
//!
//! ```text
//! next_special(from):                     # the first special byte from this place on
//!     if `from` is in the block, and a bit from there on is set:
//!         return its place
//!     for each next block, until a bit from `from` on is set:
//!         classify its 64 bytes
//!     return the place of that bit
//!
//! string(quote):                          # the place of the opening quote
//!     close = next_special(quote + 1)
//!     while text[close] is not a quote:
//!         text[close] must be a backslash
//!         close = next_special(the end of the escape that begins there)
//!     return close                        # the string is text[quote + 1 .. close]
//! ```
//!
//! 1. The first branch of `next_special` is about ten instructions, however long the string is, and four
//!    strings of five take it. It depends on the position only: it does not matter what was between the
//!    strings, and a string with escapes costs one more step for each of them.
//! 2. Blocks lie at multiples of 64, so that the processor can classify the next one before it knows where
//!    the string before it ends. Blocks that begin where they are needed are fewer (3 % fewer instructions
//!    an event) and yet 3 to 7 % slower.
//! 3. To take the bits of a word one by one, so that no string waits for the position of the one before it,
//!    needs 5 % more instructions an event and is 3 to 8 % slower.
//! 4. What is handed to a function that is not inlined is handed over in registers. A key or a member that
//!    is put together in memory for such a call makes the processor wait until it is written: 25 ns of the
//!    220 ns of an event.
//! 5. A quote and a colon behind a key are compared at once; numbers without sign and exponent, and text
//!    without white space, have a first branch of their own.
//!
//! Compared with two readers (one for compact text without escapes, another for whatever the first refuses),
//! an event of 330 bytes takes 92 % of the time when it is compact, 89 % with spaces behind colons and commas,
//! 84 % indented, 71 % with escapes, 96 % with text beyond ASCII.
#![allow(clippy::inline_always, reason = "measured: calls of these cost a tenth of a capture")]

use std::fmt;
use std::ops::Range;

use wide::u8x16;

use super::bytes::{BLOCK, special_in_block, special_in_part};
use super::number::{as_double, skip_common_number, skip_number};
use super::text::hex4;

/// The deepest nesting of containers that is accepted. The envelope adds levels of its own to the server's
/// limit of 128.
pub(crate) const MAX_DEPTH: u32 = 100;

/// What is wrong with a value that is not an object where an object is expected.
pub(crate) const NOT_AN_OBJECT: &str = "an object is expected here";
/// What is wrong with a text that must be repaired while there is no memory for that.
pub(crate) const NO_MEMORY: &str = "there is no memory for the text";
const NO_VALUE: &str = "a JSON value is expected here";
const VALUE_MISSING: &str = "the text ends where a value is expected";
const NO_MEMBER_END: &str = "a comma or `}` is expected here";
const NO_ELEMENT_END: &str = "a comma or `]` is expected here";
const NO_KEY: &str = "a key in double quotes is expected here";
const NO_COLON: &str = "a colon is expected after the key";
const TOO_DEEP: &str = "nesting deeper than 100 containers is refused";

/// Why a text is refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Offset of the offending byte in the text.
    pub at: usize,
    /// What is wrong with it, as an instruction to the reader.
    pub what: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.what)
    }
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Its text between the quotes, escapes as written.
    pub inside: Range<usize>,
    /// Whether there is an escape in it.
    pub escaped: bool,
}

/// One member of an object: where its key and its value are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub key: Key,
    /// The value, without surrounding white space.
    pub value: Range<usize>,
}

/// A reader of one text. The module's head explains how it works.
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    /// Where the block begins whose special bytes are in `special`, and where the next block begins.
    block: usize,
    next: usize,
    /// The special bytes of the block, a bit each.
    special: u64,
    /// All blocks so far ORed together. A byte that is not ASCII can only stand in a string, and the blocks
    /// of all strings are in here.
    seen: u8x16,
    /// Whether numbers beyond a double's range are accepted.
    lenient: bool,
    saw_lone_surrogate: bool,
    error: Option<SyntaxError>,
}

impl<'a> Cursor<'a> {
    /// A cursor for text that is sent on, where everything must be acceptable to a strict reader.
    #[inline(always)]
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Cursor {
            text,
            block: 0,
            next: 0,
            special: 0,
            seen: u8x16::splat(0),
            lenient: false,
            saw_lone_surrogate: false,
            error: None,
        }
    }

    /// A cursor for text that is read and not sent on: numbers beyond a double's range are accepted.
    pub(crate) fn lenient(text: &'a [u8]) -> Self {
        Cursor { lenient: true, ..Cursor::new(text) }
    }

    /// The whole text.
    #[inline(always)]
    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The text of a range that this cursor returned.
    #[inline(always)]
    pub(crate) fn slice(&self, range: &Range<usize>) -> &'a [u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// Why a method returned `None`.
    #[cold]
    pub(crate) fn error(&mut self) -> SyntaxError {
        self.error.take().unwrap_or(SyntaxError { at: 0, what: "the text is refused" })
    }

    /// Whether the strings that were read are ASCII, and no surrogate escape in them stands alone.
    #[inline(always)]
    pub(crate) fn saw_sound_ascii(&self) -> bool {
        self.seen.to_bitmask() == 0 && !self.saw_lone_surrogate
    }

    /// Whether a surrogate escape that was read stands alone, which is legal syntax but not legal text.
    pub(crate) fn saw_lone_surrogate(&self) -> bool {
        self.saw_lone_surrogate
    }

    /// The byte of the next token from this place on, and its place. At the end of the text the byte is 0,
    /// which begins no token.
    #[inline(always)]
    pub(crate) fn token(&self, at: usize) -> (u8, usize) {
        match self.text.get(at) {
            // What machines write has little white space, so this is checked first.
            Some(byte) if *byte > b' ' => (*byte, at),
            _ => token_after_space(self.text, at),
        }
    }

    /// Checks that only white space follows.
    pub(crate) fn end(&mut self, at: usize) -> Option<()> {
        match self.token(at) {
            (_, at) if at >= self.text.len() => Some(()),
            (_, at) => self.refuse(at, "the JSON text ends before this byte"),
        }
    }

    /// Skips exactly this text, if it is what comes next. It is not read, so it must be sound JSON here.
    #[inline]
    pub(crate) fn skip(&self, at: usize, expected: &[u8]) -> Option<usize> {
        self.text.get(at..)?.starts_with(expected).then_some(at + expected.len())
    }

    /// Reads the members of the object that begins here, `depth` containers deep already, and calls `each`
    /// for every one of them; returns where the object ends.
    #[inline(always)]
    pub(crate) fn members(&mut self, at: usize, depth: u32, mut each: impl FnMut(Member)) -> Option<usize> {
        let (mut more, mut at) = self.open_object(at, depth)?;
        while more {
            let (key, start) = self.key(at)?;
            let end = self.value(start, depth + 1)?;
            each(Member { key, value: start..end });
            (more, at) = self.next_member(end)?;
        }
        Some(at)
    }

    /// Enters the object that begins here, `depth` containers deep already; returns whether it has a
    /// member, and where that, or what is behind the object, begins.
    #[inline(always)]
    pub(crate) fn open_object(&mut self, at: usize, depth: u32) -> Option<(bool, usize)> {
        let (b'{', at) = self.token(at) else { return self.refuse(self.token(at).1, NOT_AN_OBJECT) };
        if depth >= MAX_DEPTH {
            return self.refuse(at, TOO_DEEP);
        }
        let (byte, inside) = self.token(at + 1);
        Some(if byte == b'}' { (false, inside + 1) } else { (true, inside) })
    }

    /// Goes on from the end of a value to the next member, or out of the object; otherwise like
    /// [`open_object`](Self::open_object).
    #[inline(always)]
    pub(crate) fn next_member(&mut self, value_end: usize) -> Option<(bool, usize)> {
        match self.token(value_end) {
            (b',', at) => Some((true, at + 1)),
            (b'}', at) => Some((false, at + 1)),
            (_, at) => self.refuse(at, NO_MEMBER_END),
        }
    }

    /// Reads `"key":`; returns where the key is, and where the value begins.
    #[inline(always)]
    pub(crate) fn key(&mut self, at: usize) -> Option<(Key, usize)> {
        let (b'"', quote) = self.token(at) else { return self.refuse(self.token(at).1, NO_KEY) };
        let close = self.next_special(quote + 1);
        if let Some(b"\":") = self.text.get(close..).and_then(<[u8]>::first_chunk) {
            let key = Key { inside: quote + 1..close, escaped: false };
            return Some((key, self.token(close + 2).1));
        }
        self.uncommon_key(quote, close)
    }

    /// Goes on with a key at its first special byte.
    #[inline(never)]
    fn uncommon_key(&mut self, quote: usize, special: usize) -> Option<(Key, usize)> {
        let escaped = self.text.get(special) != Some(&b'"');
        let close = if escaped { self.escaped_string(special)? } else { special };
        let (b':', colon) = self.token(close + 1) else {
            return self.refuse(self.token(close + 1).1, NO_COLON);
        };
        Some((Key { inside: quote + 1..close, escaped }, self.token(colon + 1).1))
    }

    /// Reads a value of any kind, `depth` containers deep already; returns where it ends.
    #[inline(always)]
    pub(crate) fn value(&mut self, at: usize, depth: u32) -> Option<usize> {
        match self.text.get(at) {
            Some(b'"') => self.string(at),
            Some(b'1'..=b'9') => self.number(at),
            _ => self.any_value(at, depth),
        }
    }

    #[inline(never)]
    fn any_value(&mut self, at: usize, outer: u32) -> Option<usize> {
        // The lowest bit says whether the innermost container is an object, the next one whether the one
        // around it is, and so on. MAX_DEPTH bits are enough, so no stack is allocated.
        let mut objects: u128 = 0;
        let mut depth = outer;
        let mut at = self.token(at).1;
        loop {
            at = match self.text.get(at) {
                Some(b'"') => self.string(at)?,
                Some(b'-' | b'0'..=b'9') => self.number(at)?,
                Some(open @ (b'{' | b'[')) => {
                    if depth >= MAX_DEPTH {
                        return self.refuse(at, TOO_DEEP);
                    }
                    let is_object = *open == b'{';
                    match (self.token(at + 1), is_object) {
                        ((b'}', inside), true) | ((b']', inside), false) => inside + 1,
                        ((_, inside), _) => {
                            (objects, depth) = (objects << 1 | u128::from(is_object), depth + 1);
                            at = if is_object { self.key(inside)?.1 } else { inside };
                            continue;
                        }
                    }
                }
                _ => self.literal(at)?,
            };
            // A value is complete: leave the containers that close after it.
            loop {
                if depth == outer {
                    return Some(at);
                }
                let in_object = objects & 1 == 1;
                let (byte, token) = self.token(at);
                at = token + 1;
                match (byte, in_object) {
                    (b',', true) => at = self.key(at)?.1,
                    (b',', false) => at = self.token(at).1,
                    (b'}', true) | (b']', false) => {
                        (objects, depth) = (objects >> 1, depth - 1);
                        continue;
                    }
                    (_, true) => return self.refuse(token, NO_MEMBER_END),
                    (_, false) => return self.refuse(token, NO_ELEMENT_END),
                }
                break;
            }
        }
    }

    #[inline(always)]
    fn literal(&mut self, at: usize) -> Option<usize> {
        match self.text.get(at..).unwrap_or_default() {
            [b't', b'r', b'u', b'e', ..] | [b'n', b'u', b'l', b'l', ..] => Some(at + 4),
            [b'f', b'a', b'l', b's', b'e', ..] => Some(at + 5),
            [] => self.refuse(at, VALUE_MISSING),
            _ => self.refuse(at, NO_VALUE),
        }
    }

    /// Reads the string whose opening quote is here; returns where it ends, behind its closing quote.
    #[inline(always)]
    fn string(&mut self, quote: usize) -> Option<usize> {
        let close = self.next_special(quote + 1);
        match self.text.get(close) {
            Some(b'"') => Some(close + 1),
            _ => Some(self.escaped_string(close)? + 1),
        }
    }

    /// The place of the first special byte from this place on; the end of the text when there is none.
    #[inline(always)]
    fn next_special(&mut self, from: usize) -> usize {
        let passed = from.wrapping_sub(self.block);
        if passed < BLOCK {
            let ahead = self.special >> passed;
            if ahead != 0 {
                return from + ahead.trailing_zeros() as usize;
            }
        }
        self.next_special_in_other_blocks(from)
    }

    #[inline(never)]
    fn next_special_in_other_blocks(&mut self, from: usize) -> usize {
        loop {
            let Some(rest) = self.text.get(self.next..).filter(|rest| !rest.is_empty()) else {
                return self.text.len();
            };
            (self.block, self.next) = (self.next, self.next + BLOCK);
            let (special, seen) = match rest.first_chunk() {
                Some(block) => special_in_block(block),
                None => self.special_in_last_block(rest),
            };
            self.special = special;
            self.seen |= seen;
            let passed = from.saturating_sub(self.block);
            let ahead = if passed < BLOCK { special >> passed } else { 0 };
            if ahead != 0 {
                return self.block + passed + ahead.trailing_zeros() as usize;
            }
        }
    }

    /// A last block that is not whole is classified as part of the last 64 bytes of the text, if there are
    /// so many.
    #[inline(never)]
    fn special_in_last_block(&self, rest: &[u8]) -> (u64, u8x16) {
        match self.text.last_chunk() {
            Some(block) => {
                let (special, seen) = special_in_block(block);
                (special >> (BLOCK - rest.len()), seen)
            }
            None => special_in_part(rest),
        }
    }

    /// Goes on with a string at its first special byte; returns the place of the closing quote.
    #[inline(never)]
    fn escaped_string(&mut self, mut special: usize) -> Option<usize> {
        loop {
            special = match self.text.get(special) {
                Some(b'"') => return Some(special),
                Some(b'\\') => {
                    let behind = self.escape(special + 1)?;
                    self.next_special(behind)
                }
                Some(_) => return self.refuse(special, "a control character must be escaped in a string"),
                None => return self.refuse(special, "the text ends inside a string"),
            }
        }
    }

    /// Reads an escape from behind its backslash; returns where it ends.
    fn escape(&mut self, at: usize) -> Option<usize> {
        match self.text.get(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Some(at + 1),
            Some(b'u') => {
                let unit = self.utf16_unit(at + 1)?;
                let behind = at + 5;
                if (0xD800..=0xDBFF).contains(&unit)
                    && self.text.get(behind..behind + 2) == Some(b"\\u")
                    && let 0xDC00..=0xDFFF = self.utf16_unit(behind + 2)?
                {
                    return Some(behind + 6);
                }
                self.saw_lone_surrogate |= (0xD800..=0xDFFF).contains(&unit);
                Some(behind)
            }
            _ => self.refuse(at, "this is not a JSON escape"),
        }
    }

    fn utf16_unit(&mut self, digits: usize) -> Option<u16> {
        match self.text.get(digits..digits + 4).and_then(hex4) {
            Some(unit) => Some(unit),
            None => self.refuse(digits, "four hexadecimal digits are expected after \\u"),
        }
    }

    #[inline(always)]
    fn number(&mut self, at: usize) -> Option<usize> {
        let number = self.text.get(at..).unwrap_or_default();
        match skip_common_number(number) {
            Some(rest) => Some(self.text.len() - rest.len()),
            None => self.uncommon_number(number),
        }
    }

    #[inline(never)]
    fn uncommon_number(&mut self, number: &'a [u8]) -> Option<usize> {
        let place = |rest: &[u8]| self.text.len() - rest.len();
        match skip_number(number) {
            Ok((rest, may_overflow)) => {
                let digits = number.get(..number.len() - rest.len()).unwrap_or_default();
                if !may_overflow || self.lenient || as_double(digits).is_some_and(f64::is_finite) {
                    return Some(place(rest));
                }
                self.refuse(place(number), "this number is beyond the range of a double")
            }
            Err((rest, what)) => self.refuse(place(rest), what),
        }
    }

    /// Notes what is wrong at this place.
    #[cold]
    #[inline(never)]
    fn refuse<T>(&mut self, at: usize, what: &'static str) -> Option<T> {
        self.error = Some(SyntaxError { at, what });
        None
    }
}

// Not inlined: a loop at each token would take registers from the reader.
#[inline(never)]
fn token_after_space(text: &[u8], mut at: usize) -> (u8, usize) {
    loop {
        match text.get(at) {
            Some(b' ' | b'\n' | b'\r' | b'\t') => at += 1,
            Some(byte) => return (*byte, at),
            None => return (0, at),
        }
    }
}
