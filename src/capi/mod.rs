//! The C boundary: converts and calls, decides nothing.
//!
//! One file for each C type, named by its prefix. Doc comments here are written
//! for people who read the header; they are the header. Every exported function
//! goes through [`guard::guard`], so no panic crosses into C, and checks every
//! pointer for NULL. What is behind a pointer, and who owns it, is said by the
//! traits in [`handle`].
#![allow(unsafe_code, non_camel_case_types)]
// The safety contract of every function is that of C: pointers are NULL or
// valid. It is said once, at the top of the header.
#![allow(clippy::missing_safety_doc)]

pub mod capture;
pub mod client;
pub mod config;
pub mod event;
#[cfg(feature = "fault-injection")]
pub mod fault;
pub mod guard;
pub mod handle;
pub mod outgoing;
pub mod report;
pub mod stats;
pub mod status;
pub mod text;
