//! The black-box tests in C: builds the programs that hold the named tests, and runs them against the sink.
//! Objects and programs stay in target/c, and are made again when something that they are made from is newer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::arguments::Arguments;
use crate::c_target::Target;
use crate::checks::{Checks, ensure};
use crate::process::{
    self, Outcome, at, built, built_sink, cargo, command, files, lines, make, read, root, ship, stdout,
};
use crate::sink::Sink;

/// Programs that a run without names leaves out: they have a task of their own.
const OTHER_TASKS: &[&str] = &["panics", "sanitizer_checks", "soak", "flags_soak", "idle"];
/// These measure memory and time, which is worth it for what ships only.
const MEASURING: &[&str] = &["allocations", "network", "deadlines", "memory", "memory_shortage"];
/// What every program is linked with.
const SHARED_SOURCES: &[&str] = &["harness", "hostile", "name_server", "spooling"];
/// What the archive of the library needs.
pub(crate) const SYSTEM: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];
/// identity.c stands before this function. A library that is linked for an old glibc calls a version of it that the
/// linker would not let a program replace.
const REPLACED: &str = "-Wl,--export-dynamic-symbol=pthread_atfork";
const STRICT: &str = "-std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -Iinclude";

/// Which build of the library the programs are linked with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Link {
    /// target/ship/libphc.so.
    Shared,
    /// target/ship/libphc.a.
    Archive,
    /// The archive of the workspace's build for tests: less optimised, with symbols.
    Debug,
    /// Everything instrumented by AddressSanitizer.
    Address,
    /// Everything instrumented by ThreadSanitizer.
    Thread,
}

impl Link {
    const ALL: [(&'static str, Self); 5] = [
        ("shared", Self::Shared),
        ("archive", Self::Archive),
        ("debug", Self::Debug),
        ("address", Self::Address),
        ("thread", Self::Thread),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, link)| *link == self).map_or("", |(name, _)| name)
    }

    pub(crate) fn named(name: &str) -> Outcome<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        Ok(found.ok_or("LINK is shared, archive, debug, address or thread")?.1)
    }

    /// Whether the C code is instrumented, too.
    fn is_instrumented(self) -> bool {
        matches!(self, Self::Address | Self::Thread)
    }
}

/// One run of programs.
pub(crate) struct Run<'a> {
    pub link: Link,
    /// The library instead of that of `link`.
    pub library: Option<PathBuf>,
    /// Another platform than this machine's.
    pub target: Option<&'static Target>,
    /// A command to run each program under, such as valgrind.
    pub wrap: Vec<String>,
    /// Variables of the programs.
    pub variables: Vec<(&'a str, String)>,
    /// Seconds that a program may take.
    pub limit: u64,
    /// What is chosen: programs, tests, or parts of test names; all when empty.
    pub names: Vec<String>,
}

impl Run<'_> {
    pub(crate) fn of(link: Link, names: &[&str]) -> Self {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { link, library: None, target: None, wrap: Vec::new(), variables: Vec::new(), limit: 300, names }
    }
}

/// `c [--target TARGET] [--link LINK] [--library FILE] [--wrap COMMAND] [NAME…]`
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let link = given.option("--link")?.map_or(Ok(Link::Shared), |name| Link::named(&name))?;
    let wrap = given.option("--wrap")?.map(|text| process::words(&text)).unwrap_or_default();
    let library = given.option("--library")?.map(PathBuf::from);
    let target = given.option("--target")?.map(|name| Target::named(&name)).transpose()?;
    let mut run = Run { target, wrap, ..Run::of(link, &[]) };
    run.names = given.names();
    if let Some(target) = target {
        run.library = Some(library.map_or_else(|| target.library(link), Ok)?);
        if !Target::is_inside() {
            return Target::enter("c", arguments);
        }
        run.wrap.extend(process::words(target.runner));
        return run_programs(&run)?.finish(&format!("C, {}, {}", target.name, link.name()));
    }
    match link {
        Link::Shared | Link::Archive => built()?,
        _ => built_sink()?,
    }
    if library.is_none() {
        prepare(link)?;
    }
    run.library = library;
    run_programs(&run)?.finish(&format!("C, {}", link.name()))
}

