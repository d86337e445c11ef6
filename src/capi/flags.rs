//! Feature flags: their definitions, their evaluation, and phc_flags, which is what came of it.

use std::ffi::{CStr, c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

use super::client::phc_client;
use super::event::phc_event;
use super::flag_values::{
    PHC_FLAG_ABSENT, REASONS, UNRESOLVED, kind, phc_flag_detail, phc_flag_kind, phc_flag_reason,
    phc_flag_unresolved,
};
use super::flags_query::phc_flags_query;
use super::guard::{free_deferred, guard, guard_or};
use super::handle::{Boxed, borrow, borrow_mut, fill, share, take, write};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::{bad_argument, copy_out, required, set_last_error, sized};
use crate::client::flags::{HandedOut, Reporter};
use crate::client::{Inside, inside};
use crate::flags::{Found, Query, Snapshot};
use crate::json::repair;
use crate::status::{Error, Status};

/// The values of feature flags for one person, as of one evaluation. It never changes, except that
/// it records which flags were read; its functions are safe from any thread, also at the same time,
/// and its free must be the last call. It may outlive its client and newer definitions, and a forked
/// child may use and free what it has inherited. Texts that its functions return live as long as it
/// does.
pub struct phc_flags {
    snapshot: Snapshot,
    /// Where reads are reported, if they are.
    reporter: Option<Arc<Reporter>>,
    handed_out: HandedOut,
}

impl Boxed for phc_flags {}

impl phc_flags {
    fn new(snapshot: Snapshot, reporter: Option<Arc<Reporter>>) -> Self {
        phc_flags { snapshot, reporter, handed_out: HandedOut::default() }
    }

    /// Another snapshot of the same evaluation.
    fn copy(&self, snapshot: Snapshot) -> *mut Self {
        Self::new(snapshot, self.reporter.clone()).into_raw()
    }

    /// The flag with this key, whose value is not read.
    pub(super) fn peek(&self, key: &str) -> Option<Found<'_>> {
        self.snapshot.get(key)
    }

    /// The flag with this key, whose value is read.
    fn read(&self, key: &str) -> Option<Found<'_>> {
        let (found, is_new) = self.snapshot.read(key);
        if is_new && let Some(reporter) = &self.reporter {
            report(reporter, &self.snapshot, key);
        }
        found
    }

    /// Notes that the flag with this key was read. `take` gets the next event that is to be captured for it, if any.
    pub(super) fn hand_out(&self, key: &str, take: impl FnMut(&[u8]) -> bool) {
        self.snapshot.read(key);
        if let Some(reporter) = &self.reporter {
            reporter.hand_out(&self.snapshot, &self.handed_out, key, take);
        }
    }
}

/// Reports a read. A before_send callback that runs for it may have freed a client.
fn report(reporter: &Reporter, snapshot: &Snapshot, key: &str) {
    reporter.report(snapshot, key);
    if inside() == Inside::Nothing {
        free_deferred();
    }
}

/// Sets the definitions from which the client evaluates feature flags, in place of all earlier ones:
/// one JSON object of len bytes (at most 32 MiB), as PostHog's endpoint /flags/definitions returns
/// it. They are compiled once, here. Evaluations that run at the same time go on with the old
/// definitions and wait for nothing. Returns PHC_INVALID_JSON if it is not an object with a list
/// "flags"; the old definitions then stay. A flag whose own definition is not understood has no
/// value; the others are not affected. Needs no project key, and works after a close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_definitions_set(
    client: *mut phc_client,
    json: *const c_char,
    len: usize,
) -> phc_status {
    guard(&rules::phc_flags_definitions_set, || {
        // SAFETY: the caller passes NULL or a live client, and NULL or a text of `len` bytes.
        let (client, json) = unsafe { (share(client, "client"), sized(json, len, "json")) };
        status_of(client.and_then(|client| client.set_flag_definitions(json?)))
    })
}

