//! The headers of a request.

use uuid::Uuid;

use crate::event::timestamp::Timestamp;

/// Where events are posted, behind the host and its path prefix.
pub const PATH: &str = "/i/v1/analytics/events";
/// Bound of `User-Agent` and `PostHog-Sdk-Info`, in bytes.
pub const MAX_SDK_INFO: usize = 200;

/// Headers that are the same in every request of a client.
pub fn of_client(api_key: &str, sdk_info: &str) -> [(&'static str, String); 4] {
    [
        ("authorization", format!("Bearer {api_key}")),
        ("content-type", "application/json".to_owned()),
        ("user-agent", sdk_info.to_owned()),
        ("posthog-sdk-info", sdk_info.to_owned()),
    ]
}

/// Headers of one attempt. The request id is the batch's on every attempt; the
/// timestamp is the attempt's own.
pub fn of_attempt(request_id: Uuid, attempt: u32, now: Timestamp) -> [(&'static str, String); 3] {
    [
        ("posthog-request-id", request_id.hyphenated().to_string()),
        ("posthog-attempt", attempt.to_string()),
        ("posthog-request-timestamp", String::from_utf8_lossy(&now.format()).into_owned()),
    ]
}

/// Headers that are ours; a setting cannot replace them.
pub const RESERVED: [&str; 10] = [
    "authorization",
    "content-type",
    "user-agent",
    "posthog-sdk-info",
    "posthog-request-id",
    "posthog-attempt",
    "posthog-request-timestamp",
    "content-encoding",
    "content-length",
    "host",
];
