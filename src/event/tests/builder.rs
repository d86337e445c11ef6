//! The builder against the same properties as JSON text.

use serde_json::json;

use super::generators::{KEYS, super_properties};
use crate::event::{Encoder, EventBuilder, EventInput, SuperProperties};
use crate::json::write_string;
use crate::random::Random;
use crate::status::{Error, Status};

const UUID: &str = "0190a5b4-7c3d-7abc-8def-0123456789ab";

/// A value, as the builder should write it.
#[derive(Clone, Debug)]
enum Node {
    Scalar(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Sets a member or appends an element. A key that is set again moves to the end.
    fn set(&mut self, key: Option<&str>, value: Node) {
        match (self, key) {
            (Node::Object(members), Some(key)) => {
                members.retain(|(name, _)| name != key);
                members.push((key.to_owned(), value));
            }
            (Node::Array(elements), None) => elements.push(value),
            (node, key) => panic!("{key:?} in {node:?}"),
        }
    }

    /// The container that was begun last, so many levels down.
    fn innermost(&mut self, depth: usize) -> &mut Node {
        if depth == 0 {
            return self;
        }
        match self {
            Node::Object(members) => members.last_mut().unwrap().1.innermost(depth - 1),
            Node::Array(elements) => elements.last_mut().unwrap().innermost(depth - 1),
            Node::Scalar(_) => panic!("not a container"),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Node::Scalar(text) => out.extend_from_slice(text.as_bytes()),
            Node::Array(elements) => {
                for (i, element) in elements.iter().enumerate() {
                    out.push(if i == 0 { b'[' } else { b',' });
                    element.write(out);
                }
                out.extend_from_slice(if elements.is_empty() { b"[]" } else { b"]" });
            }
            Node::Object(members) => {
                for (i, (key, value)) in members.iter().enumerate() {
                    out.push(if i == 0 { b'{' } else { b',' });
                    write_string(out, key);
                    out.push(b':');
                    value.write(out);
                }
                out.extend_from_slice(if members.is_empty() { b"{}" } else { b"}" });
            }
        }
    }
}

fn quoted(text: &str) -> Node {
    let mut out = Vec::new();
    write_string(&mut out, text);
    Node::Scalar(String::from_utf8(out).unwrap())
}

/// Sets a random scalar.
fn set_scalar(random: &mut Random, event: &mut EventBuilder, key: Option<&str>) -> Node {
    let name = key.map(str::as_bytes);
    let (outcome, node) = match random.below(7) {
        0 => {
            let text =
                random.one_of(&["", "true", "é \"x\"\n", "0", "plain text of more than sixteen bytes"]);
            (event.set_text(name, text.as_bytes()), quoted(text))
        }
        1 => {
            let number = random.one_of(&[0, -1, 1920, i64::MIN, i64::MAX]);
            (event.set_integer(name, number), Node::Scalar(number.to_string()))
        }
        2 => {
            let number = random.one_of(&[0, 7, u64::MAX]);
            (event.set_unsigned(name, number), Node::Scalar(number.to_string()))
        }
        3 => {
            let number = random.one_of(&[0.0, 0.1, -249.95, 1e300]);
            (event.set_number(name, number), Node::Scalar(format!("{number:?}")))
        }
        4 => {
            let value = random.percent(50);
            (event.set_bool(name, value), Node::Scalar(value.to_string()))
        }
        5 => (event.set_null(name), Node::Scalar("null".to_owned())),
        _ => {
            let json = random.one_of(&["{\"k\": 1}", " null ", "[1 , 2]", "\"\\u0041\""]);
            (event.set_json(name, json.as_bytes()), Node::Scalar(json.trim().to_owned()))
        }
    };
    outcome.unwrap();
    node
}

/// Makes random calls; returns what they should have made. `most` bounds the number of calls.
fn build(random: &mut Random, event: &mut EventBuilder, keys: &[&str], most: u64) -> Node {
    let mut properties = Node::Object(Vec::new());
    let mut depth = 0;
    for _ in 0..random.below(most) {
        let is_array = matches!(properties.innermost(depth), Node::Array(_));
        let key = (!is_array).then(|| random.one_of(keys));
        let name = key.map(str::as_bytes);
        let node = match random.below(10) {
            0 if depth > 0 => {
                event.end().unwrap();
                depth -= 1;
                continue;
            }
            1 if depth < 20 => {
                event.begin_object(name).unwrap();
                Node::Object(Vec::new())
            }
            2 if depth < 20 => {
                event.begin_array(name).unwrap();
                Node::Array(Vec::new())
            }
            _ => set_scalar(random, event, key),
        };
        let begins = matches!(node, Node::Object(_) | Node::Array(_));
        properties.innermost(depth).set(key, node);
        depth += usize::from(begins);
    }
    for _ in 0..depth {
        event.end().unwrap();
    }
    properties
}

fn encode(input: &EventInput<'_>, super_properties: &SuperProperties) -> Result<String, Error> {
    let mut encoder = Encoder::take(0);
    let wire = encoder
        .encode(input, super_properties, 1 << 24)
        .map(|()| String::from_utf8(encoder.wire().to_vec()).unwrap());
    encoder.keep();
    wire
}

/// The built event and the one of JSON text have the same wire bytes, or are refused for the same reason.
fn is_as_given_as_text(event: &EventBuilder, properties: &Node, super_properties: &SuperProperties) -> bool {
    let mut json = format!(r#"{{"event":"event","distinct_id":"user","uuid":"{UUID}","timestamp":"1970-01-01T00:00:00Z","properties":"#).into_bytes();
    properties.write(&mut json);
    json.push(b'}');
    let built = encode(&EventInput::Built(event), super_properties);
    let given = encode(&EventInput::Json(&json), super_properties);
    assert_eq!(built, given, "{}", json.escape_ascii());
    built.is_ok()
}

fn new_event() -> Box<EventBuilder> {
    let mut event = EventBuilder::take(b"user", b"event").unwrap();
    event.set_uuid(UUID.as_bytes());
    event.set_timestamp_ms(0).unwrap();
    event
}

/// A property needs a key.
fn keys() -> Vec<&'static str> {
    KEYS.iter().copied().filter(|key| !key.is_empty()).collect()
}

#[test]
fn a_built_event_is_as_the_same_properties_in_json() {
    let (keys, super_properties) = (keys(), super_properties());
    let mut accepted = 0;
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut event = new_event();
        let most = random.one_of(&[4, 12, 40]);
        let few = random.percent(50);
        let properties = build(&mut random, &mut event, if few { &keys[..5] } else { &keys }, most);
        let super_properties = random.one_of(&super_properties.each_ref());
        accepted += usize::from(is_as_given_as_text(&event, &properties, super_properties));
        event.keep();
    }
    assert!(accepted > 15_000, "{accepted}");
}

