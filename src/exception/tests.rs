use serde_json::{Value, json};

use super::*;
use crate::event::{Encoder, EventInput, SuperProperties};

fn sent(exception: &Exception, distinct_id: Option<&[u8]>, properties: Option<&[u8]>) -> Value {
    let event = exception.event(distinct_id, properties).unwrap();
    let mut encoder = Encoder::take(crate::runtime::fork_epoch());
    encoder.encode(&EventInput::Built(&event), &SuperProperties::default(), 900 * 1024).unwrap();
    let sent = serde_json::from_slice(encoder.wire()).unwrap();
    encoder.keep();
    event.keep();
    sent
}

fn properties(exception: &Exception) -> Value {
    sent(exception, Some(b"user"), None)["properties"].take()
}

#[test]
fn an_exception_without_frames_is_one_entry() {
    let exception = Exception::new(b"IOError", b"disk \"full\"").unwrap();
    let expected = json!({
        "$exception_level": "error",
        "$exception_list": [{"type": "IOError", "value": "disk \"full\"", "mechanism": {"type": "generic", "handled": true}}],
    });
    assert_eq!(properties(&exception), expected);
    let event = sent(&exception, Some(b"user"), None);
    assert_eq!((&event["event"], &event["distinct_id"]), (&json!("$exception"), &json!("user")));
}

/// As in a capture of the same object.
#[test]
fn a_property_may_have_an_empty_key() {
    let exception = Exception::new(b"A", b"a").unwrap();
    let event = sent(&exception, Some(b"user"), Some(b"{\"\":1,\"b\":2}"));
    assert_eq!((&event["properties"][""], &event["properties"]["b"]), (&json!(1), &json!(2)));
}

#[test]
fn a_frame_that_is_repaired_is_counted() {
    for (frame, repaired) in [(&b"{\"platform\":\"a\xFF\"}"[..], true), (b"{\"platform\":\"a\"}", false)] {
        let mut exception = Exception::new(b"A", b"a").unwrap();
        exception.add_frame_json(frame).unwrap();
        let event = exception.event(None, None).unwrap();
        let mut encoder = Encoder::take(crate::runtime::fork_epoch());
        encoder.encode(&EventInput::Built(&event), &SuperProperties::default(), 900 * 1024).unwrap();
        assert_eq!(encoder.encoded().repaired, repaired);
        encoder.keep();
        event.keep();
    }
}

#[test]
fn causes_follow_with_their_parents() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    exception.add_cause(b"B", b"", b"").unwrap();
    exception.add_frame(b"f", b"b.cpp", 3, true).unwrap();
    exception.add_cause(b" ", b"c", b"suppressed").unwrap();
    let list = properties(&exception)["$exception_list"].take();
    let expected = json!([
        {"type": "A", "value": "a", "mechanism": {"type": "generic", "handled": true, "exception_id": 0}},
        {"type": "B", "value": "",
         "mechanism": {"type": "chained", "handled": true, "source": "cause", "exception_id": 1, "parent_id": 0},
         "stacktrace": {"type": "raw", "frames": [
            {"platform": "custom", "lang": "cpp", "function": "f", "filename": "b.cpp", "lineno": 3, "in_app": true, "resolved": true}]}},
        {"type": "Error", "value": "c",
         "mechanism": {"type": "chained", "handled": true, "source": "suppressed", "exception_id": 2, "parent_id": 1}},
    ]);
    assert_eq!(list, expected);
}

#[test]
fn every_fact_has_its_place() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    let facts = [
        ("level", "fatal"),
        ("handled", "false"),
        ("fingerprint", "mine"),
        ("source", "cpp.terminate_handler"),
        ("release_id", "r1"),
        ("module", "std"),
        ("thread_id", "7"),
        ("mechanism", "terminate"),
        ("synthetic", "true"),
    ];
    for (name, value) in facts {
        exception.set(name, value.as_bytes()).unwrap();
    }
    let expected = json!({
        "$exception_fingerprint": "mine",
        "$exception_source": "cpp.terminate_handler",
        "$release_id": "r1",
        "$exception_level": "fatal",
        "$exception_list": [{"type": "A", "value": "a", "module": "std", "thread_id": 7,
            "mechanism": {"type": "terminate", "handled": false, "synthetic": true}}],
    });
    assert_eq!(properties(&exception), expected);
}

