//! The members of one JSON object that is being written at the end of a text, with distinct keys.
//!
//! Setting a key again does not move the text behind the old member: the old member is marked as replaced
//! and left out later. So n calls take about n steps, however many keys there are and however often they
//! are set again.
//!
//! Whether a key is new is decided in three ways, because most objects have few keys, and most keys are new:
//!
//! 1. By one bit of a fingerprint. A key whose bit no other key has is new. Comparing it with all keys before
//!    it instead makes an event of ten properties a fifth slower (310 ns for 240 ns), of thirty 70 %.
//! 2. By comparison with those of the same fingerprint.
//! 3. By a hash table, from so many members on that most bits are taken: 20,000 keys take 2.3 ms; by
//!    comparison they would take 90 ms.

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

use crate::json::{Key, Member, are_plain, is_plain, write_repaired};
use crate::memory::{NoMemory, keep_at_most, reserve};

/// From so many members on, keys are looked up in a table. It is as many as there are bits of fingerprints.
const INDEXED_FROM: usize = 64;

/// The members that the object has so far: `{"key":value,…`, of which the last ends with the text. The
/// brackets that open and separate members are written together with their keys; an object without members
/// has no text.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Where in the text the object begins.
    start: usize,
    list: Vec<Written>,
    /// How many bytes of the text are members that were replaced.
    replaced: usize,
    /// Has the bit of each key's fingerprint. A key that has a bit of its own is compared with no other.
    seen: u64,
    index: Index,
    /// Whether a key begins with `$`, and so may be special at the top level of the properties.
    has_sentinels: bool,
}

/// A member in the text. It ends where the next one begins, or with the text.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// Of the key, see [`fingerprint`].
    fingerprint: u64,
    /// Where the key begins, behind its quote.
    key: usize,
    key_length: usize,
}

/// The `key_length` of a member that was replaced. No key has it.
const REPLACED: usize = usize::MAX;

impl Written {
    fn is_replaced(&self) -> bool {
        self.key_length == REPLACED
    }

    fn key<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        text.get(self.key..self.key.saturating_add(self.key_length)).unwrap_or_default()
    }

    /// Where the bracket or comma before the member is.
    fn start(&self) -> usize {
        self.key - 2
    }
}

impl Members {
    /// Begins an object at the end of the text.
    #[inline]
    pub(super) fn begin(&mut self, text: &[u8]) {
        self.clear();
        self.start = text.len();
    }

    /// Makes space for all these members, of which it gets where the key and the value are in JSON text.
    /// [`begin_member`](Self::begin_member) then finds it there for each of them.
    pub(super) fn reserve(
        &mut self,
        text: &mut Vec<u8>,
        members: &[(Range<usize>, Range<usize>)],
    ) -> Result<(), NoMemory> {
        // A key that is unescaped and escaped anew does not become longer. `begin_member` wants space for its bound,
        // which is longer: there is some also at the last member, if that has the longest key.
        let (mut bytes, mut longest) = (0, 0);
        for (key, value) in members {
            bytes += key.len() + value.len() + AROUND_KEY;
            longest = longest.max(key.len());
        }
        reserve(text, bytes + KEY_BYTE * longest)?;
        reserve(&mut self.list, members.len())
    }

    /// Writes the key of a new member, whose value the caller writes behind it, and marks the one before that
    /// has the same key as replaced. Returns whether the key had to be repaired. The text has memory for
    /// `value_bytes` more bytes afterwards; when there is none, nothing changes.
    #[inline(never)]
    pub(super) fn begin_member(
        &mut self,
        text: &mut Vec<u8>,
        key: &[u8],
        value_bytes: usize,
    ) -> Result<bool, NoMemory> {
        if self.replaced > 0 {
            self.leave_out_many_replaced(text);
        }
        let more = longest_key(key) + value_bytes;
        if text.capacity() - text.len() < more || self.list.len() == self.list.capacity() {
            return self.grow_and_write_key(text, key, more);
        }
        Ok(self.write_key(text, key))
    }

    #[cold]
    #[inline(never)]
    fn grow_and_write_key(&mut self, text: &mut Vec<u8>, key: &[u8], more: usize) -> Result<bool, NoMemory> {
        reserve(text, more)?;
        reserve(&mut self.list, 1)?;
        Ok(self.write_key(text, key))
    }

