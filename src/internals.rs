//! What fuzz targets, xtask and phc-cli use of the library's inside. It is not an
//! API: everything in it may change at any time.

pub mod tool;

pub use crate::capi::rules::{ALL as CALL_RULES, Rule};
pub use crate::client::Client;
pub use crate::config::host::{endpoint, normalised as normalised_host};
pub use crate::config::{Config, settings_page};
pub use crate::event::{EncodedEvent, Encoder, EventBuilder, EventInput, SuperProperties};
pub use crate::protocol::retry_after::parse as parse_retry_after;
pub use crate::protocol::{
    Attempt, AttemptDecision, AttemptResult, Backoff, Disposition, Failure, HostSign, RetryPolicy,
    SpooledBatch, Verdict, decide,
};
pub use crate::status::{Error, Message, Status};

#[cfg(all(unix, feature = "spool"))]
pub use crate::spool::{SegmentSummary, Unreadable as UnreadableSegment, read_segment};

/// What the body of a response with the values of feature flags means.
#[cfg(feature = "flags")]
#[derive(Debug)]
pub enum FlagResponse {
    /// The snapshot of a person without definitions, and the events of a read of each of its flags, as JSON.
    Values { snapshot: String, events: Vec<String> },
    /// The project has used up its requests.
    QuotaLimited,
    /// It is not a JSON object.
    Unreadable,
}

/// Reads such a body, of a response with the status 200.
#[cfg(feature = "flags")]
pub fn read_flag_response(body: &[u8]) -> FlagResponse {
    use crate::flags::remote::{Decision, Exchange, decide};
    use crate::flags::{OfClient, Query, Read, Snapshot};

    let exchange = Exchange::Response { status: 200, body: body.to_vec(), etag: None, retry_after: None };
    let remote = match decide(&exchange) {
        Decision::Known(remote) => remote,
        Decision::Failed(failure) if failure.word() == "quota_limited" => return FlagResponse::QuotaLimited,
        Decision::Failed(_) | Decision::Retry(_) => return FlagResponse::Unreadable,
    };
    let query = Query::new("user");
    let local = Snapshot::new(None, &query, OfClient { contexts: &[], now: 0 });
    let snapshot = local.with_server(&query, Ok(remote));
    let mut events = Vec::new();
    for found in (0..snapshot.len()).filter_map(|index| snapshot.at(index)) {
        let read = Read::new(&snapshot, found.key());
        events.extend(read.kinds().map(|kind| String::from_utf8_lossy(&read.event(kind)).into_owned()));
    }
    FlagResponse::Values { snapshot: snapshot.to_json(), events }
}
