//! Runs one scenario: its steps, while the server follows its script.
//!
//! `expectations` then compares what was observed with what the scenario expects.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::case::{Scenario, Settings, Step};
use crate::driver::Driver;
use crate::expectations::{self, ClientRecords};
use crate::json::members;
use crate::run_rules::RunRules;
use crate::steps::{API_KEY, CaseRun, Stop};
use crate::test_server::TestServer;

/// How long a client that returns early from a flush has for the rest.
const SETTLED_WITHIN: Duration = Duration::from_secs(4);

/// Runs a scenario, with events in the first of the client's forms.
pub(crate) fn run(
    scenario: &Scenario,
    driver: &mut dyn Driver,
    server: &TestServer,
    run_rules: &RunRules<'_>,
) -> Result<(), Stop> {
    let form = driver.hello().forms.first().cloned().unwrap_or_default();
    let server = server.case_server(&scenario.name);
    server.namespace().set_script(scenario.server.clone());
    if let Some(definitions) = &scenario.definitions {
        server.namespace().set_flag_definitions(definitions.get().to_owned());
    }
    let mut run = CaseRun::new(driver, &server, run_rules, &form);
    let records = match run_steps(scenario, &mut run) {
        Ok(records) => records,
        Err(stop) => {
            end(&mut run)?;
            return Err(stop);
        }
    };
    let stats = records.stats.clone();
    run.count_unreported(stats.as_ref());
    expectations::check(&scenario.expect, &server, run_rules, &records, &mut run.late)?;
    run.check_times()
}

/// Ends the client, if the SDK can do that: its batches must not keep the machine busy during the cases that
/// follow.
fn end(run: &mut CaseRun<'_>) -> Result<(), Stop> {
    match run.run(&Step { reset: true, status: Some("*".to_owned()), ..Step::default() }) {
        Err(Stop::Unsupported(_)) | Ok(_) => Ok(()),
        Err(stop) => Err(stop),
    }
}

fn run_steps(scenario: &Scenario, run: &mut CaseRun<'_>) -> Result<ClientRecords, Stop> {
    let mut optional = Settings::from([
        ("reports".to_owned(), "all".to_owned()),
        ("retry_initial_ms".to_owned(), "20".to_owned()),
        // On a busy machine, a long time may pass between two captures that belong into one batch.
        ("flush_interval_ms".to_owned(), "60000".to_owned()),
    ]);
    optional.extend(scenario.pace.clone());
    let mut settings = scenario.settings.clone();
    if let Some(fault) = &scenario.fault {
        if !run.driver.hello().faults.contains(fault) {
            return Err(Stop::Unsupported(format!("the worker cannot make the {fault} fail")));
        }
        settings.insert("fault".to_owned(), fault.clone());
    }
    let created = run.init(API_KEY, &settings, &optional)?;
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
        if !run.run_rules.is_strict() {
            wait_until_settled(scenario, &mut records, run)?;
        }
        end(run)?;
    }
    records.names = std::mem::take(&mut run.names);
    Ok(records)
}

/// Some clients return from a flush while events still wait for their next attempt. That is one finding of the
/// run; what the case is about is compared once it has come about, or after this time.
fn wait_until_settled(
    scenario: &Scenario,
    records: &mut ClientRecords,
    run: &mut CaseRun<'_>,
) -> Result<(), Stop> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    let mut waited = false;
    let mut late = Vec::new();
    while expectations::check(&scenario.expect, run.server, run.run_rules, records, &mut late).is_err() {
        if Instant::now() > deadline {
            return Ok(());
        }
        waited = true;
        std::thread::sleep(Duration::from_millis(20));
        records.stats = run.query("stats")?;
    }
    if waited {
        let message = "flush returned before the events captured before it were settled";
        run.run_rules.breach("flush-waits", &run.server.case, message);
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread::{JoinHandle, sleep, spawn};

    use super::*;
    use crate::contract::Contract;
    use crate::driver::{CallResult, Hello, Response};
    use crate::levels::Levels;

    /// A client that returns from a flush before it sends.
    #[derive(Default)]
    struct Early {
        hello: Hello,
        host: String,
        sending: Vec<JoinHandle<()>>,
    }

    impl Driver for Early {
        fn hello(&self) -> &Hello {
            &self.hello
        }

        fn init(&mut self, _: &str, settings: &Settings, _: &Settings) -> Result<CallResult, String> {
            self.host = settings.get("host").cloned().unwrap_or_default();
            Ok(CallResult::Done(Response { status: "ok".to_owned(), ..Response::default() }))
        }

        fn call(&mut self, name: &str, _: &str, _: &str) -> Result<CallResult, String> {
            if name == "flush" {
                let url = format!("{}/i/v1/analytics/events", self.host);
                self.sending.push(spawn(move || {
                    sleep(Duration::from_millis(300));
                    let _ = send(&url);
                }));
            }
            if matches!(name, "stats" | "reports" | "reset") {
                return Ok(CallResult::Unsupported(format!("no {name}")));
            }
            Ok(CallResult::Done(Response { status: "ok".to_owned(), ..Response::default() }))
        }
    }

    fn send(url: &str) -> Result<(), ureq::Error> {
        const BODY: &str = r#"{"created_at": "2026-01-02T03:04:05.006Z", "batch": [{"event": "a",
            "uuid": "0190a5b4-7c3d-7abc-8def-0123456789ab", "distinct_id": "u",
            "timestamp": "2026-01-02T03:04:05.006Z", "options": {}, "properties": {}}]}"#;
        let request = ureq::post(url)
            .header("Authorization", "Bearer k")
            .header("Content-Type", "application/json")
            .header("User-Agent", "early/1")
            .header("PostHog-Sdk-Info", "early/1")
            .header("PostHog-Request-Id", "0190a5b4-0000-7abc-8def-0123456789ab")
            .header("PostHog-Attempt", "1")
            .header("PostHog-Request-Timestamp", "2026-01-02T03:04:06.007Z");
        request.send(BODY).map(|_| ())
    }

    #[test]
    fn what_a_flush_leaves_behind_is_waited_for_and_counted_once() {
        const RULE: &str = r#"[{"name": "flush-waits", "part": "Queue", "level": "protocol", "once": true, "statement": "F."}]"#;
        let server = TestServer::start("127.0.0.1:0".parse().unwrap()).unwrap();
        let scenario: Scenario = serde_json::from_str(
            r#"{"name": "early", "steps": [{"capture": {"event": "a"}}, {"flush": 1000}],
                "expect": {"requests": [{"events": ["a"], "status": 200}]}}"#,
        )
        .unwrap();
        for (level, passes) in [("server,protocol", true), ("all", false)] {
            let (contract, levels) = (Contract::parse(RULE).unwrap(), Levels::parse(level).unwrap());
            let run_rules = RunRules::new(&contract, &levels, BTreeSet::new());
            let mut early = Early {
                hello: Hello { forms: vec!["x".to_owned()], ..Hello::default() },
                ..Early::default()
            };
            let outcome = run(&scenario, &mut early, &server, &run_rules);
            assert_eq!((outcome.is_ok(), run_rules.any_breach()), (passes, passes), "{level}: {outcome:?}");
            early.sending.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}
