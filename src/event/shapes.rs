//! The events that official SDKs send for identify, alias and group identify.

use super::draft::Draft;
use super::encode::parsed;
use super::text::write_repaired;
use crate::status::{Error, Status};

/// `$identify`: person properties in `$set` and `$set_once`.
pub fn identify<'a>(
    distinct_id: &'a [u8],
    set: Option<&'a [u8]>,
    set_once: Option<&'a [u8]>,
) -> Result<Draft<'a>, Error> {
    let mut draft = Draft::new(distinct_id, b"$identify");
    draft.set_merged("$set", set.or(Some(b"{}")))?;
    draft.set_merged("$set_once", set_once)?;
    Ok(draft)
}

/// Properties that were written, and whether text in them was repaired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shaped {
    /// One JSON object.
    pub json: Vec<u8>,
    /// Whether text was repaired.
    pub repaired: bool,
}

impl Shaped {
    /// The draft of the event that has these properties.
    pub fn draft<'a>(&'a self, distinct_id: &'a [u8], event: &'a [u8]) -> Draft<'a> {
        let mut draft = Draft::loose(distinct_id, event, Some(&self.json));
        draft.repaired |= self.repaired;
        draft
    }

    fn write(&mut self, before: &[u8], text: &[u8]) {
        self.json.extend_from_slice(before);
        self.repaired |= write_repaired(&mut self.json, text);
    }
}

/// The properties of `$create_alias`, whose distinct id is the canonical one.
pub fn alias_properties(alias: &[u8]) -> Result<Shaped, Error> {
    if alias.is_empty() {
        return Err(Error::new(Status::INVALID_ARGUMENT, "the alias is empty"));
    }
    let mut properties = Shaped { json: Vec::new(), repaired: false };
    properties.write(b"{\"alias\":\"", alias);
    properties.json.extend_from_slice(b"\"}");
    Ok(properties)
}

/// The properties of `$groupidentify`.
pub fn group_properties(group_type: &[u8], group_key: &[u8], set: Option<&[u8]>) -> Result<Shaped, Error> {
    if group_type.is_empty() || group_key.is_empty() {
        return Err(Error::new(Status::INVALID_ARGUMENT, "a group needs a type and a key"));
    }
    let set = set.filter(|text| text.trim_ascii() != b"null").unwrap_or(b"{}");
    let (set, repaired) = parsed("group properties", set, |scanner| scanner.members(1, |_| ()))?;
    let mut properties = Shaped { json: Vec::new(), repaired };
    properties.write(b"{\"$group_type\":\"", group_type);
    properties.write(b"\",\"$group_key\":\"", group_key);
    properties.json.extend_from_slice(b"\",\"$group_set\":");
    properties.json.extend_from_slice(set.as_bytes());
    properties.json.push(b'}');
    Ok(properties)
}

/// The distinct id of a group when none is given: `$<type>_<key>`.
pub fn group_distinct_id(group_type: &[u8], group_key: &[u8]) -> Vec<u8> {
    [b"$", group_type, b"_", group_key].concat()
}
