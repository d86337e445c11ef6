//! What fuzz targets, benchmarks and xtask use of the library's inside. It is no API:
//! everything in it may change at any time.

pub use crate::capi::rules::{ALL as CALL_RULES, Rule};
pub use crate::client::Client;
pub use crate::config::host::{endpoint, normalised as normalised_host};
pub use crate::config::{Config, settings_page};
pub use crate::event::{EncodedEvent, Encoder, EventBuilder, EventInput, SuperProperties};
pub use crate::protocol::retry_after::parse as parse_retry_after;
pub use crate::protocol::{
    Attempt, AttemptDecision, AttemptResult, Backoff, Disposition, Failure, RetryPolicy, Verdict, decide,
};
pub use crate::status::{Error, Status};
