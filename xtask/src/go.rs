//! The Go package: one test, or its tests in every way in which it can be built. The module of somebody who uses it
//! is tests/go-package.sh.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::arguments::Arguments;
use crate::checks::ensure;
use crate::process::{
    self, Outcome, TempFolder, at, built, command, limited, quietly, read, said, stdout, words, write,
};
use crate::sink::Sink;

const PACKAGE: &str = "bindings/go";
/// Every module, for go vet and go mod tidy.
pub(crate) const MODULES: &[&str] = &[
    PACKAGE,
    "benches/go",
    "benches/go/enqueue",
    "conformance/workers/go",
    "scripts/dist/gomodule",
    "examples/go-http",
    "examples/go-gin",
];
/// Folders with Go files, for gofmt.
const FORMED: &[&str] =
    &[PACKAGE, "conformance/workers/go", "benches", "scripts", "examples/go-http", "examples/go-gin"];
/// An installation for the builds that link the shared library. Its place is the same every time, and named in a
/// variable that go heeds: what pkg-config says it asks once, and then links from where an earlier run had its
/// installation.
const PREFIX: &str = "target/go-prefix";

type Variables = &'static [(&'static str, &'static str)];
/// Variants of the tests: name, variables, arguments of go test.
const VARIANTS: &[(&str, Variables, &str)] = &[
    ("static", &[], ""),
    ("with a proxy in the environment", &[("HTTPS_PROXY", "http://proxy.example:3128")], "-run Environment"),
    ("race detector and cgocheck2", &[("GOEXPERIMENT", "cgocheck2")], "-race"),
    ("without cgo", &[("CGO_ENABLED", "0")], ""),
];

/// `go [NAME…]`: tests whose names match, or everything.
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let names = Arguments::new(arguments).names();
    built()?;
    archive(&process::ship())?;
    let sink = Sink::start(&[])?;
    if !names.is_empty() {
        let mut test = go(PACKAGE, "test -count=1 -v -run");
        test.arg(names.join("|")).arg(".").env("PHC_SINK", sink.address());
        let mut ran = 0;
        let status = process::lines(&mut limited(500, &test), |line| {
            ran += usize::from(line.starts_with("--- PASS") || line.starts_with("--- FAIL"));
            println!("{line}");
        })?;
        ensure(ran > 0, || format!("no test of {PACKAGE} matches {}", names.join("|")))?;
        return ensure(status.success(), || "Go failed".to_owned());
    }
    ensure(read("include/phc.h")? == read("bindings/go/phc.h")?, || {
        "bindings/go/phc.h is not include/phc.h; run make headers".to_owned()
    })?;
    let prefix = at(PREFIX);
    quietly(command(["make", "-s", "install"]).arg(format!("PREFIX={}", prefix.display())))?;
    form()?;
    process::run(&mut dynamic(go(PACKAGE, "vet -tags phc_dynamic ./..."), &prefix))?;
    for (name, variables, arguments) in VARIANTS {
        let mut test = tests(arguments, &sink);
        test.envs(variables.iter().copied());
        all_pass(name, &test)?;
    }
    all_pass("shared library", &dynamic(tests("-tags phc_dynamic", &sink), &prefix))?;
    other_interface(&prefix, &sink)?;
    println!("-- the benchmark runs");
    process::run(&mut go("benches/go/enqueue", "run . -rounds 1 -events 500"))?;
    for example in MODULES.iter().filter(|module| module.starts_with("examples/")) {
        let mut test = go(example, "test -count=1 -race -v .");
        all_pass(example, test.env("PHC_SINK", sink.address()))?;
    }
    println!("Go: passed");
    Ok(())
}

/// Puts the archive and the header where the package looks for them; only what has changed, so that nothing is
/// built again without need.
pub(crate) fn archive(ship: &Path) -> Outcome<()> {
    process::run(command(["scripts/go-archive.sh"]).arg(ship))
}

fn go(folder: &str, arguments: &str) -> Command {
    let mut go = command(["go"]);
    go.args(words(arguments)).current_dir(at(folder));
    go
}

