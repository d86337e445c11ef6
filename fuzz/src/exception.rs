//! Exceptions that are described call by call with the C functions and captured in test mode, against a
//! model of the chain.

use std::ffi::{CString, c_char};

use phc::capi::exception::{
    phc_capture_exception, phc_exception, phc_exception_add_address, phc_exception_add_cause,
    phc_exception_add_frame, phc_exception_add_frame_json, phc_exception_new, phc_exception_set,
};
use phc::capi::status::{PHC_INVALID_ARGUMENT, PHC_INVALID_JSON, PHC_OK, phc_status};
use serde_json::{Map, Value, json};

use crate::input::Input;
use crate::json_model::{MAX_DEPTH, depth, last, members, repaired, taken_value, value};
use crate::test_client;

/// The library's bounds. No input is so long that the other two matter.
const MAX_ENTRIES: usize = 50;
const MAX_FRAMES: usize = 64;
/// The containers around a frame in the properties.
const AROUND_A_FRAME: usize = 5;
const LEVELS: [&str; 6] = ["fatal", "error", "warning", "log", "info", "debug"];
/// The names of a step, by its second byte.
const NAMES: [&str; 11] = [
    "level",
    "handled",
    "synthetic",
    "mechanism",
    "module",
    "thread_id",
    "fingerprint",
    "source",
    "release_id",
    "levels",
    "",
];

/// One exception of the chain.
#[derive(Default)]
struct Entry {
    facts: Map<String, Value>,
    mechanism: Option<String>,
    relation: String,
    synthetic: bool,
    /// Innermost first.
    frames: Vec<Value>,
}

