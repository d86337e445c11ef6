//! The events that official SDKs send for identify, alias and group identify.

use super::draft::Draft;
use super::encode::parsed;
use super::text::{repaired, write_string};
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

/// The properties of `$create_alias`, whose distinct id is the canonical one.
pub fn alias_properties(alias: &[u8]) -> Result<Vec<u8>, Error> {
    if alias.is_empty() {
        return Err(Error::new(Status::INVALID_ARGUMENT, "the alias is empty"));
    }
    let mut properties = b"{\"alias\":".to_vec();
    write_string(&mut properties, &repaired(alias));
    properties.push(b'}');
    Ok(properties)
}

/// The properties of `$groupidentify`.
pub fn group_properties(group_type: &[u8], group_key: &[u8], set: Option<&[u8]>) -> Result<Vec<u8>, Error> {
    if group_type.is_empty() || group_key.is_empty() {
        return Err(Error::new(Status::INVALID_ARGUMENT, "a group needs a type and a key"));
    }
    let set = set.filter(|text| text.trim_ascii() != b"null").unwrap_or(b"{}");
    let (set, _) = parsed("group properties", set, |scanner| scanner.members(1, |_| ()))?;
    let mut properties = b"{\"$group_type\":".to_vec();
    write_string(&mut properties, &repaired(group_type));
    properties.extend_from_slice(b",\"$group_key\":");
    write_string(&mut properties, &repaired(group_key));
    properties.extend_from_slice(b",\"$group_set\":");
    properties.extend_from_slice(set.as_bytes());
    properties.push(b'}');
    Ok(properties)
}

/// The distinct id of a group when none is given: `$<type>_<key>`.
pub fn group_distinct_id(group_type: &[u8], group_key: &[u8]) -> Vec<u8> {
    [b"$", group_type, b"_", group_key].concat()
}
