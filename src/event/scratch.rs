//! The memory that one thread encodes with, kept from event to event so that a
//! capture allocates nothing in steady state.

use std::cell::Cell;

use super::identity::Randomness;
use super::properties::Properties;
use super::timestamp::{LENGTH, Timestamp};

/// Above this a buffer is given back to the system after the event.
const KEPT_BYTES: usize = 64 * 1024;

/// Buffers of one thread.
pub struct Scratch {
    generation: u64,
    /// The event's wire bytes.
    pub wire: Vec<u8>,
    /// What was found in its properties.
    pub properties: Properties,
    /// Randomness for uuids.
    pub randomness: Randomness,
    clock: (i64, [u8; LENGTH]),
}

thread_local! {
    // A cell that is emptied while in use: a capture from inside a before_send
    // callback finds it empty and makes its own.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Scratch {
    /// This thread's scratch. After a fork (another `generation`) it is a new
    /// one: inherited randomness would make the uuids of the parent again.
    pub fn take(generation: u64) -> Box<Scratch> {
        let kept = SCRATCH.try_with(Cell::take).ok().flatten();
        kept.filter(|scratch| scratch.generation == generation).unwrap_or_else(|| {
            Box::new(Scratch {
                generation,
                wire: Vec::new(),
                properties: Properties::default(),
                randomness: Randomness::new(),
                clock: (i64::MIN, [0; LENGTH]),
            })
        })
    }

    /// Keeps the scratch for this thread's next event.
    pub fn keep(mut self: Box<Scratch>) {
        self.wire.clear();
        self.wire.shrink_to(KEPT_BYTES);
        self.properties.runs.clear();
        self.properties.runs.shrink_to(KEPT_BYTES / size_of::<std::ops::Range<usize>>());
        // A thread that is ending has no place for it any more.
        let _ = SCRATCH.try_with(|slot| slot.set(Some(self)));
    }

    /// The text of the instant; events of one millisecond share it.
    pub fn clock_text(&mut self, at: Timestamp) -> [u8; LENGTH] {
        if self.clock.0 != at.unix_ms() {
            self.clock = (at.unix_ms(), at.format());
        }
        self.clock.1
    }
}
