//! phc_report: one attempt, or one other occasion on which events ended.

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use super::client::{phc_client, timeout};
use super::guard::guard;
use super::handle::{Boxed, Plain, borrow, fill, share, take};
use super::rules;
use super::status::{PHC_UUID_SIZE, phc_status, status_of};
use super::text::{c_string, set_last_error, uuid_text};
use crate::client::Client;
use crate::delivery::{EventReport, LossReason, Report};
use crate::status::{Error, Status};

/// Why an event is lost; PHC_LOSS_NONE if it is delivered. A number that a program does not
/// know is a reason that was added later.
pub type phc_loss = i32;

/// The event is delivered.
pub const PHC_LOSS_NONE: phc_loss = 0;
/// The server dropped it.
pub const PHC_LOSS_DROPPED: phc_loss = 1;
/// The server asked for a retry until the budget of attempts was spent.
pub const PHC_LOSS_RETRY_EXHAUSTED: phc_loss = 2;
/// An HTTP status ended its batch.
pub const PHC_LOSS_REJECTED: phc_loss = 3;
/// The last attempt of its batch got no complete response.
pub const PHC_LOSS_TRANSPORT: phc_loss = 4;
/// The response to its batch was not one of Capture v1.
pub const PHC_LOSS_MALFORMED_RESPONSE: phc_loss = 5;
/// It made room for newer events (overflow = drop_oldest).
pub const PHC_LOSS_EVICTED: phc_loss = 6;
/// The client was closed first.
pub const PHC_LOSS_CLOSED: phc_loss = 7;
/// An internal error in libphc.
pub const PHC_LOSS_INTERNAL: phc_loss = 8;
/// It was on disk for longer than spool_max_age_ms.
pub const PHC_LOSS_EXPIRED: phc_loss = 9;
/// It was on disk, and could not be read any more.
pub const PHC_LOSS_CORRUPT: phc_loss = 10;
/// phc_spool_discard has ended it.
pub const PHC_LOSS_DISCARDED: phc_loss = 11;

/// One attempt, or one other occasion on which events ended. It belongs to one thread at a time;
/// its texts live as long as it does, and a polled one may outlive its client. Its functions
/// return 0 or an empty text for NULL, phc_report_json "{}".
pub struct phc_report {
    report: Report,
    request_id: CString,
    error: CString,
    events: OnceLock<Vec<EventTexts>>,
    pending: OnceLock<Vec<[u8; PHC_UUID_SIZE]>>,
    json: OnceLock<CString>,
}

impl Boxed for phc_report {}

/// The texts of an event in a report.
struct EventTexts {
    uuid: [u8; PHC_UUID_SIZE],
    verdict: CString,
    details: CString,
}

/// How one event ended. Its texts belong to the report. The struct only ever grows at its end.
#[repr(C)]
pub struct phc_event_report {
    /// Its uuid, 36 characters.
    pub uuid: *const c_char,
    /// The server's result code; empty for none, and for an ok without details.
    pub verdict: *const c_char,
    /// The server's explanation; empty if there is none.
    pub details: *const c_char,
    /// Why it is lost; PHC_LOSS_NONE if it is delivered.
    pub loss: phc_loss,
    /// 1 if it is lost but the server may have stored it nevertheless, else 0.
    pub maybe_delivered: i32,
}

// SAFETY: three pointers and two numbers that fill the size of one.
unsafe impl Plain for phc_event_report {}

const _: () = assert!(size_of::<phc_event_report>() == 3 * size_of::<*const c_char>() + 2 * size_of::<i32>());

impl phc_report {
    /// Wraps a report for C.
    pub(super) fn new(report: Report) -> Self {
        let request_id = report.request_id.map(|id| id.hyphenated().to_string()).unwrap_or_default();
        phc_report {
            request_id: c_string(&request_id),
            error: c_string(&report.error),
            events: OnceLock::new(),
            pending: OnceLock::new(),
            json: OnceLock::new(),
            report,
        }
    }

    /// The texts of its events, made at the first use.
    fn events(&self) -> &[EventTexts] {
        let texts = |event: &EventReport| {
            let verdict = event.verdict.as_deref();
            let details = verdict.and_then(|verdict| verdict.details.as_deref());
            EventTexts {
                uuid: uuid_text(event.uuid),
                verdict: verdict.map(|verdict| c_string(&verdict.code)).unwrap_or_default(),
                details: details.map(c_string).unwrap_or_default(),
            }
        };
        self.events.get_or_init(|| self.report.events.iter().map(texts).collect())
    }

