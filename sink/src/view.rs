//! The records of a namespace as text: what the addresses `_events`, `_accepted` and so on return.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::namespace::Namespace;

/// The value of a query parameter.
pub(crate) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

/// The value of a query parameter that is a number.
pub(crate) fn number(query: &str, name: &str) -> Option<u64> {
    parameter(query, name)?.parse().ok()
}

/// `_events`, and whether it is JSON: with `fields=uuid` it is lines of uuids.
pub(crate) fn events(namespace: &Namespace, query: &str) -> (String, bool) {
    let accepted_only = parameter(query, "accepted") == Some("1");
    let chosen: Vec<_> = namespace.events().iter().filter(|event| !accepted_only || event.stored).collect();
    let tail = number(query, "tail").and_then(|tail| usize::try_from(tail).ok()).unwrap_or(chosen.len());
    let chosen = chosen.get(chosen.len().saturating_sub(tail)..).unwrap_or_default();
    if parameter(query, "fields") == Some("uuid") {
        return (lines(chosen.iter().map(|event| event.uuid)), false);
    }
    (serde_json::to_string(chosen).unwrap_or_default(), true)
}

/// `_accepted`: the uuid of each stored event on a line; with `responded=1` only those whose acceptance was
/// sent to the client.
pub(crate) fn accepted(namespace: &Namespace, query: &str) -> String {
    let responded_only = parameter(query, "responded") == Some("1");
    lines(
        namespace
            .accepted()
            .iter()
            .filter(|(_, responded)| !responded_only || **responded)
            .map(|(uuid, _)| *uuid),
    )
}

/// `_requests`
pub(crate) fn requests(namespace: &Namespace) -> String {
    serde_json::to_string(namespace.requests()).unwrap_or_default()
}

/// `_flags`
pub(crate) fn flags(namespace: &Namespace) -> String {
    serde_json::to_string(namespace.flag_requests()).unwrap_or_default()
}

/// `_violations`
pub(crate) fn violations(namespace: &Namespace) -> String {
    serde_json::to_string(namespace.violations()).unwrap_or_default()
}

/// `_summary`
pub(crate) fn summary(namespace: &Namespace) -> Value {
    json!(namespace.summary())
}

fn lines(uuids: impl Iterator<Item = uuid::Uuid>) -> String {
    uuids.fold(String::new(), |mut text, uuid| {
        let _ = writeln!(text, "{uuid}");
        text
    })
}