    /// Writes the key of a new member, for which there is memory.
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "measured: checks of the memory again are a fiftieth of a built event"
    )]
    fn write_key(&mut self, text: &mut Vec<u8>, key: &[u8]) -> bool {
        text.extend_from_slice(if self.list.is_empty() { b"{\"" } else { b",\"" });
        let start = text.len();
        let Some(fingerprint) = write_plain(text, key) else {
            return self.write_uncommon_key(text, start, key);
        };
        text.extend_from_slice(b"\":");
        self.has_sentinels |= key.first() == Some(&b'$');
        self.enter(text, start, key.len(), fingerprint);
        false
    }

    #[cold]
    #[inline(never)]
    fn write_uncommon_key(&mut self, text: &mut Vec<u8>, start: usize, key: &[u8]) -> bool {
        let was_repaired = write_repaired(text, key);
        let (_, written) = text.split_at_checked(start).unwrap_or_default();
        let (key_length, fingerprint) = (written.len(), fingerprint(written));
        self.has_sentinels |= written.first() == Some(&b'$');
        text.extend_from_slice(b"\":");
        self.enter(text, start, key_length, fingerprint);
        was_repaired
    }

    /// Enters the member whose key was written from `start` on.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as above")]
    fn enter(&mut self, text: &[u8], start: usize, key_length: usize, fingerprint: u64) {
        let bit = 1 << (fingerprint >> 58);
        if self.seen & bit != 0 || self.list.len() >= INDEXED_FROM {
            self.replace_same(text, start..start + key_length, fingerprint);
        }
        self.seen |= bit;
        self.list.push(Written { fingerprint, key: start, key_length });
    }

    /// Ends the object: only members that were not replaced are left in its text, and it is closed. The text
    /// needs memory for two bytes.
    pub(super) fn end(&mut self, text: &mut Vec<u8>) {
        if self.replaced > 0 {
            self.leave_out_replaced(text);
        }
        text.extend_from_slice(if self.list.is_empty() { b"{}" } else { b"}" });
    }

    /// Marks the member that has the key of the one that is about to be appended as replaced, if there is one.
    #[inline(never)]
    fn replace_same(&mut self, text: &[u8], new: Range<usize>, fingerprint: u64) {
        let key = text.get(new.clone()).unwrap_or_default();
        // One that was replaced reads as an empty key.
        let is_same = |member: &Written| {
            member.fingerprint == fingerprint && !member.is_replaced() && member.key(text) == key
        };
        let same = if self.list.len() >= INDEXED_FROM && self.index.grow(&self.list, text).is_ok() {
            self.index.enter(&self.list, text, key, self.list.len())
        } else {
            self.list.iter().position(is_same)
        };
        let Some(same) = same else { return };
        let end = self.list.get(same + 1).map_or(new.start - 2, Written::start);
        if let Some(member) = self.list.get_mut(same) {
            self.replaced += end - member.start();
            member.key_length = REPLACED;
        }
    }

    /// Leaves members that were replaced out of the text once they are half of it, so that it does not grow
    /// without bound. What is moved is less than what is left out, so a member costs no more than if it were
    /// written twice.
    #[cold]
    fn leave_out_many_replaced(&mut self, text: &mut Vec<u8>) {
        if self.replaced > (text.len() - self.start) / 2 {
            self.leave_out_replaced(text);
        }
    }

    #[cold]
    fn leave_out_replaced(&mut self, text: &mut Vec<u8>) {
        let (mut read, mut write, mut kept) = (0, self.start, 0);
        while let Some(member) = self.list.get(read).copied() {
            read += 1;
            let end = self.list.get(read).map_or(text.len(), Written::start);
            if member.is_replaced() {
                continue;
            }
            text.copy_within(member.start()..end, write);
            if let Some(slot) = self.list.get_mut(kept) {
                *slot = Written { key: write + 2, ..member };
            }
            write += end - member.start();
            kept += 1;
        }
        self.list.truncate(kept);
        text.truncate(write);
        if let Some(first) = text.get_mut(self.start) {
            *first = b'{';
        }
        self.replaced = 0;
        self.index.clear();
    }

    pub(super) fn has_sentinels(&self) -> bool {
        self.has_sentinels
    }

    /// The text of all members as one run, when none was replaced.
    #[inline]
    pub(super) fn run(&self, text: &[u8]) -> Option<Range<usize>> {
        (self.replaced == 0 && !self.list.is_empty()).then(|| self.start + 1..text.len())
    }

    /// Where the members are in the text; `None` for one that was replaced.
    pub(super) fn iter(&self, text: &[u8]) -> impl Iterator<Item = Option<Member>> {
        let ends = self.list.iter().skip(1).map(Written::start).chain([text.len()]);
        self.list.iter().zip(ends).map(move |(member, end)| {
            (!member.is_replaced()).then(|| {
                let escaped = member.key(text).contains(&b'\\');
                let inside = member.key..member.key + member.key_length;
                let value = inside.end + 2..end;
                Member { key: Key { inside, escaped }, value }
            })
        })
    }

    /// Forgets all members.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.replaced = 0;
        self.seen = 0;
        self.index.clear();
        self.has_sentinels = false;
    }

    /// Forgets all members, and gives memory of more than so many bytes back to the system.
    pub(super) fn keep_at_most(&mut self, bytes: usize) {
        keep_at_most(&mut self.list, bytes);
        keep_at_most(&mut self.index.slots, bytes);
        self.clear();
    }
}

