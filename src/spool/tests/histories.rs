//! Random lives of processes that share a spool: events are captured, sent, kept and taken over, while processes are
//! killed at any call of the disk, the power is cut and the disk fails. Each seed is one history.
//!
//! What is promised is recorded as it is promised, by what the store reports: an event that is stored outlives its
//! process, one that is synced a power cut. In the end one more process recovers what is there.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::sim_disk::SimDisk;
use crate::config::SpoolSafety;
use crate::random::Random;
use crate::spool::{
    Append, AttemptRecord, BatchRecord, Destination, ErrorKind, Health, Identity, Moment, Notice, SegmentId,
    Settings, Store, VerdictRecord,
};

const WRITE_EVERY: Duration = Duration::from_millis(50);
const SYNC_EVERY: Duration = Duration::from_secs(1);
const YEAR_MS: i64 = 365 * 86_400_000;

pub(super) fn settings(safety: SpoolSafety) -> Settings {
    Settings {
        safety,
        write_every: WRITE_EVERY,
        sync_every: SYNC_EVERY,
        max_bytes: 1 << 30,
        min_free_bytes: 0,
        max_age: Duration::from_secs(7 * 86_400),
        adopts: true,
        evicts: false,
    }
}

pub(super) fn identity(pid: u32) -> Identity {
    Identity {
        folder: PathBuf::from("/spool"),
        destination: Destination::of("https://host/i/v1/", "key"),
        historical_migration: false,
        origin: "posthog-c/1".to_owned(),
        pid,
        random: u64::from(pid) << 7 | 5,
    }
}

#[derive(Debug)]
struct Event {
    wire: Vec<u8>,
    /// It was delivered or lost, and some process has counted it.
    ended: bool,
    /// It outlives its process.
    stored: bool,
    /// It outlives a power cut.
    synced: bool,
    /// The server may have it.
    maybe: bool,
    /// Some process has taken it over.
    was_adopted: bool,
}

/// Events that are sent together.
struct Batch {
    segment: SegmentId,
    /// Index, uuid, whether it has ended here.
    events: Vec<(u32, Uuid, bool)>,
    /// How many of them were added to the store.
    added: usize,
    made: Option<BatchRecord>,
    attempt: u32,
    is_open: bool,
    response_unknown: bool,
    in_memory: bool,
    is_adopted: bool,
    appender: Option<Arc<dyn Append>>,
}

impl Batch {
    fn ended_bits(&self) -> Vec<u8> {
        let mut bits = vec![0; 16];
        for (index, _, ended) in &self.events {
            bits[*index as usize / 8] |= u8::from(*ended) << (index % 8);
        }
        bits
    }
}

struct Process {
    disk: SimDisk,
    store: Store<SimDisk>,
    safety: SpoolSafety,
    batches: Vec<Batch>,
    next: u64,
}

