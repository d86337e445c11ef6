//! Reports that wait to be read, bounded. When they are not read, the oldest are
//! discarded, and the next one that is read says how many are missing.

use std::collections::VecDeque;

use super::loss::LossReason;
use super::report::Report;
use crate::failpoint;

/// The largest number of waiting reports.
const MAX_REPORTS: usize = 10_000;
/// The largest number of bytes that they may take together; one larger report is kept
/// whole. A server may have a verdict with details on every event, and the host may
/// never read one.
const MAX_BYTES: usize = 16 << 20;
/// Evictions happen one at a time; this many share a report.
const EVICTIONS_PER_REPORT: usize = 1000;

/// The waiting reports.
#[derive(Debug, Default)]
pub(super) struct ReportQueue {
    reports: VecDeque<Report>,
    bytes: usize,
    missed_reports: u64,
    missed_events: u64,
}

impl ReportQueue {
    /// Adds a report, and discards the oldest ones if there are too many.
    pub(super) fn push(&mut self, mut report: Report) {
        failpoint::pass("report_queue");
        let is_eviction = |report: &Report| {
            report.events.first().is_some_and(|event| event.loss == Some(LossReason::Evicted))
        };
        let bytes = report.bytes();
        match self.reports.back_mut() {
            Some(last)
                if last.events.len() < EVICTIONS_PER_REPORT && is_eviction(last) && is_eviction(&report) =>
            {
                // Only the events of such a report remain.
                self.bytes += bytes.saturating_sub(Report::default().bytes());
                last.events.append(&mut report.events);
            }
            _ => {
                self.bytes += bytes;
                self.reports.push_back(report);
            }
        }
        while self.reports.len() > MAX_REPORTS || (self.bytes > MAX_BYTES && self.reports.len() > 1) {
            let Some(oldest) = self.reports.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(oldest.bytes());
            self.missed_reports += 1 + oldest.missed_reports;
            self.missed_events += oldest.events.len() as u64 + oldest.missed_events;
        }
    }

    /// Removes and returns the oldest report.
    pub(super) fn pop(&mut self) -> Option<Report> {
        let mut report = self.reports.pop_front()?;
        self.bytes = self.bytes.saturating_sub(report.bytes());
        report.missed_reports += std::mem::take(&mut self.missed_reports);
        report.missed_events += std::mem::take(&mut self.missed_events);
        Some(report)
    }

    /// Counts reports that were removed and could not be passed on, and their events.
    pub(super) fn count_missed(&mut self, reports: u64, events: u64) {
        self.missed_reports += reports;
        self.missed_events += events;
    }

    /// Whether no report waits.
    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::EventReport;
    use super::*;
    use crate::protocol::Verdict;
    use uuid::Uuid;

    fn report(events: usize, loss: Option<LossReason>) -> Report {
        let event = EventReport { uuid: Uuid::nil(), loss, maybe_delivered: false, verdict: None };
        Report { events: vec![event; events], ..Report::default() }
    }

    #[test]
    fn discarded_reports_are_counted() {
        let mut queue = ReportQueue::default();
        for _ in 0..MAX_REPORTS + 5 {
            queue.push(report(2, None));
        }
        assert_eq!(queue.reports.len(), MAX_REPORTS);
        let first = queue.pop().unwrap();
        assert_eq!((first.missed_reports, first.missed_events), (5, 10));
        assert_eq!(queue.pop().unwrap().missed_reports, 0);
        queue.push(report(MAX_BYTES / size_of::<EventReport>() + 1, None));
        assert_eq!(queue.reports.len(), 1);
    }

    #[test]
    fn verdicts_and_pending_events_count_as_memory() {
        let mut queue = ReportQueue::default();
        let verdict = Verdict::new("warning", Some("x".repeat(500)));
        let mut wordy = report(2000, None);
        wordy.events.iter_mut().for_each(|event| event.verdict = Some(Box::new(verdict.clone())));
        let retry = Report { pending_events: vec![Uuid::nil(); 2000], ..Report::default() };
        for sample in [wordy, retry] {
            let bytes = sample.bytes();
            (0..1000).for_each(|_| queue.push(sample.clone()));
            assert!(queue.reports.len() <= MAX_BYTES / bytes + 1);
            while queue.pop().is_some() {}
            assert_eq!(queue.bytes, 0);
        }
    }

    #[test]
    fn evictions_share_reports() {
        let mut queue = ReportQueue::default();
        for _ in 0..=EVICTIONS_PER_REPORT {
            queue.push(report(1, Some(LossReason::Evicted)));
        }
        assert_eq!(queue.reports.len(), 2);
        assert_eq!(queue.pop().unwrap().events.len(), EVICTIONS_PER_REPORT);
        assert!(queue.pop().is_some());
        assert_eq!(queue.bytes, 0);
    }
}
