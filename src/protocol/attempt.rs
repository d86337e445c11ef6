//! What a decision on an attempt depends on: the attempt, its result, and the rules for
//! retries.

use std::time::Duration;

use uuid::Uuid;

use super::backoff::Backoff;

/// The attempt that is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// The uuids of its events, in order.
    pub uuids: &'a [Uuid],
    /// Attempts of the budget that are used, this one included.
    pub used: u32,
    /// Whether another codec remains to be tried after a 415.
    pub can_change_codec: bool,
    /// Spreads the wait before the next attempt.
    pub random: u16,
    /// What is known of a batch whose events are on disk; `None` without a spool.
    pub spooled: Option<SpooledBatch>,
}

/// A batch whose events are on disk, so that no outage ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpooledBatch {
    /// Whether the circuit is open: the failure is the host's and not the batch's, and spends none of its budget.
    pub host_is_down: bool,
    /// How many times it was postponed.
    pub times_postponed: u32,
}

/// What one attempt resulted in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// A complete response.
    Response {
        /// The HTTP status.
        status: u16,
        /// The wait that `Retry-After` asks for.
        retry_after: Option<Duration>,
        /// The target of a redirect.
        location: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
    /// A response with a body over [`response::max_bytes`](super::response::max_bytes).
    Oversized {
        /// The HTTP status.
        status: u16,
    },
    /// No response, or one that was cut off.
    NoResponse {
        /// What happened, for people.
        message: String,
        /// Whether the request may have reached the server.
        maybe_sent: bool,
    },
    /// A connection that was kept from an earlier request failed before a response began: it
    /// had probably died unnoticed. The next attempt makes a new one.
    StaleConnection {
        /// What happened, for people.
        message: String,
    },
    /// Nothing was sent: this machine has no descriptor, port, memory or randomness for it.
    LocalShortage {
        /// What is lacking, for people.
        message: String,
    },
}

/// The rules for retries that settings can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first one (`max_retries`).
    pub max_retries: u32,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// HTTP statuses after which another attempt is made (`retry_statuses`).
    pub retry_statuses: Vec<u16>,
}
