//! What a store does at the bounds that its settings give, with a disk that fails, and with what others left.

use uuid::Uuid;

use super::histories::{identity, settings};
use super::reading::segment;
use super::sim_disk::SimDisk;
use crate::config::SpoolSafety;
use crate::spool::disk::Disk;
use crate::spool::record::Record;
use crate::spool::root::open_root;
use crate::spool::{
    AttemptRecord, BatchRecord, Destination, ErrorKind, Health, Identity, LostOnDisk, Moment, Notice,
    ParkedRecord, Recovered, SegmentId, Settings, Store, VerdictRecord,
};

const START: Moment = Moment { wall_ms: 1_790_000_000_000, boot_ms: 10_000, boot_id: 3 };
const DAY_MS: i64 = 86_400_000;

fn later(now: Moment, ms: u64) -> Moment {
    Moment { wall_ms: now.wall_ms + i64::try_from(ms).unwrap(), boot_ms: now.boot_ms + ms, ..now }
}

fn store(disk: &SimDisk, pid: u32, settings: Settings) -> Store<SimDisk> {
    Store::new(disk.process(), settings, identity(pid), START)
}

fn add(store: &mut Store<SimDisk>, id: u64, events: u32) {
    for index in 0..events {
        let uuid = Uuid::from_u128(u128::from(id) << 32 | u128::from(index));
        assert!(store.add_event(SegmentId(id), index, uuid, format!("\"{id} {index}\"").as_bytes()));
    }
}

/// A store that a process left when it was killed, with these segments of so many events.
fn leave(disk: &SimDisk, pid: u32, segments: &[u32]) {
    let own = disk.process();
    let mut store = Store::new(own.clone(), settings(SpoolSafety::Crash), identity(pid), START);
    (1..).zip(segments).for_each(|(id, events)| add(&mut store, id, *events));
    let _ = store.step(START);
    own.kill();
}

fn adopting(disk: &SimDisk, settings: Settings, now: Moment) -> (Store<SimDisk>, Vec<Notice>) {
    let mut store = Store::new(disk.process(), settings, identity(900), now);
    let mut notices = store.step(now);
    notices.extend(store.step(later(now, 2001)));
    (store, notices)
}

