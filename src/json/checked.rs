//! JSON text of unknown origin becomes sound text, or an error that names the byte.

use std::borrow::Cow;

use super::cursor::{Cursor, NO_MEMORY, SyntaxError};
use super::text::{repair_surrogates, try_repair};

/// Text that a strict reader of JSON accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sound<'a> {
    /// One JSON value, perhaps with white space around it. It is UTF-8.
    pub text: Cow<'a, [u8]>,
    /// Whether invalid UTF-8 or a lone surrogate escape was replaced by U+FFFD.
    pub repaired: bool,
}

/// Reads the text by `read`, which starts at byte 0 and returns where the JSON value ends; only white space
/// may follow. The cursor does not know whether the text is UTF-8. Where it is not, `read` is called again
/// for the repaired text, and what it noted in the first call must be forgotten. In the end the positions
/// that it noted are those of the text that is returned.
#[inline]
pub(crate) fn read_checked(
    text: &[u8],
    mut read: impl FnMut(&mut Cursor<'_>) -> Option<usize>,
) -> Result<Sound<'_>, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let end = read(&mut cursor).and_then(|at| cursor.end(at));
    if end.is_some() && cursor.saw_sound_ascii() {
        return Ok(Sound { text: Cow::Borrowed(text), repaired: false });
    }
    if std::str::from_utf8(text).is_ok() {
        return match end {
            Some(()) if cursor.saw_lone_surrogate() => Ok(repaired(copied(text)?)),
            Some(()) => Ok(Sound { text: Cow::Borrowed(text), repaired: false }),
            None => Err(cursor.error()),
        };
    }
    let utf8 = copied(text)?;
    let mut cursor = Cursor::new(&utf8);
    match read(&mut cursor).and_then(|at| cursor.end(at)) {
        Some(()) => Ok(repaired(utf8)),
        None => Err(cursor.error()),
    }
}

/// The text as UTF-8, in memory of its own.
fn copied(text: &[u8]) -> Result<Vec<u8>, SyntaxError> {
    try_repair(text).map_err(|_| SyntaxError { at: 0, what: NO_MEMORY })
}

/// A lone surrogate escape and that of U+FFFD are equally long, so nothing has to be read again.
fn repaired(mut utf8: Vec<u8>) -> Sound<'static> {
    repair_surrogates(&mut utf8);
    Sound { text: Cow::Owned(utf8), repaired: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &[u8]) -> Result<(String, bool), SyntaxError> {
        let sound = read_checked(text, |cursor| cursor.value(0, 0))?;
        assert_eq!(sound.repaired, matches!(sound.text, Cow::Owned(_)));
        Ok((String::from_utf8(sound.text.into_owned()).unwrap(), sound.repaired))
    }

    #[test]
    fn sound_text_is_returned_as_it_is() {
        for text in ["{}", " [1]\n", "\"\u{e9}\u{1F600}\"", r#""\ud83d\ude00""#] {
            assert_eq!(checked(text.as_bytes()), Ok((text.to_owned(), false)));
        }
    }

    #[test]
    fn invalid_utf_8_and_lone_surrogates_are_repaired() {
        let table: [(&[u8], &str); 4] = [
            (b"\"a\xff\"", "\"a\u{fffd}\""),
            (br#"["\ud800","\udc00\ud83d\ude00"]"#, r#"["\ufffd","\ufffd\ud83d\ude00"]"#),
            (b"[\"\xc3\",\"\\ud800\\u0041\"]", "[\"\u{fffd}\",\"\\ufffd\\u0041\"]"),
            (br#""\\ud800\udfff""#, r#""\\ud800\ufffd""#),
        ];
        for (given, expected) in table {
            assert_eq!(checked(given), Ok((expected.to_owned(), true)), "{}", given.escape_ascii());
        }
    }

    #[test]
    fn an_error_names_the_byte_of_the_repaired_text() {
        assert_eq!(checked(b"[1,]").unwrap_err().at, 3);
        assert_eq!(checked(b"[\"\xff\",]").unwrap_err().at, 7);
        assert_eq!(checked(b"1 2").unwrap_err().at, 2);
        assert_eq!(checked(b"[\xff]").unwrap_err().at, 1);
    }
}
