//! What the sources must look like: formatting, lints, scripts, generated files.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::checks::{Checks, ensure};
use crate::go;
use crate::process::{self, Outcome, at, cargo, command, quietly, read, stdout, tracked};

/// Folders in which clang-format decides; workers and drivers included.
const C_ENDINGS: &[&str] = &[".c", ".h", ".cpp", ".hpp"];
/// Generated, or a copy of what is.
const C_LEFT_OUT: &[&str] = &[
    "include/phc.h",
    "include/phc.cdef.h",
    "include/phc_binding.h",
    "bindings/go/phc.h",
    "bindings/go/phc_binding.h",
    "bindings/go/phc_musl.h",
];

/// That of Debian 12.
const CLANG_FORMAT: u32 = 14;

/// One part of a check.
type Part = (&'static str, fn() -> Outcome<()>);

/// Runs the parts, and prints how long each took.
fn all(what: &str, parts: &[Part]) -> Outcome<()> {
    let mut checks = Checks::default();
    for (name, part) in parts {
        let begun = Instant::now();
        let outcome = part();
        checks.check(&format!("{name}, {:.1} s", begun.elapsed().as_secs_f64()), outcome);
    }
    checks.finish(what)
}

/// `format [--check]`
pub(crate) fn format(arguments: &[String]) -> Outcome<()> {
    if Arguments::new(arguments).flag("--check") {
        return all(
            "format",
            &[
                ("Rust", || rustfmt(" --check")),
                ("C and C++", || clang_format(&["--dry-run", "--Werror"])),
                ("Go", || {
                    let unformed = go::unformed()?;
                    ensure(unformed.is_empty(), || {
                        format!("gofmt would change {}; run make format", unformed.join(" "))
                    })
                }),
            ],
        );
    }
    all("format", &[("Rust", || rustfmt("")), ("C and C++", || clang_format(&["-i"])), ("Go", go::reform)])
}

/// The workspace, and the crates that are none of its members.
fn rustfmt(options: &str) -> Outcome<()> {
    for manifest in ["Cargo.toml", "benches/tools/Cargo.toml", "benches/peers/rs/Cargo.toml"] {
        process::run(&mut cargo(&format!("fmt --all --manifest-path {manifest}{options}")))?;
    }
    Ok(())
}

/// The form is that of one version: where there is another one, nothing is checked or changed.
fn clang_format(options: &[&str]) -> Outcome<()> {
    let version = stdout(&mut command(["clang-format", "--version"]))?;
    if !version.contains(&format!("version {CLANG_FORMAT}.")) {
        println!("left out, for the form is that of version {CLANG_FORMAT}: {}", version.trim());
        return Ok(());
    }
    let mut files = with_endings(C_ENDINGS)?;
    files.retain(|file| !C_LEFT_OUT.contains(&file.as_str()));
    process::run(command(["clang-format"]).args(options).args(files))
        .map_err(|_| "`make format` forms C and C++".into())
}

/// `lints`
pub(crate) fn lints(_: &[String]) -> Outcome<()> {
    all(
        "lints",
        &[
            ("clippy", || {
                process::run(&mut cargo(
                    "clippy --locked --workspace --features libphc/pieces --all-targets -q -- -D warnings",
                ))
            }),
            ("go vet", go::vet),
        ],
    )
}

/// `scripts`
pub(crate) fn scripts(_: &[String]) -> Outcome<()> {
    all(
        "scripts",
        &[
            ("shellcheck", shellcheck),
            ("ruby -wc", || each(&[".rb", ".gemspec", ".ru"], &["ruby", "-wc"], "Syntax OK")),
            ("php -l", || each(&[".php"], &["php", "-l"], "No syntax errors")),
        ],
    )
}

/// Scripts by their ending, and those that only their first line names.
fn shellcheck() -> Outcome<()> {
    let mut scripts = Vec::new();
    for file in tracked()? {
        let has_no_ending = file.rsplit('/').next().is_some_and(|name| !name.contains('.'));
        let is_script = || {
            read(&file).is_ok_and(|text| {
                text.starts_with("#!") && text.lines().next().is_some_and(|line| line.ends_with("sh"))
            })
        };
        if file.ends_with(".sh") || (has_no_ending && !file.starts_with("fuzz/") && is_script()) {
            scripts.push(file);
        }
    }
    process::run(command(["shellcheck", "--external-sources"]).args(&scripts))?;
    println!("{} scripts", scripts.len());
    Ok(())
}

/// Runs a checker for each file with one of these endings, several at once. It prints one line for a good file.
fn each(endings: &[&str], program: &[&str], good: &'static str) -> Outcome<()> {
    let files = with_endings(endings)?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let size = files.len().div_ceil(workers).max(1);
    let outcomes: Vec<Vec<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = files
            .chunks(size)
            .map(|part| {
                scope.spawn(move || part.iter().filter_map(|file| complaint(program, file, good)).collect())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let complaints = outcomes.concat();
    ensure(complaints.is_empty(), || complaints.join("\n"))
}

/// What the checker says of a file beyond that it is good.
fn complaint(program: &[&str], file: &str, good: &str) -> Option<String> {
    match quietly(command(program).arg(file)) {
        Err(error) => Some(format!("{file}: {error}")),
        Ok(text) => {
            let more: Vec<_> =
                text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(good)).collect();
            (!more.is_empty()).then(|| format!("{file}: {}", more.join("\n")))
        }
    }
}

fn with_endings(endings: &[&str]) -> Outcome<Vec<String>> {
    let mut files = tracked()?;
    files.retain(|file| endings.iter().any(|ending| file.ends_with(ending)));
    Ok(files)
}

/// What is generated from the library's sources, each with whether a second word is needed.
pub(crate) const GENERATED: &[&str] = &["headers", "settings", "licences"];

/// `headers`, `settings` or `licences`, with `--check`.
pub(crate) fn generate(what: &str, arguments: &[String]) -> Outcome<()> {
    process::run(generator().arg(what).args(arguments))
}

/// `generated`: all of it is up to date.
pub(crate) fn generated(_: &[String]) -> Outcome<()> {
    let mut checks = Checks::default();
    let generate = tested_program("phc-generate")?;
    for what in GENERATED {
        checks.check(what, process::run(command([&generate]).args([*what, "--check"])));
    }
    checks.check(
        "PHP declarations",
        process::run(&mut command(["php", "scripts/php-declarations.php", "--check"])),
    );
    checks.finish("generated files")
}

fn generator() -> Command {
    cargo("run -q --locked -p phc-generate --")
}

/// `contract`: conformance/INDEX.md is up to date, and every rule has a case.
pub(crate) fn contract(_: &[String]) -> Outcome<()> {
    process::run(command([tested_program("phc-conformance")?]).args(["index", "--check"]))
}

/// A program of the workspace.
fn tested_program(name: &str) -> Outcome<PathBuf> {
    process::programs()?;
    Ok(at("target/debug").join(name))
}
