//! Flushes: waiting until events are delivered or lost.

use super::client::{phc_client, timeout};
use super::guard::guard;
use super::handle::{Plain, fill, share, write};
use super::rules;
use super::status::{phc_status, status_of};
use crate::client::Client;
use crate::delivery::FlushResult;
use crate::status::Error;

/// What became of the events that were captured before a flush. The struct only ever grows at
/// its end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct phc_flush_result {
    /// Events that were delivered or lost since the flush began, or kept on disk by a close.
    pub settled: u64,
    /// Events that were delivered since.
    pub delivered: u64,
    /// Events that were lost since.
    pub lost: u64,
    /// Events that are still neither.
    pub pending: u64,
}

// SAFETY: four numbers of the same size.
unsafe impl Plain for phc_flush_result {}

/// Fills the caller's result and returns the status of the flush.
///
/// # Safety
/// `out` is NULL or valid for writes of `size` bytes.
unsafe fn flushed(
    client: Result<&Client, Error>,
    wait: impl FnOnce(&Client) -> Result<FlushResult, Error>,
    out: *mut phc_flush_result,
    size: usize,
) -> phc_status {
    status_of(client.and_then(|client| {
        let result = wait(client)?;
        let FlushResult { settled, delivered, lost, pending } = result;
        let filled = phc_flush_result { settled, delivered, lost, pending };
        // SAFETY: the caller passes NULL or a struct of `size` bytes.
        unsafe { fill(out, &filled, size) };
        client.outcome(result)
    }))
}

/// Sends what waits, and waits until every event captured before this call is delivered or
/// lost, back-off and Retry-After included; for at most timeout_ms (0: does not wait,
/// PHC_NO_LIMIT: without a limit). Returns PHC_OK if all of them were delivered,
/// PHC_LOST_EVENTS if this flush saw some of them lost, PHC_TIMEOUT if some are still pending
/// (nothing is abandoned), PHC_CLOSED after a close. result (size bytes; NULL is accepted) gets
/// the numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush(
    client: *mut phc_client,
    timeout_ms: u32,
    result: *mut phc_flush_result,
    size: usize,
) -> phc_status {
    guard(&rules::phc_flush, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        let flush = |client: &Client| client.flush(timeout(timeout_ms));
        // SAFETY: the caller passes NULL or a struct of `size` bytes.
        unsafe { flushed(client, flush, result, size) }
    })
}

/// Begins a flush that is waited for in slices, for hosts whose waits must stay interruptible.
/// flush gets its number. Does not wait. The flush ends when phc_flush_wait returns anything
/// but PHC_TIMEOUT, or by phc_flush_end; of more than 100 the oldest is forgotten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush_begin(client: *mut phc_client, flush: *mut u64) -> phc_status {
    guard(&rules::phc_flush_begin, || {
        let begin = || {
            // SAFETY: the caller passes NULL or a live client.
            let client = unsafe { share(client, "client") }?;
            // SAFETY: the caller passes NULL or a place for a number.
            unsafe { write(flush, 0, "flush") }?;
            let number = client.begin_flush()?;
            // SAFETY: as above.
            unsafe { write(flush, number, "flush") }
        };
        status_of(begin())
    })
}

/// Waits for a flush that was begun, for at most timeout_ms, and returns like phc_flush. After
/// PHC_TIMEOUT the flush goes on and can be waited for again; after anything else it has ended.
/// Returns PHC_INVALID_ARGUMENT if there is no such flush in this process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush_wait(
    client: *mut phc_client,
    flush: u64,
    timeout_ms: u32,
    result: *mut phc_flush_result,
    size: usize,
) -> phc_status {
    guard(&rules::phc_flush_wait, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        let wait = |client: &Client| client.wait_flush(flush, timeout(timeout_ms));
        // SAFETY: the caller passes NULL or a struct of `size` bytes.
        unsafe { flushed(client, wait, result, size) }
    })
}

/// Forgets a flush that was begun. Its events are still sent. An unknown number is not
/// an error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_flush_end(client: *mut phc_client, flush: u64) -> phc_status {
    guard(&rules::phc_flush_end, || {
        // SAFETY: the caller passes NULL or a live client.
        status_of(unsafe { share(client, "client") }.map(|client| client.end_flush(flush)))
    })
}
