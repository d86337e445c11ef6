//! What a store does at the bounds that its settings give, and with a disk that fails.

use uuid::Uuid;

use super::histories::{identity, settings};
use super::sim_disk::SimDisk;
use crate::config::SpoolSafety;
use crate::spool::root::open_root;
use crate::spool::{
    AttemptRecord, ErrorKind, Health, LostEvents, LostOnDisk, Moment, Notice, Recovered, SegmentId, Settings,
    Store,
};

pub(super) const START: Moment = Moment { wall_ms: 1_790_000_000_000, boot_ms: 10_000, boot_id: 3 };
pub(super) const DAY_MS: i64 = 86_400_000;

pub(super) fn later(now: Moment, ms: u64) -> Moment {
    Moment { wall_ms: now.wall_ms + i64::try_from(ms).unwrap(), boot_ms: now.boot_ms + ms, ..now }
}

pub(super) fn store(disk: &SimDisk, pid: u32, settings: Settings) -> Store<SimDisk> {
    Store::new(disk.process(), settings, identity(pid), START)
}

pub(super) fn add(store: &mut Store<SimDisk>, id: u64, events: u32) {
    for index in 0..events {
        let uuid = Uuid::from_u128(u128::from(id) << 32 | u128::from(index));
        assert!(store.add_event(SegmentId(id), index, uuid, format!("\"{id} {index}\"").as_bytes()));
    }
}

/// A store that a process left when it was killed, with these segments of so many events.
pub(super) fn leave(disk: &SimDisk, pid: u32, segments: &[u32]) {
    let own = disk.process();
    let mut store = Store::new(own.clone(), settings(SpoolSafety::Crash), identity(pid), START);
    (1..).zip(segments).for_each(|(id, events)| add(&mut store, id, *events));
    let _ = store.step(START);
    own.kill();
}

pub(super) fn adopting(disk: &SimDisk, settings: Settings, now: Moment) -> (Store<SimDisk>, Vec<Notice>) {
    let mut store = Store::new(disk.process(), settings, identity(900), now);
    let mut notices = store.step(now);
    notices.extend(store.step(later(now, 2001)));
    (store, notices)
}

pub(super) fn recover_all(store: &mut Store<SimDisk>, now: Moment) -> (Vec<Recovered>, Vec<Notice>) {
    let (mut all, mut notices) = (Vec::new(), Vec::new());
    for id in 1000.. {
        let (recovered, more) = store.recover(SegmentId(id), now);
        notices.extend(more);
        match recovered {
            Some(recovered) => all.push(recovered),
            None => break,
        }
    }
    (all, notices)
}

pub(super) fn events(recovered: &[Recovered]) -> usize {
    recovered.iter().map(|recovered| recovered.contents().unwrap().pending.len()).sum()
}

/// The notices without what the uuids are, and whether the server may have the events; each event has a uuid that can be
/// read, unless it is corrupt.
pub(super) fn without_uuids(notices: Vec<Notice>) -> Vec<Notice> {
    let mut notices = notices;
    for notice in &mut notices {
        if let Notice::Lost { events: LostEvents { count, uuids, maybe_delivered }, reason, .. } = notice {
            assert!(uuids.len() == *count as usize || *reason == LostOnDisk::Corrupt, "{uuids:?}");
            uuids.clear();
            *maybe_delivered = false;
        }
    }
    notices
}

pub(super) fn lost(count: u32, reason: LostOnDisk) -> Notice {
    Notice::Lost { segment: None, events: LostEvents { count, ..LostEvents::default() }, reason }
}

/// Whether a path is that of a segment.
pub(super) fn is_segment(path: &str) -> bool {
    path.strip_suffix(".phs").is_some()
}

pub(super) fn files(disk: &SimDisk) -> Vec<String> {
    disk.tree().into_keys().filter(|path| is_segment(path)).collect()
}

#[test]
fn what_ends_before_its_step_is_never_written() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, settings(SpoolSafety::Crash));
    let _ = store.step(START);
    store.announce(START);
    assert_eq!(store.due(), Some(START.boot_ms + 50));
    assert!(!store.wants_events(later(START, 49)) && store.wants_events(later(START, 50)));
    add(&mut store, 1, 5);
    store.end(SegmentId(1));
    let before = disk.calls();
    let _ = store.step(later(START, 50));
    assert_eq!((files(&disk), disk.calls()), (vec![], before));
    // Nothing is to be done until dead processes are looked for.
    assert_eq!(store.due(), Some(START.boot_ms + 2000));
}

