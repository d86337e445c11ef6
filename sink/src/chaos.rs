//! Seeded random failures: the same seed makes the same failures for the same order of requests.
//!
//! It produces steps of a script, and knows nothing of how they are carried out.

use serde::Deserialize;
use serde_json::json;

use crate::script::{Close, Step, Verdict, Verdicts};

/// The shares, from 0 to 1, of requests or events that fail in each manner.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Chaos {
    /// Selects the random sequence.
    seed: u64,
    /// Requests that get this status, as for the next ones.
    status408: f64,
    status413: f64,
    status429: f64,
    status500: f64,
    status502: f64,
    status503: f64,
    status504: f64,
    /// Requests whose connection is cut: half before anything is stored, half in the middle of the response.
    cut: f64,
    /// Events with this verdict, as for the next two.
    retry: f64,
    drop: f64,
    warning: f64,
    /// Error responses that have `Retry-After: 1`.
    retry_after: f64,
    /// The longest delay before a response, in ms.
    delay_ms_max: u64,
    #[serde(skip)]
    state: u64,
}

impl Chaos {
    /// Reads `seed=1,status503=0.1,…`.
    ///
    /// # Errors
    /// When a key is unknown or a value is not a number.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut object = serde_json::Map::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("{part:?} is not key=number"))?;
            let value =
                serde_json::from_str(value.trim()).map_err(|_| format!("{part:?} is not key=number"))?;
            object.insert(key.trim().to_owned(), value);
        }
        serde_json::from_value(json!(object)).map_err(|error| error.to_string())
    }

    fn roll(&mut self) -> f64 {
        // splitmix64
        if self.state == 0 {
            self.state = self.seed.wrapping_mul(2).wrapping_add(1);
        }
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
        let share = ((z ^ (z >> 31)) >> 11) as f64;
        share / 9_007_199_254_740_992.0
    }

    /// Decides about the next request, which has this many events.
    pub(crate) fn next(&mut self, events: usize) -> Step {
        let mut step = Step::default();
        if self.delay_ms_max > 0 {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a delay"
            )]
            let delay = (self.roll() * self.delay_ms_max as f64) as u64;
            step.delay_ms = delay;
        }
        let statuses = [
            (408, self.status408),
            (413, self.status413),
            (429, self.status429),
            (500, self.status500),
            (502, self.status502),
            (503, self.status503),
            (504, self.status504),
        ];
        let mut rolled = self.roll();
        for (status, share) in statuses {
            if rolled < share {
                step.status = Some(status);
                if self.roll() < self.retry_after {
                    step.headers.insert("retry-after".to_owned(), "1".to_owned());
                }
                return step;
            }
            rolled -= share;
        }
        if rolled < self.cut {
            let early = rolled < self.cut / 2.0;
            step.close = Some(if early { Close::BeforeRead } else { Close::MidBody });
            return step;
        }
        let verdicts = (0..events).map(|_| {
            let rolled = self.roll();
            let code = if rolled < self.retry {
                "retry"
            } else if rolled < self.retry + self.drop {
                "drop"
            } else if rolled < self.retry + self.drop + self.warning {
                "warning"
            } else {
                "ok"
            };
            Verdict::Code(code.to_owned())
        });
        step.verdicts = Some(Verdicts::List(verdicts.collect()));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_always_makes_the_same_failures() {
        let steps = |text: &str| {
            let mut chaos = Chaos::parse(text).unwrap();
            (0..500).map(|_| format!("{:?}", chaos.next(3))).collect::<Vec<_>>()
        };
        let text = "seed=7,status503=0.1,retry=0.1,drop=0.02,cut=0.05";
        assert_eq!(steps(text), steps(text));
        assert_ne!(steps(text), steps("seed=8,status503=0.1,retry=0.1,drop=0.02,cut=0.05"));
        let count = |part: &str| steps(text).iter().filter(|step| step.contains(part)).count();
        assert!((25..80).contains(&count("Some(503)")));
        assert!((8..50).contains(&count("close: Some")));
    }

    #[test]
    fn malformed_lists_are_refused() {
        for text in ["seed", "sed=1", "retry=x", "retry=0.1=2"] {
            assert!(Chaos::parse(text).is_err(), "{text}");
        }
    }
}
