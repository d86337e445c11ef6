//! Random definitions, and persons for them. They are small worlds, so that filters match and refer to what there is.

use serde_json::{Map, Value, json};

use super::super::operator;
use crate::random::Random;

const KEYS: [&str; 5] = ["plan", "age", "version", "since", "email"];
const FLAGS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

pub(super) fn value(random: &mut Random) -> Value {
    let text = random.one_of(&[
        "pro",
        "PRO",
        "Pr",
        "",
        "true",
        "False",
        "banana",
        "10",
        "9",
        "1e1",
        "NaN",
        "Ünï",
        "ünÏ@x.de",
        "ΟΔΟΣ",
        "null",
        "1.2.3",
        "v1.2",
        "1.2.3-rc.1",
        "01.2",
        "2.0.0",
        "2024-01-01T00:00:00Z",
        "2024-06-01T00:00:00Z",
        "someday",
    ]);
    match random.below(12) {
        0 => json!(random.below(12)),
        1 => json!(10.0),
        2 => json!(random.percent(50)),
        3 => Value::Null,
        4 => json!([random.below(12), 10]),
        5 => json!([]),
        6 => (0..random.below(4)).map(|_| simple(random)).collect(),
        7 => json!({"b": 1, "a": [1.5]}),
        _ => json!(text),
    }
}

fn simple(random: &mut Random) -> Value {
    random
        .one_of(&[
            &json!("pro"),
            &json!("true"),
            &json!(false),
            &json!(10),
            &json!("Ünï"),
            &json!([true]),
            &json!(null),
        ])
        .clone()
}

/// A value for a filter, where operators find what they understand more often than not.
fn wanted(random: &mut Random, operator: &str) -> Value {
    let text = match operator {
        "regex" | "not_regex" => {
            let here = ["^p", "(?i)PRO", "o$", r"\d+", "^(a|b)*$", "", r"\w+@", "(?:(?i)p)R", "[*+]?1"];
            let there = ["[", "(?<=a)n", r"(.)\1", r"\bpro\b", r"\B", r"\<p", r"o\>"];
            // Read in two ways, or valid for one of the two engines only.
            let differently =
                ["a**", "a+*b", ".*+x", "1{1}{2}", "((?i)P)ro", "(?x)[a b]", "(?:)*", "(?-u)a", "(?R)a"];
            let patterns = random.one_of(&[&here[..], &here, &there, &differently]);
            random.one_of(patterns)
        }
        "semver_tilde" | "semver_caret" | "semver_eq" | "semver_neq" | "semver_gt" | "semver_gte"
        | "semver_lt" | "semver_lte" => {
            random.one_of(&["1.2.3", "v1.2", "1", "2.0.0", "1.2.3-rc.2", "x", "01.02"])
        }
        "semver_wildcard" => random.one_of(&["1.*", "1.2.*", "*", "v1.*.*", "1.*.3", "01.*"]),
        "between" | "not_between" => {
            return random
                .one_of(&[&json!([1, 9]), &json!(["1", 10.0]), &json!([9, 1]), &json!([1]), &json!("1")])
                .clone();
        }
        _ => return value(random),
    };
    json!(text)
}

fn property(random: &mut Random) -> Map<String, Value> {
    let names: Vec<&str> = operator::names().collect();
    let operator = if random.percent(2) { "is_like" } else { random.one_of(&names) };
    let mut filter = Map::new();
    filter.insert("key".into(), json!(random.one_of(&KEYS)));
    if !random.percent(10) {
        filter.insert("operator".into(), json!(operator));
    }
    let wanted = if random.percent(50) { wanted(random, operator) } else { value(random) };
    if !random.percent(5) {
        filter.insert("value".into(), wanted);
    }
    filter
}

/// A filter of a condition, or of a cohort.
fn filter(random: &mut Random, in_cohort: bool, before: u64) -> Value {
    let mut filter = property(random);
    match random.below(20) {
        0..3 => {
            let operator = random.one_of(&["in", "not_in", "exact", "gt"]);
            // In a cohort only those that come before: a circle is a test of its own.
            let cohort = if in_cohort { random.below(before + 1) + 11 - before } else { random.below(12) };
            let cohort = if cohort == 11 { json!("static") } else { json!(cohort) };
            filter = json!({"type": "cohort", "key": "id", "value": cohort, "operator": operator})
                .as_object()
                .unwrap()
                .clone();
            if random.percent(30) {
                filter.remove("operator");
            }
        }
        3..6 if !in_cohort && before > 0 => {
            let target = FLAGS[usize::try_from(random.below(before)).unwrap()];
            let value = random
                .one_of(&[&json!(true), &json!(false), &json!("test"), &json!("holdout-4"), &json!(1)])
                .clone();
            let chain = random
                .one_of(&[&json!([target]), &json!([FLAGS[0], target]), &json!([]), &json!(["nowhere"])])
                .clone();
            filter = json!({
                "type": "flag", "key": target, "operator": "flag_evaluates_to", "value": value, "dependency_chain": chain,
            })
            .as_object()
            .unwrap()
            .clone();
        }
        6 => {
            let kind = random.one_of(&["group", "group", "person_metadata", "behavioral"]);
            filter.insert("type".into(), json!(kind));
            if random.percent(60) {
                filter.insert("group_type_index".into(), json!(random.one_of(&[0, 1, 1, 7])));
            }
        }
        7..12 => _ = filter.insert("type".into(), json!("person")),
        _ => {}
    }
    if random.percent(15) {
        filter.insert("negation".into(), json!(true));
    }
    Value::Object(filter)
}

