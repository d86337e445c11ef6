//! Mutations: faults as patches, each of which a test must catch. `check` says whether each still
//! applies, which takes a second; `refresh` writes anew those that apply only roughly; `run` proves that the tests
//! can fail, which takes minutes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::Arguments;
use crate::c::{Link, instrumented};
use crate::checks::ensure;
use crate::conformance::worker;
use crate::process::{
    self, Outcome, at, built, cargo, command, files, limited, lines, quietly, read, root, said, tracked,
    write,
};
use crate::sanitize::reports;

const FOLDER: &str = "mutations";

/// What catches a mutation of a kind.
struct Kind {
    name: &'static str,
    /// The heading of its README, and what it says of the table.
    about: &'static str,
    /// Whether that needs the library that ships, or the sink.
    needs_build: bool,
    /// Runs in a copy of the repository that has the mutation; returns what caught it, or nothing.
    catch: fn(&Path) -> Outcome<Vec<String>>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "conformance",
        about: "Each patch is one fault; the conformance cases are run until the first one fails.",
        needs_build: true,
        catch: by_cases,
    },
    Kind {
        name: "races",
        about: "Each patch is one fault; every race model (`src/race_models/`) that then fails is named.",
        needs_build: false,
        catch: by_models,
    },
    Kind {
        name: "tsan",
        about: "Each patch is a data race that ThreadSanitizer must report, with the suppressions.",
        needs_build: true,
        catch: by_thread_sanitizer,
    },
    Kind {
        name: "unit",
        about: "Each patch is one fault in the spool or in feature flags; every unit or property test of these that then fails is named.",
        needs_build: false,
        catch: by_unit_tests,
    },
];

/// `mutations check | refresh | run [KIND] [NAME…]`
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    match given.next().as_deref() {
        Some("check") => check(),
        Some("refresh") => refresh(),
        Some("run") => {
            let mut names = given.names();
            let kind = names.first().and_then(|name| KINDS.iter().find(|kind| kind.name == *name));
            match kind {
                Some(kind) => run(kind, &names.split_off(1)),
                None => KINDS.iter().try_for_each(|kind| run(kind, &names)),
            }
        }
        _ => Err("usage: xtask mutations check | refresh | run [KIND] [NAME…]".into()),
    }
}

fn patches(kind: &str) -> Outcome<Vec<PathBuf>> {
    files(format!("{FOLDER}/{kind}"), ".patch")
}

/// The files that a patch changes.
fn changed(patch: &Path) -> Outcome<Vec<String>> {
    let text = read(patch)?;
    Ok(text.lines().filter_map(|line| line.strip_prefix("+++ b/")).map(str::to_owned).collect())
}

fn applies(patch: &Path) -> Outcome<(bool, String)> {
    said(command(["git", "apply", "--check"]).arg(patch))
}

fn check() -> Outcome<()> {
    let (mut count, mut broken) = (0, Vec::new());
    for kind in KINDS {
        for patch in patches(kind.name)? {
            count += 1;
            let (is_good, text) = applies(&patch)?;
            if !is_good {
                println!("FAILED {}/{}: {text}", kind.name, process::stem(&patch));
                broken.push(process::stem(&patch));
            }
        }
    }
    println!("{count} mutations, {} do not apply", broken.len());
    ensure(broken.is_empty(), || "`xtask mutations refresh`, then look at those that are left".to_owned())
}

/// Those that apply with `patch` and its fuzz are written again, as they then are.
fn refresh() -> Outcome<()> {
    let mut left = Vec::new();
    for kind in KINDS {
        for patch in patches(kind.name)? {
            if applies(&patch)?.0 {
                continue;
            }
            let name = format!("{}/{}", kind.name, process::stem(&patch));
            match refreshed(&patch) {
                Ok(text) => {
                    write(&patch, text)?;
                    println!("refreshed {name}");
                }
                Err(error) => {
                    println!("{error}\nFAILED {name}");
                    left.push(name);
                }
            }
        }
    }
    ensure(left.is_empty(), || format!("to be written anew by hand: {}", left.join(", ")))
}

fn refreshed(patch: &Path) -> Outcome<String> {
    let work = process::TempFolder::new()?;
    let changed = changed(patch)?;
    for file in &changed {
        for side in ["a", "b"] {
            let copy = work.join(side).join(file);
            std::fs::create_dir_all(copy.parent().unwrap_or(work.path()))?;
            std::fs::copy(at(file), &copy).map_err(|error| format!("{file}: {error}"))?;
        }
    }
    let mut apply = command(["patch", "-s", "-p1", "--fuzz=3", "--no-backup-if-mismatch", "-d"]);
    quietly(apply.arg(work.join("b")).arg("-i").arg(patch))?;
    let mut text = String::new();
    for file in &changed {
        let (old, new) = (format!("a/{file}"), format!("b/{file}"));
        let mut diff = command(["diff", "-u", "--label", &old, "--label", &new, &old, &new]);
        text.push_str(&said(diff.current_dir(work.path()))?.1);
    }
    Ok(text)
}

