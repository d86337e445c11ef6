//! Events that are built property by property with the C functions, in test mode, against
//! a model of what was set.

use std::borrow::Cow;
use std::ffi::CString;

use phc::capi::capture::phc_capture_event;
use phc::capi::event::{
    phc_event, phc_event_begin_array, phc_event_begin_array_n, phc_event_begin_object,
    phc_event_begin_object_n, phc_event_end, phc_event_new_n, phc_event_set_bool, phc_event_set_bool_n,
    phc_event_set_double, phc_event_set_double_n, phc_event_set_group, phc_event_set_group_n,
    phc_event_set_int, phc_event_set_int_n, phc_event_set_json, phc_event_set_json_n, phc_event_set_null,
    phc_event_set_null_n, phc_event_set_string, phc_event_set_string_n, phc_event_set_timestamp,
    phc_event_set_timestamp_ms, phc_event_set_uint, phc_event_set_uint_n, phc_event_set_uuid,
};
use phc::capi::status::{
    PHC_INVALID_ARGUMENT, PHC_INVALID_DISTINCT_ID, PHC_INVALID_EVENT, PHC_INVALID_JSON, PHC_INVALID_PROPERTY,
    PHC_INVALID_TIMESTAMP, PHC_OK, phc_status,
};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::event_model::{MERGED, check_lifted, check_wire, sent_properties, stays, unix_ms};
use crate::input::Input;
use crate::json_model::{MAX_DEPTH, Members, depth, last, members, repaired, taken_value};
use crate::test_client::{self, Captured};

/// The keys of a step, by its second byte; NULL is among them. All others are `k` and a
/// number: an object of many members is written in another way than one of few.
const KEYS: [Option<&[u8]>; 16] = [
    None,
    Some(b""),
    Some(b"a"),
    Some(b"b"),
    Some(b"c\xFF"),
    Some(b"c\xFE"),
    Some(b"n\0ul"),
    Some(b"\"\\\n"),
    Some(b"$set"),
    Some(b"$set_once"),
    Some(b"$groups"),
    Some(b"$session_id"),
    Some(b"$process_person_profile"),
    Some(b"$product_tour_id"),
    Some(b"$lib"),
    Some(b"$other"),
];
const INTEGERS: [i64; 8] = [0, 1, -1, 10, 12_345_678_901, i64::MAX, i64::MIN, -100];
/// The instants of the years 0000 to 9999.
const INSTANTS: std::ops::RangeInclusive<i64> = -62_167_219_200_000..=253_402_300_799_999;

/// The input is the distinct id and the name, each with a byte of its length before it, then
/// steps: what is called, the key, the value. Then the event is captured.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (distinct_id, name) = (input.text(), input.text());
    let mut building = Building::new(distinct_id, name);
    while let Some(step) = input.byte() {
        building.step(step, &mut input);
    }
    building.capture();
}

/// A value as it was set.
#[derive(Clone, Debug)]
enum Model {
    Leaf(Value),
    Array(Vec<Model>),
    Object(Vec<(String, Model)>),
}

impl Model {
    fn tree(&self) -> Value {
        match self {
            Model::Leaf(value) => value.clone(),
            Model::Array(items) => items.iter().map(Model::tree).collect(),
            Model::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), value.tree())).collect())
            }
        }
    }

    /// Whether this text is the value, with every key once.
    fn is(&self, text: &RawValue) -> bool {
        match self {
            Model::Leaf(value) => taken_value(text.get()) == *value,
            Model::Array(items) => serde_json::from_str::<Vec<Box<RawValue>>>(text.get())
                .is_ok_and(|sent| sent.len() == items.len() && items.iter().zip(&sent).all(|(i, s)| i.is(s))),
            Model::Object(expected) => {
                members(text.get()).is_some_and(|sent| have_the_same(&sent, expected.iter()))
            }
        }
    }
}

fn have_the_same<'m>(sent: &Members, expected: impl Iterator<Item = &'m (String, Model)>) -> bool {
    let mut count = 0;
    let mut all = expected.inspect(|_| count += 1);
    all.all(|(key, value)| last(sent, key).is_some_and(|text| value.is(text))) && count == sent.len()
}

/// The uuid that was set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GivenUuid {
    None,
    Valid(Uuid),
    Invalid,
}

/// An event that is being built, and its model.
struct Building {
    event: *mut phc_event,
    distinct_id: String,
    name: String,
    /// The properties and the containers in them that are open, each with its key.
    open: Vec<(Option<String>, Model)>,
    groups: Vec<(String, String)>,
    uuid: GivenUuid,
    /// When the event happened, in milliseconds since 1970; `None` if the model does not know.
    unix_ms: Option<i64>,
    repaired: bool,
}

