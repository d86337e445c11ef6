//! Captures, and what the client adds to them.

use std::ffi::c_char;

use super::client::phc_client;
use super::event::phc_event;
use super::guard::guard;
use super::handle::{share, take};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{optional, required, sized, utf8, write_uuid};
use crate::client::Client;
use crate::event::EventInput;
use crate::status::{Error, Status};

/// Captures an event and writes its uuid out.
///
/// # Safety
/// `uuid_out` is NULL or valid for writes of `PHC_UUID_SIZE` bytes.
pub(super) unsafe fn capture(
    client: Result<&Client, Error>,
    input: Result<EventInput<'_>, Error>,
    uuid_out: *mut c_char,
) -> phc_status {
    // By reference: to copy what was just put together makes the processor wait for it.
    status_of(match (&client, &input) {
        // SAFETY: the caller passes NULL or a buffer for a uuid.
        (Ok(client), Ok(input)) => client.capture(input).map(|uuid| unsafe { write_uuid(uuid, uuid_out) }),
        (Ok(client), Err(error)) => {
            client.count_refused(error.status);
            input.map(|_| ())
        }
        (Err(_), _) => client.map(|_| ()),
    })
}

/// The arguments of [`phc_capture`].
///
/// # Safety
/// The pointers are NULL or NUL-terminated texts that outlive the input.
unsafe fn parts<'a>(
    distinct_id: *const c_char,
    event: *const c_char,
    properties_json: *const c_char,
) -> Result<EventInput<'a>, Error> {
    // SAFETY: the caller passes NULL or NUL-terminated texts.
    unsafe {
        Ok(EventInput::Parts {
            distinct_id: required(distinct_id, "distinct_id")?,
            event: required(event, "event")?,
            properties: optional(properties_json),
        })
    }
}

/// Captures an event with properties given as one JSON object (NULL for none). As in every
/// capture, white space around the distinct_id is not sent. Never waits, unless the setting overflow
/// is block or spool_safety is call. With any other status than PHC_OK the event was not taken, and
/// phc_last_error says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture(
    client: *mut phc_client,
    distinct_id: *const c_char,
    event: *const c_char,
    properties_json: *const c_char,
) -> phc_status {
    guard(&rules::phc_capture, || {
        // SAFETY: the caller passes NULL or a live client, and NULL or NUL-terminated texts.
        unsafe {
            let input = parts(distinct_id, event, properties_json);
            capture(share(client, "client"), input, std::ptr::null_mut())
        }
    })
}

/// Like phc_capture, and writes the event's uuid into uuid_out (PHC_UUID_SIZE bytes; NULL is
/// accepted).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture_get_uuid(
    client: *mut phc_client,
    distinct_id: *const c_char,
    event: *const c_char,
    properties_json: *const c_char,
    uuid_out: *mut c_char,
) -> phc_status {
    guard(&rules::phc_capture_get_uuid, || {
        // SAFETY: the caller passes NULL or a live client, NULL or NUL-terminated texts, and
        // NULL or a buffer for a uuid.
        unsafe {
            let input = parts(distinct_id, event, properties_json);
            capture(share(client, "client"), input, uuid_out)
        }
    })
}

/// Captures a whole event given as one JSON object of len bytes. Its members are event and
/// distinct_id (a string, or a whole number of 64 bits, which is sent as its text) and, where
/// known, properties, timestamp (RFC 3339 with an offset), uuid, $set, $set_once, $unset (a list
/// of names), groups, options, session_id and window_id; any other member is an error. uuid_out
/// (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid. A binding needs no other
/// capture function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture_json(
    client: *mut phc_client,
    json: *const c_char,
    len: usize,
    uuid_out: *mut c_char,
) -> phc_status {
    guard(&rules::phc_capture_json, || {
        // SAFETY: the caller passes NULL or a live client, NULL or a text of `len` bytes, and
        // NULL or a buffer for a uuid.
        unsafe {
            let input = sized(json, len, "json").map(EventInput::Json);
            capture(share(client, "client"), input, uuid_out)
        }
    })
}

/// Captures a built event and frees it, whatever the status is: the event must not be used
/// again. uuid_out (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_capture_event(
    client: *mut phc_client,
    event: *mut phc_event,
    uuid_out: *mut c_char,
) -> phc_status {
    // Outside of the guard, so that the event is freed even if the guard refuses the call.
    // SAFETY: the caller passes NULL or an event that it never uses again.
    let event = unsafe { take(event) };
    guard(&rules::phc_capture_event, || {
        let built = event.as_ref().map(|event| EventInput::Built(&event.builder));
        let input = built.ok_or_else(|| Error::new(Status::INVALID_ARGUMENT, "event is NULL"));
        // SAFETY: the caller passes NULL or a live client, and NULL or a buffer for a uuid.
        let status = unsafe { capture(share(client, "client"), input, uuid_out) };
        if let Some(event) = event {
            event.builder.keep();
        }
        status
    })
}

