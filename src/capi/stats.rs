//! phc_stats: the counters of a client.

use std::ffi::c_char;
use std::fmt::Write as _;

use super::client::phc_client;
use super::guard::guard;
use super::handle::{Plain, fill, share};
use super::rules;
use super::status::{phc_status, status_of};
use super::text::copy_out;
use crate::delivery::{LossReason, Stats};
use crate::status::Status;

/// The number of places in phc_stats.lost_by_reason; numbers of reasons are below it.
pub const PHC_LOSS_SLOTS: usize = 32;
/// The number of places in phc_stats.refused_by_status; numbers of statuses are below it.
pub const PHC_STATUS_SLOTS: usize = 64;

/// Counters of one instant, since the client was made or, in a forked child, since the fork.
/// Always captured + recovered = delivered + lost + kept + pending_events. The struct only ever
/// grows at its end.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct phc_stats {
    /// Events that a capture took (it returned PHC_OK).
    pub captured: u64,
    /// Captured events that the server stored.
    pub delivered: u64,
    /// Delivered events whose result was "warning".
    pub delivered_with_warning: u64,
    /// Captured events that are lost.
    pub lost: u64,
    /// Lost events that the server may have stored nevertheless.
    pub maybe_delivered: u64,
    /// Events that are waiting, in flight or in back-off, in memory or on disk.
    pub pending_events: u64,
    /// Bytes and bookkeeping of those in memory, as counted for the setting queue_max_bytes.
    pub pending_bytes: u64,
    /// Captures that did not take an event, except for those that returned PHC_REENTRANT.
    pub refused: u64,
    /// Events with bad UTF-8 or lone surrogates that were replaced.
    pub repaired: u64,
    /// Events whose uuid was not valid and was replaced.
    pub uuids_replaced: u64,
    /// Requests begun, except for those that this machine could not send for lack of descriptors,
    /// memory, local ports, threads or randomness.
    pub requests: u64,
    /// Requests that were not the first attempt of their batch.
    pub retries: u64,
    /// Bytes of request bodies before compression.
    pub body_bytes: u64,
    /// Bytes of request bodies as sent.
    pub sent_bytes: u64,
    /// Lost events by reason: lost_by_reason[PHC_LOSS_CLOSED].
    pub lost_by_reason: [u64; PHC_LOSS_SLOTS],
    /// Captures that did not take an event, by status: refused_by_status[PHC_QUEUE_FULL].
    pub refused_by_status: [u64; PHC_STATUS_SLOTS],
    /// Delivered events about which the server said more than a plain "ok". Those with a
    /// warning are among them; the others have an "ok" with details, or a result that is not
    /// known. The most common details are person_processing_disabled: the distinct_id looks
    /// like a placeholder ("anonymous", "null", ...), and the event belongs to no person.
    pub delivered_with_remark: u64,
    /// Events that ended processes, or closed clients, had left on disk (see the setting
    /// spool_dir), and that this client has taken over.
    pub recovered: u64,
    /// Events that were left on disk when this client was closed; a later client sends them.
    pub kept: u64,
    /// Pending events that are on disk as the setting spool_safety promises: at power, synced.
    pub spooled: u64,
}

// SAFETY: numbers of the same size.
unsafe impl Plain for phc_stats {}

const _: () = assert!(LossReason::COUNT < PHC_LOSS_SLOTS && Status::COUNT <= PHC_STATUS_SLOTS);

impl From<&Stats> for phc_stats {
    fn from(stats: &Stats) -> Self {
        let mut lost_by_reason = [0; PHC_LOSS_SLOTS];
        // Reasons are numbered from 1.
        for (slot, count) in lost_by_reason.iter_mut().skip(1).zip(stats.lost) {
            *slot = count;
        }
        let mut refused_by_status = [0; PHC_STATUS_SLOTS];
        for (slot, count) in refused_by_status.iter_mut().zip(stats.refused) {
            *slot = count;
        }
        phc_stats {
            captured: stats.captured,
            delivered: stats.delivered,
            delivered_with_warning: stats.delivered_with_warning,
            lost: stats.lost_total(),
            maybe_delivered: stats.maybe_delivered,
            pending_events: stats.pending_events,
            pending_bytes: stats.pending_bytes,
            refused: stats.refused_total(),
            repaired: stats.repaired,
            uuids_replaced: stats.uuids_replaced,
            requests: stats.requests,
            retries: stats.retries,
            body_bytes: stats.body_bytes,
            sent_bytes: stats.sent_bytes,
            lost_by_reason,
            refused_by_status,
            delivered_with_remark: stats.delivered_with_remark,
            recovered: stats.recovered,
            kept: stats.kept,
            spooled: stats.spooled,
        }
    }
}

/// Fills out with as many of the counters as fit into size bytes; pass sizeof(phc_stats). It
/// may be called until the free, also from callbacks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_stats_get(
    client: *const phc_client,
    out: *mut phc_stats,
    size: usize,
) -> phc_status {
    guard(&rules::phc_stats_get, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        status_of(client.map(|client| {
            // SAFETY: the caller passes NULL or a struct of `size` bytes.
            unsafe { fill(out, &phc_stats::from(&client.stats()), size) };
        }))
    })
}

/// Writes the counters as one JSON object, with lost and refused by the names of their reasons
/// and statuses, into a buffer of len bytes, NUL included. Returns the length of the whole text
/// without the NUL, like snprintf; 0 if client is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_stats_json(client: *const phc_client, buf: *mut c_char, len: usize) -> usize {
    guard(&rules::phc_stats_json, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        // SAFETY: the caller passes NULL or a buffer of `len` bytes.
        client.map_or(0, |client| unsafe { copy_out(&json(&client.stats()), buf, len) })
    })
}

fn json(stats: &Stats) -> String {
    let mut out = String::from("{\"lost\":{");
    for ((_, name), count) in LossReason::ALL.iter().zip(stats.lost).filter(|(_, count)| *count > 0) {
        write_member(&mut out, name, count);
    }
    out.push_str("},\"refused\":{");
    for ((_, name, _), count) in Status::ALL.iter().zip(stats.refused).filter(|(_, count)| *count > 0) {
        write_member(&mut out, name, count);
    }
    out.push('}');
    for (name, count) in stats.counters() {
        write_member(&mut out, name, count);
    }
    out.push('}');
    out
}

#[inline(never)]
fn write_member(out: &mut String, name: &str, count: u64) {
    let comma = if out.ends_with('{') { "" } else { "," };
    let _ = write!(out, "{comma}\"{name}\":{count}");
}
