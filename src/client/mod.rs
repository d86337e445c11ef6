//! A client: it takes events from the host and lets the host wait for their end.
//!
//! [`Client`] holds what a forked child keeps: the settings, super properties, the
//! opt-out and the callbacks. [`ProcessState`] holds what belongs to one process: the
//! delivery and the threads. Nothing here knows C.

mod callback_thread;
mod callbacks;
#[cfg(all(unix, feature = "spool"))]
mod disk_thread;
#[cfg(feature = "flags")]
pub(crate) mod flags;
mod flush;
mod kept;
mod process;
pub(crate) mod registry;
#[cfg(all(unix, feature = "spool"))]
mod spool;
#[cfg(all(unix, feature = "spool"))]
mod spool_driver;
#[cfg(test)]
#[cfg(all(unix, feature = "spool", not(feature = "race-models")))]
mod spool_simulation;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uuid::Uuid;

pub(crate) use callbacks::{
    BeforeSend, BeforeSendFunction, Inside, LogFunction, ReportFunction, inside, run_inside,
};
use callbacks::{Callback, CallbackSlots};
use kept::{Kept, KeptCell};
use process::ProcessState;

#[cfg(all(unix, feature = "spool"))]
use crate::config::SpoolSafety;
use crate::config::{Config, LogLevel};
use crate::delivery::{DeliveryState, Refusal, Report, Signal, Stats, Wait, Wake, has_passed};
use crate::event::{EncodedEvent, Encoder, EventInput, SuperProperties};
use crate::failpoint;
use crate::memory::NoMemory;
use crate::runtime::{self, DeferredCancellation, PerProcess, ReadinessFd, exit, fork_epoch};
use crate::status::{Error, Status};
use crate::transport::Transport;

/// One destination with its own queue and settings. Safe to use from any thread.
pub struct Client {
    config: Config,
    kept: KeptCell,
    closed: AtomicBool,
    slots: Arc<CallbackSlots>,
    #[cfg(feature = "flags")]
    flags: flags::Flags,
    process: PerProcess<ProcessState>,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Status(status) => status.into(),
            Refusal::NoMemory => NoMemory.into(),
            // It has waited for as long as it may.
            Refusal::Block => Status::QUEUE_FULL.into(),
        }
    }
}

