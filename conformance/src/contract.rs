//! The rules of the contract, the cases that prove each of them, and the index page.
//!
//! It checks that rules and cases fit together, and knows nothing of how a case is run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::case::{Body, Case, Kind};
use crate::levels::Level;

/// One rule of `contract.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The name by which cases refer to it.
    pub(crate) name: String,
    /// The part of the contract that it belongs to.
    part: String,
    /// Whose rule it is.
    pub(crate) level: Level,
    /// Whether it is reported once in a run, with a count, in place of failing cases.
    #[serde(default)]
    pub(crate) once: bool,
    /// The checks of the sink that show it broken.
    #[serde(default)]
    checks: Vec<String>,
    /// The rule itself, as a sentence.
    pub(crate) statement: String,
}

/// Rules that the runner itself observes, so that they need neither a case nor a check of the sink.
const OBSERVED: [&str; 2] = ["no-own-properties", "losses-reported"];

/// All rules of `contract.json`.
#[derive(Clone, Debug)]
pub(crate) struct Contract(Vec<Rule>);

impl Contract {
    /// Reads the rules below a folder.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub(crate) fn load(root: &Path) -> Result<Contract, String> {
        let path = root.join("contract.json");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Contract::parse(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(crate) fn parse(text: &str) -> Result<Contract, String> {
        serde_json::from_str(text).map(Contract).map_err(|error| error.to_string())
    }

    pub(crate) fn rules(&self) -> &[Rule] {
        &self.0
    }

    pub(crate) fn rule(&self, name: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.name == name)
    }

    /// The rule that a check of the sink belongs to.
    pub(crate) fn of_check(&self, check: &str) -> Option<&Rule> {
        self.0.iter().find(|rule| rule.checks.iter().any(|name| name == check))
    }

    /// The level of a case: that of the most particular rule that it proves. A client that is not held to
    /// that one cannot be expected to pass.
    pub(crate) fn level_of(&self, case: &Case) -> Level {
        let levels = case.rules().filter_map(|name| Some(self.rule(name)?.level));
        levels.max().unwrap_or(Level::Libphc)
    }
}