/// What caught a mutation: its name, the files that it changes, and the tests.
type Row<'a> = (&'a String, String, Vec<String>);

/// All of a kind, or those that are named. The README says what caught them; the others keep their rows.
fn run(kind: &Kind, names: &[String]) -> Outcome<()> {
    let all: BTreeMap<String, PathBuf> =
        patches(kind.name)?.into_iter().map(|patch| (process::stem(&patch), patch)).collect();
    for name in names {
        ensure(all.contains_key(name), || format!("there is no {FOLDER}/{}/{name}.patch", kind.name))?;
    }
    if kind.needs_build {
        built()?;
    }
    let tree = copy(kind.name)?;
    let caught = (kind.catch)(&tree)?;
    ensure(caught.is_empty(), || format!("without a mutation these fail: {}", caught.join(", ")))?;
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    for (name, patch) in all.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        let outcome = with(patch, &tree, kind.catch);
        match outcome {
            Ok(by) if by.is_empty() => bad.push(format!("nothing caught {name}")),
            Err(error) => bad.push(format!("{name}: {error}")),
            Ok(by) => {
                println!("caught {name} by {}", by.join(", "));
                rows.push((name, changed(patch)?.join(", "), by));
            }
        }
    }
    if names.is_empty() {
        bad.extend(idle_models(kind, &rows)?);
    }
    let was_run = |name: &String| names.is_empty() || names.contains(name);
    write_table(kind, |name| all.contains_key(name) && !was_run(name), &rows)?;
    for what in &bad {
        println!("FAILED {what}");
    }
    println!("{} mutations: {} caught, {} failed", kind.name, rows.len(), bad.len());
    ensure(bad.is_empty(), || format!("{} mutations failed", kind.name))
}

/// Writes the README of a kind, in which the mutations for which `keeps` is true have the rows that they had.
fn write_table(kind: &Kind, keeps: impl Fn(&String) -> bool, rows: &[Row<'_>]) -> Outcome<()> {
    let page = format!("{FOLDER}/{}/README.md", kind.name);
    let mut table = BTreeMap::new();
    for line in read(&page).unwrap_or_default().lines() {
        let name = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()).map(str::to_owned);
        table.extend(name.filter(&keeps).map(|name| (name, line.to_owned())));
    }
    for (name, file, by) in rows {
        let by: Vec<_> = by.iter().map(|by| format!("`{by}`")).collect();
        table.insert((*name).clone(), format!("| `{name}` | {file} | {} |", by.join(", ")));
    }
    let mut text = format!(
        "# Mutations: {}\n\n<!-- Made by `make mutations KIND={}`. -->\n\n{}\n\n| mutation | file | caught by |\n|---|---|---|\n",
        kind.name, kind.name, kind.about
    );
    for line in table.values() {
        writeln!(text, "{line}")?;
    }
    write(page, text)
}

