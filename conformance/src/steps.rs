//! The steps of a case, done one after the other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use serde_json::value::RawValue;

use crate::case::{Settings, Step};
use crate::driver::{Answer, Called, Driver};
use crate::json::{Extent, Tree, difference, members};
use crate::referee::{Ground, refused_address};

/// The project key of every case that names none.
pub const API_KEY: &str = "phc_conformance_key";
/// Longer than any flush of a case takes.
pub const PLENTY_MS: u64 = 20_000;

/// Why a case does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The client did what it must not.
    Failed(String),
    /// All was right but for the time that it took. On a busy machine that
    /// happens to a client that is right, so the case is run again.
    Late(String),
    /// The client cannot be asked to do this.
    NotOffered(String),
    /// The driver is of no more use.
    Broken(String),
}

impl From<String> for Halt {
    fn from(reason: String) -> Self {
        Halt::Broken(reason)
    }
}

/// A case at work.
pub struct Stage<'a> {
    /// The client.
    pub driver: &'a mut dyn Driver,
    /// Where it sends to.
    pub ground: &'a Ground,
    /// In which of its ways it is given events.
    pub way: &'a str,
    /// The names of the events that were taken, by uuid.
    pub names: HashMap<String, String>,
    /// What took too long, but was right otherwise.
    pub late: Vec<String>,
}

impl<'a> Stage<'a> {
    /// A case that begins.
    pub fn new(driver: &'a mut dyn Driver, ground: &'a Ground, way: &'a str) -> Self {
        Stage { driver, ground, way, names: HashMap::new(), late: Vec::new() }
    }

    /// Whether the client is behind the adapter protocol, which tells little.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.way == "adapter"
    }

    /// Makes the client. `{sink}` in a setting is the server of this case,
    /// `{refused}` an address where nobody listens.
    ///
    /// # Errors
    /// Why the case does not go on.
    pub fn init(&mut self, key: &str, settings: &Settings, pace: &Settings) -> Result<Answer, Halt> {
        let mut filled = Settings::from([("host".to_owned(), "http://{sink}".to_owned())]);
        filled.extend(settings.clone());
        for value in filled.values_mut() {
            *value = value.replace("{sink}", &self.ground.host);
            if value.contains("{refused}") {
                *value = value.replace("{refused}", &refused_address()?.to_string());
            }
        }
        offered(self.driver.init(key, &filled, pace)?)
    }

    /// Does one step.
    ///
    /// # Errors
    /// Why the case does not go on.
    pub fn run(&mut self, step: &Step) -> Result<Option<Answer>, Halt> {
        if let Some(script) = &step.server {
            self.ground.space().set_script(script.clone());
        }
        if step.pause_ms > 0 {
            std::thread::sleep(Duration::from_millis(step.pause_ms));
        }
        if let Some(seen) = step.wait {
            self.ground.wait(seen).map_err(Halt::Failed)?;
        }
        let Some((call, with)) = call_of(step) else { return Ok(None) };
        let mut last = None;
        for _ in 0..step.times.unwrap_or(1) {
            last = Some(self.call(step, call, &with)?);
        }
        Ok(last)
    }

    fn call(&mut self, step: &Step, call: &str, with: &str) -> Result<Answer, Halt> {
        if self.is_remote() && step.flush.is_some() && step.status.as_deref() == Some("timeout") {
            return Err(Halt::NotOffered("a flush of the adapter protocol always waits".to_owned()));
        }
        let started = Instant::now();
        let answer = offered(self.driver.call(call, self.way, with)?)?;
        let took = started.elapsed().as_millis();
        if let (Some(uuid), Some(event)) = (&answer.uuid, &step.capture) {
            let name =
                Tree::parse(event.get())?.get("event").and_then(Tree::text).unwrap_or_default().to_owned();
            self.names.insert(uuid.clone(), name);
        }
        let failed = |text: String| Err(Halt::Failed(format!("{call}: {text}")));
        let wanted = step.status.as_deref().unwrap_or("ok");
        if wanted != "*" && wanted != answer.status && !(self.is_remote() && call == "flush") {
            return failed(format!("answered {} ({}), not {wanted}", answer.status, answer.message));
        }
        if let Some(part) = step.message.as_ref().filter(|part| !answer.message.contains(*part)) {
            return failed(format!("the message {:?} does not contain {part:?}", answer.message));
        }
        if let (Some(wanted), Some(result)) = (&step.result, &answer.result)
            && let Some(text) = difference(&Tree::parse(wanted.get())?, result, Extent::Named)
        {
            return failed(format!("result{text}"));
        }
        if let Some(limit) = step.at_least_ms.filter(|limit| took < u128::from(*limit)) {
            return failed(format!("took {took} ms, not at least {limit}"));
        }
        if let Some(limit) = step.within_ms.filter(|limit| took > u128::from(*limit)) {
            self.late.push(format!("{call}: took {took} ms, not at most {limit}"));
        }
        Ok(answer)
    }

    /// At the end of a case in which all else was right.
    ///
    /// # Errors
    /// Something took too long.
    pub fn in_time(&self) -> Result<(), Halt> {
        if self.late.is_empty() { Ok(()) } else { Err(Halt::Late(self.late.join("; "))) }
    }

    /// What the client can be asked for, if it can.
    ///
    /// # Errors
    /// The driver is broken.
    pub fn ask(&mut self, what: &str) -> Result<Option<Tree>, Halt> {
        match self.driver.call(what, self.way, "{}")? {
            Called::Answered(answer) => Ok(answer.result),
            Called::NotOffered(_) => Ok(None),
        }
    }
}

fn offered(called: Called) -> Result<Answer, Halt> {
    match called {
        Called::Answered(answer) => Ok(answer),
        Called::NotOffered(why) => Err(Halt::NotOffered(why)),
    }
}

/// The call of a step and its argument.
fn call_of(step: &Step) -> Option<(&'static str, String)> {
    let raw = |raw: &Option<Box<RawValue>>| raw.as_ref().map(|raw| raw.get().to_owned());
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text).to_string());
    let limit = |ms: Option<u64>| ms.map(|ms| json!({"timeout_ms": ms}).to_string());
    let flag = |value: bool| value.then(|| "{}".to_owned());
    let event = raw(&step.capture).map(|event| with_filler(&event, step.filler));
    [
        ("capture", event),
        ("capture_text", text(&step.capture_text)),
        ("capture_hex", text(&step.capture_hex)),
        ("identify", raw(&step.identify)),
        ("alias", raw(&step.alias)),
        ("group_identify", raw(&step.group_identify)),
        ("register", raw(&step.register)),
        ("unregister", text(&step.unregister)),
        ("opt_out", flag(step.opt_out == Some(true))),
        ("opt_in", flag(step.opt_out == Some(false))),
        ("flush", limit(step.flush)),
        ("close", limit(step.close)),
        ("reset", flag(step.reset)),
    ]
    .into_iter()
    .find_map(|(call, with)| with.map(|with| (call, with)))
}

fn with_filler(event: &str, filler: usize) -> String {
    if filler == 0 {
        return event.to_owned();
    }
    let members = members(event).unwrap_or_default();
    let mut text: Vec<_> =
        members.iter().map(|(key, value)| format!("{}:{}", json!(key), value.get())).collect();
    text.push(format!("\"properties\":{{\"filler\":\"{}\"}}", "x".repeat(filler)));
    format!("{{{}}}", text.join(","))
}
