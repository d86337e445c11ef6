//! The HTTP server: accepts connections, routes requests to namespaces, and serves the control addresses
//! (`_script`, `_events`, …).
//!
//! What happens to a request with events is in `transmit`; what it means is in `namespace`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::chaos::Chaos;
use crate::namespace::{Namespace, Options};
use crate::script::Script;
use crate::transmit::{self, CutConnection};
use crate::{terminal, view};

const EVENTS_PATH: &str = "/i/v1/analytics/events";

/// The sink with all its namespaces.
pub struct Sink {
    pub(crate) options: Options,
    /// Times in the records count from here.
    pub(crate) started: Instant,
    /// Notified when a request was received or a response was sent.
    pub(crate) changed: Notify,
    namespaces: Mutex<HashMap<String, Arc<Mutex<Namespace>>>>,
    connections: AtomicU64,
    terminal: Option<Terminal>,
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
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// Creates a sink without any namespace. `terminal` says how requests are printed; `None`: not at all.
    #[must_use]
    pub fn new(options: Options, terminal: Option<Terminal>) -> Arc<Self> {
        Arc::new(Sink {
            options,
            started: Instant::now(),
            changed: Notify::new(),
            namespaces: Mutex::default(),
            connections: AtomicU64::new(0),
            terminal,
        })
    }

    /// The namespace of a URL prefix, which is created at its first use.
    #[must_use]
    pub fn namespace(&self, prefix: &str) -> Arc<Mutex<Namespace>> {
        Arc::clone(lock(&self.namespaces).entry(prefix.to_owned()).or_default())
    }

    /// Serves until the listener fails.
    ///
    /// # Errors
    /// Those of the listener.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) -> io::Result<()> {
        let router = Router::new().fallback(route).with_state(Arc::clone(&self));
        loop {
            let (stream, _) = listener.accept().await?;
            let _ = stream.set_nodelay(true);
            let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
            let (router, tls) = (router.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => {
                        let (stream, socket) = with_second_handle(stream);
                        if let Some(stream) = stream {
                            let socket = Arc::new(socket);
                            serve_connection(stream, router, Connection { number, socket }).await;
                        }
                    }
                    Some(tls) => match tls.accept(stream).into_fallible().await {
                        Ok(stream) => {
                            let socket = Arc::new(None);
                            serve_connection(stream, router, Connection { number, socket }).await;
                        }
                        Err((_, stream)) => read_to_the_end(stream).await,
                    },
                }
            });
        }
    }

    /// Prints the last request of a namespace on the terminal, if there is one.
    pub(crate) fn print_last_request(&self, namespace: &Namespace) {
        let (Some(terminal), Some(request)) = (self.terminal, namespace.requests().last()) else { return };
        let (events, violations) = (namespace.events(), namespace.violations());
        let count = request.event_count.min(events.len());
        let events: Vec<_> = events.iter().skip(events.len() - count).collect();
        let violations: Vec<_> =
            violations.iter().rev().take_while(|violation| violation.request == request.n).collect();
        print!("{}", terminal::lines(request, &events, &violations, terminal.colour));
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
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn route(
    State(sink): State<Arc<Sink>>,
    Extension(connection): Extension<Connection>,
    request: Request,
) -> Result<Response, Infallible> {
    let path = request.uri().path().to_owned();
    if let Some(prefix) = path.strip_suffix(EVENTS_PATH) {
        return Ok(if request.method() == "POST" {
            let namespace = sink.namespace(prefix.trim_end_matches('/'));
            transmit::receive_events(&sink, &namespace, connection, request).await
        } else {
            let text = "only POST is supported here; did the client follow a redirect?";
            plain(StatusCode::METHOD_NOT_ALLOWED, text)
        });
    }
    let (prefix, name) = path.rsplit_once('/').unwrap_or(("", ""));
    let namespace = sink.namespace(prefix);
    Ok(control(&sink, &namespace, name, request).await)
}

/// Serves one of the addresses below a prefix that read or change its namespace.
async fn control(sink: &Sink, namespace: &Mutex<Namespace>, name: &str, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    match (request.method().as_str(), name) {
        ("GET", "") => Html(include_str!("page.html")).into_response(),
        ("GET", "_health") => json("{\"ok\":true}"),
        ("GET", "_events") => match view::events(&lock(namespace), &query) {
            (text, true) => json(text),
            (text, false) => text.into_response(),
        },
        ("GET", "_accepted") => view::accepted(&lock(namespace), &query).into_response(),
        ("GET", "_requests") => json(view::requests(&lock(namespace))),
        ("GET", "_violations") => json(view::violations(&lock(namespace))),
        ("GET", "_summary") => json(view::summary(&lock(namespace)).to_string()),
        ("GET", "_wait") => wait(sink, namespace, &query).await,
        ("POST", "_script") => match Script::parse(&body_text(request).await) {
            Ok(script) => {
                lock(namespace).set_script(script);
                json("{\"ok\":true}")
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, &error),
        },
        ("POST", "_chaos") => match serde_json::from_str::<Chaos>(&body_text(request).await) {
            Ok(chaos) => {
                lock(namespace).set_chaos(chaos);
                json("{\"ok\":true}")
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("POST", "_reset") => {
            *lock(namespace) = Namespace::default();
            json("{\"ok\":true}")
        }
        _ => plain(StatusCode::NOT_FOUND, "there is no such address; sink/README.md lists them"),
    }
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

async fn body_text(request: Request) -> String {
    let body = request.into_body().collect().await;
    body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default()
}

fn json(text: impl Into<String>) -> Response {
    ([("content-type", "application/json")], text.into()).into_response()
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
