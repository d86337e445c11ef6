//! Counters that add up.
//!
//! `captured + recovered = delivered + lost + kept + pending` at every instant. `pending` is
//! counted by itself and not derived, so that the equation is a check and not a tautology.

use super::loss::LossReason;
use crate::status::Status;

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one client in one process. They only ever grow, except for
        /// `pending_events`, `pending_bytes` and `spooled`.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Stats {
            $($(#[$doc])* pub(crate) $name: u64,)*
            /// Captured events that are lost, by [`LossReason::index`].
            pub(crate) lost: [u64; LossReason::COUNT],
            /// Calls that did not take an event, by [`Status::index`].
            pub(crate) refused: [u64; Status::COUNT],
        }

        impl Stats {
            /// The counters that are a single number, with their names.
            pub(crate) fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

stats! {
    /// Events that a capture call took.
    captured,
    /// Captured events that the server stored.
    delivered,
    /// Delivered events whose result was `warning`.
    delivered_with_warning,
    /// Delivered events about which the server said more than a plain `ok`: those with a
    /// warning, with an `ok` that has details, or with a code that is not known.
    delivered_with_remark,
    /// Lost events that the server may have stored nevertheless.
    maybe_delivered,
    /// Events that are neither delivered nor lost nor kept yet.
    pending_events,
    /// Their wire bytes and bookkeeping.
    pending_bytes,
    /// Events in which text was repaired.
    repaired,
    /// Events whose uuid was not valid and was replaced.
    uuids_replaced,
    /// Attempts that were begun, without those of which nothing could be sent.
    requests,
    /// Attempts that were not the first one of their batch.
    retries,
    /// Bytes of request bodies before compression.
    body_bytes,
    /// Bytes of request bodies as sent.
    sent_bytes,
    /// Events that another process, or an earlier client, had left on disk, and that this client has taken over.
    recovered,
    /// Events that were left on disk when the client was closed, for a later one.
    kept,
    /// Pending events that are on disk.
    spooled,
}

impl Stats {
    /// The number of lost events.
    pub(crate) fn lost_total(&self) -> u64 {
        self.lost.iter().sum()
    }

    /// The number of calls that did not take an event.
    pub(crate) fn refused_total(&self) -> u64 {
        self.refused.iter().sum()
    }

    /// Whether the counters add up.
    #[cfg(test)]
    pub(crate) fn add_up(&self) -> bool {
        self.captured + self.recovered == self.delivered + self.lost_total() + self.kept + self.pending_events
    }

    /// Counts one lost event.
    pub(super) fn count_lost(&mut self, reason: LossReason, maybe_delivered: bool) {
        if let Some(count) = self.lost.get_mut(reason.index()) {
            *count += 1;
        }
        self.maybe_delivered += u64::from(maybe_delivered);
    }

    /// Counts one call that did not take an event.
    pub(super) fn count_refused(&mut self, status: Status) {
        if let Some(count) = status.index().and_then(|index| self.refused.get_mut(index)) {
            *count += 1;
        }
    }
}
