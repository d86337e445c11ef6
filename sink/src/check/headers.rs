//! Rules about the headers.

use axum::http::{HeaderMap, Uri};
use uuid::Uuid;

use super::{Findings, is_wire_time};

/// What later rules need of the headers.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// The bearer token.
    pub key: String,
    /// As sent.
    pub request_id: String,
    /// As a value.
    pub request_uuid: Option<Uuid>,
    /// `PostHog-Attempt`.
    pub attempt: u64,
    /// `PostHog-Request-Timestamp`.
    pub timestamp: String,
    /// `Content-Encoding`.
    pub encoding: Option<String>,
}

/// Holds the headers against the rules.
#[must_use]
pub fn check(headers: &HeaderMap, uri: &Uri, api_key: Option<&str>, findings: &mut Findings) -> Headers {
    let get = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut seen = Headers { encoding: get("content-encoding").map(str::to_owned), ..Headers::default() };

    match get("authorization").and_then(|value| value.strip_prefix("Bearer ")) {
        Some(key) if !key.trim().is_empty() => seen.key = key.to_owned(),
        _ => findings.refuse(401, "authorization", "Authorization must be `Bearer <project key>`"),
    }
    if api_key.is_some_and(|expected| expected != seen.key) {
        // Not a fault of the client's code, so no violation.
        findings.status.get_or_insert((401, "authorization"));
    }
    if get("content-type") != Some("application/json") {
        findings.refuse(400, "content-type", "Content-Type must be application/json");
    }
    for (name, rule) in [("user-agent", "user-agent"), ("posthog-sdk-info", "sdk-info")] {
        let value = get(name).unwrap_or_default();
        let halves = value.split_once('/');
        if value.is_empty() {
            findings.refuse(400, rule, format!("{name} is missing"));
        } else if value.len() > 200
            || !halves.is_some_and(|(sdk, version)| !sdk.is_empty() && !version.is_empty())
        {
            findings.add(rule, format!("{name} must be <name>/<version> of at most 200 bytes: {value:?}"));
        }
    }
    if get("user-agent") != get("posthog-sdk-info") {
        findings.add("sdk-info", "User-Agent and PostHog-Sdk-Info differ");
    }
    seen.request_id = get("posthog-request-id").unwrap_or_default().to_owned();
    seen.request_uuid = Uuid::try_parse(&seen.request_id).ok();
    if seen.request_uuid.is_none() {
        findings.refuse(400, "request-id", format!("PostHog-Request-Id is no uuid: {:?}", seen.request_id));
    }
    match get("posthog-attempt").and_then(|value| value.parse().ok()).filter(|attempt| *attempt >= 1) {
        Some(attempt) => seen.attempt = attempt,
        None => findings.refuse(400, "attempt", "PostHog-Attempt must be a whole number from 1"),
    }
    seen.timestamp = get("posthog-request-timestamp").unwrap_or_default().to_owned();
    if !is_wire_time(&seen.timestamp) {
        let message = format!("PostHog-Request-Timestamp is not UTC with milliseconds: {:?}", seen.timestamp);
        findings.refuse(400, "request-timestamp", message);
    }
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        findings.add("query", format!("the address must have no query: {query:?}"));
    }
    if uri.path().contains("//") {
        findings.add("path", format!("an empty segment is in the path: {:?}", uri.path()));
    }
    seen
}
