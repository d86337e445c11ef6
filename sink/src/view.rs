//! What a space shows.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::space::Space;

/// A query parameter.
fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// A query parameter that is a number.
#[must_use]
pub fn number(query: &str, name: &str) -> Option<u64> {
    parameter(query, name)?.parse().ok()
}

/// `_events`: as JSON, or as one uuid a line with `fields=uuid`.
#[must_use]
pub fn events(space: &Space, query: &str) -> (String, bool) {
    let accepted_only = parameter(query, "accepted") == Some("1");
    let chosen: Vec<_> = space.events.iter().filter(|event| !accepted_only || event.stored).collect();
    let tail = number(query, "tail").and_then(|tail| usize::try_from(tail).ok()).unwrap_or(chosen.len());
    let chosen = chosen.get(chosen.len().saturating_sub(tail)..).unwrap_or_default();
    if parameter(query, "fields") == Some("uuid") {
        return (lines(chosen.iter().map(|event| event.uuid)), false);
    }
    (serde_json::to_string(chosen).unwrap_or_default(), true)
}

/// `_accepted`: every stored uuid a line; `answered=1` for those that the client
/// was told of.
#[must_use]
pub fn accepted(space: &Space, query: &str) -> String {
    let answered_only = parameter(query, "answered") == Some("1");
    lines(space.accepted.iter().filter(|(_, answered)| !answered_only || **answered).map(|(uuid, _)| *uuid))
}

/// `_requests`
#[must_use]
pub fn requests(space: &Space) -> String {
    serde_json::to_string(&space.requests).unwrap_or_default()
}

/// `_violations`
#[must_use]
pub fn violations(space: &Space) -> String {
    serde_json::to_string(&space.violations).unwrap_or_default()
}

/// `_summary`
#[must_use]
pub fn summary(space: &Space) -> Value {
    json!(space.summary)
}

fn lines(uuids: impl Iterator<Item = uuid::Uuid>) -> String {
    uuids.fold(String::new(), |mut text, uuid| {
        let _ = writeln!(text, "{uuid}");
        text
    })
}
