//! The HTTP server: accepts connections, routes requests to namespaces, and serves the control addresses
//! (`_script`, `_events`, …).
//!
//! What happens to a request with events is in `transmit`; what it means is in `namespace`.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::chaos::Chaos;
use crate::connections::{ConnectionLimits, Connections, OpenConnection};
use crate::flags::remote_config;
use crate::namespace::{MEMORY, Namespace, Options};
use crate::namespaces::Namespaces;
use crate::printer::Printer;
use crate::script::{Endpoint, MAX_SCRIPT, Script};
use crate::transmit::{self, CutConnection};
use crate::{origin, page, terminal, view};

const EVENTS_PATH: &str = "/i/v1/analytics/events";

/// The ends of the paths of feature flags, with the method and what is served there.
const FLAG_PATHS: [(&str, &str, Endpoint); 3] = [
    ("/flags", "POST", Endpoint::Flags),
    ("/flags/definitions", "GET", Endpoint::Definitions),
    ("/api/feature_flag/local_evaluation", "GET", Endpoint::Definitions),
];

/// The longest head of a request; a longer one gets a 431.
const MAX_HEAD: usize = 128 << 10;
/// How long the end of the process waits for lines that are still to be printed.
const FINISH_PRINTING: Duration = Duration::from_secs(1);
const CONNECTION_LIMITS: ConnectionLimits = ConnectionLimits { connections: 1000, body_bytes: 256 << 20 };

/// The sink with all its namespaces.
pub struct Sink {
    pub(crate) options: Options,
    /// Times in the records count from here.
    pub(crate) started: Instant,
    /// Notified when a request was received or a response was sent.
    pub(crate) changed: Notify,
    pub(crate) namespaces: Namespaces,
    pub(crate) connections: Arc<Connections>,
    /// How many large bodies are read and checked at once, off the threads that serve: each takes a multiple of its
    /// own memory.
    pub(crate) readers: Semaphore,
    connection_count: AtomicU64,
    terminal: Option<(Terminal, Printer)>,
}

/// How requests are printed on the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether violations are red.
    pub colour: bool,
}

/// A connection, with its socket for the failures that no HTTP library produces.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) number: u64,
    /// A second handle of the socket; `None` under TLS.
    pub(crate) socket: Arc<Option<std::net::TcpStream>>,
    /// Whether the sink can be reached from this machine only.
    pub(crate) is_local: bool,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// Creates a sink without any namespace. `terminal` says how requests are printed; `None`: not at all.
    #[must_use]
    pub fn new(options: Options, terminal: Option<Terminal>) -> Arc<Self> {
        Self::with_memory(options, terminal, MEMORY)
    }

    /// The same with other bounds of memory: see [`MEMORY`].
    #[must_use]
    pub fn with_memory(options: Options, terminal: Option<Terminal>, memory: usize) -> Arc<Self> {
        Arc::new(Sink {
            options,
            started: Instant::now(),
            changed: Notify::new(),
            namespaces: Namespaces::new(memory),
            connections: Connections::new(CONNECTION_LIMITS),
            readers: Semaphore::new(2),
            connection_count: AtomicU64::new(0),
            terminal: terminal.map(|terminal| (terminal, Printer::new(io::stdout()))),
        })
    }

    /// The namespace of a URL prefix, which is created at its first use.
    #[must_use]
    pub fn namespace(&self, prefix: &str) -> Arc<Mutex<Namespace>> {
        self.namespaces.get(prefix)
    }

    /// Serves.
    ///
    /// # Errors
    /// When the listener has no address.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) -> io::Result<()> {
        let router = Router::new().fallback(route).with_state(Arc::clone(&self));
        let is_local = listener.local_addr()?.ip().is_loopback();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Most likely there are no more descriptors.
                self.connections.make_space();
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let number = self.connection_count.fetch_add(1, Ordering::Relaxed) + 1;
            let open = self.connections.open(number);
            let (router, tls) = (router.clone(), tls.clone());
            tokio::spawn(async move {
                let OpenConnection { end, .. } = &open;
                tokio::select! {
                    () = end.notified() => {}
                    () = serve_stream(stream, router, tls, number, is_local) => {}
                }
            });
        }
    }

    /// Prints the last request of a namespace on the terminal, if there is one.
    pub(crate) fn print_last_request(&self, namespace: &Namespace) {
        let (Some((terminal, printer)), Some(request)) = (&self.terminal, namespace.requests().last()) else {
            return;
        };
        let (events, violations) = (namespace.events(), namespace.violations());
        let count = request.event_count.min(events.len());
        let events: Vec<_> = events.iter().skip(events.len() - count).collect();
        let violations: Vec<_> =
            violations.iter().rev().take_while(|violation| violation.request == request.n).collect();
        printer.print(terminal::lines(request, &events, &violations, terminal.colour));
    }

    /// Waits until what was to be printed is, if somebody reads it.
    pub fn finish_printing(&self) {
        if let Some((_, printer)) = &self.terminal {
            printer.finish(FINISH_PRINTING);
        }
    }
}

