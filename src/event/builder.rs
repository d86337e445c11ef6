//! An event that is put together property by property.

use std::cell::Cell;
use std::fmt;

use super::KEPT_BYTES;
use super::members::Members;
use super::properties::{Found, PropertyRanges, is_null};
use super::rules::refused_json;
use super::super_properties::SuperProperties;
use super::timestamp::{Timestamp, not_an_instant};
use super::uuid::GivenUuid;
use crate::json::{
    MAX_DEPTH, Sound, escaped_length, is_plain, read_checked, repair, unescape, write_double, write_integer,
    write_repaired, write_unsigned,
};
use crate::memory::{NoMemory, keep_at_most, reserve};
use crate::status::{Error, Status};

/// How many levels of nesting keep their memory.
const KEPT_LEVELS: usize = 8;

/// A growing event. Each value is written straight as JSON text, so that the capture need not read it.
///
/// The properties are one JSON object. [`begin_object`](Self::begin_object) and
/// [`begin_array`](Self::begin_array) open a container in it, to which the following values belong until
/// [`end`](Self::end). A value needs a key inside an object and has no key inside an array; setting a key
/// of an object again replaces its value. A setter that fails changes nothing; each fails with
/// [`Status::OUT_OF_RESOURCES`] when there is no memory.
#[derive(Debug, Default)]
pub struct EventBuilder {
    /// The distinct id and the event's name as they stand between quotes, then the properties without what
    /// closes them: one text, from which the encoder copies.
    text: Vec<u8>,
    distinct_id_end: usize,
    name_end: usize,
    properties: Members,
    /// The open containers inside the properties, outermost first. Those from `depth` on are not in use and
    /// kept for their memory.
    containers: Vec<Container>,
    depth: usize,
    /// One JSON object, or nothing.
    groups_text: Vec<u8>,
    groups: Members,
    uuid: GivenUuid,
    timestamp: Option<Timestamp>,
    repaired: bool,
}

#[derive(Debug, Default)]
struct Container {
    is_array: bool,
    /// Whether an array has no element yet.
    is_empty: bool,
    /// The members of an object.
    members: Members,
}

thread_local! {
    // The builder of this thread's last event, so that the next one finds its memory there.
    static KEPT: Cell<Option<Box<EventBuilder>>> = const { Cell::new(None) };
}

impl EventBuilder {
    /// An event without properties. The names are checked when it is captured.
    pub fn take(distinct_id: &[u8], event: &[u8]) -> Result<Box<Self>, Error> {
        let bytes = distinct_id.len() + event.len();
        Self::take_with(bytes, |text| write_repaired(text, distinct_id), event)
    }

    /// The same for the member of a group that has no distinct id of its own.
    pub(super) fn take_for_group(
        group_type: &[u8],
        group_key: &[u8],
        event: &[u8],
    ) -> Result<Box<Self>, Error> {
        let parts = [b"$", group_type, b"_", group_key];
        let bytes = parts.iter().map(|part| part.len()).sum::<usize>() + event.len();
        Self::take_with(
            bytes,
            |text| parts.iter().fold(false, |any, part| any | write_repaired(text, part)),
            event,
        )
    }

    /// `bytes` is the length of the names.
    #[inline]
    fn take_with(
        bytes: usize,
        write_distinct_id: impl FnOnce(&mut Vec<u8>) -> bool,
        event: &[u8],
    ) -> Result<Box<Self>, Error> {
        let mut builder = KEPT.try_with(Cell::take).ok().flatten().unwrap_or_default();
        let EventBuilder { text, distinct_id_end, name_end, properties, repaired, .. } = &mut *builder;
        // An escape has six bytes.
        if reserve(text, 6 * bytes).is_err() {
            builder.keep();
            return Err(NoMemory.into());
        }
        *repaired |= write_distinct_id(text);
        *distinct_id_end = text.len();
        *repaired |= write_repaired(text, event);
        *name_end = text.len();
        properties.begin(text);
        Ok(builder)
    }

