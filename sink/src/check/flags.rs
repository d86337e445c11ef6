//! The rules that a request of feature flags can break: `POST /flags`, `GET /flags/definitions`, and that for a remote
//! config.
//!
//! They are those of PostHog's flag service and of the official harness, as sink/README.md lists them. A rule of events
//! is never one of flags: the two endpoints have different headers and bodies.

use axum::http::HeaderMap;
use serde_json::Value;

use super::Findings;
use crate::view::parameter;

/// The name of every rule of flag requests. They do not belong to the contract of Capture v1.
pub const FLAG_RULES: [&str; 15] = [
    "definitions-authorization",
    "definitions-etag",
    "definitions-token",
    "flags-authorization",
    "flags-body",
    "flags-content-type",
    "flags-distinct-id",
    "flags-geoip",
    "flags-runtime",
    "flags-token",
    "flags-version",
    "remote-config-authorization",
    "remote-config-body",
    "remote-config-key",
    "remote-config-token",
];

/// What the type of a member of the body must be, and whether a body without it breaks a rule.
struct Member {
    name: &'static str,
    rule: &'static str,
    required: bool,
    fits: fn(&Value) -> bool,
}

const fn member(name: &'static str, rule: &'static str, required: bool, fits: fn(&Value) -> bool) -> Member {
    Member { name, rule, required, fits }
}

/// The members that a client may send. The server ignores others, so another one is a typing error.
const MEMBERS: &[Member] = &[
    member("token", "flags-token", true, is_text),
    member("distinct_id", "flags-distinct-id", true, Value::is_string),
    member("geoip_disable", "flags-geoip", true, Value::is_boolean),
    member("evaluation_runtime", "flags-runtime", true, |value| value == "server"),
    member("groups", "flags-body", true, |value| {
        is_object_of(value, |key| key.is_string() || key.is_number())
    }),
    member("person_properties", "flags-body", true, |value| value.get("distinct_id").is_some()),
    member("group_properties", "flags-body", true, |value| is_object_of(value, Value::is_object)),
    member("flag_keys_to_evaluate", "flags-body", false, is_texts),
    member("evaluation_contexts", "flags-body", false, is_texts),
    member("device_id", "flags-body", false, is_text),
];

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
}

fn is_object_of(value: &Value, fits: impl Fn(&Value) -> bool) -> bool {
    value.as_object().is_some_and(|object| object.values().all(fits))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What a request for values may say of the form of its response.
const VERSIONS: [&str; 3] = ["v=2", "v=3", "v=4"];

/// Checks `POST /flags`, of which this is the decompressed body; returns the body as JSON.
pub(crate) fn evaluation(
    headers: &HeaderMap,
    query: &str,
    body: &[u8],
    api_key: Option<&str>,
    findings: &mut Findings,
) -> Value {
    if !VERSIONS.contains(&query) {
        let expected = VERSIONS.join(", ");
        findings.add(
            "flags-version",
            format!("the query must be one of {expected} and nothing else, not {query:?}"),
        );
    }
    if headers.contains_key("authorization") {
        findings
            .add("flags-authorization", "the project key is in the body; there is no Authorization header");
    }
    if text(headers, "content-type") != "application/json" {
        findings.add("flags-content-type", "Content-Type must be application/json");
    }
    let value: Value = match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) => {
            findings.refuse(400, "flags-body", "the body must be a JSON object");
            return Value::Null;
        }
        Err(error) => {
            findings.refuse(400, "flags-body", format!("the body is not JSON: {error}"));
            return Value::Null;
        }
    };
    for Member { name, rule, required, fits } in MEMBERS {
        match value.get(name) {
            None if *required => findings.add(rule, format!("{name} is missing")),
            Some(found) if !fits(found) => findings.add(rule, format!("{name} must not be {found}")),
            _ => {}
        }
    }
    if let Some(object) = value.as_object() {
        for key in object.keys().filter(|key| MEMBERS.iter().all(|member| member.name != key.as_str())) {
            findings.add("flags-body", format!("the member {key:?} is unknown"));
        }
    }
    if value.get("distinct_id").is_none() {
        findings.status.get_or_insert((400, "flags-distinct-id"));
    }
    let token = value.get("token").and_then(Value::as_str).unwrap_or_default();
    // A wrong key is not a mistake in the client's code, so it is refused and no violation.
    if token.is_empty() || api_key.is_some_and(|expected| expected != token) {
        findings.status.get_or_insert((401, "flags-token"));
    }
    value
}

/// Checks the request for a remote config, whose key is this segment of the path; returns the key.
pub(crate) fn remote_config(
    headers: &HeaderMap,
    query: &str,
    segment: Option<&str>,
    body: &[u8],
    api_key: Option<&str>,
    findings: &mut Findings,
) -> String {
    keys(headers, query, api_key, ["remote-config-authorization", "remote-config-token"], findings);
    if !body.is_empty() {
        findings.add("remote-config-body", "a GET has no body");
    }
    let key = segment.and_then(percent_decoded);
    if key.is_none() {
        let message = "the key must be one segment of the path: UTF-8 in which all but letters, digits and -._~ is percent-encoded";
        findings.refuse(400, "remote-config-key", message);
    }
    key.unwrap_or_default()
}

/// The text of a segment of a path; `None` if it has a character that must be encoded, or is not UTF-8.
fn percent_decoded(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut text = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [char::from(bytes.next()?), char::from(bytes.next()?)];
                let [high, low] = digits.map(|digit| digit.to_digit(16));
                text.push(u8::try_from(high? * 16 + low?).ok()?);
            }
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => text.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(text).ok()
}

/// Checks the secret key and the project key of a request without a body, by the rules of these two names.
fn keys(
    headers: &HeaderMap,
    query: &str,
    api_key: Option<&str>,
    [authorization, token]: [&'static str; 2],
    findings: &mut Findings,
) {
    let secret = text(headers, "authorization").strip_prefix("Bearer ").unwrap_or_default();
    if !["phs_", "phx_"].iter().any(|prefix| secret.starts_with(prefix)) {
        let message = "Authorization must be `Bearer <secret key>`, which begins with phs_ or phx_";
        findings.refuse(401, authorization, message);
    }
    match parameter(query, "token") {
        None | Some("") => {
            findings.refuse(401, token, "the query must have the project key as token");
        }
        Some(found) if api_key.is_some_and(|expected| expected != found) => {
            findings.status.get_or_insert((401, token));
        }
        Some(_) => {}
    }
}

/// Checks `GET /flags/definitions`. `etags` are those that this sink has sent.
pub(crate) fn definitions(
    headers: &HeaderMap,
    query: &str,
    api_key: Option<&str>,
    was_sent: impl Fn(&str) -> bool,
    findings: &mut Findings,
) {
    keys(headers, query, api_key, ["definitions-authorization", "definitions-token"], findings);
    let etag = text(headers, "if-none-match");
    if !etag.is_empty() && !was_sent(etag) {
        findings.add("definitions-etag", format!("this sink has sent no ETag {etag:?}"));
    }
}
