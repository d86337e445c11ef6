//! What the page asks for: each view of a namespace as JSON.

use std::time::Instant;

use serde_json::{Value, json};

use super::flags::flags;
use super::notes::notes;
use super::rules::rule;
use super::search::{Filter, decoded};
use super::snippets;
use crate::check::Violation;
use crate::namespace::Namespace;
use crate::records::{EventRecord, RequestRecord};
use crate::text::cut;
use crate::view::{number, parameter};

/// A view: the namespace, the query, the start of the sink.
type View = fn(&Namespace, &str, Instant) -> Value;

const VIEWS: &[(&str, View)] = &[
    ("state", |namespace, _, started| state(namespace, started)),
    ("find", |namespace, query, _| find(namespace, query)),
    ("rows", |namespace, query, _| rows(namespace, query)),
    ("event", |namespace, query, _| event(namespace, query)),
    ("request", |namespace, query, _| request(namespace, query)),
    ("violations", |namespace, _, _| violations(namespace)),
    // Not `flags`: a path that ends so is that of the flag service.
    ("served", |namespace, _, _| flags(namespace)),
    ("snippets", |_, _, _| snippets::list()),
];

/// Rows of one response, and attempts or events that are listed with one event or request.
const MAX_ROWS: usize = 500;
/// Violations that are looked at, and those that are shown of one rule.
const MAX_LOOKED_AT: usize = 50_000;
const SHOWN: usize = 20;
/// Bytes of an event that are shown.
const MAX_SHOWN: usize = 1 << 20;

pub(crate) fn view(name: &str) -> Option<View> {
    VIEWS.iter().find(|(known, _)| *known == name).map(|(_, view)| *view)
}

/// What changes all the time, in a response of a bounded size.
fn state(namespace: &Namespace, started: Instant) -> Value {
    let (events, requests) = (namespace.kept_events(), namespace.kept_requests());
    let next: Vec<_> = namespace.script().in_words().into_iter().take(SHOWN).collect();
    json!({
        "epoch": namespace.epoch(),
        "now_ms": started.elapsed().as_secs_f64() * 1000.0,
        "summary": namespace.summary(),
        "events": [events.first(), events.last()],
        "requests": [requests.first(), requests.last()],
        "next": next,
        "chaos": namespace.has_chaos(),
        "flags": namespace.flags().changes(),
        "memory": namespace.bytes(),
        "timeline": namespace.timeline().seconds(),
    })
}

fn find(namespace: &Namespace, query: &str) -> Value {
    let (filter, after) = (Filter::of(query), number(query, "after").unwrap_or(0));
    let (first, found) = if is_of_requests(query) {
        (namespace.kept_requests().first(), filter.find(namespace.kept_requests(), after))
    } else {
        (namespace.kept_events().first(), filter.find(namespace.kept_events(), after))
    };
    json!({"epoch": namespace.epoch(), "first": first, "ranges": found.ranges, "until": found.until})
}

fn is_of_requests(query: &str) -> bool {
    parameter(query, "list") == Some("requests")
}

/// The rows with the numbers of `numbers=1-5,9-9`.
fn rows(namespace: &Namespace, query: &str) -> Value {
    let ranges = parameter(query, "numbers").map(decoded).unwrap_or_default();
    let numbers = ranges.split(',').filter_map(|range| {
        let (from, to) = range.split_once('-')?;
        Some(from.parse::<u64>().ok()?..=to.parse::<u64>().ok()?)
    });
    let numbers = numbers.flatten().take(MAX_ROWS);
    let rows: Vec<Value> = if is_of_requests(query) {
        numbers.filter_map(|n| namespace.kept_requests().get(n)).map(request_row).collect()
    } else {
        let event = |n| Some(event_row(namespace, n, namespace.kept_events().get(n)?));
        numbers.filter_map(event).collect()
    };
    json!({"epoch": namespace.epoch(), "rows": rows})
}

fn event_row(namespace: &Namespace, n: u64, event: &EventRecord) -> Value {
    let request = namespace.kept_requests().get(event.request);
    json!({
        "n": n,
        "uuid": event.uuid,
        "name": event.name,
        "distinct_id": event.distinct_id,
        "verdict": event.verdict,
        "details": event.details,
        "stored": event.stored,
        "responded": event.responded,
        "request": event.request,
        "attempt": event.attempt,
        "status": request.map(|request| request.status),
        "cut": request.and_then(|request| request.cut),
        "received_ms": request.map(|request| request.received_at_ms),
        "size": event.event.get().len(),
    })
}

