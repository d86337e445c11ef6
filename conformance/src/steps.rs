//! Runs the steps of a case: gives the server its scripts, makes the calls, and checks what they return.
//!
//! What the server must have received at the end is checked elsewhere (`vectors`, `expectations`).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::json;
use serde_json::value::RawValue;

use crate::adapter_client;
use crate::adapter_server::FLAG_MS;
use crate::case::{Settings, Step};
use crate::driver::{CallResult, Driver, Response};
use crate::json::{Extent, Tree, difference, members};
use crate::levels::Level;
use crate::run_rules::RunRules;
use crate::test_server::{CaseServer, refused_address};

/// The project key of every case that names none.
pub(crate) const API_KEY: &str = "phc_conformance_key";
/// The time limit of a flush that must succeed: longer than any flush of a case takes.
pub(crate) const LONG_FLUSH_MS: u64 = 20_000;

/// A rule by its name and level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) level: Level,
}

/// Why a case did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The client did something that the case does not allow.
    Failed(String),
    /// It broke this rule, which need not be one that the case proves.
    Violated(Rule, String),
    /// Everything was right except for the time that it took. A busy machine can cause that, so the case is
    /// run again.
    Late(String),
    /// The case uses something that the client does not have.
    Unsupported(String),
    /// The driver cannot be used any more.
    Broken(String),
}

impl From<String> for Stop {
    fn from(reason: String) -> Self {
        Stop::Broken(reason)
    }
}

/// One run of a case.
pub(crate) struct CaseRun<'a> {
    /// The client.
    pub(crate) driver: &'a mut dyn Driver,
    /// The server that it sends to.
    pub(crate) server: &'a CaseServer,
    /// What counts in this run.
    pub(crate) run_rules: &'a RunRules<'a>,
    /// The form in which the client is given events.
    pub(crate) form: &'a str,
    /// The names of the captured events, by uuid.
    pub(crate) names: HashMap<String, String>,
    /// Whether a flush or a close returned `ok` although the case loses events, and which call it was.
    pub(crate) unreported: Option<String>,
    /// What took too long, but was right otherwise.
    pub(crate) late: Vec<String>,
    /// The flushes that were begun, by label.
    flushes: HashMap<String, u64>,
}

impl<'a> CaseRun<'a> {
    pub(crate) fn new(
        driver: &'a mut dyn Driver,
        server: &'a CaseServer,
        run_rules: &'a RunRules<'a>,
        form: &'a str,
    ) -> Self {
        let (names, late, flushes) = (HashMap::new(), Vec::new(), HashMap::new());
        CaseRun { driver, server, run_rules, form, names, unreported: None, late, flushes }
    }

    /// Whether the client is driven through the adapter protocol, which returns little.
    pub(crate) fn is_adapter(&self) -> bool {
        self.form == adapter_client::FORM
    }

    /// Creates the client. In a setting, `{sink}` stands for the server of this case, and `{refused}` for an
    /// address that refuses connections.
    pub(crate) fn init(
        &mut self,
        key: &str,
        settings: &Settings,
        optional: &Settings,
    ) -> Result<Response, Stop> {
        let mut filled = Settings::from([("host".to_owned(), "http://{sink}".to_owned())]);
        filled.extend(settings.clone());
        for value in filled.values_mut() {
            *value = value.replace("{sink}", &self.server.host);
            if value.contains("{refused}") {
                *value = value.replace("{refused}", &refused_address()?.to_string());
            }
        }
        supported(self.driver.init(key, &filled, optional)?)
    }

    /// Runs one step. Returns the response of its call, if it has one.
    pub(crate) fn run(&mut self, step: &Step) -> Result<Option<Response>, Stop> {
        if let Some(script) = &step.server {
            self.server.namespace().set_script(script.clone());
        }
        if let Some(definitions) = &step.definitions {
            self.server.namespace().set_flag_definitions(definitions.get().to_owned());
        }
        if step.pause_ms > 0 {
            std::thread::sleep(Duration::from_millis(step.pause_ms));
        }
        if let Some(counts) = step.wait {
            self.server.wait(counts).map_err(Stop::Failed)?;
        }
        let Some((call, argument)) = self.call_of(step)? else { return Ok(None) };
        let mut last = None;
        for _ in 0..step.times.unwrap_or(1) {
            last = Some(self.call(step, call, &argument)?);
        }
        Ok(last)
    }

