//! A client: the way of an event from a call of the host into the books, and the
//! calls that wait for its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use uuid::Uuid;

use crate::books::{FlushResult, Refused};
use crate::config::Config;
use crate::event::{Additions, Draft, Encoded, Scratch, encode, encode::too_large};
use crate::listener::{Listener, ListenerSlot, ListenerThread};
use crate::outcome::{Ledger, Report};
use crate::protocol::judge::Loss;
use crate::runtime::Lease;
use crate::runtime::fork::{self, PerGeneration};
use crate::sender::Sender;
use crate::shared::Shared;
use crate::status::{Error, Status};
use crate::transport::Transport;

/// How long a call may wait. None is no limit.
pub type Timeout = Option<Duration>;

/// One destination with its own queue and settings. Safe from any thread.
pub struct Client {
    config: Config,
    /// What a forked child keeps. It is read and replaced without a lock, which
    /// the child might inherit locked.
    kept: ArcSwap<Kept>,
    closed: AtomicBool,
    listener: Arc<ListenerSlot>,
    /// What a forked child makes anew.
    life: PerGeneration<Life>,
}

#[derive(Clone, Debug, Default)]
struct Kept {
    additions: Additions,
    opted_out: bool,
}

/// A client's state in one process.
struct Life {
    shared: Arc<Shared>,
    started: AtomicBool,
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    lease: Option<Lease>,
    listener: Option<ListenerThread>,
}