fn recover_all(store: &mut Store<SimDisk>, now: Moment) -> (Vec<Recovered>, Vec<Notice>) {
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

fn events(recovered: &[Recovered]) -> usize {
    recovered.iter().map(|recovered| recovered.contents().unwrap().pending.len()).sum()
}

/// The notices without what the uuids are; each event has one that can be read, unless it is corrupt.
fn without_uuids(notices: Vec<Notice>) -> Vec<Notice> {
    let mut notices = notices;
    for notice in &mut notices {
        if let Notice::Lost { events, uuids, reason, .. } = notice {
            assert!(uuids.len() == *events as usize || *reason == LostOnDisk::Corrupt, "{uuids:?}");
            uuids.clear();
        }
    }
    notices
}

fn lost(events: u32, reason: LostOnDisk) -> Notice {
    Notice::Lost { segment: None, events, uuids: Vec::new(), reason }
}

/// Whether a path is that of a segment.
fn is_segment(path: &str) -> bool {
    path.strip_suffix(".phs").is_some()
}

fn files(disk: &SimDisk) -> Vec<String> {
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
fn processes_that_outlive_a_takeover_do_not_give_its_segment_up() {
    // (how long each process lives after it has taken the segment over, whether the eighth still finds it)
    for (lives_ms, is_there) in [(999, false), (1000, true)] {
        let disk = SimDisk::new(1);
        leave(&disk, 1, &[7]);
        let mut now = START;
        let mut found = 0;
        for pid in 10..18 {
            let own = disk.process();
            now = later(now, 10_000);
            let mut store = Store::new(own.clone(), settings(SpoolSafety::Exit), identity(pid), now);
            let _ = store.step(now);
            let _ = store.step(later(now, 2001));
            found = events(&recover_all(&mut store, later(now, 2001)).0);
            let _ = store.step(later(now, 2001));
            let _ = store.step(later(now, 2001 + lives_ms));
            own.kill();
        }
        assert_eq!(
            (found == 7, files(&disk).iter().any(|file| file.contains("/bad/"))),
            (is_there, !is_there)
        );
    }
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
    leave(&disk, 1, &[20, 20]);
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
    let (events, reason) = (20, LostOnDisk::Evicted);
    let first = Notice::Lost { segment: Some(SegmentId(1)), events, uuids: Vec::new(), reason };
    assert_eq!(notices[0], first);
    assert!(store.load(SegmentId(1)).is_err());
}

#[test]
fn old_events_expire_by_a_clock_that_is_not_set() {
    for (now, expired) in [
        (later(START, 6 * 86_400_000), false),
        (later(START, 8 * 86_400_000), true),
        // The wall clock was set, in one start of the system.
        (Moment { wall_ms: START.wall_ms + 400 * DAY_MS, ..later(START, 1000) }, false),
        (Moment { wall_ms: 0, ..later(START, 1000) }, false),
        // Another start of the system.
        (Moment { wall_ms: START.wall_ms + 8 * DAY_MS, boot_ms: 1, boot_id: 4 }, true),
        (Moment { wall_ms: START.wall_ms - 400 * DAY_MS, boot_ms: 1, boot_id: 4 }, false),
    ] {
        let disk = SimDisk::new(1);
        leave(&disk, 1, &[4]);
        let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), now);
        let (recovered, notices) = recover_all(&mut store, now);
        assert_eq!(recovered.is_empty(), expired, "{now:?}");
        assert_eq!(without_uuids(notices).contains(&lost(4, LostOnDisk::Expired)), expired);
        let _ = store.step(later(now, 3000));
        assert_eq!(files(&disk).is_empty(), expired);
    }
}

#[test]
fn a_batch_is_taken_over_as_it_was() {
    let disk = SimDisk::new(1);
    let own = disk.process();
    let mut first = Store::new(own.clone(), settings(SpoolSafety::Crash), identity(1), START);
    let batch =
        BatchRecord { request_id: Uuid::from_u128(7), created_at_ms: 77, events: 3, maybe_delivered: false };
    add(&mut first, 1, 3);
    assert!(first.add_batch(SegmentId(1), batch));
    assert!(first.add_attempt(SegmentId(1), AttemptRecord { attempt: 1, sent_at_ms: 78, used: 1 }));
    let ended = [0b010];
    let verdicts = VerdictRecord { attempt: 1, response_unknown: false, ended: &ended };
    assert!(first.add_verdicts(SegmentId(1), verdicts));
    let parked = ParkedRecord { times: 1, not_before_ms: 90 };
    assert!(first.add_parked(SegmentId(1), parked));
    let (kept, _) = first.close(START);
    assert_eq!((kept.segments, kept.incomplete), (1, 0));
    let (mut second, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    let (recovered, _) = recover_all(&mut second, START);
    let contents = recovered[0].contents().unwrap();
    assert_eq!((contents.batch, contents.attempt.unwrap().attempt), (Some(batch), 1));
    assert_eq!((contents.maybe_delivered, contents.parked), (false, Some(parked)));
    let pending: Vec<_> = contents.pending.iter().map(|event| (event.index, event.wire)).collect();
    assert_eq!(pending, [(0, b"\"1 0\"".as_slice()), (2, b"\"1 2\"")]);
    // It goes on from there, and the instance goes with its last segment.
    assert!(second.add_attempt(recovered[0].segment, AttemptRecord { attempt: 2, sent_at_ms: 79, used: 2 }));
    let _ = second.step(later(START, 2100));
    let again = second.load(recovered[0].segment).unwrap();
    let contents = again.contents().unwrap();
    assert_eq!(
        (contents.attempt.unwrap().attempt, contents.maybe_delivered, contents.takeovers),
        (2, true, 0) // it has outlived the takeover
    );
    second.end(recovered[0].segment);
    let _ = second.step(later(START, 2100));
    assert!(!disk.tree().keys().any(|path| path.contains("/i-1-")), "{:?}", disk.tree().keys());
    drop(own);
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

#[test]
fn the_living_are_left_alone() {
    let disk = SimDisk::new(1);
    let living = disk.process();
    let mut first = Store::new(living.clone(), settings(SpoolSafety::Crash), identity(1), START);
    add(&mut first, 1, 3);
    let _ = first.step(START);
    let (mut second, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    assert_eq!(second.waiting(), 0);
    living.kill();
    let _ = second.step(later(START, 45_000));
    assert_eq!(second.waiting(), 1);
    // A third one cannot have it, too.
    let (third, _) = adopting(&disk, settings(SpoolSafety::Crash), later(START, 45_000));
    assert_eq!(third.waiting(), 0);
}

/// The known race of unlink and lock.
#[test]
fn an_instance_whose_lock_was_removed_meanwhile_is_not_taken_over() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3]);
    let mut store = store(&disk, 2, settings(SpoolSafety::Crash));
    let _ = store.step(START);
    disk.faults(|faults| faults.removes_locks = true);
    let _ = store.step(later(START, 2001));
    assert_eq!(store.waiting(), 0);
}

