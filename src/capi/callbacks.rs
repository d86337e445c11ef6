//! The callbacks that run on a thread of the client's own: errors, deliveries, log lines.

use std::ffi::{c_char, c_void};

use super::client::phc_client;
use super::guard::{free_deferred, guard};
use super::handle::share;
use super::report::phc_report;
use super::rules;
use super::status::{phc_status, status_of};
use super::text::c_string;
use crate::client::{Inside, LogFunction, ReportFunction, inside};
use crate::runtime::fork_epoch;

/// Called with each report of failures, on a thread of the client's own: events that were lost;
/// with the setting reports = warnings also stored events on which the server made a remark: a
/// warning, details of an ok, or a result that libphc does not know; with reports = all also
/// attempts after which events are sent again. The report is valid until the callback returns.
/// docs/callbacks.md lists the functions that it may call; the others return PHC_REENTRANT.
pub type phc_error_callback = Option<unsafe extern "C" fn(report: *const phc_report, user_data: *mut c_void)>;

/// Called with each report of delivered events, on the thread of phc_error_callback and under
/// the same rules. A remark of the server is in the event's verdict and details.
pub type phc_delivery_callback =
    Option<unsafe extern "C" fn(report: *const phc_report, user_data: *mut c_void)>;

/// How important a line of the log is. A higher number is less important.
pub type phc_log_level = i32;

/// Events were lost.
pub const PHC_LOG_ERROR: phc_log_level = 1;
/// Something is wrong and may recover by itself.
pub const PHC_LOG_WARNING: phc_log_level = 2;
/// Worth knowing once.
pub const PHC_LOG_INFO: phc_log_level = 3;
/// Every attempt and its result; only with the setting log_level = debug.
pub const PHC_LOG_DEBUG: phc_log_level = 4;

/// Called with each line for the log, on the thread of phc_error_callback and under the same
/// rules. The message is valid until the callback returns.
pub type phc_log_callback =
    Option<unsafe extern "C" fn(level: phc_log_level, message: *const c_char, user_data: *mut c_void)>;

/// Frees the user data of a callback that is not called any more.
pub type phc_free_callback = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Sets the error callback in place of the one before; NULL removes it, and the other arguments
/// are not used then. Returns once the one before runs no more; do not hold a lock that it takes.
/// From inside a callback it returns at once. free_user_data (NULL is accepted) is called once,
/// when user_data is not needed any more. While an error or a delivery callback is set, reports
/// go to the callbacks only and phc_poll returns NULL. The callback stays set in a forked child,
/// on a thread of the child's own; there free_user_data is not called for what the parent set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_set_error_callback(
    client: *mut phc_client,
    callback: phc_error_callback,
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> phc_status {
    guard(&rules::phc_set_error_callback, || {
        let function = callback.map(|callback| report_function(callback, user_data, free_user_data));
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        status_of(client.and_then(|client| client.set_error_callback(function)))
    })
}

/// Sets the delivery callback in place of the one before, like phc_set_error_callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_set_delivery_callback(
    client: *mut phc_client,
    callback: phc_delivery_callback,
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> phc_status {
    guard(&rules::phc_set_delivery_callback, || {
        let function = callback.map(|callback| report_function(callback, user_data, free_user_data));
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        status_of(client.and_then(|client| client.set_delivery_callback(function)))
    })
}

/// Sets the log callback in place of the one before, like phc_set_error_callback. Without one
/// nothing is logged. While no error callback is set, lost events are logged: one line for all
/// of them, at most one a second. A client without a project key logs that at once, on the
/// calling thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_set_log_callback(
    client: *mut phc_client,
    callback: phc_log_callback,
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> phc_status {
    guard(&rules::phc_set_log_callback, || {
        let function = callback.map(|callback| -> LogFunction {
            let user_data = UserData::new(user_data, free_user_data);
            Box::new(move |level, line| {
                let user_data = &user_data;
                let line = c_string(line);
                // SAFETY: the host vouches that its callback may be called from another
                // thread with its user data, and that it does not unwind.
                unsafe { callback(level.number(), line.as_ptr(), user_data.pointer) };
                // Otherwise functions further up on this thread may still be using the client.
                if inside() == Inside::Callback {
                    free_deferred();
                }
            })
        });
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        status_of(client.and_then(|client| client.set_log_callback(function)))
    })
}

fn report_function(
    callback: unsafe extern "C" fn(*const phc_report, *mut c_void),
    user_data: *mut c_void,
    free_user_data: phc_free_callback,
) -> ReportFunction {
    let user_data = UserData::new(user_data, free_user_data);
    Box::new(move |report| {
        let user_data = &user_data;
        let report = phc_report::new(report);
        // SAFETY: the host vouches that its callback may be called from another thread with
        // its user data, and that it does not unwind. The report outlives the call.
        unsafe { callback(&raw const report, user_data.pointer) };
        free_deferred();
    })
}

/// A pointer of the host's that is freed when its callback is not called any more.
pub(super) struct UserData {
    /// The pointer.
    pub(super) pointer: *mut c_void,
    free: phc_free_callback,
    epoch: u64,
}

impl UserData {
    /// User data of this process.
    pub(super) fn new(pointer: *mut c_void, free: phc_free_callback) -> Self {
        UserData { pointer, free, epoch: fork_epoch() }
    }
}

// SAFETY: libphc never looks behind the pointer. The header says on which threads callbacks
// run, and the host vouches that its user data can be used and freed there.
unsafe impl Send for UserData {}
// SAFETY: as above; before_send may run on several threads at once, which the header says too.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        // What a forked child inherited belongs to the parent.
        if let Some(free) = self.free.filter(|_| self.epoch == fork_epoch()) {
            // SAFETY: the host passed this function for this pointer, and this is the only
            // call.
            unsafe { free(self.pointer) };
        }
    }
}
