//! What a client adds to every event: super properties, and the properties that settings stand for. What
//! the caller put into the event wins over them.

use super::rules::{
    LIFTED, Lifted, PerLifted, PerMerged, Place, UNSET, coerce, is_mergeable, place_of, refused_json,
};
use crate::json::{read_checked, write_string};
use crate::status::{Error, Status};

/// All that is added. Each property is sorted once, when it is registered, by the rules that hold for the
/// caller's properties. Keys are distinct.
#[derive(Clone, Debug, Default)]
pub struct SuperProperties {
    /// What stays in `properties`.
    pub(super) members: Vec<SuperProperty>,
    lifted: PerLifted<Option<Lifted<Vec<u8>>>>,
    /// `$set`, `$set_once`, `$unset` and `$groups`, whole.
    merged: PerMerged<Option<Vec<u8>>>,
    /// The lengths, modulo 64, of those keys in `members` that do not begin with `$`, as bits.
    plain_lengths: u64,
    /// Whether anything is lifted or merged.
    pub(super) has_special: bool,
    /// How many bytes all values, and the keys of those that stay, have with what separates them.
    pub(super) bytes: usize,
}

/// A property that is added as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SuperProperty {
    pub key: String,
    /// `"key":value`
    pub text: Vec<u8>,
}

impl SuperProperties {
    /// Adds `key` with this JSON value to every event, in place of an earlier value. When it fails with
    /// [`Status::INVALID_PROPERTY`] (no key, or `$set` and the like without an object) or
    /// [`Status::INVALID_JSON`], what was registered before is as it was.
    pub fn register(&mut self, key: &str, json: &[u8]) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::new(Status::INVALID_PROPERTY, "a super property needs a key"));
        }
        let sound = read_checked(json, |cursor| cursor.value(0, 1))
            .map_err(|error| refused_json("the super property's value", &error))?;
        let value = sound.text.trim_ascii();
        let place = place_of(key.as_bytes());
        if let Place::Merged(i) = place
            && !is_mergeable(i, value)
        {
            let list = if i == UNSET { "list of names, or " } else { "" };
            let message = format_args!("the super property {key} must be a JSON {list}object");
            return Err(Error::new(Status::INVALID_PROPERTY, message));
        }
        self.unregister(key);
        match place {
            Place::Stripped => {}
            Place::Stays => {
                let mut text = Vec::with_capacity(key.len() + value.len() + 3);
                write_string(&mut text, key);
                text.push(b':');
                text.extend_from_slice(value);
                self.members.push(SuperProperty { key: key.to_owned(), text });
            }
            Place::Lifted(i) => {
                if let (Some(slot), Some(rule)) = (self.lifted.get_mut(i), LIFTED.get(i)) {
                    *slot = Some(coerce(rule.kind, value).map(|text| text.to_vec()));
                }
            }
            Place::Merged(i) => {
                if let Some(slot) = self.merged.get_mut(i) {
                    *slot = Some(value.to_vec());
                }
            }
        }
        self.note_sums();
        Ok(())
    }

    /// Adds `key` no longer. A key that was never registered is fine.
    pub fn unregister(&mut self, key: &str) {
        match place_of(key.as_bytes()) {
            Place::Lifted(i) => {
                if let Some(slot) = self.lifted.get_mut(i) {
                    *slot = None;
                }
            }
            Place::Merged(i) => {
                if let Some(slot) = self.merged.get_mut(i) {
                    *slot = None;
                }
            }
            Place::Stays | Place::Stripped => self.members.retain(|member| member.key != key),
        }
        self.note_sums();
    }

    fn note_sums(&mut self) {
        self.has_special = self.lifted.iter().any(Option::is_some) || self.merged.iter().any(Option::is_some);
        let plain = self.members.iter().filter(|member| !member.key.starts_with('$'));
        self.plain_lengths = plain.fold(0, |lengths, member| lengths | length_bit(member.key.len()));
        let lifted = self.lifted.iter().map(|value| match value {
            Some(Lifted::Text(text)) => text.len(),
            _ => 0,
        });
        let merged = self.merged.iter().flatten().map(Vec::len);
        let members = self.members.iter().map(|member| member.text.len() + 1);
        self.bytes = lifted.chain(merged).chain(members).sum();
    }

    /// Whether anything is added that stays in `properties`.
    pub(super) fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    /// Whether a key of this length that does not begin with `$` may be one of those in `members`. Most are
    /// excluded by their length alone; the bindings add only keys that do begin with `$`.
    #[inline]
    pub(super) fn may_have_plain(&self, length: usize) -> bool {
        self.plain_lengths & length_bit(length) != 0
    }

    /// Sets `overridden`, by position in `members`, where the caller's key takes precedence.
    #[inline]
    pub(super) fn mark_overridden(&self, key: &[u8], overridden: &mut [bool]) {
        for (member, overridden) in self.members.iter().zip(overridden) {
            *overridden |= member.key.as_bytes() == key;
        }
    }

    /// The value for this position of [`LIFTED`].
    pub(super) fn lifted(&self, position: usize) -> Option<Lifted<&[u8]>> {
        Some(self.lifted.get(position)?.as_ref()?.map(Vec::as_slice))
    }

    /// The value for this position of [`MERGED`](super::rules::MERGED).
    pub(super) fn merged(&self, position: usize) -> Option<&[u8]> {
        self.merged.get(position)?.as_deref()
    }
}

/// The bit of a length in a set of lengths modulo 64.
fn length_bit(length: usize) -> u64 {
    1 << (length % 64)
}
