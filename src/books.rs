//! The books of one client: what is pending, in whose hands it is, and how each
//! event ended.
//!
//! Everything that must change together is here, behind one lock, so that the
//! counters add up at every instant and a close can settle all events by itself,
//! whatever the sender is doing. No I/O and no clock: time comes in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::batch::{Batch, Cargo};
use crate::config::{Config, Overflow};
use crate::event::EncodedEvent;
use crate::event::timestamp::Timestamp;
use crate::fault;
use crate::outcome::{Ending, EventReport, Ledger, Mailbox, Notes, Report, Tray};
use crate::protocol::envelope;
use crate::protocol::judge::{Fate, Judgement, Loss, Next};
use crate::protocol::verdict::Verdict;
use crate::queue::{Cutting, Queue, Segment, Span, cost};
use crate::status::Status;

/// Names a batch within its client.
pub type BatchId = u64;

/// What a push answers besides success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// With this status.
    With(Status),
    /// The queue is full and the policy is to wait for room.
    WouldBlock,
}

/// What a capture is to do once it has let go of the books.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// The sender is to be woken.
    pub wake: bool,
    /// Older events made room: who waits for their end is to be told.
    pub evicted: bool,
}

/// An attempt that is about to be made.
#[derive(Debug)]
pub struct Dispatch {
    /// The batch's request id.
    pub request_id: Uuid,
    /// 1, 2, 3 …
    pub attempt: u32,
    /// How many attempts of the budget are used, this one included.
    pub used: u32,
    /// The events and their body.
    pub cargo: Arc<Cargo>,
}

/// What a flush has seen of the events that were captured before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushResult {
    /// Delivered or lost since it began.
    pub settled: u64,
    /// Of those, delivered.
    pub delivered: u64,
    /// Of those, lost.
    pub lost: u64,
    /// Neither yet.
    pub pending: u64,
}

/// Flushes that are waited for in slices, at most: their host may forget them.
const MAX_SLICED: usize = 100;

#[derive(Debug)]
struct Ticket {
    id: u64,
    /// It counts events up to this place.
    through: u64,
    /// Nobody need be waiting for it just now.
    sliced: bool,
    result: FlushResult,
}

/// What the sleeping sender wants to be woken for. Captures clear what they
/// fire, so that a burst wakes it once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alarm {
    /// The first event after none.
    pub on_first: bool,
    /// A batch that is ready by its size.
    pub on_full: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Books {
    /// Waiting events.
    pub queue: Queue,
    /// The counters.
    pub ledger: Ledger,
    /// Reports for the listener.
    pub mailbox: Mailbox,
    /// Lines for the host's log.
    pub notes: Notes,
    /// The events of test mode.
    pub tray: Tray,
    /// What the sender sleeps for.
    pub alarm: Alarm,
    /// Captures that wait for room.
    pub blocked: usize,
    /// No event is taken any more: this is what captures answer.
    pub shut: Option<Status>,
    /// The sender is through: nothing is sent any more.
    pub silent: bool,
    batches: BTreeMap<BatchId, Batch>,
    next_batch: BatchId,
    tickets: Vec<Ticket>,
    next_ticket: u64,
    max_events: u64,
    max_bytes: u64,
    overflow: Overflow,
    historical_migration: bool,
    reports_all: bool,
}

impl Books {
    /// Empty books with the bounds of the settings.
    pub fn new(config: &Config) -> Self {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let cutting = Cutting {
            flush_at: size(config.flush_at.min(config.max_batch_events)),
            flush_interval: Duration::from_millis(config.flush_interval_ms),
            max_batch_events: size(config.max_batch_events),
            max_body: size(config.max_batch_bytes) - envelope::back(config.historical_migration).len(),
        };
        Books {
            queue: Queue::new(cutting),
            ledger: Ledger::default(),
            mailbox: Mailbox::default(),
            notes: Notes::default(),
            tray: Tray::default(),
            alarm: Alarm::default(),
            blocked: 0,
            shut: None,
            silent: false,
            batches: BTreeMap::new(),
            next_batch: 1,
            tickets: Vec::new(),
            next_ticket: 1,
            max_events: config.queue_max_events,
            max_bytes: config.queue_max_bytes,
            overflow: config.overflow(),
            historical_migration: config.historical_migration,
            reports_all: config.reports_all(),
        }
    }

