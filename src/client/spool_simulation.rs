//! Whole processes with a spool, on a virtual clock and a simulated disk, against a server that misbehaves by seed:
//! the delivery, the schedule, the protocol and the disk thread's driver, without threads and without a network.
//! Each seed is one history; what the settings promise holds in all of them.
//!
//! `PHC_SPOOL_SEEDS` sets the number of histories.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use super::spool_driver::{SpoolDriver, Turn};
use crate::config::{Config, Overflow, SpoolSafety};
use crate::delivery::{
    BatchId, Delivery, DeliveryState, EventPlace, LossReason, OpenAttempt, Scheduler, Stats, Step, Wake,
    Writer,
};
use crate::event::EncodedEvent;
use crate::event::timestamp::Timestamp;
use crate::protocol::{Attempt, AttemptResult, Keeping, RetryPolicy, decide};
use crate::random::Random;
use crate::spool::{ErrorKind, Moment, SimDisk};
use crate::status::Status;

/// What is known of an event.
struct Event {
    wire: Vec<u8>,
    captured_at: u64,
    /// The safety of the process that captured it.
    safety: SpoolSafety,
    /// It was persisted while its process lived.
    is_persisted: bool,
    /// Its capture has returned.
    has_returned: bool,
    /// Its process was killed, and it may be lost for that.
    may_be_gone: bool,
}

#[derive(Default)]
struct Server {
    is_down: bool,
    refuses: bool,
    stored: HashMap<Uuid, u32>,
    dropped: HashSet<Uuid>,
}

struct Process {
    disk: SimDisk,
    safety: SpoolSafety,
    delivery: Delivery,
    driver: SpoolDriver<SimDisk>,
    scheduler: Scheduler,
    policy: RetryPolicy,
    started_at: u64,
    /// When the disk thread looks again by itself.
    disk_at: Option<u64>,
    in_flight: BTreeMap<(u64, BatchId), (OpenAttempt, AttemptResult)>,
    /// What it has captured.
    captured: Vec<Uuid>,
    /// Captures that have not appended their events yet.
    appending: Vec<(Uuid, EventPlace)>,
    /// Captures that wait until the disk thread has dealt with an error of the disk, by its order.
    awaiting: Vec<(Uuid, u64)>,
}

struct World {
    random: Random,
    disk: SimDisk,
    now: Moment,
    server: Server,
    misbehaves: bool,
    processes: Vec<Process>,
    pids: u32,
    events: HashMap<Uuid, Event>,
    /// Events whose loss was reported, and how many were without a uuid.
    lost: HashMap<Uuid, LossReason>,
    lost_without_uuid: u64,
    /// How many of these were discarded while they were on disk only.
    discarded_without_uuid: u64,
    /// Sums over the processes that have ended in order.
    ended: Stats,
    /// Whether a process was killed, or a disk has failed.
    has_crashed: bool,
    disk_fails: bool,
    /// How many events were appended by their captures.
    appended: u64,
    /// Whether a process was killed in the middle of a write.
    has_cut: bool,
    requests: HashMap<Uuid, Request>,
    /// Requests that were split, and their halves: on disk, their attempts are not distinguished.
    split: HashSet<Uuid>,
}

