//! What a store keeps of each file.

use std::sync::Arc;

use crate::spool::disk::Disk;
use crate::spool::instance::{Instance, SegmentFile};

/// A segment, with or without a file.
#[derive(Debug)]
pub(super) struct SegmentState<D: Disk> {
    /// The folder that its file is in; `None` for that of the client's own instance.
    pub(super) folder: Option<D::Folder>,
    /// The instance that it was taken over with.
    pub(super) from: Option<u64>,
    /// The name of its file; `None` while nothing has been written.
    pub(super) name: Option<String>,
    pub(super) file: Option<Arc<D::File>>,
    /// When this process has lived with a segment that it took over for so long that it says so, in milliseconds since
    /// the start of the system.
    pub(super) outlived_at: Option<u64>,
    /// Records that are to be written.
    pub(super) pending: Vec<u8>,
    /// The length of its file.
    pub(super) bytes: u64,
    pub(super) is_synced: bool,
    /// Its file could not be synced, and its events are not in memory to be written into another one: they may not
    /// outlive a power cut.
    pub(super) is_doubtful: bool,
    /// Files that this segment was in before. They go when it is stored.
    pub(super) older: Vec<String>,
    /// Its file failed, and its events are not added again yet.
    pub(super) awaits_rewrite: bool,
    /// One more than the largest index of an event.
    pub(super) events: u32,
    /// Whether its events are in the client's memory.
    pub(super) in_memory: bool,
    pub(super) is_sealed: bool,
    /// A record was not written: the segment does not say all that has happened, and is not sealed.
    pub(super) is_incomplete: bool,
}

impl<D: Disk> Default for SegmentState<D> {
    fn default() -> Self {
        SegmentState {
            folder: None,
            from: None,
            name: None,
            file: None,
            outlived_at: None,
            pending: Vec::new(),
            bytes: 0,
            is_synced: true,
            is_doubtful: false,
            older: Vec::new(),
            awaits_rewrite: false,
            events: 0,
            in_memory: true,
            is_sealed: false,
            is_incomplete: false,
        }
    }
}

impl<D: Disk> SegmentState<D> {
    /// A segment that another instance has left.
    pub(super) fn adopted(
        folder: D::Folder,
        from: u64,
        name: String,
        bytes: u64,
        events: u32,
        outlived_at: u64,
    ) -> Self {
        SegmentState {
            outlived_at: Some(outlived_at),
            folder: Some(folder),
            from: Some(from),
            name: Some(name),
            bytes,
            events,
            // Nothing is known of what its process has synced.
            is_synced: false,
            ..SegmentState::default()
        }
    }

    /// Whether all that was added is on disk.
    pub(super) fn is_stored(&self) -> bool {
        self.name.is_some() && self.pending.is_empty() && !self.awaits_rewrite
    }

    /// Whether all that was added outlives a power cut.
    pub(super) fn outlives_power_cuts(&self) -> bool {
        self.is_synced && self.pending.is_empty() && !self.is_doubtful
    }

    /// What is to be removed when its events have ended.
    pub(super) fn into_files(self) -> Files<D> {
        let SegmentState { folder, from, name, bytes, older, .. } = self;
        let files = name.map(|name| (name, bytes)).into_iter().chain(older.into_iter().map(|name| (name, 0)));
        (folder, files.collect(), from)
    }
}

/// The folder of a segment, its files with their bytes, and the instance that it came from.
pub(super) type Files<D> = (Option<<D as Disk>::Folder>, Vec<(String, u64)>, Option<u64>);

/// Files whose events have ended.
#[derive(Debug)]
pub(super) struct Ended<D: Disk> {
    pub(super) folder: D::Folder,
    pub(super) files: Vec<(String, u64)>,
    pub(super) from: Option<u64>,
}

/// An instance of a dead process, which is this one's now.
#[derive(Debug)]
pub(super) struct Adopted<D: Disk> {
    pub(super) key: u64,
    pub(super) instance: Instance<D>,
    /// How many of its segments are not done with.
    pub(super) files: usize,
    /// Whether one of them stays, because it is not for this version.
    pub(super) has_others: bool,
    /// Whether the names of its segments outlive a power cut.
    pub(super) has_synced_names: bool,
}

/// A segment of a dead process that has not been read yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) from: u64,
    pub(super) file: SegmentFile,
    /// How many times it could not be read.
    pub(super) reads: u8,
    /// It is not read before this time, in milliseconds since the start of the system.
    pub(super) not_before: u64,
}

impl<D: Disk> SegmentState<D> {
    /// Its file is not used any more. One that is on disk only stays as it is: the events are there, and what was to be
    /// added costs a duplicate at most.
    pub(super) fn forget_file(&mut self) {
        self.file = None;
        self.is_incomplete |= !self.pending.is_empty();
        self.pending = Vec::new();
        if self.from.is_none() && self.in_memory {
            self.older.extend(self.name.take());
            self.bytes = 0;
            self.awaits_rewrite = true;
            self.is_incomplete = false;
            self.is_doubtful = false;
        } else {
            self.is_doubtful |= !self.is_synced;
        }
        self.is_synced = true;
    }
}
