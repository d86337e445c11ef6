//! A large backlog on disk, of one dead process: the next client starts at once, and has at most two of its segments in
//! memory while it sends them.

use super::kills::{OUTAGE, Promise, compare};
use super::writer::{CAPTURED, Counter};
use super::{Proofs, segments};
use crate::checks::ensure;
use crate::process::Outcome;

/// How long phc_client_new and the first capture may take together, in microseconds.
const START_US: u64 = 50_000;
/// What a process with a client may have in memory then, two bodies, a segment and what is compressed among it.
const LARGEST_KB: u64 = 48 << 10;
/// The default of max_batch_bytes, a body; and what its events are counted for besides.
const BODY: u64 = 2 << 20;

pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    let mib: u64 = if proofs.is_long { 1024 } else { 32 };
    let place = proofs.place("backlog")?;
    place.script(OUTAGE)?;
    let bytes = 32 * 1024;
    let events = mib * 32;
    let words = format!(
        "+events={events} +bytes={bytes} +close_ms=0 spool_safety=exit spool_max_bytes=4294967296 overflow=block \
         block_timeout_ms=60000 queue_max_bytes=33554432"
    );
    let (code, said, record) = place.start("writer", &words)?.wait()?;
    ensure(code == Some(0), || format!("the process that left it ended with {code:?}: {said}"))?;
    let mut records = vec![record];
    let on_disk: u64 =
        segments(&place.spool).iter().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum();
    let count = segments(&place.spool).len();
    proofs.checks.that(&format!("a backlog of {mib} MiB is on disk"), on_disk >= mib << 20);

    // What else the machine does can only add to the time: the best of three counts. None of these lives long enough
    // to take over anything.
    let mut starts = Vec::new();
    for number in 0..3 {
        let mut client = place.start(&format!("start-{number}"), "+events=1 +stay=1 +close_ms=0")?;
        client.reaches(Counter::Stage, CAPTURED)?;
        starts.push(client.counter(Counter::StartUs));
        // At once: nothing of it was promised.
        let mut record = client.kill()?;
        record.captured.clear();
        records.push(record);
    }
    let best = starts.iter().copied().min().unwrap_or(u64::MAX);
    proofs.checks.that(
        &format!(
            "a client starts and captures in {best} µs beside {mib} MiB, at most {START_US} (of {starts:?})"
        ),
        best > 0 && best <= START_US,
    );
    // It sends nothing as long as the server is down, so what it takes over stays in memory.
    let mut next = place.start("next", "+events=1 +stay=1 flush_at=1 max_retries=1000")?;
    next.reaches(Counter::Recovered, 1)?;
    place.respond()?;
    next.reaches(Counter::Recovered, events)?;
    let own = place.drain()?.record()?;
    next.end()?;
    let peak = next.counter(Counter::PeakBytes);
    proofs.checks.that(
        &format!("at most two bodies were in memory: {peak} bytes of {count} segments"),
        peak > BODY / 2 && peak <= 2 * BODY + BODY / 4,
    );
    let said = next.said();
    println!("   the next process: {}", said.trim());
    let rss = said.trim().rsplit_once("rss_kb=").map_or(Ok(u64::MAX), |(_, kb)| kb.parse())?;
    proofs.checks.that(&format!("its largest size was {rss} KiB, at most {LARGEST_KB}"), rss <= LARGEST_KB);
    records.push(next.record()?);
    let outcome = compare(Promise::Acknowledged, &records, &own, &place).map(|_| ());
    proofs.checks.check("all of it was delivered", outcome);
    proofs.checks.that("no segment is left", segments(&place.spool).is_empty());
    Ok(())
}