/// How many bytes a key has at most, with what stands before and behind it.
#[inline]
fn longest_key(key: &[u8]) -> usize {
    KEY_BYTE * key.len() + AROUND_KEY
}

/// How many bytes one of a key has at most: an escape has six, and a multiplication by eight is a shift.
const KEY_BYTE: usize = 8;
/// How many bytes stand before and behind a key.
const AROUND_KEY: usize = b",\"\":".len();

/// A number that two different keys seldom share: of the first and the last eight bytes.
#[inline]
fn fingerprint(key: &[u8]) -> u64 {
    let (first, last) = match (key.first_chunk::<8>(), key.last_chunk::<8>()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into())
            }
            _ => (key.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
        },
    };
    mixed(first, last, key.len())
}

#[inline]
fn mixed(first: u64, last: u64, length: usize) -> u64 {
    const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
    (first ^ last.rotate_left(23) ^ length as u64).wrapping_mul(GOLDEN_RATIO)
}

/// Writes a key and returns its fingerprint. If the key is not plain, it writes nothing and returns `None`.
///
/// A common key is read once for all of that, as its first and its last word, which may overlap, and written
/// as these two: that takes half the instructions of a copy of any length.
#[inline(always)]
#[allow(clippy::inline_always, reason = "measured, as above")]
fn write_plain(text: &mut Vec<u8>, key: &[u8]) -> Option<u64> {
    let length = key.len();
    if length <= 16 {
        if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            let words = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
            return (are_plain(words.0) && are_plain(words.1)).then(|| {
                write_ends(text, length, first, last);
                mixed(words.0, words.1, length)
            });
        }
        if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            let words = (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)));
            return are_plain(words.0 << 32 | words.1).then(|| {
                write_ends(text, length, first, last);
                mixed(words.0, words.1, length)
            });
        }
    }
    is_plain(key).then(|| {
        text.extend_from_slice(key);
        fingerprint(key)
    })
}

/// Writes a text of this length, whose ends these are.
#[inline(always)]
#[allow(clippy::inline_always, reason = "measured, as above")]
fn write_ends<const N: usize>(text: &mut Vec<u8>, length: usize, first: &[u8; N], last: &[u8; N]) {
    let start = text.len();
    text.extend_from_slice(first);
    text.truncate(start + length - N);
    text.extend_from_slice(last);
}

/// A hash table of the members that were not replaced, by key: open addressing, at most half full. It holds
/// positions only; the keys are in the text. Its hash has a random seed, because keys may come from
/// strangers, who could otherwise choose keys that collide.
#[derive(Debug, Default)]
struct Index {
    /// One more than a member's position; 0 is free. The length is a power of two.
    slots: Vec<usize>,
    seed: Option<RandomState>,
}

impl Index {
    fn clear(&mut self) {
        self.slots.clear();
    }

    /// Makes space for one more than all members in the list, and enters those that are not in the table.
    /// Without memory for that the table is empty.
    #[inline(never)]
    fn grow(&mut self, list: &[Written], text: &[u8]) -> Result<(), NoMemory> {
        if self.slots.len() < 2 * (list.len() + 1) {
            let slots = (4 * (list.len() + 1)).next_power_of_two();
            self.slots.clear();
            self.slots.try_reserve_exact(slots)?;
            self.slots.resize(slots, 0);
            for (position, member) in list.iter().enumerate().filter(|(_, member)| !member.is_replaced()) {
                self.enter(list, text, member.key(text), position);
            }
        }
        Ok(())
    }

