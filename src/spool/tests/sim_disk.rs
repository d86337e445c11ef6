//! A disk in memory with processes: it loses power, tears writes, fails on request, and ends a process at any call.
//!
//! What is written is in pages that reach the disk in any order, or not at all, until the file is synced; the same
//! holds for names until their folder is synced.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::random::Random;
use crate::spool::disk::{Disk, DiskError, ErrorKind, Locking, Stat, StatKind};

/// A small page, so that a write of a few records has several.
const PAGE: usize = 64;

type Inode = u64;
const ROOT: Inode = 1;

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// How many of them outlive a power cut.
    synced: usize,
}

#[derive(Debug, Default)]
struct Folder {
    names: BTreeMap<String, Inode>,
    /// The names that outlive a power cut.
    synced: BTreeMap<String, Inode>,
}

/// What fails, until it is taken back.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Of a hundred writes, so many fail like this.
    pub(crate) writes: Option<(u64, ErrorKind)>,
    /// The same for syncs.
    pub(crate) syncs: Option<(u64, ErrorKind)>,
    /// The same for reads.
    pub(crate) reads: Option<(u64, ErrorKind)>,
    /// Of a hundred writes, so many are cut short.
    pub(crate) short: u64,
    /// Nothing can be changed.
    pub(crate) read_only: bool,
    /// What can be stored.
    pub(crate) capacity: Option<u64>,
    /// The free space is not what it is said to be.
    pub(crate) hides_free_space: bool,
    /// The file system has no locks.
    pub(crate) no_locks: bool,
    /// Another process removes the lock of an instance between the time it is opened and the time it is locked.
    pub(crate) removes_locks: bool,
}

#[derive(Debug)]
struct World {
    files: BTreeMap<Inode, File>,
    folders: BTreeMap<Inode, Folder>,
    modified_ms: BTreeMap<Inode, i64>,
    foreign: BTreeSet<Inode>,
    /// Folders that were removed.
    removed: BTreeSet<Inode>,
    next: Inode,
    locks: BTreeMap<Inode, u64>,
    dead: BTreeSet<u64>,
    /// A process, and after how many of its calls it is killed.
    kill: Option<(u64, u64)>,
    faults: Faults,
    random: Random,
    wall_ms: i64,
    processes: u64,
    calls: u64,
}

/// One process's view of the disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk {
    world: Arc<Mutex<World>>,
    process: u64,
}

#[derive(Debug)]
pub(crate) struct SimLock {
    world: Arc<Mutex<World>>,
    inode: Inode,
    process: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.world.lock().unwrap();
        // A process that was killed has lost it already, and another one may have it.
        if !world.dead.contains(&self.process) {
            world.locks.remove(&self.inode);
        }
    }
}

fn error(kind: ErrorKind) -> DiskError {
    DiskError::new(kind, format!("simulated: {kind:?}"))
}

impl World {
    fn names(&mut self, folder: Inode) -> Result<&mut BTreeMap<String, Inode>, DiskError> {
        self.folders.get_mut(&folder).map(|folder| &mut folder.names).ok_or_else(|| error(ErrorKind::Missing))
    }

    fn find(&mut self, folder: Inode, name: &str) -> Result<Inode, DiskError> {
        self.names(folder)?.get(name).copied().ok_or_else(|| error(ErrorKind::Missing))
    }

    fn own_file(&mut self, folder: Inode, name: &str) -> Result<Inode, DiskError> {
        let inode = self.find(folder, name)?;
        if !self.files.contains_key(&inode) || self.foreign.contains(&inode) {
            return Err(error(ErrorKind::Foreign));
        }
        Ok(inode)
    }

    fn touch(&mut self, inode: Inode) {
        self.modified_ms.insert(inode, self.wall_ms);
    }

    fn changeable(&self) -> Result<(), DiskError> {
        if self.faults.read_only { Err(error(ErrorKind::Denied)) } else { Ok(()) }
    }

    fn insert(&mut self, folder: Inode, name: &str, is_folder: bool) -> Result<Inode, DiskError> {
        self.changeable()?;
        if self.removed.contains(&folder) {
            return Err(error(ErrorKind::Missing));
        }
        let inode = self.next;
        let names = self.names(folder)?;
        if names.contains_key(name) {
            return Err(error(ErrorKind::Exists));
        }
        names.insert(name.to_owned(), inode);
        self.next += 1;
        if is_folder {
            self.folders.insert(inode, Folder::default());
        } else {
            self.files.insert(inode, File::default());
        }
        self.touch(inode);
        self.touch(folder);
        Ok(inode)
    }

