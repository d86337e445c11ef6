//! The state of one client's delivery: what is pending, where it is, and how each
//! event ended.
//!
//! Everything that must change together is here, behind one lock
//! ([`Delivery`](super::Delivery)), so that the counters add up at every instant and a
//! close can settle all events by itself, whatever the send loop is doing. A method
//! that changes the state returns what must be woken for it. No I/O and no clock: time
//! comes in as a value.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::batch::{Batch, BatchId, OpenAttempt};
use super::flushes::{FlushId, FlushResult, Flushes};
use super::log_queue::LogQueue;
use super::loss::LossReason;
use super::queue::{BatchLimits, Queue, Span, cost};
use super::report::{CallbacksSet, EventReport, Report, Wanted};
use super::report_queue::ReportQueue;
use super::scheduler::{Backlog, Scheduler, Step};
use super::stats::Stats;
use super::test_queue::TestQueue;
use super::wake::{Wake, WakeOn};
use crate::config::{Config, LogLevel, Overflow, Reports};
use crate::event::EncodedEvent;
use crate::event::timestamp::Timestamp;
use crate::failpoint;
use crate::memory::{NoMemory, reserve};
use crate::protocol::{AttemptDecision, Disposition, Verdict, envelope};
use crate::status::{Error, Status};

/// Why an event was not enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is refused with this status.
    Status(Status),
    /// There is no memory for it.
    NoMemory,
    /// The queue is full and the setting `overflow` is `block`.
    Block,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct DeliveryState {
    queue: Queue,
    batches: BTreeMap<BatchId, Batch>,
    last_batch: BatchId,
    stats: Stats,
    flushes: Flushes,
    reports: ReportQueue,
    log: LogQueue,
    test_events: TestQueue,
    /// What this machine is short of; empty if nothing.
    shortage: String,
    /// What the sleeping send loop wants to be woken for.
    wake_on: WakeOn,
    /// No event is taken any more; this is what captures return.
    shut: Option<Status>,
    /// The send loop has ended: nothing is sent any more.
    sender_stopped: bool,
    callbacks: CallbacksSet,
    wanted: Wanted,
    reports_setting: Reports,
    max_events: u64,
    max_bytes: u64,
    overflow: Overflow,
    historical_migration: bool,
}

impl DeliveryState {
    /// An empty state with the bounds of the settings.
    pub(crate) fn new(config: &Config) -> Self {
        let limits = BatchLimits {
            flush_at: config.flush_at.min(config.max_batch_events),
            flush_interval: config.flush_interval,
            max_events: config.max_batch_events,
            max_body: config.max_batch_bytes - envelope::back(config.historical_migration).len(),
        };
        DeliveryState {
            queue: Queue::new(limits),
            batches: BTreeMap::new(),
            last_batch: 0,
            stats: Stats::default(),
            flushes: Flushes::default(),
            reports: ReportQueue::default(),
            log: LogQueue::new(config.log_level),
            test_events: TestQueue::default(),
            shortage: String::new(),
            wake_on: WakeOn::default(),
            shut: None,
            sender_stopped: false,
            callbacks: CallbacksSet::default(),
            wanted: Wanted::new(config.reports, CallbacksSet::default()),
            reports_setting: config.reports,
            max_events: config.queue_max_events,
            max_bytes: config.queue_max_bytes,
            overflow: config.overflow,
            historical_migration: config.historical_migration,
        }
    }

    // -- captures

