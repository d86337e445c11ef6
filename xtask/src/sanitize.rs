//! The library under the tools that see what a test cannot. docs/testing.md says what each of them sees.

use std::time::Instant;

use crate::arguments::Arguments;
use crate::c::{self, Link, Run, run_programs};
use crate::checks::{Checks, ensure};
use crate::process::{self, Outcome, built, cargo, words};
use crate::ruby_extension;

/// Parts, and whether they need the library that ships or the sink.
type Part = fn(&mut Checks);
const PARTS: &[(&str, Part)] =
    &[("races", races), ("memory", memory), ("address", address), ("thread", thread), ("ruby", ruby)];

/// The programs that call every function of the C API.
const CALLS: &[&str] = &[
    "misuse",
    "captures",
    "builder",
    "exceptions",
    "before_send",
    "callbacks",
    "reentrancy",
    "reports",
    "logging",
    "introspection",
];

/// What all runs of valgrind have in common. Without fair scheduling one thread of several would run only.
pub(crate) const VALGRIND: &str = "valgrind --quiet --fair-sched=yes --error-exitcode=9 --num-callers=30 \
                            --suppressions=tests/sanitizers/memory.supp";
pub(crate) const LEAKS: &str = "--leak-check=full --show-leak-kinds=definite,indirect \
                     --errors-for-leak-kinds=definite,indirect";

/// `sanitize [races|memory|address|thread|ruby]…`. `sanitize --build address|thread…` only builds the library for these.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let only_builds = given.flag("--build");
    let names = given.names();
    for name in &names {
        ensure(PARTS.iter().any(|(part, _)| part == name), || {
            format!("there is no part {name:?}; there are races, memory, address, thread, ruby")
        })?;
    }
    if only_builds {
        return names.iter().try_for_each(|name| c::prepare(Link::named(name)?));
    }
    if names.iter().any(|name| name != "races") || names.is_empty() {
        built()?;
    }
    let mut checks = Checks::default();
    for (name, part) in PARTS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            let begun = Instant::now();
            part(&mut checks);
            println!("== {name}: {:.0} s", begun.elapsed().as_secs_f64());
        }
    }
    checks.finish("sanitize")
}

fn races(checks: &mut Checks) {
    let mut test = cargo("test --locked -q -p libphc --features race-models --lib race_models::");
    checks.check("race models", process::run(&mut test));
}

fn under_valgrind(link: Link, options: &str, programs: &[&str]) -> Outcome<()> {
    let mut run = Run::of(link, programs);
    run.wrap = words(&format!("{VALGRIND} {options}"));
    run.limit = 900;
    run.variables = vec![("PHC_CHAOS_EVENTS", "3000".into()), ("PHC_CROWD_EVENTS", "100".into())];
    run_programs(&run)?.finish("valgrind")
}

/// The build for tests: in what ships the optimiser branches on bytes before it knows whether they were written
/// (and then forgets the outcome), which valgrind takes for an error. What ships is checked for all but that.
fn memory(checks: &mut Checks) {
    checks.check("build, debug", c::prepare(Link::Debug));
    let all = [&["delivery", "flushing", "crowd", "chaos"], CALLS].concat();
    checks.check("valgrind", under_valgrind(Link::Debug, LEAKS, &all));
    let options = format!("{LEAKS} --undef-value-errors=no");
    let some = ["misuse", "callbacks", "codecs", "crowd"];
    checks.check("valgrind, what ships", under_valgrind(Link::Shared, &options, &some));
    // A forked child leaks, by design, what it inherited.
    let forks = under_valgrind(Link::Debug, "--leak-check=no", &["fork", "exit", "flags", "remote_config"]);
    checks.check("valgrind, forks", forks);
    for (mistake, pattern) in
        [("a_report_is_read_after_its_free", "Invalid read"), ("a_client_is_never_freed", "definitely lost")]
    {
        let wrap = format!("{VALGRIND} --leak-check=full");
        let caught = must_catch(Link::Shared, &wrap, mistake, &[pattern]);
        checks.check(&format!("valgrind catches {mistake}"), caught);
    }
}

fn address(checks: &mut Checks) {
    checks.check("build, address", c::prepare(Link::Address));
    // Not threads, which measures memory: what is freed is kept back for a while.
    let programs =
        ["delivery", "codecs", "batching", "flushing", "fork", "flags", "remote_config", "chaos", "crowd"];
    let all = [&programs, CALLS].concat();
    let mut run = Run::of(Link::Address, &all);
    run.variables = vec![("PHC_CHAOS_EVENTS", "20000".into())];
    checks.check("address", run_programs(&run).and_then(|done| done.finish("address")));
    // A forked child that exits leaks, by design, what it inherited.
    let mut run = Run::of(Link::Address, &["exit"]);
    run.variables = vec![("ASAN_OPTIONS", c::address_options(false))];
    checks.check("address, exits", run_programs(&run).and_then(|done| done.finish("address, exits")));
    for (mistake, pattern) in [
        ("a_report_is_read_after_its_free", "heap-use-after-free"),
        ("a_buffer_is_smaller_than_its_length", "heap-buffer-overflow"),
        ("a_client_is_never_freed", "detected memory leaks"),
    ] {
        let caught = must_catch(Link::Address, "", mistake, &[pattern]);
        checks.check(&format!("AddressSanitizer catches {mistake}"), caught);
    }
}

fn thread(checks: &mut Checks) {
    checks.check("build, thread", c::prepare(Link::Thread));
    // Children of a process with threads are beyond this tool.
    let reload = "flags.c: evaluations_see_old_or_new_definitions_and_never_both";
    let run = Run::of(Link::Thread, &["crowd", reload, "spool_call.c: at_call_threads_write_side_by_side"]);
    checks.check("thread", run_programs(&run).and_then(|done| done.finish("thread")));
    let (mistake, patterns) = ("a_callback_writes_without_a_lock", ["data race", "count_unguarded"]);
    let caught = must_catch(Link::Thread, "", mistake, &patterns);
    checks.check(&format!("ThreadSanitizer catches {mistake}"), caught);
}

/// The C extension of the gem.
fn ruby(checks: &mut Checks) {
    checks.check("AddressSanitizer, Ruby", ruby_extension::under_address());
    checks.check("AddressSanitizer catches a fault", ruby_extension::address_catches_a_fault());
    checks.check("valgrind, Ruby", ruby_extension::under_valgrind());
}

/// This test of tests/c/sanitizer_checks.c, which has a deliberate mistake, fails, and a line of the tool's output
/// has all these parts. It runs in a process of its own, whose output is searched.
fn must_catch(link: Link, wrap: &str, mistake: &str, patterns: &[&str]) -> Outcome<()> {
    let test = format!("sanitizer_checks.c: {mistake}");
    let mut words = vec!["c", "--link", link.name(), &test];
    if !wrap.is_empty() {
        words.extend(["--wrap", wrap]);
    }
    let mut program = process::myself(&words)?;
    let (succeeded, output) = process::said(program.env(process::BUILT, "1"))?;
    ensure(!succeeded, || format!("{output}\nnothing caught {mistake}"))?;
    ensure(reports(&output, patterns), || format!("{output}\n{mistake} failed for another reason"))
}

/// Whether a line has all the parts, in their order.
pub(crate) fn reports(text: &str, parts: &[&str]) -> bool {
    text.lines().any(|line| {
        let mut rest = line;
        parts.iter().all(|part| rest.split_once(part).map(|(_, behind)| rest = behind).is_some())
    })
}
