//! The spool of one client in one process, as a state machine: changes of the client's events come in, and a step
//! writes them, syncs them, removes segments whose events have ended, takes over what dead processes left, and copes
//! with a disk that is full, read-only or broken.
//!
//! A disk that fails never makes a call here fail: the spool's [`Health`] says what is kept, and the events stay in
//! the client's memory.

mod adoption;
mod appending;
mod failures;
mod files;
mod health;
mod parts;
mod settings;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use super::contents::{Contents, Unreadable};
use super::disk::{Disk, DiskError, ErrorKind};
use super::instance::Instance;
use super::janitor::Janitor;
use super::moment::Moment;
use super::record::{AttemptRecord, BatchRecord, PostponedRecord, Record, VerdictRecord};
use super::segment::MAX_BYTES;
use crate::config::SpoolSafety;
#[cfg(test)]
pub(super) use adoption::MAX_READS;
pub(crate) use health::Health;
use health::HealthState;
use parts::{Adopted, Ended, SegmentState, Waiting};
pub(crate) use settings::{Identity, Settings};

/// When a client looks for dead processes first, after its start.
const FIRST_ROUND: Duration = Duration::from_secs(2);

/// Names a segment within its client, before it has a file and as long as it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SegmentId(pub(crate) u64);

/// What a step has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// All that was added to this segment is on disk, as [`Settings::safety`] promises: at `power` it is synced.
    Stored {
        /// The segment.
        segment: SegmentId,
        /// Whether it outlives a power cut, too.
        synced: bool,
    },
    /// The file of this segment cannot be trusted. All of the segment is added again, from its first event on, before
    /// the next step.
    Rewrite(SegmentId),
    /// Events that were on disk only have ended.
    Lost {
        /// The segment, unless it was never handed out.
        segment: Option<SegmentId>,
        /// The events.
        events: LostEvents,
        /// Why.
        reason: LostOnDisk,
    },
    /// The state of the disk has changed; the text is for the log.
    Health(Health, String),
    /// Something for the log.
    Log(String),
}

/// Events that have ended on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LostEvents {
    /// How many.
    pub(crate) count: u32,
    /// The uuids of those that could be read.
    pub(crate) uuids: Vec<Uuid>,
    /// Whether the server may have stored them: a process has ended before it had the response to an attempt, or had
    /// none.
    pub(crate) maybe_delivered: bool,
}

impl LostEvents {
    /// The events of a segment that are pending or missing.
    fn pending(contents: &Contents<'_>) -> Self {
        let uuids: Vec<_> = contents.pending.iter().map(|event| event.uuid).collect();
        let count = u32::try_from(uuids.len()).unwrap_or(u32::MAX).saturating_add(contents.missing);
        LostEvents { count, uuids, maybe_delivered: contents.maybe_delivered }
    }

    /// Events of a segment that cannot be read.
    fn missing(contents: &Contents<'_>) -> Self {
        LostEvents { uuids: Vec::new(), count: contents.missing, maybe_delivered: contents.maybe_delivered }
    }
}

/// Why events on disk have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LostOnDisk {
    /// They were older than the setting allows.
    Expired,
    /// They could not be read, or the segment that they are in was given up by several processes.
    Corrupt,
    /// They made space for newer ones.
    Evicted,
    /// The host does not want what is pending to be sent.
    Discarded,
}

/// A segment that a dead process left, or one of this client's that is read again.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Its name from now on.
    pub(crate) segment: SegmentId,
    bytes: Vec<u8>,
}

impl Recovered {
    /// What it says.
    pub(crate) fn contents(&self) -> Result<Contents<'_>, Unreadable> {
        Contents::read(&self.bytes)
    }
}

/// What a close has left on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Segments with pending events, whole on disk.
    pub(crate) segments: usize,
    /// Segments of which something could not be written.
    pub(crate) incomplete: usize,
}

