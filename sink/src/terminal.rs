//! Readable lines about a request.

use crate::check::Violation;
use crate::space::{EventRecord, RequestRecord};

/// Events that are listed of one request.
const LISTED: usize = 10;

/// The lines for one request. `colour` marks violations red.
#[must_use]
pub fn lines(
    request: &RequestRecord,
    events: &[&EventRecord],
    violations: &[&Violation],
    colour: bool,
) -> String {
    let id = request.request_id.get(..13).unwrap_or(&request.request_id);
    let fault = request.fault.as_deref().map(|fault| format!(", cut {fault}")).unwrap_or_default();
    let mut text = format!(
        "#{} batch {id}… attempt {}: {} event{}, {} bytes{} -> {}{fault}\n",
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
        let name = |key: &str| {
            let members = crate::wire::Members::read(event.event.get());
            members.ok().and_then(|members| members.string(key)).unwrap_or_default()
        };
        let verdict = if event.verdict.is_empty() { "-" } else { &event.verdict };
        text += &format!("    {verdict:8} {:24} {:20} {}\n", name("event"), name("distinct_id"), event.uuid);
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