/// Returns PHC_OK if the client has definitions of feature flags. Otherwise it waits for them, for at
/// most timeout_ms; the first call begins to fetch them, as the first evaluation does, if the client
/// has the setting secret_key. Returns
/// - PHC_WOULD_WAIT with timeout_ms 0, if there are none
/// - PHC_TIMEOUT if none came in time
/// - PHC_UNAVAILABLE if the server refuses them (phc_last_error says why), or if the client fetches
///   none and phc_flags_definitions_set was not called
/// - PHC_CLOSED and PHC_DISABLED, with a time limit
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_ready(client: *const phc_client, timeout_ms: u32) -> phc_status {
    guard(&rules::phc_flags_ready, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        status_of(
            client.and_then(|client| {
                client.wait_for_flag_definitions(Duration::from_millis(timeout_ms.into()))
            }),
        )
    })
}

/// Fetches the definitions of feature flags from the server now, whatever the setting
/// flags_poll_interval_ms says, and waits for that for at most timeout_ms. Definitions that cannot be
/// fetched leave those that are there. Returns PHC_OK if the client has the newest definitions;
/// PHC_UNAVAILABLE if they could not be fetched (phc_last_error says why), or the client has no
/// setting secret_key; PHC_TIMEOUT if the time limit passed first; PHC_WOULD_WAIT with timeout_ms 0,
/// when it has begun; PHC_CLOSED and PHC_DISABLED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_reload(client: *mut phc_client, timeout_ms: u32) -> phc_status {
    guard(&rules::phc_flags_reload, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        let timeout = Duration::from_millis(timeout_ms.into());
        status_of(client.and_then(|client| client.reload_flag_definitions(timeout)))
    })
}

/// Evaluates the flags of a query from the definitions that the client has, and writes a snapshot of
/// their values into out, to be freed with phc_flags_free. With timeout_ms 0 it never waits, takes
/// no lock, and sends nothing. Otherwise the server is asked for what has no value then, by one
/// request, which is waited for at most timeout_ms, and never longer than the setting
/// flags_timeout_ms; a value that was evaluated here stays. While the server does not respond, most
/// calls return at once.
///
/// Returns PHC_OK if every flag that was asked for has a value or does not exist for this query (it
/// is for other evaluation contexts, or for clients only), or if the server has returned what it
/// knows. There is a snapshot, with the values that are known, also with these:
/// - PHC_WOULD_WAIT: with timeout_ms 0 a flag has no value (it has no definition, or
///   phc_flags_detail says why); also in test_mode, and for an empty distinct_id, which is never
///   asked about
/// - PHC_TIMEOUT: the time limit passed first
/// - PHC_UNAVAILABLE: the server returned no values, or is known not to respond; phc_last_error and
///   phc_flags_error say why
/// - PHC_CLOSED and PHC_DISABLED, if the server would have been asked
/// - PHC_OUT_OF_RESOURCES, if the I/O thread could not be started
///
/// With PHC_INVALID_ARGUMENT and PHC_INTERNAL out is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_evaluate(
    client: *const phc_client,
    query: *const phc_flags_query,
    timeout_ms: u32,
    out: *mut *mut phc_flags,
) -> phc_status {
    // SAFETY: the caller passes NULL, which is not written to, or a place for a pointer.
    let empty = || unsafe { write(out, std::ptr::null_mut(), "out") };
    let failed = |status: Status| {
        let _ = empty();
        status.number()
    };
    guard_or(&rules::phc_flags_evaluate, failed, || {
        let evaluate = || {
            empty()?;
            // SAFETY: the caller passes NULL or a live client, and NULL or a live query.
            let (client, query) = unsafe { (share(client, "client")?, borrow(query, "query")?) };
            let timeout = Duration::from_millis(timeout_ms.into());
            let (snapshot, status) = client.evaluate_flags_within(&query.0, timeout);
            let reporter = client.flag_reporter();
            // SAFETY: the caller passes a place for a pointer.
            unsafe { write(out, phc_flags::new(snapshot, reporter).into_raw(), "out")? };
            status
        };
        status_of(evaluate())
    })
}

