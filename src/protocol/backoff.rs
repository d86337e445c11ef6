//! How long to wait before the next attempt.

use std::time::Duration;

/// The waits between attempts, from the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Before the first retry (`retry_initial_ms`); doubles from one to the next.
    pub initial: Duration,
    /// No wait of ours is longer (`retry_max_ms`), jitter included.
    pub max: Duration,
    /// No `Retry-After` makes us wait longer (`retry_after_max_ms`): a day's
    /// header must not park a queue for a day.
    pub retry_after_max: Duration,
}

impl Backoff {
    /// The wait before retry number `retry` (1 is the first).
    ///
    /// `random` spreads it upwards by up to a half, so that a fleet that failed
    /// together does not come back in step. A `Retry-After` is a minimum.
    pub fn wait(&self, retry: u32, random: u16, retry_after: Option<Duration>) -> Duration {
        let doublings = retry.saturating_sub(1).min(31);
        let plain = self.initial.saturating_mul(1 << doublings).min(self.max);
        let jitter = plain.mul_f64(f64::from(random) / f64::from(u16::MAX) / 2.0);
        let ours = plain.saturating_add(jitter).min(self.max);
        ours.max(retry_after.unwrap_or_default().min(self.retry_after_max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Backoff = Backoff {
        initial: Duration::from_millis(200),
        max: Duration::from_secs(30),
        retry_after_max: Duration::from_secs(30),
    };

    #[test]
    fn doubles_up_to_the_maximum() {
        let waits: Vec<_> = (1..=10).map(|retry| DEFAULT.wait(retry, 0, None).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(DEFAULT.wait(u32::MAX, u16::MAX, None), DEFAULT.max);
    }

    #[test]
    fn jitter_only_adds_and_never_passes_the_maximum() {
        for retry in 1..12 {
            let plain = DEFAULT.wait(retry, 0, None);
            for random in (0..=u16::MAX).step_by(101) {
                let wait = DEFAULT.wait(retry, random, None);
                assert!(wait >= plain && wait <= plain.mul_f64(1.5).min(DEFAULT.max));
            }
        }
        assert_eq!(DEFAULT.wait(1, u16::MAX, None).as_millis(), 300);
    }

    #[test]
    fn retry_after_is_a_clamped_minimum() {
        let wait = |retry, seconds| DEFAULT.wait(retry, 0, Some(Duration::from_secs(seconds)));
        assert_eq!(wait(1, 1).as_millis(), 1000);
        assert_eq!(wait(5, 1).as_millis(), 3200);
        assert_eq!(wait(1, 86_400).as_secs(), 30);
    }
}
