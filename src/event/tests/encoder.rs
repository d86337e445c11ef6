//! The encoder as a whole: what goes in, and what the wire gets.

use serde_json::{Value, json};

use crate::event::{EncodedEvent, Encoder, EventBuilder, EventInput, SuperProperties};
use crate::status::{Error, Status};

const BOUND: usize = 900 * 1024;

fn encode(
    input: &EventInput<'_>,
    super_properties: &SuperProperties,
) -> Result<(EncodedEvent, Value, String), Error> {
    let mut encoder = Encoder::take(0);
    encoder.encode(input, super_properties, BOUND)?;
    let event = *encoder.encoded();
    let text = String::from_utf8(encoder.wire().to_vec()).unwrap();
    Ok((event, serde_json::from_str(&text).unwrap(), text))
}

fn parts<'a>(distinct_id: &'a [u8], event: &'a [u8], properties: Option<&'a [u8]>) -> EventInput<'a> {
    EventInput::Parts { distinct_id, event, properties }
}

fn plain(input: &EventInput<'_>) -> Result<(EncodedEvent, Value, String), Error> {
    encode(input, &SuperProperties::default())
}

fn capture(properties: &str) -> Result<(EncodedEvent, Value, String), Error> {
    plain(&parts(b"user-1", b"viewed", Some(properties.as_bytes())))
}

fn capture_json(json: &[u8]) -> Result<(EncodedEvent, Value, String), Error> {
    plain(&EventInput::Json(json))
}

