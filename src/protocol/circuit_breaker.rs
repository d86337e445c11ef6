//! The circuit breaker: while the host is down, batches wait instead of spending
//! their attempts.
//!
//! Four attempts are spent within two seconds, while the queue can bridge minutes.
//! So after three failed requests in a row (transport or 5xx) the circuit opens:
//! one batch at a time probes the host, with growing waits, and nothing else is
//! sent until the host responds with anything else. `retry` verdicts and 4xx are
//! responses, not failures.

use std::time::Duration;

use super::backoff::Backoff;

/// Failures in a row that open the circuit.
pub(super) const THRESHOLD: u32 = 3;

/// What an attempt says about the host, for the circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostSign {
    /// It responds.
    #[default]
    Responds,
    /// It fails: there was no response on a new connection, or a 5xx.
    Fails,
    /// It refuses whatever this client sends, for now.
    Refuses,
    /// Nothing: the request has probably not reached it.
    None,
}

impl HostSign {
    /// What a response with this status says.
    pub(super) fn of_status(status: u16) -> Self {
        if status >= 500 { HostSign::Fails } else { HostSign::Responds }
    }
}

/// Whether the host is considered down. Times are since the client's start.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker {
    failures: u32,
    next_probe: Duration,
}

impl CircuitBreaker {
    /// Whether only probes may be sent.
    pub(crate) fn is_open(&self) -> bool {
        self.failures >= THRESHOLD
    }

    /// When the next probe may be sent; meaningful while the circuit is open.
    pub(crate) fn next_probe(&self) -> Duration {
        self.next_probe
    }

    /// The host responded with anything but a 5xx: the circuit closes.
    pub(crate) fn host_responded(&mut self) {
        self.failures = 0;
    }

    /// A request failed by transport or 5xx.
    pub(crate) fn request_failed(
        &mut self,
        now: Duration,
        backoff: &Backoff,
        random: u16,
        retry_after: Option<Duration>,
    ) {
        self.failures = self.failures.saturating_add(1);
        self.next_probe = now.saturating_add(backoff.wait(self.failures, random, retry_after));
    }

    /// The host refuses what this client sends: the circuit opens at once, and the probes are as rare as they get.
    pub(crate) fn host_refused(&mut self, now: Duration, backoff: &Backoff, retry_after: Option<Duration>) {
        self.failures = self.failures.max(THRESHOLD);
        self.next_probe = now.saturating_add(backoff.at_least(backoff.max, retry_after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_it_until_a_response() {
        let backoff = Backoff {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(30),
        };
        let mut breaker = CircuitBreaker::default();
        let fail = |breaker: &mut CircuitBreaker| breaker.request_failed(Duration::ZERO, &backoff, 0, None);
        fail(&mut breaker);
        fail(&mut breaker);
        assert!(!breaker.is_open());
        breaker.host_responded();
        fail(&mut breaker);
        fail(&mut breaker);
        assert!(!breaker.is_open());
        fail(&mut breaker);
        assert!(breaker.is_open());
        assert_eq!(breaker.next_probe().as_millis(), 800);
        for _ in 0..10 {
            fail(&mut breaker);
        }
        assert_eq!(breaker.next_probe().as_secs(), 30);
        breaker.host_responded();
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_refusal_opens_it_for_as_long_as_the_server_asks() {
        let second = Duration::from_secs(1);
        let backoff = Backoff { initial: second, max: 30 * second, retry_after_max: 60 * second };
        for (retry_after, wait) in [(None, 30), (Some(9), 30), (Some(45), 45), (Some(3600), 60)] {
            let mut breaker = CircuitBreaker::default();
            breaker.host_refused(second, &backoff, retry_after.map(|seconds| seconds * second));
            assert!(breaker.is_open());
            assert_eq!(breaker.next_probe(), (1 + wait) * second, "{retry_after:?}");
        }
    }
}