/// With the shared library in `prefix`.
fn dynamic(mut go: Command, prefix: &Path) -> Command {
    let folder = prefix.join("lib");
    let link: OsString = format!("-O2 -g -L{}", folder.display()).into();
    go.env("CGO_LDFLAGS", link);
    go.env("LD_LIBRARY_PATH", &folder).env("PKG_CONFIG_PATH", folder.join("pkgconfig"));
    go
}

/// Modules are tidy, and go vet has nothing to say.
fn form() -> Outcome<()> {
    println!("-- form");
    vet()?;
    MODULES.iter().try_for_each(|module| process::run(&mut go(module, "mod tidy -diff")))
}

/// go vet in every module, and the package in each way of building it; also where no archive was built.
pub(crate) fn vet() -> Outcome<()> {
    for module in MODULES {
        // A network fails now and then.
        let mut tries = (0..3).map(|_| process::run(&mut go(module, "mod download")));
        tries.find(Result::is_ok).ok_or_else(|| format!("go mod download failed in {module}"))??;
        process::run(&mut go(module, "vet -tags phc_vet ./..."))?;
    }
    process::run(go(PACKAGE, "vet ./...").env("CGO_ENABLED", "0"))?;
    let mut elsewhere = go(PACKAGE, "vet ./...");
    process::run(elsewhere.env("CGO_ENABLED", "0").env("GOOS", "darwin").env("GOARCH", "arm64"))
}

fn tests(arguments: &str, sink: &Sink) -> Command {
    let mut test = go(PACKAGE, &format!("test -count=1 -shuffle=on -v {arguments} ."));
    test.env("PHC_SINK", sink.address());
    test
}

/// All tests pass, and none of them is skipped.
fn all_pass(name: &str, tests: &Command) -> Outcome<()> {
    println!("-- tests, {name}");
    let text = quietly(&mut limited(500, tests))?;
    let skipped: Vec<_> = text.lines().filter(|line| line.starts_with("--- SKIP")).collect();
    ensure(skipped.is_empty(), || format!("{}\na test was skipped", skipped.join("\n")))?;
    let passed = text.lines().filter(|line| line.starts_with("--- PASS")).count();
    println!("{passed} passed");
    ensure(passed > 0, || format!("{text}\nno test ran"))
}

/// A libphc of another binary interface than the one that a program was built with.
fn other_interface(prefix: &Path, sink: &Sink) -> Outcome<()> {
    println!("-- a library of another binary interface");
    let work = TempFolder::new()?;
    let readme = read(format!("{PACKAGE}/README.md"))?;
    let quickstart = readme.split("```go\n").nth(1).and_then(|rest| rest.split("```").next());
    write(work.join("main.go"), quickstart.ok_or("the README has no Go")?)?;
    write(
        work.join("go.mod"),
        format!(
            "module example.com/consumer\n\ngo 1.24\n\n\
             require github.com/PostHog/libphc/bindings/go v0.0.0\n\n\
             replace github.com/PostHog/libphc/bindings/go => {}\n",
            at(PACKAGE).display()
        ),
    )?;
    let mut build = dynamic(go("", "build -tags phc_dynamic -o program ."), prefix);
    process::run(build.current_dir(work.path()))?;
    write(work.join("other.c"), "unsigned phc_abi_version(void) { return 99; }\n")?;
    let other = work.join("other.so");
    process::run(command(["cc", "-shared", "-fPIC"]).arg(work.join("other.c")).arg("-o").arg(&other))?;
    let mut program = dynamic(command([work.join("program")]), prefix);
    program.env("POSTHOG_API_KEY", "phc_readme").env("POSTHOG_HOST", sink.url());
    let (taken, text) = said(program.env("LD_PRELOAD", other))?;
    ensure(!taken, || "it was taken".to_owned())?;
    ensure(
        crate::sanitize::reports(&text, &["binary interface 99; this package (", ") needs interface 1"]),
        || text,
    )
}

/// The Go files that gofmt would change.
pub(crate) fn unformed() -> Outcome<Vec<String>> {
    let mut gofmt = command(["gofmt", "-l"]);
    gofmt.args(FORMED);
    Ok(stdout(&mut gofmt)?.lines().map(str::to_owned).collect())
}

/// Rewrites them.
pub(crate) fn reform() -> Outcome<()> {
    process::run(command(["gofmt", "-w"]).args(FORMED))
}
