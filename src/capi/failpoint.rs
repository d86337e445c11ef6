//! How tests make the library panic. Not in what ships.

use std::ffi::c_char;

use super::guard::guard;
use super::rules;
use super::text::{required, utf8};
use crate::failpoint;

/// Makes the next pass through the failpoint of this module panic, once: one of the names in
/// `src/failpoint.rs`; any other name disarms. Returns 1 if there is such a module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_failpoint_arm(module: *const c_char) -> i32 {
    guard(&rules::phc_failpoint_arm, || {
        // SAFETY: the caller passes NULL or NUL-terminated text.
        let module = unsafe { required(module, "module") };
        let module = module.and_then(|module| Ok(utf8(module, "module")?.to_owned()));
        i32::from(module.is_ok_and(|module| failpoint::arm(&module)))
    })
}
