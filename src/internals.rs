//! What fuzz targets, benchmarks, xtask and phc-cli use of the library's inside. It is not an
//! API: everything in it may change at any time.

pub mod tool;

use std::time::Duration;

use uuid::Uuid;

pub use crate::capi::rules::{ALL as CALL_RULES, Rule};
pub use crate::client::Client;
pub use crate::config::host::{endpoint, normalised as normalised_host};
pub use crate::config::{Config, settings_page};
pub use crate::event::{EncodedEvent, Encoder, EventBuilder, EventInput, SuperProperties};
pub use crate::protocol::retry_after::parse as parse_retry_after;
pub use crate::protocol::{
    Attempt, AttemptDecision, AttemptResult, Backoff, Disposition, Failure, HostSign, Keeping, RetryPolicy,
    Verdict, decide,
};
pub use crate::status::{Error, Message, Status};

use crate::delivery::DeliveryState;
use crate::event::timestamp::Timestamp;

/// The queue and the batches of a client without a network, for benches/guard.rs.
#[derive(Debug)]
pub struct Deliveries(DeliveryState);

impl Deliveries {
    /// An empty queue with the bounds of the settings.
    pub fn new(config: &Config) -> Self {
        Deliveries(DeliveryState::new(config))
    }

    /// Puts an encoded event into the queue; returns whether it was accepted.
    pub fn enqueue(&mut self, wire: &[u8], event: &EncodedEvent) -> bool {
        self.0.enqueue(wire, event, || Duration::ZERO).0.is_ok()
    }

    /// Makes a batch of the events in the queue and applies this decision to its first
    /// attempt. Returns whether that settled all of its events.
    pub fn attempt(&mut self, request_id: Uuid, mut decision: AttemptDecision) -> bool {
        let now = Timestamp::from_unix_ms(1_790_000_000_000).unwrap_or_else(Timestamp::now);
        let Some(batch) = self.0.take_batch(request_id, now) else { return false };
        let _ = std::hint::black_box(self.0.begin_attempt(batch, now));
        let (again, _) = self.0.complete_attempt(batch, &mut decision, 0, || Some(([Uuid::nil(); 2], now)));
        again.is_empty()
    }
}

#[cfg(all(unix, feature = "spool"))]
pub use crate::spool::{SegmentSummary, Unreadable as UnreadableSegment, read_segment};
