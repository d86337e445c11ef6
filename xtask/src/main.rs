//! `cargo run -q --locked -p xtask -- TASK …`: the tests of every language, the checks of the sources, and the
//! mutations. `make help` lists what is used every day.
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "the files are ours")]

mod adapter_test;
mod arguments;
mod authority;
mod c;
mod c_special;
mod c_target;
mod ca_files;
mod checks;
mod cli;
mod client_certificates;
mod conformance;

mod cpp;
mod form;
mod go;
mod guarantees;
mod guard;
mod layering;
mod mutations;
mod network;
mod php;
mod php_examples;
mod php_extension;
mod php_hosts;
mod process;
mod random;
mod ruby;
mod ruby_extension;
mod runner;
mod rust;
mod sanitize;
mod sink;
mod spool_proofs;
mod steps;
mod tls;
mod unit;
mod vocabulary;

use std::fmt;
use std::process::ExitCode;

use crate::process::Outcome;

/// A task: name, arguments, function.
type Task = (&'static str, &'static str, fn(&[String]) -> Outcome<()>);

const TASKS: &[Task] = &[
    ("test", "[--list] [--junit FILE] [--fail-fast] [STEP-OR-GROUP…]", runner::test),
    ("rust", "[NAME…]", unit::task),
    (
        "c",
        "[--target TARGET] [--link shared|archive|debug|address|thread] [--library FILE] [--wrap COMMAND] [NAME…]",
        c::task,
    ),
    ("cpp", "[--valgrind] [NAME…]", cpp::task),
    ("go", "[NAME…]", go::task),
    ("ruby", "[NAME…]", ruby::task),
    ("php", "[NAME…]", php::task),
    ("conformance", "[--sdk SDK | --target TARGET] [PART-OF-A-NAME] [-- OPTION…]", conformance::task),
    ("adapter", "SDK PORT", conformance::adapter),
    ("adapter-test", "SDK", adapter_test::task),
    ("sanitize", "[--build] [races|memory|address|thread|ruby]…", sanitize::task),
    ("mutations", "check | refresh | run [conformance|races|tsan|unit] [NAME…]", mutations::task),
    ("soak", "[SECONDS [SEED]]", c_special::soak),
    ("flags-soak", "[SECONDS]", c_special::flags_soak),
    ("panics", "", c_special::panics),
    ("reload", "", c_special::reload),
    ("guard", "[--update]", guard::task),
    ("tls", "", tls::tls),
    ("proxies", "", network::proxies),
    ("addresses", "", network::addresses),
    ("environment", "", network::environment),
    ("cli", "[--binary FILE]", cli::task),
    ("spool-proofs", "[--long] [KIND…]", spool_proofs::task),
    ("ruby-hosts", "[full]", ruby::hosts),
    ("php-hosts", "[full]", php_hosts::task),
    ("format", "[--check]", form::format),
    ("lints", "", form::lints),
    ("scripts", "", form::scripts),
    ("layering", "", layering::task),
    ("layers", "", layering::show),
    ("vocabulary", "[FILE…]", vocabulary::task),
    ("guarantees", "[--of TEST]", guarantees::task),
    ("generated", "", form::generated),
    ("contract", "", form::contract),
    ("headers", "[--check]", |arguments| form::generate("headers", arguments)),
    ("settings", "[--check]", |arguments| form::generate("settings", arguments)),
    ("licences", "[--check]", |arguments| form::generate("licences", arguments)),
];

/// An error whose text was printed already.
#[derive(Debug)]
pub struct Silent;

impl fmt::Display for Silent {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl std::error::Error for Silent {}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let name = words.first().map_or("", String::as_str);
    let Some((_, _, task)) = TASKS.iter().find(|(known, _, _)| *known == name) else {
        eprintln!("usage: cargo run -q --locked -p xtask -- TASK …\n");
        for (name, arguments, _) in TASKS {
            eprintln!("    {name} {arguments}");
        }
        return ExitCode::from(2);
    };
    match task(words.get(1..).unwrap_or_default()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is::<Silent>() {
                eprintln!("xtask {name}: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
