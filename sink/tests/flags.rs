//! Feature flags of the sink: the values, definitions and remote configs that it serves, its records, and every rule of
//! a request.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use support::Sink;

const HEADERS: &str = "Content-Type: application/json\r\nUser-Agent: sdk/1.0\r\n";
const SECRET: &str = "Authorization: Bearer phs_secret\r\n";

fn query() -> Value {
    json!({
        "token": "phc_test", "distinct_id": "user", "groups": {"company": "acme"},
        "person_properties": {"distinct_id": "user"}, "group_properties": {"company": {"$group_key": "acme"}},
        "geoip_disable": false, "evaluation_runtime": "server",
    })
}

fn ask(sink: &Sink, prefix: &str, query: &Value) -> (u16, Value) {
    let (status, _, body) =
        sink.request("POST", &format!("{prefix}/flags/?v=2"), HEADERS, query.to_string().as_bytes());
    (status, serde_json::from_str(&body).unwrap_or_default())
}

fn rules(sink: &Sink, prefix: &str) -> Vec<String> {
    let list = sink.get(&format!("{prefix}/_violations"));
    list.as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn values_that_were_set_are_returned_and_recorded() {
    let sink = Sink::start(&[]);
    assert_eq!(
        sink.post("/a/_flags", r#"{"on": true, "off": false, "layout": "compact", "own": {"value": 7}}"#),
        200
    );
    let (status, all) = ask(&sink, "/a", &query());
    assert_eq!(status, 200);
    assert_eq!(all["flags"].as_object().unwrap().len(), 4);
    assert_eq!(all["flags"]["layout"]["variant"], "compact");
    assert_eq!(all["flags"]["off"]["enabled"], false);
    assert_eq!(all["flags"]["own"], json!({"value": 7}));
    let mut one = query();
    one["flag_keys_to_evaluate"] = json!(["on", "unknown"]);
    assert_eq!(ask(&sink, "/a", &one).1["flags"].as_object().unwrap().keys().collect::<Vec<_>>(), ["on"]);
    let (_, _, typed) = sink.request("POST", "/typed/flags?v=4", HEADERS, query().to_string().as_bytes());
    assert_eq!(typed.matches("\"value\"").count(), 0, "no values were set there");
    assert_eq!(sink.post("/typed/_flags", r#"{"layout": "compact", "off": false}"#), 200);
    let (_, _, typed) = sink.request("POST", "/typed/flags?v=4", HEADERS, query().to_string().as_bytes());
    let typed: Value = serde_json::from_str(&typed).unwrap();
    let values = ["layout", "off"].map(|key| typed["flags"][key]["value"].clone());
    assert_eq!(json!(values), json!(["compact", false]));
    assert_eq!(typed["flags"]["off"].get("enabled"), None);
    assert!(rules(&sink, "/typed").is_empty());
    let records = sink.get("/a/_flags");
    assert_eq!(
        (&records[1]["n"], &records[1]["endpoint"], &records[1]["query"]),
        (&json!(2), &json!("flags"), &json!("v=2"))
    );
    assert_eq!(records[1]["body"], one);
    assert_eq!(records[1]["status"], 200);
    assert_eq!(sink.get("/a/_summary")["flag_requests"], 2);
    assert_eq!(sink.get("/a/_summary")["requests"], 0);
    assert_eq!(sink.get("/a/_wait?flag_requests=2&timeout_ms=0")["ok"], true);
    assert_eq!(sink.get("/a/_wait?flag_requests=3&timeout_ms=0")["ok"], false);
    assert_eq!(sink.get("/b/_flags"), json!([]));
    assert!(rules(&sink, "/a").is_empty());
    assert_eq!(sink.post("/a/_flags", "[]"), 400);
    assert_eq!(sink.post("/a/_clear", ""), 200);
    assert_eq!(sink.get("/a/_flags"), json!([]));
    assert_eq!(ask(&sink, "/a", &one).1["flags"].as_object().unwrap().len(), 1, "the values stay");
}

#[test]
fn definitions_have_an_etag_which_a_client_sends_back() {
    let sink = Sink::start(&[]);
    let get = |more: &str| {
        sink.request("GET", "/flags/definitions?token=phc_test", &format!("{SECRET}{more}"), b"")
    };
    let (status, head, body) = get("");
    assert_eq!((status, body.contains("\"flags\":[]")), (200, true));
    assert!(head.to_lowercase().contains("etag: w/\"1\""), "{head}");
    let (status, _, body) = get("If-None-Match: W/\"1\"\r\n");
    assert_eq!((status, body.as_str()), (304, ""));
    assert_eq!(sink.post("/_definitions", r#"{"flags":[{"key":"a"}]}"#), 200);
    let (status, head, body) = get("If-None-Match: W/\"1\"\r\n");
    assert_eq!((status, body.as_str()), (200, r#"{"flags":[{"key":"a"}]}"#));
    assert!(head.to_lowercase().contains("etag: w/\"2\""), "{head}");
    assert!(rules(&sink, "").is_empty());
    get("If-None-Match: \"other\"\r\n");
    assert_eq!(rules(&sink, ""), ["definitions-etag"]);
    assert_eq!(sink.get("/_summary")["definition_requests"], 4);
}

fn config(sink: &Sink, path: &str, headers: &str) -> (u16, String) {
    let (status, _, body) = sink.request("GET", path, headers, b"");
    (status, body)
}

#[test]
fn remote_configs_are_returned_as_the_server_does() {
    let sink = Sink::start(&[]);
    let address =
        |key: &str| format!("/a/api/projects/@current/feature_flags/{key}/remote_config?token=phc_test");
    let get = |key: &str| config(&sink, &address(key), SECRET);
    assert_eq!(get("limits"), (404, String::new()));
    let configs = r#"{"limits": {"max": 5}, "text": "\"as it is\"", "none": null, "a/b ü": [1]}"#;
    assert_eq!(sink.post("/a/_remote_config", configs), 200);
    assert_eq!(get("limits"), (200, r#""{\"max\":5}""#.to_owned()));
    assert_eq!(get("text"), (200, r#""\"as it is\"""#.to_owned()));
    assert_eq!(get("none"), (200, String::new()));
    assert_eq!(get("a%2Fb%20%C3%BC"), (200, "\"[1]\"".to_owned()));
    assert_eq!(get("other").0, 404);
    assert!(rules(&sink, "/a").is_empty());
    let records = sink.get("/a/_flags");
    assert_eq!((&records[1]["endpoint"], &records[1]["status"]), (&json!("remote_config"), &json!(200)));
    assert_eq!(records[1]["path"], "/a/api/projects/@current/feature_flags/limits/remote_config");
    assert_eq!(sink.get("/a/_summary")["remote_config_requests"], 6);
    assert_eq!(sink.get("/a/_summary")["flag_requests"], 0);
    assert_eq!(sink.get("/a/_wait?remote_config_requests=6&timeout_ms=0")["ok"], true);
    assert_eq!(sink.get("/a/_wait?remote_config_requests=7&timeout_ms=0")["ok"], false);
    let script = r#"{"steps":[{"when":{"endpoint":"remote_config","request":7},"status":429},
        {"when":{"endpoint":"remote_config"},"body":"<html>"}]}"#;
    assert_eq!(sink.post("/a/_script", script), 200);
    assert_eq!(get("limits").0, 429);
    assert_eq!(get("limits"), (200, "<html>".to_owned()));
    assert_eq!(get("limits").0, 200);
    assert_eq!(sink.post("/a/_remote_config", "[]"), 400);
    assert_eq!(get("limits").0, 200, "what was set stays");
    assert_eq!(sink.request("POST", &address("limits"), SECRET, b"").0, 405);
}

#[test]
fn a_script_says_what_is_special_about_a_response() {
    let sink = Sink::start(&[]);
    sink.post("/_flags", r#"{"on": true}"#);
    let script = r#"{"steps":[{"when":{"endpoint":"flags"},"status":502},
        {"when":{"endpoint":"flags","request":2},"body":"{\"featureFlags\":{\"a\":true}}"},
        {"when":{"endpoint":"definitions"},"status":429,"headers":{"Retry-After":"7"}},
        {"when":{"endpoint":"flags"},"close":"before_response"},{"status":503}]}"#;
    assert_eq!(sink.post("/_script", script), 200);
    assert_eq!(ask(&sink, "", &query()).0, 502);
    assert_eq!(ask(&sink, "", &query()), (200, json!({"featureFlags": {"a": true}})));
    assert_eq!(ask(&sink, "", &query()).0, 0, "the connection is cut");
    assert_eq!(ask(&sink, "", &query()).1["flags"]["on"]["enabled"], true);
    let (status, head, _) = sink.request("GET", "/flags/definitions?token=phc_test", SECRET, b"");
    assert_eq!((status, head.to_lowercase().contains("retry-after: 7")), (429, true));
    assert_eq!(sink.send("", 1, 1, &support::batch(&[])), 503, "the step without an endpoint is for events");
}

/// A rule, what breaks it, and the status of the response.
type Change = (&'static str, fn(&mut Value), u16);

#[test]
fn each_rule_is_broken_by_one_change() {
    let changes: &[Change] = &[
        ("flags-token", |query| query["token"] = json!(""), 401),
        ("flags-distinct-id", |query| drop(query.as_object_mut().unwrap().remove("distinct_id")), 400),
        ("flags-geoip", |query| drop(query.as_object_mut().unwrap().remove("geoip_disable")), 200),
        ("flags-runtime", |query| query["evaluation_runtime"] = json!("all"), 200),
        ("flags-body", |query| query["groups"] = json!([]), 200),
        ("flags-body", |query| query["flag_keys_to_evaluate"] = json!([]), 200),
        ("flags-body", |query| query["person_properties"] = json!({}), 200),
        ("flags-body", |query| query["api_key"] = json!("phc_test"), 200),
        ("flags-body", |query| *query = json!([]), 400),
    ];
    let sink = Sink::start(&[]);
    for (n, (rule, change, expected)) in changes.iter().enumerate() {
        let prefix = format!("/{n}");
        let mut query = query();
        change(&mut query);
        assert_eq!(
            (ask(&sink, &prefix, &query).0, rules(&sink, &prefix)),
            (*expected, vec![(*rule).to_owned()]),
            "{n}"
        );
    }
    let text = query().to_string();
    let requests = [
        ("flags-version", "POST", "/flags?v=5", HEADERS.to_owned(), 200),
        ("flags-authorization", "POST", "/flags?v=2", format!("{HEADERS}{SECRET}"), 200),
        ("flags-content-type", "POST", "/flags?v=2", String::new(), 200),
        ("definitions-authorization", "GET", "/flags/definitions?token=phc_test", String::new(), 401),
        (
            "definitions-token",
            "GET",
            "/api/feature_flag/local_evaluation?send_cohorts",
            SECRET.to_owned(),
            401,
        ),
        (
            "remote-config-authorization",
            "GET",
            "/api/projects/@current/feature_flags/a/remote_config?token=phc_test",
            "Authorization: Bearer phc_test\r\n".to_owned(),
            401,
        ),
        (
            "remote-config-token",
            "GET",
            "/api/projects/@current/feature_flags/a/remote_config",
            SECRET.to_owned(),
            401,
        ),
        (
            "remote-config-key",
            "GET",
            "/api/projects/@current/feature_flags/a%2/remote_config?token=phc_test",
            SECRET.to_owned(),
            400,
        ),
    ];
    for (n, (rule, method, path, headers, expected)) in requests.iter().enumerate() {
        let prefix = format!("/other{n}");
        let body = if *method == "POST" { text.as_bytes() } else { b"" };
        let status = sink.request(method, &format!("{prefix}{path}"), headers, body).0;
        assert_eq!((status, rules(&sink, &prefix)), (*expected, vec![(*rule).to_owned()]));
    }
    assert_eq!(sink.request("GET", "/flags?v=2", "", b"").0, 405);
    let with_body = "/body/api/projects/@current/feature_flags/a/remote_config?token=phc_test";
    sink.request("GET", with_body, SECRET, b"{}");
    assert_eq!(rules(&sink, "/body"), ["remote-config-body"]);
    let tested = changes.iter().map(|(rule, ..)| *rule).chain(requests.iter().map(|(rule, ..)| *rule));
    let mut tested: Vec<_> = tested.chain(["definitions-etag", "remote-config-body"]).collect();
    tested.sort_unstable();
    tested.dedup();
    assert_eq!(tested, phc_sink::FLAG_RULES);
}

#[test]
fn another_project_key_is_refused_and_breaks_no_rule() {
    let sink = Sink::start(&["--api-key", "phc_other"]);
    assert_eq!(ask(&sink, "", &query()).0, 401);
    assert_eq!(sink.request("GET", "/flags/definitions?token=phc_test", SECRET, b"").0, 401);
    let address = "/api/projects/@current/feature_flags/a/remote_config?token=phc_test";
    assert_eq!(config(&sink, address, SECRET).0, 401);
    assert!(rules(&sink, "").is_empty());
}
