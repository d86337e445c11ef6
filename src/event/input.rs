//! An event as a caller gives it, and how it is read. Nothing is written here.

use std::ops::Range;

use super::builder::EventBuilder;
use super::name::{Name, whole_number};
use super::properties::{Found, PropertyRanges};
use super::rules::{
    Destination, GROUPS, LIFTED, Lifted, PerLifted, PerMerged, UNSET, coerce, is_mergeable, refused_json,
};
use super::super_properties::SuperProperties;
use super::timestamp::{Timestamp, parse_timestamp};
use super::uuid::GivenUuid;
use crate::json::{Cursor, Key, NO_MEMORY, Sound, read_checked, unescape};
use crate::memory::NoMemory;
use crate::status::{Error, Status};
use crate::suggest::did_you_mean;

/// One event, in any of the forms that a caller may give it.
///
/// Texts (ids, names, keys) are UTF-8; what is not is replaced by U+FFFD, and the event counts as repaired.
#[derive(Clone, Copy, Debug)]
pub enum EventInput<'a> {
    /// Its name, its distinct id, and its properties as one JSON object. `None` and the JSON text
    /// `null` are an empty object.
    Parts {
        /// The person or thing that the event belongs to; 1 to 200 bytes without the white space around it,
        /// which is not sent. The same holds for every other distinct id here.
        distinct_id: &'a [u8],
        /// The event's name; 1 to 200 bytes.
        event: &'a [u8],
        /// A JSON object.
        properties: Option<&'a [u8]>,
    },
    /// A whole event as one JSON object. Its keys are `event` and `distinct_id`, and perhaps `properties`,
    /// `timestamp`, `uuid`, `$set`, `$set_once`, `$unset`, `$groups` or `groups`, `options`, `session_id`,
    /// `window_id`. The distinct id may be a whole number of 64 bits, which is sent as its text.
    Json(&'a [u8]),
    /// An event that was put together property by property.
    Built(&'a EventBuilder),
    /// `$identify`: sets properties of a person.
    Identify {
        /// The person.
        distinct_id: &'a [u8],
        /// `$set`, a JSON object; `None` is an empty one.
        set: Option<&'a [u8]>,
        /// `$set_once`, a JSON object; `None` is not sent.
        set_once: Option<&'a [u8]>,
    },
    /// `$create_alias`: two ids are the same person from now on.
    Alias {
        /// The canonical id.
        distinct_id: &'a [u8],
        /// The other id; not empty. White space around it is not sent either.
        alias: &'a [u8],
    },
    /// `$groupidentify`: sets properties of a group.
    GroupIdentify {
        /// The group's type, such as `company`; not empty.
        group_type: &'a [u8],
        /// Which group of that type; not empty.
        group_key: &'a [u8],
        /// `$group_set`, a JSON object; `None` is an empty one.
        set: Option<&'a [u8]>,
        /// The event's distinct id; `None` is `$<type>_<key>`.
        distinct_id: Option<&'a [u8]>,
    },
}

/// An event that was read: everything that the encoder writes, sorted by meaning.
#[derive(Clone, Debug)]
pub(super) struct Event<'t> {
    pub name: Name<'t>,
    pub distinct_id: Name<'t>,
    pub found: Found<'t>,
    /// What belongs into the properties or out of them and was given elsewhere; few events have any.
    pub outside: Option<&'t TopLevel<'t>>,
    pub uuid: GivenUuid,
    /// `None` is the time of the capture call.
    pub timestamp: Option<Timestamp>,
    /// Whether text was repaired.
    pub repaired: bool,
}

/// What was given outside the properties.
#[derive(Clone, Debug, Default)]
pub(super) struct TopLevel<'t> {
    /// JSON objects, or lists where these are valid too.
    pub merged: PerMerged<Option<&'t [u8]>>,
    /// Options, and fields of the event itself.
    pub lifted: PerLifted<Option<Lifted<&'t [u8]>>>,
}

