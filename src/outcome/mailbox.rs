//! Reports that wait for a listener, bounded. When nobody fetches them the
//! oldest go; the next one that is fetched says how many are missing.

use std::collections::VecDeque;

use super::report::Report;
use crate::fault;
use crate::protocol::judge::Loss;

/// Reports that are kept at most.
const MAX_REPORTS: usize = 10_000;
/// Bytes that they may take together; one larger report is kept whole. A server
/// may have a remark on every event, and nobody may ever ask for it.
const MAX_BYTES: usize = 16 << 20;
/// Evictions come one by one; so many of them share a report.
const EVICTIONS_A_REPORT: usize = 1000;

/// The waiting reports.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// An error callback has the reports; pollers get none.
    pub claimed: bool,
    reports: VecDeque<Report>,
    bytes: usize,
    missed_reports: u64,
    missed_events: u64,
}

impl Mailbox {
    /// Adds a report, and lets the oldest go when there are too many.
    pub fn put(&mut self, mut report: Report) {
        fault::point("outcome");
        let is_eviction = |report: &Report| {
            let evicted = super::Ending::Lost(Loss::Evicted);
            report.events.first().is_some_and(|event| event.ending == evicted)
        };
        let bytes = report.bytes();
        match self.reports.back_mut() {
            Some(last)
                if last.events.len() < EVICTIONS_A_REPORT && is_eviction(last) && is_eviction(&report) =>
            {
                // Of such a report nothing but the events stays.
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

    /// The oldest report.
    pub fn take(&mut self) -> Option<Report> {
        let mut report = self.reports.pop_front()?;
        self.bytes = self.bytes.saturating_sub(report.bytes());
        report.missed_reports += std::mem::take(&mut self.missed_reports);
        report.missed_events += std::mem::take(&mut self.missed_events);
        Some(report)
    }

    /// Takes back a report that was just taken.
    pub fn put_back(&mut self, report: Report) {
        self.bytes += report.bytes();
        self.reports.push_front(report);
    }

    /// Counts a report that was taken and could not be told.
    pub fn miss(&mut self, events: usize) {
        self.missed_reports += 1;
        self.missed_events += events as u64;
    }

    /// The oldest report, for a poller.
    pub fn take_unclaimed(&mut self) -> Option<Report> {
        if self.claimed { None } else { self.take() }
    }

    /// Whether a poller would get one.
    pub fn has_unclaimed(&self) -> bool {
        !self.claimed && !self.is_empty()
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.reports.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ending, EventReport};
    use super::*;
    use crate::protocol::verdict::Remark;
    use uuid::Uuid;

    fn report(events: usize, ending: Ending) -> Report {
        let event = EventReport { uuid: Uuid::nil(), ending, maybe_delivered: false, remark: None };
        Report { events: vec![event; events], ..Report::default() }
    }

    #[test]
    fn what_is_missed_is_told() {
        let mut mailbox = Mailbox::default();
        for _ in 0..MAX_REPORTS + 5 {
            mailbox.put(report(2, Ending::Delivered));
        }
        assert_eq!(mailbox.len(), MAX_REPORTS);
        let first = mailbox.take().unwrap();
        assert_eq!((first.missed_reports, first.missed_events), (5, 10));
        assert_eq!(mailbox.take().unwrap().missed_reports, 0);
        mailbox.put(report(MAX_BYTES / size_of::<EventReport>() + 1, Ending::Delivered));
        assert_eq!(mailbox.len(), 1);
    }

    #[test]
    fn remarks_and_pending_events_count() {
        let mut mailbox = Mailbox::default();
        let remark = Remark { code: "warning".to_owned(), details: Some("x".repeat(500)) };
        let mut wordy = report(2000, Ending::Delivered);
        wordy.events.iter_mut().for_each(|event| event.remark = Some(Box::new(remark.clone())));
        let retry = Report { pending_events: vec![Uuid::nil(); 2000], ..Report::default() };
        for sample in [wordy, retry] {
            let bytes = sample.bytes();
            (0..1000).for_each(|_| mailbox.put(sample.clone()));
            assert!(mailbox.len() <= MAX_BYTES / bytes + 1);
            while mailbox.take().is_some() {}
            assert_eq!(mailbox.bytes, 0);
        }
    }

    #[test]
    fn evictions_share_reports() {
        let mut mailbox = Mailbox::default();
        for _ in 0..=EVICTIONS_A_REPORT {
            mailbox.put(report(1, Ending::Lost(Loss::Evicted)));
        }
        assert_eq!(mailbox.len(), 2);
        assert_eq!(mailbox.take().unwrap().events.len(), EVICTIONS_A_REPORT);
        assert!(mailbox.take().is_some());
        assert_eq!(mailbox.bytes, 0);
    }
}
