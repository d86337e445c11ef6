//! The state of one client's delivery: what is pending, where it is, and how each
//! event ended.
//!
//! Everything that must change together is here, behind one lock
//! ([`Delivery`](super::Delivery)), so that the counters add up at every instant and a
//! close can settle all events by itself, whatever the send loop is doing. A method
//! that changes the state returns what must be woken for it. No I/O and no clock: time
//! comes in as a value.

#[cfg(all(unix, feature = "spool"))]
mod appending;
mod attempts;
#[cfg(all(unix, feature = "spool"))]
pub(super) mod disk;
mod endings;

use std::collections::BTreeMap;
use std::time::Duration;

use super::batch::{Batch, BatchId};
use super::flushes::{FlushId, FlushResult, Flushes};
use super::log_queue::LogQueue;
use super::loss::LossReason;
use super::open_batch::cost;
use super::queue::{BatchLimits, Evicted, Queue};
use super::report::{CallbacksSet, Report, Wanted};
use super::report_queue::ReportQueue;
use super::segments::Segments;
use super::staging::{Allowance, Staged};
use super::stats::Stats;
use super::test_queue::TestQueue;
use super::wake::{Wake, WakeOn};
use crate::config::{Config, LogLevel, Overflow, Reports};
use crate::event::EncodedEvent;
use crate::protocol::envelope;
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
    /// Batches that came from the disk, and how long the first attempt of each waits.
    loaded: Vec<(BatchId, Duration)>,
    /// What of all this is on disk.
    segments: Segments,
    stats: Stats,
    flushes: Flushes,
    reports: ReportQueue,
    log: LogQueue,
    /// The host asks for the lines of the log itself, as it may for reports.
    log_polled: bool,
    test_events: TestQueue,
    /// What stages may take, in all.
    allowed: Allowance,
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
    /// Up to here there is room, and nothing need be done to make more.
    easy_events: u64,
    easy_bytes: u64,
    max_events: u64,
    max_bytes: u64,
    overflow: Overflow,
    historical_migration: bool,
}

