//! `phc-cli spool` over spools with dead and living instances, damage, and folders that are not spools.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Cli, Seen, snapshot};
use crate::network::namespace;
use crate::process::{Outcome, at, command, run};

/// The destination of the golden segments, and another one.
pub(super) const DESTINATION: &str = "d-000102030405060708090a0b0c0d0e0f";
const OTHER: &str = "d-ffffffffffffffffffffffffffffffff";

/// A spool that is made by hand: nothing of libphc has written to it but the golden segments.
pub(super) struct Spool {
    pub(super) folder: PathBuf,
}

/// An instance whose process is alive, as long as this value is.
pub(super) struct Alive {
    _lock: File,
}

impl Spool {
    pub(super) fn new(test: &Cli, name: &str) -> Outcome<Self> {
        let folder = test.work.join(name);
        make_folder(&folder)?;
        write(&folder.join("phc-spool"), b"phc-spool 1\n")?;
        make_folder(&folder.join(DESTINATION))?;
        Ok(Spool { folder })
    }

    pub(super) fn shown(&self) -> String {
        self.folder.display().to_string()
    }

    /// An instance with golden segments, whose process is dead.
    pub(super) fn dead(&self, destination: &str, pid: u32, golden: &[&str]) -> Outcome<PathBuf> {
        let folder = self.folder.join(destination).join(format!("i-{pid}-00000000000000ff"));
        if let Some(destination) = folder.parent().filter(|folder| !folder.exists()) {
            make_folder(destination)?;
        }
        make_folder(&folder)?;
        write(&folder.join("lock"), b"")?;
        for (number, name) in golden.iter().enumerate() {
            let bytes = fs::read(at(format!("tests/spool/format-1/{name}.phs")))?;
            write(&folder.join(format!("{:08}.phs", number + 1)), &bytes)?;
        }
        Ok(folder)
    }

    /// The same whose process is alive: this one has its lock.
    fn alive(&self, pid: u32, golden: &[&str]) -> Outcome<(PathBuf, Alive)> {
        let folder = self.dead(DESTINATION, pid, golden)?;
        let lock = File::open(folder.join("lock"))?;
        lock.try_lock().map_err(|error| format!("the lock of a new instance: {error}"))?;
        Ok((folder, Alive { _lock: lock }))
    }
}

/// A segment of these events for the destination whose folder has this name, begun at this time since 1970, written
/// after docs/spool-format.md, without anything of libphc.
pub(super) fn segment(destination: &str, begun: Duration, events: &[(u128, &str)]) -> Vec<u8> {
    let digest = destination.strip_prefix("d-").and_then(|digits| u128::from_str_radix(digits, 16).ok());
    let begun = u64::try_from(begun.as_millis()).unwrap_or(u64::MAX);
    let mut header =
        [&[1, 0, 1, 0, 0, 0, 0, 0][..], &digest.unwrap_or(0).to_be_bytes(), &begun.to_le_bytes(), &[0; 16]]
            .concat();
    header.extend_from_slice(b"xtask/1");
    let mut bytes = b"\x89PHS\r\n\x1a\n".to_vec();
    for _ in 0..2 {
        add_record(&mut bytes, b'H', 0, &header);
    }
    for (index, (uuid, wire)) in (0..).zip(events) {
        add_record(&mut bytes, b'E', index, &[&uuid.to_be_bytes()[..], wire.as_bytes()].concat());
    }
    bytes
}

fn add_record(bytes: &mut Vec<u8>, kind: u8, index: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let head = [&[0xFF, kind, 0, 0][..], &index.to_le_bytes(), &length.to_le_bytes()].concat();
    let checksum = crc32c(&[&head, payload].concat());
    for part in [&head[..], &checksum.to_le_bytes(), payload] {
        bytes.extend_from_slice(part);
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| (sum >> 1) ^ (0x82F6_3B78 * (sum & 1));
    !bytes.iter().fold(u32::MAX, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

pub(super) fn make_folder(path: &Path) -> Outcome<()> {
    fs::create_dir(path)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o700))?)
}

pub(super) fn write(path: &Path, bytes: &[u8]) -> Outcome<()> {
    fs::write(path, bytes)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(0o600))?)
}

pub(super) fn all(test: &mut Cli) -> Outcome<()> {
    listing(test)?;
    damage(test)?;
    export(test)?;
    discard(test)?;
    not_a_spool(test)?;
    failing_disk(test)
}