#[test]
fn an_event_has_what_is_always_present() {
    let (encoded, event, _) = plain(&parts(b"user-1", b"viewed", None)).unwrap();
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
    let input = parts(b"us\xffer", b"e", Some(b"{\"a\":\"\xc3\x28\",\"b\":\"\\ud800\"}"));
    let (encoded, event, text) = plain(&input).unwrap();
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
    for not_an_object in ["", "[]", "\"x\""] {
        assert_eq!(capture(not_an_object).unwrap_err().status, Status::INVALID_PROPERTY, "{not_an_object}");
    }
    let fits = format!("{{\"a\":{}1{}}}", "[".repeat(99), "]".repeat(99));
    assert!(capture(&fits).is_ok());
    for (distinct_id, event, status) in [
        ("", "e", Status::INVALID_DISTINCT_ID),
        ("u", "", Status::INVALID_EVENT),
        (&"u".repeat(201), "e", Status::INVALID_DISTINCT_ID),
        ("u", &"e".repeat(201), Status::INVALID_EVENT),
    ] {
        let input = parts(distinct_id.as_bytes(), event.as_bytes(), None);
        assert_eq!(plain(&input).unwrap_err().status, status);
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
fn the_caller_wins_over_super_properties() {
    let mut super_properties = SuperProperties::default();
    super_properties.register("plan", b"\"free\"").unwrap();
    super_properties.register("$geoip_disable", b"true").unwrap();
    super_properties.register("$session_id", b"\"super\"").unwrap();
    super_properties.register("$lib", b"\"x\"").unwrap();
    super_properties.register("plan", b"\"pro\"").unwrap();
    let json = br#"{"event":"e","distinct_id":"d","properties":{"pl\u0061n":1}}"#;
    let (_, event, text) = encode(&EventInput::Json(json), &super_properties).unwrap();
    assert_eq!(event["properties"], json!({"plan":1,"$geoip_disable":true}));
    assert_eq!(text.matches("$geoip_disable").count(), 1);
    assert_eq!(event["session_id"], "super");
    super_properties.unregister("$session_id");
    let json = br#"{"event":"e","distinct_id":"d"}"#;
    let (_, event, _) = encode(&EventInput::Json(json), &super_properties).unwrap();
    assert_eq!(event["properties"], json!({"plan":"pro","$geoip_disable":true}));
    assert_eq!(event.get("session_id"), None);
}

#[test]
fn set_merges_and_what_is_not_an_object_is_refused() {
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
fn set_merges_many_keys_in_linear_time() {
    let object = |keys: std::ops::Range<u32>, value: u32| {
        let members: Vec<_> = keys.map(|key| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    };
    // Compared each with each, these would take a billion comparisons, which the test would not survive.
    let (inner, outer) = (object(0..30_000, 1), object(10_000..40_000, 2));
    let json = format!(r#"{{"event":"e","distinct_id":"d","$set":{outer},"properties":{{"$set":{inner}}}}}"#);
    let (_, event, _) = capture_json(json.as_bytes()).unwrap();
    let set = event["properties"]["$set"].as_object().unwrap();
    assert_eq!(set.len(), 40_000);
    assert_eq!((&set["29999"], &set["30000"]), (&json!(1), &json!(2)));
}

#[test]
fn json_longer_than_the_bound_is_refused_unread() {
    let mut encoder = Encoder::take(0);
    let nothing = SuperProperties::default();
    // It is broken, which only reading would find out.
    let error = encoder.encode(&EventInput::Json(b"{\"event\":\"e\""), &nothing, 11).unwrap_err();
    assert_eq!(error.status, Status::EVENT_TOO_LARGE);
    assert!(error.message.contains("12 bytes") && error.message.contains("max_event_bytes is 11"), "{error}");
}

#[test]
fn the_uuid_is_the_callers_only_where_it_is_sent() {
    for (uuid, from_caller) in
        [(r#""0190a5b47c3d7abc8def0123456789ab""#, true), ("7", false), ("null", false)]
    {
        let json = format!(r#"{{"event":"e","distinct_id":"d","uuid":{uuid}}}"#);
        assert_eq!(capture_json(json.as_bytes()).unwrap().0.caller_uuid, from_caller, "{uuid}");
    }
    assert!(!capture("{}").unwrap().0.caller_uuid);
    let mut event = EventBuilder::take(b"u", b"e").unwrap();
    event.set_uuid(b" 0190A5B4-7C3D-7ABC-8DEF-0123456789AB ");
    let (encoded, wire, _) = plain(&EventInput::Built(&event)).unwrap();
    assert!(encoded.caller_uuid);
    assert_eq!(wire["uuid"], "0190a5b4-7c3d-7abc-8def-0123456789ab");
}

#[test]
fn an_encoder_is_kept_for_its_thread_until_a_fork() {
    let mut encoder = Encoder::take(7);
    let input = parts(b"user-1", b"viewed", Some(b"{\"a\":1}"));
    encoder.encode(&input, &SuperProperties::default(), BOUND).unwrap();
    let place = encoder.wire().as_ptr();
    encoder.keep();
    let mut encoder = Encoder::take(7);
    assert!(encoder.wire().is_empty());
    encoder.encode(&input, &SuperProperties::default(), BOUND).unwrap();
    assert_eq!(encoder.wire().as_ptr(), place);
    // While it is in use there is none to be had.
    assert_ne!(Encoder::take(7).wire().as_ptr(), place);
    encoder.keep();
    assert_ne!(Encoder::take(8).wire().as_ptr(), place);
}

#[test]
fn super_properties_are_checked_before_they_take_the_place_of_earlier_ones() {
    let mut super_properties = SuperProperties::default();
    super_properties.register("$set", b"{\"a\":1}").unwrap();
    super_properties.register("plan", b"1").unwrap();
    for (key, value, status) in [
        ("$set", "7", Status::INVALID_PROPERTY),
        ("plan", "[", Status::INVALID_JSON),
        ("", "1", Status::INVALID_PROPERTY),
    ] {
        assert_eq!(super_properties.register(key, value.as_bytes()).unwrap_err().status, status, "{key}");
    }
    let (_, event, _) = encode(&parts(b"u", b"e", None), &super_properties).unwrap();
    assert_eq!(event["properties"], json!({"plan":1,"$set":{"a":1}}));
}

fn identify<'a>(set: Option<&'a str>, set_once: Option<&'a str>) -> EventInput<'a> {
    EventInput::Identify {
        distinct_id: b"u",
        set: set.map(str::as_bytes),
        set_once: set_once.map(str::as_bytes),
    }
}

fn group_identify<'a>(group_type: &'a [u8], group_key: &'a [u8], set: Option<&'a str>) -> EventInput<'a> {
    EventInput::GroupIdentify { group_type, group_key, set: set.map(str::as_bytes), distinct_id: None }
}

#[test]
fn identify_alias_and_group_identify() {
    let (_, event, _) = plain(&identify(Some("{\"a\":1}"), Some("{\"b\":2}"))).unwrap();
    assert_eq!((&event["event"], &event["distinct_id"]), (&json!("$identify"), &json!("u")));
    assert_eq!(event["properties"], json!({"$set":{"a":1},"$set_once":{"b":2}}));
    for (set, expected) in [(None, json!({"$set":{}})), (Some(" null "), json!({}))] {
        assert_eq!(plain(&identify(set, None)).unwrap().1["properties"], expected);
    }

    let (_, event, _) = plain(&EventInput::Alias { distinct_id: b"u", alias: b"other" }).unwrap();
    assert_eq!((&event["event"], &event["distinct_id"]), (&json!("$create_alias"), &json!("u")));
    assert_eq!(event["properties"], json!({"alias":"other"}));

    let (encoded, event, _) = plain(&group_identify(b"company", b"c1", None)).unwrap();
    assert!(!encoded.repaired);
    assert_eq!((&event["event"], &event["distinct_id"]), (&json!("$groupidentify"), &json!("$company_c1")));
    let expected = json!({"$group_type":"company","$group_key":"c1","$group_set":{}});
    assert_eq!(event["properties"], expected);
    let set = br#" {"name":"C"} "#;
    let input = EventInput::GroupIdentify {
        group_type: b"company",
        group_key: b"c1",
        set: Some(set),
        distinct_id: Some(b"u"),
    };
    let (_, event, _) = plain(&input).unwrap();
    assert_eq!(event["distinct_id"], "u");
    assert_eq!(event["properties"]["$group_set"], json!({"name":"C"}));
}

#[test]
fn identify_alias_and_group_identify_refuse_what_is_missing_or_not_an_object() {
    let table = [
        (identify(Some("7"), None), Status::INVALID_PROPERTY, "$set: at byte 0"),
        (identify(None, Some("{")), Status::INVALID_JSON, "$set_once: at byte 1"),
        (group_identify(b"t", b"k", Some("[]")), Status::INVALID_PROPERTY, "group properties: at byte 0"),
        (group_identify(b"", b"k", None), Status::INVALID_ARGUMENT, "a type and a key"),
        (group_identify(b"t", b"", None), Status::INVALID_ARGUMENT, "a type and a key"),
        (EventInput::Alias { distinct_id: b"u", alias: b"" }, Status::INVALID_ARGUMENT, "alias"),
        (EventInput::Alias { distinct_id: b"", alias: b"a" }, Status::INVALID_DISTINCT_ID, "distinct_id"),
    ];
    for (input, status, text) in table {
        let error = plain(&input).unwrap_err();
        assert_eq!(error.status, status, "{input:?}");
        assert!(error.message.contains(text), "{input:?}: {}", error.message);
    }
}

/// It is the distinct id of other events.
#[test]
fn an_alias_has_the_bounds_of_an_id() {
    let long = "x".repeat(200);
    let repaired = [long.as_bytes().split_at(2).1, b"\xff"].concat();
    for (alias, bytes) in [
        (format!(" \t{long}\u{3000}").into_bytes(), None),
        (format!("{long}x").into_bytes(), Some(201)),
        (format!("\n {} ", "\u{e9}".repeat(101)).into_bytes(), Some(202)),
        // U+FFFD has three bytes.
        (repaired.clone(), Some(201)),
        (repaired.split_at(1).1.to_vec(), None),
        // Escapes do not count.
        ("\"".repeat(200).into_bytes(), None),
    ] {
        let result = plain(&EventInput::Alias { distinct_id: b"u", alias: &alias });
        let Some(bytes) = bytes else {
            let alias = result.unwrap().1["properties"]["alias"].clone();
            assert_eq!(alias.as_str().unwrap().len(), 200, "{alias}");
            continue;
        };
        let error = result.unwrap_err();
        assert_eq!(error.status, Status::INVALID_ARGUMENT);
        let expected = format!("the alias has {bytes} bytes; the server takes 1 to 200");
        assert_eq!(&*error.message, expected);
    }
}

#[test]
fn identify_alias_and_group_identify_count_what_they_repair() {
    let (encoded, event, _) =
        plain(&EventInput::Alias { distinct_id: b"user", alias: b"al\xffias\"" }).unwrap();
    assert!(encoded.repaired);
    assert_eq!(event["properties"], json!({"alias":"al\u{fffd}ias\""}));
    let sound = EventInput::Alias { distinct_id: b"user", alias: "älias".as_bytes() };
    assert!(!plain(&sound).unwrap().0.repaired);
    for (group_type, key, set) in
        [(b"t\xff", b"k1", "{}"), (b"t1", b"k\xff", "{}"), (b"t1", b"k1", r#"{"a":"\ud800"}"#)]
    {
        let (encoded, event, _) = plain(&group_identify(group_type, key, Some(set))).unwrap();
        assert!(encoded.repaired, "{event}");
        assert!(event["properties"].to_string().contains('\u{fffd}'), "{event}");
    }
    assert!(!plain(&group_identify(b"t", b"k", Some(" {\"a\":1} "))).unwrap().0.repaired);
}
