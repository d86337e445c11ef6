//! When definitions are fetched again.

use std::time::Duration;

/// What came of a request for definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// New definitions, or the assurance that the old ones are the newest.
    Current,
    /// The keys are refused, or the project has used up its requests: 401, 402, 403.
    Refused,
    /// The server asks for fewer requests: 429, with what `Retry-After` says.
    TooMany(Option<Duration>),
    /// Anything else: the definitions that are there are kept.
    Failed,
}

/// The first wait after a refusal, which doubles, and the longest.
const REFUSED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(600));
/// The longest wait that a `Retry-After` can ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The waits between requests for definitions.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: Duration,
    /// Refusals in a row, or requests that were too many.
    refusals: u32,
}

impl Schedule {
    /// With this wait between two requests; zero: only when they are asked for.
    pub(crate) fn new(interval: Duration) -> Self {
        Schedule { interval, refusals: 0 }
    }

    /// The wait until the next request; `None`: until one is asked for. `random` spreads it by a tenth up and down, so
    /// that the processes of a deployment do not ask in the same instant.
    pub(crate) fn after(&mut self, polled: Polled, random: u16) -> Option<Duration> {
        let plain = match polled {
            Polled::Current | Polled::Failed => {
                self.refusals = 0;
                self.interval
            }
            Polled::Refused => self.refused().max(self.interval),
            Polled::TooMany(retry_after) => {
                let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
                self.refused().max(self.interval).max(asked)
            }
        };
        if self.interval.is_zero() {
            return None;
        }
        let part = f64::from(random) / f64::from(u16::MAX);
        let spread = plain.mul_f64(0.9 + part / 5.0);
        // What the server asks for is a minimum.
        Some(if let Polled::TooMany(Some(asked)) = polled {
            spread.max(asked.min(LONGEST_RETRY_AFTER))
        } else {
            spread
        })
    }

    fn refused(&mut self) -> Duration {
        let wait = REFUSED.0.saturating_mul(1 << self.refusals.min(8)).min(REFUSED.1);
        self.refusals = self.refusals.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: u16 = u16::MAX / 2 + 1;

    fn seconds(schedule: &mut Schedule, polled: Polled) -> u64 {
        (schedule.after(polled, MIDDLE).unwrap() + Duration::from_millis(500)).as_secs()
    }

    #[test]
    fn refusals_back_off_and_failures_do_not() {
        let mut schedule = Schedule::new(Duration::from_secs(30));
        assert_eq!(seconds(&mut schedule, Polled::Current), 30);
        assert_eq!([(); 3].map(|()| seconds(&mut schedule, Polled::Failed)), [30; 3]);
        assert_eq!([(); 6].map(|()| seconds(&mut schedule, Polled::Refused)), [60, 120, 240, 480, 600, 600]);
        assert_eq!(seconds(&mut schedule, Polled::Current), 30);
        assert_eq!(seconds(&mut schedule, Polled::Refused), 60);
        let mut slow = Schedule::new(Duration::from_secs(3600));
        assert_eq!(seconds(&mut slow, Polled::Refused), 3600);
    }

    #[test]
    fn a_retry_after_is_a_bounded_minimum() {
        let wait =
            |seconds| Schedule::new(Duration::from_secs(30)).after(Polled::TooMany(seconds), 0).unwrap();
        assert_eq!(wait(None).as_secs(), 54);
        assert_eq!(wait(Some(Duration::from_secs(1))).as_secs(), 54);
        assert_eq!(wait(Some(Duration::from_secs(90))).as_secs(), 90);
        assert_eq!(wait(Some(Duration::MAX)).as_secs(), 3600);
    }

    #[test]
    fn the_spread_is_a_tenth_and_zero_never_polls() {
        let mut schedule = Schedule::new(Duration::from_secs(100));
        assert_eq!(schedule.after(Polled::Current, 0).unwrap().as_millis(), 90_000);
        assert_eq!(schedule.after(Polled::Current, u16::MAX).unwrap().as_millis(), 110_000);
        for polled in [Polled::Current, Polled::Failed, Polled::Refused, Polled::TooMany(None)] {
            assert_eq!(Schedule::new(Duration::ZERO).after(polled, 0), None);
        }
    }
}