#[test]
fn many_keys_are_as_the_same_properties_in_json() {
    let names: Vec<String> = (0..300)
        .flat_map(|n| {
            [format!("{n}"), format!("beginning {n:03} and end"), format!("é{n}"), "x".repeat(n + 1)]
        })
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut event = new_event();
        let count = random.one_of(&[10, 70, 300, 1200]);
        let properties = build(&mut random, &mut event, &names[..count], 4_000);
        assert!(is_as_given_as_text(&event, &properties, &SuperProperties::default()));
        event.keep();
    }
}

#[test]
fn setting_many_keys_again_and_again_takes_linear_time() {
    let mut event = new_event();
    event.begin_object(Some(b"nested")).unwrap();
    // Each with each, these would be ten billion comparisons, and as many bytes moved for each of them.
    for round in 0..5 {
        for n in 0..20_000 {
            event.set_integer(Some(format!("key {n}").as_bytes()), n * 10 + round).unwrap();
        }
    }
    event.end().unwrap();
    for n in 0..100_000 {
        event.set_text(Some(b"one key"), format!("{n} and more text").as_bytes()).unwrap();
    }
    let wire = encode(&EventInput::Built(&event), &SuperProperties::default()).unwrap();
    assert!(wire.len() < 20_000 * 20, "{}", wire.len());
    let wire: serde_json::Value = serde_json::from_str(&wire).unwrap();
    let nested = wire["properties"]["nested"].as_object().unwrap();
    assert_eq!((nested.len(), &nested["key 19999"]), (20_000, &json!(199_994)));
    assert_eq!(wire["properties"]["one key"], "99999 and more text");
}