#[test]
fn a_full_disk_is_tried_again_after_five_seconds() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, settings(SpoolSafety::Crash));
    let _ = store.step(START);
    let used = disk.used();
    disk.faults(|faults| faults.capacity = Some(used + 300));
    add(&mut store, 1, 20);
    let notices = store.step(START);
    assert!(matches!(&notices[..], [Notice::Health(Health::Full, _)]), "{notices:?}");
    assert_eq!((store.health(), store.due()), (Health::Full, Some(START.boot_ms + 2000)));
    assert!(!store.wants_events(later(START, 100)));
    let _ = store.step(later(START, 2000));
    assert_eq!(store.due(), Some(START.boot_ms + 5000));
    // It is said once.
    assert_eq!(store.step(later(START, 5000)), []);
    disk.faults(|faults| faults.capacity = None);
    let notices = store.step(later(START, 10_000));
    assert_eq!(notices[0], Notice::Stored { segment: SegmentId(1), synced: false });
    assert!(matches!(notices[1], Notice::Health(Health::Ok, _)));
    assert_eq!(events(&[store.load(SegmentId(1)).unwrap()]), 20);
}

#[test]
fn the_file_system_keeps_its_free_space() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, Settings { min_free_bytes: 5000, ..settings(SpoolSafety::Crash) });
    disk.faults(|faults| faults.capacity = Some(5100));
    add(&mut store, 1, 5);
    let notices = store.step(START);
    assert!(
        matches!(&notices[..], [Notice::Health(Health::Full, text)] if text.contains("spool_min_free_bytes"))
    );
    assert_eq!(files(&disk), [""; 0]);
    store.end(SegmentId(1));
    disk.faults(|faults| faults.capacity = Some(9000));
    add(&mut store, 2, 5);
    let _ = store.step(later(START, 5000));
    assert_eq!((store.health(), files(&disk).len()), (Health::Ok, 1));
}

#[test]
fn a_disk_with_too_little_space_takes_what_fits() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, settings(SpoolSafety::Crash));
    add(&mut store, 1, 20);
    let _ = store.step(START);
    let used = disk.used();
    disk.faults(|faults| faults.capacity = Some(4 * used));
    (2..=6).for_each(|id| add(&mut store, id, 20));
    let notices = store.step(START);
    let stored = |id| Notice::Stored { segment: SegmentId(id), synced: false };
    assert_eq!(notices[..3], [stored(2), stored(3), stored(4)]);
    assert!(matches!(&notices[3..], [Notice::Health(Health::Full, _)]), "{notices:?}");
    assert_eq!(files(&disk).len(), 4);
    // The same holds for the quota.
    let quota = Settings { max_bytes: 11 * used / 2, ..settings(SpoolSafety::Crash) };
    disk.faults(|faults| faults.capacity = None);
    let mut other = Store::new(disk.process(), quota, identity(2), START);
    (1..=3).for_each(|id| add(&mut other, id, 20));
    let notices = other.step(START);
    assert!(matches!(&notices[..], [Notice::Stored { .. }, Notice::Health(Health::Full, _)]), "{notices:?}");
}

#[test]
fn errors_have_their_states_and_times() {
    for (kind, health, retry_ms) in [
        (ErrorKind::Full, Health::Full, 5_000),
        (ErrorKind::Denied, Health::Off, 60_000),
        (ErrorKind::Other, Health::Off, 60_000),
    ] {
        let disk = SimDisk::new(1);
        let mut store = store(&disk, 1, Settings { adopts: false, ..settings(SpoolSafety::Crash) });
        let _ = store.step(START);
        disk.faults(|faults| faults.writes = Some((100, kind)));
        add(&mut store, 1, 3);
        let _ = store.step(START);
        assert_eq!((store.health(), store.due()), (health, Some(START.boot_ms + retry_ms)), "{kind:?}");
        disk.faults(|faults| faults.writes = None);
        let _ = store.step(later(START, retry_ms));
        assert_eq!((store.health(), store.due()), (Health::Ok, None));
        assert_eq!(events(&[store.load(SegmentId(1)).unwrap()]), 3);
    }
}

