//! An event becomes the bytes of the wire, once, on the thread of the capture call. What cannot be sent is
//! refused here, to the caller that made it.

use std::cell::Cell;

use uuid::Uuid;

use super::KEPT_BYTES;
use super::builder::EventBuilder;
use super::input::{Event, EventInput, Fields, TopLevel};
use super::joined::Joined;
use super::merge::write_merged;
use super::name::{Name, check_names};
use super::properties::{PropertyRanges, is_null};
use super::rules::{Destination, LIFTED, Lifted, MAX_NAME, MERGED, refused_json};
use super::special_events::{create_alias, group_identify, identify};
use super::super_properties::SuperProperties;
use super::timestamp::{LENGTH, Timestamp};
use super::uuid::{GivenUuid, UuidSource, write_uuid};
use crate::failpoint;
use crate::json::{Sound, read_checked, write_escaped};
use crate::memory::{keep_at_most, reserve};
use crate::status::{Error, Status};

/// What is known of an event once it is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EncodedEvent {
    /// Its uuid, as on the wire.
    pub uuid: Uuid,
    /// Whether the uuid is the caller's, so that another event may have the same.
    pub caller_uuid: bool,
    /// Whether text had to be repaired (invalid UTF-8, lone surrogates).
    pub repaired: bool,
    /// Whether the caller's uuid was not a uuid and was replaced.
    pub uuid_replaced: bool,
}

/// The memory that one thread encodes with, kept from event to event so that a capture allocates nothing in
/// the steady state, and the one writer of events.
pub struct Encoder {
    fork_epoch: u64,
    /// What was found in the properties of the event being encoded.
    ranges: PropertyRanges,
    writer: Writer,
}

thread_local! {
    // Empty while the encoder is in use: a capture from inside a before_send callback makes its own.
    static KEPT: Cell<Option<Box<Encoder>>> = const { Cell::new(None) };
}

impl Encoder {
    /// This thread's encoder, or a new one. After a fork, which changes `fork_epoch`, always a new one: with
    /// inherited randomness the child would make the uuids of its parent again.
    pub fn take(fork_epoch: u64) -> Box<Encoder> {
        let kept = KEPT.try_with(Cell::take).ok().flatten();
        kept.filter(|encoder| encoder.fork_epoch == fork_epoch).unwrap_or_else(|| {
            Box::new(Encoder { fork_epoch, ranges: PropertyRanges::default(), writer: Writer::new() })
        })
    }

    /// Keeps the encoder for this thread's next event.
    pub fn keep(mut self: Box<Encoder>) {
        keep_at_most(&mut self.writer.wire, KEPT_BYTES);
        self.ranges.keep_at_most(KEPT_BYTES);
        // Fails on a thread that is ending, which has no next event.
        let _ = KEPT.try_with(|slot| slot.set(Some(self)));
    }

    /// The wire bytes of the last event that was encoded: one JSON object. After an error they have no
    /// meaning.
    pub fn wire(&self) -> &[u8] {
        &self.writer.wire
    }

    /// What is known of the last event that was encoded. After an error it has no meaning.
    pub fn encoded(&self) -> &EncodedEvent {
        &self.writer.encoded
    }

    /// Notes what had to be mended in another event, in whose place the last one was encoded.
    pub fn add_mended(&mut self, other: &EncodedEvent) {
        self.writer.encoded.repaired |= other.repaired;
        self.writer.encoded.uuid_replaced |= other.uuid_replaced;
    }

    /// Checks the event and writes its wire bytes: [`Encoder::wire`] and [`Encoder::encoded`] return what was
    /// made. An event that is longer than `max_event_bytes` on the wire is refused; so is JSON input that is
    /// longer than that itself.
    ///
    /// An error names what is wrong with the event and where. Its status is one of `INVALID_ARGUMENT`,
    /// `INVALID_JSON`, `INVALID_EVENT`, `INVALID_DISTINCT_ID`, `INVALID_TIMESTAMP`, `INVALID_PROPERTY`,
    /// `EVENT_TOO_LARGE`, or `OUT_OF_RESOURCES` when there is no randomness for a uuid.
    pub fn encode(
        &mut self,
        input: &EventInput<'_>,
        super_properties: &SuperProperties,
        max_event_bytes: usize,
    ) -> Result<(), Error> {
        failpoint::pass("event");
        match *input {
            EventInput::Json(json) => self.encode_json(json, super_properties, max_event_bytes),
            EventInput::Parts { distinct_id, event, properties } => {
                self.encode_parts(distinct_id, event, properties, super_properties, max_event_bytes)
            }
            EventInput::Built(built) => self.encode_built(built, super_properties, max_event_bytes),
            EventInput::Identify { distinct_id, set, set_once } => {
                let built = identify(distinct_id, set, set_once)?;
                self.encode_and_keep(built, super_properties, max_event_bytes)
            }
            EventInput::Alias { distinct_id, alias } => {
                let built = create_alias(distinct_id, alias)?;
                self.encode_and_keep(built, super_properties, max_event_bytes)
            }
            EventInput::GroupIdentify { group_type, group_key, set, distinct_id } => {
                let built = group_identify(group_type, group_key, set, distinct_id)?;
                self.encode_and_keep(built, super_properties, max_event_bytes)
            }
        }
    }

