//! phc_flags_query: for whom feature flags are evaluated, and which.

use std::ffi::{c_char, c_int};

use super::guard::guard;
use super::handle::{Boxed, borrow_mut, take};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{bad_argument, optional, required, sized};
use crate::flags::Query;
use crate::json::{NOT_AN_OBJECT, SyntaxError, repair};
use crate::status::{Error, Status};

/// For whom feature flags are evaluated, what is known of them, and which flags are wanted: all of
/// them, unless keys are added. It belongs to one thread at a time while it is changed; after
/// that any number of threads may evaluate it, any number of times. Bad UTF-8 is replaced by
/// U+FFFD.
pub struct phc_flags_query(pub(super) Query);

impl Boxed for phc_flags_query {}

/// Begins a query for a person. NULL counts as empty: flags that need to know who the person is
/// then have no value. The distinct_id is also the person's property of that name, unless another
/// value is set. Returns NULL only after an internal error.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_new(distinct_id: *const c_char) -> *mut phc_flags_query {
    guard(&rules::phc_flags_query_new, || {
        // SAFETY: the caller passes NULL or NUL-terminated text.
        let distinct_id = unsafe { optional(distinct_id) }.unwrap_or_default();
        phc_flags_query(Query::new(&repair(distinct_id))).into_raw()
    })
}

/// Frees a query. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_free(query: *mut phc_flags_query) {
    guard(&rules::phc_flags_query_free, || {
        // SAFETY: the caller passes NULL or a query that it never uses again.
        drop(unsafe { take(query) });
    });
}

/// Runs a change of the query.
///
/// # Safety
/// The query is NULL or live, and used by no other thread at the same time.
unsafe fn change(
    query: *mut phc_flags_query,
    change: impl FnOnce(&mut Query) -> Result<(), Error>,
) -> phc_status {
    // SAFETY: the caller passes NULL or a query that only this thread uses.
    let query = unsafe { borrow_mut(query, "query") };
    status_of(query.and_then(|query| change(&mut query.0)))
}

/// An option of a query, for phc_flags_query_set_option.
pub type phc_flags_option = i32;
/// The definitions that the client has are not used: the server evaluates all flags. 0 or 1; 0 unless
/// it is set.
pub const PHC_FLAGS_REMOTE_ONLY: phc_flags_option = 1;
/// The server does not look up where this machine is. 0 or 1; the setting disable_geoip unless it is
/// set.
pub const PHC_FLAGS_DISABLE_GEOIP: phc_flags_option = 2;

/// Reads of the query's snapshots are not captured. 0 or 1; 0 unless it is set.
pub const PHC_FLAGS_NO_EVENTS: phc_flags_option = 3;

/// Sets an option of the query to 0 or 1. Returns PHC_INVALID_ARGUMENT for another value, and for an
/// option that is not known.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_set_option(
    query: *mut phc_flags_query,
    option: phc_flags_option,
    value: c_int,
) -> phc_status {
    guard(&rules::phc_flags_query_set_option, || {
        // SAFETY: the caller passes NULL or a query that only this thread uses.
        unsafe {
            change(query, |query| {
                let value = match value {
                    0 => false,
                    1 => true,
                    _ => return Err(bad_argument("value", "neither 0 nor 1")),
                };
                match option {
                    PHC_FLAGS_REMOTE_ONLY => query.set_remote_only(value),
                    PHC_FLAGS_NO_EVENTS => query.set_silent(value),
                    PHC_FLAGS_DISABLE_GEOIP => query.set_geoip_disable(value),
                    _ => return Err(bad_argument("option", "unknown")),
                }
                Ok(())
            })
        }
    })
}

/// The error of an argument that is not the JSON that is expected. `Ok(false)` stands for another type.
fn checked(name: &str, read: Result<bool, SyntaxError>) -> Result<(), Error> {
    match read {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::new(Status::INVALID_JSON, format_args!("{name}: {NOT_AN_OBJECT}"))),
        Err(error) => Err(Error::new(Status::INVALID_JSON, format_args!("{name} is refused {error}"))),
    }
}

