//! Which kind of batch probes the host next while the circuit is open: one in back-off, which has failed before, or
//! another one.
//!
//! Where failures cost attempts, only batches in back-off probe, so that an outage spends the attempts of few. Where
//! they cost nothing, a batch that always fails would be the probe for ever, and the host may be well: so when each in
//! back-off has failed once more, another one probes. A batch that has begun stays in memory; with these turns, the
//! number of those in back-off grows with the root of that of the probes only.

/// The turns of the batches in back-off before another batch probes.
#[derive(Debug, Default)]
pub(super) struct ProbeTurns {
    /// `None` where only batches in back-off probe.
    left: Option<usize>,
}

impl ProbeTurns {
    /// Whether the next probe is to be a batch that is not in back-off, if there is one. Where those in back-off use
    /// much of the memory they stay among themselves, but for one that is alone.
    pub(super) fn is_turn_of_others(&self, in_back_off: usize, is_crowded: bool) -> bool {
        self.left == Some(0) && (!is_crowded || in_back_off < 2)
    }

    /// A batch in back-off probes.
    pub(super) fn take(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// Another batch probes: so many have their turns after it.
    pub(super) fn begin_round(&mut self, in_back_off: usize) {
        self.left = self.left.map(|_| in_back_off);
    }

    /// The circuit is open after an attempt that has cost nothing. The others in back-off probe first: where several
    /// have failed, it is probably the host.
    pub(super) fn failed_at_no_cost(&mut self, in_back_off: usize) {
        self.left.get_or_insert(in_back_off.saturating_sub(1));
    }

    /// The circuit is closed. When it opens again it is sooner a batch that fails: another one probes at once.
    pub(super) fn circuit_closed(&mut self) {
        self.left = self.left.map(|_| 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_batch_probes_after_each_round() {
        let mut turns = ProbeTurns::default();
        turns.failed_at_no_cost(3);
        for _ in 0..2 {
            assert!(!turns.is_turn_of_others(3, false));
            turns.take();
        }
        assert!(turns.is_turn_of_others(3, false) && !turns.is_turn_of_others(3, true));
        turns.begin_round(3);
        // What fails in a round does not change how long it is.
        turns.failed_at_no_cost(9);
        for _ in 0..3 {
            assert!(!turns.is_turn_of_others(4, false));
            turns.take();
        }
        assert!(turns.is_turn_of_others(4, false));
        assert!(turns.is_turn_of_others(1, true), "one that is alone does not keep the others waiting");
        turns.begin_round(4);
        turns.circuit_closed();
        assert!(turns.is_turn_of_others(4, false));
    }

    #[test]
    fn where_failures_cost_attempts_no_other_batch_probes() {
        let mut turns = ProbeTurns::default();
        turns.take();
        turns.begin_round(0);
        turns.circuit_closed();
        assert!(!turns.is_turn_of_others(0, false));
    }
}
