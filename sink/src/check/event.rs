//! The rules about one event.

use std::collections::HashSet;

use uuid::Uuid;

use super::{Findings, is_instant, is_wire_time};
use crate::members::Members;

/// An event that could be read.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Its uuid.
    pub(crate) uuid: Uuid,
    /// Its name.
    pub(crate) name: String,
    /// Its distinct id.
    pub(crate) distinct_id: String,
    /// Its exact bytes.
    pub(crate) raw: String,
    /// Whether it breaks a rule for which the server drops it.
    pub(crate) is_dropped: bool,
}

/// The rules for which the server refuses the whole batch with a 400.
pub(crate) const REFUSED: [&str; 2] = ["members", "session-type"];
/// The rules for which the server drops the event.
pub(crate) const DROPPED: [&str; 6] =
    ["distinct-id", "event-name", "event-timestamp", "option-type", "options", "properties"];

/// The members of every event beside its uuid; true for those that are text, the others are objects.
const MEMBERS: [(&str, bool); 5] =
    [("event", true), ("distinct_id", true), ("timestamp", true), ("options", false), ("properties", false)];

/// The keys of `options`; true for those that are a bool, the others are text.
const OPTIONS: [(&str, bool); 4] = [
    ("cookieless_mode", true),
    ("disable_skew_correction", true),
    ("process_person_profile", true),
    ("product_tour_id", false),
];
/// Properties that a client must lift out of `properties`, or remove.
const SENTINELS: [&str; 8] = [
    "$cookieless_mode",
    "$ignore_sent_at",
    "$process_person_profile",
    "$product_tour_id",
    "$session_id",
    "$window_id",
    "$lib",
    "$lib_version",
];

/// Distinct ids that stand for no person. Their events are stored, and no person is made. The real server
/// has `user` among them; it is not here, because many a test has only one user.
const PLACEHOLDERS: [&str; 17] = [
    "00000000-0000-0000-0000-000000000000",
    "0",
    "[object object]",
    "anonymous",
    "backend",
    "distinct_id",
    "email",
    "false",
    "guest",
    "id",
    "nan",
    "none",
    "not_authenticated",
    "null",
    "system",
    "true",
    "undefined",
];

/// Whether this distinct id stands for no person.
pub(crate) fn is_placeholder(distinct_id: &str) -> bool {
    PLACEHOLDERS.contains(&distinct_id.trim().to_lowercase().as_str())
}

/// Reads an event and checks it. Returns `None` if it has no usable uuid.
pub(crate) fn check(raw: &str, findings: &mut Findings) -> Option<Event> {
    let Ok(members) = Members::read(raw) else {
        findings.refuse(400, "event", "an event is not an object");
        return None;
    };
    let given = members.string("uuid").unwrap_or_default();
    let Ok(uuid) = Uuid::try_parse(&given) else {
        findings.refuse(400, "invalid-uuid", format!("the uuid of an event is not a uuid: {given:?}"));
        return None;
    };
    let mut is_dropped = false;
    let mut broken = |rule, message: String| {
        is_dropped |= DROPPED.contains(&rule);
        if REFUSED.contains(&rule) {
            findings.status.get_or_insert((400, rule));
        }
        findings.add_event(rule, &given, message);
    };
    if uuid.hyphenated().to_string() != given {
        broken("uuid-form", format!("the uuid must be in lower case with hyphens, not {given:?}"));
    }
    let mut keys = HashSet::new();
    for (key, _) in &members.0 {
        if !keys.insert(key.clone()) {
            broken("duplicate-key", format!("`{key}` occurs twice in the event"));
        }
        if !matches!(
            key.as_ref(),
            "event"
                | "uuid"
                | "distinct_id"
                | "timestamp"
                | "options"
                | "properties"
                | "session_id"
                | "window_id"
        ) {
            broken("unknown-event-key", format!("`{key}` is not a key of an event"));
        }
    }
    for (name, is_text) in MEMBERS {
        match members.get(name) {
            None => broken("members", format!("`{name}` is missing")),
            Some(found) if is_text && members.string(name).is_none() => {
                broken("members", format!("`{name}` must be text, not {found}"));
            }
            Some(_) => {}
        }
    }
    let fits = |text: &str| (1..=200).contains(&text.len());
    let name = members.string("event");
    if name.as_ref().is_some_and(|name| !fits(name)) {
        broken("event-name", "`event` must have 1 to 200 bytes".to_owned());
    }
    let distinct_id = members.string("distinct_id");
    if let Some(id) = &distinct_id {
        if !fits(id.trim()) {
            let message = "`distinct_id` must have 1 to 200 bytes without the white space around it";
            broken("distinct-id", message.to_owned());
        } else if id != id.trim() {
            broken("distinct-id-white-space", "`distinct_id` has white space around it".to_owned());
        }
    }
    if let Some(timestamp) = members.string("timestamp") {
        if !is_instant(&timestamp) {
            broken("event-timestamp", format!("`timestamp` must be an RFC 3339 instant, not {timestamp:?}"));
        } else if !is_wire_time(&timestamp) {
            let message = format!("`timestamp` must be UTC with milliseconds and Z, not {timestamp:?}");
            broken("event-timestamp-form", message);
        }
    }
    for key in ["session_id", "window_id"] {
        if members.get(key).is_some() && members.string(key).is_none() {
            broken("session-type", format!("`{key}` must be text or absent"));
        }
    }
    check_options(&members, &mut broken);
    check_properties(&members, &mut broken);
    Some(Event {
        uuid,
        name: name.unwrap_or_default(),
        distinct_id: distinct_id.unwrap_or_default(),
        raw: raw.to_owned(),
        is_dropped,
    })
}

fn check_options(members: &Members<'_>, broken: &mut impl FnMut(&'static str, String)) {
    let Some(options) = members.get("options").map(Members::read) else { return };
    let Ok(options) = options else {
        return broken("options", "`options` must be an object, {} when empty".to_owned());
    };
    for (key, value) in &options.0 {
        let value = value.get();
        match OPTIONS.iter().find(|(name, _)| name == key) {
            None => broken("unknown-option", format!("`{key}` is not an option")),
            Some((_, true)) if !matches!(value, "true" | "false") => {
                broken("option-type", format!("`{key}` must be a bool, not {value}"));
            }
            Some((_, false)) if !value.starts_with('"') => {
                broken("option-type", format!("`{key}` must be text, not {value}"));
            }
            Some(_) => {}
        }
    }
}

fn check_properties(members: &Members<'_>, broken: &mut impl FnMut(&'static str, String)) {
    let Some(properties) = members.get("properties").map(Members::read) else { return };
    let Ok(properties) = properties else {
        return broken("properties", "`properties` must be an object".to_owned());
    };
    for (key, value) in &properties.0 {
        if SENTINELS.contains(&key.as_ref()) {
            broken("unlifted-sentinel", format!("`{key}` must be lifted out of properties or removed"));
        }
        if key == "$groups" && !value.get().starts_with('{') {
            broken("groups-type", "`$groups` must be an object".to_owned());
        }
    }
}
