//! An event that is put together property by property.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use super::additions::Additions;
use super::draft::{Draft, parse_timestamp};
use super::encode::parsed;
use super::number::{write_double, write_integer};
use super::properties::Properties;
use super::scan::Member;
use super::text::{repaired, write_repaired};
use super::timestamp::Timestamp;
use crate::status::{Error, Status};

/// Above this a buffer is given back to the system after the event.
const KEPT_BYTES: usize = 64 * 1024;

/// A growing event. Each property is written straight as JSON text; setting a
/// key again replaces its value.
#[derive(Debug, Default)]
pub struct EventBuilder {
    /// The distinct id and the event's name, as they stand between quotes, and
    /// the properties' members: one text, so that it is checked at one go.
    text: Vec<u8>,
    distinct_id_end: usize,
    properties: Members,
    groups_text: Vec<u8>,
    groups: Members,
    uuid: Option<String>,
    timestamp: Option<Timestamp>,
    repaired: bool,
}

thread_local! {
    // The builder of this thread's last event, so that the next one finds its
    // memory there.
    static SPARE: Cell<Option<Box<EventBuilder>>> = const { Cell::new(None) };
}

impl EventBuilder {
    /// An event without properties. Names are checked when it is captured.
    pub fn take(distinct_id: &[u8], event: &[u8]) -> Box<Self> {
        let mut builder = SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
        let EventBuilder { text, repaired, .. } = &mut *builder;
        *repaired |= write_repaired(text, distinct_id);
        let distinct_id_end = text.len();
        *repaired |= write_repaired(text, event);
        let start = text.len();
        builder.distinct_id_end = distinct_id_end;
        builder.properties.start = start;
        builder
    }

    /// Keeps the builder's memory for an event to come of this thread.
    pub fn keep(mut self: Box<Self>) {
        for text in [&mut self.text, &mut self.groups_text] {
            text.clear();
            text.shrink_to(KEPT_BYTES);
        }
        self.properties.clear();
        self.groups.clear();
        self.uuid = None;
        self.timestamp = None;
        self.repaired = false;
        // A thread that is ending has no place for it any more.
        let _ = SPARE.try_with(|slot| slot.set(Some(self)));
    }

    /// Sets a property to text; bad UTF-8 in it is repaired.
    pub fn set_text(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        let mut was_repaired = false;
        let outcome = self.set(key, |out| was_repaired = write_quoted(out, value));
        self.repaired |= was_repaired;
        outcome
    }

    /// Sets a property to a whole number.
    pub fn set_integer(&mut self, key: &[u8], value: i64) -> Result<(), Error> {
        self.set(key, |out| write_integer(out, value))
    }

    /// Sets a property to a number, written with as few digits as read back to
    /// the same double. NaN and infinities have no JSON.
    pub fn set_number(&mut self, key: &[u8], value: f64) -> Result<(), Error> {
        if !value.is_finite() {
            let key = repaired(key);
            let message = format!("the property {key:?} is {value}; JSON has no such number");
            return Err(Error::new(Status::INVALID_PROPERTY, message));
        }
        self.set(key, |out| write_double(out, value))
    }

    /// Sets a property to a bool.
    pub fn set_bool(&mut self, key: &[u8], value: bool) -> Result<(), Error> {
        self.set(key, |out| out.extend_from_slice(if value { b"true" } else { b"false" }))
    }

    /// Sets a property to a value given as JSON text.
    pub fn set_json(&mut self, key: &[u8], json: &[u8]) -> Result<(), Error> {
        const WHAT: &str = "property";
        let (text, was_repaired) = parsed(WHAT, json, |scanner| scanner.value(1)).map_err(|error| {
            let named = format!("{WHAT} {:?}", repaired(key));
            Error { message: error.message.replacen(WHAT, &named, 1).into(), ..error }
        })?;
        self.repaired |= was_repaired;
        self.set(key, |out| out.extend_from_slice(text.trim_ascii().as_bytes()))
    }

