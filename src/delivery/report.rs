//! Reports: what the host learns about its events.

use std::fmt::Write as _;

use uuid::Uuid;

use super::loss::LossReason;
use crate::config::Reports;
use crate::json::write_string;
use crate::protocol::Verdict;

/// How one event ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventReport {
    /// Its uuid.
    pub(crate) uuid: Uuid,
    /// Why it is lost; `None` if it is delivered.
    pub(crate) loss: Option<LossReason>,
    /// For a lost event: whether the server may have stored it nevertheless.
    pub(crate) maybe_delivered: bool,
    /// The server's verdict, unless it was a plain `ok` without details.
    pub(crate) verdict: Option<Box<Verdict>>,
}

impl EventReport {
    /// `delivered`, or the name of the loss reason.
    fn outcome(&self) -> &'static str {
        self.loss.map_or("delivered", LossReason::name)
    }

    /// Whether the server stored the event and made a remark.
    fn has_remark(&self) -> bool {
        self.loss.is_none() && self.verdict.is_some()
    }
}

/// One attempt, or one other occasion on which events ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The batch's request id; `None` if the events were in no request.
    pub(crate) request_id: Option<Uuid>,
    /// The number of the attempt; 0 without a request.
    pub(crate) attempt: u32,
    /// The HTTP status; 0 if there was no response.
    pub(crate) status: u16,
    /// What went wrong with the batch as a whole; empty if nothing did.
    pub(crate) error: String,
    /// When the attempt began, in milliseconds since 1970; 0 without a request.
    pub(crate) sent_at_ms: i64,
    /// The number of events that are sent again.
    pub(crate) pending: usize,
    /// Their uuids; empty unless all attempts are reported.
    pub(crate) pending_events: Vec<Uuid>,
    /// The number of earlier reports that were discarded because they were not read
    /// in time.
    pub(crate) missed_reports: u64,
    /// The number of events in those reports.
    pub(crate) missed_events: u64,
    /// The events that ended.
    pub(crate) events: Vec<EventReport>,
}