    /// The call of a step, and its argument.
    fn call_of(&self, step: &Step) -> Result<Option<(&'static str, String)>, Stop> {
        let raw = |raw: &Option<Box<RawValue>>| raw.as_ref().map(|raw| raw.get().to_owned());
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text).to_string());
        let limit = |ms: Option<u64>| ms.map(|ms| json!({"timeout_ms": ms}).to_string());
        let flag = |value: bool| value.then(|| "{}".to_owned());
        let wait = match &step.flush_wait {
            None => None,
            Some(wait) => {
                let flush = self.flushes.get(&wait.flush);
                let flush = flush.ok_or_else(|| format!("no flush_begin with the label {:?}", wait.flush))?;
                Some(json!({"flush": flush, "timeout_ms": wait.timeout_ms}).to_string())
            }
        };
        let calls = [
            ("capture", raw(&step.capture).map(|event| with_filler(&event, step.filler))),
            ("capture_text", text(&step.capture_text)),
            ("capture_hex", text(&step.capture_hex)),
            ("identify", raw(&step.identify)),
            ("alias", raw(&step.alias)),
            ("group_identify", raw(&step.group_identify)),
            ("register", raw(&step.register)),
            ("unregister", text(&step.unregister)),
            ("opt_out", flag(step.opt_out == Some(true))),
            ("opt_in", flag(step.opt_out == Some(false))),
            ("get_feature_flag", raw(&step.get_feature_flag).map(|query| self.with_time_limit(query))),
            ("reload_feature_flag_definitions", limit(step.reload_definitions)),
            ("flush", limit(step.flush)),
            ("flush_begin", flag(step.flush_begin.is_some())),
            ("flush_wait", wait),
            ("close", limit(step.close)),
            ("reset", flag(step.reset)),
        ];
        Ok(calls.into_iter().find_map(|(call, argument)| argument.map(|argument| (call, argument))))
    }

    /// A query of a flag with the time limit that the calls of workers have, and those of adapters have not.
    fn with_time_limit(&self, query: String) -> String {
        if self.is_adapter() {
            return query;
        }
        let query = query.trim_end().trim_end_matches('}');
        format!("{query},\"timeout_ms\":{FLAG_MS}}}")
    }

    fn call(&mut self, step: &Step, call: &str, argument: &str) -> Result<Response, Stop> {
        if self.is_adapter() && step.flush.is_some() && step.status.as_deref() == Some("timeout") {
            return Err(Stop::Unsupported("a flush of the adapter protocol has no time limit".to_owned()));
        }
        let started = Instant::now();
        let response = supported(self.driver.call(call, self.form, argument)?)?;
        let took = started.elapsed().as_millis();
        if let (Some(uuid), Some(event)) = (&response.uuid, &step.capture) {
            let name =
                Tree::parse(event.get())?.get("event").and_then(Tree::text).unwrap_or_default().to_owned();
            self.names.insert(uuid.clone(), name);
        }
        let failed = |text: String| Err(Stop::Failed(format!("{call}: {text}")));
        let wanted = step.status.as_deref().unwrap_or("ok");
        if !self.is_allowed(call, wanted, &response.status) {
            let (status, message) = (&response.status, &response.message);
            return failed(format!("returned {status} ({message}), expected {wanted}"));
        }
        let strict = self.run_rules.is_strict();
        if let Some(part) = step.message.as_ref().filter(|part| strict && !response.message.contains(*part)) {
            return failed(format!("the message {:?} does not contain {part:?}", response.message));
        }
        if let (Some(wanted), Some(result)) = (&step.result, &response.result)
            && (strict || call == "get_feature_flag")
            && let Some(text) = difference(&Tree::parse(wanted.get())?, result, Extent::Named)
        {
            // A machine that stood still for the client's time limit; what the flag would have been is not known.
            if call == "get_feature_flag" && result.get("error").and_then(Tree::text) == Some("timeout") {
                return Err(Stop::Late(format!("{call}: result{text}")));
            }
            return failed(format!("result{text}"));
        }
        if let Some(label) = &step.flush_begin {
            let flush = response.result.as_ref().and_then(|result| result.get("flush")?.number());
            let flush = flush.ok_or_else(|| "the response to flush_begin has no result.flush".to_owned())?;
            self.flushes.insert(label.clone(), flush);
        }
        if let Some(limit) = step.at_least_ms.filter(|limit| took < u128::from(*limit)) {
            let text = format!("took {took} ms, expected at least {limit}");
            if strict || !call.starts_with("flush") {
                return failed(text);
            }
            self.run_rules.breach("flush-waits", &self.server.case, &format!("{call} {text}"));
        }
        if let Some(limit) = step.within_ms.filter(|limit| took > u128::from(*limit)) {
            self.late.push(format!("{call}: took {took} ms, expected at most {limit}"));
        }
        Ok(response)
    }

    /// Whether a call may return this status. Outside of libphc a refusal has no particular name; and that
    /// lost events are not reported is one finding of the whole run, not one of each case that loses any; see
    /// [`CaseRun::count_unreported`].
    fn is_allowed(&mut self, call: &str, wanted: &str, status: &str) -> bool {
        if wanted == "*" || wanted == status || (self.is_adapter() && call == "flush") {
            return true;
        }
        if self.run_rules.is_strict() {
            return false;
        }
        match wanted {
            "lost_events" if status == "ok" => {
                self.unreported = Some(call.to_owned());
                true
            }
            "ok" | "timeout" | "lost_events" => false,
            _ => status != "ok",
        }
    }

    /// Counts a call that returned `ok` although events were lost, if the client does not say so elsewhere.
    pub(crate) fn count_unreported(&mut self, stats: Option<&Tree>) {
        let says = stats.is_some_and(|stats| stats.get("lost").is_some());
        if let Some(call) = self.unreported.take().filter(|_| !says) {
            let message = format!("{call} returned ok, although events were lost");
            self.run_rules.breach("losses-reported", &self.server.case, &message);
        }
    }

    /// Fails if anything took too long. Called at the end of a case in which everything else was right.
    pub(crate) fn check_times(&self) -> Result<(), Stop> {
        if self.late.is_empty() { Ok(()) } else { Err(Stop::Late(self.late.join("; "))) }
    }

    /// Returns the result of `stats` or `reports`, or `None` if the client has no such call.
    pub(crate) fn query(&mut self, call: &str) -> Result<Option<Tree>, Stop> {
        match self.driver.call(call, self.form, "{}")? {
            CallResult::Done(response) => Ok(response.result),
            CallResult::Unsupported(_) => Ok(None),
        }
    }
}

