//! libphc delivers product-analytics events by Capture v1, once and for every
//! language, behind a C ABI.
//!
//! An event goes one way: a call of the host → [`event`] (validated and encoded
//! once, on the calling thread) → [`queue`] (bounded) → [`batch`] → [`protocol`]
//! ⇄ [`transport`] → [`outcome`] → the host.
//!
//! - [`capi`]: the C boundary. Converts and calls; decides nothing.
//! - [`config`]: every setting once, in one table.
//! - `json`: JSON text, read in place and written.
//! - [`event`]: what a capture call was given becomes the bytes of the wire.
//! - [`queue`], [`batch`]: waiting events, already as bodies in the making.
//! - [`protocol`]: Capture v1 as rules, without I/O, clock or threads.
//! - [`transport`]: one attempt over the network.
//! - [`sender`]: the send loop; what goes next and what waits.
//! - [`books`]: what is pending and how each event ended, behind one lock.
//! - [`outcome`]: counters that add up, and reports.
//! - [`listener`], [`hook`]: the host's callbacks, on their thread and on the
//!   caller's.
//! - [`runtime`]: the one I/O thread; fork, signals and exit.
//! - [`client`], [`life`]: tie them together: what `capi` wraps, and what it is
//!   in one process.
#![deny(unsafe_code)]

pub mod batch;
pub mod books;
pub mod capi;
pub mod client;
pub mod config;
pub mod event;
pub mod fault;
pub mod hook;
mod json;
pub mod life;
pub mod listener;
pub mod outcome;
pub mod protocol;
pub mod queue;
#[cfg(test)]
#[cfg(feature = "race-models")]
mod races;
#[cfg(test)]
mod random;
pub mod runtime;
pub mod sender;
pub mod shared;
pub mod status;
mod suggest;
mod sync;
pub mod transport;
