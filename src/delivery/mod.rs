//! From a captured event to its end: the queue, the batches, the counters, the reports,
//! and the send loop that moves events from one to the other.
//!
//! An event enters by [`DeliveryState::enqueue`] and ends in `DeliveryState::settle`.
//! [`Delivery`] is the lock around the state; the [`SendLoop`] asks the [`Scheduler`]
//! what to send, has [`Transport`](crate::transport::Transport) send it and
//! [`protocol`](crate::protocol) decide on the result. Nothing here knows C, the host's
//! callbacks or forks.

mod batch;
mod flushes;
mod log_queue;
mod loss;
mod mark;
mod monitor;
mod open_batch;
mod probe_turns;
mod queue;
mod report;
mod report_queue;
mod scheduler;
#[cfg(all(unix, feature = "spool"))]
mod segments;
#[cfg(not(all(unix, feature = "spool")))]
#[path = "segments_off.rs"]
mod segments;
mod send_loop;
mod staging;
mod state;
mod stats;
mod test_queue;
mod wake;

#[cfg(test)]
mod tests;

#[cfg(all(test, any(feature = "race-models", all(unix, feature = "spool"))))]
pub(crate) use batch::BatchId;
#[cfg(all(test, unix, feature = "spool", not(feature = "race-models")))]
pub(crate) use batch::OpenAttempt;
pub(crate) use flushes::{FlushId, FlushResult};
pub(crate) use loss::LossReason;
pub(crate) use monitor::{Delivery, Signal, Wait, has_passed};
pub(crate) use report::{CallbacksSet, EventReport, Report, SplitReport};
#[cfg(all(test, unix, feature = "spool", not(feature = "race-models")))]
pub(crate) use scheduler::Scheduler;
#[cfg(all(test, any(feature = "race-models", all(unix, feature = "spool"))))]
pub(crate) use scheduler::Step;
#[cfg(all(unix, feature = "spool"))]
pub(crate) use segments::changes::Changes;
#[cfg(all(unix, feature = "spool"))]
pub(crate) use segments::lending::{Appended, EventPlace, Lend, Released, Writer};
pub(crate) use send_loop::SendLoop;
#[cfg(all(test, feature = "race-models"))]
pub(crate) use send_loop::SenderExitGuard;
#[cfg(all(unix, feature = "spool"))]
pub(crate) use state::disk::{Loaded, Orders};
pub(crate) use state::{DeliveryState, Refusal};
pub(crate) use stats::Stats;
pub(crate) use wake::Wake;
