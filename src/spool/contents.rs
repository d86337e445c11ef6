//! What a segment says, all of its records together: the events that are still pending, and what is known of their
//! batch.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::record::{
    AttemptRecord, BatchRecord, Header, MAX_EVENTS, Meaning, PostponedRecord, Record, VerdictRecord,
};
use super::segment::{Damage, FORMAT, LONGEST_BEGINNING, MAGIC, MAX_BYTES, Reader};

/// See the module. It borrows from the bytes of the segment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contents<'a> {
    /// The segment's header.
    pub(crate) header: Header<'a>,
    /// The events that have not ended, in the order of the batch.
    pub(crate) pending: Vec<StoredEvent<'a>>,
    /// How many events there were or must have been.
    pub(crate) events: u32,
    /// How many of them have ended.
    pub(crate) ended: u32,
    /// How many of them are damaged or were never written: they have not ended, and are not pending either.
    pub(crate) missing: u32,
    /// The batch, once it had been made. Without it the next attempt is a new request.
    pub(crate) batch: Option<BatchRecord>,
    /// The last attempt of the batch.
    pub(crate) attempt: Option<AttemptRecord>,
    /// Whether the server may have stored an event that is still pending.
    pub(crate) maybe_delivered: bool,
    /// When and how often it was postponed last.
    pub(crate) postponed: Option<PostponedRecord>,
    /// How many processes took it over in a row without letting go of it in order.
    pub(crate) takeovers: u32,
    /// When it was taken over for the first time, in milliseconds since 1970.
    pub(crate) first_takeover_ms: Option<i64>,
    /// How many runs of its bytes are damaged.
    pub(crate) damaged: u32,
}

/// An event in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoredEvent<'a> {
    /// Its place in the batch.
    pub(crate) index: u32,
    /// Its uuid.
    pub(crate) uuid: Uuid,
    /// Its bytes, as they were captured.
    pub(crate) wire: &'a [u8],
}

/// Why a segment is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It has no bytes but zeros or a part of its header: its process ended before it wrote an event.
    Empty,
    /// It is not a segment.
    Foreign,
    /// A later version wrote it, in a way that this one does not understand.
    Newer,
    /// It is a segment, and damaged beyond use.
    Damaged,
}

impl<'a> Contents<'a> {
    /// Reads a segment.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        if MAGIC.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0) {
            return Err(Unreadable::Empty);
        }
        if bytes.len() as u64 > MAX_BYTES {
            return Err(if bytes.starts_with(&MAGIC) { Unreadable::Damaged } else { Unreadable::Foreign });
        }
        let mut reader = Reader::new(bytes);
        let (mut sum, mut any) = (Sum::default(), false);
        for frame in reader.by_ref() {
            any = true;
            match frame.meaning() {
                Meaning::Known(Record::Header(header)) => {
                    let header = sum.header.get_or_insert(header);
                    if header.oldest_reader > FORMAT {
                        return Err(Unreadable::Newer);
                    }
                }
                Meaning::Known(record) => sum.add(record),
                Meaning::Optional => {}
                Meaning::Required => return Err(Unreadable::Newer),
                Meaning::Malformed => sum.malformed += 1,
            }
        }
        let damage = reader.damage();
        let Some(header) = sum.header.filter(|_| !damage.given_up) else {
            return Err(match (any, begins_as_segment(bytes)) {
                // A process that is killed in its first write leaves a part of a header.
                (false, true) if bytes.len() <= LONGEST_BEGINNING => Unreadable::Empty,
                (false, false) => Unreadable::Foreign,
                _ => Unreadable::Damaged,
            });
        };
        Ok(sum.finish(header, damage))
    }
}

/// Whether these bytes are, or were, those of a segment: a power cut may have taken the first page or the end of it, and
/// left zeros; and where a write was cut short within the magic, the next one began with it again.
fn begins_as_segment(mut bytes: &[u8]) -> bool {
    loop {
        let begun = bytes.iter().zip(MAGIC).take_while(|(byte, magic)| *byte == magic).count();
        let rest = bytes.get(begun..).unwrap_or_default();
        if rest.iter().take(MAGIC.len() - begun).all(|byte| *byte == 0) {
            return true;
        }
        if begun == 0 {
            return false;
        }
        bytes = rest;
    }
}

