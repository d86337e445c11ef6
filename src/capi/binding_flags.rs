//! What only bindings to other languages need of feature flags: include/phc_binding.h.

use std::ffi::c_char;

use super::flag_values::{PHC_FLAG_ABSENT, phc_flag_kind};
use super::flags::{phc_flags, value_of};
use super::guard::guard_or;
use super::rules;

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