    /// Says that the event belongs to a group.
    pub fn set_group(&mut self, group_type: &[u8], group_key: &[u8]) -> Result<(), Error> {
        if group_type.is_empty() || group_key.is_empty() {
            self.repaired |= [group_type, group_key].iter().any(|text| write_repaired(&mut Vec::new(), text));
            return Err(Error::new(Status::INVALID_PROPERTY, "a group needs a type and a key"));
        }
        let mut was_repaired = false;
        let value = |out: &mut Vec<u8>| was_repaired = write_quoted(out, group_key);
        self.repaired |= self.groups.set(&mut self.groups_text, group_type, value);
        self.repaired |= was_repaired;
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

    /// The draft of the event as it is now. `properties` is filled for the
    /// encoder: what has been written here need not be scanned.
    pub fn draft(&self, properties: &mut Properties, additions: &Additions) -> Draft<'_> {
        // All of it was written sound.
        let text = self.text.as_slice();
        let members = &self.properties;
        if members.sentinels || members.list.is_empty() || !additions.members.is_empty() {
            properties.fill(text, members.iter(text), additions);
        } else {
            properties.fill_with_run(members.start + 1..text.len(), additions);
        }
        let mut draft =
            Draft::written(Cow::Borrowed(text), 0..self.distinct_id_end, self.distinct_id_end..members.start);
        if !self.groups.list.is_empty() {
            draft.set_groups([self.groups_text.as_slice(), b"}"].concat());
        }
        draft.uuid = self.uuid.as_deref().map(Into::into);
        draft.timestamp = self.timestamp;
        draft.repaired = self.repaired;
        draft
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
        if key.is_empty() {
            // A repair of the value counts all the same.
            value(&mut Vec::new());
            return Err(Error::new(Status::INVALID_PROPERTY, "a property needs a key"));
        }
        self.repaired |= self.properties.set(&mut self.text, key, value);
        Ok(())
    }
}

/// Appends a JSON string; answers whether it had to be repaired.
#[inline]
fn write_quoted(out: &mut Vec<u8>, text: &[u8]) -> bool {
    out.push(b'"');
    let was_repaired = write_repaired(out, text);
    out.push(b'"');
    was_repaired
}

/// An object's members with distinct keys, of which the last one of a text ends
/// with it: `{"key":value,…`.
#[derive(Debug, Default)]
struct Members {
    /// Where in the text the object begins.
    start: usize,
    list: Vec<Written>,
    /// Has the bit of each member's fingerprint, so that most new keys are
    /// compared with none.
    seen: u64,
    /// Whether a key begins with `$`, and so may be special.
    sentinels: bool,
}

/// A member in the text.
#[derive(Debug)]
struct Written {
    /// Of the key, see [`fingerprint`].
    fingerprint: u64,
    /// The length of the key between its quotes.
    key: usize,
    /// The length of `"key":value`.
    whole: usize,
}

impl Members {
    /// Appends a member, and takes out the one before it that has its key.
    /// Answers whether the key had to be repaired.
    #[inline]
    fn set(&mut self, text: &mut Vec<u8>, key: &[u8], value: impl FnOnce(&mut Vec<u8>)) -> bool {
        text.extend_from_slice(if self.list.is_empty() { b"{\"" } else { b",\"" });
        let start = text.len();
        let was_repaired = write_repaired(text, key);
        let key = text.get(start..).unwrap_or_default();
        let (fingerprint, key) = (fingerprint(key), start..text.len());
        self.sentinels |= text.get(start) == Some(&b'$');
        text.extend_from_slice(b"\":");
        value(text);
        let member = Written { fingerprint, key: key.len(), whole: text.len() - start + 1 };
        let bit = 1 << (fingerprint >> 58);
        if self.seen & bit != 0 {
            self.remove_same(text, key, fingerprint);
        }
        self.seen |= bit;
        self.list.push(member);
        was_repaired
    }

    /// Takes out the member that has the key at `new`, if there is one.
    #[inline(never)]
    fn remove_same(&mut self, text: &mut Vec<u8>, new: Range<usize>, fingerprint: u64) {
        let mut at = self.start + 1;
        let found = self.list.iter().position(|member| {
            let same = member.fingerprint == fingerprint
                && text.get(at + 1..at + 1 + member.key) == text.get(new.clone());
            at += if same { 0 } else { member.whole + 1 };
            same
        });
        if let Some(found) = found {
            let Written { whole, .. } = self.list.remove(found);
            text.drain(at..=at + whole);
        }
    }

