//! The monitor of a client's delivery: the state, the one lock around it, and the
//! signals through which the threads of the client wake each other.

use std::sync::{OnceLock, TryLockError};
use std::time::{Duration, Instant};

use super::flushes::{FlushId, FlushResult};
use super::staging::{Capturers, Stages};
use super::state::{DeliveryState, Refusal};
use super::wake::Wake;
use crate::config::Config;
use crate::event::EncodedEvent;
use crate::runtime::exit::FlushAtExit;
use crate::runtime::{DeferredCancellation, ReadinessFd};
use crate::status::Status;
use crate::sync::{Condvar, Mutex, MutexGuard, Notify, recover};

/// The delivery of one client in one process: what captures and flushes of the host, the
/// send loop on the I/O thread and the callback thread share.
///
/// [`Delivery::update`] and [`Delivery::wait_for`] are the only ways to change the state,
/// and the only places that wake a thread.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Lock order: the last lock to be taken, except for that inside the readiness
    /// descriptor. Nothing blocks and no code of the host runs while it is held.
    guarded: Mutex<Guarded>,
    stages: Stages,
    settled: Condvar,
    reports: Condvar,
    disk: Condvar,
    sender: Notify,
    readiness: OnceLock<ReadinessFd>,
    started: Instant,
}

#[derive(Debug)]
struct Guarded {
    state: DeliveryState,
    capturers: Capturers,
    /// Threads that wait for each signal.
    settled_waiters: usize,
    reports_waiters: usize,
    disk_waiters: usize,
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Events were settled, or the send loop has stopped.
    Settled,
    /// Reports or log lines were added, or the client was shut.
    Reports,
    /// There is work for the thread of the disk.
    #[cfg_attr(not(all(unix, feature = "spool")), allow(dead_code, reason = "there is no such thread"))]
    Disk,
}

/// What one look at the state resulted in.
pub(crate) enum Wait<T> {
    /// The wait is over.
    Done(T, Wake),
    /// Look again after the next signal, or at this time if there is one.
    Until(Option<Instant>),
}

impl Delivery {
    /// An empty state that starts now.
    pub(crate) fn new(config: &Config) -> Self {
        Delivery {
            guarded: Mutex::new(Guarded {
                state: DeliveryState::new(config),
                capturers: Capturers::default(),
                settled_waiters: 0,
                reports_waiters: 0,
                disk_waiters: 0,
            }),
            stages: Stages::default(),
            settled: Condvar::new(),
            reports: Condvar::new(),
            disk: Condvar::new(),
            sender: Notify::new(),
            readiness: OnceLock::new(),
            started: Instant::now(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        let mut guarded = recover(self.guarded.lock());
        self.take_in_all(&mut guarded.state);
        guarded
    }

    /// Looks at the state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&DeliveryState) -> T) -> T {
        look(&self.lock().state)
    }

    /// Enqueues an encoded event. Waits for room at most for `block_timeout`, if the setting
    /// `overflow` is `block`.
    pub(crate) fn enqueue(
        &self,
        wire: &[u8],
        event: &EncodedEvent,
        block_timeout: Duration,
    ) -> Result<(), Refusal> {
        if self.stages.in_use() && self.stages.push(wire, event, || self.now()) {
            return Ok(());
        }
        let mut guarded = match self.guarded.try_lock() {
            Ok(guarded) => guarded,
            Err(error) => self.lock_taken(error),
        };
        let staging = self.stages.in_use();
        if staging {
            self.take_in_for(&mut guarded.state, wire, event);
        }
        let (result, wake) = guarded.state.enqueue(wire, event, || self.now());
        if staging {
            self.grant_or_end(&mut guarded);
        }
        self.unlock_and_wake(guarded, wake);
        if result == Err(Refusal::Block) {
            self.wait_for_room(block_timeout, |state| state.enqueue(wire, event, || self.now()))
        } else {
            result
        }
    }

    /// Waits for the lock of the state. From now on threads stage what they capture.
    #[cold]
    fn lock_taken<'a>(&'a self, error: TryLockError<MutexGuard<'a, Guarded>>) -> MutexGuard<'a, Guarded> {
        match error {
            TryLockError::Poisoned(error) => error.into_inner(),
            TryLockError::WouldBlock => {
                let guarded = recover(self.guarded.lock());
                if guarded.state.may_stage() {
                    self.stages.set_in_use(true);
                }
                guarded
            }
        }
    }

    /// Takes in what must be in the queue before an event: what its thread has captured before,
    /// and everything that decides on it.
    #[inline(never)]
    fn take_in_for(&self, state: &mut DeliveryState, wire: &[u8], event: &EncodedEvent) {
        state.take_in(&mut self.stages.own());
        if event.caller_uuid || state.depends_on_stages(wire.len()) {
            self.take_in_all(state);
        }
    }

    /// Takes in everything that is staged.
    fn take_in_all(&self, state: &mut DeliveryState) {
        if self.stages.in_use() {
            self.stages.all().for_each(|mut staged| state.take_in(&mut staged));
        }
    }

    /// Gives memory back that an idle client does not need.
    pub(crate) fn release_stages(&self) {
        if self.stages.in_use() {
            let _guarded = self.lock();
            self.stages.release();
        }
    }

    /// Lets the thread of a capture stage its next ones, or ends the use of stages when only one
    /// thread captures.
    #[inline(never)]
    fn grant_or_end(&self, guarded: &mut Guarded) {
        if guarded.capturers.is_one(Stages::own_index()) {
            self.take_in_all(&mut guarded.state);
            self.stages.release();
        } else if let Some(allowance) = guarded.state.allowance()
            && self.stages.grant(allowance)
        {
            guarded.state.count_allowance(allowance);
        }
    }

    /// Waits for room at most for `block_timeout`, once an event was refused with [`Refusal::Block`]; `enqueue` tries
    /// it again.
    pub(crate) fn wait_for_room<T>(
        &self,
        block_timeout: Duration,
        mut enqueue: impl FnMut(&mut DeliveryState) -> (Result<T, Refusal>, Wake),
    ) -> Result<T, Refusal> {
        let deadline = Some(Instant::now() + block_timeout);
        self.wait_for(Signal::Settled, |state| match enqueue(state) {
            (Err(Refusal::Block), wake) if has_passed(deadline) => {
                Wait::Done(Err(Refusal::Status(Status::QUEUE_FULL)), wake)
            }
            (Err(Refusal::Block), wake) => {
                // Few waits get here: others were quicker, and have left a batch that cannot grow.
                if wake.sender {
                    self.wake_sender();
                }
                Wait::Until(deadline)
            }
            (result, wake) => Wait::Done(result, wake),
        })
    }

    /// Changes the state, and wakes what the change returns.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut DeliveryState) -> (T, Wake)) -> T {
        let mut guarded = self.lock();
        let (value, wake) = change(&mut guarded.state);
        self.unlock_and_wake(guarded, wake);
        value
    }

