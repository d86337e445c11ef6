//! Batches that the server cannot digest, among others: a virtual clock, and one event a batch.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::super::batch::{BatchId, OpenAttempt};
use super::super::loss::LossReason;
use super::super::scheduler::{Scheduler, Step};
use super::super::state::DeliveryState;
use crate::config::{Config, Reports};
use crate::event::EncodedEvent;
use crate::event::timestamp::Timestamp;
use crate::protocol::{Attempt, AttemptResult, RetryPolicy, SpooledBatch, decide};
use crate::random::Random;

/// What a poisoned batch gets.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Poison {
    Status(u16),
    /// No response within ten seconds.
    Timeout,
}

const POISONS: [Poison; 5] =
    [Poison::Status(500), Poison::Status(502), Poison::Timeout, Poison::Status(403), Poison::Status(302)];

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

struct World {
    random: Random,
    now: Duration,
    state: DeliveryState,
    scheduler: Scheduler,
    policy: RetryPolicy,
    has_spool: bool,
    poison: Poison,
    poisoned: HashSet<Uuid>,
    is_down: bool,
    in_flight: BTreeMap<(Duration, BatchId), (OpenAttempt, AttemptResult)>,
    requests: u32,
    captured_at: HashMap<Uuid, Duration>,
    ended: HashMap<Uuid, (Duration, Option<LossReason>)>,
}