    fn used(&self) -> u64 {
        let named = self.folders.values().flat_map(|folder| folder.names.values());
        named.filter_map(|inode| self.files.get(inode)).map(|file| file.bytes.len() as u64).sum()
    }

    fn chance(&mut self, fault: Option<(u64, ErrorKind)>) -> Result<(), DiskError> {
        match fault {
            Some((percent, kind)) if self.random.percent(percent) => Err(error(kind)),
            _ => Ok(()),
        }
    }
}

impl SimDisk {
    /// An empty disk, seen by its first process.
    pub(crate) fn new(seed: u64) -> Self {
        let world = World {
            files: BTreeMap::new(),
            folders: BTreeMap::from([(ROOT, Folder::default())]),
            modified_ms: BTreeMap::new(),
            foreign: BTreeSet::new(),
            removed: BTreeSet::new(),
            next: ROOT + 1,
            locks: BTreeMap::new(),
            dead: BTreeSet::new(),
            kill: None,
            faults: Faults::default(),
            random: Random::new(seed),
            wall_ms: 0,
            processes: 1,
            calls: 0,
        };
        SimDisk { world: Arc::new(Mutex::new(world)), process: 1 }
    }

    /// Another process.
    pub(crate) fn process(&self) -> Self {
        let mut world = self.world.lock().unwrap();
        world.processes += 1;
        SimDisk { world: Arc::clone(&self.world), process: world.processes }
    }

    /// Kills this process after so many more of its calls, in the middle of the last one.
    pub(crate) fn kill_after(&self, calls: u64) {
        self.world.lock().unwrap().kill = Some((self.process, calls));
    }

    pub(crate) fn kill(&self) {
        let mut world = self.world.lock().unwrap();
        world.dead.insert(self.process);
        world.locks.retain(|_, owner| *owner != self.process);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.world.lock().unwrap().dead.contains(&self.process)
    }

    pub(crate) fn set_wall_ms(&self, wall_ms: i64) {
        self.world.lock().unwrap().wall_ms = wall_ms;
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.world.lock().unwrap().faults);
    }

    pub(crate) fn used(&self) -> u64 {
        self.world.lock().unwrap().used()
    }

    /// How many calls all processes have made.
    pub(crate) fn calls(&self) -> u64 {
        self.world.lock().unwrap().calls
    }

    /// Cuts the power: all processes die, and of what is not synced any part may be lost.
    pub(crate) fn cut_power(&self) {
        let world = &mut *self.world.lock().unwrap();
        world.dead.extend(1..=world.processes);
        world.locks.clear();
        let random = &mut world.random;
        // Some cuts lose everything, some nothing, most a part.
        let percent = random.one_of(&[0, 20, 50, 80, 100]);
        for file in world.files.values_mut() {
            let mut end = file.bytes.len();
            if random.percent(50) {
                let unsynced = (file.bytes.len() - file.synced) as u64;
                end = file.synced + usize::try_from(random.below(unsynced + 1)).unwrap();
            }
            file.bytes.truncate(end);
            for start in (0..end).step_by(PAGE) {
                if random.percent(percent) {
                    continue;
                }
                // The page is lost, or the end of it.
                let from = start
                    + usize::try_from(random.below(PAGE as u64)).unwrap() * usize::from(random.percent(30));
                let lost = from.max(file.synced)..(start + PAGE).min(end);
                if let Some(lost) = file.bytes.get_mut(lost) {
                    lost.fill(0);
                }
            }
            file.synced = file.bytes.len();
        }
        for folder in world.folders.values_mut() {
            let mut names = folder.synced.clone();
            for (name, inode) in &folder.names {
                if folder.synced.get(name) != Some(inode) && random.percent(percent) {
                    names.insert(name.clone(), *inode);
                }
            }
            for name in folder.synced.keys() {
                if !folder.names.contains_key(name) && random.percent(percent) {
                    names.remove(name);
                }
            }
            folder.names.clone_from(&names);
            folder.synced = names;
        }
        world.removed.clear();
    }

    /// Every file with its path.
    pub(crate) fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        fn walk(world: &World, folder: Inode, path: &str, tree: &mut BTreeMap<String, Vec<u8>>) {
            for (name, inode) in &world.folders[&folder].names {
                let path = format!("{path}/{name}");
                if let Some(file) = world.files.get(inode) {
                    tree.insert(path, file.bytes.clone());
                } else {
                    walk(world, *inode, &path, tree);
                }
            }
        }
        let mut tree = BTreeMap::new();
        walk(&self.world.lock().unwrap(), ROOT, "", &mut tree);
        tree
    }

    /// Makes a file that another program might have put there.
    pub(crate) fn put(&self, folder: Inode, name: &str, bytes: &[u8]) {
        let mut world = self.world.lock().unwrap();
        let inode = world.insert(folder, name, false).unwrap();
        world.files.get_mut(&inode).unwrap().bytes = bytes.to_vec();
    }

    /// Changes the bytes of a file.
    pub(crate) fn change(&self, path_end: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world.lock().unwrap();
        let folders = world.folders.values();
        let mut names = folders.flat_map(|folder| &folder.names);
        let inode = *names.find(|(name, _)| name.ends_with(path_end)).unwrap().1;
        change(&mut world.files.get_mut(&inode).unwrap().bytes);
    }

    /// The same, by its path.
    pub(crate) fn change_at(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world.lock().unwrap();
        let inode = path.split('/').skip(1).fold(ROOT, |folder, name| world.find(folder, name).unwrap());
        change(&mut world.files.get_mut(&inode).unwrap().bytes);
    }

    /// Removes a file, as another program would.
    pub(crate) fn remove_at(&self, path: &str) {
        let mut world = self.world.lock().unwrap();
        let (folder, name) = path.rsplit_once('/').unwrap();
        let folder = folder.split('/').skip(1).fold(ROOT, |folder, name| world.find(folder, name).unwrap());
        world.names(folder).unwrap().remove(name).unwrap();
    }

    /// Gives a file or folder to another user.
    pub(crate) fn give_away(&self, folder: Inode, name: &str) {
        let mut world = self.world.lock().unwrap();
        let inode = world.find(folder, name).unwrap();
        world.foreign.insert(inode);
    }

    /// Every call begins with this: a process that was killed does nothing any more.
    fn call(&self) -> Result<MutexGuard<'_, World>, DiskError> {
        if self.is_dead() || self.dies_now() {
            return Err(error(ErrorKind::Other));
        }
        Ok(self.world.lock().unwrap())
    }

    /// Counts a call, and kills the process if it was to end in it.
    fn dies_now(&self) -> bool {
        let mut world = self.world.lock().unwrap();
        world.calls += 1;
        let Some((process, left)) = &mut world.kill else { return false };
        if *process != self.process {
            return false;
        }
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        world.kill = None;
        drop(world);
        self.kill();
        true
    }
}

