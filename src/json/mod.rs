//! JSON text (RFC 8259): read it in place, check it, write it.
//!
//! No tree is built: the reader reports positions, and values are copied as they stand in the text. This
//! module knows nothing of events.

mod bytes;
mod checked;
mod cursor;
mod number;
mod text;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use bytes::{are_plain, is_plain};
pub(crate) use checked::{Sound, read_checked};
pub(crate) use cursor::{Cursor, Key, MAX_DEPTH, Member, NO_MEMORY, NOT_AN_OBJECT, SyntaxError};
pub(crate) use number::{as_double, write_double, write_integer, write_unsigned};
pub(crate) use text::{
    escaped_length, repair, take_escape, unescape, unescaped_length, write_escaped, write_repaired,
    write_string,
};
