//! One attempt over the network. Decides nothing: what an outcome means is for
//! the protocol to say.

pub mod compress;
pub mod tls;
pub mod trouble;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Client, Response, Url};

use crate::books::Dispatch;
use crate::config::{Codec, Config, host};
use crate::event::timestamp::Timestamp;
use crate::fault;
use crate::protocol::judge::{Answer, Outcome};
use crate::protocol::{answer, headers, retry_after};
use crate::status::{Error, Status};
use compress::Compressor;
use trouble::{described, explained};

/// The body of an error answer is read up to here.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// An attempt that was made.
#[derive(Debug)]
pub struct Made {
    /// What came back.
    pub outcome: Outcome,
    /// The codec of its body.
    pub codec: Codec,
    /// The bytes of its body, as sent.
    pub sent_bytes: u64,
    /// A line for the host's log.
    pub note: Option<String>,
}

/// How one client reaches its host. It lives on the I/O thread.
pub struct Transport {
    url: Url,
    headers: HeaderMap,
    config: Config,
    compressor: Mutex<Compressor>,
    /// Whether the server has refused the configured codec.
    use_gzip: AtomicBool,
    client: Mutex<Option<Client>>,
    note: Mutex<Option<String>>,
}

impl Transport {
    /// Checks what can be checked without the network: that the settings make
    /// valid headers, and that `ca_file` can be read.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let invalid = |text: String| Error::new(Status::INVALID_SETTING, text);
        let url = host::endpoint(&config.host);
        let url = Url::parse(&url).map_err(|error| invalid(format!("host: {url:?} is no URL ({error})")))?;
        let own = headers::of_client(&config.api_key, &config.sdk_info());
        let own = own.iter().map(|(name, value)| (*name, value));
        let additional = config.headers.iter().map(|(name, value)| (name.as_str(), value));
        let mut headers = HeaderMap::new();
        for (name, value) in own.chain(additional) {
            let name =
                HeaderName::try_from(name).map_err(|_| invalid(format!("{name:?} is no header name")))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| invalid(format!("the header {name} has a value that is no header text")))?;
            headers.insert(name, value);
        }
        if !config.ca_file.is_empty() {
            tls::roots_of(&config.ca_file).map_err(invalid)?;
        }
        Ok(Transport {
            url,
            headers,
            config: config.clone(),
            compressor: Mutex::new(Compressor::new(config.compression_level)),
            use_gzip: AtomicBool::new(false),
            client: Mutex::new(None),
            note: Mutex::new(None),
        })
    }

    /// The codec of the next attempt.
    pub fn codec(&self) -> Codec {
        if self.use_gzip.load(Ordering::Relaxed) { Codec::Gzip } else { self.config.codec() }
    }

    /// Uses gzip from now on: the server does not know the configured codec.
    pub fn fall_back_to_gzip(&self) {
        self.use_gzip.store(true, Ordering::Relaxed);
    }

    /// Makes one attempt.
    pub async fn attempt(&self, dispatch: &Dispatch) -> Made {
        fault::point("transport");
        let codec = self.codec();
        let plain = &dispatch.cargo.body;
        let compressed = lock(&self.compressor).compress(codec, plain).map(Bytes::from);
        // A body that could not be compressed is sent as it is.
        let codec = if compressed.is_some() { codec } else { Codec::None };
        let body = compressed.unwrap_or_else(|| plain.clone());
        let sent_bytes = body.len() as u64;
        let limit = Duration::from_millis(self.config.request_timeout_ms);
        let outcome = match tokio::time::timeout(limit, self.send(dispatch, body, codec)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(failure)) => failure.into_outcome(),
            Err(_) => {
                let message = format!("no whole answer within request_timeout_ms ({} ms)", limit.as_millis());
                Outcome::Transport { message, maybe_sent: true }
            }
        };
        let note = lock(&self.note).take();
        Made { outcome, codec, sent_bytes, note }
    }

    async fn send(&self, dispatch: &Dispatch, body: Bytes, codec: Codec) -> Result<Outcome, Failure> {
        let client = self.client()?;
        let mut request_headers = self.headers.clone();
        for (name, value) in headers::of_attempt(dispatch.request_id, dispatch.attempt, Timestamp::now()) {
            if let Ok(value) = HeaderValue::try_from(value) {
                request_headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(encoding) = codec.content_encoding() {
            request_headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        let request = client.post(self.url.clone()).headers(request_headers).body(body);
        let response =
            request.send().await.map_err(|error| Failure::of_request(error, &self.config.proxy))?;
        read(response, dispatch.cargo.uuids.len()).await
    }

    /// The HTTP client, built at the first attempt: only then is it known that
    /// certificates are needed at all.
    fn client(&self) -> Result<Client, Failure> {
        let mut slot = lock(&self.client);
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = self.build().map_err(|message| Failure { message, maybe_sent: false })?;
        Ok(slot.insert(client).clone())
    }

    fn build(&self) -> Result<Client, String> {
        let secure = self.url.scheme() == "https" || self.config.proxy.starts_with("https:");
        let tls = if secure {
            let (tls, source) = tls::config(&self.config.ca_file)?;
            *lock(&self.note) = Some(format!("certificates are checked against {source}"));
            tls
        } else {
            tls::unused()
        };
        let mut builder = Client::builder()
            .use_preconfigured_tls(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(Duration::from_millis(self.config.connect_timeout_ms))
            .pool_max_idle_per_host(usize::try_from(self.config.max_in_flight).unwrap_or(usize::MAX));
        if !self.config.proxy.is_empty() {
            let proxy = reqwest::Proxy::all(&self.config.proxy).map_err(|error| format!("proxy: {error}"))?;
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(|error| described(&error))
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// An attempt without a whole answer.
struct Failure {
    message: String,
    maybe_sent: bool,
}

impl Failure {
    fn of_request(error: reqwest::Error, proxy: &str) -> Self {
        let maybe_sent = !error.is_connect() && !error.is_builder();
        Failure { message: explained(&error.without_url(), proxy), maybe_sent }
    }

    fn into_outcome(self) -> Outcome {
        Outcome::Transport { message: self.message, maybe_sent: self.maybe_sent }
    }
}

/// Reads the answer, no further than its bound.
async fn read(mut response: Response, events: usize) -> Result<Outcome, Failure> {
    let status = response.status().as_u16();
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after =
        text(RETRY_AFTER).and_then(|value| retry_after::parse(value, text(DATE), SystemTime::now()));
    let location = text(LOCATION).map(str::to_owned);
    let success = response.status().is_success();
    let bound = if success { answer::max_bytes(events) } else { MAX_ERROR_BODY };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= bound => body.extend_from_slice(&chunk),
            Ok(Some(_)) if success => return Ok(Outcome::Oversized { status }),
            Err(error) if success => {
                let message =
                    format!("the answer (HTTP {status}) was cut off: {}", described(&error.without_url()));
                return Err(Failure { message, maybe_sent: true });
            }
            // The end; or that of an error answer, whose text is only for people.
            Ok(_) | Err(_) => break,
        }
    }
    Ok(Outcome::Answer(Answer { status, retry_after, location, body }))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
