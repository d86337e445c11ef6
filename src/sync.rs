//! What threads meet through: std's types, and tokio's `Notify`. The race models
//! (`races/`) have loom's in their place, so that what they run is this library
//! and no copy of it.

#[cfg(not(all(test, feature = "race-models")))]
pub use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicPtr, AtomicU64},
};
#[cfg(not(all(test, feature = "race-models")))]
pub use tokio::sync::Notify;

#[cfg(all(test, feature = "race-models"))]
pub use crate::races::sync::{AtomicPtr, AtomicU64, Condvar, Mutex, MutexGuard, Notify};
