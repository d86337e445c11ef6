//! An event that is put together property by property.

use super::draft::{Draft, parse_timestamp};
use super::encode::parsed;
use super::text::{repaired, write_string};
use super::timestamp::Timestamp;
use crate::status::{Error, Status};

/// A growing event. Each property is written straight as JSON text; setting a
/// key again replaces its value.
#[derive(Clone, Debug, Default)]
pub struct EventBuilder {
    distinct_id: Vec<u8>,
    event: Vec<u8>,
    properties: Members,
    groups: Members,
    uuid: Option<String>,
    timestamp: Option<Timestamp>,
    repaired: bool,
}

impl EventBuilder {
    /// An event without properties. Names are checked when it is captured.
    pub fn new(distinct_id: &[u8], event: &[u8]) -> Self {
        EventBuilder { distinct_id: distinct_id.to_vec(), event: event.to_vec(), ..Self::default() }
    }

    /// Sets a property to text; bad UTF-8 in it is repaired.
    pub fn set_text(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let value = self.repair(value);
        self.set(key, |out| write_string(out, &value))
    }

    /// Sets a property to a whole number.
    pub fn set_integer(&mut self, key: &[u8], value: i64) -> Result<(), Error> {
        self.set(key, |out| out.extend_from_slice(value.to_string().as_bytes()))
    }

    /// Sets a property to a number, written with as few digits as read back to
    /// the same double. NaN and infinities have no JSON.
    pub fn set_number(&mut self, key: &[u8], value: f64) -> Result<(), Error> {
        if !value.is_finite() {
            let key = repaired(key);
            let message = format!("the property {key:?} is {value}; JSON has no such number");
            return Err(Error::new(Status::INVALID_PROPERTY, message));
        }
        self.set(key, |out| out.extend_from_slice(format!("{value:?}").as_bytes()))
    }

    /// Sets a property to a bool.
    pub fn set_bool(&mut self, key: &[u8], value: bool) -> Result<(), Error> {
        self.set(key, |out| out.extend_from_slice(if value { b"true" } else { b"false" }))
    }

    /// Sets a property to a value given as JSON text.
    pub fn set_json(&mut self, key: &[u8], json: &[u8]) -> Result<(), Error> {
        let (text, was_repaired) =
            parsed(&format!("property {:?}", repaired(key)), json, |scanner| scanner.value(1))?;
        self.repaired |= was_repaired;
        self.set(key, |out| out.extend_from_slice(text.trim_ascii().as_bytes()))
    }

    /// Says that the event belongs to a group.
    pub fn set_group(&mut self, group_type: &[u8], group_key: &[u8]) -> Result<(), Error> {
        let (group_type, group_key) = (self.repair(group_type), self.repair(group_key));
        if group_type.is_empty() || group_key.is_empty() {
            return Err(Error::new(Status::INVALID_PROPERTY, "a group needs a type and a key"));
        }
        self.groups.set(&group_type, |out| write_string(out, &group_key));
        Ok(())
    }

    /// Gives the event its uuid. What is no uuid is replaced at the capture.
    pub fn set_uuid(&mut self, uuid: &[u8]) {
        self.uuid = Some(repaired(uuid).into_owned());
    }

    /// Says when it happened, in milliseconds since the Unix epoch.
    pub fn set_timestamp_ms(&mut self, unix_ms: i64) -> Result<(), Error> {
        let timestamp = Timestamp::from_unix_ms(unix_ms).ok_or_else(|| {
            let message = format!("{unix_ms} ms since 1970 is not in a year of four digits");
            Error::new(Status::INVALID_TIMESTAMP, message)
        })?;
        self.timestamp = Some(timestamp);
        Ok(())
    }

    /// Says when it happened, as RFC 3339 text with an offset.
    pub fn set_timestamp(&mut self, text: &[u8]) -> Result<(), Error> {
        self.timestamp = Some(parse_timestamp(&repaired(text))?);
        Ok(())
    }