/// Builds the library of a link that make does not build.
pub(crate) fn prepare(link: Link) -> Outcome<()> {
    match link {
        Link::Shared | Link::Archive => Ok(()),
        // The one that the workspace's programs have, with what only these use: another one takes minutes.
        Link::Debug => process::run(command(["make", "-s", "--no-print-directory"]).arg("programs")),
        Link::Address | Link::Thread => instrumented(root(), link, &at("target/sanitize")).map(|_| ()),
    }
}

/// The target of this machine, as rustc names it.
fn host() -> Outcome<String> {
    let version = stdout(&mut command(["rustc", "-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("rustc -vV names no host")?.to_owned())
}

/// Builds the archive of the library in `tree` for a sanitizer, and returns its path. The sanitizers are not stable
/// in rustc, but their runtimes come with it. Without optimisation it is built in half the time.
pub(crate) fn instrumented(tree: &Path, link: Link, target: &Path) -> Outcome<PathBuf> {
    let (kind, host) = (link.name(), host()?);
    let mut flags = format!("-Zsanitizer={kind}");
    if link == Link::Thread {
        // std is not instrumented: tests/sanitizers/std_locks.c makes up for it.
        flags.push_str(" -Cunsafe-allow-abi-mismatch=sanitizer");
    }
    let mut build = cargo("rustc --locked -q -p libphc --crate-type staticlib --target");
    build.arg(&host).arg("--target-dir").arg(target.join(kind)).current_dir(tree);
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags).env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
    build.env(
        format!("CFLAGS_{}", host.replace('-', "_")),
        format!("-fsanitize={kind} -fno-omit-frame-pointer"),
    );
    process::run(&mut build)?;
    Ok(target.join(kind).join(host).join("debug/libphc.a"))
}

/// Builds and runs what is chosen: two programs at a time, each beside a sink of its own, then those that measure, one at
/// a time.
pub(crate) fn run_programs(run: &Run<'_>) -> Outcome<Checks> {
    let programs = programs()?;
    let mut chosen = choose(&programs, run.link, &run.names)?;
    if let Some(target) = run.target {
        chosen = target.leave_out(run.link, chosen, &programs)?;
    }
    let count =
        |name: &str| programs.iter().find(|(other, _)| other == name).map_or(0, |(_, tests)| tests.len());
    let (measuring, mut others): (Chosen, Chosen) =
        chosen.into_iter().partition(|(name, _)| MEASURING.contains(&name.as_str()));
    // Lanes take from the end: those with most tests first, so that no long one is left over.
    others.sort_by_key(|(name, tests)| if tests.is_empty() { count(name) } else { tests.len() });
    let mut checks = Checks::default();
    let queue = Mutex::new(others);
    let lanes: Vec<Result<Checks, String>> = std::thread::scope(|scope| {
        let lane = || scope.spawn(|| run_lane(run, &queue).map_err(|error| error.to_string()));
        let lanes = [lane(), lane()];
        lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|_| Err("a lane panicked".into()))).collect()
    });
    for lane in lanes {
        checks.add(&lane?);
    }
    checks.add(&run_lane(run, &Mutex::new(measuring))?);
    Ok(checks)
}

/// Builds and runs programs of the queue, from its end, until it is empty.
fn run_lane(run: &Run<'_>, queue: &Mutex<Chosen>) -> Outcome<Checks> {
    let mut checks = Checks::default();
    let mut sink = None;
    loop {
        let (program, tests, file) = {
            // Programs share object files, so one is built at a time.
            let mut queue = queue.lock().map_err(|_| "another lane panicked")?;
            let Some((program, tests)) = queue.pop() else { return Ok(checks) };
            let file = build(run, &program)?;
            (program, tests, file)
        };
        let sink = match &sink {
            Some(sink) => sink,
            None => sink.insert(Sink::start(&[])?),
        };
        let mut whole = wrapped(&run.wrap, &file);
        whole.args(&tests).env("PHC_SINK", sink.address());
        whole.envs(options(run.link));
        for (name, value) in &run.variables {
            whole.env(name, value);
        }
        run_program(&program, run.limit, &whole, &mut checks)?;
    }
}

/// This program, run by the words of `wrap`, such as valgrind and its options, if there are any.
pub(crate) fn wrapped(wrap: &[String], file: &Path) -> Command {
    if wrap.is_empty() {
        return command([file]);
    }
    let mut whole = command(wrap);
    // The harness gives each test more time then.
    whole.arg(file).env("PHC_WRAP", wrap.join(" "));
    whole
}