#[test]
fn what_is_not_known_is_refused_with_what_is() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    for (name, value, expected) in [
        ("level", "bad", "level = \"bad\": expected fatal, error, warning, log, info, debug"),
        ("handled", "yes", "handled = \"yes\": expected false, true"),
        ("thread_id", "-1", "thread_id = \"-1\": expected a whole number"),
        ("levle", "error", "an exception has no \"levle\" (did you mean \"level\"?)"),
    ] {
        let error = exception.set(name, value.as_bytes()).unwrap_err();
        assert_eq!((error.status, &*error.message), (Status::INVALID_ARGUMENT, expected));
    }
    for (json, expected) in [
        ("[]", "frame: at byte 0: an object is expected here"),
        (
            r#"{"function":"f"}"#,
            "frame: `platform` is missing, by which the server knows how to read a frame",
        ),
    ] {
        let error = exception.add_frame_json(json.as_bytes()).unwrap_err();
        assert_eq!(error.status, Status::INVALID_JSON);
        assert_eq!(&*error.message, expected);
    }
    assert_eq!(properties(&exception)["$exception_list"][0].get("stacktrace"), None);
}

#[test]
fn frames_are_sent_outermost_first_and_as_they_were_given() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    exception.add_frame(b"inner", b"", 0, false).unwrap();
    exception.add_frame_json(br#" {"platform":"ruby","function":"outer","nested":{"k":[1]}} "#).unwrap();
    let frames = properties(&exception)["$exception_list"][0]["stacktrace"]["frames"].take();
    let expected = json!([
        {"platform": "ruby", "function": "outer", "nested": {"k": [1]}},
        {"platform": "custom", "lang": "c", "function": "inner", "in_app": false, "resolved": true},
    ]);
    assert_eq!(frames, expected);
}

