//! A batch: the events that travel together, from the first attempt to the end.

use bytes::Bytes;
use uuid::Uuid;

use crate::event::timestamp::Timestamp;
use crate::fault;
use crate::protocol::envelope::{FRONT, back, front};
use crate::queue::{Segment, Span};

/// The events of one attempt, with the body that holds them. A batch gets a new
/// one when some of its events have ended.
#[derive(Debug)]
pub struct Cargo {
    /// The events' uuids.
    pub uuids: Vec<Uuid>,
    /// Where they are in the body.
    pub spans: Vec<Span>,
    /// The request body, uncompressed.
    pub body: Bytes,
}

/// A batch between its first attempt and its end.
#[derive(Debug)]
pub struct Batch {
    /// The same on every attempt.
    pub request_id: Uuid,
    /// The same on every attempt.
    pub created_at: Timestamp,
    /// Whether the batch is part of an import.
    pub historical_migration: bool,
    /// Requests made, the one in flight included.
    pub attempt: u32,
    /// When the last of them began, in milliseconds since 1970.
    pub sent_at_ms: i64,
    /// Attempts that count against `max_retries`.
    pub used: u32,
    /// Whether a request is open.
    pub in_flight: bool,
    /// Whether any attempt ended without our learning what the server did.
    pub answer_unknown: bool,
    /// The events that are still pending.
    pub cargo: std::sync::Arc<Cargo>,
}

impl Batch {
    /// A new batch of a segment. The body is the segment's memory, unless events
    /// were evicted from its front.
    pub fn new(
        segment: Segment,
        request_id: Uuid,
        created_at: Timestamp,
        historical_migration: bool,
    ) -> Self {
        fault::point("batch");
        let Segment { mut body, mut uuids, mut spans, evicted, .. } = segment;
        let cargo = if evicted == 0 {
            if let Some(room) = body.get_mut(..FRONT) {
                room.copy_from_slice(&front(created_at));
            }
            body.extend_from_slice(back(historical_migration));
            Cargo { uuids, spans, body: Bytes::from(body) }
        } else {
            uuids.drain(..evicted);
            spans.drain(..evicted);
            pack(&body, &uuids, &spans, created_at, historical_migration)
        };
        Batch {
            request_id,
            created_at,
            historical_migration,
            attempt: 0,
            sent_at_ms: 0,
            used: 0,
            in_flight: false,
            answer_unknown: false,
            cargo: std::sync::Arc::new(cargo),
        }
    }

    /// Keeps only the events at which `pending` is true, for the next attempt of
    /// the same request: the same bytes in a smaller body.
    pub fn retain(&mut self, pending: &[bool]) {
        if pending.iter().all(|pending| *pending) {
            return;
        }
        fn kept<T: Copy>(items: &[T], pending: &[bool]) -> Vec<T> {
            items.iter().zip(pending).filter(|(_, pending)| **pending).map(|(item, _)| *item).collect()
        }
        let uuids = kept(&self.cargo.uuids, pending);
        let spans = kept(&self.cargo.spans, pending);
        let cargo = pack(&self.cargo.body, &uuids, &spans, self.created_at, self.historical_migration);
        self.cargo = std::sync::Arc::new(cargo);
    }

    /// Two new batches of half the events each.
    pub fn split(self, request_ids: [Uuid; 2], created_at: Timestamp) -> [Batch; 2] {
        let half = self.cargo.uuids.len().div_ceil(2);
        let parts = self.cargo.uuids.split_at_checked(half).zip(self.cargo.spans.split_at_checked(half));
        let ((first_uuids, second_uuids), (first_spans, second_spans)) = parts.unwrap_or_default();
        let new = |request_id, uuids: &[Uuid], spans: &[Span]| Batch {
            request_id,
            created_at,
            historical_migration: self.historical_migration,
            attempt: 0,
            sent_at_ms: 0,
            used: 0,
            in_flight: false,
            answer_unknown: self.answer_unknown,
            cargo: std::sync::Arc::new(pack(
                &self.cargo.body,
                uuids,
                spans,
                created_at,
                self.historical_migration,
            )),
        };
        let [first, second] = request_ids;
        [new(first, first_uuids, first_spans), new(second, second_uuids, second_spans)]
    }
}

/// A body of these events, copied from another.
fn pack(
    from: &[u8],
    uuids: &[Uuid],
    spans: &[Span],
    created_at: Timestamp,
    historical_migration: bool,
) -> Cargo {
    let back = back(historical_migration);
    let bytes: usize = spans.iter().map(|span| span.len() + 1).sum();
    let mut body = Vec::with_capacity(FRONT + bytes + back.len());
    body.extend_from_slice(&front(created_at));
    let mut moved = Vec::with_capacity(spans.len());
    for span in spans {
        if !moved.is_empty() {
            body.push(b',');
        }
        let start = body.len();
        body.extend_from_slice(from.get(span.start as usize..span.end as usize).unwrap_or_default());
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        moved.push(Span { start: offset(start), end: offset(body.len()), seq: span.seq });
    }
    body.extend_from_slice(back);
    Cargo { uuids: uuids.to_vec(), spans: moved, body: Bytes::from(body) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{Cutting, Queue};
    use std::time::Duration;

    fn segment(evicted: usize) -> Segment {
        let cutting =
            Cutting { flush_at: 9, flush_interval: Duration::MAX, max_batch_events: 9, max_body: 10_000 };
        let mut queue = Queue::new(cutting);
        for seq in 1..=5_u64 {
            queue.push(
                format!("\"event {seq}\"").as_bytes(),
                Uuid::from_u128(seq.into()),
                false,
                seq,
                || Duration::ZERO,
            );
        }
        for _ in 0..evicted {
            queue.evict();
        }
        queue.cut().unwrap()
    }

    fn events(batch: &Batch) -> Vec<String> {
        let body: serde_json::Value = serde_json::from_slice(&batch.cargo.body).unwrap();
        let events: Vec<String> = serde_json::from_value(body["batch"].clone()).unwrap();
        for ((event, uuid), span) in events.iter().zip(&batch.cargo.uuids).zip(&batch.cargo.spans) {
            assert_eq!(*event, format!("event {}", uuid.as_u128()));
            assert_eq!(
                &batch.cargo.body[span.start as usize..span.end as usize],
                format!("{event:?}").as_bytes()
            );
        }
        assert_eq!(events.len(), batch.cargo.uuids.len());
        assert_eq!(body["created_at"], String::from_utf8(batch.created_at.format().to_vec()).unwrap());
        events
    }

    #[test]
    fn keeps_splits_and_packs() {
        let at = Timestamp::from_unix_ms(0).unwrap();
        let mut batch = Batch::new(segment(0), Uuid::nil(), at, false);
        assert_eq!(events(&batch).len(), 5);
        batch.retain(&[true; 5]);
        batch.retain(&[true, false, true, false, true]);
        assert_eq!(events(&batch), ["event 1", "event 3", "event 5"]);
        let [first, second] = batch.split([Uuid::nil(), Uuid::max()], at);
        assert_eq!(events(&first), ["event 1", "event 3"]);
        assert_eq!(events(&second), ["event 5"]);
        assert_eq!(events(&Batch::new(segment(2), Uuid::nil(), at, true)), ["event 3", "event 4", "event 5"]);
    }
}
