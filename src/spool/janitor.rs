//! Looks after what dead processes have left: takes their instances over, removes the empty ones, keeps segments that
//! cannot be read apart, and removes those of destinations that no client names any more.
//!
//! One process at a time does it for a destination: the one that has the lock of the file `janitor`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::contents::Contents;
use super::disk::{Disk, DiskError, Locking, StatKind};
use super::instance::{Instance, SegmentFile, Taking, is_instance, segments};
use super::moment::Moment;
use super::root::{is_destination, open_or_make};

const JANITOR: &str = "janitor";
pub(super) const BAD: &str = "bad";

/// How long a folder without a lock is left to the process that may be making it.
pub(super) const BEING_MADE: Duration = Duration::from_secs(60);
/// How long the segments of a destination that no client names are kept.
const FORGOTTEN: Duration = Duration::from_secs(30 * 86_400);
/// How often such destinations are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// What is kept in `bad` at most.
const MAX_BAD_FILES: usize = 16;
const MAX_BAD_BYTES: u64 = 16 << 20;
/// What is read of a segment to learn when it was begun.
const HEADER_BYTES: u64 = 1024;
/// How many instances are remembered as ones in which there is nothing for this version.
const MAX_LEFT_ALONE: usize = 1000;

/// What is remembered between two rounds.
#[derive(Debug, Default)]
pub(super) struct Janitor {
    /// Folders without a lock, and when they were first seen, in milliseconds since the start of the system.
    without_lock: BTreeMap<String, u64>,
    left_alone: BTreeSet<String>,
    sweep_at: u64,
}

/// What a round has found.
#[derive(Debug)]
pub(super) struct Round<D: Disk> {
    /// Instances that this process has taken over, with their segments.
    pub(super) taken: Vec<(Instance<D>, Vec<SegmentFile>)>,
    /// Whether there may be more of them.
    pub(super) is_more: bool,
    /// Another process is looking just now, so this one did not.
    pub(super) is_kept_out: bool,
    /// How many segments of forgotten destinations were removed.
    pub(super) forgotten: u32,
}

impl Janitor {
    /// Looks through a destination once, and takes at most so many instances over.
    pub(super) fn round<D: Disk>(
        &mut self,
        disk: &D,
        root: &D::Folder,
        destination: (&D::Folder, &str),
        most: usize,
        now: Moment,
    ) -> Result<Round<D>, DiskError> {
        let mut round = Round { taken: Vec::new(), is_more: false, is_kept_out: true, forgotten: 0 };
        let (folder, name) = destination;
        let Locking::Granted(_lock) = disk.try_lock(folder, JANITOR, true)? else { return Ok(round) };
        round.is_kept_out = false;
        let mut names = disk.list(folder)?;
        names.retain(|name| is_instance(name) && !self.left_alone.contains(name));
        names.sort_unstable();
        self.without_lock.retain(|name, _| names.binary_search(name).is_ok());
        for name in names {
            if round.taken.len() >= most {
                round.is_more = true;
                break;
            }
            // What cannot be read is left alone: another user's folder is not a reason to stop.
            let Ok(Some(instance)) = self.take(disk, folder, &name, now) else { continue };
            match instance.segments(disk) {
                Ok(files) if files.is_empty() => drop(instance.remove(disk, folder)),
                Ok(files) => round.taken.push((instance, files)),
                Err(_) => {}
            }
        }
        if self.sweep_at <= now.boot_ms {
            self.sweep_at = now.after(SWEEP_EVERY);
            round.forgotten = sweep(disk, root, name, now);
        }
        Ok(round)
    }

    fn take<D: Disk>(
        &mut self,
        disk: &D,
        folder: &D::Folder,
        name: &str,
        now: Moment,
    ) -> Result<Option<Instance<D>>, DiskError> {
        let first_seen = self.without_lock.get(name).copied();
        let modified = disk.stat(folder, name)?.modified_ms;
        let changed = Duration::from_millis(u64::try_from(now.wall_ms.saturating_sub(modified)).unwrap_or(0));
        let seen = Duration::from_millis(now.boot_ms.saturating_sub(first_seen.unwrap_or(now.boot_ms)));
        // A clock that was set makes this wrong; then the process that is making the folder finds its lock taken, and
        // makes another one.
        match Instance::take(disk, folder, name, changed.max(seen) > BEING_MADE)? {
            Taking::Taken(instance) => Ok(Some(instance)),
            Taking::NotDead => Ok(None),
            Taking::WithoutLock => {
                self.without_lock.entry(name.to_owned()).or_insert(now.boot_ms);
                Ok(None)
            }
        }
    }

