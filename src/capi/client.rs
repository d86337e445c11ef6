//! phc_client: making, flushing, closing, freeing.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use super::config::phc_config;
use super::guard::{free_deferred, free_later, guard, not_in_callback};
use super::handle::{Counted, borrow, fill, share, take_count, write};
use super::report::phc_report;
use super::status::{PHC_NO_LIMIT, answer, phc_status};
use super::text::{c_string, copy_out, required, set_last_error, utf8};
use crate::books::FlushResult;
use crate::client::{Client, Timeout};
use crate::config::Config;
use crate::listener::{Listener, Logger, in_callback, inside_callback};
use crate::runtime::fork::generation;
use crate::status::Error;

/// A client: one destination with its own queue. All calls are safe from any
/// thread, but for phc_client_free, which must be the last one on its handle.
pub struct phc_client {
    _opaque: [u8; 0],
}

impl Counted for phc_client {
    type Target = Client;

    fn into_raw(client: Arc<Client>) -> *mut Self {
        Arc::into_raw(client).cast_mut().cast()
    }

    fn target(pointer: *const Self) -> *const Client {
        pointer.cast()
    }
}

/// What a flush has seen of the events that were captured before it. The struct
/// only ever grows at its end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct phc_flush_result {
    /// Events that were delivered or lost since the flush began.
    pub settled: u64,
    /// Of those, delivered.
    pub delivered: u64,
    /// Of those, lost.
    pub lost: u64,
    /// Events that are still neither.
    pub pending: u64,
}

impl From<FlushResult> for phc_flush_result {
    fn from(result: FlushResult) -> Self {
        let FlushResult { settled, delivered, lost, pending } = result;
        phc_flush_result { settled, delivered, lost, pending }
    }
}

/// Called with each report of losses (of all attempts, with the setting reports
/// = all), on a thread of the client's own. The report is good until it returns.
/// It must not throw or longjmp. Of the functions of its client it may call
/// captures, phc_stats_get, phc_stats_json, the callback setters and
/// phc_client_free; others answer PHC_REENTRANT.
pub type phc_error_callback = Option<unsafe extern "C" fn(report: *const phc_report, user_data: *mut c_void)>;

/// How much a line of the log matters: PHC_LOG_ERROR, PHC_LOG_WARNING or
/// PHC_LOG_INFO.
pub type phc_log_level = i32;

/// Events were lost.
pub const PHC_LOG_ERROR: phc_log_level = 1;
/// Something is wrong that may right itself.
pub const PHC_LOG_WARNING: phc_log_level = 2;
/// Worth knowing once.
pub const PHC_LOG_INFO: phc_log_level = 3;

/// Called with each line for the log, on the thread of phc_error_callback and
/// under the same rules. The message is good until it returns.
pub type phc_log_callback =
    Option<unsafe extern "C" fn(level: phc_log_level, message: *const c_char, user_data: *mut c_void)>;

/// Frees the user data of a callback that is called no more.
pub type phc_free_callback = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Makes a client with these settings; they are copied. Starts no thread: that
/// happens at the first capture. On failure answers NULL and writes the reason
/// into errbuf (errlen bytes, NUL included; NULL is fine). To be freed by
/// phc_client_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_new(
    config: *const phc_config,
    errbuf: *mut c_char,
    errlen: usize,
) -> *mut phc_client {
    guard(|| {
        // SAFETY: the caller passes NULL or a live config.
        let config = unsafe { borrow(config, "config") };
        match config.and_then(|config| Client::new(checked(&config.config)?)) {
            Ok(client) => phc_client::into_raw(Arc::new(client)),
            Err(error) => {
                set_last_error(&error.message);
                // SAFETY: the caller passes NULL or a buffer of errlen bytes.
                unsafe { copy_out(&error.message, errbuf, errlen) };
                std::ptr::null_mut()
            }
        }
    })
}

