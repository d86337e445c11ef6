//! The usual JSON text, walked from quote to quote.
//!
//! Most text that machines write has no escape and no line break. In it every
//! quote begins or ends a string, so the quotes of sixty-four bytes are found at
//! one go, and a string costs one step however long it is. What is not usual,
//! right or wrong, is answered with none: the [`Scanner`](super::scan::Scanner)
//! then reads the text from its start, and says what is wrong with it. So this
//! room never says more than yes, and where it does, the scanner would too.
#![allow(clippy::inline_always, reason = "as the scanner: the walk is one loop")]

use std::ops::Range;

use wide::u8x16;

use super::number::{behind_number, behind_usual_number};

/// The bytes of which quotes are found at one go: as many as a word has bits.
const BLOCK: usize = 64;
/// Nesting beyond this is not usual: a word has a bit for each container.
const MAX_DEPTH: u32 = 60;

/// A walk over a text. Positions go in and come out; it remembers the quotes only.
pub struct Quick<'a> {
    text: &'a [u8],
    /// Where the block of `quotes` begins, and where the next one does.
    block: usize,
    next: usize,
    /// The quotes of the block that have not been taken.
    quotes: u64,
    /// Has the top bits of all bytes that were looked at.
    tops: u8x16,
}

impl<'a> Quick<'a> {
    /// A walk at the start of `text`.
    #[inline(always)]
    pub fn new(text: &'a [u8]) -> Self {
        Quick { text, block: 0, next: 0, quotes: 0, tops: u8x16::splat(0) }
    }

    /// The whole text.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Nothing but spaces may follow, and the text must be UTF-8. Strings are all
    /// that can hold another byte than ASCII, and their blocks were looked at.
    pub fn end(&self, behind: usize) -> Option<()> {
        let rest = self.text.get(behind..)?;
        let sound = self.tops.to_bitmask() == 0 || std::str::from_utf8(self.text).is_ok();
        (sound && rest.iter().all(|byte| *byte == b' ')).then_some(())
    }

    /// The next byte that is no space, and where it is.
    #[inline(always)]
    pub fn token(&self, at: usize) -> Option<(u8, usize)> {
        match self.text.get(at)? {
            b' ' => self.behind_spaces(at),
            byte => Some((*byte, at)),
        }
    }

    // Out of the way: a loop for each token costs the walk its registers.
    #[inline(never)]
    fn behind_spaces(&self, mut at: usize) -> Option<(u8, usize)> {
        loop {
            match self.text.get(at)? {
                b' ' => at += 1,
                byte => return Some((*byte, at)),
            }
        }
    }

    /// Steps into the object that starts here; answers whether it has a member, and
    /// where that, or what is behind the object, begins.
    #[inline(always)]
    pub fn open_object(&self, at: usize) -> Option<(bool, usize)> {
        let (b'{', at) = self.token(at)? else { return None };
        let (byte, inside) = self.token(at + 1)?;
        Some(if byte == b'}' { (false, inside + 1) } else { (true, inside) })
    }

    /// Steps over `"key":`; answers where the key is between its quotes, and where
    /// the value begins.
    #[inline(always)]
    pub fn key(&mut self, at: usize) -> Option<(Range<usize>, usize)> {
        let (_, at) = self.token(at)?;
        let close = self.string(at)?;
        let (b':', colon) = self.token(close + 1)? else { return None };
        Some((at + 1..close, self.token(colon + 1)?.1))
    }

    /// Steps from behind a value to the next member, or out of the object.
    #[inline(always)]
    pub fn more_members(&self, behind_value: usize) -> Option<(bool, usize)> {
        match self.token(behind_value)? {
            (b',', at) => Some((true, at + 1)),
            (b'}', at) => Some((false, at + 1)),
            _ => None,
        }
    }

    /// Where the value that starts here ends.
    #[inline(always)]
    pub fn value(&mut self, at: usize) -> Option<usize> {
        match self.text.get(at)? {
            b'"' => Some(self.string(at)? + 1),
            b'1'..=b'9' => self.number(at),
            _ => self.other_value(at),
        }
    }

    /// A value of any kind. Of the innermost containers a bit each says whether it
    /// is an object.
    #[inline(never)]
    fn other_value(&mut self, mut at: usize) -> Option<usize> {
        let (mut objects, mut depth) = (0_u64, 0);
        loop {
            at = match self.text.get(at)? {
                b'"' => self.string(at)? + 1,
                b'-' | b'0'..=b'9' => self.number(at)?,
                b't' => self.literal(at, b"true")?,
                b'f' => self.literal(at, b"false")?,
                b'n' => self.literal(at, b"null")?,
                open @ (b'{' | b'[') if depth < MAX_DEPTH => {
                    let object = *open == b'{';
                    let (byte, inside) = self.token(at + 1)?;
                    match byte {
                        b'}' if object => inside + 1,
                        b']' if !object => inside + 1,
                        _ => {
                            (objects, depth) = (objects << 1 | u64::from(object), depth + 1);
                            at = if object { self.key(inside)?.1 } else { inside };
                            continue;
                        }
                    }
                }
                _ => return None,
            };
            // A value is complete: close what closes after it.
            loop {
                if depth == 0 {
                    return Some(at);
                }
                let in_object = objects & 1 == 1;
                let (byte, token) = self.token(at)?;
                at = token + 1;
                match byte {
                    b',' if in_object => at = self.key(at)?.1,
                    b',' => at = self.token(at)?.1,
                    b'}' if in_object => {
                        (objects, depth) = (objects >> 1, depth - 1);
                        continue;
                    }
                    b']' if !in_object => {
                        (objects, depth) = (objects >> 1, depth - 1);
                        continue;
                    }
                    _ => return None,
                }
                break;
            }
        }
    }

