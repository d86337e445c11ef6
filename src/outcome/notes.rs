//! Lines for the host's log: few, bounded, and never one for each event.

use std::collections::VecDeque;

use super::Ledger;
use crate::protocol::judge::Loss;

/// Lines that are kept at most; the oldest go.
const KEPT: usize = 64;

/// How much a line matters. The numbers are those of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Events were lost, or will be.
    Error = 1,
    /// Something is wrong that may right itself.
    Warning = 2,
    /// Worth knowing once.
    Info = 3,
}

/// The lines of one client.
#[derive(Debug, Default)]
pub struct Notes {
    lines: VecDeque<(Level, String)>,
    /// Losses that have been told, by [`Loss`].
    told: [u64; Loss::ALL.len()],
    /// What went wrong last.
    pub last_error: String,
}

impl Notes {
    /// Writes a line down.
    pub fn add(&mut self, level: Level, line: String) {
        if self.lines.len() >= KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back((level, line));
    }

    /// The oldest line that waits.
    pub fn take(&mut self) -> Option<(Level, String)> {
        self.lines.pop_front()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether events were lost of which no line has told.
    pub fn has_losses(&self, ledger: &Ledger) -> bool {
        self.told != ledger.lost
    }

    /// One line for all losses since the last one.
    pub fn losses(&mut self, ledger: &Ledger) -> Option<(Level, String)> {
        let mut reasons = Vec::new();
        let mut total = 0;
        for (((_, name), now), told) in Loss::ALL.iter().zip(ledger.lost).zip(self.told) {
            if now > told {
                total += now - told;
                reasons.push(format!("{} {name}", now - told));
            }
        }
        self.told = ledger.lost;
        let cause = if self.last_error.is_empty() { String::new() } else { format!("; {}", self.last_error) };
        (total > 0).then(|| (Level::Error, format!("events lost: {total} ({}){cause}", reasons.join(", "))))
    }

    /// Losses that somebody else is told of need no line.
    pub fn pass_over(&mut self, ledger: &Ledger) {
        self.told = ledger.lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_many_losses() {
        let (mut notes, mut ledger) = (Notes::default(), Ledger::default());
        assert!(!notes.has_losses(&ledger));
        for _ in 0..1000 {
            ledger.lose(Loss::Dropped, false);
        }
        ledger.lose(Loss::Closed, true);
        notes.last_error = "HTTP 401".to_owned();
        assert!(notes.has_losses(&ledger));
        let (level, line) = notes.losses(&ledger).unwrap();
        assert_eq!(
            (level, line.as_str()),
            (Level::Error, "events lost: 1001 (1000 dropped, 1 closed); HTTP 401")
        );
        assert_eq!(notes.losses(&ledger), None);
    }

    #[test]
    fn lines_are_bounded() {
        let mut notes = Notes::default();
        for i in 0..KEPT + 3 {
            notes.add(Level::Info, i.to_string());
        }
        assert_eq!(notes.take(), Some((Level::Info, "3".to_owned())));
    }
}
