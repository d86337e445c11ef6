//! TEMPORARY shim over the old modules, until the rewrite is merged.
#![allow(unreachable_pub, dead_code)]

pub mod additions;
pub mod builder;
pub mod draft;
pub mod encode;
pub mod identity;
#[cfg(test)]
mod model;
pub mod number;
pub mod properties;
pub mod quick;
pub mod scan;
pub mod scratch;
pub mod shapes;
#[cfg(test)]
mod tests;
pub mod text;
pub mod timestamp;
#[cfg(test)]
mod walks;

pub use additions::Additions;
pub struct EventBuilder(Box<builder::EventBuilder>);
impl EventBuilder {
    pub fn take(d: &[u8], e: &[u8]) -> Box<Self> {
        Box::new(EventBuilder(builder::EventBuilder::take(d, e)))
    }
    pub fn keep(self: Box<Self>) {
        self.0.keep()
    }
    pub fn set_text(&mut self, key: Option<&[u8]>, v: &[u8]) -> Result<(), Error> {
        self.0.set_text(key.unwrap_or_default(), v)
    }
    pub fn set_integer(&mut self, key: Option<&[u8]>, v: i64) -> Result<(), Error> {
        self.0.set_integer(key.unwrap_or_default(), v)
    }
    pub fn set_unsigned(&mut self, key: Option<&[u8]>, v: u64) -> Result<(), Error> {
        self.0.set_json(key.unwrap_or_default(), v.to_string().as_bytes())
    }
    pub fn set_number(&mut self, key: Option<&[u8]>, v: f64) -> Result<(), Error> {
        self.0.set_number(key.unwrap_or_default(), v)
    }
    pub fn set_bool(&mut self, key: Option<&[u8]>, v: bool) -> Result<(), Error> {
        self.0.set_bool(key.unwrap_or_default(), v)
    }
    pub fn set_null(&mut self, key: Option<&[u8]>) -> Result<(), Error> {
        self.0.set_json(key.unwrap_or_default(), b"null")
    }
    pub fn set_json(&mut self, key: Option<&[u8]>, v: &[u8]) -> Result<(), Error> {
        self.0.set_json(key.unwrap_or_default(), v)
    }
    pub fn begin_object(&mut self, _: Option<&[u8]>) -> Result<(), Error> {
        Err(crate::status::Status::INTERNAL.into())
    }
    pub fn begin_array(&mut self, _: Option<&[u8]>) -> Result<(), Error> {
        Err(crate::status::Status::INTERNAL.into())
    }
    pub fn end(&mut self) -> Result<(), Error> {
        Err(crate::status::Status::INTERNAL.into())
    }
    pub fn set_group(&mut self, t: &[u8], k: &[u8]) -> Result<(), Error> {
        self.0.set_group(t, k)
    }
    pub fn set_uuid(&mut self, uuid: &[u8]) {
        self.0.set_uuid(uuid)
    }
    pub fn set_timestamp_ms(&mut self, ms: i64) -> Result<(), Error> {
        self.0.set_timestamp_ms(ms)
    }
    pub fn set_timestamp(&mut self, t: &[u8]) -> Result<(), Error> {
        self.0.set_timestamp(t)
    }
}
pub use draft::Draft;
pub use encode::{Encoded, encode};
pub use scratch::Scratch;

pub mod uuid {
    pub use super::identity::{Randomness as UuidSource, UUID_TEXT, parse_uuid, write_uuid};
}
use crate::status::Error;
pub use additions::Additions as SuperProperties;

pub enum EventInput<'a> {
    Parts {
        distinct_id: &'a [u8],
        event: &'a [u8],
        properties: Option<&'a [u8]>,
    },
    Json(&'a [u8]),
    Built(&'a EventBuilder),
    Identify {
        distinct_id: &'a [u8],
        set: Option<&'a [u8]>,
        set_once: Option<&'a [u8]>,
    },
    Alias {
        distinct_id: &'a [u8],
        alias: &'a [u8],
    },
    GroupIdentify {
        group_type: &'a [u8],
        group_key: &'a [u8],
        set: Option<&'a [u8]>,
        distinct_id: Option<&'a [u8]>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedEvent {
    pub uuid: ::uuid::Uuid,
    pub caller_uuid: bool,
    pub repaired: bool,
    pub uuid_replaced: bool,
}

pub struct Encoder(Option<Box<Scratch>>);

impl Encoder {
    pub fn take(epoch: u64) -> Box<Encoder> {
        Box::new(Encoder(Some(Scratch::take(epoch))))
    }
    pub fn keep(mut self: Box<Self>) {
        if let Some(scratch) = self.0.take() {
            scratch.keep();
        }
    }
    pub fn wire(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |scratch| &scratch.wire)
    }
    pub fn encode(
        &mut self,
        input: &EventInput<'_>,
        added: &Additions,
        max: usize,
    ) -> Result<EncodedEvent, Error> {
        let Some(scratch) = self.0.as_mut() else { return Err(crate::status::Status::INTERNAL.into()) };
        let go = |draft: &Draft<'_>, scratch: &mut Scratch| {
            let encoded = encode(draft, added, max, scratch)?;
            Ok(EncodedEvent {
                uuid: encoded.uuid,
                caller_uuid: draft.uuid.is_some() && !encoded.uuid_replaced,
                repaired: encoded.repaired,
                uuid_replaced: encoded.uuid_replaced,
            })
        };
        match *input {
            EventInput::Parts { distinct_id, event, properties } => {
                go(&Draft::loose(distinct_id, event, properties), scratch)
            }
            EventInput::Json(json) => {
                if json.len() > max {
                    return Err(encode::too_large(json.len(), max));
                }
                let draft = Draft::from_json(json, &mut scratch.properties, added)?;
                go(&draft, scratch)
            }
            EventInput::Built(builder) => {
                let draft = builder.0.draft(&mut scratch.properties, added);
                go(&draft, scratch)
            }
            EventInput::Identify { distinct_id, set, set_once } => {
                go(&shapes::identify(distinct_id, set, set_once)?, scratch)
            }
            EventInput::Alias { distinct_id, alias } => {
                let properties = shapes::alias_properties(alias)?;
                go(&properties.draft(distinct_id, b"$create_alias"), scratch)
            }
            EventInput::GroupIdentify { group_type, group_key, set, distinct_id } => {
                let own = shapes::group_distinct_id(group_type, group_key);
                let properties = shapes::group_properties(group_type, group_key, set)?;
                go(&properties.draft(distinct_id.unwrap_or(&own), b"$groupidentify"), scratch)
            }
        }
    }
}