impl DeliveryState {
    /// An empty state with the bounds of the settings.
    pub(crate) fn new(config: &Config) -> Self {
        let segments = Segments::new(config);
        let (max_events, max_body) = segments.largest_batch(config);
        let limits = BatchLimits {
            flush_at: config.flush_at.min(max_events),
            flush_interval: config.flush_interval,
            max_events,
            max_body: max_body - envelope::back(config.historical_migration).len(),
        };
        DeliveryState {
            easy_events: segments.uncrowded(config.queue_max_events),
            easy_bytes: segments.uncrowded(config.queue_max_bytes),
            queue: Queue::new(limits),
            batches: BTreeMap::new(),
            last_batch: 0,
            loaded: Vec::new(),
            segments,
            stats: Stats::default(),
            flushes: Flushes::default(),
            reports: ReportQueue::default(),
            log: LogQueue::new(config.log_level),
            log_polled: false,
            test_events: TestQueue::default(),
            allowed: Allowance::default(),
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
        if !self.fits_within(cost, self.easy_events, self.easy_bytes) {
            self.segments.crowded();
            if !self.has_room(cost) {
                let result;
                (result, wake) = self.make_room(cost);
                if result.is_err() {
                    return (result, wake);
                }
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
        self.segments.event_captured();
        (Ok(()), wake | self.wake_for_captures(was_empty))
    }

    /// What must be woken when captures have added events to the queue.
    #[inline]
    fn wake_for_captures(&mut self, was_empty: bool) -> Wake {
        let full = self.wake_on.full_batch && self.queue.is_full();
        if full || (self.wake_on.first_event && was_empty) {
            // A burst of events wakes the send loop once.
            self.wake_on = WakeOn::default();
            return Wake { sender: true, ..Wake::NONE };
        }
        Wake::NONE
    }

    /// Whether what is staged decides on an event of so many wire bytes: whether there is room
    /// for it, or whether it makes a batch ready.
    pub(super) fn depends_on_stages(&self, wire_bytes: usize) -> bool {
        if self.allowed.events == 0 {
            return false;
        }
        let (events, bytes) = self.queue.space_until_ready();
        let is_near =
            self.allowed.events >= events as u64 || self.allowed.bytes + wire_bytes as u64 >= bytes as u64;
        !self.has_room(cost(wire_bytes)) || (self.wake_on.full_batch && is_near)
    }

    /// Whether threads may stage events. A queue that evicts its oldest event has to have all of
    /// them in their order.
    pub(super) fn may_stage(&self) -> bool {
        self.shut.is_none() && self.overflow != Overflow::DropOldest && !self.segments.watches_captures()
    }

    /// What one more stage may take, if that is worth one.
    pub(super) fn allowance(&mut self) -> Option<Allowance> {
        if !self.may_stage() || self.queue.is_empty() {
            return None;
        }
        let smaller = |a: Allowance, (events, bytes): (u64, u64)| Allowance {
            events: a.events.min(events.saturating_sub(self.allowed.events)),
            bytes: a.bytes.min(bytes.saturating_sub(self.allowed.bytes)),
        };
        let wide = |(events, bytes): (usize, usize)| (events as u64, bytes as u64);
        let (max_events, max_bytes) = wide(self.queue.largest_batch());
        let mut allowance = Allowance::LARGEST;
        (allowance.events, allowance.bytes) =
            (allowance.events.min(max_events), allowance.bytes.min(max_bytes));
        let events = self.max_events.saturating_sub(self.stats.pending_events);
        let bytes = self.max_bytes.saturating_sub(self.stats.pending_bytes);
        allowance = smaller(allowance, (events, bytes));
        if self.wake_on.full_batch {
            allowance = smaller(allowance, wide(self.queue.space_until_ready()));
        }
        if allowance.events < Allowance::LEAST || self.queue.reserve_full(0).is_err() {
            return None;
        }
        Some(allowance)
    }

    /// Counts an allowance that a stage has got.
    pub(super) fn count_allowance(&mut self, allowance: Allowance) {
        self.allowed.events += allowance.events;
        self.allowed.bytes += allowance.bytes;
    }

    /// Takes in what a stage holds, and takes its allowance back.
    pub(super) fn take_in(&mut self, staged: &mut Staged) {
        self.allowed.events -= staged.granted.events;
        self.allowed.bytes -= staged.granted.bytes;
        let events = staged.batch.len() as u64;
        self.queue.take_in(&mut staged.batch, self.stats.captured + 1);
        self.stats.captured += events;
        self.stats.pending_events += events;
        self.stats.pending_bytes += staged.bytes;
        self.stats.repaired += staged.repaired;
        self.stats.uuids_replaced += staged.uuids_replaced;
        staged.end_allowance();
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

    /// Whether there is room for an event, beside those that stages may take.
    fn has_room(&self, cost: u64) -> bool {
        self.fits_within(cost, self.max_events, self.max_bytes)
    }

    #[inline]
    fn fits_within(&self, cost: u64, max_events: u64, max_bytes: u64) -> bool {
        self.stats.pending_events + self.allowed.events < max_events
            && self.stats.pending_bytes + self.allowed.bytes + cost <= max_bytes
    }

    fn make_room(&mut self, cost: u64) -> (Result<(), Refusal>, Wake) {
        let full = Err(Refusal::Status(Status::QUEUE_FULL));
        match self.overflow {
            Overflow::DropNewest => return (full, Wake::NONE),
            Overflow::Block => {
                // The open batch cannot grow, and no batch is under way whose end would make room.
                let sender = self.batches.is_empty() && self.queue.flush_open(self.stats.captured);
                return (Err(Refusal::Block), Wake { sender, ..Wake::NONE });
            }
            Overflow::DropOldest if cost > self.max_bytes => return (full, Wake::NONE),
            Overflow::DropOldest => {}
        }
        let (mut report, mut wake) = (Report::default(), Wake::NONE);
        // What is in flight cannot be evicted, so this can fail too.
        while !self.has_room(cost) {
            let Some(Evicted { uuid, span, mark, was_last }) = self.queue.evict() else { break };
            self.settle(&span, Some(LossReason::Evicted), false);
            self.segments.event_ended(mark, &span);
            if was_last {
                self.segments.batch_ended(mark);
            }
            self.report_event(&mut report, uuid, Some(LossReason::Evicted), false, None);
            wake.settled = true;
        }
        // The losses may be for the log only.
        wake = wake | self.push_report(report) | self.wake_for_log();
        (if self.has_room(cost) { Ok(()) } else { full }, wake)
    }

    // -- flush and close

    /// Begins a flush: everything that is pending now is to be sent at once. `sliced` says
    /// that it is waited for separately, so that the host may forget it.
    pub(crate) fn begin_flush(&mut self, sliced: bool) -> (FlushId, Wake) {
        let through = self.stats.captured;
        self.queue.flush_through(through);
        // Another process does not wait for what it has left to this one.
        let own = self.stats.pending_events - self.segments.recovered_pending;
        let id = self.flushes.begin(sliced, through, own);
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

    /// Why it takes no events any more; `None` as long as it does.
    pub(crate) fn why_shut(&self) -> Option<Status> {
        self.shut
    }

    /// Whether the client is shut and nothing is pending any more.
    pub(crate) fn is_finished(&self) -> bool {
        self.shut.is_some() && self.stats.pending_events == 0
    }

    /// Records that the send loop has ended. If it ended by a panic, captures return
    /// `PHC_INTERNAL` from now on and everything that is pending is lost.
    pub(crate) fn stop_sender(&mut self) -> Wake {
        self.shut.get_or_insert(Status::INTERNAL);
        self.sender_stopped = true;
        if self.segments.is_frozen() {
            // A close settles what is left.
            return Wake { settled: true, ..Wake::NONE };
        }
        self.end_all(LossReason::Internal) | Wake { settled: true, reports: true, sender: false }
    }

    /// Whether the send loop has ended.
    pub(crate) fn is_sender_stopped(&self) -> bool {
        self.sender_stopped
    }

    /// The counters.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A copy of the counters, with those that are worked out.
    pub(crate) fn stats_now(&self) -> Stats {
        Stats { spooled: self.segments.spooled(), ..self.stats.clone() }
    }

    /// Records whether the server does not respond, or refuses whatever it is sent.
    pub(crate) fn set_holding(&mut self, is_holding: bool) {
        self.segments.set_holding(is_holding);
    }

    /// Whether the thread of the disk is to be woken; asked once.
    #[inline]
    pub(super) fn take_disk_wake(&mut self) -> bool {
        self.segments.take_wake()
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

    /// Whether there is something for a host that polls.
    pub(crate) fn has_something_to_poll(&self) -> bool {
        self.has_report_for_poll() || (self.log_polled && !self.log.is_empty())
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

    /// Passes the oldest line for the host's log to `read`, and removes it if that returns true.
    pub(crate) fn poll_log_line(&mut self, read: impl FnOnce(LogLevel, &str) -> bool) -> Wake {
        let is_first = !std::mem::replace(&mut self.log_polled, true);
        let is_taken = self.log.peek().is_some_and(|(level, line)| read(level, &line));
        if is_taken {
            self.log.pop();
        }
        Wake { reports: is_first || is_taken, ..Wake::NONE }
    }

    /// From now on a callback gets the lines, until one is asked for again.
    pub(crate) fn log_callback_was_set(&mut self) -> Wake {
        Wake { reports: std::mem::take(&mut self.log_polled), ..Wake::NONE }
    }

    /// Whether events were lost that no line has mentioned. With an error callback set,
    /// that reports them, and there never are any.
    pub(crate) fn has_losses_to_log(&mut self) -> bool {
        if self.callbacks.error {
            self.log.skip_losses(&self.stats);
        }
        self.log.has_losses(&self.stats)
    }

    /// What went wrong with the last batch that lost events, as the end of a sentence; empty
    /// if that is not known.
    pub(crate) fn cause_of_losses(&self) -> String {
        self.log.cause()
    }

    /// One line for all losses since the last one.
    pub(crate) fn pop_losses_line(&mut self) -> Option<(LogLevel, String)> {
        self.log.losses(&self.stats)
    }
}

#[cfg(test)]
impl DeliveryState {
    /// The oldest report, for the callbacks or for `phc_poll`.
    pub(super) fn pop_any_report(&mut self) -> Option<Report> {
        self.reports.pop()
    }

    /// Whether the counters add up, and agree with what is there.
    pub(super) fn stats_add_up(&self) -> bool {
        self.stats.add_up() && self.stats.pending_events == self.count_pending() as u64
    }

    /// Pending events, counted where they are: for checks of the counters.
    pub(super) fn count_pending(&self) -> usize {
        self.queue.count() + self.batches.values().map(|batch| batch.payload().uuids().len()).sum::<usize>()
    }
}
