//! The events that the official SDKs send for identify, alias and group identify. They are put together
//! like any other built event.

use super::builder::EventBuilder;
use super::name::{Name, check_name, trim_bytes};
use super::properties::is_null;
use super::rules::refused_json;
use crate::json::{Sound, read_checked};
use crate::status::{Error, Status};

/// `$identify`: person properties in `$set` and `$set_once`.
#[inline(never)]
pub(super) fn identify(
    distinct_id: &[u8],
    set: Option<&[u8]>,
    set_once: Option<&[u8]>,
) -> Result<Box<EventBuilder>, Error> {
    filled(EventBuilder::take(distinct_id, b"$identify")?, |built| {
        for (key, object) in [("$set", set.or(Some(b"{}"))), ("$set_once", set_once)] {
            if let Some(object) = object.filter(|text| !is_null(text)) {
                built.set_sound(Some(key.as_bytes()), &read_object(key, object)?)?;
            }
        }
        Ok(())
    })
}

/// `$create_alias`: `distinct_id`, which is the canonical id, and `alias` are the same person from now on.
#[inline(never)]
pub(super) fn create_alias(distinct_id: &[u8], alias: &[u8]) -> Result<Box<EventBuilder>, Error> {
    if alias.is_empty() {
        return Err(Error::new(Status::INVALID_ARGUMENT, "the alias is empty"));
    }
    // It is the distinct id of other events, around which there is never white space.
    let alias = trim_bytes(alias);
    if alias.is_empty() {
        let message = "the alias is nothing but white space, which the server removes from every id";
        return Err(Error::new(Status::INVALID_ARGUMENT, message));
    }
    check_name(&Name::new(alias), Status::INVALID_ARGUMENT, "alias")?;
    filled(EventBuilder::take(distinct_id, b"$create_alias")?, |built| built.set_text(Some(b"alias"), alias))
}

/// `$groupidentify`: properties of a group in `$group_set`. The distinct id is `$<type>_<key>` when none is
/// given.
#[inline(never)]
pub(super) fn group_identify(
    group_type: &[u8],
    group_key: &[u8],
    set: Option<&[u8]>,
    distinct_id: Option<&[u8]>,
) -> Result<Box<EventBuilder>, Error> {
    if group_type.is_empty() || group_key.is_empty() {
        return Err(Error::new(Status::INVALID_ARGUMENT, "a group needs a type and a key"));
    }
    let set = set.filter(|text| !is_null(text)).unwrap_or(b"{}");
    let set = read_object("group properties", set)?;
    let built = match distinct_id {
        Some(distinct_id) => EventBuilder::take(distinct_id, b"$groupidentify")?,
        None => EventBuilder::take_for_group(group_type, group_key, b"$groupidentify")?,
    };
    filled(built, |built| {
        built.set_text(Some(b"$group_type"), group_type)?;
        built.set_text(Some(b"$group_key"), group_key)?;
        built.set_sound(Some(b"$group_set"), &set)
    })
}

/// The event with its properties. One that is refused leaves its memory to the thread's next event.
fn filled(
    mut built: Box<EventBuilder>,
    fill: impl FnOnce(&mut EventBuilder) -> Result<(), Error>,
) -> Result<Box<EventBuilder>, Error> {
    match fill(&mut built) {
        Ok(()) => Ok(built),
        Err(error) => {
            built.keep();
            Err(error)
        }
    }
}

/// Reads a JSON object that becomes the value of a property.
fn read_object<'a>(what: &str, json: &'a [u8]) -> Result<Sound<'a>, Error> {
    read_checked(json, |cursor| cursor.members(0, 1, |_| ())).map_err(|error| refused_json(what, &error))
}
