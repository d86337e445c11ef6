//! Life after fork(2), with no help from the host.
//!
//! A child inherits memory but no threads: locks may be held by nobody, sockets
//! and the epoll instance are shared with the parent. So nothing inherited is
//! locked, dropped or waited for. A handler in the child bumps a number, the
//! generation, and does nothing else; what belongs to one generation is kept in
//! a [`PerGeneration`], which the child finds empty and fills anew. What the
//! parent had in it is leaked in the child, for good.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::sync::{AtomicPtr, AtomicU64};

#[cfg(not(all(test, feature = "race-models")))]
static GENERATION: AtomicU64 = AtomicU64::new(1);
#[cfg(all(test, feature = "race-models"))]
loom::lazy_static! { static ref GENERATION: AtomicU64 = AtomicU64::new(1); }
static WATCHING: AtomicBool = AtomicBool::new(false);

/// A number that differs between a process and its forked children.
#[inline]
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

pub(crate) extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// Makes forks bump the generation, from now on.
///
/// Two threads that race here both register, which is harmless; a lock or a
/// once-cell would be waited for for ever by a child that is forked in between.
pub fn watch() {
    if !WATCHING.load(Ordering::Acquire) {
        // SAFETY: the handler is async-signal-safe: it adds to an atomic.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        WATCHING.store(true, Ordering::Release);
    }
}

struct Node<T> {
    generation: u64,
    value: T,
}

/// One value a generation, made at its first use.
///
/// Nobody ever waits for another's initialisation: racing threads all make a
/// value and all but one throw theirs away. So making one must be cheap.
pub struct PerGeneration<T> {
    node: AtomicPtr<Node<T>>,
}

impl<T> PerGeneration<T> {
    /// Empty in every generation.
    pub const fn new() -> Self {
        PerGeneration { node: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The value of this generation, if it has been made.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        let node = self.node.load(Ordering::Acquire);
        // SAFETY: a node that was stored stays allocated while `self` lives: it
        // is replaced only by a later generation, which leaks it. It is shared,
        // never mutated.
        let node = unsafe { node.as_ref() }?;
        (node.generation == generation()).then_some(&node.value)
    }

    /// The value of this generation, made by `make` if there is none.
    pub fn get_or_make(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let seen = self.node.load(Ordering::Acquire);
        let generation = generation();
        // SAFETY: as in `get`.
        if let Some(node) = unsafe { seen.as_ref() }
            && node.generation == generation
        {
            return &node.value;
        }
        let new = Box::into_raw(Box::new(Node { generation, value: make() }));
        match self.node.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: the node is stored now, so the reasons in `get` hold.
            Ok(_) => unsafe { &(*new).value },
            Err(winner) => {
                // SAFETY: `new` came from a box and was given to nobody. The
                // winner is a stored node of this generation: within one, only
                // the first store succeeds.
                unsafe {
                    drop(Box::from_raw(new));
                    &(*winner).value
                }
            }
        }
    }
}

impl<T> Drop for PerGeneration<T> {
    fn drop(&mut self) {
        let node = self.node.load(Ordering::Acquire);
        // SAFETY: `&mut self`, so nobody else uses the node; it came from a box.
        // One of another generation is inherited, and leaked.
        unsafe {
            if node.as_ref().is_some_and(|node| node.generation == generation()) {
                drop(Box::from_raw(node));
            }
        }
    }
}

// SAFETY: it hands out `&T` to any thread and drops `T` on any thread.
unsafe impl<T: Send + Sync> Sync for PerGeneration<T> {}
// SAFETY: it owns its `T`.
unsafe impl<T: Send> Send for PerGeneration<T> {}

impl<T> Default for PerGeneration<T> {
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
            let cell = PerGeneration::new();
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
