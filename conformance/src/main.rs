//! phc-conformance: the Capture v1 contract as cases, run against clients; and the adapter for PostHog's
//! compliance harness.
//!
//! - [`case`], [`contract`]: the cases and the rules that they prove.
//! - [`driver`]: a client under test, through a [`worker`] (JSON lines) or an adapter ([`adapter_client`]).
//! - [`test_server`], [`recording_proxy`]: what the client sends to.
//! - [`run`]: all cases in parallel; [`vectors`], [`scenarios`], [`steps`], [`expectations`]: one case.
//! - [`levels`], [`run_rules`]: whose a rule is, and what a run counts against a client.
//! - [`json`]: JSON compared without losing a digit; [`results`]: table, JUnit and JSON.
//! - [`worker_test`]: whether a worker speaks the protocol, before it runs the cases.
//! - [`adapter_server`]: the adapter that the harness drives.
//!
//! This file is the command line only.

#![warn(unreachable_pub)]

mod adapter_client;
mod adapter_server;
mod case;
mod contract;
mod driver;
mod expectations;
mod json;
mod levels;
mod recording_proxy;
mod results;
mod run;
mod run_rules;
mod scenarios;
mod steps;
mod test_server;
mod vectors;
mod worker;
mod worker_test;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};

use crate::adapter_client::AdapterClient;
use crate::contract::Contract;
use crate::driver::Driver;
use crate::levels::Levels;
use crate::results::ClientResults;
use crate::run::MakeDriver;
use crate::test_server::TestServer;
use crate::worker::Worker;

/// Tests clients against Capture v1, and serves the adapter of the official harness.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The folder with contract.json, vectors and scenarios. By default `conformance`, or else the folder of this
    /// program.
    #[arg(long, global = true)]
    root: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the cases and print a table.
    Run(RunOptions),
    /// Test that a worker speaks the protocol.
    WorkerTest {
        /// The command that starts it.
        worker: String,
    },
    /// Serve the adapter protocol until stopped.
    Adapter {
        /// The command that starts a worker.
        #[arg(long)]
        worker: String,
        /// The port on 127.0.0.1; 0 picks a free one.
        #[arg(long)]
        port: u16,
        /// The codec that enable_compression turns on: none, gzip, deflate, br or zstd.
        #[arg(long, env = "COMPRESSION", default_value = "gzip")]
        compression: String,
    },
    /// Write the index of the cases.
    Index {
        /// Write nothing; fail if the index would change or a rule has no case.
        #[arg(long)]
        check: bool,
    },
}

#[derive(clap::Args)]
struct RunOptions {
    /// NAME=COMMAND: a worker to test; may be given several times.
    #[arg(long)]
    worker: Vec<String>,
    /// NAME=URL: an adapter to test; may be given several times.
    #[arg(long)]
    adapter: Vec<String>,
    /// Whose rules count: server, protocol and libphc, separated by commas, or all.
    #[arg(long, default_value = "server,protocol", value_parser = Levels::parse)]
    level: Levels,
    /// Run only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// The number of cases to run at once.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// End after the first failure.
    #[arg(long)]
    fail_fast: bool,
    /// The address of the test server, to which the clients send. A client elsewhere must be able to reach it.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Write JUnit XML into this file.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Write JSON into this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write a page with a table of cases and clients into this file.
    #[arg(long)]
    html: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let root = arguments.root.clone().unwrap_or_else(default_root);
    let done = match &arguments.command {
        Command::Run(run) => run_cases(run, &root),
        Command::WorkerTest { worker } => worker_test::run(worker),
        Command::Adapter { worker, port, compression } => serve(worker, *port, compression).map(|()| true),
        Command::Index { check } => index(&root, *check).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("phc-conformance: {error}");
            ExitCode::from(2)
        }
    }
}

/// In the archive for other repositories, the cases lie beside this program.
fn default_root() -> PathBuf {
    let here = PathBuf::from("conformance");
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    match beside {
        Some(folder) if !here.join("contract.json").exists() && folder.join("contract.json").exists() => {
            folder
        }
        _ => here,
    }
}

