//! Every rule of the sink: a valid request breaks none; with one thing changed it breaks exactly that rule.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use phc_sink::{IncomingRequest, Namespace, Options, ResponsePlan, Script};
use serde_json::{Value, json};

const KEY: &str = "phc_rules_key";

fn event(n: u8) -> Value {
    json!({
        "event": "e", "uuid": format!("0190a5b4-7c3d-7abc-8def-0123456789{n:02x}"), "distinct_id": "user",
        "timestamp": "2026-01-02T03:04:05.006Z", "options": {}, "properties": {"a": 1},
    })
}

fn body() -> Value {
    json!({"created_at": "2026-01-02T03:04:05.006Z", "batch": [event(1)]})
}

fn headers(id: u8, attempt: &str) -> HeaderMap {
    let pairs = [
        ("authorization", format!("Bearer {KEY}")),
        ("content-type", "application/json".into()),
        ("accept-encoding", "identity".into()),
        ("user-agent", "sdk/1.0".into()),
        ("posthog-sdk-info", "sdk/1.0".into()),
        ("posthog-request-id", format!("0190a5b4-0000-7abc-8def-0123456789{id:02x}")),
        ("posthog-attempt", attempt.into()),
        ("posthog-request-timestamp", format!("2026-01-02T03:04:06.{attempt:0>3}Z")),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::try_from(value).unwrap()))
        .collect()
}

/// A namespace without a server in front of it.
struct Bench {
    namespace: Namespace,
    started: Instant,
    options: Options,
}

impl Bench {
    fn new() -> Self {
        let options = Options { api_key: None, max_body: 1 << 20, max_wire_body: 1 << 19 };
        Bench { namespace: Namespace::default(), started: Instant::now(), options }
    }

    fn scripted(script: &str) -> Self {
        let mut bench = Bench::new();
        bench.namespace.set_script(Script::parse(script).unwrap());
        bench
    }

    fn send_to(&mut self, uri: &str, headers: &HeaderMap, body: &[u8]) -> ResponsePlan {
        let uri: Uri = uri.parse().unwrap();
        self.namespace.receive(
            &IncomingRequest { headers, uri: &uri, body, connection: 1 },
            &self.options,
            self.started,
        )
    }

    fn send(&mut self, headers: &HeaderMap, body: &Value) -> ResponsePlan {
        self.send_to("/i/v1/analytics/events", headers, body.to_string().as_bytes())
    }

    /// Sends a request; the client receives the whole response.
    fn exchange(&mut self, headers: &HeaderMap, body: &Value, retry_after: Option<f64>) -> ResponsePlan {
        let plan = self.send(headers, body);
        self.namespace.response_sent(&plan, self.started, retry_after);
        plan
    }

    fn rules(&self) -> Vec<&'static str> {
        let mut rules: Vec<_> = self.namespace.violations().iter().map(|violation| violation.rule).collect();
        rules.dedup();
        rules
    }
}

#[test]
fn a_valid_request_breaks_no_rule() {
    let mut bench = Bench::new();
    let plan = bench.send(&headers(1, "1"), &body());
    assert_eq!(bench.namespace.violations(), []);
    assert_eq!(plan.status, 200);
    assert_eq!(bench.namespace.accepted().len(), 1);
}

