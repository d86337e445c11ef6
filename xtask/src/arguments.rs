//! The words of a task's command line.

use crate::process::{Outcome, words};

/// Words that are taken out one by one; what is left are names.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    /// Empty words, as `NAME=` of make leaves them, are none.
    pub(crate) fn new(words: &[String]) -> Self {
        Self(words.iter().filter(|word| !word.is_empty()).cloned().collect())
    }

    /// Whether the flag was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() < before
    }

    /// The word behind the option, if the option was there.
    pub(crate) fn option(&mut self, name: &str) -> Outcome<Option<String>> {
        let Some(place) = self.0.iter().position(|word| word == name) else { return Ok(None) };
        self.0.remove(place);
        if place < self.0.len() {
            Ok(Some(self.0.remove(place)))
        } else {
            Err(format!("{name} needs a value").into())
        }
    }

    /// All other words. `NAME="a b"` of make is two names, but `fork.c: fork_when_idle` is one.
    pub(crate) fn names(self) -> Vec<String> {
        let split = |word: String| if word.contains(": ") { vec![word] } else { words(&word) };
        self.0.into_iter().flat_map(split).collect()
    }

    /// The next word.
    pub(crate) fn next(&mut self) -> Option<String> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }
}
