//! tests/spool/writer.c as a child, and what its record says.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::PATIENCE;
use crate::checks::ensure;
use crate::process::{Outcome, command};

/// Bytes of a line of the record, and of the counters before the first one.
const LINE: usize = 64;
const HEAD: u64 = 128;

/// A counter at the beginning of a record, by its place (`enum counter` in writer.c).
#[derive(Clone, Copy)]
pub(super) enum Counter {
    Lines = 0,
    Acknowledged = 1,
    OnDisk = 2,
    Persisted = 3,
    Refused = 4,
    Stage = 5,
    DiskThread = 6,
    DiskThreadGoesOn = 7,
    Missed = 8,
    PeakBytes = 9,
    Recovered = 10,
    StartUs = 11,
}

/// It has captured everything that it was asked for.
pub(super) const CAPTURED: u64 = 2;

/// A process with a client. It is killed with this value.
pub(super) struct Writer {
    child: Child,
    input: Option<ChildStdin>,
    record: PathBuf,
    output: PathBuf,
}

impl Writer {
    pub(super) fn start(program: &Path, record: &Path, words: &[String]) -> Outcome<Self> {
        let output = record.with_extension("out");
        let text = File::create(&output)?;
        let mut child = command([program])
            .arg(record)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(text.try_clone()?)
            .stderr(text)
            .spawn()?;
        let input = child.stdin.take();
        Ok(Self { child, input, record: record.to_owned(), output })
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A counter of its record; 0 as long as there is none.
    pub(super) fn counter(&self, which: Counter) -> u64 {
        File::open(&self.record).map_or(0, |file| counter(&file, which))
    }

    pub(super) fn set(&self, which: Counter, value: u64) -> Outcome<()> {
        let file = File::options().write(true).open(&self.record)?;
        Ok(file.write_all_at(&value.to_le_bytes(), 8 * which as u64)?)
    }

    /// Waits until a counter is this large.
    pub(super) fn reaches(&mut self, which: Counter, wanted: u64) -> Outcome<()> {
        let begun = Instant::now();
        while self.counter(which) < wanted {
            let has_ended = self.has_ended()? && self.counter(which) < wanted;
            ensure(!has_ended && begun.elapsed() < PATIENCE, || {
                format!(
                    "a counter of a process is {}, not {wanted} (ended: {has_ended}): {}",
                    self.counter(which),
                    self.said()
                )
            })?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(super) fn has_ended(&mut self) -> Outcome<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What it printed.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Kills it, and returns what it knew.
    pub(super) fn kill(mut self) -> Outcome<Record> {
        let killed_at = unix_ms();
        self.child.kill()?;
        self.child.wait()?;
        Record::read(&self.record, killed_at)
    }

    /// Waits until it has ended by itself, in whichever way; returns its exit code, what it printed and what it knew.
    pub(super) fn wait(mut self) -> Outcome<(Option<i32>, String, Record)> {
        let begun = Instant::now();
        while !self.has_ended()? {
            ensure(begun.elapsed() < PATIENCE, || format!("a process has not ended: {}", self.said()))?;
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = self.child.wait()?;
        Ok((status.code(), self.said(), Record::read(&self.record, unix_ms())?))
    }

    /// Has it end in order.
    pub(super) fn end(&mut self) -> Outcome<()> {
        drop(self.input.take());
        let begun = Instant::now();
        while !self.has_ended()? {
            ensure(begun.elapsed() < PATIENCE, || format!("a process does not end: {}", self.said()))?;
            std::thread::sleep(Duration::from_millis(2));
        }
        let status = self.child.wait()?;
        ensure(status.success(), || format!("a process ended with {status}: {}", self.said()))
    }

    /// What it knows, now that it has ended.
    pub(super) fn record(&self) -> Outcome<Record> {
        Record::read(&self.record, unix_ms())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn counter(file: &File, which: Counter) -> u64 {
    let mut bytes = [0; 8];
    match file.read_exact_at(&mut bytes, 8 * which as u64) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0))
}

/// An event whose capture returned `PHC_OK`.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) uuid: String,
    pub(super) at_ms: u64,
    /// Whether the capture has waited for the disk as long as it does.
    pub(super) is_slow: bool,
}

/// What a process knew when it ended.
#[derive(Debug)]
pub(super) struct Record {
    /// In the order of their captures.
    pub(super) captured: Vec<Captured>,
    /// The uuids of losses that were reported to it.
    pub(super) lost: HashSet<String>,
    /// The first so many events were on disk, as the library said; only known of an outage.
    pub(super) on_disk: usize,
    /// The first so many were persisted.
    pub(super) persisted: usize,
    /// Captures that were refused.
    pub(super) refused: u64,
    /// Reports that did not reach it.
    pub(super) missed: u64,
    pub(super) ended_ms: u64,
    /// What the run calls the process.
    pub(super) name: String,
}

impl Record {
    /// Takes the losses that were reported, and their captures, out of it; returns whether there were any.
    pub(super) fn leave_out_lost(&mut self) -> bool {
        let lost = std::mem::take(&mut self.lost);
        self.captured.retain(|event| !lost.contains(&event.uuid));
        !lost.is_empty()
    }

    fn read(path: &Path, ended_ms: u64) -> Outcome<Self> {
        // A process may be killed before it has a record.
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let number = |which| usize::try_from(counter(&file, which)).unwrap_or(0);
        // The last line may have been written, and not been counted any more.
        let mut bytes = vec![0; (number(Counter::Lines) + 1) * LINE];
        let length = file.read_at(&mut bytes, HEAD)?;
        let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
        let mut record = Self {
            captured: Vec::new(),
            lost: HashSet::new(),
            on_disk: number(Counter::OnDisk),
            persisted: number(Counter::Persisted),
            refused: counter(&file, Counter::Refused),
            missed: counter(&file, Counter::Missed),
            ended_ms,
            name: crate::process::stem(path),
        };
        for line in text.lines() {
            let mut words = line.split(' ');
            let (Some(kind), Some(uuid), Some(time)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            match kind {
                "l" => drop(record.lost.insert(uuid.to_owned())),
                "c" | "s" => record.captured.push(Captured {
                    uuid: uuid.to_owned(),
                    at_ms: time.parse()?,
                    is_slow: kind == "s",
                }),
                _ => {}
            }
        }
        // Room for 400,000 lines would otherwise stay for each process of a run.
        std::fs::remove_file(path)?;
        Ok(record)
    }
}

/// Every file below a folder, sorted; those that go away meanwhile are left out.
pub(super) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}
