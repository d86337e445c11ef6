//! A request to end, by Ctrl-C or by a signal: a command that has a spool ends in order then, so that what is pending is
//! on disk and said to be whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::outcome::Failure;

/// When a command is to end, whether or not it is done.
pub(crate) struct End {
    interrupted: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl End {
    /// After this time, or on a signal. A second signal ends the process at once. A signal that is ignored stays so: by
    /// `nohup`, or in the background of a script.
    pub(crate) fn after(timeout: Option<Duration>) -> Result<Self, Failure> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let ignored = ignored();
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0)
        {
            // The order of the two is that of the calls: at the first signal, the flag is not set yet.
            flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(&interrupted))
                .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
                .map_err(|error| Failure::Files(format!("signals cannot be handled: {error}")))?;
        }
        Ok(End { interrupted, deadline: timeout.map(|timeout| Instant::now() + timeout) })
    }

    /// Whether that is now, and why: the beginning of a sentence.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        if self.interrupted.load(Ordering::Acquire) {
            Some("interrupted")
        } else if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            Some("the time limit has passed")
        } else {
            None
        }
    }
}

/// The signals that are ignored, the first in the lowest bit; none where the system does not say it here.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let digits = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    digits.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
}
