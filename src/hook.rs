//! before_send: the host sees each event on the calling thread, just before it is
//! taken, and keeps, changes or drops it.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::listener::inside_callback;
use crate::runtime::fork::generation;
use crate::status::{Error, Status};

/// What the host wants done with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is taken as it is.
    Keep,
    /// It is not taken.
    Drop,
    /// This JSON object is taken in its place.
    Replace(Vec<u8>),
}

/// What is called with the event's JSON.
pub type Hook = Box<dyn Fn(&[u8]) -> Decision + Send + Sync>;

/// A hook that is set.
#[derive(Clone)]
pub struct SetHook {
    hook: Arc<Hook>,
    generation: u64,
}

impl fmt::Debug for SetHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetHook").finish_non_exhaustive()
    }
}

thread_local! {
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// An event captured from inside the hook would be given to the hook again.
pub fn not_inside() -> Result<(), Error> {
    if ASKING.try_with(Cell::get).unwrap_or(false) {
        return Err(Error::new(Status::REENTRANT, "captures inside before_send are refused"));
    }
    Ok(())
}

impl SetHook {
    /// Sets it, in the present process.
    pub fn new(hook: Hook) -> Self {
        SetHook { hook: Arc::new(hook), generation: generation() }
    }

    /// Asks the host.
    pub fn ask(&self, json: &[u8]) -> Decision {
        struct Asked;
        impl Drop for Asked {
            fn drop(&mut self) {
                let _ = ASKING.try_with(|asking| asking.set(false));
            }
        }
        let _ = ASKING.try_with(|asking| asking.set(true));
        let _asked = Asked;
        inside_callback(|| (self.hook)(json))
    }

    /// Waits until no other thread runs it any more, once it is set no longer.
    /// From inside a hook, and for one that a fork has cut off, not at all.
    pub fn await_end(self) {
        if not_inside().is_err() {
            return;
        }
        while Arc::strong_count(&self.hook) > 1 && self.generation == generation() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
