//! A file descriptor that is readable while reports wait, for hosts with an event
//! loop.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

/// A pair of sockets with at most one byte on the way.
#[derive(Debug)]
pub struct Beacon {
    /// The host waits for this one.
    here: UnixStream,
    there: UnixStream,
    lit: Mutex<bool>,
}

impl Beacon {
    /// A dark one.
    pub fn new() -> std::io::Result<Self> {
        let (here, there) = UnixStream::pair()?;
        here.set_nonblocking(true)?;
        there.set_nonblocking(true)?;
        Ok(Beacon { here, there, lit: Mutex::new(false) })
    }

    /// The descriptor. It is the library's.
    pub fn descriptor(&self) -> RawFd {
        self.here.as_raw_fd()
    }

    /// Makes it readable, or not.
    pub fn show(&self, wanted: bool) {
        let mut lit = self.lit.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted && !*lit {
            *lit = (&self.there).write(&[1]).is_ok_and(|written| written == 1);
        } else if !wanted && *lit {
            // If the host has read the byte itself, there is nothing to read.
            let _ = (&self.here).read(&mut [0; 8]);
            *lit = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_readable_while_it_is_lit() {
        let beacon = Beacon::new().unwrap();
        let mut byte = [0; 8];
        assert!((&beacon.here).read(&mut byte).is_err());
        beacon.show(true);
        beacon.show(true);
        beacon.show(false);
        assert!((&beacon.here).read(&mut byte).is_err());
        beacon.show(true);
        assert_eq!((&beacon.here).read(&mut byte).unwrap(), 1);
        beacon.show(false);
    }
}
