//! `phc-cli spool list`: what is in a spool, down to each segment.

use std::io::Write;

use jiff::Timestamp;
use phc::internals::tool::{Liveness, NotRead, SegmentEntry, SegmentSummary};

use super::{destinations, instances, line, look_at, read};
use crate::arguments::SpoolFolderArguments;
use crate::outcome::{Failure, Outcome};
use crate::text::{counted, size, time};

/// Sums over all segments.
#[derive(Default)]
struct Total {
    segments: u64,
    events: u64,
    bytes: u64,
}

/// Lists the spool.
pub(super) fn run(arguments: &SpoolFolderArguments, out: &mut impl Write) -> Result<Outcome, Failure> {
    let mut total = Total::default();
    for destination in destinations(arguments)? {
        line!(out, "{}", destination.name())?;
        for instance in instances(&destination)? {
            let (liveness, segments) = match look_at(&instance) {
                Ok(found) => found,
                Err(text) => {
                    line!(out, "  {}  cannot be looked at: {text}", instance.name())?;
                    continue;
                }
            };
            line!(out, "  {}  {}", instance.name(), liveness_word(liveness))?;
            for segment in segments {
                let found = read(&instance, liveness, &segment);
                let found = found.map(|(summary, age)| (summary, time(age)));
                list_segment(&segment, &found, &mut total, out)?;
            }
        }
        let bad =
            destination.bad().map_err(|text| Failure::Files(format!("{}: {text}", destination.name())))?;
        if !bad.is_empty() {
            line!(out, "  bad, segments that were set aside:")?;
        }
        for segment in bad {
            let found = segment.read().map(|(summary, age)| (summary, time(age)));
            list_segment(segment.entry(), &found, &mut total, out)?;
        }
    }
    let Total { segments, events, bytes } = total;
    line!(out, "{} in {}, {}", counted(events, "pending event"), counted(segments, "segment"), size(bytes))?;
    Ok(Outcome::Good)
}

/// What the lock says of an instance, in a word.
fn liveness_word(liveness: Liveness) -> &'static str {
    match liveness {
        Liveness::Alive => "alive",
        Liveness::Dead => "dead",
        Liveness::WithoutLock => "without a lock: it is being made, or was left by a power cut",
        Liveness::Unknown => "alive or dead: its lock cannot be tried",
    }
}

fn list_segment(
    segment: &SegmentEntry,
    found: &Result<(SegmentSummary, String), NotRead>,
    total: &mut Total,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let (name, bytes) = (&segment.name, size(segment.bytes));
    if matches!(found, Err(NotRead::Gone)) {
        return Ok(());
    }
    total.segments += 1;
    total.bytes += segment.bytes;
    match found {
        Err(reason) => line!(out, "    {name}  {bytes:>10}  {reason}"),
        Ok((summary, age)) => {
            let events = summary.pending.len() as u64;
            total.events += events;
            let events = counted(events, "event");
            line!(out, "    {name}  {bytes:>10}  {events:>12}  age {age}{}", remarks(summary))
        }
    }
}

/// What else is known of a segment, each part after two spaces.
fn remarks(summary: &SegmentSummary) -> String {
    let postponed = summary.postponed.map(|(times, until)| {
        let until = Timestamp::from_millisecond(until).map(|until| format!(" until {until:.0}"));
        format!("postponed {}{}", counted(u64::from(times), "time"), until.unwrap_or_default())
    });
    let parts = [
        summary.batch.map(|(request, _)| format!("batch {request}")),
        summary.attempt.map(|(attempt, _)| format!("attempt {attempt}")),
        postponed,
        summary.maybe_delivered.then(|| "may have been delivered".to_owned()),
        (summary.takeovers > 0)
            .then(|| format!("taken over {}", counted(u64::from(summary.takeovers), "time"))),
        summary.historical_migration.then(|| "import".to_owned()),
        (!summary.origin.is_empty()).then(|| format!("by {}", summary.origin)),
        (summary.missing > 0).then(|| format!("{} missing", counted(u64::from(summary.missing), "event"))),
        (summary.damaged > 0).then(|| "damaged".to_owned()),
    ];
    parts.into_iter().flatten().fold(String::new(), |text, part| text + "  " + &part)
}
