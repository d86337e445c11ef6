//! phc_outgoing: an event on its way through before_send, and the host's decision on it.

use std::ffi::{c_char, c_void};

use super::callbacks::{UserData, phc_free_callback};
use super::client::phc_client;
use super::guard::guard;
use super::handle::{Boxed, borrow, borrow_mut, share, write};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::sized;
use crate::client::{BeforeSend, BeforeSendFunction};
use crate::memory::{NoMemory, copied};

/// An event that is about to be taken. It lives until the callback returns.
pub struct phc_outgoing {
    /// With a NUL after it.
    json: Vec<u8>,
    replacement: Option<Vec<u8>>,
}

impl Boxed for phc_outgoing {}

/// The event is taken.
pub const PHC_BEFORE_SEND_KEEP: i32 = 0;
/// The event is discarded; the capture returns PHC_BEFORE_SEND.
pub const PHC_BEFORE_SEND_DISCARD: i32 = 1;

/// Called on the thread of each capture with the event as it would be sent. Returns
/// PHC_BEFORE_SEND_KEEP or PHC_BEFORE_SEND_DISCARD; any other number discards too. Captures from
/// inside it return PHC_REENTRANT; docs/callbacks.md lists what else it may call.
pub type phc_before_send_callback =
    Option<unsafe extern "C" fn(event: *mut phc_outgoing, user_data: *mut c_void) -> i32>;

/// Sets the callback that sees each event before it is taken, in place of the one before, like
/// phc_set_error_callback. It may run on several threads at once. The callback stays set in a
/// forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_set_before_send_callback(
    client: *mut phc_client,
    callback: phc_before_send_callback,
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> phc_status {
    guard(&rules::phc_set_before_send_callback, || {
        let function = callback.map(|callback| -> BeforeSendFunction {
            let user_data = UserData::new(user_data, free_user_data);
            Box::new(move |json| {
                let user_data = &user_data;
                let Ok(json) = with_nul(json) else { return BeforeSend::NoMemory };
                let mut event = phc_outgoing { json, replacement: None };
                // SAFETY: the host vouches that its callback may be called with its user data
                // from any thread that captures, and that it does not unwind. The event
                // outlives the call.
                match unsafe { callback(&raw mut event, user_data.pointer) } {
                    PHC_BEFORE_SEND_KEEP => event.replacement.map_or(BeforeSend::Keep, BeforeSend::Replace),
                    _ => BeforeSend::Discard,
                }
            })
        });
        // SAFETY: the caller passes NULL or a live client.
        status_of(unsafe { share(client, "client") }.map(|client| client.set_before_send(function)))
    })
}

fn with_nul(json: &[u8]) -> Result<Vec<u8>, NoMemory> {
    let mut copy = copied(json, 1)?;
    copy.push(0);
    Ok(copy)
}

/// Returns the event as one JSON object, as it would be sent, with a NUL after it; its length
/// is written to len (NULL is accepted). It is valid until the callback returns.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_outgoing_json(event: *const phc_outgoing, len: *mut usize) -> *const c_char {
    guard(&rules::phc_outgoing_json, || {
        // SAFETY: the caller passes NULL or the event of its callback.
        let Ok(event) = (unsafe { borrow(event, "event") }) else { return c"".as_ptr() };
        // SAFETY: the caller passes NULL, which is not written to, or a place for a number.
        let _ = unsafe { write(len, event.json.len() - 1, "len") };
        event.json.as_ptr().cast()
    })
}

/// Takes this JSON object of len bytes in place of the event, if the callback returns
/// PHC_BEFORE_SEND_KEEP. It is copied. After the callback has returned it is read like that of
/// phc_capture_json; if it is refused, the event is discarded.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_outgoing_replace(
    event: *mut phc_outgoing,
    json: *const c_char,
    len: usize,
) -> phc_status {
    guard(&rules::phc_outgoing_replace, || {
        // SAFETY: the caller passes NULL or the event of its callback, and NULL or a text of
        // `len` bytes.
        let (event, json) = unsafe { (borrow_mut(event, "event"), sized(json, len, "json")) };
        let replace = || {
            let (event, json) = (event?, json?);
            event.replacement = Some(copied(json, 0)?);
            Ok(())
        };
        status_of(replace())
    })
}
