//! What every exported function goes through.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::rules::Rule;
use super::text::set_last_text;
use crate::client::{Client, Inside, inside};
use crate::failpoint;
use crate::runtime::DeferredCancellation;
use crate::status::Status;

/// The value that a function returns when it fails.
pub(super) trait Failure {
    /// That value, for this status.
    fn failure(status: Status) -> Self;
}

impl Failure for i32 {
    fn failure(status: Status) -> Self {
        status.number()
    }
}

macro_rules! zero_on_failure {
    ($($number:ty),*) => {$(
        impl Failure for $number {
            fn failure(_: Status) -> Self {
                0
            }
        }
    )*};
}

zero_on_failure!(u32, u64, i64, usize);

impl Failure for isize {
    fn failure(_: Status) -> Self {
        -1
    }
}

impl Failure for () {
    fn failure(_: Status) {}
}

impl<T> Failure for *mut T {
    fn failure(_: Status) -> Self {
        std::ptr::null_mut()
    }
}

/// Functions that return text never return NULL, unless they say so.
impl Failure for *const c_char {
    fn failure(_: Status) -> Self {
        c"".as_ptr()
    }
}

/// Runs the body of an exported function where its rule allows it. A panic in the body
/// becomes the function's failure value and never reaches C. The thread is not cancelled in
/// the body if that may wait.
#[inline]
pub(super) fn guard<T: Failure>(rule: &'static Rule, body: impl FnOnce() -> T) -> T {
    guard_or(rule, T::failure, body)
}

/// Like [`guard`], with a failure value of the function's own.
#[inline]
pub(super) fn guard_or<T>(
    rule: &'static Rule,
    failure: impl FnOnce(Status) -> T,
    body: impl FnOnce() -> T,
) -> T {
    if let Some(status) = rule.refuses(inside()) {
        return failure(status);
    }
    let _deferred = rule.may_wait.then(DeferredCancellation::begin);
    let guarded = || {
        failpoint::pass("capi");
        body()
    };
    let result = match catch_unwind(AssertUnwindSafe(guarded)) {
        Ok(result) => result,
        Err(payload) => failure(panicked(payload)),
    };
    if (rule.is_restricted() || rule.may_wait) && ANY_DEFERRED.get() && inside() == Inside::Nothing {
        free_deferred();
    }
    result
}

/// The status of a call that panicked.
#[cold]
fn panicked(payload: Box<dyn Any + Send>) -> Status {
    // Dropping it could panic again; a leak is the lesser evil.
    std::mem::forget(payload);
    set_last_text("an internal error in libphc; please report it");
    Status::INTERNAL
}

thread_local! {
    /// Clients that were freed from inside a callback of this thread. The function that
    /// runs the callback frees them when it ends; its rule is a restricted one, or it may wait.
    static DEFERRED: RefCell<Vec<Arc<Client>>> = const { RefCell::new(Vec::new()) };
    /// Whether there are any. It has no destructor, so that every call can read it.
    static ANY_DEFERRED: Cell<bool> = const { Cell::new(false) };
}

/// Frees a client, but not while a callback of this thread runs: the code that called it
/// may still be using the client.
pub(super) fn free_later(client: Arc<Client>) {
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

/// Frees the clients whose free was deferred on this thread.
#[cold]
pub(super) fn free_deferred() {
    if ANY_DEFERRED.replace(false) {
        let _deferred = DeferredCancellation::begin();
        let _ = catch_unwind(|| {
            let clients = DEFERRED.try_with(RefCell::take).unwrap_or_default();
            clients.into_iter().for_each(Client::release);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::{phc_flush, phc_version};
    use super::*;
    use crate::client::run_inside;

    #[test]
    fn a_panic_becomes_the_failure_value() {
        assert_eq!(guard(&phc_version, || -> i32 { panic!("as a test") }), Status::INTERNAL.number());
        assert!(guard(&phc_version, || -> *mut u8 { panic!("as a test") }).is_null());
        assert!(!guard(&phc_version, || -> *const c_char { panic!("as a test") }).is_null());
        assert_eq!(guard(&phc_version, || -> usize { panic!("as a test") }), 0);
        assert_eq!(guard(&phc_version, || 7), 7);
    }

    #[test]
    fn the_body_does_not_run_where_its_rule_forbids_it() {
        let status = run_inside(Inside::Callback, || guard(&phc_flush, || -> i32 { panic!("it ran") }));
        assert_eq!(status, Status::REENTRANT.number());
    }
}
