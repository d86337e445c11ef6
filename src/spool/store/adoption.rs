//! What dead processes left: taken over, read, and sent by this one.

use std::time::Duration;

use super::parts::{Adopted, Ended, SegmentState, Waiting};
use super::{LostEvents, LostOnDisk, Notice, Recovered, SegmentId, Store};
use crate::spool::contents::{Contents, Unreadable};
use crate::spool::disk::{Disk, DiskError, ErrorKind};
use crate::spool::instance::{Instance, SegmentFile};
use crate::spool::janitor::quarantine;
use crate::spool::moment::Moment;
use crate::spool::record::{Record, VerdictRecord};
use crate::spool::segment::MAX_BYTES;

/// How often a client looks for dead processes, give or take a third.
const ROUND_MS: u64 = 30_000;
/// How many rounds follow the last capture. One that was killed together with this client's last work is found.
const IDLE_ROUNDS: u32 = 3;
/// When there are more than are taken at once.
const NEXT_ROUND_MS: u64 = 1000;
/// A segment that cannot be read is tried so many times, about once in a second, before it stays as it is.
pub(crate) const MAX_READS: u8 = 30;
/// How many instances of others a client has at once: each has two descriptors.
const MAX_ADOPTED: usize = 16;
/// A segment that so many processes in a row took over, without sending it, letting go of it or outliving it, is given
/// up: it may be what ends them.
const MAX_TAKEOVERS: u32 = 5;
/// One that so many took over waits for a process that has lived for a while, twice as long after each: so processes
/// that others end, or that end early for another reason, do not use up the takeovers.
const SUSPECT_TAKEOVERS: u32 = 2;
/// A process that lives so long after it has taken a segment over is not ended by that segment.
const OUTLIVED_MS: u64 = 1000;

/// What becomes of a segment that was read.
enum Found {
    /// Its events are sent by this process.
    Pending { events: u32 },
    /// It is removed, and these events are lost with it.
    Done { lost: LostEvents, reason: LostOnDisk },
    /// It is kept apart.
    Bad { lost: LostEvents },
    /// It is not for this version, and stays as it is.
    LeftAlone,
    /// This process has not lived for long enough to take it over; it is read again at this time.
    TooEarly { until: u64 },
    /// It is read again later: the process has no descriptors or no memory left, or the disk failed.
    Later(DiskError),
}

impl<D: Disk> Store<D> {
    /// Has the next step look for dead processes, as soon as nothing of those that were found is left to read.
    pub(crate) fn seek(&mut self, is_asked: bool, now: Moment) {
        self.found_none &= self.is_seeking && is_asked;
        self.is_seeking = is_asked;
        if is_asked && !self.found_none && self.waiting.is_empty() {
            self.janitor_at = Some(now.boot_ms);
        }
    }

    /// Whether it seeks dead processes, found none when it looked last, and is done with what the others have left.
    pub(crate) fn has_found_none(&self) -> bool {
        self.found_none && self.waiting.is_empty() && self.adopted.is_empty()
    }

    /// Takes over the instances of dead processes.
    pub(super) fn look_for_dead(&mut self, now: Moment) {
        let third = ROUND_MS / 3;
        let mut wait = ROUND_MS - third + self.next_random() % (2 * third);
        let most = MAX_ADOPTED.saturating_sub(self.adopted.len());
        if let Some(home) = &self.home {
            let name = self.identity.destination.folder_name();
            let destination = (&home.destination, name.as_str());
            match self.janitor.round(&self.disk, &home.root, destination, most, now) {
                Ok(round) => {
                    if self.is_seeking || (round.is_more && most > 0) {
                        wait = NEXT_ROUND_MS;
                    }
                    self.found_none =
                        self.is_seeking && !(round.is_kept_out || round.is_more) && round.taken.is_empty();
                    if round.forgotten > 0 {
                        let count = round.forgotten;
                        self.notices.push(Notice::Log(format!(
                            "removed {count} spool segments of hosts and keys that no client has used for 30 days"
                        )));
                    }
                    for (instance, files) in round.taken {
                        let key = self.next_key;
                        self.next_key += 1;
                        let count = files.len();
                        self.waiting.extend(files.into_iter().map(|file| Waiting {
                            from: key,
                            file,
                            reads: 0,
                            not_before: 0,
                        }));
                        self.adopted.push(Adopted {
                            key,
                            instance,
                            files: count,
                            has_others: false,
                            has_synced_names: false,
                        });
                    }
                }
                Err(error) => self.notices.push(Notice::Log(format!("looking for dead processes: {error}"))),
            }
        } else if self.health.retry_at().is_none() {
            // Nothing of this client is on disk yet, but others may have left something.
            if self.open_home(now) {
                wait = 0;
            }
        }
        // An idle client is not woken: those that capture look, and this one when it does.
        self.idle_rounds += 1;
        let is_idle = self.idle_rounds > IDLE_ROUNDS && self.adopted.is_empty() && !self.is_seeking;
        self.janitor_at = (!is_idle).then(|| now.boot_ms.saturating_add(wait));
    }

