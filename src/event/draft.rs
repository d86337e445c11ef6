//! What a capture call gave, sorted by meaning and not yet written: from loose
//! arguments, or from one JSON object that holds the whole event.

use std::borrow::Cow;
use std::ops::Range;

use super::additions::Additions;
use super::encode::parsed;
use super::properties::{Destination, LIFTED, Lifted, LiftedValues, MERGED, Properties, coerce};
use super::quick::Quick;
use super::scan::Scanner;
use super::text::{into_bytes, is_plain, repaired, unescaped};
use super::timestamp::Timestamp;
use crate::status::{Error, Status};
use crate::suggest::did_you_mean;

/// The event's name or its distinct id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// Text still to be escaped.
    Plain(Cow<'a, str>),
    /// What stands between the quotes of a JSON string: sound text, as it is.
    Json(Cow<'a, [u8]>),
}

impl<'a> Name<'a> {
    /// A name that is loose text; bad UTF-8 in it is repaired.
    #[inline]
    fn loose(bytes: &'a [u8]) -> Self {
        if is_plain(bytes) { Name::Json(Cow::Borrowed(bytes)) } else { Name::Plain(repaired(bytes)) }
    }

    fn is_repaired(&self) -> bool {
        matches!(self, Name::Plain(Cow::Owned(_)))
    }
}

/// The properties, before they are written.
#[derive(Clone, Debug)]
pub enum Given<'a> {
    /// None.
    Nothing,
    /// One JSON object, not yet scanned.
    Unscanned(&'a [u8]),
    /// A text that has been scanned already: the scratch's `properties` says
    /// where in it they are.
    Scanned(Cow<'a, [u8]>),
}

/// One event before it is encoded.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// The event's name.
    pub event: Name<'a>,
    /// Whose event it is.
    pub distinct_id: Name<'a>,
    /// Its properties.
    pub properties: Given<'a>,
    /// What was given outside of them; few events have any.
    outside: Option<Box<Outside<'a>>>,
    /// The caller's uuid, in any spelling.
    pub uuid: Option<Cow<'a, str>>,
    /// When it happened; none is now.
    pub timestamp: Option<Timestamp>,
    /// Whether text was repaired on the way here.
    pub repaired: bool,
}

/// What belongs into the properties or out of them, and was given elsewhere.
#[derive(Clone, Debug, Default)]
struct Outside<'a> {
    /// By position in [`MERGED`]: scanned JSON objects.
    merged: [Option<Cow<'a, [u8]>>; MERGED.len()],
    /// Options and fields of the event itself, by position in [`LIFTED`].
    lifted: LiftedValues<Cow<'a, [u8]>>,
}

impl<'a> Draft<'a> {
    /// A draft of loose texts; bad UTF-8 in them is repaired.
    #[inline]
    pub fn new(distinct_id: &'a [u8], event: &'a [u8]) -> Self {
        Self::loose(distinct_id, event, None)
    }

    /// The same with a properties object; no text, or the text `null`, is an empty one.
    #[inline]
    pub fn loose(distinct_id: &'a [u8], event: &'a [u8], properties: Option<&'a [u8]>) -> Self {
        let (distinct_id, event) = (Name::loose(distinct_id), Name::loose(event));
        Draft {
            repaired: distinct_id.is_repaired() || event.is_repaired(),
            event,
            distinct_id,
            properties: properties.filter(|text| !is_null(text)).map_or(Given::Nothing, Given::Unscanned),
            outside: None,
            uuid: None,
            timestamp: None,
        }
    }

    /// With one of the [`MERGED`] objects from outside the properties.
    pub fn set_merged(&mut self, key: &str, json: Option<&'a [u8]>) -> Result<(), Error> {
        let Some(json) = json.filter(|text| !is_null(text)) else { return Ok(()) };
        let (text, was_repaired) = parsed(key, json, |scanner| scanner.members(1, |_| ()))?;
        self.repaired |= was_repaired;
        let text = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii().as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.trim_ascii().as_bytes().to_owned()),
        };
        let merged = &mut self.outside.get_or_insert_default().merged;
        put(merged, MERGED.iter().position(|name| *name == key), text);
        Ok(())
    }

    /// A draft of one text that holds all of it, written and therefore scanned
    /// already: the names as they stand between quotes, and the properties.
    #[inline]
    pub fn written(text: Cow<'a, [u8]>, distinct_id: Range<usize>, event: Range<usize>) -> Self {
        let name = |range| Name::Json(part_of(&text, range).unwrap_or_default());
        Draft {
            event: name(event),
            distinct_id: name(distinct_id),
            properties: Given::Scanned(text),
            outside: None,
            uuid: None,
            timestamp: None,
            repaired: false,
        }
    }

    /// With groups from outside the properties, as the text of a JSON object that
    /// needs no scan.
    pub fn set_groups(&mut self, object: Vec<u8>) {
        let merged = &mut self.outside.get_or_insert_default().merged;
        put(merged, MERGED.iter().position(|name| *name == "$groups"), Cow::Owned(object));
    }

    /// Reads a whole event from one JSON object. `properties` is filled for the
    /// encoder, so that they are not scanned a second time.
    pub fn from_json(
        json: &'a [u8],
        properties: &mut Properties,
        additions: &Additions,
    ) -> Result<Self, Error> {
        let mut fields = Fields::default();
        let mut walk = Quick::new(json);
        let usual = fields.walk(&mut walk, properties, additions).and_then(|behind| walk.end(behind));
        let (text, was_repaired) = if usual.is_some() {
            (Cow::Borrowed(json), false)
        } else {
            let (text, repaired) = parsed("event", json, |scanner| {
                fields = Fields::default();
                fields.scan(scanner, properties, additions)
            })?;
            (into_bytes(text), repaired)
        };
        if let Some(key) = fields.unknown {
            return Err(unknown_key("event", &key, FIELDS.iter().copied()));
        }
        let part = |field: Field| part_of(&text, fields.get(field)?);
        let name = |field: Field, status: Status| match part(field).map(between_quotes) {
            Some(Some(raw)) => Ok(Name::Json(raw)),
            Some(None) => Err(Error::new(status, format!("event: `{}` must be a string", field.name()))),
            None => Err(Error::new(status, format!("event: the key `{}` is missing", field.name()))),
        };
        let object = |field: Field| match part(field) {
            Some(value) if !value.starts_with(b"{") => {
                let message = format!("event: `{}` must be a JSON object", field.name());
                Err(Error::new(Status::INVALID_PROPERTY, message))
            }
            value => Ok(value),
        };

        let mut draft = Draft {
            event: name(Field::Event, Status::INVALID_EVENT)?,
            distinct_id: name(Field::DistinctId, Status::INVALID_DISTINCT_ID)?,
            properties: Given::Nothing,
            outside: None,
            // What is no string is no uuid either, and is replaced like one.
            uuid: part(Field::Uuid).map(|value| match between_quotes(value) {
                Some(raw) => Cow::Owned(unescaped(&repaired(&raw)).into_owned()),
                None => Cow::Borrowed(""),
            }),
            timestamp: part(Field::Timestamp).map(|value| timestamp_of(&value)).transpose()?,
            repaired: was_repaired,
        };
        if fields.has_outside() {
            let merged = [
                object(Field::Set)?,
                object(Field::SetOnce)?,
                object(Field::DollarGroups)?.or(object(Field::Groups)?),
            ];
            let mut outside = Outside { merged, lifted: LiftedValues::default() };
            if let Some(options) = object(Field::Options)? {
                outside.take_options(&repaired(&options))?;
            }
            for (i, (_, destination, kind)) in LIFTED.iter().enumerate() {
                if let Destination::Event(name) = destination
                    && let Some(value) = Field::of_destination(name).and_then(part)
                {
                    put(&mut outside.lifted, Some(i), coerce(*kind, value.as_ref(), || value.clone()));
                }
            }
            draft.outside = Some(Box::new(outside));
        }
        if object(Field::Properties)?.is_some() {
            draft.properties = Given::Scanned(text);
        }
        Ok(draft)
    }

    /// Whether anything was given outside the properties that is merged or lifted.
    pub fn has_outside(&self) -> bool {
        self.outside.is_some()
    }

    /// The object that was given for this position of [`MERGED`].
    pub fn merged_at(&self, position: usize) -> Option<&[u8]> {
        self.outside.as_ref()?.merged.get(position)?.as_deref()
    }

    /// What was given for this position of [`LIFTED`].
    pub fn lifted_at(&self, position: usize) -> Option<Lifted<&[u8]>> {
        Some(match self.outside.as_ref()?.lifted.get(position)?.as_ref()? {
            Lifted::Bool(value) => Lifted::Bool(*value),
            Lifted::Text(text) => Lifted::Text(text),
            Lifted::Mistyped => Lifted::Mistyped,
        })
    }
}

