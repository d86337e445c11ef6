//! A client: the way of an event from a call of the host into the books, and the
//! calls that wait for its end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use uuid::Uuid;

use crate::books::{FlushResult, Refused};
use crate::config::Config;
use crate::event::{EncodedEvent, Encoder, EventInput, SuperProperties};
use crate::fault;
use crate::hook::{self, Decision, Hook, SetHook};
use crate::life::Life;
use crate::listener::{Listener, ListenerSlot, Logger};
use crate::outcome::{Beacon, Ledger, Level, Report};
use crate::protocol::judge::Loss;
use crate::runtime::fork::{self, PerGeneration};
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
    super_properties: SuperProperties,
    opted_out: bool,
    before_send: Option<SetHook>,
}

impl Client {
    /// A client with these settings. Starts no thread.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        // Whether it could be made is told now, not at the first capture.
        Transport::new(&config)?;
        fork::watch();
        let mut super_properties = SuperProperties::default();
        for (wanted, property) in [(config.disable_geoip, "$geoip_disable"), (config.is_server, "$is_server")]
        {
            if wanted {
                super_properties.register(property, b"true")?;
            }
        }
        Ok(Client {
            config,
            kept: ArcSwap::from_pointee(Kept { super_properties, ..Kept::default() }),
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

    /// Takes an event: encodes and queues it. Never waits, unless `overflow` is `block`. Returns the uuid.
    pub fn capture(&self, input: &EventInput<'_>) -> Result<Uuid, Error> {
        if self.config.is_disabled() {
            return Err(Status::DISABLED.into());
        }
        let mut encoder = Encoder::take(fork::generation());
        let unwound = CountUnwound(self);
        let result = self.take(&mut encoder, input);
        std::mem::forget(unwound);
        encoder.keep();
        if let Err(error) = &result {
            self.count_refusal(error.status);
        }
        result
    }

    fn take(&self, encoder: &mut Encoder, input: &EventInput<'_>) -> Result<Uuid, Error> {
        if self.is_closed() {
            return Err(Status::CLOSED.into());
        }
        let kept = self.kept.load();
        if kept.opted_out {
            return Err(Status::OPTED_OUT.into());
        }
        hook::not_inside()?;
        let mut event = encoder.encode(input, &kept.super_properties, self.max_event_bytes())?;
        if let Some(before_send) = &kept.before_send
            && let Some(replacement) = self.ask(before_send, encoder)?
        {
            event = EncodedEvent { repaired: event.repaired || replacement.repaired, ..replacement };
        }
        self.push(encoder.wire(), &event)?;
        Ok(event.uuid)
    }

    /// Lets the host see the event that was encoded. Should it want another one, that is encoded in its
    /// place; super properties are not added again, because the host may have removed them.
    #[inline(never)]
    fn ask(&self, before_send: &SetHook, encoder: &mut Encoder) -> Result<Option<EncodedEvent>, Error> {
        let refused = |text: String| Error::new(Status::BEFORE_SEND, format!("before_send {text}"));
        let json = match before_send.ask(encoder.wire()) {
            Decision::Keep => return Ok(None),
            Decision::Drop => return Err(refused("dropped the event".to_owned())),
            Decision::Replace(json) => json,
        };
        let nothing = SuperProperties::default();
        encoder
            .encode(&EventInput::Json(&json), &nothing, self.max_event_bytes())
            .map(Some)
            .map_err(|error| refused(format!("made an event that is refused: {}", error.message)))
    }

    /// Sets what sees each event before it is taken, or nothing. Returns once
    /// the one before runs no more; at once from inside it.
    pub fn set_before_send(&self, hook: Option<Hook>) {
        let new = hook.map(SetHook::new);
        let old = self.kept.rcu(|kept| Kept { before_send: new.clone(), ..Kept::clone(kept) });
        let before = old.before_send.clone();
        drop(old);
        if let Some(before) = before {
            before.await_end();
        }
    }

    /// Counts an event that the host's own before_send has dropped.
    pub fn count_dropped(&self) {
        self.count_refusal(Status::BEFORE_SEND);
    }

    fn push(&self, wire: &[u8], encoded: &EncodedEvent) -> Result<(), Error> {
        fault::point("client");
        let life = self.life();
        if self.config.test_mode {
            return Ok(life.shared.books().push_for_test(wire, encoded)?);
        }
        life.start(&self.config, &self.listener)?;
        let shared = &*life.shared;
        let mut books = shared.books();
        let mut deadline = None;
        let pushed = loop {
            match books.push(wire, encoded, encoded.caller_uuid, || shared.now()) {
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
            shared.show_reports(&shared.books());
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
            outcome = new.super_properties.register(key, json);
            new
        });
        outcome
    }

    /// Adds it no longer.
    pub fn unregister(&self, key: &str) {
        self.kept.rcu(|kept| {
            let mut new = Kept::clone(kept);
            new.super_properties.unregister(key);
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

    /// Begins a flush, to be waited for in slices. It does not wait itself.
    pub fn begin_flush(&self) -> Result<u64, Error> {
        if self.is_closed() {
            return Err(Status::CLOSED.into());
        }
        Ok(self.life().shared.begin_flush(true))
    }

    /// Waits for a flush that was begun. When everything is settled the flush
    /// is over and forgotten; at the time limit it goes on.
    pub fn await_flush(&self, ticket: u64, timeout: Timeout) -> Result<FlushResult, (Error, FlushResult)> {
        let unknown = || {
            let message = "no flush of this number is under way (it is over, was ended, or belongs to the parent process)";
            (Error::new(Status::INVALID_ARGUMENT, message), FlushResult::default())
        };
        let life = self.life.get().ok_or_else(unknown)?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let result = life.shared.await_flush(ticket, deadline).ok_or_else(unknown)?;
        if result.pending > 0 {
            return Err((Status::TIMEOUT.into(), result));
        }
        let mut books = life.shared.books();
        books.end_flush(ticket);
        if books.ledger.take_lost_news() { Err((Status::LOST_EVENTS.into(), result)) } else { Ok(result) }
    }

    /// Forgets a flush that was begun; what it wanted out goes out all the same.
    pub fn end_flush(&self, ticket: u64) {
        if let Some(life) = self.life.get() {
            life.shared.books().end_flush(ticket);
        }
    }

    /// Takes no event any more, waits like [`Client::flush`], and at the time
    /// limit cancels what is in flight and ends what is left as `closed`.
    pub fn close(&self, timeout: Timeout) -> Result<(), Error> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Made if there is none: a capture that is just beginning must find the
        // books shut.
        let close_by = timeout.map(|timeout| Instant::now() + timeout);
        let life = self.life();
        life.shared.books().shut.get_or_insert(Status::CLOSED);
        // Without time nothing is begun that could only be cancelled.
        if timeout != Some(Duration::ZERO) {
            life.settle(timeout);
        }
        let mut books = life.shared.books();
        books.lose_everything(Loss::Closed);
        life.shared.show_reports(&books);
        let lost = books.ledger.take_lost_news();
        drop(books);
        life.shared.wake.notify_one();
        life.shared.settled.notify_all();
        life.shared.news.notify_all();
        life.await_silence(close_by);
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
        let shared = &self.life().shared;
        let mut books = shared.books();
        // Read from the slot, for another call may have replaced it meanwhile.
        books.mailbox.claimed = self.listener.is_heard();
        shared.show_reports(&books);
        drop(books);
        self.renew_callbacks()
    }

    /// Sets what is called with lines for the log, or nothing; otherwise like
    /// [`Client::set_listener`]. A disabled client says so at once.
    pub fn set_logger(&self, logger: Option<Logger>) -> Result<(), Error> {
        if let Some(logger) = logger.as_ref().filter(|_| self.is_disabled()) {
            logger(
                Level::Warning,
                "there is no project key: captures answer PHC_DISABLED and nothing is sent",
            );
        }
        self.listener.replace_logger(logger);
        self.renew_callbacks()
    }

    fn renew_callbacks(&self) -> Result<(), Error> {
        let Some(life) = self.life.get() else { return Ok(()) };
        // Waited for without a lock: the call may want to set a listener itself.
        if let Some(call) = life.renew_callbacks(&self.listener)? {
            call.wait();
        }
        life.shared.news.notify_all();
        Ok(())
    }

    /// The oldest report that waits; if there is none, waits for one. None at
    /// the time limit, and once the client is closed and all is told.
    pub fn poll(&self, timeout: Timeout) -> Option<Report> {
        if timeout == Some(Duration::ZERO) {
            return self.life.get()?.take_report();
        }
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let shared = &self.life().shared;
        let mut books = shared.books();
        loop {
            if let Some(report) = books.mailbox.take_unclaimed() {
                shared.show_reports(&books);
                return Some(report);
            }
            if books.shut.is_some() && books.ledger.pending_events == 0 {
                return None;
            }
            let passed;
            (books, passed) = Shared::wait(&shared.news, books, deadline);
            if passed {
                return None;
            }
        }
    }

    /// A file descriptor that is readable while reports wait. It is the
    /// client's own, and another one in a forked child.
    pub fn poll_descriptor(&self) -> Result<i32, Error> {
        self.life().shared.beacon().map(Beacon::descriptor).map_err(|error| {
            Error::new(Status::OUT_OF_RESOURCES, format!("no descriptor could be made: {error}"))
        })
    }

    /// In test mode, shows the oldest captured event, which is gone when `look`
    /// answers true. Answers whether there was one.
    pub fn look_at_captured(&self, look: impl FnOnce(&[u8]) -> bool) -> bool {
        let Some(life) = self.life.get() else { return false };
        let mut books = life.shared.books();
        let Some(event) = books.tray.oldest() else { return false };
        if look(event) {
            books.tray.remove_oldest();
        }
        true
    }

    /// All counters, of one instant.
    pub fn stats(&self) -> Ledger {
        self.life.get().map(|life| life.shared.books().ledger.clone()).unwrap_or_default()
    }

    fn max_event_bytes(&self) -> usize {
        usize::try_from(self.config.max_event_bytes).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(crate) fn life(&self) -> &Life {
        self.life.get_or_make(|| Life::new(&self.config, self.listener.is_heard()))
    }
}

/// Counts a capture that a panic has cut off.
struct CountUnwound<'a>(&'a Client);

impl Drop for CountUnwound<'_> {
    fn drop(&mut self) {
        self.0.count_refusal(Status::INTERNAL);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let limit = Duration::from_millis(self.config.shutdown_timeout_ms);
        // In a forked child that captured nothing there is no life, and what
        // was inherited is left alone.
        let _ = self.close(Some(limit));
        if let Some(life) = self.life.get() {
            life.end_threads(limit);
        }
    }
}
