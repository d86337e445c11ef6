//! The server that a client under test sends to: phc-sink, inside this process.
//!
//! Each case gets a namespace of the sink, so that many cases can run at once. It knows nothing of clients.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use phc_sink::{MAX_BODY, MAX_WIRE_BODY, Namespace, Options, Sink};
use tokio::net::TcpSocket;

use crate::case::Counts;

/// How long a step waits for the server to receive something.
const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// A listening sink.
pub(crate) struct TestServer {
    sink: Arc<Sink>,
    address: SocketAddr,
    used_prefixes: Mutex<HashSet<String>>,
    // The sink is served as long as this exists.
    _runtime: tokio::runtime::Runtime,
}

impl TestServer {
    /// Starts the server on this address.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub(crate) fn start(listen: SocketAddr) -> Result<TestServer, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let sink =
            Sink::new(Options { api_key: None, max_body: MAX_BODY, max_wire_body: MAX_WIRE_BODY }, None);
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(listen))
            .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        runtime.spawn(Arc::clone(&sink).serve(listener, None));
        Ok(TestServer { sink, address, used_prefixes: Mutex::default(), _runtime: runtime })
    }

    /// Returns an empty namespace for one run of a case.
    pub(crate) fn case_server(&self, name: &str) -> CaseServer {
        let mut prefix = format!("/case/{name}");
        let mut used = self.used_prefixes.lock().unwrap_or_else(PoisonError::into_inner);
        while !used.insert(prefix.clone()) {
            prefix.push_str("/again");
        }
        let namespace = self.sink.namespace(&prefix);
        CaseServer { case: name.to_owned(), host: format!("{}{prefix}", self.address), namespace }
    }
}

/// The part of the server that one run of a case has for itself.
pub(crate) struct CaseServer {
    /// The name of the case.
    pub(crate) case: String,
    /// Its address without a scheme.
    pub(crate) host: String,
    namespace: Arc<Mutex<Namespace>>,
}

impl CaseServer {
    /// The namespace with the script and the records, locked.
    pub(crate) fn namespace(&self) -> MutexGuard<'_, Namespace> {
        self.namespace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the server has received this much.
    ///
    /// # Errors
    /// When it has not within ten seconds.
    pub(crate) fn wait(&self, wanted: Counts) -> Result<(), String> {
        let deadline = Instant::now() + WAIT_LIMIT;
        loop {
            let counts = {
                let namespace = self.namespace();
                let summary = namespace.summary();
                [
                    (wanted.requests, summary.requests, "requests"),
                    (wanted.events, summary.events, "events"),
                    (wanted.accepted, namespace.accepted().len() as u64, "accepted events"),
                ]
            };
            let short = counts.iter().find(|(wanted, seen, _)| wanted.is_some_and(|wanted| *seen < wanted));
            let Some((Some(wanted), seen, what)) = short else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(format!("only {seen} {what} within 10 s, expected {wanted}"));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Returns an address of this machine that refuses connections, to the end of this process.
///
/// # Errors
/// When no port is free.
pub(crate) fn refused_address() -> Result<SocketAddr, String> {
    /// It has its port, so that no other process gets it, and listens to nothing.
    static BOUND: OnceLock<TcpSocket> = OnceLock::new();
    let bind = || {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        BOUND.get_or_init(|| socket).local_addr()
    };
    BOUND.get().map_or_else(bind, TcpSocket::local_addr).map_err(|error: io::Error| error.to_string())
}
