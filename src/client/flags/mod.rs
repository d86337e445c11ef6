//! Feature flags of a client: the definitions that it has, evaluation by them, and by the server where they do not
//! suffice; and remote configs.
//!
//! Definitions are immutable behind one pointer, which is read without a lock: an evaluation never waits for a thread
//! that loads new ones, and a forked child goes on with what it has inherited. What belongs to one process (the memory
//! of an outage, requests) is in [`FlagProcess`], which a child makes anew.

mod call;
mod config;
mod poll;
mod polling;
mod process;
mod reads;
mod values;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwapOption;

use super::Client;
use crate::config::Config;
use crate::flags::{Definitions, OfClient, Query, Snapshot};
use crate::runtime::PerProcess;
use crate::status::{Error, Status};
use process::{FlagProcess, now_ms};
use reads::Reporting;
pub(crate) use reads::{HandedOut, Reporter};

/// The definitions of a client, if it has any, and what its evaluations share.
pub(super) struct Flags {
    definitions: Arc<ArcSwapOption<Definitions>>,
    /// Whether definitions are fetched from the server.
    fetches: bool,
    process: PerProcess<Arc<FlagProcess>>,
    reporting: Reporting,
}

impl Flags {
    pub(super) fn new(config: &Config) -> Self {
        let has_key = !config.secret_key.is_empty() && !config.is_disabled();
        Flags {
            definitions: Arc::default(),
            fetches: has_key && config.local_evaluation && !config.test_mode,
            process: PerProcess::new(),
            reporting: Reporting::new(config),
        }
    }

    fn process(&self) -> &Arc<FlagProcess> {
        self.process.get_or_make(Arc::default)
    }

    /// Ends the requests of this process.
    pub(super) fn stop(&self) {
        if let Some(process) = self.process.get() {
            process.stop();
            process.polling.stop();
        }
    }
}

impl Client {
    /// Replaces the definitions; if they are refused, those that are there stay.
    pub(crate) fn set_flag_definitions(&self, json: &[u8]) -> Result<(), Error> {
        let definitions = Definitions::new(json)?.loaded_at(now_ms());
        self.flags.definitions.store(Some(Arc::new(definitions)));
        Ok(())
    }

    /// Whether there are definitions.
    pub(crate) fn has_flag_definitions(&self) -> bool {
        self.flags.definitions.load().is_some()
    }

    /// Evaluates flags by the definitions that are there. Never waits.
    pub(crate) fn evaluate_flags(&self, query: &Query) -> Snapshot {
        self.note_flag_use();
        let definitions = self.flags.definitions.load_full().filter(|_| !query.is_remote_only());
        // Few definitions compare dates.
        let needs_now = definitions.as_ref().is_some_and(|definitions| definitions.needs_now());
        let now = if needs_now { nanoseconds_now() } else { 0 };
        let contexts = &self.config.evaluation_contexts;
        Snapshot::new(definitions, query, OfClient { contexts, now })
    }

    /// The same, and asks the server, for at most this time, for what has no value then. There is a snapshot with
    /// what is known, whatever happens; the error says why the rest is not.
    pub(crate) fn evaluate_flags_within(
        &self,
        query: &Query,
        timeout: Duration,
    ) -> (Snapshot, Result<(), Error>) {
        let local = self.evaluate_flags(query);
        if local.is_complete() {
            (local, Ok(()))
        } else if timeout.is_zero() {
            (local, Err(Status::WOULD_WAIT.into()))
        } else {
            self.ask_server(local, query, timeout)
        }
    }
}

fn nanoseconds_now() -> i128 {
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}
