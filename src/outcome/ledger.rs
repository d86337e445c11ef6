//! Counters that add up.
//!
//! `captured = delivered + lost + pending` at every instant: `pending` is counted
//! by itself, not derived, so that the equation is a check and no tautology.

use crate::protocol::judge::Loss;
use crate::status::Status;

/// All counters of one client in one process. They never go back, but for
/// `pending_events` and `pending_bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Events that a capture call took.
    pub captured: u64,
    /// Of those, stored by the server.
    pub delivered: u64,
    /// Of the delivered, those with a remark of the server.
    pub delivered_with_warning: u64,
    /// Of the captured, those that are lost, by [`Loss`].
    pub lost: [u64; Loss::ALL.len()],
    /// Of the lost, those that may have been stored all the same.
    pub maybe_delivered: u64,
    /// Of the captured, those that are neither yet.
    pub pending_events: u64,
    /// Their wire bytes and bookkeeping.
    pub pending_bytes: u64,
    /// Calls that took no event, by [`Status`].
    pub refused: [u64; Status::ALL.len()],
    /// Events with text that was repaired.
    pub repaired: u64,
    /// Events whose uuid was no uuid and was replaced.
    pub uuids_replaced: u64,
    /// Requests begun.
    pub requests: u64,
    /// Of those, further attempts of a batch.
    pub retries: u64,
    /// Request bodies in bytes, before compression.
    pub body_bytes: u64,
    /// Request bodies in bytes, as sent.
    pub sent_bytes: u64,
    /// Lost events that a flush or close has already told of.
    pub lost_told: u64,
}

impl Ledger {
    /// All lost events.
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// All refused calls.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Whether the counters add up.
    pub fn adds_up(&self) -> bool {
        self.captured == self.delivered + self.lost_total() + self.pending_events
    }

    /// Counts one lost event.
    pub fn lose(&mut self, loss: Loss, maybe_delivered: bool) {
        if let Some(count) = self.lost.get_mut(loss as usize - 1) {
            *count += 1;
        }
        self.maybe_delivered += u64::from(maybe_delivered);
    }

    /// Counts one call that took no event.
    pub fn refuse(&mut self, status: Status) {
        let slot = usize::try_from(status.0).ok().and_then(|number| self.refused.get_mut(number));
        if let Some(count) = slot {
            *count += 1;
        }
    }

    /// Whether events were lost since this was last asked.
    pub fn take_lost_news(&mut self) -> bool {
        let total = self.lost_total();
        std::mem::replace(&mut self.lost_told, total) != total
    }
}
