//! Connections and addresses: from a socket to a space and back, faults of the
//! connection included.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::chaos::Chaos;
use crate::script::{Close, Script};
use crate::space::{Arrival, Plan, Rules, Space};
use crate::{terminal, view};

const EVENTS_PATH: &str = "/i/v1/analytics/events";
/// Bodies on the wire are read no further.
const MAX_WIRE_BODY: usize = 64 << 20;

/// The sink: all its spaces.
pub struct Sink {
    rules: Rules,
    started: Instant,
    spaces: Mutex<HashMap<String, Arc<Mutex<Space>>>>,
    changed: Notify,
    connections: AtomicU64,
    terminal: Option<Terminal>,
}

/// How requests are shown on the terminal.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Whether violations are red.
    pub colour: bool,
}

/// A connection, for faults that no HTTP library makes.
#[derive(Clone)]
struct Peer {
    number: u64,
    socket: Arc<Option<std::net::TcpStream>>,
}

/// Marks an answer that is not to be sent: the connection is cut instead.
#[derive(Clone, Copy)]
struct Cut;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink {
    /// A sink with empty spaces.
    #[must_use]
    pub fn new(rules: Rules, terminal: Option<Terminal>) -> Arc<Self> {
        Arc::new(Sink {
            rules,
            started: Instant::now(),
            spaces: Mutex::default(),
            changed: Notify::new(),
            connections: AtomicU64::new(0),
            terminal,
        })
    }

    /// The space of a path prefix; made if there is none.
    #[must_use]
    pub fn space(&self, prefix: &str) -> Arc<Mutex<Space>> {
        Arc::clone(lock(&self.spaces).entry(prefix.to_owned()).or_default())
    }

    /// Serves until the listener fails.
    ///
    /// # Errors
    /// The listener's.
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
                        let (stream, socket) = with_spare_socket(stream);
                        if let Some(stream) = stream {
                            connection(stream, router, Peer { number, socket: Arc::new(socket) }).await;
                        }
                    }
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            connection(stream, router, Peer { number, socket: Arc::new(None) }).await;
                        }
                    }
                }
            });
        }
    }

    fn show(&self, space: &Space) {
        let (Some(terminal), Some(request)) = (self.terminal, space.requests.last()) else { return };
        let count = request.event_count.min(space.events.len());
        let events: Vec<_> = space.events.iter().skip(space.events.len() - count).collect();
        let violations: Vec<_> =
            space.violations.iter().rev().take_while(|violation| violation.request == request.n).collect();
        print!("{}", terminal::lines(request, &events, &violations, terminal.colour));
    }
}

/// The stream, and a second handle of its socket.
fn with_spare_socket(stream: TcpStream) -> (Option<TcpStream>, Option<std::net::TcpStream>) {
    let Ok(stream) = stream.into_std() else { return (None, None) };
    let spare = stream.try_clone().ok();
    (TcpStream::from_std(stream).ok(), spare)
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    peer: Peer,
) {
    let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let router = router.clone().layer(Extension(peer.clone()));
        async move {
            let response = match router.oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if response.extensions().get::<Cut>().is_some() {
                return Err(io::Error::other("cut as scripted"));
            }
            Ok::<Response, io::Error>(response)
        }
    });
    // Its error is the client's or the script's doing.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn route(
    State(sink): State<Arc<Sink>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Infallible> {
    let path = request.uri().path().to_owned();
    if let Some(prefix) = path.strip_suffix(EVENTS_PATH) {
        return Ok(if request.method() == "POST" {
            let space = sink.space(prefix.trim_end_matches('/'));
            events(&sink, &space, peer, request).await
        } else {
            plain(StatusCode::METHOD_NOT_ALLOWED, "only POST is served here; was a redirect followed?")
        });
    }
    let (prefix, name) = path.rsplit_once('/').unwrap_or(("", ""));
    let space = sink.space(prefix);
    Ok(control(&sink, &space, name, request).await)
}

async fn control(sink: &Sink, space: &Mutex<Space>, name: &str, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    match (request.method().as_str(), name) {
        ("GET", "") => Html(include_str!("page.html")).into_response(),
        ("GET", "_health") => json("{\"ok\":true}"),
        ("GET", "_events") => match view::events(&lock(space), &query) {
            (text, true) => json(text),
            (text, false) => text.into_response(),
        },
        ("GET", "_accepted") => view::accepted(&lock(space), &query).into_response(),
        ("GET", "_requests") => json(view::requests(&lock(space))),
        ("GET", "_violations") => json(view::violations(&lock(space))),
        ("GET", "_summary") => json(view::summary(&lock(space)).to_string()),
        ("GET", "_wait") => wait(sink, space, &query).await,
        ("POST", "_script") => match Script::parse(&text(request).await) {
            Ok(script) => {
                lock(space).set_script(script);
                json("{\"ok\":true}")
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, &error),
        },
        ("POST", "_chaos") => match serde_json::from_str::<Chaos>(&text(request).await) {
            Ok(chaos) => {
                lock(space).set_chaos(chaos);
                json("{\"ok\":true}")
            }
            Err(error) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
        },
        ("POST", "_reset") => {
            *lock(space) = Space::default();
            json("{\"ok\":true}")
        }
        _ => plain(StatusCode::NOT_FOUND, "not served here; sink/README.md lists what is"),
    }
}

