//! Randomness that std and tokio need on a thread of ours, and panic without.
//!
//! Each thread asks the system once, for the keys of its hash tables, and derives from them
//! what it needs later. Here that happens where a failure can be dealt with.

use std::hash::RandomState;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::Notify;

use crate::status::{Error, Status};

/// The waits between two tries on a thread that has begun.
const WAITS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// Makes sure that the calling thread has its randomness.
pub(super) fn prepare() -> Result<(), Error> {
    getrandom::fill(&mut [0; 16]).map_err(|error| {
        Error::new(Status::OUT_OF_RESOURCES, format!("the system has no randomness for a thread: {error}"))
    })?;
    let _keys = RandomState::new();
    Ok(())
}

/// The same on a thread that has begun, which waits for it; false if it is to stop before.
pub(super) fn await_it(stop: &Notify) -> bool {
    let mut wait = WAITS.0;
    while prepare().is_err() {
        if pin!(stop.notified()).enable() {
            return false;
        }
        std::thread::sleep(wait);
        wait = (2 * wait).min(WAITS.1);
    }
    true
}
