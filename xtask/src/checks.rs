//! Counted checks, as all tests print them: `ok …` or `FAILED …`, and a last line with both numbers.

use crate::process::Outcome;

/// How many checks passed and failed so far.
#[derive(Default)]
pub(crate) struct Checks {
    passed: usize,
    failed: usize,
}

impl Checks {
    /// One more check. An error is shown and counts as a failure.
    pub(crate) fn check(&mut self, what: &str, outcome: Outcome<()>) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok {what}");
            }
            Err(error) => {
                self.failed += 1;
                println!("{error}\nFAILED {what}");
            }
        }
    }

    /// One more check that is a condition.
    pub(crate) fn that(&mut self, what: &str, holds: bool) {
        if holds {
            self.passed += 1;
            println!("ok {what}");
        } else {
            self.failed += 1;
            println!("FAILED {what}");
        }
    }

    /// Counts the checks that a test program printed.
    pub(crate) fn count_line(&mut self, line: &str) {
        self.passed += usize::from(line.starts_with("ok "));
        self.failed += usize::from(line.starts_with("FAILED "));
    }

    /// Counts those of another part of the same work.
    pub(crate) fn add(&mut self, other: &Checks) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// The last line; an error when a check failed, or when there was none.
    pub(crate) fn finish(&self, what: &str) -> Outcome<()> {
        println!("{what}: {} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 { Ok(()) } else { Err(format!("{what} failed").into()) }
    }
}

/// An error with this text unless the condition holds.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Outcome<()> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}
