//! A draft becomes the bytes of the wire, in one pass and without a JSON tree.
//! What cannot be sent is refused here, to the caller that made it.

use std::borrow::Cow;
use std::ops::Range;

use uuid::Uuid;

use super::additions::Additions;
use super::draft::{Draft, Given, Name};
use super::properties::{Destination, LIFTED, Lifted, MERGED, Properties};
use super::quick::Quick;
use super::scan::{Fault, NO_OBJECT, Scanner};
use super::scratch::Scratch;
use super::text::{into_bytes, repaired, unescaped, write_escaped};
use super::timestamp::Timestamp;
use crate::failpoint;
use crate::status::{Error, Status};

/// The server's bound for event names and distinct ids, in bytes.
pub const MAX_NAME: usize = 200;

/// What is known of an event once its bytes are in the scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its uuid, as on the wire.
    pub uuid: Uuid,
    /// Whether text had to be repaired (bad UTF-8, lone surrogates).
    pub repaired: bool,
    /// Whether the caller's uuid was no uuid and was replaced.
    pub uuid_replaced: bool,
}

/// Writes the draft's wire bytes into `scratch.wire`.
pub fn encode(
    draft: &Draft<'_>,
    additions: &Additions,
    max_event_bytes: usize,
    scratch: &mut Scratch,
) -> Result<Encoded, Error> {
    failpoint::pass("event");
    let now = Timestamp::now();
    check_name(&draft.event, Status::INVALID_EVENT, "event name")?;
    check_name(&draft.distinct_id, Status::INVALID_DISTINCT_ID, "distinct_id")?;

    let (properties, properties_repaired) = match &draft.properties {
        Given::Scanned(text) => (Cow::Borrowed(text.as_ref()), false),
        Given::Unscanned(text) => scan(text, &mut scratch.properties, additions)?,
        Given::Nothing => {
            scratch.properties.clear(additions);
            (Cow::default(), false)
        }
    };
    let given = draft.uuid.as_deref().map(|text| Uuid::try_parse(text.trim()));
    let uuid = match given {
        Some(Ok(uuid)) => uuid,
        _ => scratch.randomness.uuid_v7(now.unix_ms())?,
    };

    scratch.begin(uuid, draft.timestamp.unwrap_or(now));
    let Scratch { wire, properties: found, .. } = scratch;
    write_name(wire, &draft.event);
    wire.extend_from_slice(b"\",\"distinct_id\":\"");
    write_name(wire, &draft.distinct_id);
    wire.extend_from_slice(b"\",\"properties\":{");

    let slice = |range: &Range<usize>| properties.get(range.clone()).unwrap_or_default();
    let mut members = Joined::new(wire);
    for run in &found.runs {
        members.next().extend_from_slice(slice(run));
    }
    // Few events have anything that is merged or lifted.
    let special = found.special || draft.has_outside() || additions.special;
    if special {
        for (i, key) in MERGED.iter().enumerate() {
            let inner = found.merged.get(i).and_then(Option::as_ref).map(slice);
            let outer = draft.merged_at(i);
            let added = additions.merged.get(i).and_then(Option::as_ref);
            write_merged(&mut members, key, inner, outer, added.map(String::as_bytes))?;
        }
    }
    for (addition, overridden) in additions.members.iter().zip(&found.overridden) {
        if !overridden {
            members.next().extend_from_slice(&addition.text);
        }
    }

    // The caller's own property, else what the event has outside its properties,
    // else what the client adds.
    let lifted = |i: usize| {
        let own = found.lifted.get(i).and_then(Option::as_ref).map(|lifted| match lifted {
            Lifted::Text(range) => Lifted::Text(slice(range)),
            Lifted::Bool(value) => Lifted::Bool(*value),
            Lifted::Mistyped => Lifted::Mistyped,
        });
        own.or_else(|| draft.lifted_at(i)).or_else(|| additions.lifted_at(i))
    };
    wire.extend_from_slice(b"},\"options\":{");
    if special {
        let mut options = Joined::new(wire);
        for (i, (_, destination, _)) in LIFTED.iter().enumerate() {
            if let Destination::Option(key) = destination
                && let Some(lifted) = lifted(i)
            {
                write_lifted(&mut options, key, &lifted);
            }
        }
        wire.push(b'}');
        let mut fields = Joined::after_the_first(wire);
        for (i, (_, destination, _)) in LIFTED.iter().enumerate() {
            if let Destination::Event(key) = destination
                && let Some(lifted) = lifted(i)
            {
                write_lifted(&mut fields, key, &lifted);
            }
        }
        wire.push(b'}');
    } else {
        wire.extend_from_slice(b"}}");
    }

    if wire.len() > max_event_bytes {
        return Err(too_large(wire.len(), max_event_bytes));
    }
    Ok(Encoded {
        uuid,
        repaired: draft.repaired || properties_repaired,
        uuid_replaced: matches!(given, Some(Err(_))),
    })
}

