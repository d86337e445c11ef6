//! phc_event: an event that is built property by property.

use std::ffi::{c_char, c_int};

use super::guard::guard;
use super::handle::{Boxed, borrow_mut, take};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{length, required, set_last_error, sized};
use crate::event::EventBuilder;
use crate::status::Error;

/// An event that is being built. It belongs to one thread at a time. A function whose name ends
/// in _n takes texts with their lengths in bytes, which may contain NUL. A key that is set again,
/// at the top level or inside the same object, is sent once, with its last value, in any position
/// among the others; keys are compared as they are sent. A call that fails leaves the earlier
/// value in place. JSON text is sent as it is, with the keys that it has. Inside an array, keys
/// must be NULL.
pub struct phc_event {
    // The builder is reused; the handle is not, so that tools that look for misused memory
    // find an event that is used or freed after its end.
    pub(super) builder: Box<EventBuilder>,
}

impl Boxed for phc_event {}

/// Begins an event. NULL texts count as empty, which the capture will refuse. Pass it to
/// phc_capture_event or free it with phc_event_free. Returns NULL only without memory for the
/// texts, or after an internal error. Every function that adds to an event returns
/// PHC_OUT_OF_RESOURCES when there is no memory for it, and then changes nothing.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_new(distinct_id: *const c_char, event: *const c_char) -> *mut phc_event {
    // SAFETY: the caller passes NULL or NUL-terminated texts.
    unsafe { phc_event_new_n(distinct_id, length(distinct_id), event, length(event)) }
}

/// Begins an event like phc_event_new.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_new_n(
    distinct_id: *const c_char,
    distinct_id_len: usize,
    event: *const c_char,
    event_len: usize,
) -> *mut phc_event {
    guard(&rules::phc_event_new_n, || {
        // SAFETY: the caller passes NULL or texts of these lengths.
        let (distinct_id, event) =
            unsafe { (sized(distinct_id, distinct_id_len, "distinct_id"), sized(event, event_len, "event")) };
        match EventBuilder::take(distinct_id.unwrap_or_default(), event.unwrap_or_default()) {
            Ok(builder) => phc_event { builder }.into_raw(),
            Err(error) => {
                set_last_error(&error);
                std::ptr::null_mut()
            }
        }
    })
}

/// Frees an event that was not captured. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_free(event: *mut phc_event) {
    guard(&rules::phc_event_free, || {
        // SAFETY: the caller passes NULL or an event that it never uses again.
        if let Some(event) = unsafe { take(event) } {
            event.builder.keep();
        }
    });
}

/// Runs a change of the builder.
///
/// # Safety
/// The event is NULL or live, and used by no other thread at the same time.
unsafe fn change(
    event: *mut phc_event,
    change: impl FnOnce(&mut EventBuilder) -> Result<(), Error>,
) -> phc_status {
    // SAFETY: the caller passes NULL or an event that only this thread uses.
    let event = unsafe { borrow_mut(event, "event") };
    status_of(event.and_then(|event| change(&mut event.builder)))
}

/// A key with its length; `None` if it is NULL, as inside arrays.
///
/// # Safety
/// The key is NULL or valid for `len` bytes that do not change while the slice lives.
unsafe fn key_n<'a>(key: *const c_char, len: usize) -> Result<Option<&'a [u8]>, Error> {
    // SAFETY: the caller passes NULL or a text of `len` bytes.
    if key.is_null() { Ok(None) } else { unsafe { sized(key, len, "key") }.map(Some) }
}

/// Sets a property to text. Bad UTF-8 is replaced by U+FFFD, and counted.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_string(
    event: *mut phc_event,
    key: *const c_char,
    value: *const c_char,
) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_string_n(event, key, length(key), value, length(value)) }
}

/// Does the same as phc_event_set_string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_string_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
    value: *const c_char,
    value_len: usize,
) -> phc_status {
    guard(&rules::phc_event_set_string_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe {
            change(event, |event| event.set_text(key_n(key, key_len)?, sized(value, value_len, "value")?))
        }
    })
}

/// Sets a property to a whole number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_int(
    event: *mut phc_event,
    key: *const c_char,
    value: i64,
) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_int_n(event, key, length(key), value) }
}

/// Does the same as phc_event_set_int.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_int_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
    value: i64,
) -> phc_status {
    guard(&rules::phc_event_set_int_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.set_integer(key_n(key, key_len)?, value)) }
    })
}

/// Sets a property to a whole number that is not negative.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_uint(
    event: *mut phc_event,
    key: *const c_char,
    value: u64,
) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_uint_n(event, key, length(key), value) }
}

/// Does the same as phc_event_set_uint.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_uint_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
    value: u64,
) -> phc_status {
    guard(&rules::phc_event_set_uint_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.set_unsigned(key_n(key, key_len)?, value)) }
    })
}

/// Sets a property to a number. NaN and infinities return PHC_INVALID_PROPERTY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_double(
    event: *mut phc_event,
    key: *const c_char,
    value: f64,
) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_double_n(event, key, length(key), value) }
}

