//! The disk of a Unix system, by way of libc: what is preloaded before libc sees every call.
//!
//! Every name is looked up in a folder that is open, links are never followed, a file that is read or appended to is a
//! regular file of this user with one name, and no descriptor outlives an exec.

use std::ffi::CStr;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use rustix::{fs, io, process};

use super::disk::{Disk, DiskError, ErrorKind, Locking, Stat, StatKind};
use super::moment::Moment;
use crate::runtime::{OwnDescriptor, apart_from_forks};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnixDisk;

const FILE_MODE: Mode = Mode::from_raw_mode(0o600);
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o700);
/// The mode bits that let others write.
const OTHERS_WRITE: Mode = Mode::WGRP.union(Mode::WOTH);
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Opening a FIFO must not wait for its other end.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl Disk for UnixDisk {
    type Folder = Arc<OwnDescriptor>;
    type File = OwnDescriptor;
    type Lock = FileLock;

    fn open_root(&self, path: &Path) -> Result<Self::Folder, DiskError> {
        match fs::mkdir(path, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failure("making it", error)),
        }
        let folder = OwnDescriptor::open(|| fs::open(path, FOLDER, Mode::empty()))
            .map_err(|error| failure("opening it", error))?;
        let stat = fs::fstat(&folder).map_err(|error| failure("looking at it", error))?;
        let (owner, mode) = (stat.st_uid, Mode::from_raw_mode(stat.st_mode));
        let user = process::geteuid().as_raw();
        if owner != user {
            let text = format!("it belongs to user {owner}, and this process runs as user {user}");
            return Err(DiskError::new(ErrorKind::Foreign, text));
        }
        if mode.intersects(OTHERS_WRITE) {
            let mode = mode.as_raw_mode() & 0o7777;
            let text = format!(
                "others may write to it (its mode is {mode:o}): name a new folder inside of it, which is made with mode \
                 700; or, if the spool is all that it is for, set its own mode to 700"
            );
            return Err(DiskError::new(ErrorKind::Foreign, text));
        }
        Ok(Arc::new(folder))
    }

    fn open_folder(&self, parent: &Self::Folder, name: &str) -> Result<Self::Folder, DiskError> {
        let folder = OwnDescriptor::open(|| fs::openat(parent, name, FOLDER, Mode::empty()))
            .map_err(|error| failed("opening", name, error))?;
        let stat = fs::fstat(&folder).map_err(|error| failed("looking at", name, error))?;
        if stat.st_uid != process::geteuid().as_raw() {
            return Err(DiskError::new(
                ErrorKind::Foreign,
                format!("{name} belongs to user {}", stat.st_uid),
            ));
        }
        Ok(Arc::new(folder))
    }

    fn make_folder(&self, parent: &Self::Folder, name: &str) -> Result<(), DiskError> {
        fs::mkdirat(parent, name, FOLDER_MODE).map_err(|error| failed("making", name, error))
    }

    fn remove_folder(&self, parent: &Self::Folder, name: &str) -> Result<(), DiskError> {
        fs::unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(|error| failed("removing", name, error))
    }

    fn list(&self, folder: &Self::Folder) -> Result<Vec<String>, DiskError> {
        let entries = fs::Dir::read_from(folder).map_err(|error| failure("listing a folder", error))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failure("listing a folder", error))?;
            // Nothing that the spool makes has another name than ASCII.
            if let Ok(name) = CStr::to_str(entry.file_name())
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    fn stat(&self, folder: &Self::Folder, name: &str) -> Result<Stat, DiskError> {
        let stat = fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed("looking at", name, error))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => StatKind::File,
            FileType::Directory => StatKind::Folder,
            _ => StatKind::Other,
        };
        let modified_ms = stat.st_mtime.saturating_mul(1000);
        Ok(Stat { kind, bytes: u64::try_from(stat.st_size).unwrap_or(0), modified_ms })
    }

    fn create(&self, folder: &Self::Folder, name: &str) -> Result<Self::File, DiskError> {
        let flags = FILE | OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        OwnDescriptor::open(|| fs::openat(folder, name, flags, FILE_MODE))
            .map_err(|error| failed("making", name, error))
    }

    fn open(&self, folder: &Self::Folder, name: &str) -> Result<Self::File, DiskError> {
        own_file(folder, name, OFlags::WRONLY | OFlags::APPEND)
    }

    fn append(&self, file: &Self::File, bytes: &[u8], rest: &[u8]) -> Result<usize, DiskError> {
        let written = retried(|| {
            if rest.is_empty() {
                io::write(file, bytes)
            } else {
                io::writev(file, &[IoSlice::new(bytes), IoSlice::new(rest)])
            }
        });
        written.map_err(|error| failure("writing", error))
    }

    fn sync(&self, file: &Self::File) -> Result<(), DiskError> {
        // A second call after an error would succeed without what the first one lost.
        #[cfg(target_vendor = "apple")]
        let synced = fs::fcntl_fullfsync(file);
        #[cfg(not(target_vendor = "apple"))]
        let synced = fs::fdatasync(file);
        synced.map_err(|error| failure("syncing", error))
    }

    fn sync_folder(&self, folder: &Self::Folder) -> Result<(), DiskError> {
        match fs::fsync(folder) {
            // Some file systems do not sync folders.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(error) => Err(failure("syncing a folder", error)),
        }
    }

    fn read(&self, folder: &Self::Folder, name: &str, most: u64) -> Result<Vec<u8>, DiskError> {
        let file = own_file(folder, name, OFlags::RDONLY)?;
        let length = fs::fstat(&file).map_err(|error| failed("looking at", name, error))?.st_size;
        let length = usize::try_from(u64::try_from(length).unwrap_or(0).min(most)).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(length)
            .map_err(|_| DiskError::new(ErrorKind::Other, "there is no memory"))?;
        bytes.resize(length, 0);
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match retried(|| io::read(&file, &mut *rest)) {
                Ok(0) => break,
                Ok(more) => done += more,
                Err(error) => return Err(failed("reading", name, error)),
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    fn remove(&self, folder: &Self::Folder, name: &str) -> Result<(), DiskError> {
        fs::unlinkat(folder, name, AtFlags::empty()).map_err(|error| failed("removing", name, error))
    }

    fn rename(
        &self,
        from: &Self::Folder,
        name: &str,
        to: &Self::Folder,
        new_name: &str,
    ) -> Result<(), DiskError> {
        fs::renameat(from, name, to, new_name).map_err(|error| failed("moving", name, error))
    }

    fn try_lock(
        &self,
        folder: &Self::Folder,
        name: &str,
        make: bool,
    ) -> Result<Locking<Self::Lock>, DiskError> {
        let flags = OFlags::RDWR | if make { OFlags::CREATE } else { OFlags::empty() };
        let open = || {
            let file = own_file(folder, name, flags)?;
            match retried(|| fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
                Ok(()) => Ok(Locking::Granted(FileLock(file))),
                Err(Errno::WOULDBLOCK) => Ok(Locking::Taken),
                Err(Errno::INTR) => Err(failed("locking", name, Errno::INTR)),
                Err(_) => Ok(Locking::Unsupported),
            }
        };
        apart_from_forks(open, drop)
    }

    fn is_still(&self, lock: &Self::Lock, folder: &Self::Folder, name: &str) -> bool {
        let named = fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        let identity = |stat: &fs::Stat| (stat.st_dev, stat.st_ino);
        fs::fstat(&lock.0).is_ok_and(|own| named.is_ok_and(|named| identity(&own) == identity(&named)))
    }

    fn free_bytes(&self, folder: &Self::Folder) -> Result<u64, DiskError> {
        let system = fs::fstatvfs(folder).map_err(|error| failure("asking for the free space", error))?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn largest_file(&self) -> u64 {
        process::getrlimit(process::Resource::Fsize).current.unwrap_or(u64::MAX)
    }
}

/// The lock of a file. It is that of all copies of the descriptor, so a child may have one that it does not close.
#[derive(Debug)]
pub(crate) struct FileLock(OwnDescriptor);

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// How often a call is made again that was interrupted.
const MOST_INTERRUPTIONS: usize = 100;

/// Makes a call again that was interrupted. No signal reaches the disk thread, so a file system that goes on to return
/// `EINTR` is at fault, and this is then the error.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..MOST_INTERRUPTIONS {
        match call() {
            Err(Errno::INTR) => {}
            ended => return ended,
        }
    }
    Err(Errno::INTR)
}

