//! What belongs to a client in one process: its delivery and its threads. A forked child
//! makes its own.

#[cfg(feature = "flags")]
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::callback_thread::CallbackThread;
use super::callbacks::CallbackSlots;
#[cfg(all(unix, feature = "spool"))]
use super::disk_thread::DiskThread;
use crate::config::Config;
use crate::delivery::{Delivery, DeliveryState, SendLoop, Signal};
use crate::runtime::exit::{FlushAtExit, flush_at_exit};
use crate::runtime::{DeferredCancellation, IoThreadGuard};
use crate::status::{Error, Status};
use crate::sync::recover;
use crate::transport::Transport;

/// See the module.
pub(crate) struct ProcessState {
    /// What its threads share.
    pub(crate) delivery: Arc<Delivery>,
    started: AtomicBool,
    /// Lock order: the first lock to be taken. Threads are started while it is held, but
    /// neither I/O nor code of the host runs then.
    threads: Mutex<Threads>,
}

#[derive(Default)]
struct Threads {
    io: Option<IoThreadGuard>,
    transport: Option<Arc<Transport>>,
    callbacks: Option<CallbackThread>,
    #[cfg(all(unix, feature = "spool"))]
    disk: Option<DiskThread>,
}

/// How much longer than its own limit a close may take to leave on disk what is pending.
#[cfg(all(unix, feature = "spool"))]
const DISK_GRACE: Duration = Duration::from_millis(250);
/// How long a close waits for the send loop to cancel what is in flight. It takes
/// microseconds unless the machine is busy.
const STOP_GRACE: Duration = Duration::from_millis(40);
/// The longest wait beyond the close's own deadline, which may have been noticed late on
/// such a machine: 50 ms are promised.
const STOP_GRACE_BEYOND: Duration = Duration::from_millis(25);

impl ProcessState {
    /// An empty state without threads.
    pub(super) fn new(config: &Config, slots: &CallbackSlots) -> Self {
        let delivery = Delivery::new(config);
        delivery.update(|state| ((), state.set_callbacks(slots.set())));
        ProcessState {
            delivery: Arc::new(delivery),
            started: AtomicBool::new(false),
            threads: Mutex::default(),
        }
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        recover(self.threads.lock())
    }

    /// Starts the threads at the first capture.
    #[inline]
    pub(super) fn start(&self, config: &Config, slots: &Arc<CallbackSlots>) -> Result<(), Error> {
        if self.started.load(Ordering::Acquire) { Ok(()) } else { self.start_threads(config, slots) }
    }

    #[cold]
    fn start_threads(&self, config: &Config, slots: &Arc<CallbackSlots>) -> Result<(), Error> {
        let _deferred = DeferredCancellation::begin();
        // It reads files, so it comes before the lock.
        let transport = Arc::new(Transport::new(config)?);
        let mut threads = self.threads();
        // A close that has begun in the meantime ends what runs by now, and nothing that would start after it.
        if let Some(status) = self.delivery.read(DeliveryState::why_shut) {
            return Err(status.into());
        }
        if threads.io.is_none() {
            let io = IoThreadGuard::take()?;
            io.spawn(SendLoop::new(Arc::clone(&self.delivery), Arc::clone(&transport), config).run());
            threads.io = Some(io);
            threads.transport = Some(transport);
            if config.exit_flush > Duration::ZERO || config.has_spool() {
                let pending: Arc<dyn FlushAtExit> = Arc::clone(&self.delivery) as _;
                flush_at_exit(Arc::downgrade(&pending), config.exit_flush, config.has_spool());
            }
        }
        #[cfg(all(unix, feature = "spool"))]
        self.start_disk_thread(&mut threads, config)?;
        self.start_callback_thread(&mut threads, config, slots)?;
        self.started.store(true, Ordering::Release);
        Ok(())
    }

