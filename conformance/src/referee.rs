//! The server that the client under test sends to: the sink, in this process,
//! and proxies that write down what they are asked for.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use phc_sink::Sink;
use phc_sink::{Namespace, Options};

use crate::case::Seen;

/// The sink, listening.
pub struct Referee {
    sink: Arc<Sink>,
    address: SocketAddr,
    used: Mutex<HashSet<String>>,
    // Serves as long as it lives.
    _runtime: tokio::runtime::Runtime,
}

impl Referee {
    /// Starts it on this address.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn start(listen: SocketAddr) -> Result<Referee, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let sink = Sink::new(Options { api_key: None, max_body: 20 << 20 }, None);
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(listen))
            .map_err(|error| format!("{listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        runtime.spawn(Arc::clone(&sink).serve(listener, None));
        Ok(Referee { sink, address, used: Mutex::default(), _runtime: runtime })
    }

    /// A space of its own for one run of a case.
    #[must_use]
    pub fn ground(&self, name: &str) -> Ground {
        let mut prefix = format!("/case/{name}");
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        while !used.insert(prefix.clone()) {
            prefix.push_str("/again");
        }
        Ground { host: format!("{}{prefix}", self.address), space: self.sink.namespace(&prefix) }
    }
}

/// The sink's space of one case.
pub struct Ground {
    /// Its address without a scheme.
    pub host: String,
    space: Arc<Mutex<Namespace>>,
}

impl Ground {
    /// The space, locked.
    pub fn space(&self) -> MutexGuard<'_, Namespace> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until as much has been seen.
    ///
    /// # Errors
    /// When it is not within ten seconds.
    pub fn wait(&self, wanted: Seen) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let seen = {
                let space = self.space();
                [
                    (wanted.requests, space.summary().requests, "requests"),
                    (wanted.events, space.summary().events, "events"),
                    (wanted.accepted, space.accepted().len() as u64, "accepted events"),
                ]
            };
            let short = seen.iter().find(|(wanted, seen, _)| wanted.is_some_and(|wanted| *seen < wanted));
            let Some((Some(wanted), seen, what)) = short else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(format!("{seen} {what} within 10 s, not {wanted}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A proxy that answers 502 to everything.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Option<String>>>,
}

impl Proxy {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> Result<Proxy, String> {
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let asked = Arc::new(Mutex::new(None));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let Ok(reader) = stream.try_clone() else { return };
            let mut line = String::new();
            let _ = BufReader::new(reader).read_line(&mut line);
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.trim_end().to_owned());
            let _ = stream
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        });
        Ok(Proxy { address, asked })
    }

    /// The first line of the first request.
    #[must_use]
    pub fn asked(&self) -> Option<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A port of this machine that nobody listens on.
///
/// # Errors
/// When there is none.
pub fn refused_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}
