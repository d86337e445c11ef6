//! What the process provides: the one I/O thread, the identity of the process, signal
//! masks, thread cancellation, the exit handler, the readiness descriptor. It knows nothing of clients.
//!
//! `unsafe` is confined to [`fork`], [`exit`], [`signals`] and [`cancellation`].

mod cancellation;
pub(crate) mod exit;
pub(crate) mod fork;
mod io_thread;
mod randomness;
mod readiness;
mod signals;

pub(crate) use cancellation::DeferredCancellation;
pub(crate) use fork::{PerProcess, fork_epoch, watch_forks};
pub(crate) use io_thread::{IoThreadGuard, spawn};
pub(crate) use readiness::ReadinessFd;