/// What is known of a request, which is one batch.
#[derive(Default)]
struct Request {
    /// The numbers of its last attempt, and of the last one that has ended.
    begun: u32,
    ended: u32,
    created_at: String,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        let now = Moment { wall_ms: 1_790_000_000_000, boot_ms: 1_000_000, boot_id: 1 };
        disk.set_wall_ms(now.wall_ms);
        let disk_fails = random.percent(30);
        World {
            random,
            disk,
            now,
            server: Server::default(),
            misbehaves: true,
            processes: Vec::new(),
            pids: 0,
            events: HashMap::new(),
            lost: HashMap::new(),
            lost_without_uuid: 0,
            discarded_without_uuid: 0,
            ended: Stats::default(),
            has_crashed: false,
            disk_fails,
            appended: 0,
            has_cut: false,
            requests: HashMap::new(),
            split: HashSet::new(),
        }
    }

    fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.random.next(), self.random.next())
    }

    fn start(&mut self, safety: SpoolSafety) {
        let mut config = Config::new("key");
        config.spool_dir = "/spool".to_owned();
        config.spool_safety = safety;
        config.spool_min_free_bytes = 0;
        config.flush_at = 1 + usize::try_from(self.random.below(10)).unwrap();
        config.max_batch_events = 1 + usize::try_from(self.random.below(12)).unwrap();
        config.max_in_flight = 1 + usize::try_from(self.random.below(4)).unwrap();
        config.max_retries = u32::try_from(self.random.below(4)).unwrap();
        config.queue_max_events = 10 + self.random.below(100);
        config.overflow = self.random.one_of(&[Overflow::DropNewest, Overflow::DropOldest]);
        let policy = config.retry_policy();
        self.pids += 1;
        let disk = self.disk.process();
        let driver = SpoolDriver::new(&config, disk.clone(), self.pids, self.random.next(), self.now);
        self.processes.push(Process {
            disk,
            safety,
            delivery: Delivery::new(&config),
            driver,
            scheduler: Scheduler::new(config.max_in_flight, config.flush_interval, policy.backoff),
            policy,
            started_at: self.now.boot_ms,
            disk_at: Some(0),
            in_flight: BTreeMap::new(),
            captured: Vec::new(),
            appending: Vec::new(),
            awaiting: Vec::new(),
        });
    }

    fn pick(&mut self) -> Option<usize> {
        let count = self.processes.len() as u64;
        (count > 0).then(|| usize::try_from(self.random.below(count)).unwrap())
    }

    fn capture(&mut self, at: usize) {
        let uuid = self.uuid();
        let wire = format!("{{\"uuid\":\"{uuid}\",\"n\":{}}}", self.random.next() >> self.random.below(60));
        let now = self.now.boot_ms;
        let process = &mut self.processes[at];
        let since = process.since_start(now);
        let event = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
        let safety = process.safety;
        let taken = process.delivery.update(|state| {
            let (result, wake) = state.enqueue(wire.as_bytes(), &event, || since);
            let appends = result.is_ok() && safety == SpoolSafety::Call;
            let writer = appends.then(|| state.begin_append(wire.len(), || now));
            (result.map(|()| writer), wake)
        });
        let Ok(writer) = taken else { return };
        process.captured.push(uuid);
        self.events.insert(
            uuid,
            Event {
                wire: wire.into_bytes(),
                captured_at: now,
                safety,
                is_persisted: false,
                has_returned: false,
                may_be_gone: false,
            },
        );
        if let Some(Writer::Capture(place)) = writer {
            self.appended += 1;
            // Other threads, and the disk thread, may do something before it is appended.
            self.processes[at].appending.push((uuid, place));
            let left = self.random.one_of(&[0, 0, 0, 1, 3]);
            self.append(at, left);
            return;
        }
        self.run_disk(at);
        if let Some(Writer::DiskThread { seq }) = writer {
            let is_written = self.processes[at].delivery.read(|state| state.is_written_through(seq));
            assert!(is_written, "a capture waits for ever");
        }
        self.events.get_mut(&uuid).unwrap().has_returned = true;
    }

    /// Lets captures append their events, in any order, until so many are left.
    fn append(&mut self, at: usize, left: usize) {
        while self.processes[at].appending.len() > left {
            let count = self.processes[at].appending.len() as u64;
            let next = usize::try_from(self.random.below(count)).unwrap();
            let process = &mut self.processes[at];
            let (uuid, place) = process.appending.swap_remove(next);
            let event = self.events.get_mut(&uuid).unwrap();
            let error = place.file.append(place.index, uuid, &event.wire).err().map(|error| error.kind);
            assert!(error.is_none() || self.disk_fails, "{error:?}");
            let order = process.delivery.update(|state| (state.end_append(place.segment, error), Wake::NONE));
            match order {
                None => event.has_returned = true,
                Some(order) => process.awaiting.push((uuid, order)),
            }
        }
        self.run_disk(at);
        let process = &mut self.processes[at];
        process.awaiting.retain(|(uuid, order)| {
            let returns = process.delivery.read(|state| state.is_dealt_with(*order));
            self.events.get_mut(uuid).unwrap().has_returned |= returns;
            !returns
        });
        assert!(process.awaiting.is_empty(), "a capture waits for ever");
    }

    /// Lets the disk thread of a process do what it does when it is woken, or when its time has come.
    fn run_disk(&mut self, at: usize) {
        for _ in 0..10_000 {
            let process = &mut self.processes[at];
            let is_woken = process.delivery.read(DeliveryState::is_disk_awake);
            if !is_woken && process.disk_at.is_none_or(|at| at > self.now.boot_ms) {
                return;
            }
            match process.driver.turn(&process.delivery, self.now) {
                Turn::Again => process.disk_at = Some(0),
                Turn::Sleep { until, is_timed } => {
                    process.disk_at = until;
                    process.delivery.update(|state| (state.disk_sleeps(is_timed), Wake::NONE));
                }
                Turn::Closed => return,
            }
        }
        panic!("the disk thread never sleeps");
    }

    /// Lets the send loop of a process do what it can do now; returns until when it sleeps.
    fn run_sender(&mut self, at: usize) -> Option<u64> {
        loop {
            let process = &mut self.processes[at];
            let (now, started_at) = (process.since_start(self.now.boot_ms), process.started_at);
            let scheduler = &mut process.scheduler;
            let step = process.delivery.update(|state| (state.next_step(scheduler, now), Wake::NONE))?;
            let batch = match step {
                Step::StartAttempt(batch) => Some(batch),
                Step::TakeBatch => {
                    let id = self.uuid();
                    let time = self.time();
                    let process = &mut self.processes[at];
                    process.delivery.update(|state| (state.take_batch(id, time), Wake::NONE))
                }
                Step::Sleep { until, .. } => {
                    return until.map(|until| started_at + u64::try_from(until.as_millis()).unwrap() + 1);
                }
            };
            let time = self.time();
            let process = &mut self.processes[at];
            let begun = batch.and_then(|batch| {
                let begun = process.delivery.update(|state| (state.begin_attempt(batch, time), Wake::NONE));
                Some((batch, begun.unwrap()?))
            });
            match begun {
                Some((batch, attempt)) => self.send(at, batch, attempt),
                None => process.scheduler.step_cancelled(),
            }
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now.wall_ms).unwrap()
    }

    fn send(&mut self, at: usize, batch: BatchId, attempt: OpenAttempt) {
        let uuids = attempt.payload.uuids().to_vec();
        let distinct: HashSet<_> = uuids.iter().collect();
        assert_eq!(distinct.len(), uuids.len(), "a uuid twice in a batch");
        let body: serde_json::Value = serde_json::from_slice(&attempt.request.body).unwrap();
        let sent = body["batch"].as_array().unwrap();
        assert_eq!(sent.len(), uuids.len());
        for (uuid, sent) in uuids.iter().zip(sent) {
            let wire: serde_json::Value = serde_json::from_slice(&self.events[uuid].wire).unwrap();
            assert_eq!(*sent, wire, "the event changed");
            let seen = self.lost.contains_key(uuid);
            assert!(!seen || self.has_crashed || self.disk_fails, "sent again after it had ended");
        }
        let request = &attempt.request;
        self.check_request(request.request_id, request.attempt, body["created_at"].as_str().unwrap());
        let result = self.serve(&uuids);
        let arrival = self.now.boot_ms + 1 + self.random.below(500);
        self.processes[at].in_flight.insert((arrival, batch), (attempt, result));
    }

    /// A batch stays the same request, also in another process, which counts its attempts on.
    fn check_request(&mut self, id: Uuid, attempt: u32, created_at: &str) {
        // A process that is killed may not have written its last attempt.
        let is_known = !self.has_crashed && !self.disk_fails && !self.split.contains(&id);
        let request = self.requests.entry(id).or_default();
        if is_known {
            // One of which nothing was sent has its number again, unless another process has taken it over.
            let expected = request.ended + 1..=request.begun + 1;
            assert!(expected.contains(&attempt), "attempt {attempt} of {id}, and none of {expected:?}");
            assert!(request.begun == 0 || request.created_at == created_at, "{id} was made anew");
        }
        (request.begun, request.created_at) = (attempt, created_at.to_owned());
    }

    fn serve(&mut self, uuids: &[Uuid]) -> AttemptResult {
        let respond = |status: u16, body: String| AttemptResult::Response {
            status,
            retry_after: None,
            location: None,
            body: body.into_bytes(),
        };
        if self.server.is_down {
            return AttemptResult::NoResponse { message: "refused".into(), maybe_sent: false };
        }
        if self.server.refuses {
            return respond(401, String::new());
        }
        let store = |server: &mut Server, uuid: &Uuid| *server.stored.entry(*uuid).or_default() += 1;
        match if self.misbehaves { self.random.below(24) } else { 23 } {
            0 | 1 => return respond(503, String::new()),
            2 => {
                for uuid in uuids {
                    store(&mut self.server, uuid);
                }
                return AttemptResult::NoResponse { message: "cut".into(), maybe_sent: true };
            }
            3 if uuids.len() > 1 => return respond(413, String::new()),
            4 => return AttemptResult::StaleConnection { message: "reset".into() },
            5 => return AttemptResult::LocalShortage { message: "no descriptors".into() },
            _ => {}
        }
        let mut results = Vec::new();
        for uuid in uuids {
            let code = match if self.misbehaves { self.random.below(20) } else { 19 } {
                0..=2 => "retry",
                3 => "drop",
                _ => "ok",
            };
            match code {
                "ok" => store(&mut self.server, uuid),
                "drop" => drop(self.server.dropped.insert(*uuid)),
                _ => {}
            }
            results.push(format!("\"{uuid}\":{{\"result\":\"{code}\"}}"));
        }
        respond(200, format!("{{\"results\":{{{}}}}}", results.join(",")))
    }

    /// A response arrives at a process, if one is due.
    fn receive(&mut self, at: usize) -> bool {
        let process = &mut self.processes[at];
        let next = process.in_flight.first_key_value().map(|((arrival, _), _)| *arrival);
        if next.is_none_or(|arrival| arrival > self.now.boot_ms) {
            return false;
        }
        let Some(((_, batch), (attempt, result))) = process.in_flight.pop_first() else { return false };
        let random = u16::try_from(self.random.below(65_536)).unwrap();
        let host_is_down = process.scheduler.is_circuit_open();
        let about = Attempt {
            uuids: attempt.payload.uuids(),
            used: attempt.used,
            can_change_codec: false,
            random,
            keeping: Some(Keeping { host_is_down, times_parked: attempt.times_parked }),
        };
        let mut decision = decide(&result, &about, &process.policy);
        let ids = [self.random.next(), self.random.next()].map(|half| Uuid::from_u64_pair(half, 1));
        let id = attempt.request.request_id;
        if let Some(request) = self.requests.get_mut(&id).filter(|_| !decision.unsent) {
            request.ended = attempt.request.attempt;
        }
        if decision.split {
            self.split.extend([id, ids[0], ids[1]]);
        }
        let time = Timestamp::from_unix_ms(self.now.wall_ms).unwrap();
        let again = process
            .delivery
            .update(|state| state.complete_attempt(batch, &mut decision, 0, || Some((ids, time))));
        let now = process.since_start(self.now.boot_ms);
        process.scheduler.attempt_ended(now, &decision, random, &again);
        let is_open = process.scheduler.is_circuit_open();
        process.delivery.update(|state| (state.set_holding(is_open), Wake::NONE));
        self.read_reports(at);
        true
    }

    fn read_reports(&mut self, at: usize) {
        loop {
            let delivery = &self.processes[at].delivery;
            let Some(report) = delivery.update(DeliveryState::pop_report_for_poll) else { return };
            self.lost_without_uuid += report.missed_events;
            for event in report.events {
                let Some(loss) = event.loss else { continue };
                let before = self.lost.insert(event.uuid, loss);
                assert!(
                    before.is_none() || self.has_crashed || self.disk_fails,
                    "lost twice: {before:?} {loss:?}"
                );
            }
        }
    }

    fn check(&mut self, at: usize) {
        let stats = self.processes[at].delivery.read(DeliveryState::stats_now);
        assert!(stats.add_up(), "{stats:?}");
        assert!(stats.spooled <= stats.pending_events, "{stats:?}");
        if stats.pending_events == 0 {
            assert_eq!(stats.pending_bytes, 0);
        }
    }

    /// A process is killed: what it had not written is gone.
    fn kill(&mut self, at: usize) {
        // The host has read what was reported before.
        self.read_reports(at);
        let mut process = self.processes.swap_remove(at);
        if self.random.percent(50)
            && let Some((uuid, place)) = process.appending.pop()
        {
            process.disk.kill_after(1);
            assert!(place.file.append(place.index, uuid, &self.events[&uuid].wire).is_err());
            assert!(process.disk.is_dead());
            self.has_cut = true;
        }
        process.disk.kill();
        self.has_crashed = true;
        // What it knew of its losses went with it.
        let late = self.now.boot_ms;
        for uuid in &process.captured {
            let event = self.events.get_mut(uuid).unwrap();
            event.may_be_gone |= match event.safety {
                SpoolSafety::Call => self.disk_fails || !event.has_returned,
                SpoolSafety::Exit => !event.is_persisted || self.disk_fails,
                SpoolSafety::Crash | SpoolSafety::Power => self.disk_fails || event.captured_at + 60 >= late,
            };
        }
    }

    /// A client is closed in order, without time to send anything.
    fn close(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.delivery.update(|state| ((), state.shut(Status::CLOSED)));
        process.delivery.update(|state| ((), state.freeze()));
        if !process.appending.is_empty() {
            let turn = process.driver.turn(&process.delivery, self.now);
            assert_ne!(turn, Turn::Closed, "a capture has not appended its event yet");
            self.append(at, 0);
        }
        let process = &mut self.processes[at];
        let turns = (0..1000).find(|_| process.driver.turn(&process.delivery, self.now) == Turn::Closed);
        assert!(turns.is_some(), "the disk thread does not close");
        process.delivery.update(|state| ((), state.end_all(LossReason::Closed)));
        self.read_reports(at);
        self.check(at);
        let process = self.processes.swap_remove(at);
        let stats = process.delivery.read(DeliveryState::stats_now);
        assert_eq!(stats.pending_events, 0);
        if !self.disk_fails {
            assert_eq!(stats.lost[LossReason::Closed.index()], 0, "not kept: {stats:?}");
        }
        self.ended.kept += stats.kept;
        self.ended.recovered += stats.recovered;
    }

    fn persist(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let order = process.delivery.update(|state| (state.ask_persist(), Wake::NONE));
        self.run_disk(at);
        let process = &mut self.processes[at];
        let status = process.delivery.read(|state| state.persisted(order));
        assert!(status.is_some(), "nothing came of it");
        if status == Some(Status::OK) {
            for uuid in &process.captured {
                self.events.get_mut(uuid).unwrap().is_persisted = true;
            }
        } else {
            assert!(self.disk_fails, "{status:?}");
        }
    }

    /// Ends everything that is pending in a process, and what dead ones have left.
    fn discard(&mut self, at: usize) {
        self.read_reports(at);
        let before = self.lost_without_uuid;
        let process = &mut self.processes[at];
        let order = process.delivery.update(DeliveryState::ask_discard);
        self.run_disk(at);
        let process = &mut self.processes[at];
        assert!(process.delivery.read(|state| state.is_discarded(order)), "nothing came of it");
        assert_eq!(process.delivery.read(|state| state.stats().pending_events), 0);
        self.read_reports(at);
        self.discarded_without_uuid += self.lost_without_uuid - before;
    }

    fn change_disk(&mut self) {
        if !self.disk_fails {
            return;
        }
        let kind = self.random.below(6);
        let used = self.disk.used();
        self.disk.faults(|faults| {
            (faults.writes, faults.syncs, faults.short, faults.read_only, faults.capacity) =
                (None, None, 0, false, None);
            match kind {
                0 => faults.writes = Some((30, ErrorKind::Failed)),
                1 => faults.syncs = Some((50, ErrorKind::Failed)),
                2 => faults.short = 40,
                3 => faults.read_only = true,
                4 => faults.capacity = Some(used + 300),
                _ => {}
            }
        });
    }

    /// Time passes, and every process does what is due when it is due.
    fn pass(&mut self, ms: u64) {
        let end = self.now.boot_ms + ms;
        while self.now.boot_ms < end {
            let due = self.processes.iter().filter_map(|process| process.disk_at);
            let next = due.filter(|due| *due > self.now.boot_ms).min().unwrap_or(end).min(end);
            self.now.wall_ms += i64::try_from(next - self.now.boot_ms).unwrap();
            self.now.boot_ms = next;
            self.disk.set_wall_ms(self.now.wall_ms);
            for at in 0..self.processes.len() {
                self.run_all(at);
            }
        }
    }

    fn run_all(&mut self, at: usize) {
        loop {
            self.run_disk(at);
            self.run_sender(at);
            self.read_reports(at);
            self.check(at);
            let is_woken = self.processes[at].delivery.read(DeliveryState::is_disk_awake);
            if !self.receive(at) && !is_woken {
                return;
            }
        }
    }

    fn step(&mut self) {
        let Some(at) = self.pick() else {
            let safety = [SpoolSafety::Exit, SpoolSafety::Crash, SpoolSafety::Call, SpoolSafety::Power];
            let safety = self.random.one_of(&safety);
            return self.start(safety);
        };
        match self.random.below(41) {
            0..=15 => {
                for _ in 0..self.random.below(8) {
                    self.capture(at);
                }
            }
            16..=29 => {
                let ms = self.random.one_of(&[1, 10, 49, 60, 200, 1000, 5000, 31_000]);
                self.pass(ms);
            }
            30 => self.server.is_down = !self.server.is_down,
            31 => self.server.refuses = self.random.percent(30),
            32 => self.change_disk(),
            33 => self.persist(at),
            34 | 35 => self.close(at),
            36 => self.kill(at),
            38 => self.append(at, 0),
            39 if self.random.percent(30) => self.discard(at),
            37 => {
                self.processes[at].delivery.update(|state| state.begin_flush(true));
            }
            _ if self.processes.len() < 3 => {
                let safety = self.random.one_of(&[SpoolSafety::Exit, SpoolSafety::Crash, SpoolSafety::Call]);
                self.start(safety);
            }
            _ => {}
        }
    }

    /// Everything works again, and a new process sends what is left.
    fn recover(&mut self) {
        self.misbehaves = false;
        (self.server.is_down, self.server.refuses) = (false, false);
        self.disk.faults(|faults| {
            (faults.writes, faults.syncs, faults.short, faults.read_only, faults.capacity) =
                (None, None, 0, false, None);
        });
        while let Some(at) = self.pick() {
            self.close(at);
        }
        self.start(SpoolSafety::Crash);
        for _ in 0..400 {
            self.pass(20_000);
        }
    }
}

