//! Life after fork(2), without help from the host.
//!
//! A child inherits memory but no threads: a lock may be held by a thread that does
//! not exist any more, and sockets and the epoll instance are shared with the
//! parent. So nothing inherited is locked, dropped or waited for. A handler in the
//! child increments a number, the fork epoch, and does nothing else. What belongs
//! to one process is kept in a [`PerProcess`] cell, which the child finds empty and
//! fills anew; the parent's value is leaked in the child.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sync::{AtomicPtr, AtomicU64};

#[cfg(not(all(test, feature = "race-models")))]
static FORK_EPOCH: AtomicU64 = AtomicU64::new(1);
#[cfg(all(test, feature = "race-models"))]
loom::lazy_static! { static ref FORK_EPOCH: AtomicU64 = AtomicU64::new(1); }
static WATCHING: AtomicBool = AtomicBool::new(false);

/// A number that differs between a process and its forked children.
#[inline]
pub(crate) fn fork_epoch() -> u64 {
    FORK_EPOCH.load(Ordering::Relaxed)
}

/// The fork handler of the child. The race models call it to model a fork.
pub(crate) extern "C" fn after_fork_in_child() {
    FORK_EPOCH.fetch_add(1, Ordering::Relaxed);
}

/// Makes forks increment the epoch from now on.
///
/// Two threads that race here both register the handler, which is harmless. A lock
/// or a once-cell would make a child that is forked in between wait for ever.
pub(crate) fn watch_forks() {
    if !WATCHING.load(Ordering::Acquire) {
        // SAFETY: the handler is async-signal-safe: it adds to an atomic.
        unsafe { libc::pthread_atfork(None, None, Some(after_fork_in_child)) };
        WATCHING.store(true, Ordering::Release);
    }
}

struct Node<T> {
    epoch: u64,
    value: T,
}

/// A value per process, made at its first use.
///
/// No thread ever waits for another's initialisation: threads that race all make a
/// value, one value is stored and the others are dropped. So making one must be
/// cheap and must not have side effects.
pub(crate) struct PerProcess<T> {
    node: AtomicPtr<Node<T>>,
}

impl<T> PerProcess<T> {
    /// A cell that is empty in every process.
    pub(crate) const fn new() -> Self {
        PerProcess { node: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The value of this process, if it has been made.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        let node = self.node.load(Ordering::Acquire);
        // SAFETY: a node that was stored stays allocated while `self` lives: it is
        // replaced only by that of a child process, which leaks it. It is shared and
        // never mutated.
        let node = unsafe { node.as_ref() }?;
        (node.epoch == fork_epoch()).then_some(&node.value)
    }

    /// The value of this process, made by `make` if there is none yet.
    pub(crate) fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let seen = self.node.load(Ordering::Acquire);
        let epoch = fork_epoch();
        // SAFETY: as in `get`.
        if let Some(node) = unsafe { seen.as_ref() }
            && node.epoch == epoch
        {
            return &node.value;
        }
        let new = Box::into_raw(Box::new(Node { epoch, value: make() }));
        match self.node.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: the node is stored now, so the reasons in `get` hold.
            Ok(_) => unsafe { &(*new).value },
            Err(winner) => {
                // SAFETY: `new` came from a box and was given to nothing else. The
                // winner is a stored node of this process: within one epoch only
                // the first store succeeds.
                unsafe {
                    drop(Box::from_raw(new));
                    &(*winner).value
                }
            }
        }
    }
}

impl<T> Drop for PerProcess<T> {
    fn drop(&mut self) {
        let node = self.node.load(Ordering::Acquire);
        // SAFETY: `&mut self`, so nothing else uses the node; it came from a box. A
        // node of another epoch is inherited, and leaked.
        unsafe {
            if node.as_ref().is_some_and(|node| node.epoch == fork_epoch()) {
                drop(Box::from_raw(node));
            }
        }
    }
}

// SAFETY: it hands out `&T` to any thread and drops `T` on any thread.
unsafe impl<T: Send + Sync> Sync for PerProcess<T> {}
// SAFETY: it owns its `T`.
unsafe impl<T: Send> Send for PerProcess<T> {}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn racing_threads_agree_on_one_value() {
        for _ in 0..200 {
            let cell = PerProcess::new();
            let barrier = std::sync::Barrier::new(4);
            let seen: Vec<usize> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4_usize)
                    .map(|i| {
                        let (cell, barrier) = (&cell, &barrier);
                        scope.spawn(move || {
                            barrier.wait();
                            *cell.get_or_make(|| i)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(seen.iter().all(|value| *value == seen[0]));
            assert_eq!(cell.get(), Some(&seen[0]));
        }
    }
}
