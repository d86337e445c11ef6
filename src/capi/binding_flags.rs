//! What only bindings to other languages need of feature flags: include/phc_binding.h.

use std::ffi::c_char;

use super::flag_values::{PHC_FLAG_ABSENT, phc_flag_kind};
use super::flags::{phc_flags, value_of};
use super::guard::{guard, guard_or};
use super::handle::borrow;
use super::rules;
use super::text::{copy_out, required};
use crate::json::repair;

/// Returns what phc_flags_get returns, without the note that the flag was read, and captures nothing: for
/// bindings that write the values of a snapshot into an event of their own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_binding_flags_peek(
    flags: *const phc_flags,
    key: *const c_char,
    variant: *mut *const c_char,
) -> phc_flag_kind {
    let failed = |_| PHC_FLAG_ABSENT;
    guard_or(&rules::phc_binding_flags_peek, failed, || {
        // SAFETY: the caller passes NULL or a live snapshot, NULL or NUL-terminated text, and NULL or a place for a
        // pointer.
        unsafe { value_of(flags, key, variant, phc_flags::peek) }
    })
}

/// Notes that the value of a flag was read, as phc_flags_get does, and writes the next event that is to
/// be captured for it into a buffer of len bytes, NUL included: bindings add properties to it, run
/// before_send in their own language, and call again until it returns 0 ($experiment_exposure comes
/// after $feature_flag_called; a snapshot has each of them once for a flag). They set
/// PHC_FLAGS_NO_EVENTS on their queries, which this function does not heed, so that phc_flags_get
/// captures nothing. The text is one JSON object with the members event, distinct_id, properties and
/// is_minimal; if the last one is true, the server wants no further properties but those of the
/// client's settings. Returns the length of the whole text without the NUL, like snprintf; the read
/// counts as captured only if it fits. Returns 0 if there is nothing to capture: such a read was
/// before, the distinct_id is empty, the client is closed or opted out, or its setting
/// flags_called_events is false. Never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_binding_flags_read(
    flags: *mut phc_flags,
    key: *const c_char,
    buf: *mut c_char,
    len: usize,
) -> usize {
    guard(&rules::phc_binding_flags_read, || {
        let mut needed = 0;
        // SAFETY: the caller passes NULL or a live snapshot, and NULL or NUL-terminated text.
        if let (Ok(flags), Ok(key)) = unsafe { (borrow(flags, "flags"), required(key, "key")) } {
            flags.hand_out(&repair(key), |event| {
                // SAFETY: the caller passes NULL or a buffer of `len` bytes.
                needed = unsafe { copy_out(&String::from_utf8_lossy(event), buf, len) };
                needed < len && !buf.is_null()
            });
        }
        needed
    })
}