/// The folders of a client that works.
#[derive(Debug)]
struct Home<D: Disk> {
    root: D::Folder,
    destination: D::Folder,
    instance: Instance<D>,
    /// Whether these folders have names that are not synced yet, the innermost first.
    unsynced: [bool; 3],
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Store<D: Disk> {
    disk: D,
    settings: Settings,
    identity: Identity,
    home: Option<Home<D>>,
    health: HealthState,
    segments: BTreeMap<SegmentId, SegmentState<D>>,
    /// Files of segments that have ended, to be removed.
    ended: Vec<Ended<D>>,
    /// Whether more have since the last try to remove them.
    has_new_ended: bool,
    /// Segments whose files are open, the one used last at the end.
    open_files: VecDeque<SegmentId>,
    next_number: u32,
    /// Names the next instance that is taken over.
    next_key: u64,
    /// The time of the step.
    now: Moment,
    /// What is known of the bytes of all segments of the destination.
    used_bytes: u64,
    listed_at: Option<u64>,
    adopted: Vec<Adopted<D>>,
    waiting: VecDeque<Waiting>,
    janitor: Janitor,
    /// When this store was made, in milliseconds since the start of the system, as all times here.
    begun_ms: u64,
    write_at: Option<u64>,
    sync_at: Option<u64>,
    janitor_at: Option<u64>,
    /// How many times it looked for dead processes since something was announced.
    idle_rounds: u32,
    /// It looks for them as soon as it has nothing of them left to read.
    is_seeking: bool,
    /// Whether there were none when it looked last.
    found_none: bool,
    random: u64,
    notices: Vec<Notice>,
}

impl<D: Disk> Store<D> {
    /// A store that has done nothing yet. The first step makes its folders.
    pub(crate) fn new(disk: D, settings: Settings, identity: Identity, now: Moment) -> Self {
        let janitor_at = settings.adopts.then(|| now.after(FIRST_ROUND));
        Store {
            random: identity.random | 1,
            disk,
            settings,
            identity,
            home: None,
            health: HealthState::default(),
            segments: BTreeMap::new(),
            ended: Vec::new(),
            has_new_ended: false,
            open_files: VecDeque::new(),
            next_number: 1,
            next_key: 1,
            now,
            used_bytes: 0,
            listed_at: None,
            adopted: Vec::new(),
            waiting: VecDeque::new(),
            janitor: Janitor::default(),
            begun_ms: now.boot_ms,
            write_at: None,
            sync_at: None,
            janitor_at,
            idle_rounds: 0,
            is_seeking: false,
            found_none: false,
            notices: Vec::new(),
        }
    }

    // -- what happens to events; no I/O

    /// Something waits in memory to be added: at `crash`, `call` and `power` it is, once the write interval has passed.
    pub(crate) fn announce(&mut self, now: Moment) {
        if self.settings.adopts {
            self.idle_rounds = 0;
            self.janitor_at.get_or_insert(now.after(FIRST_ROUND));
        }
        if self.settings.safety != SpoolSafety::Exit {
            self.write_at.get_or_insert(now.after(self.settings.write_every));
        }
    }

    /// Whether it is time to add what waits in memory, and the disk is able to take it.
    #[cfg(test)]
    pub(crate) fn wants_events(&self, now: Moment) -> bool {
        self.health.health == Health::Ok && self.write_at.is_some_and(|at| at <= now.boot_ms)
    }

    /// Adds an event, by its place in its batch. Returns whether it was taken: otherwise the segment waits for its
    /// [`Notice::Rewrite`], or there is no memory.
    pub(crate) fn add_event(&mut self, segment: SegmentId, index: u32, uuid: Uuid, wire: &[u8]) -> bool {
        let taken = self.add(segment, &Record::Event { index, uuid, wire });
        if taken && let Some(segment) = self.segments.get_mut(&segment) {
            segment.events = segment.events.max(index.saturating_add(1));
        }
        taken
    }

    /// Adds that the batch of a segment has been made.
    pub(crate) fn add_batch(&mut self, segment: SegmentId, batch: BatchRecord) -> bool {
        self.add(segment, &Record::Batch(batch))
    }

    /// Adds an attempt that is about to begin.
    pub(crate) fn add_attempt(&mut self, segment: SegmentId, attempt: AttemptRecord) -> bool {
        self.add(segment, &Record::Attempt(attempt))
    }

    /// Adds what an attempt, or an eviction, has left of the events.
    pub(crate) fn add_verdicts(&mut self, segment: SegmentId, verdicts: VerdictRecord<'_>) -> bool {
        self.add(segment, &Record::Verdicts(verdicts))
    }

