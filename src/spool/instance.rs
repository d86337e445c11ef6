//! An instance: the folder of one client of one process, with the segments that are its own. The process has the lock
//! of the file `lock` in it for as long as it lives, so the kernel says which instances are dead. No process id and no
//! time is compared: a stopped process has its lock, a killed one has not.

use super::disk::{Disk, DiskError, ErrorKind, Locking, StatKind};
use super::segment::ENDING;

const LOCK: &str = "lock";
const INSTANCE: &str = "i-";

/// See the module. Dropping it lets go of the lock.
#[derive(Debug)]
pub(super) struct Instance<D: Disk> {
    /// Its name in the folder of the destination.
    pub(super) name: String,
    pub(super) folder: D::Folder,
    /// `None` where the file system has no locks: then no process takes over anything.
    _lock: Option<D::Lock>,
}

/// What came of trying to take an instance over.
#[derive(Debug)]
pub(super) enum Taking<D: Disk> {
    /// Its process is dead, and this process has its lock now.
    Taken(Instance<D>),
    /// Its process lives, or another process has taken it over, or it is gone.
    NotDead,
    /// It has no lock: it is being made, or a power cut took the name of the lock.
    WithoutLock,
}

/// What the lock of an instance says of its process.
#[cfg(feature = "internals")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// Its process lives, or another one has taken it over.
    Alive,
    /// Its process is dead, and no other one has taken it over.
    Dead,
    /// It has no lock: it is being made, or a power cut took the name of the lock.
    WithoutLock,
    /// The lock cannot be tried: the file system has no locks, or is read-only.
    Unknown,
}

/// What the lock of an instance says, without waiting. A lock that is granted is let go of at once.
#[cfg(feature = "internals")]
pub(super) fn liveness<D: Disk>(disk: &D, folder: &D::Folder) -> Result<Liveness, DiskError> {
    match disk.try_lock(folder, LOCK, false) {
        Ok(Locking::Granted(_)) => Ok(Liveness::Dead),
        Ok(Locking::Taken) => Ok(Liveness::Alive),
        Ok(Locking::Unsupported) => Ok(Liveness::Unknown),
        Err(error) if error.kind == ErrorKind::Missing => Ok(Liveness::WithoutLock),
        Err(error) if error.kind == ErrorKind::Denied => Ok(Liveness::Unknown),
        Err(error) => Err(error),
    }
}

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentFile {
    pub(super) name: String,
    pub(super) bytes: u64,
}

/// Whether a folder of this name is that of an instance.
pub(super) fn is_instance(name: &str) -> bool {
    name.starts_with(INSTANCE)
}

/// The name of the segment of this number.
pub(super) fn segment_name(number: u32) -> String {
    format!("{number:08}{ENDING}")
}

impl<D: Disk> Instance<D> {
    /// Makes an instance, and locks it. The error is `Exists` if the name is taken: another one is tried then.
    pub(super) fn make(disk: &D, destination: &D::Folder, pid: u32, random: u64) -> Result<Self, DiskError> {
        let name = format!("{INSTANCE}{pid}-{random:016x}");
        disk.make_folder(destination, &name)?;
        let folder = disk.open_folder(destination, &name)?;
        // Another process may lock what is new, find nothing in it and remove it.
        let exists = || DiskError::new(ErrorKind::Exists, "another process has taken the new instance");
        let lock = match disk.try_lock(&folder, LOCK, true)? {
            Locking::Granted(lock) if disk.is_still(&lock, &folder, LOCK) => Some(lock),
            Locking::Granted(_) | Locking::Taken => return Err(exists()),
            Locking::Unsupported => None,
        };
        Ok(Instance { name, folder, _lock: lock })
    }

    /// Takes an instance over if its process is dead. `make_lock` says that it gets a lock if it has none.
    pub(super) fn take(
        disk: &D,
        destination: &D::Folder,
        name: &str,
        make_lock: bool,
    ) -> Result<Taking<D>, DiskError> {
        let gone = |error: DiskError| match error.kind {
            ErrorKind::Missing => Ok(Taking::NotDead),
            _ => Err(error),
        };
        let folder = match disk.open_folder(destination, name) {
            Ok(folder) => folder,
            Err(error) => return gone(error),
        };
        let locking = match disk.try_lock(&folder, LOCK, make_lock) {
            Ok(locking) => locking,
            Err(error) if error.kind == ErrorKind::Missing && !make_lock => return Ok(Taking::WithoutLock),
            Err(error) => return gone(error),
        };
        Ok(match locking {
            Locking::Granted(lock) if disk.is_still(&lock, &folder, LOCK) => {
                Taking::Taken(Instance { name: name.to_owned(), folder, _lock: Some(lock) })
            }
            Locking::Granted(_) | Locking::Taken | Locking::Unsupported => Taking::NotDead,
        })
    }

    /// Its segments, the oldest first. Other files are not the spool's.
    pub(super) fn segments(&self, disk: &D) -> Result<Vec<SegmentFile>, DiskError> {
        segments(disk, &self.folder)
    }

    /// Removes it, if nothing but the lock is left in it.
    pub(super) fn remove(self, disk: &D, destination: &D::Folder) -> Result<(), DiskError> {
        if disk.list(&self.folder)?.iter().any(|name| name != LOCK) {
            return Ok(());
        }
        match disk.remove(&self.folder, LOCK) {
            Err(error) if error.kind != ErrorKind::Missing => return Err(error),
            _ => {}
        }
        disk.remove_folder(destination, &self.name)
    }
}

/// The segments in the folder of an instance.
pub(super) fn segments<D: Disk>(disk: &D, folder: &D::Folder) -> Result<Vec<SegmentFile>, DiskError> {
    let mut names = disk.list(folder)?;
    names.retain(|name| name.ends_with(ENDING));
    names.sort_unstable();
    let with_size = |name: String| {
        let stat = disk.stat(folder, &name).ok()?;
        (stat.kind == StatKind::File).then_some(SegmentFile { name, bytes: stat.bytes })
    };
    Ok(names.into_iter().filter_map(with_size).collect())
}
