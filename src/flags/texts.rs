//! All texts of the definitions in one piece of memory.

use std::ffi::CStr;

/// A text of [`Texts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextRef {
    start: u32,
    length: u32,
}

/// Texts one after the other, each with a NUL behind it so that C can read it in place.
#[derive(Debug, Default)]
pub(crate) struct Texts(String);

impl Texts {
    /// Appends a text. The definitions are bounded far below what 32 bits can count.
    pub(super) fn add(&mut self, text: &str) -> TextRef {
        let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let added = TextRef { start: number(self.0.len()), length: number(text.len()) };
        self.0.push_str(text);
        self.0.push('\0');
        added
    }

    /// The text.
    pub(crate) fn get(&self, text: TextRef) -> &str {
        let start = text.start as usize;
        self.0.get(start..start + text.length as usize).unwrap_or_default()
    }

    /// The text for C, where it ends at its first NUL.
    pub(crate) fn c(&self, text: TextRef) -> &CStr {
        let rest = self.0.as_bytes().get(text.start as usize..).unwrap_or_default();
        CStr::from_bytes_until_nul(rest).unwrap_or_default()
    }
}

/// A range of one of the vectors of the definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From this length of a vector to the one that it has now.
    pub(super) fn since<T>(start: usize, items: &[T]) -> Self {
        let number = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        Span { start: number(start), end: number(items.len()) }
    }

    pub(super) fn of<T>(self, items: &[T]) -> &[T] {
        items.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    pub(super) fn is_empty(self) -> bool {
        self.start == self.end
    }
}
