//! One space: a script, everything that was received, and what it broke.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Instant;

use axum::http::{HeaderMap, Uri};
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::answer;
use crate::chaos::Chaos;
use crate::check::body::{self, Body};
use crate::check::headers::{self, Headers};
use crate::check::{Findings, Violation};
use crate::decode::{Trouble, decode};
use crate::history::{History, State, Told};
use crate::script::{Close, Script, Seen, Step};

/// Events and violations whose texts are kept; the counts are always complete.
const KEPT: usize = 200_000;

/// Settings of the whole sink.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Any other bearer is answered 401.
    pub api_key: Option<String>,
    /// Bound of a decompressed body.
    pub max_body: usize,
}

/// An event as it was received in one request.
#[derive(Clone, Debug, Serialize)]
pub struct EventRecord {
    /// Its uuid.
    pub uuid: Uuid,
    /// The request's number.
    pub request: u64,
    /// The request id.
    pub request_id: String,
    /// The attempt.
    pub attempt: u64,
    /// The verdict's code; empty when there was none.
    pub verdict: String,
    /// Whether the sink stored it.
    pub stored: bool,
    /// Whether the client was told.
    pub answered: bool,
    /// The event, byte for byte.
    pub event: Box<RawValue>,
}

/// A request as it was received.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestRecord {
    /// Its number, from 1.
    pub n: u64,
    /// `PostHog-Request-Id`
    pub request_id: String,
    /// `PostHog-Attempt`
    pub attempt: u64,
    /// The status of the answer; 0 for none.
    pub status: u16,
    /// How many events it held.
    pub event_count: usize,
    /// Their uuids.
    pub uuids: Vec<Uuid>,
    /// All its headers.
    pub headers: BTreeMap<String, String>,
    /// Its path.
    pub path: String,
    /// The codec; `identity` for none.
    pub encoding: String,
    /// Its body's bytes, as sent.
    pub bytes_wire: usize,
    /// Its body's bytes, decompressed.
    pub bytes_raw: usize,
    /// `created_at`
    pub created_at: String,
    /// `historical_migration`
    pub historical_migration: bool,
    /// When it had been read, in ms since the start of the sink.
    pub received_at_ms: f64,
    /// Which connection it came on.
    pub connection: u64,
    /// How its connection was cut, if it was.
    pub fault: Option<String>,
}

/// Counters of a space.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Requests.
    pub requests: u64,
    /// Events, each time they came.
    pub events: u64,
    /// Distinct uuids that are stored.
    pub accepted: usize,
    /// Of those, the ones whose acceptance was answered.
    pub delivered: usize,
    /// Answers by status; 0 for none.
    pub statuses: BTreeMap<u16, u64>,
    /// Verdicts by code.
    pub verdicts: BTreeMap<String, u64>,
    /// Broken rules.
    pub violations: BTreeMap<&'static str, u64>,
    /// Requests open at once, at most.
    pub max_concurrent: u64,
    /// Connections that requests came on.
    pub connections: usize,
    /// The largest decompressed body.
    pub max_body: usize,
}

/// How a request is to be answered.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The request's number.
    pub request: u64,
    /// The step that says what is special.
    pub step: Step,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// What is told once the answer is out.
    told: Vec<(Uuid, State, bool)>,
    request_uuid: Option<Uuid>,
    /// Lines for the terminal.
    pub lines: Vec<String>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Space {
    script: Script,
    scripts: u64,
    chaos: Option<Chaos>,
    history: History,
    /// The last [`KEPT`] events.
    pub events: VecDeque<EventRecord>,
    /// All requests.
    pub requests: Vec<RequestRecord>,
    /// The first [`KEPT`] violations.
    pub violations: Vec<Violation>,
    /// All stored uuids; true when that was answered.
    pub accepted: HashMap<Uuid, bool>,
    /// The counters.
    pub summary: Summary,
    connections: HashSet<u64>,
    open: u64,
}

/// A request before it is read.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its address.
    pub uri: &'a Uri,
    /// Its body, as sent.
    pub body: &'a [u8],
    /// Its connection.
    pub connection: u64,
}

impl Space {
    /// Puts a script in the place of the present one.
    pub fn set_script(&mut self, script: Script) {
        self.script = script;
        self.scripts += 1;
    }

    /// How many scripts there have been: another number ends what a step holds.
    #[must_use]
    pub fn scripts(&self) -> u64 {
        self.scripts
    }

    /// Makes trouble from now on, where the script has nothing to say.
    pub fn set_chaos(&mut self, chaos: Chaos) {
        self.chaos = Some(chaos);
    }

    /// A request begins.
    pub fn begin(&mut self) {
        self.open += 1;
        self.summary.max_concurrent = self.summary.max_concurrent.max(self.open);
    }

