//! What can be seen in an event of what its client and the server did with it: what was lifted out of the properties,
//! what was repaired, and what was refused.

use serde::Serialize;
use serde_json::Value;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A property that the client moved to where the protocol has it.
    Lifted,
    /// Text that was not valid and was replaced.
    Repaired,
    /// What the server did not take.
    Refused,
}

/// One remark about an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Note {
    pub(crate) kind: Kind,
    /// The keys and positions that lead to the place; empty for the whole event.
    pub(crate) path: Vec<String>,
    pub(crate) text: String,
}

/// Where a client puts a property that it lifts, and its name before.
const LIFTED: [(&[&str], &str); 6] = [
    (&["session_id"], "$session_id"),
    (&["window_id"], "$window_id"),
    (&["options", "cookieless_mode"], "$cookieless_mode"),
    (&["options", "disable_skew_correction"], "$ignore_sent_at"),
    (&["options", "process_person_profile"], "$process_person_profile"),
    (&["options", "product_tour_id"], "$product_tour_id"),
];

/// The most remarks about repaired text of one event.
const MAX_REPAIRED: usize = 50;

/// What is to be said of an event with this verdict.
pub(crate) fn notes(raw: &str, verdict: &str, details: &str) -> Vec<Note> {
    let mut notes = Vec::new();
    let event = serde_json::from_str::<Value>(raw).unwrap_or_default();
    for (path, name) in LIFTED {
        if path.iter().try_fold(&event, |value, key| value.get(key)).is_some() {
            let path = path.iter().map(|key| (*key).to_owned()).collect();
            notes.push(Note { kind: Kind::Lifted, path, text: format!("the property {name}") });
        }
    }
    repaired(&event, &mut Vec::new(), &mut notes);
    let whole = |text: String| Note { kind: Kind::Refused, path: Vec::new(), text };
    match (verdict, details) {
        ("ok", "person_processing_disabled") => notes.push(Note {
            kind: Kind::Refused,
            path: vec!["distinct_id".to_owned()],
            text: "no person is made for this distinct id: person_processing_disabled".to_owned(),
        }),
        ("drop", "") => notes.push(whole("the event was dropped".to_owned())),
        ("drop", details) => notes.push(whole(format!("the event was dropped: {details}"))),
        _ => {}
    }
    notes
}

/// Finds text with the character that stands in place of bytes or escapes which were not valid.
fn repaired(value: &Value, path: &mut Vec<String>, notes: &mut Vec<Note>) {
    match value {
        Value::String(text) => note_text(text, path, notes),
        Value::Array(list) => {
            for (position, value) in list.iter().enumerate() {
                path.push(position.to_string());
                repaired(value, path, notes);
                path.pop();
            }
        }
        Value::Object(members) => {
            for (key, value) in members {
                path.push(key.clone());
                note_text(key, path, notes);
                repaired(value, path, notes);
                path.pop();
            }
        }
        _ => {}
    }
}

fn note_text(text: &str, path: &[String], notes: &mut Vec<Note>) {
    if text.contains('\u{fffd}') && notes.len() < MAX_REPAIRED {
        let text = "U+FFFD stands in place of text that was not valid".to_owned();
        notes.push(Note { kind: Kind::Repaired, path: path.to_vec(), text });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(raw: &str, verdict: &str, details: &str) -> Vec<(Kind, String)> {
        notes(raw, verdict, details).into_iter().map(|note| (note.kind, note.path.join("/"))).collect()
    }

    #[test]
    fn each_kind_has_its_place() {
        let raw = r#"{"event":"e","session_id":"s","options":{"process_person_profile":false,"x":1},
            "properties":{"a":["ok","b\ufffd"],"k\ufffd":1,"$session_id":"not lifted"}}"#;
        assert_eq!(
            kinds(raw, "ok", ""),
            [
                (Kind::Lifted, "session_id".to_owned()),
                (Kind::Lifted, "options/process_person_profile".to_owned()),
                (Kind::Repaired, "properties/a/1".to_owned()),
                (Kind::Repaired, "properties/k\u{fffd}".to_owned()),
            ]
        );
    }

    #[test]
    fn a_verdict_that_refuses_is_said_in_words() {
        assert_eq!(kinds("{}", "drop", "event_too_big"), [(Kind::Refused, String::new())]);
        assert_eq!(notes("{}", "drop", "event_too_big")[0].text, "the event was dropped: event_too_big");
        assert_eq!(kinds("{}", "ok", "person_processing_disabled"), [(Kind::Refused, "distinct_id".into())]);
        assert_eq!(kinds("{}", "retry", ""), []);
    }

    #[test]
    fn a_hostile_event_has_a_bounded_number_of_notes() {
        let raw = format!("[{}]", vec!["\"\u{fffd}\""; 100_000].join(","));
        assert_eq!(kinds(&raw, "", "").len(), MAX_REPAIRED);
    }
}
