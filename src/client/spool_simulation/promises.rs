//! What holds in every history.

use super::World;
use crate::config::SpoolSafety;
use crate::delivery::{DeliveryState, LossReason};

fn history(seed: u64) -> World {
    let mut world = World::new(seed);
    for _ in 0..120 {
        world.step();
        for at in 0..world.processes.len() {
            world.check(at);
        }
    }
    world.recover();
    let stats = world.processes[0].delivery.read(DeliveryState::stats_now);
    assert_eq!(stats.pending_events, 0, "not everything was sent: {stats:?}");
    let left: Vec<_> = world
        .disk
        .tree()
        .into_keys()
        .filter(|path| path.contains(".phs") && !path.contains("/bad/"))
        .collect();
    assert!(left.is_empty() || world.disk_fails, "left on disk: {left:?}");
    world
}

#[test]
fn what_the_levels_promise_holds_whatever_happens() {
    let seeds = std::env::var("PHC_SPOOL_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(400);
    let (mut kills, mut gone, mut recovered, mut appended) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let world = history(seed);
        let mut missing = 0;
        for (uuid, event) in &world.events {
            let has_ended = world.server.stored.contains_key(uuid)
                || world.server.dropped.contains(uuid)
                || world.lost.contains_key(uuid);
            if !has_ended && event.may_be_gone {
                gone += 1;
            } else if !has_ended {
                missing += 1;
                eprintln!(
                    "MISSING {uuid} {:?} at {} persisted {} fails {} crashed {}",
                    event.safety, event.captured_at, event.is_persisted, world.disk_fails, world.has_crashed
                );
            }
        }
        assert!(missing <= world.lost_without_uuid, "seed {seed}: {missing} events are missing");
        if !world.has_cut && !world.disk_fails {
            // The batch of an event that was not written yet may say that there is one.
            let unnamed = world.lost_without_uuid - world.discarded_without_uuid;
            assert!(unnamed <= world.unwritten, "seed {seed}: {unnamed} events without a name were lost");
            assert!(!world.lost.values().any(|loss| *loss == LossReason::Corrupt), "seed {seed}");
        }
        if !world.has_crashed && !world.disk_fails {
            let stats = world.processes[0].delivery.read(DeliveryState::stats_now);
            assert_eq!(world.ended.kept, world.ended.recovered + stats.recovered, "seed {seed}");
        }
        kills += u32::from(world.has_crashed);
        recovered += world.ended.recovered;
        appended += world.appended;
    }
    let all = [u64::from(kills), gone, recovered, appended];
    assert!(all.iter().all(|count| *count > 0), "{all:?}: this proves nothing");
    println!("{kills} kills, {gone} events gone with them, {recovered} recovered, {appended} appended");
}

/// The events of a segment are taken to be as old as its file, so none begins in a file that was made long ago.
#[test]
fn no_batch_begins_in_a_file_that_has_waited_for_long() {
    let mut world = World::new(0);
    (world.disk_fails, world.misbehaves) = (false, false);
    world.start(SpoolSafety::Call);
    // The first event has no file yet, the second one has; an hour later, the file that waits is too old.
    for (wait, appended) in [(10_000, 0), (10_000, 1), (3_600_001, 2), (10_000, 2), (3_599_000, 3)] {
        world.capture(0);
        assert_eq!(world.appended, appended);
        world.pass(wait);
    }
    world.capture(0);
    assert_eq!(world.appended, 4);
    let files = world.disk.tree().into_keys().filter(|path| path.contains(".phs")).count();
    // That of the last event, and one for the next.
    assert_eq!(files, 2);
    world.recover();
    assert_eq!(world.server.stored.len(), 6);
}

/// At `exit`, only the first events of a batch may be on disk before.
#[test]
fn batches_that_were_split_are_kept_whole() {
    let mut splits = 0;
    for seed in 0..100 {
        let mut world = World::new(seed);
        (world.disk_fails, world.misbehaves, world.server.splits) = (false, false, true);
        world.start(SpoolSafety::Exit);
        (0..2).for_each(|_| world.capture(0));
        world.persist(0);
        (0..5).for_each(|_| world.capture(0));
        world.processes[0].delivery.update(|state| state.begin_flush(true));
        (0..=seed % 20).for_each(|_| world.pass(100));
        splits += world.split.len();
        world.close(0);
        world.server.splits = false;
        world.recover();
        assert!(world.events.keys().all(|uuid| world.server.stored.contains_key(uuid)), "seed {seed}");
        assert_eq!((world.lost.len(), world.lost_without_uuid), (0, 0), "seed {seed}");
    }
    assert!(splits > 300, "{splits} batches were split or made by that: this proves nothing");
}

/// Also what captures have appended, and what has left memory since.
#[test]
fn at_call_what_was_persisted_outlives_a_power_cut() {
    let (mut appended, mut left_memory) = (0, 0);
    for seed in 0..100 {
        let mut world = World::new(seed);
        (world.disk_fails, world.misbehaves, world.server.is_down) = (false, false, true);
        world.start(SpoolSafety::Call);
        for _ in 0..80 {
            world.capture(0);
            if world.random.percent(20) {
                world.pass(10);
            }
        }
        let stats = world.processes[0].delivery.read(DeliveryState::stats_now);
        left_memory += u32::from(stats.pending_events > 0 && stats.pending_bytes < 50 * stats.pending_events);
        world.persist(0);
        world.read_reports(0);
        world.disk.cut_power();
        world.has_crashed = true;
        drop(world.processes.pop());
        world.recover();
        for uuid in world.events.keys() {
            let has_ended = world.server.stored.contains_key(uuid) || world.lost.contains_key(uuid);
            assert!(has_ended, "seed {seed}: {uuid} is gone");
        }
        appended += world.appended;
    }
    assert!(appended > 0 && left_memory > 0, "{appended} {left_memory}: this proves nothing");
}
