//! A file descriptor, or on Windows a SOCKET, that is readable while reports wait, for hosts with an event
//! loop.

use std::io::Write;
use std::sync::Mutex;

use super::system::{self, Socket};
use crate::sync::recover;

/// A pair of connected sockets with at most one byte in transit.
#[derive(Debug)]
pub(crate) struct ReadinessFd {
    /// The host polls this one.
    read_end: Socket,
    write_end: Socket,
    /// Lock order: taken while the state of a client is locked; takes no other lock.
    ready: Mutex<bool>,
}

impl ReadinessFd {
    /// A descriptor that is not readable yet.
    pub(crate) fn new() -> std::io::Result<Self> {
        system::occupy_standard_descriptors()?;
        let (read_end, write_end) = system::socket_pair()?;
        read_end.set_nonblocking(true)?;
        write_end.set_nonblocking(true)?;
        Ok(ReadinessFd { read_end, write_end, ready: Mutex::new(false) })
    }

    /// The descriptor to poll. It stays the library's.
    pub(crate) fn descriptor(&self) -> isize {
        system::number_of(&self.read_end)
    }

    /// Makes the descriptor readable, or not.
    pub(crate) fn set_ready(&self, wanted: bool) {
        let mut ready = recover(self.ready.lock());
        if wanted && !*ready {
            *ready = (&self.write_end).write(&[1]).is_ok_and(|written| written == 1);
        } else if !wanted && *ready {
            // If the host has read the byte itself, there is nothing left to read.
            system::receive(&self.read_end);
            *ready = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn it_is_readable_while_it_is_ready() {
        let fd = ReadinessFd::new().unwrap();
        let mut byte = [0; 8];
        assert!((&fd.read_end).read(&mut byte).is_err());
        fd.set_ready(true);
        fd.set_ready(true);
        fd.set_ready(false);
        assert!((&fd.read_end).read(&mut byte).is_err());
        fd.set_ready(true);
        assert_eq!((&fd.read_end).read(&mut byte).unwrap(), 1);
        fd.set_ready(false);
    }
}
