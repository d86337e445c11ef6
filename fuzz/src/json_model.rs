//! JSON as another reader sees it: the oracle of the targets that are given JSON text.
//! It keeps the order, the duplicates and the text of every member.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The library's bound of nesting, in containers.
pub const MAX_DEPTH: usize = 100;

/// The members of an object, in their order.
pub type Members = Vec<(String, Box<RawValue>)>;

/// Reads a text that is one JSON object; `None` if a strict reader refuses it.
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

/// The text as a tree; `None` if a strict reader refuses it.
pub fn value(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The tree of a text that the library has taken.
pub fn taken_value(text: &str) -> Value {
    value(text).unwrap_or_else(|| panic!("taken, but a strict reader refuses it: {text}"))
}

/// The bytes as the library reads them: invalid UTF-8 and lone surrogate escapes are
/// replaced; and whether there was any.
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

/// How deep the containers of a value are nested.
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
