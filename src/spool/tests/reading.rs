//! What the reader makes of bytes, whole and damaged.

use uuid::Uuid;

use super::naive::{self, Naive};
use crate::random::Random;
use crate::spool::contents::{Contents, Unreadable};
use crate::spool::moment::Moment;
use crate::spool::record::{
    AttemptRecord, BatchRecord, Header, PostponedRecord, Record, VerdictRecord, frame,
};
use crate::spool::segment::{FORMAT, MAGIC, Reader, begin, whole};

pub(super) const HEADER: Header<'static> = Header {
    format: FORMAT,
    oldest_reader: 1,
    historical_migration: false,
    destination: [7; 16],
    begun: Moment { wall_ms: 1_790_000_000_000, boot_ms: 5000, boot_id: 0xAB },
    origin: "posthog-c/1.2.3",
};

pub(super) fn segment(records: &[Record<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin(&mut bytes, &HEADER).unwrap();
    for record in records {
        record.write(&mut bytes).unwrap();
    }
    bytes
}

/// An event of some bytes that are UTF-8, and a uuid of any.
fn event(index: u32) -> (Uuid, Vec<u8>) {
    let uuid = Uuid::from_u128(u128::from(index) << 8 | 0xFF << 64 | 0xFF);
    (
        uuid,
        format!("{{\"event\":\"événement {index}\",\"n\":{}}}", "9".repeat(index as usize % 50)).into_bytes(),
    )
}

fn events(count: u32) -> Vec<(Uuid, Vec<u8>)> {
    (0..count).map(event).collect()
}

fn records(events: &[(Uuid, Vec<u8>)]) -> Vec<Record<'_>> {
    (0..).zip(events).map(|(index, (uuid, wire))| Record::Event { index, uuid: *uuid, wire }).collect()
}

fn batch(events: u32) -> BatchRecord {
    BatchRecord { request_id: Uuid::from_u128(99), created_at_ms: 42, events, maybe_delivered: false }
}

/// Both readers, which agree.
fn read(bytes: &[u8]) -> Result<Naive, &'static str> {
    let first = Contents::read(bytes).map(|contents| Naive {
        pending: contents
            .pending
            .iter()
            .map(|event| (event.index, *event.uuid.as_bytes(), event.wire.to_vec()))
            .collect(),
        missing: contents.missing,
        batch: contents.batch.map(|batch| (*batch.request_id.as_bytes(), batch.created_at_ms)),
        attempt: contents.attempt.map(|attempt| (attempt.attempt, attempt.used)),
        maybe_delivered: contents.maybe_delivered,
        takeovers: contents.takeovers,
    });
    let first = first.map_err(|error| match error {
        Unreadable::Empty => "empty",
        Unreadable::Foreign => "foreign",
        Unreadable::Newer => "newer",
        Unreadable::Damaged => "damaged",
    });
    assert_eq!(first, naive::read(bytes));
    first
}

fn pending(bytes: &[u8]) -> Vec<u32> {
    read(bytes).unwrap().pending.iter().map(|(index, ..)| *index).collect()
}

#[test]
fn what_is_written_is_read() {
    let events = events(20);
    let ended = [0b0000_0101, 0, 0b1000];
    let mut all = records(&events);
    all.extend([
        Record::Batch(batch(20)),
        Record::Attempt(AttemptRecord { attempt: 1, sent_at_ms: 43, used: 1 }),
        Record::Verdicts(VerdictRecord { attempt: 1, response_unknown: false, ended: &ended }),
        Record::Postponed(PostponedRecord { times: 2, not_before_ms: 77 }),
        Record::Sealed { events: 20, bytes: 1 },
    ]);
    let bytes = segment(&all);
    let contents = Contents::read(&bytes).unwrap();
    assert_eq!(contents.header, HEADER);
    assert_eq!((contents.events, contents.ended, contents.missing, contents.damaged), (20, 3, 0, 0));
    assert_eq!(contents.batch, Some(batch(20)));
    assert_eq!(contents.attempt, Some(AttemptRecord { attempt: 1, sent_at_ms: 43, used: 1 }));
    assert_eq!(contents.postponed, Some(PostponedRecord { times: 2, not_before_ms: 77 }));
    assert!(!contents.maybe_delivered);
    let expected: Vec<_> = (0..20).filter(|index| ![0, 2, 19].contains(index)).collect();
    assert_eq!(pending(&bytes), expected);
    for stored in contents.pending {
        let (uuid, wire) = &events[stored.index as usize];
        assert_eq!((stored.uuid, stored.wire), (*uuid, wire.as_slice()));
    }
}

