//! One vector: the call is made, and what arrives is compared.

use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::case::{Settings, Step, Vector};
use crate::driver::Driver;
use crate::json::{Extent, Tree, compact, difference, members};
use crate::referee::{Ground, Proxy, Referee};
use crate::steps::{API_KEY, Halt, PLENTY_MS, Stage};

/// Runs a vector in every way in which the client can be given an event.
///
/// # Errors
/// The first failure; not offered, if it is in no way.
pub fn run(vector: &Vector, driver: &mut dyn Driver, referee: &Referee) -> Result<(), Halt> {
    let ways = driver.hello().ways.clone();
    let mut not_offered = None;
    let mut runs = 0;
    for way in &ways {
        let ground = referee.ground(&format!("{}/{way}", vector.name));
        let mut stage = Stage::new(driver, &ground, way);
        let outcome = run_once(vector, &mut stage).and_then(|()| stage.in_time());
        match outcome {
            Ok(()) => runs += 1,
            Err(Halt::NotOffered(why)) => not_offered = Some(why),
            Err(Halt::Failed(why)) => return Err(Halt::Failed(format!("given as {way}: {why}"))),
            Err(broken) => return Err(broken),
        }
    }
    match not_offered {
        Some(why) if runs == 0 => Err(Halt::NotOffered(why)),
        _ => Ok(()),
    }
}

fn run_once(vector: &Vector, stage: &mut Stage<'_>) -> Result<(), Halt> {
    let proxy = vector.proxied.as_ref().map(|_| Proxy::start()).transpose()?;
    let mut settings = vector.settings.clone();
    if let Some(proxy) = &proxy {
        settings.insert("proxy".to_owned(), format!("http://{}", proxy.address));
        settings.insert("max_retries".to_owned(), "0".to_owned());
    }
    let key = vector.api_key.as_deref().unwrap_or(API_KEY);
    let made = stage.init(key, &settings, &Settings::new())?;
    match &vector.refused_client {
        Some(part) if made.status == "ok" => {
            return Err(Halt::Failed(format!("a client was made, though it should be refused for {part:?}")));
        }
        Some(part) if !made.message.contains(part) => {
            return Err(Halt::Failed(format!("the message {:?} does not contain {part:?}", made.message)));
        }
        Some(_) => return Ok(()),
        None if made.status != "ok" => {
            return Err(Halt::Failed(format!("no client: {}", made.message)));
        }
        None => {}
    }
    for step in &vector.before {
        stage.run(step)?;
    }
    let Some(call) = &vector.call else { return Ok(()) };
    let mut call = call.clone();
    if vector.refused.is_some() {
        // The adapter protocol has no names for refusals.
        call.status = if stage.is_remote() { Some("refused".to_owned()) } else { vector.refused.clone() };
        call.message = vector.message.clone().filter(|_| !stage.is_remote());
    }
    let answer = stage.run(&call)?.unwrap_or_default();
    if let Some(line) = &vector.proxied {
        return proxied(line, proxy.as_ref(), stage);
    }
    if vector.refused.is_none() {
        stage.run(&Step { flush: Some(PLENTY_MS), ..Step::default() })?;
    }
    if let Some(wanted) = &vector.stats
        && let Some(stats) = stage.ask("stats")?
        && let Some(text) = difference(&Tree::parse(wanted.get())?, &stats, Extent::Named)
    {
        return Err(Halt::Failed(format!("stats{text}")));
    }
    let sdk = format!("{}/{}", stage.driver.hello().sdk_name, stage.driver.hello().sdk_version);
    arrived(vector, stage.ground, answer.uuid.as_deref(), &sdk).map_err(Halt::Failed)
}

fn proxied(line: &str, proxy: Option<&Proxy>, stage: &mut Stage<'_>) -> Result<(), Halt> {
    stage.run(&Step { flush: Some(PLENTY_MS), status: Some("*".to_owned()), ..Step::default() })?;
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match proxy.and_then(Proxy::asked) {
            Some(asked) if asked == line => return Ok(()),
            Some(asked) => {
                return Err(Halt::Failed(format!("the proxy was asked for {asked:?}, not {line:?}")));
            }
            None if Instant::now() > deadline => {
                return Err(Halt::Failed("the proxy was not asked for anything".to_owned()));
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Compares what has arrived.
fn arrived(vector: &Vector, ground: &Ground, uuid: Option<&str>, sdk: &str) -> Result<(), String> {
    let space = ground.space();
    if let Some(violation) = space.violations().first() {
        return Err(format!("rule {}: {}", violation.rule, violation.message));
    }
    let Some(event) = space.events().back() else {
        return match vector.refused {
            Some(_) => Ok(()),
            None => Err("no event has arrived".to_owned()),
        };
    };
    if vector.refused.is_some() {
        return Err(format!("a refused event has arrived: {}", event.event.get()));
    }
    let actual = Tree::parse(event.event.get())?;
    if uuid.is_some_and(|uuid| actual.get("uuid").and_then(Tree::text) != Some(uuid)) {
        return Err(format!("the call answered another uuid ({uuid:?}) than the one of {actual}"));
    }
    if let Some(wire) = &vector.wire
        && let Some(text) = difference(&with_usual_members(wire)?, &actual, Extent::Whole)
    {
        return Err(format!("event{text}"));
    }
    let parts = members(event.event.get()).map_err(|error| error.to_string())?;
    for (member, text) in &vector.text {
        let found = parts.iter().find(|(key, _)| key == member).map(|(_, value)| compact(value.get()));
        let found = found.unwrap_or_else(|| "missing".to_owned());
        if found != *text {
            return Err(format!("{member} is {found}, not {text}, byte for byte"));
        }
    }
    if let Some(wanted) = &vector.request {
        let record = space.requests().last().map(serde_json::to_string).transpose();
        let record = record.map_err(|error| error.to_string())?.unwrap_or_default();
        let wanted = Tree::parse(&wanted.get().replace("<sdk>", sdk))?;
        let record = Tree::parse(&record.replace(&ground.host, "{sink}"))?;
        if let Some(text) = difference(&wanted, &record, Extent::Named) {
            return Err(format!("request{text}"));
        }
    }
    Ok(())
}

/// What a case leaves out of an event has its usual value.
fn with_usual_members(wire: &RawValue) -> Result<Tree, String> {
    let Tree::Object(mut members) = Tree::parse(wire.get())? else {
        return Err("`wire` is no object".to_owned());
    };
    for (key, value) in [("uuid", "\"<uuid7>\""), ("timestamp", "\"<now>\""), ("options", "{}")] {
        if !members.iter().any(|(name, _)| name == key) {
            members.push((key.to_owned(), Tree::parse(value)?));
        }
    }
    Ok(Tree::Object(members))
}
