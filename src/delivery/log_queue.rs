//! Lines for the host's log: few, bounded, and never one per event.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::loss::LossReason;
use super::stats::Stats;
use crate::config::LogLevel;
use crate::protocol::Verdict;

/// The largest number of waiting lines.
const MAX_LINES: usize = 64;
/// The largest number of different remarks of the server that are logged.
const MAX_REMARKS: usize = 16;
/// Details of the server that need an explanation, and the explanation.
const EXPLAINED: [(&str, &str); 1] = [(
    "person_processing_disabled",
    "their distinct_id looks like a placeholder (such as anonymous, null or undefined), so they belong to no person: check where the distinct_id comes from",
)];

/// The waiting lines of one client.
#[derive(Debug)]
pub(super) struct LogQueue {
    level: LogLevel,
    lines: VecDeque<(LogLevel, String)>,
    /// How many lines were left out since the last line that says so, and the level of the most important one.
    left_out: Option<(LogLevel, u64)>,
    /// Losses that have been logged, by [`LossReason::index`].
    logged: [u64; LossReason::COUNT],
    /// Remarks of the server that have been logged.
    remarks: Vec<Verdict>,
    /// The last error of a batch that lost events.
    last_error: String,
}

impl LogQueue {
    /// An empty queue for lines of this level and of more important ones.
    pub(super) fn new(level: LogLevel) -> Self {
        LogQueue {
            level,
            lines: VecDeque::new(),
            left_out: None,
            logged: [0; LossReason::COUNT],
            remarks: Vec::new(),
            last_error: String::new(),
        }
    }

    /// Adds a line. When the queue is full, the oldest of the least important lines
    /// makes room, and the last line to be read says how many did.
    pub(super) fn add(&mut self, level: LogLevel, line: String) {
        if level > self.level {
            return;
        }
        if self.lines.len() >= MAX_LINES {
            let least = self.lines.iter().map(|(level, _)| *level).max();
            let position = self.lines.iter().position(|(level, _)| Some(*level) == least);
            if let Some((level, _)) = position.and_then(|position| self.lines.remove(position)) {
                let (most, count) = self.left_out.unwrap_or((level, 0));
                self.left_out = Some((most.min(level), count + 1));
            }
        }
        self.lines.push_back((level, line));
    }

    /// Adds a line about what the server said of events that it stored, once for each
    /// result with these details.
    pub(super) fn add_remark(&mut self, verdict: &Verdict) {
        if self.remarks.len() >= MAX_REMARKS || self.remarks.contains(verdict) {
            return;
        }
        self.remarks.push(verdict.clone());
        let details = verdict.details.as_deref().unwrap_or_default();
        let said = if details.is_empty() { String::new() } else { format!(" ({details})") };
        let explanation = EXPLAINED.iter().find(|(known, _)| *known == details);
        let explanation = explanation.map(|(_, text)| format!(": {text}")).unwrap_or_default();
        let line = format!(
            "the server stored events with the result {:?}{said}{explanation}; this is logged once",
            verdict.code
        );
        self.add(LogLevel::Warning, crate::protocol::response::one_line(&line));
    }

    /// Remembers what went wrong with a batch that lost events.
    pub(super) fn set_last_error(&mut self, error: &str) {
        error.clone_into(&mut self.last_error);
    }

    /// Removes and returns the oldest line.
    pub(super) fn pop(&mut self) -> Option<(LogLevel, String)> {
        self.lines.pop_front().or_else(|| self.left_out.take().map(left_out_line))
    }

    /// The oldest line.
    pub(super) fn peek(&self) -> Option<(LogLevel, Cow<'_, str>)> {
        let Some((level, line)) = self.lines.front() else {
            return self.left_out.map(left_out_line).map(|(level, line)| (level, line.into()));
        };
        Some((*level, line.into()))
    }

    /// Whether no line waits.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.left_out.is_none()
    }

    /// Whether events were lost that no line has mentioned.
    pub(super) fn has_losses(&self, stats: &Stats) -> bool {
        self.logged != stats.lost
    }

    /// One line for all losses since the last one.
    pub(super) fn losses(&mut self, stats: &Stats) -> Option<(LogLevel, String)> {
        let mut reasons = Vec::new();
        let mut total = 0;
        for (((_, name), now), logged) in LossReason::ALL.iter().zip(stats.lost).zip(self.logged) {
            if now > logged {
                total += now - logged;
                reasons.push(format!("{} {name}", now - logged));
            }
        }
        self.logged = stats.lost;
        let line = || format!("events lost: {total} ({}){}", reasons.join(", "), self.cause());
        (total > 0).then(|| (LogLevel::Error, line()))
    }

    /// What went wrong with the last batch that lost events, as the end of a sentence; empty
    /// if that is not known.
    pub(super) fn cause(&self) -> String {
        if self.last_error.is_empty() { String::new() } else { format!("; {}", self.last_error) }
    }

    /// Marks all losses as logged: the error callback reports them.
    pub(super) fn skip_losses(&mut self, stats: &Stats) {
        self.logged = stats.lost;
    }
}