    /// Takes an encoded event. Even if it is refused, older events may have been
    /// evicted for it.
    pub(crate) fn enqueue(
        &mut self,
        wire: &[u8],
        event: &EncodedEvent,
        now: impl FnOnce() -> Duration,
    ) -> (Result<(), Refusal>, Wake) {
        if let Some(status) = self.shut {
            return (Err(Refusal::Status(status)), Wake::NONE);
        }
        let cost = cost(wire.len());
        let mut wake = Wake::NONE;
        if !self.has_room(cost) {
            let result;
            (result, wake) = self.make_room(cost);
            if result.is_err() {
                return (result, wake);
            }
        }
        let was_empty = self.queue.is_empty();
        // What could fail comes first, so that what is counted is there.
        let seq = self.stats.captured + 1;
        if self.queue.push(wire, event.uuid, event.caller_uuid, seq, now).is_err() {
            return (Err(Refusal::NoMemory), wake);
        }
        self.count_captured(event);
        self.stats.pending_events += 1;
        self.stats.pending_bytes += cost;

        let full = self.wake_on.full_batch && self.queue.is_full();
        if full || (self.wake_on.first_event && was_empty) {
            // A burst of events wakes the send loop once.
            self.wake_on = WakeOn::default();
            wake.sender = true;
        }
        (Ok(()), wake)
    }

    /// Takes an encoded event in test mode, in which it counts as delivered at once.
    pub(crate) fn enqueue_test_event(&mut self, wire: &[u8], event: &EncodedEvent) -> Result<(), Error> {
        if let Some(status) = self.shut {
            return Err(status.into());
        }
        if !self.test_events.push(wire, self.max_events, self.max_bytes)? {
            return Err(Status::QUEUE_FULL.into());
        }
        self.count_captured(event);
        self.stats.delivered += 1;
        Ok(())
    }

    /// The wire bytes of the oldest event of test mode.
    pub(crate) fn peek_test_event(&self) -> Option<&[u8]> {
        self.test_events.peek()
    }

    /// Removes the oldest event of test mode.
    pub(crate) fn remove_test_event(&mut self) {
        self.test_events.remove_oldest();
    }

    /// Counts a call that did not take an event.
    pub(crate) fn count_refused(&mut self, status: Status) {
        self.stats.count_refused(status);
    }

    fn count_captured(&mut self, event: &EncodedEvent) {
        self.stats.captured += 1;
        self.stats.repaired += u64::from(event.repaired);
        self.stats.uuids_replaced += u64::from(event.uuid_replaced);
    }

    fn has_room(&self, cost: u64) -> bool {
        self.stats.pending_events < self.max_events && self.stats.pending_bytes + cost <= self.max_bytes
    }

    fn make_room(&mut self, cost: u64) -> (Result<(), Refusal>, Wake) {
        let full = Err(Refusal::Status(Status::QUEUE_FULL));
        match self.overflow {
            Overflow::DropNewest => return (full, Wake::NONE),
            Overflow::Block => return (Err(Refusal::Block), Wake::NONE),
            Overflow::DropOldest if cost > self.max_bytes => return (full, Wake::NONE),
            Overflow::DropOldest => {}
        }
        let (mut report, mut wake) = (Report::default(), Wake::NONE);
        // What is in flight cannot be evicted, so this can fail too.
        while !self.has_room(cost) {
            let Some((uuid, span)) = self.queue.evict() else { break };
            self.settle(&span, Some(LossReason::Evicted), false);
            self.report_event(&mut report, uuid, Some(LossReason::Evicted), false, None);
            wake.settled = true;
        }
        // The losses may be for the log only.
        wake = wake | self.push_report(report) | self.wake_for_log();
        (if self.has_room(cost) { Ok(()) } else { full }, wake)
    }

    // -- the send loop

    /// Decides the next step of the send loop; `None` when the client is shut and nothing
    /// is pending any more. What a sleeping loop wants to be woken for is recorded under
    /// the same lock under which the queue was looked at, so no capture is missed.
    pub(crate) fn next_step(&mut self, scheduler: &mut Scheduler, now: Duration) -> Option<Step> {
        if self.is_finished() {
            return None;
        }
        let backlog = Backlog { ready: self.queue.is_ready(now), due_at: self.queue.due_at() };
        let step = scheduler.next(now, backlog);
        if let Step::Sleep { until, wake_on } = step {
            self.wake_on = wake_on;
            if until.is_none() && scheduler.is_idle() {
                self.queue.shrink();
            }
        }
        Some(step)
    }

    /// Makes a batch of the oldest waiting events.
    pub(crate) fn take_batch(&mut self, request_id: Uuid, now: Timestamp) -> Option<BatchId> {
        let open = self.queue.take_batch()?;
        Some(self.add_batch(Batch::new(open, request_id, now, self.historical_migration)))
    }

