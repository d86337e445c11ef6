//! The rules about the headers and the URL of a request.

use axum::http::{HeaderMap, Uri};
use uuid::Uuid;

use super::{Findings, is_instant, is_wire_time};
use crate::text::cut;

/// What later rules need of the headers. A value that is missing or not valid is empty, or 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    /// The project key: the bearer token.
    pub(crate) key: String,
    /// `PostHog-Request-Id`, as sent.
    pub(crate) request_id: String,
    /// The same as a value.
    pub(crate) request_uuid: Option<Uuid>,
    /// `PostHog-Attempt`
    pub(crate) attempt: u64,
    /// `PostHog-Request-Timestamp`
    pub(crate) timestamp: String,
    /// `Content-Encoding`
    pub(crate) encoding: Option<String>,
}

/// Checks the headers and the URL. A project key other than `api_key` (if that is set) is refused.
pub(crate) fn check(
    headers: &HeaderMap,
    uri: &Uri,
    api_key: Option<&str>,
    findings: &mut Findings,
) -> Headers {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut read = Headers { encoding: get("content-encoding").map(str::to_owned), ..Headers::default() };

    match get("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
        Some(key) if !key.trim().is_empty() => read.key = key.to_owned(),
        _ => findings.refuse(401, "authorization", "Authorization must be `Bearer <project key>`"),
    }
    if api_key.is_some_and(|expected| expected != read.key) {
        // A wrong key is not a mistake in the client's code, so this is not a violation.
        findings.status.get_or_insert((401, "authorization"));
    }
    if get("content-type") != Some("application/json") {
        findings.refuse(400, "content-type", "Content-Type must be application/json");
    }
    if get("accept-encoding").is_none_or(|codings| codings.contains('*')) {
        let message = "Accept-Encoding must name the codings that the client reads, or `identity`: without it any coding may be sent";
        findings.add("accept-encoding", message);
    }
    for (name, rule) in [("user-agent", "user-agent"), ("posthog-sdk-info", "sdk-info")] {
        let value = get(name).unwrap_or_default();
        let halves = value.split_once('/');
        if value.is_empty() {
            findings.refuse(400, rule, format!("{name} is missing"));
        } else if value.len() > 200
            || !halves.is_some_and(|(sdk, version)| !sdk.is_empty() && !version.is_empty())
        {
            let message = format!("{name} must be <name>/<version>, at most 200 bytes, not {value:?}");
            findings.add("sdk-info-form", message);
        }
    }
    if get("user-agent") != get("posthog-sdk-info") {
        findings.add("sdk-info-form", "User-Agent and PostHog-Sdk-Info differ");
    }
    read.request_id = cut(get("posthog-request-id").unwrap_or_default(), 200).to_owned();
    read.request_uuid = Uuid::try_parse(&read.request_id).ok();
    if read.request_uuid.is_none() {
        findings.refuse(
            400,
            "request-id",
            format!("PostHog-Request-Id is not a uuid: {:?}", read.request_id),
        );
    }
    match get("posthog-attempt").and_then(|value| value.parse().ok()).filter(|attempt| *attempt >= 1) {
        Some(attempt) => read.attempt = attempt,
        None => findings.refuse(400, "attempt", "PostHog-Attempt must be a whole number, 1 or more"),
    }
    read.timestamp = cut(get("posthog-request-timestamp").unwrap_or_default(), 200).to_owned();
    if !is_instant(&read.timestamp) {
        let message =
            format!("PostHog-Request-Timestamp must be an RFC 3339 instant, not {:?}", read.timestamp);
        findings.refuse(400, "request-timestamp", message);
    } else if !is_wire_time(&read.timestamp) {
        let message = format!(
            "PostHog-Request-Timestamp must be UTC with milliseconds and Z, not {:?}",
            read.timestamp
        );
        findings.add("request-timestamp-form", message);
    }
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        findings.add("query", format!("the URL must not have a query, but has {query:?}"));
    }
    if uri.path().contains("//") {
        findings.add("path", format!("the path must not have an empty segment: {:?}", uri.path()));
    }
    read
}
