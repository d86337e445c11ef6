//! The encoder as a whole: what goes in, what the wire gets.

use serde_json::{Value, json};

use super::*;
use crate::status::{Error, Status};

fn wire(draft: &Draft<'_>, additions: &Additions) -> Result<(Encoded, Value, String), Error> {
    let mut scratch = Scratch::take(0);
    let encoded = encode(draft, additions, 900 * 1024, &mut scratch)?;
    let text = String::from_utf8(scratch.wire.clone()).unwrap();
    Ok((encoded, serde_json::from_str(&text).unwrap(), text))
}

fn capture(properties: &str) -> Result<(Encoded, Value, String), Error> {
    let draft = Draft::loose(b"user-1", b"viewed", Some(properties.as_bytes()));
    wire(&draft, &Additions::default())
}

fn capture_json(json: &[u8]) -> Result<(Encoded, Value, String), Error> {
    capture_json_with(json, &Additions::default())
}

fn capture_json_with(json: &[u8], additions: &Additions) -> Result<(Encoded, Value, String), Error> {
    let mut scratch = Scratch::take(0);
    let draft = Draft::from_json(json, &mut scratch.properties, additions)?;
    let encoded = encode(&draft, additions, 900 * 1024, &mut scratch)?;
    let text = String::from_utf8(scratch.wire.clone()).unwrap();
    Ok((encoded, serde_json::from_str(&text).unwrap(), text))
}

#[test]
fn an_event_has_what_is_always_present() {
    let (encoded, event, _) = wire(&Draft::new(b"user-1", b"viewed"), &Additions::default()).unwrap();
    let keys: Vec<_> = event.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["distinct_id", "event", "options", "properties", "timestamp", "uuid"]);
    assert_eq!(event["options"], json!({}));
    assert_eq!(event["properties"], json!({}));
    assert_eq!(event["uuid"], encoded.uuid.to_string());
    assert_eq!(event["timestamp"].as_str().unwrap().len(), 24);
}

#[test]
fn lifts_and_strips() {
    let (_, event, text) = capture(
        r#"{"$lib":"x","a":1,"$session_id":"s\u0031","$process_person_profile":"FALSE","$window_id":7,
           "$product_tour_id":"t","nested":{"$lib":"stays"},"$\u0069gnore_sent_at":1,"$other":null}"#,
    )
    .unwrap();
    assert_eq!(event["properties"], json!({"a":1,"nested":{"$lib":"stays"},"$other":null}));
    let options =
        json!({"process_person_profile":false,"product_tour_id":"t","disable_skew_correction":true});
    assert_eq!(event["options"], options);
    assert!(text.contains(r#""session_id":"s\u0031""#), "{text}");
    assert_eq!(event.get("window_id"), None);
}

#[test]
fn values_reach_the_wire_byte_for_byte() {
    let inside = r#""big":12345678901234567890123, "dec":0.10000000000000000000001, "e":1.50E+2,"u":"\u00e9\/","x":{"k" : [1 , 2]}"#;
    let (_, _, text) = capture(&format!("{{{inside}}}")).unwrap();
    assert!(text.contains(inside), "{text}");
}

#[test]
fn repairs_text_and_counts_it() {
    let draft = Draft::loose(b"us\xffer", b"e", Some(b"{\"a\":\"\xc3\x28\",\"b\":\"\\ud800\"}"));
    let (encoded, event, text) = wire(&draft, &Additions::default()).unwrap();
    assert!(encoded.repaired);
    assert_eq!(event["distinct_id"], "us\u{fffd}er");
    assert_eq!(event["properties"]["a"], "\u{fffd}(");
    assert!(text.contains(r#""b":"\ufffd""#), "{text}");
    assert!(!capture("{}").unwrap().0.repaired);
}

#[test]
fn refuses_what_would_poison_a_batch() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    for bad in ["{", "{\"a\":1e999}", "{\"a\":NaN}", "{}{}", "{\"a\":\"\n\"}", &deep] {
        assert_eq!(capture(bad).unwrap_err().status, Status::INVALID_JSON, "{bad}");
    }
    for no_object in ["", "[]", "\"x\""] {
        assert_eq!(capture(no_object).unwrap_err().status, Status::INVALID_PROPERTY, "{no_object}");
    }
    let fits = format!("{{\"a\":{}1{}}}", "[".repeat(99), "]".repeat(99));
    assert!(capture(&fits).is_ok());
    for (distinct_id, event, status) in [
        ("", "e", Status::INVALID_DISTINCT_ID),
        ("u", "", Status::INVALID_EVENT),
        (&"u".repeat(201), "e", Status::INVALID_DISTINCT_ID),
        ("u", &"e".repeat(201), Status::INVALID_EVENT),
    ] {
        let draft = Draft::new(distinct_id.as_bytes(), event.as_bytes());
        assert_eq!(wire(&draft, &Additions::default()).unwrap_err().status, status);
    }
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(900 * 1024));
    assert_eq!(capture(&long).unwrap_err().status, Status::EVENT_TOO_LARGE);
}

#[test]
fn a_whole_event_as_json() {
    let (encoded, event, _) = capture_json(
        br#"{"uuid":"0190A5B4-7C3D-7ABC-8DEF-0123456789AB","event":"n\u0061me","distinct_id":"u",
            "timestamp":"2026-01-01T02:00:00+02:00","$set":{"a":1,"b":1},"groups":{"company":"c"},
            "options":{"cookieless_mode":true},"session_id":"s","window_id":null,
            "properties":{"$set":{"b":2},"x":1}}"#,
    )
    .unwrap();
    assert!(!encoded.uuid_replaced);
    assert_eq!(
        event,
        json!({"event":"name","uuid":"0190a5b4-7c3d-7abc-8def-0123456789ab","distinct_id":"u",
            "timestamp":"2026-01-01T00:00:00.000Z","options":{"cookieless_mode":true},"session_id":"s",
            "properties":{"x":1,"$set":{"a":1,"b":2},"$groups":{"company":"c"}}})
    );
}

