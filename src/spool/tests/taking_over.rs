//! What a store does with what dead processes left, and with what is not for it.

use uuid::Uuid;

use super::histories::{identity, settings};
use super::reading::{HEADER, segment};
use super::sim_disk::SimDisk;
use super::stores::{
    DAY_MS, START, add, adopting, events, files, is_segment, later, leave, lost, recover_all, store,
    without_uuids,
};
use crate::config::SpoolSafety;
use crate::spool::disk::Disk;
use crate::spool::instance::{Instance, Taking};
use crate::spool::record::{Header, Record};
use crate::spool::root::open_root;
use crate::spool::segment::begin;
use crate::spool::store::MAX_READS;
use crate::spool::{
    AttemptRecord, BatchRecord, Destination, ErrorKind, Health, Identity, LostOnDisk, Moment, Notice,
    PostponedRecord, SegmentId, Settings, Store, VerdictRecord,
};

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
            now = later(now, 30_000);
            let mut store = Store::new(own.clone(), settings(SpoolSafety::Exit), identity(pid), now);
            let _ = store.step(now);
            let _ = store.step(later(now, 2001));
            found = events(&recover_all(&mut store, later(now, 16_000)).0);
            let _ = store.step(later(now, 16_000));
            let _ = store.step(later(now, 16_000 + lives_ms));
            own.kill();
        }
        assert_eq!(
            (found == 7, files(&disk).iter().any(|file| file.contains("/bad/"))),
            (is_there, !is_there)
        );
    }
}

#[test]
fn old_events_expire_by_a_clock_that_is_not_set() {
    for (now, expired) in [
        // As old as the setting allows, and older.
        (later(START, 7 * 86_400_000), false),
        (later(START, 7 * 86_400_000 + 1), true),
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
    let postponed = PostponedRecord { times: 1, not_before_ms: 90 };
    assert!(first.add_postponed(SegmentId(1), postponed));
    let (kept, _) = first.close(START);
    assert_eq!((kept.segments, kept.incomplete), (1, 0));
    let (mut second, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    let (recovered, _) = recover_all(&mut second, START);
    let contents = recovered[0].contents().unwrap();
    assert_eq!((contents.batch, contents.attempt.unwrap().attempt), (Some(batch), 1));
    assert_eq!((contents.maybe_delivered, contents.postponed), (false, Some(postponed)));
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

/// A process without descriptors cannot read what others left, and does so when it has some again.
#[test]
fn what_cannot_be_read_now_is_read_later() {
    for kind in [ErrorKind::Other, ErrorKind::Failed] {
        let disk = SimDisk::new(1);
        leave(&disk, 1, &[3, 4]);
        let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
        disk.faults(|faults| faults.reads = Some((100, kind)));
        for _ in 1..MAX_READS {
            let (recovered, notices) = recover_all(&mut store, START);
            assert_eq!((recovered.len(), notices, store.waiting()), (0, vec![], 2));
        }
        disk.faults(|faults| faults.reads = None);
        assert_eq!(events(&recover_all(&mut store, START).0), 7);
    }
}

/// One that can never be read does not hold up the others, stays as it is, and is reported once.
#[test]
fn what_can_never_be_read_stays_as_it_is() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3]);
    let before = files(&disk);
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    disk.faults(|faults| faults.reads = Some((100, ErrorKind::Failed)));
    let notices: Vec<_> = (0..MAX_READS).flat_map(|_| recover_all(&mut store, START).1).collect();
    assert!(matches!(&notices[..], [Notice::Log(text)] if text.contains("00000001.phs")), "{notices:?}");
    assert_eq!((store.waiting(), files(&disk)), (0, before));
    disk.faults(|faults| faults.reads = None);
    // The next process reads it.
    store.close(START);
    let (mut next, _) = adopting(&disk, settings(SpoolSafety::Crash), later(START, 3000));
    assert_eq!(events(&recover_all(&mut next, START).0), 3);
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

#[test]
fn without_locks_nothing_is_taken_over() {
    let disk = SimDisk::new(1);
    disk.faults(|faults| faults.no_locks = true);
    leave(&disk, 1, &[3]);
    let (store, notices) = adopting(&disk, settings(SpoolSafety::Crash), START);
    assert_eq!((store.waiting(), store.health(), notices), (0, Health::Ok, vec![]));
    // Neither by what looks for dead processes, which needs a lock itself, nor without it.
    let root = open_root(&disk, "/spool".as_ref()).unwrap();
    let destination = disk.open_folder(&root, &identity(1).destination.folder_name()).unwrap();
    let names = disk.list(&destination).unwrap();
    let name = names.iter().find(|name| name.starts_with("i-1-")).unwrap();
    let taking = Instance::take(&disk, &destination, name, true);
    assert!(matches!(taking, Ok(Taking::NotDead)), "{taking:?}");
}

#[test]
fn a_segment_that_ends_its_processes_is_given_up() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3]);
    // How long each process has lived before it takes the segment over.
    for age_ms in [2001, 2001, 4000, 8000, 16_000] {
        let process = disk.process();
        let mut store = Store::new(process.clone(), settings(SpoolSafety::Crash), identity(2), START);
        let _ = [store.step(START), store.step(later(START, 2001))];
        if age_ms > 2001 {
            assert_eq!(recover_all(&mut store, later(START, age_ms - 1)).0.len(), 0, "{age_ms}");
        }
        assert_eq!(events(&recover_all(&mut store, later(START, age_ms)).0), 3, "{age_ms}");
        process.kill();
    }
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    let (recovered, notices) = recover_all(&mut store, START);
    assert_eq!(recovered.len(), 0);
    assert!(without_uuids(notices).contains(&lost(3, LostOnDisk::Corrupt)));
    assert!(files(&disk)[0].contains("/bad/"));
}

