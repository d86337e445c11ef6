//! What the spool asks of a disk. Everything above it is logic, and runs in the tests on a disk in memory that loses
//! power, tears writes and fails on request.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

/// A disk. Names are single names within a folder that is open; nothing below the root is found by a path, so that a
/// folder which is replaced by a link leads nowhere.
pub(crate) trait Disk {
    /// An open folder.
    type Folder: Clone + fmt::Debug;
    /// An open file, to which bytes can be appended.
    type File: fmt::Debug;
    /// A lock that this process has, until it is dropped or the process ends.
    type Lock: fmt::Debug;

    /// Opens the folder that a setting names, and makes its last part if that is missing. It belongs to the user of
    /// this process, and no one else may write to it.
    fn open_root(&self, path: &Path) -> Result<Self::Folder, DiskError>;
    /// Opens a folder of this user.
    fn open_folder(&self, parent: &Self::Folder, name: &str) -> Result<Self::Folder, DiskError>;
    /// Makes a folder.
    fn make_folder(&self, parent: &Self::Folder, name: &str) -> Result<(), DiskError>;
    /// Removes an empty folder.
    fn remove_folder(&self, parent: &Self::Folder, name: &str) -> Result<(), DiskError>;
    /// The names in a folder, in any order.
    fn list(&self, folder: &Self::Folder) -> Result<Vec<String>, DiskError>;
    /// What is there under a name; links are not followed.
    fn stat(&self, folder: &Self::Folder, name: &str) -> Result<Stat, DiskError>;
    /// Makes a file that is not there yet.
    fn create(&self, folder: &Self::Folder, name: &str) -> Result<Self::File, DiskError>;
    /// Opens a file of this user that has this one name.
    fn open(&self, folder: &Self::Folder, name: &str) -> Result<Self::File, DiskError>;
    /// Appends bytes, and then those of `rest`, in one call of the system; returns how many were written, which may be
    /// fewer.
    fn append(&self, file: &Self::File, bytes: &[u8], rest: &[u8]) -> Result<usize, DiskError>;
    /// Waits until what was written to a file outlives a power cut.
    fn sync(&self, file: &Self::File) -> Result<(), DiskError>;
    /// The same for the names in a folder.
    fn sync_folder(&self, folder: &Self::Folder) -> Result<(), DiskError>;
    /// The first bytes of a file of this user that has this one name.
    fn read(&self, folder: &Self::Folder, name: &str, most: u64) -> Result<Vec<u8>, DiskError>;
    /// Removes a file.
    fn remove(&self, folder: &Self::Folder, name: &str) -> Result<(), DiskError>;
    /// Moves a file to another folder.
    fn rename(
        &self,
        from: &Self::Folder,
        name: &str,
        to: &Self::Folder,
        new_name: &str,
    ) -> Result<(), DiskError>;
    /// Tries to lock a file, which is made if `make` says so and it is missing. Never waits.
    fn try_lock(
        &self,
        folder: &Self::Folder,
        name: &str,
        make: bool,
    ) -> Result<Locking<Self::Lock>, DiskError>;
    /// Whether the file that is locked is the one of this name. Another process may have removed it, and made a new
    /// one, between the time it was opened and the time it was locked.
    fn is_still(&self, lock: &Self::Lock, folder: &Self::Folder, name: &str) -> bool;
    /// How many bytes are free for this user.
    fn free_bytes(&self, folder: &Self::Folder) -> Result<u64, DiskError>;
    /// The largest length of a file to which a thread may append that has not blocked SIGXFSZ, in bytes.
    fn largest_file(&self) -> u64;
}

/// What came of trying a lock.
#[derive(Debug)]
pub(crate) enum Locking<L> {
    /// This process has it.
    Granted(L),
    /// Another one has it, which is alive then.
    Taken,
    /// The file system has no locks.
    Unsupported,
}

/// What is there under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// A file, a folder or something else.
    pub(crate) kind: StatKind,
    /// Its length.
    pub(crate) bytes: u64,
    /// When it was changed last, in milliseconds since 1970.
    pub(crate) modified_ms: i64,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatKind {
    File,
    Folder,
    Other,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskError {
    /// What follows from it.
    pub(crate) kind: ErrorKind,
    /// What is wrong, for people.
    pub(crate) text: Cow<'static, str>,
}

/// The errors that differ in what follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// No space, or a quota of the system is used up: ENOSPC, EDQUOT.
    Full,
    /// The disk failed: EIO and what the system reports like it.
    Failed,
    /// There is no such name.
    Missing,
    /// The name is there already.
    Exists,
    /// The process may not: EACCES, EPERM, EROFS.
    Denied,
    /// It is not what it should be: its owner, its mode, a link, a device.
    Foreign,
    /// Anything else, such as a shortage of descriptors.
    Other,
}

impl DiskError {
    /// An error with this text.
    pub(crate) fn new(kind: ErrorKind, text: impl Into<Cow<'static, str>>) -> Self {
        DiskError { kind, text: text.into() }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
