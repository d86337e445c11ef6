//! The adapter protocol by hand, as a harness would use it: both modes, all codecs; and the runner against the
//! adapter as against any SDK's.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::checks::ensure;
use crate::conformance::worker;
use crate::process::{Outcome, at, built, command, said, ship};
use crate::sink::{Sink, get, post};

const RUNNER: &str = "target/debug/phc-conformance";
const EVENT: &str = r#"{"distinct_id":"u","event":"e","properties":{}}"#;

/// `adapter-test SDK`
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let sdk = Arguments::new(arguments).next().unwrap_or_else(|| "c".to_owned());
    built()?;
    let (worker, sink) = (worker(&sdk, &ship())?, Sink::start(&[])?);
    for codec in ["gzip", "deflate", "br", "zstd"] {
        let adapter = Adapter::start(&worker, codec)?;
        has(&adapter.get("/health")?, &format!("\"encoding_{codec}\""))?;
        for id in ["", "one", "two"] {
            protocol(&adapter, &sink, codec, id)?;
        }
    }
    let adapter = Adapter::start(&worker, "gzip")?;
    waits(&adapter, &sink)?;
    settings(&adapter, &sink)?;
    reset(&adapter, &sink)?;
    flags(&adapter, &sink)?;
    // The suite against an adapter, as other SDKs run it.
    let mut suite = command([at(RUNNER)]);
    let (succeeded, text) =
        said(suite.args(["run", "--level", "all", "--adapter", &format!("adapter={}", adapter.url)]))?;
    ensure(succeeded, || format!("{text}\nthe suite through the adapter failed"))?;
    println!("{}\nadapter for {sdk}: passed", text.lines().last().unwrap_or_default());
    Ok(())
}

struct Adapter {
    child: Child,
    url: String,
}

impl Adapter {
    fn start(worker: &str, codec: &str) -> Outcome<Self> {
        let mut child = command(["setpriv", "--pdeathsig", "TERM"])
            .arg(at(RUNNER))
            .args(["adapter", "--worker", worker, "--port", "0"])
            .env("COMPRESSION", codec)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("adapter listening on ").map(str::to_owned);
        Ok(Self { child, url: url.ok_or_else(|| format!("the adapter says: {line}"))? })
    }

    fn get(&self, path: &str) -> Outcome<String> {
        get(&format!("{}{path}", self.url))
    }

    fn post(&self, path: &str, body: &str) -> Outcome<String> {
        post(&format!("{}{path}", self.url), body)
    }

