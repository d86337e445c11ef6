//! The descriptors 0, 1 and 2 never become descriptors of the library.
//!
//! The system gives a new descriptor the lowest free number. In a process that runs with
//! one of these three closed, a socket would get it, and what the host prints to its
//! standard error would be sent to the server. So each that is free is occupied before a
//! descriptor is made, by the read end of an empty pipe: what the host writes to it fails
//! with EBADF, as before, and what it reads is at its end. It stays for the life of the
//! process, because the host may have put a file of its own in its place, which must not
//! be closed; `exec` closes it.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

/// Standard input, output and error.
const STANDARD: std::ops::RangeInclusive<RawFd> = 0..=2;

/// Occupies those that are free.
pub(crate) fn occupy() -> std::io::Result<()> {
    // Other threads open and close descriptors meanwhile, so it may take more than one try
    // for each; and a filter of system calls may hide that they are open.
    for _ in 0..8 {
        if STANDARD.into_iter().all(is_open) {
            break;
        }
        // The write end may get one of them, too; it is free again once it is closed here.
        let (placeholder, _) = std::io::pipe()?;
        if STANDARD.contains(&placeholder.as_raw_fd()) {
            let _kept = placeholder.into_raw_fd();
        }
    }
    Ok(())
}

fn is_open(descriptor: RawFd) -> bool {
    // SAFETY: it only reads a flag, and fails if the descriptor is not open.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) != -1 }
}
