//! The hold: when the host is down, batches wait instead of burning their
//! attempts.
//!
//! Four attempts are gone in two seconds, while the queue could bridge minutes.
//! So after three failed requests in a row (transport or 5xx) one batch at a
//! time probes the host, with growing waits, and nothing else is started until
//! the host answers again. `retry` verdicts and 4xx are answers, not failures.

use std::time::Duration;

use super::backoff::Backoff;

/// Failures in a row that begin a hold.
const THRESHOLD: u32 = 3;

/// Whether the host is taken to be down. Times are since the client's start.
#[derive(Debug, Default)]
pub struct Outage {
    failures: u32,
    next_probe: Duration,
}

impl Outage {
    /// Whether only probes may be sent.
    pub fn is_held(&self) -> bool {
        self.failures >= THRESHOLD
    }

    /// When the next probe may be sent; meaningful during a hold.
    pub fn next_probe(&self) -> Duration {
        self.next_probe
    }

    /// The host answered with anything but a 5xx.
    pub fn host_answered(&mut self) {
        self.failures = 0;
    }

    /// A request failed by transport or 5xx.
    pub fn request_failed(
        &mut self,
        now: Duration,
        backoff: &Backoff,
        random: u16,
        retry_after: Option<Duration>,
    ) {
        self.failures = self.failures.saturating_add(1);
        self.next_probe = now.saturating_add(backoff.wait(self.failures, random, retry_after));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_hold_until_an_answer() {
        let backoff = Backoff {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(30),
        };
        let mut outage = Outage::default();
        let fail = |outage: &mut Outage| outage.request_failed(Duration::ZERO, &backoff, 0, None);
        fail(&mut outage);
        fail(&mut outage);
        assert!(!outage.is_held());
        outage.host_answered();
        fail(&mut outage);
        fail(&mut outage);
        assert!(!outage.is_held());
        fail(&mut outage);
        assert!(outage.is_held());
        assert_eq!(outage.next_probe().as_millis(), 800);
        for _ in 0..10 {
            fail(&mut outage);
        }
        assert_eq!(outage.next_probe().as_secs(), 30);
        outage.host_answered();
        assert!(!outage.is_held());
    }
}
