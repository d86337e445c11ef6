//! Decides which batch is sent next, and how long the send loop sleeps. No clock: time
//! comes in as the time since the client's start.

use std::time::Duration;

use super::batch::BatchId;
use super::wake::WakeOn;
use crate::protocol::{AttemptDecision, Backoff, CircuitBreaker, HostSign, Shortage};

/// What the send loop does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begin the next attempt of this batch.
    StartAttempt(BatchId),
    /// Take a batch from the queue and begin its first attempt.
    TakeBatch,
    /// Wait for a response, for a wake-up, and until a time if there is one.
    Sleep {
        /// When there will be something to do without anything happening.
        until: Option<Duration>,
        /// What captures should wake the send loop for.
        wake_on: WakeOn,
    },
}

/// What the queue contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Whether a batch can be taken now.
    pub(crate) ready: bool,
    /// When one can be taken at the latest; `None` if no event waits.
    pub(crate) due_at: Option<Duration>,
}

/// Requests in flight, batches in back-off, the circuit breaker, and the shortage that this
/// machine is in.
#[derive(Debug)]
pub(crate) struct Scheduler {
    max_in_flight: usize,
    flush_interval: Duration,
    backoff: Backoff,
    in_flight: usize,
    in_back_off: Vec<(Duration, BatchId)>,
    /// Batches whose budget is spent while others succeed. They never are the probe, and keep no other waiting.
    parked: Vec<(Duration, BatchId)>,
    /// Batches that came from the disk and have not been tried yet.
    loaded: Vec<(Duration, BatchId)>,
    /// Whether the last batch that was begun came from the disk.
    last_was_loaded: bool,
    breaker: CircuitBreaker,
    shortage: Shortage,
    /// Until when a timer is kept although no event waits: while events flow, the first
    /// event of each batch need not wake the send loop to have its timer set.
    timer_kept_until: Duration,
}

impl Scheduler {
    /// A scheduler with nothing in flight.
    pub(crate) fn new(max_in_flight: usize, flush_interval: Duration, backoff: Backoff) -> Self {
        Scheduler {
            max_in_flight,
            flush_interval,
            backoff,
            in_flight: 0,
            in_back_off: Vec::new(),
            parked: Vec::new(),
            loaded: Vec::new(),
            last_was_loaded: false,
            breaker: CircuitBreaker::default(),
            shortage: Shortage::default(),
            timer_kept_until: Duration::ZERO,
        }
    }

    /// Decides the next step. Retries that are due go before new batches, the one due
    /// first before the others. A batch from the disk goes when nothing else is to be done,
    /// and else in turn with new ones. While the circuit is open or the machine is short of
    /// something, one probe at a time goes, a batch that has begun before a new one.
    pub(crate) fn next(&mut self, now: Duration, backlog: Backlog) -> Step {
        let probe_at = self.next_probe();
        let open = probe_at.is_some();
        let slots = if open { 1 } else { self.max_in_flight };
        if self.in_flight >= slots {
            return Step::Sleep { until: None, wake_on: WakeOn::default() };
        }
        let not_before = probe_at.unwrap_or_default();
        let retry = first(&self.in_back_off, not_before);
        let parked = first(&self.parked, not_before).filter(|_| !open);
        for (due, batch) in [retry, parked].into_iter().flatten() {
            if due <= now {
                return self.start(batch);
            }
        }
        let may_begin = !open || self.in_back_off.is_empty();
        let loaded = first(&self.loaded, not_before).filter(|_| may_begin);
        if let Some((due, batch)) = loaded
            && due <= now
            && !(self.last_was_loaded && backlog.ready)
        {
            self.last_was_loaded = true;
            return self.start(batch);
        }
        if may_begin && backlog.ready && not_before <= now {
            self.last_was_loaded = false;
            self.in_flight += 1;
            self.timer_kept_until = now + self.flush_interval;
            return Step::TakeBatch;
        }
        let mut until = retry.map(|(due, _)| due);
        let mut sooner = |time: Duration| until = Some(until.map_or(time, |until| until.min(time)));
        for (due, _) in parked.into_iter().chain(loaded) {
            sooner(due);
        }
        if may_begin {
            if backlog.ready {
                // Only the time of the probe is missing, whenever the open batch may be due.
                sooner(not_before);
            } else if let Some(due) = backlog.due_at {
                sooner(due.max(not_before));
            } else if self.timer_kept_until > now {
                sooner(self.timer_kept_until);
            }
        }
        let timer_in_time = until.is_some_and(|until| until <= now + self.flush_interval);
        let wake_on = WakeOn {
            first_event: may_begin && backlog.due_at.is_none() && !timer_in_time,
            full_batch: may_begin && not_before <= now,
        };
        Step::Sleep { until, wake_on }
    }