/// A capturing thread appends while the rest of a record waits for space.
#[test]
fn a_record_that_was_cut_is_written_again_as_a_whole() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 1, Settings { adopts: false, ..settings(SpoolSafety::Call) });
    let _ = store.step(START);
    let (spare, appender) = store.take_spare().unwrap();
    store.bind(SegmentId(1), spare, 0);
    let used = disk.used();
    add(&mut store, 1, 2);
    // The file system says that there is space, and there is none.
    disk.faults(|faults| (faults.capacity, faults.hides_free_space) = (Some(used + 20), true));
    let _ = store.step(START);
    assert_eq!((store.health(), disk.used()), (Health::Full, used + 20));
    disk.faults(|faults| faults.capacity = None);
    assert!(appender.append(7, Uuid::nil(), b"7", &mut Vec::new()).is_ok());
    let _ = store.step(later(START, 5000));
    let loaded = store.load(SegmentId(1)).unwrap();
    let indexes: Vec<_> = loaded.contents().unwrap().pending.iter().map(|event| event.index).collect();
    assert_eq!(indexes, [0, 1, 7]);
}

#[test]
fn without_locks_nothing_is_taken_over() {
    let disk = SimDisk::new(1);
    disk.faults(|faults| faults.no_locks = true);
    leave(&disk, 1, &[3]);
    let (store, notices) = adopting(&disk, settings(SpoolSafety::Crash), START);
    assert_eq!((store.waiting(), store.health(), notices), (0, Health::Ok, vec![]));
}

#[test]
fn a_segment_that_ends_its_processes_is_given_up() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3]);
    for _ in 0..5 {
        let process = disk.process();
        let mut store = Store::new(process.clone(), settings(SpoolSafety::Crash), identity(2), START);
        let _ = [store.step(START), store.step(later(START, 2001))];
        assert_eq!(events(&recover_all(&mut store, START).0), 3);
        process.kill();
    }
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    let (recovered, notices) = recover_all(&mut store, START);
    assert_eq!(recovered.len(), 0);
    assert!(without_uuids(notices).contains(&lost(3, LostOnDisk::Corrupt)));
    assert!(files(&disk)[0].contains("/bad/"));
}

