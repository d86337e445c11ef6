//! Whole processes with a spool, on a virtual clock and a simulated disk, against a server that misbehaves by seed:
//! the delivery, the schedule, the protocol and the disk thread's driver, without threads and without a network.
//! Each seed is one history; what the settings promise holds in all of them.
//!
//! `PHC_SPOOL_SEEDS` sets the number of histories.

mod life;
mod orders;
mod promises;
mod sending;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use uuid::Uuid;

use self::sending::{Request, Server};
use super::spool_driver::{SpoolDriver, Turn};
use crate::config::{Config, Overflow, SpoolSafety};
use crate::delivery::{
    BatchId, Delivery, DeliveryState, EventPlace, LossReason, OpenAttempt, Scheduler, Stats, Wake,
};
use crate::event::timestamp::Timestamp;
use crate::protocol::{AttemptResult, RetryPolicy};
use crate::random::Random;
use crate::spool::{ErrorKind, Moment, SimDisk};

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
    /// How many events had not been appended by their captures, which did not return, when their process was killed.
    unwritten: u64,
    /// Whether a process was killed in the middle of a write.
    has_cut: bool,
    requests: HashMap<Uuid, Request>,
    /// Requests that were split, and their halves: on disk, their attempts are not distinguished.
    split: HashSet<Uuid>,
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
            unwritten: 0,
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

    fn time(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now.wall_ms).unwrap()
    }

    fn check(&mut self, at: usize) {
        let stats = self.processes[at].delivery.read(DeliveryState::stats_now);
        assert!(stats.add_up(), "{stats:?}");
        assert!(stats.spooled <= stats.pending_events, "{stats:?}");
        if stats.pending_events == 0 {
            assert_eq!(stats.pending_bytes, 0);
        }
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