    /// Enters a member of the list, or the one that is about to be appended to it; returns the position of
    /// the member whose place it takes.
    fn enter(&mut self, list: &[Written], text: &[u8], key: &[u8], position: usize) -> Option<usize> {
        let seed = self.seed.get_or_insert_default();
        let mask = self.slots.len() - 1;
        let mut at = usize::try_from(seed.hash_one(key) & mask as u64).unwrap_or(0);
        loop {
            let slot = self.slots.get_mut(at)?;
            let before = slot.checked_sub(1);
            if before.and_then(|before| list.get(before)).is_none_or(|member| member.key(text) == key) {
                *slot = position + 1;
                return before;
            }
            at = (at + 1) & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::unescape;

    fn set(members: &mut Members, text: &mut Vec<u8>, key: &str, value: &str) {
        members.begin_member(text, key.as_bytes(), value.len()).unwrap();
        text.extend_from_slice(value.as_bytes());
    }

    /// What the object reads as, in its order.
    fn read(members: &Members, text: &[u8]) -> Vec<(String, String)> {
        let part = |range: Range<usize>| String::from_utf8(text[range].to_vec()).unwrap();
        members.iter(text).flatten().map(|member| (part(member.key.inside), part(member.value))).collect()
    }

    #[test]
    fn keys_with_one_fingerprint_are_distinguished() {
        let keys: Vec<String> = (0..300)
            .flat_map(|n| {
                [format!("{n}"), format!("beginning {n:03} and end"), format!("é{n}"), "x".repeat(n + 1)]
            })
            .collect();
        for count in [INDEXED_FROM - 1, INDEXED_FROM, keys.len()] {
            let (mut members, mut text) = (Members::default(), Vec::new());
            for value in ["1", "22"] {
                for key in &keys[..count] {
                    set(&mut members, &mut text, key, value);
                }
            }
            for member in &mut members.list {
                member.fingerprint = fingerprint(b"7");
            }
            members.seen = u64::MAX;
            set(&mut members, &mut text, "7", "3");
            let expected: Vec<_> = keys[..count].iter().filter(|key| *key != "7").collect();
            let read = read(&members, &text);
            let (last, others) = read.split_last().unwrap();
            assert_eq!(last, &("7".to_owned(), "3".to_owned()));
            assert_eq!(others.iter().map(|(key, _)| key).collect::<Vec<_>>(), expected);
            assert!(others.iter().all(|(_, value)| value == "22"));
        }
    }

    #[test]
    fn what_was_replaced_is_left_out_in_time() {
        let (mut members, mut text) = (Members::default(), b"before".to_vec());
        members.begin(&text);
        let mut longest = 0;
        for n in 0..10_000 {
            set(&mut members, &mut text, ["a", "bb", "$c"][n % 3], &n.to_string());
            longest = longest.max(text.len());
        }
        assert!(longest < 200, "{longest}");
        assert!(members.run(&text).is_none() && members.has_sentinels());
        let expected = [("$c", "9998"), ("a", "9999")];
        assert_eq!(
            read(&members, &text)[1..],
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        members.end(&mut text);
        assert_eq!(String::from_utf8(text).unwrap(), r#"before{"bb":9997,"$c":9998,"a":9999}"#);
    }

    #[test]
    fn what_was_reserved_is_enough() {
        let raw = [
            "key",
            r#"\u0001\u001f\\\"\/\t\b"#,
            r"\u0041\u00e9\ud83d\ude00",
            "é",
            "",
            "the longest key of all of them, which is the last one",
            "",
        ];
        for count in 1..=raw.len() {
            let mut members = Members::default();
            let (mut given, mut ranges) = (String::new(), Vec::new());
            for key in raw.iter().take(count) {
                let start = given.len();
                given += key;
                ranges.push((start..given.len(), start..start));
            }
            let mut text = Vec::new();
            members.reserve(&mut text, &ranges).unwrap();
            let reserved = (text.capacity(), members.list.capacity());
            for (key, _) in ranges {
                let key = unescape(given[key].as_bytes());
                members.begin_member(&mut text, key.as_bytes(), 0).unwrap();
                assert_eq!((text.capacity(), members.list.capacity()), reserved, "{key:?} of {count}");
            }
        }
    }

    #[test]
    fn the_empty_key_is_as_any_other() {
        for before in [0, INDEXED_FROM] {
            let (mut members, mut text) = (Members::default(), Vec::new());
            for n in 0..before {
                set(&mut members, &mut text, &n.to_string(), "0");
            }
            for value in ["1", "2", "3", "4"] {
                set(&mut members, &mut text, "", value);
            }
            let read = read(&members, &text);
            assert_eq!((read.len(), read.last().unwrap()), (before + 1, &(String::new(), "4".to_owned())));
        }
    }

    #[test]
    fn an_object_without_members_has_no_text_until_it_ends() {
        let (mut members, mut text) = (Members::default(), b"before".to_vec());
        members.begin(&text);
        assert_eq!((text.as_slice(), members.run(&text)), (&b"before"[..], None));
        members.end(&mut text);
        assert_eq!(text, b"before{}");
    }
}
