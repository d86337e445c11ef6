//! The whole engine but the network, on a virtual clock, against a server that
//! misbehaves by seed. Each seed is one history; the properties hold in all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::schedule::{Backlog, Outlook, Schedule, Step};
use crate::books::{BatchId, Books, Dispatch};
use crate::config::Config;
use crate::event::EncodedEvent;
use crate::event::timestamp::Timestamp;
use crate::outcome::Ending;
use crate::protocol::judge::{Answer, Attempt, Loss, Outcome, Policy, judge};
use crate::random::Random;

#[derive(Default)]
struct Server {
    stored: HashSet<Uuid>,
    /// Accepted, and the client has seen the answer.
    answered: HashSet<Uuid>,
    /// Refused for good, and the client has seen the answer.
    dropped: HashSet<Uuid>,
    /// Last attempt, events and body of each request id.
    requests: HashMap<Uuid, (u32, Vec<Uuid>)>,
    bytes: HashMap<Uuid, Vec<u8>>,
}

struct World {
    random: Random,
    now: Duration,
    books: Books,
    schedule: Schedule,
    policy: Policy,
    max_in_flight: usize,
    server: Server,
    in_flight: BTreeMap<(Duration, BatchId), (Dispatch, Outcome)>,
    captured: Vec<Uuid>,
    ended: HashMap<Uuid, (Ending, bool)>,
    trouble: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut config = Config::new("key");
        config.reports = 1;
        config.flush_at = 1 + random.below(20);
        config.max_batch_events = 1 + random.below(40);
        config.max_in_flight = 1 + random.below(5);
        config.max_retries = random.below(5);
        config.queue_max_events = 20 + random.below(300);
        config.overflow = usize::from(random.percent(50));
        let policy = config.policy();
        let max_in_flight = usize::try_from(config.max_in_flight).unwrap();
        World {
            random,
            now: Duration::ZERO,
            books: Books::new(&config),
            schedule: Schedule::new(
                max_in_flight,
                Duration::from_millis(config.flush_interval_ms),
                policy.backoff,
            ),
            policy,
            max_in_flight,
            server: Server::default(),
            in_flight: BTreeMap::new(),
            captured: Vec::new(),
            ended: HashMap::new(),
            trouble: true,
        }
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.random.next(), self.random.next())
    }

    fn capture(&mut self) {
        let uuid = self.uuid();
        let wire = format!("{{\"uuid\":\"{uuid}\",\"n\":{}}}", self.random.next() >> self.random.below(60));
        let encoded = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
        let now = self.now;
        if self.books.push(wire.as_bytes(), &encoded, false, || now).is_ok() {
            self.captured.push(uuid);
            self.server.bytes.insert(uuid, wire.into_bytes());
        }
    }

    /// Lets the sender do what it can do now; answers until when it sleeps.
    fn run_sender(&mut self) -> Option<Duration> {
        loop {
            let backlog =
                Backlog { ready: self.books.queue.is_ready(self.now), due_at: self.books.queue.due_at() };
            let batch = match self.schedule.next(self.now, backlog) {
                Step::Start(batch) => Some(batch),
                Step::Cut => {
                    let request_id = self.uuid();
                    self.books.cut(request_id, Timestamp::from_unix_ms(0).unwrap())
                }
                Step::Sleep { until, .. } => return until,
            };
            match batch.and_then(|batch| {
                Some((batch, self.books.begin_attempt(batch, Timestamp::from_unix_ms(0).unwrap())?))
            }) {
                Some((batch, dispatch)) => self.send(batch, dispatch),
                None => self.schedule.cancelled(),
            }
        }
    }

    fn send(&mut self, batch: BatchId, dispatch: Dispatch) {
        let uuids = dispatch.cargo.uuids.clone();
        let distinct: HashSet<_> = uuids.iter().collect();
        assert_eq!(distinct.len(), uuids.len(), "a uuid twice in a batch");
        for (uuid, span) in uuids.iter().zip(&dispatch.cargo.spans) {
            let bytes = &dispatch.cargo.body[span.start as usize..span.end as usize];
            assert_eq!(bytes, self.server.bytes[uuid], "the bytes changed");
            assert!(!self.server.answered.contains(uuid), "sent again after its acceptance");
            assert!(!self.server.dropped.contains(uuid), "sent again after its drop");
        }
        match self.server.requests.get(&dispatch.request_id) {
            Some((attempt, earlier)) => {
                assert_eq!(dispatch.attempt, attempt + 1);
                assert!(uuids.iter().all(|uuid| earlier.contains(uuid)), "an event joined on a retry");
            }
            None => assert_eq!(dispatch.attempt, 1),
        }
        self.server.requests.insert(dispatch.request_id, (dispatch.attempt, uuids.clone()));
        assert!(dispatch.used <= self.policy.max_retries + 1);
        assert!(self.in_flight.len() < self.max_in_flight);

        let outcome = self.serve(&uuids);
        let arrival = self.now + Duration::from_millis(1 + self.random.below(500));
        self.in_flight.insert((arrival, batch), (dispatch, outcome));
    }

    fn serve(&mut self, uuids: &[Uuid]) -> Outcome {
        let answer = |status: u16, body: String| {
            Outcome::Answer(Answer { status, body: body.into_bytes(), ..Answer::default() })
        };
        let cut = |maybe_sent| Outcome::Transport { message: "cut".into(), maybe_sent };
        match if self.trouble { self.random.below(20) } else { 19 } {
            0..=2 => return answer(503, String::new()),
            3 => return cut(false),
            4 => {
                self.server.stored.extend(uuids);
                return cut(true);
            }
            5 => {
                self.server.stored.extend(uuids);
                return answer(200, "{}".into());
            }
            6 if uuids.len() > 1 => return answer(413, String::new()),
            7 => return answer(400, String::new()),
            _ => {}
        }
        let mut results = Vec::new();
        for uuid in uuids {
            let code = match if self.trouble { self.random.below(20) } else { 19 } {
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
        answer(200, format!("{{\"results\":{{{}}}}}", results.join(",")))
    }

    /// The next answer arrives.
    fn receive(&mut self) {
        let Some(((arrival, batch), (dispatch, outcome))) = self.in_flight.pop_first() else { return };
        self.now = self.now.max(arrival);
        let random = u16::try_from(self.random.below(65_536)).unwrap();
        let attempt =
            Attempt { uuids: &dispatch.cargo.uuids, used: dispatch.used, can_change_codec: false, random };
        let judgement = judge(&outcome, &attempt, &self.policy);
        let outlook = Outlook::from(&judgement);
        let fresh = [self.uuid(), self.uuid()];
        let going_on =
            self.books.finish_attempt(batch, judgement, || (fresh, Timestamp::from_unix_ms(0).unwrap()));
        self.schedule.finished(self.now, &outlook, random, &going_on);
        self.read_reports();
    }

    fn read_reports(&mut self) {
        while let Some(report) = self.books.mailbox.take() {
            for event in report.events {
                match event.ending {
                    Ending::Delivered => drop(self.server.answered.insert(event.uuid)),
                    Ending::Lost(Loss::Dropped) => drop(self.server.dropped.insert(event.uuid)),
                    Ending::Lost(_) => {}
                }
                let twice = self.ended.insert(event.uuid, (event.ending, event.maybe_delivered));
                assert_eq!(twice, None, "an event ended twice");
            }
        }
    }

    fn check(&mut self) {
        assert!(self.books.ledger.adds_up(), "{:?}", self.books.ledger);
        let pending = usize::try_from(self.books.ledger.pending_events).unwrap();
        assert_eq!(self.books.count_pending(), pending);
        assert_eq!(self.ended.len() + pending, self.captured.len());
        if pending == 0 {
            assert_eq!(self.books.ledger.pending_bytes, 0);
        }
    }

    fn step(&mut self, until: Option<Duration>) {
        match until {
            // Whatever comes first: an answer, or the sender's timer.
            Some(until)
                if self.in_flight.first_key_value().is_none_or(|((arrival, _), _)| until < *arrival) =>
            {
                assert!(until > self.now, "the sender sleeps until the past");
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
                world.books.begin_flush(true);
            }
            _ => {}
        }
        world.read_reports();
        let until = world.run_sender();
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

fn check_endings(world: &World) {
    for uuid in &world.captured {
        let (ending, maybe_delivered) = world.ended[uuid];
        let stored = world.server.stored.contains(uuid);
        match ending {
            Ending::Delivered => assert!(stored, "reported delivered, but the server has it not"),
            Ending::Lost(_) => {
                assert!(!stored || maybe_delivered, "lost, stored, and not said to be perhaps");
            }
        }
    }
}

#[test]
fn every_event_ends_exactly_once_whatever_the_server_does() {
    for seed in 0..400 {
        let mut world = history(seed);
        // The server recovers: everything pending is settled in the end.
        world.trouble = false;
        let flush = world.books.begin_flush(false);
        let mut steps = 0;
        while world.books.ledger.pending_events > 0 {
            let until = world.run_sender();
            world.step(until);
            world.check();
            steps += 1;
            assert!(steps < 10_000, "seed {seed}: nothing moves any more");
        }
        assert_eq!(world.books.flush_result(flush).unwrap().pending, 0);
        check_endings(&world);
    }
}

#[test]
fn a_close_settles_everything_at_any_moment() {
    for seed in 0..400 {
        let mut world = history(seed);
        world.books.lose_everything(Loss::Closed);
        world.read_reports();
        world.check();
        assert_eq!(world.books.ledger.pending_events, 0);
        check_endings(&world);
        // Answers that come too late change nothing.
        while !world.in_flight.is_empty() {
            world.receive();
            world.check();
        }
    }
}

/// A schedule with batches of its own choice.
fn schedule(max_in_flight: usize) -> Schedule {
    Schedule::new(max_in_flight, Duration::from_secs(5), Config::new("key").policy().backoff)
}

const READY: Backlog = Backlog { ready: true, due_at: Some(Duration::ZERO) };
const EMPTY: Backlog = Backlog { ready: false, due_at: None };

fn failed(next: crate::protocol::judge::Next) -> Outlook {
    Outlook { next, host_failed: true, retry_after: None }
}

#[test]
fn nobody_waits_behind_a_batch_in_back_off() {
    use crate::protocol::judge::Next;
    let mut schedule = schedule(1);
    let now = Duration::ZERO;
    assert_eq!(schedule.next(now, READY), Step::Cut);
    assert!(matches!(schedule.next(now, READY), Step::Sleep { until: None, .. }));
    schedule.finished(now, &failed(Next::Retry(Duration::from_secs(9))), 0, &[1]);
    assert_eq!(schedule.next(now, READY), Step::Cut);
}

#[test]
fn an_outage_holds_new_batches_and_probes_one_at_a_time() {
    use crate::protocol::judge::Next;
    let mut schedule = schedule(4);
    let mut now = Duration::ZERO;
    for _ in 0..3 {
        assert_eq!(schedule.next(now, READY), Step::Cut);
    }
    for batch in 1..=3 {
        schedule.finished(now, &failed(Next::Retry(Duration::from_millis(200))), 0, &[batch]);
    }
    let mut waits = Vec::new();
    for _ in 0..9 {
        let Step::Sleep { until: Some(until), .. } = schedule.next(now, READY) else { panic!("not held") };
        waits.push(until.checked_sub(now).unwrap().as_millis());
        now = until;
        let Step::Start(batch) = schedule.next(now, READY) else { panic!("no probe") };
        assert!(matches!(schedule.next(now, READY), Step::Sleep { until: None, .. }), "two probes at once");
        schedule.finished(now, &failed(Next::Retry(Duration::from_millis(200))), 0, &[batch]);
    }
    assert_eq!(waits, [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000, 30_000]);
    let Step::Sleep { until: Some(until), .. } = schedule.next(now, READY) else { panic!("not held") };
    let Step::Start(batch) = schedule.next(until, READY) else { panic!("no probe") };
    let answered = Outlook { next: Next::Done, host_failed: false, retry_after: None };
    schedule.finished(until, &answered, 0, &[]);
    assert!((1..=3).contains(&batch));
    for _ in 0..4 {
        assert!(matches!(schedule.next(until, READY), Step::Start(_) | Step::Cut));
    }
}

#[test]
fn the_alarm_asks_for_no_more_than_is_needed() {
    use crate::protocol::judge::Next;
    let mut schedule = schedule(2);
    let Step::Sleep { until, alarm } = schedule.next(Duration::ZERO, EMPTY) else { panic!() };
    assert!(until.is_none() && alarm.on_first && alarm.on_full);
    assert_eq!(schedule.next(Duration::ZERO, READY), Step::Cut);
    // While events flow a timer runs already: the first of a batch wakes nobody.
    let Step::Sleep { until, alarm } = schedule.next(Duration::ZERO, EMPTY) else { panic!() };
    assert_eq!(until, Some(Duration::from_secs(5)));
    assert!(!alarm.on_first && alarm.on_full);
    assert_eq!(schedule.next(Duration::ZERO, READY), Step::Cut);
    // With every slot taken only an answer matters.
    let Step::Sleep { until, alarm } = schedule.next(Duration::ZERO, READY) else { panic!() };
    assert!(until.is_none() && !alarm.on_first && !alarm.on_full);
    let answered = Outlook { next: Next::Done, host_failed: false, retry_after: None };
    schedule.finished(Duration::ZERO, &answered, 0, &[]);
    schedule.finished(Duration::ZERO, &answered, 0, &[]);
    // Idle for long: no timer at all.
    let Step::Sleep { until, alarm } = schedule.next(Duration::from_secs(9), EMPTY) else { panic!() };
    assert!(until.is_none() && alarm.on_first);
}
