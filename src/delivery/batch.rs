//! A batch: the events that are sent together, from the first attempt to the last.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::mark::Mark;
use super::open_batch::{OpenBatch, Span, offset};
use super::report::Report;
use crate::event::timestamp::Timestamp;
use crate::failpoint;
use crate::memory::{NoMemory, copied};
use crate::protocol::envelope::{FRONT, back, front};
use crate::protocol::{AttemptDecision, HostSign};
#[cfg(all(unix, feature = "spool"))]
use crate::spool::{AttemptRecord, Contents, PostponedRecord};
use crate::transport::AttemptRequest;

/// Names a batch within its client.
pub(crate) type BatchId = u64;

/// The events of one attempt, with the body that contains them. A batch gets a new
/// payload when some of its events have ended.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    uuids: Vec<Uuid>,
    spans: Vec<Span>,
    /// The request body before compression.
    body: Bytes,
}

impl Payload {
    /// The events' uuids, in the order of the body.
    pub(crate) fn uuids(&self) -> &[Uuid] {
        &self.uuids
    }

    /// The length of the body before compression.
    pub(super) fn body_bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// The events' places in the body.
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The wire bytes of an event.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn wire(&self, span: &Span) -> &[u8] {
        self.body.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The wire bytes of each event.
    #[cfg(test)]
    pub(super) fn wires(&self) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(|span| &self.body[span.start as usize..span.end as usize])
    }
}

/// An attempt that has begun.
#[derive(Debug)]
pub(crate) struct OpenAttempt {
    /// What is sent.
    pub(crate) request: AttemptRequest,
    /// The events in it.
    pub(crate) payload: Arc<Payload>,
    /// Attempts of the budget that are used, this one included.
    pub(crate) used: u32,
    /// How many times the batch was postponed.
    pub(crate) times_postponed: u32,
}

/// A batch between its first attempt and its end.
#[derive(Debug)]
pub(super) struct Batch {
    /// The same on every attempt.
    request_id: Uuid,
    /// The same on every attempt.
    created_at: Timestamp,
    /// Whether the batch is part of an import.
    historical_migration: bool,
    /// Attempts begun.
    attempt: u32,
    /// When the last of them began.
    sent_at_ms: i64,
    /// The same of the one before it.
    sent_before_ms: i64,
    /// Attempts that count against `max_retries`.
    used: u32,
    /// How many of them were refused. They count in this process only: another one may have another key.
    refused: u32,
    in_flight: bool,
    /// How many times its budget was spent and began anew.
    times_postponed: u32,
    /// When it may be sent again after the last time, in milliseconds since 1970.
    postponed_until_ms: i64,
    /// Who captured its events, if that was another SDK than the client's.
    origin: Option<Arc<str>>,
    /// The segment that its events are in, on disk.
    mark: Mark,
    /// Whether the disk thread was given all of them.
    #[cfg(all(unix, feature = "spool"))]
    is_given: bool,
    /// Whether any attempt ended without our learning what the server did.
    response_unknown: bool,
    /// The events that are still pending.
    payload: Arc<Payload>,
    /// Whether the body is that of exactly these events.
    is_packed: bool,
}

/// What of a batch goes to disk, besides its events.
#[cfg(all(unix, feature = "spool"))]
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchFacts {
    pub(super) request_id: Uuid,
    pub(super) created_at_ms: i64,
    pub(super) attempt: AttemptRecord,
    pub(super) in_flight: bool,
    pub(super) response_unknown: bool,
    pub(super) postponed: Option<PostponedRecord>,
}

impl Batch {
    /// A batch of the events of `open`, whose memory becomes the body. If events were
    /// removed from its front, the others are copied out of it.
    pub(super) fn new(
        open: OpenBatch,
        request_id: Uuid,
        created_at: Timestamp,
        historical_migration: bool,
    ) -> Self {
        failpoint::pass("batch");
        let OpenBatch { mut body, mut uuids, mut spans, removed, mark, .. } = open;
        let payload = if removed == 0 {
            if let Some(space) = body.get_mut(..FRONT) {
                space.copy_from_slice(&front(created_at));
            }
            body.extend_from_slice(back(historical_migration));
            Payload { uuids, spans, body: Bytes::from(body) }
        } else {
            uuids.drain(..removed);
            spans.drain(..removed);
            Payload { uuids, spans, body: Bytes::from(body) }
        };
        let mut batch = Batch { mark, ..Self::of(payload, request_id, created_at, historical_migration) };
        if removed > 0 {
            batch.is_packed = false;
            batch.pack_if_possible();
        }
        batch
    }