impl Process {
    fn since_start(&self, boot_ms: u64) -> Duration {
        Duration::from_millis(boot_ms - self.started_at)
    }
}

fn history(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..120 {
        world.step();
        for at in 0..world.processes.len() {
            world.check(at);
        }
    }
    world.recover();
    let stats = world.processes[0].delivery.read(DeliveryState::stats_now);
    assert_eq!(stats.pending_events, 0, "not everything was sent: {stats:?}");
    let left: Vec<_> = world
        .disk
        .tree()
        .into_keys()
        .filter(|path| path.contains(".phs") && !path.contains("/bad/"))
        .collect();
    assert!(left.is_empty() || world.disk_fails, "left on disk: {left:?}");
    world
}

#[test]
fn what_the_levels_promise_holds_whatever_happens() {
    let seeds = std::env::var("PHC_SPOOL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(400);
    let (mut kills, mut gone, mut recovered, mut appended) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let world = history(seed);
        let mut missing = 0;
        for (uuid, event) in &world.events {
            let has_ended = world.server.stored.contains_key(uuid)
                || world.server.dropped.contains(uuid)
                || world.lost.contains_key(uuid);
            if !has_ended && event.may_be_gone {
                gone += 1;
            } else if !has_ended {
                missing += 1;
                eprintln!(
                    "MISSING {uuid} {:?} at {} persisted {} fails {} crashed {}",
                    event.safety, event.captured_at, event.is_persisted, world.disk_fails, world.has_crashed
                );
            }
        }
        assert!(missing <= world.lost_without_uuid, "seed {seed}: {missing} events are missing");
        if !world.has_cut && !world.disk_fails {
            assert_eq!(world.lost_without_uuid, world.discarded_without_uuid, "seed {seed}");
            assert!(!world.lost.values().any(|loss| *loss == LossReason::Corrupt), "seed {seed}");
        }
        if !world.has_crashed && !world.disk_fails {
            let stats = world.processes[0].delivery.read(DeliveryState::stats_now);
            assert_eq!(world.ended.kept, world.ended.recovered + stats.recovered, "seed {seed}");
        }
        kills += u32::from(world.has_crashed);
        recovered += world.ended.recovered;
        appended += world.appended;
    }
    let all = [u64::from(kills), gone, recovered, appended];
    assert!(all.iter().all(|count| *count > 0), "{all:?}: this proves nothing");
    println!("{kills} kills, {gone} events gone with them, {recovered} recovered, {appended} appended");
}