/// Does the same as phc_event_set_double.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_double_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
    value: f64,
) -> phc_status {
    guard(&rules::phc_event_set_double_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.set_number(key_n(key, key_len)?, value)) }
    })
}

/// Sets a property to false (0) or true (any other value).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_bool(
    event: *mut phc_event,
    key: *const c_char,
    value: c_int,
) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_bool_n(event, key, length(key), value) }
}

/// Does the same as phc_event_set_bool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_bool_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
    value: c_int,
) -> phc_status {
    guard(&rules::phc_event_set_bool_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.set_bool(key_n(key, key_len)?, value != 0)) }
    })
}

/// Sets a property to null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_null(event: *mut phc_event, key: *const c_char) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_null_n(event, key, length(key)) }
}

/// Does the same as phc_event_set_null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_null_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
) -> phc_status {
    guard(&rules::phc_event_set_null_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.set_null(key_n(key, key_len)?)) }
    })
}

/// Sets a property to a value given as JSON text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_json(
    event: *mut phc_event,
    key: *const c_char,
    json: *const c_char,
) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_json_n(event, key, length(key), json, length(json)) }
}

/// Does the same as phc_event_set_json.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_json_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
    json: *const c_char,
    json_len: usize,
) -> phc_status {
    guard(&rules::phc_event_set_json_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.set_json(key_n(key, key_len)?, sized(json, json_len, "json")?)) }
    })
}

/// Begins an object: the properties that are set until the matching phc_event_end are its
/// members.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_begin_object(event: *mut phc_event, key: *const c_char) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_begin_object_n(event, key, length(key)) }
}

/// Does the same as phc_event_begin_object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_begin_object_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
) -> phc_status {
    guard(&rules::phc_event_begin_object_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.begin_object(key_n(key, key_len)?)) }
    })
}

/// Begins an array: the values that are set until the matching phc_event_end, with NULL as the
/// key, are its elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_begin_array(event: *mut phc_event, key: *const c_char) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_begin_array_n(event, key, length(key)) }
}

/// Does the same as phc_event_begin_array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_begin_array_n(
    event: *mut phc_event,
    key: *const c_char,
    key_len: usize,
) -> phc_status {
    guard(&rules::phc_event_begin_array_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe { change(event, |event| event.begin_array(key_n(key, key_len)?)) }
    })
}

/// Ends the object or array that was begun last. Returns PHC_INVALID_ARGUMENT if there is none.
/// An event with an object or array that has not ended cannot be captured.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_end(event: *mut phc_event) -> phc_status {
    guard(&rules::phc_event_end, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses.
        unsafe { change(event, EventBuilder::end) }
    })
}

/// Adds the event to a group: phc_event_set_group(event, "company", "acme"). If a type is set again,
/// the last key is sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_group(
    event: *mut phc_event,
    group_type: *const c_char,
    group_key: *const c_char,
) -> phc_status {
    // SAFETY: the caller passes NULL or NUL-terminated texts, and what the twin asks for.
    unsafe { phc_event_set_group_n(event, group_type, length(group_type), group_key, length(group_key)) }
}

/// Does the same as phc_event_set_group.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_group_n(
    event: *mut phc_event,
    group_type: *const c_char,
    group_type_len: usize,
    group_key: *const c_char,
    group_key_len: usize,
) -> phc_status {
    guard(&rules::phc_event_set_group_n, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or texts of these lengths.
        unsafe {
            change(event, |event| {
                event.set_group(
                    sized(group_type, group_type_len, "group_type")?,
                    sized(group_key, group_key_len, "group_key")?,
                )
            })
        }
    })
}

/// Sets the uuid of the event. If it is not a uuid, the capture replaces it by a new one, and
/// counts that.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_uuid(event: *mut phc_event, uuid: *const c_char) -> phc_status {
    guard(&rules::phc_event_set_uuid, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or NUL-terminated texts.
        unsafe {
            change(event, |event| {
                event.set_uuid(required(uuid, "uuid")?);
                Ok(())
            })
        }
    })
}

/// Sets when the event happened, in milliseconds since 1970 UTC, in the years 0000 to 9999; others
/// return PHC_INVALID_TIMESTAMP. Without it, it is the time of the capture.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_timestamp_ms(event: *mut phc_event, unix_ms: i64) -> phc_status {
    guard(&rules::phc_event_set_timestamp_ms, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses.
        unsafe { change(event, |event| event.set_timestamp_ms(unix_ms)) }
    })
}

/// Sets when the event happened, as RFC 3339 text with an offset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_timestamp(
    event: *mut phc_event,
    rfc3339: *const c_char,
) -> phc_status {
    guard(&rules::phc_event_set_timestamp, || {
        // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or NUL-terminated texts.
        unsafe { change(event, |event| event.set_timestamp(required(rfc3339, "rfc3339")?)) }
    })
}
