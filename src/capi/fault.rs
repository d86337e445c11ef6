//! How tests make the library panic. Not in what ships.

use std::ffi::c_char;

use super::guard::guard;
use super::text::{required, utf8};
use crate::fault;

/// The next time that this room of the library is entered it panics, once: one of
/// the names in `src/fault.rs`, or anything else for none. Answers 1 when there
/// is such a room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_fault_arm(room: *const c_char) -> i32 {
    guard(|| {
        // SAFETY: the caller passes NULL or NUL-terminated text.
        let room = unsafe { required(room, "room") }.and_then(|room| Ok(utf8(room, "room")?.to_owned()));
        i32::from(room.is_ok_and(|room| fault::arm(&room)))
    })
}
