//! The flush at the end of the process, for hosts that ask for it with
//! `exit_flush_ms`.
//!
//! There is one exit handler a process, registered at the first capture of such a
//! client and inherited by forked children, in which it finds nothing to do until
//! they capture something themselves. It does not run for `_exit`, `quick_exit`
//! or a fatal signal.
#![allow(unsafe_code)]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::fork::PerGeneration;
use crate::shared::Shared;

static REGISTERED: AtomicBool = AtomicBool::new(false);
static WAITED_FOR: PerGeneration<Mutex<Vec<Wait>>> = PerGeneration::new();

/// Whose events are waited for, and how long.
struct Wait {
    shared: Weak<Shared>,
    limit: Duration,
}

/// Lets the end of the process wait for this client's events, at most so long.
pub fn flush_at_exit(shared: &Arc<Shared>, limit: Duration) {
    let mut waited_for =
        WAITED_FOR.get_or_make(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    waited_for.retain(|wait| wait.shared.strong_count() > 0);
    waited_for.push(Wait { shared: Arc::downgrade(shared), limit });
    drop(waited_for);
    if !REGISTERED.swap(true, Ordering::AcqRel) {
        // SAFETY: the handler does not unwind, and the library is never
        // unloaded (nodelete), so it is there when it is called.
        unsafe { libc::atexit(at_exit) };
    }
}

extern "C" fn at_exit() {
    // An exit must end, whatever happens here.
    let _ = catch_unwind(|| {
        let Some(waited_for) = WAITED_FOR.get() else { return };
        let started = Instant::now();
        let waited_for = std::mem::take(&mut *waited_for.lock().unwrap_or_else(PoisonError::into_inner));
        // All begin before one is waited for.
        let begun: Vec<_> = waited_for
            .iter()
            .filter_map(|wait| Some((wait.shared.upgrade()?, wait.limit)))
            .map(|(shared, limit)| (shared.begin_flush(false), shared, limit))
            .collect();
        for (ticket, shared, limit) in begun {
            shared.await_flush(ticket, started.checked_add(limit));
        }
    });
}
