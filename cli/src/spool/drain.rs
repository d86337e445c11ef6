//! `phc-cli spool drain`: delivers what ended processes have left, by a client that takes it over as any other client
//! would. What a living process has is not touched.

use std::time::Duration;

use phc::internals::tool::{
    Counts, DestinationFolder, Liveness, NotRead, SpoolFolder, ToolClient, Unreadable, destination_name,
};

use super::{instances, look_at, read, with_spool};
use crate::arguments::DrainArguments;
use crate::interrupt::End;
use crate::losses::{TICK, with_losses};
use crate::outcome::{Failure, Outcome};
use crate::progress::Progress;
use crate::text::{counted, say};

/// How long the disk may take for what is left at the end.
const DISK_LIMIT: Duration = Duration::from_secs(30);

/// What there is to be delivered.
#[derive(Default)]
struct Found {
    /// Pending events that ended processes have left.
    of_dead: u64,
    /// Those of living processes, or of which no one knows whose they are.
    of_living: u64,
    /// Segments of ended processes that cannot be read by this version.
    not_read: u64,
}

/// Delivers, until nothing is left, the time limit has passed or a signal comes.
pub(super) fn run(arguments: &DrainArguments) -> Result<Outcome, Failure> {
    let end = End::after(arguments.timeout.map(Duration::from_secs))?;
    let config = with_spool(arguments.connection.config(&[])?, &arguments.folder)?;
    let name = destination_name(&config);
    let Some(destination) = find(arguments, &name)? else {
        return Ok(report(&Counts::default(), 0, &Found::default(), None, arguments));
    };
    let before = Found::of(&destination)?;
    let client = ToolClient::open(config)?;
    let progress = Progress::of(Some(before.of_dead));
    let above = progress.clone();
    client.set_log(move |line| above.print(line))?;
    let drain = client.begin_drain()?;
    let stopped = with_losses(&client, &progress, || {
        let mut stopped = None;
        while stopped.is_none() && !client.wait_drained(&drain, TICK) {
            let Counts { delivered, lost, .. } = client.counts();
            progress.reached(delivered + lost);
            stopped = end.reason();
        }
        // What has become of the events is written down, and their locks are free again, before what is left is counted.
        client.close_within(DISK_LIMIT);
        stopped
    });
    progress.end();
    let (counts, left) = (client.counts(), Found::of(&destination)?);
    // Not all of it may have been taken over, and more may have come.
    let whole = before.of_dead.max(counts.recovered);
    Ok(report(&counts, whole, &left, stopped, arguments))
}

/// The folder of the host and the key; `None` if there is nothing in the spool. That a host or a key is mistyped is the
/// most likely reason for which there is only another one.
fn find(arguments: &DrainArguments, name: &str) -> Result<Option<DestinationFolder>, Failure> {
    let folder = arguments.folder.display();
    let unusable = |text: String| Failure::Files(format!("{folder} cannot be used as a spool: {text}"));
    let mut all =
        SpoolFolder::open(&arguments.folder).and_then(|spool| spool.destinations()).map_err(unusable)?;
    if let Some(position) = all.iter().position(|destination| destination.name() == name) {
        return Ok(Some(all.swap_remove(position)));
    }
    if all.is_empty() {
        return Ok(None);
    }
    Err(Failure::Usage(format!(
        "no event in {folder} is for this host and key, but there {} for others: check --host and --key. Theirs is the \
         destination {name}; phc-cli spool list {folder} shows which there are",
        match all.len() {
            1 => "is a destination".to_owned(),
            count => format!("are {count} destinations"),
        }
    )))
}

impl Found {
    fn of(destination: &DestinationFolder) -> Result<Self, Failure> {
        let mut found = Found::default();
        for instance in instances(destination)? {
            let Ok((liveness, segments)) = look_at(&instance) else {
                found.not_read += 1;
                continue;
            };
            for segment in segments {
                match read(&instance, liveness, &segment) {
                    Ok((summary, _)) if liveness == Liveness::Dead => {
                        found.of_dead += summary.pending.len() as u64;
                    }
                    Ok((summary, _)) => found.of_living += summary.pending.len() as u64,
                    Err(NotRead::Gone | NotRead::Unreadable(Unreadable::Empty)) => {}
                    Err(_) => found.not_read += u64::from(liveness == Liveness::Dead),
                }
            }
        }
        Ok(found)
    }
}

/// Says what was delivered of so many events, lost and left.
fn report(
    counts: &Counts,
    whole: u64,
    left: &Found,
    stopped: Option<&'static str>,
    arguments: &DrainArguments,
) -> Outcome {
    let Counts { delivered, lost, maybe_delivered, .. } = *counts;
    let folder = arguments.folder.display();
    let reason = stopped.map(|reason| format!("{reason}: ")).unwrap_or_default();
    let parts = [
        Some(format!("{reason}{delivered} of {} delivered", counted(whole, "event"))),
        (lost > 0).then(|| format!("{lost} lost")),
        (maybe_delivered > 0).then(|| format!("{maybe_delivered} of these may have been delivered")),
        (left.of_dead > 0).then(|| format!("{} left", left.of_dead)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    say(format_args!("{}", parts.join("; ")));
    if left.of_dead > 0 {
        say(format_args!("what is left stays in {folder}: the same command goes on with it"));
    }
    if left.not_read > 0 {
        let segments = counted(left.not_read, "segment");
        say(format_args!("{segments} left alone: phc-cli spool check {folder} says why"));
    }
    if left.of_living > 0 {
        let events = counted(left.of_living, "event");
        say(format_args!("{events} of living processes left to these, which send them themselves"));
    }
    match lost {
        0 if left.of_dead == 0 && left.not_read == 0 => Outcome::Good,
        0 => Outcome::Left,
        _ => Outcome::Bad,
    }
}
