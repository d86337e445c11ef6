//! The thread that calls a client's error, delivery and log callbacks, so that a slow
//! callback delays neither the delivery of events nor the callbacks of other clients.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::callbacks::{Callback, CallbackSlots, Inside, LogFunction, ReportFunction, run_inside};
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
    stop_at: Arc<StopAt>,
}

/// Set once the client is freed: no call begins after this instant (`None`: no limit).
pub(super) type StopAt = OnceLock<Option<Instant>>;

type ReportCallback = Option<Arc<Callback<ReportFunction>>>;

/// What the thread passes on to the host, with the callbacks that get it.
enum Notice {
    Report { report: Report, error: ReportCallback, delivered: ReportCallback },
    Line { level: LogLevel, line: String, log: Arc<Callback<LogFunction>> },
}

impl CallbackThread {
    /// Starts the thread.
    pub(super) fn start(
        delivery: Arc<Delivery>,
        slots: Arc<CallbackSlots>,
        reports: Reports,
    ) -> std::io::Result<Self> {
        let stop_at = Arc::<StopAt>::default();
        let stopped = Arc::clone(&stop_at);
        let thread = runtime::spawn(NAME, move || run(&delivery, &slots, reports, &stopped))?;
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
    /// The numbers of reports and events that are missed if this is not passed on.
    fn missed(&self) -> (u64, u64) {
        match self {
            Notice::Report { report, .. } => {
                (1 + report.missed_reports, report.events.len() as u64 + report.missed_events)
            }
            Notice::Line { .. } => (0, 0),
        }
    }
}

/// What the thread does: it passes on one notice after the other, until it is stopped.
pub(super) fn run(delivery: &Delivery, slots: &CallbackSlots, reports: Reports, stop_at: &StopAt) {
    let mut not_before = None;
    while let Some(notice) = next_notice(delivery, slots, stop_at, &mut not_before) {
        let (reports_missed, events_missed) = notice.missed();
        let call = AssertUnwindSafe(|| call_callbacks(delivery, reports, notice));
        if catch_unwind(call).is_err() {
            // An internal error costs one report, and that is counted.
            delivery.update(|state| (state.count_missed_reports(reports_missed, events_missed), Wake::NONE));
        }
    }
}

/// Waits for what is to be passed on next; `None` at the end of the thread. Lines about
/// losses come no sooner than `not_before`.
fn next_notice(
    delivery: &Delivery,
    slots: &CallbackSlots,
    stop_at: &StopAt,
    not_before: &mut Option<Instant>,
) -> Option<Notice> {
    delivery.wait_for(Signal::Reports, |state| {
        let stopping = stop_at.get();
        if stopping.is_some_and(|deadline| has_passed(*deadline)) {
            return Wait::Done(None, Wake::NONE);
        }
        // The callbacks are taken together with what they get: then a setter that removes
        // one waits for this call, and finds in the queue whatever no callback gets. What
        // is loaded here is never the last to be dropped while the lock is held, for a
        // setter keeps what it has replaced until it has had the lock.
        if state.has_report_for_callback() {
            let (error, delivered) = (slots.error.load(), slots.delivery.load());
            if error.is_some() || delivered.is_some() {
                let (report, wake) = state.pop_report_for_callback();
                let notice = report.map(|report| Notice::Report { report, error, delivered });
                return Wait::Done(notice, wake);
            }
        }
        let mut wake_at = None;
        if let Some(log) = slots.log.load() {
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
                return Wait::Done(Some(Notice::Line { level, line, log }), Wake::NONE);
            }
        }
        if stopping.is_some() { Wait::Done(None, Wake::NONE) } else { Wait::Until(wake_at) }
    })
}

/// Calls the callbacks that a notice is for.
fn call_callbacks(delivery: &Delivery, reports: Reports, notice: Notice) {
    failpoint::pass("callback_thread");
    let (report, error, delivered) = match notice {
        Notice::Line { level, line, log } => {
            if let Some(function) = log.function() {
                run_inside(Inside::Callback, || function(level, &line));
            }
            return;
        }
        Notice::Report { report, error, delivered } => (report, error, delivered),
    };
    let set = CallbacksSet { error: error.is_some(), delivery: delivered.is_some() };
    let SplitReport { failures, deliveries, missed_reports, missed_events } = report.split(reports, set);
    if missed_reports > 0 {
        delivery.update(|state| (state.count_missed_reports(missed_reports, missed_events), Wake::NONE));
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