impl Outside<'_> {
    fn take_options(&mut self, options: &str) -> Result<(), Error> {
        let names = || {
            LIFTED.iter().filter_map(|(_, destination, _)| match destination {
                Destination::Option(name) => Some(*name),
                Destination::Event(_) => None,
            })
        };
        let mut unknown = None;
        let mut scanner = Scanner::new(options);
        let outcome = scanner.members(0, |member| {
            let text = |range: &Range<usize>| options.get(range.clone()).unwrap_or_default();
            let key = unescaped(text(&member.key));
            let position = LIFTED.iter().position(
                |(_, destination, _)| matches!(destination, Destination::Option(name) if *name == key),
            );
            match position.and_then(|i| LIFTED.get(i)) {
                Some((_, _, kind)) => {
                    let value = text(&member.value).as_bytes();
                    let lifted = coerce(*kind, value, || Cow::Owned(value.to_owned()));
                    put(&mut self.lifted, position, lifted);
                }
                None => unknown = Some(key.into_owned()),
            }
        });
        match (outcome, unknown) {
            (Some(()), None) => Ok(()),
            (Some(()), Some(key)) => Err(unknown_key("options", &key, names())),
            (None, _) => Err(super::encode::broken("options", &scanner.fault())),
        }
    }
}

/// The keys of an event that comes as one JSON object.
#[derive(Clone, Copy)]
enum Field {
    Event,
    DistinctId,
    Properties,
    Timestamp,
    Uuid,
    Set,
    SetOnce,
    DollarGroups,
    Groups,
    Options,
    SessionId,
    WindowId,
}

