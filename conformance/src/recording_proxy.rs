//! An HTTP proxy that records the first line of its first request and responds with 502.
//!
//! A case uses it to find out where a client would send to, without a request leaving this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct RecordingProxy {
    /// Its address.
    pub(crate) address: SocketAddr,
    first_line: Arc<Mutex<Option<String>>>,
}

impl RecordingProxy {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) fn start() -> Result<RecordingProxy, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let first_line = Arc::new(Mutex::new(None));
        let recorded = Arc::clone(&first_line);
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let Ok(reader) = stream.try_clone() else { return };
            let mut line = String::new();
            let _ = BufReader::new(reader).read_line(&mut line);
            *recorded.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.trim_end().to_owned());
            let _ = stream
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        });
        Ok(RecordingProxy { address, first_line })
    }

    /// The first line of the first request; `None` before it has arrived.
    pub(crate) fn first_line(&self) -> Option<String> {
        self.first_line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