    /// Changes the state again and again, after each signal, until the wait is over.
    pub(crate) fn wait_for<T>(
        &self,
        signal: Signal,
        mut change: impl FnMut(&mut DeliveryState) -> Wait<T>,
    ) -> T {
        let mut guarded = self.lock();
        loop {
            let until = match change(&mut guarded.state) {
                Wait::Done(value, wake) => {
                    self.unlock_and_wake(guarded, wake);
                    return value;
                }
                Wait::Until(until) => until,
            };
            *guarded.waiters(signal) += 1;
            guarded = self.sleep(signal, guarded, until);
            *guarded.waiters(signal) -= 1;
            self.take_in_all(&mut guarded.state);
        }
    }

    /// Waits until `is_so` says so of the state, which it is asked at first and after each signal; at most until
    /// `deadline`.
    pub(crate) fn wait_until(
        &self,
        signal: Signal,
        deadline: Option<Instant>,
        mut is_so: impl FnMut(&mut DeliveryState) -> bool,
    ) {
        self.wait_for(signal, |state| {
            if is_so(state) || has_passed(deadline) {
                Wait::Done((), Wake::NONE)
            } else {
                Wait::Until(deadline)
            }
        });
    }

    fn sleep<'a>(
        &self,
        signal: Signal,
        guarded: MutexGuard<'a, Guarded>,
        until: Option<Instant>,
    ) -> MutexGuard<'a, Guarded> {
        let condition = match signal {
            Signal::Settled => &self.settled,
            Signal::Reports => &self.reports,
            Signal::Disk => &self.disk,
        };
        let Some(until) = until else { return recover(condition.wait(guarded)) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() { guarded } else { recover(condition.wait_timeout(guarded, left)).0 }
    }

    /// The one place that wakes. The readiness descriptor is set under the lock, so that
    /// it never lags behind the report queue; threads are woken after it.
    fn unlock_and_wake(&self, mut guarded: MutexGuard<'_, Guarded>, wake: Wake) {
        if wake.reports
            && let Some(readiness) = self.readiness.get()
        {
            set_ready(readiness, guarded.state.has_something_to_poll());
        }
        let settled = wake.settled && guarded.settled_waiters > 0;
        let reports = wake.reports && guarded.reports_waiters > 0;
        let disk = guarded.state.take_disk_wake() && guarded.disk_waiters > 0;
        drop(guarded);
        if wake.sender {
            self.wake_sender();
        }
        if settled {
            self.settled.notify_all();
        }
        if reports {
            self.reports.notify_all();
        }
        if disk {
            self.disk.notify_all();
        }
    }

    /// Few captures get here. It may write to a descriptor.
    #[inline(never)]
    fn wake_sender(&self) {
        let _deferred = DeferredCancellation::begin();
        self.sender.notify_one();
    }

    /// Wakes what waits for reports, so that it looks at something besides the state.
    pub(crate) fn wake_report_waiters(&self) {
        // The lock is taken so that no waiter is between its look and its sleep.
        drop(self.lock());
        self.reports.notify_all();
    }

    /// Waits, as a task, until the send loop is woken.
    pub(crate) async fn sender_woken(&self) {
        self.sender.notified().await;
    }

    /// The descriptor that is readable while `phc_poll` would return a report, or a host that polls the
    /// log would get a line.
    pub(crate) fn readiness(&self) -> std::io::Result<&ReadinessFd> {
        if let Some(readiness) = self.readiness.get() {
            return Ok(readiness);
        }
        let new = ReadinessFd::new()?;
        let readiness = self.readiness.get_or_init(|| new);
        self.update(|_| ((), Wake { reports: true, ..Wake::NONE }));
        Ok(readiness)
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant that is so long after the start.
    pub(crate) fn instant(&self, since_start: Duration) -> Option<Instant> {
        self.started.checked_add(since_start)
    }

    /// Waits until a flush has settled everything, at most until `deadline` (`None`:
    /// without a limit). Returns what it has counted; `None` for a flush that is not
    /// known. The flush goes on until it is ended.
    pub(crate) fn wait_flush(&self, flush: FlushId, deadline: Option<Instant>) -> Option<FlushResult> {
        self.wait_for(Signal::Settled, |state| match state.flush_result(flush) {
            Some(result) if result.pending > 0 && !has_passed(deadline) => Wait::Until(deadline),
            result => Wait::Done(result, Wake::NONE),
        })
    }

    /// Blocks the calling thread of a race model until the send loop is woken.
    #[cfg(all(test, feature = "race-models"))]
    pub(crate) fn wait_sender_woken(&self) {
        self.sender.wait();
    }

    /// Holds the lock while `hold` runs, for the race models.
    #[cfg(all(test, feature = "race-models"))]
    pub(crate) fn with_lock_held(&self, hold: impl FnOnce()) {
        let _guarded = self.lock();
        hold();
    }
}