    /// Takes an encoded event.
    pub fn push(
        &mut self,
        wire: &[u8],
        encoded: &EncodedEvent,
        caller_uuid: bool,
        now: impl FnOnce() -> Duration,
    ) -> Result<Pushed, Refused> {
        if let Some(status) = self.shut {
            return Err(Refused::With(status));
        }
        let cost = cost(wire.len());
        let evicted = !self.has_room(cost);
        if evicted {
            self.make_room(cost)?;
        }
        let was_empty = self.queue.is_empty();
        // First what could fail, so that what is counted is there.
        self.queue.push(wire, encoded.uuid, caller_uuid, self.ledger.captured + 1, now);
        self.count_captured(encoded);
        self.ledger.pending_events += 1;
        self.ledger.pending_bytes += cost;

        let full = self.alarm.on_full && self.queue.is_full();
        let wake = full || (self.alarm.on_first && was_empty);
        if wake {
            self.alarm = Alarm::default();
        }
        Ok(Pushed { wake, evicted })
    }

    fn count_captured(&mut self, encoded: &EncodedEvent) {
        self.ledger.captured += 1;
        self.ledger.repaired += u64::from(encoded.repaired);
        self.ledger.uuids_replaced += u64::from(encoded.uuid_replaced);
    }

    /// Takes an encoded event in test mode, where it is delivered at once.
    pub fn push_for_test(&mut self, wire: &[u8], encoded: &EncodedEvent) -> Result<(), Status> {
        if let Some(status) = self.shut {
            return Err(status);
        }
        if !self.tray.put(wire, self.max_events, self.max_bytes) {
            return Err(Status::QUEUE_FULL);
        }
        self.count_captured(encoded);
        self.ledger.delivered += 1;
        Ok(())
    }

    fn has_room(&self, cost: u64) -> bool {
        self.ledger.pending_events < self.max_events && self.ledger.pending_bytes + cost <= self.max_bytes
    }

    fn make_room(&mut self, cost: u64) -> Result<(), Refused> {
        match self.overflow {
            Overflow::DropNewest => Err(Refused::With(Status::QUEUE_FULL)),
            Overflow::Block => Err(Refused::WouldBlock),
            // What is in flight cannot be evicted, so this can fail too.
            Overflow::DropOldest if cost > self.max_bytes => Err(Refused::With(Status::QUEUE_FULL)),
            Overflow::DropOldest => {
                let mut report = Report::default();
                while !self.has_room(cost) {
                    let Some((uuid, span)) = self.queue.evict() else { break };
                    self.settle(&span, Ending::Lost(Loss::Evicted), false);
                    report.events.push(event_report(uuid, Ending::Lost(Loss::Evicted), false));
                }
                self.deposit(report);
                if self.has_room(cost) { Ok(()) } else { Err(Refused::With(Status::QUEUE_FULL)) }
            }
        }
    }

    /// Makes a batch of the oldest waiting events.
    pub fn cut(&mut self, request_id: Uuid, now: Timestamp) -> Option<BatchId> {
        let segment = self.queue.cut()?;
        Some(self.admit(Batch::new(segment, request_id, now, self.historical_migration)))
    }

    fn admit(&mut self, batch: Batch) -> BatchId {
        let id = self.next_batch;
        self.next_batch += 1;
        self.batches.insert(id, batch);
        id
    }

    /// Counts an attempt of this batch and hands out what it needs; nothing when
    /// the batch has been settled in the meantime.
    pub fn begin_attempt(&mut self, id: BatchId, now: Timestamp) -> Option<Dispatch> {
        let batch = self.batches.get_mut(&id)?;
        batch.attempt += 1;
        batch.sent_at_ms = now.unix_ms();
        batch.used += 1;
        batch.in_flight = true;
        self.ledger.requests += 1;
        self.ledger.retries += u64::from(batch.attempt > 1);
        self.ledger.body_bytes += batch.cargo.body.len() as u64;
        Some(Dispatch {
            request_id: batch.request_id,
            attempt: batch.attempt,
            used: batch.used,
            cargo: Arc::clone(&batch.cargo),
        })
    }

