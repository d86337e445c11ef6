//! The properties object: which of its members stay, which are lifted out of it and which are stripped.
//!
//! Only the top level is looked at, and keys are compared after unescaping. Members that stay are noted as
//! runs of text, so that writing them is a copy: commonly of a single run.
#![allow(clippy::inline_always, reason = "measured: calls of these cost a fifth of a capture")]

use std::ops::Range;

use super::rules::{LIFTED, Lifted, PerLifted, PerMerged, Place, coerce, place_of};
use super::super_properties::SuperProperties;
use crate::json::{Cursor, Member, unescape};
use crate::memory::{NoMemory, keep_at_most, reserve};

/// What one properties object holds, as ranges of the text that it was read from. [`Found`] puts the two
/// together. It is filled again for every event, so that its memory serves for many.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PropertyRanges {
    /// Runs of members that stay as they are: each is one or more members with the commas between them.
    runs: Vec<Range<usize>>,
    /// On duplicate keys the last.
    lifted: PerLifted<Option<Lifted<Range<usize>>>>,
    /// On duplicate keys the last.
    merged: PerMerged<Option<Range<usize>>>,
    /// Whether anything is in `lifted` or `merged`.
    has_special: bool,
    /// By position among the client's super properties that stay: whether the caller has the key.
    overridden: Vec<bool>,
    /// Whether there was no memory for one of the lists.
    no_memory: bool,
}

/// What was found in the properties of one event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'t> {
    ranges: &'t PropertyRanges,
    text: &'t [u8],
}

impl<'t> Found<'t> {
    /// The runs of members that stay.
    #[inline]
    pub(super) fn runs(&self) -> impl Iterator<Item = &'t [u8]> {
        self.ranges.runs.iter().map(|range| self.slice(range))
    }

    /// The value for this position of [`LIFTED`].
    pub(super) fn lifted(&self, position: usize) -> Option<Lifted<&'t [u8]>> {
        Some(self.ranges.lifted.get(position)?.as_ref()?.map(|range| self.slice(range)))
    }

    /// The value for this position of [`MERGED`](super::rules::MERGED).
    pub(super) fn merged(&self, position: usize) -> Option<&'t [u8]> {
        Some(self.slice(self.ranges.merged.get(position)?.as_ref()?))
    }

    /// Whether there is anything lifted or merged.
    pub(super) fn has_special(&self) -> bool {
        self.ranges.has_special
    }

    /// By position among the client's super properties that stay: whether the caller has the key.
    pub(super) fn overridden(&self) -> &'t [bool] {
        &self.ranges.overridden
    }

    /// The length of the text in which it was found.
    pub(super) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    fn slice(&self, range: &Range<usize>) -> &'t [u8] {
        self.text.get(range.clone()).unwrap_or_default()
    }
}

impl PropertyRanges {
    /// What was found, given the text that was read.
    #[inline]
    pub(super) fn of<'t>(&'t self, text: &'t [u8]) -> Result<Found<'t>, NoMemory> {
        if self.no_memory { Err(NoMemory) } else { Ok(Found { ranges: self, text }) }
    }

    /// Notes the properties of an event that has none.
    pub(super) fn clear(&mut self, super_properties: &SuperProperties) {
        self.runs.clear();
        if std::mem::take(&mut self.has_special) {
            self.lifted = PerLifted::default();
            self.merged = PerMerged::default();
        }
        self.no_memory = false;
        self.overridden.clear();
        if super_properties.has_members() {
            self.reset_overridden(super_properties.members.len());
        }
    }

    #[inline(never)]
    fn reset_overridden(&mut self, members: usize) {
        self.no_memory = self.overridden.try_reserve(members).is_err();
        if !self.no_memory {
            self.overridden.resize(members, false);
        }
    }

    /// Reads the properties object that begins at this place of the cursor's text; returns where it ends.
    #[inline]
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        at: usize,
        super_properties: &SuperProperties,
    ) -> Option<usize> {
        let mut sorter = Sorter::new(self, cursor.text(), super_properties);
        let end = cursor.members(at, 0, |member| sorter.take(member))?;
        sorter.end_run();
        Some(end)
    }

    /// Notes members that were written by the library itself, and so need not be read. `None` is something in
    /// the text that is left out.
    pub(super) fn fill(
        &mut self,
        text: &[u8],
        members: impl Iterator<Item = Option<Member>>,
        super_properties: &SuperProperties,
    ) {
        let mut sorter = Sorter::new(self, text, super_properties);
        for member in members {
            match member {
                Some(member) => sorter.take(member),
                None => sorter.end_run(),
            }
        }
        sorter.end_run();
    }

    /// Notes a whole run of members that stay. Only valid when no super property could have the key of one
    /// of them, in particular when there are no super properties.
    #[inline]
    pub(super) fn fill_with_run(&mut self, run: Range<usize>, super_properties: &SuperProperties) {
        self.clear(super_properties);
        self.push_run(run);
    }

    #[inline]
    fn push_run(&mut self, run: Range<usize>) {
        if self.runs.len() < self.runs.capacity() {
            self.runs.push(run);
        } else {
            self.grow_and_push_run(run);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow_and_push_run(&mut self, run: Range<usize>) {
        if reserve(&mut self.runs, 1).is_ok() {
            self.runs.push(run);
        } else {
            self.no_memory = true;
        }
    }

    /// Gives memory of more than so many bytes back to the system.
    pub(super) fn keep_at_most(&mut self, bytes: usize) {
        keep_at_most(&mut self.runs, bytes);
    }

    /// Sorts a member that may be special; returns where it belongs.
    #[inline(never)]
    fn sort(
        &mut self,
        text: &[u8],
        key: Range<usize>,
        escaped: bool,
        value: Range<usize>,
        super_properties: &SuperProperties,
    ) -> Place {
        let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
        let raw = slice(&key);
        let unescaped = escaped.then(|| unescape(raw));
        let key = unescaped.as_ref().map_or(raw, |key| key.as_bytes());
        super_properties.mark_overridden(key, &mut self.overridden);
        let place = place_of(key);
        self.has_special |= matches!(place, Place::Lifted(_) | Place::Merged(_));
        match place {
            Place::Stays | Place::Stripped => {}
            Place::Lifted(i) => {
                if let (Some(slot), Some(rule)) = (self.lifted.get_mut(i), LIFTED.get(i)) {
                    *slot = Some(coerce(rule.kind, slice(&value)).map(|_| value.clone()));
                }
            }
            Place::Merged(i) => {
                if let Some(slot) = self.merged.get_mut(i) {
                    *slot = Some(value);
                }
            }
        }
        place
    }
}

/// Takes the members of one object in their order.
struct Sorter<'a> {
    ranges: &'a mut PropertyRanges,
    text: &'a [u8],
    super_properties: &'a SuperProperties,
    /// The run that the last member belongs to; empty after one that does not stay.
    run: Range<usize>,
}

