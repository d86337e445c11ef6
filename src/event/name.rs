//! The name of an event and its distinct id: what the server takes of them, and how they are sent.

use std::borrow::Cow;

use super::rules::MAX_NAME;
use crate::json::{is_plain, repair, take_escape, unescaped_length};
use crate::status::{Error, Status};

/// The event's name or its distinct id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name<'t> {
    /// Text still to be escaped; owned when it was repaired.
    Text(Cow<'t, str>),
    /// Sound text as it stands between the quotes of a JSON string.
    Json(&'t [u8]),
}

impl<'t> Name<'t> {
    #[inline]
    pub(super) fn new(bytes: &'t [u8]) -> Self {
        if is_plain(bytes) { Name::Json(bytes) } else { Name::Text(repair(bytes)) }
    }

    pub(super) fn is_repaired(&self) -> bool {
        matches!(self, Name::Text(Cow::Owned(_)))
    }

    /// Removes the white space around a distinct id, as the server does. Fails if there is nothing else.
    fn trim(&mut self) -> Result<(), Error> {
        let was_empty = self.is_empty();
        match self {
            Name::Text(Cow::Borrowed(text)) => *text = text.trim(),
            Name::Text(Cow::Owned(text)) => *text = text.trim().to_owned(),
            Name::Json(raw) => *raw = trim_raw(raw),
        }
        if was_empty || !self.is_empty() {
            return Ok(());
        }
        let message = format_args!(
            "the distinct_id is nothing but white space, which the server removes; it takes 1 to {MAX_NAME} bytes"
        );
        Err(Error::new(Status::INVALID_DISTINCT_ID, message))
    }

    fn is_empty(&self) -> bool {
        match self {
            Name::Text(text) => text.is_empty(),
            Name::Json(raw) => raw.is_empty(),
        }
    }
}

/// Refuses names and ids that the server would not take, and removes the white space around the id.
#[inline]
pub(super) fn check_names(name: &Name<'_>, distinct_id: &mut Name<'_>) -> Result<(), Error> {
    // Unescaped they are not longer, and not empty either.
    let has_length = |raw: &[u8]| (1..=MAX_NAME).contains(&raw.len());
    match (name, &*distinct_id) {
        (Name::Json(name), Name::Json(id)) if has_length(name) && has_length(id) && has_visible_ends(id) => {
            Ok(())
        }
        _ => check_uncommon_names(name, distinct_id),
    }
}

#[inline(never)]
fn check_uncommon_names(name: &Name<'_>, distinct_id: &mut Name<'_>) -> Result<(), Error> {
    check_name(name, Status::INVALID_EVENT, "event name")?;
    distinct_id.trim()?;
    check_name(distinct_id, Status::INVALID_DISTINCT_ID, "distinct_id")
}

/// Refuses a name or an id, called `what`, that has not the length that the server takes.
pub(super) fn check_name(name: &Name<'_>, status: Status, what: &str) -> Result<(), Error> {
    let bytes = match name {
        Name::Text(text) => text.len(),
        Name::Json(raw) => unescaped_length(raw),
    };
    Err(match bytes {
        1..=MAX_NAME => return Ok(()),
        0 => Error::new(status, format_args!("the {what} is empty; the server takes 1 to {MAX_NAME} bytes")),
        _ => {
            Error::new(status, format_args!("the {what} has {bytes} bytes; the server takes 1 to {MAX_NAME}"))
        }
    })
}

/// Whether neither end of the text between the quotes of a JSON string can be white space, or an escape
/// that stands for it.
#[inline]
fn has_visible_ends(raw: &[u8]) -> bool {
    let is_visible = |byte: u8| matches!(byte, b'!'..=b'~');
    match (raw.first(), raw.last_chunk()) {
        // Escapes have two or six bytes.
        (Some(first), Some([sixth_last, _, _, _, second_last, last])) => {
            is_visible(*last) && is_visible(*first) && ![first, sixth_last, second_last].contains(&&b'\\')
        }
        _ => !raw.is_empty() && raw.iter().all(|byte| is_visible(*byte) && *byte != b'\\'),
    }
}

/// Removes the white space, escaped or not, around the text between the quotes of a JSON string.
fn trim_raw(raw: &[u8]) -> &[u8] {
    let Ok(text) = std::str::from_utf8(raw) else { return raw };
    let (mut at, mut start, mut end) = (0, None, 0);
    while let Some(first) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let length = match (first, raw.get(at + 1)) {
            ('\\', Some(b'u')) => 6,
            ('\\', _) => 2,
            _ => first.len_utf8(),
        };
        let mut behind = raw.get(at + 1..at + length).unwrap_or_default();
        let character = if first == '\\' { take_escape(&mut behind) } else { Some(first) };
        if !character.is_none_or(char::is_whitespace) {
            start.get_or_insert(at);
            end = at + length;
        }
        at += length;
    }
    raw.get(start.unwrap_or(0)..end).unwrap_or_default()
}

