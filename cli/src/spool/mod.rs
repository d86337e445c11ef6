//! The commands that look after a spool. They work beside the processes that use it, and decide by its locks alone
//! which of these are alive. A folder that is not a spool is reported, and nothing in it is touched.

mod check;
mod discard;
mod drain;
mod export;
mod list;

use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use phc::internals::Config;
use phc::internals::tool::{
    DestinationFolder, InstanceFolder, Liveness, NotRead, SegmentEntry, SegmentSummary, SpoolFolder,
};

use crate::arguments::{SpoolCommand, SpoolFolderArguments};
use crate::outcome::{Failure, Outcome, output_failed};

/// A living process may be in the middle of a write. Its segments are read again so often, so much later.
const READ_AGAIN: usize = 10;
const READ_AGAIN_AFTER: Duration = Duration::from_millis(30);

/// Runs one of the commands.
pub(crate) fn run(command: &SpoolCommand) -> Result<Outcome, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let outcome = match command {
        SpoolCommand::List(arguments) => list::run(arguments, &mut out),
        SpoolCommand::Check(arguments) => check::run(arguments, &mut out),
        SpoolCommand::Export(arguments) => export::run(arguments, &mut out),
        SpoolCommand::Discard(arguments) => discard::run(arguments, &mut out),
        SpoolCommand::Drain(arguments) => drain::run(arguments),
    };
    out.flush().map_err(|error| output_failed(&error))?;
    outcome
}

/// The settings of a client that has this spool, and takes over what ended processes have left in it.
pub(crate) fn with_spool(mut config: Config, folder: &Path) -> Result<Config, Failure> {
    let Some(text) = folder.to_str() else {
        return Err(Failure::Usage(format!("{} is not UTF-8, which a spool_dir must be", folder.display())));
    };
    config.set("spool_dir", text)?;
    config.set("spool_adopt", "true")?;
    Ok(config)
}

/// Opens the spool, and returns the destinations that the command line asks for.
fn destinations(arguments: &SpoolFolderArguments) -> Result<Vec<DestinationFolder>, Failure> {
    let unusable = |text: String| {
        Failure::Files(format!("{} cannot be used as a spool: {text}", arguments.folder.display()))
    };
    let mut found =
        SpoolFolder::open(&arguments.folder).and_then(|spool| spool.destinations()).map_err(unusable)?;
    if let Some(wanted) = &arguments.destination {
        found.retain(|destination| destination.name().starts_with(wanted.as_str()));
        if found.is_empty() {
            return Err(Failure::Usage(format!(
                "no destination begins with {wanted:?}; phc-cli spool list {} shows them",
                arguments.folder.display()
            )));
        }
    }
    Ok(found)
}

/// The instances of a destination. Where the disk does not allow that, the command ends.
fn instances(destination: &DestinationFolder) -> Result<Vec<InstanceFolder>, Failure> {
    destination.instances().map_err(|text| Failure::Files(format!("{}: {text}", destination.name())))
}

/// What the lock says of an instance, and its segments.
fn look_at(instance: &InstanceFolder) -> Result<(Liveness, Vec<SegmentEntry>), String> {
    Ok((instance.liveness()?, instance.segments()?))
}

/// Reads a segment; one of a process that may be alive several times if it seems to be damaged, because what is being
/// written just now looks like that.
fn read(
    instance: &InstanceFolder,
    liveness: Liveness,
    segment: &SegmentEntry,
) -> Result<(SegmentSummary, Duration), NotRead> {
    let mut found = instance.read(segment);
    if liveness != Liveness::Dead {
        for _ in 0..READ_AGAIN {
            match &found {
                Ok((summary, _)) if summary.damaged == 0 && summary.missing == 0 => break,
                Err(NotRead::Gone) => break,
                _ => thread::sleep(READ_AGAIN_AFTER),
            }
            found = instance.read(segment);
        }
    }
    found
}

/// Writes a line to standard output.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {
        writeln!($out, $($text)*).map_err(|error| $crate::outcome::output_failed(&error))
    };
}
use line;
