//! The rules of the contract that one request can break by itself.

pub mod body;
pub mod event;
pub mod headers;

use serde::Serialize;

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The rule's stable name; sink/README.md lists them.
    pub rule: &'static str,
    /// The request's number in its space, from 1.
    pub request: u64,
    /// The request id, as sent.
    pub request_id: String,
    /// The event, where the rule is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    /// What was seen and what is expected.
    pub message: String,
}

/// Collects the violations of one request.
#[derive(Debug, Default)]
pub struct Findings {
    /// Rule, event, message.
    pub list: Vec<(&'static str, Option<String>, String)>,
    /// The status that the strictest of them deserves.
    pub status: Option<(u16, &'static str)>,
}

impl Findings {
    /// A rule about the request is broken.
    pub fn add(&mut self, rule: &'static str, message: impl Into<String>) {
        self.list.push((rule, None, message.into()));
    }

    /// A rule about an event is broken.
    pub fn add_event(&mut self, rule: &'static str, uuid: &str, message: impl Into<String>) {
        self.list.push((rule, Some(uuid.to_owned()), message.into()));
    }

    /// A rule is broken for which a server refuses the whole request.
    pub fn refuse(&mut self, status: u16, rule: &'static str, message: impl Into<String>) {
        self.status.get_or_insert((status, rule));
        self.add(rule, message);
    }
}

/// Whether the text is an instant as the wire wants it: RFC 3339, UTC, three
/// digits of milliseconds, `Z`.
#[must_use]
pub fn is_wire_time(text: &str) -> bool {
    let shape = text.len() == 24
        && text.bytes().zip(*b"dddd-dd-ddTdd:dd:dd.dddZ").all(|(byte, pattern)| match pattern {
            b'd' => byte.is_ascii_digit(),
            other => byte == other,
        });
    shape && text.trim_end_matches('Z').parse::<jiff::civil::DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_times() {
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