    fn pending(&self) -> &[[u8; PHC_UUID_SIZE]] {
        self.pending.get_or_init(|| self.report.pending_events.iter().copied().map(uuid_text).collect())
    }
}

/// The number of a loss reason in the C API.
fn loss_number(loss: Option<LossReason>) -> phc_loss {
    loss.map_or(PHC_LOSS_NONE, |reason| reason as phc_loss)
}

/// Reads a number of a report that came from C; 0 from NULL.
///
/// # Safety
/// The pointer is NULL or a live report.
unsafe fn number<T: Default>(report: *const phc_report, get: impl FnOnce(&Report) -> T) -> T {
    // SAFETY: the caller passes NULL or a live report.
    unsafe { borrow(report, "report") }.map(|report| get(&report.report)).unwrap_or_default()
}

/// Reads a text of a report that came from C; an empty one from NULL.
///
/// # Safety
/// The pointer is NULL or a report that lives as long as the text is used.
unsafe fn text(report: *const phc_report, get: impl FnOnce(&phc_report) -> *const c_char) -> *const c_char {
    // SAFETY: the caller passes NULL or a live report.
    unsafe { borrow(report, "report") }.map_or(c"".as_ptr(), get)
}

/// Returns the oldest report that waits; if there is none, waits for one for at most timeout_ms.
/// Returns NULL if none came in time, and if the client is closed and every report was read.
/// While an error or a delivery callback is set, the callbacks get the reports and none comes
/// here. Free it with phc_report_free.
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_poll(client: *mut phc_client, timeout_ms: u32) -> *mut phc_report {
    guard(&rules::phc_poll, || {
        // SAFETY: the caller passes NULL or a live client.
        match unsafe { share(client, "client") }.map(|client| client.poll(timeout(timeout_ms))) {
            Ok(Some(report)) => phc_report::new(report).into_raw(),
            Ok(None) => std::ptr::null_mut(),
            Err(error) => {
                set_last_error(&error);
                std::ptr::null_mut()
            }
        }
    })
}

/// Returns a file descriptor that is readable while reports wait: for poll(2), epoll or an event
/// loop, which then calls phc_poll without a timeout until it returns NULL. Nothing is to be read
/// from it. It belongs to the client and is valid until the free; a forked child must ask again.
/// Returns -1 if none could be created; phc_last_error says why.
///
/// On Windows it is a SOCKET, for WSAPoll, select or WSAEventSelect: `(SOCKET)phc_poll_fd(client)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_poll_fd(client: *mut phc_client) -> isize {
    guard(&rules::phc_poll_fd, || {
        // SAFETY: the caller passes NULL or a live client.
        let descriptor = unsafe { share(client, "client") }.and_then(Client::poll_descriptor);
        descriptor.unwrap_or_else(|error| {
            set_last_error(&error);
            -1
        })
    })
}

/// Frees a report that phc_poll returned. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_free(report: *mut phc_report) {
    guard(&rules::phc_report_free, || {
        // SAFETY: the caller passes NULL or a report that it never uses again.
        drop(unsafe { take(report) });
    });
}

/// Returns the request id of the batch; empty if its events were in no request.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_request_id(report: *const phc_report) -> *const c_char {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_request_id, || unsafe { text(report, |report| report.request_id.as_ptr()) })
}

/// Returns the number of the attempt, from 1; 0 without a request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_attempt(report: *const phc_report) -> u32 {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_attempt, || unsafe { number(report, |report| report.attempt) })
}

/// Returns when the attempt began, in milliseconds since 1970 UTC; 0 without a request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_sent_at_ms(report: *const phc_report) -> i64 {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_sent_at_ms, || unsafe { number(report, |report| report.sent_at_ms) })
}

/// Returns the HTTP status; 0 if there was no response.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_http_status(report: *const phc_report) -> u32 {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_http_status, || unsafe { number(report, |report| u32::from(report.status)) })
}

/// Returns what went wrong with the batch as a whole; empty if nothing did.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_error(report: *const phc_report) -> *const c_char {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_error, || unsafe { text(report, |report| report.error.as_ptr()) })
}

/// Returns how many events ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_event_count(report: *const phc_report) -> usize {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_event_count, || unsafe { number(report, |report| report.events.len()) })
}

