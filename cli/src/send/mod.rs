//! `phc-cli send`: events from arguments or NDJSON become events of a client, whose losses are listed as they occur.

mod input;
mod progress;

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use phc::internals::tool::{Counts, Losses, ToolClient};
use phc::internals::{Error, EventBuilder, EventInput, Status};

use crate::arguments::SendArguments;
use crate::outcome::{Failure, Outcome};
use crate::text::{counted, printable, say};
use input::Input;
use progress::Progress;

/// How often the progress is shown, and the time limit looked at.
const TICK: Duration = Duration::from_millis(100);
/// If so many lines are refused from the first one on, the input is probably not what is expected.
const REFUSED_AT_FIRST: u64 = 20;

/// Sends, and waits until every event has ended.
pub(crate) fn run(arguments: &SendArguments) -> Result<Outcome, Failure> {
    let mut config = arguments.connection.config(&[])?;
    if arguments.historical {
        config.set("historical_migration", "true")?;
    }
    let client = ToolClient::open(config)?;
    let deadline = arguments.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    if let Some(event) = &arguments.event {
        let progress = Progress::hidden();
        with_losses(&client, &progress, || send_one(&client, event, arguments, deadline))?;
        return Ok(summary(&client.counts(), 0));
    }
    let mut input = Input::open(arguments.file.as_deref())?;
    let progress = Progress::of(input.length());
    let lines = with_losses(&client, &progress, || send_lines(&client, &mut input, &progress, deadline));
    progress.end();
    let outcome = summary(&client.counts(), lines.refused);
    lines.failure.map_or(Ok(outcome), Err)
}

/// Does the work, closes the client, and lists the losses meanwhile, on a thread of its own: reports that are not read
/// in time are only counted.
fn with_losses<T>(client: &ToolClient, progress: &Progress, work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                // Read before the losses: after the last ones there are no more.
                let last = is_done.load(Ordering::Acquire);
                let losses = client.next_losses(if last { Duration::ZERO } else { TICK });
                progress.show(&client.counts());
                match losses {
                    Some(losses) => list(&losses, progress),
                    None if last => break,
                    None => {}
                }
            }
        });
        let result = work();
        client.close();
        is_done.store(true, Ordering::Release);
        result
    })
}

fn list(losses: &Losses, progress: &Progress) {
    for loss in &losses.events {
        let because =
            [loss.details.as_str(), losses.error.as_str()].into_iter().find(|text| !text.is_empty());
        let because = because.map(|text| format!(": {text}")).unwrap_or_default();
        let maybe = if loss.maybe_delivered { " (the server may have stored it)" } else { "" };
        let because = printable(&because);
        progress.print(&format!("lost {} {}{maybe}{because}", loss.uuid, loss.reason));
    }
    if losses.unnamed > 0 {
        progress.print(&format!("{} more, whose uuids are not known", counted(losses.unnamed, "event")));
    }
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
    /// Why reading ended early. What was read before has been sent.
    failure: Option<Failure>,
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
            Ok(false) => break,
            Ok(true) => {}
            Err(failure) => {
                lines.failure = Some(failure);
                break;
            }
        }
        progress.read(input.bytes_read());
        match capture(client, input.line(), deadline) {
            Ok(()) => taken += 1,
            Err(error) if error.status == Status::QUEUE_FULL => {
                progress.print(&format!(
                    "the time limit has passed: line {} and later ones were not sent",
                    input.number()
                ));
                lines.refused += 1;
                break;
            }
            Err(error) => {
                lines.refused += 1;
                progress.print(&format!("line {}: refused: {}", input.number(), error.message));
            }
        }
        if taken == 0 && lines.refused == REFUSED_AT_FIRST {
            let text = format!(
                "the first {REFUSED_AT_FIRST} lines were refused; one event a line is expected, as a JSON object \
                 with \"event\" and \"distinct_id\""
            );
            lines.failure = Some(Failure::Usage(text));
            break;
        }
    }
    wait(client, deadline);
    lines
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
    let Counts { captured, delivered, lost, maybe_delivered, delivered_with_remark, .. } = *counts;
    let parts = [
        Some(format!("{delivered} of {} delivered", counted(captured, "event"))),
        (lost > 0).then(|| format!("{lost} lost")),
        (maybe_delivered > 0).then(|| format!("{maybe_delivered} of these may have been delivered")),
        (refused > 0).then(|| format!("{} refused", counted(refused, "line"))),
        (delivered_with_remark > 0).then(|| format!("the server made a remark on {delivered_with_remark}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    say(format_args!("{}", parts.join("; ")));
    if lost == 0 && refused == 0 { Outcome::Good } else { Outcome::Bad }
}