    fn add_batch(&mut self, batch: Batch) -> BatchId {
        self.last_batch += 1;
        self.batches.insert(self.last_batch, batch);
        self.last_batch
    }

    /// Begins the next attempt of a batch; `None` if the batch has been settled in the
    /// meantime. Without memory for it the batch waits as before.
    pub(crate) fn begin_attempt(
        &mut self,
        id: BatchId,
        now: Timestamp,
    ) -> Result<Option<OpenAttempt>, NoMemory> {
        let Some(batch) = self.batches.get_mut(&id) else { return Ok(None) };
        let attempt = batch.begin_attempt(now)?;
        self.stats.requests += 1;
        self.stats.retries += u64::from(attempt.request.attempt > 1);
        self.stats.body_bytes += attempt.request.body.len() as u64;
        Ok(Some(attempt))
    }

    /// Applies the decision on an attempt, whose body had `sent_bytes` as sent, and takes
    /// the verdicts out of it. Returns the batches that are sent again: none, this one, or
    /// the halves of a split, which `new_ids` provides for. Without new ids the batch is not
    /// split, and its next attempt is one more of the same.
    pub(crate) fn complete_attempt(
        &mut self,
        id: BatchId,
        decision: &mut AttemptDecision,
        sent_bytes: u64,
        new_ids: impl FnOnce() -> Option<([Uuid; 2], Timestamp)>,
    ) -> (Vec<BatchId>, Wake) {
        if decision.unsent {
            return (self.take_back_attempt(id).into_iter().collect(), Wake::NONE);
        }
        self.stats.sent_bytes += sent_bytes;
        let Some(mut batch) = self.batches.remove(&id) else { return (Vec::new(), Wake::NONE) };
        failpoint::pass("state");
        batch.end_attempt(decision);
        let mut report = Report { status: decision.status, ..batch.report() };
        let mut verdicts = std::mem::take(&mut decision.verdicts).into_iter();
        let mut any_lost = false;
        for ((disposition, uuid), span) in
            decision.dispositions.iter().zip(batch.payload().uuids()).zip(batch.payload().spans())
        {
            let verdict = verdicts.next().flatten();
            let loss = match disposition {
                Disposition::Retry => {
                    report.pending += 1;
                    if self.reports_setting == Reports::All && reserve(&mut report.pending_events, 1).is_ok()
                    {
                        report.pending_events.push(*uuid);
                    }
                    continue;
                }
                Disposition::Delivered => None,
                Disposition::Lost(failure) => Some(LossReason::from(*failure)),
            };
            let maybe_delivered = loss.is_some() && batch.maybe_delivered();
            if let (None, Some(verdict)) = (loss, &verdict) {
                self.stats.delivered_with_warning += u64::from(verdict.code == "warning");
                self.stats.delivered_with_remark += 1;
                self.log.add_remark(verdict);
            }
            any_lost |= loss.is_some();
            self.settle(span, loss, maybe_delivered);
            self.report_event(&mut report, *uuid, loss, maybe_delivered, verdict);
        }
        if any_lost {
            self.log.set_last_error(&decision.error);
        }
        let pending = report.pending > 0;
        report.error = std::mem::take(&mut decision.error);
        let wake = self.push_report(report) | Wake { settled: true, ..self.wake_for_log() };
        if !pending {
            if let Some(memory) = batch.into_memory() {
                self.queue.recycle(memory);
            }
            return (Vec::new(), wake);
        }
        if decision.split {
            if let Some((request_ids, now)) = new_ids() {
                return (batch.split(request_ids, now).map(|half| self.add_batch(half)).into(), wake);
            }
            batch.refund_attempt();
        }
        batch.retain(decision.retries());
        self.batches.insert(id, batch);
        (vec![id], wake)
    }