#[test]
fn writes_each_type() {
    let mut event = EventBuilder::take(b"user", b"name").unwrap();
    event.set_text(Some(b"t"), b"x\"\xff").unwrap();
    event.set_integer(Some(b"i"), i64::MIN).unwrap();
    event.set_unsigned(Some(b"u"), u64::MAX).unwrap();
    event.set_number(Some(b"n"), 0.1).unwrap();
    event.set_number(Some(b"big"), 1e300).unwrap();
    event.set_bool(Some(b"b"), true).unwrap();
    event.set_null(Some(b"0")).unwrap();
    event.set_json(Some(b"j"), b" [1, 2] ").unwrap();
    event.begin_array(Some(b"a")).unwrap();
    event.begin_object(None).unwrap();
    event.set_text(Some(b"k"), b"v").unwrap();
    event.set_text(Some(b"k"), b"w").unwrap();
    event.end().unwrap();
    event.begin_array(None).unwrap();
    event.end().unwrap();
    event.set_null(None).unwrap();
    event.end().unwrap();
    let wire = encode(&EventInput::Built(&event), &SuperProperties::default()).unwrap();
    let properties = "{\"t\":\"x\\\"\u{fffd}\",\"i\":-9223372036854775808,\"u\":18446744073709551615,\"n\":0.1,\
        \"big\":1e300,\"b\":true,\"0\":null,\"j\":[1, 2],\"a\":[{\"k\":\"w\"},[],null]}";
    assert!(wire.contains(properties), "{wire}");
    assert!(event.is_repaired());
}

