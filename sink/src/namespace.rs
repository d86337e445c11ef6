//! One namespace of the sink: a script, a record of everything received below one URL prefix, and the
//! rules that it broke.
//!
//! It decides how each request is responded to ([`ResponsePlan`]), but knows nothing of sockets and does
//! not wait: `transmit` carries the plan out and reports back what was sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::http::{HeaderMap, Uri};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::chaos::Chaos;
use crate::check::body::Body;
use crate::check::event::Event;
use crate::check::headers::Headers;
use crate::check::{Findings, Violation, is_instant};
use crate::flags::{FlagRecord, FlagRequest, Flags};
use crate::history::{EventState, History, SentResponse};
use crate::kept::Kept;
use crate::read::ReadRequest;
use crate::recent::Recent;
use crate::records::{EventRecord, RequestRecord, Summary};
use crate::response::{self, EventResult};
use crate::script::{Close, Endpoint, Request, Script, Step};
use crate::text::cut;
use crate::timeline::{Second, Timeline};

/// Events, requests and violations that are kept, each; the counters stay exact beyond that.
pub(crate) const MAX_RECORDS: usize = 200_000;

/// About how many bytes of memory one namespace uses for what it remembers, unless the command line says another
/// number. All of them together use at most twice as much.
pub const MEMORY: usize = 512 << 20;
/// Codes of verdicts that are counted by themselves. A script can invent any number of them.
const MAX_CODES: usize = 100;

/// The parts of the memory that each kind of record may use, in 32nds.
mod share {
    pub(super) const EVENTS: usize = 13;
    pub(super) const REQUESTS: usize = 5;
    pub(super) const VIOLATIONS: usize = 1;
    pub(super) const ACCEPTED: usize = 4;
    pub(super) const HISTORY: usize = 7;
    pub(super) const FLAGS: usize = 1;
    pub(super) const CONNECTIONS: usize = 1;
}

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
    /// The `ETag` of the response.
    pub(crate) etag: Option<String>,
    request_id: Option<Uuid>,
    /// What the client knows of each event once it has the response, and whether the event is stored.
    events: Vec<(Uuid, EventState, bool)>,
    /// The code of each event's verdict, in the same order; empty if the response is an error.
    codes: Vec<String>,
}

impl ResponsePlan {
    /// How many events got each verdict.
    fn verdicts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for code in &self.codes {
            if let Some(count) = counts.get_mut(code) {
                *count += 1;
            } else if counts.len() < MAX_CODES {
                counts.insert(code.clone(), 1);
            }
        }
        counts
    }
}

/// See the module.
#[derive(Debug)]
pub struct Namespace {
    memory: usize,
    /// Another number than that of any namespace before, and another one after the records were cleared.
    epoch: u64,
    script: Script,
    script_number: u64,
    chaos: Option<Chaos>,
    history: History,
    flags: Flags,
    records: Records,
    open_requests: u64,
}

/// What a namespace shows.
#[derive(Debug)]
struct Records {
    events: Kept<EventRecord>,
    requests: Kept<RequestRecord>,
    violations: Kept<Violation>,
    /// Stored uuids; true once their acceptance was sent.
    accepted: Recent<Uuid, bool>,
    summary: Summary,
    timeline: Timeline,
    connections: Recent<u64, ()>,
}

impl Records {
    fn new(memory: usize) -> Self {
        let part = |share: usize| memory / 32 * share;
        Self {
            events: Kept::new(MAX_RECORDS, part(share::EVENTS)),
            requests: Kept::new(MAX_RECORDS, part(share::REQUESTS)),
            violations: Kept::new(MAX_RECORDS, part(share::VIOLATIONS)),
            accepted: Recent::new(part(share::ACCEPTED)),
            summary: Summary::default(),
            timeline: Timeline::default(),
            connections: Recent::new(part(share::CONNECTIONS)),
        }
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new(MEMORY)
    }
}

fn next_epoch() -> u64 {
    static EPOCH: AtomicU64 = AtomicU64::new(0);
    EPOCH.fetch_add(1, Ordering::Relaxed) + 1
}

impl Namespace {
    /// An empty namespace that uses about so many bytes of memory at most.
    #[must_use]
    pub fn new(memory: usize) -> Self {
        Self {
            memory,
            epoch: next_epoch(),
            script: Script::default(),
            script_number: 0,
            chaos: None,
            history: History::new(memory / 32 * share::HISTORY),
            flags: Flags::new(memory / 32 * share::FLAGS),
            records: Records::new(memory),
            open_requests: 0,
        }
    }

