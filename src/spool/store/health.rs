//! What the disk is able to do, and when it is tried again.

use std::time::Duration;

use crate::spool::disk::ErrorKind;

/// What the disk is able to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// Everything.
    #[default]
    Ok,
    /// There is too little space, or the quota is used up. Nothing is written; what is there is sent, which frees
    /// space.
    Full,
    /// The folder cannot be used: read-only, removed, not ours, or the process has no descriptors left.
    Off,
    /// The disk fails.
    Failed,
}

impl Health {
    /// After how long it is tried again.
    pub(super) fn retry(self) -> Duration {
        match self {
            Health::Ok => Duration::ZERO,
            Health::Full => Duration::from_secs(5),
            Health::Off => Duration::from_secs(60),
            Health::Failed => Duration::from_secs(600),
        }
    }

    /// What follows from an error.
    pub(super) fn after(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Full => Health::Full,
            ErrorKind::Failed => Health::Failed,
            ErrorKind::Missing
            | ErrorKind::Exists
            | ErrorKind::Denied
            | ErrorKind::Foreign
            | ErrorKind::Other => Health::Off,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct HealthState {
    pub(super) health: Health,
    pub(super) retry_at: u64,
    /// How many times in a row the disk has failed.
    pub(super) failures: u32,
    /// What was last reported.
    pub(super) reported: Health,
}

impl HealthState {
    /// When the disk is tried again; `None` if it works.
    pub(super) fn retry_at(&self) -> Option<u64> {
        (self.health != Health::Ok).then_some(self.retry_at)
    }
}
