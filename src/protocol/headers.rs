//! The headers of a request.

use uuid::Uuid;

use crate::event::timestamp::Timestamp;

/// The path that events are posted to, after the host and its path prefix.
pub(crate) const PATH: &str = "/i/v1/analytics/events";
/// The longest `User-Agent` and `PostHog-Sdk-Info`, in bytes.
pub(crate) const MAX_SDK_INFO: usize = 200;

/// The headers that are the same in every request of a client.
pub(crate) fn of_client(api_key: &str, sdk_info: &str) -> [(&'static str, String); 5] {
    [
        ("authorization", format!("Bearer {api_key}")),
        ("content-type", "application/json".to_owned()),
        // Responses are small and are read as they come.
        ("accept-encoding", "identity".to_owned()),
        ("user-agent", sdk_info.to_owned()),
        ("posthog-sdk-info", sdk_info.to_owned()),
    ]
}

/// The headers that name the SDK.
pub(crate) const OF_SDK: [&str; 2] = ["user-agent", "posthog-sdk-info"];

/// The headers of one attempt. The request id is that of the batch on every attempt;
/// the timestamp is the attempt's own.
pub(crate) fn of_attempt(request_id: Uuid, attempt: u32, now: Timestamp) -> [(&'static str, String); 3] {
    [
        ("posthog-request-id", request_id.hyphenated().to_string()),
        ("posthog-attempt", attempt.to_string()),
        ("posthog-request-timestamp", String::from_utf8_lossy(&now.format()).into_owned()),
    ]
}

/// The headers that libphc sets itself; a setting cannot replace them.
pub(crate) const RESERVED: [&str; 11] = [
    "authorization",
    "content-type",
    "accept-encoding",
    "user-agent",
    "posthog-sdk-info",
    "posthog-request-id",
    "posthog-attempt",
    "posthog-request-timestamp",
    "content-encoding",
    "content-length",
    "host",
];
