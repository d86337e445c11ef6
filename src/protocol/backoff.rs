//! The waits between attempts.

use std::time::Duration;

/// The bounds of the waits between attempts, from the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the first retry (`retry_initial_ms`); it doubles from one retry
    /// to the next.
    pub initial: Duration,
    /// The longest wait that is ours to choose (`retry_max_ms`), jitter included.
    pub max: Duration,
    /// The longest wait that a `Retry-After` can ask for (`retry_after_max_ms`): a
    /// header of a day must not stop a queue for a day.
    pub retry_after_max: Duration,
}

impl Backoff {
    /// Returns the wait before retry number `retry` (1 is the first).
    ///
    /// `random` spreads it upwards by up to a half, so that clients that failed
    /// together do not come back in the same instant. `retry_after` is a minimum.
    pub fn wait(&self, retry: u32, random: u16, retry_after: Option<Duration>) -> Duration {
        let doublings = retry.saturating_sub(1).min(31);
        let plain = self.initial.saturating_mul(1 << doublings).min(self.max);
        let jitter = plain.mul_f64(f64::from(random) / f64::from(u16::MAX) / 2.0);
        self.at_least(plain.saturating_add(jitter).min(self.max), retry_after)
    }

    /// Returns this wait, or a longer one that the server asks for, within the bound for that.
    pub(super) fn at_least(&self, wait: Duration, retry_after: Option<Duration>) -> Duration {
        wait.max(retry_after.unwrap_or_default().min(self.retry_after_max))
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
