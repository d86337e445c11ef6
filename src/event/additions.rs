//! What a client adds to every event: super properties and the properties that
//! settings stand for. What the caller put into the event wins over them.

use super::encode::parsed;
use super::properties::{LIFTED, Lifted, LiftedValues, MERGED, Place, coerce, place_of};
use super::text::write_string;
use crate::status::{Error, Status};

/// A property that is added as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    key: String,
    /// `"key":value`
    pub text: Vec<u8>,
}

/// All that is added; sorted out once, when it is registered, by the rules that
/// hold for the caller's properties. Keys are distinct.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// What stays in `properties`.
    pub members: Vec<Addition>,
    /// What is lifted out of it.
    pub lifted: LiftedValues<Vec<u8>>,
    /// `$set`, `$set_once` and `$groups`, whole.
    pub merged: [Option<String>; MERGED.len()],
    /// Whether anything is lifted or merged.
    pub special: bool,
}

impl Additions {
    /// Adds `key` with this JSON value, in place of an earlier one.
    pub fn register(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        if key.is_empty() {
            return Err(Error::new(Status::INVALID_PROPERTY, "a super property needs a key"));
        }
        let (value, _) = parsed("the super property's value", value, |scanner| scanner.value(1))?;
        let value = value.trim();
        self.unregister(key);
        match place_of(key.as_bytes()) {
            Place::Stripped => {}
            Place::Stays => {
                let mut text = Vec::with_capacity(key.len() + value.len() + 3);
                write_string(&mut text, key);
                text.push(b':');
                text.extend_from_slice(value.as_bytes());
                self.members.push(Addition { key: key.to_owned(), text });
            }
            Place::Lifted(i) => {
                if let (Some(slot), Some((_, _, kind))) = (self.lifted.get_mut(i), LIFTED.get(i)) {
                    *slot = Some(coerce(*kind, value.as_bytes(), || value.as_bytes().to_vec()));
                }
            }
            Place::Merged(i) => {
                if !value.starts_with('{') {
                    let message = format!("the super property {key} must be a JSON object");
                    return Err(Error::new(Status::INVALID_PROPERTY, message));
                }
                if let Some(slot) = self.merged.get_mut(i) {
                    *slot = Some(value.to_owned());
                }
            }
        }
        self.look_for_special();
        Ok(())
    }

    /// Adds `key` no longer; one that was never registered is fine.
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
        self.look_for_special();
    }

    fn look_for_special(&mut self) {
        self.special = self.lifted.iter().any(Option::is_some) || self.merged.iter().any(Option::is_some);
    }

    /// Marks the addition that the caller's key stands in for.
    #[inline]
    pub fn mark(&self, key: &[u8], overridden: &mut [bool]) {
        for (member, mark) in self.members.iter().zip(overridden) {
            *mark |= member.key.as_bytes() == key;
        }
    }

    /// What is lifted at this position, unless the caller has the key.
    pub fn lifted_at(&self, position: usize) -> Option<Lifted<&[u8]>> {
        Some(match self.lifted.get(position)?.as_ref()? {
            Lifted::Bool(value) => Lifted::Bool(*value),
            Lifted::Text(text) => Lifted::Text(text.as_slice()),
            Lifted::Mistyped => Lifted::Mistyped,
        })
    }
}