#[test]
fn a_whole_event_is_refused_with_a_reason() {
    let table: [(&str, Status, &str); 9] = [
        (r#"{"event":"e"}"#, Status::INVALID_DISTINCT_ID, "`distinct_id` is missing"),
        (r#"{"distinct_id":"d"}"#, Status::INVALID_EVENT, "`event` is missing"),
        (r#"{"event":1,"distinct_id":"d"}"#, Status::INVALID_EVENT, "must be a string"),
        (
            r#"{"event":"e","distinct_id":"d","proprties":{}}"#,
            Status::INVALID_JSON,
            "did you mean \"properties\"",
        ),
        (
            r#"{"event":"e","distinct_id":"d","properties":[]}"#,
            Status::INVALID_PROPERTY,
            "`properties` must be",
        ),
        (r#"{"event":"e","distinct_id":"d","timestamp":"soon"}"#, Status::INVALID_TIMESTAMP, "soon"),
        (r#"{"event":"e","distinct_id":"d","timestamp":12}"#, Status::INVALID_TIMESTAMP, "must be a string"),
        (
            r#"{"event":"e","distinct_id":"d","options":{"cookieles_mode":1}}"#,
            Status::INVALID_JSON,
            "cookieless_mode",
        ),
        (r#"{"event":"e","distinct_id":"d","properties":{"a":1e999}}"#, Status::INVALID_JSON, "at byte 49"),
    ];
    for (json, status, text) in table {
        let error = capture_json(json.as_bytes()).unwrap_err();
        assert_eq!(error.status, status, "{json}");
        assert!(error.message.contains(text), "{json}: {}", error.message);
    }
}

#[test]
fn a_bad_uuid_is_replaced_and_counted() {
    for (given, replaced) in [
        (r#""not-a-uuid""#, true),
        ("7", true),
        (r#""""#, true),
        ("null", false),
        (r#""0190a5b47c3d7abc8def0123456789ab""#, false),
        (r#""00000000-0000-0000-0000-000000000000""#, false),
    ] {
        let json = format!(r#"{{"event":"e","distinct_id":"d","uuid":{given}}}"#);
        let (encoded, event, _) = capture_json(json.as_bytes()).unwrap();
        assert_eq!(encoded.uuid_replaced, replaced, "{given}");
        assert_eq!(event["uuid"].as_str().unwrap().len(), 36);
    }
}

#[test]
fn the_last_duplicate_field_wins() {
    let (_, event, _) = capture_json(
        br#"{"event":"a","properties":{"x":1},"event":"b","distinct_id":"d","properties":{"y":2}}"#,
    )
    .unwrap();
    assert_eq!(event["event"], "b");
    assert_eq!(event["properties"], json!({"y":2}));
    let json = br#"{"event":"a","properties":{"x":1},"distinct_id":"d","properties":null}"#;
    assert_eq!(capture_json(json).unwrap().1["properties"], json!({}));
}

#[test]
fn the_caller_wins_over_additions() {
    let mut additions = Additions::default();
    additions.register("plan", b"\"free\"").unwrap();
    additions.register("$geoip_disable", b"true").unwrap();
    additions.register("$session_id", b"\"super\"").unwrap();
    additions.register("$lib", b"\"x\"").unwrap();
    additions.register("plan", b"\"pro\"").unwrap();
    let json = br#"{"event":"e","distinct_id":"d","properties":{"pl\u0061n":1}}"#;
    let (_, event, text) = capture_json_with(json, &additions).unwrap();
    assert_eq!(event["properties"], json!({"plan":1,"$geoip_disable":true}));
    assert_eq!(text.matches("$geoip_disable").count(), 1);
    assert_eq!(event["session_id"], "super");
    additions.unregister("$session_id");
    let json = br#"{"event":"e","distinct_id":"d"}"#;
    let (_, event, _) = capture_json_with(json, &additions).unwrap();
    assert_eq!(event["properties"], json!({"plan":"pro","$geoip_disable":true}));
    assert_eq!(event.get("session_id"), None);
}

#[test]
fn set_merges_and_odd_shapes_are_refused() {
    let with = |properties: &str, set: &str| {
        let json = format!(r#"{{"event":"e","distinct_id":"d","$set":{set},"properties":{properties}}}"#);
        capture_json(json.as_bytes()).map(|(_, event, _)| event["properties"].clone())
    };
    assert_eq!(with("{}", "{\"a\":1}").unwrap(), json!({"$set":{"a":1}}));
    assert_eq!(with("{\"$set\":null}", "{\"a\":1}").unwrap(), json!({"$set":{"a":1}}));
    assert_eq!(with("{\"$set\":{}}", "{\"a\":1}").unwrap(), json!({"$set":{"a":1}}));
    assert_eq!(
        with("{\"$set\":{\"\\u0061\":2}}", "{\"a\":1,\"b\":1}").unwrap(),
        json!({"$set":{"a":2,"b":1}})
    );
    assert_eq!(with("{\"$set\":null}", "null").unwrap(), json!({"$set":null}));
    assert_eq!(with("{\"$set\":7}", "{\"a\":1}").unwrap_err().status, Status::INVALID_PROPERTY);
    assert_eq!(with("{}", "7").unwrap_err().status, Status::INVALID_PROPERTY);
    assert_eq!(with("{\"$groups\":7}", "null").unwrap_err().status, Status::INVALID_PROPERTY);
    assert_eq!(with("{\"$groups\":null}", "null").unwrap(), json!({}));
}

#[test]
fn set_merges_many_keys_in_no_time() {
    let object = |keys: std::ops::Range<u32>, value: u32| {
        let members: Vec<_> = keys.map(|key| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    // Compared each with each, these would take a billion comparisons.
    let (inner, outer) = (object(0..30_000, 1), object(10_000..40_000, 2));
    let json = format!(r#"{{"event":"e","distinct_id":"d","$set":{outer},"properties":{{"$set":{inner}}}}}"#);
    let (_, event, _) = capture_json(json.as_bytes()).unwrap();
    let set = event["properties"]["$set"].as_object().unwrap();
    assert_eq!(set.len(), 40_000);
    assert_eq!((&set["29999"], &set["30000"]), (&json!(1), &json!(2)));
}

#[test]
fn helper_shapes() {
    let identify = shapes::identify(b"u", Some(b"{\"a\":1}"), Some(b"{\"b\":2}")).unwrap();
    let (_, event, _) = wire(&identify, &Additions::default()).unwrap();
    assert_eq!(event["event"], "$identify");
    assert_eq!(event["properties"], json!({"$set":{"a":1},"$set_once":{"b":2}}));
    let group = shapes::group_properties(b"company", b"c1", None).unwrap();
    assert!(!group.repaired);
    assert_eq!(
        serde_json::from_slice::<Value>(&group.json).unwrap(),
        json!({"$group_type":"company","$group_key":"c1","$group_set":{}})
    );
    assert_eq!(shapes::group_distinct_id(b"company", b"c1"), b"$company_c1");
}

#[test]
fn helper_shapes_count_what_they_repair() {
    let of =
        |shaped: shapes::Shaped| wire(&shaped.draft(b"user", b"$shaped"), &Additions::default()).unwrap();
    let (encoded, event, _) = of(shapes::alias_properties(b"al\xffias\"").unwrap());
    assert!(encoded.repaired);
    assert_eq!(event["properties"], json!({"alias":"al\u{fffd}ias\""}));
    assert!(!of(shapes::alias_properties("älias".as_bytes()).unwrap()).0.repaired);
    for (group_type, key, set) in
        [(b"t\xff", b"k1", "{}"), (b"t1", b"k\xff", "{}"), (b"t1", b"k1", r#"{"a":"\ud800"}"#)]
    {
        let (encoded, event, _) =
            of(shapes::group_properties(group_type, key, Some(set.as_bytes())).unwrap());
        assert!(encoded.repaired, "{event}");
        assert!(event.to_string().contains('\u{fffd}'), "{event}");
    }
    assert!(!of(shapes::group_properties(b"t", b"k", Some(b" {\"a\":1} ")).unwrap()).0.repaired);
}
