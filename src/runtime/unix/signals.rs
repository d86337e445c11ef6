//! Threads on which no signal handler of the host ever runs.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// The signals that report a fault of the thread itself. They stay unblocked, so
/// that a host's crash reporter sees a crash on any thread.
const FAULTS: [libc::c_int; 7] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS, libc::SIGABRT];

/// Runs `spawn` with every asynchronous signal blocked. A thread started in it
/// inherits that mask; the calling thread's own mask is restored.
///
/// SIGPIPE is among them: a write to a closed socket must neither run a handler of
/// the host nor end the process.
pub(crate) fn with_signals_blocked<T>(spawn: impl FnOnce() -> T) -> T {
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both sets are written before they are read: `blocked` by sigfillset,
    // `before` by pthread_sigmask when it succeeds. FAULTS are valid signals.
    let changed = unsafe {
        libc::sigfillset(blocked.as_mut_ptr());
        for fault in FAULTS {
            libc::sigdelset(blocked.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, blocked.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = spawn();
    if changed {
        // SAFETY: the successful call above has written `before`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    result
}
