//! phc_event: an event that is put together property by property.

use std::ffi::{c_char, c_int};

use super::guard::guard;
use super::handle::{Boxed, borrow_mut, take};
use super::status::{answer, phc_status};
use super::text::{required, sized};
use crate::event::EventBuilder;
use crate::status::Error;

/// A growing event. It belongs to one thread at a time.
pub struct phc_event {
    // The builder is used again; the handle is not, so that whoever looks for
    // misused memory finds an event that is used or freed after its end.
    pub(super) builder: Box<EventBuilder>,
}

impl Boxed for phc_event {}

/// Begins an event. NULL texts are taken for empty ones, which the capture will
/// refuse. To be given to phc_capture_event, or freed by phc_event_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_new(distinct_id: *const c_char, event: *const c_char) -> *mut phc_event {
    guard(|| {
        // SAFETY: the caller passes NULL or NUL-terminated text.
        let (distinct_id, event) =
            unsafe { (required(distinct_id, "distinct_id"), required(event, "event")) };
        let builder = EventBuilder::take(distinct_id.unwrap_or_default(), event.unwrap_or_default());
        phc_event { builder }.into_raw()
    })
}

/// Frees an event that was not captured. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_free(event: *mut phc_event) {
    // SAFETY: the caller passes NULL or an event that is never used again.
    guard(|| {
        if let Some(event) = unsafe { take(event) } {
            event.builder.keep();
        }
    });
}

/// Runs a setter of the builder. `event` and `key` come straight from C.
///
/// # Safety
/// They are NULL, or as the header asks for.
unsafe fn set(
    event: *mut phc_event,
    key: *const c_char,
    setter: impl FnOnce(&mut EventBuilder, &[u8]) -> Result<(), Error>,
) -> phc_status {
    // SAFETY: as the caller says.
    let (event, key) = unsafe { (borrow_mut(event, "event"), required(key, "key")) };
    answer(event.and_then(|event| setter(&mut event.builder, key?)))
}

/// Sets a property to text. Setting a key again replaces its value. Bad UTF-8 is
/// replaced by U+FFFD, and counted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_string(
    event: *mut phc_event,
    key: *const c_char,
    value: *const c_char,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe { set(event, key, |event, key| event.set_text(Some(key), required(value, "value")?)) })
}

/// Sets a property to text of len bytes, which may hold NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_string_n(
    event: *mut phc_event,
    key: *const c_char,
    value: *const c_char,
    len: usize,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe { set(event, key, |event, key| event.set_text(Some(key), sized(value, len, "value")?)) })
}

/// Sets a property to a whole number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_int(
    event: *mut phc_event,
    key: *const c_char,
    value: i64,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe { set(event, key, |event, key| event.set_integer(Some(key), value)) })
}

/// Sets a property to a number. NaN and infinities answer PHC_INVALID_PROPERTY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_double(
    event: *mut phc_event,
    key: *const c_char,
    value: f64,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe { set(event, key, |event, key| event.set_number(Some(key), value)) })
}

/// Sets a property to false (0) or true (any other value).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_bool(
    event: *mut phc_event,
    key: *const c_char,
    value: c_int,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe { set(event, key, |event, key| event.set_bool(Some(key), value != 0)) })
}

/// Sets a property to a value given as JSON text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_json(
    event: *mut phc_event,
    key: *const c_char,
    json: *const c_char,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe { set(event, key, |event, key| event.set_json(Some(key), required(json, "json")?)) })
}

/// Says that the event belongs to a group: set_group(event, "company", "acme").
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_group(
    event: *mut phc_event,
    group_type: *const c_char,
    group_key: *const c_char,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe {
        set(event, group_type, |event, group_type| {
            event.set_group(group_type, required(group_key, "group_key")?)
        })
    })
}

/// Gives the event its uuid. What is no uuid is replaced by a new one at the
/// capture, and counted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_uuid(event: *mut phc_event, uuid: *const c_char) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe {
        set(event, uuid, |event, uuid| {
            event.set_uuid(uuid);
            Ok(())
        })
    })
}

/// Says when it happened, in milliseconds since 1970 UTC. Years 0000 to 9999;
/// others answer PHC_INVALID_TIMESTAMP. Without it, it is the time of the
/// capture.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_timestamp_ms(event: *mut phc_event, unix_ms: i64) -> phc_status {
    // SAFETY: the caller passes NULL or a live event.
    guard(|| {
        answer(
            unsafe { borrow_mut(event, "event") }.and_then(|event| event.builder.set_timestamp_ms(unix_ms)),
        )
    })
}

/// Says when it happened, as RFC 3339 text with an offset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_timestamp(
    event: *mut phc_event,
    rfc3339: *const c_char,
) -> phc_status {
    // SAFETY: the caller passes NULL or pointers as the header asks for.
    guard(|| unsafe { set(event, rfc3339, EventBuilder::set_timestamp) })
}
