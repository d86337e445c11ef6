//! What only bindings to other languages need: include/phc_binding.h.

use std::ffi::c_char;

use super::client::phc_client;
use super::flags::phc_flags;
use super::guard::guard;
use super::handle::{borrow, share};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{copy_out, required};
use crate::client::Client;
use crate::json::repair;

/// Counts one event that the binding's own before_send has discarded before any capture call:
/// bindings run that callback in their own language.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_binding_count_discarded(client: *mut phc_client) -> phc_status {
    guard(&rules::phc_binding_count_discarded, || {
        // SAFETY: the caller passes NULL or a live client.
        status_of(unsafe { share(client, "client") }.map(Client::count_discarded))
    })
}

/// With the setting test_mode: writes the wire bytes of the oldest captured event, one JSON
/// object, into a buffer of len bytes, NUL included. Returns the length of the whole text
/// without the NUL, like snprintf; the event is removed only if it fits. Returns 0 if there is
/// no event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_binding_next_test_event(
    client: *mut phc_client,
    buf: *mut c_char,
    len: usize,
) -> usize {
    guard(&rules::phc_binding_next_test_event, || {
        let mut needed = 0;
        // SAFETY: the caller passes NULL or a live client.
        if let Ok(client) = unsafe { share(client, "client") } {
            client.read_test_event(|event| {
                // SAFETY: the caller passes NULL or a buffer of `len` bytes.
                needed = unsafe { copy_out(&String::from_utf8_lossy(event), buf, len) };
                needed < len && !buf.is_null()
            });
        }
        needed
    })
}

/// Notes that the value of a flag was read, as phc_flags_get does, and writes the event that is to be
/// captured for it into a buffer of len bytes, NUL included: bindings add properties to it and run
/// before_send in their own language. They set PHC_FLAGS_NO_EVENTS on their queries, which this
/// function does not heed, so that phc_flags_get captures nothing. The text is one JSON object with
/// the members event, distinct_id, properties and is_minimal; if the last one is true, the server
/// wants no further properties but those of the client's settings. Returns the length of the whole
/// text without the NUL, like snprintf; the read counts as captured only if it fits. Returns 0 if
/// there is nothing to capture: such a read was before, the distinct_id is empty, the client is closed
/// or opted out, or its setting flags_called_events is false. Never waits.
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
