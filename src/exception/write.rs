//! Members of the event. An exception is rare: each kind of value is one call here, and not the code of the event
//! builder once more, which is inlined for the events that are not.

use std::io::Write;

use crate::event::EventBuilder;
use crate::status::Error;

#[inline(never)]
pub(super) fn text(event: &mut EventBuilder, key: &str, value: &[u8]) -> Result<(), Error> {
    event.set_text(Some(key.as_bytes()), value)
}

#[inline(never)]
pub(super) fn flag(event: &mut EventBuilder, key: &str, value: bool) -> Result<(), Error> {
    event.set_bool(Some(key.as_bytes()), value)
}

#[inline(never)]
pub(super) fn number(event: &mut EventBuilder, key: &str, value: u64) -> Result<(), Error> {
    event.set_unsigned(Some(key.as_bytes()), value)
}

/// An address as the server wants it, such as `0x7f10`.
pub(super) fn address(event: &mut EventBuilder, key: &str, value: usize) -> Result<(), Error> {
    let mut buffer = [0; 18];
    let mut rest = buffer.as_mut_slice();
    // It fits: two characters and sixteen digits at most.
    let _ = write!(rest, "{value:#x}");
    let length = 18 - rest.len();
    text(event, key, buffer.get(..length).unwrap_or_default())
}
