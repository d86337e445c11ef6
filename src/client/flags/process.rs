//! What the flag requests of one client share in one process, and how they end with the client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, UNIX_EPOCH};

use tokio::sync::Notify;

use super::polling::Polling;
use crate::flags::remote::FlagCircuit;
use crate::sync::recover;

/// Who is asked: one of them may be down while the other one is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Values,
    RemoteConfig,
}

/// See the module.
pub(super) struct FlagProcess {
    /// Lock order: no other lock is taken while one of the two is held.
    values: Mutex<FlagCircuit>,
    remote_config: Mutex<FlagCircuit>,
    started: Instant,
    is_stopped: AtomicBool,
    stopped: Notify,
    pub(super) polling: Polling,
}

impl Default for FlagProcess {
    fn default() -> Self {
        FlagProcess {
            values: Mutex::new(FlagCircuit::new("flags")),
            remote_config: Mutex::new(FlagCircuit::new("remote configs")),
            started: Instant::now(),
            is_stopped: AtomicBool::new(false),
            stopped: Notify::new(),
            polling: Polling::default(),
        }
    }
}

impl FlagProcess {
    /// The memory of an outage of this service.
    pub(super) fn circuit(&self, service: Service) -> MutexGuard<'_, FlagCircuit> {
        let circuit = match service {
            Service::Values => &self.values,
            Service::RemoteConfig => &self.remote_config,
        };
        recover(circuit.lock())
    }

    /// The time that the rules count in.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends all requests, also those that begin later.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        self.stopped.notify_waiters();
    }

    /// Runs a task until it ends or the client does; `None` in that case.
    pub(super) async fn until_stopped<T>(&self, task: impl Future<Output = T>) -> Option<T> {
        let stopped = async {
            let mut notified = std::pin::pin!(self.stopped.notified());
            // From here on a stop is not missed.
            notified.as_mut().enable();
            if !self.is_stopped.load(Ordering::SeqCst) {
                notified.await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => None,
            done = task => Some(done),
        }
    }
}

/// The time in ms since 1970.
pub(super) fn now_ms() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}