    /// Adds that the batch waits because others succeed and it does not.
    pub(crate) fn add_postponed(&mut self, segment: SegmentId, postponed: PostponedRecord) -> bool {
        self.add(segment, &Record::Postponed(postponed))
    }

    fn add(&mut self, id: SegmentId, record: &Record<'_>) -> bool {
        let segment = self.segments.entry(id).or_default();
        if segment.awaits_rewrite {
            return false;
        }
        let taken = record.write(&mut segment.pending).is_ok();
        segment.is_incomplete |= !taken;
        taken
    }

    /// All events of a segment have ended in the counters, or are in other segments that are stored: its file is
    /// removed. What was not written yet never is.
    pub(crate) fn end(&mut self, id: SegmentId) {
        if let Some(segment) = self.segments.remove(&id) {
            self.open_files.retain(|open| *open != id);
            let (folder, files, from) = segment.into_files();
            let folder = folder.or_else(|| self.home.as_ref().map(|home| home.instance.folder.clone()));
            if let Some(folder) = folder.filter(|_| !files.is_empty() || from.is_some()) {
                self.ended.push(Ended { folder, files, from });
                self.has_new_ended = true;
            }
        }
    }

    /// The events of this segment, which is stored, have left memory: [`Store::load`] brings them back.
    pub(crate) fn release(&mut self, id: SegmentId) {
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.in_memory = false;
        }
    }

    /// Ends what dead processes have left, which it takes over first, and a segment that was recovered and whose events
    /// the client has not taken. The client has ended its own segments before. Returns whether all of it is removed.
    pub(crate) fn discard(&mut self, held: Option<Recovered>, now: Moment) -> (bool, Vec<Notice>) {
        if let Some(held) = held {
            let lost = held.contents().map(|contents| LostEvents::pending(&contents)).unwrap_or_default();
            self.note_lost(lost, LostOnDisk::Discarded);
            self.end(held.segment);
        }
        if !self.may_try(now) || !self.open_home(now) {
            return (false, std::mem::take(&mut self.notices));
        }
        loop {
            self.remove_ended(now);
            self.look_for_dead(now);
            let waiting = std::mem::take(&mut self.waiting);
            if waiting.is_empty() {
                break;
            }
            for waiting in waiting {
                let lost = self.read_waiting(&waiting).unwrap_or_default();
                self.note_lost(lost, LostOnDisk::Discarded);
                self.end_waiting(waiting);
            }
        }
        (self.ended.is_empty(), std::mem::take(&mut self.notices))
    }

    // -- the steps

    /// When the next step is due, in milliseconds since the start of the system; `None` if nothing is to be done
    /// before something happens.
    pub(crate) fn due(&self) -> Option<u64> {
        let has_work =
            !self.ended.is_empty() || self.segments.values().any(|segment| !segment.pending.is_empty());
        let own = match self.health.retry_at() {
            // To remove files needs no space, and makes some.
            Some(_) if self.health.health == Health::Full && self.has_new_ended => Some(0),
            Some(retry_at) => Some(retry_at),
            None if has_work => Some(0),
            None => {
                let outlived_at = self.segments.values().filter_map(|segment| segment.outlived_at).min();
                [self.write_at, self.sync_at, outlived_at].into_iter().flatten().min()
            }
        };
        let janitor_at = self.janitor_at.filter(|_| self.home.is_some() || self.health.retry_at().is_none());
        [own, janitor_at].into_iter().flatten().min()
    }

    /// Does what is due: opens the folders, removes, writes, syncs, looks for dead processes.
    pub(crate) fn step(&mut self, now: Moment) -> Vec<Notice> {
        if self.write_at.is_some_and(|at| at <= now.boot_ms) {
            self.write_at = None;
        }
        if self.may_try(now) && self.open_home(now) {
            self.remove_ended(now);
            self.mark_outlived(now);
            if self.write_pending(now) && self.sync_at.is_some_and(|at| at <= now.boot_ms) {
                self.sync_all(now);
            }
        } else if self.health.health == Health::Full && self.has_new_ended {
            self.remove_ended(now);
            if self.health.health == Health::Full {
                self.health.retry_at = now.boot_ms;
            }
        }
        if self.janitor_at.is_some_and(|at| at <= now.boot_ms) {
            self.look_for_dead(now);
        }
        std::mem::take(&mut self.notices)
    }

