//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use phc_conformance::driver::Driver;
use phc_conformance::outcome::{Results, json, junit, table};
use phc_conformance::referee::Referee;
use phc_conformance::remote::Remote;
use phc_conformance::run::{self, MakeDriver};
use phc_conformance::worker::Worker;
use phc_conformance::{case, contract, front};

/// Holds clients against Capture v1, and serves the official harness.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The folder with contract.json, vectors and scenarios.
    #[arg(long, default_value = "conformance", global = true)]
    root: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the cases and shows a table.
    Run(Run),
    /// Serves the adapter protocol until it is stopped.
    Adapter {
        /// How a worker is started.
        #[arg(long)]
        worker: String,
        /// On 127.0.0.1.
        #[arg(long)]
        port: u16,
        /// The codec of enable_compression.
        #[arg(long, env = "COMPRESSION", default_value = "gzip")]
        compression: String,
    },
    /// Writes the index of the cases.
    Index {
        /// Writes nothing; fails when it would change, or a rule has no case.
        #[arg(long)]
        check: bool,
    },
}

#[derive(clap::Args)]
struct Run {
    /// NAME=COMMAND: a worker; may be given several times.
    #[arg(long)]
    worker: Vec<String>,
    /// NAME=URL: an adapter; may be given several times.
    #[arg(long)]
    adapter: Vec<String>,
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// So many at once.
    #[arg(long, default_value_t = 8)]
    jobs: usize,
    /// Ends after the first failure.
    #[arg(long)]
    fail_fast: bool,
    /// Where the server of the cases listens; an adapter elsewhere must reach it.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Writes JUnit XML there.
    #[arg(long)]
    junit: Option<PathBuf>,
    /// Writes JSON there.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match &arguments.command {
        Command::Run(run) => run_cases(run, &arguments.root),
        Command::Adapter { worker, port, compression } => serve(worker, *port, compression).map(|()| true),
        Command::Index { check } => index(&arguments.root, *check).map(|()| true),
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

fn run_cases(options: &Run, root: &Path) -> Result<bool, String> {
    let mut cases = case::load(root)?;
    cases.retain(|case| case.name().contains(&options.only));
    if cases.is_empty() {
        return Err(format!("no case is called {:?}", options.only));
    }
    let mut all = Vec::new();
    for worker in &options.worker {
        let (name, command) = split(worker)?;
        let make = |_| Ok(Box::new(Worker::start(command)?) as Box<dyn Driver>);
        all.push(results(name, &cases, &make, options, options.jobs)?);
    }
    for adapter in &options.adapter {
        let (name, url) = split(adapter)?;
        let parallel = Remote::connect(url, "probe")?.is_parallel();
        let make = |number: usize| {
            let remote = Remote::connect(url, &format!("conformance-{number}"))?;
            Ok(Box::new(remote) as Box<dyn Driver>)
        };
        all.push(results(name, &cases, &make, options, if parallel { options.jobs } else { 1 })?);
    }
    if all.is_empty() {
        return Err("name a client with --worker NAME=COMMAND or --adapter NAME=URL".to_owned());
    }
    print!("{}", table(&all));
    if let Some(file) = &options.junit {
        write(file, &junit(&all))?;
    }
    if let Some(file) = &options.json {
        write(file, &format!("{:#}\n", json(&all)))?;
    }
    Ok(all.iter().all(|results| {
        let [passed, failed, _] = results.counts();
        passed > 0 && failed == 0
    }))
}

fn split(option: &str) -> Result<(&str, &str), String> {
    option.split_once('=').ok_or_else(|| format!("{option:?} is not NAME=…"))
}

fn results(
    name: &str,
    cases: &[case::Case],
    make: MakeDriver<'_>,
    options: &Run,
    jobs: usize,
) -> Result<Results, String> {
    // A server for each client: its spaces are empty.
    let referee = Referee::start(options.listen)?;
    let started = Instant::now();
    let outcomes = run::all(cases, make, &referee, jobs, options.fail_fast)?;
    Ok(Results { sdk: name.to_owned(), outcomes, seconds: started.elapsed().as_secs_f64() })
}

fn serve(worker: &str, port: u16, compression: &str) -> Result<(), String> {
    const CODECS: [&str; 5] = ["none", "gzip", "deflate", "br", "zstd"];
    if !CODECS.contains(&compression) {
        return Err(format!("COMPRESSION={compression} is none of {}", CODECS.join(", ")));
    }
    let options = front::Options { worker: worker.to_owned(), compression: compression.to_owned() };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
            .await
            .map_err(|error| format!("port {port}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        println!("adapter listening on http://{address}");
        axum::serve(listener, front::router(options)).await.map_err(|error| error.to_string())
    })
}

fn index(root: &Path, check: bool) -> Result<(), String> {
    let (rules, cases) = (contract::load(root)?, case::load(root)?);
    let troubles = contract::troubles(&rules, &cases);
    if !troubles.is_empty() {
        return Err(format!("\n  {}", troubles.join("\n  ")));
    }
    let path = root.join("INDEX.md");
    let page = contract::index(&rules, &cases);
    if !check {
        return write(&path, &page);
    }
    if std::fs::read_to_string(&path).unwrap_or_default() == page {
        return Ok(());
    }
    Err(format!("{} is not what the cases say; run `make docs`", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
