//! Kills and errors at each system call of the disk thread, by strace: the thread stops when it begins, strace attaches
//! to it alone, and the call number n of one kind kills the process, or fails.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use super::kills::{Promise, compare};
use super::writer::{Counter, Record, Writer};
use super::{Place, Proofs};
use crate::checks::ensure;
use crate::process::{Outcome, command, is_installed};
use crate::sink::only_what_a_kill_breaks;

/// The calls by which the disk thread uses the file system, with the errors that each can return.
const CALLS: &[(&str, &[&str])] = &[
    ("openat", &["EACCES", "EIO", "EMFILE", "ENOSPC", "EROFS"]),
    ("mkdir", &["EACCES", "ENOSPC"]),
    ("mkdirat", &["EACCES", "ENOSPC", "EDQUOT"]),
    ("write", &["EIO", "ENOSPC", "EDQUOT"]),
    ("read", &["EIO"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("fsync", &["EIO"]),
    ("unlinkat", &["EIO", "EROFS", "EACCES"]),
    ("flock", &["ENOLCK", "EINTR"]),
    ("getdents64", &["EIO"]),
    ("newfstatat", &["EIO"]),
    ("fstatfs", &["EIO"]),
    ("close", &[]),
];

/// What each run does: it captures in an outage that a small queue does not outlast, so that events leave memory and
/// are read back, then delivers all, with verdicts for single events, and closes.
const LIFE: &str = "+trace=1 +events=60 +persist=20 flush_at=5 max_batch_events=5 \
    queue_max_events=24 overflow=block block_timeout_ms=300 max_retries=1000 spool_adopt=false";
/// For how long it flushes, and then closes. With some errors nothing more can be delivered, and it takes all of it.
const END_MS: u32 = 1500;
/// On a busy machine that may not be enough where the disk cannot take the rest.
const LONG_END_MS: u32 = 15_000;
const SERVER: &str = r#"{"steps":[{"status":503,"times":3},{"verdicts":["ok","retry","ok"],"times":2}]}"#;

pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    if let Some(reason) = cannot_trace()? {
        println!("NOT RUN kills and errors at each system call: {reason}");
        return Ok(());
    }
    for level in ["call", "power"] {
        let place = proofs.place(&format!("calls-{level}"))?;
        let counts = count(&place, level)?;
        let total: usize = counts.values().sum();
        println!("   {level}: the disk thread makes {total} calls: {counts:?}");
        let known = counts.len();
        proofs.checks.that(&format!("{level}: the disk thread makes calls of many kinds"), known >= 8);
        let outcome = kills(proofs, level, &counts);
        proofs.checks.check(&format!("{level}: a kill at each call loses nothing"), outcome);
        let outcome = errors(proofs, level, &counts);
        proofs.checks.check(&format!("{level}: an error of each call loses nothing"), outcome);
    }
    Ok(())
}

fn cannot_trace() -> Outcome<Option<String>> {
    if !is_installed("strace") {
        return Ok(Some("strace is not installed: apt-get install strace".to_owned()));
    }
    let tried = command(["strace", "-qq", "-e", "trace=none", "true"]).output()?;
    let said = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
    Ok((!tried.status.success()).then(|| format!("strace cannot trace here: {said}")))
}

/// How often the disk thread makes each call, in a life in which none fails.
fn count(place: &Place, level: &str) -> Outcome<BTreeMap<String, usize>> {
    let (log, record) = life(place, "count", level, &[], LONG_END_MS)?;
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let name = line.split('(').next().unwrap_or_default();
        if let Some((name, _)) = CALLS.iter().find(|(known, _)| *known == name) {
            *counts.entry((*name).to_owned()).or_insert(0) += 1;
        }
    }
    let own = place.drain()?.record()?;
    compare(Promise::Acknowledged, &[record], &own, place)?;
    Ok(counts)
}

/// A life under strace with these injections: what strace has logged, and what the process knew.
fn life(place: &Place, name: &str, level: &str, inject: &[String], end_ms: u32) -> Outcome<(String, Record)> {
    place.script(SERVER)?;
    let words = format!("{LIFE} spool_safety={level} +flush_ms={end_ms} +close_ms={end_ms}");
    let mut writer = place.start(name, &words)?;
    let log = place.records.join("strace.log");
    let mut tracer = attach(&mut writer, &log, inject)?;
    writer.set(Counter::DiskThreadGoesOn, 1)?;
    let ended = writer.wait();
    tracer.wait()?;
    let text = std::fs::read_to_string(&log)?;
    let (code, said, record) = ended?;
    // A kill is what was asked for; otherwise it ends in order, or with losses that its record has.
    let is_killed = code.is_none() && inject.iter().any(|inject| inject.contains("signal=KILL"));
    ensure(is_killed || code == Some(0), || format!("it ended with {code:?}: {said}"))?;
    let may_lose = end_ms < LONG_END_MS;
    ensure(may_lose || record.lost.is_empty(), || format!("it reported losses: {said}"))?;
    Ok((text, record))
}

