//! The thread that calls a client's error, delivery and log callbacks, so that a slow
//! callback delays neither the delivery of events nor the callbacks of other clients.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::callbacks::{Callback, CallbackSlots, Inside, ReportFunction, run_inside};
use crate::config::{LogLevel, Reports};
use crate::delivery::{CallbacksSet, Delivery, Report, Signal, SplitReport, Wait, Wake, has_passed};
use crate::failpoint;
use crate::runtime;

/// The thread's name, as `ps -T` shows it.
const NAME: &str = "phc-callback";

/// The time between two log lines about losses.
const LOSSES_EVERY: Duration = Duration::from_secs(1);

/// The running thread of one client in one process.
pub(super) struct CallbackThread {
    thread: JoinHandle<()>,
    stop_at: StopAt,
}

/// Set once the client is freed: no call begins after this instant (`None`: no limit).
type StopAt = Arc<OnceLock<Option<Instant>>>;

type ReportCallback = Option<Arc<Callback<ReportFunction>>>;

/// What the thread passes on to the host, with the callbacks that get it.
enum Notice {
    Report { report: Report, error: ReportCallback, delivered: ReportCallback },
    Line(LogLevel, String),
}

impl CallbackThread {
    /// Starts the thread.
    pub(super) fn start(
        delivery: Arc<Delivery>,
        slots: Arc<CallbackSlots>,
        reports: Reports,
    ) -> std::io::Result<Self> {
        let stop_at = StopAt::default();
        let stopped = Arc::clone(&stop_at);
        let thread = runtime::spawn(NAME, move || {
            let mut not_before = None;
            while let Some(notice) = next_notice(&delivery, &slots, &stopped, &mut not_before) {
                let events = notice.events();
                let call = AssertUnwindSafe(|| call_callbacks(&delivery, &slots, reports, notice));
                if catch_unwind(call).is_err() {
                    // An internal error costs one report, and that is counted.
                    delivery.update(|state| (state.count_missed_report(events), Wake::NONE));
                }
            }
        })?;
        Ok(CallbackThread { thread, stop_at })
    }

    /// Lets the thread pass on what is waiting, for at most `limit`, and ends it.
    pub(super) fn stop(self, delivery: &Delivery, limit: Duration) {
        let _ = self.stop_at.set(Instant::now().checked_add(limit));
        delivery.wake_report_waiters();
        // A client may be freed inside its own callback.
        if self.thread.thread().id() != std::thread::current().id() {
            let _ = self.thread.join();
        }
    }
}

impl Notice {
    /// The number of events that it reports.
    fn events(&self) -> usize {
        match self {
            Notice::Report { report, .. } => report.events.len(),
            Notice::Line(..) => 0,
        }
    }
}

/// Waits for what is to be passed on next; `None` at the end of the thread. Lines about
/// losses come no sooner than `not_before`.
fn next_notice(
    delivery: &Delivery,
    slots: &CallbackSlots,
    stop_at: &OnceLock<Option<Instant>>,
    not_before: &mut Option<Instant>,
) -> Option<Notice> {
    delivery.wait_for(Signal::Reports, |state| {
        let stopping = stop_at.get();
        if stopping.is_some_and(|deadline| has_passed(*deadline)) {
            return Wait::Done(None, Wake::NONE);
        }
        // The callbacks are taken together with the report: then a setter that removes one
        // waits for this call, and finds in the queue whatever no callback gets. They are
        // loaded only if there is a report, and so are never the last to be dropped here,
        // where the lock is held.
        if state.has_report_for_callback() {
            let (error, delivered) = (slots.error.load(), slots.delivery.load());
            if error.is_some() || delivered.is_some() {
                let (report, wake) = state.pop_report_for_callback();
                let notice = report.map(|report| Notice::Report { report, error, delivered });
                return Wait::Done(notice, wake);
            }
        }
        let mut wake_at = None;
        if slots.log.is_set() {
            let mut line = state.pop_log_line();
            if line.is_none() && state.has_losses_to_log() {
                let now = Instant::now();
                // The last lines of a client are not held back.
                wake_at = not_before.filter(|at| *at > now && stopping.is_none());
                if wake_at.is_none() {
                    *not_before = now.checked_add(LOSSES_EVERY);
                    line = state.pop_losses_line();
                }
            }
            if let Some((level, line)) = line {
                return Wait::Done(Some(Notice::Line(level, line)), Wake::NONE);
            }
        }
        if stopping.is_some() { Wait::Done(None, Wake::NONE) } else { Wait::Until(wake_at) }
    })
}

/// Calls the callbacks that a notice is for.
fn call_callbacks(delivery: &Delivery, slots: &CallbackSlots, reports: Reports, notice: Notice) {
    failpoint::pass("callback_thread");
    let (report, error, delivered) = match notice {
        Notice::Line(level, line) => {
            if let Some(log) = slots.log.load()
                && let Some(function) = log.function()
            {
                run_inside(Inside::Callback, || function(level, &line));
            }
            return;
        }
        Notice::Report { report, error, delivered } => (report, error, delivered),
    };
    let set = CallbacksSet { error: error.is_some(), delivery: delivered.is_some() };
    let SplitReport { failures, deliveries, missed_events } = report.split(reports, set);
    if missed_events > 0 {
        delivery.update(|state| (state.count_missed_report(missed_events), Wake::NONE));
    }
    for (callback, report) in [(error, failures), (delivered, deliveries)] {
        if let Some(callback) = callback
            && let Some(report) = report
            && let Some(function) = callback.function()
        {
            run_inside(Inside::Callback, || function(report));
        }
    }
}
