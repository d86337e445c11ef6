//! What each target does with an input, without libFuzzer: the programs of `targets/`
//! search for new inputs, and `replay.rs` runs the committed ones.
//!
//! A target returns or panics. A panic that the library would catch ends the process
//! too, because the panic hook aborts before the catch.

pub mod builder;
pub mod calls;
pub mod capture_json;
pub mod config_set;
pub mod event_model;
pub mod exception;
pub mod flag_response;
pub mod flags;
mod input;
pub mod json_model;
pub mod properties;
pub mod response;
pub mod retry_after;
pub mod segment;
pub mod test_client;

/// A target's name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 11] = [
    ("properties", properties::run),
    ("capture_json", capture_json::run),
    ("builder", builder::run),
    ("exception", exception::run),
    ("config_set", config_set::run),
    ("flags", flags::run),
    ("flag_response", flag_response::run),
    ("response", response::run),
    ("retry_after", retry_after::run),
    ("segment", segment::run),
    ("calls", calls::run),
];
