//! A segment: eight bytes that name the format, its header twice, and records, only ever appended to. No I/O.
//!
//! The reader needs no order and no end: after bytes that are not a record it goes to the next record whose checksum
//! is right. So one changed byte costs at most one event, and what is appended to a segment that was cut anywhere is
//! read.

use super::record::{Frame, HEAD, Header, MAX_HEADER, NoRecord, Record, START};
use crate::memory::NoMemory;

/// The first bytes of a segment. As with PNG, they show a transfer that changed line ends.
pub(super) const MAGIC: [u8; 8] = [0x89, b'P', b'H', b'S', b'\r', b'\n', 0x1A, b'\n'];
/// The version that this library writes, and the newest that it reads.
pub(crate) const FORMAT: u16 = 1;
/// What the file of a segment is called after its number.
pub(super) const ENDING: &str = ".phs";
/// The largest segment that is read. The settings bound a batch, and so its segment, far below it.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// The largest length of what [`begin`] appends.
pub(super) const LONGEST_BEGINNING: usize = MAGIC.len() + 2 * (HEAD + MAX_HEADER);

/// Appends the beginning of a segment. The header stands there twice, because everything after it depends on it.
pub(super) fn begin(out: &mut Vec<u8>, header: &Header<'_>) -> Result<(), NoMemory> {
    out.try_reserve(MAGIC.len())?;
    out.extend_from_slice(&MAGIC);
    let record = Record::Header(*header);
    record.write(out)?;
    record.write(out)
}

/// How many of these bytes, which were written from the first on, are whole records.
/// What follows them is written again.
pub(super) fn whole(bytes: &[u8], written: usize) -> usize {
    if written == bytes.len() {
        return written;
    }
    let mut end = 0;
    while end < written {
        let rest = bytes.get(end..).unwrap_or_default();
        let length = if rest.starts_with(&MAGIC) {
            MAGIC.len()
        } else {
            match Frame::parse(rest) {
                Ok((_, length)) => length,
                Err(_) => break,
            }
        };
        if end + length > written {
            break;
        }
        end += length;
    }
    end
}

/// Reads the records of a segment.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// Where the next record should be.
    at: usize,
    /// How many bytes may yet be read to look for records.
    work_left: usize,
    damage: Damage,
}

/// What is not a record in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Damage {
    /// How many runs of bytes. Zeros are none: file systems leave them after a power cut.
    pub(super) runs: u32,
    /// Whether records may be missing before others: there are bytes between two records.
    pub(super) has_gaps: bool,
    /// Whether the search was given up, because the bytes are made to be searched for long.
    pub(super) given_up: bool,
}

/// How many times its length is read at most to look for records.
const MAX_WORK: usize = 16;
/// What every segment may be read beyond that: the rest of a small one may look like several records.
const MIN_WORK: usize = 4096;

impl<'a> Reader<'a> {
    /// A reader of a whole segment.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(&MAGIC) { MAGIC.len() } else { 0 };
        let work_left = bytes.len().saturating_mul(MAX_WORK).saturating_add(MIN_WORK);
        Reader { bytes, at, work_left, damage: Damage::default() }
    }

    /// What was left out, once all is read.
    pub(super) fn damage(&self) -> Damage {
        self.damage
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let begin = self.at;
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| rest.len() > HEAD) {
            match Frame::parse(rest) {
                Ok((frame, length)) => {
                    self.damage.has_gaps |= self.at > begin;
                    self.note_gap(begin, self.at);
                    self.at += length;
                    return Some(frame);
                }
                Err(NoRecord { work }) => {
                    let Some(left) = self.work_left.checked_sub(work) else {
                        self.damage.given_up = true;
                        break;
                    };
                    self.work_left = left;
                    let next = rest.iter().skip(1).position(|byte| *byte == START);
                    self.at = next.map_or(self.bytes.len(), |next| self.at + 1 + next);
                }
            }
        }
        self.note_gap(begin, self.bytes.len());
        self.at = self.bytes.len();
        None
    }
}

impl Reader<'_> {
    fn note_gap(&mut self, begin: usize, end: usize) {
        let gap = self.bytes.get(begin..end).unwrap_or_default();
        self.damage.runs += u32::from(gap.iter().any(|byte| *byte != 0));
    }
}
