//! The body of an answer, and what it tells of each event.

use serde_json::{Map, Value, json};

use crate::check::event::{Event, is_anonymous};
use crate::history::State;
use crate::script::{Step, Verdict};

/// What an answer does with one event.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its verdict's code; empty when it is left out of the results.
    pub verdict: String,
    /// Whether the sink stores it.
    pub stored: bool,
    /// What the client knows once the answer has arrived.
    pub state: State,
}

/// The verdicts of a 200, and its body.
#[must_use]
pub fn verdicts(step: &Step, events: &[Event]) -> (Vec<Told>, String) {
    let mut results = Map::new();
    let mut told = Vec::with_capacity(events.len());
    for (position, event) in events.iter().enumerate() {
        let scripted = step.verdicts.as_ref().and_then(|verdicts| verdicts.of(position, &event.name));
        let value = match scripted {
            Some(Verdict::Code(code)) => json!({ "result": code }),
            Some(Verdict::Raw(value)) => value.clone(),
            None if is_anonymous(&event.distinct_id) => {
                json!({"result": "warning", "details": "the distinct_id looks anonymous"})
            }
            None => json!({"result": "ok"}),
        };
        let code = value.get("result").and_then(Value::as_str).unwrap_or_default().to_owned();
        let omitted = step.omit.contains(&event.name);
        let state = match code.as_str() {
            "retry" if !omitted => State::Again,
            "drop" if !omitted => State::Refused,
            _ => State::Accepted,
        };
        told.push(Told {
            verdict: if omitted { String::new() } else { code },
            stored: state == State::Accepted,
            state,
        });
        if !omitted {
            results.insert(event.uuid.to_string(), value);
        }
    }
    results.extend(step.extra_results.clone());
    let body = json!({ "results": results }).to_string();
    (told, body)
}

/// The body of an error answer.
#[must_use]
pub fn error(status: u16, reason: &str) -> String {
    let words = match status {
        400 => "invalid_request",
        401 => "unauthorized",
        413 => "payload_too_large",
        415 => "unsupported_content_encoding",
        429 => "rate_limited",
        500..=599 => "server_error",
        _ => "error",
    };
    let description = if reason.is_empty() { "as scripted" } else { reason };
    json!({"error": words, "error_description": description, "error_uri": null}).to_string()
}
