//! What a capture costs where no noise can change it: instructions of the hot pieces, against
//! benches/instructions.txt; allocations and system calls of a captured event in the steady state, exactly.

use std::fmt::Write as _;
use std::path::Path;

use crate::arguments::Arguments;
use crate::c::{SYSTEM, compile, shared_library};
use crate::checks::Checks;
use crate::network::{limited_preload, preloaded};
use crate::process::{
    Outcome, TempFolder, at, built, cargo, command, limited, read, run, said, ship, stdout, write,
};
use crate::sink::Sink;

const PAGE: &str = "benches/instructions.txt";
const FOLDER: &str = "target/pieces";
const LIBRARY: &str = "target/pieces/release/libphc.a";
/// Of src/capi/pieces.rs.
const PIECES: &[&str] = &["encode", "capture", "builder", "batch", "response", "response-mixed"];
/// In per cent: between processors a few differ, for libc copies by what they can.
const TOLERANCE: u64 = 4;

/// `guard [--update|--build]`: writes the instructions down, or only builds what has the pieces.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let (update, only_builds) = (given.flag("--update"), given.flag("--build"));
    if only_builds {
        return build();
    }
    built()?;
    let mut checks = Checks::default();
    instructions(update, &mut checks)?;
    steady_state(&mut checks)?;
    checks.finish("guard")
}

fn instructions(update: bool, checks: &mut Checks) -> Outcome<()> {
    build()?;
    let work = TempFolder::new()?;
    let library = at(LIBRARY).display().to_string();
    let program = compile("tests/c/pieces.c", work.path(), &[&[library.as_str()], SYSTEM].concat())?;
    let mut now = Vec::new();
    for piece in PIECES {
        // The difference of two runs: what a piece prepares does not count.
        let (few, many) = (count(&program, piece, 2000)?, count(&program, piece, 12_000)?);
        now.push((*piece, many.saturating_sub(few) / 10_000));
    }
    if update {
        let mut page = "# Instructions an event, by `xtask guard`: make guard-update\n".to_owned();
        for (piece, count) in &now {
            writeln!(page, "{piece} {count}")?;
        }
        write(PAGE, page)?;
    }
    let page = read(PAGE)?;
    for (piece, now) in now {
        let line = page.lines().find_map(|line| line.strip_prefix(&format!("{piece} ")));
        let known: u64 = line.map_or(Ok(0), str::parse)?;
        let what = format!("{piece}: {now} instructions an event, {known} are written down");
        checks.that(&what, now * 100 <= known * (100 + TOLERANCE));
        if now * 100 < known * (100 - TOLERANCE) {
            println!("   it has become cheaper: make guard-update");
        }
    }
    Ok(())
}

/// The library that ships, with the pieces. Crates of others are those that `make build` has compiled: from cargo 1.91
/// on, which knows the variable.
fn build() -> Outcome<()> {
    let mut build = cargo("rustc --locked --release -q -p libphc --features pieces --crate-type staticlib");
    build.args(["--target-dir", FOLDER]).env("CARGO_BUILD_BUILD_DIR", "target");
    run(&mut build)
}

fn count(program: &Path, piece: &str, times: u32) -> Outcome<u64> {
    let mut valgrind = command(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    let (_, text) = said(valgrind.arg(program).args([piece, &times.to_string()]))?;
    let collected =
        text.lines().find_map(|line| line.split_once("Collected : ")).map(|(_, number)| number.trim());
    Ok(collected.ok_or_else(|| format!("{piece}: callgrind says: {text}"))?.parse()?)
}

/// 6,400 captures by tests/c/steady.c.
fn steady_state(checks: &mut Checks) -> Outcome<()> {
    let work = TempFolder::new()?;
    let library = shared_library(&ship());
    let mut options: Vec<&str> = library.iter().map(String::as_str).collect();
    options.push("-ldl");
    let program = compile("tests/c/steady.c", work.path(), &options)?;
    let sink = Sink::start(&[])?;
    let mut counted = command([&program]);
    counted.args([&format!("{}/a", sink.url()), "100000"]);
    counted.env("LD_PRELOAD", preloaded("tests/c/count_malloc.c", &work)?);
    let text = stdout(&mut limited_preload(&counted, 120))?;
    let allocations: u64 = text.split_whitespace().next().unwrap_or_default().parse()?;
    checks.that(&format!("{allocations} allocations in 6,400 captures"), allocations == 0);

    let (calls, _) = system_calls(&program, &sink, "100000", &work)?;
    let is = |call: &&String, name: &str| call.contains(&format!(" {name}("));
    let random = calls.iter().filter(|call| is(call, "getrandom")).count();
    let wakes = calls.iter().filter(|call| is(call, "write")).count();
    let others: Vec<_> = calls.iter().filter(|call| !is(call, "getrandom") && !is(call, "write")).collect();
    let what = format!("{random} requests for randomness in 6,400 captures, one for 256 uuids");
    checks.that(&what, random <= 26);
    let what = format!("{} other system calls in 6,400 captures between two thresholds", others.len());
    checks.that(&what, others.is_empty());
    for call in others.iter().take(5) {
        println!("{call}");
    }
    // The first event after none wakes the sender.
    checks.that(&format!("{wakes} wake-ups by them"), wakes <= 1);

    let (calls, requests) = system_calls(&program, &sink, "100", &work)?;
    let wakes = calls.iter().filter(|call| is(call, "write")).count();
    checks.that(&format!("{wakes} wake-ups for {requests} batches"), wakes <= requests);
    Ok(())
}

/// The main thread's system calls between the marks of the program, and how many requests it made.
fn system_calls(
    program: &Path,
    sink: &Sink,
    flush_at: &str,
    work: &TempFolder,
) -> Outcome<(Vec<String>, usize)> {
    let trace = work.join("trace");
    let mut strace = command(["strace", "-f", "-o"]);
    strace.arg(&trace).arg(program).args([&format!("{}/{flush_at}", sink.url()), flush_at]);
    let text = stdout(&mut limited(200, &strace))?;
    let requests = text.split_whitespace().nth(1).unwrap_or_default().parse()?;
    let trace = std::fs::read_to_string(trace)?;
    let main = trace.split_whitespace().next().unwrap_or_default().to_owned();
    let mut calls = Vec::new();
    let mut is_inside = false;
    for line in trace.lines() {
        // A call that others interrupt in the listing has two lines.
        if !line.starts_with(&format!("{main} ")) || line.contains("resumed>") {
            continue;
        }
        if line.contains("\"begin\"") {
            is_inside = true;
        } else if line.contains("\"end\"") {
            is_inside = false;
        } else if is_inside {
            calls.push(line.to_owned());
        }
    }
    Ok((calls, requests))
}
