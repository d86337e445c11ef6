//! What a segment says, for tools: without borrowed bytes and without the types of the rest.

use std::time::Duration;

use uuid::Uuid;

use super::contents::{Contents, Unreadable};
use super::moment::Moment;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Index, uuid and wire bytes of each event that has not ended.
    pub pending: Vec<(u32, Uuid, Vec<u8>)>,
    /// How many events there were or must have been: those pending, ended and missing.
    pub events: u32,
    /// How many of them have ended.
    pub ended: u32,
    /// How many events must have been there, and are not.
    pub missing: u32,
    /// Request id and `created_at` in milliseconds since 1970.
    pub batch: Option<(Uuid, i64)>,
    /// The last attempt, and how many count against the budget.
    pub attempt: Option<(u32, u32)>,
    /// How often it was postponed because others succeeded, and until when, in milliseconds since 1970.
    pub postponed: Option<(u32, i64)>,
    /// Whether the server may have stored a pending event.
    pub maybe_delivered: bool,
    /// How many processes took it over in a row without letting go of it in order.
    pub takeovers: u32,
    /// How many runs of its bytes are damaged.
    pub damaged: u32,
    /// The destination that its header names: 16 bytes, as in the name of the destination's folder.
    pub destination: [u8; 16],
    /// Whether its events are part of an import.
    pub historical_migration: bool,
    /// Name and version of the SDK that captured the events.
    pub origin: String,
    begun: Moment,
    first_takeover_ms: Option<i64>,
}

impl SegmentSummary {
    /// How long ago it was begun, as far as that is known.
    pub(super) fn age(&self, now: Moment) -> Duration {
        self.begun.age(now, self.first_takeover_ms)
    }
}

/// Reads a segment.
pub fn read_segment(bytes: &[u8]) -> Result<SegmentSummary, Unreadable> {
    let contents = Contents::read(bytes)?;
    let pending = contents.pending.iter();
    Ok(SegmentSummary {
        pending: pending.map(|event| (event.index, event.uuid, event.wire.to_vec())).collect(),
        events: contents.events,
        ended: contents.ended,
        missing: contents.missing,
        batch: contents.batch.map(|batch| (batch.request_id, batch.created_at_ms)),
        attempt: contents.attempt.map(|attempt| (attempt.attempt, attempt.used)),
        postponed: contents.postponed.map(|postponed| (postponed.times, postponed.not_before_ms)),
        maybe_delivered: contents.maybe_delivered,
        takeovers: contents.takeovers,
        damaged: contents.damaged,
        destination: contents.header.destination,
        historical_migration: contents.header.historical_migration,
        origin: contents.header.origin.to_owned(),
        begun: contents.header.begun,
        first_takeover_ms: contents.first_takeover_ms,
    })
}
