//! What a store is given: the settings, and who it is for.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::SpoolSafety;
use crate::spool::root::Destination;

/// The settings of a spool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// `spool_safety`
    pub(crate) safety: SpoolSafety,
    /// `spool_write_ms`
    pub(crate) write_every: Duration,
    /// `spool_sync_ms`
    pub(crate) sync_every: Duration,
    /// `spool_max_bytes`: of all segments of the destination, those of other processes included.
    pub(crate) max_bytes: u64,
    /// `spool_min_free_bytes`
    pub(crate) min_free_bytes: u64,
    /// `spool_max_age_ms`
    pub(crate) max_age: Duration,
    /// `spool_adopt`
    pub(crate) adopts: bool,
    /// Whether the oldest events on disk make space for newer ones (`overflow` = `drop_oldest`).
    pub(crate) evicts: bool,
}

/// Whose spool it is.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// `spool_dir`
    pub(crate) folder: PathBuf,
    /// The host and the key.
    pub(crate) destination: Destination,
    /// `historical_migration`
    pub(crate) historical_migration: bool,
    /// Name and version of the SDK, as it names itself to the server.
    pub(crate) origin: String,
    /// For people who look at the folder.
    pub(crate) pid: u32,
    /// Makes the name of the instance unique.
    pub(crate) random: u64,
}
