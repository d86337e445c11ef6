//! Writes the body of a response, and says what that body means for each event.
//!
//! It knows the script's step and the events of the batch, but nothing of HTTP or connections.

use serde_json::{Map, Value, json};

use crate::check::event::{Event, is_placeholder};
use crate::history::EventState;
use crate::script::{Step, Verdict};

/// What a response says of one event.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventResult {
    /// The code of its verdict; empty if the results leave it out.
    pub(crate) verdict: String,
    /// The details of the verdict; empty if there are none.
    pub(crate) details: String,
    /// Whether the sink stores the event.
    pub(crate) stored: bool,
    /// What the client knows once it has received the response.
    pub(crate) state: EventState,
}

/// The largest event that the server stores, in bytes.
const MAX_EVENT: usize = 983_040;

/// What the server says of an event if no script says anything else.
fn unscripted(event: &Event) -> Value {
    if event.distinct_id.trim().is_empty() {
        json!({"result": "drop", "details": "missing_distinct_id"})
    } else if event.raw.len() > MAX_EVENT {
        json!({"result": "drop", "details": "event_too_big"})
    } else if event.is_dropped {
        json!({"result": "drop"})
    } else if is_placeholder(&event.distinct_id) {
        json!({"result": "ok", "details": "person_processing_disabled"})
    } else {
        json!({"result": "ok"})
    }
}

/// The results of a 2xx, event by event, and its body.
pub(crate) fn results(step: &Step, events: &[Event]) -> (Vec<EventResult>, String) {
    let mut members = Map::new();
    let mut results = Vec::with_capacity(events.len());
    for (position, event) in events.iter().enumerate() {
        let scripted = step.verdicts.as_ref().and_then(|verdicts| verdicts.of(position, &event.name));
        let value = match scripted {
            Some(Verdict::Code(code)) => json!({ "result": code }),
            Some(Verdict::Raw(value)) => value.clone(),
            None => unscripted(event),
        };
        let code = value.get("result").and_then(Value::as_str).unwrap_or_default().to_owned();
        let omitted = step.omit.contains(&event.name);
        let state = match code.as_str() {
            "retry" if !omitted => EventState::Retry,
            "drop" if !omitted => EventState::Refused,
            _ => EventState::Accepted,
        };
        results.push(EventResult {
            verdict: if omitted { String::new() } else { code },
            details: value.get("details").and_then(Value::as_str).unwrap_or_default().to_owned(),
            stored: state == EventState::Accepted,
            state,
        });
        if !omitted {
            members.insert(event.uuid.to_string(), value);
        }
    }
    members.extend(step.extra_results.clone());
    let body = json!({ "results": members }).to_string();
    (results, body)
}

/// The body of an error response. `rule` names the rule that the request broke; empty if the script
/// chose the status.
pub(crate) fn error(status: u16, rule: &str) -> String {
    let code = match status {
        400 => "invalid_request",
        401 => "unauthorized",
        413 => "payload_too_large",
        415 => "unsupported_content_encoding",
        429 => "rate_limited",
        500..=599 => "server_error",
        _ => "error",
    };
    let description = if rule.is_empty() { "as scripted" } else { rule };
    json!({"error": code, "error_description": description, "error_uri": null}).to_string()
}