/// During a long outage, short-lived processes take the same segment over again and again.
#[test]
fn a_segment_that_processes_let_go_of_in_order_is_not_given_up() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3]);
    for _ in 0..20 {
        let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
        assert_eq!(events(&recover_all(&mut store, START).0), 3);
        let (kept, _) = store.close(later(START, 3000));
        assert_eq!(kept.segments, 1);
    }
}

#[test]
fn damaged_events_are_counted_once() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[5]);
    disk.change("00000001.phs", |bytes| {
        let place = bytes.windows(5).position(|window| window == b"\"1 2\"").unwrap();
        bytes[place] = b'x';
    });
    for round in 0..2 {
        let process = disk.process();
        let mut store = Store::new(process.clone(), settings(SpoolSafety::Crash), identity(2), START);
        let _ = [store.step(START), store.step(later(START, 2001))];
        let (recovered, notices) = recover_all(&mut store, START);
        assert_eq!(events(&recovered), 4);
        let expected: &[_] = if round == 0 { &[lost(1, LostOnDisk::Corrupt)] } else { &[] };
        assert_eq!(without_uuids(notices), expected);
        process.kill();
    }
}

#[test]
fn what_is_not_ours_or_newer_stays_byte_for_byte() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[2]);
    let root = open_root(&disk, "/spool".as_ref()).unwrap();
    let destination = disk.open_folder(&root, &identity(1).destination.folder_name()).unwrap();
    let names = disk.list(&destination).unwrap();
    let instance = names.iter().find(|name| name.starts_with("i-1-")).unwrap();
    let folder = disk.open_folder(&destination, instance).unwrap();
    let mut newer = segment(&[]);
    crate::spool::record::frame(&mut newer, b'Q', 0, 0, &[b"later"]).unwrap();
    disk.put(folder, "00000002.phs", &newer);
    disk.put(folder, "00000003.phs", b"#!/bin/sh");
    disk.put(folder, "00000004.phs", &segment(&[]));
    disk.give_away(folder, "00000004.phs");
    disk.put(folder, "notes.txt", b"mine");
    let before = disk.tree();
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    let (recovered, notices) = recover_all(&mut store, START);
    assert_eq!((events(&recovered), notices), (2, vec![]));
    for recovered in &recovered {
        store.end(recovered.segment);
    }
    for seconds in [3, 50, 100, 150] {
        let _ = store.step(later(START, seconds * 1000));
        assert_eq!(store.waiting(), 0, "it is looked at once");
    }
    let _ = store.close(later(START, 150_000));
    let after = disk.tree();
    for end in ["00000002.phs", "00000003.phs", "00000004.phs", "notes.txt", "lock"] {
        let of = |tree: &std::collections::BTreeMap<String, Vec<u8>>| {
            tree.iter()
                .find(|(path, _)| path.contains("/i-1-") && path.ends_with(end))
                .map(|(_, bytes)| bytes.clone())
        };
        assert!(of(&before).is_some() && of(&before) == of(&after), "{end}");
    }
    assert!(!after.keys().any(|path| path.contains("/i-1-") && path.ends_with("00000001.phs")));
}

#[test]
fn what_cannot_be_removed_is_not_taken_over() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[2]);
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    disk.faults(|faults| faults.read_only = true);
    assert_eq!(recover_all(&mut store, START).0.len(), 0);
    assert_eq!(files(&disk).len(), 1);
    // On a full disk it is, for that frees space.
    disk.faults(|faults| faults.read_only = false);
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), later(START, 5000));
    let used = disk.used();
    disk.faults(|faults| faults.capacity = Some(used));
    let (recovered, _) = recover_all(&mut store, START);
    assert_eq!(events(&recovered), 2);
    store.end(recovered[0].segment);
    let _ = store.step(later(START, 8000));
    assert_eq!(files(&disk).len(), 0);
}

