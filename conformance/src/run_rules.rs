//! What a run counts against a client: which broken rules fail a case, and which are reported once for the
//! whole run.
//!
//! A rule of form, such as the spelling of a timestamp, is broken in every request or in none. In each case
//! it would hide what else is wrong, so it is counted here and reported at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use phc_sink::Namespace;

use crate::contract::{Contract, Rule};
use crate::levels::{Level, Levels};

/// A rule that a case broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The check of the sink that found it.
    pub(crate) check: &'static str,
    /// The rule of contract.json.
    pub(crate) rule: String,
    /// Its level.
    pub(crate) level: Level,
    /// What was received.
    pub(crate) message: String,
}

/// How often a rule that is reported once was broken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breach {
    /// Where: a case, and which violation of it. A case may be looked at more than once.
    places: BTreeSet<(String, usize)>,
    /// The first case and what was wrong there.
    pub(crate) first: String,
}

impl Breach {
    /// How often.
    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    /// In how many cases.
    pub(crate) fn cases(&self) -> usize {
        self.places.iter().map(|(case, _)| case).collect::<BTreeSet<_>>().len()
    }
}

/// The rules of one run against one client.
pub(crate) struct RunRules<'a> {
    contract: &'a Contract,
    levels: &'a Levels,
    /// Properties that the client adds to every event without being asked to.
    own_properties: BTreeSet<String>,
    breaches: Mutex<BTreeMap<String, Breach>>,
}

impl<'a> RunRules<'a> {
    pub(crate) fn new(contract: &'a Contract, levels: &'a Levels, own_properties: BTreeSet<String>) -> Self {
        let run_rules = RunRules { contract, levels, own_properties, breaches: Mutex::default() };
        if !run_rules.own_properties.is_empty() {
            let names: Vec<_> = run_rules.own_properties.iter().map(String::as_str).collect();
            run_rules.breach(
                "no-own-properties",
                "the first event",
                &format!("it adds {}", names.join(", ")),
            );
        }
        run_rules
    }

    /// Whether the client is held to everything that libphc promises: names of statuses, texts of messages,
    /// all counters. Otherwise only what the server receives and which events are lost is compared.
    pub(crate) fn is_strict(&self) -> bool {
        self.levels.has(Level::Libphc)
    }

    /// Whether a property is one that the client adds to every event.
    pub(crate) fn is_own_property(&self, key: &str) -> bool {
        self.own_properties.contains(key)
    }

    /// Counts a rule that is reported once, if the run is about its level: once for a case.
    pub(crate) fn breach(&self, rule: &str, case: &str, message: &str) {
        self.breach_at(rule, case, 0, message);
    }

    fn breach_at(&self, rule: &str, case: &str, place: usize, message: &str) {
        if !self.contract.rule(rule).is_some_and(|rule| self.levels.has(rule.level)) {
            return;
        }
        let mut breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        let breach = breaches.entry(rule.to_owned()).or_default();
        if breach.places.is_empty() {
            breach.first = format!("{case}: {message}");
        }
        breach.places.insert((case.to_owned(), place));
    }

    /// The violations in a namespace that fail the case: of a selected level, and not reported once. The
    /// others are counted or ignored.
    pub(crate) fn violations(&self, namespace: &Namespace, case: &str) -> Vec<Broken> {
        let mut failing = Vec::new();
        for (place, violation) in namespace.violations().iter().enumerate() {
            let Some(rule) = self.contract.of_check(violation.rule) else { continue };
            if rule.once {
                self.breach_at(&rule.name, case, place, &violation.message);
            } else if self.levels.has(rule.level) {
                failing.push(Broken {
                    check: violation.rule,
                    rule: rule.name.clone(),
                    level: rule.level,
                    message: violation.message.clone(),
                });
            }
        }
        failing
    }

    /// Whether a violation of this name counts in this run.
    pub(crate) fn counts(&self, violation: &str) -> bool {
        self.contract.of_check(violation).is_none_or(|rule| self.levels.has(rule.level))
    }

    /// Whether any rule that is reported once was broken.
    pub(crate) fn any_breach(&self) -> bool {
        !self.breaches.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Every rule that is reported once and belongs to the run, and how often it was broken.
    pub(crate) fn once(&self) -> Vec<(&'a Rule, Option<Breach>)> {
        let breaches = self.breaches.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = self.contract.rules().iter().filter(|rule| rule.once && self.levels.has(rule.level));
        rules.map(|rule| (rule, breaches.get(&rule.name).cloned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"[
        {"name": "form", "part": "Event", "level": "protocol", "once": true, "checks": ["created-at-form"], "statement": "F."},
        {"name": "own", "part": "Event", "level": "libphc", "once": true, "statement": "O."}]"#;

    #[test]
    fn a_rule_of_form_is_counted_and_one_of_another_level_is_not() {
        let contract = Contract::parse(RULES).unwrap();
        let levels = Levels::parse("server,protocol").unwrap();
        let run_rules = RunRules::new(&contract, &levels, BTreeSet::new());
        run_rules.breach("own", "b", "not of this run");
        assert!(!run_rules.any_breach());
        run_rules.breach_at("form", "a", 0, "first");
        run_rules.breach_at("form", "a", 1, "second");
        run_rules.breach_at("form", "a", 1, "the second again");
        run_rules.breach("form", "b", "third");
        let once = run_rules.once();
        assert_eq!(once.len(), 1);
        let breach = once[0].1.clone().unwrap();
        assert_eq!((breach.count(), breach.cases(), breach.first.as_str()), (3, 2, "a: first"));
        assert!(run_rules.counts("created-at-form"));
        assert!(!run_rules.is_strict());
    }
}