    fn of(payload: Payload, request_id: Uuid, created_at: Timestamp, historical_migration: bool) -> Self {
        Batch {
            request_id,
            created_at,
            historical_migration,
            attempt: 0,
            sent_at_ms: 0,
            sent_before_ms: 0,
            used: 0,
            refused: 0,
            in_flight: false,
            times_postponed: 0,
            postponed_until_ms: 0,
            origin: None,
            mark: Mark::default(),
            #[cfg(all(unix, feature = "spool"))]
            is_given: false,
            response_unknown: false,
            payload: Arc::new(payload),
            is_packed: true,
        }
    }

    /// The events that are still pending.
    pub(super) fn payload(&self) -> &Payload {
        &self.payload
    }

    /// Whether the server may have stored an event that is still pending.
    pub(super) fn maybe_delivered(&self) -> bool {
        self.response_unknown || self.in_flight
    }

    /// Begins the next attempt. Without memory for its body it is not begun.
    pub(super) fn begin_attempt(&mut self, now: Timestamp) -> Result<OpenAttempt, NoMemory> {
        self.pack()?;
        self.attempt += 1;
        self.used += 1;
        self.sent_before_ms = std::mem::replace(&mut self.sent_at_ms, now.unix_ms());
        self.in_flight = true;
        Ok(OpenAttempt {
            request: AttemptRequest {
                request_id: self.request_id,
                attempt: self.attempt,
                body: self.payload.body.clone(),
                events: self.payload.uuids.len(),
                sdk_info: self.origin.clone(),
            },
            payload: Arc::clone(&self.payload),
            used: self.used,
            times_postponed: self.times_postponed,
        })
    }

    /// Records the decision on the attempt in flight.
    pub(super) fn end_attempt(&mut self, decision: &AttemptDecision) {
        self.in_flight = false;
        self.response_unknown |= decision.response_unknown;
        self.used -= u32::from(decision.refund);
        self.refused += u32::from(decision.host == HostSign::Refuses && !decision.refund);
        if decision.postpone {
            (self.used, self.refused) = (0, 0);
            self.times_postponed += 1;
            let wait = i64::try_from(decision.wait.as_millis()).unwrap_or(i64::MAX);
            self.postponed_until_ms = self.sent_at_ms.saturating_add(wait);
        }
    }

    /// The segment that its events are in, on disk.
    pub(super) fn mark(&self) -> Mark {
        self.mark
    }

