//! The text of each rule: the two tables in sink/README.md, which tests hold complete.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What is known of a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// What breaks it.
    pub(crate) broken_by: String,
    /// The status that refuses a request which breaks it, or `drop` if its event is dropped; empty if it is recorded
    /// only.
    pub(crate) status: String,
}

/// The rule of this name, or nothing about it.
pub(crate) fn rule(name: &str) -> Rule {
    static RULES: LazyLock<HashMap<String, Rule>> = LazyLock::new(|| {
        HEADS.into_iter().flat_map(|head| table(include_str!("../../README.md"), head)).collect()
    });
    RULES.get(name).cloned().unwrap_or_default()
}

/// The first column of each table: of rules about events, and of those about feature flags.
const HEADS: [&str; 2] = ["rule", "rule of flags"];

/// The rows of the table that has this column and the column `broken by`; a row may be of several rules.
fn table(page: &str, head: &str) -> Vec<(String, Rule)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let begin = format!("| {head} |");
    let mut lines = page.lines().skip_while(|line| !(line.starts_with(&begin) && line.contains("broken by")));
    let heads = cells(lines.next().unwrap_or_default());
    let column = |row: &[String], head: &str| {
        let at = heads.iter().position(|name| name == head);
        at.and_then(|at| row.get(at)).cloned().unwrap_or_default()
    };
    let mut rules = Vec::new();
    for line in lines.skip(1).take_while(|line| line.starts_with('|')) {
        let row = cells(line);
        let broken_by = column(&row, "broken by").replace('`', "");
        let rule = Rule { broken_by, status: column(&row, "status") };
        let names = column(&row, head);
        rules.extend(names.split('`').skip(1).step_by(2).map(|name| (name.to_owned(), rule.clone())));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::event::{DROPPED, REFUSED};

    #[test]
    fn every_row_of_the_table_is_read() {
        let key = rule("authorization");
        assert_eq!(key, Rule { broken_by: "anything but Bearer <key>".into(), status: "401".into() });
        assert_eq!(rule("uuid-form").status, "");
        assert_eq!(rule("uuid-form"), Rule { broken_by: rule("uuid-form").broken_by, status: String::new() });
        for name in ["sdk-info", "lone-surrogate", "empty-batch", "retry-too-early", "resent-after-refusal"] {
            assert!(!rule(name).broken_by.is_empty(), "{name}");
        }
        for name in crate::check::FLAG_RULES {
            assert!(!rule(name).broken_by.is_empty(), "{name}");
        }
        assert_eq!(rule("no-such-rule"), Rule::default());
        for (names, status) in [(&REFUSED[..], "400"), (&DROPPED[..], "drop")] {
            for name in names {
                assert_eq!(rule(name).status, status, "{name}");
            }
        }
    }

    #[test]
    fn another_column_changes_nothing() {
        let page = "| rule | level | broken by | status |\n|---|---|---|---|\n| `a`, `b` | server | `x` there | 400 |\n\n| `c` |";
        let rule = Rule { broken_by: "x there".into(), status: "400".into() };
        assert_eq!(table(page, "rule"), [("a".to_owned(), rule.clone()), ("b".to_owned(), rule)]);
    }
}
