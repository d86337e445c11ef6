//! The rules for properties once more, written with a JSON tree that keeps the
//! order, the duplicates and the text of every value: the oracle of two targets.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// The members of an object, as they stand there.
pub type Members = Vec<(String, Box<RawValue>)>;

/// Reads one JSON object and nothing else; none when a strict reader refuses it.
pub fn members(text: &str) -> Option<Members> {
    struct Reader;
    impl<'de> Visitor<'de> for Reader {
        type Value = Members;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(Reader).ok()?;
    reader.end().ok().map(|()| members)
}

/// What a strict reader makes of the text.
pub fn value(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The bytes as the library reads them: bad UTF-8 and lone surrogate escapes
/// replaced, and whether there was one of them.
pub fn repaired(bytes: &[u8]) -> (String, bool) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let mut out = text.clone().into_bytes();
    let unit = |at: usize| {
        let escape = text.as_bytes().get(at..at + 6)?;
        let digits = escape.strip_prefix(b"\\u")?;
        let digits = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut at = 0;
    while at < out.len() {
        at += match (out[at], unit(at)) {
            (b'\\', Some(0xD800..=0xDBFF)) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            (b'\\', Some(0xD800..=0xDFFF)) => {
                out[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    let repaired = String::from_utf8(out).expect("only ASCII was replaced");
    let changed = repaired.as_bytes() != bytes;
    (repaired, changed)
}

/// How deep its containers are nested.
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(items) => 1 + items.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The last of the members with this key.
pub fn last<'m>(members: &'m Members, key: &str) -> Option<&'m RawValue> {
    members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| &**value)
}

/// The value as an option that is a bool.
pub fn as_bool(value: &Value) -> Option<bool> {
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

/// What is lifted: the property, where it goes, and whether it is a bool.
pub const LIFTED: [(&str, &str, bool); 6] = [
    ("$cookieless_mode", "cookieless_mode", true),
    ("$ignore_sent_at", "disable_skew_correction", true),
    ("$process_person_profile", "process_person_profile", true),
    ("$product_tour_id", "product_tour_id", false),
    ("$session_id", "session_id", false),
    ("$window_id", "window_id", false),
];
/// What is taken out and dropped.
pub const STRIPPED: [&str; 2] = ["$lib", "$lib_version"];
/// What is taken out and put back behind the others, merged.
pub const MERGED: [&str; 3] = ["$set", "$set_once", "$groups"];

/// Whether a property stays where it is.
pub fn stays(key: &str) -> bool {
    !LIFTED.iter().any(|(name, ..)| *name == key) && !STRIPPED.contains(&key) && !MERGED.contains(&key)
}

/// The options, and the fields of the event itself, that these properties give;
/// what is not among them may come from `outside`, by the destination's name.
pub fn lifted(given: &Members, outside: impl Fn(&str) -> Option<Value>) -> (Value, Value) {
    let (mut options, mut fields) = (Map::new(), Map::new());
    for (key, destination, is_bool) in LIFTED {
        let own = last(given, key).map(|raw| value(raw.get()).expect("a value that was accepted"));
        let coerced = match own.or_else(|| outside(destination)) {
            Some(value) if is_bool => as_bool(&value).map(|value| json!(value)),
            Some(Value::String(text)) => Some(json!(text)),
            _ => None,
        };
        let place = if destination.ends_with("_id") && destination != "product_tour_id" {
            &mut fields
        } else {
            &mut options
        };
        place.extend(coerced.map(|value| (destination.to_owned(), value)));
    }
    (Value::Object(options), Value::Object(fields))
}
