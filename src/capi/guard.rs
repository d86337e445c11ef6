//! What every exported function goes through.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::text::set_last_error;
use crate::client::Client;
use crate::fault;
use crate::listener::in_callback;
use crate::status::{Error, Status};

/// The value that a function answers when it panicked.
pub trait Failure {
    /// That value.
    fn failure() -> Self;
}

impl Failure for i32 {
    fn failure() -> Self {
        Status::INTERNAL.0
    }
}

impl Failure for u32 {
    fn failure() -> Self {
        0
    }
}

impl Failure for u64 {
    fn failure() -> Self {
        0
    }
}

impl Failure for usize {
    fn failure() -> Self {
        0
    }
}

impl Failure for () {
    fn failure() {}
}

impl<T> Failure for *mut T {
    fn failure() -> Self {
        std::ptr::null_mut()
    }
}

impl<T> Failure for *const T {
    fn failure() -> Self {
        std::ptr::null()
    }
}

/// Runs the body of an exported function. A panic in it becomes the function's
/// failure value and never reaches C.
#[inline]
pub fn guard<T: Failure>(body: impl FnOnce() -> T) -> T {
    let guarded = || {
        fault::point("capi");
        body()
    };
    let result = catch_unwind(AssertUnwindSafe(guarded)).unwrap_or_else(|payload| {
        // Its drop could panic in turn; a leak is the lesser evil.
        std::mem::forget(payload);
        set_last_error("a fault inside libphc; please report it");
        T::failure()
    });
    if ANY_DEFERRED.get() && !in_callback() {
        free_deferred();
    }
    result
}

thread_local! {
    /// Clients that were freed from inside a callback of this thread.
    static DEFERRED: RefCell<Vec<Arc<Client>>> = const { RefCell::new(Vec::new()) };
    /// Whether there are any: without a destructor, so that every call can look.
    static ANY_DEFERRED: Cell<bool> = const { Cell::new(false) };
}

/// Frees a client, but not while a callback of this thread runs: its caller may
/// still be using it.
pub fn free_later(client: Arc<Client>) {
    let kept = DEFERRED.try_with(|deferred| match deferred.try_borrow_mut() {
        Ok(mut deferred) => {
            deferred.push(client);
            ANY_DEFERRED.set(true);
            true
        }
        Err(_) => false,
    });
    debug_assert!(kept.unwrap_or(true));
}

/// Frees what callbacks of this thread wanted freed.
pub fn free_deferred() {
    if ANY_DEFERRED.replace(false) {
        let _ = catch_unwind(|| drop(DEFERRED.try_with(RefCell::take)));
    }
}

/// Only captures may be called from inside a callback.
pub fn not_in_callback() -> Result<(), Error> {
    if in_callback() { Err(Status::REENTRANT.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_the_failure_value() {
        assert_eq!(guard(|| -> i32 { panic!("as a test") }), Status::INTERNAL.0);
        assert!(guard(|| -> *mut u8 { panic!("as a test") }).is_null());
        assert_eq!(guard(|| -> usize { panic!("as a test") }), 0);
        assert_eq!(guard(|| 7), 7);
    }
}
