//! Writes readable lines about a request, for the terminal.

use crate::check::Violation;
use crate::records::{EventRecord, RequestRecord};

/// The most events that are listed for one request.
const LISTED: usize = 10;

/// Returns the lines for one request. With `colour`, violations are red.
pub(crate) fn lines(
    request: &RequestRecord,
    events: &[&EventRecord],
    violations: &[&Violation],
    colour: bool,
) -> String {
    let id = request.request_id.get(..13).unwrap_or(&request.request_id);
    let cut = request.cut.map(|place| format!(", cut {place}")).unwrap_or_default();
    let mut text = format!(
        "#{} batch {id}… attempt {}: {} event{}, {} bytes{} -> {}{cut}\n",
        request.n,
        request.attempt,
        request.event_count,
        if request.event_count == 1 { "" } else { "s" },
        request.bytes_raw,
        if request.encoding == "identity" {
            String::new()
        } else {
            format!(" ({} as {})", request.bytes_wire, request.encoding)
        },
        request.status,
    );
    for event in events.iter().take(LISTED) {
        let verdict = if event.verdict.is_empty() { "-" } else { &event.verdict };
        text += &format!("    {verdict:8} {:24} {:20} {}\n", event.name, event.distinct_id, event.uuid);
    }
    if events.len() > LISTED {
        text += &format!("    … and {} more\n", events.len() - LISTED);
    }
    for violation in violations {
        let (red, plain) = if colour { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
        text += &format!("    {red}VIOLATION {}: {}{plain}\n", violation.rule, violation.message);
    }
    text
}
