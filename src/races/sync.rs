//! loom's types under the names of `crate::sync`.

use std::ptr;
use std::sync::OnceLock;

pub use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering;
pub use loom::sync::{Condvar, Mutex, MutexGuard};

/// A pointer that can stand in a static, which loom's cannot. Statics are used
/// by no model; the rest makes its own for each run.
pub struct AtomicPtr<T>(OnceLock<loom::sync::atomic::AtomicPtr<T>>);

impl<T> AtomicPtr<T> {
    /// It must be null.
    pub const fn new(_null: *mut T) -> Self {
        AtomicPtr(OnceLock::new())
    }

    fn modelled(&self) -> &loom::sync::atomic::AtomicPtr<T> {
        self.0.get_or_init(|| loom::sync::atomic::AtomicPtr::new(ptr::null_mut()))
    }

    /// As std's.
    pub fn load(&self, order: Ordering) -> *mut T {
        self.modelled().load(order)
    }

    /// As std's.
    pub fn compare_exchange(
        &self,
        seen: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        self.modelled().compare_exchange(seen, new, success, failure)
    }
}

/// tokio's `Notify` as far as the library uses it: any number of calls before
/// the sender waits are one permit, and it is the only one who waits.
#[derive(Debug)]
pub struct Notify {
    permit: Mutex<bool>,
    given: Condvar,
}

impl Notify {
    /// Without a permit.
    pub fn new() -> Self {
        Notify { permit: Mutex::new(false), given: Condvar::new() }
    }

    /// Wakes who waits, or the next one who does.
    pub fn notify_one(&self) {
        *self.permit.lock().unwrap() = true;
        self.given.notify_one();
    }

    /// Waits for a permit and takes it.
    pub fn wait(&self) {
        let mut permit = self.permit.lock().unwrap();
        while !*permit {
            permit = self.given.wait(permit).unwrap();
        }
        *permit = false;
    }

    /// For the code that no model runs.
    pub async fn notified(&self) {
        std::future::pending::<()>().await;
    }
}