    /// Where the members are in the text.
    fn iter(&self, text: &[u8]) -> impl Iterator<Item = Member> {
        let mut at = self.start + 1;
        self.list.iter().map(move |member| {
            let (key, end) = (at + 1..at + 1 + member.key, at + member.whole);
            at = end + 1;
            let escaped = text.get(key.clone()).is_some_and(|key| key.contains(&b'\\'));
            let value = key.end + 2..end;
            Member { key, escaped, value }
        })
    }

    fn clear(&mut self) {
        self.list.clear();
        self.list.shrink_to(KEPT_BYTES / size_of::<Written>());
        self.seen = 0;
        self.sentinels = false;
    }
}

/// A number that two different texts seldom share.
#[inline]
fn fingerprint(text: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |mixed: u64, word: u64| (mixed.rotate_left(23) ^ word).wrapping_mul(ODD);
    let words = text.as_chunks::<8>().0;
    let mixed = words.iter().fold(text.len() as u64, |mixed, word| mix(mixed, u64::from_le_bytes(*word)));
    // The end is a word of its own, which may overlap the one before it.
    match (text.last_chunk::<8>(), text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(last), ..) => mix(mixed, u64::from_le_bytes(*last)),
        (None, Some(first), Some(last)) => {
            let first = u64::from(u32::from_le_bytes(*first));
            mix(mixed, first << 32 | u64::from(u32::from_le_bytes(*last)))
        }
        _ => text.iter().fold(mixed, |mixed, byte| mix(mixed, u64::from(*byte))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Scratch, encode};
    use crate::random::Random;

    fn object(members: &Members, text: &[u8]) -> String {
        if members.list.is_empty() {
            return "{}".to_owned();
        }
        String::from_utf8(text[members.start..].to_vec()).unwrap() + "}"
    }

    #[test]
    fn keeps_one_member_a_key() {
        let (mut members, mut text) = (Members { start: 4, ..Members::default() }, b"name".to_vec());
        for (key, value) in [("a", "1"), ("bb", "2"), ("a", "3"), ("c", "4"), ("bb", "5"), ("c", "66")] {
            members.set(&mut text, key.as_bytes(), |out| out.extend_from_slice(value.as_bytes()));
            serde_json::from_str::<serde_json::Value>(&object(&members, &text)).unwrap();
        }
        assert_eq!(object(&members, &text), r#"{"a":3,"bb":5,"c":66}"#);
    }

    #[test]
    fn keys_are_told_apart_whatever_they_share() {
        let (mut members, mut text) = (Members::default(), Vec::new());
        let keys: Vec<String> = (0..300)
            .flat_map(|n| {
                [format!("{n}"), format!("beginning {n:03} and end"), format!("é{n}"), "x".repeat(n + 1)]
            })
            .collect();
        for value in ["1", "22"] {
            for key in &keys {
                members.set(&mut text, key.as_bytes(), |out| out.extend_from_slice(value.as_bytes()));
            }
        }
        assert_eq!(members.list.len(), keys.len());
        let read: serde_json::Map<_, _> = serde_json::from_str(&object(&members, &text)).unwrap();
        assert!(read.len() == keys.len() && read.values().all(|value| value == 22));
        // The texts of one fingerprint are compared in full.
        for member in &mut members.list {
            member.fingerprint = fingerprint(b"7");
        }
        members.set(&mut text, b"7", |out| out.push(b'3'));
        assert_eq!(object(&members, &text).matches("\"7\":").count(), 1);
        assert_eq!(members.list.len(), keys.len());
    }

    #[test]
    fn a_built_event_is_as_the_same_properties_scanned() {
        let keys = [
            "a",
            "b",
            "é",
            "with \"quotes\"",
            "$other",
            "$lib",
            "$lib_version",
            "$session_id",
            "$window_id",
            "$set",
            "$groups",
            "$ignore_sent_at",
            "super",
            "\u{1}",
            "$",
            "a longer key than most",
            "a longer key than some",
        ];
        let mut additions = Additions::default();
        additions.register("super", b"1").unwrap();
        additions.register("$session_id", b"\"s\"").unwrap();
        let (mut built, mut scanned) = (Scratch::take(0), Scratch::take(0));
        for seed in 0..5_000 {
            let mut random = Random::new(seed);
            let mut builder = EventBuilder::take(b"user", b"event");
            for _ in 0..random.below(12) {
                let key = random.one_of(&keys).as_bytes();
                let set = match random.below(5) {
                    0 => builder.set_text(key, random.one_of(&["", "true", "é \"x\"", "0"]).as_bytes()),
                    1 => builder.set_integer(key, random.one_of(&[0, -1, i64::MAX])),
                    2 => builder.set_number(key, random.one_of(&[0.0, 0.1, 1e300])),
                    3 => builder.set_bool(key, random.percent(50)),
                    _ => {
                        builder.set_json(key, random.one_of(&["{\"k\": 1}", " null ", "[1 , 2]"]).as_bytes())
                    }
                };
                set.unwrap();
            }
            let properties = object(&builder.properties, &builder.text);
            let additions = if random.percent(50) { &additions } else { &Additions::default() };
            let now = Timestamp::now();
            let of = |mut draft: Draft<'_>, scratch: &mut Scratch| {
                draft.timestamp = Some(now);
                draft.uuid = Some("0190a5b4-7c3d-7abc-8def-0123456789ab".into());
                let encoded = encode(&draft, additions, 1 << 20, scratch).map_err(|error| error.to_string());
                encoded.map(|_| String::from_utf8(scratch.wire.clone()).unwrap())
            };
            let draft = builder.draft(&mut built.properties, additions);
            let by_builder = of(draft, &mut built);
            let draft = Draft::loose(b"user", b"event", Some(properties.as_bytes()));
            assert_eq!(by_builder, of(draft, &mut scanned), "{properties}");
            builder.keep();
        }
    }

    #[test]
    fn a_builder_that_is_used_again_has_nothing_of_the_event_before() {
        let mut event = EventBuilder::take(b"u\xffser", b"name");
        event.set_text(b"$lib\xff", b"x").unwrap();
        event.set_group(b"company", b"acme").unwrap();
        event.set_uuid(b"no uuid");
        event.set_timestamp_ms(0).unwrap();
        event.set_text(b"long", &vec![b'x'; 2 * KEPT_BYTES]).unwrap();
        event.keep();
        let event = EventBuilder::take(b"", b"");
        assert!(event.text.capacity() > 0 && event.text.capacity() <= KEPT_BYTES);
        assert_eq!(format!("{event:?}"), format!("{:?}", EventBuilder::default()));
    }

    #[test]
    fn groups_stand_beside_the_properties() {
        let mut scratch = Scratch::take(0);
        let mut event = EventBuilder::take(b"user", b"name");
        for (group_type, key) in [(b"company", b"acme"), (b"project", b"\"p\xff "), (b"company", b"c\"2 ")] {
            event.set_group(group_type, key).unwrap();
        }
        event.set_json(b"$groups", b"{\"project\":\"own\"}").unwrap();
        let draft = event.draft(&mut scratch.properties, &Additions::default());
        let encoded = encode(&draft, &Additions::default(), 1 << 20, &mut scratch).unwrap();
        assert!(encoded.repaired);
        let wire: serde_json::Value = serde_json::from_slice(&scratch.wire).unwrap();
        let groups = serde_json::json!({"$groups": {"company": "c\"2 ", "project": "own"}});
        assert_eq!(wire["properties"], groups);
        assert!(event.set_group(b"", b"x").is_err() && event.set_group(b"x", b"").is_err());
    }

    #[test]
    fn writes_each_type() {
        let mut event = EventBuilder::take(b"user", b"name");
        event.set_text(b"t", b"x\"\xff").unwrap();
        event.set_integer(b"i", i64::MIN).unwrap();
        event.set_number(b"n", 0.1).unwrap();
        event.set_number(b"big", 1e300).unwrap();
        event.set_bool(b"b", true).unwrap();
        event.set_json(b"j", b" [1, 2] ").unwrap();
        assert_eq!(
            object(&event.properties, &event.text),
            "{\"t\":\"x\\\"\u{fffd}\",\"i\":-9223372036854775808,\"n\":0.1,\"big\":1e300,\"b\":true,\"j\":[1, 2]}"
        );
        assert!(event.repaired);
        assert!(event.set_number(b"n", f64::NAN).is_err());
        let error = event.set_json(b"a property", b"[1,").unwrap_err();
        let message = "property \"a property\": at byte 3: the text ends where a value is expected";
        assert_eq!((error.status, &*error.message), (Status::INVALID_JSON, message));
        assert!(event.set_bool(b"", true).is_err());
    }
}