/// The error for an event over its bound.
pub fn too_large(bytes: usize, bound: usize) -> Error {
    let message = format!("the event is {bytes} bytes long; max_event_bytes is {bound}");
    Error::new(Status::EVENT_TOO_LARGE, message)
}

/// The error for a JSON text that does not parse.
pub fn broken(what: &str, fault: &Fault) -> Error {
    // The text may be JSON, but is not what belongs into an event.
    let misplaced = fault.what == NO_OBJECT && what != "event";
    let status = if misplaced { Status::INVALID_PROPERTY } else { Status::INVALID_JSON };
    Error::new(status, format!("{what}: {fault}"))
}

/// Scans a properties object; answers the text and whether it had to be repaired.
#[inline]
fn scan<'a>(
    json: &'a [u8],
    properties: &mut Properties,
    additions: &Additions,
) -> Result<(Cow<'a, [u8]>, bool), Error> {
    let mut walk = Quick::new(json);
    let usual = properties.walk(&mut walk, 0, additions).and_then(|behind| walk.end(behind));
    if usual.is_some() {
        return Ok((Cow::Borrowed(json), false));
    }
    let (text, repaired) = parsed("properties", json, |scanner| properties.scan(scanner, additions))?;
    Ok((into_bytes(text), repaired))
}

/// Scans JSON text as sound UTF-8; answers it and whether it had to be repaired:
/// bad bytes before the scan, lone surrogate escapes after a first one.
pub fn parsed<'a>(
    what: &str,
    bytes: &'a [u8],
    mut scan: impl FnMut(&mut Scanner<'_>) -> Option<()>,
) -> Result<(Cow<'a, str>, bool), Error> {
    let mut text = match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => repaired(bytes),
    };
    let mut was_repaired = matches!(text, Cow::Owned(_));
    loop {
        let mut scanner = Scanner::new(&text);
        if scan(&mut scanner).and_then(|()| scanner.end()).is_none() {
            return Err(broken(what, &scanner.fault()));
        }
        let lone = std::mem::take(&mut scanner.lone_surrogates);
        if lone.is_empty() {
            return Ok((text, was_repaired));
        }
        let mut patched = text.into_owned();
        for digits in lone {
            patched.replace_range(digits..digits + 4, "fffd");
        }
        text = Cow::Owned(patched);
        was_repaired = true;
    }
}

#[inline]
fn check_name(name: &Name<'_>, status: Status, what: &str) -> Result<(), Error> {
    match name {
        Name::Json(raw) if (1..=MAX_NAME).contains(&raw.len()) => Ok(()),
        _ => check_other_name(name, status, what),
    }
}

#[inline(never)]
fn check_other_name(name: &Name<'_>, status: Status, what: &str) -> Result<(), Error> {
    let bytes = match name {
        Name::Plain(text) => text.len(),
        // Unescaped it is not longer, and not empty either.
        Name::Json(raw) if raw.len() <= MAX_NAME => raw.len(),
        Name::Json(raw) => unescaped(&repaired(raw)).len(),
    };
    match bytes {
        0 => Err(Error::new(status, format!("the {what} is empty; the server takes 1 to {MAX_NAME} bytes"))),
        1..=MAX_NAME => Ok(()),
        _ => {
            Err(Error::new(status, format!("the {what} has {bytes} bytes; the server takes 1 to {MAX_NAME}")))
        }
    }
}

