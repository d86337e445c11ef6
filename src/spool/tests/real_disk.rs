//! The disk of the system itself, in a folder of its own.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use super::histories::{identity, settings};
use crate::config::SpoolSafety;
use crate::runtime::OwnDescriptor;
use crate::spool::disk::{Disk, Locking, StatKind};
use crate::spool::{
    ErrorKind, Health, Identity, Moment, Notice, SegmentId, Store, UnixDisk, boot_id, open_root,
};

/// A folder that is removed in the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("phc-spool-test-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::DirBuilder::new().mode(0o700).create(&path).unwrap();
        Place(path)
    }

    fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn now() -> Moment {
    Moment::now(boot_id())
}

fn later(ms: u64) -> Moment {
    let now = now();
    Moment { boot_ms: now.boot_ms + ms, wall_ms: now.wall_ms + i64::try_from(ms).unwrap(), ..now }
}

fn store(place: &Place, safety: SpoolSafety, pid: u32) -> Store<UnixDisk> {
    let identity = Identity { folder: place.spool(), ..identity(pid) };
    Store::new(UnixDisk, settings(safety), identity, now())
}

fn add(store: &mut Store<UnixDisk>, id: u64, events: u32) {
    for index in 0..events {
        assert!(store.add_event(SegmentId(id), index, Uuid::from_u128(index.into()), b"{\"event\":\"e\"}"));
    }
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files_below(&path)) } else { all.push(path) }
    }
    all
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn what_one_process_leaves_another_one_recovers() {
    for safety in [SpoolSafety::Exit, SpoolSafety::Crash, SpoolSafety::Call, SpoolSafety::Power] {
        let place = Place::new();
        let mut first = store(&place, safety, 1);
        add(&mut first, 1, 5);
        let (done, _) = first.persist(now());
        assert!(done);
        let _ = first.step(now());
        let mut appended = 0;
        if safety == SpoolSafety::Call {
            let (file, notices) = first.lend(SegmentId(2), 1000, now());
            assert_eq!(notices, [Notice::Stored { segment: SegmentId(2), synced: false }]);
            assert!(file.unwrap().append(0, Uuid::nil(), b"{}").is_ok());
            appended = 1;
        }
        for file in files_below(&place.spool()) {
            assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600, "{file:?}");
        }
        assert_eq!(fs::metadata(place.spool()).unwrap().mode() & 0o777, 0o700);
        // As when it is killed: the kernel lets go of the lock.
        drop(first);
        let mut second = store(&place, safety, 2);
        let _ = [second.step(now()), second.step(later(2100))];
        assert_eq!(second.waiting(), 1 + appended);
        let (recovered, notices) = second.recover(SegmentId(9), now());
        assert_eq!((recovered.unwrap().contents().unwrap().pending.len(), notices), (5, vec![]));
        second.end(SegmentId(9));
        if appended == 1 {
            assert_eq!(second.recover(SegmentId(10), now()).0.unwrap().contents().unwrap().pending.len(), 1);
            second.end(SegmentId(10));
        }
        let _ = second.step(later(2200));
        let _ = second.close(later(2200));
        let names = files_below(&place.spool()).into_iter();
        let mut names: Vec<_> = names.map(|path| path.file_name().unwrap().to_owned()).collect();
        names.sort();
        assert_eq!(names, ["janitor", "phc-spool"]);
    }
}

#[test]
fn a_living_process_keeps_its_lock_whatever_else_is_opened_and_closed() {
    let place = Place::new();
    let mut first = store(&place, SpoolSafety::Crash, 1);
    add(&mut first, 1, 1);
    let _ = first.step(now());
    for _ in 0..3 {
        let mut second = store(&place, SpoolSafety::Crash, 2);
        let _ = [second.step(now()), second.step(later(2100))];
        assert_eq!(second.waiting(), 0);
    }
    drop(first);
    let mut second = store(&place, SpoolSafety::Crash, 3);
    let _ = [second.step(now()), second.step(later(2100))];
    assert_eq!(second.waiting(), 1);
}

#[test]
fn no_descriptor_is_inherited_by_other_programs() {
    let place = Place::new();
    let mut store = store(&place, SpoolSafety::Call, 1);
    add(&mut store, 1, 1);
    let _ = store.step(now());
    let listing = Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    assert!(!listing.contains("phc-spool-test-"), "{listing}");
}

#[test]
fn a_prepared_folder_is_refused_with_the_reason() {
    let place = Place::new();
    let refusal = |path: &Path| open_root(&UnixDisk, path).unwrap_err();
    // A link to a folder of this user.
    fs::create_dir(place.0.join("real")).unwrap();
    symlink(place.0.join("real"), place.0.join("link")).unwrap();
    assert_eq!(refusal(&place.0.join("link")).kind, ErrorKind::Foreign);
    assert_eq!(fs::read_dir(place.0.join("real")).unwrap().count(), 0);
    // A folder that others may write to.
    fs::set_permissions(place.0.join("real"), fs::Permissions::from_mode(0o770)).unwrap();
    let error = refusal(&place.0.join("real"));
    assert!(error.kind == ErrorKind::Foreign && error.text.contains("770"), "{error}");
    // A file, and a folder in a folder that is missing.
    fs::write(place.0.join("file"), "").unwrap();
    assert_eq!(refusal(&place.0.join("file")).kind, ErrorKind::Foreign);
    assert_eq!(refusal(&place.0.join("missing/spool")).kind, ErrorKind::Missing);
    if is_root() {
        fs::create_dir(place.0.join("theirs")).unwrap();
        std::os::unix::fs::chown(place.0.join("theirs"), Some(12345), None).unwrap();
        let error = refusal(&place.0.join("theirs"));
        assert!(error.text.contains("user 12345") && error.text.contains("user 0"), "{error}");
    }
}

