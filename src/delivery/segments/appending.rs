//! Events that capturing threads write by themselves (`call`).
//!
//! The disk thread lends files in advance: one for the batch that is open, and a spare one for the next batch. A capture
//! that has added an event to the open batch gets an [`EventPlace`] under the same lock, appends the event without any
//! lock, and says so afterwards. While threads append to a segment, the order in which they finish is not known; once
//! none does, all of its events are on disk. An event for which no file is lent is left to the disk thread, as is
//! everything after an error of the disk, up to the next batch.

use std::sync::Arc;

use super::lending::{Appended, EventPlace, Lend, Lent};
use super::{Handed, Segments, Track};
use crate::delivery::mark::Mark;
use crate::spool::{Append, EVENT_OVERHEAD, ErrorKind, SegmentId};

impl Track {
    /// Once no thread appends to this segment, what they have appended is on disk.
    pub(super) fn note_appended(&mut self) {
        let all = self.writers == 0 && !self.has_failed && self.unappended <= self.handed.places;
        if all && self.handed.places < self.appended {
            if self.stored >= self.handed.places {
                self.stored = self.appended;
            }
            self.handed.places = self.appended;
        }
    }

    /// Whether its new events are left to the threads that append them. `at_once` says that somebody waits for all of
    /// them to be written: one that is written twice is read once.
    pub(super) fn is_left_to_writers(&self, at_once: bool) -> bool {
        let is_appended = !self.has_failed && self.unappended <= self.handed.places;
        self.writers > 0 && is_appended && !at_once
    }

    /// What threads have appended that the store does not know of, which it does from now on.
    pub(in crate::delivery) fn take_appended(&mut self) -> Option<Appended> {
        let bytes = std::mem::take(&mut self.unreported);
        (bytes > 0).then_some(Appended { places: self.appended, bytes })
    }

    /// Whether a thread is appending to this segment.
    pub(in crate::delivery) fn is_appended_to(&self) -> bool {
        self.writers > 0
    }
}

impl Segments {
    /// An event of so many wire bytes was captured, and is the last one of the open batch, whose mark this is. Returns
    /// where its thread is to write it; `None` if that is left to the disk thread.
    pub(in crate::delivery) fn begin_append(
        &mut self,
        mark: Mark,
        seq: u64,
        wire_bytes: usize,
    ) -> Option<EventPlace> {
        let granted = self.granted(mark, (wire_bytes + EVENT_OVERHEAD) as u64);
        let track = self.track_mut(mark);
        let index = track.as_ref().map(|track| track.place(seq));
        let (Some(track), Some(index)) = (track, index) else {
            self.wake_for_event();
            return None;
        };
        track.places = track.places.max(index + 1);
        let Some(file) = granted else {
            track.unappended = index + 1;
            self.wake_for_event();
            return None;
        };
        track.writers += 1;
        track.appended = index + 1;
        track.unreported += (wire_bytes + EVENT_OVERHEAD) as u64;
        let segment = track.id;
        self.appending.writers += 1;
        if self.seen + 1 == seq {
            // The disk thread has nothing to do with it.
            self.seen = seq;
        }
        Some(EventPlace { segment, index, file })
    }

    fn wake_for_event(&mut self) {
        if self.wake_on_capture {
            self.wake();
        }
    }

    /// A batch has begun with this event: it gets the spare file, unless that was made too long ago.
    pub(in crate::delivery) fn begin_batch(
        &mut self,
        mark: &mut Mark,
        first_seq: u64,
        now: impl FnOnce() -> u64,
    ) {
        if mark.0.is_some() || !self.is_able {
            return;
        }
        let Some(spare) = &self.appending.spare else { return };
        let (id, is_old) = (spare.id, now() > spare.begin_by);
        if is_old {
            self.remove_spare();
            return;
        }
        // Without memory for it now, it is for a later batch.
        if self.add_with_id(id, first_seq, 0).is_none() {
            return;
        }
        *mark = Mark(Some(id));
        self.retire_current();
        self.appending.current = self.appending.spare.take();
        if self.is_crowded {
            // The batch before it may leave memory.
            self.wake();
        } else {
            // There is to be another one for the next batch.
            self.wake_to_lend();
        }
    }

    /// What an event of so many bytes is appended to, if it may be.
    fn granted(&mut self, mark: Mark, bytes: u64) -> Option<Arc<dyn Append>> {
        let is_able = self.is_able;
        let lent = self.appending.current.as_mut().filter(|lent| Some(lent.id) == mark.0 && is_able)?;
        let before = lent.left;
        lent.left = before.checked_sub(bytes)?;
        let runs_short = before >= lent.least && lent.left < lent.least;
        let file = Arc::clone(&lent.file);
        if runs_short {
            self.wake_to_lend();
        }
        Some(file)
    }

    fn wake_to_lend(&mut self) {
        if !self.appending.is_refused {
            self.wake();
        }
    }

    /// A thread has appended its event, or has met this error.
    pub(in crate::delivery) fn end_append(&mut self, id: SegmentId, error: Option<ErrorKind>) {
        self.appending.writers -= 1;
        if self.is_frozen && self.appending.writers == 0 {
            // The close has waited for it.
            self.wake();
        }
        let Some(track) = self.track_mut(Mark(Some(id))) else { return };
        track.writers -= 1;
        track.has_failed |= error.is_some();
        track.note_appended();
        let is_last = track.writers == 0;
        let is_awaited = is_last && std::mem::take(&mut track.is_awaited);
        if is_awaited {
            self.changed();
        }
        if is_last && self.is_crowded && !self.appending.is_current(id) {
            // Its batch is full, and may leave memory now.
            self.wake();
        }
        if error.is_some() {
            self.stop_appending_to(id);
        }
        if error == Some(ErrorKind::Failed) {
            self.appending.failed.push(id);
        }
    }