/// strace on the disk thread alone, which waits at its beginning.
fn attach(writer: &mut Writer, log: &Path, inject: &[String]) -> Outcome<Child> {
    writer.reaches(Counter::DiskThread, 1)?;
    let calls: Vec<_> = CALLS.iter().map(|(name, _)| *name).collect();
    let mut tracer = command(["strace", "-o"])
        .arg(log)
        .args(["-e", &format!("trace={}", calls.join(","))])
        .args(inject.iter().flat_map(|inject| ["-e", inject]))
        .args(["-p", &writer.counter(Counter::DiskThread).to_string()])
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    if let Some(errors) = tracer.stderr.take() {
        let mut lines = BufReader::new(errors);
        while !said.contains("attached") && lines.read_line(&mut said)? > 0 {}
        // It says when it detaches, and must not find its pipe closed.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
    }
    ensure(said.contains("attached"), || format!("strace did not attach: {said}"))?;
    Ok(tracer)
}

/// Every kind of call, with each number that is looked at: all of them, or a few in the short form.
fn points(proofs: &Proofs, counts: &BTreeMap<String, usize>) -> Vec<(String, usize)> {
    let mut points = Vec::new();
    for (name, count) in counts {
        if proofs.is_long {
            points.extend((1..=*count).map(|number| (name.clone(), number)));
        } else {
            points.push((name.clone(), 1 + count / 2));
        }
    }
    points
}

fn kills(proofs: &mut Proofs, level: &str, counts: &BTreeMap<String, usize>) -> Outcome<()> {
    let place = proofs.place(&format!("kill-at-calls-{level}"))?;
    let promise = if level == "call" { Promise::Acknowledged } else { Promise::Persisted };
    let (mut records, mut reached) = (Vec::new(), 0);
    let points = points(proofs, counts);
    for (name, number) in &points {
        let inject = format!("inject={name}:signal=KILL:when={number}");
        let (log, record) = life(&place, &format!("{name}-{number}"), level, &[inject], END_MS)?;
        reached += usize::from(log.contains("killed by SIGKILL"));
        records.push(record);
    }
    let own = place.drain()?.record()?;
    let seen = compare(promise, &records, &own, &place)?;
    println!("   {level}: killed at {reached} of {} calls: {seen}", points.len());
    // Two lives differ a little in how often each call is made.
    ensure(reached * 2 >= points.len(), || format!("only {reached} of {} kills took place", points.len()))?;
    only_what_a_kill_breaks(&place.url)
}

fn errors(proofs: &mut Proofs, level: &str, counts: &BTreeMap<String, usize>) -> Outcome<()> {
    let place = proofs.place(&format!("errors-{level}"))?;
    let mut records = Vec::new();
    for (name, number) in points(proofs, counts) {
        let errors = CALLS.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, errors)| *errors);
        let errors = if proofs.is_long { errors } else { errors.get(..1).unwrap_or_default() };
        for error in errors {
            // Once, and from then on.
            for more in ["", "+"] {
                let inject = format!("inject={name}:error={error}:when={number}{more}");
                let what = format!("{name}-{number}{more}-{error}");
                let life = |name: &str, end_ms| {
                    let life = life(&place, name, level, std::slice::from_ref(&inject), end_ms);
                    life.map(|(_, record)| record).map_err(|failure| format!("{what}: {failure}"))
                };
                records.push(life(&what, END_MS)?);
                // What it reports as lost because there was no time says nothing, so another one has more.
                if records.last_mut().is_some_and(Record::leave_out_lost) {
                    records.push(life(&format!("{what}-again"), LONG_END_MS)?);
                }
            }
        }
    }
    let own = place.drain()?.record()?;
    let seen = compare(Promise::Acknowledged, &records, &own, &place)?;
    println!("   {level}: {} lives with an error of the disk: {seen}", records.len());
    Ok(())
}