    /// Removes the records and counters. The script stays, and so does what the rules know of earlier requests: a
    /// client that is about to send a batch again breaks no rule by that.
    pub(crate) fn clear(&mut self) {
        self.records = Records::new(self.memory);
        self.flags.clear(self.memory / 32 * share::FLAGS);
        self.epoch = next_epoch();
    }

    /// Makes it as it was when it was new. That is another script, too: responses that wait for one are sent.
    pub(crate) fn reset(&mut self) {
        *self = Self { script_number: self.script_number + 1, ..Self::new(self.memory) };
    }

    /// About how many bytes of memory it uses.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let records = &self.records;
        records.events.bytes()
            + records.requests.bytes()
            + records.violations.bytes()
            + records.accepted.bytes()
            + records.connections.bytes()
            + self.history.bytes()
            + self.flags.bytes()
            + self.script.bytes()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn kept_events(&self) -> &Kept<EventRecord> {
        &self.records.events
    }

    pub(crate) fn kept_requests(&self) -> &Kept<RequestRecord> {
        &self.records.requests
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.records.timeline
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    /// The requests of feature flags, in order; the last 200,000, or fewer large ones.
    #[must_use]
    pub fn flag_requests(&self) -> &[FlagRecord] {
        self.flags.records()
    }

    /// Sets what `GET /flags/definitions` returns from now on, under another `ETag`.
    pub fn set_flag_definitions(&mut self, text: String) {
        self.flags.set_definitions(text);
    }

    pub(crate) fn flags(&self) -> &Flags {
        &self.flags
    }

    pub(crate) fn flags_mut(&mut self) -> &mut Flags {
        &mut self.flags
    }

    pub(crate) fn has_chaos(&self) -> bool {
        self.chaos.is_some()
    }

    /// The events received, in order; the last 200,000, or fewer large ones.
    #[must_use]
    pub fn events(&self) -> &[EventRecord] {
        self.records.events.items()
    }

    /// The requests received, in order; the last 200,000, or fewer large ones.
    #[must_use]
    pub fn requests(&self) -> &[RequestRecord] {
        self.records.requests.items()
    }

    /// The violations, in order; the last 200,000, or fewer long ones.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        self.records.violations.items()
    }

    /// The uuids of the stored events that are remembered; true for those whose acceptance was sent to the client.
    #[must_use]
    pub fn accepted(&self) -> &Recent<Uuid, bool> {
        &self.records.accepted
    }

