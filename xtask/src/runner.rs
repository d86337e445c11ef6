//! Runs steps: each under its time limit, its output shown as it comes and kept in target/test-logs; then the end
//! of each failed step's log, JUnit, and one last line with both numbers.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::checks::ensure;
use crate::process::{self, BUILT, Outcome, TIMED_OUT, at, cargo, command, lines, myself, said, shown};
use crate::steps::{BUILD, BY_HAND, GROUPS, STEPS, Step};

const LOGS: &str = "target/test-logs";
/// Lines of a failed step's log that are repeated at the end, and are in JUnit.
const TAIL: usize = 40;
/// Lines before that of a failed check that may say why it failed.
const REASON: usize = 8;

/// How a step ends that this machine does not allow, such as one that needs root. It has said why in a line that begins
/// with `NOT RUN`.
const NOT_RUN: i32 = 77;

/// What the command line of `xtask test` says.
#[derive(Default)]
struct Options {
    list: bool,
    fail_fast: bool,
    junit: Option<PathBuf>,
    names: Vec<String>,
}

/// `test [--list] [--junit FILE] [--fail-fast] [STEP-OR-GROUP…]`
pub(crate) fn test(arguments: &[String]) -> Outcome<()> {
    let mut options = Options::default();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => options.list = true,
            "--fail-fast" => options.fail_fast = true,
            "--junit" => options.junit = Some(words.next().ok_or("--junit needs a file")?.into()),
            name => options.names.extend(process::words(name)),
        }
    }
    let chosen = choose(STEPS, &options.names)?;
    if options.list {
        print!("{}", list(&chosen));
        return Ok(());
    }
    run(&chosen, &options)
}

/// The steps that are named by step or group, each once and in the order of the table; all but those that run by
/// hand when nothing is named. `build` comes with the first that needs it.
fn choose<'a>(table: &'a [Step], names: &[String]) -> Outcome<Vec<&'a Step>> {
    for name in names {
        let known = table.iter().any(|step| step.name == name || step.group == name);
        ensure(known, || format!("there is no step or group {name:?}; `xtask test --list` shows all"))?;
    }
    let is_chosen = |step: &Step| match names {
        [] => step.group != BY_HAND,
        _ => names.iter().any(|name| step.name == name || step.group == name),
    };
    let needs_build = table.iter().any(|step| is_chosen(step) && step.needs_build);
    Ok(table.iter().filter(|step| is_chosen(step) || (needs_build && step.name == BUILD)).collect())
}

fn list(steps: &[&Step]) -> String {
    let mut text = String::new();
    for (group, about) in GROUPS {
        let members: Vec<_> = steps.iter().filter(|step| step.group == *group).collect();
        if !members.is_empty() {
            let _ = writeln!(text, "{group}: {about}");
        }
        for step in members {
            let _ =
                writeln!(text, "  {:<22} {:<62} {:>5} s  {}", step.name, step.about, step.limit, step.runs);
        }
    }
    text
}

/// How a step ended.
struct Ended {
    step: &'static Step,
    seconds: f64,
    /// Why it failed.
    failure: Option<String>,
    /// Whether this machine did not allow it.
    is_not_run: bool,
    log: PathBuf,
}

