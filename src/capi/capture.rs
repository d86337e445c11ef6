//! Captures, and what is added to them.

use std::ffi::c_char;

use super::client::phc_client;
use super::event::phc_event;
use super::guard::{guard, not_in_callback};
use super::handle::{borrow, share, take};
use super::status::{PHC_QUEUE_FULL, answer, phc_status};
use super::text::{copy_out, optional, required, sized, utf8, write_uuid};
use crate::event::EventInput;
use crate::status::Error;

/// Captures an event with properties given as one JSON object (NULL: none).
/// Never waits, unless the setting overflow is block. Anything but PHC_OK means
/// that the event was not taken; phc_last_error says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture(
    client: *mut phc_client,
    distinct_id: *const c_char,
    event: *const c_char,
    properties_json: *const c_char,
) -> phc_status {
    guard(|| {
        let capture = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, distinct_id, event, properties) = unsafe {
                (
                    share(client, "client")?,
                    required(distinct_id, "distinct_id")?,
                    required(event, "event")?,
                    optional(properties_json),
                )
            };
            client.capture(&EventInput::Parts { distinct_id, event, properties }).map(drop)
        };
        answer(capture())
    })
}

/// Captures a whole event given as one JSON object of len bytes: event and
/// distinct_id; and, where known, properties, timestamp (RFC 3339 with an
/// offset), uuid, $set, $set_once, groups, options, session_id, window_id. Any
/// other key is an error. uuid_out (37 bytes, NULL is fine) gets the event's
/// uuid. The one call that bindings need.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture_json(
    client: *mut phc_client,
    json: *const c_char,
    len: usize,
    uuid_out: *mut c_char,
) -> phc_status {
    guard(|| {
        let capture = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, json) = unsafe { (share(client, "client")?, sized(json, len, "json")?) };
            let uuid = client.capture(&EventInput::Json(json))?;
            // SAFETY: as above.
            unsafe { write_uuid(uuid, uuid_out) };
            Ok(())
        };
        answer(capture())
    })
}

/// Captures a built event and frees it, whatever the answer; only on
/// PHC_QUEUE_FULL it stays the caller's, to be tried again or freed. uuid_out
/// (37 bytes, NULL is fine) gets the event's uuid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture_event(
    client: *mut phc_client,
    event: *mut phc_event,
    uuid_out: *mut c_char,
) -> phc_status {
    guard(|| {
        let capture = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, builder) = unsafe { (share(client, "client")?, borrow(event, "event")?) };
            let builder = &builder.builder;
            let uuid = client.capture(&EventInput::Built(builder))?;
            // SAFETY: as above.
            unsafe { write_uuid(uuid, uuid_out) };
            Ok(())
        };
        let status = answer(capture());
        if status != PHC_QUEUE_FULL {
            // SAFETY: the event is the library's now.
            if let Some(event) = unsafe { take(event) } {
                event.builder.keep();
            }
        }
        status
    })
}

/// Captures $identify: sets person properties. set_json and set_once_json are
/// JSON objects or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_identify(
    client: *mut phc_client,
    distinct_id: *const c_char,
    set_json: *const c_char,
    set_once_json: *const c_char,
) -> phc_status {
    guard(|| {
        let capture = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, distinct_id, set, set_once) = unsafe {
                (
                    share(client, "client")?,
                    required(distinct_id, "distinct_id")?,
                    optional(set_json),
                    optional(set_once_json),
                )
            };
            client.capture(&EventInput::Identify { distinct_id, set, set_once }).map(drop)
        };
        answer(capture())
    })
}

/// Captures $create_alias: from now on alias is the same person as distinct_id,
/// which is the canonical one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_alias(
    client: *mut phc_client,
    distinct_id: *const c_char,
    alias: *const c_char,
) -> phc_status {
    guard(|| {
        let capture = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, distinct_id, alias) = unsafe {
                (share(client, "client")?, required(distinct_id, "distinct_id")?, required(alias, "alias")?)
            };
            client.capture(&EventInput::Alias { distinct_id, alias }).map(drop)
        };
        answer(capture())
    })
}

/// Captures $groupidentify: sets properties of a group. set_json is a JSON object
/// or NULL; distinct_id may be NULL and is then "$<type>_<key>".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_group_identify(
    client: *mut phc_client,
    group_type: *const c_char,
    group_key: *const c_char,
    set_json: *const c_char,
    distinct_id: *const c_char,
) -> phc_status {
    guard(|| {
        let capture = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, group_type, group_key, set, distinct_id) = unsafe {
                (
                    share(client, "client")?,
                    required(group_type, "group_type")?,
                    required(group_key, "group_key")?,
                    optional(set_json),
                    optional(distinct_id),
                )
            };
            client.capture(&EventInput::GroupIdentify { group_type, group_key, set, distinct_id }).map(drop)
        };
        answer(capture())
    })
}

/// Adds a property to every event from now on (a super property), in place of an
/// earlier one of that key. value_json is any JSON value. What an event itself
/// has wins over it. It stays in a forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_register(
    client: *mut phc_client,
    key: *const c_char,
    value_json: *const c_char,
) -> phc_status {
    guard(|| {
        let register = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, key, value) = unsafe {
                (share(client, "client")?, required(key, "key")?, required(value_json, "value_json")?)
            };
            not_in_callback()?;
            client.register(utf8(key, "key")?, value)
        };
        answer(register())
    })
}

/// Adds a super property no longer. One that was never registered is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_unregister(client: *mut phc_client, key: *const c_char) -> phc_status {
    guard(|| {
        let unregister = || {
            // SAFETY: the caller passes NULL or pointers as the header asks for.
            let (client, key) = unsafe { (share(client, "client")?, required(key, "key")?) };
            not_in_callback()?;
            client.unregister(utf8(key, "key")?);
            Ok(())
        };
        answer(unregister())
    })
}

/// From now on captures take no event and answer PHC_OPTED_OUT. What was
/// captured before is still sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_opt_out(client: *mut phc_client) -> phc_status {
    guard(|| set_opted_out(client, true))
}

/// Captures take events again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_opt_in(client: *mut phc_client) -> phc_status {
    guard(|| set_opted_out(client, false))
}

/// With the setting test_mode: the wire bytes of the oldest captured event, as one
/// JSON object, into a buffer of len bytes, NUL included. Answers the length that
/// the whole text needs without the NUL, like snprintf; the event is taken away
/// only when it fits. 0: there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_test_next(client: *mut phc_client, buf: *mut c_char, len: usize) -> usize {
    guard(|| {
        let mut needed = 0;
        // SAFETY: the caller passes NULL or a live client.
        if let Ok(client) = unsafe { share(client, "client") } {
            client.look_at_captured(|event| {
                // SAFETY: the caller passes NULL or a buffer of len bytes.
                needed = unsafe { copy_out(&String::from_utf8_lossy(event), buf, len) };
                needed < len && !buf.is_null()
            });
        }
        needed
    })
}

fn set_opted_out(client: *mut phc_client, opted_out: bool) -> phc_status {
    // SAFETY: the caller passes NULL or a live client.
    let client = unsafe { share(client, "client") };
    let set = |client: &crate::client::Client| -> Result<(), Error> {
        not_in_callback()?;
        client.set_opted_out(opted_out);
        Ok(())
    };
    answer(client.and_then(set))
}