    #[inline]
    fn encode_json(
        &mut self,
        json: &[u8],
        super_properties: &SuperProperties,
        max_event_bytes: usize,
    ) -> Result<(), Error> {
        if json.len() > max_event_bytes {
            return Err(too_large(json.len(), max_event_bytes));
        }
        let mut fields = Fields::default();
        let sound = fields.read_checked(json, &mut self.ranges, super_properties)?;
        let json = fields.of(&sound);
        let mut event = json.event(&self.ranges)?;
        let outside = json.outside()?;
        event.outside = outside.as_ref();
        check_names(&event.name, &mut event.distinct_id)?;
        self.writer.write(&event, super_properties, max_event_bytes)
    }

    #[inline]
    fn encode_parts(
        &mut self,
        distinct_id: &[u8],
        event: &[u8],
        properties: Option<&[u8]>,
        super_properties: &SuperProperties,
        max_event_bytes: usize,
    ) -> Result<(), Error> {
        let (name, mut distinct_id) = (Name::new(event), Name::new(distinct_id));
        check_names(&name, &mut distinct_id)?;
        let ranges = &mut self.ranges;
        let sound = if let Some(properties) = properties.filter(|text| !is_null(text)) {
            read_checked(properties, |cursor| ranges.read(cursor, 0, super_properties))
                .map_err(|error| refused_json("properties", &error))?
        } else {
            ranges.clear(super_properties);
            Sound::default()
        };
        let event = Event {
            repaired: name.is_repaired() || distinct_id.is_repaired() || sound.repaired,
            name,
            distinct_id,
            found: self.ranges.of(&sound.text)?,
            outside: None,
            uuid: GivenUuid::None,
            timestamp: None,
        };
        self.writer.write(&event, super_properties, max_event_bytes)
    }

    #[inline]
    fn encode_built(
        &mut self,
        built: &EventBuilder,
        super_properties: &SuperProperties,
        max_event_bytes: usize,
    ) -> Result<(), Error> {
        let found = built.find_properties(&mut self.ranges, super_properties)?;
        let outside = built.groups().map(TopLevel::groups);
        let mut event = Event {
            name: Name::Json(built.name()),
            distinct_id: Name::Json(built.distinct_id()),
            found,
            outside: outside.as_ref(),
            uuid: built.uuid(),
            timestamp: built.timestamp(),
            repaired: built.is_repaired(),
        };
        check_names(&event.name, &mut event.distinct_id)?;
        self.writer.write(&event, super_properties, max_event_bytes)
    }

    fn encode_and_keep(
        &mut self,
        built: Box<EventBuilder>,
        super_properties: &SuperProperties,
        max_event_bytes: usize,
    ) -> Result<(), Error> {
        let encoded = self.encode_built(&built, super_properties, max_event_bytes);
        built.keep();
        encoded
    }
}

/// How every event begins. Its length never differs, and most of it is that of the event before.
const FRONT: &[u8; 95] = b"{\"timestamp\":\"0000-00-00T00:00:00.000Z\",\
    \"uuid\":\"00000000-0000-0000-0000-000000000000\",\"event\":\"";
const FRONT_TIMESTAMP: usize = 14;
const FRONT_UUID: usize = FRONT_TIMESTAMP + LENGTH + 10;

/// Writes events.
struct Writer {
    /// The bytes of the last one.
    wire: Vec<u8>,
    /// What is known of it. It stays here, since a value that is returned by way of memory is copied: what is
    /// written in pieces and then read as a whole makes the processor wait.
    encoded: EncodedEvent,
    uuids: UuidSource,
    /// The beginning of the last one, and the instant in it.
    front: [u8; FRONT.len()],
    front_ms: i64,
}

impl Writer {
    fn new() -> Self {
        Writer {
            wire: Vec::new(),
            encoded: EncodedEvent::default(),
            uuids: UuidSource::new(),
            front: *FRONT,
            front_ms: i64::MIN,
        }
    }

