//! What hosts ask of a client's spool.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Client;
use crate::config::Config;
use crate::delivery::{Delivery, DeliveryState, EventPlace, Refusal, Signal, Wait, Wake, Writer, has_passed};
use crate::event::EncodedEvent;
use crate::runtime::{self, DeferredCancellation};
use crate::spool::{DiskError, ErrorKind, SegmentId, UnixDisk, boot_ms, open_root};
use crate::status::{Error, Status};

/// How long a capture waits for the disk at most (`spool_safety` = `call`). A disk that takes longer fails.
const CALL_LIMIT: Duration = Duration::from_secs(1);

/// Checks the folder of a client's spool, if it has one, and has forked children leave it alone.
pub(super) fn prepare(config: &Config) -> Result<(), Error> {
    if !config.has_spool() {
        return Ok(());
    }
    runtime::close_in_children()?;
    let folder = Path::new(&config.spool_dir);
    match open_root(&UnixDisk, folder) {
        // A disk that is full or fails today does not keep a program from starting.
        Err(DiskError { kind: ErrorKind::Foreign | ErrorKind::Denied | ErrorKind::Missing, text }) => {
            Err(Error::new(Status::INVALID_SETTING, format!("spool_dir = {:?}: {text}", config.spool_dir)))
        }
        _ => Ok(()),
    }
}

impl Client {
    /// Waits until everything that was captured before is on disk and synced, so that neither the end of the process
    /// nor a power cut loses it; at most for `timeout` (`None`: without a limit).
    pub(crate) fn persist(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.check_spool()?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let Some(process) = self.process.get().filter(|process| process.has_disk_thread()) else {
            return Ok(());
        };
        let delivery = &process.delivery;
        let order = delivery.update(|state| (state.ask_persist(), Wake::NONE));
        let status = delivery.wait_for(Signal::Settled, |state| match state.persisted(order) {
            None if has_passed(deadline) => Wait::Done(Status::TIMEOUT, Wake::NONE),
            None => Wait::Until(deadline),
            Some(status) => Wait::Done(status, Wake::NONE),
        });
        match status {
            Status::OK => Ok(()),
            Status::SPOOL => {
                let text = "the disk did not take or sync everything; the log says why. What is pending is still in \
                            memory or in its file";
                Err(Error::new(Status::SPOOL, text))
            }
            other => Err(other.into()),
        }
    }

    /// Ends everything that is pending (`discarded`): in memory, on disk, and what ended processes have left there.
    /// Waits for the disk at most for `timeout`. `discarded` gets how many events have ended, whatever is returned.
    pub(crate) fn discard_spool(&self, timeout: Option<Duration>, discarded: &mut u64) -> Result<(), Error> {
        self.check_spool()?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let process = self.process();
        process.start(&self.config, &self.slots)?;
        let (events, status) = process.delivery.discard(deadline);
        *discarded = events;
        match status {
            Status::OK => Ok(()),
            Status::SPOOL => {
                let text = "the disk did not remove everything, and the log says why: call it again";
                Err(Error::new(Status::SPOOL, text))
            }
            other => Err(other.into()),
        }
    }

    /// Begins to send everything that ended processes have left for this host and key, without waiting for the time at
    /// which a client looks for that; returns what [`Client::wait_drained`] takes.
    #[cfg(feature = "internals")]
    pub(crate) fn begin_drain(&self) -> Result<u64, Error> {
        self.check_spool()?;
        let process = self.process();
        process.start(&self.config, &self.slots)?;
        Ok(process.delivery.update(|state| (state.ask_drain(), Wake::NONE)))
    }

    /// Waits until a drain has left nothing that this client could take over, and nothing is pending; at most for
    /// `timeout`. Returns whether that is so. It is also over when the disk does not allow it; the log says why.
    #[cfg(feature = "internals")]
    pub(crate) fn wait_drained(&self, drain: u64, timeout: Duration) -> bool {
        let delivery = &self.process().delivery;
        let deadline = Some(Instant::now() + timeout);
        delivery.wait_until(Signal::Settled, deadline, |state| state.is_drained(drain));
        delivery.read(|state| state.is_drained(drain))
    }

    fn check_spool(&self) -> Result<(), Error> {
        if self.is_closed() {
            return Err(Status::CLOSED.into());
        }
        if !self.config.has_spool() {
            return Err(Error::new(Status::SPOOL, "this client has no spool: set spool_dir"));
        }
        Ok(())
    }
}

impl Delivery {
    /// Enqueues an event like [`Delivery::enqueue`], and has it on disk when it returns, unless the disk cannot take it
    /// (`spool_safety` = `call`). The calling thread writes it by itself if the disk thread has lent a file for that.
    pub(super) fn enqueue_on_disk(
        &self,
        wire: &[u8],
        event: &EncodedEvent,
        block_timeout: Duration,
    ) -> Result<(), Refusal> {
        let attempt = |state: &mut DeliveryState| {
            let (result, wake) = state.enqueue(wire, event, || self.now());
            (result.map(|()| state.begin_append(wire.len(), boot_ms)), wake)
        };
        let mut writer = self.update(attempt);
        if matches!(writer, Err(Refusal::Block)) {
            writer = self.wait_for_room(block_timeout, attempt);
        }
        match writer? {
            Writer::Capture(place) => self.append(place, wire, event),
            Writer::DiskThread { seq } => {
                let deadline = Some(Instant::now() + CALL_LIMIT);
                self.wait_until(Signal::Settled, deadline, |state| state.is_written_through(seq));
            }
        }
        Ok(())
    }

    /// Writes an event to its place. After an error, waits until the disk thread has dealt with that.
    fn append(&self, place: EventPlace, wire: &[u8], event: &EncodedEvent) {
        // To write is a cancellation point, and so is to close a file that was retired in the meantime.
        let _deferred = DeferredCancellation::begin();
        let mut ending = Ending { delivery: self, segment: place.segment, error: Some(ErrorKind::Other) };
        ending.error = place.file.append(place.index, event.uuid, wire).err().map(|error| error.kind);
        drop(place);
        drop(ending);
    }
}

/// Records the end of an append, however it ends.
struct Ending<'a> {
    delivery: &'a Delivery,
    segment: SegmentId,
    error: Option<ErrorKind>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let order = self.delivery.update(|state| (state.end_append(self.segment, self.error), Wake::NONE));
        if let Some(order) = order {
            let deadline = Instant::now() + CALL_LIMIT;
            let is_done = |state: &mut DeliveryState| state.is_dealt_with(order);
            self.delivery.wait_until(Signal::Settled, Some(deadline), is_done);
        }
    }
}