/// Opens the process's client of this name: makes it if there is none, answers
/// the same one if its settings are the same, and PHC_CONFLICT if they are not.
/// For hosts that lose their pointers, as PHP does at the end of each request.
/// Each success is to be matched by one phc_client_free; the last of them ends
/// the client. A name that was closed is opened anew.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_open(
    name: *const c_char,
    config: *const phc_config,
    out: *mut *mut phc_client,
) -> phc_status {
    guard(|| {
        // SAFETY: the caller passes NULL or pointers as the header asks for.
        let (name, config) = unsafe { (required(name, "name"), borrow(config, "config")) };
        let open = || {
            not_in_callback()?;
            let name = utf8(name?, "name")?;
            // SAFETY: the caller passes NULL or a place for a pointer.
            unsafe { write(out, std::ptr::null_mut(), "out") }?;
            let client = Client::open(name, &checked(&config?.config)?)?;
            // SAFETY: as above.
            unsafe { write(out, phc_client::into_raw(client), "out") }
        };
        answer(open())
    })
}

/// A copy of the settings; those of a disabled client are said once.
fn checked(config: &Config) -> Result<Config, Error> {
    config.check()?;
    Ok(config.clone())
}

/// Sends what waits and waits until every event captured before this call is
/// delivered or lost, back-off and Retry-After included; at most timeout_ms (0:
/// do not wait, PHC_NO_LIMIT: for ever). PHC_OK: all delivered. PHC_LOST_EVENTS:
/// all settled, and events were lost since the last flush or close. PHC_TIMEOUT:
/// some are still pending; nothing was abandoned. PHC_CLOSED, PHC_REENTRANT.
/// result (size bytes; NULL is fine) says how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush(
    client: *mut phc_client,
    timeout_ms: u32,
    result: *mut phc_flush_result,
    size: usize,
) -> phc_status {
    guard(|| {
        let flush = || {
            // SAFETY: the caller passes NULL or a live client.
            let client = unsafe { share(client, "client") }?;
            not_in_callback()?;
            let (outcome, seen) = match client.flush(timeout(timeout_ms)) {
                Ok(seen) => (Ok(()), seen),
                Err((error, seen)) => (Err(error), seen),
            };
            // SAFETY: the caller passes NULL or a struct of size bytes.
            unsafe { fill(result, &seen.into(), size) };
            outcome
        };
        answer(flush())
    })
}

/// Begins a flush that is waited for in slices, for hosts whose own waits must
/// stay interruptible. ticket gets its number. Does not wait. To be ended by
/// phc_flush_wait (when it answers anything but PHC_TIMEOUT) or phc_flush_end;
/// of more than 100 the oldest is forgotten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush_begin(client: *mut phc_client, ticket: *mut u64) -> phc_status {
    guard(|| {
        let begin = || {
            // SAFETY: the caller passes NULL or a live client.
            let client = unsafe { share(client, "client") }?;
            not_in_callback()?;
            // SAFETY: the caller passes NULL or a place for a number.
            unsafe { write(ticket, 0, "ticket") }?;
            let number = client.begin_flush()?;
            // SAFETY: as above.
            unsafe { write(ticket, number, "ticket") }
        };
        answer(begin())
    })
}

/// Waits for a flush that was begun, at most timeout_ms. Answers like phc_flush;
/// after PHC_TIMEOUT the flush goes on and can be waited for again, after
/// anything else it is over. PHC_INVALID_ARGUMENT: there is no such flush in
/// this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush_wait(
    client: *mut phc_client,
    ticket: u64,
    timeout_ms: u32,
    result: *mut phc_flush_result,
    size: usize,
) -> phc_status {
    guard(|| {
        let wait = || {
            // SAFETY: the caller passes NULL or a live client.
            let client = unsafe { share(client, "client") }?;
            not_in_callback()?;
            let (outcome, seen) = match client.await_flush(ticket, timeout(timeout_ms)) {
                Ok(seen) => (Ok(()), seen),
                Err((error, seen)) => (Err(error), seen),
            };
            // SAFETY: the caller passes NULL or a struct of size bytes.
            unsafe { fill(result, &seen.into(), size) };
            outcome
        };
        answer(wait())
    })
}

/// Forgets a flush that was begun. What it wanted out goes out all the same. One
/// that is not known is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush_end(client: *mut phc_client, ticket: u64) -> phc_status {
    guard(|| {
        // SAFETY: the caller passes NULL or a live client.
        answer(unsafe { share(client, "client") }.map(|client| client.end_flush(ticket)))
    })
}