    /// Names its segment.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn set_mark(&mut self, mark: Mark) {
        self.mark = mark;
    }

    /// Whether the disk thread was given all of its events.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn is_given(&self) -> bool {
        self.is_given
    }

    /// Records whether it was.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn set_given(&mut self, is_given: bool) {
        self.is_given = is_given;
    }

    /// The events that are still pending, to be read while the state is not locked.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn shared_payload(&self) -> &Arc<Payload> {
        &self.payload
    }

    /// What of it goes to disk, besides its events.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn facts(&self) -> BatchFacts {
        let postponed =
            PostponedRecord { times: self.times_postponed, not_before_ms: self.postponed_until_ms };
        BatchFacts {
            request_id: self.request_id,
            created_at_ms: self.created_at.unix_ms(),
            attempt: AttemptRecord {
                attempt: self.attempt,
                sent_at_ms: self.sent_at_ms,
                used: self.used.saturating_sub(self.refused),
            },
            in_flight: self.in_flight,
            response_unknown: self.response_unknown,
            postponed: (self.times_postponed > 0).then_some(postponed),
        }
    }

    /// Goes on where the segment ends that its events come from.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn resume(&mut self, contents: &Contents<'_>, origin: Option<Arc<str>>) {
        if let Some(attempt) = contents.attempt.filter(|_| contents.batch.is_some()) {
            (self.attempt, self.used, self.sent_at_ms) = (attempt.attempt, attempt.used, attempt.sent_at_ms);
        }
        if let Some(postponed) = contents.postponed {
            (self.times_postponed, self.postponed_until_ms) = (postponed.times, postponed.not_before_ms);
        }
        self.response_unknown = contents.maybe_delivered;
        self.origin = origin;
    }

    /// Takes back the attempt in flight, of which nothing was sent.
    pub(super) fn take_back_attempt(&mut self) {
        self.in_flight = false;
        self.attempt -= 1;
        self.used -= 1;
        self.sent_at_ms = self.sent_before_ms;
    }

    /// The last attempt does not count against the budget.
    pub(super) fn refund_attempt(&mut self) {
        self.used -= 1;
    }

    /// The number of the last attempt, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// A report of the last attempt, without its result.
    pub(super) fn report(&self) -> Report {
        Report {
            // A batch that was never sent has an id, but there was no such request.
            request_id: (self.attempt > 0).then_some(self.request_id),
            attempt: self.attempt,
            sent_at_ms: self.sent_at_ms,
            ..Report::default()
        }
    }

    /// Keeps only the events for which `keep` is true, for the next attempt of the same
    /// request: the same bytes in a smaller body.
    pub(super) fn retain(&mut self, keep: impl Iterator<Item = bool> + Clone) {
        if keep.clone().all(|keep| keep) {
            return;
        }
        let payload = Arc::make_mut(&mut self.payload);
        let (mut of_uuids, mut of_spans) = (keep.clone(), keep);
        payload.uuids.retain(|_| of_uuids.next().unwrap_or(true));
        payload.spans.retain(|_| of_spans.next().unwrap_or(true));
        self.is_packed = false;
        self.pack_if_possible();
    }

    /// Packs it now or, without memory for that, at its next attempt.
    fn pack_if_possible(&mut self) {
        let _ = self.pack();
    }

    /// Makes the body that of the events that are left: in memory of its own size, or
    /// in its own place when there is none and nothing else uses it.
    fn pack(&mut self) -> Result<(), NoMemory> {
        if self.is_packed {
            return Ok(());
        }
        let payload = Arc::make_mut(&mut self.payload);
        let (front, back) = (front(self.created_at), back(self.historical_migration));
        if let Ok(packed) = packed(&payload.body, &payload.uuids, &payload.spans, &front, back) {
            *payload = packed;
            self.is_packed = true;
            return Ok(());
        }
        match std::mem::take(&mut payload.body).try_into_mut() {
            Ok(mut body) => {
                if let Some(space) = body.get_mut(..FRONT) {
                    space.copy_from_slice(&front);
                }
                let mut end = FRONT;
                for (position, span) in payload.spans.iter_mut().enumerate() {
                    if position > 0
                        && let Some(comma) = body.get_mut(end)
                    {
                        *comma = b',';
                        end += 1;
                    }
                    let bytes = span.bytes();
                    body.copy_within(span.start as usize..span.end as usize, end);
                    (span.start, span.end) = (offset(end), offset(end + bytes));
                    end += bytes;
                }
                body.truncate(end);
                body.extend_from_slice(back);
                payload.body = body.freeze();
                self.is_packed = true;
                Ok(())
            }
            Err(body) => {
                payload.body = body;
                Err(NoMemory)
            }
        }
    }

    /// Splits the batch into two new ones of half the events each.
    pub(super) fn split(self, request_ids: [Uuid; 2], created_at: Timestamp) -> [Batch; 2] {
        let Payload { uuids, spans, body } = &*self.payload;
        let middle = uuids.len().div_ceil(2);
        let (first_uuids, second_uuids) = uuids.split_at_checked(middle).unwrap_or_default();
        let (first_spans, second_spans) = spans.split_at_checked(middle).unwrap_or_default();
        let half = |request_id, uuids: &[Uuid], spans: &[Span]| {
            // Both refer to the whole body until they have been packed.
            let payload = Payload { uuids: uuids.to_vec(), spans: spans.to_vec(), body: body.clone() };
            let batch = Self::of(payload, request_id, created_at, self.historical_migration);
            Batch {
                response_unknown: self.response_unknown,
                is_packed: false,
                times_postponed: self.times_postponed,
                origin: self.origin.clone(),
                mark: self.mark,
                #[cfg(all(unix, feature = "spool"))]
                is_given: self.is_given,
                ..batch
            }
        };
        let [first, second] = request_ids;
        let mut halves = [half(first, first_uuids, first_spans), half(second, second_uuids, second_spans)];
        drop(self);
        halves.iter_mut().for_each(Batch::pack_if_possible);
        halves
    }

    /// The memory of a finished batch, if nothing else uses it.
    pub(super) fn into_memory(mut self) -> Option<OpenBatch> {
        // ThreadSanitizer follows the load of `get_mut`, but not the fence of `try_unwrap`.
        let Payload { uuids, spans, body } = Arc::get_mut(&mut self.payload)?;
        let body = std::mem::take(body).try_into_mut().ok()?;
        Some(OpenBatch::reusing(body.into(), std::mem::take(uuids), std::mem::take(spans)))
    }
}

