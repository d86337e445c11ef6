//! Panics on demand, so that tests can see what a panic in each room does. Built
//! only with the feature `fault-injection`; without it a point is nothing.

/// The rooms with a point.
pub const ROOMS: [&str; 13] = [
    "capi",
    "config",
    "client",
    "event",
    "queue",
    "books",
    "batch",
    "protocol",
    "transport",
    "sender",
    "outcome",
    "listener",
    "runtime",
];

#[cfg(feature = "fault-injection")]
mod armed {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// One more than the position of the armed room; 0 is none.
    static ARMED: AtomicUsize = AtomicUsize::new(0);

    /// The next time that this room's point is passed it panics, once.
    pub fn arm(room: &str) -> bool {
        let position = super::ROOMS.iter().position(|name| *name == room);
        ARMED.store(position.map_or(0, |position| position + 1), Ordering::SeqCst);
        position.is_some()
    }

    /// Panics if the room is armed.
    #[allow(clippy::panic, reason = "it is what this is for")]
    pub fn point(room: &str) {
        let position = super::ROOMS.iter().position(|name| *name == room).map_or(0, |position| position + 1);
        let fires = ARMED.compare_exchange(position, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        assert!(!fires || position == 0, "a fault was injected into {room}");
    }
}

#[cfg(feature = "fault-injection")]
pub use armed::{arm, point};

/// Nothing, but for tests of the library.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must cost nothing")]
pub fn point(_room: &str) {}
