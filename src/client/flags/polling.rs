//! How far the fetching of definitions is in one process: what the poller and those who wait for it share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::Notify;

use crate::flags::remote::Failure;
use crate::sync::recover;

/// What the poller of one process and those who wait for it share.
#[derive(Default)]
pub(super) struct Polling {
    pub(super) is_started: AtomicBool,
    /// Whether flags were evaluated since the poller has last looked.
    pub(super) is_used: AtomicBool,
    pub(super) is_paused: AtomicBool,
    pub(super) wake: Notify,
    /// Lock order: no other lock is taken while it is held.
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// Requests are numbered from 1.
#[derive(Default)]
pub(super) struct Progress {
    pub begun: u64,
    pub ended: u64,
    /// The last one that is asked for.
    pub asked: u64,
    /// Why the last one that has ended brought nothing.
    pub failure: Option<Failure>,
    pub is_stopped: bool,
}

impl Polling {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
        recover(self.progress.lock())
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        let result = change(&mut self.progress());
        self.changed.notify_all();
        result
    }

    /// Ends the waits, and those to come.
    pub(super) fn stop(&self) {
        self.change(|progress| progress.is_stopped = true);
    }

    /// Waits until `look` returns something; `None` at the deadline.
    pub(super) fn wait<T>(&self, deadline: Instant, look: impl Fn(&Progress) -> Option<T>) -> Option<T> {
        let mut progress = self.progress();
        loop {
            if let Some(found) = look(&progress) {
                return Some(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            progress = recover(self.changed.wait_timeout(progress, left)).0;
        }
    }

    /// Notes an evaluation, and ends a pause.
    #[inline]
    pub(super) fn note_use(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::SeqCst);
            if self.is_paused.load(Ordering::SeqCst) {
                self.wake.notify_one();
            }
        }
    }
}
