//! One scenario: its steps are done while the server follows its script, and
//! what was seen is compared.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use phc_sink::{Namespace, RequestRecord};

use crate::case::{Expected, ExpectedReport, ExpectedRequest, Scenario, Settings, Step};
use crate::driver::Driver;
use crate::json::{Extent, Tree, difference, members};
use crate::referee::{Ground, Referee};
use crate::steps::{API_KEY, Halt, Stage};

/// Runs a scenario, in the first of the client's ways.
///
/// # Errors
/// The first failure.
pub fn run(scenario: &Scenario, driver: &mut dyn Driver, referee: &Referee) -> Result<(), Halt> {
    let way = driver.hello().ways.first().cloned().unwrap_or_default();
    let ground = referee.ground(&scenario.name);
    ground.space().set_script(scenario.server.clone());
    let mut stage = Stage::new(driver, &ground, &way);
    let outcome = play(scenario, &mut stage);
    let seen = match outcome {
        Ok(seen) => seen,
        Err(halt) => {
            // Its batches must not keep the machine busy.
            stage.run(&Step { reset: true, status: Some("*".to_owned()), ..Step::default() })?;
            return Err(halt);
        }
    };
    let Stage { late, .. } = &mut stage;
    judge(&scenario.expect, &ground, &seen, late).map_err(Halt::Failed)?;
    stage.in_time()
}

/// What the client itself had to say.
struct Told {
    names: HashMap<String, String>,
    stats: Option<Tree>,
    reports: Vec<Tree>,
}

fn play(scenario: &Scenario, stage: &mut Stage<'_>) -> Result<Told, Halt> {
    let mut settings = scenario.settings.clone();
    settings.insert("reports".to_owned(), "all".to_owned());
    let mut pace = Settings::from([
        ("retry_initial_ms".to_owned(), "20".to_owned()),
        // A worker may stand still between two captures of one batch.
        ("flush_interval_ms".to_owned(), "60000".to_owned()),
    ]);
    pace.extend(scenario.pace.clone());
    let made = stage.init(API_KEY, &settings, &pace)?;
    if made.status != "ok" {
        return Err(Halt::Failed(format!("no client: {}", made.message)));
    }
    let mut told = Told { names: HashMap::new(), stats: None, reports: Vec::new() };
    for (i, step) in scenario.steps.iter().enumerate() {
        if step.reset {
            told.hear(stage)?;
        }
        stage.run(&with_somebody(step)?).map_err(|halt| match halt {
            Halt::Failed(why) => Halt::Failed(format!("step {}: {why}", i + 1)),
            other => other,
        })?;
    }
    if !scenario.steps.iter().any(|step| step.reset) {
        told.hear(stage)?;
        stage.run(&Step { reset: true, ..Step::default() })?;
    }
    told.names = std::mem::take(&mut stage.names);
    Ok(told)
}

impl Told {
    fn hear(&mut self, stage: &mut Stage<'_>) -> Result<(), Halt> {
        self.stats = stage.ask("stats")?;
        if let Some(reports) = stage.ask("reports")? {
            self.reports = reports.elements().to_vec();
        }
        Ok(())
    }
}

/// In scenarios it does not matter whose events they are.
fn with_somebody(step: &Step) -> Result<Step, Halt> {
    let mut step = step.clone();
    let Some(event) = &step.capture else { return Ok(step) };
    let members = members(event.get()).map_err(|error| error.to_string())?;
    if members.iter().any(|(key, _)| key == "distinct_id") {
        return Ok(step);
    }
    let text = event.get().trim_start().trim_start_matches('{');
    let text = format!("{{\"distinct_id\":\"somebody\",{text}");
    step.capture = Some(serde_json::value::RawValue::from_string(text).map_err(|error| error.to_string())?);
    Ok(step)
}

fn judge(expect: &Expected, ground: &Ground, told: &Told, late: &mut Vec<String>) -> Result<(), String> {
    let space = ground.space();
    let broken: BTreeSet<String> = space.summary().violations.keys().map(|rule| (*rule).to_owned()).collect();
    if broken != expect.violations {
        let texts: Vec<_> =
            space.violations().iter().map(|one| format!("{}: {}", one.rule, one.message)).collect();
        return Err(format!("rules broken: {broken:?}, expected {:?} {texts:?}", expect.violations));
    }
    if let Some(wanted) = &expect.requests {
        requests(wanted, &space, late)?;
    }
    if let Some([from, to]) = expect.request_count {
        within("requests", space.summary().requests, from, to)?;
    }
    if let Some([from, to]) = expect.concurrent {
        within("requests open at once", space.summary().max_concurrent, from, to)?;
    }
    if let Some(wanted) = &expect.accepted {
        accepted(wanted, &space)?;
    }
    if let Some(wanted) = &expect.summary {
        let summary = serde_json::to_string(space.summary()).map_err(|error| error.to_string())?;
        named("summary", wanted.get(), &Tree::parse(&summary)?)?;
    }
    drop(space);
    if let Some(stats) = &told.stats {
        adds_up(stats)?;
        if let Some(wanted) = &expect.stats {
            named("stats", wanted.get(), stats)?;
        }
        for wanted in &expect.reports {
            report(wanted, told)?;
        }
    }
    Ok(())
}

fn within(what: &str, seen: u64, from: u64, to: u64) -> Result<(), String> {
    if (from..=to).contains(&seen) { Ok(()) } else { Err(format!("{seen} {what}, not {from} to {to}")) }
}

