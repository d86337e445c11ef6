//! Programs in C that want a library, variables or a way of loading of their own.

use crate::arguments::Arguments;
use crate::c::{Link, Run, compile, run_programs};
use crate::checks::ensure;
use crate::process::{self, Outcome, TempFolder, at, built, cargo, command, limited, ship};
use crate::sink::Sink;

/// The feature with which the library panics on demand.
const PANICS: &str = "failpoints";

/// `panics`: what a panic in each place does.
pub(crate) fn panics(_: &[String]) -> Outcome<()> {
    built()?;
    // An archive: a shared library would take the place of the one that the workspace's programs are built with, which
    // would all be compiled again.
    let build = format!(
        "rustc --locked -q --config profile.dev.package.libphc.opt-level=0 -p libphc --features {PANICS} --crate-type staticlib"
    );
    process::run(&mut cargo(&build))?;
    let folder = at("target/panics");
    std::fs::create_dir_all(&folder)?;
    let library = folder.join("libphc.so");
    process::run(command(["scripts/link.sh", "target/debug/libphc.a"]).arg(&library).arg("libphc.so.0"))?;
    process::run(command(["ln", "-sf", "libphc.so"]).arg(folder.join("libphc.so.0")))?;
    let mut run = Run::of(Link::Shared, &["panics"]);
    run.library = Some(folder.join("libphc.so"));
    run.variables = vec![("RUST_BACKTRACE", "0".into())];
    run_programs(&run)?.finish("panics")
}

/// `soak [SECONDS [SEED]]`: a random life of a client, held against the sink event by event.
pub(crate) fn soak(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let seconds: u64 = given.next().map_or(Ok(20), |text| text.parse())?;
    let mut variables = vec![("PHC_SOAK_SECONDS", seconds.to_string())];
    variables.extend(given.next().map(|seed| ("PHC_SOAK_SEED", seed)));
    run_for(seconds, "soak", variables)
}

/// `flags-soak [SECONDS]`: definitions of feature flags that change every second, under threads and forks.
pub(crate) fn flags_soak(arguments: &[String]) -> Outcome<()> {
    let seconds: u64 = Arguments::new(arguments).next().map_or(Ok(10), |text| text.parse())?;
    run_for(seconds, "flags_soak", vec![("PHC_FLAGS_SOAK_SECONDS", seconds.to_string())])
}

/// A program that runs for so many seconds, which one of its variables says.
fn run_for(seconds: u64, program: &str, variables: Vec<(&str, String)>) -> Outcome<()> {
    built()?;
    let mut run = Run::of(Link::Shared, &[program]);
    run.variables = variables;
    run.limit = seconds + 300;
    run_programs(&run)?.finish(program)
}

/// `reload`: dlopen, use, close, dlclose, and again, also in a child.
pub(crate) fn reload(_: &[String]) -> Outcome<()> {
    built()?;
    let (work, sink) = (TempFolder::new()?, Sink::start(&[])?);
    let program = compile("tests/c/reload.c", work.path(), &["-ldl"])?;
    let mut run = command([program]);
    process::run(&mut limited(60, run.arg(ship().join("libphc.so")).arg(sink.url())))?;
    let summary = sink.get("/_summary")?;
    let is_right = summary.contains("\"accepted\":40,") && summary.contains("\"violations\":{}");
    ensure(is_right, || format!("the sink saw something else: {summary}"))?;
    println!("loaded and unloaded 20 times, and as often in a child: 40 events arrived");
    Ok(())
}
