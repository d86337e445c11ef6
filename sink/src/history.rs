//! Rules about what came before: attempts of one request, and events that are
//! sent again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

use crate::check::Findings;
use crate::check::body::Body;
use crate::check::headers::Headers;

/// What became of an event when it was last sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Sent; the client has not been told what became of it.
    Open,
    /// The client was told to send it again.
    Again,
    /// The client was told that it is accepted.
    Accepted,
    /// The client was told that it is dropped, or rejected with its batch.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct EventHistory {
    state: State,
    bytes: u64,
    request: Uuid,
}

#[derive(Clone, Debug)]
struct RequestHistory {
    attempt: u64,
    created_at: String,
    timestamp: String,
    events: Vec<Uuid>,
    /// No earlier attempt than this is right, in ms since the start.
    not_before: f64,
}

/// What one space has seen.
#[derive(Debug, Default)]
pub struct History {
    events: HashMap<Uuid, EventHistory>,
    requests: HashMap<Uuid, RequestHistory>,
    /// Whether any batch was answered 413, so that its events come again in new
    /// ones.
    any_split: bool,
}

/// What a request was told.
#[derive(Clone, Debug)]
pub struct Told {
    /// The status, when a whole answer was sent.
    pub status: Option<u16>,
    /// What each event was told.
    pub events: Vec<(Uuid, State)>,
    /// When the next attempt may come, in ms since the start.
    pub not_before: f64,
}

fn fingerprint(raw: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    raw.hash(&mut hasher);
    hasher.finish()
}

impl History {
    /// Holds a request against what came before, and remembers it.
    pub fn check(&mut self, headers: &Headers, body: &Body, now_ms: f64, findings: &mut Findings) {
        let Some(id) = headers.request_uuid else { return };
        match self.requests.get(&id) {
            None if headers.attempt != 1 => {
                findings.add("attempt-gap", format!("attempt {} is the first that came", headers.attempt));
            }
            None => {}
            Some(before) => before.check(headers, body, now_ms, findings),
        }
        for event in &body.events {
            let bytes = fingerprint(&event.raw);
            let uuid = event.uuid.to_string();
            if let Some(before) = self.events.get(&event.uuid) {
                let same = before.bytes == bytes;
                if before.request == id && !same {
                    findings.add_event("bytes-changed-on-retry", &uuid, "the event's bytes changed");
                }
                // With other bytes it is another event that the caller gave the
                // same uuid; that is the caller's affair.
                match before.state {
                    State::Accepted if same => {
                        findings.add_event("resent-after-acceptance", &uuid, "its acceptance was answered");
                    }
                    State::Refused if same && !(before.request != id && self.any_split) => {
                        findings.add_event("resent-after-refusal", &uuid, "its refusal was answered");
                    }
                    State::Again if before.request != id && same => {
                        findings.add_event(
                            "uuid-in-second-batch",
                            &uuid,
                            "a retry belongs to its own request id",
                        );
                    }
                    _ => {}
                }
            }
            self.events.insert(event.uuid, EventHistory { state: State::Open, bytes, request: id });
        }
        self.requests.insert(
            id,
            RequestHistory {
                attempt: headers.attempt,
                created_at: body.created_at.clone(),
                timestamp: headers.timestamp.clone(),
                events: body.events.iter().map(|event| event.uuid).collect(),
                not_before: 0.0,
            },
        );
    }

    /// Remembers what the client was told.
    pub fn told(&mut self, id: Option<Uuid>, told: &Told) {
        for (uuid, state) in &told.events {
            if let Some(event) = self.events.get_mut(uuid).filter(|event| Some(event.request) == id) {
                event.state = *state;
            }
        }
        self.any_split |= told.status == Some(413);
        if let Some(request) = id.and_then(|id| self.requests.get_mut(&id)) {
            request.not_before = told.not_before;
        }
    }
}

impl RequestHistory {
    fn check(&self, headers: &Headers, body: &Body, now_ms: f64, findings: &mut Findings) {
        if headers.attempt != self.attempt + 1 {
            findings
                .add("attempt-gap", format!("attempt {} follows attempt {}", headers.attempt, self.attempt));
        }
        if body.created_at != self.created_at {
            findings
                .add("created-at-changed", format!("{:?}, before {:?}", body.created_at, self.created_at));
        }
        if headers.timestamp < self.timestamp {
            findings
                .add("request-timestamp-stale", "PostHog-Request-Timestamp is older than the last attempt's");
        }
        let known = body.events.iter().filter(|event| self.events.contains(&event.uuid)).count();
        if known == 0 {
            findings.add("request-id-reused", "none of its events was in the attempt before");
        } else if known < body.events.len() {
            findings.add("event-added-on-retry", "an event was not in the attempt before");
        }
        if now_ms < self.not_before - 5.0 {
            let early = self.not_before - now_ms;
            findings.add("retry-too-early", format!("{early:.0} ms before what Retry-After asked for"));
        }
    }
}
