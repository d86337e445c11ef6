//! What a client is in one process: its books and its threads. A forked child
//! makes its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::books::FlushResult;
use crate::client::Timeout;
use crate::config::Config;
use crate::listener::{Call, ListenerSlot, ListenerThread};
use crate::outcome::Report;
use crate::runtime::Lease;
use crate::runtime::exit::flush_at_exit;
use crate::sender::Sender;
use crate::shared::Shared;
use crate::status::{Error, Status};
use crate::transport::Transport;

/// See the module.
pub struct Life {
    /// What its threads share.
    pub shared: Arc<Shared>,
    pub(crate) started: AtomicBool,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    lease: Option<Lease>,
    listener: Option<ListenerThread>,
}

/// How long a close waits for the sender to have cancelled what is in flight. It
/// takes microseconds, unless the machine is busy.
const SILENCE: Duration = Duration::from_millis(40);
/// No longer than this beyond the close's own deadline, which may have been
/// noticed late on such a machine: 50 ms are promised.
const SILENCE_BEYOND: Duration = Duration::from_millis(25);

impl Life {
    /// Empty books, no thread. `claimed`: an error callback has the reports.
    pub fn new(config: &Config, claimed: bool) -> Self {
        let shared = Shared::new(config);
        shared.books().mailbox.claimed = claimed;
        Life { shared: Arc::new(shared), started: AtomicBool::new(false), threads: Mutex::default() }
    }

    /// The oldest report that waits for a poller.
    pub fn take_report(&self) -> Option<Report> {
        let mut books = self.shared.books();
        let report = books.mailbox.take_unclaimed()?;
        self.shared.show_reports(&books);
        Some(report)
    }

    /// After a close nothing is sent any more.
    pub fn await_silence(&self, close_by: Option<Instant>) {
        if self.threads().lease.is_none() {
            return;
        }
        let soon = Instant::now() + SILENCE;
        let deadline = close_by.map_or(soon, |close_by| soon.min(close_by + SILENCE_BEYOND));
        let mut books = self.shared.books();
        while !books.silent {
            let passed;
            (books, passed) = Shared::wait(&self.shared.settled, books, Some(deadline));
            if passed {
                return;
            }
        }
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the sender, at the first capture.
    #[inline]
    pub fn start(&self, config: &Config, listener: &Arc<ListenerSlot>) -> Result<(), Error> {
        if self.started.load(Ordering::Acquire) { Ok(()) } else { self.start_threads(config, listener) }
    }

    #[cold]
    fn start_threads(&self, config: &Config, listener: &Arc<ListenerSlot>) -> Result<(), Error> {
        let mut threads = self.threads();
        if threads.lease.is_none() {
            let transport = Arc::new(Transport::new(config)?);
            let lease = Lease::take()?;
            lease.spawn(Sender::new(Arc::clone(&self.shared), transport, config).run());
            threads.lease = Some(lease);
            if config.exit_flush_ms > 0 {
                flush_at_exit(&self.shared, Duration::from_millis(config.exit_flush_ms));
            }
        }
        if listener.wants_anything() {
            self.start_listener(&mut threads, listener)?;
        }
        self.started.store(true, Ordering::Release);
        Ok(())
    }

    /// Lets a callback that was just set be called, if the threads have begun.
    /// Answers the call of an older one that may be under way.
    pub fn renew_callbacks(&self, slot: &Arc<ListenerSlot>) -> Result<Option<Call>, Error> {
        let mut threads = self.threads();
        if threads.lease.is_some() {
            self.start_listener(&mut threads, slot)?;
        }
        Ok(threads.listener.as_ref().map(ListenerThread::call))
    }

    /// Ends the threads, once the client is closed.
    pub fn end_threads(&self, limit: Duration) {
        let Threads { lease, listener } = std::mem::take(&mut *self.threads());
        if let Some(listener) = listener {
            // What the close has lost is still told, to a callback that is not
            // too slow.
            listener.stop(&self.shared, limit.max(Duration::from_secs(1)));
        }
        drop(lease);
    }

    fn start_listener(&self, threads: &mut Threads, slot: &Arc<ListenerSlot>) -> Result<(), Error> {
        if threads.listener.is_none() && slot.wants_anything() {
            let thread =
                ListenerThread::start(Arc::clone(&self.shared), Arc::clone(slot)).map_err(|error| {
                    Error::new(
                        Status::OUT_OF_RESOURCES,
                        format!("the callback thread did not start: {error}"),
                    )
                })?;
            threads.listener = Some(thread);
        }
        Ok(())
    }

    /// Wants everything out that is pending now, and waits for its end.
    pub fn settle(&self, timeout: Timeout) -> FlushResult {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let ticket = self.shared.begin_flush(false);
        let result = self.shared.await_flush(ticket, deadline);
        self.shared.books().end_flush(ticket);
        result.unwrap_or_default()
    }
}
