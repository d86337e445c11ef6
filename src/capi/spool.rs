//! The spool: pending events on disk.

use super::client::phc_client;
use super::guard::guard;
use super::handle::{share, write};
use super::rules;
use super::status::{phc_status, status_of};
use crate::client::Client;
use crate::status::Error;

/// Waits until every event captured before this call is on disk and synced, so that neither the
/// end of the process nor a power cut loses it; for at most timeout_ms (0: does not wait,
/// PHC_NO_LIMIT: without a limit). It needs no network. Events that were delivered in the
/// meantime need not be written. Returns PHC_OK, PHC_TIMEOUT if the disk has not taken all of
/// them yet (nothing is abandoned), PHC_SPOOL if it does not take them, or if the client has no
/// spool (see the setting spool_dir, for which this libphc must be built with the cargo feature
/// spool), PHC_CLOSED after a close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_persist(client: *mut phc_client, timeout_ms: u32) -> phc_status {
    guard(&rules::phc_persist, || {
        // SAFETY: the caller passes NULL or a live client.
        status_of(unsafe { share(client, "client") }.and_then(|client| persist(client, timeout_ms)))
    })
}

/// Ends every pending event without sending it (PHC_LOSS_DISCARDED): in memory, on disk, and
/// what ended processes with the same host and key have left on disk. For an opt-out or a
/// logout; events of other processes that run are left to them. Waits for at most timeout_ms
/// (0: does not wait, PHC_NO_LIMIT: without a limit) until the files are removed. Returns PHC_OK,
/// PHC_TIMEOUT if the files are not removed yet, PHC_SPOOL if the disk does not remove all of them,
/// or if the client has no spool, PHC_CLOSED after a close. discarded (NULL is accepted) gets the
/// number of events that have ended by then, with each of these; what ended processes have left may
/// end later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_spool_discard(
    client: *mut phc_client,
    timeout_ms: u32,
    discarded: *mut u64,
) -> phc_status {
    guard(&rules::phc_spool_discard, || {
        let discard = || {
            // SAFETY: the caller passes NULL or a live client.
            let client = unsafe { share(client, "client") }?;
            let mut events = 0;
            let result = discard(client, timeout_ms, &mut events);
            if !discarded.is_null() {
                // SAFETY: the caller passes a place for a number.
                unsafe { write(discarded, events, "discarded") }?;
            }
            result
        };
        status_of(discard())
    })
}

#[cfg(all(unix, feature = "spool"))]
fn persist(client: &Client, timeout_ms: u32) -> Result<(), Error> {
    client.persist(super::client::timeout(timeout_ms))
}

#[cfg(all(unix, feature = "spool"))]
fn discard(client: &Client, timeout_ms: u32, discarded: &mut u64) -> Result<(), Error> {
    client.discard_spool(super::client::timeout(timeout_ms), discarded)
}

#[cfg(not(all(unix, feature = "spool")))]
fn persist(_: &Client, _: u32) -> Result<(), Error> {
    Err(Error::new(crate::status::Status::SPOOL, "this libphc was built without the spool"))
}

#[cfg(not(all(unix, feature = "spool")))]
fn discard(client: &Client, timeout_ms: u32, _: &mut u64) -> Result<(), Error> {
    persist(client, timeout_ms)
}
