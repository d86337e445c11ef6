//! The encoder against a second statement of the rules, written with a JSON tree, on random events.

use serde_json::{Map, Value, json};

use super::generators::KEYS_OF_ANY_VALUE;
use crate::event::{Encoder, EventInput, SuperProperties};
use crate::json::tests::generators::Maker;

fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => Some(number.as_f64()? != 0.0),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// What the rules say of these properties: what stays, the options, the fields.
fn expected(properties: &Map<String, Value>) -> [Map<String, Value>; 3] {
    let (mut stays, mut options, mut fields) = (Map::new(), Map::new(), Map::new());
    for (key, value) in properties {
        let mut bool_option = |name: &str| {
            options.extend(as_bool(value).map(|value| (name.to_owned(), json!(value))));
        };
        let text = value.is_string().then(|| value.clone());
        match key.as_str() {
            "$lib" | "$lib_version" => {}
            "$cookieless_mode" => bool_option("cookieless_mode"),
            "$ignore_sent_at" => bool_option("disable_skew_correction"),
            "$process_person_profile" => bool_option("process_person_profile"),
            "$product_tour_id" => options.extend(text.map(|text| ("product_tour_id".to_owned(), text))),
            "$session_id" => fields.extend(text.map(|text| ("session_id".to_owned(), text))),
            "$window_id" => fields.extend(text.map(|text| ("window_id".to_owned(), text))),
            _ => drop(stays.insert(key.clone(), value.clone())),
        }
    }
    [stays, options, fields]
}

#[test]
fn agrees_with_the_rules_on_random_events() {
    let nothing = SuperProperties::default();
    let mut encoder = Encoder::take(0);
    let mut lifted = 0;
    for seed in 0..20_000 {
        let mut maker = Maker::sound(seed, KEYS_OF_ANY_VALUE);
        let properties = maker.object(3);
        let Value::Object(given) = serde_json::from_str(&properties).unwrap() else { panic!("no object") };
        let [stays, options, fields] = expected(&given);
        lifted += options.len() + fields.len();

        // In both forms, which must agree.
        let whole = format!(
            "{{\"distinct_id\":\"user\",{} \"properties\":{properties},\"event\":\"event\"}}",
            maker.space()
        );
        let properties_json = Some(properties.as_bytes());
        for input in [
            EventInput::Parts { distinct_id: b"user", event: b"event", properties: properties_json },
            EventInput::Json(whole.as_bytes()),
        ] {
            encoder.encode(&input, &nothing, 1 << 20).unwrap();
            let event: Value = serde_json::from_slice(encoder.wire()).unwrap();
            assert_eq!(event["properties"], Value::Object(stays.clone()), "{properties}");
            assert_eq!(event["options"], Value::Object(options.clone()), "{properties}");
            for field in ["session_id", "window_id"] {
                assert_eq!(event.get(field), fields.get(field), "{properties}");
            }
        }
    }
    assert!(lifted > 5_000, "{lifted}");
}

#[test]
fn no_bytes_make_it_panic_or_send_what_a_reader_refuses() {
    let nothing = SuperProperties::default();
    let mut encoder = Encoder::take(0);
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..20_000 {
        let mut maker = Maker::any(seed, KEYS_OF_ANY_VALUE);
        let text = maker.object(3);
        let text = maker.mutated(text);
        let input = EventInput::Parts { distinct_id: b"user", event: b"event", properties: Some(&text) };
        match encoder.encode(&input, &nothing, 1 << 20) {
            Ok(()) => {
                accepted += 1;
                let wire = std::str::from_utf8(encoder.wire()).unwrap();
                serde_json::from_str::<Value>(wire).unwrap_or_else(|error| panic!("{error}: {wire}"));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 2_000 && refused > 2_000, "{accepted} accepted, {refused} refused");
}
