//! Race models. loom runs a few threads in every order in which they can meet
//! (with at most [`PREEMPTIONS`] of them unasked) and under every value that the
//! memory model lets an atomic load have; a wait that nobody ends is an error.
//!
//! What runs is the library: [`Client`](crate::client::Client), its books and
//! locks, the sender's decisions. The network is taken out, and the timers: none
//! ever runs out, so a wake-up that goes missing is a model that hangs.
//!
//!     cargo test --features race-models --lib races::
//!
//! `mutations/races/*.patch` are mutations that these models must catch.

mod delivery;
mod generation;
pub mod sync;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two find nearly all that any number finds (Musuvathi and Qadeer, "Iterative
/// context bounding", 2007). `LOOM_MAX_PREEMPTIONS` allows more.
const PREEMPTIONS: usize = 3;

/// Runs `model` in every order, and says how many those were.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    builder.max_branches = 10_000;
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    builder.check(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        model();
    });
    println!("{} orders", orders.load(Ordering::Relaxed));
}

/// A door that opens once.
#[derive(Default)]
struct Door {
    is_open: loom::sync::Mutex<bool>,
    opened: loom::sync::Condvar,
}

impl Door {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.opened.wait(is_open).unwrap();
        }
    }
}