    /// Does not look into this instance again: what is left in it is not for this version.
    pub(super) fn leave_alone(&mut self, instance: &str) {
        if self.left_alone.len() >= MAX_LEFT_ALONE {
            self.left_alone.pop_first();
        }
        self.left_alone.insert(instance.to_owned());
    }
}

/// Moves a segment that cannot be used into the folder `bad`, from which the oldest make space for it.
pub(super) fn quarantine<D: Disk>(
    disk: &D,
    destination: &D::Folder,
    instance: &Instance<D>,
    file: &SegmentFile,
) -> Result<(), DiskError> {
    let bad = open_or_make(disk, destination, BAD)?;
    let mut kept = Vec::new();
    for name in disk.list(&bad)? {
        if let Ok(stat) = disk.stat(&bad, &name) {
            kept.push((stat.modified_ms, name, stat.bytes));
        }
    }
    kept.sort_unstable();
    let mut total = kept.iter().map(|(_, _, bytes)| bytes).sum::<u64>() + file.bytes;
    let mut count = kept.len() + 1;
    for (_, name, bytes) in kept {
        if count <= MAX_BAD_FILES && total <= MAX_BAD_BYTES {
            break;
        }
        disk.remove(&bad, &name)?;
        (count, total) = (count - 1, total - bytes);
    }
    if file.bytes > MAX_BAD_BYTES {
        return disk.remove(&instance.folder, &file.name);
    }
    disk.rename(&instance.folder, &file.name, &bad, &format!("{}-{}", instance.name, file.name))
}

/// Removes old segments of dead instances from all other destinations; returns how many.
fn sweep<D: Disk>(disk: &D, root: &D::Folder, own: &str, now: Moment) -> u32 {
    let names = disk.list(root).unwrap_or_default();
    let others = names.iter().filter(|name| is_destination(name) && *name != own);
    others.map(|name| sweep_destination(disk, root, name, now).unwrap_or(0)).sum()
}

fn sweep_destination<D: Disk>(disk: &D, root: &D::Folder, name: &str, now: Moment) -> Result<u32, DiskError> {
    let destination = disk.open_folder(root, name)?;
    let mut removed = 0;
    for name in disk.list(&destination)?.iter().filter(|name| is_instance(name)) {
        let Ok(Taking::Taken(instance)) = Instance::take(disk, &destination, name, false) else { continue };
        for file in instance.segments(disk)? {
            if is_forgotten(disk, &instance.folder, &file.name, now) {
                disk.remove(&instance.folder, &file.name)?;
                removed += 1;
            }
        }
        instance.remove(disk, &destination)?;
    }
    Ok(removed)
}

fn is_forgotten<D: Disk>(disk: &D, folder: &D::Folder, name: &str, now: Moment) -> bool {
    let head = disk.read(folder, name, HEADER_BYTES).unwrap_or_default();
    match Contents::read(&head) {
        Ok(contents) => contents.header.begun.age(now, contents.first_takeover_ms) > FORGOTTEN,
        Err(_) => false,
    }
}

/// How many bytes all segments of a destination have, those of living processes included.
pub(super) fn used_bytes<D: Disk>(disk: &D, destination: &D::Folder) -> Result<u64, DiskError> {
    let mut total = 0;
    for name in disk.list(destination)?.iter().filter(|name| is_instance(name)) {
        let is_folder = disk.stat(destination, name).is_ok_and(|stat| stat.kind == StatKind::Folder);
        let Some(folder) = is_folder.then(|| disk.open_folder(destination, name).ok()).flatten() else {
            continue;
        };
        total += segments(disk, &folder)?.iter().map(|file| file.bytes).sum::<u64>();
    }
    Ok(total)
}
