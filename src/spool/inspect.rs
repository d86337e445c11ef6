//! A spool as a tool sees it, beside the processes that use it: its folders are listed and its segments are read, and
//! nothing is made or repaired. Only [`DestinationFolder::discard`] removes files, and only under the lock of a dead
//! instance, so that a process which is alive keeps what it has.
//!
//! Errors are texts for people. Nothing here waits: locks are only tried.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::contents::Unreadable;
use super::disk::{Disk, DiskError, ErrorKind};
use super::instance::{Instance, Liveness, SegmentFile, Taking, is_instance, liveness, segments};
use super::janitor::{BAD, BEING_MADE};
use super::moment::Moment;
use super::root::{check_existing_marker, check_names, is_destination};
use super::segment::{ENDING, MAX_BYTES};
use super::summary::{SegmentSummary, read_segment};
use super::unix_disk::{UnixDisk, boot_id};

type Folder = <UnixDisk as Disk>::Folder;

/// The folder of a spool.
#[derive(Debug)]
pub struct SpoolFolder {
    root: Folder,
    boot_id: u64,
}

impl SpoolFolder {
    /// Opens a spool that is there. The error says what is wrong with the folder.
    pub fn open(path: &Path) -> Result<Self, String> {
        // First what is in it: another folder's owner and mode are nothing to be changed for libphc.
        let entries = std::fs::read_dir(path).map_err(|error| format!("listing it failed: {error}"))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        check_names(&names.collect::<Vec<_>>()).map_err(text)?;
        // It would make the folder; but that has just been listed.
        let root = UnixDisk.open_root(path).map_err(text)?;
        check_existing_marker(&UnixDisk, &root).map_err(text)?;
        Ok(SpoolFolder { root, boot_id: boot_id() })
    }

    /// Its destinations, sorted by name.
    pub fn destinations(&self) -> Result<Vec<DestinationFolder>, String> {
        let mut names = UnixDisk.list(&self.root).map_err(text)?;
        names.retain(|name| is_destination(name));
        names.sort_unstable();
        let open = |name: String| match UnixDisk.open_folder(&self.root, &name) {
            Ok(folder) => Some(Ok(DestinationFolder { name, folder, boot_id: self.boot_id })),
            Err(error) if error.kind == ErrorKind::Missing => None,
            Err(error) => Some(Err(text(error))),
        };
        names.into_iter().filter_map(open).collect()
    }
}

/// The folder of a destination: a host and a key, of which its name has a digest.
#[derive(Debug)]
pub struct DestinationFolder {
    name: String,
    folder: Folder,
    boot_id: u64,
}

/// What [`DestinationFolder::discard`] has removed, and left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discarded {
    /// Segments that were removed.
    pub segments: u64,
    /// Pending events in them.
    pub events: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are called as segments are and are not ones of a version that is known: they are still there.
    pub left_alone: u64,
    /// Files that could not be read or removed, with the reasons: they are still there, too.
    pub failed: Vec<String>,
}

impl DestinationFolder {
    /// Its name in the spool.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its instances, sorted by name. One that cannot be looked at says why.
    pub fn instances(&self) -> Result<Vec<InstanceFolder>, String> {
        let mut names = UnixDisk.list(&self.folder).map_err(text)?;
        names.retain(|name| is_instance(name));
        names.sort_unstable();
        let open = |name: String| match UnixDisk.open_folder(&self.folder, &name) {
            Ok(folder) => Some(InstanceFolder { name, folder: Ok(folder), boot_id: self.boot_id }),
            Err(error) if error.kind == ErrorKind::Missing => None,
            Err(error) => Some(InstanceFolder { name, folder: Err(text(error)), boot_id: self.boot_id }),
        };
        Ok(names.into_iter().filter_map(open).collect())
    }

    /// The segments that were set aside because they could not be used, sorted by name.
    pub fn bad(&self) -> Result<Vec<BadSegment>, String> {
        let folder = match UnixDisk.open_folder(&self.folder, BAD) {
            Ok(folder) => folder,
            Err(error) if error.kind == ErrorKind::Missing => return Ok(Vec::new()),
            Err(error) => return Err(text(error)),
        };
        let segments = segments(&UnixDisk, &folder).map_err(text)?;
        let of = |file: SegmentFile| {
            let entry = SegmentEntry { name: file.name, bytes: file.bytes };
            BadSegment { entry, folder: folder.clone(), boot_id: self.boot_id }
        };
        Ok(segments.into_iter().map(of).collect())
    }