#[test]
fn without_an_id_it_belongs_to_no_person() {
    let exception = Exception::new(b"A", b"a").unwrap();
    let [first, second] = [None, Some(b" \t".as_slice())].map(|id| sent(&exception, id, None));
    assert_ne!(first["distinct_id"], second["distinct_id"]);
    for event in [first, second] {
        assert!(Uuid::parse_str(event["distinct_id"].as_str().unwrap()).is_ok());
        assert_eq!(event["options"], json!({"process_person_profile": false}));
    }
    // The program may say that it wants a person.
    let wanted = sent(&exception, None, Some(br#"{"$process_person_profile":true}"#));
    assert_eq!(wanted["options"], json!({"process_person_profile": true}));
}

#[test]
fn properties_cannot_replace_what_is_known_and_nothing_of_the_servers_is_sent() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    exception.set("level", b"info").unwrap();
    let given = json!({
        "$exception_list": [], "$exception_level": "fatal", "$exception_fingerprint": "given", "plan": "pro",
        "$exception_types": ["x"], "$exception_issue_id": 1, "$cymbal_errors": [],
    });
    let sent = sent(&exception, Some(b"user"), Some(given.to_string().as_bytes()));
    let expected = json!({
        "plan": "pro", "$exception_fingerprint": "given", "$exception_level": "info",
        "$exception_list": [{"type": "A", "value": "a", "mechanism": {"type": "generic", "handled": true}}],
    });
    assert_eq!(sent["properties"], expected);
    let error = exception.event(None, Some(b"[]")).unwrap_err();
    assert_eq!(error.status, Status::INVALID_PROPERTY);
    let null = exception.event(Some(b"user"), Some(b" null ")).unwrap();
    null.keep();
}

#[test]
fn everything_is_bounded() {
    let text = "\u{e9}".repeat(MAX_TEXT);
    let mut exception = Exception::new(b"A", text.as_bytes()).unwrap();
    for i in 0..2 * MAX_FRAMES {
        exception.add_frame(format!("f{i}").as_bytes(), b"a.c", 1, true).unwrap();
    }
    for _ in 0..2 * MAX_ENTRIES {
        exception.add_cause(b"A", text.as_bytes(), b"").unwrap();
        exception.add_frame(text.as_bytes(), b"a.c", 1, true).unwrap();
        exception
            .add_frame_json(&serde_json::to_vec(&json!({"platform": "go", "text": text})).unwrap())
            .unwrap();
    }
    assert!(exception.bytes <= MAX_BYTES, "{}", exception.bytes);
    let list = properties(&exception)["$exception_list"].take();
    let list = list.as_array().unwrap();
    assert!(list.len() < MAX_ENTRIES, "{} entries", list.len());
    let frames = list[0]["stacktrace"]["frames"].as_array().unwrap();
    // Those that are further out were left out.
    assert_eq!((frames.len(), &frames[0]["function"]), (MAX_FRAMES, &json!(format!("f{}", MAX_FRAMES - 1))));
    let value = list[0]["value"].as_str().unwrap();
    assert!(text.starts_with(value) && value.len() == MAX_TEXT, "{} bytes", value.len());
}

fn functions(entry: &Value) -> Vec<String> {
    let frames = entry["stacktrace"]["frames"].as_array().cloned().unwrap_or_default();
    frames.iter().map(|frame| frame["function"].as_str().unwrap().to_owned()).collect()
}

/// The server requires a type. What belongs to a cause that is left out does not become a part of another.
#[test]
fn a_cause_that_does_not_fit_is_left_out_with_what_belongs_to_it() {
    let long = "x".repeat(MAX_TEXT);
    for (value, expected) in [("", MAX_ENTRIES), (&long, MAX_BYTES / MAX_TEXT)] {
        let mut exception = Exception::new(b"type 0", value.as_bytes()).unwrap();
        for i in 1..2 * MAX_ENTRIES {
            exception.add_cause(format!("type {i}").as_bytes(), value.as_bytes(), b"context").unwrap();
            for (name, value) in [("module", format!("module {i}")), ("thread_id", i.to_string())] {
                exception.set(name, value.as_bytes()).unwrap();
            }
            exception.add_frame(format!("f{i}").as_bytes(), b"", 0, true).unwrap();
        }
        // Its type would fit.
        exception.add_cause(b"a", b"", b"").unwrap();
        exception.add_frame(b"f", b"", 0, true).unwrap();
        let list = properties(&exception)["$exception_list"].take();
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), expected);
        for (i, entry) in list.iter().enumerate().skip(1) {
            assert_eq!(entry["type"], format!("type {i}"));
            assert_eq!(entry["mechanism"]["source"], "context");
            let (module, thread) = (format!("module {i}"), json!(i));
            // Of the last one they may be left out.
            if i < list.len() - 1 {
                assert_eq!((&entry["module"], &entry["thread_id"]), (&json!(module), &thread));
                assert_eq!(functions(entry), [format!("f{i}")]);
            }
            assert!(functions(entry).len() <= 1, "{entry}");
        }
    }
}

/// A frame further out than one that is left out is left out, too, and a cause is still there.
#[test]
fn frames_are_left_out_from_the_outside() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    let long = "x".repeat(MAX_TEXT);
    for _ in 0..MAX_FRAMES {
        exception.add_frame(long.as_bytes(), b"", 0, true).unwrap();
    }
    exception.add_frame(b"short", b"", 0, true).unwrap();
    exception.add_frame_json(br#"{"platform":"go","function":"short"}"#).unwrap();
    exception.add_cause(b"B", b"b", b"").unwrap();
    exception.add_frame(b"short", b"", 0, true).unwrap();
    let list = properties(&exception)["$exception_list"].take();
    let frames = functions(&list[0]);
    assert_eq!(frames.len(), MAX_BYTES / MAX_TEXT - 1);
    assert!(frames.iter().all(|function| *function == long));
    assert_eq!((&list[1]["type"], functions(&list[1])), (&json!("B"), vec!["short".to_owned()]));
}

