//! Text of clients, cut to what is kept of it.

/// The text up to this many bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_text_is_cut_between_characters() {
        let table =
            [("", 5, ""), ("abc", 5, "abc"), ("abc", 2, "ab"), ("a\u{fc}b", 2, "a"), ("\u{1f600}", 3, "")];
        for (text, bytes, expected) in table {
            assert_eq!(cut(text, bytes), expected);
        }
    }
}
