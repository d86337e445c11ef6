//! Descriptors that a forked child must not have: a lock that a child inherits stays locked when its parent dies, and
//! a file that was removed keeps its space.
//!
//! Each is in a table while it is open, and a fork handler closes in the child what its parent had open. Between the
//! call that opens a file and its place in the table a fork may copy it; what must not be copied, a lock, is opened
//! [`apart_from_forks`]. A child that was made in another way than by `fork` keeps them until it runs another program.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::{self, fcntl_dupfd_cloexec};

use super::standard_descriptors::occupy;
use crate::runtime::fork::drawn_epoch;
use crate::runtime::fork_epoch;
use crate::status::{Error, Status};

/// How many are in the table at most. Further ones stay open in children.
const PLACES: usize = 1024;
/// A place holds a descriptor plus 1 in its lower half, and what is left of the epoch of its process in the upper half.
static OPEN: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
/// Which file each is: the host may have closed it, and have another one under its number.
static FILES: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
/// Holds a place while a descriptor is put into it.
const TAKEN: u64 = u64::MAX;
static WATCHING: AtomicBool = AtomicBool::new(false);
/// The epoch of this process when it forked last.
static FORKING_EPOCH: AtomicU64 = AtomicU64::new(0);
/// Forks of this process that have begun, and those of them that are over.
static BEGUN: AtomicU32 = AtomicU32::new(0);
static OVER: AtomicU32 = AtomicU32::new(0);

/// Has children close the descriptors of their parents from now on.
pub(crate) fn close_in_children() -> Result<(), Error> {
    if WATCHING.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the handlers are async-signal-safe: they use atomics and close descriptors. They never run after the
    // library is gone, which is never unloaded.
    let failed =
        unsafe { libc::pthread_atfork(Some(fork_begins), Some(fork_is_over), Some(close_inherited)) };
    if failed != 0 {
        let reason = std::io::Error::from_raw_os_error(failed);
        let text = format!("spool_dir: the fork handler could not be registered: {reason}; try again later");
        return Err(Error::new(Status::OUT_OF_RESOURCES, text));
    }
    WATCHING.store(true, Ordering::Release);
    Ok(())
}

extern "C" fn fork_begins() {
    BEGUN.fetch_add(1, Ordering::SeqCst);
    FORKING_EPOCH.store(drawn_epoch(), Ordering::Relaxed);
}

extern "C" fn fork_is_over() {
    OVER.fetch_add(1, Ordering::SeqCst);
}

/// How often something is opened again because the process forked meanwhile.
const MOST_TRIES: usize = 50;
/// How long a fork that has begun is waited for, each time.
const FORK: Duration = Duration::from_millis(1);

/// Opens something while no fork of this process is under way, so that no child has a copy which it does not close.
/// Where a fork began meanwhile, `undo` takes back what was opened, also for such a copy, and it is opened again. A
/// process that forks without a pause gets what was opened in the last of some tries as it is.
pub(crate) fn apart_from_forks<T>(mut open: impl FnMut() -> T, mut undo: impl FnMut(T)) -> T {
    for _ in 1..MOST_TRIES {
        let begun = BEGUN.load(Ordering::SeqCst);
        if OVER.load(Ordering::SeqCst) != begun {
            std::thread::sleep(FORK);
            continue;
        }
        let opened = open();
        if BEGUN.load(Ordering::SeqCst) == begun {
            return opened;
        }
        undo(opened);
    }
    open()
}

extern "C" fn close_inherited() {
    // The thread that was forked is the only one here, and what other threads had begun is not.
    OVER.store(BEGUN.load(Ordering::SeqCst), Ordering::SeqCst);
    let [own, parents] =
        [drawn_epoch(), FORKING_EPOCH.load(Ordering::Relaxed)].map(|epoch| place_of(epoch, 0) & EPOCH);
    for (place, file) in OPEN.iter().zip(&FILES) {
        let held = place.load(Ordering::Relaxed);
        // What this child has opened itself, in an earlier handler, is its own.
        if held == 0 || held & EPOCH == own {
            continue;
        }
        place.store(0, Ordering::Relaxed);
        let descriptor = i32::try_from((held & !EPOCH) - 1).unwrap_or(-1);
        // What the parent had inherited itself, by a call that runs no handlers, it may have closed. And a host that
        // closes everything has files of its own under these numbers afterwards.
        if held & EPOCH == parents && file_of(descriptor) == Some(file.load(Ordering::Relaxed)) {
            // SAFETY: the descriptor was inherited from the parent, in which a value owned it. No value owns it here:
            // what the parent had is never used or dropped in a child.
            unsafe { libc::close(descriptor) };
        }
    }
}

const EPOCH: u64 = !0 << 32;

fn place_of(epoch: u64, descriptor: i32) -> u64 {
    epoch << 32 | (u64::from(descriptor.unsigned_abs()) + 1)
}