    /// Removes the segments of a dead instance, and its folder if nothing else is in it; `None` if its process is
    /// alive, or if it has no lock and may be just being made. What is not a segment of a version that is known stays.
    ///
    /// The lock is held meanwhile, so no process can take the instance over.
    pub fn discard(&self, instance: &str) -> Result<Option<Discarded>, String> {
        let now = Moment::now(self.boot_id);
        let changed = match UnixDisk.stat(&self.folder, instance) {
            Ok(stat) => now.wall_ms.saturating_sub(stat.modified_ms),
            Err(error) if error.kind == ErrorKind::Missing => return Ok(None),
            Err(error) => return Err(text(error)),
        };
        let is_old = Duration::from_millis(u64::try_from(changed).unwrap_or(0)) > BEING_MADE;
        let taken = match Instance::take(&UnixDisk, &self.folder, instance, is_old).map_err(text)? {
            Taking::Taken(taken) => taken,
            Taking::NotDead | Taking::WithoutLock => return Ok(None),
        };
        let mut discarded = Discarded::default();
        for file in taken.segments(&UnixDisk).map_err(text)? {
            let events = match read(&taken.folder, &file.name) {
                Ok(summary) => summary.pending.len() as u64,
                Err(NotRead::Unreadable(Unreadable::Foreign | Unreadable::Newer)) => {
                    discarded.left_alone += 1;
                    continue;
                }
                Err(NotRead::Disk(text)) => {
                    discarded.failed.push(text);
                    continue;
                }
                Err(NotRead::Unreadable(_) | NotRead::Gone) => 0,
            };
            if let Err(error) = UnixDisk.remove(&taken.folder, &file.name) {
                discarded.failed.push(text(error));
                continue;
            }
            discarded.segments += 1;
            discarded.events += events;
            discarded.bytes += file.bytes;
        }
        taken.remove(&UnixDisk, &self.folder).map_err(text)?;
        Ok(Some(discarded))
    }
}

/// The folder of an instance: one client of one process.
#[derive(Debug)]
pub struct InstanceFolder {
    name: String,
    folder: Result<Folder, String>,
    boot_id: u64,
}

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// Why a segment was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRead {
    /// Its bytes are not those of a segment that this version reads.
    Unreadable(Unreadable),
    /// It was removed in the meantime: its events have ended, or are in other segments.
    Gone,
    /// The disk has failed, or the file is not one of this user; the text says how.
    Disk(String),
}

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotRead::Unreadable(Unreadable::Empty) => "empty: its process ended before it wrote an event",
            NotRead::Unreadable(Unreadable::Foreign) => "not a segment of libphc",
            NotRead::Unreadable(Unreadable::Newer) => {
                "of a later version of libphc, which this one does not read"
            }
            NotRead::Unreadable(Unreadable::Damaged) => "damaged beyond use",
            NotRead::Gone => "removed in the meantime",
            NotRead::Disk(text) => text,
        })
    }
}

impl InstanceFolder {
    /// Its name in the folder of the destination.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its process is alive, by its lock.
    pub fn liveness(&self) -> Result<Liveness, String> {
        liveness(&UnixDisk, self.folder()?).map_err(text)
    }

    /// Its segments, the oldest first.
    pub fn segments(&self) -> Result<Vec<SegmentEntry>, String> {
        let files = match segments(&UnixDisk, self.folder()?) {
            Err(error) if error.kind == ErrorKind::Missing => Vec::new(),
            other => other.map_err(text)?,
        };
        Ok(files.into_iter().map(|file| SegmentEntry { name: file.name, bytes: file.bytes }).collect())
    }

    /// Reads a segment, and says how long ago it was begun. A living process may be writing to it: then what looks
    /// damaged at its end may be whole a moment later.
    pub fn read(&self, segment: &SegmentEntry) -> Result<(SegmentSummary, Duration), NotRead> {
        let folder = self.folder().map_err(NotRead::Disk)?;
        read(folder, &segment.name).map(|summary| with_age(summary, self.boot_id))
    }

    fn folder(&self) -> Result<&Folder, String> {
        self.folder.as_ref().map_err(Clone::clone)
    }
}

/// A segment that was set aside.
#[derive(Debug)]
pub struct BadSegment {
    entry: SegmentEntry,
    folder: Folder,
    boot_id: u64,
}

impl BadSegment {
    /// Its file.
    pub fn entry(&self) -> &SegmentEntry {
        &self.entry
    }

    /// Reads it: not every segment that was set aside is damaged. Several processes may have ended while they had it.
    pub fn read(&self) -> Result<(SegmentSummary, Duration), NotRead> {
        read(&self.folder, &self.entry.name).map(|summary| with_age(summary, self.boot_id))
    }

    /// Removes it.
    pub fn discard(&self) -> Result<(), String> {
        match UnixDisk.remove(&self.folder, &self.entry.name) {
            Err(error) if error.kind != ErrorKind::Missing => Err(text(error)),
            _ => Ok(()),
        }
    }
}

fn read(folder: &Folder, name: &str) -> Result<SegmentSummary, NotRead> {
    debug_assert!(name.ends_with(ENDING));
    match UnixDisk.read(folder, name, MAX_BYTES + 1) {
        Ok(bytes) => read_segment(&bytes).map_err(NotRead::Unreadable),
        Err(error) if error.kind == ErrorKind::Missing => Err(NotRead::Gone),
        Err(error) => Err(NotRead::Disk(text(error))),
    }
}

fn with_age(summary: SegmentSummary, boot_id: u64) -> (SegmentSummary, Duration) {
    let age = summary.age(Moment::now(boot_id));
    (summary, age)
}

fn text(error: DiskError) -> String {
    error.text.into_owned()
}
