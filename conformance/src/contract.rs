//! The rules of the contract, each with the cases that prove it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::case::{Body, Case, Kind};

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What cases call it.
    pub rule: String,
    /// The part of the contract that it is in.
    pub part: String,
    /// What it says.
    pub says: String,
}

/// The rules of `contract.json`.
///
/// # Errors
/// What is wrong with the file.
pub fn load(root: &Path) -> Result<Vec<Rule>, String> {
    let path = root.join("contract.json");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What is wrong with the whole: a rule without a case, a case of no rule, a
/// name twice, two cases with the same question.
#[must_use]
pub fn troubles(rules: &[Rule], cases: &[Case]) -> Vec<String> {
    let known: BTreeSet<&str> = rules.iter().map(|rule| rule.rule.as_str()).collect();
    let proven: BTreeSet<&str> = cases.iter().flat_map(Case::rules).collect();
    let mut troubles: Vec<String> =
        known.difference(&proven).map(|rule| format!("the rule {rule} has no case")).collect();
    if known.len() != rules.len() {
        troubles.push("contract.json names a rule twice".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut questions: BTreeMap<String, &str> = BTreeMap::new();
    for case in cases {
        if !names.insert(case.name()) {
            troubles.push(format!("two cases are called {}", case.name()));
        }
        if case.rules().next().is_none() {
            troubles.push(format!("{} proves no rule", case.name()));
        }
        for rule in case.rules().filter(|rule| !known.contains(rule)) {
            troubles.push(format!("{} proves {rule}, which is not in contract.json", case.name()));
        }
        if let Some(other) = questions.insert(question(case), case.name()) {
            troubles.push(format!("{} and {other} ask the same", case.name()));
        }
    }
    troubles
}

fn question(case: &Case) -> String {
    match &case.body {
        Body::Vector(it) => format!("{:?} {:?} {:?} {:?}", it.api_key, it.settings, it.before, it.call),
        Body::Scenario(it) => format!("{:?} {:?} {:?}", it.settings, it.server, it.steps),
    }
}

/// The index, as a page.
#[must_use]
pub fn index(rules: &[Rule], cases: &[Case]) -> String {
    let count = |kind: Kind| cases.iter().filter(|case| case.kind == kind).count();
    let mut page = format!(
        "# Index of the conformance cases\n\n<!-- Made by `make docs` from contract.json and the cases. -->\n\n\
         {} rules, {} vectors, {} scenarios. A case may prove several rules.\n",
        rules.len(),
        count(Kind::Vectors),
        count(Kind::Scenarios)
    );
    let mut part = "";
    for rule in rules {
        if part != rule.part {
            part = &rule.part;
            let _ = write!(page, "\n## {part}\n\n| rule | says | cases |\n|---|---|---|\n");
        }
        let proofs: Vec<_> = cases
            .iter()
            .filter(|case| case.rules().any(|name| name == rule.rule))
            .map(|case| format!("{}/{}", case.file, case.name()))
            .collect();
        let _ = writeln!(page, "| `{}` | {} | {} |", rule.rule, rule.says, proofs.join(", "));
    }
    page
}
