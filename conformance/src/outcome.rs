//! How the cases went: for people, for CI (JUnit) and for programs (JSON).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::case::Kind;

/// How one case went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Vector or scenario.
    pub kind: Kind,
    /// The file that it is in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// How long it took.
    pub seconds: f64,
}

/// See [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the contract says.
    Passed,
    /// Otherwise, and how.
    Failed(String),
    /// The client has no way to be asked this, and why.
    NotOffered(String),
}

/// All outcomes of one client.
#[derive(Clone, Debug)]
pub struct Results {
    /// What it is called on the command line.
    pub sdk: String,
    /// Each case.
    pub outcomes: Vec<Outcome>,
    /// How long all of it took.
    pub seconds: f64,
}

impl Results {
    /// Passed, failed, not offered.
    #[must_use]
    pub fn counts(&self) -> [usize; 3] {
        let count =
            |test: fn(&Verdict) -> bool| self.outcomes.iter().filter(|one| test(&one.verdict)).count();
        [
            count(|it| *it == Verdict::Passed),
            count(|it| matches!(it, Verdict::Failed(_))),
            count(|it| matches!(it, Verdict::NotOffered(_))),
        ]
    }
}

/// The table: a row a file, a column a client; below it every failure, and what
/// is not offered and why.
#[must_use]
pub fn table(all: &[Results]) -> String {
    let mut rows: BTreeMap<(Kind, &str), Vec<[usize; 3]>> = BTreeMap::new();
    for (column, results) in all.iter().enumerate() {
        for one in &results.outcomes {
            let row = rows.entry((one.kind, &one.file)).or_insert_with(|| vec![[0; 3]; all.len()]);
            if let Some(cell) = row.get_mut(column) {
                match one.verdict {
                    Verdict::Passed => cell[0] += 1,
                    Verdict::Failed(_) => cell[1] += 1,
                    Verdict::NotOffered(_) => cell[2] += 1,
                }
            }
        }
    }
    let mut text = format!("{:<36}", "");
    for results in all {
        let _ = write!(text, "{:>20}", results.sdk);
    }
    text.push('\n');
    let mut line = |name: &str, cells: &[[usize; 3]]| {
        let _ = write!(text, "{name:<36}");
        for cell in cells {
            let _ = write!(text, "{:>20}", in_short(*cell));
        }
        text.push('\n');
    };
    for ((kind, file), cells) in &rows {
        line(&format!("{}/{file}", kind.folder()), cells);
    }
    line("all", &all.iter().map(Results::counts).collect::<Vec<_>>());
    for results in all {
        for one in &results.outcomes {
            if let Verdict::Failed(why) = &one.verdict {
                let _ = writeln!(text, "FAILED {}: {}/{}: {why}", results.sdk, one.kind.folder(), one.name);
            }
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &results.outcomes {
            if let Verdict::NotOffered(why) = &one.verdict {
                *reasons.entry(why).or_default() += 1;
            }
        }
        for (why, count) in reasons {
            let _ = writeln!(text, "{}: {count} not asked: {why}", results.sdk);
        }
        let [passed, failed, not_offered] = results.counts();
        let _ = writeln!(
            text,
            "{}: {passed} passed, {failed} failed, {not_offered} not offered, in {:.1} s",
            results.sdk, results.seconds
        );
    }
    text
}

fn in_short([passed, failed, not_offered]: [usize; 3]) -> String {
    let mut text = format!("{passed} ok");
    if failed > 0 {
        let _ = write!(text, ", {failed} FAILED");
    }
    if not_offered > 0 {
        let _ = write!(text, ", {not_offered} n/a");
    }
    text
}

/// For CI.
#[must_use]
pub fn junit(all: &[Results]) -> String {
    let escaped = |text: &str| {
        let text =
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
    };
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for results in all {
        let [passed, failed, not_offered] = results.counts();
        let _ = writeln!(
            text,
            "<testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\" skipped=\"{not_offered}\" time=\"{:.3}\">",
            escaped(&results.sdk),
            passed + failed + not_offered,
            results.seconds
        );
        for one in &results.outcomes {
            let _ = write!(
                text,
                "<testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3}\"",
                one.kind.folder(),
                escaped(&one.file),
                escaped(&one.name),
                one.seconds
            );
            let _ = match &one.verdict {
                Verdict::Passed => writeln!(text, "/>"),
                Verdict::Failed(why) => writeln!(text, "><failure message=\"{}\"/></testcase>", escaped(why)),
                Verdict::NotOffered(why) => {
                    writeln!(text, "><skipped message=\"{}\"/></testcase>", escaped(why))
                }
            };
        }
        text.push_str("</testsuite>\n");
    }
    text + "</testsuites>\n"
}

/// For programs.
#[must_use]
pub fn json(all: &[Results]) -> Value {
    let one = |one: &Outcome| {
        let (verdict, why) = match &one.verdict {
            Verdict::Passed => ("passed", None),
            Verdict::Failed(why) => ("failed", Some(why)),
            Verdict::NotOffered(why) => ("not_offered", Some(why)),
        };
        json!({"kind": one.kind.folder(), "file": one.file, "name": one.name, "verdict": verdict,
               "why": why, "seconds": one.seconds})
    };
    let results = |results: &Results| {
        let [passed, failed, not_offered] = results.counts();
        json!({"sdk": results.sdk, "passed": passed, "failed": failed, "not_offered": not_offered,
               "seconds": results.seconds, "cases": results.outcomes.iter().map(one).collect::<Vec<_>>()})
    };
    Value::Array(all.iter().map(results).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Vec<Results> {
        let outcome = |name: &str, verdict| Outcome {
            kind: Kind::Vectors,
            file: "lifting".into(),
            name: name.into(),
            verdict,
            seconds: 0.5,
        };
        vec![Results {
            sdk: "c".into(),
            outcomes: vec![
                outcome("good", Verdict::Passed),
                outcome("bad", Verdict::Failed("expected <1>, \"2\" & 3".into())),
                outcome("other", Verdict::NotOffered("no way".into())),
            ],
            seconds: 1.5,
        }]
    }

    #[test]
    fn the_table_says_what_failed_and_why() {
        let text = table(&results());
        assert!(text.contains("1 ok, 1 FAILED, 1 n/a"), "{text}");
        assert!(text.contains("FAILED c: vectors/bad: expected <1>"), "{text}");
        assert!(text.contains("c: 1 passed, 1 failed, 1 not offered"), "{text}");
    }

    #[test]
    fn junit_is_well_formed() {
        let text = junit(&results());
        assert!(text.contains("failures=\"1\" skipped=\"1\""), "{text}");
        assert!(text.contains("expected &lt;1&gt;, &quot;2&quot; &amp; 3"), "{text}");
        assert_eq!(json(&results())[0]["cases"][1]["verdict"], "failed");
    }
}