impl Disk for SimDisk {
    type Folder = Inode;
    type File = Inode;
    type Lock = SimLock;

    fn open_root(&self, _: &Path) -> Result<Inode, DiskError> {
        drop(self.call()?);
        Ok(ROOT)
    }

    fn open_folder(&self, parent: &Inode, name: &str) -> Result<Inode, DiskError> {
        let mut world = self.call()?;
        let inode = world.find(*parent, name)?;
        let is_own = world.folders.contains_key(&inode) && !world.foreign.contains(&inode);
        if is_own { Ok(inode) } else { Err(error(ErrorKind::Foreign)) }
    }

    fn make_folder(&self, parent: &Inode, name: &str) -> Result<(), DiskError> {
        self.call()?.insert(*parent, name, true).map(drop)
    }

    fn remove_folder(&self, parent: &Inode, name: &str) -> Result<(), DiskError> {
        let mut world = self.call()?;
        world.changeable()?;
        let inode = world.find(*parent, name)?;
        if !world.names(inode)?.is_empty() {
            return Err(error(ErrorKind::Exists));
        }
        world.names(*parent)?.remove(name);
        world.removed.insert(inode);
        Ok(())
    }

    fn list(&self, folder: &Inode) -> Result<Vec<String>, DiskError> {
        Ok(self.call()?.names(*folder)?.keys().rev().cloned().collect())
    }

    fn stat(&self, folder: &Inode, name: &str) -> Result<Stat, DiskError> {
        let mut world = self.call()?;
        let inode = world.find(*folder, name)?;
        let (kind, bytes) = match world.files.get(&inode) {
            Some(file) => (StatKind::File, file.bytes.len() as u64),
            None => (StatKind::Folder, 0),
        };
        Ok(Stat { kind, bytes, modified_ms: world.modified_ms.get(&inode).copied().unwrap_or(0) })
    }

    fn create(&self, folder: &Inode, name: &str) -> Result<Inode, DiskError> {
        self.call()?.insert(*folder, name, false)
    }

    fn open(&self, folder: &Inode, name: &str) -> Result<Inode, DiskError> {
        let mut world = self.call()?;
        world.changeable()?;
        world.own_file(*folder, name)
    }

