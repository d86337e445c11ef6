//! One attempt over the network: HTTP, TLS, proxies, compression. It decides
//! nothing: what a result means is up to the protocol.

mod compress;
mod compression_thread;
mod connections;
mod errors;
#[cfg(feature = "flags")]
mod flags;
mod limit;
#[cfg(feature = "internals")]
pub(crate) mod probe;
mod resolver;
mod shortage;
mod tls;

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use phc_compression::Compressor;
use reqwest::header::{CONTENT_ENCODING, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, Url};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::config::{Codec, Config, LogLevel, host};
use crate::event::timestamp::Timestamp;
use crate::failpoint;
use crate::protocol::{AttemptResult, headers, response, retry_after};
use crate::status::{Error, Status};
use crate::sync::recover;
use compress::{compress, takes_long};
use compression_thread::CompressionThread;
use connections::{Connections, Limits, Progress};
use errors::{destination, error_chain, user_message};
#[cfg(feature = "flags")]
pub(crate) use flags::FlagCall;
use limit::within;
use resolver::Resolver;
use shortage::Shortage;
use tls::Tls;

/// The body of an error response is read up to this many bytes.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// And for so long at most: its status is what counts, and that has arrived.
const MAX_ERROR_TIME: Duration = Duration::from_secs(1);

/// The request of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct AttemptRequest {
    /// The batch's request id, the same on every attempt.
    pub(crate) request_id: Uuid,
    /// The number of the attempt, from 1.
    pub(crate) attempt: u32,
    /// The body before compression.
    pub(crate) body: Bytes,
    /// The number of events in it, which bounds the response.
    pub(crate) events: usize,
    /// Name and version of the SDK that captured them, if that is another one than the client's.
    pub(crate) sdk_info: Option<Arc<str>>,
}

/// How one client reaches its host. It lives on the I/O thread.
///
/// Its locks are taken on that thread only and are never held across an await.
pub(crate) struct Transport {
    url: Url,
    /// Where that is, for errors.
    destination: String,
    headers: HeaderMap,
    config: Config,
    resolver: Resolver,
    /// For bodies that are compressed at once.
    compressor: Mutex<Compressor>,
    /// For those that take long.
    compression_thread: CompressionThread,
    /// Whether the server does not know the configured codec.
    use_gzip: AtomicBool,
    connections: Arc<Connections>,
    /// Made at the first attempt: only then is it known that certificates are needed at all.
    /// All pools share it, so that TLS sessions are resumed across them.
    tls: OnceLock<rustls::ClientConfig>,
    notices: Mutex<Vec<(LogLevel, String)>>,
}