/// Removes the white space around text that may not be UTF-8.
pub(super) fn trim_bytes(text: &[u8]) -> &[u8] {
    let first = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let text = text.get(first.len() - first.trim_start().len()..).unwrap_or_default();
    let last = text.utf8_chunks().last().filter(|chunk| chunk.invalid().is_empty());
    let last = last.map_or("", |chunk| chunk.valid());
    text.get(..text.len() - (last.len() - last.trim_end().len())).unwrap_or_default()
}

/// The text of a JSON number that is whole and has at most 64 bits, with or without a sign.
pub(super) fn whole_number(value: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(value).ok()?;
    let is_whole = text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
    is_whole.then_some(if text == "-0" { b"0" } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{unescape, write_escaped};
    use crate::random::Random;

    /// White space as the server sees it, and characters beside it in every respect.
    const SPACES: [&str; 14] = [
        " ", "\t", "\n", "\r", "\u{b}", "\u{c}", "\u{85}", "\u{a0}", "\u{1680}", "\u{2003}", "\u{2028}",
        "\u{202f}", "\u{205f}", "\u{3000}",
    ];
    const OTHERS: [&str; 14] = [
        "u", "\\", "\"", "\u{0}", "\u{8}", "\u{1f}", "\u{7f}", "\u{200b}", "\u{feff}", "é", "0", "t", "🎉",
        "\\u00a0",
    ];

    fn escaped(text: &str, how: u64) -> String {
        match how {
            0 => {
                let mut out = Vec::new();
                write_escaped(&mut out, text);
                String::from_utf8(out).unwrap()
            }
            1 => text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat(),
            _ => escaped(text, 1).replace('a', "A"),
        }
    }

    #[test]
    fn an_id_is_trimmed_as_its_text_would_be_however_it_is_written() {
        for seed in 0..50_000 {
            let mut random = Random::new(seed);
            let (mut text, mut raw) = (String::new(), String::new());
            for _ in 0..random.below(6) {
                let space = random.percent(60);
                let part = if space { random.one_of(&SPACES) } else { random.one_of(&OTHERS) };
                text += part;
                raw += &escaped(part, random.below(3));
            }
            let names = [
                Name::Json(raw.as_bytes()),
                Name::new(text.as_bytes()),
                Name::Text(Cow::Owned(text.clone())),
            ];
            for mut name in names {
                let trimmed = name.trim();
                let seen = match &name {
                    Name::Text(text) => text.clone().into_owned(),
                    Name::Json(raw) => unescape(raw).into_owned(),
                };
                assert_eq!(seen, text.trim(), "{raw}");
                assert_eq!(trimmed.is_err(), text.trim().is_empty() && !text.is_empty(), "{raw}");
            }
            assert_eq!(trim_bytes(text.as_bytes()), text.trim().as_bytes());
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_not_white_space() {
        let table: [(&[u8], &[u8]); 6] = [
            (b" \xff ", b"\xff"),
            (b"\xff", b"\xff"),
            (b" a\xff b \xc2\xa0", b"a\xff b"),
            (b"\xc2\xa0 \xc2", b"\xc2"),
            (b" ", b""),
            (b"", b""),
        ];
        for (bytes, expected) in table {
            assert_eq!(trim_bytes(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_limit_counts_what_is_sent() {
        let check = |id: &str| {
            let mut id = Name::new(id.as_bytes());
            check_names(&Name::Json(b"e"), &mut id).map_err(|error| error.message)
        };
        let long = "x".repeat(MAX_NAME);
        assert_eq!(check(&format!("\u{3000} {long}\n")), Ok(()));
        let error = check(&format!(" {long}x ")).unwrap_err();
        assert!(error.contains("has 201 bytes"), "{error}");
        assert!(check(" \u{a0}").unwrap_err().contains("nothing but white space"));
        assert!(check("").unwrap_err().contains("is empty"));
        assert_eq!(
            check_names(&Name::Json(b" "), &mut Name::Json(b"u")),
            Ok(()),
            "an event's name is not trimmed"
        );
    }

    #[test]
    fn whole_numbers_are_those_of_64_bits() {
        for (number, expected) in [
            ("0", Some("0")),
            ("-0", Some("0")),
            ("9007199254740993", Some("9007199254740993")),
            ("-9223372036854775808", Some("-9223372036854775808")),
            ("18446744073709551615", Some("18446744073709551615")),
            ("-9223372036854775809", None),
            ("18446744073709551616", None),
            ("1.0", None),
            ("1e3", None),
            ("true", None),
            ("", None),
        ] {
            assert_eq!(whole_number(number.as_bytes()), expected.map(str::as_bytes), "{number}");
        }
    }
}
