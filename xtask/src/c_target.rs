//! The tests and the conformance worker in C on another platform: what compiles them, what they run under, and what cannot run there. They are
//! compiled and run in the system of scripts/dist/sid.sh, against the sink of this machine.

use std::path::PathBuf;

use crate::Silent;
use crate::c::{Chosen, Link};
use crate::checks::ensure;
use crate::process::{Outcome, at, built_sink, command, myself, read};

/// A platform whose tests this machine can run.
#[derive(Debug)]
pub(crate) struct Target {
    /// As scripts/dist/targets.sh names it.
    pub name: &'static str,
    pub compiler: &'static str,
    /// The emulator, and what it needs.
    pub runner: &'static str,
    /// Options that link the archive into a program.
    pub archive: &'static str,
}

const TARGETS: &[Target] = &[
    Target {
        name: "x86_64-linux-musl",
        // The headers of the kernel are found behind musl's own. The index by which a stack is walked is what the
        // compiler of Alpine writes by itself, and this one does not.
        compiler: "musl-gcc -Wl,--eh-frame-hdr -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu",
        runner: "",
        archive: "-static",
    },
    Target {
        name: "aarch64-linux-musl",
        compiler: "aarch64-linux-gnu-gcc -specs=/usr/lib/aarch64-linux-musl/musl-gcc.specs \
                   -Wl,--eh-frame-hdr -idirafter /usr/include -idirafter /usr/include/aarch64-linux-gnu",
        runner: "qemu-aarch64",
        archive: "-static",
    },
    Target {
        name: "aarch64-linux-gnu",
        compiler: "aarch64-linux-gnu-gcc",
        runner: "qemu-aarch64",
        archive: "-lpthread -lm -ldl",
    },
];

/// Tests that cannot run on a target, and why.
const LEFT_OUT: &str = "tests/c/targets.txt";

/// Set inside of the other system.
const INSIDE: &str = "PHC_INSIDE_SID";
/// How scripts/dist/sid.sh ends where it cannot work. It has said why.
const NOT_RUN: i32 = 77;

impl Target {
    pub(crate) fn named(name: &str) -> Outcome<&'static Self> {
        let known: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        let found = TARGETS.iter().find(|target| target.name == name);
        Ok(found.ok_or_else(|| format!("no C tests can run for {name:?}, only for {}", known.join(", ")))?)
    }

    /// The library of a link, which scripts/dist/build.sh makes.
    pub(crate) fn library(&self, link: Link) -> Outcome<PathBuf> {
        let name = match link {
            Link::Shared => "libphc.so",
            Link::Archive => "libphc.a",
            _ => return Err("with --target, LINK is shared or archive".into()),
        };
        let file = at("target/dist").join(self.name).join("lib").join(name);
        ensure(file.exists(), || {
            format!("{} is not there; make it by scripts/dist/build.sh {}", file.display(), self.name)
        })?;
        Ok(file)
    }

    /// Whether this process is in the system that has compiler and emulator.
    pub(crate) fn is_inside() -> bool {
        std::env::var_os(INSIDE).is_some()
    }

    /// Runs the same task in that system. Where that cannot be, this process ends as scripts/dist/sid.sh does.
    pub(crate) fn enter(task: &str, arguments: &[String]) -> Outcome<()> {
        built_sink()?;
        let mut inner = vec![task];
        inner.extend(arguments.iter().map(String::as_str));
        let inner = myself(&inner)?;
        let mut outer = command([at("scripts/dist/sid.sh")]);
        outer.arg("run").arg(inner.get_program()).args(inner.get_args()).env(INSIDE, "1");
        match outer.status()?.code() {
            Some(0) => Ok(()),
            Some(NOT_RUN) => std::process::exit(NOT_RUN),
            _ => Err(Silent.into()),
        }
    }

    /// Takes out what cannot run here, and says so.
    pub(crate) fn leave_out(&self, link: Link, chosen: Chosen, programs: &Chosen) -> Outcome<Chosen> {
        let mut rest = Chosen::new();
        let table = read(LEFT_OUT)?;
        let rows: Vec<_> =
            table.lines().filter_map(row).filter(|row| self.concerns(row.platform, link)).collect();
        for (program, tests) in chosen {
            let known = programs.iter().find(|(name, _)| *name == program);
            let mut tests =
                if tests.is_empty() { known.map_or(tests, |(_, all)| all.clone()) } else { tests };
            tests.retain(|test| {
                let found = rows.iter().find(|row| row.program == program && ["*", test].contains(&row.test));
                if let Some(row) = found {
                    println!("not on {}: {program}.c: {test}: {}", self.name, row.reason);
                }
                found.is_none()
            });
            if !tests.is_empty() {
                rest.push((program, tests));
            }
        }
        Ok(rest)
    }

    fn concerns(&self, platform: &str, link: Link) -> bool {
        self.name == platform
            || (platform == "emulator" && !self.runner.is_empty())
            || (platform == "musl" && self.name.ends_with("-musl"))
            || (platform == "static" && link == Link::Archive && self.archive.starts_with("-static"))
    }

    /// Where programs for it are made.
    pub(crate) fn folder(&self) -> PathBuf {
        at("target/c").join(self.name)
    }
}

struct Row<'a> {
    platform: &'a str,
    program: &'a str,
    test: &'a str,
    reason: &'a str,
}

/// `emulator  fork.c: fork_when_idle  it looks at /proc`
fn row(line: &str) -> Option<Row<'_>> {
    let line = line.split_once('#').map_or(line, |(text, _)| text).trim();
    let (platform, rest) = line.split_once(char::is_whitespace)?;
    let (program, rest) = rest.trim_start().split_once(".c: ")?;
    let (test, reason) = rest.split_once(char::is_whitespace)?;
    Some(Row { platform, program, test, reason: reason.trim() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_a_test_that_is_there() {
        let programs = crate::c::programs().unwrap();
        let mut rows = 0;
        for line in read(LEFT_OUT).unwrap().lines().filter(|line| !line.starts_with('#') && !line.is_empty())
        {
            let row = row(line).unwrap_or_else(|| panic!("not a row: {line}"));
            assert!(!row.reason.is_empty(), "{line}");
            let concerns = |target: &Target| target.concerns(row.platform, Link::Archive);
            assert!(TARGETS.iter().any(concerns), "no such platform: {line}");
            let program = programs.iter().find(|(name, _)| name == row.program);
            let tests = &program.unwrap_or_else(|| panic!("no such program: {line}")).1;
            assert!(row.test == "*" || tests.iter().any(|test| test == row.test), "no such test: {line}");
            rows += 1;
        }
        assert!(rows > 0);
    }
}
