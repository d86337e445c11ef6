//! The members of a JSON object, or the elements of a list, with commas between them.

use crate::memory::{NoMemory, reserve};

/// Writes members or elements.
pub(super) struct Joined<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Joined<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Joined { out, first: true }
    }

    pub(super) fn after_the_first(out: &'a mut Vec<u8>) -> Self {
        Joined { out, first: false }
    }

    /// Makes space for so many bytes.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), NoMemory> {
        reserve(self.out, bytes)
    }

    /// Where the next one is to be written.
    pub(super) fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out
    }

    pub(super) fn member(&mut self, key: &str, value: &[u8]) {
        let out = self.next();
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
}