/// Takes no event any more, flushes for at most timeout_ms, then cancels what is
/// in flight and counts what is left as lost for the reason "closed". Returns
/// within timeout_ms and 50 ms more, whatever the server does. PHC_OK: nothing
/// was lost since the last flush, or the client was closed already.
/// PHC_LOST_EVENTS: something was. Reports and stats can be read until the free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_close(client: *mut phc_client, timeout_ms: u32) -> phc_status {
    guard(|| {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        answer(client.and_then(|client| {
            not_in_callback()?;
            client.close(timeout(timeout_ms))
        }))
    })
}

/// Closes the client with the setting shutdown_timeout_ms, unless it is closed,
/// and frees it. NULL is fine. It must be the last call on this handle, as with
/// free(3). From inside a callback it happens once that returns. In a forked
/// child it sends nothing of the parent's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_client_free(client: *mut phc_client) {
    guard(|| {
        // SAFETY: the caller passes NULL or a client that it never uses again.
        let Some(client) = (unsafe { take_count(client) }) else { return };
        if in_callback() { free_later(client) } else { drop(client) }
    });
}

/// Sets what is called with each report, in place of the one before; NULL is
/// nothing. Returns once the old one runs no more; at once from inside it.
/// free_user_data (NULL is fine) is called when user_data is needed no more. The
/// callback stays set in a forked child, on a thread of the child's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_set_error_callback(
    client: *mut phc_client,
    callback: phc_error_callback,
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> phc_status {
    guard(|| {
        let user_data = UserData::new(user_data, free_user_data);
        let listener = callback.map(|callback| -> Listener {
            Box::new(move |report| {
                let user_data = &user_data;
                let report = phc_report::new(report);
                // SAFETY: the host says that its callback may be called with its
                // user data from another thread, and does not unwind.
                inside_callback(|| unsafe { callback(&raw const report, user_data.pointer) });
                free_deferred();
            })
        });
        // SAFETY: the caller passes NULL or a live client.
        answer(unsafe { share(client, "client") }.and_then(|client| client.set_listener(listener)))
    })
}

/// Sets what is called with lines for a log, in place of the one before; NULL is
/// nothing, and the default. Losses are among them while no error callback is
/// set: one line for all of them, at most one a second. What phc_set_error_callback
/// says of replacing, user_data and fork holds here too. A client without a
/// project key says so at once, on the calling thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_set_log_callback(
    client: *mut phc_client,
    callback: phc_log_callback,
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> phc_status {
    guard(|| {
        let user_data = UserData::new(user_data, free_user_data);
        let logger = callback.map(|callback| -> Logger {
            Box::new(move |level, line| {
                let user_data = &user_data;
                let line = c_string(line);
                // SAFETY: the host says that its callback may be called with its
                // user data from another thread, and does not unwind.
                inside_callback(|| unsafe { callback(level as i32, line.as_ptr(), user_data.pointer) });
                free_deferred();
            })
        });
        // SAFETY: the caller passes NULL or a live client.
        answer(unsafe { share(client, "client") }.and_then(|client| client.set_logger(logger)))
    })
}

/// A pointer of the host's that is freed when its callback is called no more.
pub struct UserData {
    /// The pointer.
    pub pointer: *mut c_void,
    free: phc_free_callback,
    generation: u64,
}

impl UserData {
    /// Of the present process.
    pub fn new(pointer: *mut c_void, free: phc_free_callback) -> Self {
        UserData { pointer, free, generation: generation() }
    }
}

// SAFETY: the header says that callbacks run on another thread; what the pointer
// leads to is for the host to make safe.
unsafe impl Send for UserData {}
// SAFETY: as above; calls are never made at the same time.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        // What a forked child inherited belongs to the parent.
        if let Some(free) = self.free.filter(|_| self.generation == generation()) {
            // SAFETY: the host gave this function for this pointer, and it is
            // called once.
            unsafe { free(self.pointer) };
        }
    }
}

/// Milliseconds of the C API as a time limit.
pub fn timeout(timeout_ms: u32) -> Timeout {
    (timeout_ms != PHC_NO_LIMIT).then(|| Duration::from_millis(timeout_ms.into()))
}