/// An exception that is being described, and its model.
struct Described {
    exception: *mut phc_exception,
    entries: Vec<Entry>,
    /// What the causes beyond the last one would be, once there is one.
    left_out: Option<Entry>,
    level: String,
    handled: bool,
    texts: [(&'static str, String); 3],
}

/// The input is the type, the message, the distinct id and the properties, each with a byte of its
/// length before it, then steps. Then the exception is captured.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (kind, message) = (input.text(), input.text());
    let (distinct_id, properties) = (input.text(), input.text());
    let mut described = Described::new(kind, message);
    while let Some(step) = input.byte() {
        described.step(step, &mut input);
    }
    described.capture(distinct_id, properties);
}

/// A text as C has it, which ends at a NUL.
fn c_text(text: &[u8]) -> CString {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    CString::new(&text[..end]).expect("without a NUL")
}

fn lossy(text: &CString) -> String {
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

impl Described {
    fn new(kind: &[u8], message: &[u8]) -> Self {
        let (kind, message) = (c_text(kind), c_text(message));
        // SAFETY: the texts end in NUL.
        let exception = unsafe { phc_exception_new(kind.as_ptr(), message.as_ptr()) };
        assert!(!exception.is_null());
        let mut described = Described {
            exception,
            entries: Vec::new(),
            left_out: None,
            level: "error".to_owned(),
            handled: true,
            texts: ["$exception_fingerprint", "$exception_source", "$release_id"]
                .map(|name| (name, String::new())),
        };
        described.enter(&kind, &message, "");
        described
    }

    fn enter(&mut self, kind: &CString, message: &CString, relation: &str) {
        if self.entries.len() == MAX_ENTRIES {
            self.left_out = Some(Entry::default());
            return;
        }
        let name = if kind.as_bytes().trim_ascii().is_empty() { "Error".to_owned() } else { lossy(kind) };
        let mut entry = Entry { relation: relation.to_owned(), ..Entry::default() };
        entry.facts.insert("type".to_owned(), name.into());
        entry.facts.insert("value".to_owned(), lossy(message).into());
        self.entries.push(entry);
    }

    fn latest(&mut self) -> &mut Entry {
        self.left_out.as_mut().or(self.entries.last_mut()).expect("an exception has an entry")
    }

    fn add(&mut self, frame: Value) {
        let latest = self.latest();
        if latest.frames.len() < MAX_FRAMES {
            latest.frames.push(frame);
        }
    }

    fn step(&mut self, step: u8, input: &mut Input<'_>) {
        match step % 5 {
            0 => self.set(input),
            1 => {
                let [kind, message, relation] = [(); 3].map(|()| c_text(input.text()));
                // SAFETY: the exception is live, and the texts end in NUL.
                let status = unsafe {
                    phc_exception_add_cause(
                        self.exception,
                        kind.as_ptr(),
                        message.as_ptr(),
                        relation.as_ptr(),
                    )
                };
                assert_eq!(status, PHC_OK);
                self.enter(&kind, &message, &lossy(&relation));
            }
            2 => self.frame(input),
            3 => {
                let json = input.text();
                // SAFETY: the exception is live, and the text is as long as is said.
                let status =
                    unsafe { phc_exception_add_frame_json(self.exception, json.as_ptr().cast(), json.len()) };
                self.json_frame(json, status);
            }
            _ => {
                let address = usize::from(input.byte().unwrap_or(0)) << (step / 5);
                let pointer = std::ptr::without_provenance(address);
                // SAFETY: the exception is live. An address is not read from.
                assert_eq!(unsafe { phc_exception_add_address(self.exception, pointer) }, PHC_OK);
                self.add(json!({"platform": "native", "instruction_addr": format!("{address:#x}")}));
            }
        }
    }

    fn set(&mut self, input: &mut Input<'_>) {
        let name = NAMES[usize::from(input.byte().unwrap_or(0)) % NAMES.len()];
        let value = c_text(input.text());
        let (c_name, text) = (c_text(name.as_bytes()), lossy(&value));
        let truth = [b"true".as_slice(), b"false"].contains(&value.as_bytes());
        let number = std::str::from_utf8(value.as_bytes()).ok().and_then(|text| text.parse::<u64>().ok());
        let good = match name {
            "level" => LEVELS.contains(&text.as_str()),
            "handled" | "synthetic" => truth,
            "thread_id" => number.is_some(),
            "levels" | "" => false,
            _ => true,
        };
        // SAFETY: the exception is live, and the texts end in NUL.
        let status = unsafe { phc_exception_set(self.exception, c_name.as_ptr(), value.as_ptr()) };
        assert_eq!(status, if good { PHC_OK } else { PHC_INVALID_ARGUMENT }, "{name} = {text:?}");
        if !good {
            return;
        }
        let fact = |value: Value, facts: &mut Map<String, Value>| {
            facts.insert(name.to_owned(), value);
        };
        match name {
            "level" => self.level = text,
            "handled" => self.handled = text == "true",
            "synthetic" => self.latest().synthetic = text == "true",
            "mechanism" => self.latest().mechanism = Some(text).filter(|text| !text.is_empty()),
            "module" if text.is_empty() => drop(self.latest().facts.remove("module")),
            "module" => fact(text.into(), &mut self.latest().facts),
            "thread_id" => fact(number.into(), &mut self.latest().facts),
            _ => {
                let slot = ["fingerprint", "source", "release_id"].iter().position(|known| *known == name);
                self.texts[slot.expect("one of the three")].1 = text;
            }
        }
    }

    fn frame(&mut self, input: &mut Input<'_>) {
        let (function, file) = (c_text(input.text()), c_text(input.text()));
        let (line, in_app) = (u32::from(input.byte().unwrap_or(0)), input.byte().unwrap_or(0) & 1);
        // SAFETY: the exception is live, and the texts end in NUL.
        let status = unsafe {
            phc_exception_add_frame(self.exception, function.as_ptr(), file.as_ptr(), line, in_app.into())
        };
        assert_eq!(status, PHC_OK);
        let mut frame = json!({"platform": "custom", "resolved": true, "in_app": in_app == 1});
        for (key, text) in [("function", &function), ("filename", &file)] {
            if !text.is_empty() {
                frame[key] = lossy(text).into();
            }
        }
        if line > 0 {
            frame["lineno"] = line.into();
        }
        self.add(frame);
    }

    fn json_frame(&mut self, json: &[u8], status: phc_status) {
        let (text, _) = repaired(json);
        if status == PHC_OK {
            let frame = taken_value(&text);
            assert!(frame.get("platform").is_some(), "taken without a platform: {text}");
            assert!(depth(&frame) + AROUND_A_FRAME <= MAX_DEPTH, "{text}");
            self.add(frame);
            return;
        }
        assert_eq!(status, PHC_INVALID_JSON);
        let sound = members(&text).and_then(|members| Some((members, value(&text)?)));
        if let Some((members, tree)) = sound {
            let named = members.iter().any(|(key, _)| key == "platform") && text.contains("\"platform\"");
            let refused = depth(&tree) + AROUND_A_FRAME > MAX_DEPTH || !named;
            assert!(refused, "refused without a reason: {text}");
        }
    }

    fn capture(self, distinct_id: &[u8], properties: &[u8]) {
        let (id, given) = (c_text(distinct_id), c_text(properties));
        let without = given.is_empty();
        let c_properties: *const c_char = if without { std::ptr::null() } else { given.as_ptr() };
        let captured = test_client::capture(|client, uuid| {
            // SAFETY: the client and the exception are live, the texts end in NUL, and the uuid has its size.
            unsafe { phc_capture_exception(client, id.as_ptr(), self.exception, c_properties, uuid) }
        });
        let Ok(captured) = captured else {
            // The id may have more than 200 bytes once it is repaired.
            assert!(!without || id.as_bytes().len() > 60, "refused without a reason");
            return;
        };
        let event = members(&captured.wire).expect("an object");
        let event_name = last(&event, "event").expect("a name").get();
        assert_eq!(event_name, "\"$exception\"");
        let sent = members(last(&event, "properties").expect("properties").get()).expect("an object");
        for (position, (key, _)) in sent.iter().enumerate() {
            let again = sent[position + 1..].iter().any(|(other, _)| other == key);
            assert!(!again || !key.starts_with("$exception"), "twice: {key}");
            assert!(!["$exception_types", "$exception_issue_id", "$cymbal_errors"].contains(&key.as_str()));
        }
        let property = |key: &str| last(&sent, key).map(|text| taken_value(text.get()));
        assert_eq!(property("$exception_level"), Some(self.level.as_str().into()));
        for (key, text) in &self.texts {
            if !text.is_empty() {
                assert_eq!(property(key), Some(text.as_str().into()));
            }
        }
        let list = property("$exception_list").expect("a list");
        let list = list.as_array().expect("a list");
        assert_eq!(list.len(), self.entries.len());
        for (id, (entry, sent)) in self.entries.iter().zip(list).enumerate() {
            self.check_entry(id, entry, sent);
        }
    }

    fn check_entry(&self, id: usize, entry: &Entry, sent: &Value) {
        let mut sent = sent.as_object().expect("an object").clone();
        let stack = sent.remove("stacktrace");
        let mut mechanism = json!({
            "type": entry.mechanism.as_deref().unwrap_or(if id == 0 { "generic" } else { "chained" }),
            "handled": self.handled,
        });
        if entry.synthetic {
            mechanism["synthetic"] = true.into();
        }
        if self.entries.len() > 1 {
            mechanism["exception_id"] = id.into();
        }
        if id > 0 {
            let relation = if entry.relation.is_empty() { "cause" } else { &entry.relation };
            mechanism["source"] = relation.into();
            mechanism["parent_id"] = (id - 1).into();
        }
        assert_eq!(sent.remove("mechanism"), Some(mechanism));
        assert_eq!(sent, entry.facts);
        let Some(stack) = stack else {
            assert!(entry.frames.is_empty());
            return;
        };
        assert_eq!(stack["type"], "raw");
        let frames = stack["frames"].as_array().expect("a list");
        assert_eq!(frames.len(), entry.frames.len());
        for (sent, expected) in frames.iter().rev().zip(&entry.frames) {
            check_frame(sent, expected);
        }
    }
}

/// A frame has what was given; one that the library knows more of has that besides.
fn check_frame(sent: &Value, expected: &Value) {
    let more: &[&str] = match expected["platform"].as_str() {
        Some("custom") if sent.get("lang").is_some() => &["lang"],
        Some("native") => &["image_addr", "in_app", "symbol_addr", "function"],
        _ => &[],
    };
    let mut sent = sent.clone();
    for key in more.iter().filter(|key| expected.get(**key).is_none()) {
        sent.as_object_mut().expect("an object").remove(*key);
    }
    assert_eq!(sent, *expected);
}