impl<'a> Sorter<'a> {
    #[inline(always)]
    fn new(ranges: &'a mut PropertyRanges, text: &'a [u8], super_properties: &'a SuperProperties) -> Self {
        ranges.clear(super_properties);
        Sorter { ranges, text, super_properties, run: 0..0 }
    }

    #[inline(always)]
    fn take(&mut self, Member { key, value }: Member) {
        let (start, end) = (key.inside.start - 1, value.end);
        let stays = if key.escaped || self.text.get(key.inside.start) == Some(&b'$') {
            self.ranges.sort(self.text, key.inside, key.escaped, value, self.super_properties) == Place::Stays
        } else {
            if self.super_properties.may_have_plain(key.inside.len()) {
                let key = self.text.get(key.inside).unwrap_or_default();
                self.super_properties.mark_overridden(key, &mut self.ranges.overridden);
            }
            true
        };
        if stays {
            if self.run.is_empty() {
                self.run.start = start;
            }
            self.run.end = end;
        } else {
            self.end_run();
        }
    }

    fn end_run(&mut self) {
        if !self.run.is_empty() {
            self.ranges.push_run(std::mem::take(&mut self.run));
        }
    }
}

/// Whether the JSON text is `null`, perhaps with white space around it.
#[inline]
pub(super) fn is_null(json: &[u8]) -> bool {
    json.first() != Some(&b'{') && json.trim_ascii() == b"null"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> PropertyRanges {
        let mut ranges = PropertyRanges::default();
        let end = ranges.read(&mut Cursor::new(text.as_bytes()), 0, &SuperProperties::default());
        assert_eq!(end, Some(text.len()));
        ranges
    }

    #[test]
    fn keeps_runs_and_takes_out_sentinels() {
        let text =
            r#"{"a":1, "b":2,"$lib":"x","$session_id":"s","c":3,"$\u006cib_version":1,"$set":{"k":1}}"#;
        let ranges = read(text);
        let found = ranges.of(text.as_bytes()).unwrap();
        let runs: Vec<_> = found.runs().collect();
        assert_eq!(runs, [br#""a":1, "b":2"#.as_slice(), br#""c":3"#]);
        assert_eq!(found.lifted(4), Some(Lifted::Text(br#""s""#.as_slice())));
        assert_eq!(found.merged(0), Some(br#"{"k":1}"#.as_slice()));
        assert!(found.has_special());
    }

    #[test]
    fn the_last_duplicate_decides_and_every_copy_goes() {
        let text = r#"{"$ignore_sent_at":true,"x":1,"$ignore_sent_at":"no"}"#;
        let ranges = read(text);
        let found = ranges.of(text.as_bytes()).unwrap();
        assert_eq!(found.lifted(1), Some(Lifted::Mistyped));
        assert_eq!(found.runs().count(), 1);
    }

    #[test]
    fn every_super_property_can_be_overridden() {
        let long = "k".repeat(68);
        let keys = ["plan", "$os", "é", long.as_str()];
        let mut super_properties = SuperProperties::default();
        for key in keys {
            super_properties.register(key, b"1").unwrap();
        }
        let overridden = |caller: &str| {
            let text = format!("{{\"x\":1,\"{caller}\":2,\"plat\":3,\"$of\":4}}");
            let mut ranges = PropertyRanges::default();
            ranges.read(&mut Cursor::new(text.as_bytes()), 0, &super_properties).unwrap();
            ranges.overridden
        };
        for (position, key) in keys.iter().enumerate() {
            assert_eq!(overridden(key), [0, 1, 2, 3].map(|one| one == position), "{key}");
        }
        assert_eq!(overridden("\\u0070lan"), [true, false, false, false]);
        assert_eq!(overridden("\\u0024os"), [false, true, false, false]);
        for other in ["plane", "$o", "e", "", "K"] {
            assert_eq!(overridden(other), [false; 4], "{other}");
        }
    }

    #[test]
    fn what_was_found_in_the_event_before_is_forgotten() {
        let mut super_properties = SuperProperties::default();
        super_properties.register("plan", b"1").unwrap();
        let mut ranges = PropertyRanges::default();
        let text = br#"{"plan":2,"$set":{},"$window_id":"w"}"#;
        ranges.read(&mut Cursor::new(text), 0, &super_properties).unwrap();
        assert!(ranges.has_special && ranges.overridden == [true]);
        ranges.clear(&super_properties);
        assert_eq!(ranges, PropertyRanges { overridden: vec![false], ..PropertyRanges::default() });
    }
}