    /// Takes back the attempt of a batch of which nothing was sent; returns the batch unless it
    /// has been settled in the meantime.
    fn take_back_attempt(&mut self, id: BatchId) -> Option<BatchId> {
        let batch = self.batches.get_mut(&id)?;
        self.stats.requests -= 1;
        self.stats.retries -= u64::from(batch.attempt() > 1);
        self.stats.body_bytes -= batch.payload().body_bytes();
        batch.take_back_attempt();
        Some(id)
    }

    /// Records what this machine is short of (empty: nothing), for the reports of events that
    /// are lost while it is.
    pub(crate) fn set_shortage(&mut self, shortage: &str) {
        shortage.clone_into(&mut self.shortage);
    }

    /// Records that the send loop has ended. If it ended by a panic, captures return
    /// `PHC_INTERNAL` from now on and everything that is pending is lost.
    pub(crate) fn stop_sender(&mut self) -> Wake {
        self.shut.get_or_insert(Status::INTERNAL);
        self.sender_stopped = true;
        self.fail_all_pending(LossReason::Internal) | Wake { settled: true, reports: true, sender: false }
    }

    /// Whether the send loop has ended.
    pub(crate) fn is_sender_stopped(&self) -> bool {
        self.sender_stopped
    }

    // -- the end of events

    /// The one place at which an event ends; `loss` is `None` if it is delivered.
    fn settle(&mut self, span: &Span, loss: Option<LossReason>, maybe_delivered: bool) {
        self.stats.pending_events -= 1;
        self.stats.pending_bytes -= span.cost();
        match loss {
            None => self.stats.delivered += 1,
            Some(reason) => self.stats.count_lost(reason, maybe_delivered),
        }
        self.flushes.settle(span, loss.is_none());
    }

    /// Adds an event that ended to a report, if it is one of those that are reported.
    #[inline]
    fn report_event(
        &self,
        report: &mut Report,
        uuid: Uuid,
        loss: Option<LossReason>,
        maybe_delivered: bool,
        verdict: Option<Box<Verdict>>,
    ) {
        if self.wanted.includes(loss, verdict.as_deref()) {
            add_or_count(report, EventReport { uuid, loss, maybe_delivered, verdict });
        }
    }

    fn push_report(&mut self, report: Report) -> Wake {
        let is_empty = report.events.is_empty() && report.missed_events == 0;
        if is_empty && !(self.wanted.retries && report.pending > 0) {
            return Wake::NONE;
        }
        self.reports.push(report);
        Wake { reports: true, ..Wake::NONE }
    }

    /// Ends every pending event at once, for one reason.
    pub(crate) fn fail_all_pending(&mut self, reason: LossReason) -> Wake {
        let mut wake = Wake { settled: true, ..Wake::NONE };
        let shortage = std::mem::take(&mut self.shortage);
        if !shortage.is_empty() && self.stats.pending_events > 0 {
            self.log.set_last_error(&shortage);
        }
        for (_, batch) in std::mem::take(&mut self.batches) {
            let payload = batch.payload();
            let events = payload.uuids().iter().zip(payload.spans());
            let report = Report { error: shortage.clone(), ..batch.report() };
            wake = wake | self.fail_events(report, events, reason, batch.maybe_delivered());
        }
        while let Some(open) = self.queue.take_batch() {
            let report = Report { error: shortage.clone(), ..Report::default() };
            wake = wake | self.fail_events(report, open.events(), reason, false);
        }
        self.queue.shrink();
        wake | self.fail_unaccounted(reason)
    }