#[test]
fn each_header_has_its_rule() {
    let table: [(&str, Option<&str>, &str, u16); 19] = [
        ("authorization", None, "authorization", 401),
        ("authorization", Some("Basic x"), "authorization", 401),
        ("content-type", Some("text/plain"), "content-type", 400),
        ("accept-encoding", None, "accept-encoding", 200),
        ("accept-encoding", Some("gzip, *;q=0.5"), "accept-encoding", 200),
        ("user-agent", None, "user-agent", 400),
        ("posthog-sdk-info", None, "sdk-info", 400),
        ("posthog-sdk-info", Some("sdk/2.0"), "sdk-info-form", 200),
        ("posthog-sdk-info", Some("sdk"), "sdk-info-form", 200),
        ("posthog-request-id", None, "request-id", 400),
        ("posthog-request-id", Some("7"), "request-id", 400),
        ("posthog-attempt", None, "attempt", 400),
        ("posthog-attempt", Some("0"), "attempt", 400),
        ("posthog-attempt", Some("2"), "attempt-gap", 200),
        ("posthog-request-timestamp", None, "request-timestamp", 400),
        ("posthog-request-timestamp", Some("2026-01-02T03:04:05"), "request-timestamp", 400),
        ("posthog-request-timestamp", Some("2026-01-02T03:04:05+00:00"), "request-timestamp-form", 200),
        ("content-encoding", Some("lzma"), "content-encoding", 415),
        ("content-encoding", Some("gzip"), "broken-encoding", 400),
    ];
    for (name, value, rule, status) in table {
        let mut changed = headers(1, "1");
        changed.remove(name);
        if let Some(value) = value {
            changed.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut bench = Bench::new();
        let plan = bench.send(&changed, &body());
        assert!(bench.rules().contains(&rule), "{name}: {value:?}: {:?}", bench.namespace.violations());
        assert_eq!(plan.status, status, "{name}: {value:?}");
    }
    let mut bench = Bench::new();
    bench.send_to("/i/v1/analytics/events?key=x", &headers(1, "1"), body().to_string().as_bytes());
    assert_eq!(bench.rules(), ["query"]);
    let mut bench = Bench::new();
    bench.send_to("//i/v1/analytics/events", &headers(1, "1"), body().to_string().as_bytes());
    assert_eq!(bench.rules(), ["path"]);
}

#[test]
fn each_part_of_the_body_has_its_rule() {
    let set = |pointer: &str, value: Value| {
        let mut changed = body();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[key] = value;
        changed.to_string().into_bytes()
    };
    let without = |key: &str| {
        let mut changed = body();
        changed["batch"][0].as_object_mut().unwrap().remove(key);
        changed.to_string().into_bytes()
    };
    let text = |from: &str, to: &str| body().to_string().replacen(from, to, 1).into_bytes();
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    // What it costs to break the rule is the last column of the table in README.md.
    let table: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"\xff".to_vec(), "invalid-utf8", "400"),
        (b"{".to_vec(), "invalid-json", "400"),
        (b"[]".to_vec(), "envelope", "400"),
        (text("\"a\":1", "\"a\":\"\\ud800\""), "lone-surrogate", "400"),
        (text("\"a\":1", "\"a\":1e999"), "number-range", "400"),
        (text("\"a\":1", &format!("\"a\":{deep}")), "too-deep", "400"),
        (text("\"a\":1", &format!("\"a\":\"{KEY}\"")), "key-in-body", ""),
        (set("/api_key", json!("x")), "legacy-key", ""),
        (set("/other", json!(1)), "unknown-key", ""),
        (set("/historical_migration", json!(false)), "historical-migration", ""),
        (set("/created_at", json!("2026-01-02")), "created-at", "400"),
        (set("/created_at", json!("2026-01-02T03:04:05.006789+00:00")), "created-at-form", ""),
        (set("/batch", json!({})), "batch", "400"),
        (set("/batch", json!([])), "empty-batch", "400"),
        (set("/batch", json!([event(1), event(1)])), "duplicate-uuid", "400"),
        (set("/batch", json!([7])), "event", "400"),
        (text("{\"batch\"", "{\"created_at\":1,\"batch\""), "duplicate-key", ""),
        (set("/batch/0/uuid", json!("x")), "invalid-uuid", "400"),
        (set("/batch/0/uuid", json!("0190A5B4-7C3D-7ABC-8DEF-012345678901")), "uuid-form", ""),
        (set("/batch/0/$set", json!({})), "unknown-event-key", ""),
        (without("event"), "members", "400"),
        (without("distinct_id"), "members", "400"),
        (without("timestamp"), "members", "400"),
        (without("options"), "members", "400"),
        (without("properties"), "members", "400"),
        (set("/batch/0/event", json!(5)), "members", "400"),
        (set("/batch/0/distinct_id", json!(5)), "members", "400"),
        (set("/batch/0/timestamp", json!(null)), "members", "400"),
        (set("/batch/0/event", json!("")), "event-name", "drop"),
        (set("/batch/0/event", json!("x".repeat(201))), "event-name", "drop"),
        (set("/batch/0/distinct_id", json!("x".repeat(201))), "distinct-id", "drop"),
        (set("/batch/0/distinct_id", json!("\u{3000}")), "distinct-id", "drop"),
        (set("/batch/0/distinct_id", json!("user\u{a0}")), "distinct-id-white-space", ""),
        (set("/batch/0/timestamp", json!("2026-01-02T03:04:05")), "event-timestamp", "drop"),
        (set("/batch/0/timestamp", json!("2026-01-02T03:04:05Z")), "event-timestamp-form", ""),
        (set("/batch/0/session_id", json!(5)), "session-type", "400"),
        (set("/batch/0/session_id", json!(null)), "session-type", "400"),
        (set("/batch/0/window_id", json!([])), "session-type", "400"),
        (set("/batch/0/options", json!(null)), "options", "drop"),
        (set("/batch/0/options", json!({"x": 1})), "unknown-option", ""),
        (set("/batch/0/options", json!({"cookieless_mode": "yes"})), "option-type", "drop"),
        (set("/batch/0/options", json!({"process_person_profile": 1})), "option-type", "drop"),
        (set("/batch/0/options", json!({"product_tour_id": 1})), "option-type", "drop"),
        (set("/batch/0/properties", json!([])), "properties", "drop"),
        (text("\"a\":1", "\"$\\u006cib\":1"), "unlifted-sentinel", ""),
        (set("/batch/0/properties", json!({"$groups": 1})), "groups-type", ""),
    ];
    for (body, rule, cost) in table {
        let mut bench = Bench::new();
        let plan = bench.send_to("/i/v1/analytics/events", &headers(1, "1"), &body);
        let shown = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
        assert!(bench.rules().contains(&rule), "{rule}: {shown}: {:?}", bench.namespace.violations());
        let verdict = bench.namespace.events().last().map(|event| (event.verdict.clone(), event.stored));
        let found = match (plan.status, verdict) {
            (400, None) => "400",
            (400, Some((verdict, false))) if verdict.is_empty() => "400",
            (200, Some((verdict, false))) if verdict == "drop" => "drop",
            (200, Some((verdict, true))) if verdict == "ok" => "",
            other => panic!("{rule}: {shown}: {other:?}"),
        };
        assert_eq!(found, cost, "{rule}: {shown}");
        assert_eq!(last_column(rule), cost, "{rule} in README.md");
    }
}