impl Building {
    fn new(distinct_id: &[u8], name: &[u8]) -> Self {
        // SAFETY: the texts are as long as is said.
        let event = unsafe {
            phc_event_new_n(distinct_id.as_ptr().cast(), distinct_id.len(), name.as_ptr().cast(), name.len())
        };
        assert!(!event.is_null());
        let mut building = Building {
            event,
            distinct_id: String::new(),
            name: String::new(),
            open: vec![(None, Model::Object(Vec::new()))],
            groups: Vec::new(),
            uuid: GivenUuid::None,
            unix_ms: None,
            repaired: false,
        };
        building.distinct_id = building.utf8(distinct_id);
        building.name = building.utf8(name);
        building
    }

    /// The text as the library keeps it.
    fn utf8(&mut self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        self.repaired |= matches!(text, Cow::Owned(_));
        text.into_owned()
    }

    /// The status of setting a good value with this key.
    fn key_status(&self, key: Option<&[u8]>) -> phc_status {
        match (self.open.last(), key) {
            (Some((_, Model::Array(_))), None) => PHC_OK,
            (Some((_, Model::Array(_))), Some(_)) | (_, None) => PHC_INVALID_ARGUMENT,
            (_, Some(b"")) => PHC_INVALID_PROPERTY,
            _ => PHC_OK,
        }
    }

    /// Puts a value into the innermost open container.
    fn put(&mut self, key: Option<String>, value: Model) {
        match (self.open.last_mut(), key) {
            (Some((_, Model::Array(items))), None) => items.push(value),
            (Some((_, Model::Object(members))), Some(key)) => {
                members.retain(|(existing, _)| *existing != key);
                members.push((key, value));
            }
            _ => panic!("the key fits"),
        }
    }

    fn step(&mut self, step: u8, input: &mut Input<'_>) {
        // The functions for texts that end in NUL, or their twins.
        let ends_in_nul = step & 0x80 != 0;
        let cut = |text| if ends_in_nul { before_nul(text) } else { text };
        match step & 0x0F {
            0..=9 => self.set(step & 0x0F, ends_in_nul, input),
            10 => self.end(),
            11 => {
                let (group_type, group_key) = (cut(input.text()), cut(input.text()));
                self.set_group(group_type, group_key, ends_in_nul);
            }
            12 => {
                let text = before_nul(input.text());
                let owned = c_text(text);
                // SAFETY: the event is live, the text ends in NUL.
                assert_eq!(unsafe { phc_event_set_uuid(self.event, owned.as_ptr()) }, PHC_OK);
                let uuid = Uuid::try_parse(String::from_utf8_lossy(text).trim());
                self.uuid = uuid.map_or(GivenUuid::Invalid, GivenUuid::Valid);
            }
            13 => {
                let unix_ms = input.number().cast_signed();
                // SAFETY: the event is live.
                let status = unsafe { phc_event_set_timestamp_ms(self.event, unix_ms) };
                assert_eq!(status == PHC_OK, INSTANTS.contains(&unix_ms), "{unix_ms}");
                if status == PHC_OK {
                    self.unix_ms = Some(unix_ms);
                } else {
                    assert_eq!(status, PHC_INVALID_TIMESTAMP);
                }
            }
            14 => {
                let text = before_nul(input.text());
                let owned = c_text(text);
                let known = std::str::from_utf8(text).ok().and_then(unix_ms);
                // SAFETY: the event is live, the text ends in NUL.
                let status = unsafe { phc_event_set_timestamp(self.event, owned.as_ptr()) };
                if status == PHC_OK {
                    self.unix_ms = known;
                } else {
                    assert_eq!((status, known), (PHC_INVALID_TIMESTAMP, None), "{owned:?}");
                }
            }
            _ => {
                // Deep nesting in few bytes.
                for _ in 0..input.byte().unwrap_or(0) {
                    let key: Option<&[u8]> = if self.key_status(None) == PHC_OK { None } else { Some(b"d") };
                    self.begin(key, true, false);
                }
            }
        }
    }