    /// The events of a segment that no one has taken over yet; `None` if it cannot be read now, or not by this version.
    pub(super) fn read_waiting(&self, waiting: &Waiting) -> Option<LostEvents> {
        let adopted = self.adopted.iter().find(|adopted| adopted.key == waiting.from)?;
        self.read_events(&adopted.instance.folder, &waiting.file.name)
    }

    /// Reads the next segment that a dead process left, and takes it over under this id. What is too old, damaged or
    /// not for this version is dealt with on the way. The caller has at most two of them in memory at a time.
    /// Those that cannot be read now are still [`Store::waiting`] afterwards, and are read by a later call.
    pub(crate) fn recover(&mut self, id: SegmentId, now: Moment) -> (Option<Recovered>, Vec<Notice>) {
        let (mut recovered, mut later) = (None, Vec::new());
        while let Some(mut waiting) = self.waiting.pop_front() {
            if waiting.not_before > now.boot_ms {
                later.push(waiting);
                continue;
            }
            let Some(adopted) = self.adopted.iter().find(|adopted| adopted.key == waiting.from) else {
                continue;
            };
            let folder = adopted.instance.folder.clone();
            let bytes = match self.disk.read(&folder, &waiting.file.name, MAX_BYTES + 1) {
                Ok(bytes) => bytes,
                Err(error) if error.kind == ErrorKind::Missing => {
                    self.set_aside(&waiting, false);
                    continue;
                }
                Err(error) => {
                    later.extend(self.read_later(waiting, &error));
                    continue;
                }
            };
            match self.examine(&folder, &waiting.file, &bytes, now) {
                Found::Pending { events } => {
                    let SegmentFile { name, .. } = waiting.file;
                    let length = bytes.len() as u64;
                    let outlived_at = now.after(Duration::from_millis(OUTLIVED_MS));
                    let segment =
                        SegmentState::adopted(folder, waiting.from, name, length, events, outlived_at);
                    self.segments.insert(id, segment);
                    self.plan_sync(now);
                    recovered = Some(Recovered { segment: id, bytes });
                    break;
                }
                Found::Done { lost, reason } => {
                    self.note_lost(lost, reason);
                    self.end_waiting(waiting);
                }
                Found::Bad { lost } => {
                    if self.put_into_bad(&waiting) {
                        self.note_lost(lost, LostOnDisk::Corrupt);
                    }
                }
                Found::LeftAlone => self.set_aside(&waiting, true),
                Found::TooEarly { until } => {
                    waiting.not_before = until;
                    later.push(waiting);
                }
                Found::Later(error) => later.extend(self.read_later(waiting, &error)),
            }
        }
        // Those that can be read come first.
        self.waiting.extend(later);
        (recovered, std::mem::take(&mut self.notices))
    }

    /// A segment that could not be read, or not be marked, is tried again, unless that has been done often enough, or
    /// is of no use: `None` says that it stays as it is.
    fn read_later(&mut self, mut waiting: Waiting, error: &DiskError) -> Option<Waiting> {
        waiting.reads += 1;
        let is_final = matches!(error.kind, ErrorKind::Denied | ErrorKind::Foreign);
        if !is_final && waiting.reads < MAX_READS {
            return Some(waiting);
        }
        if error.kind != ErrorKind::Foreign {
            let name = &waiting.file.name;
            self.notices.push(Notice::Log(format!("the spool segment {name} is left as it is: {error}")));
        }
        self.set_aside(&waiting, true);
        None
    }

