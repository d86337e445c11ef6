//! One event by a client of libphc, whole: what only a delivery can show, such as whether the project key is known.

use std::time::{Duration, Instant};

use phc::internals::tool::ToolClient;
use phc::internals::{Config, EventInput};

use super::Step;
use crate::text::{printable, time};

const NAME: &str = "phc-cli check";
const DISTINCT_ID: &str = "phc-cli";
/// No person is made for it.
const PROPERTIES: &str = r#"{"$process_person_profile":false}"#;
const TICK: Duration = Duration::from_millis(100);

/// Sends the event, and returns what became of it.
pub(super) fn send(config: Config) -> Step<String> {
    let begun = Instant::now();
    let client = ToolClient::open(config).map_err(|error| error.message.to_string())?;
    let event = EventInput::Parts {
        distinct_id: DISTINCT_ID.as_bytes(),
        event: NAME.as_bytes(),
        properties: Some(PROPERTIES.as_bytes()),
    };
    let uuid = client.capture(&event).map_err(|error| error.message.to_string())?;
    // It ends: one attempt is made, which has a time limit.
    while !client.flush(TICK) {}
    let sent = format!("{NAME:?} of {DISTINCT_ID:?}, uuid {uuid}");
    let Some(losses) = client.next_losses(Duration::ZERO) else {
        return Ok(format!("{sent}: delivered ({})", time(begun.elapsed())));
    };
    let loss = losses.events.first();
    let reason = loss.map_or("", |loss| loss.reason);
    let details = loss.map_or("", |loss| loss.details.as_str());
    let said: Vec<&str> =
        [reason, details, &losses.error].into_iter().filter(|text| !text.is_empty()).collect();
    Err(format!("{sent}: lost: {}", printable(&said.join(": "))))
}
