//! The encoder against a model of it: the same rules written with a JSON tree,
//! held against each other on random events.

use serde_json::{Map, Value, json};

use super::*;
use crate::random::Random;

const KEYS: [&str; 20] = [
    "a",
    "b",
    "é\u{1F600}",
    "",
    "with \"quotes\"",
    "$other",
    "$lib",
    "$lib_version",
    "$cookieless_mode",
    "$ignore_sent_at",
    "$process_person_profile",
    "$product_tour_id",
    "$session_id",
    "$window_id",
    "$set",
    "$set_once",
    "lib",
    "$",
    "$librarian",
    "\n\u{0}",
];
const SCALARS: [&str; 22] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-7",
    "0.0",
    "1.50e+2",
    "12345678901234567890",
    "0.1",
    "9007199254740993",
    r#""""#,
    r#""text""#,
    r#"" TRUE ""#,
    r#""false""#,
    r#""0""#,
    r#""\u0031""#,
    r#""\ud83d\ude00é\n""#,
    r#""yes""#,
    "1e-400",
    r#""\/""#,
];

fn space(random: &mut Random) -> &'static str {
    random.one_of(&["", "", "", " ", "\n\t", "\r "])
}

/// A JSON string of this text, with some characters escaped that need not be.
fn string(random: &mut Random, text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || (c.is_ascii() && random.percent(15)) => {
                out += &format!("\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}

fn value(random: &mut Random, depth: u32) -> String {
    match random.below(if depth == 0 { 8 } else { 10 }) {
        8 => {
            let items: Vec<_> = (0..random.below(4)).map(|_| value(random, depth - 1)).collect();
            format!("[{}{}]", space(random), items.join(&format!("{},", space(random))))
        }
        9 => object(random, depth - 1),
        _ => random.one_of(&SCALARS).to_owned(),
    }
}

fn object(random: &mut Random, depth: u32) -> String {
    let mut text = format!("{{{}", space(random));
    for i in 0..random.below(9) {
        let comma = if i == 0 { "" } else { "," };
        let key = random.one_of(&KEYS);
        let (key, value) = (string(random, key), value(random, depth));
        text += &format!(
            "{comma}{}{key}{}:{}{value}{}",
            space(random),
            space(random),
            space(random),
            space(random)
        );
    }
    text + "}"
}

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
fn model(properties: &Map<String, Value>) -> (Map<String, Value>, Map<String, Value>, Map<String, Value>) {
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
    (stays, options, fields)
}

#[test]
fn agrees_with_the_model_on_random_events() {
    let additions = Additions::default();
    let mut scratch = Scratch::take(0);
    let mut lifted = 0;
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let properties = object(&mut random, 3);
        let Value::Object(given) = serde_json::from_str(&properties).unwrap() else { panic!("no object") };
        let (stays, options, fields) = model(&given);
        lifted += options.len() + fields.len();

        // By both ways in, which must agree.
        let draft = Draft::loose(b"user", b"event", Some(properties.as_bytes()));
        encode(&draft, &additions, 1 << 20, &mut scratch).unwrap();
        let by_parts: Value = serde_json::from_slice(&scratch.wire).unwrap();
        let whole = format!(
            "{{\"distinct_id\":\"user\",{} \"properties\":{properties},\"event\":\"event\"}}",
            space(&mut random)
        );
        let draft = Draft::from_json(whole.as_bytes(), &mut scratch.properties, &additions).unwrap();
        encode(&draft, &additions, 1 << 20, &mut scratch).unwrap();
        let by_json: Value = serde_json::from_slice(&scratch.wire).unwrap();
        for event in [by_parts, by_json] {
            assert_eq!(event["properties"], Value::Object(stays.clone()), "{properties}");
            assert_eq!(event["options"], Value::Object(options.clone()), "{properties}");
            for field in ["session_id", "window_id"] {
                assert_eq!(event.get(field), fields.get(field), "{properties}");
            }
        }
    }
    assert!(lifted > 5_000);
}

#[test]
fn no_bytes_make_it_panic_or_send_what_a_reader_refuses() {
    let additions = Additions::default();
    let mut scratch = Scratch::take(0);
    let (mut taken, mut refused) = (0, 0);
    for seed in 0..20_000 {
        let mut random = Random::new(seed);
        let mut text = object(&mut random, 3).into_bytes();
        for _ in 0..random.below(4) {
            let at = usize::try_from(random.below(text.len() as u64)).unwrap();
            match random.below(3) {
                0 => text[at] = random.next().to_le_bytes()[0],
                1 => drop(text.remove(at)),
                _ => text.insert(at, random.one_of(b"{}[]\",:\\u0deE+-.\xff\xed\xa0")),
            }
            if text.is_empty() {
                break;
            }
        }
        let draft = Draft::loose(b"user", b"event", Some(&text));
        match encode(&draft, &additions, 1 << 20, &mut scratch) {
            Ok(_) => {
                taken += 1;
                let wire = std::str::from_utf8(&scratch.wire).unwrap();
                serde_json::from_str::<Value>(wire).unwrap_or_else(|error| panic!("{error}: {wire}"));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(taken > 2_000 && refused > 2_000, "{taken} taken, {refused} refused");
}
