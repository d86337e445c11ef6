//! Versions, statuses and the last error.

use std::ffi::c_char;

use super::guard::guard;
use super::rules;
use super::text::{UUID_SIZE, last_error, last_http_status, set_last_error};
use crate::status::{Error, Status};

/// The outcome of a call: PHC_OK, or the number of what was wrong. It is a plain integer,
/// so that a number that a program does not know yet is not undefined behaviour.
pub type phc_status = i32;

/// Success.
pub const PHC_OK: phc_status = 0;
/// An argument is NULL or out of range; phc_last_error() names it.
pub const PHC_INVALID_ARGUMENT: phc_status = 1;
/// The key or the value of a setting is not accepted; phc_last_error() says why.
pub const PHC_INVALID_SETTING: phc_status = 2;
/// The client has an empty project key and sends nothing.
pub const PHC_DISABLED: phc_status = 3;
/// The client was closed.
pub const PHC_CLOSED: phc_status = 4;
/// The queue is full; the event was not taken.
pub const PHC_QUEUE_FULL: phc_status = 5;
/// The time limit passed first; nothing was abandoned.
pub const PHC_TIMEOUT: phc_status = 6;
/// Everything is settled, but some events were lost.
pub const PHC_LOST_EVENTS: phc_status = 7;
/// The function cannot be called from inside this callback.
pub const PHC_REENTRANT: phc_status = 8;
/// A client of this name is open with different settings.
pub const PHC_CONFLICT: phc_status = 9;
/// The JSON text is malformed or has the wrong shape; phc_last_error() says where.
pub const PHC_INVALID_JSON: phc_status = 10;
/// The event name must be text of 1 to 200 bytes.
pub const PHC_INVALID_EVENT: phc_status = 11;
/// The distinct_id must be text of 1 to 200 bytes.
pub const PHC_INVALID_DISTINCT_ID: phc_status = 12;
/// The timestamp must be RFC 3339 with an offset, in a year of four digits.
pub const PHC_INVALID_TIMESTAMP: phc_status = 13;
/// A property has a value that cannot be sent; phc_last_error() names it.
pub const PHC_INVALID_PROPERTY: phc_status = 14;
/// The event is larger than the setting max_event_bytes.
pub const PHC_EVENT_TOO_LARGE: phc_status = 15;
/// The client is opted out; the event was not taken.
pub const PHC_OPTED_OUT: phc_status = 16;
/// The before_send callback discarded the event, or replaced it by one that is refused.
pub const PHC_BEFORE_SEND: phc_status = 17;
/// An internal error in libphc; the event was not taken. Please report it.
pub const PHC_INTERNAL: phc_status = 18;
/// The system refused a thread, a descriptor, memory or randomness; try again later.
pub const PHC_OUT_OF_RESOURCES: phc_status = 19;
/// Some flags have no value without asking the server; the others have theirs.
pub const PHC_WOULD_WAIT: phc_status = 20;
/// The server did not return values or definitions of flags, or a remote config; phc_last_error says why.
pub const PHC_UNAVAILABLE: phc_status = 21;
/// The disk did not take everything, or the client has no spool; phc_last_error() says which.
pub const PHC_SPOOL: phc_status = 22;

/// No time limit, for functions with a timeout in milliseconds. 0 does not wait.
pub const PHC_NO_LIMIT: u32 = u32::MAX;

/// The size of a buffer for the text of a uuid: 36 characters and a NUL.
pub const PHC_UUID_SIZE: usize = 37;
const _: () = assert!(PHC_UUID_SIZE == UUID_SIZE);

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The version of the binary interface that this header describes; see phc_abi_version.
pub const PHC_ABI_VERSION: u32 = 1;

/// The status of a call. The text of an error is kept for phc_last_error.
pub(super) fn status_of(result: Result<(), Error>) -> phc_status {
    match result {
        Ok(()) => PHC_OK,
        Err(error) => {
            set_last_error(&error);
            error.status.number()
        }
    }
}

/// Returns the version of the library, such as "0.1.0". Compare it with PHC_VERSION, the
/// version of the header. Static text. Safe from any thread.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub extern "C" fn phc_version() -> *const c_char {
    guard(&rules::phc_version, || VERSION.as_ptr().cast())
}

/// Returns the version of the library as a number, in the form of PHC_VERSION_NUMBER: major,
/// minor and patch in a byte each, 0x000100 for 0.1.0. Safe from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_version_number() -> u32 {
    guard(&rules::phc_version_number, version_number)
}

/// The value of `PHC_VERSION_NUMBER`.
fn version_number() -> u32 {
    let parts =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    parts.iter().fold(0, |number, part| number << 8 | part.parse().unwrap_or(0))
}

/// Returns the version of the binary interface. A program or binding must not use the library
/// if it differs from the PHC_ABI_VERSION of the header that it was built with. Safe from any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_abi_version() -> u32 {
    guard(&rules::phc_abi_version, || PHC_ABI_VERSION)
}

/// Returns what a status means and what to do next. Static text, for any number. Safe from
/// any thread.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub extern "C" fn phc_status_message(status: phc_status) -> *const c_char {
    guard(&rules::phc_status_message, || Status::from_number(status).meaning_c().as_ptr())
}

/// Returns the short name of a status, such as "queue_full". Static text, for any number.
/// Safe from any thread.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub extern "C" fn phc_status_name(status: phc_status) -> *const c_char {
    guard(&rules::phc_status_name, || Status::from_number(status).name_c().as_ptr())
}

/// Returns what exactly was wrong with the last call that failed on this thread: the argument,
/// the key, the byte; at most 1023 bytes. Empty if no call has failed. The text belongs to the
/// thread and is valid until the next call that fails on it.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub extern "C" fn phc_last_error() -> *const c_char {
    guard(&rules::phc_last_error, last_error)
}

/// Returns the HTTP status of the server's response, such as 401, if that is why the last call that
/// failed on this thread did; 0 if it failed for another reason, or if no call has failed. Only calls
/// for flags, their definitions and remote configs have one. While the server is down and they return
/// without asking it, it is that of its last response. For events, see phc_report_http_status. Safe
/// from any thread.
#[unsafe(no_mangle)]
pub extern "C" fn phc_last_http_status() -> u32 {
    guard(&rules::phc_last_http_status, || last_http_status().into())
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
            PHC_WOULD_WAIT,
            PHC_UNAVAILABLE,
            PHC_SPOOL,
        ];
        let all: Vec<i32> = Status::ALL.iter().map(|(status, ..)| status.number()).collect();
        assert_eq!(constants.to_vec(), all);
        assert_eq!(PHC_QUEUE_FULL, Status::QUEUE_FULL.number());
        assert_eq!(PHC_INTERNAL, Status::INTERNAL.number());
    }

    #[test]
    fn the_version_number_has_a_byte_for_each_part() {
        let number = version_number();
        let text = format!("{}.{}.{}", number >> 16, number >> 8 & 0xFF, number & 0xFF);
        assert_eq!(text, env!("CARGO_PKG_VERSION"));
    }
}
