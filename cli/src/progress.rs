//! The progress bar of what takes long, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use phc::internals::tool::Counts;

use crate::text::say;

/// See the module. Safe to use from any thread; a clone is the same bar.
#[derive(Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Nothing is shown, also on a terminal.
    pub(crate) fn hidden() -> Self {
        Progress(ProgressBar::hidden())
    }

    /// The progress through so many bytes or events; without a number, only what was sent is shown.
    pub(crate) fn of(whole: Option<u64>) -> Self {
        let bar = ProgressBar::with_draw_target(whole, ProgressDrawTarget::stderr());
        let template = if whole.is_some() { "{bar:30} {percent:>3} %  {msg}" } else { "{spinner} {msg}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        Progress(bar)
    }

    /// So much of it is done.
    pub(crate) fn reached(&self, done: u64) {
        self.0.set_position(done);
    }

    /// So many events have ended.
    pub(crate) fn show(&self, counts: &Counts) {
        let Counts { delivered, lost, pending, .. } = counts;
        self.0.set_message(format!("{delivered} delivered, {lost} lost, {pending} pending"));
    }

    /// Prints a line to standard error, above the bar.
    pub(crate) fn print(&self, line: &str) {
        self.0.suspend(|| say(format_args!("{line}")));
    }

    /// Removes the bar.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
