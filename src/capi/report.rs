//! phc_report: one attempt, or one other occasion on which events ended.

use std::ffi::{CString, c_char, c_int};
use std::sync::OnceLock;

use super::client::{phc_client, timeout};
use super::guard::{guard, not_in_callback};
use super::handle::{Boxed, borrow, fill, share, take};
use super::status::answer;
use super::text::{c_string, write_uuid};
use crate::client::Client;
use crate::outcome::{Ending, Report};

/// Why an event is lost; 0 is none: it is delivered. A number that is not known
/// yet is a reason that was added later.
pub type phc_loss = i32;

/// It is delivered.
pub const PHC_LOSS_NONE: phc_loss = 0;
/// The server refused it for good.
pub const PHC_LOSS_DROPPED: phc_loss = 1;
/// The server kept asking for a retry until the budget was spent.
pub const PHC_LOSS_RETRY_EXHAUSTED: phc_loss = 2;
/// An HTTP status ended its batch.
pub const PHC_LOSS_REJECTED: phc_loss = 3;
/// Its batch did not get through the network.
pub const PHC_LOSS_TRANSPORT: phc_loss = 4;
/// The answer to its batch was not understood.
pub const PHC_LOSS_MALFORMED_ANSWER: phc_loss = 5;
/// It made room for newer events (overflow = drop_oldest).
pub const PHC_LOSS_EVICTED: phc_loss = 6;
/// The client was closed first.
pub const PHC_LOSS_CLOSED: phc_loss = 7;
/// A fault inside libphc.
pub const PHC_LOSS_INTERNAL: phc_loss = 8;

/// What a listener is told. It belongs to one thread at a time; its texts live
/// as long as it does.
pub struct phc_report {
    report: Report,
    request_id: CString,
    error: CString,
    remarks: OnceLock<Vec<(CString, CString)>>,
    json: OnceLock<CString>,
}

impl Boxed for phc_report {}

/// The end of one event. The struct only ever grows at its end.
#[repr(C)]
pub struct phc_event_report {
    /// Its uuid, 36 characters and a NUL.
    pub uuid: [c_char; 37],
    /// 1 when it is lost but the server may have stored it all the same.
    pub maybe_delivered: u8,
    /// Why it is lost; PHC_LOSS_NONE when it is delivered.
    pub loss: phc_loss,
    /// The server's raw code; empty for a plain ok or none. Never NULL.
    pub verdict: *const c_char,
    /// The server's explanation; empty for none. Never NULL.
    pub details: *const c_char,
}

impl phc_report {
    /// Wraps a report for C.
    pub fn new(report: Report) -> Self {
        let request_id = report.request_id.map(|id| id.hyphenated().to_string()).unwrap_or_default();
        phc_report {
            request_id: c_string(&request_id),
            error: c_string(&report.error),
            remarks: OnceLock::new(),
            json: OnceLock::new(),
            report,
        }
    }

    fn remarks(&self) -> &[(CString, CString)] {
        self.remarks.get_or_init(|| {
            let text = |text: Option<&str>| text.map(c_string).unwrap_or_default();
            let remarks = self.report.events.iter().map(|event| event.remark.as_deref());
            remarks
                .map(|remark| {
                    let details = remark.and_then(|remark| remark.details.as_deref());
                    (text(remark.map(|remark| remark.code.as_str())), text(details))
                })
                .collect()
        })
    }
}

/// The number of a reason in the C API.
fn number(ending: Ending) -> phc_loss {
    match ending {
        Ending::Delivered => PHC_LOSS_NONE,
        Ending::Lost(loss) => loss as phc_loss,
    }
}

/// Reads one thing from a report that came from C; its default from NULL.
///
/// # Safety
/// The pointer is NULL or a live report.
unsafe fn read<T: Default>(report: *const phc_report, get: impl FnOnce(&phc_report) -> T) -> T {
    // SAFETY: as the caller says.
    unsafe { borrow(report, "report") }.map(get).unwrap_or_default()
}

/// Takes the oldest report that waits; if there is none, waits for one for at most
/// timeout_ms. NULL: none came in time, or the client is closed and all is told.
/// With an error callback set, that has the reports. To be freed by
/// phc_report_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_poll(client: *mut phc_client, timeout_ms: u32) -> *mut phc_report {
    guard(|| {
        let poll = || {
            // SAFETY: the caller passes NULL or a live client.
            let client = unsafe { share(client, "client") }?;
            not_in_callback()?;
            Ok(client.poll(timeout(timeout_ms)))
        };
        match poll() {
            Ok(Some(report)) => phc_report::new(report).into_raw(),
            Ok(None) => std::ptr::null_mut(),
            Err(error) => {
                answer(Err(error));
                std::ptr::null_mut()
            }
        }
    })
}

/// A file descriptor that is readable while reports wait: for poll(2), epoll or
/// an event loop, which then calls phc_poll with no timeout until it answers
/// NULL. Read nothing from it. It is the client's, good until the free; a forked
/// child must ask again. -1: none could be made; phc_last_error says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_poll_fd(client: *mut phc_client) -> c_int {
    guard(|| {
        // SAFETY: the caller passes NULL or a live client.
        let descriptor = unsafe { share(client, "client") }.and_then(Client::poll_descriptor);
        descriptor.unwrap_or_else(|error| {
            answer(Err(error));
            -1
        })
    })
}