    /// A client that sends to this space.
    fn init(&self, host: &str, more: &str) -> Outcome<String> {
        self.post("/init", &format!(r#"{{"api_key":"k","host":"{host}"{more}}}"#))
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has(text: &str, part: &str) -> Outcome<()> {
    ensure(text.contains(part), || format!("{part} is not in {text}"))
}

/// Every call, with a test id or without.
fn protocol(adapter: &Adapter, sink: &Sink, codec: &str, id: &str) -> Outcome<()> {
    let query = if id.is_empty() { String::new() } else { format!("?test_id={id}") };
    let call = |what: &str, body: &str| adapter.post(&format!("/{what}{query}"), body);
    let space = format!("/{codec}/plain{id}");
    let host = format!("{}{space}", sink.url());
    has(&call("capture", "{}")?, "\"error\"")?;
    let init = format!(r#"{{"api_key":"phc_k","host":"{host}","enable_compression":true}}"#);
    has(&call("init", &init)?, "\"success\":true")?;
    let event = r#"{"distinct_id":"u","event":"e","properties":null,"timestamp":null,"options":{"cookieless_mode":true}}"#;
    has(&call("capture", event)?, "\"uuid\"")?;
    has(&call("flush", "")?, "\"events_flushed\":1")?;
    let state = adapter.get(&format!("/state{query}"))?;
    has(&state, "\"total_events_sent\":1")?;
    has(&state, "\"retry_attempt\":0")?;
    let requests = sink.get(&format!("{space}/_requests"))?;
    has(&requests, &format!("\"encoding\":\"{codec}\""))?;
    if id.is_empty() {
        ensure(!requests.contains("x-test-id"), || "X-Test-Id without a test id".to_owned())?;
    } else {
        has(&requests, &format!("\"x-test-id\":\"{id}\""))?;
    }
    has(&sink.get(&format!("{space}/_events"))?, "\"cookieless_mode\":true")?;
    sink.no_violations(&space)?;
    has(&call("reset", "")?, "\"success\":true")?;
    has(&adapter.get(&format!("/state{query}"))?, "\"requests_made\":[]")
}

/// What the harness expects of time.
fn waits(adapter: &Adapter, sink: &Sink) -> Outcome<()> {
    let wait = r#"{"status":503,"headers":{"Retry-After":"1"},"times":2}"#;
    sink.post("/timing/_script", &format!(r#"{{"steps":[{wait},{{"headers":{{"Retry-After":"1"}}}}]}}"#))?;
    adapter.init(&format!("{}/timing", sink.url()), "")?;
    adapter.post("/capture", EVENT)?;
    let begun = Instant::now();
    has(&adapter.post("/flush", "")?, "\"success\":true")?;
    let took = begun.elapsed().as_millis();
    ensure((2000..=10_000).contains(&took), || format!("two waits of a second took {took} ms"))?;
    let state = adapter.get("/state")?;
    has(&state, "\"total_retries\":2")?;
    has(&state, "\"status_code\":503")
}

fn settings(adapter: &Adapter, sink: &Sink) -> Outcome<()> {
    adapter.init(&format!("{}/three", sink.url()), r#","flush_at":3"#)?;
    for _ in 0..3 {
        adapter.post("/capture", EVENT)?;
    }
    has(&sink.get("/three/_wait?events=3&timeout_ms=10000")?, "\"ok\":true")?;

    sink.post("/four/_script", r#"{"then":{"status":503}}"#)?;
    adapter.init(&format!("{}/four", sink.url()), r#","max_retries":3"#)?;
    adapter.post("/capture", EVENT)?;
    adapter.post("/flush", "")?;
    has(&sink.get("/four/_summary")?, "\"requests\":4")
}

/// What waits in back-off at a reset is never sent.
fn reset(adapter: &Adapter, sink: &Sink) -> Outcome<()> {
    sink.post("/reset/_script", r#"{"then":{"status":503,"headers":{"Retry-After":"3"}}}"#)?;
    adapter.init(&format!("{}/reset", sink.url()), r#","flush_at":1"#)?;
    adapter.post("/capture", EVENT)?;
    has(&sink.get("/reset/_wait?requests=1&timeout_ms=20000")?, "\"ok\":true")?;
    adapter.post("/reset", "")?;
    has(&sink.get("/reset/_wait?requests=2&timeout_ms=3500")?, "\"ok\":false")
}

/// Flags by their definitions, by the server, and by a server that fails.
fn flags(adapter: &Adapter, sink: &Sink) -> Outcome<()> {
    const DEFINITIONS: &str = r#"{"flags":[{"id":1,"key":"here","active":true,"filters":{"groups":[
        {"properties":[{"key":"plan","value":"pro","type":"person"}]}]}}]}"#;
    const HERE: &str = r#""key":"here","distinct_id":"u","person_properties":{"plan":"pro"}"#;
    has(&adapter.get("/health")?, "\"feature_flags_local_evaluation_v1\"")?;
    let space = "/flags-of-the-adapter";
    sink.post(&format!("{space}/_definitions"), DEFINITIONS)?;
    sink.post(&format!("{space}/_flags"), r#"{"here":"remote"}"#)?;
    adapter.init(&format!("{}{space}", sink.url()), r#","personal_api_key":"phs_secret""#)?;
    has(&adapter.post("/reload_feature_flag_definitions", r#"{"timeout_ms":10000}"#)?, "\"ready\":true")?;
    let local = adapter.post("/get_feature_flag", &format!(r#"{{{HERE},"only_evaluate_locally":true}}"#))?;
    has(&local, "\"value\":true")?;
    has(&local, "\"locally_evaluated\":true")?;
    has(&sink.get(&format!("{space}/_summary"))?, "\"flag_requests\":0")?;
    let remote = adapter.post("/get_feature_flag", &format!(r#"{{{HERE},"force_remote":true}}"#))?;
    has(&remote, "\"value\":\"remote\"")?;
    has(&remote, "\"locally_evaluated\":false")?;
    sink.no_violations(space)?;

    sink.post(
        &format!("{space}/_script"),
        r#"{"steps":[{"when":{"endpoint":"flags"},"status":500},
        {"when":{"endpoint":"definitions"},"status":503}]}"#,
    )?;
    let failed = adapter.post("/get_feature_flag", &format!(r#"{{{HERE},"force_remote":true}}"#))?;
    has(&failed, "\"success\":true")?;
    has(&failed, "\"value\":null")?;
    has(&failed, "\"error\":\"api_error_500\"")?;
    has(&adapter.post("/reload_feature_flag_definitions", "")?, "\"ready\":false")
}