struct World {
    random: Random,
    disk: SimDisk,
    now: Moment,
    events: HashMap<Uuid, Event>,
    processes: Vec<Process>,
    pids: u32,
    /// Whether the disk may fail in this history.
    may_fail: bool,
    /// What was lost without a name.
    lost: u32,
    /// Whether the disk was ever full.
    was_full: bool,
    /// What was last said of the disk.
    health: String,
    /// What the history was about, for a seed that proves nothing.
    recovered: usize,
    power_cuts: u32,
    kills: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let may_fail = random.percent(40);
        let disk = SimDisk::new(seed);
        let now = Moment { wall_ms: 1_790_000_000_000, boot_ms: 1_000_000, boot_id: 1 };
        disk.set_wall_ms(now.wall_ms);
        let mut world = World {
            random,
            disk,
            now,
            events: HashMap::new(),
            processes: Vec::new(),
            pids: 0,
            may_fail,
            lost: 0,
            was_full: false,
            health: String::new(),
            recovered: 0,
            power_cuts: 0,
            kills: 0,
        };
        world.start_process();
        world
    }

    fn start_process(&mut self) {
        self.pids += 1;
        let safety = self.random.one_of(&[
            SpoolSafety::Exit,
            SpoolSafety::Crash,
            SpoolSafety::Call,
            SpoolSafety::Power,
        ]);
        let disk = self.disk.process();
        let store = Store::new(disk.clone(), settings(safety), identity(self.pids), self.now);
        self.processes.push(Process { disk, store, safety, batches: Vec::new(), next: 1 });
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap()
    }

    fn pass(&mut self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.now.boot_ms += ms;
        self.now.wall_ms += i64::try_from(ms).unwrap();
        self.disk.set_wall_ms(self.now.wall_ms);
    }

    // -- what a process does

    fn capture(&mut self, at: usize) {
        let number = self.events.len() as u128;
        let uuid = Uuid::from_u128(number << 64 | 0xFF00_FF45);
        let wire = format!("{{\"n\":{number},\"x\":\"{}\"}}", "é".repeat(self.below(60))).into_bytes();
        let process = &self.processes[at];
        let open = process.batches.iter().position(|batch| batch.made.is_none() && !batch.is_adopted);
        let open = open.unwrap_or_else(|| {
            let process = &mut self.processes[at];
            let segment = SegmentId(process.next);
            process.next += 1;
            let (mut appender, mut notices) = (None, Vec::new());
            if process.safety == SpoolSafety::Call {
                (appender, notices) = process.store.lend(segment, 1000, self.now);
            }
            self.apply(at, notices);
            let process = &mut self.processes[at];
            process.batches.push(Batch {
                segment,
                events: Vec::new(),
                added: 0,
                made: None,
                attempt: 0,
                is_open: false,
                response_unknown: false,
                in_memory: true,
                is_adopted: false,
                appender,
            });
            process.batches.len() - 1
        });
        let process = &mut self.processes[at];
        let batch = &mut process.batches[open];
        let index = u32::try_from(batch.events.len()).unwrap();
        let mut stored = false;
        // Once one has failed, the rest of this batch is left to the steps.
        if batch.added == batch.events.len()
            && let Some(appender) = &batch.appender
        {
            stored = appender.append(index, uuid, &wire).is_ok();
            if stored {
                batch.added += 1;
                process.store.appended(batch.segment, index + 1, wire.len() as u64);
            }
        }
        batch.events.push((index, uuid, false));
        self.events.insert(
            uuid,
            Event { wire, ended: false, stored, synced: false, maybe: false, was_adopted: false },
        );
        process.store.announce(self.now);
    }

    /// Adds what was not added yet.
    fn add_waiting(&mut self, at: usize) {
        let process = &mut self.processes[at];
        for batch in process.batches.iter_mut().filter(|batch| batch.in_memory) {
            while let Some((index, uuid, _)) = batch.events.get(batch.added) {
                if !process.store.add_event(batch.segment, *index, *uuid, &self.events[uuid].wire) {
                    break;
                }
                batch.added += 1;
            }
        }
    }

    fn step(&mut self, at: usize) {
        if self.processes[at].store.wants_events(self.now) {
            self.add_waiting(at);
        }
        let notices = self.processes[at].store.step(self.now);
        self.apply(at, notices);
    }

    fn apply(&mut self, at: usize, notices: Vec<Notice>) {
        if self.processes[at].disk.is_dead() {
            return;
        }
        for notice in notices {
            match notice {
                Notice::Stored { segment, synced } => {
                    let batches = &self.processes[at].batches;
                    let Some(batch) = batches.iter().find(|batch| batch.segment == segment) else { continue };
                    for (_, uuid, _) in batch.events.iter().take(batch.added) {
                        let event = self.events.get_mut(uuid).unwrap();
                        event.stored = true;
                        event.synced |= synced;
                    }
                }
                Notice::Rewrite(segment) => self.rewrite(at, segment),
                Notice::Lost { segment: None, events, .. } => self.lost += events.count,
                Notice::Lost { segment: Some(id), .. } => self.end(at, id, false),
                Notice::Health(health, text) => self.health = format!("{health:?}: {text}"),
                Notice::Log(_) => {}
            }
        }
    }

    fn rewrite(&mut self, at: usize, segment: SegmentId) {
        let process = &mut self.processes[at];
        let Some(batch) = process.batches.iter_mut().find(|batch| batch.segment == segment) else { return };
        assert!(batch.in_memory, "a segment that is on disk only is not written again");
        (batch.added, batch.appender) = (0, None);
        for (_, uuid, _) in &batch.events {
            let event = self.events.get_mut(uuid).unwrap();
            (event.stored, event.synced) = (false, false);
        }
        for (index, uuid, _) in &batch.events {
            if !process.store.add_event(segment, *index, *uuid, &self.events[uuid].wire) {
                return;
            }
            batch.added += 1;
        }
        if let Some(made) = batch.made {
            process.store.add_batch(segment, made);
        }
        if batch.attempt > 0 {
            let attempt =
                AttemptRecord { attempt: batch.attempt, sent_at_ms: self.now.wall_ms, used: batch.attempt };
            process.store.add_attempt(segment, attempt);
        }
        let verdicts = VerdictRecord {
            attempt: batch.attempt - u32::from(batch.is_open),
            response_unknown: batch.response_unknown,
            ended: &batch.ended_bits(),
        };
        process.store.add_verdicts(segment, verdicts);
    }

    fn make_batch(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let Some(batch) = process.batches.iter_mut().find(|batch| batch.made.is_none() && batch.in_memory)
        else {
            return;
        };
        if batch.is_adopted {
            return;
        }
        let made = BatchRecord {
            request_id: Uuid::from_u128(u128::from(self.pids) << 64 | u128::from(batch.segment.0)),
            created_at_ms: self.now.wall_ms,
            events: u32::try_from(batch.events.len()).unwrap(),
            maybe_delivered: false,
        };
        batch.made = Some(made);
        if process.safety != SpoolSafety::Exit || batch.added > 0 {
            process.store.add_batch(batch.segment, made);
        }
    }

    fn attempt(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let ready = process
            .batches
            .iter_mut()
            .find(|batch| (batch.made.is_some() || batch.is_adopted) && batch.in_memory && !batch.is_open);
        let Some(batch) = ready else { return };
        batch.attempt += 1;
        batch.is_open = true;
        for (_, uuid, ended) in &batch.events {
            self.events.get_mut(uuid).unwrap().maybe |= !ended;
        }
        let attempt =
            AttemptRecord { attempt: batch.attempt, sent_at_ms: self.now.wall_ms, used: batch.attempt };
        if process.safety != SpoolSafety::Exit || batch.added > 0 {
            process.store.add_attempt(batch.segment, attempt);
        }
    }

    fn respond(&mut self, at: usize) {
        let outcome = self.below(4);
        let process = &mut self.processes[at];
        let Some(batch) = process.batches.iter_mut().find(|batch| batch.is_open) else { return };
        batch.is_open = false;
        let segment = batch.segment;
        match outcome {
            // Everything is delivered.
            0 | 1 => return self.end(at, segment, true),
            // Some events are, the others are sent again.
            2 => {
                for (index, uuid, ended) in &mut batch.events {
                    *ended |= *index % 2 == 0;
                    let event = self.events.get_mut(uuid).unwrap();
                    event.ended |= *ended;
                    event.maybe = false;
                }
            }
            _ => batch.response_unknown = true,
        }
        // Once unknown, unknown for good.
        if batch.response_unknown {
            for (_, uuid, _) in &batch.events {
                self.events.get_mut(uuid).unwrap().maybe = true;
            }
        }
        let verdicts = VerdictRecord {
            attempt: batch.attempt,
            response_unknown: batch.response_unknown,
            ended: &batch.ended_bits(),
        };
        if process.safety != SpoolSafety::Exit || batch.added > 0 {
            process.store.add_verdicts(segment, verdicts);
        }
    }

    /// All events of a batch end.
    fn end(&mut self, at: usize, segment: SegmentId, tell_store: bool) {
        let process = &mut self.processes[at];
        let Some(place) = process.batches.iter().position(|batch| batch.segment == segment) else { return };
        for (_, uuid, _) in process.batches.swap_remove(place).events {
            self.events.get_mut(&uuid).unwrap().ended = true;
        }
        if tell_store {
            process.store.end(segment);
        }
    }

    fn persist(&mut self, at: usize) {
        self.add_all(at);
        let (done, notices) = self.processes[at].store.persist(self.now);
        self.apply(at, notices);
        if done && !self.processes[at].disk.is_dead() {
            for batch in &self.processes[at].batches {
                for (_, uuid, ended) in &batch.events {
                    assert!(*ended || self.events[uuid].synced, "persisted, and not synced");
                }
            }
        }
    }

    /// Adds everything that a process knows, as before a close.
    fn add_all(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let never_added =
            process.batches.iter().filter(|batch| batch.added == 0 && !batch.is_adopted && batch.in_memory);
        let segments: Vec<_> = never_added.map(|batch| batch.segment).collect();
        for segment in segments {
            self.rewrite(at, segment);
        }
        self.add_waiting(at);
    }

    fn recover(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let segment = SegmentId(process.next);
        let (recovered, notices) = process.store.recover(segment, self.now);
        self.apply(at, notices);
        let Some(recovered) = recovered else { return };
        let process = &mut self.processes[at];
        process.next += 1;
        let contents = recovered.contents().unwrap();
        let mut batch = Batch {
            segment,
            events: Vec::new(),
            added: 0,
            made: contents.batch,
            attempt: contents.attempt.map_or(0, |attempt| attempt.attempt),
            is_open: false,
            response_unknown: contents.maybe_delivered,
            in_memory: true,
            is_adopted: true,
            appender: None,
        };
        for stored in &contents.pending {
            let event = self.events.get_mut(&stored.uuid).unwrap();
            event.was_adopted = true;
            assert_eq!(event.wire, stored.wire, "other bytes");
            // On a full disk, a segment is taken over without a mark that says so.
            let is_said = contents.maybe_delivered || !event.maybe || event.ended;
            assert!(is_said || self.was_full, "the server may have it");
            batch.events.push((stored.index, stored.uuid, false));
        }
        self.recovered += batch.events.len();
        batch.added = batch.events.len();
        process.batches.push(batch);
    }

    fn release_or_load(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let Some(batch) = process.batches.iter_mut().find(|batch| batch.made.is_some() && !batch.is_open)
        else {
            return;
        };
        let is_whole = batch.events.iter().all(|(_, uuid, ended)| *ended || self.events[uuid].stored);
        let must_sync = process.safety == SpoolSafety::Power && !batch.is_adopted;
        let is_synced = batch.events.iter().all(|(_, uuid, ended)| *ended || self.events[uuid].synced);
        if batch.in_memory && is_whole {
            assert!(is_synced || !must_sync, "a segment that is stored is synced");
            batch.in_memory = false;
            batch.appender = None;
            process.store.release(batch.segment);
        } else if !batch.in_memory
            && let Ok(loaded) = process.store.load(batch.segment)
        {
            let contents = loaded.contents().unwrap();
            let kept: Vec<_> = contents.pending.iter().map(|stored| stored.uuid).collect();
            for (_, uuid, ended) in &batch.events {
                assert!(*ended || kept.contains(uuid), "it is not on disk any more");
            }
            batch.in_memory = true;
        }
    }

    /// A tick, as the levels promise it.
    fn tick(&mut self, at: usize) {
        self.pass(WRITE_EVERY);
        self.step(at);
        let safety = self.processes[at].safety;
        if safety == SpoolSafety::Power {
            self.pass(SYNC_EVERY);
            self.step(at);
        }
        let process = &self.processes[at];
        if self.may_fail || process.disk.is_dead() || safety == SpoolSafety::Exit {
            return;
        }
        assert_eq!(process.store.health(), Health::Ok, "{}", self.health);
        for batch in &process.batches {
            for (_, uuid, ended) in batch.events.iter().filter(|_| !batch.is_adopted) {
                let event = &self.events[uuid];
                assert!(*ended || event.stored, "not written in time");
                assert!(*ended || safety != SpoolSafety::Power || event.synced, "not synced in time");
            }
        }
    }

    fn close(&mut self, at: usize) {
        self.add_all(at);
        let process = self.processes.swap_remove(at);
        let segments: Vec<_> = process.batches.iter().map(|batch| batch.segment).collect();
        let (kept, notices) = process.store.close(self.now);
        if process.disk.is_dead() {
            return;
        }
        for notice in notices {
            if let Notice::Stored { segment, .. } = notice {
                let batch = &process.batches[segments.iter().position(|one| *one == segment).unwrap()];
                for (_, uuid, _) in &batch.events {
                    self.events.get_mut(uuid).unwrap().stored = true;
                }
            }
        }
        assert!(self.may_fail || kept.incomplete == 0, "{kept:?}");
    }

    // -- what happens to it

    fn fail(&mut self) {
        if !self.may_fail {
            return;
        }
        let kind =
            self.random.one_of(&[ErrorKind::Full, ErrorKind::Failed, ErrorKind::Denied, ErrorKind::Other]);
        let percent = self.random.one_of(&[10, 50, 100]);
        let choice = self.below(6);
        let used = self.disk.used();
        self.was_full |= choice == 3 || (choice == 0 && kind == ErrorKind::Full);
        self.disk.faults(|faults| match choice {
            0 => faults.writes = Some((percent, kind)),
            1 => faults.syncs = Some((percent, kind)),
            2 => faults.short = percent / 2,
            3 => faults.capacity = Some(used + percent),
            4 => faults.read_only = true,
            _ => *faults = super::sim_disk::Faults::default(),
        });
    }

    fn cut_power(&mut self) {
        self.power_cuts += 1;
        self.disk.cut_power();
        self.processes.clear();
        for event in self.events.values_mut() {
            // A power cut may take the mark of a takeover, with all that was written after it.
            event.maybe &= !event.was_adopted;
            event.stored &= event.synced;
            // What is on the disk after a power cut stays there.
        }
        self.now = Moment { boot_ms: 1000, boot_id: self.now.boot_id + 1, ..self.now };
    }

    fn remove_dead(&mut self) {
        let before = self.processes.len();
        self.processes.retain(|process| !process.disk.is_dead());
        self.kills += u32::try_from(before - self.processes.len()).unwrap();
        if self.processes.is_empty() {
            self.start_process();
        }
    }

    /// One more process finds everything that was promised, and leaves nothing.
    fn finish(&mut self) {
        self.processes.iter().for_each(|process| process.disk.kill());
        self.processes.clear();
        self.disk.faults(|faults| *faults = super::sim_disk::Faults::default());
        self.start_process();
        let mut found = std::collections::HashSet::new();
        for _ in 0..40 {
            self.pass(Duration::from_secs(90));
            self.step(0);
            loop {
                self.recover(0);
                let Some(batch) = self.processes[0].batches.pop() else { break };
                found.extend(batch.events.iter().map(|(_, uuid, _)| *uuid));
                self.processes[0].store.end(batch.segment);
            }
        }
        let missing =
            self.events.iter().filter(|(uuid, event)| event.stored && !event.ended && !found.contains(uuid));
        let missing = missing.count();
        assert!(missing <= self.lost as usize, "{missing} events that were stored are not there");
        let process = self.processes.pop().unwrap();
        let _ = process.store.close(self.now);
        // A power cut may have taken the page with the headers.
        let may_be_bad = |path: &String| self.power_cuts > 0 && path.contains("/bad/");
        let left = self.disk.tree().into_keys().filter(|path| path.contains("/i-") && !may_be_bad(path));
        let left: Vec<_> = left.collect();
        assert_eq!(left, [""; 0], "files are left");
    }
}