impl Client {
    /// A client with these settings. Starts no thread.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        // Whether it could be made is told now, not at the first capture.
        Transport::new(&config)?;
        fork::watch();
        let mut additions = Additions::default();
        for (wanted, property) in [(config.disable_geoip, "$geoip_disable"), (config.is_server, "$is_server")]
        {
            if wanted {
                additions.register(property, b"true")?;
            }
        }
        Ok(Client {
            config,
            kept: ArcSwap::from_pointee(Kept { additions, opted_out: false }),
            closed: AtomicBool::new(false),
            listener: Arc::default(),
            life: PerGeneration::new(),
        })
    }

    /// The process's client of this name: made if there is none, shared if its
    /// settings are the same.
    pub fn open(name: &str, config: &Config) -> Result<Arc<Self>, Error> {
        static OPEN: PerGeneration<Mutex<HashMap<String, Weak<Client>>>> = PerGeneration::new();
        fork::watch();
        let mut open = OPEN.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        let existing = open.get(name).and_then(Weak::upgrade).filter(|client| !client.is_closed());
        if let Some(client) = existing {
            if client.config == *config {
                return Ok(client);
            }
            // Should this be the last handle, it ends outside the lock.
            drop(open);
            let message =
                format!("a client named {name:?} is open with other settings; close it or use another name");
            return Err(Error::new(Status::CONFLICT, message));
        }
        let client = Arc::new(Client::new(config.clone())?);
        open.retain(|_, client| client.strong_count() > 0);
        open.insert(name.to_owned(), Arc::downgrade(&client));
        Ok(client)
    }

    /// Takes an event: encodes what `draft` answers, and queues it. Never waits,
    /// unless `overflow` is `block`. Answers the uuid.
    pub fn capture<'a>(
        &self,
        draft: impl FnOnce(&mut Scratch, &Additions) -> Result<Draft<'a>, Error>,
    ) -> Result<Uuid, Error> {
        if self.config.is_disabled() {
            return Err(Status::DISABLED.into());
        }
        let mut scratch = Scratch::take(fork::generation());
        let result = self.take(&mut scratch, draft);
        scratch.keep();
        if let Err(error) = &result {
            self.count_refusal(error.status);
        }
        result
    }

    /// Takes a whole event as one JSON object.
    pub fn capture_json(&self, json: &[u8]) -> Result<Uuid, Error> {
        let bound = self.max_event_bytes();
        self.capture(|scratch, additions| {
            if json.len() > bound {
                return Err(too_large(json.len(), bound));
            }
            Draft::from_json(json, &mut scratch.properties, additions)
        })
    }

    fn take<'a>(
        &self,
        scratch: &mut Scratch,
        draft: impl FnOnce(&mut Scratch, &Additions) -> Result<Draft<'a>, Error>,
    ) -> Result<Uuid, Error> {
        if self.is_closed() {
            return Err(Status::CLOSED.into());
        }
        let kept = self.kept.load();
        if kept.opted_out {
            return Err(Status::OPTED_OUT.into());
        }
        let draft = draft(scratch, &kept.additions)?;
        let encoded = encode(&draft, &kept.additions, self.max_event_bytes(), scratch)?;
        let caller_uuid = draft.uuid.is_some() && !encoded.uuid_replaced;
        self.push(&scratch.wire, &encoded, caller_uuid)?;
        Ok(encoded.uuid)
    }

    fn push(&self, wire: &[u8], encoded: &Encoded, caller_uuid: bool) -> Result<(), Error> {
        let life = self.life();
        life.start(&self.config, &self.listener)?;
        let shared = &*life.shared;
        let mut books = shared.books();
        let mut deadline = None;
        let pushed = loop {
            match books.push(wire, encoded, caller_uuid, || shared.now()) {
                Ok(pushed) => break pushed,
                Err(Refused::With(status)) => return Err(status.into()),
                Err(Refused::WouldBlock) => {
                    let limit = Duration::from_millis(self.config.block_timeout_ms);
                    let until = *deadline.get_or_insert_with(|| Instant::now() + limit);
                    books.blocked += 1;
                    let (mut after, passed) = Shared::wait(&shared.settled, books, Some(until));
                    after.blocked -= 1;
                    books = after;
                    if passed {
                        return Err(Status::QUEUE_FULL.into());
                    }
                }
            }
        };
        drop(books);
        if pushed.wake {
            shared.wake.notify_one();
        }
        if pushed.evicted {
            shared.settled.notify_all();
            shared.news.notify_all();
        }
        Ok(())
    }

    fn count_refusal(&self, status: Status) {
        self.life().shared.books().ledger.refuse(status);
    }

    /// Adds a property to every event from now on, in place of an earlier one of
    /// that key. What an event itself has wins over it.
    pub fn register(&self, key: &str, json: &[u8]) -> Result<(), Error> {
        let mut outcome = Ok(());
        self.kept.rcu(|kept| {
            let mut new = Kept::clone(kept);
            outcome = new.additions.register(key, json);
            new
        });
        outcome
    }

    /// Adds it no longer.
    pub fn unregister(&self, key: &str) {
        self.kept.rcu(|kept| {
            let mut new = Kept::clone(kept);
            new.additions.unregister(key);
            new
        });
    }

    /// Opted out, captures take no event.
    pub fn set_opted_out(&self, opted_out: bool) {
        self.kept.rcu(|kept| Kept { opted_out, ..Kept::clone(kept) });
    }

    /// Waits until everything that was captured before is settled, back-off and
    /// `Retry-After` included. At the time limit nothing is abandoned.
    pub fn flush(&self, timeout: Timeout) -> Result<FlushResult, (Error, FlushResult)> {
        if self.is_closed() {
            return Err((Status::CLOSED.into(), FlushResult::default()));
        }
        // Where nothing was captured there is nothing to start a thread for.
        let Some(life) = self.life.get() else { return Ok(FlushResult::default()) };
        let result = life.settle(timeout);
        let status = match result.pending {
            0 if life.shared.books().ledger.take_lost_news() => Status::LOST_EVENTS,
            0 => return Ok(result),
            _ => Status::TIMEOUT,
        };
        Err((status.into(), result))
    }

    /// Takes no event any more, waits like [`Client::flush`], and at the time
    /// limit cancels what is in flight and ends what is left as `closed`.
    pub fn close(&self, timeout: Timeout) -> Result<(), Error> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Made if there is none: a capture that is just beginning must find the
        // books shut.
        let life = self.life();
        life.shared.books().shut.get_or_insert(Status::CLOSED);
        // Without time nothing is begun that could only be cancelled.
        if timeout != Some(Duration::ZERO) {
            life.settle(timeout);
        }
        let mut books = life.shared.books();
        books.lose_everything(Loss::Closed);
        let lost = books.ledger.take_lost_news();
        drop(books);
        life.shared.wake.notify_one();
        life.shared.settled.notify_all();
        life.shared.news.notify_all();
        life.await_silence();
        if lost { Err(Status::LOST_EVENTS.into()) } else { Ok(()) }
    }

    /// Whether it was closed, in this process or before a fork.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether it has no project key.
    pub fn is_disabled(&self) -> bool {
        self.config.is_disabled()
    }

    /// Sets what is called with each report, or nothing. Returns once the one
    /// before is called no more; at once from inside it.
    pub fn set_listener(&self, listener: Option<Listener>) -> Result<(), Error> {
        self.listener.replace(listener);
        let Some(life) = self.life.get() else { return Ok(()) };
        let mut threads = life.threads();
        if threads.lease.is_some() {
            life.start_listener(&mut threads, &self.listener)?;
        }
        // Without the lock: the call that is waited for may want to set a
        // listener itself.
        let call = threads.listener.as_ref().map(ListenerThread::call);
        drop(threads);
        if let Some(call) = call {
            call.wait();
        }
        life.shared.news.notify_all();
        Ok(())
    }

    /// The oldest report that waits.
    pub fn take_report(&self) -> Option<Report> {
        self.life.get()?.shared.books().mailbox.take()
    }

    /// All counters, of one instant.
    pub fn stats(&self) -> Ledger {
        self.life.get().map(|life| life.shared.books().ledger.clone()).unwrap_or_default()
    }

    fn max_event_bytes(&self) -> usize {
        usize::try_from(self.config.max_event_bytes).unwrap_or(usize::MAX)
    }

    #[inline]
    fn life(&self) -> &Life {
        self.life.get_or_make(|| Life {
            shared: Arc::new(Shared::new(&self.config)),
            started: AtomicBool::new(false),
            threads: Mutex::default(),
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let limit = Duration::from_millis(self.config.shutdown_timeout_ms);
        // In a forked child that captured nothing there is no life, and what
        // was inherited is left alone.
        let _ = self.close(Some(limit));
        let Some(life) = self.life.get() else { return };
        let Threads { lease, listener } = std::mem::take(&mut *life.threads());
        if let Some(listener) = listener {
            // What the close has lost is still told, to a callback that is not
            // too slow.
            listener.stop(&life.shared, limit.max(Duration::from_secs(1)));
        }
        drop(lease);
    }
}

/// How long a close waits for the sender to have cancelled what is in flight. It
/// takes microseconds, unless the machine is busy.
const SILENCE: Duration = Duration::from_millis(40);

impl Life {
    /// After a close nothing is sent any more.
    fn await_silence(&self) {
        if self.threads().lease.is_none() {
            return;
        }
        let deadline = Instant::now() + SILENCE;
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
    fn start(&self, config: &Config, listener: &Arc<ListenerSlot>) -> Result<(), Error> {
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
        }
        if listener.is_set() {
            self.start_listener(&mut threads, listener)?;
        }
        self.started.store(true, Ordering::Release);
        Ok(())
    }

    fn start_listener(&self, threads: &mut Threads, slot: &Arc<ListenerSlot>) -> Result<(), Error> {
        if threads.listener.is_none() && slot.is_set() {
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
    fn settle(&self, timeout: Timeout) -> FlushResult {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut books = self.shared.books();
        let ticket = books.begin_flush();
        self.shared.wake.notify_one();
        loop {
            let result = books.flush_result(ticket);
            if result.pending == 0 {
                books.end_flush(ticket);
                return result;
            }
            let passed;
            (books, passed) = Shared::wait(&self.shared.settled, books, deadline);
            if passed {
                let result = books.flush_result(ticket);
                books.end_flush(ticket);
                return result;
            }
        }
    }
}