    fn fail_events<'a>(
        &mut self,
        mut report: Report,
        events: impl Iterator<Item = (&'a Uuid, &'a Span)>,
        reason: LossReason,
        maybe_delivered: bool,
    ) -> Wake {
        for (uuid, span) in events {
            self.settle(span, Some(reason), maybe_delivered);
            self.report_event(&mut report, *uuid, Some(reason), maybe_delivered, None);
        }
        self.push_report(report)
    }

    /// Ends the events that an internal error has removed from every list while they were
    /// being settled: only their number is known.
    fn fail_unaccounted(&mut self, reason: LossReason) -> Wake {
        let unaccounted = self.stats.pending_events;
        if unaccounted == 0 {
            return Wake::NONE;
        }
        (0..unaccounted).for_each(|_| self.stats.count_lost(reason, true));
        self.stats.pending_events = 0;
        self.stats.pending_bytes = 0;
        self.flushes.lose_pending();
        self.reports.push(Report {
            error: "an internal error in libphc; the uuids of some lost events are not known".to_owned(),
            missed_events: unaccounted,
            ..Report::default()
        });
        Wake { reports: true, ..Wake::NONE }
    }

    // -- flush and close

    /// Begins a flush: everything that is pending now is to be sent at once. `sliced` says
    /// that it is waited for separately, so that the host may forget it.
    pub(crate) fn begin_flush(&mut self, sliced: bool) -> (FlushId, Wake) {
        let through = self.stats.captured;
        self.queue.flush_through(through);
        let id = self.flushes.begin(sliced, through, self.stats.pending_events);
        (id, Wake { sender: true, ..Wake::NONE })
    }

    /// What a flush has counted so far; `None` if it is not known.
    pub(crate) fn flush_result(&self, id: FlushId) -> Option<FlushResult> {
        self.flushes.result(id)
    }

    /// Forgets a flush; its events are still sent.
    pub(crate) fn end_flush(&mut self, id: FlushId) {
        self.flushes.end(id);
    }

    /// Takes no events any more; captures return this status, unless there is an earlier
    /// one.
    pub(crate) fn shut(&mut self, status: Status) -> Wake {
        self.shut.get_or_insert(status);
        Wake { sender: true, ..Wake::NONE }
    }

    /// Whether the client is shut and nothing is pending any more.
    pub(crate) fn is_finished(&self) -> bool {
        self.shut.is_some() && self.stats.pending_events == 0
    }

    /// The counters.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    // -- reports and log lines

    /// Records which callbacks are set. Reports are for the callbacks then, not for
    /// `phc_poll`.
    pub(crate) fn set_callbacks(&mut self, callbacks: CallbacksSet) -> Wake {
        self.callbacks = callbacks;
        self.wanted = Wanted::new(self.reports_setting, callbacks);
        Wake { reports: true, ..Wake::NONE }
    }

    /// Whether `phc_poll` would return a report.
    pub(crate) fn has_report_for_poll(&self) -> bool {
        !self.callbacks.any() && !self.reports.is_empty()
    }

    /// The oldest report for `phc_poll`.
    pub(crate) fn pop_report_for_poll(&mut self) -> (Option<Report>, Wake) {
        if self.callbacks.any() { (None, Wake::NONE) } else { self.pop_report() }
    }

    /// Whether there is a report for a callback.
    pub(crate) fn has_report_for_callback(&self) -> bool {
        self.callbacks.any() && !self.reports.is_empty()
    }

    /// The oldest report for a callback.
    pub(crate) fn pop_report_for_callback(&mut self) -> (Option<Report>, Wake) {
        if self.callbacks.any() { self.pop_report() } else { (None, Wake::NONE) }
    }

    fn pop_report(&mut self) -> (Option<Report>, Wake) {
        let report = self.reports.pop();
        let wake = Wake { reports: report.is_some(), ..Wake::NONE };
        (report, wake)
    }

    /// Counts reports that could not be passed on, and their events.
    pub(crate) fn count_missed_reports(&mut self, reports: u64, events: u64) {
        self.reports.count_missed(reports, events);
    }

    /// Adds a line for the host's log.
    pub(crate) fn log(&mut self, level: LogLevel, line: String) -> Wake {
        self.log.add(level, line);
        self.wake_for_log()
    }

    fn wake_for_log(&self) -> Wake {
        let waits = !self.log.is_empty() || self.log.has_losses(&self.stats);
        Wake { reports: waits, ..Wake::NONE }
    }

    /// The oldest line for the host's log.
    pub(crate) fn pop_log_line(&mut self) -> Option<(LogLevel, String)> {
        self.log.pop()
    }

    /// Whether events were lost that no line has mentioned. With an error callback set,
    /// that reports them, and there never are any.
    pub(crate) fn has_losses_to_log(&mut self) -> bool {
        if self.callbacks.error {
            self.log.skip_losses(&self.stats);
        }
        self.log.has_losses(&self.stats)
    }

    /// One line for all losses since the last one.
    pub(crate) fn pop_losses_line(&mut self) -> Option<(LogLevel, String)> {
        self.log.losses(&self.stats)
    }
}

