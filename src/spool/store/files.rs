//! The files of a store's segments: made, appended to, synced, removed.

use std::sync::Arc;

use super::health::Health;
use super::parts::{Ended, SegmentState};
use super::{Home, Notice, SegmentId, Store};
use crate::config::SpoolSafety;
use crate::memory::NoMemory;
use crate::spool::disk::{Disk, DiskError, ErrorKind};
use crate::spool::instance::segment_name;
use crate::spool::janitor::used_bytes;
use crate::spool::moment::Moment;
use crate::spool::record::{Header, Record};
use crate::spool::segment::{FORMAT, begin, whole};

/// How many files stay open between two steps.
const MAX_OPEN: usize = 8;
/// How many are open before those that were written are synced, so that they can be closed (`power`).
const MAX_UNSYNCED: usize = 64;
/// How long a list of all segments is good for.
const LIST_MS: u64 = 1000;

impl<D: Disk> Store<D> {
    fn header(&self, out: &mut Vec<u8>) -> Result<(), NoMemory> {
        let header = Header {
            format: FORMAT,
            oldest_reader: FORMAT,
            historical_migration: self.identity.historical_migration,
            destination: self.identity.destination.0,
            begun: self.now,
            origin: &self.identity.origin,
        };
        begin(out, &header)
    }

    /// Writes all that was added; returns whether all of it is written.
    pub(super) fn write_pending(&mut self, now: Moment) -> bool {
        self.now = now;
        let ids = self.segments.iter().filter(|(_, segment)| !segment.pending.is_empty());
        let ids: Vec<_> = ids.map(|(id, segment)| (*id, segment.pending.len() as u64)).collect();
        if ids.is_empty() {
            return true;
        }
        let mut all = true;
        for (id, bytes) in ids {
            // A disk on which not everything fits takes what does.
            if !self.has_space(bytes, now) {
                return false;
            }
            match self.write_segment(id) {
                Ok(()) => {
                    self.close_old_files();
                    if self.open_files.len() > MAX_UNSYNCED {
                        // What is not written yet is not synced either, which is not a failure.
                        self.sync_all(now);
                        if self.health.health != Health::Ok {
                            return false;
                        }
                    }
                }
                Err(error) if error.kind == ErrorKind::Failed => {
                    all = false;
                    if !self.distrust(id, &error, now) {
                        return false;
                    }
                }
                Err(error) if error.kind == ErrorKind::Missing && self.is_home_there() => {
                    all = false;
                    self.give_up_file(id);
                }
                Err(error) => {
                    self.failed(&error, now);
                    return false;
                }
            }
        }
        self.plan_sync(now);
        // At `power`, the disk has not taken it before it is synced. A disk that took a part only does not work again.
        if all && self.settings.safety != SpoolSafety::Power {
            self.worked();
        }
        all
    }

    /// At `power`, what was written is synced after the interval.
    pub(super) fn plan_sync(&mut self, now: Moment) {
        if self.settings.safety == SpoolSafety::Power {
            self.sync_at.get_or_insert(now.after(self.settings.sync_every));
        }
    }

    /// At `power`, the next step syncs what was written: memory is short, and nothing leaves it before it is synced.
    pub(crate) fn sync_soon(&mut self) {
        let is_unsynced = |segment: &SegmentState<D>| !segment.is_synced || !segment.pending.is_empty();
        if self.settings.safety == SpoolSafety::Power && self.segments.values().any(is_unsynced) {
            self.sync_at = Some(0);
        }
    }

    /// Writes what was added to a segment. After an error, what is left begins with a whole record: readers skip the
    /// part of one that was written.
    fn write_segment(&mut self, id: SegmentId) -> Result<(), DiskError> {
        let file = self.open_file(id)?;
        let Some(segment) = self.segments.get_mut(&id) else { return Ok(()) };
        while !segment.pending.is_empty() {
            let written = self.disk.append(&file, &segment.pending, &[])?;
            if written == 0 {
                return Err(DiskError::new(ErrorKind::Full, "the disk took none of the bytes"));
            }
            self.used_bytes += written as u64;
            segment.bytes += written as u64;
            segment.is_synced = false;
            segment.pending.drain(..whole(&segment.pending, written));
        }
        // A large batch leaves its memory.
        segment.pending = Vec::new();
        if self.settings.safety != SpoolSafety::Power {
            self.note(Notice::Stored { segment: id, synced: false });
            self.remove_older(id);
        }
        Ok(())
    }