    /// Calls a setter with a key.
    fn set(&mut self, setter: u8, ends_in_nul: bool, input: &mut Input<'_>) {
        let number = input.byte().unwrap_or(0);
        let numbered = format!("k{number}");
        let key = KEYS.get(usize::from(number)).copied().unwrap_or(Some(numbered.as_bytes()));
        let key = if ends_in_nul { key.map(before_nul) } else { key };
        let c_key = key.map(c_text);
        let c_key = c_key.as_ref().map_or(std::ptr::null(), |key| key.as_ptr());
        let (n_key, n_len) = key.map_or((std::ptr::null(), 0), |key| (key.as_ptr().cast(), key.len()));
        let event = self.event;
        macro_rules! call {
            ($function:ident, $twin:ident, $value:expr) => {
                // SAFETY: the event is live, the key ends in NUL or is as long as is said.
                unsafe {
                    if ends_in_nul {
                        $function(event, c_key, $value)
                    } else {
                        $twin(event, n_key, n_len, $value)
                    }
                }
            };
        }
        macro_rules! call_with_text {
            ($function:ident, $twin:ident, $text:expr) => {{
                let text: &[u8] = $text;
                let owned = c_text(text);
                // SAFETY: as above; the text ends in NUL or is as long as is said.
                unsafe {
                    if ends_in_nul {
                        $function(event, c_key, owned.as_ptr())
                    } else {
                        $twin(event, n_key, n_len, text.as_ptr().cast(), text.len())
                    }
                }
            }};
        }
        let text = if matches!(setter, 0 | 6) { input.text() } else { b"" };
        let text = if ends_in_nul { before_nul(text) } else { text };
        let mut expected = self.key_status(key);
        let mut value = Value::Null;
        let mut text_repaired = false;
        let status = match setter {
            0 => {
                let utf8 = String::from_utf8_lossy(text);
                text_repaired = matches!(utf8, Cow::Owned(_));
                value = json!(utf8);
                call_with_text!(phc_event_set_string, phc_event_set_string_n, text)
            }
            1 => {
                let number = INTEGERS[usize::from(input.byte().unwrap_or(0)) % INTEGERS.len()];
                value = json!(number);
                call!(phc_event_set_int, phc_event_set_int_n, number)
            }
            2 => {
                let number = input.number();
                value = json!(number);
                call!(phc_event_set_uint, phc_event_set_uint_n, number)
            }
            3 => {
                let number = f64::from_bits(input.number());
                if !number.is_finite() {
                    expected = PHC_INVALID_PROPERTY;
                }
                value = json!(number);
                call!(phc_event_set_double, phc_event_set_double_n, number)
            }
            4 => {
                let number = input.byte().unwrap_or(0);
                value = json!(number != 0);
                call!(phc_event_set_bool, phc_event_set_bool_n, number.into())
            }
            // SAFETY: the event is live, the key ends in NUL or is as long as is said.
            5 => unsafe {
                if ends_in_nul {
                    phc_event_set_null(event, c_key)
                } else {
                    phc_event_set_null_n(event, n_key, n_len)
                }
            },
            6 | 7 => {
                // The second takes what is left of the input, so that a text may be long.
                let text = if setter == 7 { std::mem::take(&mut input.0) } else { text };
                let text = if ends_in_nul { before_nul(text) } else { text };
                let (sound, was_repaired) = repaired(text);
                match crate::json_model::value(&sound) {
                    Some(tree) if self.open.len() + depth(&tree) <= MAX_DEPTH => value = tree,
                    _ => expected = PHC_INVALID_JSON,
                }
                text_repaired = was_repaired;
                call_with_text!(phc_event_set_json, phc_event_set_json_n, text)
            }
            _ => return self.begin(key, setter == 9, ends_in_nul),
        };
        assert_eq!(status, expected, "setter {setter} with key {key:?}");
        if status == PHC_OK {
            self.repaired |= text_repaired;
            let key = key.map(|key| self.utf8(key));
            self.put(key, Model::Leaf(value));
        }
    }

    fn begin(&mut self, key: Option<&[u8]>, is_array: bool, ends_in_nul: bool) {
        let expected = if self.open.len() >= MAX_DEPTH { PHC_INVALID_PROPERTY } else { self.key_status(key) };
        let c_key = key.map(c_text);
        let c_key = c_key.as_ref().map_or(std::ptr::null(), |key| key.as_ptr());
        let (n_key, n_len) = key.map_or((std::ptr::null(), 0), |key| (key.as_ptr().cast(), key.len()));
        // SAFETY: the event is live, the key ends in NUL or is as long as is said.
        let status = unsafe {
            match (is_array, ends_in_nul) {
                (true, true) => phc_event_begin_array(self.event, c_key),
                (true, false) => phc_event_begin_array_n(self.event, n_key, n_len),
                (false, true) => phc_event_begin_object(self.event, c_key),
                (false, false) => phc_event_begin_object_n(self.event, n_key, n_len),
            }
        };
        assert_eq!(status, expected, "{key:?} at depth {}", self.open.len());
        if status == PHC_OK {
            let key = key.map(|key| self.utf8(key));
            let container = if is_array { Model::Array(Vec::new()) } else { Model::Object(Vec::new()) };
            self.open.push((key, container));
        }
    }