/// Evaluates one flag for a person of whom nothing else is known, and returns 1 if it is on, 0 if it
/// is off, and default_value if it has no value or an argument is NULL. A shorthand of query,
/// phc_flags_evaluate with the time limit 0, and phc_flags_enabled: the server is not asked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flag_enabled(
    client: *const phc_client,
    key: *const c_char,
    distinct_id: *const c_char,
    default_value: c_int,
) -> c_int {
    let failed = |_| default_value;
    guard_or(&rules::phc_flag_enabled, failed, || {
        let enabled = || {
            // SAFETY: the caller passes NULL or a live client, and NULL or NUL-terminated texts.
            let (client, key, distinct_id) = unsafe {
                (share(client, "client")?, required(key, "key")?, required(distinct_id, "distinct_id")?)
            };
            let mut query = Query::new(&repair(distinct_id));
            query.add_key(&repair(key));
            let snapshot = client.evaluate_flags(&query);
            if let Some(reporter) = client.flag_reporter() {
                report(&reporter, &snapshot, &repair(key));
            }
            Ok(snapshot.at(0).and_then(|found| found.is_enabled()))
        };
        match enabled() {
            Ok(Some(is_enabled)) => c_int::from(is_enabled),
            Ok(None) => default_value,
            Err(error) => failed_with::<c_int>(&error, default_value),
        }
    })
}

/// Keeps the text of an error, and returns what the function returns then.
fn failed_with<T>(error: &Error, value: T) -> T {
    set_last_error(error);
    value
}

/// Reads a flag of a snapshot; `absent` if it is not there, or an argument is NULL.
///
/// # Safety
/// The snapshot is NULL or live while the result is used, and the key is NULL or NUL-terminated text.
unsafe fn of_flag<'a, T>(
    flags: *const phc_flags,
    key: *const c_char,
    absent: T,
    find: impl FnOnce(&'a phc_flags, &str) -> Option<T>,
) -> T {
    // SAFETY: the caller passes NULL or a live snapshot, and NULL or NUL-terminated text.
    let arguments = unsafe { borrow(flags, "flags").and_then(|flags| Ok((flags, required(key, "key")?))) };
    match arguments {
        Ok((flags, key)) => find(flags, &repair(key)).unwrap_or(absent),
        Err(error) => failed_with(&error, absent),
    }
}

/// Returns 1 if the flag is on, with or without a variant, 0 if it is off, and default_value if it
/// has no value. The first read of a flag in a snapshot is captured as $feature_flag_called, unless
/// the same value was read for the same person before, or the setting flags_called_events is false;
/// that never waits, and happens neither inside before_send nor once the client was closed. An event
/// that before_send discards counts as captured: it is not made again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_enabled(
    flags: *mut phc_flags,
    key: *const c_char,
    default_value: c_int,
) -> c_int {
    let failed = |_| default_value;
    guard_or(&rules::phc_flags_enabled, failed, || {
        // SAFETY: the caller passes NULL or a live snapshot, and NULL or NUL-terminated text.
        unsafe {
            of_flag(flags, key, default_value, |flags, key| flags.read(key)?.is_enabled().map(c_int::from))
        }
    })
}

/// Returns what kind of value the flag has, and, like phc_flags_enabled, records and captures that
/// it was read. Writes the variant into variant (NULL is accepted), or NULL if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_get(
    flags: *mut phc_flags,
    key: *const c_char,
    variant: *mut *const c_char,
) -> phc_flag_kind {
    let failed = |_| PHC_FLAG_ABSENT;
    guard_or(&rules::phc_flags_get, failed, || {
        // SAFETY: the caller passes NULL or a live snapshot, NULL or NUL-terminated text, and NULL or a place for a
        // pointer.
        unsafe { value_of(flags, key, variant, phc_flags::read) }
    })
}

/// The kind of a flag's value, and its variant, which is written into `variant`.
///
/// # Safety
/// As for `of_flag`; `variant` is NULL or a place for a pointer.
pub(super) unsafe fn value_of(
    flags: *const phc_flags,
    key: *const c_char,
    variant: *mut *const c_char,
    look: impl for<'a> FnOnce(&'a phc_flags, &str) -> Option<Found<'a>>,
) -> phc_flag_kind {
    // SAFETY: see above.
    let found = unsafe { of_flag(flags, key, None, |flags, key| Some(look(flags, key))) };
    if !variant.is_null() {
        let text = found.as_ref().and_then(Found::variant_c);
        // SAFETY: see above.
        unsafe { variant.write(text.map_or(std::ptr::null(), CStr::as_ptr)) };
    }
    found.map_or(PHC_FLAG_ABSENT, |found| kind(&found))
}