/// Workers that are killed, or end by themselves, whatever their events are.
#[test]
fn a_segment_outlives_any_number_of_processes_that_end_early() {
    for lives_ms in [2500, 4500, 8500, 16_500] {
        let disk = SimDisk::new(1);
        leave(&disk, 1, &[3]);
        for _ in 0..100 {
            let process = disk.process();
            let mut store = Store::new(process.clone(), settings(SpoolSafety::Crash), identity(2), START);
            for at_ms in (0..lives_ms).step_by(100) {
                let now = later(START, at_ms);
                let _ = store.step(now);
                recover_all(&mut store, now);
            }
            process.kill();
        }
        let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
        assert_eq!(events(&recover_all(&mut store, later(START, 60_000)).0), 3, "{lives_ms}");
    }
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
    let (done, notices) = store.discard(None, later(START, 3000));
    assert!(done);
    let expected = [lost(4, LostOnDisk::Discarded), lost(5, LostOnDisk::Discarded)];
    assert_eq!(without_uuids(notices), expected);
    assert_eq!(files(&disk).len(), 0);
}

/// The client has refused it, because the discard was asked for while it was read.
#[test]
fn a_discard_ends_a_segment_that_was_recovered_and_not_taken() {
    let disk = SimDisk::new(1);
    leave(&disk, 1, &[3]);
    let (mut store, _) = adopting(&disk, settings(SpoolSafety::Crash), START);
    let (recovered, _) = store.recover(SegmentId(9), START);
    let (done, notices) = store.discard(recovered, later(START, 3000));
    assert!(done);
    let [Notice::Lost { events, .. }] = &notices[..] else { panic!("{notices:?}") };
    // Its process was killed before it let go of it.
    assert!(events.maybe_delivered);
    assert_eq!(without_uuids(notices), [lost(3, LostOnDisk::Discarded)]);
    assert_eq!(files(&disk).len(), 0);
}

/// What is lost with it could not be counted, and what a later version has written is left as it is.
#[test]
fn a_segment_that_cannot_be_read_makes_no_space() {
    for is_newer in [true, false] {
        let disk = SimDisk::new(1);
        (1..=2).for_each(|pid| leave(&disk, pid, &[20]));
        if is_newer {
            let mut newer = Vec::new();
            begin(&mut newer, &Header { format: 9, oldest_reader: 9, ..HEADER }).unwrap();
            let oldest = files(&disk).into_iter().min().unwrap();
            disk.change_at(&oldest, |bytes| *bytes = newer);
        }
        let quota = Settings { max_bytes: disk.used() + 200, evicts: true, ..settings(SpoolSafety::Crash) };
        let (mut store, _) = adopting(&disk, quota, START);
        if !is_newer {
            disk.faults(|faults| faults.reads = Some((100, ErrorKind::Other)));
        }
        add(&mut store, 1, 20);
        let notices = without_uuids(store.step(later(START, 3000)));
        assert_eq!(notices.contains(&lost(20, LostOnDisk::Evicted)), is_newer, "{notices:?}");
        assert_eq!(store.waiting(), if is_newer { 1 } else { 2 });
        let is_left = |path: &String| path.contains("/i-1-") && is_segment(path);
        assert!(files(&disk).iter().any(is_left), "{:?}", files(&disk));
    }
}

#[test]
fn a_store_that_seeks_takes_over_all_at_once() {
    let disk = SimDisk::new(1);
    (1..=40).for_each(|pid| leave(&disk, pid, &[1]));
    let mut store = store(&disk, 900, settings(SpoolSafety::Crash));
    let mut taken = 0;
    // No time passes, and no more than two are in memory at once.
    for turn in 0..60 {
        store.seek(true, START);
        let _ = store.step(START);
        assert!(!store.has_found_none() || taken == 40, "{taken}");
        for id in 0..2 {
            let id = SegmentId(2 * turn + id + 1);
            if store.recover(id, START).0.is_some() {
                taken += 1;
                store.end(id);
            }
        }
    }
    assert_eq!((taken, store.has_found_none(), files(&disk).len()), (40, true, 0));
    // It looks again when it is asked again, and as rarely as before once it is not.
    leave(&disk, 41, &[1]);
    store.seek(true, START);
    let _ = store.step(START);
    assert!(store.has_found_none());
    store.seek(false, START);
    assert!(!store.has_found_none());
    assert!(store.due().is_some_and(|due| due > START.boot_ms));
    store.seek(true, START);
    let _ = store.step(START);
    assert!(!store.has_found_none() && store.recover(SegmentId(999), START).0.is_some());
}

#[test]
fn one_that_another_process_keeps_out_has_not_found_none() {
    let disk = SimDisk::new(1);
    let mut store = store(&disk, 900, settings(SpoolSafety::Crash));
    // The first step makes the folders.
    for _ in 0..2 {
        store.seek(true, START);
        let _ = store.step(START);
    }
    assert!(store.has_found_none());
    leave(&disk, 1, &[1]);
    let other = disk.process();
    let root = other.open_root("/spool".as_ref()).unwrap();
    let destination = other.open_folder(&root, &identity(1).destination.folder_name()).unwrap();
    let held = other.try_lock(&destination, "janitor", true).unwrap();
    store.seek(false, START);
    store.seek(true, START);
    let _ = store.step(START);
    assert!(!store.has_found_none());
    assert_eq!(store.waiting(), 0, "one process at a time takes over");
    // It does not spin meanwhile.
    assert!(store.due().is_some_and(|due| due >= START.boot_ms + 1000));
    drop(held);
    let _ = store.step(later(START, 1000));
    assert!(store.recover(SegmentId(9), START).0.is_some());
}
