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
}

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
    let mut broken = |rule, message: String| findings.add_event(rule, &given, message);
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
    let fits = |text: &String| (1..=200).contains(&text.len());
    if !members.string("event").is_some_and(|name| fits(&name)) {
        broken("event-name", "`event` must be text of 1 to 200 bytes".to_owned());
    }
    let distinct_id = members.string("distinct_id");
    if !distinct_id.as_ref().is_some_and(|id| fits(&id.trim().to_owned())) {
        let message = "`distinct_id` must be text of 1 to 200 bytes without the white space around it";
        broken("distinct-id", message.to_owned());
    } else if distinct_id.is_some_and(|id| id != id.trim()) {
        broken("distinct-id-white-space", "`distinct_id` has white space around it".to_owned());
    }
    let timestamp = members.string("timestamp");
    let found = members.get("timestamp").unwrap_or("absent");
    if !timestamp.as_deref().is_some_and(is_instant) {
        broken("event-timestamp", format!("`timestamp` must be an RFC 3339 instant, but is {found}"));
    } else if !timestamp.as_deref().is_some_and(is_wire_time) {
        let message = format!("`timestamp` must be UTC with milliseconds and Z, but is {found}");
        broken("event-timestamp-form", message);
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
        name: members.string("event").unwrap_or_default(),
        distinct_id: members.string("distinct_id").unwrap_or_default(),
        raw: raw.to_owned(),
    })
}

fn check_options(members: &Members<'_>, broken: &mut impl FnMut(&'static str, String)) {
    let Some(Ok(options)) = members.get("options").map(Members::read) else {
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
    let Some(Ok(properties)) = members.get("properties").map(Members::read) else {
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
