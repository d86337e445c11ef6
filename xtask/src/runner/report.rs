//! What a run says at its end: the last lines of each failed step's log, the seconds, the checks that failed, one line
//! with both numbers; and JUnit.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process;
use crate::steps::Step;

/// Lines of a failed step's log that are repeated at the end, and are in JUnit.
const TAIL: usize = 40;
/// Lines before that of a failed check, or after it, that may say why it failed.
const REASON: usize = 8;
/// Last lines of a failed step's log that are repeated where no line of it names a check that failed.
const LAST: usize = 15;

/// How a step ended.
pub(super) struct Ended {
    pub step: &'static Step,
    pub seconds: f64,
    /// Why it failed.
    pub failure: Option<String>,
    /// Whether this machine did not allow it.
    pub is_not_run: bool,
    pub log: PathBuf,
}

/// Says how a run ended that took so long.
pub(super) fn print(ended: &[Ended], took: Duration) {
    // A log that is cut off shows its end: why each failed comes there, too.
    let failed: Vec<_> = ended.iter().filter(|one| one.failure.is_some()).collect();
    for one in &failed {
        let log = one.log.strip_prefix(process::root()).unwrap_or(&one.log).display();
        println!("== {}: FAILED; the end of {log}\n{}", one.step.name, tail(&one.log));
    }
    println!("== seconds: {} in {:.0}", seconds(ended), took.as_secs_f64());
    for one in &failed {
        println!("FAILED: {}", one.step.name);
        for line in failed_checks(&text(&one.log)) {
            println!("  {line}");
        }
    }
    let not_run = ended
        .iter()
        .filter(|one| one.is_not_run)
        .inspect(|one| println!("NOT RUN: {}", one.step.name))
        .count();
    println!("{}", totals(ended.len(), failed.len(), not_run));
}

/// The last line.
fn totals(all: usize, failed: usize, not_run: usize) -> String {
    let skipped = if not_run > 0 { format!(", {not_run} skipped") } else { String::new() };
    format!("{} passed, {failed} failed{skipped}", all - failed - not_run)
}

/// Each step with its seconds, in one line.
fn seconds(ended: &[Ended]) -> String {
    let total: f64 = ended.iter().map(|one| one.seconds).sum();
    let each: Vec<_> = ended.iter().map(|one| format!("{} {:.0}", one.step.name, one.seconds)).collect();
    format!("{}; together {total:.0}", each.join(", "))
}

fn text(log: &Path) -> String {
    std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn tail(log: &Path) -> String {
    let text = text(log);
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n")
}

/// Whether a line names a check that failed: our own, or one of Go, Rust, Python, Ruby or PHP.
fn is_failure(line: &str) -> bool {
    let line = line.trim_start();
    ["FAILED ", "FAILED: ", "--- FAIL", "FAIL: "].iter().any(|start| line.starts_with(start))
        || line.ends_with(" FAILED")
        || is_numbered(line)
}

/// As Ruby and PHP begin to list what failed; they say what and why in the lines that follow.
fn is_numbered(line: &str) -> bool {
    line.trim_start().split_once(") ").is_some_and(|(number, _)| number.parse::<usize>().is_ok())
}

/// The lines that name a check that failed, each with those that say why: at most [`TAIL`] lines. The last ones of the
/// log if none names a check.
fn failed_checks(log: &str) -> Vec<&str> {
    let lines: Vec<_> = log.lines().collect();
    if !lines.iter().any(|line| is_failure(line)) {
        return lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default().to_vec();
    }
    let mut chosen = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if is_failure(line) {
            let why = lines.get(number.saturating_sub(REASON)..number).unwrap_or_default();
            let passed = why.iter().rposition(|line| line.starts_with("ok ") || is_failure(line));
            chosen.extend(why.get(passed.map_or(0, |last| last + 1)..).unwrap_or_default());
            chosen.push(*line);
            if is_numbered(line) {
                let after = lines.get(number + 1..).unwrap_or_default();
                chosen.extend(after.iter().take(REASON).take_while(|line| !line.is_empty()));
            }
        }
    }
    chosen.truncate(TAIL);
    chosen
}

/// The form that continuous integration reads.
pub(super) fn junit(ended: &[Ended]) -> String {
    let failed = ended.iter().filter(|one| one.failure.is_some()).count();
    let not_run = ended.iter().filter(|one| one.is_not_run).count();
    let total: f64 = ended.iter().map(|one| one.seconds).sum();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"libphc\" tests=\"{}\" failures=\"{failed}\" skipped=\"{not_run}\" time=\"{total:.1}\">\n",
        ended.len()
    );
    for Ended { step, seconds, failure, is_not_run, log } in ended {
        let _ = write!(
            text,
            "<testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.1}\"",
            step.group, step.name
        );
        let _ = match failure {
            None if *is_not_run => {
                writeln!(text, "><skipped message=\"{}\"/></testcase>", escaped(&tail(log)))
            }
            None => writeln!(text, "/>"),
            Some(why) => writeln!(
                text,
                "><failure message=\"{}\">{}</failure></testcase>",
                escaped(why),
                escaped(&tail(log))
            ),
        };
    }
    text + "</testsuite>\n</testsuites>\n"
}

/// As XML text; characters that XML cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut all = String::new();
    for character in text.chars() {
        match character {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            '\n' | '\t' => all.push(character),
            other if other.is_control() => {}
            other => all.push(other),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_is_named_with_what_was_printed_before_it() {
        let log = "ok a\nwhy b\nFAILED b\nok c\nFAILED d\ntest e ... FAILED\n    --- FAIL: F (0.1s)\nok g\n";
        let failed = ["why b", "FAILED b", "FAILED d", "test e ... FAILED", "    --- FAIL: F (0.1s)"];
        assert_eq!(failed_checks(log), failed);
        for line in ["tests::of_rust --- FAILED", "FAIL: test_page (test_page.Page.test_page)"] {
            assert_eq!(failed_checks(&format!("ok a\n{line}\nok b\n")), [line]);
        }
        let ruby = "ok a\n  1) Failure:\nFlagsTest#test_reads [flags_test.rb:3]:\nExpected: 1\n\nok b\n";
        let why = ["  1) Failure:", "FlagsTest#test_reads [flags_test.rb:3]:", "Expected: 1"];
        assert_eq!(failed_checks(ruby), why);
    }

    #[test]
    fn a_step_without_a_named_check_is_known_by_its_last_lines() {
        let lines: Vec<_> = (0..LAST + 2).map(|n| format!("line {n}")).collect();
        let log = lines.join("\n");
        let last = failed_checks(&log);
        assert_eq!((last.len(), last.first(), last.last()), (LAST, Some(&"line 2"), Some(&"line 16")));
        assert_eq!(failed_checks("never: Puma responds\n"), ["never: Puma responds"]);
    }

    #[test]
    fn a_step_that_is_not_run_is_neither_passed_nor_failed() {
        assert_eq!(totals(3, 1, 0), "2 passed, 1 failed");
        assert_eq!(totals(3, 1, 1), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn xml_holds_what_a_program_prints() {
        assert_eq!(escaped("a<b>&\"\u{1b}[0m"), "a&lt;b&gt;&amp;&quot;[0m");
    }
}