    fn end(&mut self) {
        // SAFETY: the event is live.
        let status = unsafe { phc_event_end(self.event) };
        if self.open.len() == 1 {
            return assert_eq!(status, PHC_INVALID_ARGUMENT);
        }
        assert_eq!(status, PHC_OK);
        let (key, container) = self.open.pop().expect("an open container");
        self.put(key, container);
    }

    fn set_group(&mut self, group_type: &[u8], group_key: &[u8], ends_in_nul: bool) {
        let texts = [group_type, group_key];
        let [c_type, c_key] = texts.map(c_text);
        // SAFETY: the event is live, the texts end in NUL or are as long as is said.
        let status = unsafe {
            if ends_in_nul {
                phc_event_set_group(self.event, c_type.as_ptr(), c_key.as_ptr())
            } else {
                let [(a, a_len), (b, b_len)] = texts.map(|text| (text.as_ptr().cast(), text.len()));
                phc_event_set_group_n(self.event, a, a_len, b, b_len)
            }
        };
        let is_good = !group_type.is_empty() && !group_key.is_empty();
        assert_eq!(status, if is_good { PHC_OK } else { PHC_INVALID_PROPERTY });
        if is_good {
            let [group_type, group_key] = texts.map(|text| self.utf8(text));
            self.groups.retain(|(existing, _)| *existing != group_type);
            self.groups.push((group_type, group_key));
        }
    }

    fn capture(self) {
        let result =
            // SAFETY: the client is live, the buffer long enough; the event is not used again.
            test_client::capture(|client, uuid| unsafe { phc_capture_event(client, self.event, uuid) });
        let Some((_, Model::Object(properties))) = self.open.first() else { panic!("the properties") };
        let given: Members = (properties.iter())
            .map(|(key, value)| (key.clone(), to_raw_value(&value.tree()).expect("JSON")))
            .collect();
        let groups_are_good = last(&given, "$groups")
            .is_none_or(|groups| groups.get() == "null" || groups.get().starts_with('{'));
        let names_are_good = |text: &str| (1..=200).contains(&text.len());
        let problems = [
            (self.open.len() > 1 || !names_are_good(&self.name), PHC_INVALID_EVENT),
            (!names_are_good(self.distinct_id.trim()), PHC_INVALID_DISTINCT_ID),
            (!groups_are_good, PHC_INVALID_PROPERTY),
        ];
        match result {
            Err(status) => {
                assert!(problems.contains(&(true, status)), "refused with {status}: {properties:?}");
            }
            Ok(captured) => {
                assert!(problems.iter().all(|(is_there, _)| !is_there), "taken: {properties:?}");
                self.compare(&captured, properties, &given);
            }
        }
    }

    /// Compares the event on the wire with the model.
    fn compare(&self, captured: &Captured, properties: &[(String, Model)], given: &Members) {
        let event = check_wire(&captured.wire, &captured.uuid);
        assert_eq!(event["event"], self.name);
        assert_eq!(event["distinct_id"], self.distinct_id.trim());
        assert_eq!(captured.repaired, self.repaired, "{}", captured.wire);
        assert_eq!(captured.uuid_replaced, self.uuid == GivenUuid::Invalid);
        if let GivenUuid::Valid(uuid) = self.uuid {
            assert_eq!(captured.uuid, uuid.hyphenated().to_string());
        }
        if let Some(expected) = self.unix_ms {
            assert_eq!(event["timestamp"].as_str().and_then(unix_ms), Some(expected), "{}", captured.wire);
        }
        check_lifted(&event, given, |_| None);
        let groups = || self.groups.iter().map(|(kind, key)| (kind.clone(), json!(key))).collect();
        let elsewhere =
            |key: &str| (key == "$groups" && !self.groups.is_empty()).then(|| Value::Object(groups()));
        assert_eq!(event["properties"], sent_properties(given, elsewhere), "{}", captured.wire);

        // The same with every key once, at every level that the builder wrote.
        let top = members(&captured.wire).expect("an object");
        let mut sent = members(last(&top, "properties").expect("properties").get()).expect("an object");
        sent.retain(|(key, _)| !MERGED.contains(&key.as_str()));
        assert!(have_the_same(&sent, properties.iter().filter(|(key, _)| stays(key))), "{}", captured.wire);
    }
}

fn before_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The text with a NUL after it; what is behind a NUL in it is cut off.
fn c_text(text: &[u8]) -> CString {
    CString::new(before_nul(text)).expect("no NUL")
}