#[test]
fn whether_events_may_have_been_delivered_is_true() {
    let attempt = |attempt| Record::Attempt(AttemptRecord { attempt, sent_at_ms: 0, used: attempt });
    let verdicts = |attempt, response_unknown| {
        Record::Verdicts(VerdictRecord { attempt, response_unknown, ended: &[0] })
    };
    let sealed = Record::Sealed { events: 1, bytes: 0 };
    let batch = |maybe_delivered| Record::Batch(BatchRecord { maybe_delivered, ..batch(1) });
    let taken = Record::TakenOver { times: 1, at_ms: 0 };
    let outlived = Record::TakenOver { times: 0, at_ms: 0 };
    let (uuid, wire) = event(0);
    let event = Record::Event { index: 0, uuid, wire: &wire };
    for (records, expected, takeovers) in [
        (vec![event, sealed], false, 0),
        // Without an end in order there may have been an attempt that was not written any more.
        (vec![event], true, 0),
        (vec![event, batch(false)], true, 0),
        (vec![event, batch(false), sealed], false, 0),
        (vec![event, batch(true), sealed], true, 0),
        (vec![event, batch(false), attempt(1), sealed], true, 0),
        (vec![event, batch(false), attempt(1), verdicts(1, false), sealed], false, 0),
        (vec![event, batch(false), attempt(1), verdicts(1, true), sealed], true, 0),
        (vec![event, batch(false), attempt(1), verdicts(1, false), attempt(2), sealed], true, 0),
        (vec![event, batch(false), attempt(1), attempt(2), verdicts(1, false), sealed], true, 0),
        // Verdicts of no attempt are evictions.
        (vec![event, batch(false), attempt(1), verdicts(0, false), sealed], true, 0),
        (vec![event, sealed, taken], true, 1),
        (vec![event, taken, taken], true, 2),
        (vec![event, sealed, taken, sealed], false, 0),
        // A process that has outlived the takeover is not one that the segment ends.
        (vec![event, sealed, taken, outlived, sealed], false, 0),
        (vec![event, taken, outlived, taken], true, 1),
        (vec![event, sealed, taken, outlived], true, 0),
        // What one process left open, no later one can close.
        (vec![event, taken, sealed], true, 0),
        (vec![event, sealed, taken, taken, sealed, taken, sealed], true, 0),
    ] {
        let read = read(&segment(&records)).unwrap();
        assert_eq!((read.maybe_delivered, read.takeovers), (expected, takeovers), "{records:?}");
    }
}

/// A page that a power cut took may have held an attempt.
#[test]
fn a_gap_before_an_end_in_order_is_no_proof() {
    let events = events(1);
    let mut sealed = Vec::new();
    Record::Sealed { events: 1, bytes: 0 }.write(&mut sealed).unwrap();
    for zeros in [0, 1, 64] {
        let bytes = [segment(&records(&events)), vec![0; zeros], sealed.clone()].concat();
        assert_eq!(read(&bytes).unwrap().maybe_delivered, zeros > 0, "{zeros}");
        let bytes = [segment(&records(&events)), sealed.clone(), vec![0; zeros]].concat();
        assert!(!read(&bytes).unwrap().maybe_delivered);
    }
}

