//! loom's types under the names of `crate::sync`.

use std::ptr;
use std::sync::{Arc, OnceLock};

use loom::sync::atomic::Ordering;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};

/// A pointer that can be in a static, which loom's cannot. No model uses statics; what is
/// not static is made anew for each run.
pub(crate) struct AtomicPtr<T>(OnceLock<loom::sync::atomic::AtomicPtr<T>>);

impl<T> AtomicPtr<T> {
    /// A null pointer.
    pub(crate) const fn new(_null: *mut T) -> Self {
        AtomicPtr(OnceLock::new())
    }

    fn modelled(&self) -> &loom::sync::atomic::AtomicPtr<T> {
        self.0.get_or_init(|| loom::sync::atomic::AtomicPtr::new(ptr::null_mut()))
    }

    /// Like std's.
    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        self.modelled().load(order)
    }

    /// Like std's.
    pub(crate) fn compare_exchange(
        &self,
        seen: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        self.modelled().compare_exchange(seen, new, success, failure)
    }
}

/// loom's `thread_local!`, for values that std's makes at compile time: the threads of a
/// model are one thread of the system.
macro_rules! thread_local_of_model {
    ($(static $name:ident: $type:ty = const { $init:expr };)*) => {
        loom::thread_local! { $(static $name: $type = $init;)* }
    };
}
pub(crate) use thread_local_of_model as thread_local;

/// arc-swap's type as far as the library uses it: each use is one step, as if under a lock.
pub(crate) struct ArcSwapOption<T>(Mutex<Option<Arc<T>>>);

impl<T> ArcSwapOption<T> {
    /// Without a value.
    pub(crate) fn empty() -> Self {
        ArcSwapOption(Mutex::new(None))
    }

    /// Like arc-swap's, but for the type of what it returns.
    pub(crate) fn load(&self) -> Option<Arc<T>> {
        self.load_full()
    }

    /// Like arc-swap's.
    pub(crate) fn load_full(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap().clone()
    }

    /// Like arc-swap's.
    pub(crate) fn swap(&self, new: Option<Arc<T>>) -> Option<Arc<T>> {
        std::mem::replace(&mut *self.0.lock().unwrap(), new)
    }
}

/// tokio's `Notify` as far as the library uses it: any number of calls before the send
/// loop waits are one permit, and nothing else waits.
#[derive(Debug)]
pub(crate) struct Notify {
    permit: Mutex<bool>,
    given: Condvar,
}

impl Notify {
    /// Without a permit.
    pub(crate) fn new() -> Self {
        Notify { permit: Mutex::new(false), given: Condvar::new() }
    }

    /// Wakes the waiting thread, or the next one that waits.
    pub(crate) fn notify_one(&self) {
        *self.permit.lock().unwrap() = true;
        self.given.notify_one();
    }

    /// Waits for a permit and takes it.
    pub(crate) fn wait(&self) {
        let mut permit = self.permit.lock().unwrap();
        while !*permit {
            permit = self.given.wait(permit).unwrap();
        }
        *permit = false;
    }

    /// For code that no model runs.
    pub(crate) async fn notified(&self) {
        std::future::pending::<()>().await;
    }
}
