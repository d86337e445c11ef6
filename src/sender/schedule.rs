//! Which batch goes next, and until when to sleep. No clock: time comes in, as
//! the time since the client's start.

use std::time::Duration;

use crate::books::{Alarm, BatchId};
use crate::protocol::backoff::Backoff;
use crate::protocol::judge::{Judgement, Next};
use crate::protocol::outage::Outage;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Begin the next attempt of this batch.
    Start(BatchId),
    /// Cut a batch from the queue and begin its first attempt.
    Cut,
    /// Wait for an answer, for the alarm, and until this time if there is one.
    Sleep {
        /// When there will be something to do without anything happening.
        until: Option<Duration>,
        /// What captures should wake the sender for.
        alarm: Alarm,
    },
}

/// What the queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Whether a batch can be cut now.
    pub ready: bool,
    /// When one can be cut at the latest; none when nothing waits.
    pub due_at: Option<Duration>,
}

/// Requests in flight, batches in back-off, and the hold.
#[derive(Debug)]
pub struct Schedule {
    max_in_flight: usize,
    flush_interval: Duration,
    backoff: Backoff,
    in_flight: usize,
    waiting: Vec<(Duration, BatchId)>,
    outage: Outage,
    /// Until when a timer runs although nothing waits: while events flow, the
    /// first of each batch needs no wake-up to have its timer set.
    lingering: Duration,
}

impl Schedule {
    /// Nothing in flight.
    pub fn new(max_in_flight: usize, flush_interval: Duration, backoff: Backoff) -> Self {
        Schedule {
            max_in_flight,
            flush_interval,
            backoff,
            in_flight: 0,
            waiting: Vec::new(),
            outage: Outage::default(),
            lingering: Duration::ZERO,
        }
    }

    /// Decides. Retries that are due go before new batches, the longest due
    /// first. During a hold one probe at a time goes, a started batch before a
    /// new one.
    pub fn next(&mut self, now: Duration, backlog: Backlog) -> Step {
        let held = self.outage.is_held();
        let slots = if held { 1 } else { self.max_in_flight };
        if self.in_flight >= slots {
            return Step::Sleep { until: None, alarm: Alarm::default() };
        }
        let not_before = if held { self.outage.next_probe() } else { Duration::ZERO };
        let retry = self.waiting.iter().enumerate().min_by_key(|(_, waiting)| **waiting);
        let retry = retry.map(|(position, (due, _))| (position, (*due).max(not_before)));
        if let Some((position, due)) = retry
            && due <= now
        {
            let (_, batch) = self.waiting.swap_remove(position);
            self.in_flight += 1;
            return Step::Start(batch);
        }
        let may_begin = !held || self.waiting.is_empty();
        if may_begin && backlog.ready && not_before <= now {
            self.in_flight += 1;
            self.lingering = now + self.flush_interval;
            return Step::Cut;
        }
        let mut until = retry.map(|(_, due)| due);
        let mut sooner = |time: Duration| until = Some(until.map_or(time, |until| until.min(time)));
        if may_begin {
            if backlog.ready {
                // Only the time of the probe is missing, whenever the open
                // segment might be due.
                sooner(not_before);
            } else if let Some(due) = backlog.due_at {
                sooner(due.max(not_before));
            } else if self.lingering > now {
                sooner(self.lingering);
            }
        }
        let armed_in_time = until.is_some_and(|until| until <= now + self.flush_interval);
        let alarm = Alarm {
            on_first: may_begin && backlog.due_at.is_none() && !armed_in_time,
            on_full: may_begin && not_before <= now,
        };
        Step::Sleep { until, alarm }
    }

    /// An attempt is over; `going_on` are the batches with events still pending.
    pub fn finished(&mut self, now: Duration, judgement: &Outlook, random: u16, going_on: &[BatchId]) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if judgement.host_failed {
            self.outage.request_failed(now, &self.backoff, random, judgement.retry_after);
        } else {
            self.outage.host_answered();
        }
        let wait = match judgement.next {
            Next::Retry(wait) => wait,
            Next::Done | Next::ChangeCodec | Next::Split => Duration::ZERO,
        };
        self.waiting.extend(going_on.iter().map(|batch| (now + wait, *batch)));
    }

    /// An attempt was not made after all: its batch had been settled.
    pub fn cancelled(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Whether nothing is in flight or in back-off.
    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiting.is_empty()
    }
}

/// What a judgement means for the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// What to do with the pending events.
    pub next: Next,
    /// Whether this was a failure of the host.
    pub host_failed: bool,
    /// What the server asked for.
    pub retry_after: Option<Duration>,
}

impl From<&Judgement> for Outlook {
    fn from(judgement: &Judgement) -> Self {
        Outlook {
            next: judgement.next,
            host_failed: judgement.host_failed,
            retry_after: judgement.retry_after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_does_not_wait_for_the_open_segment() {
        let second = Duration::from_secs(1);
        let backoff = Backoff { initial: second, max: 30 * second, retry_after_max: 30 * second };
        let mut schedule = Schedule::new(1, 3600 * second, backoff);
        let backlog = Backlog { ready: true, due_at: Some(3600 * second) };
        let failed = Outlook { next: Next::Done, host_failed: true, retry_after: None };
        for _ in 0..3 {
            assert_eq!(schedule.next(Duration::ZERO, backlog), Step::Cut);
            schedule.finished(Duration::ZERO, &failed, 0, &[]);
        }
        let Step::Sleep { until: Some(until), .. } = schedule.next(Duration::ZERO, backlog) else {
            panic!("no probe before its time, and one some time")
        };
        assert_eq!(until, 4 * second);
        assert_eq!(schedule.next(until, backlog), Step::Cut);
    }
}
