//! A second reader of segments, for tests and for the fuzz target: as simple as it can be, slow, and without anything
//! of the first one. It is given bytes, and tries each of them as the beginning of a record.

use std::collections::{BTreeMap, BTreeSet};

/// What a segment says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Naive {
    /// Index, uuid and wire bytes of each event that has not ended.
    pub pending: Vec<(u32, [u8; 16], Vec<u8>)>,
    /// How many must have been there, and are not.
    pub missing: u32,
    /// Request id and `created_at`.
    pub batch: Option<([u8; 16], i64)>,
    /// The last attempt, and how many of the budget are used.
    pub attempt: Option<(u32, u32)>,
    /// Whether the server may have stored a pending event.
    pub maybe_delivered: bool,
    /// Takeovers in a row.
    pub takeovers: u32,
}

/// Reads a segment; the error says why it is not one.
pub fn read(bytes: &[u8]) -> Result<Naive, &'static str> {
    let magic = b"\x89PHS\r\n\x1a\n";
    if magic.starts_with(bytes) || bytes.iter().all(|byte| *byte == 0) {
        return Err("empty");
    }
    let mut at = 0;
    let mut records = Vec::new();
    let (mut is_damaged, mut has_gaps, mut skipped) = (false, false, false);
    if bytes.starts_with(magic) {
        at = 8;
    }
    while at < bytes.len() {
        if let Some(length) = record(&bytes[at..]) {
            records.push(&bytes[at..at + length]);
            at += length;
            has_gaps |= skipped;
        } else {
            skipped = true;
            is_damaged |= bytes[at] != 0;
            at += 1;
        }
    }
    let mut header = None;
    let mut events = BTreeMap::new();
    let mut ended = BTreeSet::new();
    let (mut named, mut sealed) = (None, None);
    let (mut open, mut unknown, mut in_order) = (false, false, false);
    let mut naive = Naive::default();
    for record in &records {
        let flag = record[2] & 1 == 1;
        let index = number(&record[4..8]);
        let payload = &record[16..];
        let index32 = u32::try_from(index).unwrap();
        match record[1] {
            b'H' if payload.len() >= 48
                && payload.len() <= 48 + 256
                && std::str::from_utf8(&payload[48..]).is_ok() =>
            {
                let oldest = *header.get_or_insert(number(&payload[2..4]));
                if oldest > 1 {
                    return Err("newer");
                }
            }
            b'E' if payload.len() >= 16 && index < 1 << 20 => {
                let uuid: [u8; 16] = payload[..16].try_into().unwrap();
                events.entry(index32).or_insert((uuid, payload[16..].to_vec()));
            }
            b'B' if payload.len() >= 28 && number(&payload[24..28]) <= 1 << 20 && naive.batch.is_some() => {}
            b'B' if payload.len() >= 28 && number(&payload[24..28]) <= 1 << 20 => {
                naive.batch = Some((payload[..16].try_into().unwrap(), signed(&payload[16..24])));
                named = Some(number(&payload[24..28]));
                unknown |= flag;
            }
            b'A' if payload.len() >= 12 => {
                naive.attempt = Some((index32, u32::try_from(number(&payload[8..12])).unwrap()));
                open = true;
            }
            b'V' if payload.len() <= 1 << 17 => {
                for (place, byte) in (0_u32..).zip(payload) {
                    ended.extend((0..8).filter(|bit| byte >> bit & 1 == 1).map(|bit| place * 8 + bit));
                }
                unknown |= flag;
                if naive.attempt.is_none_or(|(attempt, _)| attempt <= index32) {
                    open = false;
                }
            }
            b'P' if payload.len() >= 8 => {}
            b'T' if payload.len() >= 8 && index32 == 0 => naive.takeovers = 0,
            b'T' if payload.len() >= 8 => {
                naive.takeovers += 1;
                unknown |= !in_order;
                in_order = false;
            }
            b'S' if payload.len() >= 12 && number(&payload[..4]) <= 1 << 20 => {
                sealed = Some(number(&payload[..4]));
                naive.takeovers = 0;
                in_order = true;
            }
            b'H' | b'E' | b'B' | b'A' | b'V' | b'P' | b'T' | b'S' => is_damaged = true,
            b'A'..=b'Z' => return Err("newer"),
            _ => {}
        }
    }
    if header.is_none() {
        let (any, ours) = (!records.is_empty(), begins_as_segment(bytes, magic));
        let small = bytes.len() <= 8 + 2 * (16 + 48 + 256);
        return Err(match (any, ours, small) {
            (false, true, true) => "empty",
            (false, false, _) => "foreign",
            _ => "damaged",
        });
    }
    let last = events.last_key_value().map_or(0, |(index, _)| u64::from(*index) + 1);
    let expected = named.or(sealed).unwrap_or(if is_damaged { last } else { 0 });
    let is_missing = |index: &u32| !events.contains_key(index) && !ended.contains(index);
    naive.missing = u32::try_from((0..u32::try_from(expected).unwrap()).filter(is_missing).count()).unwrap();
    naive.maybe_delivered = open || unknown || !in_order || is_damaged || has_gaps;
    let pending = events.into_iter().filter(|(index, _)| !ended.contains(index));
    naive.pending = pending.map(|(index, (uuid, wire))| (index, uuid, wire)).collect();
    Ok(naive)
}

/// Whether these bytes begin with the first eight or a part of them, and then zeros or the same again.
fn begins_as_segment(bytes: &[u8], magic: &[u8]) -> bool {
    (0..=8).any(|cut| is_cut(bytes, &magic[..cut]))
        || (1..8).any(|cut| bytes.starts_with(&magic[..cut]) && begins_as_segment(&bytes[cut..], magic))
}

/// Whether these bytes begin with this part of the first eight, and zeros after it.
fn is_cut(bytes: &[u8], part: &[u8]) -> bool {
    bytes.starts_with(part) && bytes.iter().take(8).skip(part.len()).all(|byte| *byte == 0)
}

/// The length of the record that these bytes begin with.
fn record(bytes: &[u8]) -> Option<usize> {
    if bytes.len() < 17 || bytes[0] != 0xFF || !bytes[1].is_ascii_alphabetic() {
        return None;
    }
    let length = usize::try_from(number(&bytes[8..12])).unwrap();
    if length == 0 || length > 32 << 20 || length > bytes.len() - 16 {
        return None;
    }
    let checked = [&bytes[..12], &bytes[16..16 + length]].concat();
    (number(&bytes[12..16]) == u64::from(crc32c(&checked))).then_some(16 + length)
}

/// CRC-32C, one bit at a time.
pub fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _: u32| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn signed(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes.try_into().unwrap())
}
