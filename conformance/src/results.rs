//! How the cases went: a table for people, JUnit for CI, and JSON for programs.
//!
//! It only formats results, and knows nothing of how a case is run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::case::Kind;

/// How one case went with one client.
#[derive(Clone, Debug)]
pub(crate) struct CaseResult {
    /// Vector or scenario.
    pub(crate) kind: Kind,
    /// The file that it is in.
    pub(crate) file: String,
    /// Its name.
    pub(crate) name: String,
    /// How it went.
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// See [`CaseResult`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The client did what the case expects.
    Passed,
    /// It did not; what it did.
    Failed(String),
    /// The case uses something that the client does not have; what that is.
    Unsupported(String),
}

/// How all cases went with one client.
#[derive(Clone, Debug)]
pub(crate) struct ClientResults {
    /// The client's name on the command line.
    pub(crate) client: String,
    /// Every case.
    pub(crate) cases: Vec<CaseResult>,
    /// How long all of them took.
    pub(crate) seconds: f64,
}

impl ClientResults {
    /// The numbers of cases that passed, failed, and are not supported.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let count = |test: fn(&Outcome) -> bool| self.cases.iter().filter(|one| test(&one.outcome)).count();
        [
            count(|it| *it == Outcome::Passed),
            count(|it| matches!(it, Outcome::Failed(_))),
            count(|it| matches!(it, Outcome::Unsupported(_))),
        ]
    }
}

/// A table with a row for each file and a column for each client. Below it: every failure, and what is not
/// supported and why.
pub(crate) fn table(all: &[ClientResults]) -> String {
    let mut rows: BTreeMap<(Kind, &str), Vec<[usize; 3]>> = BTreeMap::new();
    for (column, results) in all.iter().enumerate() {
        for one in &results.cases {
            let row = rows.entry((one.kind, &one.file)).or_insert_with(|| vec![[0; 3]; all.len()]);
            if let Some(cell) = row.get_mut(column) {
                match one.outcome {
                    Outcome::Passed => cell[0] += 1,
                    Outcome::Failed(_) => cell[1] += 1,
                    Outcome::Unsupported(_) => cell[2] += 1,
                }
            }
        }
    }
    let mut text = format!("{:<36}", "");
    for results in all {
        let _ = write!(text, "{:>20}", results.client);
    }
    text.push('\n');
    let mut line = |name: &str, cells: &[[usize; 3]]| {
        let _ = write!(text, "{name:<36}");
        for cell in cells {
            let _ = write!(text, "{:>20}", cell_text(*cell));
        }
        text.push('\n');
    };
    for ((kind, file), cells) in &rows {
        line(&format!("{}/{file}", kind.folder()), cells);
    }
    line("all", &all.iter().map(ClientResults::counts).collect::<Vec<_>>());
    for results in all {
        for one in &results.cases {
            if let Outcome::Failed(reason) = &one.outcome {
                let _ =
                    writeln!(text, "FAILED {}: {}/{}: {reason}", results.client, one.kind.folder(), one.name);
            }
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &results.cases {
            if let Outcome::Unsupported(reason) = &one.outcome {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        for (reason, count) in reasons {
            let _ = writeln!(text, "{}: {count} unsupported: {reason}", results.client);
        }
        let [passed, failed, unsupported] = results.counts();
        let _ = writeln!(
            text,
            "{}: {passed} passed, {failed} failed, {unsupported} unsupported, in {:.1} s",
            results.client, results.seconds
        );
    }
    text
}

fn cell_text([passed, failed, unsupported]: [usize; 3]) -> String {
    let mut text = format!("{passed} ok");
    if failed > 0 {
        let _ = write!(text, ", {failed} FAILED");
    }
    if unsupported > 0 {
        let _ = write!(text, ", {unsupported} n/a");
    }
    text
}

/// JUnit XML.
pub(crate) fn junit(all: &[ClientResults]) -> String {
    let escaped = |text: &str| {
        let text =
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for results in all {
        let [passed, failed, unsupported] = results.counts();
        let _ = writeln!(
            text,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" skipped=\"{unsupported}\" time=\"{:.3}\">",
            escaped(&results.client),
            passed + failed + unsupported,
            results.seconds
        );
        for one in &results.cases {
            let _ = write!(
                text,
                "<testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3}\"",
                one.kind.folder(),
                escaped(&one.file),
                escaped(&one.name),
                one.seconds
            );
            let _ = match &one.outcome {
                Outcome::Passed => writeln!(text, "/>"),
                Outcome::Failed(reason) => {
                    writeln!(text, "><failure message=\"{}\"/></testcase>", escaped(reason))
                }
                Outcome::Unsupported(reason) => {
                    writeln!(text, "><skipped message=\"{}\"/></testcase>", escaped(reason))
                }
            };
        }
        text.push_str("</testsuite>\n");
    }
    text + "</testsuites>\n"
}

/// JSON; docs/conformance.md describes it.
pub(crate) fn json(all: &[ClientResults]) -> Value {
    let case = |one: &CaseResult| {
        let (outcome, reason) = match &one.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Unsupported(reason) => ("unsupported", Some(reason)),
        };
        json!({"kind": one.kind.folder(), "file": one.file, "name": one.name, "outcome": outcome,
               "reason": reason, "seconds": one.seconds})
    };
    let results = |results: &ClientResults| {
        let [passed, failed, unsupported] = results.counts();
        json!({"sdk": results.client, "passed": passed, "failed": failed, "unsupported": unsupported,
               "seconds": results.seconds, "cases": results.cases.iter().map(case).collect::<Vec<_>>()})
    };
    Value::Array(all.iter().map(results).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Vec<ClientResults> {
        let case = |name: &str, outcome| CaseResult {
            kind: Kind::Vectors,
            file: "lifting".into(),
            name: name.into(),
            outcome,
            seconds: 0.5,
        };
        vec![ClientResults {
            client: "c".into(),
            cases: vec![
                case("good", Outcome::Passed),
                case("bad", Outcome::Failed("expected <1>, \"2\" & 3".into())),
                case("other", Outcome::Unsupported("no such call".into())),
            ],
            seconds: 1.5,
        }]
    }

    #[test]
    fn the_table_names_each_failure_and_its_reason() {
        let text = table(&results());
        assert!(text.contains("1 ok, 1 FAILED, 1 n/a"), "{text}");
        assert!(text.contains("FAILED c: vectors/bad: expected <1>"), "{text}");
        assert!(text.contains("c: 1 passed, 1 failed, 1 unsupported"), "{text}");
    }

    #[test]
    fn junit_is_escaped_and_counts_like_json() {
        let text = junit(&results());
        assert!(text.contains("failures=\"1\" skipped=\"1\""), "{text}");
        assert!(text.contains("expected &lt;1&gt;, &quot;2&quot; &amp; 3"), "{text}");
        assert_eq!(json(&results())[0]["cases"][1]["outcome"], "failed");
    }
}
