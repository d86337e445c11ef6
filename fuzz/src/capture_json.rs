//! phc_capture_json through the C functions, in test mode: what it takes is a
//! sound Capture v1 event that says what was given, and is taken again as it is.

use std::ffi::{CStr, c_char};
use std::sync::LazyLock;

use phc::capi::capture::{phc_capture_json, phc_test_next};
use phc::capi::client::{phc_client, phc_client_new};
use phc::capi::config::{phc_config_free, phc_config_new, phc_config_set};
use phc::capi::status::phc_last_error;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::model::{LIFTED, MERGED, Members, last, lifted, members, repaired, stays, value};

/// One client for all inputs, as in a process of a host.
static CLIENT: LazyLock<usize> = LazyLock::new(|| unsafe {
    let config = phc_config_new(c"phc_key".as_ptr());
    assert_eq!(phc_config_set(config, c"test_mode".as_ptr(), c"true".as_ptr()), 0);
    let client = phc_client_new(config, std::ptr::null_mut(), 0);
    phc_config_free(config);
    assert!(!client.is_null());
    client as usize
});

/// The input is the text of an event.
pub fn run(data: &[u8]) {
    let Some((wire, uuid)) = capture(data) else { return };
    let (text, _) = repaired(data);
    is_sound(&wire, &uuid);
    says_what_was_given(&wire, &text);
    let again = capture(wire.as_bytes()).unwrap_or_else(|| panic!("not taken again: {wire}"));
    assert_eq!(again, (wire, uuid), "{text}");
}

/// Captures the event; answers its wire bytes and its uuid.
fn capture(json: &[u8]) -> Option<(String, String)> {
    let client = *CLIENT as *mut phc_client;
    let mut uuid = [0x7F; 37];
    // SAFETY: the buffers are as long as is said.
    let status = unsafe { phc_capture_json(client, json.as_ptr().cast(), json.len(), uuid.as_mut_ptr()) };
    let text =
        |pointer: *const c_char| unsafe { CStr::from_ptr(pointer) }.to_str().expect("UTF-8").to_owned();
    // SAFETY: as above.
    let length = unsafe { phc_test_next(client, std::ptr::null_mut(), 0) };
    if status != 0 {
        assert!((10..=15).contains(&status), "status {status}");
        let error = text(phc_last_error());
        assert!((1..=1023).contains(&error.len()), "{error}");
        assert_eq!(length, 0);
        assert!(uuid.iter().all(|byte| *byte == 0x7F));
        return None;
    }
    let mut buffer = vec![0x7F_u8; length + 1];
    // SAFETY: as above. A buffer that is too small takes nothing away.
    unsafe {
        assert_eq!(phc_test_next(client, buffer.as_mut_ptr().cast(), length), length);
        assert_eq!(phc_test_next(client, buffer.as_mut_ptr().cast(), length + 1), length);
        assert_eq!(phc_test_next(client, std::ptr::null_mut(), 0), 0);
    }
    assert_eq!(buffer.pop(), Some(0));
    Some((String::from_utf8(buffer).expect("UTF-8"), text(uuid.as_ptr())))
}

/// The invariants of the wire.
fn is_sound(wire: &str, uuid: &str) {
    let top = members(wire).unwrap_or_else(|| panic!("a strict reader refuses {wire}"));
    let event = value(wire).unwrap_or_else(|| panic!("a strict reader refuses {wire}"));
    let object = event.as_object().expect("an object");
    assert_eq!(top.len(), object.len(), "a key twice: {wire}");
    for key in ["event", "uuid", "distinct_id", "timestamp", "options", "properties"] {
        assert!(object.contains_key(key), "no {key}: {wire}");
    }
    for (key, value) in object {
        let good = match key.as_str() {
            "event" | "distinct_id" => value.as_str().is_some_and(|text| (1..=200).contains(&text.len())),
            "uuid" => {
                value == uuid
                    && Uuid::try_parse(uuid).is_ok_and(|value| value.hyphenated().to_string() == uuid)
            }
            "timestamp" => value.as_str().is_some_and(is_timestamp),
            "session_id" | "window_id" => value.is_string(),
            "properties" => value.is_object(),
            "options" => value.as_object().is_some_and(|options| options.iter().all(is_option)),
            _ => false,
        };
        assert!(good, "{key}: {wire}");
    }
    for (key, _) in members(last(&top, "properties").expect("properties").get()).expect("an object") {
        assert!(stays(&key) || MERGED.contains(&key.as_str()), "{key} stayed: {wire}");
    }
}