    /// The counters.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.records.summary
    }

    /// Replaces the script. Responses that wait for a new script (`wait_for_script`) are then sent.
    pub fn set_script(&mut self, script: Script) {
        self.script = script;
        self.script_number += 1;
    }

    /// Puts these steps before those of the script.
    pub(crate) fn set_next(&mut self, steps: Script) {
        self.script.put_first(steps);
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
        let most = &mut self.records.summary.max_concurrent;
        *most = (*most).max(self.open_requests);
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
        self.record(ReadRequest::new(request, options), started)
    }

    /// Checks a request that was read against those before it, records it, and plans the response.
    pub(crate) fn record(&mut self, request: ReadRequest, started: Instant) -> ResponsePlan {
        let now_ms = started.elapsed().as_secs_f64() * 1000.0;
        let ReadRequest { headers, body, mut findings, mut record } = request;
        let number = self.records.summary.requests + 1;
        let encoding = std::mem::take(&mut record.encoding);
        let step = self.script.take(&Request {
            endpoint: Endpoint::Events,
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
        record.n = number;
        record.status = plan.status;
        record.encoding = encoding;
        record.received_at_ms = now_ms;
        record.cut = step.close.map(Close::name);
        record.response = step.in_words();
        record.verdicts = plan.verdicts();
        self.count(&record, &plan, findings);
        self.records.requests.push(record);
        plan
    }

    /// Checks a request of feature flags, records it, and plans the response.
    pub(crate) fn record_flags(
        &mut self,
        request: &FlagRequest<'_>,
        options: &Options,
        started: Instant,
    ) -> ResponsePlan {
        let endpoint = request.endpoint;
        let number = self.flags.count(endpoint) + 1;
        let step = self.script.take(&Request { endpoint, number, ..Request::default() }).unwrap_or_default();
        let mut findings = Findings::default();
        let planned = self.flags.receive(request, &step, options, started, &mut findings);
        let summary = &mut self.records.summary;
        let count = match endpoint {
            Endpoint::Definitions => &mut summary.definition_requests,
            Endpoint::RemoteConfig => &mut summary.remote_config_requests,
            Endpoint::Events | Endpoint::Flags => &mut summary.flag_requests,
        };
        *count += 1;
        self.record_violations(0, "", findings);
        ResponsePlan {
            status: planned.status,
            body: planned.body,
            etag: planned.etag,
            step,
            ..ResponsePlan::default()
        }
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
                self.record_event(&plan, headers, event, &result, stored);
                plan.events.push((event.uuid, result.state, stored));
                plan.codes.push(result.verdict);
            }
        } else {
            let rule = refused.map(|(_, rule)| rule).unwrap_or_default();
            plan.body = step.body.clone().unwrap_or_else(|| response::error(status, rule));
            let retryable = matches!(status, 408 | 415 | 500 | 502 | 503 | 504 | 404 | 429);
            let state = if unread || retryable { EventState::Unknown } else { EventState::Refused };
            let none = EventResult { state, ..EventResult::default() };
            for event in &body.events {
                self.record_event(&plan, headers, event, &none, false);
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
        result: &EventResult,
        stored: bool,
    ) {
        let records = &mut self.records;
        let verdict = &result.verdict;
        if !verdict.is_empty() {
            let verdicts = &mut records.summary.verdicts;
            let is_counted = verdicts.len() < MAX_CODES || verdicts.contains_key(verdict);
            let code = if is_counted { verdict } else { "any other" };
            *verdicts.entry(code.to_owned()).or_default() += 1;
        }
        if stored && records.accepted.get(&event.uuid).is_none() {
            records.accepted.insert(event.uuid, false, 0);
            records.summary.accepted += 1;
        }
        let Ok(raw) = RawValue::from_string(event.raw.clone()) else { return };
        records.events.push(EventRecord {
            uuid: event.uuid,
            request: records.summary.requests + 1,
            request_id: headers.request_id.clone(),
            attempt: headers.attempt,
            verdict: verdict.clone(),
            stored,
            responded: plan.step.close.is_none() && !plan.step.never,
            event: raw,
            name: cut(&event.name, 200).into(),
            distinct_id: cut(&event.distinct_id, 200).into(),
            details: cut(&result.details, 200).into(),
        });
    }

    fn count(&mut self, record: &RequestRecord, plan: &ResponsePlan, findings: Findings) {
        let Records { summary, connections, timeline, .. } = &mut self.records;
        if connections.get(&record.connection).is_none() {
            summary.connections += 1;
        }
        connections.insert(record.connection, (), 0);
        summary.requests += 1;
        summary.events += record.event_count as u64;
        summary.max_body = summary.max_body.max(record.bytes_raw);
        let status = if plan.step.close.is_some() || plan.step.never { 0 } else { plan.status };
        *summary.statuses.entry(status).or_default() += 1;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time since the start")]
        let number = (record.received_at_ms / 1000.0) as u64;
        timeline.add(Second {
            number,
            requests: 1,
            events: record.event_count as u64,
            failed: u64::from(!(200..300).contains(&status)),
            violations: findings.list.len() as u64,
        });
        self.record_violations(record.n, &record.request_id, findings);
    }

    /// Records broken rules of the request with this number: 0 for one of feature flags.
    fn record_violations(&mut self, request: u64, request_id: &str, findings: Findings) {
        let Records { summary, violations, .. } = &mut self.records;
        for (rule, uuid, message) in findings.list {
            *summary.violations.entry(rule).or_default() += 1;
            let request_id = request_id.to_owned();
            violations.push(Violation { rule, request, request_id, uuid, message });
        }
    }

    /// Records that the whole response is being sent, so that the client knows what it says.
    /// `retry_after` is its `Retry-After` in seconds.
    pub fn response_sent(&mut self, plan: &ResponsePlan, started: Instant, retry_after: Option<f64>) {
        let now_ms = started.elapsed().as_secs_f64() * 1000.0;
        for (uuid, _, _) in plan.events.iter().filter(|(_, _, stored)| *stored) {
            if let Some(is_sent) = self.records.accepted.get_mut(uuid).filter(|is_sent| !**is_sent) {
                *is_sent = true;
                self.records.summary.delivered += 1;
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