    /// Decides what becomes of a segment. One that is taken over says so itself, before anything else happens.
    fn examine(&mut self, folder: &D::Folder, file: &SegmentFile, bytes: &[u8], now: Moment) -> Found {
        let contents = match Contents::read(bytes) {
            Ok(contents) => contents,
            Err(Unreadable::Empty) => {
                return Found::Done { lost: LostEvents::default(), reason: LostOnDisk::Corrupt };
            }
            Err(Unreadable::Damaged) => return Found::Bad { lost: LostEvents::default() },
            Err(Unreadable::Foreign | Unreadable::Newer) => return Found::LeftAlone,
        };
        if contents.pending.is_empty() {
            return Found::Done { lost: LostEvents::missing(&contents), reason: LostOnDisk::Corrupt };
        }
        if contents.header.begun.age(now, contents.first_takeover_ms) > self.settings.max_age {
            return Found::Done { lost: LostEvents::pending(&contents), reason: LostOnDisk::Expired };
        }
        if contents.takeovers >= MAX_TAKEOVERS {
            return Found::Bad { lost: LostEvents::pending(&contents) };
        }
        if contents.takeovers >= SUSPECT_TAKEOVERS {
            let until = self.begun_ms + (OUTLIVED_MS << contents.takeovers);
            if until > now.boot_ms {
                return Found::TooEarly { until };
            }
        }
        match self.mark(folder, file, &contents, now) {
            Ok(()) => {}
            // It is sent without the mark: that is what frees space.
            Err(error) if error.kind == ErrorKind::Full => {}
            // What cannot be written to cannot be removed either, and would be sent by every process.
            Err(error) => return Found::Later(error),
        }
        self.note_lost(LostEvents::missing(&contents), LostOnDisk::Corrupt);
        Found::Pending { events: contents.events }
    }

    /// Has those segments say that their takeover was outlived for which it is time. So processes that others end, such
    /// as workers during an outage, do not count.
    pub(super) fn mark_outlived(&mut self, now: Moment) {
        let record = Record::TakenOver { times: 0, at_ms: now.wall_ms };
        for segment in self.segments.values_mut() {
            if segment.outlived_at.take_if(|at| *at <= now.boot_ms).is_some() && !segment.awaits_rewrite {
                // Without memory for it, one more takeover is counted.
                let _ = record.write(&mut segment.pending);
            }
        }
    }

    /// Writes into a segment that it was taken over, and which events are missing from it, so that they are counted
    /// once.
    fn mark(
        &mut self,
        folder: &D::Folder,
        file: &SegmentFile,
        contents: &Contents<'_>,
        now: Moment,
    ) -> Result<(), DiskError> {
        let mut marks = Vec::new();
        let no_memory = |_| DiskError::new(ErrorKind::Other, "there is no memory");
        let times = contents.takeovers.saturating_add(1);
        Record::TakenOver { times, at_ms: now.wall_ms }.write(&mut marks).map_err(no_memory)?;
        if contents.missing > 0 {
            let mut bits = vec![u8::MAX; contents.events.div_ceil(8) as usize];
            for event in &contents.pending {
                if let Some(byte) = bits.get_mut(event.index as usize / 8) {
                    *byte &= !(1 << (event.index % 8));
                }
            }
            let ended = VerdictRecord { attempt: 0, response_unknown: false, ended: &bits };
            Record::Verdicts(ended).write(&mut marks).map_err(no_memory)?;
        }
        let file = self.disk.open(folder, &file.name)?;
        let written = self.disk.append(&file, &marks, &[])?;
        self.used_bytes += written as u64;
        Ok(())
    }

    /// Removes the oldest segment whose events are on disk only; returns whether there was one. Events that are in
    /// memory are not lost for the sake of others. A segment of a dead process that cannot be read, or not by this
    /// version, is left alone: what is lost with it could not be counted.
    pub(super) fn evict_oldest(&mut self) -> bool {
        let mut readable =
            self.waiting.iter().enumerate().map(|(at, waiting)| (at, self.read_waiting(waiting)));
        let oldest = readable.find_map(|(at, lost)| Some((at, lost?)));
        if let Some((at, lost)) = oldest
            && let Some(waiting) = self.waiting.remove(at)
        {
            self.note_lost(lost, LostOnDisk::Evicted);
            return self.end_waiting_now(waiting);
        }
        let on_disk = self.segments.iter().find(|(_, segment)| !segment.in_memory && segment.name.is_some());
        let Some((id, segment)) = on_disk else { return false };
        let (id, home) = (*id, self.home.as_ref().map(|home| &home.instance.folder));
        let (folder, name) = (segment.folder.as_ref().or(home), segment.name.as_ref());
        let read = folder.zip(name).map(|(folder, name)| self.read_events(folder, name));
        let events = read.flatten().unwrap_or_default();
        self.end(id);
        self.notices.push(Notice::Lost { segment: Some(id), events, reason: LostOnDisk::Evicted });
        self.remove_last_ended()
    }

