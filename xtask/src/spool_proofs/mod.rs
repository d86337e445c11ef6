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

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::c::{Link, SYSTEM, compile, prepare};
use crate::checks::{Checks, ensure};
use crate::process::{Outcome, TempFolder, at, built_sink, command, lines, quietly};
use crate::sink::Sink;
use writer::{Writer, files_below};

pub(crate) use kills::{OUTAGE, STALL_MS, WRITE_MS};
pub(crate) use writer::unix_ms;

/// A kind of proof.
struct Kind {
    name: &'static str,
    about: &'static str,
    /// What it needs to run in a mount namespace of its own, in which what it mounts goes with it. Where that cannot
    /// be, one line says so.
    mounts: Option<fn(&Proofs) -> Outcome<()>>,
    run: fn(&mut Proofs) -> Outcome<()>,
}

const fn kind(name: &'static str, about: &'static str, run: fn(&mut Proofs) -> Outcome<()>) -> Kind {
    Kind { name, about, mounts: None, run }
}

const KINDS: &[Kind] = &[
    kind("kills", "kill -9, by level, of one process and of eight on a folder", kills::all),
    kind("syscalls", "a kill, and an error, at each system call of the disk thread", syscalls::all),
    Kind { mounts: Some(power::can_mount), ..kind("power", "power cuts on ext4, by level", power::all) },
    Kind { mounts: Some(full::can_mount), ..kind("full", "a file system of 1 MiB that fills", full::all) },
    kind("outage", "outages while workers come and go", outage::all),
    kind("duplicates", "what is sent twice", duplicates::all),
    kind("idle", "a client that has nothing to do", idle::all),
    kind("backlog", "a large backlog on disk", backlog::all),
];

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);

/// The writer, for a process of `xtask spool-proofs` that runs one kind.
const WRITER: &str = "PHC_SPOOL_WRITER";
const NAMESPACE: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];

/// `spool-proofs [--long] [KIND…]`
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let mut given = Arguments::new(arguments);
    let is_long = given.flag("--long");
    let names = given.names();
    let unknown = names.iter().find(|name| !KINDS.iter().any(|kind| kind.name == *name));
    if let Some(name) = unknown {
        let known: Vec<_> = KINDS.iter().map(|kind| format!("    {}: {}", kind.name, kind.about)).collect();
        return Err(format!("there is no kind {name:?}; the kinds are\n{}", known.join("\n")).into());
    }
    let chosen: Vec<_> =
        KINDS.iter().filter(|kind| names.is_empty() || names.iter().any(|name| name == kind.name)).collect();
    if let Some(writer) = std::env::var_os(WRITER) {
        return chosen.iter().try_for_each(|kind| run_here(kind, is_long, PathBuf::from(&writer)));
    }
    built_sink()?;
    prepare(Link::Debug)?;
    let work = TempFolder::new()?;
    let archive = at("target/debug/libphc.a").display().to_string();
    let writer = compile("tests/spool/writer.c", work.path(), &[&[archive.as_str()], SYSTEM].concat())?;
    let mut checks = Checks::default();
    let run = |kind: &Kind| run_apart(kind, is_long, &writer).map_err(|error| error.to_string());
    // Each has a sink, folders and processes of its own. In the long form they do not disturb each other.
    let outputs: Vec<_> = if is_long {
        chosen.iter().map(|kind| run(kind)).collect()
    } else {
        std::thread::scope(|scope| {
            let threads: Vec<_> = chosen.iter().map(|kind| scope.spawn(|| run(kind))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err("a panic".to_owned())))
                .collect()
        })
    };
    for output in outputs {
        output?.lines().for_each(|line| checks.count_line(line));
    }
    checks.finish("spool proofs")
}

/// Runs a kind as a process of its own; returns what it said, which is shown when it ends.
fn run_apart(kind: &Kind, is_long: bool, writer: &Path) -> Outcome<String> {
    let begun = Instant::now();
    let mut words: Vec<OsString> = Vec::new();
    if kind.mounts.is_some() {
        if let Err(error) = quietly(command(NAMESPACE).arg("true")) {
            let line = format!("NOT RUN {}: {}; it needs root and mounts", kind.about, one_line(&*error));
            println!("{line}");
            return Ok(line);
        }
        words.extend(NAMESPACE.map(OsString::from));
    }
    words.extend([std::env::current_exe()?.into_os_string(), "spool-proofs".into(), kind.name.into()]);
    if is_long {
        words.push("--long".into());
    }
    let mut text = String::new();
    let status = lines(command(words).env(WRITER, writer), |line| {
        // What takes hours shows how far it is.
        if is_long {
            println!("{line}");
        }
        text.push_str(line);
        text.push('\n');
    })?;
    if !status.success() {
        text.push_str(&format!("FAILED {} ended with {status}\n", kind.name));
    }
    text.push_str(&format!("   {}: {:.1} s\n", kind.name, begun.elapsed().as_secs_f64()));
    if !is_long {
        print!("{text}");
    }
    Ok(text)
}

fn run_here(kind: &Kind, is_long: bool, writer: PathBuf) -> Outcome<()> {
    let (sink, work) = (Sink::start(&[])?, TempFolder::new()?);
    let mut proofs = Proofs { sink, work, writer, is_long, checks: Checks::default(), spaces: 0 };
    if let Some(Err(error)) = kind.mounts.map(|can_mount| can_mount(&proofs)) {
        println!("NOT RUN {}: {}; it needs root and mounts", kind.about, one_line(&*error));
        return Ok(());
    }
    if let Err(error) = (kind.run)(&mut proofs) {
        proofs.checks.check(&format!("{} runs to its end", kind.name), Err(error));
    }
    Ok(())
}

fn one_line(error: &dyn Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
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

    /// The next process takes over what the others have left, and delivers it. Nothing is left in the folder then.
    fn drain(&self) -> Outcome<Writer> {
        self.respond()?;
        let mut next =
            self.start("drain", "+events=1 +stay=1 +close_ms=20000 flush_at=1 max_retries=1000")?;
        let mut waited_for = Instant::now();
        let mut left = segments(&self.spool);
        while !left.is_empty() {
            ensure(waited_for.elapsed() < PATIENCE, || {
                format!("{} segments are left after a minute without any progress: {left:?}", left.len())
            })?;
            ensure(!next.has_ended()?, || "the process that takes over has ended".to_owned())?;
            std::thread::sleep(Duration::from_millis(20));
            let now = segments(&self.spool);
            if now != left {
                waited_for = Instant::now();
            }
            left = now;
        }
        next.end()?;
        let bad = files_below(&self.spool)
            .into_iter()
            .filter(|file| file.parent().is_some_and(|folder| folder.ends_with("bad")));
        let bad: Vec<_> = bad.collect();
        ensure(bad.is_empty(), || format!("segments were set aside as unusable: {bad:?}"))?;
        Ok(next)
    }
}

/// The files of a spool in which there are events.
pub(crate) fn segments(spool: &Path) -> Vec<PathBuf> {
    let mut files = files_below(spool);
    files.retain(|file| file.extension().is_some_and(|ending| ending == "phs"));
    files
}