fn request_row(request: &RequestRecord) -> Value {
    json!({
        "n": request.n,
        "request_id": request.request_id,
        "attempt": request.attempt,
        "status": request.status,
        "cut": request.cut,
        "response": request.response,
        "verdicts": request.verdicts,
        "events": request.event_count,
        "encoding": cut(&request.encoding, 40),
        "bytes_wire": request.bytes_wire,
        "bytes_raw": request.bytes_raw,
        "received_ms": request.received_at_ms,
    })
}

/// The event `n`, or the last one with this `uuid`.
fn event(namespace: &Namespace, query: &str) -> Value {
    let kept = namespace.kept_events();
    let wanted = parameter(query, "uuid").and_then(|uuid| uuid.parse::<uuid::Uuid>().ok());
    let n = match wanted {
        Some(uuid) => {
            kept.items().iter().rposition(|event| event.uuid == uuid).map_or(0, |at| kept.first() + at as u64)
        }
        None => number(query, "n").unwrap_or(0),
    };
    let Some(event) = kept.get(n) else { return Value::Null };
    let raw = event.event.get();
    let attempts = kept.from(kept.first()).filter(|(_, other)| other.uuid == event.uuid);
    let uuid = event.uuid.to_string();
    json!({
        "row": event_row(namespace, n, event),
        "raw": cut(raw, MAX_SHOWN),
        "is_cut": raw.len() > MAX_SHOWN,
        "notes": notes(raw, &event.verdict, &event.details),
        "attempts": attempts.take(MAX_ROWS).map(|(n, other)| event_row(namespace, n, other)).collect::<Vec<_>>(),
        "violations": violations_of(namespace, |one| one.uuid.as_ref() == Some(&uuid)),
    })
}

/// The request `n`.
fn request(namespace: &Namespace, query: &str) -> Value {
    let Some(request) = namespace.kept_requests().get(number(query, "n").unwrap_or(0)) else {
        return Value::Null;
    };
    let attempts = namespace.requests().iter().filter(|other| other.request_id == request.request_id);
    let events = namespace.kept_events();
    let first = events.first() + events.items().partition_point(|event| event.request < request.n) as u64;
    let events = events.from(first).take_while(|(_, event)| event.request == request.n);
    json!({
        "row": request_row(request),
        "headers": request.headers,
        "path": request.path,
        "created_at": request.created_at,
        "historical_migration": request.historical_migration,
        "connection": request.connection,
        "attempts": attempts.take(MAX_ROWS).map(request_row).collect::<Vec<_>>(),
        "events": events.take(MAX_ROWS).map(|(n, event)| event_row(namespace, n, event)).collect::<Vec<_>>(),
        "violations": violations_of(namespace, |one| one.request == request.n),
    })
}

fn violations_of(namespace: &Namespace, fits: impl Fn(&Violation) -> bool) -> Vec<Value> {
    let found = namespace.violations().iter().rev().take(MAX_LOOKED_AT).filter(|one| fits(one));
    let mut found: Vec<_> = found.take(MAX_ROWS).map(violation).collect();
    found.reverse();
    found
}

fn violation(one: &Violation) -> Value {
    let text = rule(one.rule);
    json!({
        "rule": one.rule, "broken_by": text.broken_by, "status": text.status, "request": one.request,
        "uuid": one.uuid, "message": one.message,
    })
}

/// Every broken rule with its text, how often it was broken, and the newest violations of it.
fn violations(namespace: &Namespace) -> Value {
    let groups = namespace.summary().violations.iter().map(|(name, count)| {
        let text = rule(name);
        let newest = namespace.violations().iter().rev().take(MAX_LOOKED_AT).filter(|one| one.rule == *name);
        let newest: Vec<_> = newest.take(SHOWN).map(violation).collect();
        json!({"rule": name, "broken_by": text.broken_by, "status": text.status, "count": count, "newest": newest})
    });
    json!({"epoch": namespace.epoch(), "rules": groups.collect::<Vec<_>>()})
}
