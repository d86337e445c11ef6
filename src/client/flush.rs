//! Waiting for events to end: flush and close.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Client;
use crate::delivery::{DeliveryState, FlushId, FlushResult, LossReason, Wake};
use crate::status::{Error, Status};

impl FlushResult {
    /// The status of a flush with this result.
    pub(crate) fn status(self) -> Status {
        match self {
            FlushResult { pending: 1.., .. } => Status::TIMEOUT,
            FlushResult { lost: 1.., .. } => Status::LOST_EVENTS,
            _ => Status::OK,
        }
    }
}

impl Client {
    /// Sends what waits, and waits until every event that was captured before is settled,
    /// back-off and `Retry-After` included; at most for `timeout` (`None`: without a
    /// limit). At the time limit nothing is abandoned.
    pub(crate) fn flush(&self, timeout: Option<Duration>) -> Result<FlushResult, Error> {
        self.check_open()?;
        // If nothing was captured, there is nothing to start a thread for.
        if self.process.get().is_none() {
            return Ok(FlushResult::default());
        }
        Ok(self.flush_pending(timeout))
    }

    fn flush_pending(&self, timeout: Option<Duration>) -> FlushResult {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let delivery = &self.process().delivery;
        let flush = delivery.update(|state| state.begin_flush(false));
        let result = delivery.wait_flush(flush, deadline);
        delivery.update(|state| (state.end_flush(flush), Wake::NONE));
        result.unwrap_or_default()
    }

    /// The error of a flush with this result; for losses, also what went wrong with the
    /// last of them.
    pub(crate) fn outcome(&self, result: FlushResult) -> Result<(), Error> {
        match result.status() {
            Status::OK => Ok(()),
            Status::LOST_EVENTS => {
                let cause =
                    self.process.get().map(|process| process.delivery.read(DeliveryState::cause_of_losses));
                let FlushResult { lost, settled, .. } = result;
                let text = format!("events lost: {lost} of {settled}{}", cause.unwrap_or_default());
                Err(Error::new(Status::LOST_EVENTS, text))
            }
            other => Err(other.into()),
        }
    }

    /// Begins a flush that is waited for separately. Does not wait itself.
    pub(crate) fn begin_flush(&self) -> Result<FlushId, Error> {
        self.check_open()?;
        Ok(self.process().delivery.update(|state| state.begin_flush(true)))
    }

    /// Waits for a flush that was begun, like [`Client::flush`]. When everything is settled,
    /// the flush has ended; at the time limit it goes on.
    pub(crate) fn wait_flush(&self, flush: FlushId, timeout: Option<Duration>) -> Result<FlushResult, Error> {
        let unknown = || {
            let message =
                "there is no such flush (it has ended, was forgotten, or belongs to the parent process)";
            Error::new(Status::INVALID_ARGUMENT, message)
        };
        let delivery = &self.process.get().ok_or_else(unknown)?.delivery;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let result = delivery.wait_flush(flush, deadline).ok_or_else(unknown)?;
        if result.pending == 0 {
            self.end_flush(flush);
        }
        Ok(result)
    }

    /// Forgets a flush that was begun; its events are still sent.
    pub(crate) fn end_flush(&self, flush: FlushId) {
        if let Some(process) = self.process.get() {
            process.delivery.update(|state| (state.end_flush(flush), Wake::NONE));
        }
    }

    /// Takes no more events, waits like [`Client::flush`], and at the time limit cancels
    /// what is in flight, leaves what is left on disk if there is a spool, and ends the rest
    /// as lost (`closed`). Fails with
    /// `PHC_LOST_EVENTS` if any event that was captured in this process is lost. A second
    /// close does nothing.
    pub(crate) fn close(&self, timeout: Option<Duration>) -> Result<(), Error> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        #[cfg(feature = "flags")]
        self.flags.stop();
        let close_by = timeout.map(|timeout| Instant::now() + timeout);
        // Made if there is none: a capture that is just beginning must find it shut.
        let process = self.process();
        process.delivery.update(|state| ((), state.shut(Status::CLOSED)));
        // Without time nothing is begun that could only be cancelled.
        if timeout != Some(Duration::ZERO) {
            self.flush_pending(timeout);
        }
        #[cfg(all(unix, feature = "spool"))]
        process.close_disk(close_by);
        let (lost, cause) = process.delivery.update(|state| {
            let wake = state.end_all(LossReason::Closed);
            // Pollers learn that there will be no more reports.
            let end = Wake { sender: true, settled: true, reports: true };
            ((state.stats().lost_total(), state.cause_of_losses()), wake | end)
        });
        process.wait_sender_stopped(close_by);
        if lost == 0 {
            return Ok(());
        }
        Err(Error::new(Status::LOST_EVENTS, format!("events lost: {lost}{cause}")))
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.is_closed() { Err(Status::CLOSED.into()) } else { Ok(()) }
    }
}
