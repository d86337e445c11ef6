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
    let build = format!("rustc --locked -q -p libphc --features {PANICS} --crate-type cdylib");
    process::run(&mut cargo(&build))?;
    let folder = at("target/panics");
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(at("target/debug/libphc.so"), folder.join("libphc.so"))?;
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
    built()?;
    let mut run = Run::of(Link::Shared, &["soak"]);
    run.variables = vec![("PHC_SOAK_SECONDS", seconds.to_string())];
    run.variables.extend(given.next().map(|seed| ("PHC_SOAK_SEED", seed)));
    run.limit = seconds + 300;
    run_programs(&run)?.finish("soak")
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
