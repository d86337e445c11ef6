//! What a process hands on to its children, and what it does at its end: two registrations with
//! libc and one with the kernel.
#![allow(unsafe_code)]

use crate::status::{Error, Status};

/// Makes every child that is forked from now on find `page` empty. It fills whole pages of the
/// system and every content is a valid one. `empty` empties it, async-signal-safely, for where
/// the kernel cannot.
///
/// Fails if the system offers no way to do so, because parent and child would then make the
/// same uuids.
pub(crate) fn empty_in_children<T: Sync>(page: &'static T, empty: extern "C" fn()) -> Result<(), Error> {
    // Not both: in a child whose own handlers capture, ours could run after them.
    if wipe_on_fork(page) {
        return Ok(());
    }
    // SAFETY: the handler is async-signal-safe: it writes to an atomic.
    let failed = unsafe { libc::pthread_atfork(None, None, Some(empty)) };
    if failed == 0 {
        return Ok(());
    }
    let reason = std::io::Error::from_raw_os_error(failed);
    let text = format!(
        "a fork could not be recognised, and parent and child would send events under the same uuids: the kernel \
         refuses MADV_WIPEONFORK, and pthread_atfork failed: {reason}"
    );
    Err(Error::new(Status::OUT_OF_RESOURCES, text))
}

/// Asks the kernel to empty the page in every child; false if it refuses.
#[cfg(target_os = "linux")]
fn wipe_on_fork<T>(page: &'static T) -> bool {
    /// No advice has this number.
    const NO_ADVICE: libc::c_int = -1;
    let start = std::ptr::from_ref(page).cast_mut().cast();
    let advise = |advice| {
        // SAFETY: the page is the caller's own, and nothing else is in it. Its content changes
        // in a child only, and every content is a valid one.
        unsafe { libc::madvise(start, size_of::<T>(), advice) == 0 }
    };
    // SAFETY: it only reads a value.
    let page_bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let fills_pages = usize::try_from(page_bytes).is_ok_and(|bytes| size_of::<T>().is_multiple_of(bytes));
    // Some emulators report success for every advice and follow none.
    fills_pages && !advise(NO_ADVICE) && advise(libc::MADV_WIPEONFORK)
}

/// Other kernels have no such advice.
#[cfg(not(target_os = "linux"))]
fn wipe_on_fork<T>(_: &'static T) -> bool {
    false
}

/// Registers what runs at the end of the process. It must not unwind.
pub(crate) fn at_exit(handler: extern "C" fn()) -> Result<(), Error> {
    // SAFETY: the handler does not unwind, and the library is never unloaded (nodelete), so its
    // code is there when it is called.
    if unsafe { libc::atexit(handler) } == 0 {
        return Ok(());
    }
    let text = "exit_flush_ms: the exit handler could not be registered, because there is no memory for it; \
                set exit_flush_ms to 0 and close the client before the process ends, or try again later";
    Err(Error::new(Status::OUT_OF_RESOURCES, text))
}
