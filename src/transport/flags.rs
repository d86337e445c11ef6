//! One request of feature flags over the network: values for a person, definitions, or a remote config.
//!
//! It takes the connections of the client's other requests, and none of their places: events that wait do not delay it,
//! and it does not delay them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, RETRY_AFTER,
};
use reqwest::{RequestBuilder, Response, Url};

use super::connections::Progress;
use super::limit::within;
use super::{Body, Failure, Transport, errors::error_chain, reading, sending};
use crate::flags::remote::Exchange;
use crate::protocol::retry_after;

/// The longest response with values, in bytes.
const MAX_VALUES: usize = 8 << 20;
/// The longest definitions, as `Definitions` accepts them.
const MAX_DEFINITIONS: usize = 32 << 20;
/// The longest response with a remote config.
const MAX_CONFIG: usize = 8 << 20;
/// The body of any other response is read up to this many bytes.
const MAX_OTHER: usize = 64 << 10;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) enum FlagCall {
    /// The values of flags, with this body.
    Values(Bytes),
    /// The definitions, unless the client has those with this `ETag`.
    Definitions { etag: Option<String> },
    /// The remote config that has this path.
    RemoteConfig { path: String },
}

impl Transport {
    /// Makes one request, for at most this time. It is boxed, so that its code is there once.
    pub(crate) fn call_flags<'a>(
        &'a self,
        call: &'a FlagCall,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = Exchange> + Send + 'a>> {
        Box::pin(self.exchange_flags(call, limit))
    }

    async fn exchange_flags(&self, call: &FlagCall, limit: Duration) -> Exchange {
        let no_response = |message, timed_out| Exchange::NoResponse { message, timed_out };
        let (client, number) = match self.connections.get(|| self.build()) {
            Ok(kept) => kept,
            Err(message) => return no_response(message, false),
        };
        let request = match self.flag_request(&client, call) {
            Ok(request) => request,
            Err(message) => return no_response(message, false),
        };
        let progress = Arc::new(Progress::default());
        let exchange = progress.watch(async {
            let response = sending(request)
                .await
                .map_err(|error| Failure::of_request(error, !self.config.proxy.is_empty()).message)?;
            progress.set_responding();
            read(response, call).await
        });
        let (message, timed_out) = match within(limit, exchange).await {
            Some(Ok(exchange)) => return exchange,
            Some(Err(message)) => (message, false),
            None => (format!("no complete response within {} ms", limit.as_millis()), true),
        };
        if !progress.is_responding() {
            // The other idle connections have probably died with this one.
            self.connections.drop_idle(number);
        }
        no_response(format!("{}: {message}", self.destination), timed_out)
    }

    /// Makes the headers those of a request without a body, which the secret key allows.
    fn authorise(&self, headers: &mut HeaderMap) {
        headers.remove(CONTENT_TYPE);
        set(headers, AUTHORIZATION, &format!("Bearer {}", self.config.secret_key));
    }

    fn flag_request(&self, client: &reqwest::Client, call: &FlagCall) -> Result<RequestBuilder, String> {
        let url = |path: &str| {
            let text = format!("{}{path}", self.config.host);
            Url::parse(&text).map_err(|error| format!("{text:?} is not a URL ({error})"))
        };
        let mut headers = self.headers.clone();
        // The key of the project is in the body, or in the query.
        headers.remove(AUTHORIZATION);
        match call {
            FlagCall::Values(body) => {
                let path = format!("/flags/?v={}", self.config.flags_request_version);
                Ok(client.post(url(&path)?).headers(headers).body(body.clone()))
            }
            FlagCall::Definitions { etag } => {
                self.authorise(&mut headers);
                if let Some(etag) = etag {
                    set(&mut headers, IF_NONE_MATCH, etag);
                }
                let mut url = url("/flags/definitions")?;
                url.query_pairs_mut()
                    .append_pair("token", &self.config.api_key)
                    .append_key_only("send_cohorts");
                Ok(client.get(url).headers(headers))
            }
            FlagCall::RemoteConfig { path } => {
                self.authorise(&mut headers);
                let mut url = url(path)?;
                url.query_pairs_mut().append_pair("token", &self.config.api_key);
                Ok(client.get(url).headers(headers))
            }
        }
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// Reads the response, up to its bound.
async fn read(response: Response, call: &FlagCall) -> Result<Exchange, String> {
    let status = response.status().as_u16();
    let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after =
        text(RETRY_AFTER).and_then(|value| retry_after::parse(value, text(DATE), SystemTime::now()));
    let etag = text(ETAG).map(str::to_owned);
    let bound = match call {
        _ if status != 200 => MAX_OTHER,
        FlagCall::Values(_) => MAX_VALUES,
        FlagCall::Definitions { .. } => MAX_DEFINITIONS,
        FlagCall::RemoteConfig { .. } => MAX_CONFIG,
    };
    match reading(response, bound, None).await {
        Body::TooLong(_) if status == 200 => Err(format!("the response has more than {} MiB", bound >> 20)),
        Body::CutOff(_, error) if status == 200 => {
            Err(format!("the response was cut off: {}", error_chain(&error.without_url())))
        }
        // Of an error response the status counts.
        Body::Whole(body) | Body::TooLong(body) | Body::CutOff(body, _) => {
            Ok(Exchange::Response { status, body, etag, retry_after })
        }
    }
}