async fn serve_stream(
    stream: TcpStream,
    router: Router,
    tls: Option<TlsAcceptor>,
    number: u64,
    is_local: bool,
) {
    match tls {
        None => {
            let (stream, socket) = with_second_handle(stream);
            if let Some(stream) = stream {
                let connection = Connection { number, socket: Arc::new(socket), is_local };
                serve_connection(stream, router, connection).await;
            }
        }
        Some(tls) => match tls.accept(stream).into_fallible().await {
            Ok(stream) => {
                let connection = Connection { number, socket: Arc::new(None), is_local };
                serve_connection(stream, router, connection).await;
            }
            Err((_, stream)) => read_to_the_end(stream).await,
        },
    }
}

/// Reads what a client still sends whose handshake was refused: a socket that is closed with bytes unread resets
/// the connection, and the client may then not see why.
async fn read_to_the_end(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut nowhere = tokio::io::sink();
    let read = tokio::io::copy(&mut stream, &mut nowhere);
    let _ = tokio::time::timeout(Duration::from_secs(10), read).await;
}

/// The stream, and a second handle of its socket.
fn with_second_handle(stream: TcpStream) -> (Option<TcpStream>, Option<std::net::TcpStream>) {
    let Ok(stream) = stream.into_std() else { return (None, None) };
    let second = stream.try_clone().ok();
    (TcpStream::from_std(stream).ok(), second)
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    connection: Connection,
) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone().layer(Extension(connection.clone()));
        async move {
            let response = match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<CutConnection>().is_some() {
                return Err(io::Error::other("cut as scripted"));
            }
            Ok::<Response, io::Error>(response)
        }
    });
    // An error here is a client that went away, or a cut that the script asked for.
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_buf_size(MAX_HEAD);
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn route(
    State(sink): State<Arc<Sink>>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, Infallible> {
    // What was sent to the request before is gone by now.
    sink.connections.request_began(connection.number);
    sink.connections.holds(connection.number, 0);
    let path = request.uri().path().to_owned();
    if let Some(prefix) = path.strip_suffix(EVENTS_PATH) {
        return Ok(if request.method() == "POST" {
            transmit::receive_events(&sink, prefix.trim_end_matches('/'), connection, request).await
        } else {
            let text = "only POST is supported here; did the client follow a redirect?";
            plain(StatusCode::METHOD_NOT_ALLOWED, text)
        });
    }
    if let Some((prefix, method, endpoint)) = flag_endpoint(&path) {
        return Ok(if request.method() == method {
            transmit::receive_flags(&sink, prefix.trim_end_matches('/'), endpoint, connection, request).await
        } else {
            plain(StatusCode::METHOD_NOT_ALLOWED, &format!("only {method} is supported here"))
        });
    }
    if let Err(reason) = origin::check(request.headers(), connection.is_local) {
        return Ok(plain(StatusCode::FORBIDDEN, reason));
    }
    if let Some((prefix, name)) = path.rsplit_once("/_page/") {
        let query = request.uri().query().unwrap_or_default();
        return Ok(page::serve(&sink, prefix, name, query));
    }
    let (prefix, name) = path.rsplit_once('/').unwrap_or(("", ""));
    Ok(control(&sink, prefix, name, request).await)
}

/// The prefix of the namespace, the method and the endpoint, if the path is one of feature flags.
fn flag_endpoint(path: &str) -> Option<(&str, &'static str, Endpoint)> {
    let path = path.trim_end_matches('/');
    if let Some((prefix, _)) = remote_config(path) {
        return Some((prefix, "GET", Endpoint::RemoteConfig));
    }
    FLAG_PATHS
        .into_iter()
        .find_map(|(end, method, endpoint)| Some((path.strip_suffix(end)?, method, endpoint)))
}

/// Serves one of the addresses below a prefix that read or change its namespace.
async fn control(sink: &Sink, prefix: &str, name: &str, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if request.method() == "GET" && name.is_empty() {
        return page::index();
    }
    let namespace = sink.namespace(prefix);
    let namespace = &*namespace;
    let response = match (request.method().as_str(), name) {
        ("GET", "_health") => json("{\"ok\":true}"),
        ("GET", "_events") => match view::events(&lock(namespace), &query) {
            (text, true) => json(text),
            (text, false) => text.into_response(),
        },
        ("GET", "_accepted") => view::accepted(&lock(namespace), &query).into_response(),
        ("GET", "_requests") => json(view::requests(&lock(namespace))),
        ("GET", "_flags") => json(view::flags(&lock(namespace))),
        ("GET", "_violations") => json(view::violations(&lock(namespace))),
        ("GET", "_summary") => json(view::summary(&lock(namespace)).to_string()),
        ("GET", "_wait") => wait(sink, namespace, &query).await,
        ("POST", "_script") => match script(request).await {
            Ok(script) => {
                lock(namespace).set_script(script);
                done()
            }
            Err(response) => response,
        },
        ("POST", "_next") => match script(request).await {
            Ok(steps) => {
                let mut namespace = lock(namespace);
                if namespace.script().has_space_for(&steps) {
                    namespace.set_next(steps);
                    done()
                } else {
                    plain(StatusCode::PAYLOAD_TOO_LARGE, "there are too many steps; set another script")
                }
            }
            Err(response) => response,
        },
        ("POST", "_flags") => match body_text(request).await {
            Ok(text) => match lock(namespace).flags_mut().set_values(&text) {
                Ok(()) => done(),
                Err(error) => plain(StatusCode::BAD_REQUEST, &error),
            },
            Err(response) => response,
        },
        ("POST", "_definitions") => match body_text(request).await {
            Ok(text) => {
                lock(namespace).flags_mut().set_definitions(text);
                done()
            }
            Err(response) => response,
        },
        ("POST", "_remote_config") => match body_text(request).await {
            Ok(text) => match lock(namespace).flags_mut().set_configs(&text) {
                Ok(()) => done(),
                Err(error) => plain(StatusCode::BAD_REQUEST, &error),
            },
            Err(response) => response,
        },
        ("POST", "_chaos") => match body_text(request).await {
            Ok(text) => match serde_json::from_str::<Chaos>(&text) {
                Ok(chaos) => {
                    lock(namespace).set_chaos(chaos);
                    done()
                }
                Err(error) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            Err(response) => response,
        },
        ("POST", "_clear") => {
            lock(namespace).clear();
            done()
        }
        ("POST", "_reset") => {
            lock(namespace).reset();
            done()
        }
        _ => plain(StatusCode::NOT_FOUND, "there is no such address; sink/README.md lists them"),
    };
    let bytes = lock(namespace).bytes();
    sink.namespaces.uses(prefix, bytes);
    response
}

fn done() -> Response {
    json("{\"ok\":true}")
}

async fn script(request: Request) -> Result<Script, Response> {
    let text = body_text(request).await?;
    Script::parse(&text).map_err(|error| plain(StatusCode::BAD_REQUEST, &error))
}

/// Responds once the counts in the query are reached, or its time limit has passed.
async fn wait(sink: &Sink, namespace: &Mutex<Namespace>, query: &str) -> Response {
    let limit = Duration::from_millis(view::number(query, "timeout_ms").unwrap_or(10_000));
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        let changed = sink.changed.notified();
        let (reached, summary) = {
            let namespace = lock(namespace);
            let counts = [
                ("requests", namespace.summary().requests),
                ("events", namespace.summary().events),
                ("flag_requests", namespace.summary().flag_requests),
                ("definition_requests", namespace.summary().definition_requests),
                ("remote_config_requests", namespace.summary().remote_config_requests),
                ("accepted", namespace.accepted().len() as u64),
                ("delivered", namespace.summary().delivered as u64),
            ];
            let reached = counts
                .iter()
                .all(|(name, count)| view::number(query, name).is_none_or(|wanted| *count >= wanted));
            (reached, view::summary(&namespace))
        };
        let late = !reached && tokio::time::timeout_at(deadline, changed).await.is_err();
        if reached || late {
            return json(serde_json::json!({"ok": reached, "summary": summary}).to_string());
        }
    }
}

async fn body_text(request: Request) -> Result<String, Response> {
    match Limited::new(request.into_body(), MAX_SCRIPT).collect().await {
        Ok(body) => Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned()),
        Err(_) => Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MiB, or was cut off")),
    }
}

pub(crate) fn json(text: impl Into<String>) -> Response {
    let headers = [("content-type", "application/json"), ("x-content-type-options", "nosniff")];
    (headers, text.into()).into_response()
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    (status, [("x-content-type-options", "nosniff")], format!("{text}\n")).into_response()
}
