//! Runs all cases against one client, several at once, and runs late ones again.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::case::{Body, Case, Kind, Settings, Step};
use crate::contract::Contract;
use crate::driver::{CallResult, Driver, Hello};
use crate::json::Tree;
use crate::levels::Levels;
use crate::results::{CaseResult, Outcome};
use crate::run_rules::{Breach, RunRules};
use crate::steps::{API_KEY, CaseRun, LONG_FLUSH_MS, Stop};
use crate::test_server::TestServer;
use crate::{scenarios, vectors};

/// A case that is late this many times in a row has failed.
const MAX_RUNS: usize = 3;

/// Creates the driver of one thread; the argument is the number of the thread.
pub(crate) type MakeDriver<'a> = &'a (dyn Fn(usize) -> Result<Box<dyn Driver>, String> + Sync);

/// What to run, and how.
pub(crate) struct Plan<'a> {
    pub(crate) cases: &'a [Case],
    pub(crate) contract: &'a Contract,
    pub(crate) levels: &'a Levels,
    /// The number of threads.
    pub(crate) jobs: usize,
    /// Ends after the first failure.
    pub(crate) fail_fast: bool,
}

/// Runs all cases, each thread with a driver of its own, and returns what the driver says of itself and the
/// results. The last of them are those of the rules that are reported once.
///
/// # Errors
/// When a driver cannot be created.
pub(crate) fn all(
    plan: &Plan<'_>,
    make: MakeDriver<'_>,
    server: &TestServer,
) -> Result<(Hello, Vec<CaseResult>), String> {
    let mut first = make(0)?;
    let hello = first.hello().clone();
    let own_properties = own_properties(first.as_mut(), server)?;
    let run_rules = RunRules::new(plan.contract, plan.levels, own_properties);
    let cases = plan.cases;
    // The slow files first, so that at the end all threads are still busy.
    let mut order: Vec<&Case> = cases.iter().collect();
    order.sort_by_key(|case| {
        (case.kind == Kind::Vectors, !matches!(case.file.as_str(), "retry-after" | "waits"))
    });
    let queue = Mutex::new(VecDeque::from(order));
    let results = Mutex::new(Vec::new());
    let stopped = AtomicBool::new(false);
    let work = |number: usize, ready: Option<Box<dyn Driver>>| -> Result<(), String> {
        let mut driver = match ready {
            Some(driver) => driver,
            None => make(number)?,
        };
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(case) = next.filter(|_| !stopped.load(Ordering::Relaxed)) else { return Ok(()) };
            let started = Instant::now();
            let mut level = plan.contract.level_of(case);
            let mut rules: Vec<String> = case.rules().map(str::to_owned).collect();
            let outcome = match run_until_in_time(case, driver.as_mut(), server, &run_rules) {
                Ok(()) => Outcome::Passed,
                Err(Stop::Failed(reason)) => Outcome::Failed(reason),
                Err(Stop::Violated(rule, reason)) => {
                    level = rule.level;
                    rules = vec![rule.name];
                    Outcome::Failed(reason)
                }
                Err(Stop::Late(reason)) => {
                    Outcome::Failed(format!("late {MAX_RUNS} times, the last time: {reason}"))
                }
                Err(Stop::Unsupported(reason)) => Outcome::Unsupported(reason),
                Err(Stop::Broken(reason)) => {
                    driver = make(number)?;
                    Outcome::Failed(reason)
                }
            };
            let failed = matches!(outcome, Outcome::Failed(_)) || run_rules.any_breach();
            if plan.fail_fast && failed {
                stopped.store(true, Ordering::Relaxed);
            }
            let result = CaseResult {
                kind: case.kind,
                file: case.file.clone(),
                name: case.name().to_owned(),
                level,
                rules,
                outcome,
                seconds: started.elapsed().as_secs_f64(),
            };
            results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    };
    std::thread::scope(|scope| {
        // The first driver belongs to thread 0: an adapter knows each thread by its number.
        let ready = std::iter::once(Some(first)).chain(std::iter::repeat_with(|| None));
        let threads: Vec<_> = (0..plan.jobs.max(1))
            .zip(ready)
            .map(|(number, ready)| {
                let work = &work;
                scope.spawn(move || work(number, ready))
            })
            .collect();
        let ended: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread of the runner panicked".into())))
            .collect();
        ended.into_iter().collect::<Result<Vec<()>, String>>()
    })?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.extend(run_rules.once().into_iter().map(|(rule, breach)| CaseResult {
        kind: Kind::Rules,
        file: "reported-once".to_owned(),
        name: rule.name.clone(),
        level: rule.level,
        rules: vec![rule.name.clone()],
        outcome: breach.map_or(Outcome::Passed, |breach| Outcome::Failed(sentence(&rule.statement, &breach))),
        seconds: 0.0,
    }));
    results.sort_by(|a, b| (a.kind, &a.file, &a.name).cmp(&(b.kind, &b.file, &b.name)));
    Ok((hello, results))
}

