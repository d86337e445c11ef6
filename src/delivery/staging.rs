//! Events of threads that capture at the same time, before the state takes them in.
//!
//! Threads that share one lock pay for the cache lines behind it, which move from core to
//! core at every capture: a capture takes three times as long then. So once a capture has met
//! the lock taken, each thread puts a few events into a *stage* of its own, and the state takes
//! all of them in at once. A client that captures from one thread never gets here.
//!
//! What the state promises holds at every instant because of two rules:
//!
//! - A stage takes an event only on an [`Allowance`] that the state has granted to it before,
//!   and which counts in the bounds of the queue and of the batch. So what is staged has room,
//!   and neither fills a batch nor is the first event after none: the send loop need not be
//!   woken for it.
//! - Whatever looks at the state or changes it takes in what is staged first, and takes the
//!   allowances back with it. Only a capture does less: it takes in its own thread's stage.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::open_batch::{OpenBatch, cost};
use super::queue::MAX_STAGES;
use crate::event::EncodedEvent;
use crate::memory::NoMemory;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, MutexGuard, recover, thread_local};

/// How many stages a client has. Further threads share one with others.
#[cfg(not(all(test, feature = "race-models")))]
const STAGES: usize = MAX_STAGES;
#[cfg(all(test, feature = "race-models"))]
const STAGES: usize = if MAX_STAGES > 2 { 2 } else { MAX_STAGES };

const LARGEST_EVENTS: u16 = 32;
const LARGEST_BYTES: u16 = 16 * 1024;

/// What a stage may still take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Events.
    pub(super) events: u64,
    /// What they count for in `queue_max_bytes`.
    pub(super) bytes: u64,
}

impl Allowance {
    /// What is granted at most. The state is then locked once in so many captures, and the
    /// memory of a stage stays in the cache of a core.
    pub(super) const LARGEST: Allowance =
        Allowance { events: LARGEST_EVENTS as u64, bytes: LARGEST_BYTES as u64 };
    /// Less is not worth a stage. The race models stage whatever they can.
    #[cfg(not(all(test, feature = "race-models")))]
    pub(super) const LEAST: u64 = 4;
    #[cfg(all(test, feature = "race-models"))]
    pub(super) const LEAST: u64 = 1;
}

/// The events of a stage, and what else the state counts of them.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// The events, which have no numbers yet.
    pub(super) batch: OpenBatch,
    /// What they count for in `queue_max_bytes`.
    pub(super) bytes: u64,
    /// Those in which text was repaired.
    pub(super) repaired: u64,
    /// Those whose uuid was replaced.
    pub(super) uuids_replaced: u64,
    /// What was granted since the state has taken in the events before.
    pub(super) granted: Allowance,
    left: Allowance,
}

impl Staged {
    /// Lets the stage take events. Without memory for them it takes none.
    fn grant(&mut self, allowance: Allowance) -> Result<(), NoMemory> {
        // An event counts for more than its bytes and a comma.
        self.batch.reserve_exact(LARGEST_EVENTS.into(), LARGEST_BYTES.into())?;
        (self.granted, self.left) = (allowance, allowance);
        Ok(())
    }

    fn push(&mut self, wire: &[u8], event: &EncodedEvent, now: impl FnOnce() -> Duration) -> bool {
        let cost = cost(wire.len());
        if self.left.events == 0 || self.left.bytes < cost {
            return false;
        }
        self.left.events -= 1;
        self.left.bytes -= cost;
        self.batch.append(wire, event.uuid, 0, now);
        self.bytes += cost;
        self.repaired += u64::from(event.repaired);
        self.uuids_replaced += u64::from(event.uuid_replaced);
        true
    }

    /// Whether it holds no event.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The state has taken in the events, and takes the allowance back.
    pub(super) fn end_allowance(&mut self) {
        self.granted = Allowance::default();
        self.left = Allowance::default();
        (self.bytes, self.repaired, self.uuids_replaced) = (0, 0, 0);
    }
}

/// Has the cache lines of its lock and of its counters for itself.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stage(Mutex<Staged>);

/// The stages of one client.
#[derive(Debug, Default)]
pub(super) struct Stages {
    /// Changed under the lock of the state only, and read without it by a capture that tries
    /// its stage first; a stage without an allowance takes nothing.
    in_use: AtomicBool,
    stages: [Stage; STAGES],
}

thread_local! {
    // Which stage this thread uses, in every client; none yet at first.
    static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Threads get the stages in turn.
#[cfg(not(all(test, feature = "race-models")))]
static NEXT: AtomicUsize = AtomicUsize::new(0);
#[cfg(all(test, feature = "race-models"))]
loom::lazy_static! {
    static ref NEXT: AtomicUsize = AtomicUsize::new(0);
}

/// Which threads have captured lately, by their stages.
#[derive(Debug, Default)]
pub(super) struct Capturers {
    captures: u32,
    stages: u32,
}

impl Capturers {
    /// So many captures that have locked the state show which threads there are.
    const ENOUGH: u32 = 8;

    /// Counts a capture that has locked the state. Returns true if all of the last ones came from
    /// threads of one stage.
    pub(super) fn is_one(&mut self, stage: usize) -> bool {
        self.captures += 1;
        self.stages |= 1 << stage;
        if self.captures < Self::ENOUGH {
            return false;
        }
        std::mem::take(self).stages.count_ones() < 2
    }
}

impl Stages {
    /// Whether threads may have staged events. Under the lock of the state that is certain.
    #[inline]
    pub(super) fn in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Lets threads stage events, or not; under the lock of the state.
    pub(super) fn set_in_use(&self, in_use: bool) {
        self.in_use.store(in_use, Ordering::Relaxed);
    }

    /// The number of the calling thread's stage.
    pub(super) fn own_index() -> usize {
        OWN.with(|own| {
            if own.get() == usize::MAX {
                own.set(NEXT.fetch_add(1, Ordering::Relaxed) % STAGES);
            }
            own.get()
        })
    }

    /// The stage of the calling thread.
    pub(super) fn own(&self) -> MutexGuard<'_, Staged> {
        let stage = self.stages.get(Self::own_index()).unwrap_or(&self.stages[0]);
        recover(stage.0.lock())
    }

    /// Gives the memory of all stages back; under the lock of the state, which has taken in what
    /// was there.
    pub(super) fn release(&self) {
        self.set_in_use(false);
        self.all().for_each(|mut staged| *staged = Staged::default());
    }

    /// All of them, one after the other.
    pub(super) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Staged>> {
        self.stages.iter().map(|stage| recover(stage.0.lock()))
    }

    /// Puts an event into the calling thread's stage, if that has an allowance for it.
    pub(super) fn push(&self, wire: &[u8], event: &EncodedEvent, now: impl FnOnce() -> Duration) -> bool {
        // A uuid of the caller's may be in the queue already, which only the state sees.
        !event.caller_uuid && self.own().push(wire, event, now)
    }

    /// Grants the calling thread's stage an allowance; under the lock of the state, which has
    /// taken in what was there. Returns whether there is memory for it.
    pub(super) fn grant(&self, allowance: Allowance) -> bool {
        self.own().grant(allowance).is_ok()
    }
}