/// The law of the format.
#[test]
fn one_changed_byte_costs_at_most_one_event() {
    let events = events(12);
    let mut all = records(&events);
    all.insert(6, Record::Batch(batch(12)));
    let bytes = segment(&all);
    let mut counts = [0; 2];
    for place in 0..bytes.len() {
        // Those that are a beginning, an end or a kind, and others.
        for change in
            [0xFF, 0x00, b'E', b'H', bytes[place] ^ 1, bytes[place] ^ 0x80, bytes[place].wrapping_add(1)]
        {
            if change == bytes[place] {
                continue;
            }
            let mut changed = bytes.clone();
            changed[place] = change;
            let contents = Contents::read(&changed).unwrap();
            let lost = 12 - contents.pending.len();
            assert!(lost <= 1, "byte {place} as {change:#x} costs {lost} events");
            // Without the batch, a last event that is gone cannot be known of.
            assert!(contents.batch.is_none() || contents.missing as usize == lost);
            for stored in contents.pending {
                let (uuid, wire) = &events[stored.index as usize];
                assert_eq!((stored.uuid, stored.wire), (*uuid, wire.as_slice()));
            }
            counts[lost] += 1;
        }
    }
    assert!(counts[0] > 1000 && counts[1] > 1000, "{counts:?}");
}

#[test]
fn what_is_appended_to_a_cut_segment_is_read() {
    let events = events(6);
    let bytes = segment(&records(&events));
    let (uuid, wire) = event(9);
    let mut more = Vec::new();
    Record::Event { index: 9, uuid, wire: &wire }.write(&mut more).unwrap();
    let ends: Vec<_> = (0..=6).map(|count| segment(&records(&events[..count])).len()).collect();
    // Both headers must be damaged to make it useless.
    let header = (ends[0] - MAGIC.len()) / 2 + MAGIC.len();
    for cut in 0..=bytes.len() {
        for zeros in [0, 1, 40] {
            let appended = [&bytes[..cut], &vec![0; zeros], more.as_slice()].concat();
            if cut < header {
                assert_eq!(read(&appended), Err("damaged"));
                continue;
            }
            let mut expected: Vec<_> = (0..6).filter(|index| ends[*index as usize + 1] <= cut).collect();
            expected.push(9);
            assert_eq!(pending(&appended), expected, "cut at {cut}");
        }
    }
}

#[test]
fn zeros_are_an_end_and_no_damage() {
    let events = events(3);
    let mut bytes = segment(&records(&events));
    bytes.extend([0; 5000]);
    let contents = Contents::read(&bytes).unwrap();
    assert_eq!((contents.pending.len(), contents.damaged, contents.missing), (3, 0, 0));
    bytes.push(1);
    assert_eq!(Contents::read(&bytes).unwrap().damaged, 1);
}

#[test]
fn what_this_version_does_not_know_is_skipped_or_left_alone() {
    let events = events(2);
    let base = segment(&records(&events));
    let with = |kind: u8| {
        let mut bytes = base.clone();
        frame(&mut bytes, kind, 3, 4, &[b"of a later version"]).unwrap();
        bytes
    };
    assert_eq!(pending(&with(b'z')), [0, 1]);
    assert_eq!(pending(&with(b'e')), [0, 1]);
    assert_eq!(read(&with(b'Z')), Err("newer"));
    let begun = |oldest_reader| {
        let mut bytes = Vec::new();
        begin(&mut bytes, &Header { format: 9, oldest_reader, ..HEADER }).unwrap();
        bytes
    };
    assert_eq!(read(&begun(2)), Err("newer"));
    assert_eq!(pending(&begun(1)), [0; 0]);
    // Fields that a later version has added are left out.
    let mut bytes = base.clone();
    frame(&mut bytes, b'B', 0, 0, &[&[5; 16], &[0; 8], &2_u32.to_le_bytes(), b"more"]).unwrap();
    assert_eq!(read(&bytes).unwrap().batch, Some(([5; 16], 0)));
    // A payload that is too short is damage.
    let mut bytes = base.clone();
    frame(&mut bytes, b'B', 0, 0, &[&[5; 16]]).unwrap();
    assert_eq!((read(&bytes).unwrap().batch, Contents::read(&bytes).unwrap().damaged), (None, 1));
}

