//! What a change of the state wakes, and what the sleeping send loop is woken for.

use std::ops::BitOr;

/// What must be woken after a change of the state. The caller that makes the change passes
/// this on to [`Delivery`](super::Delivery), which alone wakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "a change whose `Wake` is lost leaves a thread asleep"]
pub(crate) struct Wake {
    /// The send loop.
    pub(crate) sender: bool,
    /// What waits for events to be settled: flushes, blocked captures, a close.
    pub(crate) settled: bool,
    /// What waits for reports and log lines: the callback thread, `phc_poll`, the
    /// readiness descriptor. Also set when a report is removed.
    pub(crate) reports: bool,
}

impl Wake {
    /// Nothing.
    pub(crate) const NONE: Wake = Wake { sender: false, settled: false, reports: false };
}

impl BitOr for Wake {
    type Output = Wake;

    fn bitor(self, other: Wake) -> Wake {
        Wake {
            sender: self.sender | other.sender,
            settled: self.settled | other.settled,
            reports: self.reports | other.reports,
        }
    }
}

/// What the sleeping send loop wants to be woken for by captures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WakeOn {
    /// The first event after none.
    pub(crate) first_event: bool,
    /// A batch that is ready by its size.
    pub(crate) full_batch: bool,
}
