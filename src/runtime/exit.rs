//! What is done with pending events at the end of the process: for clients with a spool they are written to disk, and
//! for clients that ask for it with `exit_flush_ms` they are sent.
//!
//! One exit handler per process is registered, when the first such client is made. A
//! forked child inherits it, and in the child it does nothing until the child captures
//! events of its own. It does not run for `_exit`, `quick_exit` or
//! a fatal signal.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Weak};
use std::time::{Duration, Instant};

use super::{PerProcess, system};
use crate::status::Error;
use crate::sync::recover;

/// What the exit handler flushes.
pub(crate) trait FlushAtExit: Send + Sync {
    /// Has everything that is pending written to disk, and waits until that is done, at most until `deadline`.
    fn write(&self, deadline: Option<Instant>);

    /// Begins a flush of everything that is pending and returns its number.
    fn begin_flush(&self) -> u64;

    /// Waits until the flush is complete, at most until `deadline` (`None`: without
    /// a limit).
    fn wait_flush(&self, flush: u64, deadline: Option<Instant>);
}

static REGISTERED: AtomicBool = AtomicBool::new(false);
/// Lock order: taken while a client's `ProcessState::threads` is held; takes no
/// other lock.
static TARGETS: PerProcess<Mutex<Vec<Target>>> = PerProcess::new();

struct Target {
    pending: Weak<dyn FlushAtExit>,
    limit: Duration,
    writes: bool,
}

/// How long the end of a process waits for the disk at most.
const WRITE_LIMIT: Duration = Duration::from_millis(250);

/// Registers the exit handler, before there is anything that it could lose.
///
/// Two threads that race here both register it. The second call of the handler finds
/// nothing to flush.
pub(crate) fn register() -> Result<(), Error> {
    if REGISTERED.load(Ordering::Acquire) {
        return Ok(());
    }
    system::at_exit(at_exit)?;
    REGISTERED.store(true, Ordering::Release);
    Ok(())
}

/// Makes the end of the process wait until `pending` is written to disk, if `writes` says so, and until it is sent, at
/// most for `limit`.
pub(crate) fn flush_at_exit(pending: Weak<dyn FlushAtExit>, limit: Duration, writes: bool) {
    let mut targets = recover(TARGETS.get_or_make(Mutex::default).lock());
    targets.retain(|target| target.pending.strong_count() > 0);
    targets.push(Target { pending, limit, writes });
}

/// Has what is pending written to disk, or removed from it.
fn write_all(targets: &[Target], now: Instant) {
    for target in targets.iter().filter(|target| target.writes) {
        if let Some(pending) = target.pending.upgrade() {
            pending.write(now.checked_add(WRITE_LIMIT));
        }
    }
}

extern "C" fn at_exit() {
    // The process must end, whatever happens here.
    let _ = catch_unwind(|| {
        let Some(targets) = TARGETS.get() else { return };
        let started = Instant::now();
        let targets = std::mem::take(&mut *recover(targets.lock()));
        write_all(&targets, started);
        // All flushes begin before one is waited for.
        let begun: Vec<_> = targets
            .iter()
            .filter(|target| target.limit > Duration::ZERO)
            .filter_map(|target| Some((target.pending.upgrade()?, target.limit)))
            .map(|(pending, limit)| (pending.begin_flush(), pending, limit))
            .collect();
        if begun.is_empty() {
            return;
        }
        for (flush, pending, limit) in begun {
            pending.wait_flush(flush, started.checked_add(limit));
        }
        // What was sent since is not to be sent again by a later process.
        write_all(&targets, Instant::now());
    });
}