    fn read_events(&self, folder: &D::Folder, name: &str) -> Option<LostEvents> {
        let bytes = self.disk.read(folder, name, MAX_BYTES + 1).ok()?;
        Contents::read(&bytes).ok().map(|contents| LostEvents::pending(&contents))
    }

    pub(super) fn note_lost(&mut self, events: LostEvents, reason: LostOnDisk) {
        if events.count > 0 {
            self.notices.push(Notice::Lost { segment: None, events, reason });
        }
    }

    /// The file of a segment that was never handed out is to be removed.
    pub(super) fn end_waiting(&mut self, waiting: Waiting) {
        if let Some(adopted) = self.adopted.iter().find(|adopted| adopted.key == waiting.from) {
            let (folder, SegmentFile { name, bytes }) = (adopted.instance.folder.clone(), waiting.file);
            self.ended.push(Ended { folder, files: vec![(name, bytes)], from: Some(waiting.from) });
            self.has_new_ended = true;
        }
    }

    fn end_waiting_now(&mut self, waiting: Waiting) -> bool {
        self.end_waiting(waiting);
        self.remove_last_ended()
    }

    /// Removes the files of what has ended last, for their space; returns whether that worked.
    fn remove_last_ended(&mut self) -> bool {
        let Some(ended) = self.ended.pop() else { return false };
        for (name, bytes) in &ended.files {
            match self.disk.remove(&ended.folder, name) {
                Ok(()) => self.used_bytes = self.used_bytes.saturating_sub(*bytes),
                Err(error) if error.kind == ErrorKind::Missing => {}
                Err(_) => {
                    self.ended.push(ended);
                    return false;
                }
            }
        }
        if let Some(from) = ended.from {
            self.file_done(from);
        }
        true
    }

    fn put_into_bad(&mut self, waiting: &Waiting) -> bool {
        let adopted = self.adopted.iter().find(|adopted| adopted.key == waiting.from);
        let moved = adopted.zip(self.home.as_ref()).is_some_and(|(adopted, home)| {
            quarantine(&self.disk, &home.destination, &adopted.instance, &waiting.file).is_ok()
        });
        self.set_aside(waiting, !moved);
        let name = &waiting.file.name;
        let text = if moved { "moved to the folder bad" } else { "left as it is" };
        self.notices.push(Notice::Log(format!("the spool segment {name} cannot be used, and was {text}")));
        moved
    }

    /// This process has nothing more to do with a segment. `stays` says that its file is left as it is.
    fn set_aside(&mut self, waiting: &Waiting, stays: bool) {
        if let Some(adopted) = self.adopted.iter_mut().find(|adopted| adopted.key == waiting.from) {
            adopted.has_others |= stays;
        }
        self.file_done(waiting.from);
    }

    /// A segment of an instance is done with. After the last one the instance is removed.
    pub(super) fn file_done(&mut self, from: u64) {
        let Some(position) = self.adopted.iter().position(|adopted| adopted.key == from) else { return };
        let Some(adopted) = self.adopted.get_mut(position) else { return };
        adopted.files = adopted.files.saturating_sub(1);
        if adopted.files == 0 {
            let adopted = self.adopted.swap_remove(position);
            self.remove_instance(adopted.instance, adopted.has_others);
        }
    }

    fn remove_instance(&mut self, instance: Instance<D>, has_others: bool) {
        if has_others {
            self.janitor.leave_alone(&instance.name);
        } else if let Some(home) = &self.home {
            let _ = instance.remove(&self.disk, &home.destination);
        }
    }

    /// Lets go of all instances, and removes those that are empty.
    pub(super) fn let_go(&mut self) {
        let Some(home) = self.home.take() else { return };
        let adopted = std::mem::take(&mut self.adopted);
        let instances = adopted.into_iter().map(|adopted| adopted.instance).chain([home.instance]);
        for instance in instances {
            if instance.segments(&self.disk).is_ok_and(|segments| segments.is_empty()) {
                let _ = instance.remove(&self.disk, &home.destination);
            }
        }
    }
}