/// The events of a segment are taken to be as old as its file, so none begins in a file that was made long ago.
#[test]
fn no_batch_begins_in_a_file_that_has_waited_for_long() {
    let mut world = World::new(0);
    (world.disk_fails, world.misbehaves) = (false, false);
    world.start(SpoolSafety::Call);
    // The first event has no file yet, the second one has; an hour later, the file that waits is too old.
    for (wait, appended) in [(10_000, 0), (10_000, 1), (3_600_001, 2), (10_000, 2), (3_599_000, 3)] {
        world.capture(0);
        assert_eq!(world.appended, appended);
        world.pass(wait);
    }
    world.capture(0);
    assert_eq!(world.appended, 4);
    let files = world.disk.tree().into_keys().filter(|path| path.contains(".phs")).count();
    // That of the last event, and one for the next.
    assert_eq!(files, 2);
    world.recover();
    assert_eq!(world.server.stored.len(), 6);
}

/// Also what captures have appended, and what has left memory since.
#[test]
fn at_call_what_was_persisted_outlives_a_power_cut() {
    let (mut appended, mut left_memory) = (0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed);
        (world.disk_fails, world.misbehaves, world.server.is_down) = (false, false, true);
        world.start(SpoolSafety::Call);
        for _ in 0..80 {
            world.capture(0);
            if world.random.percent(20) {
                world.pass(10);
            }
        }
        let stats = world.processes[0].delivery.read(DeliveryState::stats_now);
        left_memory += u32::from(stats.pending_events > 0 && stats.pending_bytes < 50 * stats.pending_events);
        world.persist(0);
        world.read_reports(0);
        world.disk.cut_power();
        world.has_crashed = true;
        drop(world.processes.pop());
        world.recover();
        for uuid in world.events.keys() {
            let has_ended = world.server.stored.contains_key(uuid) || world.lost.contains_key(uuid);
            assert!(has_ended, "seed {seed}: {uuid} is gone");
        }
        appended += world.appended;
    }
    assert!(appended > 0 && left_memory > 0, "{appended} {left_memory}: this proves nothing");
}
