//! A record: what a segment consists of. It names its kind, its length and its checksum, so that it is found and
//! verified without anything before it. docs/spool-format.md describes the bytes.

use crc32c::{crc32c, crc32c_append};
use uuid::Uuid;

use super::moment::Moment;
use crate::memory::{NoMemory, reserve};

/// The byte that begins a record. Events are UTF-8, in which it does not occur.
pub(super) const START: u8 = 0xFF;
/// The bytes before the payload.
pub(super) const HEAD: usize = 16;
/// The largest payload. A length beyond it is damage.
const MAX_PAYLOAD: usize = 32 << 20;
/// The largest number of events in a segment; an index beyond it is damage.
pub(super) const MAX_EVENTS: u32 = 1 << 20;
/// The largest text in a header.
const MAX_ORIGIN: usize = 256;
/// The largest payload of a header.
pub(super) const MAX_HEADER: usize = 48 + MAX_ORIGIN;

/// A record whose checksum is right, of whatever kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    flags: u16,
    index: u32,
    payload: &'a [u8],
}

/// There is no record at this place.
pub(super) struct NoRecord {
    /// How many bytes were read to find that out.
    pub(super) work: usize,
}

impl<'a> Frame<'a> {
    /// The record at the beginning of these bytes, and its length.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<(Self, usize), NoRecord> {
        let cheap = NoRecord { work: 1 };
        let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Err(cheap) };
        let [START, kind, f0, f1, i0, i1, i2, i3, l0, l1, l2, l3, c0, c1, c2, c3] = *head else {
            return Err(cheap);
        };
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let Some(payload) = rest.get(..length) else { return Err(cheap) };
        // A record without a payload would fit into a uuid, which may come from the host.
        if !kind.is_ascii_alphabetic() || length == 0 || length > MAX_PAYLOAD {
            return Err(cheap);
        }
        let (checked, _) = head.split_at(HEAD - 4);
        if crc32c_append(crc32c(checked), payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(NoRecord { work: HEAD + length });
        }
        let (flags, index) = (u16::from_le_bytes([f0, f1]), u32::from_le_bytes([i0, i1, i2, i3]));
        Ok((Frame { kind, flags, index, payload }, HEAD + length))
    }

    /// What it says.
    pub(super) fn meaning(self) -> Meaning<'a> {
        match Kind::of(self.kind) {
            Some(kind) => kind.read(self).map_or(Meaning::Malformed, Meaning::Known),
            None if self.kind.is_ascii_lowercase() => Meaning::Optional,
            None => Meaning::Required,
        }
    }
}

/// What a whole record says to this version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Meaning<'a> {
    /// This.
    Known(Record<'a>),
    /// Something that a reader may leave out.
    Optional,
    /// Something that a reader must understand, or leave the segment alone.
    Required,
    /// Nothing: its kind is known, and its payload is not one of that kind.
    Malformed,
}

/// A segment's first record, which is there twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header<'a> {
    /// The version of the format.
    pub(crate) format: u16,
    /// The oldest version of the format whose readers understand it.
    pub(crate) oldest_reader: u16,
    /// Whether the batch is part of an import.
    pub(crate) historical_migration: bool,
    /// Where its events are to be sent: 16 bytes of a digest of the host and the key.
    pub(crate) destination: [u8; 16],
    /// When it was begun.
    pub(crate) begun: Moment,
    /// Name and version of the SDK that captured the events.
    pub(crate) origin: &'a str,
}

/// What is known of a batch from the time it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchRecord {
    /// The same on every attempt.
    pub(crate) request_id: Uuid,
    /// The same on every attempt, in milliseconds since 1970.
    pub(crate) created_at_ms: i64,
    /// How many events it has, those included that had been evicted.
    pub(crate) events: u32,
    /// Whether an earlier batch of these events may have reached the server.
    pub(crate) maybe_delivered: bool,
}

/// An attempt that is about to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttemptRecord {
    /// `PostHog-Attempt`, from 1.
    pub(crate) attempt: u32,
    /// Milliseconds since 1970.
    pub(crate) sent_at_ms: i64,
    /// Attempts that count against `max_retries`, this one included.
    pub(crate) used: u32,
}