/// Runs a program of tests for at most `limit` seconds, and counts what it says of its tests and how it ended.
pub(crate) fn run_program(name: &str, limit: u64, whole: &Command, checks: &mut Checks) -> Outcome<()> {
    let status = lines(&mut process::limited(limit, whole), |line| {
        // Another program may print between two lines of this one.
        let is_named = line.starts_with("ok ") || line.starts_with("FAILED ");
        println!("{}{line}", if is_named { String::new() } else { format!("{name}: ") });
        checks.count_line(line);
    })?;
    if !status.success() {
        let line = format!("FAILED {name} ended with {}", status.code().unwrap_or(-1));
        println!("{line}");
        checks.count_line(&line);
    }
    Ok(())
}

/// Each program of tests/c that has tests, with their names.
pub(crate) fn programs() -> Outcome<Vec<(String, Vec<String>)>> {
    tests_of("tests/c", ".c")
}

/// Each program of a folder that uses the harness, with the tests that it registers.
pub(crate) fn tests_of(folder: &str, ending: &str) -> Outcome<Vec<(String, Vec<String>)>> {
    let mut programs = Vec::new();
    for file in files(folder, ending)? {
        let text = read(&file)?;
        let parts = text.split("TEST(").skip(1).filter_map(|part| part.split_once(')'));
        let tests: Vec<String> = parts.map(|(name, _)| name.to_owned()).collect();
        if text.contains("RUN_TESTS(") {
            programs.push((process::stem(&file), tests));
        }
    }
    Ok(programs)
}

/// A program and the tests of it that run; all when there is none.
pub(crate) type Chosen = Vec<(String, Vec<String>)>;

/// What the names stand for. A name is a program, a test, `program.c: test` as docs/guarantees.md writes it, or a
/// part of the names of tests.
fn choose(programs: &[(String, Vec<String>)], link: Link, names: &[String]) -> Outcome<Chosen> {
    let all = |name: &str| (name.to_owned(), Vec::new());
    if names.is_empty() {
        let is_left_out =
            |name: &str| OTHER_TASKS.contains(&name) || (link != Link::Shared && MEASURING.contains(&name));
        let names = programs.iter().map(|(name, _)| name.as_str());
        return Ok(names.filter(|name| !is_left_out(name)).map(all).collect());
    }
    let mut chosen: Chosen = Vec::new();
    for name in names {
        chosen.extend(named(programs, name)?);
    }
    Ok(chosen)
}

