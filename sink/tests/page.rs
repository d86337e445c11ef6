//! What the live page asks the sink for.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use support::{Sink, batch, event};

#[test]
fn the_document_and_its_files_run_nothing_else() {
    let sink = Sink::start(&[]);
    let (status, head, page) = sink.request("GET", "/", "", b"");
    assert_eq!(status, 200);
    assert!(head.contains("script-src 'self'") && head.contains("default-src 'none'"), "{head}");
    assert!(!page.contains("<script>") && !page.contains("style=") && !page.contains(" on"), "only files");
    let mut files = Vec::new();
    for part in page.split("\"_page/").skip(1) {
        files.push(part.split('"').next().unwrap().to_owned());
    }
    let (_, _, app) = sink.request("GET", "/t/any/prefix/_page/app.js", "", b"");
    files.extend(app.split("from \"./").skip(1).map(|part| part.split('"').next().unwrap().to_owned()));
    assert!(files.len() > 8, "{files:?}");
    for file in files {
        let (status, head, text) = sink.request("GET", &format!("/_page/{file}"), "", b"");
        assert_eq!(status, 200, "{file}");
        assert!(head.contains("nosniff") && head.contains("default-src 'none'"), "{file}: {head}");
        for unsafe_call in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"]
        {
            assert!(!text.contains(unsafe_call), "{file}: {unsafe_call}");
        }
    }
    assert_eq!(sink.request("GET", "/_page/../Cargo.toml", "", b"").0, 404);
    assert_eq!(sink.request("GET", "/_page/no.js", "", b"").0, 404);
}

fn numbers(sink: &Sink, query: &str) -> Value {
    sink.get(&format!("/_page/find?{query}"))["ranges"].clone()
}

#[test]
fn events_and_requests_are_found_and_shown() {
    let sink = Sink::start(&[]);
    sink.post(
        "/_script",
        r#"{"steps":[{"status":503}],"then":{"verdicts":{"b":{"result":"drop","details":"no"},"*":"ok"}}}"#,
    );
    let events = [
        event(1, "a", &json!({"x": "Tea"})),
        event(2, "b", &json!({})),
        event(3, "a b", &json!({"x": "tea"})),
    ];
    assert_eq!(sink.send("", 1, 1, &batch(&events)), 503);
    assert_eq!(sink.send("", 1, 2, &batch(&events)), 200);
    for (query, expected) in [
        ("list=events", json!([[1, 6]])),
        ("list=events&after=4", json!([[5, 6]])),
        ("list=events&verdict=none", json!([[1, 3]])),
        ("list=events&verdict=drop", json!([[5, 5]])),
        ("list=events&name=A", json!([[1, 1], [3, 4], [6, 6]])),
        ("list=events&text=tea&after=3", json!([[4, 4], [6, 6]])),
        ("list=events&id=user-2", json!([[2, 2], [5, 5]])),
        ("list=events&id=0190a5b4-7c3d-7abc-8def-012300000003", json!([[3, 3], [6, 6]])),
        ("list=requests", json!([[1, 2]])),
        ("list=requests&text=503", json!([[1, 1]])),
        ("list=requests&verdict=drop", json!([[2, 2]])),
        ("list=requests&id=0190", json!([[1, 2]])),
        ("list=requests&id=x", json!([])),
    ] {
        assert_eq!(numbers(&sink, query), expected, "{query}");
    }
    let rows = sink.get("/_page/rows?list=events&numbers=1-2%2C5-5,99-100");
    let short: Vec<_> = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| json!([row["n"], row["verdict"], row["status"]]))
        .collect();
    assert_eq!(short, [json!([1, "", 503]), json!([2, "", 503]), json!([5, "drop", 200])]);
    let found = sink.get("/_page/event?n=5");
    assert_eq!(found["row"]["details"], "no");
    assert_eq!(found["notes"], json!([{"kind": "refused", "path": [], "text": "the event was dropped: no"}]));
    assert_eq!(found["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(sink.get("/_page/event?uuid=0190a5b4-7c3d-7abc-8def-012300000002")["row"]["n"], 5);
    assert_eq!(sink.get("/_page/event?n=7"), Value::Null);
    let found = sink.get("/_page/request?n=1");
    assert_eq!(found["row"]["response"], "status 503");
    assert_eq!(
        (found["attempts"].as_array().unwrap().len(), found["events"].as_array().unwrap().len()),
        (2, 3)
    );
    assert_eq!(sink.get("/_page/request?n=9"), Value::Null);
    // Nothing of it is in the addresses that tests read.
    assert!(sink.get("/_requests")[0].get("verdicts").is_none());
    assert!(sink.get("/_events")[0].get("name").is_none());
}

#[test]
fn broken_rules_come_with_their_text() {
    let sink = Sink::start(&[]);
    let mut bad = event(1, "a", &json!({}));
    bad["$set"] = json!({});
    sink.send("", 1, 2, &batch(&[bad]));
    let rules = sink.get("/_page/violations")["rules"].clone();
    let short: Vec<_> = rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| json!([rule["rule"], rule["count"], rule["newest"][0]["request"]]))
        .collect();
    assert_eq!(short, [json!(["attempt-gap", 1, 1]), json!(["unknown-event-key", 1, 1])]);
    assert_eq!(rules[0]["broken_by"], "attempts of one request id that are not numbered 1, 2, 3 …");
    assert_eq!(sink.get("/_page/event?n=1")["violations"][0]["rule"], "unknown-event-key");
    assert_eq!(sink.get("/_page/request?n=1")["violations"].as_array().unwrap().len(), 2);
}

