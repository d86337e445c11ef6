//! phc_outgoing: an event on its way through before_send, the host's say on it.

use std::ffi::{c_char, c_void};

use super::client::{UserData, phc_client, phc_free_callback};
use super::guard::guard;
use super::handle::{Boxed, borrow, borrow_mut, share, write};
use super::status::{answer, phc_status};
use super::text::sized;
use crate::hook::{Decision, Hook};

/// An event that is about to be taken. It lives until the callback returns.
pub struct phc_outgoing {
    json: Vec<u8>,
    len: usize,
    replacement: Option<Vec<u8>>,
}

impl Boxed for phc_outgoing {}

/// What a before_send callback answers: the event is taken.
pub const PHC_KEEP: i32 = 0;
/// The event is not taken; the capture answers PHC_BEFORE_SEND.
pub const PHC_DROP: i32 = 1;

/// Called on the thread of each capture with the event as it would be sent.
/// Answers PHC_KEEP or PHC_DROP; any other number drops too. It must not throw
/// or longjmp. Client calls from inside it answer PHC_REENTRANT.
pub type phc_before_send_callback =
    Option<unsafe extern "C" fn(event: *mut phc_outgoing, user_data: *mut c_void) -> i32>;

/// Sets what sees each event before it is taken, in place of the one before;
/// NULL is nothing. It may be called from several threads at once. Returns once
/// the old one runs no more. free_user_data (NULL is fine) is called when
/// user_data is needed no more. It stays set in a forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_set_before_send_callback(
    client: *mut phc_client,
    callback: phc_before_send_callback,
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> phc_status {
    guard(|| {
        let user_data = UserData::new(user_data, free_user_data);
        let hook = callback.map(|callback| -> Hook {
            Box::new(move |json| {
                let user_data = &user_data;
                let mut text = json.to_vec();
                text.push(0);
                let mut event = phc_outgoing { json: text, len: json.len(), replacement: None };
                // SAFETY: the host says that its callback may be called with its
                // user data from any thread that captures, and does not unwind.
                match unsafe { callback(&raw mut event, user_data.pointer) } {
                    PHC_KEEP => event.replacement.map_or(Decision::Keep, Decision::Replace),
                    _ => Decision::Drop,
                }
            })
        });
        // SAFETY: the caller passes NULL or a live client.
        answer(unsafe { share(client, "client") }.map(|client| client.set_before_send(hook)))
    })
}

/// The event as one JSON object, as it would be sent, with its length in len
/// (NULL is fine) and a NUL behind it. Good until the callback returns.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_outgoing_json(event: *const phc_outgoing, len: *mut usize) -> *const c_char {
    guard(|| {
        // SAFETY: the caller passes the event of its callback, or NULL.
        let Ok(event) = (unsafe { borrow(event, "event") }) else { return c"".as_ptr() };
        // SAFETY: the caller passes NULL or a place for a number.
        let _ = unsafe { write(len, event.len, "len") };
        event.json.as_ptr().cast()
    })
}

/// Takes this JSON object of len bytes in place of the event, should the callback
/// answer PHC_KEEP. It is read like that of phc_capture_json when the callback
/// has returned; if it is refused, the event is dropped. It is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_outgoing_replace(
    event: *mut phc_outgoing,
    json: *const c_char,
    len: usize,
) -> phc_status {
    guard(|| {
        let replace = || {
            // SAFETY: the caller passes the event of its callback, or NULL, and
            // a text of len bytes.
            let (event, json) = unsafe { (borrow_mut(event, "event")?, sized(json, len, "json")?) };
            event.replacement = Some(json.to_vec());
            Ok(())
        };
        answer(replace())
    })
}

/// Counts one event that the host's own before_send has dropped before any
/// capture call: bindings run that hook in their own language.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_count_dropped(client: *mut phc_client) -> phc_status {
    guard(|| {
        // SAFETY: the caller passes NULL or a live client.
        answer(unsafe { share(client, "client") }.map(crate::client::Client::count_dropped))
    })
}
