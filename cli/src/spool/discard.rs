//! `phc-cli spool discard`: removes what dead processes left. What a living process has is never touched: its lock is
//! held while its files are removed, or nothing is removed.

use std::io::Write;

use phc::internals::tool::{DestinationFolder, Liveness, NotRead, Unreadable};

use super::{destinations, instances, line, look_at, read};
use crate::arguments::DiscardArguments;
use crate::outcome::{Failure, Outcome};
use crate::text::{counted, size};

/// What is removed, or would be.
#[derive(Default)]
struct Total {
    segments: u64,
    events: u64,
    bytes: u64,
}

/// Discards, or says what would be.
pub(super) fn run(arguments: &DiscardArguments, out: &mut impl Write) -> Result<Outcome, Failure> {
    let (mut total, mut left, mut failure) = (Total::default(), Left::default(), None);
    for destination in destinations(&arguments.spool)? {
        for instance in instances(&destination)? {
            let place = format!("{}/{}", destination.name(), instance.name());
            let segments = match look_at(&instance) {
                Ok((Liveness::Dead | Liveness::WithoutLock, segments)) => segments,
                Ok((Liveness::Alive | Liveness::Unknown, _)) => {
                    left.instances += 1;
                    continue;
                }
                Err(text) => {
                    failure = Some(format!("{place}: {text}"));
                    continue;
                }
            };
            if !arguments.yes {
                for segment in segments {
                    let events = match read(&instance, Liveness::Dead, &segment) {
                        Ok((summary, _)) => summary.pending.len() as u64,
                        Err(NotRead::Unreadable(Unreadable::Empty | Unreadable::Damaged)) => 0,
                        Err(_) => continue,
                    };
                    total.add(1, events, segment.bytes);
                }
                continue;
            }
            match destination.discard(instance.name()) {
                Ok(Some(done)) => {
                    total.add(done.segments, done.events, done.bytes);
                    left.files += done.left_alone;
                    let (segments, events) =
                        (counted(done.segments, "segment"), counted(done.events, "event"));
                    failure = done.failed.first().map(|text| format!("{place}: {text}")).or(failure);
                    line!(out, "{place}: removed {segments} with {events}, {}", size(done.bytes))?;
                }
                // Another process has taken it over just now.
                Ok(None) => left.instances += 1,
                Err(text) => failure = Some(format!("{place}: {text}")),
            }
        }
        if arguments.bad {
            discard_bad(&destination, arguments.yes, &mut total, &mut failure, out)?;
        }
    }
    left.report(out)?;
    let Total { segments, events, bytes } = total;
    let summary = format!(
        "{} with {}, {}",
        counted(segments, "segment"),
        counted(events, "pending event"),
        size(bytes)
    );
    if let Some(text) = failure {
        return Err(Failure::Files(format!("{text}; removed: {summary}")));
    }
    if arguments.yes {
        line!(out, "removed: {summary}")?;
        return Ok(Outcome::Good);
    }
    line!(out, "would be removed: {summary}")?;
    if segments == 0 {
        return Ok(Outcome::Good);
    }
    Err(Failure::Usage(
        "nothing was removed: repeat the command with --yes to remove them for good".to_owned(),
    ))
}

fn discard_bad(
    destination: &DestinationFolder,
    yes: bool,
    total: &mut Total,
    failure: &mut Option<String>,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let unusable = |text: String| Failure::Files(format!("{}/bad: {text}", destination.name()));
    for segment in destination.bad().map_err(unusable)? {
        let events = segment.read().map_or(0, |(summary, _)| summary.pending.len() as u64);
        let name = &segment.entry().name;
        let removed = if yes { segment.discard() } else { Ok(()) };
        match removed {
            Ok(()) => total.add(1, events, segment.entry().bytes),
            Err(text) => {
                *failure = Some(format!("{}/bad/{name}: {text}", destination.name()));
                continue;
            }
        }
        if yes {
            line!(out, "{}/bad/{name}: removed with {}", destination.name(), counted(events, "event"))?;
        }
    }
    Ok(())
}

impl Total {
    fn add(&mut self, segments: u64, events: u64, bytes: u64) {
        self.segments += segments;
        self.events += events;
        self.bytes += bytes;
    }
}

/// What stays where it is.
#[derive(Default)]
struct Left {
    /// Instances of living processes.
    instances: u64,
    /// Files that are not segments of a version that is known.
    files: u64,
}

impl Left {
    fn report(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.instances > 0 {
            line!(out, "{} left alone: as of a living process", counted(self.instances, "instance"))?;
        }
        if self.files > 0 {
            line!(out, "{} left alone: not of a version that is known", counted(self.files, "file"))?;
        }
        Ok(())
    }
}
