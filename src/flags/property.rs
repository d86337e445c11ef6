//! The properties of a person or a group, prepared for comparisons.

use std::borrow::Cow;

use super::tree::Value;
use crate::json::write_string;

/// What kind of JSON value a property has, as far as operators ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Other,
}

/// A property as operators see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Property<'a> {
    /// A string as it is, anything else as compact JSON.
    pub text: &'a str,
    /// The text in lower case, by all rules of Unicode.
    pub lower: &'a str,
    pub kind: Kind,
    pub is_truthy: bool,
}

/// Where a property is in the text of [`Properties`].
#[derive(Clone, Debug)]
struct Entry {
    /// Distinguishes most keys, so that few are compared.
    fingerprint: u32,
    start: usize,
    key_end: usize,
    text_end: usize,
    /// Of the lower case; the text itself is in lower case if there is nothing here.
    lower_end: usize,
    kind: Kind,
    is_truthy: bool,
}

/// A set of properties. Keys, texts and their lower case stand one after the other in one text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties {
    text: String,
    entries: Vec<Entry>,
}

/// A number that differs for most different keys.
pub(super) fn fingerprint(key: &str) -> u32 {
    key.bytes().fold(0x811C_9DC5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

impl Properties {
    /// Sets a property, in place of an earlier value.
    pub(crate) fn set(&mut self, key: &str, value: &Value<'_>) {
        let kind = match value {
            Value::Text(_) => Kind::Text,
            Value::Number(_) => Kind::Number,
            _ => Kind::Other,
        };
        self.set_text(key, &value.text(), kind, value.is_truthy());
    }

    /// Sets all members of an object; returns whether it was one.
    pub(crate) fn set_members(&mut self, value: &Value<'_>) -> bool {
        let Value::Object(members) = value else { return false };
        for (key, value) in members {
            self.set(key, value);
        }
        true
    }

    /// Sets a property to a text.
    pub(crate) fn set_string(&mut self, key: &str, text: &str) {
        self.set(key, &Value::Text(Cow::Borrowed(text)));
    }

    fn set_text(&mut self, key: &str, text: &str, kind: Kind, is_truthy: bool) {
        let fingerprint = fingerprint(key);
        if let Some(at) = self.position(key, fingerprint) {
            self.remove(at);
        }
        let start = self.text.len();
        self.text.push_str(key);
        let key_end = self.text.len();
        self.text.push_str(text);
        let text_end = self.text.len();
        let is_lower = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        if !is_lower {
            self.text.push_str(&text.to_lowercase());
        }
        let lower_end = self.text.len();
        self.entries.push(Entry { fingerprint, start, key_end, text_end, lower_end, kind, is_truthy });
    }

    /// Removes a property and its text, so that setting a property again and again needs no more memory.
    fn remove(&mut self, at: usize) {
        let removed = self.entries.remove(at);
        self.text.drain(removed.start..removed.lower_end);
        let length = removed.lower_end - removed.start;
        for entry in self.entries.iter_mut().skip(at) {
            entry.start -= length;
            entry.key_end -= length;
            entry.text_end -= length;
            entry.lower_end -= length;
        }
    }

    /// Writes them as one JSON object.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (i, entry) in self.entries.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            let text = |start, end| self.text.get(start..end).unwrap_or_default();
            write_string(out, text(entry.start, entry.key_end));
            out.push(b':');
            let value = text(entry.key_end, entry.text_end);
            match entry.kind {
                Kind::Text => write_string(out, value),
                Kind::Number | Kind::Other => out.extend_from_slice(value.as_bytes()),
            }
        }
        out.push(b'}');
    }

    fn position(&self, key: &str, fingerprint: u32) -> Option<usize> {
        self.entries.iter().position(|entry| {
            entry.fingerprint == fingerprint && self.text.get(entry.start..entry.key_end) == Some(key)
        })
    }

    /// The property with this key and fingerprint of it.
    pub(super) fn get(&self, key: &str, fingerprint: u32) -> Option<Property<'_>> {
        let entry = self.entries.get(self.position(key, fingerprint)?)?;
        let text = self.text.get(entry.key_end..entry.text_end)?;
        let lower = self.text.get(entry.text_end..entry.lower_end).filter(|lower| !lower.is_empty());
        Some(Property { text, lower: lower.unwrap_or(text), kind: entry.kind, is_truthy: entry.is_truthy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_that_is_set_again_has_its_last_value_and_costs_no_more_memory() {
        let mut properties = Properties::default();
        let get = |properties: &Properties, key: &str| {
            let property = properties.get(key, fingerprint(key));
            property.map(|found| (found.text.to_owned(), found.lower.to_owned()))
        };
        for (key, text) in [("a", "One"), ("b", "ÄÖ"), ("", "x"), ("a", "two"), ("c", "")] {
            properties.set_string(key, text);
        }
        let pair = |text: &str, lower: &str| Some((text.to_owned(), lower.to_owned()));
        assert_eq!(get(&properties, "a"), pair("two", "two"));
        assert_eq!(get(&properties, "b"), pair("ÄÖ", "äö"));
        assert_eq!(get(&properties, ""), pair("x", "x"));
        assert_eq!(get(&properties, "c"), pair("", ""));
        assert_eq!(get(&properties, "d"), None);
        let length = properties.text.len();
        for _ in 0..1000 {
            properties.set_string("b", "ÖÄ");
        }
        assert_eq!((properties.text.len(), properties.entries.len()), (length, 4));
        assert_eq!(get(&properties, "b"), pair("ÖÄ", "öä"));
    }
}
