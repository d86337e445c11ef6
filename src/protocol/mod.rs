//! Capture v1 as rules: what a request says, what an answer means, what to do
//! next. No I/O, no clock, no threads: time comes in as a value and goes out as
//! a delay, so that every rule can be tested on a virtual clock.
//!
//! docs/protocol.md states the contract these modules hold.

pub mod answer;
pub mod backoff;
pub mod envelope;
pub mod headers;
pub mod judge;
pub mod outage;
pub mod retry_after;
pub mod statuses;
pub mod verdict;
