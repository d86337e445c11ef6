//! Runs steps: each under its time limit, its output shown as it comes and kept in target/test-logs.
//!
//! `order` says which step may begin, `ahead` runs what can be done before a step's turn, `report` says how all ended.

mod ahead;
mod order;
mod report;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use self::ahead::Ahead;
use self::order::Order;
use self::report::Ended;
use crate::checks::ensure;
use crate::process::{self, BUILT, Outcome, TIMED_OUT, at, cargo, command, lines, myself};
use crate::steps::{BUILD, BY_HAND, GROUPS, STEPS, Step};

const LOGS: &str = "target/test-logs";
/// How many steps run at once: of those that may run side by side, each keeps about one processor busy.
const LANES: usize = 2;

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
    for group in GROUPS {
        let members: Vec<_> = steps.iter().filter(|step| step.group == group.name).collect();
        if !members.is_empty() {
            let _ = writeln!(text, "{}: {}", group.name, group.about);
        }
        for step in members {
            let _ =
                writeln!(text, "  {:<22} {:<62} {:>5} s  {}", step.name, step.about, step.limit, step.runs);
        }
    }
    text
}

/// A run of steps by several threads.
struct Run {
    state: Mutex<State>,
    has_ended: Condvar,
    ahead: Ahead,
    stops_at_failure: bool,
}

struct State {
    order: Order,
    ended: Vec<Ended>,
}

impl Run {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs steps until none is left that has not begun.
    fn work(&self) {
        while let Some((number, step)) = self.next() {
            self.ahead.wait_for(step.name);
            let ended = run_step(step, at(LOGS).join(format!("{:02}-{}.log", number + 1, step.name)));
            if step.name == BUILD {
                self.ahead.set_built();
            }
            let mut state = self.state();
            if self.stops_at_failure && ended.failure.is_some() {
                state.order.stop();
            }
            state.order.end(number);
            state.ended.push(ended);
            self.has_ended.notify_all();
        }
    }

    /// Waits for a step that may begin; `None` if no other will.
    fn next(&self) -> Option<(usize, &'static Step)> {
        let mut state = self.state();
        loop {
            if let Some(next) = state.order.begin_next() {
                return Some(next);
            }
            if !state.order.has_waiting() {
                return None;
            }
            state = self.has_ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn run(steps: &[&'static Step], options: &Options) -> Outcome<()> {
    let _ = std::fs::remove_dir_all(at(LOGS));
    std::fs::create_dir_all(at(LOGS))?;
    let begun = Instant::now();
    let run = Run {
        state: Mutex::new(State { order: Order::new(steps), ended: Vec::new() }),
        has_ended: Condvar::new(),
        ahead: Ahead::new(steps),
        stops_at_failure: options.fail_fast,
    };
    run.ahead.begin(&at(LOGS));
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| run.work());
        }
    });
    let mut ended = std::mem::take(&mut run.state().ended);
    ended.sort_by(|one, other| one.log.cmp(&other.log));
    let report = report::junit(&ended);
    process::write(Path::new(LOGS).join("junit.xml"), &report)?;
    if let Some(file) = &options.junit {
        process::write(std::path::absolute(file)?, &report)?;
    }
    report::print(&ended, begun.elapsed());
    // Its last line says it, so there is no message.
    if ended.iter().all(|one| one.failure.is_none()) { Ok(()) } else { Err(Box::new(crate::Silent)) }
}

/// What these words run.
fn program(text: &str) -> Outcome<Command> {
    let words = process::words(text);
    let rest: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
    Ok(match words.first().map(String::as_str) {
        Some("xtask") => myself(&rest)?,
        Some("cargo") => cargo(&rest.join(" ")),
        _ => command(&words),
    })
}

fn run_step(step: &'static Step, log: PathBuf) -> Ended {
    println!("== {}", step.name);
    let begun = Instant::now();
    let status = follow(step, &log);
    let seconds = begun.elapsed().as_secs_f64();
    let (is_not_run, failure) = match status.as_ref().map(ExitStatus::code) {
        Ok(Some(NOT_RUN)) => (true, None),
        Ok(Some(0)) => (false, None),
        Ok(Some(TIMED_OUT)) => (false, Some(format!("its time limit of {} s was over", step.limit))),
        Ok(Some(code)) => (false, Some(format!("it ended with {code}"))),
        Ok(None) => (false, Some("a signal ended it".to_owned())),
        Err(error) => (false, Some(error.to_string())),
    };
    match &failure {
        None if is_not_run => println!("== {}: NOT RUN on this machine, after {seconds:.0} s", step.name),
        None => println!("== {}: passed in {seconds:.0} s", step.name),
        Some(why) => println!("== {}: FAILED in {seconds:.0} s: {why}: {}", step.name, step.runs),
    }
    Ended { step, seconds, failure, is_not_run, log }
}

/// Runs it and shows its output, each line with its name before it where another step may run at the same time.
fn follow(step: &Step, log: &Path) -> Outcome<ExitStatus> {
    let mut inner = program(step.runs)?;
    if step.needs_build {
        inner.env(BUILT, "1");
    }
    let mut file = std::fs::File::create(log)?;
    let mut stdout = std::io::stdout();
    let prefix = if order::has_company(step) { format!("{} | ", step.name) } else { String::new() };
    lines(&mut process::limited(step.limit, &inner), |line| {
        let _ = writeln!(stdout, "{prefix}{line}");
        let _ = writeln!(file, "{line}");
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(wanted: &[&str]) -> Vec<&'static str> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        choose(STEPS, &wanted).unwrap().iter().map(|step| step.name).collect()
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
            assert!(GROUPS.iter().any(|group| group.name == step.group), "{}", step.group);
            assert!(STEPS.iter().skip(number + 1).all(|other| other.name != step.name), "{}", step.name);
            assert!(GROUPS.iter().all(|group| group.name != step.name), "{} is a group, too", step.name);
        }
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
        // Words are not quoted; the shell takes this apart.
        static REFUSED: Step = Step::sample("sh -c exit${IFS}77");
        static FAILED: Step = Step::sample("sh -c exit${IFS}1");
        let log = process::TempFolder::new().unwrap();
        let refused = run_step(&REFUSED, log.join("refused"));
        assert!(refused.is_not_run && refused.failure.is_none());
        assert!(report::junit(&[refused]).contains("skipped=\"1\""));
        let failed = run_step(&FAILED, log.join("failed"));
        assert!(!failed.is_not_run && failed.failure.is_some());
    }
}