fn run(steps: &[&'static Step], options: &Options) -> Outcome<()> {
    let _ = std::fs::remove_dir_all(at(LOGS));
    std::fs::create_dir_all(at(LOGS))?;
    let mut ended = Vec::new();
    let mut ahead = Ahead::default();
    for (number, step) in steps.iter().enumerate() {
        ahead.wait_for(step.name);
        let log = at(LOGS).join(format!("{:02}-{}.log", number + 1, step.name));
        ended.push(run_step(step, log)?);
        if step.name == BUILD {
            ahead = Ahead::begin(steps.get(number + 1..).unwrap_or_default(), &at(LOGS));
        }
        if options.fail_fast && ended.last().is_some_and(|last| last.failure.is_some()) {
            break;
        }
    }
    let report = junit(&ended);
    process::write(Path::new(LOGS).join("junit.xml"), &report)?;
    if let Some(file) = &options.junit {
        process::write(std::path::absolute(file)?, &report)?;
    }
    // A log that is cut off shows its end: why each failed comes there, too.
    let failed: Vec<_> = ended.iter().filter(|one| one.failure.is_some()).collect();
    for one in &failed {
        let log = one.log.strip_prefix(process::root()).unwrap_or(&one.log).display();
        println!("== {}: FAILED; the end of {log}\n{}", one.step.name, tail(&one.log));
    }
    println!("== seconds: {}", seconds(&ended));
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
    // The line above is the last one, so there is no message.
    if failed.is_empty() { Ok(()) } else { Err(Box::new(crate::Silent)) }
}

/// Commands that run ahead of their steps, one after another and at the lowest priority. One that fails does so again in
/// its step, which reports it.
#[derive(Default)]
struct Ahead {
    state: Arc<(Mutex<AheadState>, Condvar)>,
}

#[derive(Default)]
struct AheadState {
    /// Steps whose commands have not begun.
    waiting: VecDeque<&'static Step>,
    /// The step whose command runs, and its process group.
    running: Option<(&'static str, u32)>,
}

impl Ahead {
    /// Begins with those of these steps that have such a command. Each writes a log into this folder.
    fn begin(steps: &[&'static Step], logs: &Path) -> Self {
        let waiting = steps.iter().copied().filter(|step| !step.ahead.is_empty()).collect();
        let ahead =
            Self { state: Arc::new((Mutex::new(AheadState { waiting, running: None }), Condvar::new())) };
        let (state, logs) = (Arc::clone(&ahead.state), logs.to_owned());
        std::thread::spawn(move || {
            let (lock, has_ended) = &*state;
            loop {
                let mut locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
                locked.running = None;
                has_ended.notify_all();
                let Some(step) = locked.waiting.pop_front() else { return };
                if let Ok(mut child) = start_ahead(step, &logs) {
                    locked.running = Some((step.name, child.id()));
                    drop(locked);
                    let _ = child.wait();
                }
            }
        });
        ahead
    }

    /// Nothing runs ahead of this step afterwards. What has begun is waited for, at normal priority where that is
    /// allowed; what has not is left to the step.
    fn wait_for(&self, step: &str) {
        let (lock, has_ended) = &*self.state;
        let mut locked = lock.lock().unwrap_or_else(PoisonError::into_inner);
        locked.waiting.retain(|waiting| waiting.name != step);
        let runs = |state: &mut AheadState| state.running.filter(|(name, _)| *name == step);
        if let Some((_, group)) = runs(&mut locked) {
            let _ = said(command(["renice", "-n", "0", "-g"]).arg(group.to_string()));
        }
        drop(has_ended.wait_while(locked, |state| runs(state).is_some()));
    }
}

fn start_ahead(step: &Step, logs: &Path) -> Outcome<Child> {
    let log = std::fs::File::create(logs.join(format!("ahead-{}.log", step.name)))?;
    let words = process::words(step.ahead);
    let nice = command(["nice", "-n", "19"].into_iter().map(str::to_owned).chain(words));
    Ok(process::limited(step.limit, &nice)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()?)
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

fn program(step: &Step) -> Outcome<Command> {
    let words = process::words(step.runs);
    let rest: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    Ok(match words.first().map(String::as_str) {
        Some("xtask") => myself(&rest)?,
        Some("cargo") => cargo(&rest.join(" ")),
        _ => command(&words),
    })
}

fn run_step(step: &'static Step, log: PathBuf) -> Outcome<Ended> {
    println!("== {}", step.name);
    let mut inner = program(step)?;
    if step.needs_build {
        inner.env(BUILT, "1");
    }
    let mut file = std::fs::File::create(&log)?;
    let begun = Instant::now();
    let mut stdout = std::io::stdout();
    let status = lines(&mut process::limited(step.limit, &inner), |line| {
        let _ = writeln!(stdout, "{line}");
        let _ = writeln!(file, "{line}");
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let is_not_run = status.code() == Some(NOT_RUN);
    let failure = match status.code() {
        Some(0 | NOT_RUN) => None,
        Some(TIMED_OUT) => Some(format!("its time limit of {} s was over", step.limit)),
        Some(code) => Some(format!("it ended with {code}")),
        None => Some(status.to_string()),
    };
    match &failure {
        None if is_not_run => println!("== {}: NOT RUN on this machine, after {seconds:.0} s", step.name),
        None => println!("== {}: passed in {seconds:.0} s", step.name),
        Some(why) => println!("== {}: FAILED in {seconds:.0} s: {why}: {}", step.name, shown(&inner)),
    }
    Ok(Ended { step, seconds, failure, is_not_run, log })
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
    ["FAILED ", "--- FAIL", "FAIL: "].iter().any(|start| line.starts_with(start))
        || line.ends_with(" FAILED")
        || is_numbered(line)
}

/// As Ruby and PHP begin to list what failed; they say what and why in the lines that follow.
fn is_numbered(line: &str) -> bool {
    line.trim_start().split_once(") ").is_some_and(|(number, _)| number.parse::<usize>().is_ok())
}

/// The lines that name a check that failed, each with those that say why: at most [`TAIL`] lines.
fn failed_checks(log: &str) -> Vec<&str> {
    let lines: Vec<_> = log.lines().collect();
    let mut chosen = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if is_failure(line) {
            let why = lines.get(number.saturating_sub(REASON)..number).unwrap_or_default();
            let passed = why.iter().rposition(|line| line.starts_with("ok ") || is_failure(line));
            chosen.extend(why.get(passed.map_or(0, |last| last + 1)..).unwrap_or_default());
            let last = (number + usize::from(is_numbered(line))).min(lines.len() - 1);
            chosen.extend(lines.get(number..=last).unwrap_or_default());
        }
    }
    chosen.truncate(TAIL);
    chosen
}

/// The form that continuous integration reads.
fn junit(ended: &[Ended]) -> String {
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

    fn names(wanted: &[&str]) -> Vec<&'static str> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        choose(STEPS, &wanted).unwrap().iter().map(|step| step.name).collect()
    }

    const fn a_step(runs: &'static str) -> Step {
        Step { name: "a-step", group: "check", runs, limit: 60, needs_build: false, ahead: "", about: "" }
    }

    #[test]
    fn a_run_without_names_is_all_but_what_runs_by_hand() {
        let all = names(&[]);
        assert!(all.contains(&"c-shared") && all.contains(&"format") && !all.contains(&"soak-long"));
    }

    #[test]
    fn a_step_brings_the_build_that_it_needs_and_no_other() {
        assert_eq!(names(&["reload"]), ["build", "reload"]);
        assert_eq!(names(&["layering"]), ["layering"]);
    }

    #[test]
    fn a_name_that_is_neither_step_nor_group_is_an_error() {
        assert!(choose(STEPS, &["nothing".to_owned()]).is_err());
    }

    #[test]
    fn every_step_has_a_name_of_its_own_and_a_known_group() {
        for (number, step) in STEPS.iter().enumerate() {
            assert!(GROUPS.iter().any(|(group, _)| *group == step.group), "{}", step.group);
            assert!(STEPS.iter().skip(number + 1).all(|other| other.name != step.name), "{}", step.name);
            assert!(GROUPS.iter().all(|(group, _)| *group != step.name), "{} is a group, too", step.name);
        }
    }

    #[test]
    fn a_step_waits_for_what_has_begun_ahead_of_it_and_takes_the_rest_itself() {
        let folder = process::TempFolder::new().unwrap();
        let [go, begun, mark, second] = ["go", "begun", "mark", "second"].map(|name| folder.join(name));
        let script = format!(
            ": >{}; while [ ! -e {} ]; do sleep 0.01; done; : >{}",
            begun.display(),
            go.display(),
            mark.display()
        );
        process::write(folder.join("compile.sh"), &script).unwrap();
        let slow = Box::leak(format!("sh {}", folder.join("compile.sh").display()).into_boxed_str());
        let touch = Box::leak(format!("touch {}", second.display()).into_boxed_str());
        let steps: [&'static Step; 3] = [("first", &*slow), ("none", ""), ("second", &*touch)]
            .map(|(name, ahead)| &*Box::leak(Box::new(Step { name, ahead, ..a_step("true") })));
        let ahead = Ahead::begin(&steps, &folder.join(""));
        while !begun.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        // Another one does not wait, and one whose command has not begun runs it itself.
        ahead.wait_for("none");
        ahead.wait_for("second");
        assert!(!mark.exists());
        std::fs::write(go, "").unwrap();
        ahead.wait_for("first");
        assert!(mark.exists() && !second.exists());
    }

    #[test]
    fn what_fails_ahead_of_a_step_holds_up_nothing() {
        let folder = process::TempFolder::new().unwrap();
        let mark = folder.join("mark");
        let touch = Box::leak(format!("touch {}", mark.display()).into_boxed_str());
        let steps: [&'static Step; 3] =
            [("fails", "false"), ("absent", "/no/such/program"), ("works", &*touch)]
                .map(|(name, ahead)| &*Box::leak(Box::new(Step { name, ahead, ..a_step("true") })));
        let ahead = Ahead::begin(&steps, &folder.join(""));
        while !mark.exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        for step in steps {
            ahead.wait_for(step.name);
        }
    }

    #[test]
    fn a_failed_check_is_named_with_what_was_printed_before_it() {
        let log = "ok a\nwhy b\nFAILED b\nok c\nFAILED d\ntest e ... FAILED\n    --- FAIL: F (0.1s)\nok g\n";
        let failed = ["why b", "FAILED b", "FAILED d", "test e ... FAILED", "    --- FAIL: F (0.1s)"];
        assert_eq!(failed_checks(log), failed);
        for line in ["tests::of_rust --- FAILED", "FAIL: test_page (test_page.Page.test_page)"] {
            assert_eq!(failed_checks(&format!("ok a\n{line}\nok b\n")), [line]);
        }
        let ruby = "ok a\n  1) Failure:\nFlagsTest#test_reads [flags_test.rb:3]:\nok b\n";
        assert_eq!(failed_checks(ruby), ["  1) Failure:", "FlagsTest#test_reads [flags_test.rb:3]:"]);
        assert_eq!(failed_checks("ok a\nspool: 3 passed, 0 failed\n"), Vec::<&str>::new());
    }

    #[test]
    fn what_stays_in_the_background_is_not_waited_for() {
        let begun = Instant::now();
        let mut seen = Vec::new();
        let mut program = command(["sh", "-c", "sleep 600 & echo done $!"]);
        let status = lines(&mut program, |line| seen.push(line.to_owned())).unwrap();
        assert!(status.success() && begun.elapsed().as_secs() < 60);
        let pid = seen[0].strip_prefix("done ").unwrap().to_owned();
        assert!(command(["kill", &pid]).status().unwrap().success());
    }

    #[test]
    fn a_step_over_its_time_ends_with_its_whole_group() {
        let mut program = process::limited(1, &command(["sh", "-c", "sleep 600"]));
        assert_eq!(lines(&mut program, |_| {}).unwrap().code(), Some(TIMED_OUT));
    }

    #[test]
    fn a_step_that_is_not_allowed_is_no_failure_and_not_passed() {
        assert_eq!(totals(3, 1, 0), "2 passed, 1 failed");
        assert_eq!(totals(3, 1, 1), "1 passed, 1 failed, 1 skipped");
        // Words are not quoted; the shell takes this apart.
        static REFUSED: Step = a_step("sh -c exit${IFS}77");
        static FAILED: Step = a_step("sh -c exit${IFS}1");
        let log = process::TempFolder::new().unwrap();
        let refused = run_step(&REFUSED, log.join("refused")).unwrap();
        assert!(refused.is_not_run && refused.failure.is_none());
        assert!(junit(&[refused]).contains("skipped=\"1\""));
        let failed = run_step(&FAILED, log.join("failed")).unwrap();
        assert!(!failed.is_not_run && failed.failure.is_some());
    }

    #[test]
    fn xml_holds_what_a_program_prints() {
        assert_eq!(escaped("a<b>&\"\u{1b}[0m"), "a&lt;b&gt;&amp;&quot;[0m");
    }
}