#[test]
fn keeps_one_member_a_key_with_the_last_value() {
    let mut event = EventBuilder::take(b"user", b"name").unwrap();
    for (key, value) in [("a", 1), ("bb", 2), ("a", 3), ("c", 4), ("bb", 5), ("c", 66)] {
        event.set_integer(Some(key.as_bytes()), value).unwrap();
        let wire = encode(&EventInput::Built(&event), &SuperProperties::default()).unwrap();
        serde_json::from_str::<serde_json::Value>(&wire).unwrap();
    }
    let wire = encode(&EventInput::Built(&event), &SuperProperties::default()).unwrap();
    assert!(wire.contains(r#""properties":{"a":3,"bb":5,"c":66}"#), "{wire}");
}

/// Sets keys in random order, some to values that are refused, and compares with a map.
#[test]
fn a_built_event_has_each_key_once_with_its_last_value() {
    // The first two are one key once they are repaired.
    let keys: [&[u8]; 9] =
        [b"k\xff", b"k\xfe", b"plain", b"a\"b", b"\n", b"$session_id", b"$set", b"\\", b"added"];
    let mut super_properties = SuperProperties::default();
    for key in ["added", "only added"] {
        super_properties.register(key, b"-1").unwrap();
    }
    for seed in 0..3_000 {
        let mut random = Random::new(seed);
        let many = random.percent(20);
        let names: Vec<Vec<u8>> = if many {
            (0..200).map(|n| format!("key {n}").into_bytes()).collect()
        } else {
            keys.iter().map(|key| key.to_vec()).collect()
        };
        let mut model = serde_json::Map::new();
        for key in ["added", "only added"] {
            model.insert(key.to_owned(), json!(-1));
        }
        let mut event = new_event();
        for n in 0..random.below(if many { 2_000 } else { 40 }) {
            let key = random.one_of(&names.iter().collect::<Vec<_>>());
            if random.percent(20) {
                event.set_number(Some(key), f64::NAN).unwrap_err();
                event.set_json(Some(key), b"[1,").unwrap_err();
                continue;
            }
            let value = if key == b"$set" { json!({"n": n}) } else { json!(n.to_string()) };
            event.set_json(Some(key), value.to_string().as_bytes()).unwrap();
            model.insert(String::from_utf8_lossy(key).into_owned(), value);
        }
        let wire = encode(&EventInput::Built(&event), &super_properties).unwrap();
        event.keep();
        let mut read: serde_json::Value = serde_json::from_str(&wire).unwrap();
        // A key that is there twice would be read once, and the text become shorter.
        assert_eq!(read.to_string().len(), wire.len(), "{wire}");
        if let Some(session) = read.as_object_mut().unwrap().remove("session_id") {
            read["properties"]["$session_id"] = session;
        }
        assert_eq!(read["properties"], serde_json::Value::Object(model), "seed {seed}: {wire}");
    }
}

#[test]
fn a_setter_that_fails_says_what_to_do_and_changes_nothing() {
    let mut event = EventBuilder::take(b"user", b"name").unwrap();
    let check = |outcome: Result<(), Error>, status: Status, text: &str| {
        let error = outcome.unwrap_err();
        assert_eq!(error.status, status, "{error}");
        assert!(error.message.contains(text), "{error}");
    };
    check(event.set_number(Some(b"n"), f64::NAN), Status::INVALID_PROPERTY, "the property \"n\" is NaN");
    let text = "property \"a property\": at byte 3: the text ends where a value is expected";
    check(event.set_json(Some(b"a property"), b"[1,"), Status::INVALID_JSON, text);
    check(event.set_bool(Some(b""), true), Status::INVALID_PROPERTY, "a property needs a key");
    check(event.set_bool(None, true), Status::INVALID_ARGUMENT, "pass a key");
    check(event.begin_array(None), Status::INVALID_ARGUMENT, "pass a key");
    check(event.end(), Status::INVALID_ARGUMENT, "no object or array is open");
    check(event.set_group(b"", b"x"), Status::INVALID_PROPERTY, "a group needs a type and a key");
    check(event.set_group(b"x", b""), Status::INVALID_PROPERTY, "a group needs a type and a key");
    event.begin_array(Some(b"a")).unwrap();
    check(event.set_null(Some(b"k")), Status::INVALID_ARGUMENT, "pass no key, or end() the array first");
    check(event.begin_object(Some(b"k")), Status::INVALID_ARGUMENT, "pass no key");
    check(event.set_json(None, b"nul"), Status::INVALID_JSON, "array element: at byte 0");
    check(event.set_number(None, f64::INFINITY), Status::INVALID_PROPERTY, "the array element is inf");
    event.begin_object(None).unwrap();
    check(event.set_null(None), Status::INVALID_ARGUMENT, "pass a key");
    check(event.set_null(Some(b"")), Status::INVALID_PROPERTY, "needs a key");
    let capture = |event: &EventBuilder| encode(&EventInput::Built(event), &SuperProperties::default());
    check(
        capture(&event).map(drop),
        Status::INVALID_EVENT,
        "2 objects or arrays of the event are still open",
    );
    event.end().unwrap();
    check(capture(&event).map(drop), Status::INVALID_EVENT, "call end() once");
    event.end().unwrap();
    let wire = capture(&event).unwrap();
    assert!(wire.contains(r#""properties":{"a":[{}]}"#), "{wire}");
}

#[test]
fn nesting_is_bounded_as_in_json_text() {
    // The properties are one container, so 99 fit into them.
    for inner in [0, 1, 30, 99, 100] {
        let mut event = new_event();
        let mut outcome = event.begin_array(Some(b"a"));
        for _ in 1..inner {
            outcome = outcome.and_then(|()| event.begin_array(None));
        }
        let fits = inner <= 99;
        assert_eq!(
            outcome.as_ref().err().map(|error| error.status),
            (!fits).then_some(Status::INVALID_PROPERTY)
        );
        let open = inner.clamp(1, 99);
        let json = |depth: usize| "[".repeat(depth) + "1" + &"]".repeat(depth);
        assert!(event.set_json(None, json(99 - open).as_bytes()).is_ok());
        assert_eq!(
            event.set_json(None, json(100 - open).as_bytes()).unwrap_err().status,
            Status::INVALID_JSON
        );
        for _ in 0..open {
            event.end().unwrap();
        }
        let wire = encode(&EventInput::Built(&event), &SuperProperties::default()).unwrap();
        // What was built is accepted again as text.
        encode(&EventInput::Json(wire.as_bytes()), &SuperProperties::default()).unwrap();
    }
}

#[test]
fn groups_stand_beside_the_properties() {
    let mut event = EventBuilder::take(b"user", b"name").unwrap();
    for (group_type, key) in [(b"company", b"acme"), (b"project", b"\"p\xff "), (b"company", b"c\"2 ")] {
        event.set_group(group_type, key).unwrap();
    }
    event.set_json(Some(b"$groups"), b"{\"project\":\"own\"}").unwrap();
    let wire = encode(&EventInput::Built(&event), &SuperProperties::default()).unwrap();
    assert!(event.is_repaired());
    let wire: serde_json::Value = serde_json::from_str(&wire).unwrap();
    assert_eq!(wire["properties"], json!({"$groups": {"company": "c\"2 ", "project": "own"}}));
}