    /// Whether the disk is to be used: it works, or it is time to try it again, or `at_once` says so.
    pub(crate) fn revive(&mut self, at_once: bool, now: Moment) -> (bool, Vec<Notice>) {
        if at_once {
            self.health.retry_at = now.boot_ms;
        }
        let is_able = self.may_try(now);
        (is_able, std::mem::take(&mut self.notices))
    }

    /// Writes and syncs everything that was added. Returns whether all of it outlives a power cut now.
    pub(crate) fn persist(&mut self, now: Moment) -> (bool, Vec<Notice>) {
        let has_work = !self.segments.is_empty();
        let is_open = self.may_try(now) && (!has_work || self.open_home(now));
        let done = is_open && self.write_pending(now) && self.sync_all(now);
        (done, std::mem::take(&mut self.notices))
    }

    /// Writes what was added, seals every segment of this process, and lets go of the locks: what is left is taken
    /// over by the next client of this destination, in this process or another.
    pub(crate) fn close(mut self, now: Moment) -> (Kept, Vec<Notice>) {
        self.write_at = None;
        if self.may_try(now) && (self.segments.is_empty() && self.ended.is_empty() || self.open_home(now)) {
            self.remove_ended(now);
            self.seal_all();
            if self.write_pending(now) && self.settings.safety == SpoolSafety::Power {
                self.sync_all(now);
            }
            // Files that were written again have another copy now, which would be sent as well.
            self.remove_ended(now);
        }
        let mut kept = Kept::default();
        for segment in self.segments.values() {
            if segment.is_stored() { kept.segments += 1 } else { kept.incomplete += 1 }
        }
        self.let_go();
        (kept, std::mem::take(&mut self.notices))
    }

    /// Reads a segment of this client again.
    pub(crate) fn load(&mut self, id: SegmentId) -> Result<Recovered, DiskError> {
        let missing = || DiskError::new(ErrorKind::Missing, "the segment has no file");
        let segment = self.segments.get_mut(&id).ok_or_else(missing)?;
        let home = self.home.as_ref().map(|home| &home.instance.folder);
        let folder = segment.folder.as_ref().or(home).ok_or_else(missing)?;
        let name = segment.name.as_ref().ok_or_else(missing)?;
        let bytes = self.disk.read(folder, name, MAX_BYTES + 1)?;
        segment.in_memory = true;
        Ok(Recovered { segment: id, bytes })
    }

    /// What the disk is able to do.
    pub(crate) fn health(&self) -> Health {
        self.health.health
    }

    /// How many segments of dead processes wait to be recovered.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many files are open.
    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.open_files.len()
    }

    fn note(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    /// A number for times that should not coincide (xorshift).
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

impl<D: Disk> Store<D> {
    /// Opens the folders of this client, and makes them, unless they are open.
    fn open_home(&mut self, now: Moment) -> bool {
        if self.home.is_some() {
            return true;
        }
        match self.try_open_home() {
            Ok(home) => {
                self.home = Some(home);
                self.relist(now);
                true
            }
            Err(error) => {
                let at = self.identity.folder.display();
                let error =
                    DiskError::new(error.kind, format!("the spool folder {at} cannot be used: {error}"));
                self.failed(&error, now);
                false
            }
        }
    }

    fn try_open_home(&mut self) -> Result<Home<D>, DiskError> {
        let root = super::root::open_root(&self.disk, &self.identity.folder)?;
        let name = self.identity.destination.folder_name();
        let destination = super::root::open_or_make(&self.disk, &root, &name)?;
        let mut tries = 0;
        let instance = loop {
            let random = self.next_random();
            match Instance::make(&self.disk, &destination, self.identity.pid, random) {
                Err(error) if error.kind == ErrorKind::Exists && tries < 10 => tries += 1,
                other => break other?,
            }
        };
        Ok(Home { root, destination, instance, unsynced: [true; 3] })
    }
}
