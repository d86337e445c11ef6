//! phc-cli, the command-line tool of libphc: it manages spools, checks a connection step by step, and sends events.

mod arguments;
mod check;
mod generate;
#[cfg(unix)]
mod interrupt;
mod losses;
mod options;
mod outcome;
mod progress;
mod send;
#[cfg(unix)]
mod spool;
mod text;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use outcome::{Failure, Outcome};

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Check(arguments) => check::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        #[cfg(unix)]
        Command::Spool { command } => spool::run(&command),
        Command::Completions { shell } => generate::completions(shell),
        Command::ManPages { folder } => generate::man_pages(&folder),
    };
    match done {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::from(outcome::BAD),
        Ok(Outcome::Left) => ExitCode::from(outcome::LEFT),
        Err(failure) => {
            if !matches!(failure, Failure::ClosedOutput) {
                text::say(format_args!("phc-cli: {failure}"));
            }
            failure.exit_code()
        }
    }
}