    /// Runs what `make` makes on the I/O thread; drops it where the threads have ended. The task is boxed, so that all
    /// kinds of tasks share the code that runs one.
    #[cfg(feature = "flags")]
    pub(super) fn spawn(
        &self,
        make: impl FnOnce(Arc<Transport>) -> Pin<Box<dyn Future<Output = ()> + Send>>,
    ) {
        let threads = self.threads();
        if let (Some(io), Some(transport)) = (&threads.io, &threads.transport) {
            io.spawn(make(Arc::clone(transport)));
        }
    }

    /// Starts the callback thread for a callback that was just set, if the client has
    /// captured something.
    pub(super) fn callbacks_changed(&self, config: &Config, slots: &Arc<CallbackSlots>) -> Result<(), Error> {
        let mut threads = self.threads();
        if threads.io.is_some() {
            self.start_callback_thread(&mut threads, config, slots)?;
        }
        drop(threads);
        self.delivery.wake_report_waiters();
        Ok(())
    }

    fn start_callback_thread(
        &self,
        threads: &mut Threads,
        config: &Config,
        slots: &Arc<CallbackSlots>,
    ) -> Result<(), Error> {
        if threads.callbacks.is_none() && slots.any() {
            let started =
                CallbackThread::start(Arc::clone(&self.delivery), Arc::clone(slots), config.reports);
            threads.callbacks = Some(started.map_err(|error| {
                let text = format!("the callback thread could not be started: {error}");
                Error::new(Status::OUT_OF_RESOURCES, text)
            })?);
        }
        Ok(())
    }

    #[cfg(all(unix, feature = "spool"))]
    fn start_disk_thread(&self, threads: &mut Threads, config: &Config) -> Result<(), Error> {
        if threads.disk.is_none() && config.has_spool() {
            let started = DiskThread::start(Arc::clone(&self.delivery), config);
            threads.disk = Some(started.map_err(|error| {
                Error::new(Status::OUT_OF_RESOURCES, format!("the disk thread could not be started: {error}"))
            })?);
        }
        Ok(())
    }

    /// Whether the disk thread runs, so that there is something to wait for.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn has_disk_thread(&self) -> bool {
        self.threads().disk.is_some()
    }

    /// Leaves on disk what is pending, in a close with this deadline.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn close_disk(&self, close_by: Option<Instant>) {
        let now = Instant::now();
        let deadline = close_by.map_or(now, |close_by| close_by.max(now)) + DISK_GRACE;
        if self.has_disk_thread() {
            DiskThread::close(&self.delivery, deadline);
        }
    }

    /// Waits, after a close with this deadline, until nothing is sent any more.
    pub(super) fn wait_sender_stopped(&self, close_by: Option<Instant>) {
        if self.threads().io.is_none() {
            return;
        }
        let soon = Instant::now() + STOP_GRACE;
        let deadline = Some(close_by.map_or(soon, |close_by| soon.min(close_by + STOP_GRACE_BEYOND)));
        self.delivery.wait_until(Signal::Settled, deadline, |state| state.is_sender_stopped());
    }

    /// Ends the threads, once the client is closed.
    pub(super) fn end_threads(&self, limit: Duration) {
        let threads = std::mem::take(&mut *self.threads());
        #[cfg(all(unix, feature = "spool"))]
        if let Some(disk) = threads.disk {
            disk.end(&self.delivery);
        }
        let Threads { io, transport, callbacks, .. } = threads;
        if let Some(callbacks) = callbacks {
            // What the close has lost is still reported, to a callback that is not too
            // slow.
            callbacks.stop(&self.delivery, limit.max(Duration::from_secs(1)));
        }
        drop(io);
        if let Some(transport) = transport {
            transport.end_compression();
        }
    }

    /// Makes captures start no thread: a race model runs the send loop itself.
    #[cfg(all(test, feature = "race-models"))]
    pub(crate) fn mark_started(&self) {
        self.started.store(true, Ordering::Release);
    }
}
