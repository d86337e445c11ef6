//! Which process this is: life after a fork, without help from the host.
//!
//! A child inherits memory but no threads: a lock may be held by a thread that does
//! not exist any more, and sockets and the epoll instance are shared with the
//! parent. So nothing inherited is locked, dropped or waited for. What belongs to one
//! process is kept in a [`PerProcess`] cell under a number, the fork epoch; a child
//! has another epoch, finds the cell empty and fills it anew. The parent's value is
//! leaked in the child.
//!
//! A child finds the word that holds the epoch at zero, and its first reader draws a
//! new epoch. The kernel empties the page of that word in every child, however it was
//! made (MADV_WIPEONFORK, Linux 4.14: `fork`, `_Fork`, `clone`). Where the kernel
//! refuses that, a fork handler does it, which `fork` alone runs.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(not(all(test, feature = "race-models")))]
use super::system;
use crate::status::Error;
use crate::sync::{AtomicPtr, AtomicU64};

/// The fork epoch of this process; zero until it is drawn. It fills a page of its own,
/// because the kernel empties whole pages. The page is a part of the library's zeroed
/// memory, so that a reader needs no pointer to it and no thread has to make it.
#[cfg_attr(target_arch = "x86_64", repr(C, align(4096)))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C, align(65536)))]
#[cfg(not(all(test, feature = "race-models")))]
struct EpochPage {
    epoch: AtomicU64,
}

#[cfg(not(all(test, feature = "race-models")))]
static PAGE: EpochPage = EpochPage { epoch: AtomicU64::new(0) };
/// The last epoch that this process or an ancestor of it has drawn. Children inherit it,
/// so no process draws an epoch under which it could find a value of an ancestor.
#[cfg(not(all(test, feature = "race-models")))]
static LAST_DRAWN: AtomicU64 = AtomicU64::new(0);

#[cfg(all(test, feature = "race-models"))]
struct ModelledPage {
    epoch: AtomicU64,
}
#[cfg(all(test, feature = "race-models"))]
loom::lazy_static! {
    static ref PAGE: ModelledPage = ModelledPage { epoch: AtomicU64::new(0) };
    static ref LAST_DRAWN: AtomicU64 = AtomicU64::new(0);
}

static WATCHING: AtomicBool = AtomicBool::new(false);

/// A number that differs between a process and those that it was forked from.
#[inline]
pub(crate) fn fork_epoch() -> u64 {
    match PAGE.epoch.load(Ordering::Relaxed) {
        0 => draw_epoch(),
        epoch => epoch,
    }
}

/// The number, or 0 where it was not drawn yet; async-signal-safe.
#[cfg(all(unix, feature = "spool"))]
pub(super) fn drawn_epoch() -> u64 {
    PAGE.epoch.load(Ordering::Relaxed)
}

/// Draws the epoch of this process. Threads that race here agree on one; nothing is
/// waited for, so a fork or a signal at any point does no harm.
#[cold]
fn draw_epoch() -> u64 {
    // A child that inherits a value of some epoch has inherited this addition, too: it
    // comes before the epoch is visible.
    let new = LAST_DRAWN.fetch_add(1, Ordering::AcqRel) + 1;
    match PAGE.epoch.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => new,
        Err(drawn) => drawn,
    }
}

/// What happens to the epoch in a child. It is the fork handler of the child where the
/// kernel does not do it; the race models call it to model a fork.
pub(crate) extern "C" fn after_fork_in_child() {
    PAGE.epoch.store(0, Ordering::Relaxed);
}

/// Makes every child begin without an epoch from now on. Fails if the system offers no
/// way to do so, because parent and child would then make the same uuids.
///
/// Two threads that race here both do it, which is harmless. A lock or a once-cell would
/// make a child that is forked in between wait for ever.
pub(crate) fn watch_forks() -> Result<(), Error> {
    if WATCHING.load(Ordering::Acquire) {
        return Ok(());
    }
    empty_in_children()?;
    WATCHING.store(true, Ordering::Release);
    Ok(())
}

/// Makes every child find the page of the epoch empty.
#[cfg(not(all(test, feature = "race-models")))]
fn empty_in_children() -> Result<(), Error> {
    system::empty_in_children(&PAGE, after_fork_in_child)
}

/// The race models call the handler themselves.
#[cfg(all(test, feature = "race-models"))]
fn empty_in_children() -> Result<(), Error> {
    // Nothing else uses it in this build.
    let _ = super::system::empty_in_children::<u8>;
    Ok(())
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
        // A process without an epoch has no value yet.
        (node.epoch == PAGE.epoch.load(Ordering::Relaxed)).then_some(&node.value)
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