#[test]
fn a_file_at_which_the_disk_failed_is_written_again_and_then_given_up() {
    for fails_at_sync in [false, true] {
        let disk = SimDisk::new(1);
        let safety = if fails_at_sync { SpoolSafety::Power } else { SpoolSafety::Crash };
        let mut store = store(&disk, 1, Settings { adopts: false, ..settings(safety) });
        let failing = Some((100, ErrorKind::Failed));
        let fail = |fault| {
            disk.faults(|faults| {
                let slot = if fails_at_sync { &mut faults.syncs } else { &mut faults.writes };
                *slot = fault;
            });
        };
        let _ = store.step(START);
        fail(failing);
        add(&mut store, 1, 3);
        let notices = [store.step(START), store.step(later(START, 1000))].concat();
        assert!(notices.contains(&Notice::Rewrite(SegmentId(1))), "{notices:?}");
        add(&mut store, 1, 3);
        fail(None);
        let _ = store.step(later(START, 1100));
        let _ = store.step(later(START, 2200));
        let _ = store.step(later(START, 2200));
        // The first file is gone, and the second one is whole.
        assert_eq!((store.health(), files(&disk).len()), (Health::Ok, 1));
        assert_eq!(events(&[store.load(SegmentId(1)).unwrap()]), 3);

        fail(failing);
        let mut now = later(START, 3000);
        for _ in 0..3 {
            add(&mut store, 2, 1);
            let _ = [store.step(now), store.step(later(now, 1000))];
            now = later(now, 1000);
            if store.health() == Health::Failed {
                break;
            }
        }
        assert_eq!(store.health(), Health::Failed);
        // What is added meanwhile waits for the disk.
        assert!(!store.add_event(SegmentId(2), 0, Uuid::nil(), b"1"));
        fail(None);
        let notices = store.step(later(now, 600_000));
        assert!(notices.contains(&Notice::Rewrite(SegmentId(2))), "{notices:?}");
        add(&mut store, 2, 1);
        let _ = store.step(later(now, 600_000));
        assert_eq!(store.health(), Health::Ok);
        assert_eq!(events(&[store.load(SegmentId(2)).unwrap()]), 1);
    }
}

/// The file at which the disk failed may have all events, too.
#[test]
fn a_close_leaves_one_copy_of_what_was_written_again() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, settings(SpoolSafety::Crash));
    add(&mut store, 1, 3);
    let _ = store.step(START);
    disk.faults(|faults| faults.syncs = Some((100, ErrorKind::Failed)));
    let (done, notices) = store.persist(START);
    assert!(!done && notices.contains(&Notice::Rewrite(SegmentId(1))), "{notices:?}");
    disk.faults(|faults| faults.syncs = None);
    add(&mut store, 1, 3);
    let (kept, _) = store.close(START);
    assert_eq!((kept.segments, files(&disk).len()), (1, 1));
}

#[test]
fn what_left_memory_and_could_not_be_synced_is_never_called_persisted() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, settings(SpoolSafety::Crash));
    add(&mut store, 1, 3);
    let _ = store.step(START);
    store.release(SegmentId(1));
    disk.faults(|faults| faults.syncs = Some((100, ErrorKind::Failed)));
    assert!(!store.persist(START).0);
    disk.faults(|faults| faults.syncs = None);
    add(&mut store, 2, 1);
    let stored = |synced| Notice::Stored { segment: SegmentId(2), synced };
    // A second sync would succeed, also where the disk has dropped what it could not write.
    assert_eq!(store.persist(later(START, 60_000)), (false, vec![stored(false), stored(true)]));
    store.end(SegmentId(1));
    assert_eq!(store.persist(later(START, 60_001)), (true, vec![]));
}

/// Events leave memory when they are stored: one that is written only could be lost by a sync that fails.
#[test]
fn at_power_nothing_is_stored_before_it_is_synced() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, settings(SpoolSafety::Power));
    let stored = |id| Notice::Stored { segment: SegmentId(id), synced: true };
    add(&mut store, 1, 3);
    assert_eq!(store.step(START), []);
    assert_eq!(events(&[store.load(SegmentId(1)).unwrap()]), 3);
    assert_eq!(store.step(later(START, 1000)), [stored(1)]);
    // Where memory is short, it does not wait for the interval.
    store.sync_soon();
    assert_eq!(store.step(later(START, 1001)), []);
    add(&mut store, 2, 3);
    store.sync_soon();
    assert_eq!(store.step(later(START, 1002)), [stored(2)]);
}

#[test]
fn a_spool_that_cannot_be_used_is_tried_again_after_a_minute() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, settings(SpoolSafety::Crash));
    disk.faults(|faults| faults.read_only = true);
    add(&mut store, 1, 3);
    let notices = store.step(START);
    assert!(
        matches!(&notices[..], [Notice::Health(Health::Off, text)] if text.contains("/spool")),
        "{notices:?}"
    );
    assert_eq!(store.step(later(START, 59_000)), []);
    disk.faults(|faults| faults.read_only = false);
    let _ = store.step(later(START, 60_000));
    assert_eq!((store.health(), files(&disk).len()), (Health::Ok, 1));
}