    /// The draft of the event as it is now.
    pub fn draft(&self) -> Result<Draft<'_>, Error> {
        let mut draft = Draft::new(&self.distinct_id, &self.event).with_properties(self.properties.object());
        draft.set_merged("$groups", self.groups.object())?;
        draft.uuid = self.uuid.as_deref().map(Into::into);
        draft.timestamp = self.timestamp;
        draft.repaired |= self.repaired;
        Ok(draft)
    }

    fn set(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        let key = self.repair(key);
        if key.is_empty() {
            return Err(Error::new(Status::INVALID_PROPERTY, "a property needs a key"));
        }
        self.properties.set(&key, value);
        Ok(())
    }

    fn repair<'t>(&mut self, text: &'t [u8]) -> std::borrow::Cow<'t, str> {
        let sound = repaired(text);
        self.repaired |= matches!(sound, std::borrow::Cow::Owned(_));
        sound
    }
}

/// An object's members with distinct keys, always complete JSON text.
#[derive(Clone, Debug)]
struct Members {
    /// `{}` or `{"key":value,…}`
    text: Vec<u8>,
    /// For each member, the length of its quoted key and of `"key":value`.
    lengths: Vec<(usize, usize)>,
}

impl Default for Members {
    fn default() -> Self {
        Members { text: b"{}".to_vec(), lengths: Vec::new() }
    }
}

impl Members {
    fn set(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.text.pop();
        let start = self.text.len();
        if !self.lengths.is_empty() {
            self.text.push(b',');
        }
        let member = self.text.len();
        write_string(&mut self.text, key);
        let key_length = self.text.len() - member;
        self.text.push(b':');
        value(&mut self.text);
        let length = self.text.len() - member;
        self.text.push(b'}');
        self.remove_earlier(member, key_length, start);
        self.lengths.push((key_length, length));
    }

    /// Takes out the member that has the key at `member`, if there is one
    /// before it.
    fn remove_earlier(&mut self, member: usize, key_length: usize, end: usize) {
        let mut at = 1;
        let key = |text: &[u8], at: usize| text.get(at..at + key_length).map(<[u8]>::to_vec);
        let new = key(&self.text, member);
        let found = self.lengths.iter().position(|(length, whole)| {
            let same = *length == key_length && at < end && key(&self.text, at) == new;
            at += if same { 0 } else { whole + 1 };
            same
        });
        if let Some(found) = found {
            let (_, whole) = self.lengths.remove(found);
            self.text.drain(at..=at + whole);
        }
    }

    fn object(&self) -> Option<&[u8]> {
        (!self.lengths.is_empty()).then_some(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_member_a_key() {
        let mut members = Members::default();
        assert_eq!(members.object(), None);
        for (key, value) in [("a", "1"), ("bb", "2"), ("a", "3"), ("c", "4"), ("bb", "5"), ("c", "66")] {
            members.set(key, |out| out.extend_from_slice(value.as_bytes()));
            serde_json::from_slice::<serde_json::Value>(&members.text).unwrap();
        }
        assert_eq!(members.object(), Some(br#"{"a":3,"bb":5,"c":66}"#.as_slice()));
    }

    #[test]
    fn writes_each_type() {
        let mut event = EventBuilder::new(b"user", b"name");
        event.set_text(b"t", b"x\"\xff").unwrap();
        event.set_integer(b"i", i64::MIN).unwrap();
        event.set_number(b"n", 0.1).unwrap();
        event.set_number(b"big", 1e300).unwrap();
        event.set_bool(b"b", true).unwrap();
        event.set_json(b"j", b" [1, 2] ").unwrap();
        let text = std::str::from_utf8(&event.properties.text).unwrap();
        assert_eq!(
            text,
            "{\"t\":\"x\\\"\u{fffd}\",\"i\":-9223372036854775808,\"n\":0.1,\"big\":1e300,\"b\":true,\"j\":[1, 2]}"
        );
        assert!(event.repaired);
        assert!(event.set_number(b"n", f64::NAN).is_err());
        assert!(event.set_json(b"j", b"[1,").is_err());
        assert!(event.set_bool(b"", true).is_err());
    }
}
