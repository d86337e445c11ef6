//! What the targets do with an input, apart from libFuzzer: `targets/` drives
//! each by coverage, `replay.rs` with the inputs that are committed.
//!
//! A target ends quietly or panics. Even a panic that the library catches ends
//! it, for the hook aborts before the catch.

pub mod calls;
pub mod capture_json;
pub mod config_set;
pub mod model;
pub mod properties;
pub mod response;
pub mod retry_after;
pub mod server;

/// A target's name and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 6] = [
    ("properties", properties::run),
    ("capture_json", capture_json::run),
    ("config_set", config_set::run),
    ("response", response::run),
    ("retry_after", retry_after::run),
    ("calls", calls::run),
];