impl<'t> TopLevel<'t> {
    /// How many bytes it is at most.
    pub(super) fn bytes(&self) -> usize {
        let lifted = self.lifted.iter().map(|value| match value {
            Some(Lifted::Text(text)) => text.len(),
            _ => 0,
        });
        lifted.chain(self.merged.iter().flatten().map(|object| object.len())).sum()
    }

    /// Only groups, as one JSON object.
    pub(super) fn groups(object: &'t [u8]) -> Self {
        let mut outside = TopLevel::default();
        put(&mut outside.merged, GROUPS, Some(object));
        outside
    }
}

/// A whole event as one JSON object that was read.
pub(super) struct JsonEvent<'t> {
    text: &'t [u8],
    repaired: bool,
    fields: &'t Fields,
}

impl<'t> JsonEvent<'t> {
    /// The event, given what was found in its properties; without what is [outside](Self::outside) of them.
    #[inline]
    pub(super) fn event(&self, ranges: &'t PropertyRanges) -> Result<Event<'t>, Error> {
        Ok(Event {
            name: self.name(Field::Event, Status::INVALID_EVENT)?,
            distinct_id: self.name(Field::DistinctId, Status::INVALID_DISTINCT_ID)?,
            found: ranges.of(self.text)?,
            outside: None,
            // A value that is not a string is not a uuid either, and is replaced like one.
            uuid: match self.value(Field::Uuid).map(between_quotes) {
                None => GivenUuid::None,
                Some(None) => GivenUuid::Invalid,
                Some(Some(raw)) => GivenUuid::parse(&unescape(raw)),
            },
            timestamp: self.value(Field::Timestamp).map(timestamp_of).transpose()?,
            repaired: self.repaired,
        })
    }

    /// What was given outside the properties. Checks that what must be an object is one.
    #[inline]
    pub(super) fn outside(&self) -> Result<Option<TopLevel<'t>>, Error> {
        let outside = if self.fields.has_outside() { Some(self.read_outside()?) } else { None };
        self.object(Field::Properties)?;
        Ok(outside)
    }

    #[inline(never)]
    fn read_outside(&self) -> Result<TopLevel<'t>, Error> {
        let groups = self.object(Field::DollarGroups)?.or(self.object(Field::Groups)?);
        let merged = [self.object(Field::Set)?, self.object(Field::SetOnce)?, self.unset()?, groups];
        let mut outside = TopLevel { merged, lifted: PerLifted::default() };
        if let Some(options) = self.object(Field::Options)? {
            outside.read_options(options)?;
        }
        for (i, rule) in LIFTED.iter().enumerate() {
            if let Destination::Event(name) = rule.destination
                && let Some(value) = Field::named(name.as_bytes()).and_then(|field| self.value(field))
            {
                put(&mut outside.lifted, i, Some(coerce(rule.kind, value)));
            }
        }
        Ok(outside)
    }

    fn value(&self, field: Field) -> Option<&'t [u8]> {
        self.text.get(self.fields.get(field)?)
    }

    fn object(&self, field: Field) -> Result<Option<&'t [u8]>, Error> {
        match self.value(field) {
            Some(value) if !value.starts_with(b"{") => {
                let name = field.name();
                Err(Error::new(
                    Status::INVALID_PROPERTY,
                    format_args!("event: `{name}` must be a JSON object"),
                ))
            }
            value => Ok(value),
        }
    }

    fn unset(&self) -> Result<Option<&'t [u8]>, Error> {
        match self.value(Field::Unset) {
            Some(value) if !is_mergeable(UNSET, value) => {
                let message = "event: `$unset` must be a JSON list of names";
                Err(Error::new(Status::INVALID_PROPERTY, message))
            }
            value => Ok(value),
        }
    }

    fn name(&self, field: Field, status: Status) -> Result<Name<'t>, Error> {
        let value = self.value(field);
        match value.map(between_quotes) {
            Some(Some(raw)) => Ok(Name::Json(raw)),
            _ => Self::uncommon_name(field, value, status),
        }
    }

    #[cold]
    fn uncommon_name(field: Field, value: Option<&'t [u8]>, status: Status) -> Result<Name<'t>, Error> {
        let is_id = matches!(field, Field::DistinctId);
        if let Some(digits) = value.filter(|_| is_id).and_then(whole_number) {
            return Ok(Name::Json(digits));
        }
        let problem = match value {
            None => "is missing or null",
            Some([b'-' | b'0'..=b'9', ..]) if is_id => {
                "is a number with a fraction or an exponent, or beyond 64 bits: pass it as a string"
            }
            Some(_) if is_id => "must be a string or a whole number",
            Some(_) => "must be a string",
        };
        Err(Error::new(status, format_args!("event: `{}` {problem}", field.name())))
    }
}