fn supported(result: CallResult) -> Result<Response, Stop> {
    match result {
        CallResult::Done(response) => Ok(response),
        CallResult::Unsupported(reason) => Err(Stop::Unsupported(reason)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use crate::contract::Contract;
    use crate::driver::Hello;
    use crate::levels::Levels;
    use crate::test_server::TestServer;

    /// Returns flushes number 7, 8 … and records every call.
    #[derive(Default)]
    struct Recorder {
        hello: Hello,
        calls: Vec<String>,
    }

    impl Driver for Recorder {
        fn hello(&self) -> &Hello {
            &self.hello
        }

        fn init(&mut self, _: &str, _: &Settings, _: &Settings) -> Result<CallResult, String> {
            Ok(CallResult::Done(Response::default()))
        }

        fn call(&mut self, name: &str, _: &str, argument: &str) -> Result<CallResult, String> {
            let result = Tree::parse(&format!("{{\"flush\":{}}}", 7 + self.calls.len())).ok();
            self.calls.push(format!("{name} {argument}"));
            Ok(CallResult::Done(Response { status: "ok".to_owned(), result, ..Response::default() }))
        }
    }

    #[test]
    fn a_flush_is_waited_for_by_its_label() {
        let server = TestServer::start("127.0.0.1:0".parse().unwrap()).unwrap().case_server("labels");
        let mut driver = Recorder::default();
        let (contract, levels) = (Contract::parse("[]").unwrap(), Levels::parse("all").unwrap());
        let run_rules = RunRules::new(&contract, &levels, BTreeSet::new());
        let mut run = CaseRun::new(&mut driver, &server, &run_rules, "json");
        let mut step = |text: &str| run.run(&serde_json::from_str(text).unwrap()).map(|_| ());
        step(r#"{"flush_begin": "a"}"#).unwrap();
        step(r#"{"flush_begin": "b"}"#).unwrap();
        step(r#"{"flush_wait": {"flush": "b", "timeout_ms": 5}}"#).unwrap();
        let unknown = step(r#"{"flush_wait": {"flush": "c", "timeout_ms": 5}}"#);
        assert!(matches!(unknown, Err(Stop::Broken(text)) if text.contains("the label \"c\"")));
        assert_eq!(
            driver.calls,
            ["flush_begin {}", "flush_begin {}", r#"flush_wait {"flush":8,"timeout_ms":5}"#]
        );
    }

    #[test]
    fn a_loss_that_is_not_reported_is_a_finding_of_the_run() {
        const RULE: &str = r#"[{"name": "losses-reported", "part": "Reports", "level": "protocol", "once": true, "statement": "L."}]"#;
        let server = TestServer::start("127.0.0.1:0".parse().unwrap()).unwrap().case_server("losses");
        for (level, fails) in [("server,protocol", false), ("all", true)] {
            let (contract, levels) = (Contract::parse(RULE).unwrap(), Levels::parse(level).unwrap());
            let run_rules = RunRules::new(&contract, &levels, BTreeSet::new());
            let mut driver = Recorder::default();
            let mut run = CaseRun::new(&mut driver, &server, &run_rules, "json");
            let flush = run.run(&serde_json::from_str(r#"{"flush": 5, "status": "lost_events"}"#).unwrap());
            run.count_unreported(None);
            assert_eq!((flush.is_err(), run_rules.any_breach()), (fails, !fails), "{level}");
            // Any refusal is one, whatever its name, but a success is not one.
            let mut capture = |status: &str| {
                let text = format!(r#"{{"capture": {{}}, "status": "{status}"}}"#);
                run.run(&serde_json::from_str(&text).unwrap()).is_err()
            };
            assert!(capture("invalid_event"), "{level}");
            assert!(!capture("ok"), "{level}");
        }
    }
}
