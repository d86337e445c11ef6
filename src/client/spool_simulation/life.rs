//! What the host does with a client: it captures, persists, discards and closes; and it is killed.

use super::{Event, World};
use crate::client::spool_driver::Turn;
use crate::config::SpoolSafety;
use crate::delivery::{DeliveryState, LossReason, Wake, Writer};
use crate::event::EncodedEvent;
use crate::status::Status;

impl World {
    pub(super) fn capture(&mut self, at: usize) {
        let uuid = self.uuid();
        let wire = format!("{{\"uuid\":\"{uuid}\",\"n\":{}}}", self.random.next() >> self.random.below(60));
        let now = self.now.boot_ms;
        let process = &mut self.processes[at];
        let since = process.since_start(now);
        let event = EncodedEvent { uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
        let safety = process.safety;
        let taken = process.delivery.update(|state| {
            let (result, wake) = state.enqueue(wire.as_bytes(), &event, || since);
            let appends = result.is_ok() && safety == SpoolSafety::Call;
            let writer = appends.then(|| state.begin_append(wire.len(), || now));
            (result.map(|()| writer), wake)
        });
        let Ok(writer) = taken else { return };
        process.captured.push(uuid);
        self.events.insert(
            uuid,
            Event {
                wire: wire.into_bytes(),
                captured_at: now,
                safety,
                is_persisted: false,
                has_returned: false,
                may_be_gone: false,
            },
        );
        if let Some(Writer::Capture(place)) = writer {
            self.appended += 1;
            // Other threads, and the disk thread, may do something before it is appended.
            self.processes[at].appending.push((uuid, place));
            let left = self.random.one_of(&[0, 0, 0, 1, 3]);
            self.append(at, left);
            return;
        }
        self.run_disk(at);
        if let Some(Writer::DiskThread { seq }) = writer {
            let is_written = self.processes[at].delivery.read(|state| state.is_written_through(seq));
            assert!(is_written, "a capture waits for ever");
        }
        self.events.get_mut(&uuid).unwrap().has_returned = true;
    }

    /// Lets captures append their events, in any order, until so many are left.
    pub(super) fn append(&mut self, at: usize, left: usize) {
        while self.processes[at].appending.len() > left {
            let count = self.processes[at].appending.len() as u64;
            let next = usize::try_from(self.random.below(count)).unwrap();
            let process = &mut self.processes[at];
            let (uuid, place) = process.appending.swap_remove(next);
            let event = self.events.get_mut(&uuid).unwrap();
            let error = place.file.append(place.index, uuid, &event.wire).err().map(|error| error.kind);
            assert!(error.is_none() || self.disk_fails, "{error:?}");
            let order = process.delivery.update(|state| (state.end_append(place.segment, error), Wake::NONE));
            match order {
                None => event.has_returned = true,
                Some(order) => process.awaiting.push((uuid, order)),
            }
        }
        self.run_disk(at);
        let process = &mut self.processes[at];
        process.awaiting.retain(|(uuid, order)| {
            let returns = process.delivery.read(|state| state.is_dealt_with(*order));
            self.events.get_mut(uuid).unwrap().has_returned |= returns;
            !returns
        });
        assert!(process.awaiting.is_empty(), "a capture waits for ever");
    }

    pub(super) fn persist(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let order = process.delivery.update(|state| (state.ask_persist(), Wake::NONE));
        self.run_disk(at);
        let process = &mut self.processes[at];
        let status = process.delivery.read(|state| state.persisted(order));
        assert!(status.is_some(), "nothing came of it");
        if status == Some(Status::OK) {
            for uuid in &process.captured {
                self.events.get_mut(uuid).unwrap().is_persisted = true;
            }
        } else {
            assert!(self.disk_fails, "{status:?}");
        }
    }

    /// Ends everything that is pending in a process, and what dead ones have left.
    pub(super) fn discard(&mut self, at: usize) {
        self.read_reports(at);
        let before = self.lost_without_uuid;
        let process = &mut self.processes[at];
        let order = process.delivery.update(DeliveryState::ask_discard);
        self.run_disk(at);
        let process = &mut self.processes[at];
        assert!(process.delivery.read(|state| state.discarded(order)).is_some(), "nothing came of it");
        assert_eq!(process.delivery.read(|state| state.stats().pending_events), 0);
        self.read_reports(at);
        self.discarded_without_uuid += self.lost_without_uuid - before;
    }

    /// A client is closed in order, without time to send anything.
    pub(super) fn close(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.delivery.update(|state| ((), state.shut(Status::CLOSED)));
        process.delivery.update(|state| ((), state.freeze()));
        if !process.appending.is_empty() {
            let turn = process.driver.turn(&process.delivery, self.now);
            assert_ne!(turn, Turn::Closed, "a capture has not appended its event yet");
            self.append(at, 0);
        }
        let process = &mut self.processes[at];
        let turns = (0..1000).find(|_| process.driver.turn(&process.delivery, self.now) == Turn::Closed);
        assert!(turns.is_some(), "the disk thread does not close");
        process.delivery.update(|state| ((), state.end_all(LossReason::Closed)));
        self.read_reports(at);
        self.check(at);
        let process = self.processes.swap_remove(at);
        let stats = process.delivery.read(DeliveryState::stats_now);
        assert_eq!(stats.pending_events, 0);
        if !self.disk_fails {
            assert_eq!(stats.lost[LossReason::Closed.index()], 0, "not kept: {stats:?}");
        }
        self.ended.kept += stats.kept;
        self.ended.recovered += stats.recovered;
    }

    /// A process is killed: what it had not written is gone.
    pub(super) fn kill(&mut self, at: usize) {
        // The host has read what was reported before.
        self.read_reports(at);
        let mut process = self.processes.swap_remove(at);
        self.unwritten += process.appending.len() as u64;
        if self.random.percent(50)
            && let Some((uuid, place)) = process.appending.pop()
        {
            process.disk.kill_after(1);
            assert!(place.file.append(place.index, uuid, &self.events[&uuid].wire).is_err());
            assert!(process.disk.is_dead());
            self.has_cut = true;
        }
        process.disk.kill();
        self.has_crashed = true;
        // What it knew of its losses went with it.
        let late = self.now.boot_ms;
        for uuid in &process.captured {
            let event = self.events.get_mut(uuid).unwrap();
            event.may_be_gone |= match event.safety {
                SpoolSafety::Call => self.disk_fails || !event.has_returned,
                SpoolSafety::Exit => !event.is_persisted || self.disk_fails,
                SpoolSafety::Crash | SpoolSafety::Power => self.disk_fails || event.captured_at + 60 >= late,
            };
        }
    }
}