    /// Writes one event, in place of the one before.
    fn write(
        &mut self,
        event: &Event<'_>,
        super_properties: &SuperProperties,
        max_event_bytes: usize,
    ) -> Result<(), Error> {
        let now = Timestamp::now();
        let uuid = match event.uuid {
            GivenUuid::Valid(uuid) => uuid,
            GivenUuid::None | GivenUuid::Invalid => self.uuids.uuid_v7(now.unix_ms())?,
        };
        self.wire.clear();
        // Once for all that follows.
        reserve(&mut self.wire, longest(event, super_properties))?;
        self.begin(uuid, event.timestamp.unwrap_or(now));
        let wire = &mut self.wire;
        write_name(wire, &event.name);
        wire.extend_from_slice(b"\",\"distinct_id\":\"");
        write_name(wire, &event.distinct_id);
        wire.extend_from_slice(b"\",\"properties\":{");
        let mut members = Joined::new(wire);
        for run in event.found.runs() {
            members.next().extend_from_slice(run);
        }
        // Few events have anything that is merged or lifted.
        let has_special =
            event.found.has_special() || event.outside.is_some() || super_properties.has_special;
        if has_special {
            let outside = event.outside.map_or(0, TopLevel::bytes);
            members.reserve(longest(event, super_properties) + outside)?;
            for i in 0..MERGED.len() {
                let outer = event.outside.and_then(|outside| *outside.merged.get(i)?);
                let inner = event.found.merged(i);
                write_merged(&mut members, i, inner, outer, super_properties.merged(i))?;
            }
        }
        for (added, overridden) in super_properties.members.iter().zip(event.found.overridden()) {
            if !overridden {
                members.next().extend_from_slice(&added.text);
            }
        }
        wire.extend_from_slice(b"},\"options\":{");
        if has_special {
            write_lifted(wire, event, super_properties);
        } else {
            wire.extend_from_slice(b"}}");
        }
        if wire.len() > max_event_bytes {
            return Err(too_large(wire.len(), max_event_bytes));
        }
        self.encoded = EncodedEvent {
            uuid,
            caller_uuid: matches!(event.uuid, GivenUuid::Valid(_)),
            repaired: event.repaired,
            uuid_replaced: matches!(event.uuid, GivenUuid::Invalid),
        };
        Ok(())
    }

    /// Begins an event, up to its name. Events of one millisecond share the text of the instant.
    #[inline]
    fn begin(&mut self, uuid: Uuid, at: Timestamp) {
        if self.front_ms != at.unix_ms() {
            self.front_ms = at.unix_ms();
            self.front[FRONT_TIMESTAMP..FRONT_TIMESTAMP + LENGTH].copy_from_slice(&at.format());
        }
        self.wire.extend_from_slice(&self.front);
        // The uuid is written in its place, for the same reason.
        if let Some(text) = self.wire.get_mut(FRONT_UUID..).and_then(<[u8]>::first_chunk_mut) {
            write_uuid(uuid, text);
        }
    }
}

/// How many bytes an event has at most, without what was given outside of the properties. Everything in it
/// is written once: the front, the names, parts of the text that it was read from, and what the client adds;
/// and the keys that the contract names.
#[inline]
fn longest(event: &Event<'_>, super_properties: &SuperProperties) -> usize {
    const KEYS: usize = 512;
    // An escape has six bytes.
    const NAMES: usize = 2 * 6 * MAX_NAME;
    FRONT.len() + NAMES + KEYS + event.found.text_bytes() + super_properties.bytes
}

/// The error for an event that is over its bound.
#[cold]
fn too_large(bytes: usize, bound: usize) -> Error {
    let text = format_args!("the event is {bytes} bytes long; max_event_bytes is {bound}");
    Error::new(Status::EVENT_TOO_LARGE, text)
}

/// Writes what stands between the quotes.
#[inline]
fn write_name(wire: &mut Vec<u8>, name: &Name<'_>) {
    match name {
        Name::Text(text) => write_escaped(wire, text),
        Name::Json(raw) => wire.extend_from_slice(raw),
    }
}

/// Writes the members of the options, then those of the event that were lifted, and ends the event. What
/// the caller put into the properties takes precedence over what was given outside of them, and that over
/// what the client adds.
#[inline(never)]
fn write_lifted(wire: &mut Vec<u8>, event: &Event<'_>, super_properties: &SuperProperties) {
    let lifted = |i: usize| {
        let outside = || event.outside.and_then(|outside| *outside.lifted.get(i)?);
        event.found.lifted(i).or_else(outside).or_else(|| super_properties.lifted(i))
    };
    let mut options = Joined::new(wire);
    for (i, rule) in LIFTED.iter().enumerate() {
        if let Destination::Option(key) = rule.destination
            && let Some(value) = lifted(i).and_then(json_of)
        {
            options.member(key, value);
        }
    }
    wire.push(b'}');
    let mut fields = Joined::after_the_first(wire);
    for (i, rule) in LIFTED.iter().enumerate() {
        if let Destination::Event(key) = rule.destination
            && let Some(value) = lifted(i).and_then(json_of)
        {
            fields.member(key, value);
        }
    }
    wire.push(b'}');
}

fn json_of(lifted: Lifted<&[u8]>) -> Option<&[u8]> {
    match lifted {
        Lifted::Bool(true) => Some(b"true"),
        Lifted::Bool(false) => Some(b"false"),
        Lifted::Text(text) => Some(text),
        Lifted::Mistyped => None,
    }
}
