//! Runs one scenario: its steps, while the server follows its script.
//!
//! `expectations` then compares what was observed with what the scenario expects.

use serde_json::value::RawValue;

use crate::case::{Scenario, Settings, Step};
use crate::driver::Driver;
use crate::expectations::{self, ClientRecords};
use crate::json::members;
use crate::steps::{API_KEY, CaseRun, Stop};
use crate::test_server::TestServer;

/// Runs a scenario, with events in the first of the client's forms.
pub(crate) fn run(scenario: &Scenario, driver: &mut dyn Driver, server: &TestServer) -> Result<(), Stop> {
    let form = driver.hello().forms.first().cloned().unwrap_or_default();
    let server = server.case_server(&scenario.name);
    server.namespace().set_script(scenario.server.clone());
    let mut run = CaseRun::new(driver, &server, &form);
    let records = match run_steps(scenario, &mut run) {
        Ok(records) => records,
        Err(stop) => {
            // The client's batches must not keep the machine busy during the cases that follow.
            run.run(&Step { reset: true, status: Some("*".to_owned()), ..Step::default() })?;
            return Err(stop);
        }
    };
    expectations::check(&scenario.expect, &server, &records, &mut run.late).map_err(Stop::Failed)?;
    run.check_times()
}

fn run_steps(scenario: &Scenario, run: &mut CaseRun<'_>) -> Result<ClientRecords, Stop> {
    let mut optional = Settings::from([
        ("reports".to_owned(), "all".to_owned()),
        ("retry_initial_ms".to_owned(), "20".to_owned()),
        // On a busy machine, a long time may pass between two captures that belong into one batch.
        ("flush_interval_ms".to_owned(), "60000".to_owned()),
    ]);
    optional.extend(scenario.pace.clone());
    let created = run.init(API_KEY, &scenario.settings, &optional)?;
    if created.status != "ok" {
        return Err(Stop::Failed(format!("no client was created: {}", created.message)));
    }
    let mut records = ClientRecords::default();
    for (i, step) in scenario.steps.iter().enumerate() {
        if step.reset {
            read_records(&mut records, run)?;
        }
        run.run(&with_distinct_id(step)?).map_err(|stop| match stop {
            Stop::Failed(reason) => Stop::Failed(format!("step {}: {reason}", i + 1)),
            other => other,
        })?;
    }
    if !scenario.steps.iter().any(|step| step.reset) {
        read_records(&mut records, run)?;
        run.run(&Step { reset: true, ..Step::default() })?;
    }
    records.names = std::mem::take(&mut run.names);
    Ok(records)
}

fn read_records(records: &mut ClientRecords, run: &mut CaseRun<'_>) -> Result<(), Stop> {
    records.stats = run.query("stats")?;
    records.reports = run.query("reports")?.map(|reports| reports.elements().to_vec());
    Ok(())
}

/// Adds a distinct id to a capture without one: most scenarios do not depend on it.
fn with_distinct_id(step: &Step) -> Result<Step, Stop> {
    let mut step = step.clone();
    let Some(event) = &step.capture else { return Ok(step) };
    let members = members(event.get()).map_err(|error| error.to_string())?;
    if members.iter().any(|(key, _)| key == "distinct_id") {
        return Ok(step);
    }
    let text = event.get().trim_start().trim_start_matches('{');
    let text = format!("{{\"distinct_id\":\"scenario-user\",{text}");
    step.capture = Some(RawValue::from_string(text).map_err(|error| error.to_string())?);
    Ok(step)
}