fn left_out_line((level, count): (LogLevel, u64)) -> (LogLevel, String) {
    let lines = if count == 1 { "1 line was".to_owned() } else { format!("{count} lines were") };
    (level, format!("{lines} left out of this log, because more than {MAX_LINES} waited to be written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_losses_are_one_line() {
        let (mut queue, mut stats) = (LogQueue::new(LogLevel::Info), Stats::default());
        assert!(!queue.has_losses(&stats));
        for _ in 0..1000 {
            stats.count_lost(LossReason::Dropped, false);
        }
        stats.count_lost(LossReason::Closed, true);
        queue.set_last_error("HTTP 401");
        assert!(queue.has_losses(&stats));
        let (level, line) = queue.losses(&stats).unwrap();
        assert_eq!(
            (level, line.as_str()),
            (LogLevel::Error, "events lost: 1001 (1000 dropped, 1 closed); HTTP 401")
        );
        assert_eq!(queue.losses(&stats), None);
        assert_eq!(queue.cause(), "; HTTP 401");
    }

    #[test]
    fn lines_are_bounded_and_the_important_ones_stay() {
        let mut queue = LogQueue::new(LogLevel::Debug);
        queue.add(LogLevel::Warning, "warning".to_owned());
        for i in 0..MAX_LINES + 3 {
            queue.add(LogLevel::Debug, i.to_string());
        }
        assert_eq!(queue.lines.len(), MAX_LINES);
        assert_eq!(queue.pop(), Some((LogLevel::Warning, "warning".to_owned())));
        assert_eq!(queue.pop(), Some((LogLevel::Debug, "4".to_owned())));
    }

    #[test]
    fn the_last_line_says_how_many_were_left_out() {
        let mut queue = LogQueue::new(LogLevel::Debug);
        for i in 0..MAX_LINES + 3 {
            queue.add(if i == 1 { LogLevel::Info } else { LogLevel::Debug }, i.to_string());
        }
        let mut last = None;
        for _ in 0..=MAX_LINES {
            assert!(!queue.is_empty());
            let peeked = queue.peek().map(|(level, line)| (level, line.into_owned()));
            last = queue.pop();
            assert_eq!(last, peeked);
        }
        let (level, line) = last.unwrap();
        assert_eq!(level, LogLevel::Debug);
        assert!(line.starts_with("3 lines were left out"), "{line}");
        assert!(queue.is_empty());
        assert!(queue.peek().is_none());
        assert_eq!(queue.pop(), None);

        // What is left out before that line is read is in the same line; an error makes it one.
        for i in 0..=MAX_LINES {
            queue.add(LogLevel::Error, i.to_string());
        }
        queue.pop();
        for i in 0..=MAX_LINES {
            queue.add(LogLevel::Error, i.to_string());
        }
        let last = std::iter::from_fn(|| queue.pop()).last().unwrap();
        assert_eq!(last.0, LogLevel::Error);
        assert!(last.1.starts_with(&format!("{} lines", MAX_LINES + 1)), "{}", last.1);
        queue.add(LogLevel::Info, "later".to_owned());
        assert_eq!(queue.pop(), Some((LogLevel::Info, "later".to_owned())));
        assert!(queue.is_empty());
    }

    #[test]
    fn lines_below_the_level_are_not_kept() {
        let mut queue = LogQueue::new(LogLevel::Warning);
        queue.add(LogLevel::Info, "info".to_owned());
        assert!(queue.is_empty());
        queue.add(LogLevel::Error, "error".to_owned());
        assert!(!queue.is_empty());
    }

    #[test]
    fn each_kind_of_remark_is_logged_once() {
        let mut queue = LogQueue::new(LogLevel::Info);
        let limited = Verdict::new("warning", Some("rate\nlimited".to_owned()));
        for verdict in [&limited, &limited, &Verdict::new("limited", None), &limited] {
            queue.add_remark(verdict);
        }
        let first = queue.pop().unwrap().1;
        assert!(first.contains("\"warning\" (rate limited)"), "{first}");
        assert!(queue.pop().unwrap().1.contains("\"limited\""));
        assert!(queue.is_empty());
        let placeholder = Verdict::new("ok", Some("person_processing_disabled".to_owned()));
        queue.add_remark(&placeholder);
        queue.add_remark(&placeholder);
        let line = queue.pop().unwrap().1;
        assert!(line.contains("\"ok\" (person_processing_disabled): their distinct_id"), "{line}");
        assert!(queue.is_empty());
        for i in 0..100 {
            queue.add_remark(&Verdict::new("warning", Some(i.to_string())));
        }
        assert_eq!(queue.lines.len(), MAX_REMARKS - 3);
    }
}
