//! The host's callbacks: which are set, how one is replaced while it runs, and whether
//! the current thread is inside one.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use crate::config::LogLevel;
use crate::delivery::{CallbacksSet, Report};
use crate::runtime::{DeferredCancellation, fork_epoch};
use crate::sync::{ArcSwapOption, Condvar, Mutex, recover, thread_local};

/// The error or the delivery callback.
pub(crate) type ReportFunction = Box<dyn Fn(Report) + Send + Sync>;

/// The log callback.
pub(crate) type LogFunction = Box<dyn Fn(LogLevel, &str) + Send + Sync>;

/// The `before_send` callback. It gets the event's wire bytes.
pub(crate) type BeforeSendFunction = Box<dyn Fn(&[u8]) -> BeforeSend + Send + Sync>;

/// What `before_send` decides on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BeforeSend {
    /// It is taken as it is.
    Keep,
    /// It is not taken.
    Discard,
    /// This JSON object is taken in its place.
    Replace(Vec<u8>),
    /// It could not be called, for there was no memory for the event.
    NoMemory,
}

/// The code of the host that a thread is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inside {
    /// None that libphc has called.
    Nothing,
    /// `before_send`.
    BeforeSend,
    /// The error, delivery or log callback, on the client's thread for them.
    Callback,
    /// The log callback, which is called by the function that sets it.
    LogCallbackAtOnce,
}

thread_local! {
    static INSIDE: Cell<Inside> = const { Cell::new(Inside::Nothing) };
}

/// The code of the host that this thread is inside.
#[inline]
pub(crate) fn inside() -> Inside {
    INSIDE.try_with(Cell::get).unwrap_or(Inside::Nothing)
}

/// Runs code of the host, marked as such.
pub(crate) fn run_inside<T>(inside: Inside, call: impl FnOnce() -> T) -> T {
    struct Restore(Inside);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = INSIDE.try_with(|now| now.set(self.0));
        }
    }
    let _restore = Restore(INSIDE.try_with(|now| now.replace(inside)).unwrap_or(Inside::Nothing));
    call()
}

/// A callback that is set, or was and still runs.
pub(crate) struct Callback<F> {
    /// `None` only while it is being dropped.
    function: Option<F>,
    epoch: u64,
    freed: Arc<Freed>,
}

/// Signalled when a callback, and with it the host's user data, has been freed.
#[derive(Default)]
struct Freed {
    done: Mutex<bool>,
    changed: Condvar,
}

impl<F> Callback<F> {
    /// A callback of this process.
    pub(crate) fn new(function: F) -> Arc<Self> {
        Arc::new(Callback { function: Some(function), epoch: fork_epoch(), freed: Arc::default() })
    }

    /// The function; `None` never occurs outside of its end.
    pub(crate) fn function(&self) -> Option<&F> {
        self.function.as_ref()
    }

    /// Waits until no thread uses the callback any more, once it is no longer set, and
    /// its user data is freed.
    ///
    /// Inside a callback nothing is waited for: two callbacks that replace each other
    /// would wait for ever. A callback that was inherited by a fork is not waited for
    /// either: the thread that ran it does not exist here.
    pub(crate) fn wait_until_unused(self: Arc<Self>) {
        let (freed, epoch) = (Arc::clone(&self.freed), self.epoch);
        drop(self);
        if inside() != Inside::Nothing || epoch != fork_epoch() {
            return;
        }
        // Lock order: no other lock is held.
        let mut done = recover(freed.done.lock());
        while !*done {
            done = recover(freed.changed.wait(done));
        }
    }
}

impl<F> Drop for Callback<F> {
    fn drop(&mut self) {
        {
            // The host's code frees its user data here, perhaps on a thread that captures.
            let _deferred = DeferredCancellation::begin();
            drop(self.function.take());
        }
        *recover(self.freed.done.lock()) = true;
        self.freed.changed.notify_all();
    }
}

impl<F> fmt::Debug for Callback<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").finish_non_exhaustive()
    }
}

/// The error, delivery and log callbacks of a client. They outlive a fork: the child
/// calls them from a thread of its own.
#[derive(Default)]
pub(crate) struct CallbackSlots {
    pub(crate) error: Slot<ReportFunction>,
    pub(crate) delivery: Slot<ReportFunction>,
    pub(crate) log: Slot<LogFunction>,
}

impl CallbackSlots {
    /// Whether any of them is set.
    pub(crate) fn any(&self) -> bool {
        self.error.is_set() || self.delivery.is_set() || self.log.is_set()
    }

    /// Which of those for reports are set.
    pub(crate) fn set(&self) -> CallbacksSet {
        CallbacksSet { error: self.error.is_set(), delivery: self.delivery.is_set() }
    }
}

/// A place for one callback, read without a lock, which a forked child could inherit
/// locked.
pub(crate) struct Slot<F>(ArcSwapOption<Callback<F>>);

impl<F> Slot<F> {
    /// Whether a callback is set.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load().is_some()
    }

    /// The callback that is set.
    pub(crate) fn load(&self) -> Option<Arc<Callback<F>>> {
        self.0.load_full()
    }

    /// Sets a callback, or none, and returns the one before.
    pub(crate) fn replace(&self, function: Option<F>) -> Option<Arc<Callback<F>>> {
        self.0.swap(function.map(Callback::new))
    }
}

impl<F> Default for Slot<F> {
    fn default() -> Self {
        Slot(ArcSwapOption::empty())
    }
}