/// Answers when the counts that are asked for are reached, or the time is over.
async fn wait(sink: &Sink, space: &Mutex<Space>, query: &str) -> Response {
    let limit = Duration::from_millis(view::number(query, "timeout_ms").unwrap_or(10_000));
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        let changed = sink.changed.notified();
        let (reached, summary) = {
            let space = lock(space);
            let seen = [
                ("requests", space.summary.requests),
                ("events", space.summary.events),
                ("accepted", space.accepted.len() as u64),
                ("delivered", space.summary.delivered as u64),
            ];
            let reached = seen
                .iter()
                .all(|(name, count)| view::number(query, name).is_none_or(|wanted| *count >= wanted));
            (reached, view::summary(&space))
        };
        let late = !reached && tokio::time::timeout_at(deadline, changed).await.is_err();
        if reached || late {
            return json(serde_json::json!({"ok": reached, "summary": summary}).to_string());
        }
    }
}

async fn events(sink: &Sink, space: &Mutex<Space>, peer: Peer, request: Request) -> Response {
    /// Counts an open request, however it ends.
    struct Open<'a>(&'a Mutex<Space>);
    impl Drop for Open<'_> {
        fn drop(&mut self) {
            lock(self.0).end();
        }
    }
    lock(space).begin();
    let _open = Open(space);
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_WIRE_BODY).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or was cut off");
    };
    let arrival = Arrival { headers: &parts.headers, uri: &parts.uri, body: &body, connection: peer.number };
    let (plan, scripts) = {
        let mut space = lock(space);
        let plan = space.receive(&arrival, &sink.rules, sink.started);
        sink.show(&space);
        (plan, space.scripts())
    };
    sink.changed.notify_waiters();
    let step = &plan.step;
    if step.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(step.delay_ms)).await;
    }
    while step.hold && lock(space).scripts() == scripts {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if step.never {
        std::future::pending::<()>().await;
    }
    if step.endless_headers {
        endless_headers(peer).await;
        return cut();
    }
    let headers = scripted_headers(&plan);
    let retry_after = headers.get("retry-after").and_then(|value| value.to_str().ok()).and_then(seconds);
    match step.close {
        Some(Close::BeforeRead | Close::BeforeAnswer) => cut(),
        Some(close) => with_headers(cut_off(&plan.body, close), plan.status, headers),
        None => {
            // From here on a client that is still there will learn of it, but
            // hardly of what comes byte by byte.
            if step.drip_ms.is_none() {
                lock(space).answered(&plan, sink.started, retry_after);
                sink.changed.notify_waiters();
            }
            with_headers(answer_body(&plan), plan.status, headers)
        }
    }
}

fn with_headers(body: Response, status: u16, headers: HeaderMap) -> Response {
    let mut response = body;
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response.headers_mut().extend(headers);
    response
}

fn answer_body(plan: &Plan) -> Response {
    let step = &plan.step;
    if step.bomb {
        let mut response = Response::new(Body::from(bomb()));
        response.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        return response;
    }
    if let Some(size) = step.body_size {
        const CHUNK: u64 = 64 * 1024;
        let chunks = (0..size.div_ceil(CHUNK)).map(move |i| {
            let len = usize::try_from(CHUNK.min(size - i * CHUNK)).unwrap_or(0);
            Ok::<_, io::Error>(Bytes::from(vec![b'x'; len]))
        });
        return Response::new(Body::from_stream(stream::iter(chunks)));
    }
    if let Some(drip) = step.drip_ms {
        let bytes = plan.body.clone().into_bytes();
        let drops = stream::unfold(bytes.into_iter(), move |mut rest| async move {
            let byte = rest.next()?;
            tokio::time::sleep(Duration::from_millis(drip)).await;
            Some((Ok::<_, io::Error>(Bytes::from(vec![byte])), rest))
        });
        return Response::new(Body::from_stream(drops));
    }
    Response::new(Body::from(plan.body.clone()))
}

/// A body that breaks off, though its length was announced.
fn cut_off(body: &str, close: Close) -> Response {
    let half = if close == Close::MidBody { body.len() / 2 } else { 0 };
    let first = Bytes::copy_from_slice(body.as_bytes().get(..half).unwrap_or_default());
    let parts = stream::unfold(Some(first), |first| async {
        match first {
            Some(first) if !first.is_empty() => Some((Ok(first), Some(Bytes::new()))),
            _ => {
                // What was written so far gets out first.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::Error::other("cut as scripted")), None))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert("content-length", HeaderValue::from(body.len()));
    response
}

/// A gigabyte of zeros, compressed: a gzip file may have many members.
fn bomb() -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let _ = encoder.write_all(&vec![0; 1 << 20]);
    encoder.finish().unwrap_or_default().repeat(1024)
}

async fn endless_headers(peer: Peer) {
    let Some(socket) = peer.socket.as_ref().as_ref().and_then(|socket| socket.try_clone().ok()) else {
        return;
    };
    let Ok(mut socket) = TcpStream::from_std(socket) else { return };
    let mut sent = socket.write_all(b"HTTP/1.1 200 OK\r\n").await;
    let mut line = 0_u64;
    while sent.is_ok() {
        line += 1;
        sent = socket.write_all(format!("x-line-{line}: {}\r\n", "y".repeat(100)).as_bytes()).await;
    }
}

fn scripted_headers(plan: &Plan) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &plan.step.headers {
        let value = match value.strip_prefix("{date+").and_then(|rest| rest.strip_suffix('}')) {
            Some(seconds) => {
                let wait = Duration::from_secs(seconds.parse().unwrap_or(0));
                httpdate::fmt_http_date(SystemTime::now() + wait)
            }
            None => value.clone(),
        };
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// What `Retry-After` asks for, in seconds; a date is good to the second only.
fn seconds(value: &str) -> Option<f64> {
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(f64::from(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok()?;
    Some((until.as_secs_f64() - 1.0).max(0.0))
}

fn cut() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Cut);
    response
}

async fn text(request: Request) -> String {
    let body = request.into_body().collect().await;
    body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default()
}

fn json(text: impl Into<String>) -> Response {
    ([("content-type", "application/json")], text.into()).into_response()
}

fn plain(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
