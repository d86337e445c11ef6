//! Files that capturing threads append to by themselves (`call`), beside the thread that drives the store. The store
//! makes such a file, and says how many bytes there is space for; what was appended is reported to it later.

use std::fmt;
use std::sync::Arc;

use super::{Notice, SegmentId, Store};
use crate::spool::append::{Append, Appender};
use crate::spool::disk::Disk;
use crate::spool::moment::Moment;
use crate::spool::segment::MAX_BYTES;

impl<D> Store<D>
where
    D: Disk<File: Send + Sync> + Clone + fmt::Debug + Send + Sync + 'static,
{
    /// Lets capturing threads append so many bytes to a segment, whose file is made if it has none. `None` if there is no
    /// space for so much, or the disk fails: then the events are added like those at `crash`.
    pub(crate) fn lend(
        &mut self,
        id: SegmentId,
        bytes: u64,
        now: Moment,
    ) -> (Option<Arc<dyn Append>>, Vec<Notice>) {
        let is_able = self.may_try(now) && self.open_home(now) && self.has_space_to_lend(bytes, now);
        let file = is_able.then(|| self.file_to_lend(id, now)).flatten();
        let file = file.map(|file| {
            let disk = self.disk.clone();
            Arc::new(Appender { disk, file }) as Arc<dyn Append>
        });
        (file, std::mem::take(&mut self.notices))
    }
}

impl<D: Disk> Store<D> {
    /// Nothing is evicted for what may never be written. A thread of the host that made a file too long would end the
    /// process: only the disk thread has SIGXFSZ blocked.
    fn has_space_to_lend(&mut self, bytes: u64, now: Moment) -> bool {
        self.relist_if_used(bytes, now);
        self.used_bytes + bytes <= self.settings.max_bytes
            && self.too_few_free(bytes).is_none()
            && self.disk.largest_file() >= MAX_BYTES
    }

    fn file_to_lend(&mut self, id: SegmentId, now: Moment) -> Option<Arc<D::File>> {
        self.now = now;
        if self.segments.entry(id).or_default().awaits_rewrite {
            return None;
        }
        if let Err(error) = self.open_file(id) {
            self.failed(&error, now);
            return None;
        }
        // A new file has its header before anything else.
        if !self.write_pending(now) {
            return None;
        }
        self.close_old_files();
        self.segments.get(&id)?.file.clone()
    }

    /// Capturing threads have appended so many bytes to a segment, or are about to, in places up to this number. Those
    /// that fail are added.
    pub(crate) fn appended(&mut self, id: SegmentId, places: u32, bytes: u64) {
        if let Some(segment) = self.segments.get_mut(&id) {
            segment.events = segment.events.max(places);
            segment.bytes += bytes;
            segment.is_synced = false;
            self.used_bytes += bytes;
        }
    }

    /// A capturing thread has met an error of the disk in this segment: it is written again into another file.
    pub(crate) fn give_up(&mut self, id: SegmentId) -> Vec<Notice> {
        self.give_up_file(id);
        std::mem::take(&mut self.notices)
    }
}
