//! The tests in Rust, by name.

use crate::arguments::Arguments;
use crate::checks::ensure;
use crate::process::{self, Outcome, cargo, lines, read, tracked};

/// Packages that have tests, with the folder of their sources. The first that fits is enough for a name that
/// several have.
const PACKAGES: &[(&str, &str)] = &[
    ("libphc", "src/"),
    ("phc-compression", "compression/"),
    ("phc-sink", "sink/"),
    ("phc-conformance", "conformance/"),
    ("phc-cli", "cli/"),
    ("xtask", "xtask/"),
];
/// The models of races are built by a feature of their own.
const MODELS: &str = "race_models::";

/// `rust [NAME…]`: all tests, or those whose path has the name in it.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let names = Arguments::new(arguments).names();
    if names.is_empty() {
        return process::run(&mut cargo("test --locked --workspace -q"));
    }
    for name in &names {
        // The last part is a function, or all of it are modules, which are files.
        let last = name.rsplit("::").next().filter(|last| !last.is_empty());
        let module = name.trim_end_matches("::").replace("::", "/");
        let mut test = cargo("test --locked");
        let (mut packages, mut is_model) = (Vec::new(), name.starts_with(MODELS));
        for file in tracked()?.iter().filter(|file| file.ends_with(".rs")) {
            let Some((package, _)) = PACKAGES.iter().find(|(_, folder)| file.starts_with(folder)) else {
                continue;
            };
            let source = read(file)?;
            if last.is_some_and(|last| has_test(&source, last)) || file.contains(&module) {
                packages.push(*package);
                is_model |= file.starts_with("src/race_models/");
            }
        }
        packages.dedup();
        for package in &packages {
            test.args(["-p", package]);
        }
        if packages.is_empty() {
            test.arg("--workspace");
        }
        if packages == ["libphc"] {
            test.arg("--lib");
        }
        if packages.contains(&"phc-compression") {
            test.args(["--features", "phc-compression/brotli"]);
        }
        if is_model && packages.contains(&"libphc") {
            test.args(["--features", "libphc/race-models"]);
        }
        let mut passed = 0;
        let status = lines(test.args(["--", name]), |line| {
            let count = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split(' ').next());
            passed += count.and_then(|count| count.parse::<usize>().ok()).unwrap_or_default();
            // Of the many programs only those that have such a test are of interest.
            if !line.contains(" 0 passed; 0 failed") && line != "running 0 tests" && !line.trim().is_empty() {
                println!("{line}");
            }
        })?;
        ensure(status.success(), || format!("{name} failed"))?;
        ensure(passed > 0, || format!("no test has {name:?} in its path"))?;
    }
    Ok(())
}

/// Whether a function whose name has this in it is there.
fn has_test(text: &str, part: &str) -> bool {
    text.split("fn ").skip(1).any(|rest| rest.split('(').next().is_some_and(|name| name.contains(part)))
}