impl Client {
    /// A client with these settings. Starts no thread.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        // What is wrong with the settings is reported now, not at the first capture.
        Transport::new(&config)?;
        runtime::prepare()?;
        if config.exit_flush > Duration::ZERO || config.has_spool() {
            exit::register()?;
        }
        #[cfg(all(unix, feature = "spool"))]
        spool::prepare(&config)?;
        let super_properties = Self::properties_of_settings(&config)?;
        #[cfg(feature = "flags")]
        let flags = flags::Flags::new(&config);
        Ok(Client {
            config,
            kept: KeptCell::new(Kept { super_properties, ..Kept::default() }),
            closed: AtomicBool::new(false),
            slots: Arc::default(),
            #[cfg(feature = "flags")]
            flags,
            process: PerProcess::new(),
        })
    }

    /// The super properties that settings stand for.
    fn properties_of_settings(config: &Config) -> Result<SuperProperties, Error> {
        let mut super_properties = SuperProperties::default();
        for (wanted, property) in [(config.disable_geoip, "$geoip_disable"), (config.is_server, "$is_server")]
        {
            if wanted {
                super_properties.register(property, b"true")?;
            }
        }
        Ok(super_properties)
    }

    /// Encodes and enqueues an event, and returns its uuid. Never waits, unless the
    /// setting `overflow` is `block`.
    pub fn capture(&self, input: &EventInput<'_>) -> Result<Uuid, Error> {
        if self.config.is_disabled() {
            self.count_refused(Status::DISABLED);
            return Err(Status::DISABLED.into());
        }
        self.with_encoder(|encoder| self.take(encoder, input))
    }

    /// Captures an event by this thread's encoder; returns its uuid, or counts it as refused.
    #[inline]
    fn with_encoder(&self, take: impl FnOnce(&mut Encoder) -> Result<(), Error>) -> Result<Uuid, Error> {
        let mut encoder = Encoder::take(fork_epoch());
        let unwound = CountUnwound(self);
        let result = take(&mut encoder);
        let uuid = encoder.encoded().uuid;
        std::mem::forget(unwound);
        encoder.keep();
        match result {
            Ok(()) => Ok(uuid),
            Err(error) => {
                self.count_refused(error.status);
                Err(error)
            }
        }
    }

    fn take(&self, encoder: &mut Encoder, input: &EventInput<'_>) -> Result<(), Error> {
        if self.is_closed() {
            return Err(Status::CLOSED.into());
        }
        let kept = self.kept.load();
        if kept.opted_out {
            return Err(Status::OPTED_OUT.into());
        }
        self.take_with(encoder, input, &kept, &kept.super_properties, self.config.block_timeout)
    }

    /// Encodes and enqueues an event with these super properties, and waits for room for at most this time.
    #[inline]
    fn take_with(
        &self,
        encoder: &mut Encoder,
        input: &EventInput<'_>,
        kept: &Kept,
        super_properties: &SuperProperties,
        block_timeout: Duration,
    ) -> Result<(), Error> {
        encoder.encode(input, super_properties, self.config.max_event_bytes)?;
        if let Some(before_send) = &kept.before_send {
            self.ask_before_send(before_send, encoder)?;
        }
        self.enqueue(encoder.wire(), encoder.encoded(), block_timeout)
    }

    /// Shows the encoded event to the host. If the host wants another one in its place,
    /// that is in the encoder afterwards. Super properties are not added again: the host
    /// may have removed them.
    #[inline(never)]
    fn ask_before_send(
        &self,
        before_send: &Callback<BeforeSendFunction>,
        encoder: &mut Encoder,
    ) -> Result<(), Error> {
        let Some(function) = before_send.function() else { return Ok(()) };
        let epoch = fork_epoch();
        let decision = {
            // The code of the host must not end the thread: it would unwind through here.
            let _deferred = DeferredCancellation::begin();
            run_inside(Inside::BeforeSend, || function(encoder.wire()))
        };
        if fork_epoch() != epoch {
            // Both would send it, under one uuid.
            let text = "before_send has forked: the event is captured in the parent process only";
            return Err(Error::new(Status::BEFORE_SEND, text));
        }
        let json = match decision {
            BeforeSend::Keep => return Ok(()),
            BeforeSend::Discard => return Err(Status::BEFORE_SEND.into()),
            BeforeSend::NoMemory => return Err(NoMemory.into()),
            BeforeSend::Replace(json) => json,
        };
        let none = SuperProperties::default();
        let shown = *encoder.encoded();
        encoder.encode(&EventInput::Json(&json), &none, self.config.max_event_bytes).map_err(|error| {
            if error.status == Status::OUT_OF_RESOURCES {
                return error;
            }
            let text = &error.message;
            Error::new(
                Status::BEFORE_SEND,
                format_args!("before_send returned an event that is refused: {text}"),
            )
        })?;
        encoder.add_mended(&shown);
        Ok(())
    }

    fn enqueue(&self, wire: &[u8], event: &EncodedEvent, block_timeout: Duration) -> Result<(), Error> {
        failpoint::pass("client");
        let process = self.process();
        let delivery = &process.delivery;
        if self.config.test_mode {
            return delivery.update(|state| (state.enqueue_test_event(wire, event), Wake::NONE));
        }
        process.start(&self.config, &self.slots)?;
        #[cfg(all(unix, feature = "spool"))]
        if self.config.spool_safety == SpoolSafety::Call && self.config.has_spool() {
            return delivery.enqueue_on_disk(wire, event, block_timeout).map_err(Error::from);
        }
        delivery.enqueue(wire, event, block_timeout).map_err(Error::from)
    }

    /// Counts an event that a binding's own `before_send` has discarded.
    pub(crate) fn count_discarded(&self) {
        self.count_refused(Status::BEFORE_SEND);
    }

    /// Counts an event that was not taken.
    pub(crate) fn count_refused(&self, status: Status) {
        self.process().delivery.update(|state| (state.count_refused(status), Wake::NONE));
    }

    /// Adds a property to every event from now on, in place of an earlier one with that
    /// key. A property of the event itself has precedence.
    pub(crate) fn register(&self, key: &str, json: &[u8]) -> Result<(), Error> {
        let mut result = Ok(());
        self.kept.change(|kept| {
            let mut new = kept.clone();
            result = new.super_properties.register(key, json);
            new
        });
        result
    }

    /// Stops adding a property.
    pub(crate) fn unregister(&self, key: &str) {
        self.kept.change(|kept| {
            let mut new = kept.clone();
            new.super_properties.unregister(key);
            new
        });
    }

    /// While opted out, captures refuse events.
    pub(crate) fn set_opted_out(&self, opted_out: bool) {
        self.kept.change(|kept| Kept { opted_out, ..kept.clone() });
    }

    /// Sets the `before_send` callback, or none. Returns once the one before is used no
    /// more; at once from inside a callback.
    pub(crate) fn set_before_send(&self, function: Option<BeforeSendFunction>) {
        let new = function.map(Callback::new);
        let old = self.kept.change(|kept| Kept { before_send: new.clone(), ..kept.clone() });
        let replaced = old.before_send.clone();
        drop(old);
        drop(new);
        if let Some(replaced) = replaced {
            replaced.wait_until_unused();
        }
    }

    /// Sets the error callback, or none. Returns once the one before is used no more; at
    /// once from inside a callback.
    pub(crate) fn set_error_callback(&self, function: Option<ReportFunction>) -> Result<(), Error> {
        let replaced = self.slots.error.replace(function);
        self.report_callbacks_changed(replaced)
    }

    /// Sets the delivery callback, or none, like [`Client::set_error_callback`].
    pub(crate) fn set_delivery_callback(&self, function: Option<ReportFunction>) -> Result<(), Error> {
        let replaced = self.slots.delivery.replace(function);
        self.report_callbacks_changed(replaced)
    }

    fn report_callbacks_changed(&self, replaced: Option<Arc<Callback<ReportFunction>>>) -> Result<(), Error> {
        let process = self.process();
        // Read from the slots, for another thread may have replaced them in the meantime.
        process.delivery.update(|state| ((), state.set_callbacks(self.slots.set())));
        process.callbacks_changed(&self.config, &self.slots)?;
        if let Some(replaced) = replaced {
            replaced.wait_until_unused();
        }
        Ok(())
    }

    /// Sets the log callback, or none, like [`Client::set_error_callback`]. A client
    /// without a project key logs that at once, on this thread.
    pub(crate) fn set_log_callback(&self, function: Option<LogFunction>) -> Result<(), Error> {
        if let Some(function) = function.as_ref().filter(|_| self.config.is_disabled()) {
            let line = "there is no project key: no event is taken and nothing is sent";
            run_inside(Inside::LogCallbackAtOnce, || function(LogLevel::Warning, line));
        }
        let replaced = self.slots.log.replace(function);
        if let Some(process) = self.process.get() {
            if self.slots.log.is_set() {
                process.delivery.update(|state| ((), state.log_callback_was_set()));
            }
            process.callbacks_changed(&self.config, &self.slots)?;
        }
        if let Some(replaced) = replaced {
            replaced.wait_until_unused();
        }
        Ok(())
    }

    /// Returns the oldest waiting report; if there is none, waits for one. `None` at the
    /// time limit, once the client is closed and all reports are read, and while a
    /// callback gets the reports.
    pub(crate) fn poll(&self, timeout: Option<Duration>) -> Option<Report> {
        if timeout == Some(Duration::ZERO) {
            let process = self.process.get()?;
            return process.delivery.update(crate::delivery::DeliveryState::pop_report_for_poll);
        }
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        self.process().delivery.wait_for(Signal::Reports, |state| match state.pop_report_for_poll() {
            (None, _) if !state.is_finished() && !has_passed(deadline) => Wait::Until(deadline),
            (report, wake) => Wait::Done(report, wake),
        })
    }

    /// Passes the oldest waiting line of the log to `read`, and removes it if that returns true. While a log
    /// callback is set, that gets the lines. From the first call on, until one is set, the readiness descriptor
    /// covers them, but a call makes no state of a process: a forked child may end without one.
    pub(crate) fn poll_log_line(&self, read: impl FnOnce(LogLevel, &str) -> bool) {
        let Some(process) = self.process.get() else { return };
        process.delivery.update(|state| {
            let is_for_callback = self.slots.log.is_set();
            ((), if is_for_callback { Wake::NONE } else { state.poll_log_line(read) })
        });
    }

    /// The descriptor that is readable while reports wait for [`Client::poll`]. It belongs
    /// to the client, and is another one in a forked child.
    pub(crate) fn poll_descriptor(&self) -> Result<isize, Error> {
        let readiness = self.process().delivery.readiness();
        readiness.map(ReadinessFd::descriptor).map_err(|error| {
            Error::new(Status::OUT_OF_RESOURCES, format!("no descriptor could be created: {error}"))
        })
    }

    /// In test mode, passes the wire bytes of the oldest captured event to `read`, and
    /// removes the event if that returns true. Does nothing if there is no event.
    pub(crate) fn read_test_event(&self, read: impl FnOnce(&[u8]) -> bool) {
        let Some(process) = self.process.get() else { return };
        process.delivery.update(|state| {
            if state.peek_test_event().is_some_and(read) {
                state.remove_test_event();
            }
            ((), Wake::NONE)
        });
    }

    /// All counters, of one instant.
    pub(crate) fn stats(&self) -> Stats {
        self.process.get().map(|process| process.delivery.read(DeliveryState::stats_now)).unwrap_or_default()
    }

    /// Whether it was closed, in this process or before a fork.
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Does, on the calling thread of a race model, what the callback thread does.
    #[cfg(all(test, feature = "race-models"))]
    pub(crate) fn run_callback_thread(&self, stop_at: &callback_thread::StopAt) {
        callback_thread::run(&self.process().delivery, &self.slots, self.config.reports, stop_at);
    }

    #[inline]
    pub(crate) fn process(&self) -> &ProcessState {
        self.process.get().unwrap_or_else(|| self.make_process())
    }

    #[cold]
    fn make_process(&self) -> &ProcessState {
        let _deferred = DeferredCancellation::begin();
        self.process.get_or_make(|| ProcessState::new(&self.config, &self.slots))
    }
}

/// What snapshots of flags need; without them there is nothing to it.
#[cfg(not(feature = "flags"))]
impl Client {
    /// A client for several owners.
    pub(crate) fn shared(self) -> Arc<Client> {
        Arc::new(self)
    }

    /// Gives one reference back.
    pub(crate) fn release(self: Arc<Self>) {
        drop(self);
    }
}

/// Counts a capture that a panic has ended.
struct CountUnwound<'a>(&'a Client);

impl Drop for CountUnwound<'_> {
    fn drop(&mut self) {
        self.0.count_refused(Status::INTERNAL);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let limit = self.config.shutdown_timeout;
        // In a forked child that captured nothing there is no process state, and what was
        // inherited is left alone.
        let _ = self.close(Some(limit));
        if let Some(process) = self.process.get() {
            process.end_threads(limit);
        }
    }
}