/// Returns the payload of the flag's value as JSON text, as the project has it; NULL if there
/// is none. len (NULL is accepted) gets its length. It does not count as a read of the value.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_payload(
    flags: *const phc_flags,
    key: *const c_char,
    len: *mut usize,
) -> *const c_char {
    let failed = |_| std::ptr::null();
    guard_or(&rules::phc_flags_payload, failed, || {
        // SAFETY: the caller passes NULL or a live snapshot, and NULL or NUL-terminated text.
        let found = unsafe { of_flag(flags, key, None, |flags, key| Some(flags.snapshot.get(key))) };
        let payload = found.and_then(|found| Some((found.payload()?, found.payload_c()?)));
        if !len.is_null() {
            // SAFETY: the caller passes a place for a length.
            unsafe { len.write(payload.map_or(0, |(text, _)| text.len())) };
        }
        payload.map_or(std::ptr::null(), |(_, text)| text.as_ptr())
    })
}

/// Returns how many flags the snapshot has, those without a value included: first those that were
/// evaluated here, in the order of the definitions, then those of the server, by key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_count(flags: *const phc_flags) -> usize {
    guard(&rules::phc_flags_count, || {
        // SAFETY: the caller passes NULL or a live snapshot.
        unsafe { borrow(flags, "flags") }.map_or(0, |flags| flags.snapshot.len())
    })
}

/// Returns the key of the flag at this place; NULL beyond the last one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_key(flags: *const phc_flags, index: usize) -> *const c_char {
    let failed = |_| std::ptr::null();
    guard_or(&rules::phc_flags_key, failed, || {
        // SAFETY: the caller passes NULL or a live snapshot.
        let flags = unsafe { borrow(flags, "flags") };
        let found = flags.ok().and_then(|flags| flags.snapshot.at(index));
        found.map_or(std::ptr::null(), |found| found.key_c().as_ptr())
    })
}

/// Fills out with as much of what is known of the flag as fits into size bytes; pass
/// sizeof(phc_flag_detail). It does not count as a read of the value. Returns PHC_OK also if the flag
/// is not in the snapshot; its kind is then PHC_FLAG_ABSENT, and is_local is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_detail(
    flags: *const phc_flags,
    key: *const c_char,
    out: *mut phc_flag_detail,
    size: usize,
) -> phc_status {
    guard(&rules::phc_flags_detail, || {
        let detail = || {
            // SAFETY: the caller passes NULL or a live snapshot, and NULL or NUL-terminated text.
            let (flags, key) = unsafe { (borrow(flags, "flags")?, required(key, "key")?) };
            let found = flags.snapshot.get(&repair(key));
            let detail = found.map_or(phc_flag_detail::ABSENT, |found| phc_flag_detail::of(&found));
            // SAFETY: the caller passes NULL or a struct of `size` bytes.
            unsafe { fill(out, &detail, size) };
            Ok(())
        };
        status_of(detail())
    })
}

/// Returns the code of a reason as the server has it, such as "condition_match"; "" for
/// PHC_FLAG_REASON_NONE. Static text, for any number. Safe from any thread.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub extern "C" fn phc_flag_reason_name(reason: phc_flag_reason) -> *const c_char {
    guard(&rules::phc_flag_reason_name, || {
        let known = usize::try_from(reason).ok().and_then(|at| REASONS.get(at));
        known.map_or(c"unknown", |reason| reason.name()).as_ptr()
    })
}

/// Returns the name of the reason for which a flag has no value, such as "missing_context"; "" for
/// PHC_FLAG_RESOLVED. Static text, for any number. Safe from any thread.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub extern "C" fn phc_flag_unresolved_name(reason: phc_flag_unresolved) -> *const c_char {
    guard(&rules::phc_flag_unresolved_name, || {
        let name = match usize::try_from(reason) {
            Ok(0) => c"",
            Ok(at) => UNRESOLVED.get(at - 1).map_or(c"unknown", |reason| reason.name()),
            Err(_) => c"unknown",
        };
        name.as_ptr()
    })
}

