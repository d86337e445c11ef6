//! Capture v1 as rules: what a request contains, what a response means, what to
//! do next. No I/O, no clock, no threads: time comes in as a value and goes out
//! as a delay, so that every rule can be tested on a virtual clock.
//!
//! docs/protocol.md states the contract that these modules implement.

pub(crate) mod attempt;
pub(crate) mod backoff;
pub(crate) mod circuit_breaker;
pub(crate) mod decide;
pub(crate) mod envelope;
mod explain;
pub(crate) mod headers;
mod resend;
pub(crate) mod response;
pub(crate) mod retry_after;
pub(crate) mod shortage;
pub(crate) mod statuses;
pub(crate) mod verdict;

pub use attempt::{Attempt, AttemptResult, RetryPolicy, SpooledBatch};
pub use backoff::Backoff;
pub(crate) use circuit_breaker::CircuitBreaker;
pub use circuit_breaker::HostSign;
pub use decide::{AttemptDecision, Disposition, Failure, decide};
pub(crate) use shortage::Shortage;
pub use verdict::Verdict;