impl<'t> TopLevel<'t> {
    fn read_options(&mut self, options: &'t [u8]) -> Result<(), Error> {
        let mut unknown = None;
        let mut cursor = Cursor::new(options);
        let end = cursor.members(0, 0, |member| {
            let text = |range: &Range<usize>| options.get(range.clone()).unwrap_or_default();
            let key = unescape(text(&member.key.inside));
            let position = LIFTED
                .iter()
                .position(|rule| matches!(rule.destination, Destination::Option(name) if name == key));
            match position.and_then(|i| Some((i, LIFTED.get(i)?))) {
                Some((i, rule)) => put(&mut self.lifted, i, Some(coerce(rule.kind, text(&member.value)))),
                None => unknown = Some(key.into_owned()),
            }
        });
        match (end, unknown) {
            (Some(_), None) => Ok(()),
            (Some(_), Some(key)) => {
                let names = LIFTED.iter().filter_map(|rule| match rule.destination {
                    Destination::Option(name) => Some(name),
                    Destination::Event(_) => None,
                });
                Err(unknown_key("options", &key, names))
            }
            (None, _) => Err(refused_json("options", &cursor.error())),
        }
    }
}

/// The keys of an event that is given as one JSON object.
#[derive(Clone, Copy)]
enum Field {
    Event,
    DistinctId,
    Properties,
    Timestamp,
    Uuid,
    Set,
    SetOnce,
    Unset,
    DollarGroups,
    Groups,
    Options,
    SessionId,
    WindowId,
}

/// Their names, in the order of [`Field`].
const FIELDS: [&str; 13] = [
    "event",
    "distinct_id",
    "properties",
    "timestamp",
    "uuid",
    "$set",
    "$set_once",
    "$unset",
    "$groups",
    "groups",
    "options",
    "session_id",
    "window_id",
];

impl Field {
    fn name(self) -> &'static str {
        FIELDS.get(self as usize).copied().unwrap_or_default()
    }

    /// The field of this name. A `match` compares with the names of its length only.
    fn named(name: &[u8]) -> Option<Field> {
        Some(match name {
            b"event" => Field::Event,
            b"distinct_id" => Field::DistinctId,
            b"properties" => Field::Properties,
            b"timestamp" => Field::Timestamp,
            b"uuid" => Field::Uuid,
            b"$set" => Field::Set,
            b"$set_once" => Field::SetOnce,
            b"$unset" => Field::Unset,
            b"$groups" => Field::DollarGroups,
            b"groups" => Field::Groups,
            b"options" => Field::Options,
            b"session_id" => Field::SessionId,
            b"window_id" => Field::WindowId,
            _ => return None,
        })
    }
}

/// Where the values of [`FIELDS`] are; on duplicate keys the last. A value `null` counts as absent.
#[derive(Default)]
pub(super) struct Fields {
    values: [Option<Range<usize>>; FIELDS.len()],
    /// Between its quotes.
    unknown: Option<Range<usize>>,
}

