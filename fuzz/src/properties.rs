//! The properties of an event, by the encoder's Rust interface: the bytes on the wire
//! against the model.

use phc::internals::{Encoder, EventInput, SuperProperties};

use crate::event_model::{MERGED, check_lifted, stays};
use crate::json_model::{MAX_DEPTH, Members, depth, last, members, repaired, value};

const MAX_EVENT_BYTES: usize = 1 << 20;

/// The input is the text of a properties object.
pub fn run(data: &[u8]) {
    let mut super_properties = SuperProperties::default();
    check(data, &super_properties, &[]);
    super_properties.register("plan", b"\"free\"").expect("a good value");
    super_properties.register("a", b"[1]").expect("a good value");
    check(data, &super_properties, &[("plan", "\"free\""), ("a", "[1]")]);
}

fn check(data: &[u8], super_properties: &SuperProperties, added: &[(&str, &str)]) {
    let (text, was_repaired) = repaired(data);
    let given = members(&text);
    let strict = value(&text);
    let is_null = data.trim_ascii() == b"null";
    let mut encoder = Encoder::take(0);
    let input = EventInput::Parts { distinct_id: b"user", event: b"event", properties: Some(data) };
    let Ok(()) = encoder.encode(&input, super_properties, MAX_EVENT_BYTES) else {
        // What a strict reader takes, the library takes, except for its own bounds.
        if let (Some(strict), Some(given)) = (strict, given) {
            let groups = last(&given, "$groups").map_or("{", |value| value.get());
            let bounded = depth(&strict) > MAX_DEPTH || !(groups.starts_with('{') || groups == "null");
            assert!(bounded, "refused: {text}");
        }
        return;
    };
    let wire = String::from_utf8(encoder.wire().to_vec()).expect("UTF-8");
    let encoded = *encoder.encoded();
    encoder.keep();
    let event = value(&wire).unwrap_or_else(|| panic!("a strict reader refuses {wire}"));
    let given = if is_null { Members::new() } else { given.unwrap_or_else(|| panic!("taken: {text}")) };
    assert!(is_null || strict.is_some(), "taken: {text}");
    assert_eq!(encoded.repaired, was_repaired, "{text}");

    // First what stays, in its order and byte for byte, then what is merged, then what the
    // client adds.
    let mut expected: Vec<(&str, &str)> =
        given.iter().filter(|(key, _)| stays(key)).map(|(key, value)| (key.as_str(), value.get())).collect();
    for key in MERGED {
        if let Some(value) = last(&given, key).filter(|value| key != "$groups" || value.get() != "null") {
            expected.push((key, value.get()));
        }
    }
    expected.extend(added.iter().filter(|(key, _)| last(&given, key).is_none()));
    let top = members(&wire).expect("an object");
    let sent = members(last(&top, "properties").expect("properties").get()).expect("an object");
    let sent: Vec<_> = sent.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
    assert_eq!(sent, expected, "{text}");
    check_lifted(&event, &given, |_| None);
}