fn run_cases(options: &RunOptions, root: &Path) -> Result<bool, String> {
    let (contract, mut cases) = (Contract::load(root)?, case::load(root)?);
    cases.retain(|case| case.name().contains(&options.only) && options.level.has(contract.level_of(case)));
    if cases.is_empty() {
        let (part, levels) = (&options.only, &options.level);
        return Err(format!("no case of the levels {levels} has {part:?} in its name"));
    }
    let plan = |jobs| run::Plan {
        cases: &cases,
        contract: &contract,
        levels: &options.level,
        jobs,
        fail_fast: options.fail_fast,
    };
    let mut all = Vec::new();
    for worker in &options.worker {
        let (name, command) = split(worker)?;
        let make = |_| Ok(Box::new(Worker::start(command)?) as Box<dyn Driver>);
        all.push(run_client(name, &plan(options.jobs), &make, options.listen)?);
    }
    for adapter in &options.adapter {
        let (name, url) = split(adapter)?;
        let parallel = AdapterClient::connect(url, "probe")?.is_parallel();
        let make = |number: usize| {
            let adapter = AdapterClient::connect(url, &format!("conformance-{number}"))?;
            Ok(Box::new(adapter) as Box<dyn Driver>)
        };
        let jobs = if parallel { options.jobs } else { 1 };
        all.push(run_client(name, &plan(jobs), &make, options.listen)?);
    }
    if all.is_empty() {
        return Err("no client to test; name one with --worker NAME=COMMAND or --adapter NAME=URL".to_owned());
    }
    print!("{}", results::table(&all));
    if let Some(file) = &options.junit {
        write(file, &results::junit(&all))?;
    }
    if let Some(file) = &options.html {
        write(file, &results::html(&all))?;
    }
    if let Some(file) = &options.json {
        write(file, &format!("{:#}\n", results::json(&all)))?;
    }
    Ok(all.iter().all(|client| {
        let [passed, failed, _] = client.counts();
        passed > 0 && failed == 0
    }))
}

fn split(option: &str) -> Result<(&str, &str), String> {
    option.split_once('=').ok_or_else(|| format!("{option:?} must have the form NAME=…"))
}

fn run_client(
    name: &str,
    plan: &run::Plan<'_>,
    make: MakeDriver<'_>,
    listen: SocketAddr,
) -> Result<ClientResults, String> {
    // Each client gets a server without records of another.
    let server = TestServer::start(listen)?;
    let started = Instant::now();
    let (hello, cases) = run::all(plan, make, &server)?;
    Ok(ClientResults {
        client: name.to_owned(),
        sdk_name: hello.sdk_name,
        sdk_version: hello.sdk_version,
        cases,
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn serve(worker: &str, port: u16, compression: &str) -> Result<(), String> {
    const CODECS: [&str; 5] = ["none", "gzip", "deflate", "br", "zstd"];
    if !CODECS.contains(&compression) {
        return Err(format!("unknown codec {compression:?}; the codecs are {}", CODECS.join(", ")));
    }
    let options = adapter_server::Options { worker: worker.to_owned(), compression: compression.to_owned() };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        println!("adapter listening on http://{address}");
        axum::serve(listener, adapter_server::router(options)).await.map_err(|error| error.to_string())
    })
}

fn index(root: &Path, check: bool) -> Result<(), String> {
    let (contract, cases) = (Contract::load(root)?, case::load(root)?);
    let checks = [&phc_sink::RULES[..], &phc_sink::FLAG_RULES[..]].concat();
    let problems = contract::problems(&contract, &checks, &cases);
    if !problems.is_empty() {
        return Err(format!("\n  {}", problems.join("\n  ")));
    }
    let path = root.join("INDEX.md");
    let page = contract::index(&contract, &cases);
    if !check {
        return write(&path, &page);
    }
    if std::fs::read_to_string(&path).unwrap_or_default() == page {
        return Ok(());
    }
    Err(format!("{} does not match the cases; run `make docs`", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
