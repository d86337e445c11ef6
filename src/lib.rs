//! libphc delivers product-analytics events to PostHog by Capture v1, once and for
//! every language, behind a C ABI.
//!
//! The modules, from the boundary down; a module imports only those below it:
//!
//! - [`capi`]: the C boundary. Converts and calls.
//! - [`client`]: takes events from the host, waits for their end, calls the host's
//!   callbacks.
//! - [`delivery`]: from a captured event to its end: queue, batches, counters,
//!   reports, send loop.
//! - [`transport`]: one attempt over the network.
//! - [`config`]: every setting once, in one table.
//! - `spool`: pending events on disk, with the feature of that name.
//! - [`flags`]: feature flags: definitions, and their evaluation for a person.
//! - [`protocol`]: Capture v1 as rules, without I/O, clock or threads.
//! - [`exception`]: what a program says of an error becomes an event.
//! - [`runtime`]: the I/O thread; fork, signals and exit.
//! - [`event`]: what a capture call was given becomes the bytes of the wire.
//! - [`json`]: JSON text.
//!
//! docs/architecture.md follows an event through them.
#![deny(unsafe_code)]
#![cfg_attr(not(feature = "internals"), allow(unreachable_pub))]

pub mod capi;
mod client;
mod config;
mod delivery;
mod event;
mod exception;
mod failpoint;
#[cfg(feature = "flags")]
mod flags;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
mod json;
mod memory;
mod protocol;
#[cfg(all(test, feature = "race-models"))]
mod race_models;
#[cfg(test)]
mod random;
mod runtime;
#[cfg(all(unix, feature = "spool"))]
mod spool;
mod status;
mod suggest;
mod sync;
mod transport;
