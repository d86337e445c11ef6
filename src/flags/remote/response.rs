//! The response of `POST /flags`, in every form that servers have: records (`v=2`), typed records (`v=3` and later),
//! and the maps of older servers.
//!
//! A part that is not understood costs its own flag and nothing else.

use std::ffi::CStr;

use super::super::definitions::Unresolved;
use super::super::evaluate::{Outcome, Reason, Value as FlagValue};
use super::super::texts::{TextRef, Texts};
use super::super::tree::{self, Value};

/// The values that a server has returned.
#[derive(Debug, Default)]
pub(crate) struct Remote {
    pub(crate) texts: Texts,
    /// By key.
    flags: Vec<RemoteFlag>,
    /// Whether the server says that it could not evaluate all of them.
    pub(crate) has_errors: bool,
    request_id: Option<TextRef>,
    /// In ms since 1970.
    pub(crate) evaluated_at: Option<i64>,
    /// Whether reads of flags without an experiment are reported with few properties.
    pub(crate) is_minimal: bool,
}

/// One flag as the server has evaluated it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RemoteFlag {
    pub key: TextRef,
    pub outcome: Outcome,
    pub payload: Option<TextRef>,
    /// The code of the reason.
    pub code: Option<TextRef>,
    pub description: Option<TextRef>,
    pub id: i64,
    pub version: i64,
    pub has_experiment: Option<bool>,
    /// Of a typed record whose flag is in the second form of configuration.
    pub rule: Option<Rule>,
}

/// The rule of a flag that decided its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Its id, a UUID, and its type.
    pub id: Option<(TextRef, TextRef)>,
    /// The variant that an experiment has put the person into.
    pub split: Option<TextRef>,
}

/// The reasons that name a rule.
const REASONS_OF_RULES: &[&str] =
    &["targeting_match", "experiment_split", "rollout_miss", "experiment_paused", "holdout"];

/// What the body of a response with the status 200 says.
#[derive(Debug)]
pub(crate) enum Reply {
    Values(Remote),
    /// The project has used up its requests; there are no values.
    QuotaLimited,
    /// It is not JSON, or not an object; the reason.
    Unreadable(String),
}

/// Reads the body of a response.
pub(crate) fn read(body: &[u8]) -> Reply {
    let read = tree::read_lenient(body, |tree| match tree {
        Value::Object(_) if is_quota_limited(tree) => Reply::QuotaLimited,
        Value::Object(_) => Reply::Values(Remote::of(tree)),
        _ => Reply::Unreadable("an object is expected".to_owned()),
    });
    read.unwrap_or_else(|error| Reply::Unreadable(error.to_string()))
}

fn is_quota_limited(tree: &Value<'_>) -> bool {
    match tree.get("quotaLimited") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind.as_text() == Some("feature_flags")),
        Some(Value::Bool(limited)) => *limited,
        _ => false,
    }
}

impl Remote {
    fn of(tree: &Value<'_>) -> Self {
        let mut remote = Remote {
            has_errors: tree.get("errorsWhileComputingFlags").and_then(Value::as_bool) == Some(true),
            evaluated_at: tree.get("evaluatedAt").and_then(Value::as_whole),
            is_minimal: tree.get("minimalFlagCalledEvents").and_then(Value::as_bool) == Some(true),
            ..Remote::default()
        };
        let Remote { texts, flags, .. } = &mut remote;
        let payloads = tree.get("featureFlagPayloads");
        match (tree.get("flags"), tree.get("featureFlags")) {
            (Some(Value::Object(records)), _) => {
                flags.extend(records.iter().map(|(key, record)| RemoteFlag::of_record(texts, key, record)));
            }
            (_, Some(Value::Object(values))) => flags.extend(values.iter().map(|(key, value)| {
                let mut flag = RemoteFlag::failed(texts, key);
                flag.set_value(texts, value);
                if let Some(payload) = payloads.and_then(|all| all.get(key)) {
                    flag.payload = Some(texts.add(&payload.text()));
                }
                flag
            })),
            (_, Some(Value::Array(keys))) => {
                flags.extend(keys.iter().filter_map(Value::as_text).map(|key| {
                    let mut flag = RemoteFlag::failed(texts, key);
                    flag.set_value(texts, &Value::Bool(true));
                    flag
                }));
            }
            _ => {}
        }
        let sorted = tree::sorted(flags.iter().map(|flag| texts.get(flag.key)));
        *flags = sorted.filter_map(|(_, at)| flags.get(at).copied()).collect();
        remote.request_id = tree.get("requestId").and_then(Value::as_text).map(|text| remote.texts.add(text));
        remote
    }