#[test]
fn a_text_that_was_replaced_does_not_count() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    let before = exception.bytes;
    for name in ["fingerprint", "source", "release_id", "module", "mechanism"] {
        for text in [
            &[b'x'; MAX_TEXT][..],
            &[b'"'; MAX_TEXT],
            &[0xFF; MAX_TEXT],
            &b"x".repeat(2 * MAX_TEXT),
            b"\xE2\x82",
        ] {
            for _ in 0..40 {
                exception.set(name, text).unwrap();
            }
        }
        exception.set(name, b"final").unwrap();
    }
    let properties = properties(&exception);
    for name in ["$exception_fingerprint", "$exception_source", "$release_id"] {
        assert_eq!(properties[name], "final");
    }
    let entry = &properties["$exception_list"][0];
    assert_eq!((&entry["module"], &entry["mechanism"]["type"]), (&json!("final"), &json!("final")));
    assert_eq!(exception.bytes, before + 5 * "final".len());
}

/// Those that are not sent take no space from what comes later.
#[test]
fn frames_beyond_the_last_one_do_not_count() {
    let mut exception = Exception::new(b"A", b"a").unwrap();
    for _ in 0..MAX_FRAMES {
        exception.add_frame(b"f", b"", 0, true).unwrap();
    }
    let bytes = exception.bytes;
    exception.add_frame(b"f", b"a.c", 0, true).unwrap();
    assert_eq!(exception.bytes, bytes);
}

#[test]
fn what_texts_become_on_the_wire_is_bounded() {
    for byte in [0x01, 0xFF, b'"'] {
        let text = vec![byte; MAX_TEXT];
        let mut exception = Exception::new(&text, &text).unwrap();
        for _ in 0..MAX_ENTRIES {
            exception.add_cause(&text, &text, &text).unwrap();
            exception.add_frame(&text, &text, 1, true).unwrap();
        }
        exception.set("fingerprint", &text).unwrap();
        let event = exception.event(Some(b"user"), None).unwrap();
        let mut encoder = Encoder::take(crate::runtime::fork_epoch());
        encoder.encode(&EventInput::Built(&event), &SuperProperties::default(), 900 * 1024).unwrap();
        let bytes = encoder.wire().len();
        assert!(bytes > MAX_BYTES / 2 && bytes < MAX_BYTES + 64 * 1024, "{byte:#x}: {bytes} bytes");
    }
}

#[test]
fn a_text_is_cut_at_a_character() {
    let cases = [
        ("a\u{e9}".as_bytes(), 2, (b"a".as_slice(), 1)),
        ("a\u{e9}".as_bytes(), 3, ("a\u{e9}".as_bytes(), 3)),
        ("\u{1F600}".as_bytes(), 3, (b"", 0)),
        (b"ab\"", 3, (b"ab", 2)),
        (b"a\x01b", 6, (b"a", 1)),
        (b"a\x01b", 8, (b"a\x01b", 8)),
        (b"a\xFFb", 3, (b"a", 1)),
        (b"a\xFFb", 4, (b"a\xFF", 4)),
    ];
    for (text, left, expected) in cases {
        assert_eq!(fitting(text, left), expected, "{} in {left}", text.escape_ascii());
    }
    let long = vec![0xFF; MAX_TEXT];
    assert_eq!(fitting(&long, MAX_BYTES).0.len(), MAX_TEXT / 3);
}

#[cfg(target_os = "linux")]
#[test]
fn a_native_stack_has_its_images() {
    let here = 0_u8;
    let mut exception = Exception::new(b"A", b"a").unwrap();
    exception.add_stack((&raw const here).addr(), 0).unwrap();
    let own = a_native_stack_has_its_images as *const () as usize;
    exception.add_address(own + 1).unwrap();
    exception.add_address(1).unwrap();
    let properties = properties(&exception);
    let frames = properties["$exception_list"][0]["stacktrace"]["frames"].as_array().unwrap();
    assert_eq!(frames[0], json!({"platform": "native", "instruction_addr": "0x1"}));
    assert_eq!(frames[1]["instruction_addr"], json!(format!("{:#x}", own + 1)));
    assert_eq!(frames[1]["in_app"], json!(true));
    let images = properties["$debug_images"].as_array().unwrap();
    let own = images.iter().find(|image| image["image_addr"] == frames[1]["image_addr"]).unwrap();
    let path = std::env::current_exe().unwrap();
    assert_eq!(own["code_file"], json!(path));
    assert_eq!((&own["type"], own["code_id"].as_str().unwrap().len()), (&json!("elf"), 40));
    assert!(own["image_size"].as_u64().unwrap() > 10_000);
}