    #[inline(always)]
    fn number(&self, at: usize) -> Option<usize> {
        let number = self.text.get(at..)?;
        let behind = match behind_usual_number(number) {
            Some(behind) => behind,
            None => behind_number(number).ok().filter(|(_, may_overflow)| !may_overflow)?.0,
        };
        Some(self.text.len() - behind.len())
    }

    #[inline(always)]
    fn literal(&self, at: usize, word: &[u8]) -> Option<usize> {
        self.text.get(at..)?.starts_with(word).then_some(at + word.len())
    }

    /// The closing quote of the string that starts here. All quotes before it have
    /// been taken, so the next one must be its opening one.
    #[inline(always)]
    fn string(&mut self, at: usize) -> Option<usize> {
        if self.quote()? == at { self.quote() } else { None }
    }

    #[inline(always)]
    fn quote(&mut self) -> Option<usize> {
        while self.quotes == 0 {
            self.look()?;
        }
        let at = self.block + self.quotes.trailing_zeros() as usize;
        self.quotes &= self.quotes - 1;
        Some(at)
    }

    /// Finds the quotes of the next block, unless something unusual is in it.
    #[inline(never)]
    fn look(&mut self) -> Option<()> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        let mut last = [b' '; BLOCK];
        let block = if let Some(block) = rest.first_chunk::<BLOCK>() {
            block
        } else {
            last.get_mut(..rest.len())?.copy_from_slice(rest);
            &last
        };
        let (mut quotes, mut odd, mut tops) = (0, u8x16::splat(0), self.tops);
        for (i, sixteen) in block.as_chunks::<16>().0.iter().enumerate() {
            let sixteen = u8x16::new(*sixteen);
            let is_control = sixteen.min(u8x16::splat(0x1F)).simd_eq(sixteen);
            odd |= is_control | sixteen.simd_eq(u8x16::splat(b'\\'));
            tops |= sixteen;
            quotes |= u64::from(sixteen.simd_eq(u8x16::splat(b'"')).to_bitmask()) << (16 * i);
        }
        (self.block, self.next) = (self.next, self.next + BLOCK);
        (self.quotes, self.tops) = (quotes, tops);
        (odd.to_bitmask() == 0).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::scan::Scanner;
    use crate::random::Random;

    fn quick(text: &[u8]) -> Option<()> {
        let mut walk = Quick::new(text);
        let start = walk.token(0)?.1;
        let behind = walk.value(start)?;
        walk.end(behind)
    }

    fn scanned(text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else { return false };
        let mut scanner = Scanner::new(text);
        scanner.value(0).and_then(|()| scanner.end()).is_some() && scanner.lone_surrogates.is_empty()
    }

    #[test]
    fn takes_what_is_usual() {
        let long = format!(r#"{{"{}":"{}","n":{}}}"#, "k".repeat(100), "v ".repeat(100), "1".repeat(100));
        for text in [
            "{}",
            " [ ] ",
            "0",
            "-0.5",
            r#"{"a": [1, 2.50, {"b": null}], "c": "é\u{1F600}", "d": true, "e": "", "f": false}"#,
            r#"[[],{},"",[{"a":{}}]]"#,
            &long,
        ] {
            assert_eq!(quick(text.replace("\\u{1F600}", "\u{1F600}").as_bytes()), Some(()), "{text}");
        }
    }

    #[test]
    fn never_says_yes_where_the_scanner_says_no() {
        let seeds = [
            r#"{"a":[1,-2.5,"x", {"$b":null,"c":{}}],"long key that goes on":true,"d":"é value","e":[[],0.1]}"#,
            r#"[{"a":"b"},{"c":[{"d":"}"},"{","[:,"]},12345678901234567890,"the end of a block of sixty-four",1]"#,
        ];
        let alphabet = b"{}[]:,\"\\ue0-+.9 tfn\n\x80\xff";
        let mut taken = 0;
        for round in 0..200_000 {
            let mut random = Random::new(round);
            let mut text = random.one_of(&seeds).as_bytes().to_vec();
            for _ in 0..random.below(4) {
                let at = usize::try_from(random.below(text.len() as u64)).unwrap();
                match random.below(3) {
                    0 => text[at] = random.one_of(alphabet),
                    1 => drop(text.remove(at)),
                    _ => text.insert(at, random.one_of(alphabet)),
                }
            }
            if quick(&text).is_some() {
                taken += 1;
                assert!(scanned(&text), "{}", String::from_utf8_lossy(&text));
            }
        }
        assert!(taken > 50_000, "{taken}");
    }

    #[test]
    fn leaves_what_is_not_usual_to_the_scanner() {
        for text in ["{\n}", r#""\u0041""#, "1e5", "[\"a\x7f\x1f\"]", "\"\u{e9}\""] {
            assert_eq!(quick(text.as_bytes()).is_some(), text == "\"\u{e9}\"", "{text}");
        }
        assert_eq!(quick(b"\"\xff\""), None);
        for depth in [60, 61, 100] {
            let nested = "[".repeat(depth) + &"]".repeat(depth);
            assert_eq!(quick(nested.as_bytes()).is_some(), depth == 60);
        }
    }
}
