//! Segments of format 1 as they were written when it was new. They are read for ever: these files never change, and a
//! later format adds its own.

use uuid::Uuid;

use super::naive;
use crate::spool::moment::Moment;
use crate::spool::record::Header;
use crate::spool::record::Record;
use crate::spool::segment::FORMAT;
use crate::spool::segment::begin;
use crate::spool::{AttemptRecord, BatchRecord, Contents, PostponedRecord, VerdictRecord};

const WAITING: &[u8] = include_bytes!("../../../tests/spool/format-1/waiting.phs");
const RETRIED: &[u8] = include_bytes!("../../../tests/spool/format-1/retried.phs");
const CUT: &[u8] = include_bytes!("../../../tests/spool/format-1/cut.phs");
const PAGE: &str = include_str!("../../../docs/spool-format.md");

fn header(historical_migration: bool) -> Header<'static> {
    Header {
        format: FORMAT,
        oldest_reader: 1,
        historical_migration,
        destination: *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
        begun: Moment { wall_ms: 1_790_000_000_123, boot_ms: 456_789, boot_id: 0x0123_4567_89AB_CDEF },
        origin: "posthog-c/0.1.0",
    }
}

fn event(index: u32) -> (Uuid, String) {
    let uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0000 + u128::from(index));
    (uuid, format!(r#"{{"uuid":"{uuid}","event":"bought {index}"}}"#))
}

fn written(historical_migration: bool, events: u32, more: &[Record<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    begin(&mut bytes, &header(historical_migration)).unwrap();
    for index in 0..events {
        let (uuid, wire) = event(index);
        Record::Event { index, uuid, wire: wire.as_bytes() }.write(&mut bytes).unwrap();
    }
    for record in more {
        record.write(&mut bytes).unwrap();
    }
    bytes
}

fn waiting() -> Vec<u8> {
    written(false, 1, &[])
}

fn retried() -> Vec<u8> {
    let batch = BatchRecord {
        request_id: Uuid::from_u128(0x0198_0000_0000_7000_9000_0000_0000_0000),
        created_at_ms: 1_790_000_000_500,
        events: 3,
        maybe_delivered: true,
    };
    let attempt = |attempt| AttemptRecord { attempt, sent_at_ms: 1_790_000_000_600, used: attempt };
    let ended = VerdictRecord { attempt: 1, response_unknown: false, ended: &[0b010] };
    written(
        true,
        3,
        &[
            Record::Batch(batch),
            Record::Attempt(attempt(1)),
            Record::Verdicts(ended),
            Record::Postponed(PostponedRecord { times: 1, not_before_ms: 1_790_000_060_000 }),
            Record::Sealed { events: 3, bytes: 700 },
            Record::TakenOver { times: 1, at_ms: 1_790_000_070_000 },
            Record::Attempt(attempt(2)),
        ],
    )
}

fn wires(contents: &Contents<'_>) -> Vec<(u32, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    contents.pending.iter().map(|event| (event.index, text(event.wire))).collect()
}

#[test]
fn segments_of_format_1_are_read() {
    let contents = Contents::read(WAITING).unwrap();
    assert_eq!(contents.header, header(false));
    assert_eq!(wires(&contents), [(0, event(0).1)]);
    assert_eq!((contents.batch, contents.attempt, contents.damaged), (None, None, 0));

    let contents = Contents::read(RETRIED).unwrap();
    assert_eq!(contents.header, header(true));
    assert_eq!(wires(&contents), [(0, event(0).1), (2, event(2).1)]);
    let batch = contents.batch.unwrap();
    assert_eq!((batch.request_id.as_u128() >> 60 & 0xF, batch.created_at_ms), (9, 1_790_000_000_500));
    assert_eq!((batch.events, batch.maybe_delivered), (3, true));
    assert_eq!(contents.attempt.map(|attempt| (attempt.attempt, attempt.used)), Some((2, 2)));
    assert_eq!((contents.takeovers, contents.first_takeover_ms), (1, Some(1_790_000_070_000)));
    assert_eq!(contents.postponed.map(|postponed| postponed.not_before_ms), Some(1_790_000_060_000));
    assert!(contents.maybe_delivered);

    // Cut in its second event, and taken over.
    let contents = Contents::read(CUT).unwrap();
    assert_eq!(wires(&contents), [(0, event(0).1)]);
    assert_eq!((contents.takeovers, contents.damaged, contents.missing), (1, 1, 0));
    for bytes in [WAITING, RETRIED, CUT] {
        assert!(naive::read(bytes).is_ok());
    }
}

/// This version still writes format 1, byte for byte.
#[test]
fn segments_of_format_1_are_written() {
    let two = written(false, 2, &[]);
    let mut cut = two[..two.len() - 20].to_vec();
    Record::TakenOver { times: 1, at_ms: 1_790_000_080_000 }.write(&mut cut).unwrap();
    if let Some(folder) = std::env::var_os("PHC_SPOOL_GOLDEN") {
        let folder = std::path::Path::new(&folder);
        for (name, bytes) in [("waiting", waiting()), ("retried", retried()), ("cut", cut.clone())] {
            std::fs::write(folder.join(format!("{name}.phs")), bytes).unwrap();
        }
    }
    assert_eq!((waiting().as_slice(), retried().as_slice(), cut.as_slice()), (WAITING, RETRIED, CUT));
}

/// The example of the page is a real segment.
#[test]
fn the_page_shows_the_bytes() {
    let lines = PAGE.lines().filter_map(|line| line.strip_prefix("    "));
    let dump = lines
        .filter_map(|line| line.split_once("  ").filter(|(place, _)| u32::from_str_radix(place, 16).is_ok()));
    let mut bytes = Vec::new();
    for (place, line) in dump {
        assert_eq!(usize::from_str_radix(place, 16).unwrap(), bytes.len(), "{line}");
        let hex = line.split("  ").next().unwrap_or_default();
        bytes.extend(hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()));
    }
    assert_eq!(bytes, WAITING);
}