    /// Begins an attempt of a batch that waited.
    fn start(&mut self, batch: BatchId) -> Step {
        for list in [&mut self.in_back_off, &mut self.parked, &mut self.loaded] {
            list.retain(|(_, other)| *other != batch);
        }
        self.in_flight += 1;
        Step::StartAttempt(batch)
    }

    /// A batch came from the disk. It is begun at this time or later.
    pub(crate) fn batch_loaded(&mut self, due: Duration, batch: BatchId) {
        self.loaded.push((due, batch));
    }

    /// When the next probe may be sent; `None` if more than probes may be.
    fn next_probe(&self) -> Option<Duration> {
        let circuit = self.breaker.is_open().then(|| self.breaker.next_probe());
        let shortage = self.shortage.is_on().then(|| self.shortage.next_try());
        circuit.max(shortage)
    }

    /// An attempt has ended with this decision; `again` are the batches whose events are
    /// sent again.
    pub(crate) fn attempt_ended(
        &mut self,
        now: Duration,
        decision: &AttemptDecision,
        random: u16,
        again: &[BatchId],
    ) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if decision.unsent {
            self.shortage.met(now, &self.backoff, random);
        } else {
            self.shortage.is_over();
        }
        match decision.host {
            HostSign::Responds => self.breaker.host_responded(),
            HostSign::Fails => {
                self.breaker.request_failed(now, &self.backoff, random, decision.retry_after);
            }
            HostSign::Refuses => self.breaker.host_refused(now, &self.backoff),
            HostSign::None => {}
        }
        let list = if decision.park { &mut self.parked } else { &mut self.in_back_off };
        list.extend(again.iter().map(|batch| (now + decision.wait, *batch)));
    }

    /// A step was not carried out: its batch had been settled in the meantime.
    pub(crate) fn step_cancelled(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// A step could not be carried out: this machine is short of something.
    pub(crate) fn step_met_shortage(&mut self, now: Duration) {
        self.step_cancelled();
        self.shortage.met(now, &self.backoff, 0);
    }

    /// The attempt of a step could not be begun, for this machine is short of something:
    /// its batch waits.
    pub(crate) fn attempt_met_shortage(&mut self, now: Duration, batch: BatchId) {
        self.step_met_shortage(now);
        self.in_back_off.push((now, batch));
    }

    /// Whether this machine is short of something, as far as is known.
    pub(crate) fn is_short(&self) -> bool {
        self.shortage.is_on()
    }

    /// Whether the circuit breaker is open.
    pub(crate) fn is_circuit_open(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether nothing is in flight or in back-off.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && [&self.in_back_off, &self.parked, &self.loaded].into_iter().all(Vec::is_empty)
    }
}