impl World {
    fn new(seed: u64, poison: Poison, has_spool: bool) -> Self {
        let mut random = Random::new(seed);
        let mut config = Config::new("key");
        config.reports = Reports::All;
        config.flush_at = 1;
        config.max_batch_events = 1;
        config.max_in_flight = random.one_of(&[1, 2, 4]);
        config.max_retries = u32::try_from(random.below(5)).unwrap();
        let policy = config.retry_policy();
        World {
            random,
            now: Duration::ZERO,
            state: DeliveryState::new(&config),
            scheduler: Scheduler::new(config.max_in_flight, config.flush_interval, policy.backoff),
            policy,
            has_spool,
            poison,
            poisoned: HashSet::new(),
            is_down: false,
            in_flight: BTreeMap::new(),
            requests: 0,
            captured_at: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    fn capture(&mut self, is_poisoned: bool) {
        let uuid = Uuid::from_u64_pair(self.random.next(), self.random.next());
        let event = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
        let now = self.now;
        assert_eq!(self.state.enqueue(b"{}", &event, || now).0, Ok(()));
        self.captured_at.insert(uuid, now);
        if is_poisoned {
            self.poisoned.insert(uuid);
        }
    }

    fn run_send_loop(&mut self) -> Option<Duration> {
        let time = Timestamp::from_unix_ms(0).unwrap();
        loop {
            let batch = match self.state.next_step(&mut self.scheduler, self.now).expect("it is not shut") {
                Step::StartAttempt(batch) => batch,
                Step::TakeBatch => {
                    let id = Uuid::from_u64_pair(self.random.next(), 0);
                    self.state.take_batch(id, time).unwrap()
                }
                Step::Sleep { until, .. } => return until,
            };
            let attempt = self.state.begin_attempt(batch, time).unwrap().unwrap();
            let (wait, result) = self.serve(attempt.payload.uuids()[0]);
            self.requests += 1;
            self.in_flight.insert((self.now + wait, batch), (attempt, result));
        }
    }

    fn serve(&mut self, uuid: Uuid) -> (Duration, AttemptResult) {
        let soon = Duration::from_millis(1 + self.random.below(200));
        let poison = match () {
            () if self.is_down => Poison::Status(503),
            () if self.poisoned.contains(&uuid) => self.poison,
            () => Poison::Status(200),
        };
        match poison {
            Poison::Timeout => {
                (10 * SECOND, AttemptResult::NoResponse { message: "time".into(), maybe_sent: true })
            }
            Poison::Status(status) => {
                let body = br#"{"results":{}}"#.to_vec();
                (soon, AttemptResult::Response { status, retry_after: None, location: None, body })
            }
        }
    }

    /// Lets time pass until then, with all that happens in it.
    fn pass(&mut self, end: Duration) {
        loop {
            let until = self.run_send_loop().unwrap_or(Duration::MAX);
            assert!(until > self.now, "it sleeps until the past");
            let arrival =
                self.in_flight.first_key_value().map_or(Duration::MAX, |((arrival, _), _)| *arrival);
            if until.min(arrival) > end {
                self.now = end;
                return;
            }
            self.now = until.min(arrival).max(self.now);
            if arrival <= until {
                self.receive();
            }
        }
    }

    fn receive(&mut self) {
        let ((_, batch), (attempt, result)) = self.in_flight.pop_first().unwrap();
        let random = u16::try_from(self.random.below(65_536)).unwrap();
        let host_is_down = self.scheduler.is_circuit_open();
        let about = Attempt {
            uuids: attempt.payload.uuids(),
            used: attempt.used,
            can_change_codec: false,
            random,
            spooled: self
                .has_spool
                .then_some(SpooledBatch { host_is_down, times_postponed: attempt.times_postponed }),
        };
        let mut decision = decide(&result, &about, &self.policy);
        drop(attempt);
        let (again, _) = self.state.complete_attempt(batch, &mut decision, 0, || None);
        self.scheduler.attempt_ended(self.now, &decision, random, &again);
        while let Some(report) = self.state.pop_any_report() {
            for event in report.events {
                assert_eq!(self.ended.insert(event.uuid, (self.now, event.loss)), None);
            }
        }
        assert!(self.state.stats_add_up());
    }

    /// How long an event that is not poisoned took at most, up to now.
    fn slowest(&self) -> Duration {
        let of = |(uuid, at): (&Uuid, &Duration)| match self.ended.get(uuid) {
            None => self.now.saturating_sub(*at),
            Some((end, loss)) => {
                assert_eq!(*loss, None);
                end.saturating_sub(*at)
            }
        };
        self.captured_at.iter().filter(|(uuid, _)| !self.poisoned.contains(uuid)).map(of).max().unwrap()
    }

    fn reasons(&self) -> Vec<Option<LossReason>> {
        self.poisoned.iter().map(|uuid| self.ended.get(uuid).and_then(|(_, loss)| *loss)).collect()
    }
}

fn reason(poison: Poison) -> LossReason {
    if poison == Poison::Timeout { LossReason::Transport } else { LossReason::Rejected }
}

/// Every promise here holds at any traffic, so also for one event a minute, where failures of one batch follow one
/// another.
#[test]
fn a_poisoned_batch_holds_no_other_up_and_is_lost_in_the_end() {
    for (seed, poison) in (0..12).flat_map(|seed| POISONS.map(|poison| (seed, poison))) {
        for has_spool in [false, true] {
            let mut world = World::new(seed, poison, has_spool);
            let every = Duration::from_millis(world.random.one_of(&[500, 6000, 60_000]));
            let poisoned_at = world.random.below(4);
            for turn in 0.. {
                world.capture(turn == poisoned_at);
                world.pass(world.now + every);
                if turn > 60 && world.reasons() != [None] || world.now > 12 * HOUR {
                    break;
                }
            }
            world.pass(world.now + 60 * SECOND);
            let context = format!("seed {seed} {poison:?} spool {has_spool}");
            // The longest wait of a probe, that of a batch whose time comes just after it, and responses.
            assert!(world.slowest() < 75 * SECOND, "{context}: {:?}", world.slowest());
            assert_eq!(world.reasons(), [Some(reason(poison))], "{context}");
            let took = world.ended[world.poisoned.iter().next().unwrap()].0;
            assert!(!has_spool || took > 3 * HOUR, "{context}: it was not postponed, {took:?}");
        }
    }
}

#[test]
fn several_poisoned_batches_hold_others_up_only_until_each_has_probed() {
    for (seed, poison) in (0..6).flat_map(|seed| POISONS.map(|poison| (seed, poison))) {
        let mut world = World::new(seed, poison, true);
        let every = world.random.one_of(&[6, 20, 60]) * SECOND;
        for turn in 0.. {
            world.capture(turn < 5);
            world.pass(world.now + every);
            if turn > 60 && world.reasons().iter().all(Option::is_some) || world.now > 24 * HOUR {
                break;
            }
        }
        world.pass(world.now + 10 * 60 * SECOND);
        // A backlog, since one event in some time limits of the poisoned ones is sent until they are postponed.
        assert!(world.slowest() < HOUR / 2, "seed {seed} {poison:?}: {:?}", world.slowest());
        assert_eq!(world.reasons(), vec![Some(reason(poison)); 5], "seed {seed} {poison:?}");
    }
}

#[test]
fn with_a_spool_an_outage_of_a_day_costs_no_event_and_few_requests() {
    for seed in 0..12 {
        let mut world = World::new(seed, Poison::Status(500), true);
        world.capture(false);
        world.pass(SECOND);
        world.is_down = true;
        let requests = world.requests;
        while world.now < 24 * HOUR {
            world.capture(false);
            world.pass(world.now + 10 * SECOND);
        }
        let probes = world.requests - requests;
        assert!((2800..24 * 120 + 20).contains(&probes), "{probes} requests, and one each 30 s is enough");
        world.is_down = false;
        world.pass(world.now + HOUR);
        assert_eq!(world.ended.len(), world.captured_at.len());
        assert!(world.ended.values().all(|(_, loss)| loss.is_none()));
    }
}
