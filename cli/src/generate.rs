//! What is made of the command line's description: completion scripts and man pages.

use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::outcome::{Failure, Outcome, output_failed};

/// Prints the completion script of a shell.
pub(crate) fn completions(shell: Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "phc-cli", &mut script);
    std::io::stdout().write_all(&script).map_err(|error| output_failed(&error))?;
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
