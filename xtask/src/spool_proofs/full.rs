//! A file system of 1 MiB that several processes fill: nothing is lost, a process that is killed loses only what was
//! never written, and once there is space events are written again.

use super::Proofs;
use super::kills::{OUTAGE, Promise, compare};
use super::writer::{CAPTURED, Counter};
use crate::checks::ensure;
use crate::process::{Outcome, command, quietly};

/// An error where nothing can be mounted.
pub(super) fn can_mount(proofs: &Proofs) -> Outcome<()> {
    let folder = proofs.work.join("try");
    std::fs::create_dir(&folder)?;
    quietly(command(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&folder))?;
    quietly(command(["umount"]).arg(&folder)).map(|_| ())
}

#[expect(clippy::unnecessary_wraps, reason = "other kinds have errors")]
pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    let rounds = if proofs.is_long { 25 } else { 1 };
    for round in 0..rounds {
        let outcome = fill(proofs, round);
        proofs.checks.check(&format!("a file system of 1 MiB fills, round {}", round + 1), outcome);
    }
    Ok(())
}

fn fill(proofs: &mut Proofs, round: usize) -> Outcome<()> {
    const PROCESSES: usize = 4;
    let work = proofs.work.join(format!("full-{round}"));
    let folder = work.join("small");
    std::fs::create_dir_all(&folder)?;
    quietly(command(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs"]).arg(&folder))?;
    let mut place = proofs.place_in(&folder, "full");
    place.records.clone_from(&work);
    place.script(OUTAGE)?;
    // Each has about as much as the file system.
    let words = "+events=700 +bytes=1500 +stay=1 +flush_ms=20000 +close_ms=20000 spool_safety=crash flush_at=10 \
        max_batch_events=10 max_retries=1000 spool_adopt=false";
    let mut writers = Vec::new();
    for number in 0..PROCESSES {
        writers.push(place.start(&format!("writer-{number}"), words)?);
    }
    for writer in &mut writers {
        writer.reaches(Counter::Stage, CAPTURED)?;
    }
    // One of them is killed once the file system is full.
    full(&folder)?;
    let first = writers.remove(0);
    let killed = first.kill()?;
    ensure(killed.captured.len() == 700, || format!("a full disk made captures fail: {}", killed.refused))?;
    ensure(killed.on_disk < 700, || "the file system was not full".to_owned())?;
    place.respond()?;
    let mut records = vec![killed];
    for mut writer in writers {
        writer.end()?;
        let record = writer.record()?;
        ensure(record.captured.len() == 700 && record.refused == 0, || "a capture was refused".to_owned())?;
        records.push(record);
    }
    let own = place.drain()?.record()?;
    // Those that lived have delivered everything from memory; of the other one, what it knew to be on disk.
    let alive = records.split_off(1);
    let accepted = place.get("_accepted")?;
    for event in alive.iter().flat_map(|record| &record.captured) {
        ensure(accepted.contains(&event.uuid), || format!("{} of a living process is lost", event.uuid))?;
    }
    records.extend(alive);
    let seen = compare(Promise::OnDisk, &records, &own, &place)?;
    println!("   {seen}");
    quietly(command(["umount"]).arg(&folder)).map(|_| ())
}

/// Waits until a file system has no free block.
fn full(folder: &std::path::Path) -> Outcome<()> {
    let begun = std::time::Instant::now();
    loop {
        let free = quietly(command(["stat", "-f", "-c", "%a"]).arg(folder))?;
        // A segment may leave a block that no other one needs.
        if free.trim().parse::<u64>().is_ok_and(|blocks| blocks < 8) {
            return Ok(());
        }
        ensure(begun.elapsed() < super::PATIENCE, || format!("{} blocks stay free", free.trim()))?;
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