/// The batch that is due first, and when that is, which is not before a time.
fn first(waiting: &[(Duration, BatchId)], not_before: Duration) -> Option<(Duration, BatchId)> {
    waiting.iter().min().map(|(due, batch)| ((*due).max(not_before), *batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const READY: Backlog = Backlog { ready: true, due_at: Some(Duration::ZERO) };
    const EMPTY: Backlog = Backlog { ready: false, due_at: None };

    /// A scheduler whose batches the test chooses.
    fn scheduler(max_in_flight: usize) -> Scheduler {
        Scheduler::new(max_in_flight, Duration::from_secs(5), Config::new("key").retry_policy().backoff)
    }

    fn failed(wait: Duration) -> AttemptDecision {
        AttemptDecision { host: HostSign::Fails, wait, ..AttemptDecision::default() }
    }

    fn succeeded() -> AttemptDecision {
        AttemptDecision::default()
    }

    #[test]
    fn a_batch_in_back_off_holds_up_no_other() {
        let mut scheduler = scheduler(1);
        let now = Duration::ZERO;
        assert_eq!(scheduler.next(now, READY), Step::TakeBatch);
        assert!(matches!(scheduler.next(now, READY), Step::Sleep { until: None, .. }));
        scheduler.attempt_ended(now, &failed(Duration::from_secs(9)), 0, &[1]);
        assert_eq!(scheduler.next(now, READY), Step::TakeBatch);
    }

    #[test]
    fn an_open_circuit_keeps_new_batches_and_probes_with_one_at_a_time() {
        let mut scheduler = scheduler(4);
        let mut now = Duration::ZERO;
        for _ in 0..3 {
            assert_eq!(scheduler.next(now, READY), Step::TakeBatch);
        }
        for batch in 1..=3 {
            scheduler.attempt_ended(now, &failed(Duration::from_millis(200)), 0, &[batch]);
        }
        let mut waits = Vec::new();
        for _ in 0..9 {
            let Step::Sleep { until: Some(until), .. } = scheduler.next(now, READY) else {
                panic!("the circuit is closed")
            };
            waits.push(until.checked_sub(now).unwrap().as_millis());
            now = until;
            let Step::StartAttempt(batch) = scheduler.next(now, READY) else { panic!("no probe") };
            assert!(matches!(scheduler.next(now, READY), Step::Sleep { until: None, .. }), "two probes");
            scheduler.attempt_ended(now, &failed(Duration::from_millis(200)), 0, &[batch]);
        }
        assert_eq!(waits, [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
        let Step::Sleep { until: Some(until), .. } = scheduler.next(now, READY) else {
            panic!("the circuit is closed")
        };
        let Step::StartAttempt(batch) = scheduler.next(until, READY) else { panic!("no probe") };
        scheduler.attempt_ended(until, &succeeded(), 0, &[]);
        assert!((1..=3).contains(&batch));
        for _ in 0..4 {
            assert!(matches!(scheduler.next(until, READY), Step::StartAttempt(_) | Step::TakeBatch));
        }
    }

    #[test]
    fn a_shortage_keeps_all_batches_waiting_and_ends_with_the_first_that_is_sent() {
        let mut scheduler = scheduler(4);
        let unsent = || AttemptDecision { unsent: true, host: HostSign::None, ..AttemptDecision::default() };
        for _ in 0..4 {
            assert_eq!(scheduler.next(Duration::ZERO, READY), Step::TakeBatch);
        }
        for batch in 1..=3 {
            scheduler.attempt_ended(Duration::ZERO, &unsent(), 0, &[batch]);
        }
        scheduler.step_met_shortage(Duration::ZERO);
        let mut now = Duration::ZERO;
        for wait in [200, 400, 800] {
            let Step::Sleep { until: Some(until), .. } = scheduler.next(now, READY) else {
                panic!("no wait")
            };
            assert_eq!(until, now + Duration::from_millis(wait));
            now = until;
            let Step::StartAttempt(batch) = scheduler.next(now, READY) else { panic!("no try") };
            assert!(matches!(scheduler.next(now, READY), Step::Sleep { until: None, .. }), "two tries");
            scheduler.attempt_ended(now, &unsent(), 0, &[batch]);
        }
        assert!(scheduler.is_short() && !scheduler.is_circuit_open());
        now += Duration::from_secs(60);
        let Step::StartAttempt(_) = scheduler.next(now, READY) else { panic!("no try") };
        scheduler.attempt_ended(now, &succeeded(), 0, &[]);
        assert!(!scheduler.is_short());
        for _ in 0..4 {
            assert!(matches!(scheduler.next(now, READY), Step::StartAttempt(_) | Step::TakeBatch));
        }
    }

    #[test]
    fn a_probe_does_not_wait_for_the_open_batch() {
        let second = Duration::from_secs(1);
        let backoff = Backoff { initial: second, max: 30 * second, retry_after_max: 30 * second };
        let mut scheduler = Scheduler::new(1, 3600 * second, backoff);
        let backlog = Backlog { ready: true, due_at: Some(3600 * second) };
        for _ in 0..3 {
            assert_eq!(scheduler.next(Duration::ZERO, backlog), Step::TakeBatch);
            scheduler.attempt_ended(Duration::ZERO, &failed(Duration::ZERO), 0, &[]);
        }
        let Step::Sleep { until: Some(until), .. } = scheduler.next(Duration::ZERO, backlog) else {
            panic!("a probe before its time, or none at all")
        };
        assert_eq!(until, 4 * second);
        assert_eq!(scheduler.next(until, backlog), Step::TakeBatch);
    }

    #[test]
    fn captures_wake_the_send_loop_only_when_needed() {
        let mut scheduler = scheduler(2);
        let Step::Sleep { until, wake_on } = scheduler.next(Duration::ZERO, EMPTY) else { panic!() };
        assert!(until.is_none() && wake_on.first_event && wake_on.full_batch);
        assert_eq!(scheduler.next(Duration::ZERO, READY), Step::TakeBatch);
        // While events flow a timer is running already: the first event of a batch wakes
        // nothing.
        let Step::Sleep { until, wake_on } = scheduler.next(Duration::ZERO, EMPTY) else { panic!() };
        assert_eq!(until, Some(Duration::from_secs(5)));
        assert!(!wake_on.first_event && wake_on.full_batch);
        assert_eq!(scheduler.next(Duration::ZERO, READY), Step::TakeBatch);
        // With every slot taken only a response matters.
        let Step::Sleep { until, wake_on } = scheduler.next(Duration::ZERO, READY) else { panic!() };
        assert!(until.is_none() && !wake_on.first_event && !wake_on.full_batch);
        scheduler.attempt_ended(Duration::ZERO, &succeeded(), 0, &[]);
        scheduler.attempt_ended(Duration::ZERO, &succeeded(), 0, &[]);
        // Idle for long: no timer at all.
        let Step::Sleep { until, wake_on } = scheduler.next(Duration::from_secs(9), EMPTY) else { panic!() };
        assert!(until.is_none() && wake_on.first_event);
    }
}