    /// A request is over.
    pub fn end(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// Reads a request, holds it against the rules, and says how it is answered.
    pub fn receive(&mut self, arrival: &Arrival<'_>, rules: &Rules, started: Instant) -> Plan {
        let now_ms = started.elapsed().as_secs_f64() * 1000.0;
        let mut findings = Findings::default();
        let headers = headers::check(arrival.headers, arrival.uri, rules.api_key.as_deref(), &mut findings);
        let (body, bytes_raw) = read_body(&headers, arrival.body, rules, &mut findings);
        let number = self.summary.requests + 1;
        let encoding = headers.encoding.clone().unwrap_or_else(|| "identity".to_owned());
        let seen = Seen {
            attempt: headers.attempt,
            request: number,
            events: body.events.iter().map(|event| event.name.as_str()).collect(),
            encoding: &encoding,
        };
        let step = self.script.take(&seen);
        let step = step
            .or_else(|| self.chaos.as_mut().map(|chaos| chaos.next(body.events.len())))
            .unwrap_or_default();
        if body.created_at.len() == 24 {
            self.history.check(&headers, &body, now_ms, &mut findings);
        }
        let mut plan = self.plan(&step, &headers, &body, &findings);
        plan.request = number;
        let record = RequestRecord {
            n: number,
            request_id: headers.request_id.clone(),
            attempt: headers.attempt,
            status: plan.status,
            event_count: body.events.len(),
            uuids: body.events.iter().map(|event| event.uuid).collect(),
            headers: header_texts(arrival.headers),
            path: arrival.uri.path().to_owned(),
            encoding,
            bytes_wire: arrival.body.len(),
            bytes_raw,
            created_at: body.created_at.clone(),
            historical_migration: body.historical_migration,
            received_at_ms: now_ms,
            connection: arrival.connection,
            fault: step.close.map(|close| format!("{close:?}")),
        };
        self.count(&record, &plan, &headers, findings);
        self.requests.push(record);
        plan
    }

    fn plan(&mut self, step: &Step, headers: &Headers, body: &Body, findings: &Findings) -> Plan {
        let mut plan =
            Plan { step: step.clone(), request_uuid: headers.request_uuid, status: 200, ..Plan::default() };
        let refused = findings.status.filter(|_| step.status.is_none() && step.body.is_none());
        let status = step.status.or(refused.map(|(status, _)| status)).unwrap_or(200);
        plan.status = status;
        let unread = step.close == Some(Close::BeforeRead);
        if (200..300).contains(&status) && !unread {
            let (told, text) = answer::verdicts(step, &body.events);
            plan.body = step.body.clone().unwrap_or(text);
            for (event, told) in body.events.iter().zip(told) {
                let stored = told.stored && step.accept != Some(false);
                self.remember(&plan, headers, event, &told.verdict, stored);
                plan.told.push((event.uuid, told.state, stored));
            }
        } else {
            plan.body = step
                .body
                .clone()
                .unwrap_or_else(|| answer::error(status, refused.map(|(_, rule)| rule).unwrap_or_default()));
            let retryable = matches!(status, 408 | 415 | 500 | 502 | 503 | 504 | 404 | 429);
            let state = if unread || retryable { State::Open } else { State::Refused };
            for event in &body.events {
                self.remember(&plan, headers, event, "", false);
                plan.told.push((event.uuid, state, false));
            }
        }
        plan
    }

    fn remember(
        &mut self,
        plan: &Plan,
        headers: &Headers,
        event: &crate::check::event::Event,
        verdict: &str,
        stored: bool,
    ) {
        if !verdict.is_empty() {
            *self.summary.verdicts.entry(verdict.to_owned()).or_default() += 1;
        }
        if stored {
            self.accepted.entry(event.uuid).or_insert(false);
        }
        if self.events.len() >= KEPT {
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
            answered: plan.step.close.is_none() && !plan.step.never,
            event: raw,
        });
    }

    fn count(&mut self, record: &RequestRecord, plan: &Plan, headers: &Headers, findings: Findings) {
        self.connections.insert(record.connection);
        self.summary.connections = self.connections.len();
        self.summary.requests += 1;
        self.summary.events += record.event_count as u64;
        self.summary.max_body = self.summary.max_body.max(record.bytes_raw);
        let status = if plan.step.close.is_some() || plan.step.never { 0 } else { plan.status };
        *self.summary.statuses.entry(status).or_default() += 1;
        for (rule, uuid, message) in findings.list {
            *self.summary.violations.entry(rule).or_default() += 1;
            if self.violations.len() < KEPT {
                let request_id = headers.request_id.clone();
                self.violations.push(Violation { rule, request: record.n, request_id, uuid, message });
            }
        }
        self.summary.accepted = self.accepted.len();
    }

    /// The answer is on its way, whole: the client knows now.
    pub fn answered(&mut self, plan: &Plan, started: Instant, retry_after: Option<f64>) {
        let now_ms = started.elapsed().as_secs_f64() * 1000.0;
        for (uuid, _, stored) in &plan.told {
            if *stored && self.accepted.insert(*uuid, true) == Some(false) {
                self.summary.delivered += 1;
            }
        }
        let told = Told {
            status: Some(plan.status),
            events: plan.told.iter().map(|(uuid, state, _)| (*uuid, *state)).collect(),
            not_before: now_ms + retry_after.unwrap_or(0.0).min(30.0) * 1000.0,
        };
        self.history.told(plan.request_uuid, &told);
    }
}

fn read_body(headers: &Headers, body: &[u8], rules: &Rules, findings: &mut Findings) -> (Body, usize) {
    match decode(headers.encoding.as_deref(), body, rules.max_body) {
        Ok(text) => (body::check(&text, &headers.key, findings), text.len()),
        Err(Trouble::Unknown) => {
            findings.refuse(415, "content-encoding", format!("unknown codec {:?}", headers.encoding));
            (Body::default(), 0)
        }
        Err(Trouble::Broken(reason)) => {
            findings.refuse(
                400,
                "broken-encoding",
                format!("the body is not {:?}: {reason}", headers.encoding),
            );
            (Body::default(), 0)
        }
        Err(Trouble::TooLarge) => {
            // A client cannot know the bound: no violation.
            findings.status.get_or_insert((413, "max-body"));
            (Body::default(), rules.max_body)
        }
    }
}

fn header_texts(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}