/// The programs and tests that one name stands for.
pub(crate) fn named(programs: &[(String, Vec<String>)], name: &str) -> Outcome<Chosen> {
    let (wanted, test) = name.split_once(": ").unwrap_or((name, ""));
    let wanted = wanted.trim_end_matches(".cpp").trim_end_matches(".c");
    if let Some((program, tests)) = programs.iter().find(|(program, _)| program == wanted) {
        ensure(test.is_empty() || tests.iter().any(|known| known == test), || {
            format!("{program} has no test {test}; it has {}", tests.join(", "))
        })?;
        let only = if test.is_empty() { Vec::new() } else { vec![test.to_owned()] };
        return Ok(vec![(program.clone(), only)]);
    }
    for is_wanted in
        [(|known, name| known == name) as fn(&str, &str) -> bool, |known, name| known.contains(name)]
    {
        let found: Vec<_> = programs
            .iter()
            .map(|(program, tests)| {
                let tests = tests.iter().filter(|test| is_wanted(test, name)).cloned().collect::<Vec<_>>();
                (program.clone(), tests)
            })
            .filter(|(_, tests)| !tests.is_empty())
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let known: Vec<_> = programs.iter().map(|(program, _)| program.as_str()).collect();
    Err(format!("no program and no test is called {name:?}; the programs are {}", known.join(", ")).into())
}

fn build(run: &Run<'_>, program: &str) -> Outcome<PathBuf> {
    // Instrumented objects are not those of the others.
    let flavour = if run.link.is_instrumented() { run.link.name() } else { "plain" };
    let folder = run.target.map_or_else(|| at("target/c"), Target::folder);
    let compiler = run.target.map_or("cc", |target| target.compiler);
    let instrument = match run.link {
        Link::Address | Link::Thread => {
            vec![format!("-fsanitize={}", run.link.name()), "-fno-omit-frame-pointer".to_owned()]
        }
        _ => Vec::new(),
    };
    let objects = std::iter::once(&program)
        .chain(SHARED_SOURCES)
        .map(|source| object(source, compiler, &folder.join(flavour), &instrument))
        .collect::<Outcome<Vec<_>>>()?;
    let output = folder.join(run.link.name()).join(program);
    let mut link = command(process::words(compiler));
    link.args(&objects);
    let library = library(run, &mut link)?;
    link.arg("-lpthread").arg(REPLACED).arg("-o").arg(&output);
    make(&output, &[objects, vec![library]].concat(), &mut link)?;
    Ok(output)
}

/// The object of one source, for programs of C++ as well.
pub(crate) fn harness_object() -> Outcome<PathBuf> {
    object("harness", "cc", &at("target/c/plain"), &[])
}

fn object(source: &str, compiler: &str, folder: &Path, instrument: &[String]) -> Outcome<PathBuf> {
    let source = at("tests/c").join(format!("{source}.c"));
    let output = folder.join(process::stem(&source)).with_extension("o");
    let mut inputs = files("tests/c", ".h")?;
    inputs.extend(files("include", ".h")?);
    inputs.push(source.clone());
    let mut compile = command(process::words(compiler));
    compile.args(process::words(STRICT)).args(instrument).arg("-c").arg(&source).arg("-o").arg(&output);
    make(&output, &inputs, &mut compile)?;
    Ok(output)
}

/// Compiles and links a program of one file that does not use the harness, in `folder`.
pub(crate) fn compile(source: &str, folder: &Path, options: &[&str]) -> Outcome<PathBuf> {
    let output = folder.join(process::stem(Path::new(source)));
    let mut compile = command(["cc"]);
    compile.args(process::words(STRICT)).arg(at(source)).args(options);
    process::run(compile.arg("-o").arg(&output))?;
    Ok(output)
}

/// The arguments that link what ships, and find it at run time.
pub(crate) fn shared_library(folder: &Path) -> Vec<String> {
    vec![folder.join("libphc.so").display().to_string(), format!("-Wl,-rpath,{}", folder.display())]
}

/// Adds the library to the command, and returns its path.
fn library(run: &Run<'_>, link: &mut Command) -> Outcome<PathBuf> {
    let file = match (&run.library, run.link) {
        (Some(file), _) => file.clone(),
        (None, Link::Shared) => ship().join("libphc.so"),
        (None, Link::Archive) => ship().join("libphc.a"),
        (None, Link::Debug) => at("target/debug/libphc.a"),
        (None, Link::Address | Link::Thread) => {
            at("target/sanitize").join(run.link.name()).join(host()?).join("debug/libphc.a")
        }
    };
    match run.link {
        Link::Shared => {
            link.args(shared_library(file.parent().unwrap_or(root())));
        }
        Link::Archive | Link::Debug => {
            link.arg(&file);
            match run.target {
                Some(target) => link.args(process::words(target.archive)),
                None => link.args(SYSTEM),
            };
        }
        Link::Address | Link::Thread => sanitized(run.link, &file, link)?,
    }
    Ok(file)
}

/// Library and tests are instrumented alike, by rustc and by the C compiler; the runtime is rustc's.
fn sanitized(kind: Link, archive: &Path, link: &mut Command) -> Outcome<()> {
    if kind == Link::Thread {
        std_locks(archive, link)?;
    }
    let sysroot = stdout(&mut command(["rustc", "--print", "sysroot"]))?;
    let folder = Path::new(sysroot.trim()).join("lib/rustlib").join(host()?).join("lib");
    let ending = if kind == Link::Address { "_rt.asan.a" } else { "_rt.tsan.a" };
    let runtimes = files(&folder, ending)?;
    ensure(!runtimes.is_empty(), || format!("rustc has no runtime *{ending} in {}", folder.display()))?;
    link.arg(archive).arg("-Wl,--whole-archive").args(runtimes).arg("-Wl,--no-whole-archive");
    // Not -fsanitize, which would bring the runtime of the C compiler.
    link.arg("-Wl,--export-dynamic").args(SYSTEM).arg("-lresolv");
    Ok(())
}

/// Names of std's that std_locks.c stands before: macro, and parts of the symbol in their order.
const STD_LOCKS: &[(&str, &[&str])] = &[
    ("LOCK_CONTENDED", &["5mutex5futex", "5Mutex14lock_contended"]),
    ("READ_CONTENDED", &["6rwlock5futex", "6RwLock14read_contended"]),
    ("WRITE_CONTENDED", &["6rwlock5futex", "6RwLock15write_contended"]),
    ("CONDVAR_WAIT", &["7condvar5futex", "7Condvar4wait\n"]),
    ("CONDVAR_WAIT_TIMEOUT", &["7condvar5futex", "7Condvar12wait_timeout\n"]),
    ("ONCE_CALL", &["4once5futex", "4Once4call\n"]),
];

/// The fast path of std's locks is inlined and seen by ThreadSanitizer; for the slow one, which is compiled already,
/// std_locks.c reports what it does.
fn std_locks(archive: &Path, link: &mut Command) -> Outcome<()> {
    // It has no name for the objects of bitcode, and says so.
    let listed = command(["nm"]).arg(archive).output()?.stdout;
    let symbols = String::from_utf8_lossy(&listed);
    let mut names: Vec<&str> =
        symbols.lines().filter_map(|line| line.trim_start().strip_prefix("U ")).collect();
    names.retain(|name| name.contains("3std"));
    names.sort_unstable();
    let output = at("target/c/thread/std_locks.o");
    let mut compile = command(["cc", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]);
    let mut wraps = Vec::new();
    for (macro_name, parts) in STD_LOCKS {
        let found = names.iter().find(|name| contains_in_order(&format!("{name}\n"), parts));
        let name = found.ok_or_else(|| format!("std has no {} any more", parts.join("…")))?;
        compile.arg(format!("-D{macro_name}={name}"));
        wraps.push(format!("-Wl,--wrap={name}"));
    }
    let source = at("tests/sanitizers/std_locks.c");
    compile.arg("-c").arg(&source).arg("-o").arg(&output);
    make(&output, &[source], &mut compile)?;
    link.arg(output).args(wraps);
    Ok(())
}

fn contains_in_order(text: &str, parts: &[&str]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| rest.split_once(part).map(|(_, behind)| rest = behind).is_some())
}

