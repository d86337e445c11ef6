//! What those learn who wait for the disk, whatever else happens meanwhile.

use uuid::Uuid;

use super::World;
use crate::client::spool_driver::Turn;
use crate::config::SpoolSafety;
use crate::delivery::{Delivery, DeliveryState, Loaded, LossReason, Wake};
use crate::event::timestamp::Timestamp;
use crate::spool::{Contents, ErrorKind};
use crate::status::Status;

/// The disk thread may have gone on before the thread that waits is woken.
#[test]
fn a_failure_to_persist_outlives_the_next_turn() {
    let mut world = World::new(0);
    world.disk_fails = true;
    world.start(SpoolSafety::Crash);
    world.capture(0);
    world.disk.faults(|faults| faults.syncs = Some((100, ErrorKind::Failed)));
    let order = world.processes[0].delivery.update(|state| (state.ask_persist(), Wake::NONE));
    let process = &mut world.processes[0];
    while process.delivery.read(|state| state.persisted(order)).is_none() {
        let _ = process.driver.turn(&process.delivery, world.now);
    }
    world.disk.faults(|faults| faults.syncs = None);
    world.pass(10_000);
    let delivery = &world.processes[0].delivery;
    assert_eq!(delivery.read(|state| state.persisted(order)), Some(Status::SPOOL));
    // And it says nothing of the next one.
    world.processes[0].delivery.update(|state| (state.ask_persist(), Wake::NONE));
    world.run_disk(0);
    let delivery = &world.processes[0].delivery;
    assert_eq!(delivery.read(|state| state.persisted(order + 1)), Some(Status::OK));
}

#[test]
fn a_persist_that_meets_a_close_is_a_persist() {
    let mut world = World::new(0);
    (world.disk_fails, world.misbehaves) = (false, false);
    world.start(SpoolSafety::Exit);
    (0..3).for_each(|_| world.capture(0));
    let order = world.processes[0].delivery.update(|state| (state.ask_persist(), Wake::NONE));
    let mut process = world.processes.pop().unwrap();
    process.delivery.update(|state| ((), state.shut(Status::CLOSED)));
    process.delivery.update(|state| ((), state.freeze()));
    while process.driver.turn(&process.delivery, world.now) != Turn::Closed {}
    assert_eq!(process.delivery.read(|state| state.persisted(order)), Some(Status::OK));
    world.disk.cut_power();
    drop(process);
    world.has_crashed = true;
    world.recover();
    assert_eq!(world.server.stored.len(), 3);
}

/// A segment that was read while the order came is not sent after it.
#[test]
fn nothing_comes_from_the_disk_during_a_discard_or_after_a_close() {
    let mut world = World::new(0);
    (world.disk_fails, world.misbehaves, world.server.is_down) = (false, false, true);
    world.start(SpoolSafety::Crash);
    (0..3).for_each(|_| world.capture(0));
    world.pass(1000);
    world.kill(0);
    let left = world.disk.tree().into_iter().find(|(path, _)| path.contains(".phs")).unwrap().1;
    let contents = Contents::read(&left).unwrap();
    world.start(SpoolSafety::Crash);
    let delivery = &world.processes[0].delivery;
    let loaded = Loaded {
        contents: &contents,
        request_id: Uuid::nil(),
        sdk_info: "test/1",
        now: Timestamp::from_unix_ms(world.now.wall_ms).unwrap(),
    };
    let add = |delivery: &Delivery| {
        delivery.update(|state| {
            let id = state.next_segment();
            (state.add_recovered(id, &loaded), Wake::NONE)
        })
    };
    let order = delivery.update(DeliveryState::ask_discard);
    assert!(!add(delivery));
    world.run_disk(0);
    let delivery = &world.processes[0].delivery;
    assert_eq!(delivery.read(|state| state.discarded(order)), Some(Status::OK));
    let stats = delivery.read(DeliveryState::stats_now);
    assert_eq!((stats.pending_events, stats.recovered), (0, 3));
    assert_eq!(stats.lost[LossReason::Discarded.index()], 3);
    // The process that was killed may have sent them.
    assert_eq!(stats.maybe_delivered, 3);
    assert!(add(delivery));
    delivery.update(|state| ((), state.freeze()));
    assert!(!add(delivery));
}

/// Its events could not be given again.
#[test]
fn a_file_that_fails_is_never_that_of_a_batch_that_has_just_left_memory() {
    let mut failed = 0;
    for seed in 0..200 {
        let mut world = World::new(seed);
        (world.disk_fails, world.misbehaves, world.server.is_down) = (true, false, true);
        world.start(SpoolSafety::Exit);
        for _ in 0..60 {
            world.capture(0);
        }
        world.disk.faults(|faults| faults.syncs = Some((50, ErrorKind::Failed)));
        let order = world.processes[0].delivery.update(|state| (state.ask_persist(), Wake::NONE));
        world.run_disk(0);
        failed += u32::from(
            world.processes[0].delivery.read(|state| state.persisted(order)) == Some(Status::SPOOL),
        );
        world.recover();
        let missing: Vec<_> =
            world.events.keys().filter(|uuid| !world.server.stored.contains_key(*uuid)).collect();
        let is_lost = |uuid: &&&Uuid| world.lost.contains_key(**uuid);
        assert_eq!(missing.iter().filter(|uuid| !is_lost(uuid)).count(), 0, "seed {seed}: gone");
        assert!(!world.lost.values().any(|loss| *loss == LossReason::Corrupt), "seed {seed}");
        assert_eq!(world.lost_without_uuid, 0, "seed {seed}");
    }
    assert!(failed > 20, "{failed} orders failed: this proves nothing");
}
