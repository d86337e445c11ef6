//! What happened in each of the last seconds, for the chart of the live page.

use std::collections::VecDeque;

use serde::Serialize;

/// How many seconds are kept.
const SECONDS: u64 = 300;

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Second {
    /// Which one, from the start of the sink.
    pub(crate) number: u64,
    pub(crate) requests: u64,
    pub(crate) events: u64,
    /// Requests whose response was an error, or was cut off.
    pub(crate) failed: u64,
    pub(crate) violations: u64,
}

/// See the module. Seconds in which nothing happened are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline(VecDeque<Second>);

impl Timeline {
    /// Adds what happened in this second to what is there of it.
    pub(crate) fn add(&mut self, more: Second) {
        match self.0.back_mut().filter(|last| last.number >= more.number) {
            Some(last) => {
                last.requests += more.requests;
                last.events += more.events;
                last.failed += more.failed;
                last.violations += more.violations;
            }
            None => self.0.push_back(more),
        }
        while self.0.front().is_some_and(|oldest| oldest.number + SECONDS <= more.number) {
            self.0.pop_front();
        }
    }

    /// The seconds in which something happened, in order.
    pub(crate) fn seconds(&self) -> &VecDeque<Second> {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_added_up_and_old_ones_are_removed() {
        let mut timeline = Timeline::default();
        for number in [5, 5, 7] {
            timeline.add(Second { number, requests: 1, events: 10, failed: 1, violations: 2 });
        }
        let two = Second { number: 5, requests: 2, events: 20, failed: 2, violations: 4 };
        assert_eq!(timeline.seconds().front(), Some(&two));
        for number in 8..10_000 {
            timeline.add(Second { number, ..Second::default() });
        }
        assert_eq!(timeline.seconds().len(), 300);
        assert_eq!(timeline.seconds().front().unwrap().number, 9_700);
    }
}
