//! A pair of connected sockets, which Windows makes of a TCP connection to itself.

use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::windows::io::AsRawSocket;
use std::time::{Duration, Instant};

/// One end of a pair.
pub(crate) type Socket = TcpStream;

/// How many strangers' connections are turned away before it is given up.
const MAX_STRANGERS: usize = 64;
/// What was written to one end may take a moment to arrive at the other. The network is not
/// involved, so it is a short one.
const ARRIVAL: Duration = Duration::from_millis(20);

/// A pair of connected sockets. Any process of the machine can connect to the listener while it
/// exists, so an accepted connection counts only if it is from the address of our own end, which
/// no other process can have meanwhile.
pub(crate) fn socket_pair() -> io::Result<(Socket, Socket)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let ours = TcpStream::connect(listener.local_addr()?)?;
    for _ in 0..MAX_STRANGERS {
        let (accepted, peer) = listener.accept()?;
        if peer == ours.local_addr()? {
            accepted.set_nodelay(true)?;
            return Ok((ours, accepted));
        }
    }
    let text = "other processes keep connecting to a port that was just opened on 127.0.0.1";
    Err(io::Error::other(text))
}

/// Takes what was written to the other end, if it is still there.
pub(crate) fn receive(mut socket: &Socket) {
    let started = Instant::now();
    loop {
        match socket.read(&mut [0; 8]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && started.elapsed() < ARRIVAL => {
                std::thread::yield_now();
            }
            _ => return,
        }
    }
}

/// The number under which the host knows a socket: a SOCKET.
#[allow(clippy::cast_possible_wrap, reason = "a SOCKET is a handle, whose upper bit is never set")]
pub(crate) fn number_of(socket: &Socket) -> isize {
    socket.as_raw_socket() as isize
}