impl Report {
    /// An estimate of the memory that it takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        /// What an allocation costs beyond its bytes.
        const HEAP: usize = 16;
        let verdict = |verdict: &Verdict| size_of::<Verdict>() + verdict.heap_bytes() + 3 * HEAP;
        let verdicts: usize =
            self.events.iter().filter_map(|event| event.verdict.as_deref()).map(verdict).sum();
        size_of::<Report>()
            + self.error.len()
            + size_of_val(self.pending_events.as_slice())
            + size_of_val(self.events.as_slice())
            + verdicts
    }

    /// Splits the report into what concerns the error callback and what concerns the
    /// delivery callback, if these are set. With `reports` from [`Reports::Warnings`] on,
    /// events that are stored with a remark of the server concern both. A report without any
    /// events is of an attempt after which all are sent again, or only says what is missing.
    pub(crate) fn split(mut self, reports: Reports, set: CallbacksSet) -> SplitReport {
        let mut split = SplitReport::default();
        let only_missing = self.events.is_empty() && self.pending == 0;
        let (mut failures, mut deliveries) = (Vec::new(), Vec::new());
        for event in std::mem::take(&mut self.events) {
            let failed = event.loss.is_some() || (reports >= Reports::Warnings && event.has_remark());
            let (failed, delivered) = (set.error && failed, set.delivery && event.loss.is_none());
            split.missed_events += u64::from(!failed && !delivered);
            if failed && delivered {
                failures.push(event.clone());
            }
            if delivered {
                deliveries.push(event);
            } else if failed {
                failures.push(event);
            }
        }
        split.missed_reports = u64::from(split.missed_events > 0 || (only_missing && !set.error));
        let without_events = set.error && (only_missing || (reports == Reports::All && self.pending > 0));
        if !deliveries.is_empty() {
            split.deliveries = Some(Report { events: deliveries, ..self.clone() });
            // What was discarded before is reported once.
            (self.missed_reports, self.missed_events) = (0, 0);
        }
        if !failures.is_empty() || without_events {
            split.failures = Some(Report { events: failures, ..self });
        } else {
            // The next report that is passed on says it.
            split.missed_reports += self.missed_reports;
            split.missed_events += self.missed_events;
        }
        split
    }

    /// The report as one JSON object.
    pub(crate) fn to_json(&self) -> String {
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
            out.extend_from_slice(b",\"outcome\":");
            write_string(&mut out, event.outcome());
            if event.maybe_delivered {
                out.extend_from_slice(b",\"maybe_delivered\":true");
            }
            if let Some(verdict) = &event.verdict {
                out.extend_from_slice(b",\"verdict\":");
                write_string(&mut out, &verdict.code);
                if let Some(details) = &verdict.details {
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

/// A report as the callbacks get it; `None` where there is nothing for one.
#[derive(Debug, Default)]
pub(crate) struct SplitReport {
    /// For the error callback.
    pub(crate) failures: Option<Report>,
    /// For the delivery callback.
    pub(crate) deliveries: Option<Report>,
    /// Reports that are missing and were not passed on as such. This one is among them if
    /// it, or some of its events, concerns neither of those that are set: one was removed,
    /// or set, in between.
    pub(crate) missed_reports: u64,
    /// The number of events in those reports.
    pub(crate) missed_events: u64,
}

/// Which callbacks of the host are set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CallbacksSet {
    /// The error callback.
    pub(crate) error: bool,
    /// The delivery callback.
    pub(crate) delivery: bool,
}

impl CallbacksSet {
    /// Whether any of them is set.
    pub(crate) fn any(self) -> bool {
        self.error || self.delivery
    }
}

/// Which parts of an attempt are reported, as it follows from the setting `reports`
/// and from the callbacks that are set. Without a callback `phc_poll` gets the
/// reports; with one, only the callbacks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Lost events.
    pub(super) losses: bool,
    /// Events that are stored with a remark of the server, such as a warning.
    pub(super) remarks: bool,
    /// All other delivered events.
    pub(super) deliveries: bool,
    /// Attempts after which events are pending, with their uuids.
    pub(super) retries: bool,
}

impl Wanted {
    pub(super) fn new(reports: Reports, set: CallbacksSet) -> Self {
        let poll = !set.any();
        let failures = set.error || poll;
        Wanted {
            losses: failures,
            remarks: set.delivery || (failures && reports >= Reports::Warnings),
            deliveries: set.delivery || (poll && reports == Reports::All),
            retries: failures && reports == Reports::All,
        }
    }

    /// Whether an event with this loss and verdict is reported.
    pub(super) fn includes(self, loss: Option<LossReason>, verdict: Option<&Verdict>) -> bool {
        match (loss, verdict) {
            (Some(_), _) => self.losses,
            (None, Some(_)) => self.remarks,
            (None, None) => self.deliveries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u128, loss: Option<LossReason>, code: Option<&str>) -> EventReport {
        let verdict = code.map(|code| Box::new(Verdict::new(code, Some("no".into()))));
        EventReport { uuid: Uuid::from_u128(n), loss, maybe_delivered: loss.is_some(), verdict }
    }

    fn report() -> Report {
        Report {
            request_id: Some(Uuid::from_u128(1)),
            attempt: 2,
            status: 200,
            missed_events: 7,
            events: vec![
                event(2, None, None),
                event(3, Some(LossReason::Dropped), Some("drop")),
                event(4, None, Some("ok")),
            ],
            ..Report::default()
        }
    }

    #[test]
    fn writes_json() {
        let json: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
        assert_eq!(json["request_id"], "00000000-0000-0000-0000-000000000001");
        assert_eq!(json["events"][0]["outcome"], "delivered");
        assert_eq!(json["events"][1]["outcome"], "dropped");
        assert_eq!(json["events"][1]["maybe_delivered"], true);
        assert_eq!(json["events"][1]["details"], "no");
    }

    #[test]
    fn each_callback_gets_what_concerns_it() {
        let uuids = |report: &Option<Report>| -> String {
            let Some(report) = report else { return "-".to_owned() };
            report.events.iter().map(|event| event.uuid.as_u128().to_string()).collect()
        };
        // Event 2 is delivered, 3 is lost, 4 is delivered with an ok that has details.
        let table = [
            (Reports::Losses, true, true, "3", "24", 0),
            (Reports::Warnings, true, true, "34", "24", 0),
            (Reports::All, true, true, "34", "24", 0),
            (Reports::Losses, true, false, "3", "-", 2),
            (Reports::Warnings, true, false, "34", "-", 1),
            (Reports::All, false, true, "-", "24", 1),
        ];
        for (reports, error, delivery, failures, deliveries, missed) in table {
            let split = report().split(reports, CallbacksSet { error, delivery });
            let seen = (uuids(&split.failures), uuids(&split.deliveries), split.missed_events);
            assert_eq!(seen, (failures.to_owned(), deliveries.to_owned(), missed), "{reports:?}");
            let missed_before = [split.failures, split.deliveries]
                .iter()
                .flatten()
                .map(|report| report.missed_events)
                .sum::<u64>();
            assert_eq!(missed_before, 7, "what was discarded before is reported once");
        }
    }

    #[test]
    fn what_was_discarded_before_is_never_forgotten() {
        let retried = Report { events: Vec::new(), pending: 3, missed_reports: 2, ..report() };
        let only_missing = Report { pending: 0, ..retried.clone() };
        let delivered = Report { events: vec![event(2, None, None)], ..only_missing.clone() };
        // Who says it: the error callback, the delivery callback, or the next report.
        let table = [
            (&retried, Reports::All, true, true, "error"),
            (&retried, Reports::All, false, true, "next"),
            (&retried, Reports::Losses, true, true, "next"),
            (&only_missing, Reports::Losses, true, false, "error"),
            (&only_missing, Reports::Losses, true, true, "error"),
            (&only_missing, Reports::All, false, true, "next"),
            (&delivered, Reports::All, true, true, "delivery"),
            (&delivered, Reports::Losses, true, false, "next"),
        ];
        for (report, reports, error, delivery, expected) in table {
            let split = report.clone().split(reports, CallbacksSet { error, delivery });
            let numbers = |report: &Report| (report.missed_reports, report.missed_events);
            let said = [
                ("error", split.failures.as_ref().map(numbers).unwrap_or_default()),
                ("delivery", split.deliveries.as_ref().map(numbers).unwrap_or_default()),
                ("next", (split.missed_reports, split.missed_events)),
            ];
            // A report that concerns neither of those that are set is missed, too, unless it
            // is only of events that are sent again.
            let own = u64::from(expected == "next" && report.pending == 0);
            let events = own * report.events.len() as u64;
            for (who, numbers) in said {
                let numbers_expected = if who == expected { (2 + own, 7 + events) } else { (0, 0) };
                assert_eq!(numbers, numbers_expected, "{who} of {expected} {reports:?}");
            }
        }
    }

    #[test]
    fn an_attempt_that_is_only_retried_is_a_failure_if_all_are_reported() {
        let retried = Report { events: Vec::new(), pending: 3, ..report() };
        for (reports, error, expected) in
            [(Reports::All, true, true), (Reports::All, false, false), (Reports::Warnings, true, false)]
        {
            let split = retried.clone().split(reports, CallbacksSet { error, delivery: true });
            assert_eq!((split.failures.is_some(), split.deliveries.is_some()), (expected, false));
        }
    }

    #[test]
    fn what_is_reported_follows_from_the_setting_and_the_callbacks() {
        // losses, remarks, deliveries, retries
        let table = [
            (Reports::Losses, false, false, "1000"),
            (Reports::Warnings, false, false, "1100"),
            (Reports::All, false, false, "1111"),
            (Reports::Losses, true, false, "1000"),
            (Reports::Warnings, true, false, "1100"),
            (Reports::All, true, false, "1101"),
            (Reports::Losses, false, true, "0110"),
            (Reports::All, false, true, "0110"),
            (Reports::Losses, true, true, "1110"),
            (Reports::All, true, true, "1111"),
        ];
        for (reports, error, delivery, expected) in table {
            let Wanted { losses, remarks, deliveries, retries } =
                Wanted::new(reports, CallbacksSet { error, delivery });
            let bits = [losses, remarks, deliveries, retries].map(|bit| if bit { '1' } else { '0' });
            assert_eq!(String::from_iter(bits), expected, "{reports:?} {error} {delivery}");
        }
    }
}
