//! Runs all cases against one client, several at once, and runs late ones again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::case::{Body, Case, Kind};
use crate::driver::Driver;
use crate::results::{CaseResult, Outcome};
use crate::steps::Stop;
use crate::test_server::TestServer;
use crate::{scenarios, vectors};

/// A case that is late this many times in a row has failed.
const MAX_RUNS: usize = 3;

/// Creates the driver of one thread; the argument is the number of the thread.
pub(crate) type MakeDriver<'a> = &'a (dyn Fn(usize) -> Result<Box<dyn Driver>, String> + Sync);

/// Runs all cases in `jobs` threads, each with a driver of its own. With `fail_fast` it ends after the first
/// failure.
///
/// # Errors
/// When a driver cannot be created.
pub(crate) fn all(
    cases: &[Case],
    make: MakeDriver<'_>,
    server: &TestServer,
    jobs: usize,
    fail_fast: bool,
) -> Result<Vec<CaseResult>, String> {
    // The slow files first, so that at the end all threads are still busy.
    let mut order: Vec<&Case> = cases.iter().collect();
    order.sort_by_key(|case| {
        (case.kind == Kind::Vectors, !matches!(case.file.as_str(), "retry-after" | "waits"))
    });
    let queue = Mutex::new(VecDeque::from(order));
    let results = Mutex::new(Vec::new());
    let stopped = AtomicBool::new(false);
    let work = |number: usize| -> Result<(), String> {
        let mut driver = make(number)?;
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(case) = next.filter(|_| !stopped.load(Ordering::Relaxed)) else { return Ok(()) };
            let started = Instant::now();
            let outcome = match run_until_in_time(case, driver.as_mut(), server) {
                Ok(()) => Outcome::Passed,
                Err(Stop::Failed(reason)) => Outcome::Failed(reason),
                Err(Stop::Late(reason)) => {
                    Outcome::Failed(format!("late {MAX_RUNS} times, the last time: {reason}"))
                }
                Err(Stop::Unsupported(reason)) => Outcome::Unsupported(reason),
                Err(Stop::Broken(reason)) => {
                    driver = make(number)?;
                    Outcome::Failed(reason)
                }
            };
            if fail_fast && matches!(outcome, Outcome::Failed(_)) {
                stopped.store(true, Ordering::Relaxed);
            }
            let result = CaseResult {
                kind: case.kind,
                file: case.file.clone(),
                name: case.name().to_owned(),
                outcome,
                seconds: started.elapsed().as_secs_f64(),
            };
            results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1))
            .map(|number| {
                let work = &work;
                scope.spawn(move || work(number))
            })
            .collect();
        let ended: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread of the runner panicked".into())))
            .collect();
        ended.into_iter().collect::<Result<Vec<()>, String>>()
    })?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by(|a, b| (a.kind, &a.file, &a.name).cmp(&(b.kind, &b.file, &b.name)));
    Ok(results)
}

/// Runs a case again if it was only late. A busy machine makes a correct client late now and then, but a wrong
/// one is late every time.
fn run_until_in_time(case: &Case, driver: &mut dyn Driver, server: &TestServer) -> Result<(), Stop> {
    let mut outcome = one(case, driver, server);
    for run in 2..=MAX_RUNS {
        let Err(Stop::Late(reason)) = &outcome else { break };
        let (sdk, folder) = (&driver.hello().sdk_name, case.kind.folder());
        println!("LATE {sdk}: {folder}/{}: {reason}; run {run} of {MAX_RUNS} begins", case.name());
        outcome = one(case, driver, server);
    }
    outcome
}

fn one(case: &Case, driver: &mut dyn Driver, server: &TestServer) -> Result<(), Stop> {
    match &case.body {
        Body::Vector(vector) => vectors::run(vector, driver, server),
        Body::Scenario(scenario) => scenarios::run(scenario, driver, server),
    }
}