/// Their names, in the order of [`Field`].
const FIELDS: [&str; 12] = [
    "event",
    "distinct_id",
    "properties",
    "timestamp",
    "uuid",
    "$set",
    "$set_once",
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

    /// The field of this name. A `match` compares with those of its length only.
    fn named(name: &[u8]) -> Option<Field> {
        Some(match name {
            b"event" => Field::Event,
            b"distinct_id" => Field::DistinctId,
            b"properties" => Field::Properties,
            b"timestamp" => Field::Timestamp,
            b"uuid" => Field::Uuid,
            b"$set" => Field::Set,
            b"$set_once" => Field::SetOnce,
            b"$groups" => Field::DollarGroups,
            b"groups" => Field::Groups,
            b"options" => Field::Options,
            b"session_id" => Field::SessionId,
            b"window_id" => Field::WindowId,
            _ => return None,
        })
    }

    /// The field that a lifted property's destination stands for.
    fn of_destination(name: &str) -> Option<Field> {
        [Field::SessionId, Field::WindowId].into_iter().find(|field| field.name() == name)
    }
}

/// Where the values of [`FIELDS`] are; on duplicate keys the last.
#[derive(Default)]
struct Fields {
    values: [Option<Range<usize>>; FIELDS.len()],
    unknown: Option<String>,
}

impl Fields {
    fn scan(
        &mut self,
        scanner: &mut Scanner<'_>,
        properties: &mut Properties,
        additions: &Additions,
    ) -> Option<()> {
        let mut more = scanner.open_object(0)?;
        while more {
            let (range, escaped) = scanner.key()?;
            let raw = scanner.slice(&range);
            let key = if escaped { unescaped(raw) } else { Cow::Borrowed(raw) };
            let field = Field::named(key.as_bytes());
            let is_properties = matches!(field, Some(Field::Properties));
            let value = if is_properties && scanner.peek_token() == Some(b'{') {
                let start = scanner.position();
                properties.scan(scanner, additions)?;
                start..scanner.position()
            } else {
                scanner.spanned_value(1)?
            };
            match field {
                Some(field) => self.put(field, scanner.text().as_bytes(), value),
                None => self.unknown = Some(key.into_owned()),
            }
            more = scanner.more_members()?;
        }
        Some(())
    }

