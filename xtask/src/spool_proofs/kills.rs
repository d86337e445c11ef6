//! `kill -9` at any moment of the life of one process, or of eight that share a folder, at each level. The server
//! fails at random meanwhile, and the next process drains the folder at the end.

use std::collections::HashSet;
use std::time::Duration;

use super::writer::{Captured, Counter, Record};
use super::{Place, Proofs};
use crate::checks::ensure;
use crate::process::Outcome;
use crate::random::Random;
use crate::sink::only_what_a_kill_breaks;

/// The levels, and what each promises of a process that is killed.
pub(super) const LEVELS: [Level; 4] = [
    Level { name: "exit", promise: Promise::Persisted },
    Level { name: "crash", promise: Promise::After { ms: WRITE_MS } },
    Level { name: "call", promise: Promise::Acknowledged },
    Level { name: "power", promise: Promise::After { ms: WRITE_MS } },
];
/// The default of spool_write_ms.
pub(crate) const WRITE_MS: u64 = 50;
/// For so long a process may stand still on a busy machine.
pub(crate) const STALL_MS: u64 = 2000;

/// The server does not take anything.
pub(crate) const OUTAGE: &str = r#"{"then":{"status":503}}"#;

/// A value of spool_safety.
#[derive(Clone, Copy)]
pub(super) struct Level {
    pub(super) name: &'static str,
    pub(super) promise: Promise,
}

/// Which events outlive their process, besides those that were persisted.
#[derive(Clone, Copy)]
pub(super) enum Promise {
    /// No others.
    Persisted,
    /// Those that the library has said to be on disk.
    OnDisk,
    /// Those that were captured so long before the end of the process, the time for which it stood still left out.
    After { ms: u64 },
    /// Each whose capture has returned `PHC_OK`.
    Acknowledged,
}

impl Promise {
    fn includes(self, number: usize, event: &Captured, record: &Record) -> bool {
        let age = record.ended_ms.saturating_sub(event.at_ms);
        let is_included = match self {
            Promise::Persisted => false,
            Promise::OnDisk => number < record.on_disk,
            Promise::After { ms } => age > ms + STALL_MS,
            Promise::Acknowledged => !event.is_slow,
        };
        is_included || number < record.persisted
    }
}

pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    // The short form has the levels that promise the most of a process that is killed.
    let levels = if proofs.is_long { LEVELS.as_slice() } else { LEVELS.get(1..3).unwrap_or_default() };
    let mut runs = Vec::new();
    for level in levels.iter().copied() {
        for processes in [1, 8] {
            let name = format!("kills-{}-{processes}", level.name);
            let kills = if proofs.is_long { 200 } else { 8.max(2 * processes) };
            runs.push((level, processes, kills, proofs.place(&name)?));
        }
    }
    // They share nothing but the sink.
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = runs
            .iter()
            .map(|(level, processes, kills, place)| {
                scope.spawn(move || run(*level, *processes, *kills, place).map_err(|error| error.to_string()))
            })
            .collect();
        threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
    });
    for ((level, processes, kills, _), outcome) in runs.iter().zip(outcomes) {
        let outcome = outcome.map_err(|_| "the run ended in a panic")?;
        let what = format!("{kills} kills at {}, {processes} at a time", level.name);
        proofs
            .checks
            .check(&what, outcome.map_err(Into::into).map(|said| println!("   {}: {said}", level.name)));
    }
    Ok(())
}

fn run(level: Level, processes: usize, kills: usize, place: &Place) -> Outcome<String> {
    place.post("_chaos", r#"{"seed":7,"status503":0.2,"retry":0.1,"cut":0.1,"delay_ms_max":30}"#)?;
    let mut is_down = false;
    let words = format!(
        "spool_safety={} +every_us=300 flush_at=20 max_batch_events=50 max_retries=1000 request_timeout_ms=1000",
        level.name
    );
    let mut records = Vec::new();
    let mut moment = Random(11 + processes as u64);
    while records.len() < kills {
        let mut lives = Vec::new();
        is_down = !is_down;
        place.script(if is_down { OUTAGE } else { "{}" })?;
        for number in 0..processes {
            lives.push(place.start(&format!("writer-{}-{number}", records.len()), &words)?);
        }
        for mut life in lives {
            // A kill before the first capture shows little: a few are there.
            if moment.below(10) > 0 {
                life.reaches(Counter::Acknowledged, 1)?;
            }
            // One in eight lives long enough to take over what others have left, and for its oldest events to be
            // promised by their age.
            let ms = if records.len() % 8 == 7 { 3000 } else { moment.below(200) };
            std::thread::sleep(Duration::from_millis(ms));
            records.push(life.kill()?);
        }
    }
    let own = place.drain()?.record()?;
    let seen = compare(level.promise, &records, &own, place)?;
    if level.name != "exit" {
        compare(Promise::OnDisk, &records, &own, place)?;
    }
    only_what_a_kill_breaks(&place.url)?;
    Ok(seen)
}

/// Holds what was promised against what the sink has stored; returns what is worth a line.
pub(super) fn compare(promise: Promise, records: &[Record], own: &Record, place: &Place) -> Outcome<String> {
    let accepted = place.get("_accepted")?;
    let mut accepted: HashSet<&str> = accepted.lines().collect();
    let (mut captured, mut on_disk, mut missing, mut oldest) = (0, 0, 0, 0);
    // What the last process has lost would be missing from the others.
    for record in [own].into_iter().chain(records) {
        ensure(record.lost.is_empty() && record.missed == 0, || {
            format!("losses were reported to {}: {:?} and {} more", record.name, record.lost, record.missed)
        })?;
        captured += record.captured.len();
        on_disk += record.on_disk.min(record.captured.len());
        for (number, event) in record.captured.iter().enumerate() {
            let was_stored = accepted.remove(event.uuid.as_str());
            let age = record.ended_ms.saturating_sub(event.at_ms);
            ensure(was_stored || !promise.includes(number, event, record), || {
                format!(
                    "event {} of {} of {} is lost: {} ms old at the end of its process, {} on disk, {} persisted",
                    number + 1,
                    record.captured.len(),
                    record.name,
                    age,
                    record.on_disk,
                    record.persisted
                )
            })?;
            if !was_stored {
                missing += 1;
                oldest = oldest.max(age);
            }
        }
    }
    // The last capture of a process that was killed may have been written before it could say so.
    ensure(accepted.len() <= records.len(), || {
        format!("{} events were stored that no process has captured", accepted.len())
    })?;
    Ok(format!(
        "{captured} captured, {on_disk} of them known to be on disk; {missing} not promised and gone, the oldest {oldest} ms old"
    ))
}
