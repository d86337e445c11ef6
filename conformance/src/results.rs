//! How the cases went: a table for people, JUnit for CI, and JSON for programs.
//!
//! It only formats results, and knows nothing of how a case is run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::case::Kind;
use crate::levels::Level;

/// How one case went with one client.
#[derive(Clone, Debug)]
pub(crate) struct CaseResult {
    /// Vector or scenario.
    pub(crate) kind: Kind,
    /// The file that it is in.
    pub(crate) file: String,
    /// Its name.
    pub(crate) name: String,
    /// Its level; that of the broken rule, if it failed by another one.
    pub(crate) level: Level,
    /// The rules that it proves, or the one that it broke.
    pub(crate) rules: Vec<String>,
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
    /// Its name and version, as its driver gives them.
    pub(crate) sdk_name: String,
    pub(crate) sdk_version: String,
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
                let _ = writeln!(
                    text,
                    "FAILED {}: {}/{}: ({}) {reason}",
                    results.client,
                    one.kind.folder(),
                    one.name,
                    one.level
                );
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

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// A page with one row for each case that some client does not pass, and one column for each client.
pub(crate) fn html(all: &[ClientResults]) -> String {
    let mut text = String::from(HTML_HEAD);
    let _ = write!(text, "<table><thead><tr><th>case<th>level");
    for results in all {
        let [passed, failed, unsupported] = results.counts();
        let name = escaped(&results.client);
        let counts = format!("{passed} passed, {failed} failed, {unsupported} unsupported");
        let _ = write!(text, "<th>{name}<br><small>{counts}</small>");
    }
    let mut rows: BTreeMap<(Kind, &str, &str), Vec<Option<&CaseResult>>> = BTreeMap::new();
    for (column, results) in all.iter().enumerate() {
        for one in &results.cases {
            let row = rows.entry((one.kind, &one.file, &one.name)).or_insert_with(|| vec![None; all.len()]);
            if let Some(cell) = row.get_mut(column) {
                *cell = Some(one);
            }
        }
    }
    text.push_str("<tbody>\n");
    for ((kind, file, name), cells) in rows {
        let passed = |cell: Option<&CaseResult>| cell.is_some_and(|one| one.outcome == Outcome::Passed);
        if cells.iter().copied().all(passed) {
            continue;
        }
        let level = cells.iter().flatten().map(|one| one.level).min();
        let level = level.map(Level::name).unwrap_or_default();
        let _ = write!(text, "<tr><th>{}/{}/{}<td>{level}", kind.folder(), escaped(file), escaped(name));
        for cell in cells {
            let (class, word, reason) = match cell.map(|one| &one.outcome) {
                None => ("na", "not run", ""),
                Some(Outcome::Passed) => ("ok", "passed", ""),
                Some(Outcome::Failed(reason)) => ("bad", "failed", reason.as_str()),
                Some(Outcome::Unsupported(reason)) => ("na", "unsupported", reason.as_str()),
            };
            let _ = write!(text, "<td class={class}>{word}<br><small>{}</small>", escaped(reason));
        }
        text.push('\n');
    }
    text + "</table>\n"
}

const HTML_HEAD: &str = r#"<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Capture v1 conformance</title>
<style>
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif }
table { border-collapse: collapse } th, td { text-align: left; vertical-align: top; padding: .3em .6em; border: 1px solid #8886 }
thead th { position: sticky; top: 0; background: Canvas } tbody th { font-weight: normal; overflow-wrap: anywhere }
td { max-width: 30em; overflow-wrap: anywhere } .bad { background: #d332 } .ok { background: #3a32 } .na { color: GrayText }
</style>
<h1>Capture v1 conformance</h1>
<p>Cases that every client passes are left out.
"#;

/// JSON; docs/conformance.md describes it.
pub(crate) fn json(all: &[ClientResults]) -> Value {
    let case = |one: &CaseResult| {
        let (outcome, reason) = match &one.outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(reason) => ("failed", Some(reason)),
            Outcome::Unsupported(reason) => ("unsupported", Some(reason)),
        };
        json!({"kind": one.kind.folder(), "file": one.file, "name": one.name, "level": one.level, "rules": one.rules, "outcome": outcome,
               "reason": reason, "seconds": one.seconds})
    };
    let results = |results: &ClientResults| {
        let [passed, failed, unsupported] = results.counts();
        json!({"sdk": results.client, "sdk_name": results.sdk_name, "sdk_version": results.sdk_version, "passed": passed, "failed": failed, "unsupported": unsupported,
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
            level: Level::Protocol,
            rules: vec!["lift-session-id".into()],
            outcome,
            seconds: 0.5,
        };
        vec![ClientResults {
            client: "c".into(),
            sdk_name: "sdk".into(),
            sdk_version: "1".into(),
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
        assert!(text.contains("FAILED c: vectors/bad: (protocol) expected <1>"), "{text}");
        assert!(text.contains("c: 1 passed, 1 failed, 1 unsupported"), "{text}");
    }

    #[test]
    fn the_page_has_what_some_client_does_not_pass_and_nothing_of_it_is_html() {
        let text = html(&results());
        assert!(!text.contains("vectors/lifting/good"), "{text}");
        assert!(text.contains("<th>vectors/lifting/bad<td>protocol<td class=bad>failed"), "{text}");
        assert!(text.contains("expected &lt;1&gt;"), "{text}");
        assert!(text.contains("class=na>unsupported<br><small>no such call"), "{text}");
    }

    #[test]
    fn junit_is_escaped_and_counts_like_json() {
        let text = junit(&results());
        assert!(text.contains("failures=\"1\" skipped=\"1\""), "{text}");
        assert!(text.contains("expected &lt;1&gt;, &quot;2&quot; &amp; 3"), "{text}");
        assert_eq!(json(&results())[0]["cases"][1]["outcome"], "failed");
    }
}
