//! A segment of the spool: any bytes are read without a panic and in bounded time, and as a second reader reads them,
//! which tries each byte as the beginning of a record.

use phc::internals::{UnreadableSegment, read_segment};

/// It shares nothing with the library.
#[path = "../../src/spool/tests/naive.rs"]
mod naive;

/// The bytes are a segment; or, if they begin with `~`, records without a checksum, which are given theirs. Otherwise
/// hardly any input would have a second record.
pub fn run(data: &[u8]) {
    let bytes = match data.split_first() {
        Some((b'~', records)) => with_checksums(records),
        _ => data.to_vec(),
    };
    let first = read_segment(&bytes);
    let second = naive::read(&bytes);
    let expected = match second {
        Ok(naive) => Ok(naive),
        Err("empty") => Err(UnreadableSegment::Empty),
        Err("foreign") => Err(UnreadableSegment::Foreign),
        Err("newer") => Err(UnreadableSegment::Newer),
        Err(_) => Err(UnreadableSegment::Damaged),
    };
    match (first, expected) {
        (Ok(first), Ok(second)) => {
            let pending: Vec<_> = first
                .pending
                .iter()
                .map(|(index, uuid, wire)| (*index, *uuid.as_bytes(), wire.clone()))
                .collect();
            assert_eq!(pending, second.pending);
            assert_eq!(first.missing, second.missing);
            assert_eq!(first.takeovers, second.takeovers);
            assert_eq!(first.maybe_delivered, second.maybe_delivered);
            assert_eq!(first.attempt, second.attempt);
            assert_eq!(first.batch.map(|(id, at)| (*id.as_bytes(), at)), second.batch);
        }
        // The search through bytes that are made to be searched for long ends early.
        (Err(UnreadableSegment::Damaged), _) if bytes.len() > 200 => {}
        (first, expected) => assert_eq!(first.err(), expected.err()),
    }
}

/// Kind, flags, index, length and payload, one after the other, behind the first eight bytes of a segment.
fn with_checksums(mut records: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89PHS\r\n\x1a\n".to_vec();
    while let [kind, flags, index, length, rest @ ..] = records {
        let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        let mut head = vec![0xFF, *kind, *flags, 0, *index, 0, 0, 0, *length, 0, 0, 0];
        head[8] = u8::try_from(payload.len()).unwrap_or(0);
        let checksum = naive::crc32c(&[&head, payload].concat());
        bytes.extend(head);
        bytes.extend(checksum.to_le_bytes());
        bytes.extend(payload);
        records = rest;
    }
    bytes
}
