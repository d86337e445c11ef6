//! Evaluation as a whole: published cases, every operator, and a comparison with a second evaluator.
#![allow(
    clippy::cast_precision_loss,
    clippy::float_cmp,
    clippy::format_collect,
    clippy::too_many_lines,
    reason = "tables and exact numbers"
)]

mod cases;
mod generators;
mod naive;
mod operators;

use serde_json::{Value, json};

use super::{Definitions, Found, OfClient, Query, Snapshot};
use crate::random::Random;
use naive::{Expected, Naive};

/// 2024-03-31T12:00:00Z
const NOW: i128 = 1_711_886_400_000_000_000;
const AT_NOW: OfClient<'static> = OfClient { contexts: &[], now: NOW };

/// The query for a person: `{"distinct_id", "properties", "groups": {type: {"key", "properties"}}, "device_id"}`.
fn query(person: &Value) -> Query {
    let mut query = Query::new(person["distinct_id"].as_str().unwrap_or_default());
    if let Some(properties) = person["properties"].as_object() {
        for (key, value) in properties {
            query.set_person(key, value.to_string().as_bytes()).unwrap();
        }
    }
    for (kind, group) in person["groups"].as_object().into_iter().flatten() {
        let properties = group["properties"].to_string();
        let properties = Some(properties.as_bytes()).filter(|text| *text != b"null");
        assert!(query.set_group(kind, group["key"].as_str().unwrap(), properties).unwrap());
    }
    if let Some(device) = person["device_id"].as_str() {
        query.set_device_id(device);
    }
    query
}

fn value_of(found: &Found<'_>) -> Expected {
    match found.outcome.value {
        super::Value::False => Expected::Value(json!(false)),
        super::Value::True => Expected::Value(json!(true)),
        super::Value::Variant(_) => Expected::Value(json!(found.variant().unwrap())),
        super::Value::Unresolved(reason) => Expected::Unknown(reason.name().to_str().unwrap()),
    }
}

fn snapshot(definitions: &Value, query: &Query) -> Snapshot {
    let definitions = Definitions::new(definitions.to_string().as_bytes()).unwrap();
    Snapshot::new(Some(definitions.into()), query, AT_NOW)
}

/// The value of one flag.
fn value(definitions: &Value, person: &Value, key: &str) -> Expected {
    let mut query = query(person);
    query.add_key(key);
    value_of(&snapshot(definitions, &query).get(key).unwrap())
}

/// Definitions of one flag `f` with these filters.
fn one_flag(filters: &Value) -> Value {
    json!({"flags": [{"id": 1, "key": "f", "active": true, "version": 3, "filters": filters}]})
}

#[test]
fn a_second_evaluator_over_json_trees_finds_the_same_values() {
    let (mut unknown, mut on, mut variants) = (0, 0, 0);
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let definitions = generators::definitions(&mut random);
        let loaded = std::sync::Arc::new(Definitions::new(definitions.to_string().as_bytes()).unwrap());
        for _ in 0..4 {
            let person = generators::person(&mut random);
            let naive = Naive { definitions: &definitions, person: &person };
            let mut query = query(&person);
            query.add_context("web");
            let all = Snapshot::new(Some(loaded.clone()), &query, AT_NOW);
            for flag in definitions["flags"].as_array().unwrap() {
                let key = flag["key"].as_str().unwrap();
                if !naive.exists(key) {
                    assert!(all.get(key).is_none());
                    continue;
                }
                let expected = naive.flag(key);
                let context =
                    || format!("seed {seed}, flag {key}: {flag:#}\n{person:#}\n{:#}", definitions["cohorts"]);
                assert_eq!(value_of(&all.get(key).unwrap()), expected, "{}", context());
                let mut query = query.clone();
                query.add_key(key);
                let alone = Snapshot::new(Some(loaded.clone()), &query, AT_NOW);
                assert_eq!(value_of(&alone.get(key).unwrap()), expected, "alone, {}", context());
                unknown += usize::from(matches!(expected, Expected::Unknown(_)));
                on += usize::from(expected == Expected::Value(json!(true)));
                variants += usize::from(matches!(expected, Expected::Value(Value::String(_))));
            }
        }
    }
    // The worlds are neither all unknown nor all off.
    assert!(unknown > 1000 && on > 1000 && variants > 500, "{unknown} {on} {variants}");
}