fn named(what: &str, wanted: &str, actual: &Tree) -> Result<(), String> {
    difference(&Tree::parse(wanted)?, actual, Extent::Named)
        .map_or(Ok(()), |text| Err(format!("{what}{text}")))
}

fn adds_up(stats: &Tree) -> Result<(), String> {
    let count = |key: &str| stats.get(key).and_then(Tree::number).unwrap_or(0);
    let lost: u64 = match stats.get("lost") {
        Some(Tree::Object(reasons)) => reasons.iter().filter_map(|(_, count)| count.number()).sum(),
        _ => 0,
    };
    if count("captured") == count("delivered") + lost + count("pending_events") {
        return Ok(());
    }
    Err(format!("the counters do not add up: {stats}"))
}

fn event_names(request: &RequestRecord, space: &Namespace) -> Vec<String> {
    let events = space.events().iter().filter(|event| event.request == request.n);
    let name = |text: &str| Some(Tree::parse(text).ok()?.get("event")?.text()?.to_owned());
    events.map(|event| name(event.event.get()).unwrap_or_default()).collect()
}

fn requests(wanted: &[ExpectedRequest], space: &Namespace, late: &mut Vec<String>) -> Result<(), String> {
    let found = space.requests();
    if wanted.len() != found.len() {
        let list: Vec<_> =
            found.iter().map(|one| (one.attempt, one.status, event_names(one, space))).collect();
        return Err(format!("{} requests, not {}: {list:?}", found.len(), wanted.len()));
    }
    let mut labels: BTreeMap<&str, &str> = BTreeMap::new();
    let mut before: Option<f64> = None;
    for (wanted, found) in wanted.iter().zip(found) {
        request(wanted, found, before, space).map_err(|text| format!("request {}: {text}", found.n))?;
        let gap = before.map_or(0.0, |before| found.received_at_ms - before);
        if let Some(limit) = wanted.before_ms.filter(|limit| gap > *limit) {
            late.push(format!("request {}: {gap:.0} ms after the one before, not at most {limit}", found.n));
        }
        before = Some(found.received_at_ms);
        if let Some(label) = &wanted.batch {
            let id = labels.entry(label).or_insert(&found.request_id);
            if *id != found.request_id {
                return Err(format!("request {}: another request id than the others of {label}", found.n));
            }
        }
    }
    let distinct: BTreeSet<_> = labels.values().collect();
    if distinct.len() != labels.len() {
        return Err(format!("one request id for several batches: {labels:?}"));
    }
    Ok(())
}

fn request(
    wanted: &ExpectedRequest,
    found: &RequestRecord,
    before: Option<f64>,
    space: &Namespace,
) -> Result<(), String> {
    let gap = before.map_or(0.0, |before| found.received_at_ms - before);
    let names = event_names(found, space);
    let checks = [
        (wanted.attempt.is_some_and(|it| it != found.attempt), format!("attempt {}", found.attempt)),
        (wanted.status.is_some_and(|it| it != found.status), format!("status {}", found.status)),
        (wanted.events.as_ref().is_some_and(|it| *it != names), format!("events {names:?}")),
        (wanted.count.is_some_and(|it| it != found.event_count), format!("{} events", found.event_count)),
        (
            wanted.encoding.as_ref().is_some_and(|it| *it != found.encoding),
            format!("encoding {}", found.encoding),
        ),
        (wanted.after_ms.is_some_and(|it| gap < it), format!("only {gap:.0} ms after the one before")),
    ];
    if let Some((_, text)) = checks.into_iter().find(|(wrong, _)| *wrong) {
        return Err(format!("{text}; expected {wanted:?}"));
    }
    if let Some(record) = &wanted.record {
        let found = serde_json::to_string(found).map_err(|error| error.to_string())?;
        named("record", record.get(), &Tree::parse(&found)?)?;
    }
    Ok(())
}

fn accepted(wanted: &[String], space: &Namespace) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::new();
    for event in space.events().iter().filter(|event| event.stored) {
        if seen.insert(event.uuid) {
            let tree = Tree::parse(event.event.get())?;
            names.push(tree.get("event").and_then(Tree::text).unwrap_or_default().to_owned());
        }
    }
    let mut wanted = wanted.to_vec();
    wanted.sort();
    names.sort();
    if names == wanted { Ok(()) } else { Err(format!("stored: {names:?}, expected {wanted:?}")) }
}

fn report(wanted: &ExpectedReport, told: &Told) -> Result<(), String> {
    let mut nearest = String::from("there is none");
    for report in &told.reports {
        match fits(wanted, report, told) {
            Ok(()) => return Ok(()),
            Err(text) => nearest = text,
        }
    }
    let all: Vec<_> = told.reports.iter().map(Tree::to_string).collect();
    Err(format!("no report like {wanted:?}: {nearest}; of {}", all.join(" ")))
}

fn fits(wanted: &ExpectedReport, report: &Tree, told: &Told) -> Result<(), String> {
    if let Some(members) = &wanted.members {
        named("report", members.get(), report)?;
    }
    let events = report.get("events").map(Tree::elements).unwrap_or_default();
    for (name, wanted) in &wanted.events {
        let found = events.iter().find(|event| {
            let uuid = event.get("uuid").and_then(Tree::text).unwrap_or_default();
            told.names.get(uuid) == Some(name)
        });
        let found = found.ok_or_else(|| format!("{name} is not in {report}"))?;
        named(name, wanted.get(), found)?;
    }
    Ok(())
}
