//! Panics on demand, so that tests can see what a panic in each module does. Built
//! only with the feature `failpoints`; without it [`pass`] is empty.

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The modules that have a failpoint.
    const MODULES: [&str; 13] = [
        "capi",
        "config",
        "client",
        "event",
        "queue",
        "state",
        "batch",
        "protocol",
        "transport",
        "send_loop",
        "report_queue",
        "callback_thread",
        "io_thread",
    ];

    /// One more than the position of the armed module; 0 when none is armed.
    static ARMED: AtomicUsize = AtomicUsize::new(0);

    fn position(module: &str) -> usize {
        MODULES.iter().position(|name| *name == module).map_or(0, |position| position + 1)
    }

    /// Makes the next pass through this module's failpoint panic, once. Returns
    /// whether there is such a module; an unknown name disarms.
    pub(crate) fn arm(module: &str) -> bool {
        ARMED.store(position(module), Ordering::SeqCst);
        position(module) != 0
    }

    /// Panics if the module is armed.
    #[allow(clippy::panic, reason = "this is its purpose")]
    pub(crate) fn pass(module: &str) {
        let position = position(module);
        let fires = ARMED.compare_exchange(position, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        assert!(!fires || position == 0, "the failpoint of {module} fired");
    }
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::{arm, pass};

/// Does nothing in builds without failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
#[allow(clippy::inline_always, reason = "it must cost nothing")]
pub(crate) fn pass(_module: &str) {}
