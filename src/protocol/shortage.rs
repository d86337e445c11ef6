//! Shortage on this machine: while it has no descriptor, port, memory or randomness for a
//! request, batches wait, and no attempt of theirs is spent.
//!
//! One batch at a time tries again, with growing waits, as while the circuit breaker is open.
//! Unlike there, requests that fail at the same time count once: they all met the same shortage.

use std::time::Duration;

use super::backoff::Backoff;

/// Whether the machine is short of something. Times are since the client's start.
#[derive(Debug, Default)]
pub(crate) struct Shortage {
    /// Tries in a row that met it.
    rounds: u32,
    next_try: Duration,
}

impl Shortage {
    /// Whether it lasts, as far as is known.
    pub(crate) fn is_on(&self) -> bool {
        self.rounds > 0
    }

    /// When the next try may be made; meaningful while it lasts.
    pub(crate) fn next_try(&self) -> Duration {
        self.next_try
    }

    /// A request could not be made.
    pub(crate) fn met(&mut self, now: Duration, backoff: &Backoff, random: u16) {
        if !self.is_on() || now >= self.next_try {
            self.rounds = self.rounds.saturating_add(1);
            self.next_try = now.saturating_add(backoff.wait(self.rounds, random, None));
        }
    }

    /// A request was made.
    pub(crate) fn is_over(&mut self) {
        self.rounds = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_try_to_try_and_begin_anew_afterwards() {
        let backoff = Backoff {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(30),
        };
        let mut shortage = Shortage::default();
        for _ in 0..2 {
            let mut now = Duration::from_secs(9);
            let mut waits = Vec::new();
            for _ in 0..9 {
                for _ in 0..64 {
                    shortage.met(now, &backoff, 0);
                }
                assert!(shortage.is_on());
                waits.push(shortage.next_try().checked_sub(now).unwrap().as_millis());
                now = shortage.next_try();
            }
            assert_eq!(waits, [200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000]);
            shortage.is_over();
            assert!(!shortage.is_on());
        }
    }
}