/// What an attempt, or an eviction, has left of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VerdictRecord<'a> {
    /// The attempt that has ended; 0 if there was none.
    pub(crate) attempt: u32,
    /// Whether it ended without our learning what the server did.
    pub(crate) response_unknown: bool,
    /// One bit for each event by its index, the lowest bit first: whether it has ended.
    pub(crate) ended: &'a [u8],
}

/// A batch that waits, because others succeed and it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PostponedRecord {
    /// How often it was postponed, this time included.
    pub(crate) times: u32,
    /// Until when it waits, in milliseconds since 1970.
    pub(crate) not_before_ms: i64,
}

/// A record of a kind that this version knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Record<'a> {
    Header(Header<'a>),
    /// An event, by its place in the batch.
    Event {
        index: u32,
        uuid: Uuid,
        wire: &'a [u8],
    },
    Batch(BatchRecord),
    Attempt(AttemptRecord),
    Verdicts(VerdictRecord<'a>),
    Postponed(PostponedRecord),
    /// Another process sends what is here from now on.
    TakenOver {
        times: u32,
        at_ms: i64,
    },
    /// The process that had it let go of it in order.
    Sealed {
        events: u32,
        bytes: u64,
    },
}

/// The kinds, by their letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Header,
    Event,
    Batch,
    Attempt,
    Verdicts,
    Postponed,
    TakenOver,
    Sealed,
}

const KINDS: [(u8, Kind); 8] = [
    (b'H', Kind::Header),
    (b'E', Kind::Event),
    (b'B', Kind::Batch),
    (b'A', Kind::Attempt),
    (b'V', Kind::Verdicts),
    (b'P', Kind::Postponed),
    (b'T', Kind::TakenOver),
    (b'S', Kind::Sealed),
];

/// Flag of a header: the events are part of an import.
const HISTORICAL: u32 = 1;
/// Flag of a batch: it may have reached the server before. Flag of verdicts: it is not known what the server did.
const UNKNOWN: u16 = 1;

impl Kind {
    fn of(letter: u8) -> Option<Kind> {
        KINDS.iter().find(|(known, _)| *known == letter).map(|(_, kind)| *kind)
    }

    /// Reads a payload. What a later version has written after the fields is left out.
    fn read(self, frame: Frame<'_>) -> Option<Record<'_>> {
        let Frame { flags, index, payload, .. } = frame;
        let mut fields = Fields(payload);
        Some(match self {
            Kind::Header => Record::Header(fields.header()?),
            Kind::Event if index < MAX_EVENTS => {
                Record::Event { index, uuid: Uuid::from_bytes(fields.array()?), wire: fields.0 }
            }
            Kind::Event => return None,
            Kind::Batch => Record::Batch(BatchRecord {
                request_id: Uuid::from_bytes(fields.array()?),
                created_at_ms: fields.i64()?,
                events: fields.u32().filter(|events| *events <= MAX_EVENTS)?,
                maybe_delivered: flags & UNKNOWN != 0,
            }),
            Kind::Attempt => Record::Attempt(AttemptRecord {
                attempt: index,
                sent_at_ms: fields.i64()?,
                used: fields.u32()?,
            }),
            Kind::Verdicts => Record::Verdicts(VerdictRecord {
                attempt: index,
                response_unknown: flags & UNKNOWN != 0,
                ended: Some(payload).filter(|bits| bits.len() <= MAX_EVENTS as usize / 8)?,
            }),
            Kind::Postponed => {
                Record::Postponed(PostponedRecord { times: index, not_before_ms: fields.i64()? })
            }
            Kind::TakenOver => Record::TakenOver { times: index, at_ms: fields.i64()? },
            Kind::Sealed => Record::Sealed {
                events: fields.u32().filter(|events| *events <= MAX_EVENTS)?,
                bytes: fields.u64()?,
            },
        })
    }
}

impl Record<'_> {
    /// Appends it. Without memory for it nothing is appended.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), NoMemory> {
        match self {
            Record::Header(header) => {
                let origin = header.origin.as_bytes();
                let origin = origin.get(..MAX_ORIGIN).unwrap_or(origin);
                let flags = if header.historical_migration { HISTORICAL } else { 0 };
                frame(
                    out,
                    b'H',
                    0,
                    0,
                    &[
                        &header.format.to_le_bytes(),
                        &header.oldest_reader.to_le_bytes(),
                        &flags.to_le_bytes(),
                        &header.destination,
                        &header.begun.wall_ms.to_le_bytes(),
                        &header.begun.boot_ms.to_le_bytes(),
                        &header.begun.boot_id.to_le_bytes(),
                        origin,
                    ],
                )
            }
            Record::Event { index, uuid, wire } => frame(out, b'E', 0, *index, &[uuid.as_bytes(), wire]),
            Record::Batch(batch) => frame(
                out,
                b'B',
                u16::from(batch.maybe_delivered) * UNKNOWN,
                0,
                &[
                    batch.request_id.as_bytes(),
                    &batch.created_at_ms.to_le_bytes(),
                    &batch.events.to_le_bytes(),
                ],
            ),
            Record::Attempt(attempt) => frame(
                out,
                b'A',
                0,
                attempt.attempt,
                &[&attempt.sent_at_ms.to_le_bytes(), &attempt.used.to_le_bytes()],
            ),
            Record::Verdicts(verdicts) => {
                let unknown = u16::from(verdicts.response_unknown) * UNKNOWN;
                // Never without a payload.
                let ended = if verdicts.ended.is_empty() { &[0] } else { verdicts.ended };
                frame(out, b'V', unknown, verdicts.attempt, &[ended])
            }
            Record::Postponed(postponed) => {
                frame(out, b'P', 0, postponed.times, &[&postponed.not_before_ms.to_le_bytes()])
            }
            Record::TakenOver { times, at_ms } => frame(out, b'T', 0, *times, &[&at_ms.to_le_bytes()]),
            Record::Sealed { events, bytes } => {
                frame(out, b'S', 0, 0, &[&events.to_le_bytes(), &bytes.to_le_bytes()])
            }
        }
    }
}