    /// The same for text of the usual kind; answers what is behind the object.
    fn walk(
        &mut self,
        walk: &mut Quick<'_>,
        properties: &mut Properties,
        additions: &Additions,
    ) -> Option<usize> {
        let (mut more, mut at) = walk.open_object(0)?;
        while more {
            let (key, start) = walk.key(at)?;
            let field = Field::named(walk.text().get(key)?)?;
            let end = match (field, walk.text().get(start)) {
                (Field::Properties, Some(b'{')) => properties.walk(walk, start, additions)?,
                _ => walk.value(start)?,
            };
            self.put(field, walk.text(), start..end);
            (more, at) = walk.more_members(end)?;
        }
        Some(at)
    }

    fn put(&mut self, field: Field, text: &[u8], value: Range<usize>) {
        let is_null = text.get(value.clone()) == Some(b"null");
        if let Some(slot) = self.values.get_mut(field as usize) {
            *slot = (!is_null).then_some(value);
        }
    }

    /// Whether anything was given that belongs elsewhere: [`Field::Set`] and all
    /// behind it.
    fn has_outside(&self) -> bool {
        self.values.iter().skip(Field::Set as usize).any(Option::is_some)
    }

    fn get(&self, field: Field) -> Option<Range<usize>> {
        self.values.get(field as usize)?.clone()
    }
}

fn put<T>(slots: &mut [Option<T>], position: Option<usize>, value: T) {
    if let Some(slot) = position.and_then(|i| slots.get_mut(i)) {
        *slot = Some(value);
    }
}

/// A part of the text that lives as long as the text itself can.
fn part_of<'a>(text: &Cow<'a, [u8]>, range: Range<usize>) -> Option<Cow<'a, [u8]>> {
    match text {
        Cow::Borrowed(text) => text.get(range).map(Cow::Borrowed),
        Cow::Owned(text) => text.get(range).map(|part| Cow::Owned(part.to_owned())),
    }
}

#[inline]
fn is_null(json: &[u8]) -> bool {
    json.first() != Some(&b'{') && json.trim_ascii() == b"null"
}

fn between_quotes(value: Cow<'_, [u8]>) -> Option<Cow<'_, [u8]>> {
    fn inside(text: &[u8]) -> Option<&[u8]> {
        text.strip_prefix(b"\"")?.strip_suffix(b"\"")
    }
    match value {
        Cow::Borrowed(text) => inside(text).map(Cow::Borrowed),
        Cow::Owned(text) => inside(&text).map(|inner| Cow::Owned(inner.to_owned())),
    }
}

/// The instant that a JSON value names.
fn timestamp_of(value: &[u8]) -> Result<Timestamp, Error> {
    match between_quotes(Cow::Borrowed(value)) {
        Some(raw) => parse_timestamp(&unescaped(&repaired(&raw))),
        None => Err(Error::new(Status::INVALID_TIMESTAMP, "event: `timestamp` must be a string")),
    }
}

/// The instant that a text names, or the error that says what is wanted.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, Error> {
    Timestamp::parse(text).ok_or_else(|| {
        let message = format!(
            "the timestamp {text:?} is not RFC 3339 with an offset (2026-01-31T12:00:00Z) in a year of four digits"
        );
        Error::new(Status::INVALID_TIMESTAMP, message)
    })
}

fn unknown_key<'k>(place: &str, key: &str, known: impl Iterator<Item = &'k str>) -> Error {
    let hint = did_you_mean(key, known);
    Error::new(Status::INVALID_JSON, format!("{place}: the key {key:?} is unknown{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_found_by_the_name_that_it_has() {
        for (position, name) in FIELDS.iter().enumerate() {
            let field = Field::named(name.as_bytes()).unwrap();
            assert_eq!((field as usize, field.name()), (position, *name));
        }
    }
}
