//! The rules about the envelope: the body without the inside of its events.

use std::collections::HashSet;

use serde_json::value::RawValue;
use uuid::Uuid;

use super::event::{self, Event};
use super::{Findings, is_instant, is_wire_time};
use crate::members::Members;
use crate::strict::Strict;

/// Events of one batch; more get a 413. Such a batch is far from what any client makes, and its response would
/// take a multiple of its own memory.
const MAX_EVENTS: usize = 100_000;

/// As much of a body as could be read.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// `created_at`, as sent.
    pub(crate) created_at: String,
    /// Whether `historical_migration` is true.
    pub(crate) historical_migration: bool,
    /// The events that could be read.
    pub(crate) events: Vec<Event>,
}

/// Reads a decompressed body and checks it. `key` is the project key, which must not occur in it.
pub(crate) fn check(body: &[u8], key: &str, findings: &mut Findings) -> Body {
    let Ok(text) = std::str::from_utf8(body) else {
        findings.refuse(400, "invalid-utf8", "the body is not valid UTF-8");
        return Body::default();
    };
    // serde_json is as strict as the server: it refuses lone surrogates, numbers beyond the range of a
    // double, and nesting deeper than 128.
    if let Err(error) = serde_json::from_str::<Strict>(text) {
        let rule = match error.to_string() {
            text if text.contains("surrogate") || text.contains("hex escape") => "lone-surrogate",
            text if text.contains("number out of range") => "number-range",
            text if text.contains("recursion limit") => "too-deep",
            _ => "invalid-json",
        };
        findings.refuse(400, rule, format!("the body does not parse: {error}"));
        return Body::default();
    }
    if key.len() >= 4 && text.contains(key) {
        findings.add("key-in-body", "the project key is in the body");
    }
    let Ok(envelope) = Members::read(text) else {
        findings.refuse(400, "envelope", "the body is not an object");
        return Body::default();
    };
    let mut read = Body::default();
    let mut keys = HashSet::new();
    for (name, value) in &envelope.0 {
        if !keys.insert(name.clone()) {
            findings.add("duplicate-key", format!("`{name}` occurs twice in the envelope"));
        }
        match (name.as_ref(), value.get()) {
            ("created_at", _) => read.created_at = envelope.string("created_at").unwrap_or_default(),
            ("batch", _) => {}
            ("historical_migration", "true") => read.historical_migration = true,
            ("historical_migration", value) => {
                findings.add("historical-migration", format!("it must be true or absent, not {value}"));
            }
            ("api_key" | "token" | "sent_at", _) => {
                findings.add("legacy-key", format!("`{name}` belongs to the older protocol; leave it out"));
            }
            _ => findings.add("unknown-key", format!("`{name}` is not a key of the envelope")),
        }
    }
    if !is_instant(&read.created_at) {
        let message = format!("created_at must be an RFC 3339 instant, not {:?}", read.created_at);
        findings.refuse(400, "created-at", message);
    } else if !is_wire_time(&read.created_at) {
        let message = format!("created_at must be UTC with milliseconds and Z, not {:?}", read.created_at);
        findings.add("created-at-form", message);
    }
    let Some(Ok(batch)) = envelope.get("batch").map(serde_json::from_str::<Vec<&RawValue>>) else {
        findings.refuse(400, "batch", "`batch` must be a list");
        return read;
    };
    if batch.is_empty() {
        findings.refuse(400, "empty-batch", "the batch is empty");
    }
    if batch.len() > MAX_EVENTS {
        // A client cannot know the bound, so this is not a violation.
        findings.status.get_or_insert((413, "max-events"));
        return read;
    }
    let mut uuids: HashSet<Uuid> = HashSet::new();
    for raw in batch {
        if findings.is_full() && findings.status.is_some() {
            break;
        }
        let Some(event) = event::check(raw.get(), findings) else { continue };
        if !uuids.insert(event.uuid) {
            findings.refuse(400, "duplicate-uuid", format!("{} occurs twice in the batch", event.uuid));
        }
        read.events.push(event);
    }
    read
}