/// Opens a file, if it is a regular one of this user with one name.
fn own_file(folder: &OwnDescriptor, name: &str, flags: OFlags) -> Result<OwnDescriptor, DiskError> {
    let file = OwnDescriptor::open(|| fs::openat(folder, name, FILE | flags, FILE_MODE))
        .map_err(|error| failed("opening", name, error))?;
    let stat = fs::fstat(&file).map_err(|error| failed("looking at", name, error))?;
    let is_own = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == process::geteuid().as_raw()
        && stat.st_nlink == 1;
    if is_own {
        return Ok(file);
    }
    if stat.st_nlink == 0 {
        // It was removed just now.
        return Err(failed("opening", name, Errno::NOENT));
    }
    Err(DiskError::new(ErrorKind::Foreign, format!("{name} is not a file of this user with one name")))
}

fn failed(doing: &str, name: &str, error: Errno) -> DiskError {
    failure(&format!("{doing} {name}"), error)
}

fn failure(doing: &str, error: Errno) -> DiskError {
    let kind = match error {
        Errno::NOSPC | Errno::DQUOT => ErrorKind::Full,
        Errno::IO => ErrorKind::Failed,
        Errno::NOENT => ErrorKind::Missing,
        Errno::EXIST | Errno::NOTEMPTY => ErrorKind::Exists,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => ErrorKind::Denied,
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO => ErrorKind::Foreign,
        _ => ErrorKind::Other,
    };
    DiskError::new(kind, format!("{doing} failed: {}", std::io::Error::from(error)))
}

impl Moment {
    /// The clocks of this system now. `boot_id` is what [`boot_id`] has returned.
    pub(crate) fn now(boot_id: u64) -> Self {
        Moment { wall_ms: clock_ms(ClockId::Realtime), boot_ms: boot_ms(), boot_id }
    }
}

/// Milliseconds since the start of the system, as a [`Moment`] has them.
pub(crate) fn boot_ms() -> u64 {
    #[cfg(target_os = "linux")]
    const SINCE_BOOT: ClockId = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const SINCE_BOOT: ClockId = ClockId::Monotonic;
    u64::try_from(clock_ms(SINCE_BOOT)).unwrap_or(0)
}

fn clock_ms(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// A number for this start of the system; 0 where the system does not say.
pub(crate) fn boot_id() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}
