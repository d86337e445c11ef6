//! The whole engine except the network, on a virtual clock, against a server that
//! misbehaves by seed. Each seed is one history; the properties hold in all of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::super::batch::BatchId;
use super::super::batch::OpenAttempt;
use super::super::loss::LossReason;
use super::super::scheduler::{Scheduler, Step};
use super::super::state::DeliveryState;
use crate::config::{Config, Overflow, Reports};
use crate::event::EncodedEvent;
use crate::event::timestamp::Timestamp;
use crate::protocol::{Attempt, AttemptResult, RetryPolicy, decide};
use crate::random::Random;

#[derive(Default)]
struct Server {
    stored: HashSet<Uuid>,
    /// Stored, and the client has seen the response.
    delivered: HashSet<Uuid>,
    /// Dropped, and the client has seen the response.
    dropped: HashSet<Uuid>,
    /// Last attempt, events and body of each request id.
    requests: HashMap<Uuid, (u32, Vec<Uuid>)>,
    bytes: HashMap<Uuid, Vec<u8>>,
}

fn size(random: &mut Random, bound: u64) -> usize {
    usize::try_from(random.below(bound)).unwrap()
}

struct World {
    random: Random,
    now: Duration,
    state: DeliveryState,
    scheduler: Scheduler,
    policy: RetryPolicy,
    max_in_flight: usize,
    server: Server,
    in_flight: BTreeMap<(Duration, BatchId), (OpenAttempt, AttemptResult)>,
    captured: Vec<Uuid>,
    ended: HashMap<Uuid, (Option<LossReason>, bool)>,
    misbehaves: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut config = Config::new("key");
        config.reports = Reports::All;
        config.flush_at = 1 + size(&mut random, 20);
        config.max_batch_events = 1 + size(&mut random, 40);
        config.max_in_flight = 1 + size(&mut random, 5);
        config.max_retries = u32::try_from(random.below(5)).unwrap();
        config.queue_max_events = 20 + random.below(300);
        config.overflow = random.one_of(&[Overflow::DropNewest, Overflow::DropOldest]);
        let policy = config.retry_policy();
        let max_in_flight = config.max_in_flight;
        World {
            random,
            now: Duration::ZERO,
            state: DeliveryState::new(&config),
            scheduler: Scheduler::new(max_in_flight, config.flush_interval, policy.backoff),
            policy,
            max_in_flight,
            server: Server::default(),
            in_flight: BTreeMap::new(),
            captured: Vec::new(),
            ended: HashMap::new(),
            misbehaves: true,
        }
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.random.next(), self.random.next())
    }

    fn capture(&mut self) {
        let uuid = self.uuid();
        let wire = format!("{{\"uuid\":\"{uuid}\",\"n\":{}}}", self.random.next() >> self.random.below(60));
        let event = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
        let now = self.now;
        if self.state.enqueue(wire.as_bytes(), &event, || now).0.is_ok() {
            self.captured.push(uuid);
            self.server.bytes.insert(uuid, wire.into_bytes());
        }
    }

    /// Lets the send loop do what it can do now; returns until when it sleeps.
    fn run_send_loop(&mut self) -> Option<Duration> {
        loop {
            let step = self.state.next_step(&mut self.scheduler, self.now).expect("it is not shut");
            let batch = match step {
                Step::StartAttempt(batch) => Some(batch),
                Step::TakeBatch => {
                    let request_id = self.uuid();
                    self.state.take_batch(request_id, Timestamp::from_unix_ms(0).unwrap())
                }
                Step::Sleep { until, .. } => return until,
            };
            match batch.and_then(|batch| {
                Some((batch, self.state.begin_attempt(batch, Timestamp::from_unix_ms(0).unwrap()).unwrap()?))
            }) {
                Some((batch, attempt)) => self.send(batch, attempt),
                None => self.scheduler.step_cancelled(),
            }
        }
    }

    fn send(&mut self, batch: BatchId, attempt: OpenAttempt) {
        let uuids = attempt.payload.uuids().to_vec();
        let distinct: HashSet<_> = uuids.iter().collect();
        assert_eq!(distinct.len(), uuids.len(), "a uuid twice in a batch");
        for (uuid, wire) in uuids.iter().zip(attempt.payload.wires()) {
            assert_eq!(wire, self.server.bytes[uuid], "the bytes changed");
            assert!(!self.server.delivered.contains(uuid), "sent again after it was delivered");
            assert!(!self.server.dropped.contains(uuid), "sent again after it was dropped");
        }
        let request = &attempt.request;
        let result = self.serve(&uuids);
        if matches!(result, AttemptResult::LocalShortage { .. }) {
            // Nothing reaches the server.
            self.in_flight.insert((self.now + Duration::from_millis(1), batch), (attempt, result));
            return;
        }
        match self.server.requests.get(&request.request_id) {
            Some((last, earlier)) => {
                assert_eq!(request.attempt, last + 1);
                assert!(uuids.iter().all(|uuid| earlier.contains(uuid)), "an event joined on a retry");
            }
            None => assert_eq!(request.attempt, 1),
        }
        self.server.requests.insert(request.request_id, (request.attempt, uuids.clone()));
        assert!(attempt.used <= self.policy.max_retries + 1);
        assert!(self.in_flight.len() < self.max_in_flight);

        let arrival = self.now + Duration::from_millis(1 + self.random.below(500));
        self.in_flight.insert((arrival, batch), (attempt, result));
    }

    fn serve(&mut self, uuids: &[Uuid]) -> AttemptResult {
        let respond = |status: u16, body: String| AttemptResult::Response {
            status,
            retry_after: None,
            location: None,
            body: body.into_bytes(),
        };
        let cut = |maybe_sent| AttemptResult::NoResponse { message: "cut".into(), maybe_sent };
        match if self.misbehaves { self.random.below(20) } else { 19 } {
            0..=2 => return respond(503, String::new()),
            3 => return cut(false),
            4 => {
                self.server.stored.extend(uuids);
                return cut(true);
            }
            5 => {
                self.server.stored.extend(uuids);
                return respond(200, "{}".into());
            }
            6 if uuids.len() > 1 => return respond(413, String::new()),
            7 => return respond(400, String::new()),
            8 => return AttemptResult::StaleConnection { message: "reset".into() },
            9 => return AttemptResult::LocalShortage { message: "no descriptors".into() },
            _ => {}
        }
        let mut results = Vec::new();
        for uuid in uuids {
            let code = match if self.misbehaves { self.random.below(20) } else { 19 } {
                0..=2 => "retry",
                3 => "drop",
                4 => "warning",
                _ => "ok",
            };
            if matches!(code, "ok" | "warning") {
                self.server.stored.insert(*uuid);
            }
            results.push(format!("\"{uuid}\":{{\"result\":\"{code}\"}}"));
        }
        respond(200, format!("{{\"results\":{{{}}}}}", results.join(",")))
    }

    /// The next response arrives.
    fn receive(&mut self) {
        let Some(((arrival, batch), (attempt, result))) = self.in_flight.pop_first() else { return };
        self.now = self.now.max(arrival);
        let random = u16::try_from(self.random.below(65_536)).unwrap();
        let about = Attempt {
            uuids: attempt.payload.uuids(),
            used: attempt.used,
            can_change_codec: false,
            random,
            spooled: None,
        };
        let mut decision = decide(&result, &about, &self.policy);
        let ids = [self.uuid(), self.uuid()];
        let has_ids = self.random.below(4) > 0;
        let new_ids = || has_ids.then(|| (ids, Timestamp::from_unix_ms(0).unwrap()));
        let (again, _) = self.state.complete_attempt(batch, &mut decision, 0, new_ids);
        self.scheduler.attempt_ended(self.now, &decision, random, &again);
        self.read_reports();
    }

    fn read_reports(&mut self) {
        while let Some(report) = self.state.pop_any_report() {
            for event in report.events {
                match event.loss {
                    None => drop(self.server.delivered.insert(event.uuid)),
                    Some(LossReason::Dropped) => drop(self.server.dropped.insert(event.uuid)),
                    Some(_) => {}
                }
                let twice = self.ended.insert(event.uuid, (event.loss, event.maybe_delivered));
                assert_eq!(twice, None, "an event ended twice");
            }
        }
    }

    fn check(&mut self) {
        let stats = self.state.stats();
        assert!(stats.add_up(), "{stats:?}");
        let pending = usize::try_from(stats.pending_events).unwrap();
        assert_eq!(self.state.count_pending(), pending);
        assert_eq!(self.ended.len() + pending, self.captured.len());
        if pending == 0 {
            assert_eq!(stats.pending_bytes, 0);
        }
    }

    fn step(&mut self, until: Option<Duration>) {
        match until {
            // Whatever comes first: a response, or the timer of the send loop.
            Some(until)
                if self.in_flight.first_key_value().is_none_or(|((arrival, _), _)| until < *arrival) =>
            {
                assert!(until > self.now, "it sleeps until the past");
                self.now = until;
            }
            _ => self.receive(),
        }
    }
}

