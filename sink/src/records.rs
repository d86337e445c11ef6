//! What a namespace records of each request and event, and its counters.
//!
//! Their JSON is what the sink serves at `_requests`, `_events` and `_summary`; sink/README.md describes it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::check::Violation;
use crate::kept::Size;

/// About what an allocation takes beyond its bytes.
const ALLOCATION: usize = 16;

/// An event as it was received in one request.
#[derive(Clone, Debug, Serialize)]
pub struct EventRecord {
    /// Its uuid.
    pub uuid: Uuid,
    /// The number of the request in its namespace, from 1.
    pub request: u64,
    /// The request id.
    pub request_id: String,
    /// The attempt.
    pub attempt: u64,
    /// The code of its verdict; empty if there was none.
    pub verdict: String,
    /// Whether the sink stored it.
    pub stored: bool,
    /// Whether the script let the response reach the client.
    pub responded: bool,
    /// The event, byte for byte.
    pub event: Box<RawValue>,
    /// Its name, and the next two: at most 200 bytes of each.
    #[serde(skip)]
    pub(crate) name: Box<str>,
    #[serde(skip)]
    pub(crate) distinct_id: Box<str>,
    /// What the results say beside the verdict.
    #[serde(skip)]
    pub(crate) details: Box<str>,
}

impl Size for EventRecord {
    fn size(&self) -> usize {
        size_of::<Self>()
            + self.request_id.len()
            + self.verdict.len()
            + self.event.get().len()
            + self.name.len()
            + self.distinct_id.len()
            + self.details.len()
            + 5 * ALLOCATION
    }
}

/// A request as it was received.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestRecord {
    /// Its number in its namespace, from 1.
    pub n: u64,
    /// `PostHog-Request-Id`
    pub request_id: String,
    /// `PostHog-Attempt`
    pub attempt: u64,
    /// The HTTP status of the response, even if a cut connection kept it from the client.
    pub status: u16,
    /// How many events it carried.
    pub event_count: usize,
    /// Their uuids.
    pub uuids: Vec<Uuid>,
    /// All its headers.
    pub headers: BTreeMap<String, String>,
    /// Its path.
    pub path: String,
    /// Its codec; `identity` if it was not compressed.
    pub encoding: String,
    /// The size of its body in bytes, as sent.
    pub bytes_wire: usize,
    /// The size of its body in bytes, decompressed.
    pub bytes_raw: usize,
    /// `created_at`
    pub created_at: String,
    /// `historical_migration`
    pub historical_migration: bool,
    /// When it had been received, in ms since the start of the sink.
    pub received_at_ms: f64,
    /// The number of the connection that it came on.
    pub connection: u64,
    /// Where the script cut its connection, if it did: a value of the key `close`.
    pub cut: Option<&'static str>,
    /// What the script made special about the response, in words; empty if nothing.
    #[serde(skip)]
    pub(crate) response: String,
    /// How many of its events got each verdict.
    #[serde(skip)]
    pub(crate) verdicts: BTreeMap<String, u64>,
}

impl Size for RequestRecord {
    fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 3 * ALLOCATION);
        let verdicts = self.verdicts.keys().map(|code| code.len() + 3 * ALLOCATION);
        let texts = [&self.request_id, &self.path, &self.encoding, &self.created_at, &self.response];
        size_of::<Self>()
            + self.uuids.len() * size_of::<Uuid>()
            + headers.sum::<usize>()
            + verdicts.sum::<usize>()
            + texts.map(|text| text.len() + ALLOCATION).iter().sum::<usize>()
    }
}

impl Size for Violation {
    fn size(&self) -> usize {
        let uuid = self.uuid.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.request_id.len() + self.message.len() + uuid + 3 * ALLOCATION
    }
}

/// The counters of a namespace.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Requests received.
    pub requests: u64,
    /// Events received, each as often as it came.
    pub events: u64,
    /// Distinct uuids that are stored.
    pub accepted: usize,
    /// Those of them whose acceptance was sent to the client.
    pub delivered: usize,
    /// Responses by status; 0 counts requests without a whole response.
    pub statuses: BTreeMap<u16, u64>,
    /// Verdicts by code.
    pub verdicts: BTreeMap<String, u64>,
    /// Violations by rule.
    pub violations: BTreeMap<&'static str, u64>,
    /// Requests for the values of feature flags.
    pub flag_requests: u64,
    /// Requests for the definitions of feature flags.
    pub definition_requests: u64,
    /// Requests for remote configs.
    pub remote_config_requests: u64,
    /// The largest number of requests that were open at once.
    pub max_concurrent: u64,
    /// Connections that requests came on.
    pub connections: usize,
    /// The size of the largest body in bytes, decompressed.
    pub max_body: usize,
}
