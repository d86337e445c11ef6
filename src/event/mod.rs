//! From what a capture call was given to the bytes of the wire.
//!
//! A [`Draft`] says what the caller gave; [`encode`] checks it and writes it,
//! once, on the calling thread. From here on an event is never parsed again, so
//! a retried event is the same bytes. This room knows nothing of queues,
//! batches or the network.

pub mod additions;
pub mod builder;
pub mod draft;
pub mod encode;
pub mod identity;
pub mod number;
pub mod properties;
pub mod quick;
pub mod scan;
pub mod scratch;
pub mod shapes;
pub mod text;
pub mod timestamp;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walks;

pub use additions::Additions;
pub use builder::EventBuilder;
pub use draft::Draft;
pub use encode::{Encoded, encode};
pub use scratch::Scratch;