/// A history of a process that is killed at its n-th call, if so, and of others.
fn history(seed: u64, kill_at: Option<u64>) -> World {
    let mut world = World::new(seed);
    if let Some(calls) = kill_at {
        world.processes[0].disk.kill_after(calls);
    }
    let steps = 10 + world.below(30);
    for _ in 0..steps {
        let at = world.below(world.processes.len());
        match world.below(26) {
            0..=4 => (0..=world.below(4)).for_each(|_| world.capture(at)),
            5..=8 => world.tick(at),
            9 | 10 => world.make_batch(at),
            11 | 12 => world.attempt(at),
            13 | 14 => world.respond(at),
            15 => world.persist(at),
            16 => {
                world.pass(Duration::from_secs(40));
                world.step(at);
            }
            17 => world.recover(at),
            18 => world.release_or_load(at),
            19 if kill_at.is_none() => {
                let calls = 1 + world.random.below(30);
                world.processes[at].disk.kill_after(calls);
            }
            20 if world.processes.len() < 3 => world.start_process(),
            21 => world.close(at),
            22 if world.random.percent(40) && kill_at.is_none() => world.cut_power(),
            23 => world.fail(),
            // Within one start of the system, the wall clock does not matter.
            24 => world.now.wall_ms += if world.random.percent(50) { YEAR_MS } else { -YEAR_MS },
            _ => world.pass(Duration::from_millis(10)),
        }
        world.remove_dead();
    }
    world
}