    /// Keeps the builder's memory for this thread's next event.
    pub fn keep(mut self: Box<Self>) {
        for text in [&mut self.text, &mut self.groups_text] {
            keep_at_most(text, KEPT_BYTES);
        }
        self.properties.keep_at_most(KEPT_BYTES);
        self.groups.keep_at_most(KEPT_BYTES);
        self.depth = 0;
        self.containers.truncate(KEPT_LEVELS);
        for container in &mut self.containers {
            container.members.keep_at_most(KEPT_BYTES);
        }
        self.uuid = GivenUuid::None;
        self.timestamp = None;
        self.repaired = false;
        // Fails on a thread that is ending, which has no next event.
        let _ = KEPT.try_with(|slot| slot.set(Some(self)));
    }

    /// Sets a text; invalid UTF-8 in it is repaired.
    pub fn set_text(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<(), Error> {
        if is_plain(value) {
            return self.set(key, value.len() + QUOTES, |out| {
                out.push(b'"');
                out.extend_from_slice(value);
                out.push(b'"');
            });
        }
        self.set_uncommon_text(key, value)
    }

    #[inline(never)]
    fn set_uncommon_text(&mut self, key: Option<&[u8]>, value: &[u8]) -> Result<(), Error> {
        let mut was_repaired = false;
        self.set(key, escaped_length(value) + QUOTES, |out| was_repaired = write_quoted(out, value))?;
        self.repaired |= was_repaired;
        Ok(())
    }

    /// Sets a whole number.
    pub fn set_integer(&mut self, key: Option<&[u8]>, value: i64) -> Result<(), Error> {
        self.set(key, NUMBER, |out| write_integer(out, value))
    }

    /// Sets a whole number that is not negative.
    pub fn set_unsigned(&mut self, key: Option<&[u8]>, value: u64) -> Result<(), Error> {
        self.set(key, NUMBER, |out| write_unsigned(out, value))
    }

    /// Sets a number, written with as few digits as read back to the same double. JSON has no NaN and no
    /// infinities: they are refused with [`Status::INVALID_PROPERTY`].
    pub fn set_number(&mut self, key: Option<&[u8]>, value: f64) -> Result<(), Error> {
        if !value.is_finite() {
            let target = Target(key);
            let text = format_args!("the {target} is {value}; JSON has no such number");
            return Err(Error::new(Status::INVALID_PROPERTY, text));
        }
        self.set(key, NUMBER, |out| write_double(out, value))
    }

    /// Sets a bool.
    #[inline]
    pub fn set_bool(&mut self, key: Option<&[u8]>, value: bool) -> Result<(), Error> {
        self.set(key, NUMBER, |out| out.extend_from_slice(if value { b"true" } else { b"false" }))
    }

    /// Sets `null`.
    pub fn set_null(&mut self, key: Option<&[u8]>) -> Result<(), Error> {
        self.set(key, NUMBER, |out| out.extend_from_slice(b"null"))
    }

    /// Sets a value given as JSON text, which is refused as in a capture of JSON text.
    pub fn set_json(&mut self, key: Option<&[u8]>, json: &[u8]) -> Result<(), Error> {
        // The properties are a container too.
        let outer = u32::try_from(self.depth + 1).unwrap_or(u32::MAX);
        let sound = read_checked(json, |cursor| cursor.value(0, outer))
            .map_err(|error| refused_json(Target(key), &error))?;
        self.set_sound(key, &sound)
    }

    /// Sets each member of a JSON object as a property, but for those whose keys are in `except`. The text is refused
    /// as in a capture, and so is a call while a container is open; then nothing is set.
    pub(crate) fn set_members(&mut self, json: &[u8], except: &[&str]) -> Result<(), Error> {
        self.check_closed()?;
        if is_null(json) {
            return Ok(());
        }
        let mut found = Vec::new();
        let mut no_memory = false;
        let sound = read_checked(json, |cursor| {
            found.clear();
            cursor.members(0, 0, |member| match reserve(&mut found, 1) {
                Ok(()) => found.push((member.key.inside, member.value)),
                Err(NoMemory) => no_memory = true,
            })
        })
        .map_err(|error| refused_json("properties", &error))?;
        if no_memory {
            return Err(NoMemory.into());
        }
        self.properties.reserve(&mut self.text, &found)?;
        let slice = |range| sound.text.get(range).unwrap_or_default();
        for (key, value) in found {
            let (key, value) = (unescape(slice(key)), slice(value));
            if except.contains(&&*key) {
                continue;
            }
            // A key may be empty, as in a capture of JSON text. Only a function that sets one property takes no such key.
            self.repaired |= self.properties.begin_member(&mut self.text, key.as_bytes(), value.len())?;
            self.text.extend_from_slice(value);
        }
        self.repaired |= sound.repaired;
        Ok(())
    }

    /// Notes that text which is in the event was repaired before it was set.
    pub(crate) fn set_repaired(&mut self) {
        self.repaired = true;
    }

    /// Fails with [`Status::INVALID_EVENT`] while an object or array is open.
    pub(crate) fn check_closed(&self) -> Result<(), Error> {
        if self.depth > 0 { Err(self.still_open()) } else { Ok(()) }
    }

    /// Sets a value given as text that was read before.
    pub(super) fn set_sound(&mut self, key: Option<&[u8]>, sound: &Sound<'_>) -> Result<(), Error> {
        let json = sound.text.trim_ascii();
        self.set(key, json.len(), |out| out.extend_from_slice(json))?;
        self.repaired |= sound.repaired;
        Ok(())
    }

    /// Begins an object, to which the following values belong until [`end`](Self::end). Nesting deeper than
    /// 100 containers is refused with [`Status::INVALID_PROPERTY`].
    pub fn begin_object(&mut self, key: Option<&[u8]>) -> Result<(), Error> {
        self.begin_container(key, false)
    }

    /// Begins an array, otherwise like [`begin_object`](Self::begin_object).
    pub fn begin_array(&mut self, key: Option<&[u8]>) -> Result<(), Error> {
        self.begin_container(key, true)
    }

    /// Ends the object or array that was begun last. When none is open it fails with
    /// [`Status::INVALID_ARGUMENT`].
    pub fn end(&mut self) -> Result<(), Error> {
        reserve(&mut self.text, BRACKETS)?;
        let EventBuilder { text, containers, depth, .. } = self;
        let innermost = depth.checked_sub(1).and_then(|innermost| containers.get_mut(innermost));
        let Some(container) = innermost else {
            let message =
                "no object or array is open: end() closes what begin_object() or begin_array() began";
            return Err(Error::new(Status::INVALID_ARGUMENT, message));
        };
        if container.is_array {
            text.extend_from_slice(if container.is_empty { b"[]" } else { b"]" });
        } else {
            container.members.end(text);
        }
        self.depth -= 1;
        Ok(())
    }

    /// Makes the event belong to a group. Setting a type again replaces its key. Without a type or a key it
    /// fails with [`Status::INVALID_PROPERTY`].
    pub fn set_group(&mut self, group_type: &[u8], group_key: &[u8]) -> Result<(), Error> {
        if group_type.is_empty() || group_key.is_empty() {
            return Err(Error::new(Status::INVALID_PROPERTY, "a group needs a type and a key"));
        }
        let text = &mut self.groups_text;
        // The bracket that closes the object.
        text.pop();
        let bytes = escaped_length(group_key) + QUOTES + BRACKETS;
        let begun = self.groups.begin_member(text, group_type, bytes);
        if let Ok(type_repaired) = begun {
            self.repaired |= type_repaired | write_quoted(text, group_key);
        }
        // There is memory for the bracket, as before.
        if begun.is_ok() || !text.is_empty() {
            self.groups.end(text);
        }
        Ok(begun.map(drop)?)
    }

    /// Gives the event its uuid, in any spelling. What is not a uuid is replaced at the capture.
    pub fn set_uuid(&mut self, uuid: &[u8]) {
        self.uuid = std::str::from_utf8(uuid).map_or(GivenUuid::Invalid, GivenUuid::parse);
    }

    /// Sets when the event happened, in milliseconds since the Unix epoch. Years other than 0000 to 9999 are
    /// refused with [`Status::INVALID_TIMESTAMP`].
    pub fn set_timestamp_ms(&mut self, unix_ms: i64) -> Result<(), Error> {
        let timestamp = Timestamp::from_unix_ms(unix_ms).ok_or_else(|| {
            let text = format_args!("{unix_ms} ms since 1970 is not in a year of four digits");
            Error::new(Status::INVALID_TIMESTAMP, text)
        })?;
        self.timestamp = Some(timestamp);
        Ok(())
    }

    /// Sets when the event happened, as RFC 3339 text with an offset.
    pub fn set_timestamp(&mut self, text: &[u8]) -> Result<(), Error> {
        let instant = std::str::from_utf8(text).ok().and_then(Timestamp::parse);
        self.timestamp = Some(instant.ok_or_else(|| not_an_instant(&repair(beginning(text))))?);
        Ok(())
    }

    /// Finds the properties in the text, which need not be read for that. Fails with
    /// [`Status::INVALID_EVENT`] while a container is open.
    #[inline]
    pub(super) fn find_properties<'t>(
        &'t self,
        ranges: &'t mut PropertyRanges,
        super_properties: &SuperProperties,
    ) -> Result<Found<'t>, Error> {
        self.check_closed()?;
        let members = &self.properties;
        let one_run =
            members.run(&self.text).filter(|_| !members.has_sentinels() && !super_properties.has_members());
        match one_run {
            Some(run) => ranges.fill_with_run(run, super_properties),
            None => ranges.fill(&self.text, members.iter(&self.text), super_properties),
        }
        Ok(ranges.of(&self.text)?)
    }

    #[cold]
    fn still_open(&self) -> Error {
        let open = self.depth;
        if open == 1 {
            let text = "an object or array of the event is still open: call end() once before the capture";
            return Error::new(Status::INVALID_EVENT, text);
        }
        let text = format_args!(
            "{open} objects or arrays of the event are still open: call end() {open} times before the capture"
        );
        Error::new(Status::INVALID_EVENT, text)
    }

    /// The distinct id as it stands between quotes.
    pub(super) fn distinct_id(&self) -> &[u8] {
        self.text.get(..self.distinct_id_end).unwrap_or_default()
    }

    /// The event's name as it stands between quotes.
    pub(super) fn name(&self) -> &[u8] {
        self.text.get(self.distinct_id_end..self.name_end).unwrap_or_default()
    }

    /// The groups as one JSON object, if there are any.
    pub(super) fn groups(&self) -> Option<&[u8]> {
        (!self.groups_text.is_empty()).then_some(&self.groups_text)
    }

    pub(super) fn uuid(&self) -> GivenUuid {
        self.uuid
    }

    pub(super) fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    /// Whether text was repaired.
    pub(super) fn is_repaired(&self) -> bool {
        self.repaired
    }

    #[inline]
    fn set(
        &mut self,
        key: Option<&[u8]>,
        value_bytes: usize,
        value: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), Error> {
        self.begin_value(key, value_bytes)?;
        value(&mut self.text);
        Ok(())
    }

    /// Writes what stands before a value of the innermost container, and reserves memory for the value.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: a call of it costs a twentieth of a built event")]
    fn begin_value(&mut self, key: Option<&[u8]>, value_bytes: usize) -> Result<(), Error> {
        if let (0, Some(key)) = (self.depth, key.filter(|key| !key.is_empty())) {
            self.repaired |= self.properties.begin_member(&mut self.text, key, value_bytes)?;
            return Ok(());
        }
        self.begin_uncommon_value(key, value_bytes)
    }

    #[inline(never)]
    fn begin_uncommon_value(&mut self, key: Option<&[u8]>, value_bytes: usize) -> Result<(), Error> {
        let innermost = self.depth.checked_sub(1).and_then(|innermost| self.containers.get_mut(innermost));
        let members = match innermost {
            Some(array) if array.is_array => {
                if key.is_some() {
                    let message = "the innermost open container is an array, whose values have no keys: pass no key, or end() the array first";
                    return Err(Error::new(Status::INVALID_ARGUMENT, message));
                }
                reserve(&mut self.text, 1 + value_bytes)?;
                self.text.push(if array.is_empty { b'[' } else { b',' });
                array.is_empty = false;
                return Ok(());
            }
            Some(object) => &mut object.members,
            None => &mut self.properties,
        };
        match key {
            None => {
                let message = "a value needs a key, unless the innermost open container is an array: pass a key, or begin_array() first";
                Err(Error::new(Status::INVALID_ARGUMENT, message))
            }
            Some(b"") => Err(Error::new(Status::INVALID_PROPERTY, "a property needs a key")),
            Some(key) => {
                self.repaired |= members.begin_member(&mut self.text, key, value_bytes)?;
                Ok(())
            }
        }
    }

    fn begin_container(&mut self, key: Option<&[u8]>, is_array: bool) -> Result<(), Error> {
        // The properties are a container too.
        if self.depth + 1 >= MAX_DEPTH as usize {
            let target = Target(key);
            let text = format_args!("the {target} is nested deeper than {MAX_DEPTH} containers");
            return Err(Error::new(Status::INVALID_PROPERTY, text));
        }
        reserve(&mut self.containers, 1)?;
        self.begin_value(key, BRACKETS)?;
        if self.containers.len() == self.depth {
            self.containers.push(Container::default());
        }
        if let Some(container) = self.containers.get_mut(self.depth) {
            container.is_array = is_array;
            container.is_empty = true;
            container.members.begin(&self.text);
        }
        self.depth += 1;
        Ok(())
    }
}

