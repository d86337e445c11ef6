//! Remote configs: a payload that the server returns for the key of a flag, to a client with a secret key. Where it is
//! asked for, and what a response means.

use std::fmt::Write as _;

use super::super::tree::{self, Value};
use super::decide::{Cause, Decision, Exchange, Failure, failure_with};
use crate::json::repair;

/// What the server has for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RemoteConfig {
    /// The payload as the project has it, mostly JSON text; empty if there is none.
    Payload(String),
    /// The project has no remote config with this key.
    Missing,
}

/// What a status means here, and what to do about it.
const HINTS: [(u16, &str); 4] = [
    (
        401,
        "the server does not know the project key, or not together with this secret key; check both, and that `host` is where the project is",
    ),
    (402, "the project has used up its requests: raise its billing limit, or wait for the next period"),
    (
        403,
        "the secret key may not read remote configs; use the feature flags secure key of the project (phs_…), or a personal key (phx_…) with the scope feature_flag:read",
    ),
    (429, "the server limits the rate of requests; keep the payload, and ask for it less often"),
];

/// The path of the request for this key, which is one segment of it; `None` for a key that cannot be one.
pub(crate) fn config_path(key: &str) -> Option<String> {
    if matches!(key, "" | "." | "..") {
        return None;
    }
    let mut path = "/api/projects/@current/feature_flags/".to_owned();
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                path.push(char::from(byte));
            }
            _ => {
                let _ = write!(path, "%{byte:02X}");
            }
        }
    }
    path.push_str("/remote_config");
    Some(path)
}

/// Says what the exchange means. Another attempt may help where it does for values.
pub(crate) fn decide_config(exchange: &Exchange) -> Decision<RemoteConfig> {
    match exchange {
        Exchange::NoResponse { message, timed_out } => {
            Decision::Retry(Exchange::no_response(message, *timed_out))
        }
        Exchange::Response { status: 200, body, .. } => match payload(body) {
            Ok(payload) => Decision::Known(RemoteConfig::Payload(payload)),
            Err(reason) => {
                let message = format!("the response with the remote config is not JSON: {reason}");
                Decision::Failed(Failure::new(Cause::Unreadable, message))
            }
        },
        Exchange::Response { status: 404, .. } => Decision::Known(RemoteConfig::Missing),
        Exchange::Response { status: status @ (502 | 504), .. } => Decision::Retry(failure_of(*status)),
        Exchange::Response { status, .. } => Decision::Failed(failure_of(*status)),
    }
}

fn failure_of(status: u16) -> Failure {
    failure_with("the server of remote configs", status, &HINTS)
}

/// The payload is a JSON string. A server that has none sends null, or nothing.
fn payload(body: &[u8]) -> Result<String, String> {
    let text = repair(body);
    if text.trim().is_empty() {
        return Ok(String::new());
    }
    let read = tree::read_lenient(body, |tree| match tree {
        Value::Text(payload) => payload.clone().into_owned(),
        Value::Null => String::new(),
        _ => text.trim().to_owned(),
    });
    read.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Exchange {
        Exchange::Response { status, body: body.into(), etag: None, retry_after: None }
    }

    #[test]
    fn a_key_is_one_segment_of_the_path() {
        for (key, segment) in [
            ("limits", "limits"),
            ("a-B_9.~", "a-B_9.~"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("100%\n\t", "100%25%0A%09"),
            ("ü", "%C3%BC"),
            ("...", "..."),
            ("a\\b", "a%5Cb"),
        ] {
            let expected = format!("/api/projects/@current/feature_flags/{segment}/remote_config");
            assert_eq!(config_path(key), Some(expected));
        }
        assert_eq!(["", ".", ".."].map(config_path), [None, None, None]);
    }

    #[test]
    fn a_200_has_the_payload() {
        for (body, expected) in [
            (r#""{\"a\": 1}""#, r#"{"a": 1}"#),
            (r#" "\"text\"" "#, r#""text""#),
            (r#""plain \u00fc""#, "plain ü"),
            ("\"\"", ""),
            ("null", ""),
            ("", ""),
            ("\n", ""),
            (r#" {"a": 1e999} "#, r#"{"a": 1e999}"#),
            ("[1, 2]", "[1, 2]"),
            ("7.50", "7.50"),
        ] {
            let Decision::Known(RemoteConfig::Payload(payload)) = decide_config(&response(200, body)) else {
                panic!("{body}")
            };
            assert_eq!(payload, expected, "{body}");
        }
        for body in ["<html>", "\"cut off", "{", "\"a\" \"b\"", "plain"] {
            let Decision::Failed(failure) = decide_config(&response(200, body)) else { panic!("{body}") };
            assert!(!failure.is_outage() && failure.message.contains("not JSON"), "{failure:?}");
        }
    }

    #[test]
    fn a_404_is_knowledge_and_no_failure() {
        for body in ["", "\"\"", "<html>"] {
            assert!(matches!(decide_config(&response(404, body)), Decision::Known(RemoteConfig::Missing)));
        }
    }

    #[test]
    fn a_remote_config_is_asked_for_again_after_transport_failures_502_and_504() {
        for status in [204, 301, 400, 401, 402, 403, 408, 429, 500, 503] {
            let Decision::Failed(failure) = decide_config(&response(status, "")) else { panic!("{status}") };
            assert!(failure.message.contains(&format!("HTTP {status}")), "{failure:?}");
            assert_eq!(failure.is_outage(), status >= 500, "{status}");
        }
        for status in [502, 504] {
            assert!(matches!(decide_config(&response(status, "")), Decision::Retry(_)));
        }
        for (timed_out, word) in [(true, "timeout"), (false, "connection_error")] {
            let lost = Exchange::NoResponse { message: "reset".to_owned(), timed_out };
            let Decision::Retry(failure) = decide_config(&lost) else { panic!() };
            assert!(failure.is_outage() && failure.word() == word);
        }
    }
}
