//! The command line, as clap reads it, describes it in help texts and man pages, and completes it in shells.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use uuid::Uuid;

use crate::options::ConnectionOptions;
use crate::outcome::EXIT_CODES;

/// Manages spools, checks the connection to a server, and sends events, with the same code as libphc.
#[derive(Debug, Parser)]
#[command(version, name = "phc-cli", after_help = EXIT_CODES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks the connection to the server step by step: name, TCP, proxy, TLS, HTTP, clock.
    ///
    /// Each step is one line, "ok" or "failed", with what to do. No event is sent unless --send asks for it.
    #[command(after_help = EXIT_CODES)]
    Check(CheckArguments),
    /// Sends one event from arguments, or events in NDJSON from a file or standard input.
    ///
    /// Each line of NDJSON is an event as `phc_capture_json` takes it: an object with `event` and `distinct_id`, and
    /// perhaps `properties`, `timestamp`, `uuid` and others. Lines with a uuid of their own can be sent again after an
    /// interruption: the server counts an event of the same uuid once.
    #[command(after_help = EXIT_CODES)]
    Send(SendArguments),
    /// Manages a spool: the folder in which clients keep pending events on disk.
    #[cfg(unix)]
    #[command(after_help = EXIT_CODES)]
    Spool {
        #[command(subcommand)]
        command: SpoolCommand,
    },
    /// Prints a completion script for a shell to standard output.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Writes the man pages into a folder that exists.
    ManPages {
        /// The folder.
        folder: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    /// Also send one event, "phc-cli check" of the person "phc-cli", which is the only way to check the project key.
    #[arg(long)]
    pub(crate) send: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SendArguments {
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    /// The name of the one event to send.
    #[arg(long, requires = "distinct_id", conflicts_with = "file")]
    pub(crate) event: Option<String>,
    /// The person or thing that the event belongs to.
    #[arg(long, value_name = "ID", requires = "event")]
    pub(crate) distinct_id: Option<String>,
    /// A property of the event, as often as there are any. A VALUE that is JSON (12, true, null, [1], "12") is sent as
    /// that, any other one as text.
    #[arg(long = "property", short = 'p', value_name = "KEY=VALUE", requires = "event", value_parser = pair)]
    pub(crate) properties: Vec<(String, String)>,
    /// The time of the event in RFC 3339, such as 2026-01-31T12:00:00Z, if it is not now.
    #[arg(long, value_name = "TIME", requires = "event")]
    pub(crate) timestamp: Option<String>,
    /// The uuid of the event, if it is not a new one.
    #[arg(long, requires = "event")]
    pub(crate) uuid: Option<Uuid>,
    /// A file of NDJSON; without one, and without --event, standard input is read.
    pub(crate) file: Option<PathBuf>,
    /// Mark the events as an import of old ones.
    #[arg(long)]
    pub(crate) historical: bool,
    /// Keep in this folder what is pending, and how far FILE was read. After an interruption of any kind, a kill included,
    /// the same command goes on from there. The folder is made if it is missing; what ended processes have left in it
    /// for the same host and key is sent, too. A line without a uuid gets one that follows from its number and its bytes.
    #[cfg(unix)]
    #[arg(long, value_name = "DIR", requires = "file", conflicts_with = "event")]
    pub(crate) spool: Option<PathBuf>,
    /// End after this time, also while the input stays open. What is still pending is lost then, or with --spool kept.
    /// Without it, each event is sent until it is delivered or its retries are used up; with --spool, also while the
    /// server does not respond.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400 * 365))]
    pub(crate) timeout: Option<u64>,
}

#[cfg(unix)]
#[derive(Debug, Subcommand)]
pub(crate) enum SpoolCommand {
    /// Lists destinations, instances and segments.
    ///
    /// An instance is one client of one process: alive, if the process is, or dead. A segment has the events of one
    /// batch. The name of a destination is a digest of its host and its key.
    #[command(after_help = EXIT_CODES)]
    List(SpoolFolderArguments),
    /// Reads every segment, reports damage, and adds up.
    ///
    /// The exit code is 1 if a segment is damaged, was set aside, or belongs to another destination.
    #[command(after_help = EXIT_CODES)]
    Check(SpoolFolderArguments),
    /// Writes pending events as NDJSON, in the form that `phc-cli send` reads. Removes nothing.
    ///
    /// The events of living processes are left out, for these send them: --living includes them.
    #[command(after_help = EXIT_CODES)]
    Export(ExportArguments),
    /// Delivers what dead processes left for a host and a key, and ends.
    ///
    /// The events are taken over and sent as by any client of libphc with this spool. What a living process has is never
    /// touched. While the server does not respond or refuses the key, it is tried again until the time limit. Ctrl-C and
    /// the time limit leave in the spool what is not delivered.
    #[command(after_help = EXIT_CODES)]
    Drain(DrainArguments),
    /// Removes what dead processes left, whose events are then never sent.
    ///
    /// Without --yes it only says what it would remove. What a living process has is never touched, nor are files
    /// that this version of libphc does not know.
    #[command(after_help = EXIT_CODES)]
    Discard(DiscardArguments),
}

#[cfg(unix)]
#[derive(Args, Debug)]
pub(crate) struct SpoolFolderArguments {
    /// The folder that the setting spool_dir names.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// Only this destination, by its name or the beginning of it, as `list` shows it.
    #[arg(long, value_name = "NAME")]
    pub(crate) destination: Option<String>,
}

#[cfg(unix)]
#[derive(Args, Debug)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    pub(crate) spool: SpoolFolderArguments,
    /// Write into this new file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Also the events of living processes.
    #[arg(long)]
    pub(crate) living: bool,
    /// Also what can be read of segments that were set aside.
    #[arg(long)]
    pub(crate) bad: bool,
}

#[cfg(unix)]
#[derive(Args, Debug)]
pub(crate) struct DrainArguments {
    /// The folder that the setting spool_dir names.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) connection: ConnectionOptions,
    /// End after this time, and leave the rest in the spool.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400 * 365))]
    pub(crate) timeout: Option<u64>,
}

#[cfg(unix)]
#[derive(Args, Debug)]
pub(crate) struct DiscardArguments {
    #[command(flatten)]
    pub(crate) spool: SpoolFolderArguments,
    /// Also the segments that were set aside.
    #[arg(long)]
    pub(crate) bad: bool,
    /// Really remove them.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("KEY=VALUE is expected".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_pair_is_split_at_its_first_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        for text in ["", "a", "=b"] {
            assert!(pair(text).is_err(), "{text}");
        }
    }
}
