//! The memory that one thread encodes with, kept from event to event so that a
//! capture allocates nothing in steady state.

use std::cell::Cell;

use uuid::Uuid;

use super::identity::{Randomness, write_uuid};
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
    /// The beginning of the last event, and the instant in it.
    front: [u8; FRONT.len()],
    front_ms: i64,
}

/// How every event begins: its length never differs, and most of it is that of
/// the event before.
const FRONT: &[u8; 95] = b"{\"timestamp\":\"0000-00-00T00:00:00.000Z\",\
    \"uuid\":\"00000000-0000-0000-0000-000000000000\",\"event\":\"";
const FRONT_TIMESTAMP: usize = 14;
const FRONT_UUID: usize = FRONT_TIMESTAMP + LENGTH + 10;

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
                front: *FRONT,
                front_ms: i64::MIN,
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

    /// Begins the wire bytes of an event, up to its name. Events of one millisecond
    /// share the text of the instant.
    #[inline]
    pub fn begin(&mut self, uuid: Uuid, at: Timestamp) {
        if self.front_ms != at.unix_ms() {
            self.front_ms = at.unix_ms();
            self.front[FRONT_TIMESTAMP..FRONT_TIMESTAMP + LENGTH].copy_from_slice(&at.format());
        }
        self.wire.clear();
        self.wire.extend_from_slice(&self.front);
        // Into its place at once: what is written in pieces and then read as a whole
        // makes the processor wait.
        if let Some(text) = self.wire.get_mut(FRONT_UUID..).and_then(<[u8]>::first_chunk_mut) {
            write_uuid(uuid, text);
        }
    }
}
