//! The rules of docs/protocol.md for an event, written a second time with a JSON tree:
//! the oracle of the targets that capture events.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::json_model::{Members, last, members, taken_value};

/// A property that belongs elsewhere in the event: the property, its destination, and
/// whether it is a bool there or a text.
const LIFTED: [(&str, &str, bool); 6] = [
    ("$cookieless_mode", "cookieless_mode", true),
    ("$ignore_sent_at", "disable_skew_correction", true),
    ("$process_person_profile", "process_person_profile", true),
    ("$product_tour_id", "product_tour_id", false),
    ("$session_id", "session_id", false),
    ("$window_id", "window_id", false),
];
/// The destinations that are fields of the event; the others are options.
const FIELDS: [&str; 2] = ["session_id", "window_id"];
/// Properties that are left out.
const STRIPPED: [&str; 2] = ["$lib", "$lib_version"];
/// Properties that are written after the others, merged with what was given outside of
/// the properties.
pub const MERGED: [&str; 4] = ["$set", "$set_once", "$unset", "$groups"];

/// Whether a property is sent where it is.
pub fn stays(key: &str) -> bool {
    !LIFTED.iter().any(|(name, ..)| *name == key) && !STRIPPED.contains(&key) && !MERGED.contains(&key)
}

/// The value as a bool option; `None` if it does not count as one.
fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => Some(number.as_f64()? != 0.0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Asserts that the event on the wire has the options and fields that these properties
/// give it. `elsewhere` returns what was given outside of the properties, by destination.
pub fn check_lifted(event: &Value, properties: &Members, elsewhere: impl Fn(&str) -> Option<Value>) {
    let (mut options, mut fields) = (Map::new(), Map::new());
    for (key, destination, is_bool) in LIFTED {
        let own = last(properties, key).map(|raw| taken_value(raw.get()));
        let coerced = match own.or_else(|| elsewhere(destination)) {
            Some(value) if is_bool => as_bool(&value).map(Value::Bool),
            Some(Value::String(text)) => Some(json!(text)),
            _ => None,
        };
        let place = if FIELDS.contains(&destination) { &mut fields } else { &mut options };
        place.extend(coerced.map(|value| (destination.to_owned(), value)));
    }
    assert_eq!(event["options"], Value::Object(options), "{event}");
    for field in FIELDS {
        assert_eq!(event.get(field), fields.get(field), "{event}");
    }
}

/// The properties on the wire, given those of the caller. `elsewhere` returns the objects
/// that were given outside of the properties, by the keys of [`MERGED`].
pub fn sent_properties(properties: &Members, elsewhere: impl Fn(&str) -> Option<Value>) -> Value {
    let mut sent = Map::new();
    for (key, raw) in properties.iter().filter(|(key, _)| stays(key)) {
        sent.insert(key.clone(), taken_value(raw.get()));
    }
    for key in MERGED {
        let inner = last(properties, key).map(|raw| taken_value(raw.get()));
        let merged = match (inner, elsewhere(key)) {
            (Some(Value::Object(inner)), Some(Value::Object(mut outer))) => {
                outer.extend(inner);
                Some(Value::Object(outer))
            }
            (Some(Value::Null) | None, Some(outer)) => Some(outer),
            (Some(inner), Some(outer)) if key == "$unset" => {
                let inner = names(inner);
                let is_new = |name: &Value| !name.is_string() || !inner.contains(name);
                let outer: Vec<_> = names(outer).into_iter().filter(is_new).collect();
                Some(Value::Array([outer, inner].concat()))
            }
            (Some(Value::Null), None) if key == "$groups" => None,
            (inner, _) => inner,
        };
        sent.extend(merged.map(|value| (key.to_owned(), value)));
    }
    Value::Object(sent)
}

/// The names that a value of `$unset` has.
fn names(value: Value) -> Vec<Value> {
    match value {
        Value::Object(members) => members.into_iter().map(|(key, _)| Value::String(key)).collect(),
        Value::Array(names) => names,
        other => panic!("merged: {other}"),
    }
}

/// Asserts what is true of every event on the wire. Returns its tree.
pub fn check_wire(wire: &str, uuid: &str) -> Value {
    let top = members(wire).unwrap_or_else(|| panic!("a strict reader refuses {wire}"));
    let event = taken_value(wire);
    let object = event.as_object().expect("an object");
    assert_eq!(top.len(), object.len(), "a key twice: {wire}");
    for key in ["event", "uuid", "distinct_id", "timestamp", "options", "properties"] {
        assert!(object.contains_key(key), "{key} is missing: {wire}");
    }
    for (key, value) in object {
        let good = match key.as_str() {
            "event" => value.as_str().is_some_and(|text| (1..=200).contains(&text.len())),
            "distinct_id" => {
                value.as_str().is_some_and(|text| (1..=200).contains(&text.len()) && text == text.trim())
            }
            "uuid" => {
                value == uuid
                    && Uuid::try_parse(uuid).is_ok_and(|value| value.hyphenated().to_string() == uuid)
            }
            "timestamp" => value.as_str().and_then(unix_ms).is_some(),
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
    event
}

fn is_option((key, value): (&String, &Value)) -> bool {
    match LIFTED.iter().find(|(_, destination, _)| destination == key) {
        Some((_, destination, _)) if FIELDS.contains(destination) => false,
        Some((.., true)) => value.is_boolean(),
        Some((.., false)) => value.is_string(),
        None => false,
    }
}

/// The instant of `2026-01-31T12:00:00.000Z` in milliseconds since 1970; `None` if the text
/// has another form, or names a day or a time that does not exist.
pub fn unix_ms(text: &str) -> Option<i64> {
    let form = "dddd-dd-ddTdd:dd:dd.dddZ";
    let fits = |(form, byte): (u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { form == byte };
    if text.len() != form.len() || !form.bytes().zip(text.bytes()).all(fits) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("digits");
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let (hour, minute, second) = (number(11..13), number(14..16), number(17..19));
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    if !(1..=*days.get(month)?).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // The year 0 is a leap year too.
    let leap_days = if year == 0 { 0 } else { (year - 1) / 4 - (year - 1) / 100 + (year - 1) / 400 + 1 };
    let since_year_0 = 365 * year + leap_days + days[..month].iter().sum::<i64>() + day - 1;
    let days = since_year_0 - 719_528;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + number(20..23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_counted_from_1970() {
        for (text, ms) in [
            ("1970-01-01T00:00:00.000Z", Some(0)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("0000-01-01T00:00:00.000Z", Some(-62_167_219_200_000)),
            ("2000-03-01T00:00:00.000Z", Some(951_868_800_000)),
            ("9999-12-31T23:59:59.999Z", Some(253_402_300_799_999)),
            ("2023-02-29T00:00:00.000Z", None),
            ("2023-02-28T24:00:00.000Z", None),
            ("2023-00-28T00:00:00.000Z", None),
            ("2023-02-28T00:00:00Z", None),
        ] {
            assert_eq!(unix_ms(text), ms, "{text}");
        }
    }
}
