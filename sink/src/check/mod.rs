//! The rules of the contract that one request can break by itself: headers, envelope, events.
//!
//! It knows nothing of earlier requests (that is `history`) or of what the sink responds.

pub(crate) mod body;
pub(crate) mod event;
pub(crate) mod headers;

use serde::Serialize;

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule's stable name; sink/README.md lists them.
    pub rule: &'static str,
    /// The number of the request in its namespace, from 1.
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

impl Findings {
    /// Adds a broken rule about the request.
    pub(crate) fn add(&mut self, rule: &'static str, message: impl Into<String>) {
        self.list.push((rule, None, message.into()));
    }

    /// Adds a broken rule about one event.
    pub(crate) fn add_event(&mut self, rule: &'static str, uuid: &str, message: impl Into<String>) {
        self.list.push((rule, Some(uuid.to_owned()), message.into()));
    }

    /// Adds a broken rule for which a server refuses the whole request with this status.
    pub(crate) fn refuse(&mut self, status: u16, rule: &'static str, message: impl Into<String>) {
        self.status.get_or_insert((status, rule));
        self.add(rule, message);
    }
}

/// Whether the text is an instant in the one form that the wire allows: RFC 3339, UTC, three digits of
/// milliseconds, `Z`.
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
