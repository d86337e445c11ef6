//! Pending events on disk, so that they outlive their process: self-checking records in plain segment files, one
//! segment for each batch in the making, without an index. docs/spool-format.md describes the files.
//!
//! A [`Store`] is the spool of one client in one process. It has no thread and no clock: [`Store::due`] says when
//! [`Store::step`] wants to be called, so that the thread that will call it and the simulations drive the same code.
//! Everything below it is logic over a [`Disk`](disk::Disk). Nothing here knows clients, the network, or what a
//! response means.

mod append;
mod contents;
mod disk;
#[cfg(feature = "internals")]
mod inspect;
mod instance;
mod janitor;
mod moment;
mod record;
mod root;
mod segment;
mod store;
#[cfg(feature = "internals")]
mod summary;
mod unix_disk;

#[cfg(test)]
mod tests;

#[cfg(all(test, not(feature = "race-models")))]
pub(crate) use tests::SimDisk;

pub(crate) use append::Append;
#[cfg(feature = "internals")]
pub use contents::Unreadable;
pub(crate) use contents::{Contents, StoredEvent};
pub(crate) use disk::{Disk, DiskError, ErrorKind};
#[cfg(feature = "internals")]
pub use inspect::{
    BadSegment, DestinationFolder, Discarded, InstanceFolder, NotRead, SegmentEntry, SpoolFolder,
};
#[cfg(feature = "internals")]
pub use instance::Liveness;
pub(crate) use moment::Moment;
pub(crate) use record::{AttemptRecord, BatchRecord, EVENT_OVERHEAD, PostponedRecord, VerdictRecord};
pub(crate) use root::{Destination, open_root};
pub(crate) use store::{
    Health, Identity, LostEvents, LostOnDisk, Notice, Recovered, SegmentId, Settings, Store,
};
#[cfg(feature = "internals")]
pub use summary::{SegmentSummary, read_segment};
pub(crate) use unix_disk::{UnixDisk, boot_id, boot_ms};
