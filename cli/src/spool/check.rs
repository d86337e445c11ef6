//! `phc-cli spool check`: reads every segment, reports what is wrong, and adds up.

use std::collections::HashSet;
use std::io::Write;

use phc::internals::tool::{DestinationFolder, Liveness, NotRead, SegmentSummary, Unreadable};
use uuid::Uuid;

use super::{destinations, instances, line, look_at, read};
use crate::arguments::SpoolFolderArguments;
use crate::outcome::{Failure, Outcome};
use crate::text::{counted, size};

/// Sums over all segments, and what was found.
#[derive(Default)]
struct Found {
    segments: u64,
    bytes: u64,
    events: u64,
    ended: u64,
    missing: u64,
    /// Pending events, by whose they are.
    of_living: u64,
    of_dead: u64,
    set_aside: u64,
    seen: HashSet<Uuid>,
    twice: u64,
    problems: u64,
}

/// Checks the spool.
pub(super) fn run(arguments: &SpoolFolderArguments, out: &mut impl Write) -> Result<Outcome, Failure> {
    let mut found = Found::default();
    for destination in destinations(arguments)? {
        for instance in instances(&destination)? {
            let place = format!("{}/{}", destination.name(), instance.name());
            let (liveness, segments) = match look_at(&instance) {
                Ok(looked) => looked,
                Err(text) => {
                    found.problem(out, &place, &text)?;
                    continue;
                }
            };
            for segment in segments {
                let place = format!("{place}/{}", segment.name);
                let read = read(&instance, liveness, &segment).map(|(summary, _)| summary);
                let pending = found.add(out, &place, segment.bytes, read, &destination)?;
                if liveness == Liveness::Dead {
                    found.of_dead += pending;
                } else {
                    found.of_living += pending;
                }
            }
        }
        let bad =
            destination.bad().map_err(|text| Failure::Files(format!("{}: {text}", destination.name())))?;
        for segment in bad {
            let entry = segment.entry();
            let place = format!("{}/bad/{}", destination.name(), entry.name);
            found.problem(out, &place, "it was set aside, because it could not be used")?;
            let read = segment.read().map(|(summary, _)| summary);
            found.set_aside += found.add(out, &place, entry.bytes, read, &destination)?;
        }
    }
    found.report(out)?;
    Ok(if found.problems == 0 { Outcome::Good } else { Outcome::Bad })
}

impl Found {
    /// Adds a segment, and returns how many pending events it has.
    fn add(
        &mut self,
        out: &mut impl Write,
        place: &str,
        bytes: u64,
        read: Result<SegmentSummary, NotRead>,
        destination: &DestinationFolder,
    ) -> Result<u64, Failure> {
        match &read {
            Err(NotRead::Gone) => return Ok(0),
            // What a process leaves that ends in its first write.
            Ok(_) | Err(NotRead::Unreadable(Unreadable::Empty)) => {}
            Err(reason) => self.problem(out, place, &reason.to_string())?,
        }
        self.segments += 1;
        self.bytes += bytes;
        let Ok(summary) = read else { return Ok(0) };
        if summary.damaged > 0 || summary.missing > 0 {
            let text = format!(
                "{} of bytes damaged; of {}, {} can be sent and {} missing",
                counted(u64::from(summary.damaged), "run"),
                counted(u64::from(summary.events), "event"),
                summary.pending.len(),
                if summary.missing == 1 { "1 is".to_owned() } else { format!("{} are", summary.missing) }
            );
            self.problem(out, place, &text)?;
        }
        let named = format!("d-{:032x}", u128::from_be_bytes(summary.destination));
        if named != destination.name() {
            let text =
                format!("it belongs to the destination {named}; it is sent to the one in whose folder it is");
            self.problem(out, place, &text)?;
        }
        let pending = summary.pending.len() as u64;
        if u64::from(summary.events) != pending + u64::from(summary.ended) + u64::from(summary.missing) {
            self.problem(out, place, "its events do not add up; please report this")?;
        }
        self.events += u64::from(summary.events);
        self.ended += u64::from(summary.ended);
        self.missing += u64::from(summary.missing);
        for (_, uuid, _) in &summary.pending {
            self.twice += u64::from(!self.seen.insert(*uuid));
        }
        Ok(pending)
    }

    fn problem(&mut self, out: &mut impl Write, place: &str, text: &str) -> Result<(), Failure> {
        self.problems += 1;
        line!(out, "{place}: {text}")
    }

    fn report(&self, out: &mut impl Write) -> Result<(), Failure> {
        let Found { events, ended, missing, of_living, of_dead, set_aside, .. } = *self;
        let pending = of_living + of_dead + set_aside;
        line!(
            out,
            "{}, {}: {} = {pending} pending + {ended} ended + {missing} missing",
            counted(self.segments, "segment"),
            size(self.bytes),
            counted(events, "event")
        )?;
        line!(
            out,
            "pending: {of_living} of living processes + {of_dead} of dead ones + {set_aside} set aside"
        )?;
        if self.twice > 0 {
            let (events, are) = (counted(self.twice, "event"), if self.twice == 1 { "is" } else { "are" });
            line!(out, "{events} {are} in more than one segment: the server counts each uuid once")?;
        }
        match self.problems {
            0 => line!(out, "no damage"),
            count => line!(out, "{} found", counted(count, "problem")),
        }
    }
}