fn listing(test: &mut Cli) -> Outcome<()> {
    let spool = Spool::new(test, "listed")?;
    spool.dead(DESTINATION, 1, &["waiting", "retried"])?;
    let (_, _alive) = spool.alive(2, &["waiting"])?;
    spool.dead(OTHER, 3, &[])?;
    let (before, folder) = (snapshot(&spool.folder)?, spool.shown());
    let expected = [
        DESTINATION,
        OTHER,
        "i-1-00000000000000ff  dead",
        "i-2-00000000000000ff  alive",
        "00000001.phs       264 B       1 event  age ",
        "batch 01980000-0000-7000-9000-000000000000  attempt 2  postponed 1 time until 2026-09-21T14:14:20Z",
        "by posthog-c/",
        "4 pending events in 3 segments, 1.1 KiB",
    ];
    test.expect("list", &["spool", "list", &folder], 0, &expected)?;
    let only = ["spool", "list", &folder, "--destination", "d-ff"];
    test.expect("list one destination", &only, 0, &[OTHER, "0 pending events in 0 segments"])?;
    test.checks.that("the other one is left out", !test.output.contains(DESTINATION));
    let none = ["spool", "list", &folder, "--destination", "d-5"];
    test.expect("a destination that is not there", &none, 2, &["no destination begins with \"d-5\""])?;
    let expected = [
        "3 segments, 1.1 KiB: 5 events = 4 pending + 1 ended + 0 missing",
        "pending: 1 of living processes + 3 of dead ones + 0 set aside",
        "no damage",
    ];
    test.expect("check", &["spool", "check", &folder], 0, &expected)?;
    test.checks.that("list and check change nothing", snapshot(&spool.folder)? == before);
    Ok(())
}

fn damage(test: &mut Cli) -> Outcome<()> {
    let spool = Spool::new(test, "damaged")?;
    let cut = spool.dead(DESTINATION, 1, &["cut", "waiting", "retried", "waiting", "waiting"])?;
    let folder = spool.shown();
    // One bit of an event of three; a whole file of noise behind the first bytes; text; a newer format.
    let retried = cut.join("00000003.phs");
    let mut bytes = fs::read(&retried)?;
    let at = bytes
        .windows(8)
        .position(|part| part == b"bought 2")
        .ok_or("the golden segment has no such event")?;
    bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1);
    write(&retried, &bytes)?;
    let noise: Vec<u8> =
        b"\x89PHS\r\n\x1a\n".iter().copied().chain((0..5000_u32).map(|n| (n * 7 % 251) as u8)).collect();
    write(&cut.join("00000004.phs"), &noise)?;
    write(&cut.join("00000005.phs"), b"a text of another program")?;
    let bad = spool.folder.join(DESTINATION).join("bad");
    make_folder(&bad)?;
    fs::copy(cut.join("00000002.phs"), bad.join("i-9-00000000000000ff-00000001.phs"))?;
    fs::create_dir(spool.folder.join(OTHER))?;
    fs::rename(&cut, spool.folder.join(OTHER).join("i-1-00000000000000ff"))?;
    spool.dead(DESTINATION, 7, &["waiting"])?;
    let expected = [
        "00000001.phs: 1 run of bytes damaged; of 1 event, 1 can be sent and 0 are missing",
        "00000003.phs: 1 run of bytes damaged; of 3 events, 1 can be sent and 1 is missing",
        "00000004.phs: damaged beyond use",
        "00000005.phs: not a segment of libphc",
        "it belongs to the destination d-000102030405060708090a0b0c0d0e0f",
        "bad/i-9-00000000000000ff-00000001.phs: it was set aside",
        "= 5 pending + 1 ended + 1 missing",
        "pending: 0 of living processes + 4 of dead ones + 1 set aside",
        "4 events are in more than one segment",
        "problems found",
    ];
    test.expect("check a spool with damage", &["spool", "check", &folder], 1, &expected)?;
    let expected = [
        "damaged beyond use",
        "not a segment of libphc",
        "1 event missing",
        "bad, segments that were set aside",
    ];
    test.expect("list a spool with damage", &["spool", "list", &folder], 0, &expected)?;
    let expected = [
        "bought 0",
        "00000004.phs: damaged beyond use",
        "00000005.phs: not a segment",
        "4 events of 4 segments",
    ];
    test.expect("export what can be read", &["spool", "export", &folder], 1, &expected)?;
    test.expect(
        "and what was set aside",
        &["spool", "export", "--bad", &folder],
        1,
        &["5 events of 5 segments"],
    )
}