/// Options of a sanitizer's runtime.
fn options(link: Link) -> Option<(&'static str, String)> {
    match link {
        Link::Address => Some(("ASAN_OPTIONS", address_options(true))),
        Link::Thread => {
            let suppressions = at("tests/sanitizers/thread.supp");
            let rest = "halt_on_error=0:exitcode=9:history_size=4";
            Some(("TSAN_OPTIONS", format!("suppressions={}:{rest}", suppressions.display())))
        }
        _ => None,
    }
}

/// For AddressSanitizer, with or without its search for leaks.
pub(crate) fn address_options(leaks: bool) -> String {
    format!("detect_leaks={}:detect_stack_use_after_return=1:strict_string_checks=1", u8::from(leaks))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<(String, Vec<String>)> {
        let row = |name: &str, tests: &[&str]| {
            (name.to_owned(), tests.iter().map(|test| (*test).to_owned()).collect())
        };
        vec![row("fork", &["fork_when_idle", "fork_during_close"]), row("exit", &["a_fork_waits", "fork"])]
    }

    fn chosen(name: &str) -> Vec<(String, Vec<String>)> {
        named(&table(), name).unwrap()
    }

    #[test]
    fn a_program_goes_before_a_test_and_runs_whole() {
        assert_eq!(chosen("fork"), [("fork".to_owned(), vec![])]);
        assert_eq!(chosen("fork.c"), [("fork".to_owned(), vec![])]);
    }

    #[test]
    fn a_test_is_found_in_its_program() {
        let one = [("fork".to_owned(), vec!["fork_when_idle".to_owned()])];
        assert_eq!(chosen("fork_when_idle"), one);
        assert_eq!(chosen("fork.c: fork_when_idle"), one);
        assert!(named(&table(), "fork.c: a_fork_waits").is_err());
    }

    #[test]
    fn a_part_of_a_name_finds_all_that_have_it() {
        assert_eq!(chosen("during"), [("fork".to_owned(), vec!["fork_during_close".to_owned()])]);
        let error = named(&table(), "frok").unwrap_err().to_string();
        assert!(error.contains("fork, exit"), "{error}");
    }

    #[test]
    fn a_symbol_has_its_parts_in_order() {
        assert!(contains_in_order("_R7condvar5futex7Condvar4wait\n", &["7condvar5futex", "7Condvar4wait\n"]));
        assert!(!contains_in_order(
            "_R7condvar5futex7Condvar4wait_x\n",
            &["7condvar5futex", "7Condvar4wait\n"]
        ));
    }
}
