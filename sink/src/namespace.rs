//! One namespace of the sink: a script, a record of everything received below one URL prefix, and the
//! rules that it broke.
//!
//! It decides how each request is responded to ([`ResponsePlan`]), but knows nothing of sockets and does
//! not wait: `transmit` carries the plan out and reports back what was sent.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Instant;

use axum::http::{HeaderMap, Uri};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::chaos::Chaos;
use crate::check::body::{self, Body};
use crate::check::event::Event;
use crate::check::headers::{self, Headers};
use crate::check::{Findings, Violation, is_instant};
use crate::decode::{DecodeError, decode};
use crate::history::{EventState, History, SentResponse};
use crate::records::{EventRecord, RequestRecord, Summary};
use crate::response;
use crate::script::{Close, Request, Script, Step};

/// Events and violations that are kept in full; the counters stay exact beyond that.
const MAX_RECORDS: usize = 200_000;

/// The largest body that the real server takes, decompressed and as sent.
pub const MAX_BODY: usize = 50 << 20;
/// See [`MAX_BODY`].
pub const MAX_WIRE_BODY: usize = 10 << 20;

/// Options of the whole sink.
#[derive(Clone, Debug)]
pub struct Options {
    /// If set, requests with any other project key get a 401.
    pub api_key: Option<String>,
    /// The largest decompressed body in bytes; larger ones get a 413.
    pub max_body: usize,
    /// The same for the body as sent.
    pub max_wire_body: usize,
}

/// A request before it is read.
#[derive(Debug)]
pub struct IncomingRequest<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its URI.
    pub uri: &'a Uri,
    /// Its body, as sent.
    pub body: &'a [u8],
    /// The number of its connection.
    pub connection: u64,
}

/// How one request is to be responded to.
#[derive(Clone, Debug, Default)]
pub struct ResponsePlan {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub(crate) body: String,
    /// The step of the script, with everything that is special about the response.
    pub(crate) step: Step,
    request_id: Option<Uuid>,
    /// What the client knows of each event once it has the response, and whether the event is stored.
    events: Vec<(Uuid, EventState, bool)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Namespace {
    script: Script,
    script_number: u64,
    chaos: Option<Chaos>,
    history: History,
    /// The last [`MAX_RECORDS`] events.
    events: VecDeque<EventRecord>,
    requests: Vec<RequestRecord>,
    /// The first [`MAX_RECORDS`] violations.
    violations: Vec<Violation>,
    /// All stored uuids; true once their acceptance was sent.
    accepted: HashMap<Uuid, bool>,
    summary: Summary,
    connections: HashSet<u64>,
    open_requests: u64,
}

impl Namespace {
    /// The events received, in order; the last 200,000.
    #[must_use]
    pub fn events(&self) -> &VecDeque<EventRecord> {
        &self.events
    }

    /// The requests received, in order.
    #[must_use]
    pub fn requests(&self) -> &[RequestRecord] {
        &self.requests
    }

    /// The violations, in order; the first 200,000.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The uuids of all stored events; true for those whose acceptance was sent to the client.
    #[must_use]
    pub fn accepted(&self) -> &HashMap<Uuid, bool> {
        &self.accepted
    }

    /// The counters.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Replaces the script. Responses that wait for a new script (`wait_for_script`) are then sent.
    pub fn set_script(&mut self, script: Script) {
        self.script = script;
        self.script_number += 1;
    }

    /// Counts the scripts set so far: another number means that a new one was set.
    pub(crate) fn script_number(&self) -> u64 {
        self.script_number
    }

    /// From now on, requests that no step of the script matches fail at random.
    pub fn set_chaos(&mut self, chaos: Chaos) {
        self.chaos = Some(chaos);
    }

    /// Counts a request that begins.
    pub(crate) fn request_opened(&mut self) {
        self.open_requests += 1;
        self.summary.max_concurrent = self.summary.max_concurrent.max(self.open_requests);
    }

    /// Counts a request that has ended.
    pub(crate) fn request_closed(&mut self) {
        self.open_requests = self.open_requests.saturating_sub(1);
    }

    /// Reads a request, checks it against the rules, records it, and plans the response.
    pub fn receive(
        &mut self,
        request: &IncomingRequest<'_>,
        options: &Options,
        started: Instant,
    ) -> ResponsePlan {
        let now_ms = started.elapsed().as_secs_f64() * 1000.0;
        let mut findings = Findings::default();
        let headers = headers::check(request.headers, request.uri, options.api_key.as_deref(), &mut findings);
        let (body, bytes_raw) = read_body(&headers, request.body, options, &mut findings);
        let number = self.summary.requests + 1;
        let encoding = headers.encoding.clone().unwrap_or_else(|| "identity".to_owned());
        let step = self.script.take(&Request {
            attempt: headers.attempt,
            number,
            events: body.events.iter().map(|event| event.name.as_str()).collect(),
            encoding: &encoding,
        });
        let step = step
            .or_else(|| self.chaos.as_mut().map(|chaos| chaos.next(body.events.len())))
            .unwrap_or_default();
        // A body that could not be read has no place in the history.
        if is_instant(&body.created_at) {
            self.history.check(&headers, &body, now_ms, &mut findings);
        }
        let plan = self.plan(&step, &headers, &body, &findings);
        let record = RequestRecord {
            n: number,
            request_id: headers.request_id.clone(),
            attempt: headers.attempt,
            status: plan.status,
            event_count: body.events.len(),
            uuids: body.events.iter().map(|event| event.uuid).collect(),
            headers: header_texts(request.headers),
            path: request.uri.path().to_owned(),
            encoding,
            bytes_wire: request.body.len(),
            bytes_raw,
            created_at: body.created_at.clone(),
            historical_migration: body.historical_migration,
            received_at_ms: now_ms,
            connection: request.connection,
            cut: step.close.map(Close::name),
        };
        self.count(&record, &plan, &headers, findings);
        self.requests.push(record);
        plan
    }