/// The longest bool, null or number that is written, in bytes.
const NUMBER: usize = 32;
/// Those around a text, in bytes.
const QUOTES: usize = 2;
/// Those of an empty container, in bytes.
const BRACKETS: usize = 2;

/// As much of a text as an error shows.
fn beginning(text: &[u8]) -> &[u8] {
    text.get(..500).unwrap_or(text)
}

/// Appends a JSON string; returns whether it had to be repaired.
#[inline]
fn write_quoted(out: &mut Vec<u8>, text: &[u8]) -> bool {
    out.push(b'"');
    let was_repaired = write_repaired(out, text);
    out.push(b'"');
    was_repaired
}

/// What a value is set for, as errors name it.
struct Target<'a>(Option<&'a [u8]>);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "property {:?}", repair(beginning(key))),
            None => f.write_str("array element"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_read_to_its_end() {
        let spaces = " ".repeat(600);
        let noon = Timestamp::parse("2026-01-31T12:00:00.999Z");
        let mut event = EventBuilder::take(b"u", b"e").unwrap();
        for text in [
            format!("2026-01-31T12:00:00.{}Z", "9".repeat(600)),
            format!("{spaces}2026-01-31T12:00:00.999Z{spaces}"),
        ] {
            event.timestamp = None;
            event.set_timestamp(text.as_bytes()).unwrap();
            assert_eq!(event.timestamp(), noon);
        }
        for rest in [&b"x"[..], b"\xff", "\u{e9}".as_bytes()] {
            let text = [b"2026-01-31T12:00:00Z", spaces.as_bytes(), rest].concat();
            let error = event.set_timestamp(&text).unwrap_err();
            assert_eq!(error.status, Status::INVALID_TIMESTAMP);
            assert!(error.message.contains("\"2026-01-31T12:00:00Z "), "{}", error.message);
            assert_eq!(event.timestamp(), noon, "what was set before stays");
        }
    }

    #[test]
    fn a_builder_that_is_used_again_has_nothing_of_the_event_before() {
        let mut event = EventBuilder::take(b"u\xffser", b"name").unwrap();
        event.set_text(Some(b"$lib\xff"), b"x").unwrap();
        event.set_group(b"company", b"acme").unwrap();
        event.set_uuid(b"not a uuid");
        event.set_timestamp_ms(0).unwrap();
        event.set_text(Some(b"long"), &vec![b'x'; 2 * KEPT_BYTES]).unwrap();
        for level in 0..2 * KEPT_LEVELS {
            event.begin_object(Some(b"$open")).unwrap();
            event.set_integer(Some(b"level"), 0).unwrap();
            event.set_integer(Some(b"level"), i64::try_from(level).unwrap()).unwrap();
        }
        event.keep();
        let mut event = EventBuilder::take(b"", b"").unwrap();
        assert!(event.text.capacity() <= KEPT_BYTES);
        assert_eq!(event.containers.len(), KEPT_LEVELS);
        event.containers.clear();
        assert_eq!(format!("{event:?}"), format!("{:?}", EventBuilder::default()));
    }
}
