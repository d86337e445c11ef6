//! The C++ binding: its headers under every compiler, standard and way of compiling, and its black-box tests.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::arguments::Arguments;
use crate::c::{self, Chosen, harness_object, shared_library};
use crate::checks::{Checks, ensure};
use crate::process::{
    self, Outcome, at, built, command, files, is_installed, make, quietly, said, ship, words,
};
use crate::sanitize::{LEAKS, VALGRIND};
use crate::sink::Sink;

const STRICT: &str = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror -Iinclude";
const WITHOUT: &str = "-fno-exceptions -fno-rtti";

/// Programs: name, source in tests/cpp, options.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("values", "values", "-std=c++17"),
    ("values-20", "values", "-std=c++20"),
    ("values-older", "values", "-std=c++17 -DPHC_CPP_NO_TO_CHARS"),
    ("keys", "keys", "-std=c++17"),
    ("delivery", "delivery", "-std=c++17"),
    ("tracking", "tracking", "-std=c++17"),
    ("tracking-no-rtti", "tracking", "-std=c++20 -fno-exceptions -fno-rtti"),
    ("flags", "flags", "-std=c++17"),
    ("flags-no-rtti", "flags", "-std=c++20 -fno-exceptions -fno-rtti"),
    ("spool", "spool", "-std=c++17"),
    ("context", "context", "-std=c++17"),
    ("settings", "settings", "-std=c++17"),
    ("callbacks", "callbacks", "-std=c++20"),
    ("fork", "fork", "-std=c++17"),
    ("misuse", "misuse", "-std=c++17"),
    ("statuses", "statuses", "-std=c++17 -fno-exceptions -fno-rtti"),
    ("statuses-no-throw", "statuses", "-std=c++20 -DPHC_CPP_NO_THROW"),
    ("mismatch", "mismatch", "-std=c++17"),
    ("mismatch-no-throw", "mismatch", "-std=c++17 -fno-exceptions -fno-rtti"),
    ("modes", "modes", "-std=c++17"),
];

/// The three ways of compiling that meet in the program `modes`: entry and options.
const MODES: &[(&str, &str)] =
    &[("throwing", ""), ("no_throw", "-DPHC_CPP_NO_THROW"), ("without_exceptions", WITHOUT)];

/// `cpp [--valgrind] [NAME…]`: a name is a program, `headers`, a test, or a part of the names of tests.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let wrap = if given.flag("--valgrind") { words(&format!("{VALGRIND} {LEAKS}")) } else { Vec::new() };
    let names = given.names();
    built()?;
    let mut checks = Checks::default();
    if names.is_empty() || names.iter().any(|name| name == "headers") {
        headers(&mut checks);
    }
    let chosen = choose(&names)?;
    let sink = Sink::start(&[])?;
    for (program, tests) in chosen {
        let file = build(&program)?;
        let mut whole = c::wrapped(&wrap, &file);
        whole.args(tests).env("PHC_SINK", sink.address());
        c::run_program(&program, 300, &whole, &mut checks)?;
    }
    checks.finish("C++")
}

/// The programs of the table, each with the tests that run; all when there is none.
fn choose(names: &[String]) -> Outcome<Chosen> {
    if names.is_empty() {
        return Ok(PROGRAMS.iter().map(|(name, _, _)| ((*name).to_owned(), Vec::new())).collect());
    }
    let sources = c::tests_of("tests/cpp", ".cpp")?;
    let mut chosen = Vec::new();
    for name in names.iter().filter(|name| *name != "headers") {
        if PROGRAMS.iter().any(|(known, _, _)| known == name) {
            chosen.push((name.clone(), Vec::new()));
            continue;
        }
        // A test runs in the first program of its source.
        for (source, tests) in c::named(&sources, name)? {
            let program = PROGRAMS.iter().find(|(_, known, _)| *known == source);
            let program = program.ok_or_else(|| format!("no program is made of tests/cpp/{source}.cpp"))?.0;
            chosen.push((program.to_owned(), tests));
        }
    }
    Ok(chosen)
}

fn build(name: &str) -> Outcome<PathBuf> {
    let row = PROGRAMS.iter().find(|(known, _, _)| *known == name);
    let (_, source, options) = row.ok_or_else(|| format!("there is no program {name}"))?;
    let folder = at("target/cpp");
    let mut headers = files("include", "")?;
    headers.extend(files("include/phc", "")?);
    headers.extend(files("tests/cpp", ".hpp")?);
    headers.push(at("tests/c/harness.h"));
    let mut parts = Vec::new();
    if *source == "modes" {
        for (entry, more) in MODES {
            let output = folder.join(entry).with_extension("o");
            let from = at("tests/cpp/mode.cpp");
            let mut compile = command(["g++"]);
            compile.args(words(options)).args(words(STRICT)).args(words(more));
            compile.arg(format!("-DMODE_ENTRY={entry}")).arg("-c").arg(&from).arg("-o").arg(&output);
            make(&output, &[headers.clone(), vec![from]].concat(), &mut compile)?;
            parts.push(output);
        }
    } else {
        parts.push(harness_object()?);
    }
    let (output, from) = (folder.join(name), at("tests/cpp").join(source).with_extension("cpp"));
    let mut compile = command(["g++"]);
    compile.args(words(options)).args(words(STRICT)).args(["-O1", "-g"]).arg(&from).args(&parts);
    compile.args(shared_library(&ship())).args(["-lpthread", "-o"]).arg(&output);
    let inputs = [headers, parts, vec![from, ship().join("libphc.so")]].concat();
    make(&output, &inputs, &mut compile)?;
    Ok(output)
}

fn headers(checks: &mut Checks) {
    checks.check("each header stands alone", headers_alone());
    checks.check("C++14 is refused with a reason", cpp14_is_refused());
    for compiler in ["g++", "clang++"] {
        if !is_installed(compiler) {
            continue;
        }
        for standard in ["17", "20"] {
            for (what, options, source) in [
                ("", "", "values"),
                (", without exceptions and RTTI", WITHOUT, "statuses"),
                (", PHC_CPP_NO_THROW", "-DPHC_CPP_NO_THROW", "statuses"),
            ] {
                let line = format!(
                    "{compiler} -std=c++{standard} {options} {STRICT} -fsyntax-only tests/cpp/{source}.cpp"
                );
                checks.check(
                    &format!("{compiler}, C++{standard}{what}"),
                    quietly(&mut command(words(&line))).map(|_| ()),
                );
            }
        }
    }
}

fn headers_alone() -> Outcome<()> {
    let mut all = vec!["phc.hpp".to_owned()];
    for file in files("include/phc", ".hpp")? {
        all.push(format!("phc/{}", file.file_name().unwrap_or_default().to_string_lossy()));
    }
    for header in all {
        let (succeeded, text) = includes(&header, "17")?;
        ensure(succeeded, || format!("{header}: {text}"))?;
    }
    Ok(())
}

fn cpp14_is_refused() -> Outcome<()> {
    let (succeeded, text) = includes("phc.hpp", "14")?;
    ensure(!succeeded && text.contains("phc.hpp needs C++17"), || format!("the compiler says: {text}"))
}

/// Compiles a file that includes this header and nothing else.
fn includes(header: &str, standard: &str) -> Outcome<(bool, String)> {
    let folder = process::TempFolder::new()?;
    let source: &Path = &folder.join("alone.cpp");
    writeln!(std::fs::File::create(source)?, "#include <{header}>")?;
    let strict = if standard == "14" { "-Iinclude" } else { STRICT };
    let mut compile = command(words(&format!("g++ -std=c++{standard} {strict} -fsyntax-only")));
    said(compile.arg(source))
}