fn is_option((key, value): (&String, &Value)) -> bool {
    match LIFTED.iter().find(|(_, destination, _)| destination == key) {
        Some((_, "session_id" | "window_id", _)) | None => false,
        Some((.., true)) => value.is_boolean(),
        Some((.., false)) => value.is_string(),
    }
}

/// `2026-01-31T12:00:00.000Z`, of a day and a time that exist.
fn is_timestamp(text: &str) -> bool {
    let shape = "dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = |(shape, byte): (u8, u8)| if shape == b'd' { byte.is_ascii_digit() } else { shape == byte };
    if text.len() != shape.len() || !shape.bytes().zip(text.bytes()).all(fits) {
        return false;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<u32>().expect("digits");
    let (year, month) = (number(0..4), number(5..7));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + u32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let Some(days) = days.get(month.wrapping_sub(1) as usize) else { return false };
    (1..=*days).contains(&number(8..10)) && number(11..13) < 24 && number(14..16) < 60 && number(17..19) < 60
}

/// The event on the wire against the model of the one that was given.
fn says_what_was_given(wire: &str, text: &str) {
    let top = members(text).unwrap_or_else(|| panic!("taken: {text}"));
    let sent = value(wire).expect("checked before");
    // A field that is null is one that is not given, wherever it stands: the last decides.
    let field = |key: &str| last(&top, key).map(|raw| raw.get()).filter(|raw| *raw != "null");
    let tree = |key: &str| field(key).map(|raw| value(raw).unwrap_or_else(|| panic!("taken: {text}")));
    for key in ["event", "distinct_id"] {
        assert_eq!(Some(&sent[key]), tree(key).as_ref(), "{text}");
    }
    if let Some(Ok(uuid)) =
        tree("uuid").as_ref().and_then(Value::as_str).map(|text| Uuid::try_parse(text.trim()))
    {
        assert_eq!(sent["uuid"], uuid.hyphenated().to_string(), "{text}");
    }
    let own = field("properties")
        .map_or(Members::new(), |raw| members(raw).unwrap_or_else(|| panic!("taken: {text}")));

    let options = tree("options");
    let outside = |destination: &str| match destination {
        "session_id" | "window_id" => tree(destination),
        _ => options.as_ref()?.get(destination).cloned(),
    };
    let (options, fields) = lifted(&own, outside);
    assert_eq!(sent["options"], options, "{text}");
    for key in ["session_id", "window_id"] {
        assert_eq!(sent.get(key), fields.get(key), "{text}");
    }

    let mut expected = Map::new();
    for (key, raw) in own.iter().filter(|(key, _)| stays(key)) {
        expected.insert(key.clone(), value(raw.get()).expect("a value that was accepted"));
    }
    for key in MERGED {
        let outer = tree(key).or_else(|| (key == "$groups").then(|| tree("groups")).flatten());
        let inner = last(&own, key).map(|raw| value(raw.get()).expect("a value that was accepted"));
        let merged = match (inner, outer) {
            (Some(Value::Object(inner)), Some(Value::Object(mut outer))) => {
                outer.extend(inner);
                Some(Value::Object(outer))
            }
            (Some(Value::Null) | None, Some(outer)) => Some(outer),
            (Some(Value::Null), None) if key == "$groups" => None,
            (inner, _) => inner,
        };
        expected.extend(merged.map(|value| (key.to_owned(), value)));
    }
    assert_eq!(sent["properties"], Value::Object(expected), "{text}");
}
