//! Whether the files of machine code that are loaded can be listed.
//!
//! glibc locks its list while a file is loaded or unloaded, and while `dl_iterate_phdr` calls back; unwinders use the
//! same call. In a child that was forked meanwhile by another thread, that lock stays locked for ever: glibc makes its
//! other locks anew there, and not this one. So in each process a thread of our own goes through the list first, and
//! where it does not come back there are no native stacks.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::runtime::fork::watch_forks;
use crate::runtime::{PerProcess, spawn};

/// How long the first callers wait: other threads hold the lock for some microseconds.
const LIMIT: Duration = Duration::from_millis(500);

static PROBE: PerProcess<Probe> = PerProcess::new();

#[derive(Default)]
struct Probe {
    /// Whether the list was gone through in this process.
    succeeded: AtomicBool,
    /// Whether the first callers have waited, so that no other one does.
    was_awaited: AtomicBool,
    /// Whether the thread was started.
    began: Mutex<bool>,
    ended: Condvar,
}

/// Whether `dl_iterate_phdr` returns in this process. The first call of a process waits for that, half a second at most.
pub(crate) fn can_list_images() -> bool {
    if let Some(probe) = PROBE.get()
        && (probe.succeeded.load(Ordering::Acquire) || probe.was_awaited.load(Ordering::Relaxed))
    {
        return probe.succeeded.load(Ordering::Acquire);
    }
    watch_forks().is_ok() && PROBE.get_or_make(Probe::default).wait()
}

impl Probe {
    #[cold]
    fn wait(&'static self) -> bool {
        let mut began = self.began.lock().unwrap_or_else(PoisonError::into_inner);
        if !*began && spawn("phc-loader", || self.run()).is_err() {
            // Perhaps the next time.
            return false;
        }
        *began = true;
        let is_listing = |_: &mut bool| !self.succeeded.load(Ordering::Acquire);
        drop(self.ended.wait_timeout_while(began, LIMIT, is_listing));
        self.was_awaited.store(true, Ordering::Relaxed);
        self.succeeded.load(Ordering::Acquire)
    }

    fn run(&self) {
        list_images();
        self.succeeded.store(true, Ordering::Release);
        drop(self.began.lock().unwrap_or_else(PoisonError::into_inner));
        self.ended.notify_all();
    }
}

fn list_images() {
    extern "C" fn stop(_: *mut libc::dl_phdr_info, _: libc::size_t, _: *mut libc::c_void) -> libc::c_int {
        1
    }
    // SAFETY: the callback does nothing.
    unsafe { libc::dl_iterate_phdr(Some(stop), std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_gone_through_here() {
        assert!(can_list_images() && can_list_images());
    }
}
