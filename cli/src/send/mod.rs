//! `phc-cli send`: events from arguments or NDJSON become events of a client, whose losses are listed as they occur.

mod awaited;
#[cfg(unix)]
mod identity;
#[cfg(unix)]
mod import;
mod input;
#[cfg(unix)]
mod spooled;

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use phc::internals::tool::{Counts, ToolClient};
use phc::internals::{Error, EventBuilder, EventInput, Status};

use crate::arguments::SendArguments;
use crate::losses::{TICK, with_losses};
use crate::outcome::{Failure, Outcome};
use crate::progress::Progress;
use crate::text::{counted, say};
use input::{Input, Next};

/// If so many lines are refused from the first one on, the input is probably not what is expected.
const REFUSED_AT_FIRST: u64 = 20;
/// Settings in place of the library's defaults where there is a time limit: events of a slow input that wait for others
/// when it passes are lost.
const LIMITED: &[(&str, &str)] = &[("flush_interval_ms", "500")];

/// Sends, and waits until every event has ended.
pub(crate) fn run(arguments: &SendArguments) -> Result<Outcome, Failure> {
    let defaults = if arguments.timeout.is_some() { LIMITED } else { &[] };
    #[cfg(unix)]
    let defaults = arguments.spool.as_ref().map_or(defaults, |_| spooled::DEFAULTS);
    let mut config = arguments.connection.config(defaults)?;
    if arguments.historical {
        config.set("historical_migration", "true")?;
    }
    let timeout = arguments.timeout.map(Duration::from_secs);
    #[cfg(unix)]
    if let (Some(spool), Some(file)) = (&arguments.spool, &arguments.file) {
        return spooled::run(config, file, spool, timeout);
    }
    let client = ToolClient::open(config)?;
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    if let Some(event) = &arguments.event {
        let progress = Progress::hidden();
        with_losses(&client, &progress, || send_one(&client, event, arguments, deadline))?;
        return Ok(summary(&client.counts(), 0));
    }
    let mut input = Input::open(arguments.file.as_deref(), deadline)?;
    let progress = Progress::of(input.length());
    let lines = with_losses(&client, &progress, || send_lines(&client, &mut input, &progress, deadline));
    progress.end();
    let outcome = summary(&client.counts(), lines.refused);
    let outcome = if lines.is_cut { Outcome::Bad } else { outcome };
    lines.failure.map_or(Ok(outcome), Err)
}

/// Sends the event that the arguments describe, and prints its uuid.
fn send_one(
    client: &ToolClient,
    event: &str,
    arguments: &SendArguments,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let builder = built(event, arguments)?;
    let uuid = client.capture(&EventInput::Built(&builder))?;
    let _ = writeln!(io::stdout(), "{uuid}");
    wait(client, deadline);
    Ok(())
}

fn built(event: &str, arguments: &SendArguments) -> Result<Box<EventBuilder>, Error> {
    let distinct_id = arguments.distinct_id.as_deref().unwrap_or_default();
    let mut builder = EventBuilder::take(distinct_id.as_bytes(), event.as_bytes())?;
    for (key, value) in &arguments.properties {
        // What is not JSON is text.
        if builder.set_json(Some(key.as_bytes()), value.as_bytes()).is_err() {
            builder.set_text(Some(key.as_bytes()), value.as_bytes())?;
        }
    }
    if let Some(timestamp) = &arguments.timestamp {
        builder.set_timestamp(timestamp.as_bytes())?;
    }
    if let Some(uuid) = &arguments.uuid {
        builder.set_uuid(uuid.to_string().as_bytes());
    }
    Ok(builder)
}

/// What became of the lines.
#[derive(Default)]
struct Lines {
    refused: u64,
    /// Whether the time limit has passed before the end of the input.
    is_cut: bool,
    /// Why reading ended early. What was read before has been sent.
    failure: Option<Failure>,
}

impl Lines {
    /// The time limit has passed: says what was not sent.
    fn cut(&mut self, input: &Input, progress: &Progress) {
        self.is_cut = true;
        let number = input.place().lines;
        let what = if input.line().is_empty() {
            format!("{} was read up to line {number}, and not to its end", input.name())
        } else {
            self.refused += 1;
            format!("line {number} and later ones were not sent")
        };
        progress.print(&format!("the time limit has passed: {what}"));
    }
}

fn send_lines(
    client: &ToolClient,
    input: &mut Input,
    progress: &Progress,
    deadline: Option<Instant>,
) -> Lines {
    let mut lines = Lines::default();
    let mut taken = 0_u64;
    loop {
        match input.next_line() {
            Ok(Next::End) => break,
            Ok(Next::Line) => {}
            Ok(Next::Late) => {
                lines.cut(input, progress);
                break;
            }
            Err(failure) => {
                lines.failure = Some(failure);
                break;
            }
        }
        progress.reached(input.place().bytes);
        match capture(client, input.line(), deadline) {
            Ok(()) => taken += 1,
            Err(error) if error.status == Status::QUEUE_FULL => {
                lines.cut(input, progress);
                break;
            }
            Err(error) => {
                lines.refused += 1;
                progress.print(&format!("line {}: refused: {}", input.place().lines, error.message));
            }
        }
        if taken == 0 && lines.refused == REFUSED_AT_FIRST {
            lines.failure = Some(all_refused());
            break;
        }
    }
    wait(client, deadline);
    lines
}

/// Why an input is not read on.
fn all_refused() -> Failure {
    Failure::Usage(format!(
        "the first {REFUSED_AT_FIRST} lines were refused; one event a line is expected, as a JSON object with \
         \"event\" and \"distinct_id\""
    ))
}

/// Takes an event, and waits for space in the queue until the deadline.
fn capture(client: &ToolClient, line: &[u8], deadline: Option<Instant>) -> Result<(), Error> {
    loop {
        match client.capture(&EventInput::Json(line)) {
            // A flush, and not the setting `overflow`: a queue that holds less than a batch is sent at once.
            Err(error) if error.status == Status::QUEUE_FULL && !has_passed(deadline) => {
                let _ = client.flush(TICK);
            }
            other => return other.map(|_| ()),
        }
    }
}

/// Waits until every event has ended, or the deadline has passed.
fn wait(client: &ToolClient, deadline: Option<Instant>) {
    while !client.flush(TICK) && !has_passed(deadline) {}
}

fn has_passed(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

fn summary(counts: &Counts, refused: u64) -> Outcome {
    let Counts { captured, recovered, delivered, lost, maybe_delivered, delivered_with_remark, .. } = *counts;
    let parts = [
        Some(format!("{delivered} of {} delivered", counted(captured + recovered, "event"))),
        (lost > 0).then(|| format!("{lost} lost")),
        (maybe_delivered > 0).then(|| format!("{maybe_delivered} of these may have been delivered")),
        (refused > 0).then(|| format!("{} refused", counted(refused, "line"))),
        (delivered_with_remark > 0).then(|| format!("the server made a remark on {delivered_with_remark}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    say(format_args!("{}", parts.join("; ")));
    if lost == 0 && refused == 0 { Outcome::Good } else { Outcome::Bad }
}
