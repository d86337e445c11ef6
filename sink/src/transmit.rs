//! Receives a request with events, and sends the response that its namespace has planned: delays, cut
//! connections and oversized bodies included.
//!
//! It knows nothing of rules and verdicts, only how to produce each failure on a connection.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::stream;
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::flags::FlagRequest;
use crate::namespace::{IncomingRequest, Namespace, ResponsePlan};
use crate::read::ReadRequest;
use crate::script::{Close, Compress, Endpoint};
use crate::server::{Connection, Sink, lock, plain};

/// The largest body that is read to its end, in bytes as sent. What is over the bound of the server is not kept.
const MAX_READ: usize = 64 << 20;
/// Larger bodies, and all that are compressed, are read off the thread that serves.
const SMALL: usize = 64 << 10;

/// Marks a response that must not be sent: the connection is cut instead.
#[derive(Clone, Copy)]
pub(crate) struct CutConnection;

/// Counts an open request, however it ends.
struct OpenRequest<'a>(&'a Mutex<Namespace>);

impl Drop for OpenRequest<'_> {
    fn drop(&mut self) {
        lock(self.0).request_closed();
    }
}

pub(crate) async fn receive_events(
    sink: &Arc<Sink>,
    prefix: &str,
    connection: Connection,
    request: Request,
) -> Response {
    let namespace = sink.namespace(prefix);
    let namespace = &*namespace;
    lock(namespace).request_opened();
    let _open = OpenRequest(namespace);
    let (parts, body) = request.into_parts();
    let number = connection.number;
    let Some(body) = read_body(sink, number, body).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 MiB, or was cut off");
    };
    let Some(read) = read_request(sink, number, parts, body).await else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be read");
    };
    let (plan, script_number) = {
        let mut locked = lock(namespace);
        let plan = locked.record(read, sink.started);
        sink.print_last_request(&locked);
        sink.namespaces.uses(prefix, locked.bytes());
        (plan, locked.script_number())
    };
    respond(sink, namespace, connection, &plan, script_number).await
}

/// Receives a request of feature flags.
pub(crate) async fn receive_flags(
    sink: &Arc<Sink>,
    prefix: &str,
    endpoint: Endpoint,
    connection: Connection,
    request: Request,
) -> Response {
    let namespace = sink.namespace(prefix);
    let namespace = &*namespace;
    let (parts, body) = request.into_parts();
    let number = connection.number;
    let Some(body) = read_body(sink, number, body).await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 MiB, or was cut off");
    };
    let (plan, script_number) = {
        let mut locked = lock(namespace);
        let request = FlagRequest { endpoint, parts: &parts, body: &body, connection: number };
        let plan = locked.record_flags(&request, &sink.options, sink.started);
        sink.namespaces.uses(prefix, locked.bytes());
        (plan, locked.script_number())
    };
    respond(sink, namespace, connection, &plan, script_number).await
}

/// Sends a response as it was planned.
async fn respond(
    sink: &Arc<Sink>,
    namespace: &Mutex<Namespace>,
    connection: Connection,
    plan: &ResponsePlan,
    script_number: u64,
) -> Response {
    sink.connections.holds(connection.number, plan.body.len());
    sink.changed.notify_waiters();
    let step = &plan.step;
    if step.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(step.delay_ms)).await;
    }
    while step.wait_for_script && lock(namespace).script_number() == script_number {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    if step.never {
        std::future::pending::<()>().await;
    }
    if step.endless_headers {
        send_endless_headers(connection).await;
        return cut_connection();
    }
    let headers = scripted_headers(plan);
    let retry_after =
        headers.get("retry-after").and_then(|value| value.to_str().ok()).and_then(retry_after_seconds);
    match step.close {
        Some(Close::BeforeRead | Close::BeforeResponse) => cut_connection(),
        Some(close) => with_headers(cut_off_body(&plan.body, close), plan.status, headers),
        None => {
            // A client that is still connected will receive what is sent from here on, but hardly a body
            // that comes byte by byte.
            if step.drip_ms.is_none() {
                lock(namespace).response_sent(plan, sink.started, retry_after);
                sink.changed.notify_waiters();
            }
            with_headers(body_of(plan), plan.status, headers)
        }
    }
}

/// Returns the body up to one byte more than the server takes; `None` if it is too long even to be skipped, or was
/// cut off.
async fn read_body(sink: &Sink, connection: u64, mut body: Body) -> Option<Vec<u8>> {
    let most = sink.options.max_wire_body.saturating_add(1);
    let (mut kept, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        length += data.len();
        if length > MAX_READ {
            return None;
        }
        kept.extend_from_slice(data.get(..data.len().min(most - kept.len())).unwrap_or_default());
        sink.connections.holds(connection, kept.capacity());
    }
    Some(kept)
}