impl Transport {
    /// Checks what can be checked without the network: that the settings make valid
    /// headers, and that the files of certificates can be read.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let invalid = |text: String| Error::new(Status::INVALID_SETTING, text);
        let url = host::endpoint(&config.host);
        let url =
            Url::parse(&url).map_err(|error| invalid(format!("host: {url:?} is not a URL ({error})")))?;
        let own = headers::of_client(&config.api_key, &config.sdk_info());
        let own = own.iter().map(|(name, value)| (*name, value));
        let additional = config.headers.iter().map(|(name, value)| (name.as_str(), value));
        let mut headers = HeaderMap::new();
        for (name, value) in own.chain(additional) {
            let name = HeaderName::try_from(name)
                .map_err(|_| invalid(format!("{name:?} is not a valid header name")))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| invalid(format!("the value of the header {name} is not valid header text")))?;
            headers.insert(name, value);
        }
        tls::check(config).map_err(|text| match shortage::of_text(&text) {
            Some(_) => Error::new(Status::OUT_OF_RESOURCES, text),
            None => invalid(text),
        })?;
        let notices = config.warnings().into_iter().map(|line| (LogLevel::Warning, line)).collect();
        Ok(Transport {
            destination: destination(&url, &config.proxy),
            url,
            headers,
            config: config.clone(),
            resolver: Resolver::new(config),
            compressor: Mutex::new(Compressor::new(config.compression_level)),
            compression_thread: CompressionThread::new(config.compression_level),
            use_gzip: AtomicBool::new(false),
            connections: Arc::default(),
            tls: OnceLock::new(),
            notices: Mutex::new(notices),
        })
    }

    /// Uses gzip from now on: the server does not know the configured codec.
    pub(crate) fn fall_back_to_gzip(&self) {
        self.use_gzip.store(true, Ordering::Relaxed);
    }

    /// Compresses a body with the codec of the next attempt. If that fails, the body
    /// is returned as it is, with [`Codec::None`].
    pub(crate) async fn compress(&self, body: &Bytes) -> (Codec, Bytes) {
        failpoint::pass("transport");
        let fallen_back = self.use_gzip.load(Ordering::Relaxed);
        let codec = if fallen_back { Codec::Gzip } else { self.config.compression };
        let compressed = if takes_long(codec, self.config.compression_level, body.len()) {
            self.compression_thread.compress(codec, body).await
        } else {
            compress(&mut lock(&self.compressor), codec, body, &|| false)
        };
        match compressed {
            Some(compressed) => (codec, Bytes::from(compressed)),
            None => (Codec::None, body.clone()),
        }
    }

    /// Makes one attempt with the body that [`Transport::compress`] returned.
    pub(crate) async fn send(&self, request: &AttemptRequest, codec: Codec, body: Bytes) -> AttemptResult {
        let (client, number) = match self.connections.get(|| self.build()) {
            Ok(kept) => kept,
            Err(message) => {
                return match shortage::of_text(&message) {
                    Some(shortage) => unsent(shortage),
                    None => AttemptResult::NoResponse { message, maybe_sent: false },
                };
            }
        };
        let progress = Arc::new(Progress::default());
        let exchange = progress.watch(self.exchange(&client, request, codec, body, &progress));
        let limit = self.config.request_timeout;
        let (Failure { message, maybe_sent }, kept) = match within(limit, exchange).await {
            Some(Ok(result)) => return result,
            Some(Err(failure)) => (failure, progress.used_kept_connection()),
            None => {
                let message =
                    format!("no complete response within request_timeout_ms ({} ms)", limit.as_millis());
                (Failure { message, maybe_sent: true }, progress.uses_kept_connection())
            }
        };
        let message = format!("{}: {message}", self.destination);
        if !progress.is_responding() {
            // The other idle connections have probably died with this one.
            self.connections.drop_idle(number);
            if kept && maybe_sent {
                return AttemptResult::StaleConnection { message };
            }
        }
        AttemptResult::NoResponse { message, maybe_sent }
    }

    /// Waits, once nothing is sent any more, until nothing is compressed any more.
    pub(crate) fn end_compression(&self) {
        self.compression_thread.join();
    }

    /// Lines for the host's log that the last attempts gave rise to, once.
    pub(crate) fn take_notices(&self) -> Vec<(LogLevel, String)> {
        std::mem::take(&mut lock(&self.notices))
    }

    async fn exchange(
        &self,
        client: &Client,
        request: &AttemptRequest,
        codec: Codec,
        body: Bytes,
        progress: &Progress,
    ) -> Result<AttemptResult, Failure> {
        let begun = Instant::now();
        let mut request_headers = self.headers.clone();
        for (name, value) in headers::of_attempt(request.request_id, request.attempt, Timestamp::now()) {
            if let Ok(value) = HeaderValue::try_from(value) {
                request_headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(sdk_info) = request.sdk_info.as_deref() {
            for name in headers::OF_SDK {
                if let Ok(value) = HeaderValue::try_from(sdk_info) {
                    request_headers.insert(HeaderName::from_static(name), value);
                }
            }
        }
        if let Some(encoding) = codec.content_encoding() {
            request_headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let post = client.post(self.url.clone()).headers(request_headers).body(body);
        match sending(post).await {
            Ok(response) => {
                progress.set_responding();
                // Half of what is left, so that the limit of the whole attempt does not come first.
                let left = self.config.request_timeout.saturating_sub(begun.elapsed());
                read(response, request.events, MAX_ERROR_TIME.min(left / 2)).await
            }
            Err(error) if error.is_connect() => {
                match shortage::of_connecting(&error, || self.resolver.has_source(&self.connects_to())) {
                    Some(shortage) => Ok(unsent(shortage)),
                    None => Err(Failure::of_request(error, !self.config.proxy.is_empty())),
                }
            }
            Err(error) => Err(Failure::of_request(error, !self.config.proxy.is_empty())),
        }
    }

    /// The host to which connections are made: the proxy if there is one.
    fn connects_to(&self) -> String {
        let proxy = Url::parse(&self.config.proxy).ok();
        proxy.as_ref().unwrap_or(&self.url).host_str().unwrap_or_default().to_owned()
    }

    fn build(&self) -> Result<Client, String> {
        let mut builder = Client::builder()
            .use_preconfigured_tls(self.tls()?)
            .no_proxy()
            .dns_resolver(self.resolver.lookups())
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only();
        builder = Limits::of(&self.config).apply(builder);
        if !self.config.proxy.is_empty() {
            let proxy = reqwest::Proxy::all(&self.config.proxy).map_err(|error| format!("proxy: {error}"))?;
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|error| error_chain(&error))
    }

    fn tls(&self) -> Result<rustls::ClientConfig, String> {
        if let Some(tls) = self.tls.get() {
            return Ok(tls.clone());
        }
        let secure = self.url.scheme() == "https" || self.config.proxy.starts_with("https:");
        let tls = if secure {
            let Tls { client, source, warnings } = tls::config(&self.config)?;
            let source = format!("certificates are checked against {source}");
            let warnings = warnings.into_iter().map(|line| (LogLevel::Warning, line));
            lock(&self.notices).extend(std::iter::once((LogLevel::Info, source)).chain(warnings));
            client
        } else {
            tls::unused()?
        };
        Ok(self.tls.get_or_init(|| tls).clone())
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// An attempt without a complete response.
struct Failure {
    message: String,
    maybe_sent: bool,
}

impl Failure {
    fn of_request(error: reqwest::Error, proxied: bool) -> Self {
        let maybe_sent = !error.is_connect() && !error.is_builder() && !tls::handshake_was_refused(&error);
        Failure { message: user_message(&error.without_url(), proxied), maybe_sent }
    }
}

/// The result of an attempt for which this machine is short of something.
fn unsent(shortage: Shortage) -> AttemptResult {
    if shortage.of_descriptors {
        connections::drop_all_idle();
    }
    AttemptResult::LocalShortage { message: shortage.message }
}

/// What a request becomes while it is sent: boxed, so that the code of reqwest is there once, built for size.
#[inline(never)]
fn sending(
    request: RequestBuilder,
) -> Pin<Box<dyn Future<Output = Result<Response, reqwest::Error>> + Send>> {
    Box::pin(request.send())
}

/// The body of a response.
enum Body {
    Whole(Vec<u8>),
    /// It is longer than it may be, or takes longer; what was read of it.
    TooLong(Vec<u8>),
    /// It was cut off; what was read of it.
    CutOff(Vec<u8>, reqwest::Error),
}

/// Reads the body of a response, up to so many bytes and, if there is a time, for so long. It is boxed for the same
/// reason.
#[inline(never)]
fn reading(
    mut response: Response,
    bound: usize,
    time: Option<Duration>,
) -> Pin<Box<dyn Future<Output = Body> + Send>> {
    Box::pin(async move {
        let deadline = time.map(|time| Instant::now() + time);
        let mut body = Vec::new();
        loop {
            let chunk = match deadline {
                None => response.chunk().await,
                Some(deadline) => match timeout_at(deadline, response.chunk()).await {
                    Ok(chunk) => chunk,
                    Err(_) => return Body::TooLong(body),
                },
            };
            match chunk {
                Ok(Some(chunk)) if body.len() + chunk.len() <= bound => body.extend_from_slice(&chunk),
                Ok(Some(_)) => return Body::TooLong(body),
                Ok(None) => return Body::Whole(body),
                Err(error) => return Body::CutOff(body, error),
            }
        }
    })
}

/// Reads the response, up to its bound, and for so long if it is an error.
async fn read(response: Response, events: usize, error_time: Duration) -> Result<AttemptResult, Failure> {
    let status = response.status().as_u16();
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after =
        text(RETRY_AFTER).and_then(|value| retry_after::parse(value, text(DATE), SystemTime::now()));
    let location = text(LOCATION).map(str::to_owned);
    let success = response.status().is_success();
    let bound = if success { response::max_bytes(events) } else { MAX_ERROR_BODY };
    match reading(response, bound, (!success).then_some(error_time)).await {
        Body::TooLong(_) if success => Ok(AttemptResult::Oversized { status }),
        Body::CutOff(_, error) if success => {
            let reason = error_chain(&error.without_url());
            let message = format!("the response (HTTP {status}) was cut off: {reason}");
            Err(Failure { message, maybe_sent: true })
        }
        // Of an error response the text is only for people.
        Body::Whole(body) | Body::TooLong(body) | Body::CutOff(body, _) => {
            Ok(AttemptResult::Response { status, retry_after, location, body })
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    recover(mutex.lock())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What comes of one attempt at a server that responds so and then falls silent.
    fn attempted(response: &'static str) -> AttemptResult {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::new("key");
        config.host = format!("http://{}", listener.local_addr().unwrap());
        config.request_timeout = Duration::from_secs(2);
        let server = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(connection.read(&mut request).unwrap() > 0);
            connection.write_all(response.as_bytes()).unwrap();
            // Until the client gives up.
            while connection.read(&mut request).is_ok_and(|bytes| bytes > 0) {}
        });
        let transport = Transport::new(&config).unwrap();
        let request = AttemptRequest {
            request_id: Uuid::from_u128(1),
            attempt: 1,
            body: Bytes::from_static(b"{}"),
            events: 1,
            sdk_info: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let result = runtime.block_on(transport.send(&request, Codec::None, request.body.clone()));
        drop((transport, runtime));
        server.join().unwrap();
        result
    }

    #[test]
    fn an_error_whose_body_stalls_keeps_its_status_and_its_retry_after() {
        let head = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 4\r\nContent-Length: 99\r\n\r\nbusy";
        let AttemptResult::Response { status, retry_after, body, .. } = attempted(head) else {
            panic!("the status is lost");
        };
        assert_eq!((status, retry_after, body.as_slice()), (503, Some(Duration::from_secs(4)), &b"busy"[..]));
    }

    #[test]
    fn a_success_whose_body_stalls_is_none() {
        let result = attempted("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{");
        assert!(matches!(result, AttemptResult::NoResponse { maybe_sent: true, .. }), "{result:?}");
    }
}
