//! What only bindings to other languages need: include/phc_binding.h.

use std::ffi::c_char;

use super::client::phc_client;
use super::guard::guard;
use super::handle::share;
use super::rules;
use super::status::{phc_status, status_of};
use super::text::copy_out;
use crate::client::Client;

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
