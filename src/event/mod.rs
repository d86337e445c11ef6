//! From what a capture call was given to the bytes of the wire.
//!
//! An [`EventInput`] is the event as the caller gives it; the [`Encoder`] checks it and writes it, once, on
//! the calling thread. From there on an event is never read again, so a retried event is the same bytes.
//! This module knows nothing of queues, batches or the network.
//!
//! Its parts, each of which imports only those before it: `rules` (what Capture v1 wants) ←
//! `super_properties` (what the client adds) ← `properties` (one properties object, sorted) ← `name` (names
//! and ids) ← `builder` and `input` (the forms in which an event is given) ← `merge` ← `encoder`.

/// Memory of one buffer of a thread above this is given back to the system after the event.
const KEPT_BYTES: usize = 64 * 1024;

mod builder;
mod encoder;
mod input;
mod joined;
mod members;
mod merge;
mod name;
mod properties;
mod rules;
mod special_events;
mod super_properties;
pub(crate) mod timestamp;
pub(crate) mod uuid;

#[cfg(test)]
mod tests;

pub use builder::EventBuilder;
pub use encoder::{EncodedEvent, Encoder};
pub use input::EventInput;
pub use super_properties::SuperProperties;
