//! Descriptors that a forked child must not have: a lock that a child inherits stays locked when its parent dies, and
//! a file that was removed keeps its space.
//!
//! Each is in a table while it is open, and a fork handler closes in the child what its parent had open. A child that
//! was made in another way than by `fork` keeps them until it runs another program.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::runtime::fork::drawn_epoch;
use crate::runtime::fork_epoch;
use crate::status::{Error, Status};

/// How many are in the table at most. Further ones stay open in children.
const PLACES: usize = 1024;
/// A place holds a descriptor plus 1 in its lower half, and what is left of the epoch of its process in the upper half.
static OPEN: [AtomicU64; PLACES] = [const { AtomicU64::new(0) }; PLACES];
static WATCHING: AtomicBool = AtomicBool::new(false);

/// Has children close the descriptors of their parents from now on.
pub(crate) fn close_in_children() -> Result<(), Error> {
    if WATCHING.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the handler is async-signal-safe: it uses atomics and closes descriptors. It never runs after the
    // library is gone, which is never unloaded.
    let failed = unsafe { libc::pthread_atfork(None, None, Some(close_inherited)) };
    if failed != 0 {
        let reason = std::io::Error::from_raw_os_error(failed);
        let text = format!("spool_dir: the fork handler could not be registered: {reason}; try again later");
        return Err(Error::new(Status::OUT_OF_RESOURCES, text));
    }
    WATCHING.store(true, Ordering::Release);
    Ok(())
}

extern "C" fn close_inherited() {
    let own = place_of(drawn_epoch(), 0) & EPOCH;
    for place in &OPEN {
        let held = place.load(Ordering::Relaxed);
        // What this child has opened itself, in an earlier handler, is its own.
        if held == 0 || held & EPOCH == own {
            continue;
        }
        place.store(0, Ordering::Relaxed);
        let descriptor = i32::try_from((held & !EPOCH) - 1).unwrap_or(-1);
        // SAFETY: the descriptor was inherited from the parent, in which a value owned it. No value owns it here: what
        // the parent had is never used or dropped in a child.
        unsafe { libc::close(descriptor) };
    }
}

const EPOCH: u64 = !0 << 32;

fn place_of(epoch: u64, descriptor: i32) -> u64 {
    epoch << 32 | (u64::from(descriptor.unsigned_abs()) + 1)
}

/// An open descriptor that children close.
#[derive(Debug)]
pub(crate) struct OwnDescriptor {
    descriptor: OwnedFd,
    place: Option<usize>,
}

impl From<OwnedFd> for OwnDescriptor {
    fn from(descriptor: OwnedFd) -> Self {
        let held = place_of(fork_epoch(), descriptor.as_raw_fd());
        let free =
            |place: &AtomicU64| place.compare_exchange(0, held, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        OwnDescriptor { place: OPEN.iter().position(free), descriptor }
    }
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
