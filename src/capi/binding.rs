//! What only bindings to other languages need: include/phc_binding.h.

use std::ffi::c_char;

use super::callbacks::phc_log_level;
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

/// Takes the oldest line that waits for the log: writes its level, and the line into a buffer of len
/// bytes, NUL included. Returns the length of the whole line without the NUL, like snprintf; the line is
/// removed only if it fits. Returns 0 if no line waits, and while a log callback is set, which gets the
/// lines. level may be NULL. For languages whose code a thread of libphc's own cannot call. Never waits.
///
/// The lines are those of phc_set_log_callback except for the one about lost events, of which phc_poll
/// has reports. At most 64 wait: then the least important ones are left out, and one more line, after
/// the others, says how many. Once this is called after phc_poll_fd, the descriptor is readable also
/// while a line waits, until a log callback is set. A forked child gets lines of its own only, and must
/// call both itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_binding_next_log_line(
    client: *mut phc_client,
    level: *mut phc_log_level,
    buf: *mut c_char,
    len: usize,
) -> usize {
    guard(&rules::phc_binding_next_log_line, || {
        let mut needed = 0;
        // SAFETY: the caller passes NULL or a live client.
        if let Ok(client) = unsafe { share(client, "client") } {
            client.poll_log_line(|found, line| {
                if !level.is_null() {
                    // SAFETY: the caller passes NULL or a place for a level.
                    unsafe { level.write(found.number()) };
                }
                // SAFETY: the caller passes NULL or a buffer of `len` bytes.
                needed = unsafe { copy_out(line, buf, len) };
                needed < len && !buf.is_null()
            });
        }
        needed
    })
}
