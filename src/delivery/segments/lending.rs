//! The files that the disk thread lends to captures, and what a capture gets of them (`call`).

use std::sync::Arc;

use crate::spool::{Append, SegmentId};

/// Where a capturing thread writes its event.
#[derive(Debug)]
pub(crate) struct EventPlace {
    /// The segment.
    pub(crate) segment: SegmentId,
    /// The place of the event in it.
    pub(crate) index: u32,
    /// Its file.
    pub(crate) file: Arc<dyn Append>,
}

/// Who writes an event.
#[derive(Debug)]
pub(crate) enum Writer {
    /// The thread that has captured it, here.
    Capture(EventPlace),
    /// The disk thread. The capture waits until everything up to this number is written.
    DiskThread { seq: u64 },
}

/// A file that the disk thread has lent to captures.
#[derive(Debug)]
pub(in crate::delivery) struct Lent {
    pub(super) id: SegmentId,
    pub(super) file: Arc<dyn Append>,
    /// How many bytes may be appended.
    pub(super) left: u64,
    /// With fewer left, there is to be space for more.
    pub(super) least: u64,
    /// Until when a batch may begin in it, in milliseconds since the start of the system. The events of a segment are
    /// taken to be as old as its file.
    pub(super) begin_by: u64,
}

impl Lent {
    /// A file for so many bytes.
    pub(in crate::delivery) fn new(id: SegmentId, file: Arc<dyn Append>, bytes: u64, begin_by: u64) -> Self {
        Lent { id, file, left: bytes, least: bytes / 2, begin_by }
    }
}

/// What the disk thread lends next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lend {
    /// Nothing.
    #[default]
    Nothing,
    /// A new file, for the next batch.
    Spare,
    /// The file of this segment, which is that of the open batch, or space for more in it.
    Open(SegmentId),
}

/// A segment whose events have left memory.
#[derive(Debug)]
pub(crate) struct Released {
    pub(crate) id: SegmentId,
    pub(crate) appended: Option<Appended>,
}

/// What threads have appended to a segment, or are appending, that the store does not know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    /// One more than the last place.
    pub(crate) places: u32,
    pub(crate) bytes: u64,
}

/// What captures append to.
#[derive(Debug, Default)]
pub(super) struct Appending {
    /// For the open batch.
    pub(super) current: Option<Lent>,
    /// For the next one.
    pub(super) spare: Option<Lent>,
    /// How many threads are appending.
    pub(super) writers: u32,
    /// Files that are not used any more. The disk thread closes them.
    pub(super) retired: Vec<Arc<dyn Append>>,
    /// Segments in which an append has met an error of the disk.
    pub(super) failed: Vec<SegmentId>,
    /// There was no space to lend when the disk thread looked last.
    pub(super) is_refused: bool,
}

impl Appending {
    /// Whether the events of the open batch are appended to this segment.
    pub(super) fn is_current(&self, id: SegmentId) -> bool {
        self.current.as_ref().is_some_and(|lent| lent.id == id)
    }
}