fn list(random: &mut Random, in_cohort: bool, before: u64) -> Value {
    let length = random.one_of(&[0, 1, 1, 1, 2, 3]);
    (0..length).map(|_| filter(random, in_cohort, before)).collect()
}

fn condition(random: &mut Random, before: u64) -> Value {
    let mut condition = json!({"properties": list(random, false, before)});
    match random.below(6) {
        0 => condition["rollout_percentage"] = Value::Null,
        1 => condition["rollout_percentage"] = json!(100),
        2 => condition["rollout_percentage"] = json!(33.34),
        3 => condition["rollout_percentage"] = json!(random.below(101)),
        _ => {}
    }
    if random.percent(30) {
        condition["variant"] = json!(random.one_of(&["test", "control", "nothing"]));
    }
    if random.percent(15) {
        condition["aggregation_group_type_index"] =
            random.one_of(&[&json!(0), &json!(null), &json!(7)]).clone();
    }
    condition
}

fn flag(random: &mut Random, position: u64) -> Value {
    let mut filters = json!({
        "groups": (0..random.below(4)).map(|_| condition(random, position)).collect::<Vec<_>>(),
        "payloads": {"true": "{}", "test": "1"},
    });
    if random.percent(40) {
        let share = random.one_of(&[50.0, 33.33, 10.0]);
        filters["multivariate"] = json!({"variants": [
            {"key": "control", "rollout_percentage": share}, {"key": "test", "rollout_percentage": 40},
        ]});
    }
    let extras = [
        ("holdout", json!({"id": 4, "exclusion_percentage": random.one_of(&[10.0, 50.0, 100.0, 0.0])})),
        ("early_exit", json!(true)),
        ("feature_enrollment", json!(true)),
        ("super_groups", json!([{}])),
        ("version", json!(random.one_of(&[1, 2]))),
        ("aggregation_group_type_index", json!(random.one_of(&[0, 1, 0, 7]))),
    ];
    for (name, extra) in extras {
        if random.percent(8) {
            filters[name] = extra;
        }
    }
    let mut flag = json!({"id": position, "key": FLAGS[usize::try_from(position).unwrap()], "active": true, "filters": filters});
    if random.percent(10) {
        flag["active"] = json!(false);
    }
    if random.percent(5) {
        flag["ensure_experience_continuity"] = json!(true);
    }
    if random.percent(15) {
        flag["bucketing_identifier"] = json!("device_id");
    }
    if random.percent(8) {
        flag["evaluation_runtime"] = json!(random.one_of(&["client", "server"]));
    }
    if random.percent(10) {
        flag["evaluation_contexts"] = json!([random.one_of(&["web", "docs"])]);
    }
    flag
}

fn group(random: &mut Random, depth: u64, before: u64) -> Value {
    if random.percent(5) {
        return json!({});
    }
    let values: Value = (0..random.below(4))
        .map(|_| {
            if depth > 0 && random.percent(40) {
                group(random, depth - 1, before)
            } else {
                filter(random, true, before)
            }
        })
        .collect();
    json!({"type": random.one_of(&["AND", "OR"]), "values": values})
}

pub(super) fn definitions(random: &mut Random) -> Value {
    let mut cohorts = Map::new();
    for id in 0..4 {
        cohorts.insert((10 - id).to_string(), group(random, 2, id));
        cohorts.insert(id.to_string(), group(random, 2, id));
    }
    let flags: Vec<Value> = (0..FLAGS.len() as u64).map(|position| flag(random, position)).collect();
    json!({
        "flags": flags,
        "cohorts": cohorts,
        "group_type_mapping": {"0": "company", "1": "team"},
        "property_matching_version": random.one_of(&[1, 2]),
    })
}

pub(super) fn person(random: &mut Random) -> Value {
    let properties = |random: &mut Random| -> Map<String, Value> {
        KEYS.iter()
            .filter_map(
                |key| if random.percent(15) { None } else { Some(((*key).to_owned(), value(random))) },
            )
            .collect()
    };
    let mut of_person = properties(random);
    for flag in FLAGS {
        if random.percent(50) {
            of_person.insert(
                format!("$feature_enrollment/{flag}"),
                random.one_of(&[&json!(true), &json!("true"), &json!("no")]).clone(),
            );
        }
    }
    if random.percent(30) {
        of_person
            .insert("$device_id".into(), random.one_of(&[&json!("device"), &json!(7), &json!("")]).clone());
    }
    let mut groups = Map::new();
    for kind in ["company", "team"] {
        if random.percent(60) {
            let key = if random.percent(10) { String::new() } else { format!("g{}", random.below(20)) };
            groups.insert(kind.into(), json!({"key": key, "properties": properties(random)}));
        }
    }
    let mut person = json!({"distinct_id": format!("user-{}", random.below(1000)), "properties": of_person, "groups": groups});
    if random.percent(5) {
        person["distinct_id"] = json!("");
    }
    if random.percent(30) {
        person["device_id"] = json!("other");
    }
    person
}
