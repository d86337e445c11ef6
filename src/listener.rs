//! The host's error and log callbacks, on a thread of their own, so that a slow
//! one delays no delivery and one client's none of another's.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use crate::fault;
use crate::outcome::{Level, Report};
use crate::runtime;
use crate::shared::Shared;

/// The thread's name, as `ps -T` shows it.
pub const NAME: &str = "phc-callback";

/// What is called with each report.
pub type Listener = Box<dyn Fn(Report) + Send + Sync>;

/// What is called with each line for the log.
pub type Logger = Box<dyn Fn(Level, &str) + Send + Sync>;

/// A second passes between two lines about losses.
const LOSSES_EVERY: Duration = Duration::from_secs(1);

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

/// The listener and the logger of a client. They outlive a fork: the child calls
/// them too, from a thread of its own.
#[derive(Default)]
pub struct ListenerSlot {
    listener: ArcSwapOption<Listener>,
    logger: ArcSwapOption<Logger>,
}

impl ListenerSlot {
    /// Whether there is a listener.
    pub fn is_heard(&self) -> bool {
        self.listener.load().is_some()
    }

    /// Whether there is a logger.
    fn is_logged(&self) -> bool {
        self.logger.load().is_some()
    }

    /// Whether there is one of them.
    pub fn wants_anything(&self) -> bool {
        self.is_heard() || self.is_logged()
    }

    /// Calls who is set now: it may have been replaced since the news was taken.
    /// Answers the report when nobody is set any more.
    fn tell(&self, news: News) -> Option<Report> {
        fault::point("listener");
        match news {
            News::Report(report) => match self.listener.load_full() {
                Some(listener) => listener(report),
                None => return Some(report),
            },
            News::Line(level, line) => {
                if let Some(logger) = self.logger.load_full() {
                    logger(level, &line);
                }
            }
        }
        None
    }

    /// Puts another logger, or none, in the place of the present one.
    pub fn replace_logger(&self, logger: Option<Logger>) {
        self.logger.store(logger.map(Arc::new));
    }

    /// Puts another listener, or none, in the place of the present one.
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
                let mut pace = Pace::default();
                while let Some(news) = control.next(&shared, &slot, &mut pace) {
                    let events = news.events();
                    let _calling = control.calling.lock().unwrap_or_else(PoisonError::into_inner);
                    match catch_unwind(AssertUnwindSafe(|| slot.tell(news))) {
                        Ok(None) => {}
                        Ok(Some(report)) => shared.give_back(report),
                        // A fault of ours costs one report, and that is counted.
                        Err(_) => shared.books().mailbox.miss(events),
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

/// What the thread has to tell.
enum News {
    Report(Report),
    Line(Level, String),
}

impl News {
    /// The events it tells of.
    fn events(&self) -> usize {
        match self {
            News::Report(report) => report.events.len(),
            News::Line(..) => 0,
        }
    }
}

/// When the next line about losses may come.
#[derive(Default)]
struct Pace {
    not_before: Option<Instant>,
}

impl Control {
    fn next(&self, shared: &Shared, slot: &ListenerSlot, pace: &mut Pace) -> Option<News> {
        let mut books = shared.books();
        loop {
            let stop_at = *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            if stop_at.is_some_and(|stop_at| now >= stop_at) {
                return None;
            }
            // With no listener set, reports wait for a poller.
            let heard = slot.is_heard();
            if heard && let Some(report) = books.mailbox.take() {
                shared.show_reports(&books);
                return Some(News::Report(report));
            }
            let mut wake_at = None;
            if slot.is_logged() {
                if let Some((level, line)) = books.notes.take() {
                    return Some(News::Line(level, line));
                }
                let books = &mut *books;
                if heard {
                    books.notes.pass_over(&books.ledger);
                } else if books.notes.has_losses(&books.ledger) {
                    // The last words of a client are not held back.
                    wake_at = pace.not_before.filter(|at| *at > now && stop_at.is_none());
                    if wake_at.is_none()
                        && let Some((level, line)) = books.notes.losses(&books.ledger)
                    {
                        pace.not_before = now.checked_add(LOSSES_EVERY);
                        return Some(News::Line(level, line));
                    }
                }
            }
            if stop_at.is_some() {
                return None;
            }
            books = Shared::wait(&shared.news, books, wake_at).0;
        }
    }
}