/// Copies these events into a body of their own.
fn packed(
    from: &[u8],
    uuids: &[Uuid],
    spans: &[Span],
    front: &[u8],
    back: &[u8],
) -> Result<Payload, NoMemory> {
    let bytes: usize = spans.iter().map(|span| span.bytes() + 1).sum();
    let mut body = Vec::new();
    body.try_reserve_exact(front.len() + bytes + back.len())?;
    body.extend_from_slice(front);
    let mut moved = Vec::new();
    moved.try_reserve_exact(spans.len())?;
    for span in spans {
        if !moved.is_empty() {
            body.push(b',');
        }
        let start = body.len();
        body.extend_from_slice(from.get(span.start as usize..span.end as usize).unwrap_or_default());
        moved.push(Span { start: offset(start), end: offset(body.len()), seq: span.seq });
    }
    body.extend_from_slice(back);
    Ok(Payload { uuids: copied(uuids, 0)?, spans: moved, body: Bytes::from(body) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::queue::{BatchLimits, Queue};
    use super::*;

    fn open_batch(evicted: usize) -> OpenBatch {
        let limits =
            BatchLimits { flush_at: 9, flush_interval: Duration::MAX, max_events: 9, max_body: 10_000 };
        let mut queue = Queue::new(limits);
        for seq in 1..=5_u64 {
            let wire = format!("\"event {seq}\"");
            queue.push(wire.as_bytes(), Uuid::from_u128(seq.into()), false, seq, || Duration::ZERO).unwrap();
        }
        for _ in 0..evicted {
            queue.evict();
        }
        queue.take_batch().unwrap()
    }

    fn events(batch: &Batch) -> Vec<String> {
        let payload = batch.payload();
        let body: serde_json::Value = serde_json::from_slice(&payload.body).unwrap();
        let events: Vec<String> = serde_json::from_value(body["batch"].clone()).unwrap();
        for ((event, uuid), wire) in events.iter().zip(payload.uuids()).zip(payload.wires()) {
            assert_eq!(*event, format!("event {}", uuid.as_u128()));
            assert_eq!(wire, format!("{event:?}").as_bytes());
        }
        assert_eq!(events.len(), payload.uuids().len());
        assert_eq!(body["created_at"], String::from_utf8(batch.created_at.format().to_vec()).unwrap());
        events
    }

    #[test]
    fn retains_splits_and_packs() {
        let at = Timestamp::from_unix_ms(0).unwrap();
        let mut batch = Batch::new(open_batch(0), Uuid::nil(), at, false);
        assert_eq!(events(&batch).len(), 5);
        batch.retain([true; 5].into_iter());
        batch.retain([true, false, true, false, true].into_iter());
        assert_eq!(events(&batch), ["event 1", "event 3", "event 5"]);
        let [first, second] = batch.split([Uuid::nil(), Uuid::max()], at);
        assert_eq!(events(&first), ["event 1", "event 3"]);
        assert_eq!(events(&second), ["event 5"]);
        let evicted = Batch::new(open_batch(2), Uuid::nil(), at, true);
        assert_eq!(events(&evicted), ["event 3", "event 4", "event 5"]);
    }

    #[test]
    fn the_memory_of_a_batch_is_reused_once_nothing_else_holds_it() {
        let at = Timestamp::from_unix_ms(0).unwrap();
        let mut batch = Batch::new(open_batch(0), Uuid::nil(), at, false);
        let attempt = batch.begin_attempt(at).unwrap();
        let body = attempt.request.body.as_ptr();
        drop(attempt);
        assert_eq!(batch.into_memory().unwrap().body.as_ptr(), body);
        let mut batch = Batch::new(open_batch(0), Uuid::nil(), at, false);
        let _attempt = batch.begin_attempt(at).unwrap();
        assert!(batch.into_memory().is_none());
    }
}
