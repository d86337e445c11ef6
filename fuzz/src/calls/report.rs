//! Reads everything of a report, by the accessors and as JSON, which must agree.

use phc::capi::report::{
    PHC_LOSS_NONE, phc_event_report, phc_loss_name, phc_report, phc_report_attempt, phc_report_error,
    phc_report_event, phc_report_event_count, phc_report_http_status, phc_report_json,
    phc_report_missed_events, phc_report_missed_reports, phc_report_pending_count, phc_report_pending_uuid,
    phc_report_request_id, phc_report_sent_at_ms,
};
use phc::capi::status::{PHC_INVALID_ARGUMENT, PHC_OK};
use serde_json::{Value, json};

use super::client::{Reports, text};

/// How the host got the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Poll,
    ErrorCallback,
    DeliveryCallback,
}

/// One event of a report.
struct Event {
    is_lost: bool,
    has_verdict: bool,
}

/// Reads all of a report and checks that it is one for this way.
///
/// # Safety
/// The report is live.
pub unsafe fn read(report: *const phc_report, way: Way, reports: Reports) {
    // SAFETY: the caller has a live report.
    let (json, pending, events) = unsafe {
        let json: Value = serde_json::from_str(text(phc_report_json(report))).expect("JSON");
        let id = text(phc_report_request_id(report));
        assert!(id.is_empty() || id.len() == 36);
        let attempt = phc_report_attempt(report);
        assert_eq!(id.is_empty(), attempt == 0);
        assert_eq!(attempt == 0, phc_report_sent_at_ms(report) == 0);
        let status = phc_report_http_status(report);
        assert!(status < 1000);
        assert_eq!(json["request_id"], if id.is_empty() { Value::Null } else { json!(id) });
        assert_eq!(json["attempt"], attempt);
        assert_eq!(json["sent_at_ms"], phc_report_sent_at_ms(report));
        assert_eq!(json["status"], status);
        assert_eq!(json["missed_reports"], phc_report_missed_reports(report));
        assert_eq!(json["missed_events"], phc_report_missed_events(report));
        assert_eq!(json["error"].as_str().map(before_nul), Some(text(phc_report_error(report))));
        let pending = phc_report_pending_count(report);
        assert_eq!(json["pending"], pending);
        let uuids: Vec<_> = (0..pending).map(|index| text(phc_report_pending_uuid(report, index))).collect();
        assert_eq!(text(phc_report_pending_uuid(report, pending)), "");
        if reports == Reports::All && pending > 0 {
            assert_eq!(json["pending_events"], json!(uuids));
        } else {
            assert!(json.get("pending_events").is_none() && uuids.iter().all(|uuid| uuid.is_empty()));
        }
        let events: Vec<_> =
            (0..phc_report_event_count(report)).map(|index| read_event(report, index, &json)).collect();
        (json, pending, events)
    };
    assert_eq!(json["events"].as_array().map(Vec::len), Some(events.len()));
    match way {
        Way::Poll => assert!(pending > 0 || !events.is_empty()),
        Way::ErrorCallback => {
            let failed = |event: &Event| event.is_lost || (reports >= Reports::Warnings && event.has_verdict);
            assert!(events.iter().all(failed), "{json}");
            assert!(!events.is_empty() || (reports == Reports::All && pending > 0), "{json}");
        }
        Way::DeliveryCallback => {
            assert!(!events.is_empty() && events.iter().all(|event| !event.is_lost), "{json}");
        }
    }
}

/// # Safety
/// The report is live, and the index below the number of its events.
unsafe fn read_event(report: *const phc_report, index: usize, json: &Value) -> Event {
    // SAFETY: the caller has a live report, whose texts live as long; zeros are a value of a
    // struct of pointers and numbers, which is as long as is said.
    unsafe {
        let size = size_of::<phc_event_report>();
        let mut event = std::mem::zeroed::<phc_event_report>();
        let beyond = phc_report_event(report, phc_report_event_count(report), &raw mut event, size);
        assert_eq!(beyond, PHC_INVALID_ARGUMENT);
        assert_eq!(phc_report_event(report, index, &raw mut event, size), PHC_OK);
        let phc_event_report { uuid, verdict, details, loss, maybe_delivered } = event;
        let (uuid, verdict, details) = (text(uuid), text(verdict), text(details));
        assert_eq!(uuid.len(), 36);
        assert!(matches!(maybe_delivered, 0 | 1) && (loss != PHC_LOSS_NONE || maybe_delivered == 0));
        let json = &json["events"][index];
        assert_eq!(json["uuid"], uuid);
        assert_eq!(json["outcome"], text(phc_loss_name(loss)));
        assert_eq!(json["maybe_delivered"].as_bool().unwrap_or(false), maybe_delivered == 1);
        assert_eq!(before_nul(json["verdict"].as_str().unwrap_or("")), verdict);
        assert_eq!(before_nul(json["details"].as_str().unwrap_or("")), details);
        Event { is_lost: loss != PHC_LOSS_NONE, has_verdict: !verdict.is_empty() }
    }
}

/// A text as C sees it.
fn before_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}
