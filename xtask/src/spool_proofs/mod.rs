//! What the spool promises, from outside: real processes over real file systems, which are killed, cut off from the
//! power, or refused by their disk, against the real sink. Each kind is a file; `docs/durability.md` has the promises.
//!
//! A process is tests/spool/writer.c. It writes down what it was promised where a kill does not reach it, and a run
//! ends with what the sink has stored: each promised event is there, and nothing that was never captured.

mod backlog;
mod duplicates;
mod full;
mod idle;
mod kills;
mod outage;
mod power;
mod syscalls;
mod writer;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::c::{Link, compile, prepare};
use crate::checks::{Checks, ensure};
use crate::process::{BUILT, Outcome, TempFolder, at, built_sink, command, lines, said};
use crate::sink::Sink;
use writer::{Writer, files_below};

/// A kind of proof: its name, what it shows, and its function.
type Kind = (&'static str, &'static str, fn(&mut Proofs) -> Outcome<()>);

const KINDS: &[Kind] = &[
    ("kills", "kill -9, by level, with one process and with eight on a folder", kills::all),
    ("power", "power cuts on ext4, by level", power::all),
    ("full", "a file system of 1 MiB that fills", full::all),
    ("idle", "a client that has nothing to do", idle::all),
    ("backlog", "a large backlog on disk", backlog::all),
    ("outage", "outages while workers come and go", outage::all),
    ("duplicates", "what is sent twice", duplicates::all),
    ("syscalls", "a kill, and an error, at each system call of the disk thread", syscalls::all),
];

/// What is linked with the archive of the library.
const SYSTEM: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl"];

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);

/// The writer that was built already, for a process of `xtask spool-proofs` in a mount namespace of its own.
const INSIDE: &str = "PHC_MOUNT_NAMESPACE";

/// `spool-proofs [KIND…] [--long]`
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let is_long = given.flag("--long");
    let names = given.names();
    if let Some(name) = names.iter().find(|name| !KINDS.iter().any(|(known, _, _)| known == *name)) {
        let known: Vec<_> =
            KINDS.iter().map(|(name, about, _)| format!("    {name}: {about}")).collect();
        return Err(format!("there is no kind {name:?}; the kinds are\n{}", known.join("\n")).into());
    }
    let mut proofs = Proofs::new(is_long)?;
    for (name, _, kind) in KINDS.iter().filter(|(name, _, _)| names.is_empty() || names.iter().any(|n| n == name)) {
        let begun = Instant::now();
        let outcome = kind(&mut proofs);
        if let Err(error) = outcome {
            proofs.checks.check(&format!("{name} ran to its end"), Err(error));
        }
        if std::env::var_os(INSIDE).is_none() {
            println!("   {name}: {:.1} s", begun.elapsed().as_secs_f64());
        }
    }
    // Inside, a kind that cannot run has said so and has no checks.
    if std::env::var_os(INSIDE).is_some() {
        return Ok(());
    }
    proofs.checks.finish("spool proofs")
}

/// Runs a kind that mounts file systems, in a mount namespace of its own: what it mounts goes with it. Where that
/// cannot be, one line says so.
fn inside(
    kind: &str,
    what: &str,
    can_run: fn(&Proofs) -> Outcome<Result<(), String>>,
    proofs: &mut Proofs,
    run: impl FnOnce(&mut Proofs) -> Outcome<()>,
) -> Outcome<()> {
    let not_run = |reason: &str| println!("NOT RUN {what}: {}; it needs root and mounts", reason.trim());
    if std::env::var_os(INSIDE).is_some() {
        match can_run(proofs)? {
            Ok(()) => return run(proofs),
            Err(reason) => not_run(&reason),
        }
        return Ok(());
    }
    let (is_possible, said) = said(command(["unshare", "--mount", "--propagation", "private", "true"]).stdin(Stdio::null()))?;
    if !is_possible {
        not_run(&said);
        return Ok(());
    }
    let mut again = command(["unshare", "--mount", "--propagation", "private"]);
    again.arg(std::env::current_exe()?).args(["spool-proofs", kind]).env(INSIDE, &proofs.writer).env(BUILT, "1");
    if proofs.is_long {
        again.arg("--long");
    }
    let checks = &mut proofs.checks;
    lines(&mut again, |line| {
        println!("{line}");
        checks.count_line(line);
    })
    .map(|_| ())
}

/// What all kinds share.
struct Proofs {
    sink: Sink,
    work: TempFolder,
    writer: PathBuf,
    is_long: bool,
    checks: Checks,
    spaces: u32,
}

