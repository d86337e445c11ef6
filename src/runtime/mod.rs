//! What the process provides: the one I/O thread, the identity of the process, signal
//! masks, scheduling, thread cancellation, the descriptors 0 to 2, the exit handler, the
//! readiness descriptor. It knows nothing of clients.
//!
//! `unsafe` is confined to [`fork`], [`exit`], [`signals`], [`scheduling`],
//! [`cancellation`] and [`standard_descriptors`], one call of the system each.

mod cancellation;
pub(crate) mod exit;
pub(crate) mod fork;
mod io_thread;
mod randomness;
mod readiness;
mod scheduling;
mod signals;
mod standard_descriptors;

pub(crate) use cancellation::DeferredCancellation;
pub(crate) use fork::{PerProcess, fork_epoch, watch_forks};
pub(crate) use io_thread::{IoThreadGuard, spawn};
pub(crate) use readiness::ReadinessFd;