impl Fields {
    /// Reads the event, its properties into `ranges`; returns its sound text.
    #[inline]
    pub(super) fn read_checked<'a>(
        &mut self,
        json: &'a [u8],
        ranges: &mut PropertyRanges,
        super_properties: &SuperProperties,
    ) -> Result<Sound<'a>, Error> {
        let read = read_checked(json, |cursor| {
            *self = Fields::default();
            self.read(cursor, ranges, super_properties)
        });
        let sound = read.map_err(|error| {
            if error.what == NO_MEMORY {
                return NoMemory.into();
            }
            Error::new(Status::INVALID_JSON, format_args!("event: {error}"))
        })?;
        if let Some(key) = &self.unknown {
            let key = unescape(sound.text.get(key.clone()).unwrap_or_default());
            return Err(unknown_key("event", &key, FIELDS.iter().copied()));
        }
        if self.get(Field::Properties).is_none() {
            ranges.clear(super_properties);
        }
        Ok(sound)
    }

    /// The event that was read, of which this is the sound text.
    pub(super) fn of<'t>(&'t self, sound: &'t Sound<'_>) -> JsonEvent<'t> {
        JsonEvent { text: &sound.text, repaired: sound.repaired, fields: self }
    }

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "part of the cursor's loop")]
    fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        ranges: &mut PropertyRanges,
        super_properties: &SuperProperties,
    ) -> Option<usize> {
        let text = cursor.text();
        let (mut more, mut at) = cursor.open_object(0, 0)?;
        while more {
            let (key, start) = cursor.key(at)?;
            let field = Self::field(text, &key);
            let end = match (field, text.get(start)) {
                (Some(Field::Properties), Some(b'{')) => ranges.read(cursor, start, super_properties)?,
                _ => cursor.value(start, 1)?,
            };
            match field {
                Some(field) => self.put(field, text, start..end),
                None => self.unknown = Some(key.inside),
            }
            (more, at) = cursor.next_member(end)?;
        }
        Some(at)
    }

    #[inline]
    fn field(text: &[u8], key: &Key) -> Option<Field> {
        let raw = text.get(key.inside.clone())?;
        if key.escaped { Field::named(unescape(raw).as_bytes()) } else { Field::named(raw) }
    }

    #[inline]
    fn put(&mut self, field: Field, text: &[u8], value: Range<usize>) {
        let is_null = text.get(value.clone()) == Some(b"null");
        put(&mut self.values, field as usize, (!is_null).then_some(value));
    }

    /// Whether anything was given outside the properties that belongs elsewhere: [`Field::Set`] and all
    /// behind it.
    fn has_outside(&self) -> bool {
        self.values.iter().skip(Field::Set as usize).any(Option::is_some)
    }

    fn get(&self, field: Field) -> Option<Range<usize>> {
        self.values.get(field as usize)?.clone()
    }
}

#[inline]
fn put<T>(slots: &mut [T], position: usize, value: T) {
    if let Some(slot) = slots.get_mut(position) {
        *slot = value;
    }
}

fn between_quotes(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// The instant that a JSON value names.
fn timestamp_of(value: &[u8]) -> Result<Timestamp, Error> {
    match between_quotes(value) {
        Some(raw) => parse_timestamp(&unescape(raw)),
        None => Err(Error::new(Status::INVALID_TIMESTAMP, "event: `timestamp` must be a string")),
    }
}

fn unknown_key<'k>(place: &str, key: &str, known: impl Iterator<Item = &'k str>) -> Error {
    let hint = did_you_mean(key, known);
    Error::new(Status::INVALID_JSON, format_args!("{place}: the key {key:?} is unknown{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_found_by_its_name() {
        for (position, name) in FIELDS.iter().enumerate() {
            let field = Field::named(name.as_bytes()).unwrap();
            assert_eq!((field as usize, field.name()), (position, *name));
        }
        for rule in &LIFTED {
            if let Destination::Event(name) = rule.destination {
                assert!(Field::named(name.as_bytes()).is_some(), "{name}");
            }
        }
    }
}
