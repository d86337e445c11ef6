//! Outages and workers that come and go, for half an hour in the long form: at the end the sink has stored exactly what
//! returned `PHC_OK`, less the losses that were reported, over all processes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::kills::OUTAGE;
use super::writer::{Record, Writer};
use super::{Place, Proofs};
use crate::checks::ensure;
use crate::process::Outcome;
use crate::random::Random;
use crate::sink::only_what_a_kill_breaks;

const WORKERS: usize = 8;

/// How a worker ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By phc_client_close, which has time to send.
    Close,
    /// The same without time.
    CloseAtOnce,
    /// By `exit`, with the client open.
    Exit,
    Killed,
}

impl End {
    fn by(chance: &mut Random) -> Self {
        match chance.below(4) {
            0 => End::Close,
            1 => End::CloseAtOnce,
            2 => End::Exit,
            _ => End::Killed,
        }
    }

    fn options(self) -> &'static str {
        match self {
            End::Close | End::Killed => "+close_ms=2000",
            End::CloseAtOnce => "+close_ms=0",
            End::Exit => "+exit=1",
        }
    }
}

/// How long it takes, and its parts, in seconds.
struct Times {
    whole: u64,
    /// A worker's life.
    life: u64,
    down: u64,
    up: u64,
    /// Between two captures of a worker.
    every_ms: u64,
}

pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    let times = if proofs.is_long {
        Times { whole: 1800, life: 60, down: 420, up: 180, every_ms: 40 }
    } else {
        Times { whole: 9, life: 2, down: 3, up: 2, every_ms: 10 }
    };
    let place = proofs.place("outage")?;
    let records = run(&place, &times)?;
    let own = place.drain()?.record()?;
    let outcome = balance(&place, &records, &own);
    let what = format!("{} s of outages, {} processes: the sums add up", times.whole, records.len());
    proofs.checks.check(&what, outcome);
    proofs.checks.check("only what a kill has to break was broken", only_what_a_kill_breaks(&place.url));
    Ok(())
}

fn run(place: &Place, times: &Times) -> Outcome<Vec<(End, Record)>> {
    let begun = Instant::now();
    let mut records = Vec::new();
    let mut chance = Random(23);
    let mut started = 0;
    let mut start = |chance: &mut Random, first: bool| -> Outcome<(End, Writer, Instant)> {
        started += 1;
        let end = End::by(chance);
        let words = format!(
            "+every_us={} spool_safety=call flush_at=20 max_batch_events=50 flush_interval_ms=500 {}",
            times.every_ms * 1000,
            end.options()
        );
        let worker = place.start(&format!("worker-{started}"), &words)?;
        // They are not replaced all at once.
        let life = times.life * 1000;
        let ms = if first {
            life * u64::try_from(started)? / WORKERS as u64
        } else {
            life / 2 + chance.below(life)
        };
        Ok((end, worker, Instant::now() + Duration::from_millis(ms)))
    };
    let mut workers = Vec::new();
    for _ in 0..WORKERS {
        workers.push(start(&mut chance, true)?);
    }
    let (mut is_up, mut changes_at) = (true, begun + Duration::from_secs(times.up));
    while begun.elapsed() < Duration::from_secs(times.whole) {
        std::thread::sleep(Duration::from_millis(20));
        if Instant::now() >= changes_at {
            is_up = !is_up;
            place.script(if is_up { "{}" } else { OUTAGE })?;
            changes_at = Instant::now() + Duration::from_secs(if is_up { times.up } else { times.down });
        }
        for place in &mut workers {
            let (_, _, until) = place;
            if Instant::now() >= *until {
                let (end, worker, _) = std::mem::replace(place, start(&mut chance, false)?);
                records.push((end, stop(end, worker)?));
            }
        }
    }
    for (end, worker, _) in workers {
        records.push((end, stop(end, worker)?));
    }
    Ok(records)
}

fn stop(end: End, mut worker: Writer) -> Outcome<Record> {
    if end == End::Killed {
        return worker.kill();
    }
    worker.end()?;
    worker.record()
}

/// What was stored is what was captured, less what was reported as lost, over all processes.
fn balance(place: &Place, records: &[(End, Record)], own: &Record) -> Outcome<()> {
    let accepted = place.get("_accepted")?;
    let accepted: HashSet<&str> = accepted.lines().collect();
    let all = || records.iter().map(|(_, record)| record).chain([own]);
    let missed: u64 = all().map(|record| record.missed).sum();
    let lost: HashSet<&str> = all().flat_map(|record| &record.lost).map(String::as_str).collect();
    let captured: HashSet<&str> =
        all().flat_map(|record| &record.captured).map(|event| event.uuid.as_str()).collect();
    let gone: Vec<_> = captured.difference(&accepted).filter(|uuid| !lost.contains(**uuid)).collect();
    let refused: u64 = all().map(|record| record.refused).sum();
    println!(
        "   {} captured, {refused} refused, {} stored, {} reported as lost ({missed} without a uuid), {} gone",
        captured.len(),
        accepted.len(),
        lost.len(),
        gone.len()
    );
    // A process that was killed may have stored one that it had no time to write down.
    let killed = records.iter().filter(|(end, _)| *end == End::Killed).count();
    let unknown = accepted.difference(&captured).count();
    ensure(gone.is_empty(), || format!("{} events are neither stored nor lost: {gone:?}", gone.len()))?;
    ensure(unknown <= killed, || format!("{unknown} events were stored that no process has captured"))?;
    // Nothing in this run is a reason to lose an event: the disk works and the server responds in the end.
    ensure(lost.is_empty() && missed == 0, || format!("{} events were lost: {lost:?}", lost.len()))
}