/// The last column of the row of this rule in README.md.
fn last_column(rule: &str) -> String {
    let (_, table) = include_str!("../README.md").rsplit_once("\n## Rules\n").unwrap();
    let mut rows = table.lines().map(|line| line.split('|').collect::<Vec<_>>());
    let row = rows.find(|cells| cells.get(1).is_some_and(|names| names.contains(&format!("`{rule}`"))));
    row.unwrap()[3].trim().to_owned()
}

#[test]
fn the_server_refuses_a_batch_for_one_event_and_drops_another_by_itself() {
    let send = |script: &str, changed: &[(&str, Value)]| {
        let mut bench = Bench::scripted(script);
        let mut body = with_events(&[1, 2]);
        for (key, value) in changed {
            body["batch"][1][key] = value.clone();
        }
        let status = bench.send(&headers(1, "1"), &body).status;
        let verdicts: Vec<_> = bench.namespace.events().iter().map(|one| one.verdict.clone()).collect();
        (status, verdicts.join(" "), bench.namespace.accepted().len())
    };
    let mistyped = [("options", json!({"cookieless_mode": "yes"}))];
    let refused = [("session_id", json!(5))];
    assert_eq!(send("{}", &mistyped), (200, "ok drop".to_owned(), 1));
    assert_eq!(send("{}", &refused), (400, " ".to_owned(), 0));
    // What a script says counts.
    assert_eq!(send(r#"{"then":{"verdicts":["ok"]}}"#, &mistyped), (200, "ok ok".to_owned(), 2));
    assert_eq!(send(r#"{"then":{"status":200}}"#, &refused), (200, "ok ok".to_owned(), 2));
    assert_eq!(send(r#"{"then":{"status":503}}"#, &refused), (503, " ".to_owned(), 0));
}

#[test]
fn a_body_over_the_bound_gets_a_413() {
    let mut bench = Bench::new();
    let large = format!("{}{}", body(), " ".repeat(2 << 20));
    let plan = bench.send_to("/i/v1/analytics/events", &headers(1, "1"), large.as_bytes());
    assert_eq!(plan.status, 413);
    let mut bench = Bench::new();
    let compressible = format!("{}{}", body(), " ".repeat(600 << 10));
    let plan = bench.send_to("/i/v1/analytics/events", &headers(1, "1"), compressible.as_bytes());
    assert_eq!(plan.status, 413, "the bound of the body as sent");
    assert_eq!(bench.namespace.violations(), []);
}

#[test]
fn keys_may_be_there_twice_inside_of_properties() {
    let text = body().to_string().replace("\"a\":1", r#""a":1,"a":2,"b":{"c":1,"c":2}"#);
    let mut bench = Bench::new();
    assert_eq!(bench.send_to("/i/v1/analytics/events", &headers(1, "1"), text.as_bytes()).status, 200);
    assert_eq!(bench.namespace.violations(), []);
    assert_eq!(bench.namespace.accepted().len(), 1);
}

#[test]
fn events_get_the_verdicts_of_the_real_server() {
    let verdict = |id: &str, filler: usize| {
        let mut body = body();
        body["batch"][0]["distinct_id"] = json!(id);
        body["batch"][0]["properties"]["filler"] = json!("x".repeat(filler));
        let mut bench = Bench::new();
        bench.options = Options { api_key: None, max_body: 50 << 20, max_wire_body: 10 << 20 };
        bench.send(&headers(1, "1"), &body);
        let event = bench.namespace.events().last().unwrap();
        (event.verdict.clone(), event.stored)
    };
    for (id, filler, code, stored) in [
        ("user-1", 0, "ok", true),
        ("Anonymous", 0, "ok", true),
        ("user-1", 984_000, "drop", false),
        (" ", 0, "drop", false),
    ] {
        assert_eq!(verdict(id, filler), (code.to_owned(), stored), "{id} {filler}");
    }
}

fn with_events(events: &[u8]) -> Value {
    let mut body = body();
    body["batch"] = events.iter().map(|n| event(*n)).collect();
    body
}

#[test]
fn valid_retries_and_splits_break_no_rule() {
    // Part of a batch is retried, after a 503 and after a response that was cut off.
    let mut bench =
        Bench::scripted(r#"{"steps":[{"status":503},{"close":"mid_body"},{"verdicts":["retry","ok"]}]}"#);
    bench.exchange(&headers(1, "1"), &with_events(&[1, 2]), None);
    bench.send(&headers(1, "2"), &with_events(&[1, 2]));
    bench.exchange(&headers(1, "3"), &with_events(&[1, 2]), None);
    bench.exchange(&headers(1, "4"), &with_events(&[1]), None);
    // A batch is split after a 413.
    bench.namespace.set_script(Script::parse(r#"{"steps":[{"status":413}]}"#).unwrap());
    bench.exchange(&headers(2, "1"), &with_events(&[3, 4]), None);
    bench.exchange(&headers(3, "1"), &with_events(&[3]), None);
    bench.exchange(&headers(4, "1"), &with_events(&[4]), None);
    // Another event has the same uuid.
    let mut other = with_events(&[1]);
    other["batch"][0]["event"] = json!("other");
    bench.exchange(&headers(5, "1"), &other, None);
    assert_eq!(bench.namespace.violations(), []);
}

#[test]
fn each_invalid_sequence_of_requests_has_its_rule() {
    // The response to the first request; headers and body of the second; the rule that it breaks.
    let changed = |pointer: &str, value: Value| {
        let mut body = with_events(&[1, 2]);
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let other_time = "2026-01-02T03:04:05.007Z";
    let cases = vec![
        (r#"{"status":503}"#, headers(1, "3"), with_events(&[1, 2]), "attempt-gap"),
        (r#"{"status":503}"#, headers(1, "1"), with_events(&[1, 2]), "attempt-gap"),
        (
            r#"{"status":503}"#,
            headers(1, "2"),
            changed("/created_at", json!(other_time)),
            "created-at-changed",
        ),
        (
            r#"{"status":503}"#,
            headers(1, "2"),
            changed("/batch/0/event", json!("x")),
            "bytes-changed-on-retry",
        ),
        (r#"{"status":503}"#, headers(1, "2"), with_events(&[3]), "request-id-reused"),
        (r#"{"status":503}"#, headers(1, "2"), with_events(&[1, 3]), "event-added-on-retry"),
        (r#"{"verdicts":["ok","retry"]}"#, headers(1, "2"), with_events(&[1, 2]), "resent-after-acceptance"),
        (r#"{"verdicts":["drop","retry"]}"#, headers(1, "2"), with_events(&[1, 2]), "resent-after-refusal"),
        (r#"{"status":400}"#, headers(1, "2"), with_events(&[1, 2]), "resent-after-refusal"),
        (r#"{"verdicts":["retry"]}"#, headers(2, "1"), with_events(&[1, 2]), "uuid-in-second-batch"),
    ];
    for (response, second, body, rule) in cases {
        let mut bench = Bench::scripted(&format!(r#"{{"steps":[{response}]}}"#));
        bench.exchange(&headers(1, "1"), &with_events(&[1, 2]), None);
        bench.send(&second, &body);
        assert!(bench.rules().contains(&rule), "{rule} after {response}: {:?}", bench.namespace.violations());
    }
    let mut bench = Bench::scripted(r#"{"steps":[{"status":503}]}"#);
    bench.exchange(&headers(1, "1"), &with_events(&[1]), Some(2.0));
    bench.send(&headers(1, "2"), &with_events(&[1]));
    assert_eq!(bench.rules(), ["retry-too-early"]);
}

#[test]
fn the_timestamp_of_an_attempt_is_its_own_whatever_the_clock_does() {
    let first = headers(1, "1");
    let same = first["posthog-request-timestamp"].clone();
    let set_back = HeaderValue::from_static("2026-01-01T00:00:00.000Z");
    // The response to the first attempt, when the second one comes, its timestamp, and what is broken.
    let table: [(&str, u64, &HeaderValue, &[&str]); 6] = [
        (r#"{"status":503}"#, 20, &same, &["request-timestamp-stale"]),
        (r#"{"verdicts":["retry"]}"#, 20, &same, &["request-timestamp-stale"]),
        (r#"{"status":503}"#, 1, &same, &[]),
        (r#"{"status":415}"#, 20, &same, &[]),
        (r#"{"close":"before_response"}"#, 20, &same, &[]),
        (r#"{"status":503}"#, 20, &set_back, &[]),
    ];
    for (response, after_ms, timestamp, broken) in table {
        let mut bench = Bench::scripted(&format!(r#"{{"steps":[{response}]}}"#));
        if response.contains("close") {
            bench.send(&first, &with_events(&[1]));
        } else {
            bench.exchange(&first, &with_events(&[1]), None);
        }
        bench.started -= Duration::from_millis(after_ms);
        let mut second = headers(1, "2");
        second.insert("posthog-request-timestamp", timestamp.clone());
        bench.send(&second, &with_events(&[1]));
        assert_eq!(bench.rules(), broken, "{response} {after_ms} {timestamp:?}");
    }
}

#[test]
fn every_rule_has_a_test_and_a_line_in_the_readme() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(here.join(path)).unwrap();
    let (tests, readme) = (read("tests/rules.rs"), read("README.md"));
    let mut rules = Vec::new();
    for file in ["headers", "body", "event"]
        .map(|name| format!("src/check/{name}.rs"))
        .into_iter()
        .chain(["src/history.rs".to_owned()])
    {
        let source: String = read(&file).split_whitespace().collect();
        for call in [
            "findings.add(\"",
            "add_event(\"",
            "refuse(400,\"",
            "refuse(401,\"",
            "refuse(415,\"",
            "broken(\"",
        ] {
            rules.extend(
                source.split(call).skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned)),
            );
        }
    }
    assert!(rules.len() > 30, "{rules:?}");
    for rule in rules {
        assert!(tests.contains(&format!("\"{rule}\"")), "{rule} has no test");
        assert!(readme.contains(&format!("`{rule}`")), "{rule} is not in README.md");
    }
}