#[test]
fn the_state_says_what_is_there_and_what_comes_next() {
    let sink = Sink::start(&[]);
    let empty = sink.get("/_page/state");
    assert_eq!(
        (&empty["events"], &empty["requests"], &empty["next"]),
        (&json!([1, 0]), &json!([1, 0]), &json!([]))
    );
    sink.post("/_script", r#"{"steps":[{"status":500}]}"#);
    assert_eq!(
        sink.post("/_next", r#"{"steps":[{"status":503,"headers":{"Retry-After":"1"},"times":2}]}"#),
        200
    );
    assert_eq!(
        sink.get("/_page/state")["next"],
        json!([["status 503, Retry-After: 1", 2], ["status 500", 1]])
    );
    assert_eq!(sink.send("", 1, 1, &batch(&[event(1, "a", &json!({}))])), 503);
    let state = sink.get("/_page/state");
    assert_eq!(state["next"][0], json!(["status 503, Retry-After: 1", 1]));
    assert_eq!((&state["events"], &state["summary"]["requests"]), (&json!([1, 1]), &json!(1)));
    let second = &state["timeline"][0];
    assert_eq!((&second["events"], &second["failed"]), (&json!(1), &json!(1)));
    assert_eq!(sink.post("/_next", r#"{"stepz":[]}"#), 400);
}

#[test]
fn cleared_records_leave_the_script_and_what_the_rules_know() {
    let sink = Sink::start(&[]);
    sink.post("/_script", r#"{"steps":[{"status":503}],"then":{"delay_ms":1}}"#);
    let events = batch(&[event(1, "a", &json!({}))]);
    assert_eq!(sink.send("", 1, 1, &events), 503);
    let before = sink.get("/_page/state")["epoch"].clone();
    assert_eq!(sink.post("/_clear", ""), 200);
    let state = sink.get("/_page/state");
    assert_ne!(state["epoch"], before);
    assert_eq!((&state["events"], &state["summary"]["requests"]), (&json!([1, 0]), &json!(0)));
    assert_eq!(state["next"], json!([["after 1 ms", 0]]));
    assert_eq!(sink.send("", 1, 2, &events), 200);
    assert_eq!(sink.get("/_violations"), json!([]), "attempt 2 follows the attempt that was cleared");
    assert_eq!(sink.get("/_summary")["accepted"], 1);
    sink.post("/_reset", "");
    assert_eq!(sink.get("/_page/state")["next"], json!([]));
}

#[test]
fn the_page_of_another_site_reaches_nothing() {
    let sink = Sink::start(&[]);
    let port = sink.address.port();
    for (header, status) in [
        (String::new(), 200),
        (format!("Origin: http://127.0.0.1:{port}\r\n"), 200),
        (format!("Host: localhost:{port}\r\n"), 200),
        ("Origin: https://example.com\r\n".to_owned(), 403),
        ("Origin: null\r\n".to_owned(), 403),
        (format!("Host: example.com:{port}\r\n"), 403),
    ] {
        assert_eq!(sink.request("POST", "/_script", &header, b"{}").0, status, "{header}");
        assert_eq!(sink.request("GET", "/_page/state", &header, b"").0, status, "{header}");
    }
    // Clients of events reach it by any name.
    let headers = format!("Host: events.example\r\n{}", support::headers(1, 1));
    let events = batch(&[event(1, "a", &json!({}))]);
    assert_eq!(sink.request("POST", "/i/v1/analytics/events", &headers, &events).0, 200);
}

#[test]
fn it_listens_on_this_machine_only_unless_it_is_asked_to() {
    let sink = Sink::start(&[]);
    assert_eq!(sink.address.ip().to_string(), "127.0.0.1");
    assert_eq!(Sink::start(&["--listen", "0.0.0.0:0"]).address.ip().to_string(), "0.0.0.0");
}

#[test]
fn every_snippet_names_the_address() {
    let sink = Sink::start(&[]);
    let list = sink.get("/_page/snippets")["snippets"].clone();
    let languages: Vec<_> =
        list.as_array().unwrap().iter().map(|one| one["language"].as_str().unwrap()).collect();
    assert_eq!(languages, ["C", "C++", "Go", "Ruby", "PHP"]);
    let text = phc_sink::snippets("http://127.0.0.1:8000");
    assert_eq!(text.matches("http://127.0.0.1:8000").count(), 5, "{text}");
    assert!(!text.contains("HOST"));
}