    /// The file of a segment, which is made or opened if need be.
    pub(super) fn open_file(&mut self, id: SegmentId) -> Result<Arc<D::File>, DiskError> {
        let missing = || DiskError::new(ErrorKind::Missing, "the spool folder is not open");
        let Some(segment) = self.segments.get_mut(&id) else { return Err(missing()) };
        if let Some(file) = &segment.file {
            let file = Arc::clone(file);
            self.touch(id);
            return Ok(file);
        }
        let own = self.home.as_ref().map(|home| &home.instance.folder);
        let folder = segment.folder.as_ref().or(own).ok_or_else(missing)?;
        let file = if let Some(name) = &segment.name {
            self.disk.open(folder, name)?
        } else {
            let name = segment_name(self.next_number);
            let file = self.disk.create(folder, &name)?;
            self.next_number += 1;
            segment.name = Some(name);
            let mut beginning = Vec::new();
            let no_memory = |NoMemory| DiskError::new(ErrorKind::Other, "there is no memory for a segment");
            self.header(&mut beginning).map_err(no_memory)?;
            if let Some(segment) = self.segments.get_mut(&id) {
                beginning.try_reserve(segment.pending.len()).map_err(|error| no_memory(error.into()))?;
                beginning.append(&mut segment.pending);
                segment.pending = beginning;
            }
            if let Some(Home { unsynced: [instance, ..], .. }) = &mut self.home {
                *instance = true;
            }
            file
        };
        let file = Arc::new(file);
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.file = Some(Arc::clone(&file));
        }
        self.touch(id);
        Ok(file)
    }

    fn touch(&mut self, id: SegmentId) {
        if self.open_files.back() != Some(&id) {
            self.open_files.retain(|open| *open != id);
            self.open_files.push_back(id);
        }
    }

    /// Closes the files that were used least recently. Where files are synced, those that are not yet stay open: an
    /// error of the disk would be reported to the descriptor that wrote.
    pub(super) fn close_old_files(&mut self) {
        while self.open_files.len() > MAX_OPEN {
            let must_sync = self.settings.safety == SpoolSafety::Power;
            let Some(oldest) = self.open_files.pop_front() else { return };
            if let Some(segment) = self.segments.get_mut(&oldest) {
                if must_sync && !segment.is_synced {
                    self.sync_at = Some(0);
                    self.open_files.push_front(oldest);
                    return;
                }
                segment.file = None;
            }
        }
    }

    /// Syncs everything that was written; returns whether all of it outlives a power cut.
    pub(super) fn sync_all(&mut self, now: Moment) -> bool {
        self.sync_at = None;
        let ids = self.segments.iter().filter(|(_, segment)| !segment.is_synced);
        let ids: Vec<_> = ids.map(|(id, _)| *id).collect();
        let (mut synced, mut all) = (Vec::with_capacity(ids.len()), true);
        for id in ids {
            let result = self.open_file(id).and_then(|file| self.disk.sync(&file));
            match result {
                Ok(()) => synced.push(id),
                Err(error) if error.kind == ErrorKind::Failed => {
                    // A second call would succeed without what was lost.
                    all = false;
                    if !self.distrust(id, &error, now) {
                        return false;
                    }
                }
                Err(error) => {
                    self.failed(&error, now);
                    return false;
                }
            }
        }
        if !all {
            // Names are synced together with the file that takes the place of the one that failed.
            self.plan_sync(now);
            return false;
        }
        if let Err(error) = self.sync_names() {
            self.failed(&error, now);
            return false;
        }
        if !synced.is_empty() {
            self.worked();
        }
        for id in synced {
            if let Some(segment) = self.segments.get_mut(&id) {
                segment.is_synced = true;
                if segment.is_stored() && !segment.is_doubtful {
                    self.note(Notice::Stored { segment: id, synced: true });
                    self.remove_older(id);
                }
            }
        }
        self.close_old_files();
        self.segments.values().all(SegmentState::outlives_power_cuts)
    }

    fn sync_names(&mut self) -> Result<(), DiskError> {
        let Some(home) = &mut self.home else { return Ok(()) };
        // The dead process may not have synced any name.
        for adopted in self.adopted.iter_mut().filter(|adopted| !adopted.has_synced_names) {
            self.disk.sync_folder(&adopted.instance.folder)?;
            adopted.has_synced_names = true;
            let [_, destination, root] = &mut home.unsynced;
            (*destination, *root) = (true, true);
        }
        let folders = [&home.instance.folder, &home.destination, &home.root];
        for (folder, unsynced) in folders.into_iter().zip(&mut home.unsynced) {
            if *unsynced {
                self.disk.sync_folder(folder)?;
                *unsynced = false;
            }
        }
        Ok(())
    }

    /// The disk failed at a segment: its file is not used any more. Events that are in memory are written into another
    /// file; if that fails too, the disk has failed. Returns whether the disk is to be used on.
    fn distrust(&mut self, id: SegmentId, error: &DiskError, now: Moment) -> bool {
        self.health.failures += 1;
        if self.health.failures > 1 {
            self.forget_file(id);
            self.failed(error, now);
            return false;
        }
        self.give_up_file(id);
        true
    }

    /// The file of a segment is not used any more, and its events are asked for.
    pub(super) fn give_up_file(&mut self, id: SegmentId) {
        self.forget_file(id);
        self.request_rewrites();
    }

    fn forget_file(&mut self, id: SegmentId) {
        self.open_files.retain(|open| *open != id);
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.forget_file();
        }
    }

    /// Whether the folder of this client is still there, so that only a file in it is missing.
    fn is_home_there(&self) -> bool {
        self.home.as_ref().is_some_and(|home| self.disk.stat(&home.destination, &home.instance.name).is_ok())
    }

    /// Asks for the events of segments whose files failed.
    pub(super) fn request_rewrites(&mut self) {
        for (id, segment) in &mut self.segments {
            if std::mem::take(&mut segment.awaits_rewrite) {
                self.notices.push(Notice::Rewrite(*id));
            }
        }
    }

    /// The folder is gone, and all files of this client with it.
    pub(super) fn leave_home(&mut self) {
        self.home = None;
        self.ended.retain(|ended| ended.from.is_some());
        for segment in self.segments.values_mut().filter(|segment| segment.from.is_none()) {
            segment.forget_file();
            segment.older.clear();
        }
        self.open_files.retain(|id| self.segments.get(id).is_some_and(|segment| segment.file.is_some()));
    }

    /// Adds to every segment that this process lets go of it in order.
    pub(super) fn seal_all(&mut self) {
        let is_whole = |segment: &&mut SegmentState<D>| !segment.awaits_rewrite && !segment.is_incomplete;
        for segment in self.segments.values_mut().filter(is_whole).filter(|segment| !segment.is_sealed) {
            let record = Record::Sealed { events: segment.events, bytes: segment.bytes };
            segment.is_sealed = record.write(&mut segment.pending).is_ok();
        }
    }

    /// Removes the files of what has ended. What cannot be removed now is tried again.
    pub(super) fn remove_ended(&mut self, now: Moment) {
        self.has_new_ended = false;
        for mut ended in std::mem::take(&mut self.ended) {
            let mut error = None;
            ended.files.retain(|(name, bytes)| match self.disk.remove(&ended.folder, name) {
                Ok(()) => {
                    self.used_bytes = self.used_bytes.saturating_sub(*bytes);
                    false
                }
                Err(failed) if failed.kind == ErrorKind::Missing => false,
                Err(failed) => {
                    error = Some(failed);
                    true
                }
            });
            if let Some(error) = error {
                self.ended.push(ended);
                self.failed(&error, now);
            } else if let Some(from) = ended.from {
                self.file_done(from);
            }
        }
    }

    fn remove_older(&mut self, id: SegmentId) {
        let (Some(segment), Some(home)) = (self.segments.get_mut(&id), &self.home) else { return };
        let files = std::mem::take(&mut segment.older).into_iter().map(|name| (name, 0)).collect::<Vec<_>>();
        if !files.is_empty() {
            self.ended.push(Ended { folder: home.instance.folder.clone(), files, from: None });
        }
    }

    // -- space

    /// Whether so many bytes may be written: the file system keeps its free space, and the destination its quota.
    fn has_space(&mut self, bytes: u64, now: Moment) -> bool {
        if self.home.is_none() {
            return false;
        }
        if let Some(free) = self.too_few_free(bytes) {
            let text = format!("there are {free} bytes free, and spool_min_free_bytes is to stay free");
            self.set_health(Health::Full, &text, now);
            return false;
        }
        self.relist_if_used(bytes, now);
        let most = self.settings.max_bytes;
        while self.used_bytes + bytes > most {
            if !self.settings.evicts || !self.evict_oldest() {
                self.set_health(Health::Full, "the spool has spool_max_bytes", now);
                return false;
            }
        }
        true
    }

    /// How many bytes are free, if too few would be after so many were written.
    pub(super) fn too_few_free(&self, bytes: u64) -> Option<u64> {
        let free = self.disk.free_bytes(&self.home.as_ref()?.destination).ok()?;
        (free < self.settings.min_free_bytes.saturating_add(bytes)).then_some(free)
    }

    /// Counts the bytes of all processes again, if so many more would be more than half of the quota.
    pub(super) fn relist_if_used(&mut self, bytes: u64, now: Moment) {
        let is_recent = self.listed_at.is_some_and(|at| now.boot_ms < at.saturating_add(LIST_MS));
        if self.used_bytes + bytes > self.settings.max_bytes / 2 && !is_recent {
            self.relist(now);
        }
    }

    /// Counts the bytes of all processes again.
    pub(super) fn relist(&mut self, now: Moment) {
        if let Some(home) = &self.home
            && let Ok(used) = used_bytes(&self.disk, &home.destination)
        {
            self.used_bytes = used;
            self.listed_at = Some(now.boot_ms);
        }
    }
}