impl Proofs {
    fn new(is_long: bool) -> Outcome<Self> {
        built_sink()?;
        let (sink, work) = (Sink::start(&[])?, TempFolder::new()?);
        let writer = if let Some(writer) = std::env::var_os(INSIDE) {
            writer.into()
        } else {
            prepare(Link::Debug)?;
            let archive = at("target/debug/libphc.a").display().to_string();
            compile("tests/spool/writer.c", work.path(), &[&[archive.as_str()], SYSTEM].concat())?
        };
        Ok(Self { sink, work, writer, is_long, checks: Checks::default(), spaces: 0 })
    }

    /// A spool of its own, in a new folder, and a namespace of the sink for it.
    fn place(&mut self, name: &str) -> Outcome<Place> {
        self.spaces += 1;
        let folder = self.work.join(format!("{}-{name}", self.spaces));
        std::fs::create_dir(&folder)?;
        Ok(self.place_in(&folder, name))
    }

    /// A spool in this folder.
    fn place_in(&mut self, folder: &Path, name: &str) -> Place {
        self.spaces += 1;
        Place {
            url: format!("{}/{name}/{}", self.sink.url(), self.spaces),
            spool: folder.join("spool"),
            records: folder.to_owned(),
            writer: self.writer.clone(),
        }
    }
}

/// A spool, the namespace of the sink to which it belongs, and where its processes write down what they know.
#[derive(Clone)]
struct Place {
    url: String,
    spool: PathBuf,
    records: PathBuf,
    writer: PathBuf,
}

impl Place {
    /// Starts a process with these options and settings, as words of a command line.
    fn start(&self, name: &str, words: &str) -> Outcome<Writer> {
        Writer::start(&self.writer, &self.records.join(name), &self.settings(words))
    }

    fn settings(&self, words: &str) -> Vec<String> {
        let mut all = vec![
            format!("host={}", self.url),
            format!("spool_dir={}", self.spool.display()),
            "spool_min_free_bytes=0".to_owned(),
            "retry_initial_ms=10".to_owned(),
            "retry_max_ms=200".to_owned(),
        ];
        all.extend(crate::process::words(words));
        all
    }

    fn get(&self, path: &str) -> Outcome<String> {
        crate::sink::get(&format!("{}/{path}", self.url))
    }

    fn post(&self, path: &str, body: &str) -> Outcome<String> {
        crate::sink::post(&format!("{}/{path}", self.url), body)
    }

    /// How the server behaves from now on.
    fn script(&self, json: &str) -> Outcome<()> {
        self.post("_script", json).map(|_| ())
    }

    /// The server responds to everything again.
    fn respond(&self) -> Outcome<()> {
        self.post("_chaos", "{}")?;
        self.script("{}")
    }

    /// The files in which there are events.
    fn segments(&self) -> Vec<PathBuf> {
        let mut files = files_below(&self.spool);
        files.retain(|file| file.extension().is_some_and(|ending| ending == "phs"));
        files
    }

    /// The next process takes over what the others have left, and delivers it. Nothing is left in the folder then.
    fn drain(&self) -> Outcome<Writer> {
        self.respond()?;
        let mut next = self.start("drain", "+events=1 +stay=1 +close_ms=20000 flush_at=1 max_retries=1000")?;
        let mut waited_for = Instant::now();
        let mut left = self.segments();
        while !left.is_empty() {
            ensure(waited_for.elapsed() < PATIENCE, || {
                format!("{} segments are left after a minute without any progress: {left:?}", left.len())
            })?;
            ensure(!next.has_ended()?, || "the process that takes over has ended".to_owned())?;
            std::thread::sleep(Duration::from_millis(20));
            let now = self.segments();
            if now != left {
                waited_for = Instant::now();
            }
            left = now;
        }
        next.end()?;
        let bad = files_below(&self.spool).into_iter().filter(|file| file.parent().is_some_and(|folder| folder.ends_with("bad")));
        let bad: Vec<_> = bad.collect();
        ensure(bad.is_empty(), || format!("segments were set aside as unusable: {bad:?}"))?;
        Ok(next)
    }

    /// Only such rules of the contract were broken as a kill has to break when it comes between an attempt or a
    /// response and what is written of it: the next process knows only what was written.
    fn only_what_a_kill_breaks(&self) -> Outcome<()> {
        const BY_A_KILL: [&str; 5] = [
            "resent-after-acceptance",
            "resent-after-refusal",
            "uuid-in-second-batch",
            "attempt-gap",
            "event-added-on-retry",
        ];
        let summary = self.get("_summary")?;
        let rules = summary.split_once("\"violations\":{").map_or("", |(_, rest)| rest);
        let rules = rules.split_once('}').map_or("", |(rules, _)| rules);
        let others: Vec<_> = rules
            .split(',')
            .filter(|rule| !rule.is_empty() && !BY_A_KILL.iter().any(|known| rule.starts_with(&format!("\"{known}\":"))))
            .collect();
        ensure(others.is_empty(), || format!("rules of the contract were broken: {others:?}"))
    }
}
