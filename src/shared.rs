//! What the threads of one client share: captures and flushes of the host, the
//! sender on the I/O thread, and the listener. It belongs to one process; a
//! forked child makes its own.

use std::sync::{OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::books::{Books, FlushResult};
use crate::config::Config;
use crate::outcome::{Beacon, Report};
use crate::sync::{Condvar, Mutex, MutexGuard, Notify};

/// See the module.
#[derive(Debug)]
pub struct Shared {
    books: Mutex<Books>,
    /// Signalled when events settle: flushes and blocked captures wait for it.
    pub settled: Condvar,
    /// Signalled when a report is put into the mailbox, and at the end.
    pub news: Condvar,
    /// Wakes the sender.
    pub wake: Notify,
    beacon: OnceLock<Beacon>,
    started: Instant,
}

impl Shared {
    /// Empty books, starting now.
    pub fn new(config: &Config) -> Self {
        Shared {
            books: Mutex::new(Books::new(config)),
            settled: Condvar::new(),
            news: Condvar::new(),
            wake: Notify::new(),
            beacon: OnceLock::new(),
            started: Instant::now(),
        }
    }

    /// Locks the books. It is the only lock of a client that is held while
    /// another thread may want it, and nothing blocks while holding it. A panic
    /// while it is held leaves the books usable.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wants everything out that is pending now; the answer names the flush. One
    /// that is waited for in slices may be forgotten by its host.
    pub fn begin_flush(&self, sliced: bool) -> u64 {
        let ticket = self.books().begin_flush(sliced);
        self.wake.notify_one();
        ticket
    }

    /// Waits for the end of a flush that was begun. Answers what it has seen so
    /// far; none for one that is not known. It goes on until it is ended.
    pub fn await_flush(&self, ticket: u64, deadline: Option<Instant>) -> Option<FlushResult> {
        let mut books = self.books();
        loop {
            let result = books.flush_result(ticket)?;
            if result.pending == 0 {
                return Some(result);
            }
            let passed;
            (books, passed) = Shared::wait(&self.settled, books, deadline);
            if passed {
                return books.flush_result(ticket);
            }
        }
    }

    /// Tells who waits for reports that there are some for him, or none any more.
    /// Under the lock of the books, so that nobody is told of the past.
    pub fn show_reports(&self, books: &Books) {
        if let Some(beacon) = self.beacon.get() {
            beacon.show(books.mailbox.has_unclaimed());
        }
    }

    /// Takes back a report that could not be told to whom it was taken for.
    pub fn give_back(&self, report: Report) {
        let mut books = self.books();
        books.mailbox.put_back(report);
        self.show_reports(&books);
        drop(books);
        self.news.notify_all();
    }

    /// A file descriptor that is readable while reports wait.
    pub fn beacon(&self) -> std::io::Result<&Beacon> {
        if let Some(beacon) = self.beacon.get() {
            return Ok(beacon);
        }
        let new = Beacon::new()?;
        let beacon = self.beacon.get_or_init(|| new);
        self.show_reports(&self.books());
        Ok(beacon)
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant that lies so long after the start.
    pub fn instant(&self, since_start: Duration) -> Option<Instant> {
        self.started.checked_add(since_start)
    }

    /// Waits on a condition variable of the books, until `deadline` (none: for
    /// ever). Answers the lock, and whether the deadline has passed.
    pub fn wait<'a>(
        condition: &Condvar,
        books: MutexGuard<'a, Books>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'a, Books>, bool) {
        let Some(deadline) = deadline else {
            return (condition.wait(books).unwrap_or_else(PoisonError::into_inner), false);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return (books, true);
        }
        let (books, timeout) = condition.wait_timeout(books, left).unwrap_or_else(PoisonError::into_inner);
        (books, timeout.timed_out())
    }
}
