//! phc_stats: the counters of a client.

use std::ffi::c_char;
use std::fmt::Write as _;

use super::client::phc_client;
use super::guard::guard;
use super::handle::{fill, share};
use super::status::{answer, phc_status};
use super::text::copy_out;
use crate::outcome::Ledger;
use crate::protocol::judge::Loss;
use crate::status::Status;

/// Counters of one instant, since the client was made or, in a forked child,
/// since the fork. Always captured = delivered + lost + pending_events. The
/// struct only ever grows at its end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct phc_stats {
    /// Events that a capture took (answered PHC_OK).
    pub captured: u64,
    /// Of those, stored by the server.
    pub delivered: u64,
    /// Of the delivered, those with a warning of the server.
    pub delivered_with_warning: u64,
    /// Of the captured, those that are lost; phc_stats_json says for which reasons.
    pub lost: u64,
    /// Of the lost, those that the server may have stored all the same.
    pub maybe_delivered: u64,
    /// Of the captured, those that are waiting, in flight or in back-off.
    pub pending_events: u64,
    /// Their bytes and bookkeeping, as counted for queue_max_bytes.
    pub pending_bytes: u64,
    /// Captures that took no event; phc_stats_json says for which statuses.
    pub refused: u64,
    /// Events with bad UTF-8 or lone surrogates that were replaced.
    pub repaired: u64,
    /// Events whose uuid was no uuid and was replaced.
    pub uuids_replaced: u64,
    /// Requests begun.
    pub requests: u64,
    /// Of those, further attempts of a batch.
    pub retries: u64,
    /// Bytes of request bodies before compression.
    pub body_bytes: u64,
    /// Bytes of request bodies as sent.
    pub sent_bytes: u64,
}

impl From<&Ledger> for phc_stats {
    fn from(ledger: &Ledger) -> Self {
        phc_stats {
            captured: ledger.captured,
            delivered: ledger.delivered,
            delivered_with_warning: ledger.delivered_with_warning,
            lost: ledger.lost_total(),
            maybe_delivered: ledger.maybe_delivered,
            pending_events: ledger.pending_events,
            pending_bytes: ledger.pending_bytes,
            refused: ledger.refused_total(),
            repaired: ledger.repaired,
            uuids_replaced: ledger.uuids_replaced,
            requests: ledger.requests,
            retries: ledger.retries,
            body_bytes: ledger.body_bytes,
            sent_bytes: ledger.sent_bytes,
        }
    }
}

/// Fills out with as much of the counters as fits into size bytes; pass
/// sizeof(phc_stats). May be called until the free, from callbacks too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_stats_get(
    client: *const phc_client,
    out: *mut phc_stats,
    size: usize,
) -> phc_status {
    guard(|| {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        answer(client.map(|client| {
            // SAFETY: the caller passes NULL or a struct of size bytes.
            unsafe { fill(out, &phc_stats::from(&client.stats()), size) };
        }))
    })
}

/// Writes the counters as one JSON object, lost and refused by their reasons,
/// into a buffer of len bytes, NUL included. Answers the length that the whole
/// text needs without the NUL, like snprintf; 0 when client is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_stats_json(client: *const phc_client, buf: *mut c_char, len: usize) -> usize {
    guard(|| {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { share(client, "client") };
        // SAFETY: the caller passes NULL or a buffer of len bytes.
        client.map_or(0, |client| unsafe { copy_out(&json(&client.stats()), buf, len) })
    })
}

fn json(ledger: &Ledger) -> String {
    let object = |counts: &mut dyn Iterator<Item = (&str, u64)>| {
        let counts = counts.filter(|(_, count)| *count > 0);
        let members: Vec<_> = counts.map(|(name, count)| format!("\"{name}\":{count}")).collect();
        format!("{{{}}}", members.join(","))
    };
    let lost = object(&mut Loss::ALL.iter().map(|(_, name)| *name).zip(ledger.lost));
    let refused = object(&mut Status::ALL.iter().map(|(_, name, _)| *name).zip(ledger.refused));
    let mut out = format!("{{\"lost\":{lost},\"refused\":{refused}");
    for (name, count) in [
        ("captured", ledger.captured),
        ("delivered", ledger.delivered),
        ("delivered_with_warning", ledger.delivered_with_warning),
        ("maybe_delivered", ledger.maybe_delivered),
        ("pending_events", ledger.pending_events),
        ("pending_bytes", ledger.pending_bytes),
        ("repaired", ledger.repaired),
        ("uuids_replaced", ledger.uuids_replaced),
        ("requests", ledger.requests),
        ("retries", ledger.retries),
        ("body_bytes", ledger.body_bytes),
        ("sent_bytes", ledger.sent_bytes),
    ] {
        let _ = write!(out, ",\"{name}\":{count}");
    }
    out.push('}');
    out
}