/// Captures $identify, which sets person properties. set_json and set_once_json are JSON objects
/// or NULL. uuid_out (PHC_UUID_SIZE bytes; NULL is accepted) gets the event's uuid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_identify(
    client: *mut phc_client,
    distinct_id: *const c_char,
    set_json: *const c_char,
    set_once_json: *const c_char,
    uuid_out: *mut c_char,
) -> phc_status {
    guard(&rules::phc_identify, || {
        // SAFETY: the caller passes NULL or a live client, NULL or NUL-terminated texts, and
        // NULL or a buffer for a uuid.
        unsafe {
            let (set, set_once) = (optional(set_json), optional(set_once_json));
            let input = required(distinct_id, "distinct_id").map(|distinct_id| EventInput::Identify {
                distinct_id,
                set,
                set_once,
            });
            capture(share(client, "client"), input, uuid_out)
        }
    })
}

/// Captures $create_alias: from now on alias is the same person as distinct_id, which is the
/// canonical id. An alias is text of 1 to 200 bytes, without the white space around it, as every
/// distinct_id is; for another one it returns PHC_INVALID_ARGUMENT. uuid_out (PHC_UUID_SIZE bytes;
/// NULL is accepted) gets the event's uuid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_alias(
    client: *mut phc_client,
    distinct_id: *const c_char,
    alias: *const c_char,
    uuid_out: *mut c_char,
) -> phc_status {
    guard(&rules::phc_alias, || {
        // SAFETY: the caller passes NULL or a live client, NULL or NUL-terminated texts, and
        // NULL or a buffer for a uuid.
        unsafe {
            let alias = required(alias, "alias");
            let input = required(distinct_id, "distinct_id")
                .and_then(|distinct_id| Ok(EventInput::Alias { distinct_id, alias: alias? }));
            capture(share(client, "client"), input, uuid_out)
        }
    })
}

/// Captures $groupidentify, which sets properties of a group. set_json is a JSON object or NULL;
/// if distinct_id is NULL, it is "$<type>_<key>". uuid_out (PHC_UUID_SIZE bytes; NULL is
/// accepted) gets the event's uuid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_group_identify(
    client: *mut phc_client,
    group_type: *const c_char,
    group_key: *const c_char,
    set_json: *const c_char,
    distinct_id: *const c_char,
    uuid_out: *mut c_char,
) -> phc_status {
    guard(&rules::phc_group_identify, || {
        // SAFETY: the caller passes NULL or a live client, NULL or NUL-terminated texts, and
        // NULL or a buffer for a uuid.
        unsafe {
            let (set, distinct_id) = (optional(set_json), optional(distinct_id));
            let group_key = required(group_key, "group_key");
            let input = required(group_type, "group_type").and_then(|group_type| {
                Ok(EventInput::GroupIdentify { group_type, group_key: group_key?, set, distinct_id })
            });
            capture(share(client, "client"), input, uuid_out)
        }
    })
}

/// Adds a property to every event from now on (a super property), in place of an earlier one with
/// that key. value_json is any JSON value. A property of the event itself has precedence. It stays
/// in a forked child.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_register(
    client: *mut phc_client,
    key: *const c_char,
    value_json: *const c_char,
) -> phc_status {
    guard(&rules::phc_register, || {
        // SAFETY: the caller passes NULL or a live client, and NULL or NUL-terminated texts.
        let (client, key, value) =
            unsafe { (share(client, "client"), required(key, "key"), required(value_json, "value_json")) };
        let register = || client?.register(utf8(key?, "key")?, value?);
        status_of(register())
    })
}

/// Stops adding a super property. One that was never registered is not an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_unregister(client: *mut phc_client, key: *const c_char) -> phc_status {
    guard(&rules::phc_unregister, || {
        // SAFETY: the caller passes NULL or a live client, and NULL or NUL-terminated text.
        let (client, key) = unsafe { (share(client, "client"), required(key, "key")) };
        let unregister = || {
            client?.unregister(utf8(key?, "key")?);
            Ok(())
        };
        status_of(unregister())
    })
}

/// Makes captures refuse events from now on, with PHC_OPTED_OUT. What was captured before is
/// still sent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_opt_out(client: *mut phc_client) -> phc_status {
    guard(&rules::phc_opt_out, || {
        // SAFETY: the caller passes NULL or a live client.
        status_of(unsafe { share(client, "client") }.map(|client| client.set_opted_out(true)))
    })
}

/// Makes captures take events again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_opt_in(client: *mut phc_client) -> phc_status {
    guard(&rules::phc_opt_in, || {
        // SAFETY: the caller passes NULL or a live client.
        status_of(unsafe { share(client, "client") }.map(|client| client.set_opted_out(false)))
    })
}