/// Reads and checks a request. What takes long is done elsewhere, so that other requests and the page do not wait.
async fn read_request(sink: &Arc<Sink>, connection: u64, parts: Parts, body: Vec<u8>) -> Option<ReadRequest> {
    let is_small = body.len() <= SMALL && !parts.headers.contains_key("content-encoding");
    let options = sink.options.clone();
    let read = move || {
        let (headers, uri) = (&parts.headers, &parts.uri);
        ReadRequest::new(&IncomingRequest { headers, uri, body: &body, connection }, &options)
    };
    if is_small {
        return Some(read());
    }
    let _permit = sink.readers.acquire().await.ok()?;
    tokio::task::spawn_blocking(read).await.ok()
}

fn with_headers(mut response: Response, status: u16, headers: HeaderMap) -> Response {
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response.headers_mut().extend(headers);
    response
}

fn body_of(plan: &ResponsePlan) -> Response {
    let step = &plan.step;
    if step.bomb {
        let mut response = Response::new(Body::from(gzip_bomb()));
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
    match step.compress.map(|codec| compressed(codec, plan.body.as_bytes())) {
        Some((name, body)) => {
            let mut response = Response::new(Body::from(body));
            response.headers_mut().insert("content-encoding", HeaderValue::from_static(name));
            response
        }
        None => Response::new(Body::from(plan.body.clone())),
    }
}

/// The value of `Content-Encoding`, and the body. Nothing can fail, as it is all in memory.
fn compressed(codec: Compress, body: &[u8]) -> (&'static str, Vec<u8>) {
    match codec {
        Compress::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            let _ = encoder.write_all(body);
            ("gzip", encoder.finish().unwrap_or_default())
        }
        Compress::Deflate => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            let _ = encoder.write_all(body);
            ("deflate", encoder.finish().unwrap_or_default())
        }
        Compress::Zstd => ("zstd", zstd::encode_all(body, 1).unwrap_or_default()),
        Compress::Br => {
            let mut out = Vec::new();
            let parameters = brotli::enc::BrotliEncoderParams::default();
            let _ = brotli::BrotliCompress(&mut &body[..], &mut out, &parameters);
            ("br", out)
        }
    }
}

/// A body that ends early, although its whole length was announced.
fn cut_off_body(body: &str, close: Close) -> Response {
    let half = if close == Close::MidBody { body.len() / 2 } else { 0 };
    let first = Bytes::copy_from_slice(body.as_bytes().get(..half).unwrap_or_default());
    let parts = stream::unfold(Some(first), |first| async {
        match first {
            Some(first) if !first.is_empty() => Some((Ok(first), Some(Bytes::new()))),
            _ => {
                // What was written so far must leave before the connection is cut.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::Error::other("cut as scripted")), None))
            }
        }
    });
    let mut response = Response::new(Body::from_stream(parts));
    response.headers_mut().insert("content-length", HeaderValue::from(body.len()));
    response
}

/// A gigabyte of zeros, compressed: a gzip file may consist of many members, here 1024 equal ones.
fn gzip_bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let _ = encoder.write_all(&vec![0; 1 << 20]);
    encoder.finish().unwrap_or_default().repeat(1024)
}

/// Writes header lines until the client goes away. No HTTP library does that, so it uses the socket itself.
async fn send_endless_headers(connection: Connection) {
    let Some(socket) = connection.socket.as_ref().as_ref().and_then(|socket| socket.try_clone().ok()) else {
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

fn scripted_headers(plan: &ResponsePlan) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(etag) = plan.etag.as_ref().and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert("etag", etag);
    }
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
    // A map of headers has space for 24,576.
    for number in 0..plan.step.more_headers.min(20_000) {
        if let Ok(name) = HeaderName::try_from(format!("x-more-{number}")) {
            headers.insert(name, HeaderValue::from_static("1"));
        }
    }
    headers
}

/// The wait that a `Retry-After` asks for, in seconds. A date is exact to the second only, so the wait
/// until a date is shortened by one.
fn retry_after_seconds(value: &str) -> Option<f64> {
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(f64::from(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).ok()?;
    Some((until.as_secs_f64() - 1.0).max(0.0))
}

fn cut_connection() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CutConnection);
    response
}
