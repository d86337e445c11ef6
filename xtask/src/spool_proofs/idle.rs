//! A client that has nothing to do wakes no thread: the kernel counts how often each thread of a process has gone to
//! sleep.

use std::collections::BTreeMap;
use std::time::Duration;

use super::kills::LEVELS;
use super::writer::{CAPTURED, Counter};
use super::{Place, Proofs, segments};
use crate::checks::ensure;
use crate::process::Outcome;

/// What a thread of an idle client may do in a minute: the pool looks at its connections every 25 seconds and closes
/// them, and the disk thread looks for dead processes three times after the last capture.
const PER_MINUTE: u64 = 12;

pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    let mut places = Vec::new();
    for level in LEVELS {
        places.push((level.name, proofs.place(&format!("idle-{}", level.name))?));
    }
    let seconds = if proofs.is_long { 60 } else { 5 };
    // They wait side by side.
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let run = |(level, place): &(&'static str, Place)| {
            let (level, place) = (*level, place.clone());
            scope.spawn(move || watch(level, &place, seconds).map_err(|error| error.to_string()))
        };
        let threads: Vec<_> = places.iter().map(run).collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for ((level, _), outcome) in places.iter().zip(outcomes) {
        let outcome = outcome.map_err(|_| "the run ended in a panic")?;
        let what = format!("{level}: {seconds} s of an idle client without a wake-up");
        proofs.checks.check(&what, outcome.map_err(Into::into).map(|said| println!("   {level}: {said}")));
    }
    Ok(())
}

fn watch(level: &str, place: &Place, seconds: u64) -> Outcome<String> {
    // Sent, delivered, removed; the process itself stands still until its input ends.
    let words =
        format!("spool_safety={level} +events=50 +flush_ms=20000 +still=1 flush_at=10 flush_interval_ms=300");
    let mut writer = place.start("writer", &words)?;
    writer.reaches(Counter::Stage, CAPTURED)?;
    // The timer of the next batch runs out once over an empty queue, and the first look for dead processes comes two
    // seconds after the first capture.
    std::thread::sleep(Duration::from_millis(3500));
    // At `call`, one is ready for the next event.
    let (left, ready) = (segments(&place.spool).len(), usize::from(level == "call"));
    ensure(left == ready, || format!("{left} segments are left, not {ready}"))?;
    let before = wake_ups(writer.pid())?;
    std::thread::sleep(Duration::from_secs(seconds));
    let after = wake_ups(writer.pid())?;
    let most = if seconds < 20 { 0 } else { PER_MINUTE * seconds / 60 };
    let mut seen = Vec::new();
    for (thread, (name, count)) in &after {
        let more = count - before.get(thread).map_or(0, |(_, count)| *count);
        seen.push(format!("{name} {more}"));
        ensure(more <= most, || format!("{name} was woken {more} times in {seconds} s, at most {most}"))?;
    }
    for name in ["phc-io", "phc-disk"] {
        ensure(after.values().any(|(known, _)| known == name), || {
            format!("there is no thread {name}: {after:?}")
        })?;
    }
    writer.end()?;
    ensure(segments(&place.spool).is_empty(), || "the end of the client has left segments".to_owned())?;
    Ok(format!("in {seconds} s: {}", seen.join(", ")))
}

/// How often each thread of a process has gone to sleep or was interrupted, by its id, with its name.
fn wake_ups(pid: u32) -> Outcome<BTreeMap<String, (String, u64)>> {
    let mut found = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?;
        let status = std::fs::read_to_string(task.path().join("status"))?;
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.map(|line| line.trim_start_matches(':').trim().to_owned()).unwrap_or_default()
        };
        let count: u64 = value("voluntary_ctxt_switches").parse()?;
        found.insert(task.file_name().to_string_lossy().into_owned(), (value("Name"), count));
    }
    Ok(found)
}