/// Frees a report that phc_poll answered. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_free(report: *mut phc_report) {
    // SAFETY: the caller passes NULL or a report that is never used again.
    guard(|| drop(unsafe { take(report) }));
}

/// The batch's request id; empty when its events were in no request. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_request_id(report: *const phc_report) -> *const c_char {
    // SAFETY: the caller passes NULL or a live report.
    guard(|| unsafe { borrow(report, "report") }.map_or(c"".as_ptr(), |report| report.request_id.as_ptr()))
}

/// Which attempt of the batch, from 1; 0 with no request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_attempt(report: *const phc_report) -> u32 {
    // SAFETY: the caller passes NULL or a live report.
    guard(|| unsafe { read(report, |report| report.report.attempt) })
}

/// The HTTP status; 0 when there was no answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_status(report: *const phc_report) -> u32 {
    // SAFETY: the caller passes NULL or a live report.
    guard(|| unsafe { read(report, |report| u32::from(report.report.status)) })
}

/// What went wrong with the batch as a whole; empty when nothing did. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_error(report: *const phc_report) -> *const c_char {
    // SAFETY: the caller passes NULL or a live report.
    guard(|| unsafe { borrow(report, "report") }.map_or(c"".as_ptr(), |report| report.error.as_ptr()))
}

/// Events of the batch that go into the next attempt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_pending(report: *const phc_report) -> u64 {
    // SAFETY: the caller passes NULL or a live report.
    guard(|| unsafe { read(report, |report| report.report.pending as u64) })
}

/// Events in reports that were thrown away before this one, because nobody
/// fetched them in time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_missed_events(report: *const phc_report) -> u64 {
    // SAFETY: the caller passes NULL or a live report.
    guard(|| unsafe { read(report, |report| report.report.missed_events) })
}

/// How many events ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_event_count(report: *const phc_report) -> usize {
    // SAFETY: the caller passes NULL or a live report.
    guard(|| unsafe { read(report, |report| report.report.events.len()) })
}

/// Fills out (size bytes) with the event at this index. Answers
/// PHC_INVALID_ARGUMENT when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_event(
    report: *const phc_report,
    index: usize,
    out: *mut phc_event_report,
    size: usize,
) -> super::status::phc_status {
    guard(|| {
        // SAFETY: the caller passes NULL or a live report.
        let report = unsafe { borrow(report, "report") };
        answer(report.and_then(|report| {
            let found = report.report.events.get(index).zip(report.remarks().get(index));
            let (event, (verdict, details)) = found.ok_or_else(|| {
                let message = format!("index {index} is not below phc_report_event_count");
                crate::status::Error::new(crate::status::Status::INVALID_ARGUMENT, message)
            })?;
            let mut filled = phc_event_report {
                uuid: [0; 37],
                maybe_delivered: u8::from(event.maybe_delivered),
                loss: number(event.ending),
                verdict: verdict.as_ptr(),
                details: details.as_ptr(),
            };
            // SAFETY: the array has 37 bytes; out is NULL or has size bytes.
            unsafe {
                write_uuid(event.uuid, filled.uuid.as_mut_ptr());
                fill(out, &filled, size);
            }
            Ok(())
        }))
    })
}

/// The whole report as one JSON object. Never NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_report_json(report: *const phc_report) -> *const c_char {
    guard(|| {
        // SAFETY: the caller passes NULL or a live report.
        let report = unsafe { borrow(report, "report") };
        report.map_or(c"{}".as_ptr(), |report| {
            report.json.get_or_init(|| c_string(&report.report.to_json())).as_ptr()
        })
    })
}

/// The name of a reason, "retry_exhausted"; "delivered" for PHC_LOSS_NONE.
/// Static text, never NULL, for any number.
#[unsafe(no_mangle)]
pub extern "C" fn phc_loss_name(loss: phc_loss) -> *const c_char {
    guard(|| {
        let names = [
            c"delivered",
            c"dropped",
            c"retry_exhausted",
            c"rejected",
            c"transport",
            c"malformed_answer",
            c"evicted",
            c"closed",
            c"internal",
        ];
        usize::try_from(loss).ok().and_then(|loss| names.get(loss)).unwrap_or(&c"unknown").as_ptr()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    use crate::protocol::judge::Loss;

    #[test]
    fn numbers_and_names_are_those_of_the_core() {
        for (loss, name) in Loss::ALL {
            // SAFETY: the name is static text.
            let c_name = unsafe { CStr::from_ptr(phc_loss_name(number(Ending::Lost(loss)))) };
            assert_eq!(c_name.to_str().unwrap(), name);
        }
        assert_eq!(PHC_LOSS_INTERNAL, number(Ending::Lost(Loss::Internal)));
        assert_eq!(PHC_LOSS_EVICTED, number(Ending::Lost(Loss::Evicted)));
    }
}
