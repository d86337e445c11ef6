//! The reasons for which events are lost.

use crate::protocol::Failure;

/// Why an event is lost. The numbers are those of the C API: they are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum LossReason {
    /// The server's verdict was `drop`.
    Dropped = 1,
    /// The server's verdict was `retry` until the budget was spent.
    RetryExhausted = 2,
    /// An HTTP status ended its batch.
    Rejected = 3,
    /// The last attempt of its batch got no complete response.
    Transport = 4,
    /// The response to its batch was not one of Capture v1.
    MalformedResponse = 5,
    /// It made room for newer events (`overflow` = `drop_oldest`).
    Evicted = 6,
    /// The client was closed first.
    Closed = 7,
    /// An internal error in libphc.
    Internal = 8,
    /// It was on disk for longer than `spool_max_age_ms`.
    Expired = 9,
    /// It was on disk and could not be read any more.
    Corrupt = 10,
    /// The host has discarded what was pending.
    Discarded = 11,
}

impl LossReason {
    /// How many reasons there are. They are numbered from 1.
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// Every reason with its name, in the order of the numbers.
    pub(crate) const ALL: [(LossReason, &'static str); 11] = [
        (LossReason::Dropped, "dropped"),
        (LossReason::RetryExhausted, "retry_exhausted"),
        (LossReason::Rejected, "rejected"),
        (LossReason::Transport, "transport"),
        (LossReason::MalformedResponse, "malformed_response"),
        (LossReason::Evicted, "evicted"),
        (LossReason::Closed, "closed"),
        (LossReason::Internal, "internal"),
        (LossReason::Expired, "expired"),
        (LossReason::Corrupt, "corrupt"),
        (LossReason::Discarded, "discarded"),
    ];

    /// The reason's name in reports.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL.get(self.index()).map_or("", |(_, name)| name)
    }

    /// The reason's position in [`LossReason::ALL`].
    pub(crate) fn index(self) -> usize {
        usize::from(self as u8) - 1
    }
}

impl From<Failure> for LossReason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Dropped => LossReason::Dropped,
            Failure::RetryExhausted => LossReason::RetryExhausted,
            Failure::Rejected => LossReason::Rejected,
            Failure::Transport => LossReason::Transport,
            Failure::MalformedResponse => LossReason::MalformedResponse,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_row() {
        for (index, (reason, name)) in LossReason::ALL.into_iter().enumerate() {
            assert_eq!((reason.index(), reason.name()), (index, name));
        }
    }
}