/// Each of these stands where a segment or a lock should be; none is followed, waited for or written to.
#[test]
fn prepared_names_are_not_followed() {
    let place = Place::new();
    let folder = open_root(&UnixDisk, &place.spool()).unwrap();
    let victim = place.0.join("victim");
    fs::write(&victim, "precious").unwrap();
    let at = |name: &str| place.spool().join(name);
    symlink(&victim, at("link")).unwrap();
    fs::hard_link(&victim, at("hard")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    let fifo = Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    assert!(fifo.success());
    let mut names = vec!["link", "hard", "folder", "fifo"];
    if is_root() {
        fs::write(at("theirs"), "theirs").unwrap();
        std::os::unix::fs::chown(at("theirs"), Some(12345), None).unwrap();
        names.push("theirs");
    }
    for name in names {
        assert!(UnixDisk.open(&folder, name).is_err(), "{name} is opened");
        assert!(UnixDisk.read(&folder, name, 100).is_err(), "{name} is read");
        assert!(
            !matches!(UnixDisk.try_lock(&folder, name, true), Ok(Locking::Granted(_))),
            "{name} is locked"
        );
        assert_eq!(UnixDisk.create(&folder, name).unwrap_err().kind, ErrorKind::Exists, "{name}");
        if name != "folder" {
            assert_eq!(UnixDisk.open_folder(&folder, name).unwrap_err().kind, ErrorKind::Foreign, "{name}");
        }
    }
    assert_eq!(UnixDisk.stat(&folder, "link").unwrap().kind, StatKind::Other);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    // A dangling link makes nothing at its end.
    symlink(place.0.join("new"), at("dangling")).unwrap();
    assert!(UnixDisk.create(&folder, "dangling").is_err() && !place.0.join("new").exists());
}

/// The known race of unlink and lock: a lock on a file that has lost its name is worth nothing.
#[test]
fn a_lock_on_a_file_that_was_removed_is_recognised() {
    let place = Place::new();
    let folder = open_root(&UnixDisk, &place.spool()).unwrap();
    let Locking::Granted(lock) = UnixDisk.try_lock(&folder, "lock", true).unwrap() else {
        panic!("not granted")
    };
    assert!(UnixDisk.is_still(&lock, &folder, "lock"));
    assert!(matches!(UnixDisk.try_lock(&folder, "lock", true), Ok(Locking::Taken)));
    UnixDisk.remove(&folder, "lock").unwrap();
    assert!(!UnixDisk.is_still(&lock, &folder, "lock"));
    let Locking::Granted(other) = UnixDisk.try_lock(&folder, "lock", true).unwrap() else {
        panic!("not granted")
    };
    assert!(UnixDisk.is_still(&other, &folder, "lock") && !UnixDisk.is_still(&lock, &folder, "lock"));
}

#[test]
fn a_folder_that_is_removed_in_the_middle_is_made_again() {
    let place = Place::new();
    let mut store = store(&place, SpoolSafety::Crash, 1);
    add(&mut store, 1, 3);
    let _ = store.step(now());
    fs::remove_dir_all(place.spool()).unwrap();
    add(&mut store, 2, 3);
    let notices = store.step(now());
    assert!(matches!(&notices[..], [Notice::Health(Health::Off, _)]), "{notices:?}");
    let notices = store.step(later(60_100));
    assert!(notices.contains(&Notice::Rewrite(SegmentId(1))), "{notices:?}");
    (1..=2).for_each(|id| add(&mut store, id, 3));
    let _ = store.step(later(60_200));
    assert_eq!(store.health(), Health::Ok);
    for id in 1..=2 {
        let loaded = store.load(SegmentId(id)).unwrap();
        assert_eq!(loaded.contents().unwrap().pending.len(), 3);
    }
}

#[test]
fn errors_of_the_system_have_their_kinds() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let file = OwnDescriptor::open(|| Ok(full.into())).unwrap();
    assert_eq!(UnixDisk.append(&file, b"x", &[]).unwrap_err().kind, ErrorKind::Full);
    let place = Place::new();
    let folder = open_root(&UnixDisk, &place.spool()).unwrap();
    assert_eq!(UnixDisk.open(&folder, "none").unwrap_err().kind, ErrorKind::Missing);
    assert_eq!(UnixDisk.make_folder(&folder, &"x".repeat(300)).unwrap_err().kind, ErrorKind::Other);
    UnixDisk.make_folder(&folder, "full").unwrap();
    let inner = UnixDisk.open_folder(&folder, "full").unwrap();
    drop(UnixDisk.create(&inner, "file").unwrap());
    assert_eq!(UnixDisk.remove_folder(&folder, "full").unwrap_err().kind, ErrorKind::Exists);
    assert!(UnixDisk.free_bytes(&folder).unwrap() > 0);
    assert_ne!(boot_id(), 0);
}