/// Fills out (size bytes; pass sizeof(phc_event_report)) with the event at this index. Returns
/// PHC_INVALID_ARGUMENT if the index is not below phc_report_event_count.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_event(
    report: *const phc_report,
    index: usize,
    out: *mut phc_event_report,
    size: usize,
) -> phc_status {
    guard(&rules::phc_report_event, || {
        // SAFETY: the caller passes NULL or a live report.
        let report = unsafe { borrow(report, "report") };
        status_of(report.and_then(|report| {
            let found = report.report.events.get(index).zip(report.events().get(index));
            let (event, texts) = found.ok_or_else(|| {
                let message = format!("index {index} is not below phc_report_event_count");
                Error::new(Status::INVALID_ARGUMENT, message)
            })?;
            let filled = phc_event_report {
                uuid: texts.uuid.as_ptr().cast(),
                verdict: texts.verdict.as_ptr(),
                details: texts.details.as_ptr(),
                loss: loss_number(event.loss),
                maybe_delivered: i32::from(event.maybe_delivered),
            };
            // SAFETY: the caller passes NULL or a struct of `size` bytes.
            unsafe { fill(out, &filled, size) };
            Ok(())
        }))
    })
}

/// Returns how many events of the batch are sent again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_pending_count(report: *const phc_report) -> usize {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_pending_count, || unsafe { number(report, |report| report.pending) })
}

/// With the setting reports = all: returns the uuid of the event at this index among those that
/// are sent again. Empty if the index is not below phc_report_pending_count, and with other
/// settings.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_pending_uuid(report: *const phc_report, index: usize) -> *const c_char {
    guard(&rules::phc_report_pending_uuid, || {
        let uuid = |report: &phc_report| {
            report.pending().get(index).map_or(c"".as_ptr(), |uuid| uuid.as_ptr().cast())
        };
        // SAFETY: the caller passes NULL or a live report.
        unsafe { text(report, uuid) }
    })
}

/// Returns how many reports were discarded before this one because they were not read in time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_missed_reports(report: *const phc_report) -> u64 {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_missed_reports, || unsafe { number(report, |report| report.missed_reports) })
}

/// Returns how many events those reports had.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_missed_events(report: *const phc_report) -> u64 {
    // SAFETY: the caller passes NULL or a live report.
    guard(&rules::phc_report_missed_events, || unsafe { number(report, |report| report.missed_events) })
}

/// Returns the whole report as one JSON object.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_json(report: *const phc_report) -> *const c_char {
    guard(&rules::phc_report_json, || {
        let json =
            |report: &phc_report| report.json.get_or_init(|| c_string(&report.report.to_json())).as_ptr();
        // SAFETY: the caller passes NULL or a live report.
        unsafe { borrow(report, "report") }.map_or(c"{}".as_ptr(), json)
    })
}

/// Returns the name of a loss reason, such as "retry_exhausted"; "delivered" for PHC_LOSS_NONE.
/// Static text, for any number. Safe from any thread.
///
/// cbindgen:prefix=PHC_API PHC_RETURNS_NONNULL
#[unsafe(no_mangle)]
pub extern "C" fn phc_loss_name(loss: phc_loss) -> *const c_char {
    guard(&rules::phc_loss_name, || {
        let names = [
            c"delivered",
            c"dropped",
            c"retry_exhausted",
            c"rejected",
            c"transport",
            c"malformed_response",
            c"evicted",
            c"closed",
            c"internal",
            c"expired",
            c"corrupt",
            c"discarded",
        ];
        usize::try_from(loss).ok().and_then(|loss| names.get(loss)).unwrap_or(&c"unknown").as_ptr()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn numbers_and_names_are_those_of_the_core() {
        for (reason, name) in LossReason::ALL {
            // SAFETY: the name is static text.
            let c_name = unsafe { CStr::from_ptr(phc_loss_name(loss_number(Some(reason)))) };
            assert_eq!(c_name.to_str().unwrap(), name);
        }
        let constants = [
            PHC_LOSS_DROPPED,
            PHC_LOSS_RETRY_EXHAUSTED,
            PHC_LOSS_REJECTED,
            PHC_LOSS_TRANSPORT,
            PHC_LOSS_MALFORMED_RESPONSE,
            PHC_LOSS_EVICTED,
            PHC_LOSS_CLOSED,
            PHC_LOSS_INTERNAL,
            PHC_LOSS_EXPIRED,
            PHC_LOSS_CORRUPT,
            PHC_LOSS_DISCARDED,
        ];
        assert_eq!(constants.to_vec(), LossReason::ALL.map(|(reason, _)| loss_number(Some(reason))).to_vec());
    }
}