fn export(test: &mut Cli) -> Outcome<()> {
    let spool = Spool::new(test, "exported")?;
    spool.dead(DESTINATION, 1, &["waiting", "retried"])?;
    let (_, _alive) = spool.alive(2, &["waiting"])?;
    let (before, folder) = (snapshot(&spool.folder)?, spool.shown());
    let expected = [
        "3 events of 2 segments written",
        "2 events of these are part of an import",
        "1 event of living processes left out",
    ];
    test.expect("export", &["spool", "export", &folder], 0, &expected)?;
    let lines: Vec<&str> = test.output.lines().collect();
    let is_event = |line: &&str| line.starts_with("{\"uuid\":\"0198") && line.ends_with('}');
    test.checks.that("three events, one a line", lines.len() == 3 && lines.iter().all(is_event));
    let exported = test.output.clone();
    let file = test.path("exported.ndjson");
    test.expect(
        "export into a file",
        &["spool", "export", &folder, "-o", &file],
        0,
        &["3 events of 2 segments"],
    )?;
    let same = fs::read_to_string(&file)? == exported && fs::metadata(&file)?.mode() & 0o777 == 0o600;
    test.checks.that("the same events, for this user only", same);
    test.expect(
        "a file that is there",
        &["spool", "export", &folder, "-o", &file],
        3,
        &["is there already: name a new file"],
    )?;
    test.checks.that("it is as it was", fs::read_to_string(&file)? == exported);
    test.expect(
        "the living, too",
        &["spool", "export", "--living", &folder],
        0,
        &["4 events of 3 segments"],
    )?;
    let full = ["sh", "-c", "exec \"$0\" \"$@\" >/dev/full"];
    let arguments = ["spool", "export", &folder];
    test.expect_with(
        "a full disk",
        &full,
        &arguments,
        "",
        3,
        &["writing to standard output failed: No space left"],
    )?;
    let closed = ["bash", "-c", "set -o pipefail; \"$0\" \"$@\" | head -c 0"];
    test.expect_with("a reader that has seen enough", &closed, &arguments, "", 0, &[])?;
    test.checks.that("an export changes nothing", snapshot(&spool.folder)? == before);
    Ok(())
}

fn discard(test: &mut Cli) -> Outcome<()> {
    let spool = Spool::new(test, "discarded")?;
    let dead = spool.dead(DESTINATION, 1, &["waiting", "retried", "cut"])?;
    let mixed = spool.dead(DESTINATION, 3, &["waiting", "waiting"])?;
    write(&mixed.join("00000002.phs"), b"a text of another program")?;
    let new = spool.dead(DESTINATION, 4, &["waiting"])?;
    fs::remove_file(new.join("lock"))?;
    let (alive, lock) = spool.alive(2, &["waiting"])?;
    let (before, folder) = (snapshot(&spool.folder)?, spool.shown());
    let expected = [
        "would be removed: 5 segments with 6 pending events",
        "1 instance left alone",
        "repeat the command with --yes",
    ];
    test.expect("discard asks", &["spool", "discard", &folder], 2, &expected)?;
    test.checks.that("and changes nothing", snapshot(&spool.folder)? == before);
    let of_living = snapshot(&alive)?;
    let expected = [
        "i-1-00000000000000ff: removed 3 segments with 4 events",
        "2 instances left alone",
        "1 file left alone: not of a version that is known",
        "removed: 4 segments with 5 pending events",
    ];
    test.expect("discard", &["spool", "discard", "--yes", &folder], 0, &expected)?;
    test.checks.that("what a living process has is untouched", snapshot(&alive)? == of_living);
    test.checks.that("the instance of the dead one is gone", !dead.exists());
    let left = (mixed.join("00000001.phs").exists(), mixed.join("00000002.phs").exists());
    test.checks.that("what is not a segment stays", left == (false, true));
    test.checks.that("what may be just being made stays", new.join("00000001.phs").exists());
    // The process ends, and what power cuts left is older than a minute.
    drop(lock);
    run(command(["touch", "-d", "2 minutes ago"]).arg(&new))?;
    let expected = ["removed: 2 segments with 2 pending events"];
    test.expect("once they are dead", &["spool", "discard", "--yes", &folder], 0, &expected)?;
    test.checks.that("their instances are gone", !alive.exists() && !new.exists());
    let bad = spool.folder.join(DESTINATION).join("bad");
    make_folder(&bad)?;
    write(&bad.join("i-9-00000000000000ff-00000001.phs"), b"\x89PHS\r\n\x1a\nnoise")?;
    test.expect(
        "bad only if asked for",
        &["spool", "discard", "--yes", &folder],
        0,
        &["removed: 0 segments"],
    )?;
    test.expect(
        "bad",
        &["spool", "discard", "--yes", "--bad", &folder],
        0,
        &["removed: 1 segment with 0 pending"],
    )?;
    test.checks.that("it is gone", fs::read_dir(&bad)?.next().is_none());
    test.expect("nothing left", &["spool", "discard", &folder], 0, &["would be removed: 0 segments"])
}