/// Returns what is wrong with rules and cases as a whole: a rule without a case, a case without a rule, a
/// name that occurs twice, two cases that do the same, a check of the sink that is not in exactly one rule.
pub(crate) fn problems(contract: &Contract, checks: &[&str], cases: &[Case]) -> Vec<String> {
    let rules = contract.rules();
    let known: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
    let checked = rules.iter().filter(|rule| !rule.checks.is_empty()).map(|rule| rule.name.as_str());
    let proven: BTreeSet<&str> = cases.iter().flat_map(Case::rules).chain(checked).chain(OBSERVED).collect();
    let mut problems: Vec<String> =
        known.difference(&proven).map(|rule| format!("the rule {rule} has no case")).collect();
    let used: Vec<&str> = rules.iter().flat_map(|rule| &rule.checks).map(String::as_str).collect();
    for check in checks {
        let count = used.iter().filter(|name| *name == check).count();
        if count != 1 {
            problems.push(format!("the check {check} of the sink belongs to {count} rules, not to one"));
        }
    }
    for check in used.iter().filter(|name| !checks.contains(name)) {
        problems.push(format!("the sink has no check {check}"));
    }
    if known.len() != rules.len() {
        problems.push("contract.json has a rule twice".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut inputs: BTreeMap<String, &str> = BTreeMap::new();
    for case in cases {
        if !names.insert(case.name()) {
            problems.push(format!("two cases have the name {}", case.name()));
        }
        if case.rules().next().is_none() {
            problems.push(format!("{} names no rule that it proves", case.name()));
        }
        for rule in case.rules().filter(|rule| !known.contains(rule)) {
            problems.push(format!("{} names the rule {rule}, which is not in contract.json", case.name()));
        }
        if let Some(other) = inputs.insert(input(case), case.name()) {
            problems.push(format!("{} and {other} do the same", case.name()));
        }
    }
    problems
}

/// Everything that a case does, without what it expects.
fn input(case: &Case) -> String {
    match &case.body {
        Body::Vector(it) => format!("{:?} {:?} {:?} {:?}", it.api_key, it.settings, it.before, it.call),
        Body::Scenario(it) => {
            format!("{:?} {:?} {:?} {:?} {:?}", it.settings, it.fault, it.server, it.definitions, it.steps)
        }
    }
}

/// Returns the index page.
pub(crate) fn index(contract: &Contract, cases: &[Case]) -> String {
    let rules = contract.rules();
    let count = |kind: Kind| cases.iter().filter(|case| case.kind == kind).count();
    let mut page = format!(
        "# Index of the conformance cases\n\n<!-- Generated by `make docs` from contract.json and the cases. -->\n\n\
         {} rules, {} vectors, {} scenarios. One case may prove several rules. [docs/conformance.md](../docs/conformance.md)\n\
         describes the format of the cases, and what the levels mean. A rule with a * is reported once in a run, with a\n\
         count, and fails no other case.\n",
        rules.len(),
        count(Kind::Vectors),
        count(Kind::Scenarios)
    );
    page.push_str("\n## Levels\n\n| level | rules | cases |\n|---|---|---|\n");
    for level in Level::ALL {
        let rules = rules.iter().filter(|rule| rule.level == level).count();
        let cases = cases.iter().filter(|case| contract.level_of(case) == level).count();
        let _ = writeln!(page, "| `{level}` | {rules} | {cases} |");
    }
    page.push_str("\n## Files\n\n| file | about | cases |\n|---|---|---|\n");
    let mut files: BTreeMap<(Kind, &str), (&str, usize)> = BTreeMap::new();
    for case in cases {
        files.entry((case.kind, &case.file)).or_insert((&case.about, 0)).1 += 1;
    }
    for ((kind, file), (about, count)) in files {
        let path = format!("{}/{file}.json", kind.folder());
        let _ = writeln!(page, "| [{path}]({path}) | {about} | {count} |");
    }
    let mut part = "";
    for rule in rules {
        if part != rule.part {
            part = &rule.part;
            let _ = write!(page, "\n## {part}\n\n| rule | level | statement | cases |\n|---|---|---|---|\n");
        }
        let proofs: Vec<_> = cases
            .iter()
            .filter(|case| case.rules().any(|name| name == rule.name))
            .map(|case| format!("{}/{}", case.file, case.name()))
            .collect();
        let checks: Vec<_> = rule.checks.iter().map(|check| format!("`{check}`")).collect();
        let mut proofs = proofs.join(", ");
        if !checks.is_empty() {
            let before = if proofs.is_empty() { "" } else { "; " };
            let _ = write!(proofs, "{before}the sink checks {}", checks.join(", "));
        } else if proofs.is_empty() {
            proofs.push_str("the runner observes it");
        }
        let mark = if rule.once { "*" } else { "" };
        let _ = writeln!(page, "| `{}`{mark} | {} | {} | {proofs} |", rule.name, rule.level, rule.statement);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_of_rules_and_cases_is_named() {
        let rule = |name: &str, checks: &[&str]| Rule {
            name: name.to_owned(),
            part: "Event".to_owned(),
            level: Level::Server,
            once: false,
            checks: checks.iter().map(|check| (*check).to_owned()).collect(),
            statement: String::new(),
        };
        let case = |name: &str, rule: &str, key: &str| {
            let text = format!(r#"{{"name": "{name}", "rule": "{rule}", "api_key": "{key}"}}"#);
            Case {
                file: "f".to_owned(),
                about: String::new(),
                kind: Kind::Vectors,
                body: Body::Vector(serde_json::from_str(&text).unwrap()),
            }
        };
        let contract = Contract(vec![
            rule("proven", &[]),
            rule("unproven", &[]),
            rule("checked", &["a", "twice", "gone"]),
            rule("again", &["twice"]),
        ]);
        let cases = [
            case("one", "proven", "1"),
            case("one", "proven", "2"),
            case("two", "proven", "2"),
            case("three", "", "3"),
            case("four", "unknown", "4"),
        ];
        let expected = [
            "the rule unproven has no case",
            "the check twice of the sink belongs to 2 rules, not to one",
            "the check forgotten of the sink belongs to 0 rules, not to one",
            "the sink has no check gone",
            "two cases have the name one",
            "two and one do the same",
            "three names no rule that it proves",
            "four names the rule unknown, which is not in contract.json",
        ];
        assert_eq!(problems(&contract, &["a", "twice", "forgotten"], &cases), expected);
    }
}