    /// Writes down what an attempt's judgement means for its events. Answers the
    /// batches that go on: none, this one, or the halves of a split.
    pub fn finish_attempt(
        &mut self,
        id: BatchId,
        judgement: Judgement,
        fresh: impl FnOnce() -> ([Uuid; 2], Timestamp),
    ) -> Vec<BatchId> {
        let Some(mut batch) = self.batches.remove(&id) else { return Vec::new() };
        fault::point("books");
        batch.in_flight = false;
        batch.answer_unknown |= judgement.answer_unknown;
        if judgement.next == Next::ChangeCodec {
            batch.used -= 1;
        }
        let mut report = Report {
            request_id: Some(batch.request_id),
            attempt: batch.attempt,
            sent_at_ms: batch.sent_at_ms,
            status: judgement.status,
            error: judgement.error,
            ..Report::default()
        };
        let mut pending = Vec::with_capacity(judgement.fates.len());
        for ((fate, span), uuid) in
            judgement.fates.into_iter().zip(&batch.cargo.spans).zip(&batch.cargo.uuids)
        {
            pending.push(fate == Fate::Pending);
            let (ending, word) = match fate {
                Fate::Pending if self.reports_all => {
                    report.pending_events.push(*uuid);
                    continue;
                }
                Fate::Pending => continue,
                Fate::Delivered(word) => (Ending::Delivered, word),
                Fate::Lost(loss, word) => (Ending::Lost(loss), word),
            };
            let maybe_delivered = batch.answer_unknown && ending != Ending::Delivered;
            self.ledger.delivered_with_warning += u64::from(word.verdict == Verdict::Warning);
            self.settle(span, ending, maybe_delivered);
            let plain = ending == Ending::Delivered && word.remark.is_none();
            if self.reports_all || !plain {
                report.events.push(EventReport {
                    remark: word.remark,
                    ..event_report(*uuid, ending, maybe_delivered)
                });
            }
        }
        report.pending = pending.iter().filter(|pending| **pending).count();
        let goes_on = report.pending > 0;
        if report.lost() > 0 {
            self.notes.last_error.clone_from(&report.error);
        }
        if self.reports_all || report.is_news() {
            self.deposit(report);
        }
        if !goes_on {
            self.recycle(batch);
            return Vec::new();
        }
        if judgement.next == Next::Split {
            let (request_ids, now) = fresh();
            return batch.split(request_ids, now).map(|half| self.admit(half)).into();
        }
        batch.retain(&pending);
        self.batches.insert(id, batch);
        vec![id]
    }

    /// Ends every pending event at once, for one reason.
    pub fn lose_everything(&mut self, loss: Loss) {
        for (_, batch) in std::mem::take(&mut self.batches) {
            let maybe_delivered = batch.answer_unknown || batch.in_flight;
            let report = Report {
                // One that was never sent is of no request, though it has its id.
                request_id: (batch.attempt > 0).then_some(batch.request_id),
                attempt: batch.attempt,
                sent_at_ms: batch.sent_at_ms,
                ..Report::default()
            };
            self.lose(report, &batch.cargo.uuids, &batch.cargo.spans, loss, maybe_delivered);
        }
        while let Some(segment) = self.queue.cut() {
            let live = |count: usize| count.min(segment.evicted);
            let uuids = segment.uuids.split_at(live(segment.uuids.len())).1;
            let spans = segment.spans.split_at(live(segment.spans.len())).1;
            self.lose(Report::default(), uuids, spans, loss, false);
        }
        self.queue.shrink();
        self.lose_strays(loss);
    }

    /// Events that a fault inside libphc has taken out of every list, in the
    /// middle of their settling: their number is all that is known of them.
    fn lose_strays(&mut self, loss: Loss) {
        let strays = self.ledger.pending_events;
        if strays == 0 {
            return;
        }
        (0..strays).for_each(|_| self.ledger.lose(loss, true));
        self.ledger.pending_events = 0;
        self.ledger.pending_bytes = 0;
        for ticket in &mut self.tickets {
            let strays = std::mem::take(&mut ticket.result.pending);
            ticket.result.settled += strays;
            ticket.result.lost += strays;
        }
        self.mailbox.put(Report {
            error: "a fault inside libphc; the uuids of some lost events are not known".to_owned(),
            missed_events: strays,
            ..Report::default()
        });
    }

    fn lose(
        &mut self,
        mut report: Report,
        uuids: &[Uuid],
        spans: &[Span],
        loss: Loss,
        maybe_delivered: bool,
    ) {
        for (uuid, span) in uuids.iter().zip(spans) {
            self.settle(span, Ending::Lost(loss), maybe_delivered);
            report.events.push(event_report(*uuid, Ending::Lost(loss), maybe_delivered));
        }
        self.deposit(report);
    }

