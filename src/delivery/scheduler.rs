//! Decides which batch is sent next, and how long the send loop sleeps. No clock: time
//! comes in as the time since the client's start.

use std::time::Duration;

use super::batch::BatchId;
use super::probe_turns::ProbeTurns;
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
    /// Whether batches that have begun, which cannot leave memory, use a large part of it.
    pub(crate) is_crowded: bool,
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
    /// Batches whose budget is spent while others succeed. They keep no other waiting.
    postponed: Vec<(Duration, BatchId)>,
    /// Batches that came from the disk and have not been tried yet.
    loaded: Vec<(Duration, BatchId)>,
    /// Whether the last batch that was begun came from the disk.
    last_was_loaded: bool,
    breaker: CircuitBreaker,
    turns: ProbeTurns,
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
            postponed: Vec::new(),
            loaded: Vec::new(),
            last_was_loaded: false,
            breaker: CircuitBreaker::default(),
            turns: ProbeTurns::default(),
            shortage: Shortage::default(),
            timer_kept_until: Duration::ZERO,
        }
    }

    /// Decides the next step. Retries that are due go before new batches, the one due
    /// first before the others. A batch from the disk goes when nothing else is to be done,
    /// and else in turn with new ones. While the circuit is open or the machine is short of
    /// something, one probe at a time goes, a batch that has begun before others unless it is
    /// their turn.
    pub(crate) fn next(&mut self, now: Duration, backlog: Backlog) -> Step {
        let probe_at = self.next_probe();
        let open = probe_at.is_some();
        let slots = if open { 1 } else { self.max_in_flight };
        if self.in_flight >= slots {
            return Step::Sleep { until: None, wake_on: WakeOn::default() };
        }
        let not_before = probe_at.unwrap_or_default();
        let is_turn_of_others = self.breaker.is_open()
            && self.turns.is_turn_of_others(self.in_back_off.len(), backlog.is_crowded);
        let may_begin = !open || self.in_back_off.is_empty() || is_turn_of_others;
        let retry = first(&self.in_back_off, not_before);
        let [postponed, loaded] =
            [&self.postponed, &self.loaded].map(|list| first(list, not_before).filter(|_| may_begin));
        let is_due = |waiting: &(Duration, BatchId)| waiting.0 <= now;
        if let Some((_, batch)) = retry.filter(|retry| is_due(retry) && !is_turn_of_others) {
            return self.start_again(batch);
        }
        if let Some((_, batch)) = postponed.filter(|postponed| is_due(postponed) && !open) {
            return self.start(batch);
        }
        if let Some((_, batch)) = loaded.filter(is_due)
            && (backlog.is_crowded || !(self.last_was_loaded && backlog.ready))
        {
            self.last_was_loaded = true;
            return self.start(batch);
        }
        if may_begin && backlog.ready && not_before <= now {
            self.last_was_loaded = false;
            self.begin_other();
            self.timer_kept_until = now + self.flush_interval;
            return Step::TakeBatch;
        }
        if let Some((_, batch)) = postponed.filter(is_due) {
            return self.start(batch);
        }
        if let Some((_, batch)) = retry.filter(is_due) {
            return self.start_again(batch);
        }
        let mut until = retry.map(|(due, _)| due);
        let mut sooner = |time: Duration| until = Some(until.map_or(time, |until| until.min(time)));
        for (due, _) in postponed.into_iter().chain(loaded) {
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
            // Also while the time of the probe has not come: it is not timed for a batch that may not be full by then.
            full_batch: may_begin && !backlog.ready,
        };
        Step::Sleep { until, wake_on }
    }

    /// Begins an attempt of a batch that was in back-off.
    fn start_again(&mut self, batch: BatchId) -> Step {
        self.in_back_off.retain(|(_, other)| *other != batch);
        if self.breaker.is_open() {
            self.turns.take();
        }
        self.in_flight += 1;
        Step::StartAttempt(batch)
    }

    /// Begins an attempt of a batch that was postponed or came from the disk.
    fn start(&mut self, batch: BatchId) -> Step {
        for list in [&mut self.postponed, &mut self.loaded] {
            list.retain(|(_, other)| *other != batch);
        }
        self.begin_other();
        Step::StartAttempt(batch)
    }

    /// An attempt of a batch begins that was not in back-off.
    fn begin_other(&mut self) {
        if self.breaker.is_open() {
            self.turns.begin_round(self.in_back_off.len());
        }
        self.in_flight += 1;
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
            HostSign::Refuses => self.breaker.host_refused(now, &self.backoff, decision.retry_after),
            HostSign::None => {}
        }
        let list = if decision.postpone { &mut self.postponed } else { &mut self.in_back_off };
        list.extend(again.iter().map(|batch| (now + decision.wait, *batch)));
        if !self.breaker.is_open() {
            self.turns.circuit_closed();
        } else if decision.refund || decision.host == HostSign::Refuses {
            self.turns.failed_at_no_cost(self.in_back_off.len());
        }
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
        self.in_flight == 0
            && [&self.in_back_off, &self.postponed, &self.loaded].into_iter().all(Vec::is_empty)
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

    const READY: Backlog = Backlog { ready: true, due_at: Some(Duration::ZERO), is_crowded: false };
    const EMPTY: Backlog = Backlog { ready: false, due_at: None, is_crowded: false };

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
        let backlog = Backlog { ready: true, due_at: Some(3600 * second), is_crowded: false };
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

    /// The same with a spool, while the circuit is open.
    fn held(wait: Duration) -> AttemptDecision {
        AttemptDecision { refund: true, ..failed(wait) }
    }

    /// Has the circuit opened by three failures in a row of one batch.
    fn opened_by_one(scheduler: &mut Scheduler, has_spool: bool) -> Duration {
        let mut now = Duration::ZERO;
        assert_eq!(scheduler.next(now, READY), Step::TakeBatch);
        for refund in [false, false, false, has_spool] {
            let decision = AttemptDecision { refund, ..failed(Duration::from_millis(200)) };
            scheduler.attempt_ended(now, &decision, 0, &[1]);
            let Step::Sleep { until: Some(until), .. } = scheduler.next(now, EMPTY) else {
                panic!("no wait")
            };
            now = until;
            if scheduler.is_circuit_open() && (refund || !has_spool) {
                return now;
            }
            assert_eq!(scheduler.next(now, EMPTY), Step::StartAttempt(1));
        }
        panic!("the circuit is closed");
    }

    #[test]
    fn where_failures_cost_nothing_another_batch_probes_after_each_round() {
        let mut scheduler = scheduler(4);
        let mut now = opened_by_one(&mut scheduler, true);
        let (mut probes, mut last) = (String::new(), 1);
        for _ in 0..14 {
            let batch = match scheduler.next(now, READY) {
                Step::StartAttempt(batch) => batch,
                Step::TakeBatch => {
                    last += 1;
                    last
                }
                Step::Sleep { .. } => panic!("no probe"),
            };
            probes += &batch.to_string();
            scheduler.attempt_ended(now, &held(Duration::from_millis(200)), 0, &[batch]);
            let Step::Sleep { until: Some(until), .. } = scheduler.next(now, READY) else {
                panic!("two probes")
            };
            now = until;
        }
        assert_eq!(probes, "21321432154321");
        // When those that have begun use much of the memory, they go on among themselves, unless one is alone.
        let crowded = Backlog { is_crowded: true, ..READY };
        for batch in [5, 4, 3, 2, 1, 5] {
            assert_eq!(scheduler.next(now, crowded), Step::StartAttempt(batch));
            scheduler.attempt_ended(now, &held(Duration::from_millis(200)), 0, &[batch]);
            now += Duration::from_secs(30);
        }
        let mut scheduler = super::tests::scheduler(4);
        let now = opened_by_one(&mut scheduler, true);
        assert_eq!(scheduler.next(now, crowded), Step::TakeBatch);
        // Without a spool, the batches that have begun spend their attempts, and no others.
        let mut scheduler = super::tests::scheduler(4);
        let now = opened_by_one(&mut scheduler, false);
        assert_eq!(scheduler.next(now, READY), Step::StartAttempt(1));
    }

    #[test]
    fn an_open_batch_is_not_sealed_to_be_a_probe() {
        let mut scheduler = scheduler(4);
        let now = opened_by_one(&mut scheduler, true);
        let not_ready =
            Backlog { ready: false, due_at: Some(now + Duration::from_secs(1)), is_crowded: false };
        assert_eq!(scheduler.next(now, not_ready), Step::StartAttempt(1));
    }

    #[test]
    fn a_refusal_has_another_batch_probe() {
        let mut scheduler = scheduler(4);
        assert_eq!(scheduler.next(Duration::ZERO, READY), Step::TakeBatch);
        let refused = AttemptDecision { host: HostSign::Refuses, ..failed(Duration::from_secs(30)) };
        scheduler.attempt_ended(Duration::ZERO, &refused, 0, &[1]);
        let Step::Sleep { until: Some(until), .. } = scheduler.next(Duration::ZERO, READY) else { panic!() };
        assert_eq!(until, Duration::from_secs(30));
        assert_eq!(scheduler.next(until, READY), Step::TakeBatch);
    }

    #[test]
    fn a_batch_that_is_postponed_probes_when_nothing_else_could() {
        let mut scheduler = scheduler(4);
        assert_eq!(scheduler.next(Duration::ZERO, READY), Step::TakeBatch);
        let postponed = AttemptDecision { postpone: true, wait: Duration::from_secs(60), ..succeeded() };
        scheduler.attempt_ended(Duration::ZERO, &postponed, 0, &[1]);
        // Three others fail for good.
        let mut now = Duration::from_secs(50);
        for _ in 0..3 {
            assert_eq!(scheduler.next(now, READY), Step::TakeBatch);
            scheduler.attempt_ended(now, &failed(Duration::ZERO), 0, &[]);
        }
        assert!(scheduler.is_circuit_open());
        while let Step::Sleep { until, .. } = scheduler.next(now, EMPTY) {
            now = until.expect("there is a probe some time");
        }
        scheduler.attempt_ended(now, &AttemptDecision { host: HostSign::None, ..postponed }, 0, &[1]);
        assert_eq!(now, Duration::from_secs(60));
        now += Duration::from_secs(60);
        assert_eq!(scheduler.next(now, READY), Step::TakeBatch, "there is another");
        scheduler.step_cancelled();
        assert_eq!(scheduler.next(now, EMPTY), Step::StartAttempt(1));
    }

    #[test]
    fn a_batch_that_is_full_too_early_for_the_probe_is_the_probe_in_time() {
        let second = Duration::from_secs(1);
        let backoff = Backoff { initial: second, max: 30 * second, retry_after_max: 30 * second };
        for decision in
            [failed(Duration::ZERO), AttemptDecision { unsent: true, host: HostSign::None, ..succeeded() }]
        {
            let mut scheduler = Scheduler::new(1, 3600 * second, backoff);
            for _ in 0..3 {
                assert_eq!(scheduler.next(30 * second, READY), Step::TakeBatch);
                scheduler.attempt_ended(30 * second, &decision, 0, &[]);
                if decision.unsent {
                    break;
                }
            }
            let some = Backlog { ready: false, due_at: Some(3600 * second), is_crowded: false };
            let Step::Sleep { until, wake_on } = scheduler.next(30 * second, some) else { panic!("no wait") };
            assert!(wake_on.full_batch && until == Some(3600 * second));
            // Now it is full, which wakes once.
            let full = Backlog { ready: true, ..some };
            let Step::Sleep { until: Some(until), wake_on } = scheduler.next(30 * second, full) else {
                panic!("no wait")
            };
            assert!(!wake_on.full_batch && until <= 34 * second);
            assert_eq!(scheduler.next(until, full), Step::TakeBatch);
        }
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