#[test]
fn a_folder_that_is_being_made_is_left_for_a_minute() {
    let disk = SimDisk::new(1);
    disk.set_wall_ms(START.wall_ms);
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    let root = open_root(&disk, "/spool".as_ref()).unwrap();
    let destination = disk.open_folder(&root, &identity(1).destination.folder_name()).unwrap();
    for name in ["i-5-0000000000000005", "i-6-0000000000000006"] {
        disk.make_folder(&destination, name).unwrap();
    }
    // A power cut took the name of its lock.
    let folder = disk.open_folder(&destination, "i-6-0000000000000006").unwrap();
    disk.put(folder, "00000001.phs", &segment(&[Record::Event { index: 0, uuid: Uuid::nil(), wire: b"1" }]));
    let _ = store.step(later(START, 45_000));
    assert_eq!((store.waiting(), disk.list(&destination).unwrap().len()), (0, 4));
    let _ = store.step(later(START, 90_000));
    assert_eq!((store.waiting(), disk.list(&destination).unwrap().len()), (1, 3));
}

#[test]
fn many_dead_processes_are_taken_over_some_at_a_time() {
    let disk = SimDisk::new(1);
    (1..=40).for_each(|pid| leave(&disk, pid, &[1]));
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    assert_eq!(store.waiting(), 16);
    let (mut all, mut now) = (0, START);
    for _ in 0..10 {
        let (recovered, _) = recover_all(&mut store, now);
        all += recovered.len();
        for recovered in &recovered {
            store.end(recovered.segment);
        }
        // The rest does not wait for half a minute.
        now = later(now, 3001);
        let _ = store.step(now);
    }
    assert_eq!((all, files(&disk).len()), (40, 0));
}

#[test]
fn segments_of_forgotten_destinations_go_after_thirty_days() {
    let disk = SimDisk::new(1);
    let other = Identity { destination: Destination::of("https://host", "rotated"), ..identity(1) };
    let process = disk.process();
    let mut store = Store::new(process.clone(), settings(SpoolSafety::Crash), other, START);
    add(&mut store, 1, 3);
    let _ = store.step(START);
    process.kill();
    for (days, left) in [(29, 1), (31, 0)] {
        let now = later(START, days * 86_400_000);
        let (_store, notices) = adopting(&disk, settings(SpoolSafety::Crash), now);
        assert_eq!(files(&disk).len(), left);
        assert_eq!(notices.iter().any(|notice| matches!(notice, Notice::Log(_))), left == 0);
    }
}

#[test]
fn bad_segments_are_bounded() {
    let disk = SimDisk::new(1);
    for pid in 1..=30 {
        disk.set_wall_ms(i64::from(pid));
        leave(&disk, pid, &[1]);
    }
    // Without both headers they cannot be used.
    for pid in 1..=30 {
        let path =
            disk.tree().into_keys().find(|path| path.contains(&format!("/i-{pid}-")) && is_segment(path));
        let instance = path.unwrap();
        disk.change_at(&instance, |bytes| {
            let end = bytes.len() - 40;
            bytes[8..end].fill(b'x');
            bytes.resize(1000, b'x');
        });
    }
    let mut now = START;
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), now);
    for _ in 0..10 {
        assert_eq!(recover_all(&mut store, now).0.len(), 0);
        now = later(now, 3001);
        let _ = store.step(now);
    }
    assert_eq!(files(&disk).len(), 16);
}

#[test]
fn a_discard_leaves_nothing() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3, 4]);
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    add(&mut store, 1, 3);
    let _ = store.step(later(START, 3000));
    let _ = store.recover(SegmentId(9), START);
    // What was left since the last look is discarded, too.
    leave(&disk, 3, &[5]);
    store.end(SegmentId(1));
    store.end(SegmentId(9));
    let (done, notices) = store.discard(later(START, 3000));
    assert!(done);
    let expected = [lost(4, LostOnDisk::Discarded), lost(5, LostOnDisk::Discarded)];
    assert_eq!(without_uuids(notices), expected);
    assert_eq!(files(&disk).len(), 0);
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
