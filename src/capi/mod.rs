//! The C boundary: converts and calls, decides nothing.
//!
//! One file for each C type or group of functions. Doc comments here are written for
//! people who read the header; they are the header. Every exported function goes through
//! [`guard::guard`] with its row of [`rules`], so that no panic crosses into C and no
//! function runs in a callback in which it could wait, and it checks every pointer for
//! NULL. What is behind a pointer, and who owns it, is said by the traits in [`handle`].
#![allow(unsafe_code, non_camel_case_types)]
// The safety contract of every function is that of C: a pointer is NULL or valid. It is
// stated once, at the top of the header.
#![allow(clippy::missing_safety_doc)]

pub mod before_send;
pub mod binding;
#[cfg(feature = "flags")]
pub mod binding_flags;
pub mod callbacks;
pub mod capture;
pub mod client;
pub mod config;
pub mod event;
pub mod exception;
#[cfg(feature = "failpoints")]
pub mod failpoint;
#[cfg(feature = "flags")]
pub mod flag_values;
#[cfg(feature = "flags")]
pub mod flags;
#[cfg(feature = "flags")]
pub mod flags_query;
pub mod flush;
mod guard;
mod handle;
#[cfg(feature = "pieces")]
pub mod pieces;
#[cfg(feature = "flags")]
pub mod remote_config;
pub mod report;
pub(crate) mod rules;
pub mod spool;
pub mod stats;
pub mod status;
mod text;