#[test]
fn what_is_not_a_segment_is_recognised() {
    for (bytes, expected) in [
        (vec![], "empty"),
        (vec![0; 100], "empty"),
        (MAGIC[..5].to_vec(), "empty"),
        (MAGIC.to_vec(), "empty"),
        ([&MAGIC[..], b"x"].concat(), "empty"),
        ([&MAGIC[..], &[b'x'; 1000]].concat(), "damaged"),
        (b"#!/bin/sh\necho".to_vec(), "foreign"),
        (vec![0xFF; 100], "foreign"),
        ([&[0; 8], &[b'x'; 1000][..]].concat(), "damaged"),
        ([&MAGIC[..3], &[0; 5], &[b'x'; 1000][..]].concat(), "damaged"),
        ([&MAGIC[..3], &[0; 4], &[b'x'; 1000][..]].concat(), "foreign"),
        // Writes that were cut short, and the power with the last one.
        ([&MAGIC[..7], &MAGIC, &[0xFF, b'H', 0, 0]].concat(), "empty"),
        ([&MAGIC[..7], &MAGIC[..2], &MAGIC[..6]].concat(), "empty"),
        ([&MAGIC[..1], &MAGIC, &[b'x'; 1000]].concat(), "damaged"),
        ([&MAGIC[..7], b"x", &MAGIC].concat(), "foreign"),
    ] {
        assert_eq!(read(&bytes), Err(expected), "{bytes:?}");
    }
}

/// A reader without a bound would read the rest of these bytes for each of them.
#[test]
fn bytes_that_are_made_to_be_searched_for_long_are_given_up() {
    let mut bytes = segment(&[]);
    let length = 100_000_u32;
    for _ in 0..20_000 {
        bytes.extend([0xFF, b'E', 0, 0, 0, 0, 0, 0]);
        bytes.extend(length.to_le_bytes());
        bytes.extend([1, 2, 3, 4]);
    }
    bytes.resize(bytes.len() + length as usize, b'x');
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.by_ref().count(), 2);
    assert!(reader.damage().given_up);
    assert_eq!(Contents::read(&bytes), Err(Unreadable::Damaged));
}

#[test]
fn a_write_that_was_cut_goes_on_at_a_whole_record() {
    let events = events(4);
    let bytes = segment(&records(&events));
    for written in 0..=bytes.len() {
        let kept = whole(&bytes, written);
        assert!(kept <= written);
        // Everything is there once, whatever the part of a record that was written.
        let file = [&bytes[..written], &bytes[kept..]].concat();
        assert_eq!(pending(&file), [0, 1, 2, 3], "cut after {written}");
        assert!(written < MAGIC.len() || kept >= MAGIC.len());
    }
    assert_eq!(whole(&bytes, bytes.len()), bytes.len());
}

/// Segments with records in any order, and whatever can happen to bytes.
#[test]
fn both_readers_agree_on_everything() {
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let mut bytes = Vec::new();
        for _ in 0..=random.below(2) {
            bytes.extend(segment(&[]));
        }
        let events = events(u32::try_from(random.below(20)).unwrap());
        for _ in 0..random.below(30) {
            let small = u32::try_from(random.below(8)).unwrap();
            let ended = [u8::try_from(random.below(256)).unwrap()];
            let record = match random.below(9) {
                0..=3 if !events.is_empty() => {
                    let index = usize::try_from(random.below(events.len() as u64)).unwrap();
                    Record::Event {
                        index: u32::try_from(index).unwrap(),
                        uuid: events[index].0,
                        wire: &events[index].1,
                    }
                }
                4 => Record::Batch(BatchRecord { maybe_delivered: small == 0, ..batch(small * 3) }),
                5 => Record::Attempt(AttemptRecord { attempt: small, sent_at_ms: 1, used: small }),
                6 => Record::Verdicts(VerdictRecord {
                    attempt: small,
                    response_unknown: small == 1,
                    ended: &ended,
                }),
                7 => Record::TakenOver { times: small, at_ms: 5 },
                _ => Record::Sealed { events: small * 2, bytes: 0 },
            };
            record.write(&mut bytes).unwrap();
        }
        for _ in 0..random.below(6) {
            if bytes.is_empty() {
                break;
            }
            let place = usize::try_from(random.below(bytes.len() as u64)).unwrap();
            let value = random.one_of(&[0, 0xFF, b'E', b'x', 1]);
            match random.below(5) {
                0 => bytes.truncate(place),
                1 => bytes[place..].iter_mut().take(40).for_each(|byte| *byte = 0),
                2 => drop(bytes.drain(..place)),
                3 => bytes.splice(place..place, [value; 3]).for_each(drop),
                _ => bytes[place] = value,
            }
        }
        let _ = read(&bytes);
    }
}