/// The records so far.
#[derive(Default)]
struct Sum<'a> {
    header: Option<Header<'a>>,
    events: BTreeMap<u32, (Uuid, &'a [u8])>,
    ended: Vec<u8>,
    batch: Option<BatchRecord>,
    attempt: Option<AttemptRecord>,
    /// The last attempt has begun, and it is not known how it ended.
    is_open: bool,
    response_unknown: bool,
    postponed: Option<PostponedRecord>,
    takeovers: u32,
    first_takeover_ms: Option<i64>,
    sealed: Option<u32>,
    /// Whether the last process that had it let go of it in order.
    in_order: bool,
    malformed: u32,
}

impl<'a> Sum<'a> {
    fn add(&mut self, record: Record<'a>) {
        match record {
            Record::Header(_) => {}
            // A record that was written in part and then again is there once; where it is twice, both are the same.
            Record::Event { index, uuid, wire } => {
                self.events.entry(index).or_insert((uuid, wire));
            }
            Record::Batch(batch) => {
                self.batch.get_or_insert(batch);
            }
            Record::Attempt(attempt) => {
                self.attempt = Some(attempt);
                self.is_open = true;
            }
            Record::Verdicts(verdicts) => self.add_verdicts(&verdicts),
            Record::Postponed(postponed) => self.postponed = Some(postponed),
            // The process that took it over has outlived that.
            Record::TakenOver { times: 0, .. } => self.takeovers = 0,
            Record::TakenOver { at_ms, .. } => {
                self.takeovers = self.takeovers.saturating_add(1);
                self.first_takeover_ms.get_or_insert(at_ms);
                self.response_unknown |= !self.in_order;
                self.in_order = false;
            }
            Record::Sealed { events, .. } => {
                self.sealed = Some(events);
                self.takeovers = 0;
                self.in_order = true;
            }
        }
    }

    fn add_verdicts(&mut self, verdicts: &VerdictRecord<'_>) {
        if self.ended.len() < verdicts.ended.len() {
            self.ended.resize(verdicts.ended.len(), 0);
        }
        self.ended.iter_mut().zip(verdicts.ended).for_each(|(all, more)| *all |= more);
        self.response_unknown |= verdicts.response_unknown;
        if self.attempt.is_none_or(|attempt| attempt.attempt <= verdicts.attempt) {
            self.is_open = false;
        }
    }

    fn has_ended(&self, index: u32) -> bool {
        self.ended.get(index as usize / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1)
    }

    fn finish(self, header: Header<'a>, damage: Damage) -> Contents<'a> {
        let damaged = damage.runs + self.malformed;
        let written = self.events.last_key_value().map_or(0, |(index, _)| index + 1);
        let named = self.batch.map(|batch| batch.events).or(self.sealed);
        // Without damage and without a number that was written down, a gap is an event that was never whole.
        let expected = named.unwrap_or(if damaged > 0 { written } else { 0 }).min(MAX_EVENTS);
        let missing =
            (0..expected).filter(|index| !self.events.contains_key(index) && !self.has_ended(*index));
        let missing = u32::try_from(missing.count()).unwrap_or(MAX_EVENTS);
        let all = (0..expected.max(written)).filter(|index| self.has_ended(*index));
        let ended = u32::try_from(all.count()).unwrap_or(MAX_EVENTS);
        let pending: Vec<_> = self
            .events
            .iter()
            .filter(|(index, _)| !self.has_ended(**index))
            .map(|(index, (uuid, wire))| StoredEvent { index: *index, uuid: *uuid, wire })
            .collect();
        Contents {
            header,
            events: u32::try_from(pending.len()).unwrap_or(MAX_EVENTS) + ended + missing,
            ended,
            missing,
            batch: self.batch,
            attempt: self.attempt,
            // An attempt is sent without waiting for its record: there may have been one that is not here, unless the
            // process ended in order and all that it wrote is here.
            maybe_delivered: self.response_unknown
                || self.is_open
                || !self.in_order
                || damaged > 0
                || damage.has_gaps
                || self.batch.is_some_and(|batch| batch.maybe_delivered),
            postponed: self.postponed,
            takeovers: self.takeovers,
            first_takeover_ms: self.first_takeover_ms,
            damaged,
            pending,
        }
    }
}