fn seeds(default: u64) -> u64 {
    std::env::var("PHC_SPOOL_SEEDS").map_or(default, |seeds| seeds.parse().unwrap())
}

#[test]
fn what_was_promised_is_there_whatever_happens() {
    let (mut recovered, mut power_cuts, mut kills) = (0_usize, 0_usize, 0_usize);
    let seeds = seeds(6000);
    for seed in 0..seeds {
        let result = std::panic::catch_unwind(|| {
            let mut world = history(seed, None);
            world.finish();
            (world.recovered, world.power_cuts as usize, world.kills as usize)
        });
        let Ok((more, cuts, more_kills)) = result else { panic!("seed {seed}") };
        (recovered, power_cuts, kills) = (recovered + more, power_cuts + cuts, kills + more_kills);
    }
    // The histories are about something.
    let enough = [recovered, power_cuts * 5, kills * 5].iter().all(|count| *count as u64 > seeds);
    assert!(enough, "{recovered} events recovered, {power_cuts} power cuts, {kills} kills");
}

#[test]
fn a_process_may_be_killed_at_any_of_its_calls() {
    for seed in 0..seeds(6000) / 100 {
        let calls = history(seed, Some(u64::MAX)).disk.calls();
        for at in 1..=calls {
            let result = std::panic::catch_unwind(|| history(seed, Some(at)).finish());
            assert!(result.is_ok(), "seed {seed}, killed at its call {at}");
        }
    }
}