/// Appends a record of these parts.
pub(super) fn frame(
    out: &mut Vec<u8>,
    kind: u8,
    flags: u16,
    index: u32,
    payload: &[&[u8]],
) -> Result<(), NoMemory> {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    reserve(out, HEAD + length)?;
    out.extend_from_slice(&head(kind, flags, index, payload));
    for part in payload {
        out.extend_from_slice(part);
    }
    Ok(())
}

/// What stands before the payload of a record of these parts.
fn head(kind: u8, flags: u16, index: u32, payload: &[&[u8]]) -> [u8; HEAD] {
    let length: usize = payload.iter().map(|part| part.len()).sum();
    let [f0, f1] = flags.to_le_bytes();
    let [i0, i1, i2, i3] = index.to_le_bytes();
    // The settings bound events far below 4 GiB.
    let [l0, l1, l2, l3] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let checked = [START, kind, f0, f1, i0, i1, i2, i3, l0, l1, l2, l3];
    let checksum = payload.iter().fold(crc32c(&checked), |checksum, part| crc32c_append(checksum, part));
    let [c0, c1, c2, c3] = checksum.to_le_bytes();
    [START, kind, f0, f1, i0, i1, i2, i3, l0, l1, l2, l3, c0, c1, c2, c3]
}

/// How many bytes the record of an event has beside its wire bytes.
pub(crate) const EVENT_OVERHEAD: usize = HEAD + size_of::<Uuid>();

/// What stands before the wire bytes in the record of an event.
pub(super) fn before_wire(index: u32, uuid: Uuid, wire: &[u8]) -> [u8; EVENT_OVERHEAD] {
    let mut bytes = [0; EVENT_OVERHEAD];
    let (first, rest) = bytes.split_at_mut(HEAD);
    first.copy_from_slice(&head(b'E', 0, index, &[uuid.as_bytes(), wire]));
    rest.copy_from_slice(uuid.as_bytes());
    bytes
}

/// The fields of a payload, from the first on.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn header(mut self) -> Option<Header<'a>> {
        Some(Header {
            format: self.u16()?,
            oldest_reader: self.u16()?,
            historical_migration: self.u32()? & HISTORICAL != 0,
            destination: self.array()?,
            begun: Moment { wall_ms: self.i64()?, boot_ms: self.u64()?, boot_id: self.u64()? },
            origin: Some(self.0)
                .filter(|text| text.len() <= MAX_ORIGIN)
                .and_then(|text| std::str::from_utf8(text).ok())?,
        })
    }
}
