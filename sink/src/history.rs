//! The rules that compare a request with those before it: the attempts of one request id, and events
//! that are sent again.
//!
//! It remembers what the client has been sent, since most of these rules depend on what the client knows:
//! an event may be sent again after a response that was cut off, but not after one that accepted it.

use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

use crate::check::Findings;
use crate::check::body::Body;
use crate::check::headers::Headers;
use crate::recent::Recent;

/// What the client knows about an event since it last sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventState {
    /// Nothing yet, or only that its batch failed in a retryable manner.
    #[default]
    Unknown,
    /// The response asked for it again.
    Retry,
    /// The response accepted it.
    Accepted,
    /// The response dropped it, or rejected its batch.
    Refused,
}

#[derive(Clone, Copy, Debug)]
struct SentEvent {
    state: EventState,
    /// A hash of its bytes.
    fingerprint: u64,
    request_id: Uuid,
}

/// The last attempt of one request id.
#[derive(Clone, Debug)]
struct LastAttempt {
    attempt: u64,
    created_at: String,
    timestamp: String,
    /// When it was received, in ms since the start of the sink.
    received_ms: f64,
    /// Whether it was followed by a response after which a client waits.
    is_waited_for: bool,
    events: Vec<Uuid>,
    /// The earliest time for the next attempt, in ms since the start of the sink.
    not_before_ms: f64,
}

/// What one namespace has received so far, as far as it is remembered.
#[derive(Debug)]
pub(crate) struct History {
    events: Recent<Uuid, SentEvent>,
    requests: Recent<Uuid, LastAttempt>,
    /// Whether any batch got a 413, after which its events come again in smaller batches.
    any_split: bool,
}

/// A whole response that was sent to the client.
#[derive(Clone, Debug)]
pub(crate) struct SentResponse {
    /// The id of the request that it belongs to.
    pub(crate) request_id: Option<Uuid>,
    /// Its HTTP status.
    pub(crate) status: u16,
    /// What it says of each event.
    pub(crate) events: Vec<(Uuid, EventState)>,
    /// The earliest time for the next attempt, in ms since the start of the sink.
    pub(crate) not_before_ms: f64,
}

fn fingerprint(raw: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    raw.hash(&mut hasher);
    hasher.finish()
}

impl History {
    /// Without any request. It uses about so many bytes of memory at most.
    pub(crate) fn new(memory: usize) -> Self {
        let half = memory / 2;
        Self { events: Recent::new(half), requests: Recent::new(half), any_split: false }
    }

    /// About how many bytes of memory it uses.
    pub(crate) fn bytes(&self) -> usize {
        self.events.bytes() + self.requests.bytes()
    }

    /// Checks a request against those before it, and remembers it.
    pub(crate) fn check(&mut self, headers: &Headers, body: &Body, now_ms: f64, findings: &mut Findings) {
        let Some(id) = headers.request_uuid else { return };
        match self.requests.get(&id) {
            // Unless the attempts before may have been forgotten.
            None if headers.attempt != 1 && !self.requests.has_forgotten() => {
                let message = format!("the first attempt that arrived is number {}", headers.attempt);
                findings.add("attempt-gap", message);
            }
            None => {}
            Some(last) => last.check(headers, body, now_ms, findings),
        }
        for event in &body.events {
            let fingerprint = fingerprint(&event.raw);
            let uuid = event.uuid.to_string();
            if let Some(before) = self.events.get(&event.uuid) {
                let same = before.fingerprint == fingerprint;
                if before.request_id == id && !same {
                    let message = "the event's bytes differ from those of the attempt before";
                    findings.add_event("bytes-changed-on-retry", &uuid, message);
                }
                // With other bytes it is another event, to which the caller gave the same uuid. That is
                // the caller's business.
                match before.state {
                    EventState::Accepted if same => findings.add_event(
                        "resent-after-acceptance",
                        &uuid,
                        "a response already accepted this event",
                    ),
                    EventState::Refused if same && !(before.request_id != id && self.any_split) => findings
                        .add_event("resent-after-refusal", &uuid, "a response already refused this event"),
                    EventState::Retry if before.request_id != id && same => findings.add_event(
                        "uuid-in-second-batch",
                        &uuid,
                        "an event with the verdict retry must stay under its request id",
                    ),
                    _ => {}
                }
            }
            let sent = SentEvent { state: EventState::Unknown, fingerprint, request_id: id };
            self.events.insert(event.uuid, sent, 0);
        }
        self.requests.insert(
            id,
            LastAttempt {
                attempt: headers.attempt,
                created_at: body.created_at.clone(),
                timestamp: headers.timestamp.clone(),
                received_ms: now_ms,
                is_waited_for: false,
                events: body.events.iter().map(|event| event.uuid).collect(),
                not_before_ms: 0.0,
            },
            body.events.len() * size_of::<Uuid>() + body.created_at.len() + headers.timestamp.len(),
        );
    }

    /// Remembers what the client knows from now on.
    pub(crate) fn response_sent(&mut self, response: &SentResponse) {
        let id = response.request_id;
        for (uuid, state) in &response.events {
            if let Some(event) = self.events.get_mut(uuid).filter(|event| Some(event.request_id) == id) {
                event.state = *state;
            }
        }
        self.any_split |= response.status == 413;
        if let Some(request) = id.and_then(|id| self.requests.get_mut(&id)) {
            request.not_before_ms = response.not_before_ms;
            request.is_waited_for = response.status != 415;
        }
    }
}

impl LastAttempt {
    fn check(&self, headers: &Headers, body: &Body, now_ms: f64, findings: &mut Findings) {
        if headers.attempt != self.attempt + 1 {
            findings
                .add("attempt-gap", format!("attempt {} follows attempt {}", headers.attempt, self.attempt));
        }
        if body.created_at != self.created_at {
            let (now, before) = (&body.created_at, &self.created_at);
            findings.add("created-at-changed", format!("created_at is {now:?}, but was {before:?} before"));
        }
        // An older one is that of a clock that was set back. The same one is stale, unless both attempts may
        // have been made in the same millisecond.
        let may_be_same = !self.is_waited_for || now_ms < self.received_ms + 10.0;
        if headers.timestamp == self.timestamp && !may_be_same {
            let message = "PostHog-Request-Timestamp is that of the attempt before";
            findings.add("request-timestamp-stale", message);
        }
        let known = body.events.iter().filter(|event| self.events.contains(&event.uuid)).count();
        if known == 0 {
            findings.add("request-id-reused", "no event of it was in the attempt before");
        } else if known < body.events.len() {
            findings.add("event-added-on-retry", "an event was not in the attempt before");
        }
        // A tolerance of five milliseconds, since timers round.
        if now_ms < self.not_before_ms - 5.0 {
            let early = self.not_before_ms - now_ms;
            findings.add("retry-too-early", format!("{early:.0} ms before the time that Retry-After set"));
        }
    }
}