    /// How many threads are appending.
    pub(in crate::delivery) fn writers(&self) -> u32 {
        self.appending.writers
    }

    /// The file of a segment is not to be trusted: all of it is given again, to another file.
    pub(in crate::delivery) fn file_failed(&mut self, id: SegmentId) {
        if let Some(track) = self.track_mut(Mark(Some(id))) {
            track.handed = Handed::default();
            (track.stored, track.handed_at_split, track.unreported) = (0, 0, 0);
            track.has_failed = true;
        }
        self.stop_appending_to(id);
    }

    /// No further event is appended to this segment.
    pub(in crate::delivery) fn stop_appending_to(&mut self, id: SegmentId) {
        if self.appending.is_current(id) {
            self.retire_current();
        }
        if self.appending.spare.as_ref().is_some_and(|lent| lent.id == id) {
            self.remove_spare();
        }
    }

    /// No event is appended to any segment any more.
    pub(in crate::delivery) fn stop_appending(&mut self) {
        self.retire_current();
        self.remove_spare();
    }

    fn retire_current(&mut self) {
        self.appending.retired.extend(self.appending.current.take().map(|lent| lent.file));
    }

    /// The spare file is to be removed: it has no event.
    fn remove_spare(&mut self) {
        if let Some(spare) = self.appending.spare.take() {
            self.ended.push(spare.id);
            self.appending.retired.push(spare.file);
        }
    }

    /// What is to be lent, while `open` is the segment of the open batch.
    pub(in crate::delivery) fn lends(&self, open: Mark) -> Lend {
        if !self.is_call() || self.is_frozen || self.is_stopped || self.appending.is_refused {
            return Lend::Nothing;
        }
        let has_enough = |lent: &Lent| Some(lent.id) == open.0 && lent.left >= lent.least;
        let current = self.track(open).filter(|track| !track.has_failed);
        match current {
            Some(track) if !self.appending.current.as_ref().is_some_and(has_enough) => Lend::Open(track.id),
            _ if self.appending.spare.is_none() => Lend::Spare,
            _ => Lend::Nothing,
        }
    }

    /// The disk thread lends a file; `is_spare` says that it is a new one. What there is no use for any more is not used.
    pub(in crate::delivery) fn lent(&mut self, open: Mark, is_spare: bool, lent: Lent) {
        if is_spare {
            self.remove_spare();
            self.appending.spare = Some(lent);
        } else if open == Mark(Some(lent.id)) && self.track(open).is_some_and(|track| !track.has_failed) {
            self.retire_current();
            self.appending.current = Some(lent);
        } else {
            self.appending.retired.push(lent.file);
        }
        if self.is_frozen {
            self.stop_appending();
        }
    }

    /// Records whether there was no space to lend.
    pub(in crate::delivery) fn set_lending_refused(&mut self, is_refused: bool) {
        self.appending.is_refused = is_refused;
    }

    /// Takes the files that are not used any more, and the segments in which an append has failed.
    pub(in crate::delivery) fn take_appending(
        &mut self,
        retired: &mut Vec<Arc<dyn Append>>,
        failed: &mut Vec<SegmentId>,
    ) {
        retired.append(&mut self.appending.retired);
        failed.append(&mut self.appending.failed);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::config::{Config, SpoolSafety};
    use crate::spool::DiskError;

    /// The threads of these tests say that they have appended, which is all that is asked of them here.
    #[derive(Debug)]
    struct File;

    impl Append for File {
        fn append(&self, _: u32, _: Uuid, _: &[u8]) -> Result<(), DiskError> {
            Ok(())
        }
    }

    /// Three threads append to one segment.
    fn appending() -> (Segments, SegmentId) {
        let mut config = Config::new("key");
        config.spool_dir = "/spool".to_owned();
        config.spool_safety = SpoolSafety::Call;
        let mut segments = Segments::new(&config);
        let id = segments.next_id();
        segments.lent(Mark(None), true, Lent::new(id, Arc::new(File), 10_000, 0));
        let mut mark = Mark(None);
        segments.begin_batch(&mut mark, 1, || 0);
        assert_eq!(mark, Mark(Some(id)));
        for seq in 1..=3 {
            let place = segments.begin_append(mark, seq, 10).unwrap();
            assert_eq!((place.segment, u64::from(place.index)), (id, seq - 1));
        }
        (segments, id)
    }

    #[test]
    fn events_are_on_disk_once_no_thread_appends_any_more() {
        let (mut segments, id) = appending();
        for spooled in [0, 0, 3] {
            segments.end_append(id, None);
            assert_eq!(segments.spooled(), spooled);
        }
    }

    #[test]
    fn after_an_error_the_disk_thread_writes_all_of_the_batch() {
        let (mut segments, id) = appending();
        segments.end_append(id, None);
        segments.end_append(id, Some(ErrorKind::Full));
        // One thread still appends. The next event is not appended any more.
        let track = segments.track(Mark(Some(id))).unwrap();
        assert!(track.is_appended_to() && !track.is_left_to_writers(false));
        assert!(segments.begin_append(Mark(Some(id)), 4, 10).is_none());
        segments.end_append(id, None);
        assert_eq!(segments.spooled(), 0);
    }
}
