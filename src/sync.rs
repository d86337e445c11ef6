//! The synchronisation types of the library: std's, and one each of tokio and arc-swap. The
//! race models (`race_models/`) substitute loom's, so that they run this library
//! and not a copy of it.

use std::sync::PoisonError;

#[cfg(not(all(test, feature = "race-models")))]
pub(crate) use arc_swap::ArcSwapOption;
#[cfg(not(all(test, feature = "race-models")))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize},
};
#[cfg(not(all(test, feature = "race-models")))]
pub(crate) use std::thread_local;
#[cfg(not(all(test, feature = "race-models")))]
pub(crate) use tokio::sync::Notify;

#[cfg(all(test, feature = "race-models"))]
pub(crate) use crate::race_models::sync::{
    ArcSwapOption, AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Condvar, Mutex, MutexGuard, Notify,
    thread_local,
};

/// Takes what a lock or a wait returned although a thread may have panicked while
/// it held the lock. Every value behind a lock here stays usable at any point at
/// which a panic could leave it.
pub(crate) fn recover<T>(result: Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