/// Sets a property of the person to a value given as JSON text: "\"pro\"", "42", "true". Filters of
/// flags compare it; a flag with a filter on a property that is not set has no value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_set_person(
    query: *mut phc_flags_query,
    key: *const c_char,
    value_json: *const c_char,
) -> phc_status {
    guard(&rules::phc_flags_query_set_person, || {
        // SAFETY: the caller passes NULL or a query that only this thread uses, and NULL or
        // NUL-terminated texts.
        unsafe {
            change(query, |query| {
                let (key, json) = (required(key, "key")?, required(value_json, "value_json")?);
                checked("value_json", query.set_person(&repair(key), json).map(|()| true))
            })
        }
    })
}

/// Sets properties of the person, given as one JSON object of len bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_set_person_json(
    query: *mut phc_flags_query,
    object: *const c_char,
    len: usize,
) -> phc_status {
    guard(&rules::phc_flags_query_set_person_json, || {
        // SAFETY: the caller passes NULL or a query that only this thread uses, and NULL or a text
        // of `len` bytes.
        unsafe {
            change(query, |query| checked("object", query.set_person_json(sized(object, len, "object")?)))
        }
    })
}

/// Puts the person into a group: phc_flags_query_set_group(query, "company", "acme", "{}"). If a
/// type is set again, the last group counts. properties_json has the properties of the group as one
/// JSON object; with NULL the group has only $group_key. With an empty group_key, conditions for
/// groups of the type do not apply, as for a person who is in none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_set_group(
    query: *mut phc_flags_query,
    group_type: *const c_char,
    group_key: *const c_char,
    properties_json: *const c_char,
) -> phc_status {
    guard(&rules::phc_flags_query_set_group, || {
        // SAFETY: the caller passes NULL or a query that only this thread uses, and NULL or
        // NUL-terminated texts.
        unsafe {
            change(query, |query| {
                let kind = repair(required(group_type, "group_type")?);
                let key = repair(required(group_key, "group_key")?);
                checked("properties_json", query.set_group(&kind, &key, optional(properties_json)))
            })
        }
    })
}

/// Sets the device, for flags that put devices and not persons into a rollout. Without it the
/// person's property $device_id counts.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_set_device_id(
    query: *mut phc_flags_query,
    device_id: *const c_char,
) -> phc_status {
    guard(&rules::phc_flags_query_set_device_id, || {
        // SAFETY: the caller passes NULL or a query that only this thread uses, and NULL or
        // NUL-terminated text.
        unsafe {
            change(query, |query| {
                query.set_device_id(&repair(required(device_id, "device_id")?));
                Ok(())
            })
        }
    })
}

/// Asks for the flag with this key; without any, all flags are evaluated.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_add_key(
    query: *mut phc_flags_query,
    key: *const c_char,
) -> phc_status {
    guard(&rules::phc_flags_query_add_key, || {
        // SAFETY: the caller passes NULL or a query that only this thread uses, and NULL or
        // NUL-terminated text.
        unsafe {
            change(query, |query| {
                query.add_key(&repair(required(key, "key")?));
                Ok(())
            })
        }
    })
}

/// Adds an evaluation context, such as "web". A flag with contexts then exists only if one of its
/// contexts was added; flags without contexts always exist. Without this call the setting
/// evaluation_contexts counts, and if that is empty, all flags exist.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_query_add_context(
    query: *mut phc_flags_query,
    context: *const c_char,
) -> phc_status {
    guard(&rules::phc_flags_query_add_context, || {
        // SAFETY: the caller passes NULL or a query that only this thread uses, and NULL or
        // NUL-terminated text.
        unsafe {
            change(query, |query| {
                query.add_context(&repair(required(context, "context")?));
                Ok(())
            })
        }
    })
}
