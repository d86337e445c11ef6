//! Runs one vector: makes the call, and compares the event that arrives at the server with what is expected.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::case::{Settings, Step, Vector};
use crate::driver::Driver;
use crate::json::{Extent, Tree, compact, difference, members};
use crate::recording_proxy::RecordingProxy;
use crate::run_rules::RunRules;
use crate::steps::{API_KEY, CaseRun, LONG_FLUSH_MS, Rule, Stop};
use crate::test_server::TestServer;

/// Runs a vector once for each form in which the client can be given an event. It is unsupported if no form
/// supports it.
pub(crate) fn run(
    vector: &Vector,
    driver: &mut dyn Driver,
    server: &TestServer,
    run_rules: &RunRules<'_>,
) -> Result<(), Stop> {
    let forms = driver.hello().forms.clone();
    let mut unsupported = None;
    let mut runs = 0;
    for form in &forms {
        let server = server.case_server(&format!("{}/{form}", vector.name));
        let mut run = CaseRun::new(driver, &server, run_rules, form);
        match run_once(vector, &mut run).and_then(|()| run.check_times()) {
            Ok(()) => runs += 1,
            Err(Stop::Unsupported(reason)) => unsupported = Some(reason),
            Err(Stop::Failed(reason)) => {
                return Err(Stop::Failed(format!("given in the form {form}: {reason}")));
            }
            Err(Stop::Violated(rule, reason)) => {
                return Err(Stop::Violated(rule, format!("given in the form {form}: {reason}")));
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
    let strict = run.run_rules.is_strict();
    if vector.refused.is_some() {
        // The adapter protocol has no names for refusals. Outside of libphc a call need not refuse what it can
        // make harmless: what counts is that the server accepts what it then receives.
        call.status = match run.is_adapter() {
            _ if !strict => Some("*".to_owned()),
            true => Some("refused".to_owned()),
            false => vector.refused.clone(),
        };
        call.message = vector.message.clone().filter(|_| !run.is_adapter());
    }
    let response = run.run(&call)?.unwrap_or_default();
    if let (Some(line), Some(proxy)) = (&vector.proxied, &proxy) {
        return check_proxy(line, proxy, run);
    }
    if vector.refused.is_none() || !strict {
        let status = vector.refused.as_ref().map(|_| "*".to_owned());
        run.run(&Step { flush: Some(LONG_FLUSH_MS), status, ..Step::default() })?;
    }
    if let Some(wanted) = vector.stats.as_ref().filter(|_| strict)
        && let Some(stats) = run.query("stats")?
        && let Some(text) = difference(&Tree::parse(wanted.get())?, &stats, Extent::Named)
    {
        return Err(Stop::Failed(format!("stats{text}")));
    }
    let sdk = format!("{}/{}", run.driver.hello().sdk_name, run.driver.hello().sdk_version);
    let violations = run.run_rules.violations(&run.server.namespace(), &run.server.case);
    if let Some(broken) = violations.into_iter().min_by_key(|broken| broken.level) {
        let text = format!("broken rule {}: {}", broken.check, broken.message);
        return Err(Stop::Violated(Rule { name: broken.rule, level: broken.level }, text));
    }
    check_arrival(vector, run, response.uuid.as_deref(), &sdk).map_err(Stop::Failed)
}

fn check_proxy(line: &str, proxy: &RecordingProxy, run: &mut CaseRun<'_>) -> Result<(), Stop> {
    run.run(&Step { flush: Some(LONG_FLUSH_MS), status: Some("*".to_owned()), ..Step::default() })?;
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match proxy.first_line() {
            Some(found) if without_version(&found) == without_version(line) => return Ok(()),
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

/// What is asked of a proxy, without the version of HTTP: that of a CONNECT is up to the client.
fn without_version(line: &str) -> &str {
    line.rsplit_once(' ').map_or(line, |(request, _)| request)
}

/// Compares the event that arrived, and its request, with what the vector expects.
fn check_arrival(vector: &Vector, run: &CaseRun<'_>, uuid: Option<&str>, sdk: &str) -> Result<(), String> {
    let (server, run_rules) = (run.server, run.run_rules);
    let namespace = server.namespace();
    let Some(event) = namespace.events().last() else {
        return match vector.refused {
            Some(_) => Ok(()),
            None => Err("no event arrived".to_owned()),
        };
    };
    if vector.refused.is_some() {
        if !run_rules.is_strict() {
            return Ok(());
        }
        return Err(format!("an event arrived that the call refused: {}", event.event.get()));
    }
    let received = Tree::parse(event.event.get())?;
    let actual = in_form(received);
    if uuid.is_some_and(|uuid| actual.get("uuid").and_then(Tree::text) != Some(&canonical(uuid))) {
        return Err(format!("the call returned another uuid ({uuid:?}) than that of {actual}"));
    }
    if let Some(wire) = &vector.wire {
        let wanted = with_default_members(wire)?;
        let actual = without_own_properties(&actual, &wanted, run_rules);
        let wanted = of_any_version(wanted, &actual, run);
        // How an SDK fills the events of its helpers beyond what the server reads is its own affair.
        let is_helper = vector.call.as_ref().is_some_and(|call| {
            call.identify.is_some() || call.alias.is_some() || call.group_identify.is_some()
        });
        let extent = if is_helper && !run_rules.is_strict() { Extent::Named } else { Extent::Whole };
        if let Some(text) = difference(&wanted, &actual, extent) {
            return Err(format!("event{text}"));
        }
    }
    let parts = members(event.event.get()).map_err(|error| error.to_string())?;
    for (member, text) in &vector.text {
        let found = parts.iter().find(|(key, _)| key == member).map(|(_, value)| compact(value.get()));
        let found = found.unwrap_or_else(|| "missing".to_owned());
        if found != *text && (run_rules.is_strict() || !same_value(member, text, &actual, run_rules)?) {
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

/// The event with its uuid and timestamp in the form of the contract, where they have the right value in
/// another one: the sink has counted that already, as a broken rule of form.
fn in_form(event: Tree) -> Tree {
    let Tree::Object(members) = event else { return event };
    let formed = members.into_iter().map(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("uuid", Tree::Text(text)) => Tree::Text(canonical(&text)),
            ("timestamp", Tree::Text(text)) => Tree::Text(in_wire_form(&text).unwrap_or(text)),
            (_, value) => value,
        };
        (key, value)
    });
    Tree::Object(formed.collect())
}

fn canonical(text: &str) -> String {
    Uuid::try_parse(text).map_or_else(|_| text.to_owned(), |uuid| uuid.hyphenated().to_string())
}

/// An instant in UTC, cut off after the milliseconds.
fn in_wire_form(text: &str) -> Option<String> {
    if text.len() == 24 && text.ends_with('Z') {
        return None;
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    let civil = jiff::tz::TimeZone::UTC.to_datetime(instant);
    Some(format!("{}.{:03}Z", civil.strftime("%Y-%m-%dT%H:%M:%S"), civil.millisecond()))
}

/// Removes the properties that the client adds to every event, unless the vector names them.
fn without_own_properties(event: &Tree, wanted: &Tree, run_rules: &RunRules<'_>) -> Tree {
    let Tree::Object(members) = event else { return event.clone() };
    let named = |key: &str| wanted.get("properties").is_some_and(|properties| properties.get(key).is_some());
    let cleaned = members.iter().map(|(key, value)| match value {
        Tree::Object(properties) if key == "properties" => {
            let kept = properties.iter().filter(|(key, _)| named(key) || !run_rules.is_own_property(key));
            (key.clone(), Tree::Object(kept.cloned().collect()))
        }
        value => (key.clone(), value.clone()),
    });
    Tree::Object(cleaned.collect())
}

/// Accepts a uuid of another version where the contract asks for one of version 7, and counts it.
fn of_any_version(wanted: Tree, actual: &Tree, run: &CaseRun<'_>) -> Tree {
    let Tree::Object(mut members) = wanted else { return wanted };
    let version = actual.get("uuid").and_then(Tree::text).and_then(|text| Uuid::try_parse(text).ok());
    let version = version.map(|uuid| uuid.get_version_num());
    let asked = members.iter_mut().find(|(key, value)| key == "uuid" && value.text() == Some("<uuid7>"));
    if let (Some((_, pattern)), Some(version)) = (asked, version.filter(|version| *version != 7)) {
        let message = format!("the uuid of an event is of version {version}");
        run.run_rules.breach("uuid-own", &run.server.case, &message);
        *pattern = Tree::Text("<uuid>".to_owned());
    }
    Tree::Object(members)
}

/// Whether a member has the same value as a text, in other characters and another order of keys.
fn same_value(member: &str, text: &str, actual: &Tree, run_rules: &RunRules<'_>) -> Result<bool, String> {
    let wanted = Tree::Object(vec![(member.to_owned(), Tree::parse(text)?)]);
    let actual = without_own_properties(actual, &wanted, run_rules);
    Ok(difference(
        &wanted,
        &Tree::Object(vec![(member.to_owned(), actual.get(member).cloned().unwrap_or(Tree::Null))]),
        Extent::Whole,
    )
    .is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_compared_by_its_value() {
        for (text, form) in [
            ("2026-01-02T03:04:05.006789+00:00", "2026-01-02T03:04:05.006Z"),
            ("2026-01-02T01:04:05-02:00", "2026-01-02T03:04:05.000Z"),
        ] {
            assert_eq!(in_wire_form(text).as_deref(), Some(form));
        }
        assert_eq!(in_wire_form("2026-01-02T03:04:05.006Z"), None);
        assert_eq!(in_wire_form("yesterday"), None);
    }
}