    fn deposit(&mut self, report: Report) {
        if !report.events.is_empty() || self.reports_all {
            self.mailbox.put(report);
        }
    }

    /// The one place where an event ends.
    fn settle(&mut self, span: &Span, ending: Ending, maybe_delivered: bool) {
        self.ledger.pending_events -= 1;
        self.ledger.pending_bytes -= span.cost();
        let delivered = ending == Ending::Delivered;
        match ending {
            Ending::Delivered => self.ledger.delivered += 1,
            Ending::Lost(loss) => self.ledger.lose(loss, maybe_delivered),
        }
        for ticket in self.tickets.iter_mut().filter(|ticket| span.seq <= ticket.through) {
            ticket.result.pending -= 1;
            ticket.result.settled += 1;
            ticket.result.delivered += u64::from(delivered);
            ticket.result.lost += u64::from(!delivered);
        }
    }

    /// The memory of a finished batch serves a next segment, when nobody else
    /// holds it.
    fn recycle(&mut self, batch: Batch) {
        if let Ok(Cargo { uuids, spans, body }) = Arc::try_unwrap(batch.cargo)
            && let Ok(body) = body.try_into_mut()
        {
            self.queue.recycle(Segment { body: body.into(), uuids, spans, ..Segment::default() });
        }
    }

    /// Begins to watch everything that is pending now, and wants it sent. When
    /// too many sliced flushes were begun and never ended, the oldest of them is
    /// forgotten.
    pub fn begin_flush(&mut self, sliced: bool) -> u64 {
        if sliced && self.tickets.iter().filter(|ticket| ticket.sliced).count() >= MAX_SLICED {
            let oldest = self.tickets.iter().position(|ticket| ticket.sliced);
            oldest.map(|position| self.tickets.remove(position));
        }
        let id = self.next_ticket;
        self.next_ticket += 1;
        let through = self.ledger.captured;
        self.queue.flush_through(through);
        let result = FlushResult { pending: self.ledger.pending_events, ..FlushResult::default() };
        self.tickets.push(Ticket { id, through, sliced, result });
        id
    }

    /// What a flush has seen so far; none when it is not known, or forgotten.
    pub fn flush_result(&self, id: u64) -> Option<FlushResult> {
        self.tickets.iter().find(|ticket| ticket.id == id).map(|ticket| ticket.result)
    }

    /// Stops watching.
    pub fn end_flush(&mut self, id: u64) {
        self.tickets.retain(|ticket| ticket.id != id);
    }

    /// Whether a flush or a blocked capture waits for events to settle.
    pub fn is_waited_for(&self) -> bool {
        self.blocked > 0 || !self.tickets.is_empty()
    }

    /// Whether there is something to tell the host.
    pub fn has_news(&self) -> bool {
        !self.mailbox.is_empty() || !self.notes.is_empty() || self.notes.has_losses(&self.ledger)
    }

    /// Pending events, counted where they are: for the checks of the ledger.
    #[cfg(test)]
    pub fn count_pending(&mut self) -> usize {
        let waiting = self.queue.count();
        waiting + self.batches.values().map(|batch| batch.cargo.uuids.len()).sum::<usize>()
    }
}

fn event_report(uuid: Uuid, ending: Ending, maybe_delivered: bool) -> EventReport {
    EventReport { uuid, ending, maybe_delivered, remark: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_never_sent_is_reported_without_a_request() {
        let wire = br#"{"event":"e"}"#;
        for (attempts, request_id) in [(0, None), (1, Some(Uuid::from_u128(9)))] {
            let mut books = Books::new(&Config::new("key"));
            let encoded = EncodedEvent {
                uuid: Uuid::from_u128(1),
                caller_uuid: false,
                repaired: false,
                uuid_replaced: false,
            };
            assert!(books.push(wire, &encoded, false, || Duration::ZERO).is_ok());
            let now = Timestamp::from_unix_ms(0).unwrap();
            let batch = books.cut(Uuid::from_u128(9), now).unwrap();
            for _ in 0..attempts {
                assert!(books.begin_attempt(batch, now).is_some());
            }
            books.lose_everything(Loss::Closed);
            let report = books.mailbox.take().unwrap();
            assert_eq!((report.request_id, report.attempt), (request_id, attempts));
            assert!(books.ledger.adds_up());
        }
    }
}
