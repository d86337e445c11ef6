//! Power cuts on a real ext4: a loop image in a mount namespace of its own, which is shut down by the kernel without its
//! journal, mounted again, and read by the next process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Proofs;
use super::kills::{LEVELS, OUTAGE, Promise, compare};
use super::writer::{Counter, Record, unix_ms};
use crate::c::compile;
use crate::checks::ensure;
use crate::process::{Outcome, command, quietly};
use crate::random::Random;

/// What a power cut may take at `power`: the defaults of spool_write_ms and spool_sync_ms.
const WITHIN_MS: u64 = 50 + 1000;

/// A file system in a file, mounted on a folder.
struct Image {
    file: PathBuf,
    folder: PathBuf,
}

impl Image {
    fn new(work: &Path) -> Outcome<Self> {
        let (file, folder) = (work.join("ext4"), work.join("mounted"));
        std::fs::create_dir_all(&folder)?;
        std::fs::File::create(&file)?.set_len(64 << 20)?;
        quietly(command(["mkfs.ext4", "-q", "-F"]).arg(&file))?;
        let image = Self { file, folder };
        image.mount()?;
        Ok(image)
    }

    fn mount(&self) -> Outcome<()> {
        quietly(command(["mount", "-o", "loop"]).arg(&self.file).arg(&self.folder)).map(|_| ())
    }

    fn unmount(&self) -> Outcome<()> {
        quietly(command(["umount"]).arg(&self.folder)).map(|_| ())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = self.unmount();
    }
}

/// An error where no power can be cut.
pub(super) fn can_mount(proofs: &Proofs) -> Outcome<()> {
    let work = proofs.work.join("try");
    std::fs::create_dir_all(&work)?;
    let cut = compile("tests/spool/cut.c", proofs.work.path(), &[])?;
    let image = Image::new(&work)?;
    quietly(command([&cut]).arg(&image.folder)).map(|_| ())
}

#[expect(clippy::unnecessary_wraps, reason = "other kinds have errors")]
pub(super) fn all(proofs: &mut Proofs) -> Outcome<()> {
    let cuts = if proofs.is_long { 25 } else { 2 };
    for level in LEVELS {
        // Without a sync a power cut may take everything; phc_persist syncs at each level.
        let promise =
            if level.name == "power" { Promise::After { ms: WITHIN_MS } } else { Promise::Persisted };
        let outcome = run(proofs, level.name, promise, cuts);
        proofs.checks.check(&format!("{cuts} power cuts at {}", level.name), outcome);
    }
    Ok(())
}

fn run(proofs: &mut Proofs, level: &str, promise: Promise, cuts: usize) -> Outcome<()> {
    let cut = compile("tests/spool/cut.c", proofs.work.path(), &[])?;
    let work = proofs.work.join(format!("power-{level}"));
    std::fs::create_dir(&work)?;
    let image = Image::new(&work)?;
    let mut place = proofs.place_in(&image.folder, "power");
    // What the processes know is on another file system.
    place.records.clone_from(&work);
    place.script(OUTAGE)?;
    let mut records = Vec::new();
    let mut moment = Random(97);
    for number in 0..cuts {
        let persist = if level == "power" && number % 2 == 0 { "" } else { "+persist=100" };
        let words = format!(
            "spool_safety={level} +every_us=500 {persist} flush_at=20 max_batch_events=50 spool_adopt=false"
        );
        let mut writer = place.start(&format!("writer-{number}"), &words)?;
        writer.reaches(Counter::Acknowledged, 1)?;
        if !persist.is_empty() {
            writer.reaches(Counter::Persisted, 1)?;
        }
        // Once in four, for its oldest events to be promised by their age.
        let ms = if persist.is_empty() { 3500 } else { moment.below(400) };
        std::thread::sleep(Duration::from_millis(ms));
        // What counts is what it knew before: a sync during which ext4 is shut down may return 0 (jbd2 takes the
        // transaction that the shutdown aborts for one that was committed), and with the power gone none returns.
        let persisted = usize::try_from(writer.counter(Counter::Persisted))?;
        let ended_ms = unix_ms();
        quietly(command([&cut]).arg(&image.folder))?;
        records.push(Record { persisted, ended_ms, ..writer.kill()? });
        image.unmount()?;
        image.mount()?;
    }
    let persisted: usize = records.iter().map(|record| record.persisted).sum();
    ensure(persisted > 0, || "no process has persisted anything".to_owned())?;
    let own = place.drain()?.record()?;
    let seen = compare(promise, &records, &own, &place)?;
    println!("   {level}: {persisted} persisted; {seen}");
    Ok(())
}
