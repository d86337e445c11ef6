//! The response to a request for the values of feature flags: every flag has the value, the payload and the numbers
//! that a JSON tree of the same body says, or none, and the events of its reads are JSON.

use std::collections::BTreeMap;

use phc::internals::{FlagResponse, read_flag_response};
use serde_json::{Map, Value, json};

use crate::json_model::{MAX_DEPTH, depth, repaired, taken_value, value};

/// The body of a response with the status 200.
pub fn run(data: &[u8]) {
    let (text, _) = repaired(data);
    let tree = value(&text).filter(|tree| depth(tree) <= MAX_DEPTH);
    match read_flag_response(data) {
        FlagResponse::Values { snapshot, events } => {
            let snapshot = taken_value(&snapshot);
            for event in events {
                check_event(&taken_value(&event));
            }
            if let Some(tree) = tree {
                assert!(tree.is_object() && !is_quota_limited(&tree), "values of {tree}");
                compare(&tree, &snapshot);
            }
        }
        FlagResponse::QuotaLimited => assert!(tree.is_none_or(|tree| is_quota_limited(&tree))),
        FlagResponse::Unreadable => {
            assert!(tree.is_none_or(|tree| !tree.is_object()), "an object was refused: {text}");
        }
    }
}

fn check_event(event: &Value) {
    let (name, properties) = (&event["event"], &event["properties"]);
    assert!(name == "$feature_flag_called" || name == "$experiment_exposure");
    assert!(properties["$feature_flag"].is_string() && properties["locally_evaluated"] == false);
    if name == "$experiment_exposure" {
        let rule = properties["$feature_flag_rule_id"].as_str().expect("the id of the rule");
        assert!(rule.len() == 36 && properties["$feature_flag_variant_key"].is_string());
    }
}

fn is_quota_limited(tree: &Value) -> bool {
    match &tree["quotaLimited"] {
        Value::Array(kinds) => kinds.iter().any(|kind| kind == "feature_flags"),
        limited => limited == &json!(true),
    }
}

/// What is known of a flag: null if it has no value.
fn compare(tree: &Value, snapshot: &Value) {
    let expected = expected(tree);
    let found = snapshot["flags"].as_object().expect("flags");
    let unresolved = snapshot["unresolved"].as_object().expect("flags without a value");
    assert_eq!(found.len() + unresolved.len(), expected.len(), "{tree} {snapshot}");
    for (key, flag) in &expected {
        let Some(flag) = flag else {
            assert_eq!(unresolved[key], "evaluation_failed");
            continue;
        };
        let shown = &found[key];
        for name in ["enabled", "variant"] {
            assert_eq!(shown[name], flag[name], "{key}: {name}");
        }
        for name in ["payload", "id", "version", "has_experiment"] {
            assert_eq!(shown["metadata"][name], flag[name], "{key}: {name}");
        }
    }
}

fn expected(tree: &Value) -> BTreeMap<String, Option<Value>> {
    let payloads = &tree["featureFlagPayloads"];
    match (&tree["flags"], &tree["featureFlags"]) {
        (Value::Object(records), _) => {
            records.iter().map(|(key, record)| (key.clone(), of_record(record))).collect()
        }
        (_, Value::Object(values)) => values
            .iter()
            .map(|(key, value)| {
                let mut flag = of_value(value);
                if let (Some(flag), Some(payload)) =
                    (&mut flag, payloads.get(key).filter(|all| !all.is_null()))
                {
                    flag["payload"] =
                        json!(payload.as_str().map_or_else(|| payload.to_string(), str::to_owned));
                }
                (key.clone(), flag)
            })
            .collect(),
        (_, Value::Array(keys)) => keys
            .iter()
            .filter_map(Value::as_str)
            .map(|key| (key.to_owned(), of_value(&json!(true))))
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// The flag of one value: a text is a variant; a number or an object is the payload of a flag that is on.
fn of_value(value: &Value) -> Option<Value> {
    let mut flag = json!({"enabled": true, "variant": null, "payload": null, "id": 0, "version": 0});
    match value {
        Value::Null | Value::Bool(false) => flag["enabled"] = json!(false),
        Value::Bool(true) => {}
        Value::String(variant) => flag["variant"] = json!(variant),
        Value::Number(_) | Value::Object(_) => flag["payload"] = json!(value.to_string()),
        Value::Array(_) => return None,
    }
    Some(flag)
}

/// A whole number, also one that is written with a fraction of 0.
#[allow(clippy::cast_possible_truncation, reason = "checked")]
fn whole(value: &Value) -> Option<i64> {
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(whole))
}

/// Whether a part of a flag has its type.
type Fits = fn(&Value) -> bool;

fn of_record(record: &Value) -> Option<Value> {
    let empty = Map::new();
    let part = |path: &[&str]| path.iter().fold(record, |value, key| &value[key]).clone();
    let types: [(&[&str], Fits); 16] = [
        (&["enabled"], Value::is_boolean),
        (&["variant"], Value::is_string),
        (&["failed"], Value::is_boolean),
        (&["reason"], Value::is_object),
        (&["reason", "code"], Value::is_string),
        (&["reason", "description"], Value::is_string),
        (&["reason", "condition_index"], |value| whole(value).is_some()),
        (&["metadata"], Value::is_object),
        (&["metadata", "id"], |value| whole(value).is_some()),
        (&["metadata", "version"], |value| whole(value).is_some()),
        (&["metadata", "payload"], Value::is_string),
        (&["metadata", "has_experiment"], Value::is_boolean),
        (&["metadata", "config_version"], |value| whole(value).is_some()),
        (&["metadata", "rule_type"], Value::is_string),
        (&["metadata", "rule_id"], Value::is_string),
        (&["metadata", "variant_key"], Value::is_string),
    ];
    let fits = types.iter().all(|(path, fits)| part(path).is_null() || fits(&part(path)));
    if !record.is_object() || !fits || record["failed"] == true {
        return None;
    }
    let value = record.as_object().unwrap_or(&empty).get("value").cloned().unwrap_or_else(|| {
        [&record["variant"], &record["enabled"]]
            .into_iter()
            .find(|value| !value.is_null())
            .cloned()
            .unwrap_or_default()
    });
    let mut flag = of_value(&value)?;
    let payload = part(&["metadata", "payload"]);
    if flag["payload"].is_null() && payload.is_string() {
        flag["payload"] = payload;
    }
    flag["id"] = json!(whole(&part(&["metadata", "id"])).unwrap_or(0));
    flag["version"] = json!(whole(&part(&["metadata", "version"])).unwrap_or(0));
    flag["has_experiment"] = part(&["metadata", "has_experiment"]);
    Some(flag)
}
