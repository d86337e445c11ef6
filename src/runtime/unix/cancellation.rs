//! Thread cancellation: no call of the library ends the host's thread.
//!
//! A thread that `pthread_cancel` was called for ends at its next cancellation point, and
//! many system calls are such points. That would unwind through the library, past locks
//! that it holds, and end the process at the boundary to C. So a request to cancel is
//! deferred wherever a thread of the host makes system calls for the library or runs code
//! of the host, and is met at the host's own next cancellation point. Exported functions
//! that wait or make system calls defer it as a whole; a capture does so only where it
//! starts or wakes a thread, asks for randomness, writes to a file or runs a callback.
#![allow(unsafe_code)]

unsafe extern "C" {
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

/// The same number in glibc and musl; Apple has the two states the other way round.
const PTHREAD_CANCEL_DISABLE: libc::c_int = if cfg!(target_vendor = "apple") { 0 } else { 1 };

/// While it lives, the calling thread is not cancelled. It may be nested.
#[derive(Debug)]
#[must_use = "it lasts until it is dropped"]
pub(crate) struct DeferredCancellation {
    before: libc::c_int,
    /// It must be dropped on the thread that made it.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl DeferredCancellation {
    /// Begins to defer.
    pub(crate) fn begin() -> Self {
        let mut before = PTHREAD_CANCEL_DISABLE;
        // SAFETY: it changes a flag of the calling thread, and writes the one before to
        // `before`. With deferred cancellation, POSIX's default, it is not itself a
        // cancellation point.
        unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut before) };
        DeferredCancellation { before, _not_send: std::marker::PhantomData }
    }
}

impl Drop for DeferredCancellation {
    fn drop(&mut self) {
        // SAFETY: as in `begin`; this is the state that was found there.
        unsafe { pthread_setcancelstate(self.before, std::ptr::null_mut()) };
    }
}