/// Race models that no mutation makes fail.
fn idle_models(kind: &Kind, rows: &[Row<'_>]) -> Outcome<Vec<String>> {
    let mut idle = Vec::new();
    if kind.name == "races" {
        for file in files("src/race_models", ".rs")? {
            let text = read(&file)?;
            for (_, rest) in
                text.match_indices("#[test]").map(|(place, word)| text.split_at(place + word.len()))
            {
                let name =
                    rest.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or_default();
                if !rows.iter().any(|(_, _, by)| by.iter().any(|by| by.ends_with(&format!("::{name}")))) {
                    idle.push(format!("no mutation makes the race model {name} fail"));
                }
            }
        }
    }
    Ok(idle)
}

/// A copy of the repository, below target/, that builds into a folder of its own.
fn copy(kind: &str) -> Outcome<PathBuf> {
    let tree = at("target/mutations").join(kind);
    let _ = std::fs::remove_dir_all(&tree);
    for file in tracked()? {
        // Nothing there needs the largest folder.
        if file.starts_with("fuzz/corpus/") {
            continue;
        }
        let copy = tree.join(&file);
        std::fs::create_dir_all(copy.parent().unwrap_or(root()))?;
        std::fs::copy(at(&file), copy)?;
    }
    Ok(tree)
}

/// With the patch in the tree, which is afterwards as before.
fn with(patch: &Path, tree: &Path, catch: fn(&Path) -> Outcome<Vec<String>>) -> Outcome<Vec<String>> {
    let changed = changed(patch)?;
    // As if there were no repository around it.
    let mut apply = command(["git", "apply"]);
    apply.arg(patch).current_dir(tree).env("GIT_CEILING_DIRECTORIES", tree.parent().unwrap_or(tree));
    quietly(&mut apply).map_err(|error| format!("does not apply: {error}"))?;
    let caught = catch(tree);
    for file in changed {
        // Not the times of the originals: cargo looks at them.
        std::fs::write(tree.join(&file), std::fs::read(at(&file))?)?;
    }
    caught
}

/// Where the trees are built.
fn target(kind: &str) -> PathBuf {
    at("target/mutations").join(format!("{kind}-target"))
}

fn by_cases(tree: &Path) -> Outcome<Vec<String>> {
    let (target, ship) = (target("conformance"), target("conformance").join("ship"));
    // The library is compiled again for each mutation, and only it: without the optimiser in a third of the time.
    let mut build = cargo("rustc --locked -q -p libphc --crate-type cdylib -- -C opt-level=0 -C debuginfo=0");
    quietly(build.current_dir(tree).env("CARGO_TARGET_DIR", &target))
        .map_err(|error| format!("does not compile: {error}"))?;
    std::fs::create_dir_all(&ship)?;
    std::fs::copy(target.join("debug/libphc.so"), ship.join("libphc.so"))?;
    process::run(command(["ln", "-sf", "libphc.so"]).arg(ship.join("libphc.so.0")))?;
    let mut cases = command([at("target/debug/phc-conformance")]);
    // Twice as many as by default: what catches a fault of the waits waits for seconds itself.
    cases.args(["run", "--level", "all", "--jobs", "16", "--fail-fast"]);
    cases.args(["--worker", &format!("c={}", worker("c", &ship)?)]);
    let (succeeded, text) = said(&mut cases)?;
    if succeeded {
        return Ok(Vec::new());
    }
    let failed =
        text.lines().find_map(|line| line.strip_prefix("FAILED c: ")).and_then(|rest| rest.split(':').next());
    Ok(vec![failed.ok_or_else(|| format!("{text}\nno case failed"))?.to_owned()])
}

fn by_models(tree: &Path) -> Outcome<Vec<String>> {
    let mut build = cargo("test --locked -q -p libphc --features race-models --lib --no-run");
    let target = target("races");
    quietly(build.current_dir(tree).env("CARGO_TARGET_DIR", &target))
        .map_err(|error| format!("does not compile: {error}"))?;
    let mut test =
        cargo("test --locked -q -p libphc --features race-models --lib race_models:: -- --nocapture");
    test.current_dir(tree).env("CARGO_TARGET_DIR", &target);
    let mut caught = Vec::new();
    // A model that has become endless is caught, too, if another one fails.
    lines(&mut limited(300, &test), |line| {
        let thread = line.strip_prefix("thread 'race_models::").filter(|rest| rest.contains(" panicked at"));
        if let Some(name) = thread.and_then(|rest| rest.split('\'').next()) {
            caught.push(name.to_owned());
        }
    })?;
    caught.sort();
    caught.dedup();
    Ok(caught)
}

/// What the tests of the kind `unit` have in their paths.
const UNIT_TESTS: &[&str] = &["spool", "delivery::segments", "flags", "runtime::unix::descriptors"];
/// How many histories the property tests of the spool try. Their own numbers take minutes without the optimiser.
const SEEDS: &str = "300";
/// How long all of them may take, in seconds.
const UNIT_LIMIT: u64 = 300;

fn by_unit_tests(tree: &Path) -> Outcome<Vec<String>> {
    let quick = |mut command: Command| {
        command.current_dir(tree).env("CARGO_TARGET_DIR", target("unit")).env("PHC_SPOOL_SEEDS", SEEDS);
        // The library is compiled again for each mutation: without the optimiser, and without what debuggers read.
        command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
        command
    };
    let mut build = quick(cargo("test --locked -q -p libphc --lib --no-run"));
    quietly(&mut build).map_err(|error| format!("does not compile: {error}"))?;
    let mut test = quick(cargo("test --locked -p libphc --lib --"));
    test.args(UNIT_TESTS);
    let (mut caught, mut output) = (Vec::new(), String::new());
    let status = lines(&mut limited(UNIT_LIMIT, &test), |line| {
        let failed = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
        caught.extend(failed.map(str::to_owned));
        output.push_str(line);
        output.push('\n');
    })?;
    // A process that was ended at its time limit, or that has crashed, names no test.
    ensure(status.success() || !caught.is_empty(), || format!("{output}\nno test failed: {status}"))?;
    caught.sort();
    Ok(caught)
}

fn by_thread_sanitizer(tree: &Path) -> Outcome<Vec<String>> {
    let library = instrumented(tree, Link::Thread, &target("tsan"))
        .map_err(|error| format!("does not compile: {error}"))?;
    let mut program =
        process::myself(&["c", "--link", "thread", "--library", &library.display().to_string(), "crowd"])?;
    let (succeeded, text) = said(program.env(process::BUILT, "1"))?;
    if succeeded {
        return Ok(Vec::new());
    }
    let place = text.lines().find(|line| reports(line, &["data race", ".rs"]));
    let place = place.ok_or_else(|| format!("{text}\nit failed for another reason"))?;
    // SUMMARY: ThreadSanitizer: data race FILE:LINE:COLUMN in FUNCTION
    let (_, function) = place.rsplit_once(" in ").unwrap_or_default();
    Ok(vec![format!("data race in {}", function.trim())])
}