#[test]
fn the_quota_holds_for_all_processes_together() {
    let disk = SimDisk::new(1);
    (1..=2).for_each(|pid| leave(&disk, pid, &[20]));
    let used = disk.used();
    let quota = Settings { max_bytes: used + 200, ..settings(SpoolSafety::Crash) };
    // Without eviction nothing more is written.
    let (mut full, _) = adopting(&disk, quota, START);
    add(&mut full, 1, 20);
    let notices = full.step(later(START, 3000));
    assert!(matches!(&notices[..], [Notice::Health(Health::Full, text)] if text.contains("spool_max_bytes")));
    full.end(SegmentId(1));
    let _ = full.close(later(START, 3000));
    // With it, the oldest segment that is in no memory makes space.
    let (mut store, _) = adopting(&disk, Settings { evicts: true, ..quota }, START);
    assert_eq!(store.waiting(), 2);
    add(&mut store, 1, 20);
    let notices = without_uuids(store.step(later(START, 3000)));
    assert_eq!(
        notices,
        [lost(20, LostOnDisk::Evicted), Notice::Stored { segment: SegmentId(1), synced: false }]
    );
    assert_eq!((store.waiting(), files(&disk).len()), (1, 2));
    // Events in memory are not lost for others: the second goes, and then nothing can.
    add(&mut store, 2, 20);
    assert_eq!(without_uuids(store.step(later(START, 3100)))[0], lost(20, LostOnDisk::Evicted));
    add(&mut store, 3, 20);
    let notices = store.step(later(START, 3200));
    assert!(matches!(&notices[..], [Notice::Health(Health::Full, _)]), "{notices:?}");
    // A segment that has left memory may go.
    store.release(SegmentId(1));
    let notices = without_uuids(store.step(later(START, 8200)));
    let events = LostEvents { count: 20, ..LostEvents::default() };
    let first = Notice::Lost { segment: Some(SegmentId(1)), events, reason: LostOnDisk::Evicted };
    assert_eq!(notices[0], first);
    assert!(store.load(SegmentId(1)).is_err());
}

/// Also before all files are listed again.
#[test]
fn what_is_removed_makes_space_at_once() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[20]);
    // For two segments and a half, one of which is not this client's.
    let quota = Settings { max_bytes: 5 * disk.used() / 2, adopts: false, ..settings(SpoolSafety::Crash) };
    let mut store = store(&disk, 2, quota);
    for id in 1..=5 {
        add(&mut store, id, 20);
        let stored = Notice::Stored { segment: SegmentId(id), synced: false };
        assert_eq!(store.step(later(START, 10 * id)), [stored]);
        store.end(SegmentId(id));
    }
}

/// Another program removes single files: it costs what was in no memory, and nothing else.
#[test]
fn a_file_that_is_removed_by_others_concerns_its_segment_only() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3]);
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    (1..=20).for_each(|id| add(&mut store, id, 2));
    let _ = store.step(later(START, 3000));
    let (recovered, _) = store.recover(SegmentId(99), START);
    let adopted = recovered.unwrap().segment;
    for path in files(&disk) {
        // The files of the first segments are closed by now.
        if path.contains("/i-1-") || path.strip_suffix("/00000002.phs").is_some() {
            disk.remove_at(&path);
        }
    }
    for segment in [adopted, SegmentId(2)] {
        assert!(store.add_attempt(segment, AttemptRecord { attempt: 1, sent_at_ms: 1, used: 1 }));
    }
    let notices = store.step(later(START, 3100));
    assert_eq!((notices, store.health()), (vec![Notice::Rewrite(SegmentId(2))], Health::Ok));
    add(&mut store, 2, 2);
    let _ = store.step(later(START, 3100));
    assert_eq!(events(&[store.load(SegmentId(2)).unwrap()]), 2);
    store.end(adopted);
    let _ = store.step(later(START, 3100));
    assert_eq!((files(&disk).len(), store.health()), (20, Health::Ok));
}