/// Returns what the snapshot lacks, in the words of the property $feature_flag_error, separated by
/// commas: local_evaluation_inconclusive if a flag has no value, flag_missing if one that was asked
/// for does not exist, evaluation_failed and errors_while_computing_flags if the server says so. If
/// the server was asked in vain, it is one word: timeout, connection_error, api_error_<HTTP status>,
/// quota_limited or unknown_error. Empty if it lacks nothing, and for NULL.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_error(flags: *const phc_flags) -> *const c_char {
    guard(&rules::phc_flags_error, || {
        // SAFETY: the caller passes NULL or a live snapshot.
        unsafe { borrow(flags, "flags") }.map_or(c"", |flags| flags.snapshot.error()).as_ptr()
    })
}

/// Writes the whole snapshot as one JSON object into a buffer of len bytes, NUL included: under
/// "flags" the flags with a value, by key, in the form of the server's responses; under "unresolved"
/// why the others have none; and "error". Returns the length of the whole text without the NUL, like
/// snprintf; 0 if flags is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_json(flags: *const phc_flags, buf: *mut c_char, len: usize) -> usize {
    guard(&rules::phc_flags_json, || {
        // SAFETY: the caller passes NULL or a live snapshot, and NULL or a buffer of `len` bytes.
        unsafe { borrow(flags, "flags").map_or(0, |flags| copy_out(&flags.snapshot.to_json(), buf, len)) }
    })
}

/// Returns a copy of the snapshot that has only the flags with these n keys. Returns NULL if flags,
/// keys or one of the keys is NULL. Free it with phc_flags_free.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_only(
    flags: *const phc_flags,
    keys: *const *const c_char,
    n: usize,
) -> *mut phc_flags {
    guard(&rules::phc_flags_only, || {
        let only = || {
            // SAFETY: the caller passes NULL or a live snapshot.
            let flags = unsafe { borrow(flags, "flags")? };
            if keys.is_null() || n > isize::MAX as usize / size_of::<*const c_char>() {
                return Err(bad_argument("keys", if keys.is_null() { "NULL" } else { "too long" }));
            }
            // SAFETY: the caller passes an array of `n` pointers.
            let keys = unsafe { std::slice::from_raw_parts(keys, n) };
            // SAFETY: each is NULL or NUL-terminated text.
            let texts = keys.iter().map(|key| unsafe { required(*key, "key") }.map(repair));
            let texts: Vec<_> = texts.collect::<Result<_, _>>()?;
            let keys: Vec<&str> = texts.iter().map(|text| &**text).collect();
            Ok(flags.copy(flags.snapshot.only(&keys)))
        };
        only().unwrap_or_else(|error| failed_with(&error, std::ptr::null_mut()))
    })
}

/// Returns a copy of the snapshot that has only the flags whose value was read, by phc_flags_enabled
/// or phc_flags_get. Returns NULL if flags is NULL. Free it with phc_flags_free.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_only_accessed(flags: *const phc_flags) -> *mut phc_flags {
    guard(&rules::phc_flags_only_accessed, || {
        // SAFETY: the caller passes NULL or a live snapshot.
        match unsafe { borrow(flags, "flags") } {
            Ok(flags) => flags.copy(flags.snapshot.only_accessed()),
            Err(error) => failed_with(&error, std::ptr::null_mut()),
        }
    })
}

/// Frees a snapshot, and with it the texts that its functions returned. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flags_free(flags: *mut phc_flags) {
    guard(&rules::phc_flags_free, || {
        // SAFETY: the caller passes NULL or a snapshot that it never uses again.
        drop(unsafe { take(flags) });
    });
}

/// Adds the flags of a snapshot that have a value to an event, as the properties $feature/<key>, and
/// the keys of those that are on as $active_feature_flags. A property that is set afterwards takes
/// precedence over one of these. Returns PHC_INVALID_EVENT while an object or array of the event is
/// open, and then adds nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_event_set_flags(event: *mut phc_event, flags: *const phc_flags) -> phc_status {
    guard(&rules::phc_event_set_flags, || {
        let set = || {
            // SAFETY: the caller passes NULL or an event that only this thread uses, and NULL or a
            // live snapshot.
            let (event, flags) = unsafe { (borrow_mut(event, "event")?, borrow(flags, "flags")?) };
            event.builder.set_members(&flags.snapshot.event_properties()?, &[])
        };
        status_of(set())
    })
}