#[cfg(test)]
impl Delivery {
    /// Lets threads stage what they capture, as if two of them had met.
    pub(crate) fn stage_from_now_on(&self) {
        self.stages.set_in_use(true);
    }

    /// Whether threads may stage events.
    pub(super) fn is_staging(&self) -> bool {
        self.stages.in_use()
    }

    /// Whether any event is staged.
    pub(super) fn is_any_staged(&self) -> bool {
        self.stages.all().any(|staged| !staged.is_empty())
    }
}

impl Guarded {
    fn waiters(&mut self, signal: Signal) -> &mut usize {
        match signal {
            Signal::Settled => &mut self.settled_waiters,
            Signal::Reports => &mut self.reports_waiters,
            Signal::Disk => &mut self.disk_waiters,
        }
    }
}

/// Few captures get here. It writes to a descriptor, or reads from it.
#[inline(never)]
fn set_ready(readiness: &ReadinessFd, wanted: bool) {
    let _deferred = DeferredCancellation::begin();
    readiness.set_ready(wanted);
}

/// Whether a deadline has passed; `None` never does.
pub(crate) fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

impl FlushAtExit for Delivery {
    #[cfg(all(unix, feature = "spool"))]
    fn write(&self, deadline: Option<Instant>) {
        let order = self.update(|state| (state.ask_write(), Wake::NONE));
        self.wait_until(Signal::Settled, deadline, |state| state.is_written(order));
    }

    #[cfg(not(all(unix, feature = "spool")))]
    fn write(&self, _: Option<Instant>) {}

    fn begin_flush(&self) -> u64 {
        self.update(|state| state.begin_flush(false))
    }

    fn wait_flush(&self, flush: u64, deadline: Option<Instant>) {
        Delivery::wait_flush(self, flush, deadline);
    }
}
