//! What the send loop asks of the state: the next step, a batch, an attempt of it, and what came of the attempt.

use std::time::Duration;

use uuid::Uuid;

use super::DeliveryState;
use crate::config::Reports;
use crate::delivery::batch::{Batch, BatchId, OpenAttempt, Payload};
use crate::delivery::loss::LossReason;
use crate::delivery::report::Report;
use crate::delivery::scheduler::{Backlog, Scheduler, Step};
use crate::delivery::wake::Wake;
use crate::event::timestamp::Timestamp;
use crate::failpoint;
use crate::memory::{NoMemory, reserve};
use crate::protocol::response::one_line;
use crate::protocol::{AttemptDecision, Disposition, HostSign};

impl DeliveryState {
    /// Decides the next step of the send loop; `None` when the client is shut and nothing
    /// is pending any more. What a sleeping loop wants to be woken for is recorded under
    /// the same lock under which the queue was looked at, so no capture is missed.
    pub(crate) fn next_step(&mut self, scheduler: &mut Scheduler, now: Duration) -> Option<Step> {
        if self.is_finished() || self.segments.is_frozen() {
            return None;
        }
        for (batch, wait) in std::mem::take(&mut self.loaded) {
            scheduler.batch_loaded(now + wait, batch);
        }
        let is_crowded = scheduler.is_circuit_open() && self.is_crowded_by_batches();
        let backlog = Backlog { ready: self.queue.is_ready(now), due_at: self.queue.due_at(), is_crowded };
        let step = scheduler.next(now, backlog);
        if let Step::Sleep { until, wake_on } = step {
            self.wake_on = wake_on;
            if until.is_none() && scheduler.is_idle() {
                self.queue.shrink();
            }
        }
        Some(step)
    }

    /// Whether batches that have begun, and those that came from the disk, use an eighth of the queue. Others leave
    /// memory when half of it is used.
    fn is_crowded_by_batches(&self) -> bool {
        let payloads = || self.batches.values().map(Batch::payload);
        let events: u64 = payloads().map(|payload| payload.uuids().len() as u64).sum();
        let bytes: u64 = payloads().map(Payload::body_bytes).sum();
        events > self.max_events / 8 || bytes > self.max_bytes / 8
    }

    /// Makes a batch of the oldest waiting events.
    pub(crate) fn take_batch(&mut self, request_id: Uuid, now: Timestamp) -> Option<BatchId> {
        let open = self.queue.take_batch()?;
        self.segments.changed();
        let mark = open.mark;
        let batch = self.add_batch(Batch::new(open, request_id, now, self.historical_migration));
        if self.segments.is_holding() && self.is_crowded_by_batches() {
            self.segments.takes_place(mark);
        }
        Some(batch)
    }

    pub(super) fn add_batch(&mut self, batch: Batch) -> BatchId {
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
        self.segments.changed();
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
        if self.segments.is_frozen() {
            return (Vec::new(), Wake::NONE);
        }
        let Some(mut batch) = self.batches.remove(&id) else { return (Vec::new(), Wake::NONE) };
        failpoint::pass("state");
        batch.end_attempt(decision);
        let mut report = Report { status: decision.status, ..batch.report() };
        let mut verdicts = std::mem::take(&mut decision.verdicts).into_iter();
        let (mut any_lost, mut lost_by_verdict) = (false, None);
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
            if loss.is_some() && lost_by_verdict.is_none() {
                lost_by_verdict = verdict.as_deref().map(|verdict| one_line(&verdict.to_string()));
            }
            self.settle(span, loss, maybe_delivered);
            self.report_event(&mut report, *uuid, loss, maybe_delivered, verdict);
        }
        let ended = decision.dispositions.iter().zip(batch.payload().spans());
        let ended = ended.filter(|(disposition, _)| **disposition != Disposition::Retry);
        self.segments.events_ended(batch.mark(), ended.map(|(_, span)| span));
        if any_lost {
            let verdict = lost_by_verdict.filter(|_| decision.error.is_empty());
            self.log.set_last_error(verdict.as_ref().unwrap_or(&decision.error));
        }
        let pending = report.pending > 0;
        report.error = std::mem::take(&mut decision.error);
        let wake = self.push_report(report) | Wake { settled: true, ..self.wake_for_log() };
        if !pending {
            self.segments.batch_ended(batch.mark());
            if let Some(memory) = batch.into_memory() {
                self.queue.recycle(memory);
            }
            return (Vec::new(), wake);
        }
        if decision.split {
            if let Some((request_ids, now)) = new_ids() {
                self.segments.batch_split(batch.mark());
                return (batch.split(request_ids, now).map(|half| self.add_batch(half)).into(), wake);
            }
            batch.refund_attempt();
        }
        let mark = batch.mark();
        batch.retain(decision.retries());
        self.batches.insert(id, batch);
        match decision.host {
            _ if decision.postpone => self.segments.leaves_place(mark),
            HostSign::Fails | HostSign::Refuses if self.is_crowded_by_batches() => {
                self.segments.takes_place(mark);
            }
            // Another one may come from the disk: it may be this one that fails, and not the host.
            HostSign::Fails | HostSign::Refuses => self.segments.leaves_place(mark),
            HostSign::Responds | HostSign::None => {}
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::event::EncodedEvent;

    #[cfg(all(unix, feature = "spool"))]
    #[test]
    fn a_batch_from_the_disk_that_fails_lets_another_one_come() {
        use crate::delivery::mark::Mark;

        for (host, queue, comes) in [
            (HostSign::Fails, 100, true),
            (HostSign::Refuses, 100, true),
            (HostSign::Responds, 100, false),
            // Two batches are a large part of it: more do not fit beside what is captured.
            (HostSign::Fails, 4, false),
        ] {
            let mut config = Config::new("key");
            config.spool_dir = "/spool".to_owned();
            config.queue_max_events = queue;
            let mut state = DeliveryState::new(&config);
            for number in 1..=2 {
                let uuid = Uuid::from_u128(number);
                let event = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
                assert_eq!(state.enqueue(b"{}", &event, || Duration::ZERO).0, Ok(()));
                let at = Timestamp::from_unix_ms(1).unwrap();
                let batch = state.take_batch(uuid, at).unwrap();
                let mark = Mark(Some(state.segments.add(1, 1).unwrap().id));
                state.batches.get_mut(&batch).unwrap().set_mark(mark);
                state.segments.loaded(mark);
                assert!(state.begin_attempt(batch, at).unwrap().is_some());
            }
            assert!(!state.segments.may_load());
            let mut decision = AttemptDecision {
                host,
                dispositions: vec![Disposition::Retry],
                ..AttemptDecision::default()
            };
            assert_eq!(state.complete_attempt(1, &mut decision, 0, || None).0, [1]);
            assert_eq!(state.segments.may_load(), comes, "{host:?} {queue}");
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
