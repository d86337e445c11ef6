//! `phc_capture_json` in test mode: what it takes is a sound Capture v1 event that says
//! what was given, and is taken again unchanged.

use phc::capi::capture::phc_capture_json;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::event_model::{check_lifted, check_wire, sent_properties};
use crate::json_model::{Members, last, members, repaired, taken_value};
use crate::test_client::{self, Captured};

/// The input is the text of an event.
pub fn run(data: &[u8]) {
    let first = match capture(data) {
        Ok(first) => first,
        Err(status) => return assert!((10..=15).contains(&status), "status {status}"),
    };
    let (text, was_repaired) = repaired(data);
    let event = check_wire(&first.wire, &first.uuid);
    assert_eq!(first.repaired, was_repaired, "{text}");
    says_what_was_given(&event, &text, first.uuid_replaced);
    let again =
        capture(first.wire.as_bytes()).unwrap_or_else(|status| panic!("refused ({status}): {}", first.wire));
    assert_eq!((again.wire, again.uuid), (first.wire, first.uuid), "{text}");
    assert!(!again.repaired && !again.uuid_replaced, "{text}");
}

fn capture(json: &[u8]) -> Result<Captured, i32> {
    test_client::capture(|client, uuid| {
        // SAFETY: the client is live, the text and the buffer are as long as is said.
        unsafe { phc_capture_json(client, json.as_ptr().cast(), json.len(), uuid) }
    })
}

/// Compares the event on the wire with the one that was given.
fn says_what_was_given(event: &Value, text: &str, uuid_replaced: bool) {
    let top = members(text).unwrap_or_else(|| panic!("taken: {text}"));
    // A field that is null counts as one that is not given. The last one of its name counts.
    let field = |key: &str| last(&top, key).map(RawValue::get).filter(|raw| *raw != "null");
    let tree = |key: &str| field(key).map(taken_value);
    assert_eq!(Some(&event["event"]), tree("event").as_ref(), "{text}");
    let distinct_id = match tree("distinct_id") {
        Some(Value::String(id)) => id.trim().to_owned(),
        Some(Value::Number(_)) => {
            field("distinct_id").map(|digits| digits.replace("-0", "0")).expect("there")
        }
        other => panic!("taken: {other:?}"),
    };
    assert_eq!(event["distinct_id"], distinct_id, "{text}");
    let given = tree("uuid");
    let uuid = given.as_ref().and_then(Value::as_str).and_then(|text| Uuid::try_parse(text.trim()).ok());
    assert_eq!(uuid_replaced, given.is_some() && uuid.is_none(), "{text}");
    if let Some(uuid) = uuid {
        assert_eq!(event["uuid"], uuid.hyphenated().to_string(), "{text}");
    }
    let own = field("properties")
        .map_or(Members::new(), |raw| members(raw).unwrap_or_else(|| panic!("taken: {text}")));
    let options = tree("options");
    check_lifted(event, &own, |destination| match destination {
        "session_id" | "window_id" => tree(destination),
        _ => options.as_ref()?.get(destination).cloned(),
    });
    let elsewhere = |key: &str| tree(key).or_else(|| (key == "$groups").then(|| tree("groups")).flatten());
    assert_eq!(event["properties"], sent_properties(&own, elsewhere), "{text}");
}
