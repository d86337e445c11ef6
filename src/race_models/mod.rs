//! Race models. loom runs a few threads in every order in which they can meet (with at
//! most [`PREEMPTIONS`] involuntary switches) and with every value that the memory model
//! allows an atomic load to have; a wait that never ends is an error.
//!
//! What runs is the library: [`Client`](crate::client::Client), its state and locks, the
//! decisions of the send loop. The network is left out, and so are timers: none ever
//! expires, so a missing wake-up makes a model hang.
//!
//!     cargo test --features race-models --lib race_models::
//!
//! `mutations/races/*.patch` are mutations that these models must catch.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod callbacks;
mod delivery;
mod fork;
pub(crate) mod sync;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two find nearly everything that any number finds (Musuvathi and Qadeer, "Iterative
/// context bounding", 2007). `LOOM_MAX_PREEMPTIONS` allows more.
const PREEMPTIONS: usize = 3;

/// Runs `model` in every order, and prints how many there were.
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
