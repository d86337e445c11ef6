//! A point in time by the two clocks of a system: the wall clock, which people set, and the clock since the start of
//! the system, which runs on while it sleeps and which nothing sets back.

use std::time::Duration;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Milliseconds since 1970.
    pub(crate) wall_ms: i64,
    /// Milliseconds since the start of the system.
    pub(crate) boot_ms: u64,
    /// Which start of the system that is; 0 if the system does not say.
    pub(crate) boot_id: u64,
}

const DAY_MS: i64 = 86_400_000;

impl Moment {
    /// How long ago this was, as far as that is known. After a restart of the system only the wall clock is left, and
    /// it may have been set: a moment more than a day ahead is not believed, and time is counted from `first_seen_ms`
    /// on, at which another process found it.
    pub(crate) fn age(self, now: Moment, first_seen_ms: Option<i64>) -> Duration {
        if self.boot_id == now.boot_id && self.boot_id != 0 {
            return Duration::from_millis(now.boot_ms.saturating_sub(self.boot_ms));
        }
        let is_ahead = self.wall_ms.saturating_sub(now.wall_ms) > DAY_MS;
        let since = if is_ahead { first_seen_ms.unwrap_or(now.wall_ms) } else { self.wall_ms };
        Duration::from_millis(u64::try_from(now.wall_ms.saturating_sub(since)).unwrap_or(0))
    }

    /// Milliseconds since the start of the system, so much later.
    pub(crate) fn after(self, time: Duration) -> u64 {
        self.boot_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_ms: i64, boot_ms: u64, boot_id: u64) -> Moment {
        Moment { wall_ms, boot_ms, boot_id }
    }

    #[test]
    fn the_wall_clock_counts_only_after_a_restart_of_the_system() {
        let year = 365 * DAY_MS;
        for (begun, now, first_seen, expected) in [
            (at(0, 1_000, 7), at(5, 3_000, 7), None, 2_000),
            // Within one start of the system the wall clock may jump.
            (at(0, 1_000, 7), at(year, 3_000, 7), None, 2_000),
            (at(year, 1_000, 7), at(0, 3_000, 7), None, 2_000),
            (at(0, 1_000, 7), at(9_000, 10, 8), None, 9_000),
            (at(9_000, 1_000, 7), at(0, 10, 8), None, 0),
            // A system that does not say which start it is.
            (at(0, 1_000, 0), at(9_000, 3_000, 0), None, 9_000),
            (at(year, 1_000, 7), at(9_000, 10, 8), None, 0),
            (at(year, 1_000, 7), at(9_000, 10, 8), Some(4_000), 5_000),
            (at(year, 1_000, 7), at(9_000, 10, 8), Some(year), 0),
            (at(DAY_MS, 1_000, 7), at(0, 10, 8), Some(-5_000), 0),
        ] {
            let expected = Duration::from_millis(expected);
            assert_eq!(begun.age(now, first_seen), expected, "{begun:?} {now:?} {first_seen:?}");
        }
    }
}