/// Folders that are not spools, or not of this user, are named and not touched.
fn not_a_spool(test: &mut Cli) -> Outcome<()> {
    let other = test.work.join("other");
    make_folder(&other)?;
    write(&other.join("holiday.jpg"), b"a picture")?;
    let empty = test.work.join("empty");
    make_folder(&empty)?;
    let open = Spool::new(test, "open")?;
    fs::set_permissions(&open.folder, Permissions::from_mode(0o777))?;
    let later = Spool::new(test, "later")?;
    write(&later.folder.join("phc-spool"), b"phc-spool 2\n")?;
    let linked = test.work.join("linked");
    symlink(&open.folder, &linked)?;
    let mut table = vec![
        (other, "it is not a spool: it has \"holiday.jpg\" in it"),
        (empty, "it is empty"),
        (test.work.join("missing"), "No such file or directory"),
        (test.work.join("input"), "Not a directory"),
        (open.folder.clone(), "others may write to it"),
        (later.folder.clone(), "is not one that this version of libphc knows"),
        (linked, "opening it failed"),
    ];
    let foreign = Spool::new(test, "foreign")?;
    if std::os::unix::fs::chown(&foreign.folder, Some(65534), None).is_ok() {
        table.push((foreign.folder.clone(), "it belongs to user 65534"));
    } else {
        println!("NOT RUN: a spool of another user, which needs root");
    }
    let before = snapshot(test.work.path())?;
    for (folder, reason) in table {
        let folder = folder.display().to_string();
        for words in [
            vec!["list"],
            vec!["check"],
            vec!["export"],
            vec!["discard", "--yes"],
            vec!["drain", "--key", "k"],
        ] {
            let arguments = [vec!["spool"], words, vec![folder.as_str()]].concat();
            test.expect(&arguments.join(" "), &arguments, 3, &["cannot be used as a spool", reason])?;
        }
    }
    test.checks.that("none of them was touched", snapshot(test.work.path())? == before);
    Ok(())
}

/// A disk that fails costs what it fails for, and says so.
fn failing_disk(test: &mut Cli) -> Outcome<()> {
    let spool = Spool::new(test, "failing")?;
    let instance = spool.dead(DESTINATION, 1, &["waiting", "waiting"])?;
    let (folder, segment) = (spool.shown(), instance.join("00000001.phs").display().to_string());
    let reading = ["strace", "-o", "/dev/null", "-P", &segment, "-e", "inject=read:error=EIO"];
    let removing = ["strace", "-o", "/dev/null", "-e", "inject=unlinkat:error=EROFS"];
    let before = snapshot(&spool.folder)?;
    read_only(test, &folder)?;
    let check = ["spool", "check", &folder];
    test.expect_with(
        "check",
        &reading,
        &check,
        "",
        1,
        &["reading 00000001.phs failed: Input/output error", "= 1 pending"],
    )?;
    let discard = ["spool", "discard", "--yes", &folder];
    let expected =
        ["reading 00000001.phs failed: Input/output error", "removed: 1 segment with 1 pending event"];
    test.expect_with("discard", &reading, &discard, "", 3, &expected)?;
    test.checks.that("what cannot be read is there", Path::new(&segment).exists());
    let expected = ["Read-only file system", "removed: 0 segments"];
    test.expect_with("a disk that became read-only", &removing, &discard, "", 3, &expected)?;
    let (now, path) = (snapshot(&spool.folder)?, Path::new(&segment));
    let of = |all: &[Seen]| all.iter().find(|file| file.0 == path).cloned();
    test.checks.that("the segment is as it was", of(&now).is_some() && of(&now) == of(&before));
    Ok(())
}

/// Where no lock can be opened, no process is taken for a dead one, and its events can be exported nevertheless.
fn read_only(test: &mut Cli, folder: &str) -> Outcome<()> {
    let mut before = namespace()?;
    let script =
        format!("mount --bind {folder} {folder} && mount -o remount,ro,bind {folder} && exec \"$0\" \"$@\"");
    before.extend(["sh".to_owned(), "-c".to_owned(), script]);
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let list = ["spool", "list", folder];
    let expected = ["alive or dead: its lock cannot be tried", "2 pending events in 2 segments"];
    test.expect_with("list on a read-only disk", &before, &list, "", 0, &expected)?;
    let export = ["spool", "export", folder];
    let expected =
        ["0 events of 0 segments written", "2 events of living processes left out, or", "--living includes"];
    test.expect_with("export from a read-only disk", &before, &export, "", 0, &expected)?;
    let export = ["spool", "export", "--living", folder];
    test.expect_with("all of it", &before, &export, "", 0, &["2 events of 2 segments written"])?;
    let discard = ["spool", "discard", "--yes", folder];
    let expected = ["1 instance left alone", "removed: 0 segments"];
    test.expect_with("discard on a read-only disk", &before, &discard, "", 0, &expected)
}