    /// All flags, by key.
    pub(crate) fn flags(&self) -> &[RemoteFlag] {
        &self.flags
    }

    pub(crate) fn flag(&self, position: u32) -> Option<&RemoteFlag> {
        self.flags.get(position as usize)
    }

    /// The position of the flag with this key.
    pub(crate) fn position(&self, key: &str) -> Option<u32> {
        let found = self.flags.binary_search_by(|flag| self.texts.get(flag.key).cmp(key));
        found.ok().and_then(|at| u32::try_from(at).ok())
    }

    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.map(|text| self.texts.get(text))
    }
}

/// A part of a record: where it is, and whether it has the type that it must have.
type Part = (&'static [&'static str], fn(&Value<'_>) -> bool);

fn is_text(value: &Value<'_>) -> bool {
    value.as_text().is_some()
}

fn is_whole(value: &Value<'_>) -> bool {
    value.as_whole().is_some()
}

fn is_bool(value: &Value<'_>) -> bool {
    value.as_bool().is_some()
}

fn is_object(value: &Value<'_>) -> bool {
    matches!(value, Value::Object(_))
}

/// What is read of a record. One that has another type makes the record fail.
const PARTS: &[Part] = &[
    (&["enabled"], is_bool),
    (&["variant"], is_text),
    (&["failed"], is_bool),
    (&["reason"], is_object),
    (&["reason", "code"], is_text),
    (&["reason", "description"], is_text),
    (&["reason", "condition_index"], is_whole),
    (&["metadata"], is_object),
    (&["metadata", "id"], is_whole),
    (&["metadata", "version"], is_whole),
    (&["metadata", "payload"], is_text),
    (&["metadata", "has_experiment"], is_bool),
    (&["metadata", "config_version"], is_whole),
    (&["metadata", "rule_type"], is_text),
    (&["metadata", "rule_id"], is_text),
    (&["metadata", "variant_key"], is_text),
];

/// A part of a record; null counts as absent.
fn part<'v, 'a>(record: &'v Value<'a>, path: &[&str]) -> Option<&'v Value<'a>> {
    path.iter().try_fold(record, |value, key| value.get(key))
}

impl RemoteFlag {
    /// A flag that could not be evaluated.
    fn failed(texts: &mut Texts, key: &str) -> Self {
        let outcome = Outcome {
            value: FlagValue::Unresolved(Unresolved::EvaluationFailed),
            reason: Reason::None,
            condition: None,
        };
        let (payload, code, description) = (None, None, None);
        let key = texts.add(key);
        let (has_experiment, rule) = (None, None);
        RemoteFlag { key, outcome, payload, code, description, id: 0, version: 0, has_experiment, rule }
    }

    fn of_record(texts: &mut Texts, key: &str, record: &Value<'_>) -> Self {
        let mut flag = RemoteFlag::failed(texts, key);
        let fits = |(path, has_type): &Part| part(record, path).is_none_or(has_type);
        if !is_object(record) || !PARTS.iter().all(fits) {
            return flag;
        }
        let text = |path: &[&str]| part(record, path).and_then(Value::as_text);
        let whole = |path: &[&str]| part(record, path).and_then(Value::as_whole);
        let code = text(&["reason", "code"]);
        flag.code = code.map(|code| texts.add(code));
        flag.description = text(&["reason", "description"]).map(|text| texts.add(text));
        flag.id = whole(&["metadata", "id"]).unwrap_or(0);
        flag.version = whole(&["metadata", "version"]).unwrap_or(0);
        flag.has_experiment = part(record, &["metadata", "has_experiment"]).and_then(Value::as_bool);
        if part(record, &["failed"]).and_then(Value::as_bool) == Some(true) {
            return flag;
        }
        let off = Value::Bool(false);
        let value = match record.member("value") {
            Some(value) => {
                if whole(&["metadata", "config_version"]) == Some(2) {
                    flag.rule = Some(Rule::of_record(texts, record));
                }
                value
            }
            None => record.get("variant").or(record.get("enabled")).unwrap_or(&off),
        };
        flag.payload = text(&["metadata", "payload"]).map(|payload| texts.add(payload));
        flag.set_value(texts, value);
        flag.outcome.condition = whole(&["reason", "condition_index"]).and_then(|at| u32::try_from(at).ok());
        flag.outcome.reason = code.map_or(Reason::None, Reason::of_code);
        flag
    }

    /// Sets the value that a JSON value stands for: a text is a variant; a number or an object is the payload of a flag
    /// that is on.
    fn set_value(&mut self, texts: &mut Texts, value: &Value<'_>) {
        self.outcome.value = match value {
            Value::Null | Value::Bool(false) => FlagValue::False,
            Value::Bool(true) => FlagValue::True,
            Value::Text(variant) => FlagValue::Variant(texts.add(variant)),
            Value::Number(_) | Value::Object(_) => {
                self.payload = Some(texts.add(&value.text()));
                FlagValue::True
            }
            Value::Array(_) => return,
        };
    }
}

impl Rule {
    fn of_record(texts: &mut Texts, record: &Value<'_>) -> Self {
        let text = |path: &[&str]| part(record, path).and_then(Value::as_text);
        let code = text(&["reason", "code"]).unwrap_or_default();
        let names_rule = REASONS_OF_RULES.contains(&code);
        let id = text(&["metadata", "rule_id"]).filter(|id| names_rule && is_uuid(id));
        let id = id.zip(text(&["metadata", "rule_type"]));
        let is_split = code == "experiment_split" && id.is_some_and(|(_, kind)| kind == "experiment");
        let split = text(&["metadata", "variant_key"]).filter(|_| is_split);
        let id = id.map(|(id, kind)| (texts.add(id), texts.add(kind)));
        Rule { id, split: split.map(|variant| texts.add(variant)) }
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == uuid::fmt::Hyphenated::LENGTH && uuid::Uuid::try_parse(text).is_ok()
}

impl Reason {
    /// The reason with this code of the server.
    fn of_code(code: &str) -> Self {
        let known = Reason::KNOWN.into_iter().find(|known| known.name().to_bytes() == code.as_bytes());
        if code.is_empty() { Reason::None } else { known.unwrap_or(Reason::Other) }
    }
}

/// A text for C.
pub(crate) fn c_text(texts: &Texts, text: Option<TextRef>) -> &CStr {
    text.map_or(c"", |text| texts.c(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(body: &str) -> Remote {
        match read(body.as_bytes()) {
            Reply::Values(remote) => remote,
            other => panic!("{body}: {other:?}"),
        }
    }

    /// Each flag as `key=value|payload`.
    fn shown(body: &str) -> String {
        let remote = values(body);
        let one = |flag: &RemoteFlag| {
            let value = match flag.outcome.value {
                FlagValue::False => "false",
                FlagValue::True => "true",
                FlagValue::Variant(variant) => remote.texts.get(variant),
                FlagValue::Unresolved(_) => "?",
            };
            let payload = flag.payload.map(|payload| format!("|{}", remote.texts.get(payload)));
            format!("{}={value}{}", remote.texts.get(flag.key), payload.unwrap_or_default())
        };
        remote.flags.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_form_of_response_is_read() {
        for (body, expected) in [
            ("{}", ""),
            (r#"{"flags": null, "featureFlags": null, "later": [1e999]}"#, ""),
            (
                r#"{"flags":{"b":{"key":"b","enabled":true,"variant":"x","metadata":{"payload":"{\"a\":1}"}},
                    "a":{"enabled":true,"variant":null},"c":{"enabled":false},"d":{},"e":{"enabled":null,"reason":null}}}"#,
                r#"a=true b=x|{"a":1} c=false d=false e=false"#,
            ),
            (
                r#"{"flags":{"t":{"value":"v"},"n":{"value":null},"f":{"value":false},"y":{"value":true,"metadata":{"payload":"7"}},
                    "i":{"value":2.0},"o":{"value":{"k":[1]}},"l":{"value":[1]},"w":{"value":true,"variant":"ignored"}}}"#,
                r#"f=false i=true|2.0 l=? n=false o=true|{"k":[1]} t=v w=true y=true|7"#,
            ),
            (
                r#"{"featureFlags":{"a":true,"b":"v","c":false,"d":7},"featureFlagPayloads":{"b":"\"text\"","z":"1"}}"#,
                r#"a=true b=v|"text" c=false d=true|7"#,
            ),
            (r#"{"featureFlags":["a","b"]}"#, "a=true b=true"),
            (r#"{"flags":{"a":{"enabled":true},"a":{"enabled":false}}}"#, "a=false"),
        ] {
            assert_eq!(shown(body), expected, "{body}");
        }
    }

    #[test]
    fn a_part_of_the_wrong_type_costs_its_own_flag_only() {
        for bad in [
            "7",
            "null",
            r#"{"enabled":"yes"}"#,
            r#"{"enabled":true,"variant":1}"#,
            r#"{"enabled":true,"failed":"no"}"#,
            r#"{"enabled":true,"failed":true,"metadata":{"payload":"1"}}"#,
            r#"{"enabled":true,"reason":"condition_match"}"#,
            r#"{"enabled":true,"reason":{"code":7}}"#,
            r#"{"enabled":true,"reason":{"condition_index":1.5}}"#,
            r#"{"enabled":true,"metadata":[]}"#,
            r#"{"enabled":true,"metadata":{"id":"12"}}"#,
            r#"{"enabled":true,"metadata":{"payload":{}}}"#,
            r#"{"value":true,"metadata":{"has_experiment":1}}"#,
            r#"{"value":true,"metadata":{"config_version":"2"}}"#,
            r#"{"value":true,"metadata":{"rule_type":1}}"#,
            r#"{"value":true,"metadata":{"rule_id":1}}"#,
            r#"{"value":true,"metadata":{"variant_key":1}}"#,
        ] {
            assert_eq!(
                shown(&format!(r#"{{"flags":{{"a":{bad},"b":{{"enabled":true}}}}}}"#)),
                "a=? b=true",
                "{bad}"
            );
        }
    }

    #[test]
    fn a_damaged_response_is_values_or_unreadable() {
        let sound = r#"{"flags":{"a":{"key":"a","enabled":true,"variant":"x","reason":{"code":"condition_match"},
            "metadata":{"id":1,"payload":"{}"}},"b":{"value":[1e9,{"k":null}]}},"quotaLimited":[],"evaluatedAt":1}"#;
        let mut random = crate::random::Random::new(5);
        let mut readable = 0;
        for _ in 0..5000 {
            let mut bytes = sound.as_bytes().to_vec();
            for _ in 0..=random.below(3) {
                let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                bytes[at] = random.one_of(b"{}[],:\"\\01.ex\xff");
            }
            if let Reply::Values(remote) = read(&bytes) {
                readable += 1;
                for (position, flag) in (0..).zip(remote.flags()) {
                    assert_eq!(remote.position(remote.texts.get(flag.key)), Some(position));
                }
            }
        }
        assert!((1000..5000).contains(&readable), "{readable}");
    }

    #[test]
    fn a_rule_is_read_of_typed_records_in_the_second_form_only() {
        let id = "018f4f9e-0000-7000-8000-000000000001";
        let rule_of = |value: &str, reason: &str, metadata: &str| {
            let body = format!(
                r#"{{"flags":{{"a":{{{value},"reason":{{"code":"{reason}"}},"metadata":{{{metadata}}}}}}}}}"#
            );
            let remote = values(&body);
            let text = |text| remote.texts.get(text).to_owned();
            remote.flags()[0].rule.map(|rule| {
                (rule.id.map(|(id, kind)| format!("{} {}", text(id), text(kind))), rule.split.map(text))
            })
        };
        let whole =
            format!(r#""config_version":2,"rule_type":"experiment","rule_id":"{id}","variant_key":"x""#);
        let id_and_type = Some(format!("{id} experiment"));
        let split = Some((id_and_type.clone(), Some("x".to_owned())));
        assert_eq!(rule_of(r#""value":"x""#, "experiment_split", &whole), split);
        let empty = whole.replace(r#""variant_key":"x""#, r#""variant_key":"""#);
        let of_empty = Some((id_and_type.clone(), Some(String::new())));
        assert_eq!(rule_of(r#""value":"""#, "experiment_split", &empty), of_empty);
        let without_variant = whole.replace(r#","variant_key":"x""#, "");
        let no_split = Some((id_and_type, None));
        for (reason, metadata) in
            [("experiment_split", without_variant.as_str()), ("rollout_miss", &whole), ("holdout", &whole)]
        {
            assert_eq!(rule_of(r#""value":"x""#, reason, metadata), no_split, "{reason} {metadata}");
        }
        for (reason, metadata) in [
            ("no_rule_match", whole.clone()),
            ("experiment_split", whole.replace(id, "7")),
            ("experiment_split", whole.replace(id, &id.replace('-', ""))),
            ("experiment_split", whole.replace(r#""rule_type":"experiment","#, "")),
        ] {
            assert_eq!(
                rule_of(r#""value":"x""#, reason, &metadata),
                Some((None, None)),
                "{reason} {metadata}"
            );
        }
        assert_eq!(rule_of(r#""enabled":true,"variant":"x""#, "experiment_split", &whole), None);
        let first = whole.replace(r#""config_version":2"#, r#""config_version":1"#);
        assert_eq!(rule_of(r#""value":"x""#, "experiment_split", &first), None);
        assert_eq!(rule_of(r#""value":"x","failed":true"#, "experiment_split", &whole), None);
    }

    #[test]
    fn details_and_the_envelope_are_read() {
        let remote = values(
            r#"{"flags":{"a":{"enabled":true,"reason":{"code":"condition_match","condition_index":2.0,"description":"Matched"},
                "metadata":{"id":12,"version":3.0,"has_experiment":true}},"b":{"enabled":false,"reason":{"code":"new_code"}}},
                "requestId":"r-1","evaluatedAt":1800000000000,"errorsWhileComputingFlags":true,"minimalFlagCalledEvents":true}"#,
        );
        let flag = remote.flag(remote.position("a").unwrap()).unwrap();
        assert_eq!((flag.id, flag.version, flag.has_experiment), (12, 3, Some(true)));
        assert_eq!((flag.outcome.reason, flag.outcome.condition), (Reason::ConditionMatch, Some(2)));
        assert_eq!(c_text(&remote.texts, flag.description), c"Matched");
        let other = remote.flag(remote.position("b").unwrap()).unwrap();
        assert_eq!((other.outcome.reason, c_text(&remote.texts, other.code)), (Reason::Other, c"new_code"));
        assert_eq!(remote.position("c"), None);
        assert_eq!((remote.request_id(), remote.evaluated_at), (Some("r-1"), Some(1_800_000_000_000)));
        assert!(remote.has_errors && remote.is_minimal);
    }

    #[test]
    fn a_used_up_quota_and_what_is_not_json_are_recognised() {
        for limited in [r#"["feature_flags"]"#, r#"["recordings","feature_flags"]"#, "true"] {
            let body = format!(r#"{{"flags":{{}},"quotaLimited":{limited}}}"#);
            assert!(matches!(read(body.as_bytes()), Reply::QuotaLimited), "{body}");
        }
        for other in [r#"["recordings"]"#, "[]", "null", "false", "7"] {
            assert_eq!(
                shown(&format!(r#"{{"featureFlags":{{"a":true}},"quotaLimited":{other}}}"#)),
                "a=true"
            );
        }
        for body in ["", "[]", "1", "{", "<html>", "{\"flags\":{}", "null"] {
            assert!(matches!(read(body.as_bytes()), Reply::Unreadable(_)), "{body}");
        }
        assert_eq!(shown("{\"featureFlags\":{\"a\u{fffd}\":true}}"), "a\u{fffd}=true");
        assert!(
            matches!(read(b"{\"featureFlags\":{\"a\xff\":true}}"), Reply::Values(_)),
            "bad UTF-8 is replaced"
        );
    }
}
