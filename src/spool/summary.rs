//! What a segment says, for tools: without borrowed bytes and without the types of the rest.

use uuid::Uuid;

use super::contents::{Contents, Unreadable};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Index, uuid and wire bytes of each event that has not ended.
    pub pending: Vec<(u32, Uuid, Vec<u8>)>,
    /// How many events must have been there, and are not.
    pub missing: u32,
    /// Request id and `created_at` in milliseconds since 1970.
    pub batch: Option<(Uuid, i64)>,
    /// The last attempt, and how many count against the budget.
    pub attempt: Option<(u32, u32)>,
    /// Whether the server may have stored a pending event.
    pub maybe_delivered: bool,
    /// How many processes took it over in a row without letting go of it in order.
    pub takeovers: u32,
}

/// Reads a segment.
pub fn read_segment(bytes: &[u8]) -> Result<SegmentSummary, Unreadable> {
    let contents = Contents::read(bytes)?;
    let pending = contents.pending.iter();
    Ok(SegmentSummary {
        pending: pending.map(|event| (event.index, event.uuid, event.wire.to_vec())).collect(),
        missing: contents.missing,
        batch: contents.batch.map(|batch| (batch.request_id, batch.created_at_ms)),
        attempt: contents.attempt.map(|attempt| (attempt.attempt, attempt.used)),
        maybe_delivered: contents.maybe_delivered,
        takeovers: contents.takeovers,
    })
}