    fn append(&self, file: &Inode, bytes: &[u8], rest: &[u8]) -> Result<usize, DiskError> {
        let bytes = [bytes, rest].concat();
        if self.is_dead() {
            return Err(error(ErrorKind::Other));
        }
        if self.dies_now() {
            // A write is not atomic against SIGKILL.
            let mut world = self.world.lock().unwrap();
            let part = usize::try_from(world.random.below(bytes.len() as u64 + 1)).unwrap();
            world.files.get_mut(file).unwrap().bytes.extend(&bytes[..part]);
            return Err(error(ErrorKind::Other));
        }
        let mut world = self.world.lock().unwrap();
        world.changeable()?;
        let fault = world.faults.writes;
        world.chance(fault)?;
        let mut part = bytes.len();
        let short = world.faults.short;
        if part > 0 && world.random.percent(short) {
            part = usize::try_from(world.random.below(part as u64)).unwrap().max(1);
        }
        if let Some(capacity) = world.faults.capacity {
            let left = usize::try_from(capacity.saturating_sub(world.used())).unwrap();
            if left == 0 {
                return Err(error(ErrorKind::Full));
            }
            part = part.min(left);
        }
        world.touch(*file);
        world.files.get_mut(file).unwrap().bytes.extend(&bytes[..part]);
        Ok(part)
    }

    fn sync(&self, file: &Inode) -> Result<(), DiskError> {
        let mut world = self.call()?;
        let fault = world.faults.syncs;
        world.chance(fault)?;
        let file = world.files.get_mut(file).unwrap();
        file.synced = file.bytes.len();
        Ok(())
    }

    fn sync_folder(&self, folder: &Inode) -> Result<(), DiskError> {
        let mut world = self.call()?;
        let fault = world.faults.syncs;
        world.chance(fault)?;
        let folder = world.folders.get_mut(folder).unwrap();
        folder.synced.clone_from(&folder.names);
        Ok(())
    }

    fn read(&self, folder: &Inode, name: &str, most: u64) -> Result<Vec<u8>, DiskError> {
        let mut world = self.call()?;
        let inode = world.own_file(*folder, name)?;
        let fault = world.faults.reads;
        if let Some((percent, kind)) = fault
            && world.random.percent(percent)
        {
            return Err(error(kind));
        }
        let bytes = &world.files[&inode].bytes;
        Ok(bytes[..bytes.len().min(usize::try_from(most).unwrap())].to_vec())
    }

    fn remove(&self, folder: &Inode, name: &str) -> Result<(), DiskError> {
        let mut world = self.call()?;
        world.changeable()?;
        let inode = world.find(*folder, name)?;
        if !world.files.contains_key(&inode) {
            return Err(error(ErrorKind::Foreign));
        }
        // A descriptor of it can still be used, and a power cut may bring the name back.
        world.names(*folder)?.remove(name);
        world.touch(*folder);
        Ok(())
    }

    fn rename(&self, from: &Inode, name: &str, to: &Inode, new_name: &str) -> Result<(), DiskError> {
        let mut world = self.call()?;
        world.changeable()?;
        let inode = world.find(*from, name)?;
        world.names(*from)?.remove(name);
        world.names(*to)?.insert(new_name.to_owned(), inode);
        Ok(())
    }

    fn try_lock(&self, folder: &Inode, name: &str, make: bool) -> Result<Locking<SimLock>, DiskError> {
        let mut world = self.call()?;
        world.changeable()?;
        let inode = match world.own_file(*folder, name) {
            Err(error) if error.kind == ErrorKind::Missing && make => world.insert(*folder, name, false)?,
            other => other?,
        };
        if world.faults.no_locks {
            return Ok(Locking::Unsupported);
        }
        if world.locks.contains_key(&inode) {
            return Ok(Locking::Taken);
        }
        if world.faults.removes_locks && name == "lock" {
            world.names(*folder)?.remove(name);
        }
        world.locks.insert(inode, self.process);
        Ok(Locking::Granted(SimLock { world: Arc::clone(&self.world), inode, process: self.process }))
    }

    fn is_still(&self, lock: &SimLock, folder: &Inode, name: &str) -> bool {
        self.call().is_ok_and(|mut world| world.find(*folder, name).is_ok_and(|inode| inode == lock.inode))
    }

    fn free_bytes(&self, _: &Inode) -> Result<u64, DiskError> {
        let world = self.call()?;
        let capacity = world.faults.capacity.filter(|_| !world.faults.hides_free_space);
        Ok(capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(world.used())))
    }

    fn largest_file(&self) -> u64 {
        u64::MAX
    }
}
