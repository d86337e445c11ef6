//! All cases against one client, several at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::case::{Body, Case, Kind};
use crate::driver::Driver;
use crate::outcome::{Outcome, Verdict};
use crate::referee::Referee;
use crate::steps::Halt;
use crate::{scenarios, vectors};

/// A case that is late so often has failed.
const RUNS: usize = 3;

/// Makes the driver of one thread, of which there may be several.
pub type MakeDriver<'a> = &'a (dyn Fn(usize) -> Result<Box<dyn Driver>, String> + Sync);

/// Runs them all. With `fail_fast` it ends after the first that fails.
///
/// # Errors
/// When no driver can be made.
pub fn all(
    cases: &[Case],
    make: MakeDriver<'_>,
    referee: &Referee,
    jobs: usize,
    fail_fast: bool,
) -> Result<Vec<Outcome>, String> {
    // The slow ones first, so that none is alone at the end.
    let mut order: Vec<&Case> = cases.iter().collect();
    order.sort_by_key(|case| {
        (case.kind == Kind::Vectors, !matches!(case.file.as_str(), "retry-after" | "waits"))
    });
    let queue = Mutex::new(VecDeque::from(order));
    let outcomes = Mutex::new(Vec::new());
    let stopped = AtomicBool::new(false);
    let work = |number: usize| -> Result<(), String> {
        let mut driver = make(number)?;
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(case) = next.filter(|_| !stopped.load(Ordering::Relaxed)) else { return Ok(()) };
            let started = Instant::now();
            let verdict = match patiently(case, driver.as_mut(), referee) {
                Ok(()) => Verdict::Passed,
                Err(Halt::Failed(why)) => Verdict::Failed(why),
                Err(Halt::Late(why)) => Verdict::Failed(format!("late {RUNS} times, at last: {why}")),
                Err(Halt::NotOffered(why)) => Verdict::NotOffered(why),
                Err(Halt::Broken(why)) => {
                    driver = make(number)?;
                    Verdict::Failed(why)
                }
            };
            if fail_fast && matches!(verdict, Verdict::Failed(_)) {
                stopped.store(true, Ordering::Relaxed);
            }
            let outcome = Outcome {
                kind: case.kind,
                file: case.file.clone(),
                name: case.name().to_owned(),
                verdict,
                seconds: started.elapsed().as_secs_f64(),
            };
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1))
            .map(|number| {
                let work = &work;
                scope.spawn(move || work(number))
            })
            .collect();
        let results: Vec<_> = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("the runner panicked".into())))
            .collect();
        results.into_iter().collect::<Result<Vec<()>, String>>()
    })?;
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by(|a, b| (a.kind, &a.file, &a.name).cmp(&(b.kind, &b.file, &b.name)));
    Ok(outcomes)
}

/// Runs a case again that was only late: a machine that is busy makes a client
/// late that is right, one that is wrong is late each time.
fn patiently(case: &Case, driver: &mut dyn Driver, referee: &Referee) -> Result<(), Halt> {
    let mut outcome = one(case, driver, referee);
    for run in 2..=RUNS {
        let Err(Halt::Late(why)) = &outcome else { break };
        let (sdk, folder) = (&driver.hello().sdk_name, case.kind.folder());
        println!("LATE {sdk}: {folder}/{}: {why}; run {run} of {RUNS} begins", case.name());
        outcome = one(case, driver, referee);
    }
    outcome
}

fn one(case: &Case, driver: &mut dyn Driver, referee: &Referee) -> Result<(), Halt> {
    match &case.body {
        Body::Vector(vector) => vectors::run(vector, driver, referee),
        Body::Scenario(scenario) => scenarios::run(scenario, driver, referee),
    }
}