    fn plan(&mut self, step: &Step, headers: &Headers, body: &Body, findings: &Findings) -> ResponsePlan {
        let mut plan = ResponsePlan {
            step: step.clone(),
            request_id: headers.request_uuid,
            status: 200,
            ..ResponsePlan::default()
        };
        let refused = findings.status.filter(|_| step.status.is_none() && step.body.is_none());
        let status = step.status.or(refused.map(|(status, _)| status)).unwrap_or(200);
        plan.status = status;
        let unread = step.close == Some(Close::BeforeRead);
        if (200..300).contains(&status) && !unread {
            let (results, text) = response::results(step, &body.events);
            plan.body = step.body.clone().unwrap_or(text);
            for (event, result) in body.events.iter().zip(results) {
                let stored = result.stored && step.accept != Some(false);
                self.record_event(&plan, headers, event, &result.verdict, stored);
                plan.events.push((event.uuid, result.state, stored));
            }
        } else {
            let rule = refused.map(|(_, rule)| rule).unwrap_or_default();
            plan.body = step.body.clone().unwrap_or_else(|| response::error(status, rule));
            let retryable = matches!(status, 408 | 415 | 500 | 502 | 503 | 504 | 404 | 429);
            let state = if unread || retryable { EventState::Unknown } else { EventState::Refused };
            for event in &body.events {
                self.record_event(&plan, headers, event, "", false);
                plan.events.push((event.uuid, state, false));
            }
        }
        plan
    }

    fn record_event(
        &mut self,
        plan: &ResponsePlan,
        headers: &Headers,
        event: &Event,
        verdict: &str,
        stored: bool,
    ) {
        if !verdict.is_empty() {
            *self.summary.verdicts.entry(verdict.to_owned()).or_default() += 1;
        }
        if stored {
            self.accepted.entry(event.uuid).or_insert(false);
        }
        if self.events.len() >= MAX_RECORDS {
            self.events.pop_front();
        }
        let Ok(raw) = RawValue::from_string(event.raw.clone()) else { return };
        self.events.push_back(EventRecord {
            uuid: event.uuid,
            request: self.summary.requests + 1,
            request_id: headers.request_id.clone(),
            attempt: headers.attempt,
            verdict: verdict.to_owned(),
            stored,
            responded: plan.step.close.is_none() && !plan.step.never,
            event: raw,
        });
    }

    fn count(&mut self, record: &RequestRecord, plan: &ResponsePlan, headers: &Headers, findings: Findings) {
        self.connections.insert(record.connection);
        self.summary.connections = self.connections.len();
        self.summary.requests += 1;
        self.summary.events += record.event_count as u64;
        self.summary.max_body = self.summary.max_body.max(record.bytes_raw);
        let status = if plan.step.close.is_some() || plan.step.never { 0 } else { plan.status };
        *self.summary.statuses.entry(status).or_default() += 1;
        for (rule, uuid, message) in findings.list {
            *self.summary.violations.entry(rule).or_default() += 1;
            if self.violations.len() < MAX_RECORDS {
                let request_id = headers.request_id.clone();
                self.violations.push(Violation { rule, request: record.n, request_id, uuid, message });
            }
        }
        self.summary.accepted = self.accepted.len();
    }

    /// Records that the whole response is being sent, so that the client knows what it says.
    /// `retry_after` is its `Retry-After` in seconds.
    pub fn response_sent(&mut self, plan: &ResponsePlan, started: Instant, retry_after: Option<f64>) {
        let now_ms = started.elapsed().as_secs_f64() * 1000.0;
        for (uuid, _, stored) in &plan.events {
            if *stored && self.accepted.insert(*uuid, true) == Some(false) {
                self.summary.delivered += 1;
            }
        }
        self.history.response_sent(&SentResponse {
            request_id: plan.request_id,
            status: plan.status,
            events: plan.events.iter().map(|(uuid, state, _)| (*uuid, *state)).collect(),
            not_before_ms: now_ms + retry_after.unwrap_or(0.0).min(30.0) * 1000.0,
        });
    }
}

fn read_body(headers: &Headers, body: &[u8], options: &Options, findings: &mut Findings) -> (Body, usize) {
    let decoded = if body.len() > options.max_wire_body {
        Err(DecodeError::TooLarge)
    } else {
        decode(headers.encoding.as_deref(), body, options.max_body)
    };
    match decoded {
        Ok(text) => (body::check(&text, &headers.key, findings), text.len()),
        Err(DecodeError::UnknownCodec) => {
            let codec = headers.encoding.as_deref().unwrap_or_default();
            findings.refuse(
                415,
                "content-encoding",
                format!("unknown codec {codec:?}; known are gzip, deflate, zstd and br"),
            );
            (Body::default(), 0)
        }
        Err(DecodeError::Broken(reason)) => {
            let codec = headers.encoding.as_deref().unwrap_or_default();
            findings.refuse(
                400,
                "broken-encoding",
                format!("the body does not decompress as {codec}: {reason}"),
            );
            (Body::default(), 0)
        }
        Err(DecodeError::TooLarge) => {
            // A client cannot know the bound, so this is not a violation.
            findings.status.get_or_insert((413, "max-body"));
            (Body::default(), options.max_body)
        }
    }
}

fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
