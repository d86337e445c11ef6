//! What is made of the command line's description: completion scripts and man pages.

use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::outcome::{Failure, Outcome, output_failed};

/// For bash, clap_complete 4.6 gives the commands of a program with a hyphen in its name another name where they are
/// looked up than where they are found, and no command is completed.
const BASH_STATE: (&str, &str) = ("phc__subcmd__cli", "phc__cli");

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "phc-cli", &mut script);
    let script = String::from_utf8_lossy(&script).replace(BASH_STATE.0, BASH_STATE.1);
    std::io::stdout().write_all(script.as_bytes()).map_err(|error| output_failed(&error))?;
    Ok(Outcome::Good)
}

/// Writes `phc-cli.1` and a page for each command into a folder.
pub(crate) fn man_pages(folder: &Path) -> Result<Outcome, Failure> {
    // `help` would have a page of its own for every command.
    let command = Arguments::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder)
        .map_err(|error| Failure::Files(format!("{} cannot be written to: {error}", folder.display())))?;
    Ok(Outcome::Good)
}
