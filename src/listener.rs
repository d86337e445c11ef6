//! The host's error callback, on a thread of its own, so that a slow one delays
//! no delivery and one client's none of another's.

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::outcome::Report;
use crate::runtime;
use crate::shared::Shared;

/// The thread's name, as `ps -T` shows it.
pub const NAME: &str = "phc-callback";

/// What is called with each report.
pub type Listener = Box<dyn Fn(Report) + Send + Sync>;

thread_local! {
    static IN_CALLBACK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a callback of the host.
pub fn in_callback() -> bool {
    IN_CALLBACK.try_with(Cell::get).unwrap_or(false)
}

/// Runs a callback of the host, so marked.
pub fn inside_callback<T>(call: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            let _ = IN_CALLBACK.try_with(|flag| flag.set(self.0));
        }
    }
    let _restore = Restore(IN_CALLBACK.try_with(|flag| flag.replace(true)).unwrap_or(false));
    call()
}

/// The listener of a client. It outlives a fork: the child calls it too, from a
/// thread of its own.
#[derive(Default)]
pub struct ListenerSlot {
    listener: ArcSwapOption<Listener>,
}

impl ListenerSlot {
    /// Whether one is set.
    pub fn is_set(&self) -> bool {
        self.listener.load().is_some()
    }

    /// Puts another one, or none, in the place of the present one.
    pub fn replace(&self, listener: Option<Listener>) {
        self.listener.store(listener.map(Arc::new));
    }
}

/// The running thread of one client in one process.
pub struct ListenerThread {
    thread: JoinHandle<()>,
    control: Arc<Control>,
}

#[derive(Default)]
struct Control {
    /// Held during a call.
    calling: Mutex<()>,
    /// Set when the client is freed: no call begins after this.
    stop_at: Mutex<Option<Instant>>,
}

impl ListenerThread {
    /// Starts it.
    pub fn start(shared: Arc<Shared>, slot: Arc<ListenerSlot>) -> std::io::Result<Self> {
        let control = Arc::new(Control::default());
        let thread = {
            let control = Arc::clone(&control);
            runtime::spawn(NAME, move || {
                while let Some(report) = control.next_report(&shared, &slot) {
                    let _calling = control.calling.lock().unwrap_or_else(PoisonError::into_inner);
                    // Read once more: it may have been replaced just now.
                    if let Some(listener) = slot.listener.load_full() {
                        listener(report);
                    }
                }
            })?
        };
        Ok(ListenerThread { thread, control })
    }

    /// The call that may be under way.
    pub fn call(&self) -> Call {
        Call { control: Arc::clone(&self.control), thread: self.thread.thread().id() }
    }

    /// Lets it call what is still to be told, for at most so long, and ends it.
    pub fn stop(self, shared: &Shared, limit: Duration) {
        *self.control.stop_at.lock().unwrap_or_else(PoisonError::into_inner) =
            Instant::now().checked_add(limit);
        // Taken and given back, so that the thread is not between its look at
        // the books and its wait.
        drop(shared.books());
        shared.news.notify_all();
        if self.thread.thread().id() != std::thread::current().id() {
            let _ = self.thread.join();
        }
    }
}

/// A call of a listener that may be under way.
pub struct Call {
    control: Arc<Control>,
    thread: ThreadId,
}

impl Call {
    /// Waits for its end; not at all from inside it.
    pub fn wait(&self) {
        if self.thread != std::thread::current().id() {
            drop(self.control.calling.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Control {
    fn next_report(&self, shared: &Shared, slot: &ListenerSlot) -> Option<Report> {
        let mut books = shared.books();
        loop {
            let stop_at = *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner);
            if stop_at.is_some_and(|stop_at| Instant::now() >= stop_at) {
                return None;
            }
            // With no listener set, reports wait for a poller.
            let report = if slot.is_set() { books.mailbox.take() } else { None };
            if report.is_some() || stop_at.is_some() {
                return report;
            }
            books = Shared::wait(&shared.news, books, None).0;
        }
    }
}