fn sentence(statement: &str, breach: &Breach) -> String {
    let (count, cases) = (breach.count(), breach.cases());
    let plural = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let often = format!("{} in {}", plural(count, "time"), plural(cases, "case"));
    format!("{statement} Broken {often}, first in {}", breach.first)
}

/// The properties that the client adds to every event, from the first one that it sends. A client that sends
/// none has none; the cases then say why.
fn own_properties(driver: &mut dyn Driver, server: &TestServer) -> Result<BTreeSet<String>, String> {
    const EVENT: &str = r#"{"capture": {"event": "first", "distinct_id": "conformance"}}"#;
    let server = server.case_server("the-first-event");
    let form = driver.hello().forms.first().cloned().unwrap_or_default();
    let settings = Settings::from([("host".to_owned(), format!("http://{}", server.host))]);
    let (contract, levels) = (Contract::parse("[]")?, Levels::parse("all")?);
    let run_rules = RunRules::new(&contract, &levels, BTreeSet::new());
    let CallResult::Done(_) = driver.init(API_KEY, &settings, &Settings::new())? else {
        return Ok(BTreeSet::new());
    };
    let mut run = CaseRun::new(driver, &server, &run_rules, &form);
    let capture: Step = serde_json::from_str(EVENT).map_err(|error| error.to_string())?;
    let flush = Step { flush: Some(LONG_FLUSH_MS), ..Step::default() };
    for step in [capture, flush] {
        match run.run(&Step { status: Some("*".to_owned()), ..step }) {
            Err(Stop::Broken(reason)) => return Err(reason),
            Err(_) => return Ok(BTreeSet::new()),
            Ok(_) => {}
        }
    }
    let namespace = server.namespace();
    let Some(event) = namespace.events().last() else { return Ok(BTreeSet::new()) };
    let event = Tree::parse(event.event.get())?;
    Ok(match event.get("properties") {
        Some(Tree::Object(properties)) => properties.iter().map(|(key, _)| key.clone()).collect(),
        _ => BTreeSet::new(),
    })
}

/// Runs a case again if it was only late. A busy machine makes a correct client late now and then, but a wrong
/// one is late every time.
fn run_until_in_time(
    case: &Case,
    driver: &mut dyn Driver,
    server: &TestServer,
    run_rules: &RunRules<'_>,
) -> Result<(), Stop> {
    let mut outcome = one(case, driver, server, run_rules);
    for run in 2..=MAX_RUNS {
        let Err(Stop::Late(reason)) = &outcome else { break };
        let (sdk, folder) = (&driver.hello().sdk_name, case.kind.folder());
        println!("LATE {sdk}: {folder}/{}: {reason}; run {run} of {MAX_RUNS} begins", case.name());
        outcome = one(case, driver, server, run_rules);
    }
    outcome
}

fn one(
    case: &Case,
    driver: &mut dyn Driver,
    server: &TestServer,
    run_rules: &RunRules<'_>,
) -> Result<(), Stop> {
    match &case.body {
        Body::Vector(vector) => vectors::run(vector, driver, server, run_rules),
        Body::Scenario(scenario) => scenarios::run(scenario, driver, server, run_rules),
    }
}
