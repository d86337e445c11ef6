//! How events end: each is settled once, counted, and reported if the host wants a report of it.

use uuid::Uuid;

use super::DeliveryState;
use crate::delivery::loss::LossReason;
use crate::delivery::open_batch::Span;
use crate::delivery::report::{EventReport, Report};
use crate::delivery::wake::Wake;
use crate::memory::reserve;
use crate::protocol::Verdict;

impl DeliveryState {
    /// The one place at which an event ends; `loss` is `None` if it is delivered.
    pub(super) fn settle(&mut self, span: &Span, loss: Option<LossReason>, maybe_delivered: bool) {
        self.stats.pending_events -= 1;
        self.stats.pending_bytes -= span.cost();
        match loss {
            None => self.stats.delivered += 1,
            Some(reason) => self.stats.count_lost(reason, maybe_delivered),
        }
        self.flushes.settle(span.seq, loss.is_none());
    }

    /// Adds an event that ended to a report, if it is one of those that are reported.
    #[inline]
    pub(super) fn report_event(
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

    pub(super) fn push_report(&mut self, report: Report) -> Wake {
        let is_empty = report.events.is_empty() && report.missed_events == 0;
        if is_empty && !(self.wanted.retries && report.pending > 0) {
            return Wake::NONE;
        }
        self.reports.push(report);
        Wake { reports: true, ..Wake::NONE }
    }

    /// Ends everything that is pending, at the end of the client.
    #[cfg(not(all(unix, feature = "spool")))]
    pub(crate) fn end_all(&mut self, reason: LossReason) -> Wake {
        self.fail_all_pending(reason)
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
            self.segments.batch_ended(batch.mark());
        }
        while let Some(open) = self.queue.take_batch() {
            let report = Report { error: shortage.clone(), ..Report::default() };
            wake = wake | self.fail_events(report, open.events(), reason, false);
            self.segments.batch_ended(open.mark);
        }
        self.queue.shrink();
        self.segments.recovered_pending = 0;
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
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::config::Config;
    use crate::delivery::state::Refusal;
    use crate::event::EncodedEvent;
    use crate::event::timestamp::Timestamp;

    #[test]
    fn a_batch_that_cannot_grow_is_sent_at_once() {
        let mut config = Config::new("key");
        for (key, value) in [("overflow", "block"), ("queue_max_events", "10"), ("flush_at", "100")] {
            config.set(key, value).unwrap();
        }
        let mut state = DeliveryState::new(&config);
        let mut uuids = 0;
        let mut enqueue = |state: &mut DeliveryState| {
            uuids += 1;
            let uuid = Uuid::from_u128(uuids);
            let event = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
            state.enqueue(b"{}", &event, || Duration::ZERO)
        };
        let is_ready = |state: &DeliveryState| state.queue.is_ready(Duration::ZERO);
        let now = Timestamp::from_unix_ms(0).unwrap();
        for _ in 0..10 {
            assert_eq!(enqueue(&mut state).0, Ok(()));
        }
        assert!(!is_ready(&state));
        // The capture that waits has it sent, once.
        for wakes in [true, false] {
            let (result, wake) = enqueue(&mut state);
            assert_eq!((result, wake.sender), (Err(Refusal::Block), wakes));
            assert!(is_ready(&state));
        }
        let batch = state.take_batch(Uuid::from_u128(99), now).unwrap();
        assert!(state.begin_attempt(batch, now).unwrap().is_some());
        // The end of this one makes room: nothing else is to be done.
        assert_eq!(enqueue(&mut state), (Err(Refusal::Block), Wake::NONE));
        assert!(!is_ready(&state));
        // So does the end of a full one that is sent before it.
        for (key, value) in [("max_batch_events", "8"), ("flush_at", "8")] {
            config.set(key, value).unwrap();
        }
        let mut state = DeliveryState::new(&config);
        for _ in 0..10 {
            assert_eq!(enqueue(&mut state).0, Ok(()));
        }
        assert_eq!(enqueue(&mut state), (Err(Refusal::Block), Wake::NONE));
        assert_ne!(state.queue.due_at(), Some(Duration::ZERO));
    }

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
}
