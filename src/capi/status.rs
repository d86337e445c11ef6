//! phc_status and what belongs to no type.

use std::ffi::c_char;

use super::guard::guard;
use super::text::{last_error, set_last_error};
use crate::status::{Error, Status};

/// The outcome of a call: PHC_OK, or the number of what was wrong. A plain
/// integer, so that a number that is not known yet is no undefined behaviour.
pub type phc_status = i32;

/// Success.
pub const PHC_OK: phc_status = 0;
/// An argument is NULL or out of its range; phc_last_error() names it.
pub const PHC_INVALID_ARGUMENT: phc_status = 1;
/// The key or the value of a setting is not accepted; phc_config_error() says why.
pub const PHC_INVALID_SETTING: phc_status = 2;
/// The client has an empty project key and sends nothing.
pub const PHC_DISABLED: phc_status = 3;
/// The client was closed.
pub const PHC_CLOSED: phc_status = 4;
/// The queue has reached its bound; the event was not taken.
pub const PHC_QUEUE_FULL: phc_status = 5;
/// The time limit passed first; nothing was abandoned.
pub const PHC_TIMEOUT: phc_status = 6;
/// All is settled, but events were lost since the last flush or close.
pub const PHC_LOST_EVENTS: phc_status = 7;
/// Only captures may be called from inside a callback.
pub const PHC_REENTRANT: phc_status = 8;
/// A client of this name is open with other settings.
pub const PHC_CONFLICT: phc_status = 9;
/// A JSON text is broken or of the wrong shape; phc_last_error() says where.
pub const PHC_INVALID_JSON: phc_status = 10;
/// The event name must be text of 1 to 200 bytes.
pub const PHC_INVALID_EVENT: phc_status = 11;
/// The distinct_id must be text of 1 to 200 bytes.
pub const PHC_INVALID_DISTINCT_ID: phc_status = 12;
/// The timestamp must be RFC 3339 with an offset, in a year of four digits.
pub const PHC_INVALID_TIMESTAMP: phc_status = 13;
/// A property has a value that cannot be sent; phc_last_error() names it.
pub const PHC_INVALID_PROPERTY: phc_status = 14;
/// The event is over max_event_bytes.
pub const PHC_EVENT_TOO_LARGE: phc_status = 15;
/// The client is opted out; the event was not taken.
pub const PHC_OPTED_OUT: phc_status = 16;
/// The before_send callback dropped the event.
pub const PHC_BEFORE_SEND: phc_status = 17;
/// A fault inside libphc; the event was not taken. Please report it.
pub const PHC_INTERNAL: phc_status = 18;
/// The system refused a thread, memory or randomness; try again later.
pub const PHC_OUT_OF_RESOURCES: phc_status = 19;

/// No time limit, where a timeout in milliseconds is expected. 0 is no wait.
pub const PHC_NO_LIMIT: u32 = u32::MAX;

/// Changes when a binding built against another number would break.
pub const PHC_ABI_VERSION: u32 = 1;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The status of a call; the text of an error is kept for phc_last_error.
pub fn answer(result: Result<(), Error>) -> phc_status {
    match result {
        Ok(()) => PHC_OK,
        Err(error) => {
            set_last_error(&error.message);
            error.status.0
        }
    }
}

/// The library's version, "0.1.0". Static text, never NULL. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_version() -> *const c_char {
    guard(|| VERSION.as_ptr().cast())
}

/// The version of the binary interface: to be compared with PHC_ABI_VERSION of
/// the header that a program or binding was built with. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_abi_version() -> u32 {
    guard(|| PHC_ABI_VERSION)
}

/// What a status means and what to do next. Static text, never NULL, for any
/// number. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_status_message(status: phc_status) -> *const c_char {
    guard(|| Status(status).meaning_c().as_ptr())
}

/// The short name of a status, "queue_full". Static text, never NULL, for any
/// number. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_status_name(status: phc_status) -> *const c_char {
    guard(|| Status(status).name_c().as_ptr())
}

/// What exactly was wrong with the last call that failed on this thread: the
/// argument, the key, the byte; at most 1023 bytes. Never NULL; empty when none
/// has failed. The text is the thread's own, good until its next failing call.
#[unsafe(no_mangle)]
pub extern "C" fn phc_last_error() -> *const c_char {
    guard(last_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_the_statuses() {
        let constants = [
            PHC_OK,
            PHC_INVALID_ARGUMENT,
            PHC_INVALID_SETTING,
            PHC_DISABLED,
            PHC_CLOSED,
            PHC_QUEUE_FULL,
            PHC_TIMEOUT,
            PHC_LOST_EVENTS,
            PHC_REENTRANT,
            PHC_CONFLICT,
            PHC_INVALID_JSON,
            PHC_INVALID_EVENT,
            PHC_INVALID_DISTINCT_ID,
            PHC_INVALID_TIMESTAMP,
            PHC_INVALID_PROPERTY,
            PHC_EVENT_TOO_LARGE,
            PHC_OPTED_OUT,
            PHC_BEFORE_SEND,
            PHC_INTERNAL,
            PHC_OUT_OF_RESOURCES,
        ];
        let all: Vec<i32> = Status::ALL.iter().map(|(status, ..)| status.0).collect();
        assert_eq!(constants.to_vec(), all);
        assert_eq!((PHC_QUEUE_FULL, PHC_INTERNAL), (Status::QUEUE_FULL.0, Status::INTERNAL.0));
    }
}
