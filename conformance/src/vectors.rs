//! Runs one vector: makes the call, and compares the event that arrives at the server with what is expected.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::case::{Settings, Step, Vector};
use crate::driver::Driver;
use crate::json::{Extent, Tree, compact, difference, members};
use crate::recording_proxy::RecordingProxy;
use crate::steps::{API_KEY, CaseRun, LONG_FLUSH_MS, Stop};
use crate::test_server::{CaseServer, TestServer};

/// Runs a vector once for each form in which the client can be given an event. It is unsupported if no form
/// supports it.
pub(crate) fn run(vector: &Vector, driver: &mut dyn Driver, server: &TestServer) -> Result<(), Stop> {
    let forms = driver.hello().forms.clone();
    let mut unsupported = None;
    let mut runs = 0;
    for form in &forms {
        let server = server.case_server(&format!("{}/{form}", vector.name));
        let mut run = CaseRun::new(driver, &server, form);
        match run_once(vector, &mut run).and_then(|()| run.check_times()) {
            Ok(()) => runs += 1,
            Err(Stop::Unsupported(reason)) => unsupported = Some(reason),
            Err(Stop::Failed(reason)) => {
                return Err(Stop::Failed(format!("given in the form {form}: {reason}")));
            }
            Err(other) => return Err(other),
        }
    }
    match unsupported {
        Some(reason) if runs == 0 => Err(Stop::Unsupported(reason)),
        _ => Ok(()),
    }
}

fn run_once(vector: &Vector, run: &mut CaseRun<'_>) -> Result<(), Stop> {
    let proxy = vector.proxied.as_ref().map(|_| RecordingProxy::start()).transpose()?;
    let mut settings = vector.settings.clone();
    if let Some(proxy) = &proxy {
        settings.insert("proxy".to_owned(), format!("http://{}", proxy.address));
        settings.insert("max_retries".to_owned(), "0".to_owned());
    }
    let key = vector.api_key.as_deref().unwrap_or(API_KEY);
    let created = run.init(key, &settings, &Settings::new())?;
    match &vector.refused_client {
        Some(part) if created.status == "ok" => {
            let text = format!("a client was created, expected a refusal with {part:?} in its message");
            return Err(Stop::Failed(text));
        }
        Some(part) if !created.message.contains(part) => {
            let text = format!("the message {:?} does not contain {part:?}", created.message);
            return Err(Stop::Failed(text));
        }
        Some(_) => return Ok(()),
        None if created.status != "ok" => {
            return Err(Stop::Failed(format!("no client was created: {}", created.message)));
        }
        None => {}
    }
    for step in &vector.before {
        run.run(step)?;
    }
    let Some(call) = &vector.call else { return Ok(()) };
    let mut call = call.clone();
    if vector.refused.is_some() {
        // The adapter protocol has no names for refusals.
        call.status = if run.is_adapter() { Some("refused".to_owned()) } else { vector.refused.clone() };
        call.message = vector.message.clone().filter(|_| !run.is_adapter());
    }
    let response = run.run(&call)?.unwrap_or_default();
    if let (Some(line), Some(proxy)) = (&vector.proxied, &proxy) {
        return check_proxy(line, proxy, run);
    }
    if vector.refused.is_none() {
        run.run(&Step { flush: Some(LONG_FLUSH_MS), ..Step::default() })?;
    }
    if let Some(wanted) = &vector.stats
        && let Some(stats) = run.query("stats")?
        && let Some(text) = difference(&Tree::parse(wanted.get())?, &stats, Extent::Named)
    {
        return Err(Stop::Failed(format!("stats{text}")));
    }
    let sdk = format!("{}/{}", run.driver.hello().sdk_name, run.driver.hello().sdk_version);
    check_arrival(vector, run.server, response.uuid.as_deref(), &sdk).map_err(Stop::Failed)
}

fn check_proxy(line: &str, proxy: &RecordingProxy, run: &mut CaseRun<'_>) -> Result<(), Stop> {
    run.run(&Step { flush: Some(LONG_FLUSH_MS), status: Some("*".to_owned()), ..Step::default() })?;
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match proxy.first_line() {
            Some(found) if found == line => return Ok(()),
            Some(found) => {
                return Err(Stop::Failed(format!("the proxy received {found:?}, expected {line:?}")));
            }
            None if Instant::now() > deadline => {
                return Err(Stop::Failed("the proxy received no request".to_owned()));
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Compares the event that arrived, and its request, with what the vector expects.
fn check_arrival(vector: &Vector, server: &CaseServer, uuid: Option<&str>, sdk: &str) -> Result<(), String> {
    let namespace = server.namespace();
    if let Some(violation) = namespace.violations().first() {
        return Err(format!("broken rule {}: {}", violation.rule, violation.message));
    }
    let Some(event) = namespace.events().back() else {
        return match vector.refused {
            Some(_) => Ok(()),
            None => Err("no event arrived".to_owned()),
        };
    };
    if vector.refused.is_some() {
        return Err(format!("an event arrived that the call refused: {}", event.event.get()));
    }
    let actual = Tree::parse(event.event.get())?;
    if uuid.is_some_and(|uuid| actual.get("uuid").and_then(Tree::text) != Some(uuid)) {
        return Err(format!("the call returned another uuid ({uuid:?}) than that of {actual}"));
    }
    if let Some(wire) = &vector.wire
        && let Some(text) = difference(&with_default_members(wire)?, &actual, Extent::Whole)
    {
        return Err(format!("event{text}"));
    }
    let parts = members(event.event.get()).map_err(|error| error.to_string())?;
    for (member, text) in &vector.text {
        let found = parts.iter().find(|(key, _)| key == member).map(|(_, value)| compact(value.get()));
        let found = found.unwrap_or_else(|| "missing".to_owned());
        if found != *text {
            return Err(format!("{member} is {found}, expected {text} byte for byte"));
        }
    }
    if let Some(wanted) = &vector.request {
        let record = namespace.requests().last().map(serde_json::to_string).transpose();
        let record = record.map_err(|error| error.to_string())?.unwrap_or_default();
        let wanted = Tree::parse(&wanted.get().replace("<sdk>", sdk))?;
        let record = Tree::parse(&record.replace(&server.host, "{sink}"))?;
        if let Some(text) = difference(&wanted, &record, Extent::Named) {
            return Err(format!("request{text}"));
        }
    }
    Ok(())
}

/// Adds the members that a vector may leave out.
fn with_default_members(wire: &RawValue) -> Result<Tree, String> {
    let Tree::Object(mut members) = Tree::parse(wire.get())? else {
        return Err("`wire` must be an object".to_owned());
    };
    for (key, value) in [("uuid", "\"<uuid7>\""), ("timestamp", "\"<now>\""), ("options", "{}")] {
        if !members.iter().any(|(name, _)| name == key) {
            members.push((key.to_owned(), Tree::parse(value)?));
        }
    }
    Ok(Tree::Object(members))
}