/// A number that differs between most files; `None` if the descriptor is not open. Async-signal-safe.
fn file_of(descriptor: RawFd) -> Option<u64> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the call writes to a place of ours, or fails.
    let stat = unsafe { (libc::fstat(descriptor, stat.as_mut_ptr()) == 0).then(|| stat.assume_init()) }?;
    #[allow(clippy::cast_lossless, clippy::cast_sign_loss, reason = "the types differ between systems")]
    let [device, inode] = [stat.st_dev as u64, stat.st_ino as u64];
    Some(device.rotate_left(32) ^ inode)
}

/// An open descriptor that children close.
#[derive(Debug)]
pub(crate) struct OwnDescriptor {
    descriptor: OwnedFd,
    place: Option<usize>,
}

impl OwnDescriptor {
    /// Opens something, which does not become standard input, output or error where the host has closed these.
    pub(crate) fn open(open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<Self> {
        // Without descriptors it is the next step that fails.
        let _ = occupy();
        let descriptor = above_standard(open()?)?;
        let number = descriptor.as_raw_fd();
        let free = |place: &AtomicU64| {
            place.compare_exchange(0, TAKEN, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        let place = OPEN.iter().position(free);
        if let Some((open, file)) = place.and_then(|place| OPEN.get(place).zip(FILES.get(place))) {
            // A child that is forked before the last line keeps it open.
            file.store(file_of(number).unwrap_or_default(), Ordering::Relaxed);
            open.store(place_of(fork_epoch(), number), Ordering::Release);
        }
        Ok(OwnDescriptor { descriptor, place })
    }
}

/// The descriptor, or a copy of it whose number is above 2 if the host has closed one of these just now: what the host
/// writes to its standard error, and what it opens as that, must not meet a file of the spool.
fn above_standard(descriptor: OwnedFd) -> io::Result<OwnedFd> {
    if descriptor.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(descriptor);
    }
    let copy = fcntl_dupfd_cloexec(&descriptor, libc::STDERR_FILENO + 1);
    let number = descriptor.into_raw_fd();
    // The host may have another file there by now, which stays.
    if copy.as_ref().map_or(true, |copy| file_of(copy.as_raw_fd()) == file_of(number)) {
        // SAFETY: nothing owns the number any more.
        unsafe { libc::close(number) };
    }
    copy
}

impl AsFd for OwnDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Drop for OwnDescriptor {
    fn drop(&mut self) {
        // Before it is closed: a child must not close what has its number next.
        if let Some(place) = self.place.and_then(|place| OPEN.get(place)) {
            place.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn try_lock(path: &std::path::Path) -> Option<OwnDescriptor> {
        let file = OwnDescriptor::open(|| Ok(File::create(path).unwrap().into())).unwrap();
        // SAFETY: the descriptor is open.
        let locked = unsafe { libc::flock(file.descriptor.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
        locked.then_some(file)
    }

    fn unlock(file: Option<OwnDescriptor>) {
        if let Some(file) = file {
            // SAFETY: the descriptor is open.
            unsafe { libc::flock(file.descriptor.as_raw_fd(), libc::LOCK_UN) };
        }
    }

    /// Makes a child that does nothing for a minute.
    fn child() -> libc::pid_t {
        // SAFETY: the child calls nothing but sleep and _exit, which are async-signal-safe.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                libc::sleep(60);
                libc::_exit(0);
            }
            pid
        }
    }

    #[test]
    fn no_child_has_a_copy_of_a_lock() {
        crate::runtime::fork::watch_forks().unwrap();
        close_in_children().unwrap();
        let folder = std::env::temp_dir().join(format!("phc-forks-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let ends = AtomicBool::new(false);
        // Those during whose opening a fork began.
        let mut locks = Vec::new();
        let children = std::thread::scope(|scope| {
            let forks = scope.spawn(|| {
                let pause_and_fork = |_| {
                    std::thread::sleep(FORK);
                    child()
                };
                let children: Vec<_> = (0..60).map(pause_and_fork).collect();
                ends.store(true, Ordering::SeqCst);
                children
            });
            while !ends.load(Ordering::SeqCst) {
                let path = folder.join(locks.len().to_string());
                let begun = BEGUN.load(Ordering::SeqCst);
                let lock = apart_from_forks(|| try_lock(&path), unlock);
                if BEGUN.load(Ordering::SeqCst) == begun {
                    unlock(lock);
                } else {
                    locks.push((path, lock));
                }
            }
            forks.join().unwrap()
        });
        let paths: Vec<_> = locks.into_iter().map(|(path, _)| path).collect();
        let begun = std::time::Instant::now();
        // A child closes what it has some time after the fork.
        let is_free = |path: &std::path::PathBuf| loop {
            let lock = try_lock(path);
            if lock.is_some() || begun.elapsed() > Duration::from_secs(10) {
                break lock.is_some();
            }
            std::thread::sleep(FORK);
        };
        let taken = paths.iter().filter(|path| !is_free(path)).count();
        for pid in children {
            // SAFETY: they are children of this process, for which nothing else waits.
            unsafe {
                libc::kill(pid, libc::SIGKILL);
                libc::waitpid(pid, std::ptr::null_mut(), 0);
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(taken, 0, "of {} locks, children have copies", paths.len());
    }
}