/// Writes what stands between the quotes.
#[inline]
fn write_name(wire: &mut Vec<u8>, name: &Name<'_>) {
    match name {
        Name::Plain(text) => write_escaped(wire, text),
        Name::Json(raw) => wire.extend_from_slice(raw),
    }
}

fn write_lifted(out: &mut Joined<'_>, key: &str, lifted: &Lifted<&[u8]>) {
    let value = match lifted {
        Lifted::Bool(true) => b"true".as_slice(),
        Lifted::Bool(false) => b"false",
        Lifted::Text(text) => text,
        Lifted::Mistyped => return,
    };
    out.member(key, value);
}

/// Writes `$set`, `$set_once` or `$groups`: what stands inside `properties`
/// merged with what was given outside, or else what the client adds.
fn write_merged(
    out: &mut Joined<'_>,
    key: &str,
    inner: Option<&[u8]>,
    outer: Option<&[u8]>,
    added: Option<&[u8]>,
) -> Result<(), Error> {
    let is_object = |value: &[u8]| value.first() == Some(&b'{');
    match (inner, outer) {
        (Some(b"null"), None) if key == "$groups" => {}
        (Some(inner), _) if key == "$groups" && inner != b"null" && !is_object(inner) => {
            return Err(not_an_object(key));
        }
        (Some(inner), Some(outer)) if is_object(inner) => {
            out.member(key, &merge(inner, outer));
        }
        (Some(b"null") | None, Some(outer)) => out.member(key, outer),
        (Some(_), Some(_)) => return Err(not_an_object(key)),
        (Some(inner), None) => out.member(key, inner),
        (None, None) => {
            if let Some(added) = added {
                out.member(key, added);
            }
        }
    }
    Ok(())
}

fn not_an_object(key: &str) -> Error {
    Error::new(Status::INVALID_PROPERTY, format!("properties: {key} must be a JSON object"))
}

/// Both objects' members in one object; on a collision of keys the inner value
/// wins. Both texts have been scanned.
fn merge(inner: &[u8], outer: &[u8]) -> Vec<u8> {
    let (inner, outer) = (repaired(inner), repaired(outer));
    let collect = |text: &str| {
        let mut members = Vec::new();
        let _ = Scanner::new(text).members(0, |member| members.push(member));
        members
    };
    let key_of = |text: &str, range: &Range<usize>| {
        unescaped(text.get(range.clone()).unwrap_or_default()).into_owned()
    };
    let inner_members = collect(&inner);
    // Sorted: a capture must not take seconds because both have many members.
    let mut inner_keys: Vec<_> = inner_members.iter().map(|m| key_of(&inner, &m.key)).collect();
    inner_keys.sort_unstable();
    let mut merged = vec![b'{'];
    let mut members = Joined::new(&mut merged);
    for member in collect(&outer) {
        if inner_keys.binary_search(&key_of(&outer, &member.key)).is_err() {
            members.span(&outer, &(member.key.start - 1..member.value.end));
        }
    }
    for member in inner_members {
        members.span(&inner, &(member.key.start - 1..member.value.end));
    }
    merged.push(b'}');
    merged
}

/// Writes members with commas between them.
struct Joined<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Joined<'a> {
    fn new(out: &'a mut Vec<u8>) -> Self {
        Joined { out, first: true }
    }

    fn after_the_first(out: &'a mut Vec<u8>) -> Self {
        Joined { out, first: false }
    }

    fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out
    }

    fn member(&mut self, key: &str, value: &[u8]) {
        let out = self.next();
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }

    fn span(&mut self, text: &str, range: &Range<usize>) {
        self.next().extend_from_slice(text.get(range.clone()).unwrap_or_default().as_bytes());
    }
}