fn history(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..300 {
        match world.random.below(4) {
            0 | 1 => (0..world.random.below(30)).for_each(|_| world.capture()),
            2 => {
                let (_, wake) = world.state.begin_flush(true);
                assert!(wake.sender);
            }
            _ => {}
        }
        world.read_reports();
        let until = world.run_send_loop();
        world.check();
        if until.is_some() || !world.in_flight.is_empty() {
            world.step(until);
        } else {
            world.now += Duration::from_millis(100);
        }
        world.check();
    }
    world
}

fn check_outcomes(world: &World) {
    for uuid in &world.captured {
        let (loss, maybe_delivered) = world.ended[uuid];
        let stored = world.server.stored.contains(uuid);
        match loss {
            None => assert!(stored, "reported as delivered, but not stored"),
            Some(_) => assert!(!stored || maybe_delivered, "lost, stored, and not maybe_delivered"),
        }
    }
}

#[test]
fn every_event_ends_exactly_once_whatever_the_server_does() {
    for seed in 0..400 {
        let mut world = history(seed);
        // The server recovers: everything pending is settled in the end.
        world.misbehaves = false;
        let (flush, _) = world.state.begin_flush(false);
        let mut steps = 0;
        while world.state.stats().pending_events > 0 {
            let until = world.run_send_loop();
            world.step(until);
            world.check();
            steps += 1;
            assert!(steps < 10_000, "seed {seed}: nothing moves any more");
        }
        assert_eq!(world.state.flush_result(flush).unwrap().pending, 0);
        check_outcomes(&world);
    }
}

#[test]
fn a_close_settles_everything_at_any_moment() {
    for seed in 0..400 {
        let mut world = history(seed);
        let _ = world.state.fail_all_pending(LossReason::Closed);
        world.read_reports();
        world.check();
        assert_eq!(world.state.stats().pending_events, 0);
        check_outcomes(&world);
        // Responses that come too late change nothing.
        while !world.in_flight.is_empty() {
            world.receive();
            world.check();
        }
    }
}
