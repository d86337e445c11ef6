//! The memory of an outage: a server that does not respond costs the first callers their time limit, and the others
//! nothing.

use std::time::Duration;

use super::decide::Failure;

/// Failures in a row from which on the server is not asked.
const THRESHOLD: u32 = 3;
/// The wait until one call may ask again. It doubles with each failure.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Whether the server is considered down. Times are since any fixed moment.
#[derive(Debug)]
pub(crate) struct FlagCircuit {
    /// What is asked for, for people.
    subject: &'static str,
    failures: u32,
    last: Option<Failure>,
    /// When the next call may ask; meaningful from the threshold on.
    until: Duration,
    /// Whether one is asking.
    is_probing: bool,
}

/// Whether a call may ask the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Ask,
    /// The server is down: why, as of the last call that has asked.
    Held(Failure),
}

impl FlagCircuit {
    /// Of a server that is asked for this.
    pub(crate) fn new(subject: &'static str) -> Self {
        FlagCircuit { subject, failures: 0, last: None, until: Duration::ZERO, is_probing: false }
    }

    /// Whether a call may ask now.
    pub(crate) fn admit(&mut self, now: Duration) -> Admission {
        match &self.last {
            Some(last) if self.failures >= THRESHOLD && (self.is_probing || now < self.until) => {
                let (subject, failures) = (self.subject, self.failures);
                let message = format!(
                    "the last {failures} requests for {subject} failed, and the server is not asked for a while; {}",
                    last.message
                );
                Admission::Held(Failure { cause: last.cause, message })
            }
            _ => {
                self.is_probing = self.failures >= THRESHOLD;
                Admission::Ask
            }
        }
    }

    /// A call has ended: with values, or with a failure. One that is not an outage ends the memory, too.
    pub(crate) fn ended(&mut self, now: Duration, failure: Option<&Failure>) {
        self.is_probing = false;
        let Some(failure) = failure.filter(|failure| failure.is_outage()) else {
            self.failures = 0;
            self.last = None;
            return;
        };
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(THRESHOLD).min(16);
        self.until = now.saturating_add(FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT));
        self.last = Some(failure.clone());
    }

    /// A call was cancelled before it had learnt anything.
    pub(crate) fn cancelled(&mut self) {
        self.is_probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::decide::failure_of;
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn may_ask(circuit: &mut FlagCircuit, ms: u64) -> bool {
        circuit.admit(at(ms)) == Admission::Ask
    }

    #[test]
    fn after_three_failures_one_call_at_a_time_asks_and_the_wait_doubles() {
        let mut circuit = FlagCircuit::new("flags");
        let down = failure_of(503);
        for ms in [0, 10, 20] {
            assert!(may_ask(&mut circuit, ms));
            circuit.ended(at(ms), Some(&down));
        }
        let Admission::Held(failure) = circuit.admit(at(1019)) else { panic!("it asks") };
        assert!(
            failure.cause == down.cause
                && failure.message.contains("last 3 requests for flags")
                && failure.message.contains("503")
        );
        assert!(may_ask(&mut circuit, 1020));
        assert!(!may_ask(&mut circuit, 1020), "one is asking");
        circuit.cancelled();
        assert!(may_ask(&mut circuit, 1020));
        circuit.ended(at(2000), Some(&down));
        assert!(!may_ask(&mut circuit, 3999));
        assert!(may_ask(&mut circuit, 4000));
        for _ in 0..20 {
            circuit.ended(at(5000), Some(&down));
        }
        assert!(!may_ask(&mut circuit, 34_999));
        assert!(may_ask(&mut circuit, 35_000));
        circuit.ended(at(36_000), None);
        assert!(may_ask(&mut circuit, 36_000) && may_ask(&mut circuit, 36_000));
    }

    #[test]
    fn a_refusal_is_not_an_outage() {
        let mut circuit = FlagCircuit::new("flags");
        for ms in 0..10 {
            assert!(may_ask(&mut circuit, ms));
            circuit.ended(at(ms), Some(&failure_of(401)));
        }
        circuit.ended(at(20), Some(&Failure::timeout()));
        circuit.ended(at(20), Some(&Failure::timeout()));
        circuit.ended(at(20), Some(&failure_of(429)));
        circuit.ended(at(20), Some(&Failure::timeout()));
        assert!(may_ask(&mut circuit, 20));
    }
}
