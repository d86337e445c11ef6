//! What a listener is told.

use std::fmt::Write as _;

use uuid::Uuid;

use crate::json::write_string;
use crate::protocol::judge::Loss;
use crate::protocol::verdict::Remark;

/// How one event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Stored by the server.
    Delivered,
    /// Lost for this reason.
    Lost(Loss),
}

impl Ending {
    /// `delivered`, or the name of the reason.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Delivered => "delivered",
            Ending::Lost(loss) => loss.name(),
        }
    }
}

/// The end of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventReport {
    /// Its uuid.
    pub uuid: Uuid,
    /// How it ended.
    pub ending: Ending,
    /// For a lost event: whether the server may have stored it all the same.
    pub maybe_delivered: bool,
    /// The server's word on it, unless that was plain `ok`.
    pub remark: Option<Box<Remark>>,
}

/// One attempt, or one other occasion on which events ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The batch's request id; none when the events were in no request.
    pub request_id: Option<Uuid>,
    /// Which attempt of it; 0 with no request.
    pub attempt: u32,
    /// The HTTP status; 0 when there was no answer.
    pub status: u16,
    /// What went wrong with the batch as a whole; empty when nothing did.
    pub error: String,
    /// When the attempt began, in milliseconds since 1970; 0 with no request.
    pub sent_at_ms: i64,
    /// Events that go into the next attempt.
    pub pending: usize,
    /// Which those are; told only to who wants all reports.
    pub pending_events: Vec<Uuid>,
    /// Reports that were thrown away before this one because nobody fetched
    /// them in time, and the events in them.
    pub missed_reports: u64,
    /// See `missed_reports`.
    pub missed_events: u64,
    /// The events that ended.
    pub events: Vec<EventReport>,
}

impl Report {
    /// How many of its events are lost.
    pub fn lost(&self) -> usize {
        self.events.iter().filter(|event| event.ending != Ending::Delivered).count()
    }

    /// The memory that it takes, near enough.
    pub fn bytes(&self) -> usize {
        /// What an allocation costs beyond its bytes.
        const HEAP: usize = 16;
        let remark = |remark: &Remark| {
            let details = remark.details.as_ref().map_or(0, |details| details.len() + HEAP);
            size_of::<Remark>() + remark.code.len() + details + 2 * HEAP
        };
        let remarks: usize = self.events.iter().filter_map(|event| event.remark.as_deref()).map(remark).sum();
        size_of::<Report>()
            + self.error.len()
            + size_of_val(self.pending_events.as_slice())
            + size_of_val(self.events.as_slice())
            + remarks
    }

    /// Whether a listener who wants no successes wants this one.
    pub fn is_news(&self) -> bool {
        self.events.iter().any(|event| event.ending != Ending::Delivered || event.remark.is_some())
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(128 + self.events.len() * 96);
        out.extend_from_slice(b"{\"request_id\":");
        match self.request_id {
            Some(id) => write_string(&mut out, &id.hyphenated().to_string()),
            None => out.extend_from_slice(b"null"),
        }
        let mut numbers = String::new();
        let _ = write!(
            numbers,
            ",\"attempt\":{},\"sent_at_ms\":{},\"status\":{},\"pending\":{},\"missed_reports\":{},\"missed_events\":{},\"error\":",
            self.attempt, self.sent_at_ms, self.status, self.pending, self.missed_reports, self.missed_events
        );
        out.extend_from_slice(numbers.as_bytes());
        write_string(&mut out, &self.error);
        out.extend_from_slice(b",\"events\":[");
        for (i, event) in self.events.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b"{\"uuid\":" } else { b",{\"uuid\":" });
            write_string(&mut out, &event.uuid.hyphenated().to_string());
            out.extend_from_slice(b",\"ending\":");
            write_string(&mut out, event.ending.name());
            if event.maybe_delivered {
                out.extend_from_slice(b",\"maybe_delivered\":true");
            }
            if let Some(remark) = &event.remark {
                out.extend_from_slice(b",\"verdict\":");
                write_string(&mut out, &remark.code);
                if let Some(details) = &remark.details {
                    out.extend_from_slice(b",\"details\":");
                    write_string(&mut out, details);
                }
            }
            out.push(b'}');
        }
        out.push(b']');
        for (i, uuid) in self.pending_events.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b",\"pending_events\":[" } else { b"," });
            write_string(&mut out, &uuid.hyphenated().to_string());
        }
        out.extend_from_slice(if self.pending_events.is_empty() { b"}" } else { b"]}" });
        String::from_utf8_lossy(&out).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_json() {
        let report = Report {
            request_id: Some(Uuid::from_u128(1)),
            attempt: 2,
            status: 200,
            error: "a \"b\"".into(),
            events: vec![
                EventReport {
                    uuid: Uuid::from_u128(2),
                    ending: Ending::Delivered,
                    maybe_delivered: false,
                    remark: None,
                },
                EventReport {
                    uuid: Uuid::from_u128(3),
                    ending: Ending::Lost(Loss::Dropped),
                    maybe_delivered: true,
                    remark: Some(Box::new(Remark { code: "drop".into(), details: Some("no".into()) })),
                },
            ],
            ..Report::default()
        };
        let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
        assert_eq!(json["request_id"], "00000000-0000-0000-0000-000000000001");
        assert_eq!(json["events"][0]["ending"], "delivered");
        assert_eq!(json["events"][1]["ending"], "dropped");
        assert_eq!(json["events"][1]["maybe_delivered"], true);
        assert_eq!(json["events"][1]["details"], "no");
        assert_eq!(report.lost(), 1);
        assert!(report.is_news());
    }
}
