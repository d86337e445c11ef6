//! The rules of the contract that one request can break by itself: headers, envelope, events.
//!
//! It knows nothing of earlier requests (that is `history`) or of what the sink responds.

pub(crate) mod body;
pub(crate) mod event;
pub(crate) mod flags;
pub(crate) mod headers;

use serde::Serialize;

use crate::text::cut;
pub use flags::FLAG_RULES;

/// The name of every rule, as in sink/README.md. `conformance/contract.json` says whose each of them is.
pub const RULES: [&str; 57] = [
    "accept-encoding",
    "attempt",
    "attempt-gap",
    "authorization",
    "batch",
    "broken-encoding",
    "bytes-changed-on-retry",
    "content-encoding",
    "content-type",
    "created-at",
    "created-at-changed",
    "created-at-form",
    "distinct-id",
    "distinct-id-white-space",
    "duplicate-key",
    "duplicate-uuid",
    "empty-batch",
    "envelope",
    "event",
    "event-added-on-retry",
    "event-name",
    "event-timestamp",
    "event-timestamp-form",
    "groups-type",
    "historical-migration",
    "invalid-json",
    "invalid-utf8",
    "invalid-uuid",
    "key-in-body",
    "legacy-key",
    "lone-surrogate",
    "members",
    "number-range",
    "option-type",
    "options",
    "path",
    "properties",
    "query",
    "request-id",
    "request-id-reused",
    "request-timestamp",
    "request-timestamp-form",
    "request-timestamp-stale",
    "resent-after-acceptance",
    "resent-after-refusal",
    "retry-too-early",
    "sdk-info",
    "sdk-info-form",
    "session-type",
    "too-deep",
    "unknown-event-key",
    "unknown-key",
    "unknown-option",
    "unlifted-sentinel",
    "user-agent",
    "uuid-form",
    "uuid-in-second-batch",
];

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule's stable name; sink/README.md lists them.
    pub rule: &'static str,
    /// The number of the request in its namespace, from 1; 0 for a request of feature flags.
    pub request: u64,
    /// The request id, as sent.
    pub request_id: String,
    /// The event, if the rule is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// What was received and what is expected.
    pub message: String,
}

/// Collects the violations of one request.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Rule, uuid of the event, message.
    pub(crate) list: Vec<(&'static str, Option<String>, String)>,
    /// The status that refuses the request, and the first rule that asks for it.
    pub(crate) status: Option<(u16, &'static str)>,
}

/// Broken rules that are recorded of one request, and bytes of the message about one: what a client sends may make
/// millions of both.
const MAX_FINDINGS: usize = 1000;
const MAX_MESSAGE: usize = 1000;

impl Findings {
    /// Adds a broken rule about the request.
    pub(crate) fn add(&mut self, rule: &'static str, message: impl Into<String>) {
        self.push(rule, None, message.into());
    }

    /// Adds a broken rule about one event.
    pub(crate) fn add_event(&mut self, rule: &'static str, uuid: &str, message: impl Into<String>) {
        self.push(rule, Some(uuid.to_owned()), message.into());
    }

    fn push(&mut self, rule: &'static str, uuid: Option<String>, mut message: String) {
        debug_assert!(RULES.contains(&rule) || FLAG_RULES.contains(&rule), "{rule} is in no list of rules");
        if self.is_full() {
            return;
        }
        if message.len() > MAX_MESSAGE {
            message = format!("{}…", cut(&message, MAX_MESSAGE));
        }
        self.list.push((rule, uuid, message));
    }

    /// Whether no more broken rules are recorded.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_FINDINGS
    }

    /// Adds a broken rule for which a server refuses the whole request with this status.
    pub(crate) fn refuse(&mut self, status: u16, rule: &'static str, message: impl Into<String>) {
        self.status.get_or_insert((status, rule));
        self.add(rule, message);
    }
}

/// Whether the text is an instant that the server reads: RFC 3339, in any offset, with any number of digits.
pub(crate) fn is_instant(text: &str) -> bool {
    // jiff reads a zone in brackets, too, and its last instant is a day before the end of the year 9999.
    is_wire_time(text) || (!text.contains('[') && text.parse::<jiff::Timestamp>().is_ok())
}

/// Whether the text is an instant in the one form that PostHog's specification names: RFC 3339, UTC, three
/// digits of milliseconds, `Z`.
pub(crate) fn is_wire_time(text: &str) -> bool {
    let has_form = text.len() == 24
        && text.bytes().zip(*b"dddd-dd-ddTdd:dd:dd.dddZ").all(|(byte, pattern)| match pattern {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        });
    has_form && text.trim_end_matches('Z').parse::<jiff::civil::DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_an_offset() {
        for good in [
            "2026-11-23T21:20:05.123Z",
            "2026-11-23T21:20:05Z",
            "2026-11-23T21:20:05.123456+00:00",
            "2026-11-23T21:20:05-08:00",
            "2026-11-23t21:20:05.1z",
            "9999-12-31T23:59:59.999Z",
        ] {
            assert!(is_instant(good), "{good}");
        }
        for bad in ["2026-11-23T21:20:05", "2026-11-23", "1795640899", "now", "", "2026-02-30T21:20:05Z"] {
            assert!(!is_instant(bad), "{bad}");
        }
        assert!(!is_instant("2026-11-23T21:20:05-08:00[America/Los_Angeles]"));
    }

    #[test]
    fn only_utc_with_milliseconds_is_a_wire_time() {
        assert!(is_wire_time("2026-11-23T21:20:05.123Z"));
        assert!(is_wire_time("9999-12-31T23:59:59.999Z"));
        assert!(is_wire_time("0000-01-01T00:00:00.000Z"));
        for bad in [
            "2026-11-23T21:20:05Z",
            "2026-11-23T21:20:05.123+00:00",
            "2026-13-23T21:20:05.123Z",
            "2026-11-23 21:20:05.123Z",
            "2026-02-30T21:20:05.123Z",
            "",
        ] {
            assert!(!is_wire_time(bad), "{bad}");
        }
    }
}
