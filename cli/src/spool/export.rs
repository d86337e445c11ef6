//! `phc-cli spool export`: pending events as NDJSON. Nothing is removed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use phc::internals::tool::{Liveness, NotRead, SegmentSummary, Unreadable};

use super::{destinations, instances, look_at, read};
use crate::arguments::ExportArguments;
use crate::outcome::{Failure, Outcome, output_failed};
use crate::text::{counted, say};

/// What was written, and what was not.
#[derive(Default)]
struct Exported {
    segments: u64,
    events: u64,
    historical: u64,
    of_living: u64,
    unreadable: u64,
}

/// Where the events go.
enum Target<'a, W: Write> {
    Output(&'a mut W),
    File(BufWriter<File>, String),
}

/// Exports the spool.
pub(super) fn run(arguments: &ExportArguments, out: &mut impl Write) -> Result<Outcome, Failure> {
    let found = destinations(&arguments.spool)?;
    let mut target = match &arguments.output {
        None => Target::Output(out),
        Some(path) => {
            let name = path.display().to_string();
            // The events of the spool are readable by its user only.
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let file = file.map_err(|error| {
                Failure::Files(match error.kind() {
                    io::ErrorKind::AlreadyExists => format!("{name} is there already: name a new file"),
                    _ => format!("{name} cannot be made: {error}"),
                })
            })?;
            Target::File(BufWriter::new(file), name)
        }
    };
    let mut exported = Exported::default();
    for destination in found {
        for instance in instances(&destination)? {
            let place = format!("{}/{}", destination.name(), instance.name());
            let (liveness, segments) = match look_at(&instance) {
                Ok(found) => found,
                Err(text) => {
                    exported.not_read(&place, &text);
                    continue;
                }
            };
            for segment in segments {
                match read(&instance, liveness, &segment) {
                    Ok((summary, _)) if liveness == Liveness::Dead || arguments.living => {
                        exported.write(&summary, &mut target)?;
                    }
                    Ok((summary, _)) => exported.of_living += summary.pending.len() as u64,
                    Err(NotRead::Gone | NotRead::Unreadable(Unreadable::Empty)) => {}
                    Err(reason) => {
                        exported.not_read(&format!("{place}/{}", segment.name), &reason.to_string());
                    }
                }
            }
        }
        if arguments.bad {
            let bad = destination.bad();
            for segment in bad.map_err(|text| Failure::Files(format!("{}: {text}", destination.name())))? {
                match segment.read() {
                    Ok((summary, _)) => exported.write(&summary, &mut target)?,
                    Err(NotRead::Gone) => {}
                    Err(reason) => {
                        let place = format!("{}/bad/{}", destination.name(), segment.entry().name);
                        exported.not_read(&place, &reason.to_string());
                    }
                }
            }
        }
    }
    target.finish()?;
    exported.report();
    Ok(if exported.unreadable == 0 { Outcome::Good } else { Outcome::Bad })
}

impl<W: Write> Target<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Target::Output(out) => out.write_all(bytes).map_err(|error| output_failed(&error)),
            Target::File(file, name) => file.write_all(bytes).map_err(|error| incomplete(name, &error)),
        }
    }

    /// What was written to a file is on disk afterwards: the segments may be discarded next.
    fn finish(self) -> Result<(), Failure> {
        match self {
            Target::Output(out) => out.flush().map_err(|error| output_failed(&error)),
            Target::File(mut file, name) => file
                .flush()
                .and_then(|()| file.get_ref().sync_all())
                .map_err(|error| incomplete(&name, &error)),
        }
    }
}

fn incomplete(name: &str, error: &io::Error) -> Failure {
    Failure::Files(format!("{name} is incomplete: writing failed: {error}"))
}

impl Exported {
    fn write<W: Write>(
        &mut self,
        summary: &SegmentSummary,
        target: &mut Target<'_, W>,
    ) -> Result<(), Failure> {
        self.segments += 1;
        for (_, _, wire) in &summary.pending {
            target.write(&in_one_line(wire))?;
            self.events += 1;
            self.historical += u64::from(summary.historical_migration);
        }
        Ok(())
    }

    fn not_read(&mut self, place: &str, text: &str) {
        self.unreadable += 1;
        say(format_args!("{place}: {text}"));
    }

    fn report(&self) {
        let (events, segments) = (counted(self.events, "event"), counted(self.segments, "segment"));
        say(format_args!("{events} of {segments} written"));
        if self.historical > 0 {
            let (events, are) =
                (counted(self.historical, "event"), if self.historical == 1 { "is" } else { "are" });
            eprintln!(
                "{events} of these {are} part of an import: phc-cli send --historical sends them as that"
            );
        }
        if self.of_living > 0 {
            let events = counted(self.of_living, "event");
            say(format_args!(
                "{events} of living processes left out, or of some whose lock cannot be tried; --living includes them"
            ));
        }
    }
}

/// The event and a line end. JSON has line ends between its parts at most, where a space means the same.
fn in_one_line(wire: &[u8]) -> Vec<u8> {
    let mut line: Vec<u8> =
        wire.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        assert_eq!(in_one_line(b"{\"a\":\r\n1,\"b\":\"\\n\"}"), b"{\"a\":  1,\"b\":\"\\n\"}\n");
    }
}
