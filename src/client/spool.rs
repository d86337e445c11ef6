//! What hosts ask of a client's spool.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Client;
use crate::config::Config;
use crate::delivery::{Signal, Wait, Wake, has_passed};
use crate::runtime;
use crate::spool::{DiskError, ErrorKind, UnixDisk, open_root};
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
                let text =
                    "the disk did not take everything; the log says why. What is pending is still in memory";
                Err(Error::new(Status::SPOOL, text))
            }
            other => Err(other.into()),
        }
    }

    /// Ends everything that is pending (`discarded`): in memory, on disk, and what ended processes have left there.
    /// Returns how many events that were; waits for the disk at most for `timeout`.
    pub(crate) fn discard_spool(&self, timeout: Option<Duration>) -> Result<u64, Error> {
        self.check_spool()?;
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let process = self.process();
        process.start(&self.config, &self.slots)?;
        process.delivery.discard(deadline).ok_or_else(|| Status::TIMEOUT.into())
    }

    /// Waits until what was captured is on disk, or until that cannot be.
    pub(super) fn await_disk(&self) {
        self.process().delivery.wait_written(Instant::now() + CALL_LIMIT);
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
