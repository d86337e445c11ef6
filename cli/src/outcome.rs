//! How a command ends: the exit codes, and the errors that end it early.

use std::fmt;
use std::io;
use std::process::ExitCode;

use phc::internals::Error;

/// What a command has found, once it was able to do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing is wrong.
    Good,
    /// Something is: damage, a failed step, a lost event.
    Bad,
    /// Nothing was lost, but not everything was delivered: what is left is on disk.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no spool"))]
    Left,
}

/// The exit code of [`Outcome::Bad`].
pub(crate) const BAD: u8 = 1;
const USAGE: u8 = 2;
const FILES: u8 = 3;
/// The exit code of [`Outcome::Left`].
pub(crate) const LEFT: u8 = 4;

/// The exit codes, as every help text has them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  everything is as it should be
  1  something is not: damage in a spool, a step that failed, an event that was refused or lost
  2  the command line or a setting is not accepted; nothing was done
  3  a file or a folder cannot be used; what could not be done is named
  4  the command ended early, or could not do all of it: events are left on disk, and none is lost";

/// Why a command ended early. The text says what to do.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line or a setting is not accepted.
    Usage(String),
    /// A file or a folder cannot be used.
    Files(String),
    /// Standard output was closed by its reader, such as `head`.
    ClosedOutput,
}

impl Failure {
    /// The exit code. A reader that has seen enough is not an error.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(USAGE),
            Failure::Files(_) => ExitCode::from(FILES),
            Failure::ClosedOutput => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Files(text) => f.write_str(text),
            Failure::ClosedOutput => f.write_str("standard output was closed"),
        }
    }
}

/// What libphc does not accept of a setting or an event on the command line.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Usage(error.message.to_string())
    }
}

/// An error of writing to standard output.
pub(crate) fn output_failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ClosedOutput,
        _ => Failure::Files(format!("writing to standard output failed: {error}")),
    }
}