/// A capturing thread appends while the rest of a record waits for space.
#[test]
fn a_record_that_was_cut_is_written_again_as_a_whole() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, Settings { adopts: false, ..settings(SpoolSafety::Call) });
    let _ = store.step(START);
    let appender = store.lend(SegmentId(1), 1000, START).0.unwrap();
    let used = disk.used();
    add(&mut store, 1, 2);
    // The file system says that there is space, and there is none.
    disk.faults(|faults| (faults.capacity, faults.hides_free_space) = (Some(used + 20), true));
    let _ = store.step(START);
    assert_eq!((store.health(), disk.used()), (Health::Full, used + 20));
    disk.faults(|faults| faults.capacity = None);
    assert!(appender.append(7, Uuid::nil(), b"7").is_ok());
    let _ = store.step(later(START, 5000));
    let loaded = store.load(SegmentId(1)).unwrap();
    let indexes: Vec<_> = loaded.contents().unwrap().pending.iter().map(|event| event.index).collect();
    assert_eq!(indexes, [0, 1, 7]);
}

/// What captures may append is within the bounds that hold for the store, and to lend it evicts nothing.
#[test]
fn nothing_is_lent_for_which_there_is_no_space() {
    let disk = SimDisk::new(1);
    let bounds = Settings { max_bytes: 5000, evicts: true, ..settings(SpoolSafety::Call) };
    let mut store = store(&disk, 1, bounds);
    assert!(store.lend(SegmentId(1), 5001, START).0.is_none());
    let (file, notices) = store.lend(SegmentId(1), 4000, START);
    assert_eq!(notices, [Notice::Stored { segment: SegmentId(1), synced: false }]);
    for index in 0..40 {
        assert!(file.as_ref().unwrap().append(index, Uuid::nil(), &[b'1'; 58]).is_ok());
    }
    store.appended(SegmentId(1), 40, 40 * 90);
    store.release(SegmentId(1));
    let (file, notices) = store.lend(SegmentId(2), 2000, later(START, 2000));
    assert!(file.is_none() && notices.is_empty() && store.health() == Health::Ok, "{notices:?}");
    assert_eq!(store.load(SegmentId(1)).unwrap().contents().unwrap().pending.len(), 40);
    store.end(SegmentId(1));
    let _ = store.step(later(START, 2100));
    assert!(store.lend(SegmentId(2), 2000, later(START, 4000)).0.is_some());
    // The segments say themselves how many events they have.
    store.appended(SegmentId(2), 3, 100);
    assert_eq!(store.close(later(START, 5000)).0.segments, 1);
    let (recovered, _) = adopting(&disk, settings(SpoolSafety::Crash), later(START, 6000));
    assert_eq!(recovered.waiting(), 1);
}

#[test]
fn a_close_without_events_leaves_no_instance() {
    let disk = SimDisk::new(1);
    for safety in [SpoolSafety::Exit, SpoolSafety::Crash, SpoolSafety::Call, SpoolSafety::Power] {
        let mut store = store(&disk, 1, settings(safety));
        let _ = store.step(START);
        add(&mut store, 1, 2);
        let _ = store.step(START);
        store.end(SegmentId(1));
        let _ = store.close(START);
        assert!(!disk.tree().keys().any(|path| path.contains("/i-")), "{:?}", disk.tree().keys());
    }
}

#[test]
fn few_files_are_open_at_a_time() {
    let disk = SimDisk::new(1);
    for safety in [SpoolSafety::Crash, SpoolSafety::Power] {
        let mut store = store(&disk, 1, settings(safety));
        let _ = store.step(START);
        for id in 1..=300 {
            add(&mut store, id, 1);
        }
        let _ = store.step(START);
        assert!(store.open_files() <= 64, "{}", store.open_files());
        let _ = store.step(later(START, 1000));
        assert!(store.open_files() <= 8);
    }
}

#[test]
fn a_folder_of_others_is_refused() {
    let disk = SimDisk::new(1);
    disk.put(1, "holiday.jpg", b"");
    let text = open_root(&disk, "/spool".as_ref()).unwrap_err().text;
    assert!(text.contains("holiday.jpg") && text.contains("phc-spool"), "{text}");
    let disk = SimDisk::new(1);
    disk.put(1, "phc-spool", b"phc-spool 2\n");
    assert!(open_root(&disk, "/spool".as_ref()).unwrap_err().text.contains("version"));
    for text in ["", "phc-sp", "phc-spool 1\n", "phc-\0\0\0", "phc-spool 1\nphc-spool 1\n"] {
        let disk = SimDisk::new(1);
        disk.put(1, "phc-spool", text.as_bytes());
        assert!(open_root(&disk, "/spool".as_ref()).is_ok(), "{text:?}");
    }
}