/// Adds an event to a report; without memory for it, only its number.
#[inline(never)]
fn add_or_count(report: &mut Report, event: EventReport) {
    if reserve(&mut report.events, 1).is_ok() {
        report.events.push(event);
    } else {
        report.missed_events += 1;
    }
}

#[cfg(test)]
impl DeliveryState {
    /// The oldest report, for the callbacks or for `phc_poll`.
    pub(super) fn pop_any_report(&mut self) -> Option<Report> {
        self.reports.pop()
    }

    /// Pending events, counted where they are: for checks of the counters.
    pub(super) fn count_pending(&self) -> usize {
        self.queue.count() + self.batches.values().map(|batch| batch.payload().uuids().len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_was_never_sent_is_reported_without_a_request() {
        let wire = br#"{"event":"e"}"#;
        for (attempts, request_id) in [(0, None), (1, Some(Uuid::from_u128(9)))] {
            let mut state = DeliveryState::new(&Config::new("key"));
            let event = EncodedEvent {
                uuid: Uuid::from_u128(1),
                caller_uuid: false,
                repaired: false,
                uuid_replaced: false,
            };
            assert_eq!(state.enqueue(wire, &event, || Duration::ZERO).0, Ok(()));
            let now = Timestamp::from_unix_ms(0).unwrap();
            let batch = state.take_batch(Uuid::from_u128(9), now).unwrap();
            for _ in 0..attempts {
                assert!(state.begin_attempt(batch, now).unwrap().is_some());
            }
            assert!(state.fail_all_pending(LossReason::Closed).reports);
            let report = state.pop_any_report().unwrap();
            assert_eq!((report.request_id, report.attempt), (request_id, attempts));
            assert!(state.stats().add_up());
        }
    }

    #[test]
    fn an_attempt_of_which_nothing_was_sent_leaves_no_trace() {
        let mut state = DeliveryState::new(&Config::new("key"));
        let uuid = Uuid::from_u128(1);
        let event = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
        assert_eq!(state.enqueue(br#"{"event":"e"}"#, &event, || Duration::ZERO).0, Ok(()));
        let at = |ms| Timestamp::from_unix_ms(ms).unwrap();
        let batch = state.take_batch(Uuid::from_u128(9), at(1)).unwrap();
        let unsent = || AttemptDecision { unsent: true, ..AttemptDecision::default() };
        let retried =
            || AttemptDecision { dispositions: vec![Disposition::Retry], ..AttemptDecision::default() };
        let none = || None;
        // Unsent, sent, unsent, sent: two attempts.
        for (ms, mut decision, attempt) in [(1, unsent(), 1), (2, retried(), 1), (3, unsent(), 2)] {
            let begun = state.begin_attempt(batch, at(ms)).unwrap().unwrap();
            assert_eq!((begun.request.attempt, begun.used), (attempt, attempt));
            assert_eq!(state.complete_attempt(batch, &mut decision, 5, none).0, [batch]);
            assert_eq!(state.stats().retries, 0);
        }
        assert_eq!(state.begin_attempt(batch, at(4)).unwrap().unwrap().used, 2);
        assert_eq!((state.stats().requests, state.stats().retries, state.stats().sent_bytes), (2, 1, 5));
        assert_eq!(state.complete_attempt(batch, &mut unsent(), 5, none).0, [batch]);
        state.set_shortage("no descriptors");
        let _ = state.fail_all_pending(LossReason::Closed);
        let report = state.pop_any_report().unwrap();
        assert_eq!((report.attempt, report.sent_at_ms, report.error.as_str()), (1, 2, "no descriptors"));
        assert_eq!(state.stats().maybe_delivered, 0);
        assert_eq!(state.stats().requests, 1);
    }
}
