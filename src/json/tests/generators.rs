//! JSON texts by seed.

use crate::random::Random;

/// Scalars that a strict reader accepts. Some hold what looks like syntax.
pub(crate) const SCALARS: [&str; 36] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-7",
    "0.0",
    "10.50",
    "1.50e+2",
    "-2.5E-3",
    "12345678901234567890",
    "0.1",
    "9007199254740993",
    "1e-400",
    "1e5",
    r#""""#,
    r#""text""#,
    r#"" TRUE ""#,
    r#""false""#,
    r#""0""#,
    r#""yes""#,
    r#""}""#,
    r#""],[""#,
    r#"",""#,
    r#"":{""#,
    r#""\u0031""#,
    r#""\"""#,
    r#""\/\\""#,
    r#""\ud83d\ude00é\n""#,
    "\"é\u{1F600} text beyond ASCII\"",
    r#""a value that is longer than a block of sixteen, and than one of sixty-four bytes too""#,
    r#""a value with a quote at a distance of more than a block of sixty-four bytes from its beginning \" ""#,
    UUID,
    TIMESTAMP,
    "100000000000000000000000000000000000000000000000000000000000000000000",
];
/// A JSON string with a uuid.
pub(crate) const UUID: &str = r#""0190a5b4-7c3d-7abc-8def-0123456789ab""#;
/// A JSON string with an instant.
pub(crate) const TIMESTAMP: &str = r#""2026-01-31T12:00:00.5+01:00""#;

/// What is refused or repaired.
const UNSOUND: [&str; 10] = [
    r#""\ud83d""#,
    r#""\udc00 \ud83d\u0041""#,
    r#""\ud83d\u12""#,
    "1e999",
    "01",
    "1.",
    "tru",
    "\"\u{1}\"",
    "\"a\nb\"",
    "[1,]",
];

/// Makes texts; a seed is a style and everything that follows from it.
pub(crate) struct Maker {
    pub random: Random,
    /// What keys of objects are chosen from.
    keys: &'static [&'static str],
    spaces: &'static [&'static str],
    /// In so many of a hundred places stands an escape that need not be there.
    escapes: u64,
    /// In so many of a thousand places stands an unsound value.
    unsound: u64,
}

impl Maker {
    /// Makes texts that a strict reader accepts.
    pub(crate) fn sound(seed: u64, keys: &'static [&'static str]) -> Self {
        let mut random = Random::new(seed);
        let compact: &[&str] = &[""];
        let spaces = random.one_of(&[compact, &["", "", " ", "  "], &["", "", "", " ", "\n\t", "\r "]]);
        let escapes = random.one_of(&[0, 0, 3, 15]);
        Maker { random, keys, spaces, escapes, unsound: 0 }
    }

    /// Makes texts of which some are unsound.
    pub(crate) fn any(seed: u64, keys: &'static [&'static str]) -> Self {
        let mut maker = Maker::sound(seed, keys);
        maker.unsound = maker.random.one_of(&[0, 0, 20]);
        maker
    }

    pub(crate) fn space(&mut self) -> &'static str {
        self.random.one_of(self.spaces)
    }

    /// A number below this one.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap()
    }

    /// A JSON string of this text.
    pub(crate) fn string(&mut self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if (c as u32) < 0x20 || (c.is_ascii() && self.random.percent(self.escapes)) => {
                    out += &format!("\\u{:04X}", c as u32);
                }
                c => out.push(c),
            }
        }
        out + "\""
    }

    /// A value with at most so many containers in each other.
    pub(crate) fn value(&mut self, depth: u32) -> String {
        if self.random.below(1000) < self.unsound {
            return self.random.one_of(&UNSOUND).to_owned();
        }
        match self.random.below(if depth == 0 { 8 } else { 10 }) {
            8 => {
                let items: Vec<_> = (0..self.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}{}{}]", self.space(), items.join(&format!("{},", self.space())), self.space())
            }
            9 => self.object(depth - 1),
            _ => self.random.one_of(&SCALARS).to_owned(),
        }
    }

    /// An object, perhaps with one key several times.
    pub(crate) fn object(&mut self, depth: u32) -> String {
        self.object_of(self.keys, depth)
    }

    /// An object whose keys are of these.
    pub(crate) fn object_of(&mut self, keys: &[&str], depth: u32) -> String {
        let members: Vec<_> = (0..self.below(9))
            .map(|_| {
                let key = self.random.one_of(keys);
                let value = self.value(depth);
                self.member(key, &value)
            })
            .collect();
        format!("{{{}{}}}", self.space(), members.join(","))
    }

    pub(crate) fn member(&mut self, key: &str, value: &str) -> String {
        let key = self.string(key);
        format!("{}{key}{}:{}{value}{}", self.space(), self.space(), self.space(), self.space())
    }

    /// Changes up to three bytes of every other text.
    pub(crate) fn mutated(&mut self, text: String) -> Vec<u8> {
        let mut text = text.into_bytes();
        if self.random.percent(50) {
            return text;
        }
        for _ in 0..=self.below(3) {
            let at = self.below(text.len());
            let any = self.random.next().to_le_bytes()[0];
            let byte = self.random.one_of(b"{}[]:,\"\"\"\\\\$ue0-+.9 tfndD\n\t\x1f\x7f\x80\xc3\xff\xed\xa0");
            let byte = if self.random.percent(10) { any } else { byte };
            match self.random.below(3) {
                0 => text[at] = byte,
                1 if text.len() > 1 => drop(text.remove(at)),
                _ => text.insert(at, byte),
            }
        }
        text
    }
}
