//! Feature flags of a client: the definitions that it has, and evaluation by them.
//!
//! Definitions are immutable behind one pointer, which is read without a lock: an evaluation never waits for a thread
//! that loads new ones, and a forked child goes on with what it has inherited.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use arc_swap::ArcSwapOption;

use super::Client;
use crate::flags::{Definitions, Query, Snapshot};
use crate::status::{Error, Status};

/// The definitions of a client, if it has any.
#[derive(Debug, Default)]
pub(super) struct Flags {
    definitions: ArcSwapOption<Definitions>,
}

impl Client {
    /// Replaces the definitions; if they are refused, those that are there stay.
    pub(crate) fn set_flag_definitions(&self, json: &[u8]) -> Result<(), Error> {
        self.flags.definitions.store(Some(Arc::new(Definitions::new(json)?)));
        Ok(())
    }

    /// Whether there are definitions.
    pub(crate) fn has_flag_definitions(&self) -> bool {
        self.flags.definitions.load().is_some()
    }

    /// Evaluates flags by the definitions that are there. Never waits.
    pub(crate) fn evaluate_flags(&self, query: &Query) -> Snapshot {
        let definitions = self.flags.definitions.load_full();
        // Few definitions compare dates.
        let needs_now = definitions.as_ref().is_some_and(|definitions| definitions.needs_now());
        let now = if needs_now { nanoseconds_now() } else { 0 };
        Snapshot::new(definitions, query, now)
    }
}

/// The status of an evaluation that never waits.
pub(crate) fn status_of(snapshot: &Snapshot) -> Result<(), Error> {
    if snapshot.is_complete() { Ok(()) } else { Err(Status::WOULD_WAIT.into()) }
}

fn nanoseconds_now() -> i128 {
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}
