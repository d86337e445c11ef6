//! Published cases of evaluation, and shapes of definitions.

use serde_json::{Value, json};

use super::super::{Definitions, Query, Snapshot};
use super::{AT_NOW, Expected, one_flag, query, snapshot, value, value_of};

fn on() -> Expected {
    Expected::Value(json!(true))
}

fn off() -> Expected {
    Expected::Value(json!(false))
}

fn variant(key: &str) -> Expected {
    Expected::Value(json!(key))
}

const UNSUPPORTED: Expected = Expected::Unknown("unsupported_definition");
const MISSING: Expected = Expected::Unknown("missing_context");

fn user(id: &str) -> Value {
    json!({"distinct_id": id})
}

/// A flag with this key.
fn flag(key: &str, filters: &Value) -> Value {
    json!({"flags": [{"key": key, "active": true, "filters": filters}], "group_type_mapping": {"0": "org"}})
}

fn rollout(percentage: f64) -> Value {
    json!({"groups": [{"rollout_percentage": percentage}]})
}

#[test]
fn rollouts_and_variants_are_those_of_the_published_cases() {
    let staged = json!([{"rollout_percentage": 0.0001}, {"rollout_percentage": 60}]);
    let halves = json!([
        {"key": "control", "rollout_percentage": 50}, {"key": "compact", "rollout_percentage": 25},
        {"key": "third", "rollout_percentage": 25},
    ]);
    let layout = |group: Value| json!({"groups": [group], "multivariate": {"variants": halves}});
    let bound = |first: f64| {
        let variants = json!([
            {"key": "first", "rollout_percentage": first}, {"key": "second", "rollout_percentage": 100.0 - first},
        ]);
        json!({"groups": [{}], "multivariate": {"variants": variants}})
    };
    let rows = [
        ("beta-search-rollout", rollout(28.0), "user-105", off()),
        ("beta-search-rollout", rollout(29.0), "user-105", on()),
        ("beta-search-rollout", rollout(25.5), "user-105", off()),
        ("beta-search-rollout", rollout(0.5), "user-61", on()),
        // A bound that is exactly where the person is: within the rollout, and outside of the variant.
        ("beta-search-rollout", rollout(28.512_953_992_930_07), "user-105", on()),
        ("beta-search-rollout", rollout(28.512_953_992_930_05), "user-105", off()),
        ("checkout-layout", bound(13.678_069_113_210_306), "user-17", variant("second")),
        ("checkout-layout", bound(13.678_069_113_210_32), "user-17", variant("first")),
        ("beta-search", rollout(100.0), "user-17", on()),
        ("beta-search", json!({"groups": [{"rollout_percentage": null}]}), "user-17", on()),
        ("beta-search", json!({"groups": []}), "user-17", off()),
        ("beta-search-staged", json!({"groups": staged}), "user-105", on()),
        ("beta-search-staged", json!({"groups": staged, "early_exit": true}), "user-105", off()),
        ("checkout-layout", layout(json!({})), "user-61", variant("compact")),
        ("checkout-layout", layout(json!({})), "user-17", variant("control")),
        ("checkout-layout", layout(json!({"variant": "third"})), "user-17", variant("third")),
        ("checkout-layout-bad-override", layout(json!({"variant": "none"})), "user-17", variant("compact")),
        ("checkout-layout-partial", layout(json!({"rollout_percentage": 50})), "user-77", variant("compact")),
        ("checkout-layout-partial", layout(json!({"rollout_percentage": 50})), "user-105", off()),
        // Nothing is known of an empty id, unless everything is in.
        ("beta-search", rollout(62.0), "", MISSING),
        ("beta-search", rollout(0.0), "", MISSING),
        ("beta-search", rollout(100.0), "", on()),
        ("checkout-layout", layout(json!({})), "", MISSING),
        (
            "f",
            json!({"holdout": {"id": 4, "exclusion_percentage": 10}, "groups": [{}]}),
            "user-31",
            variant("holdout-4"),
        ),
        ("f", json!({"holdout": {"id": 4, "exclusion_percentage": 1}, "groups": [{}]}), "user-31", on()),
        ("f", json!({"holdout": {"id": 4, "exclusion_percentage": 10}, "groups": [{}]}), "user-77", on()),
        ("f", json!({"holdout": {"id": 4, "exclusion_percentage": 500}}), "user-77", variant("holdout-4")),
        ("f", json!({"holdout": {"id": 4, "exclusion_percentage": 92}, "groups": [{}]}), "", on()),
        (
            "f",
            json!({"holdout": {"id": 4, "exclusion_percentage": 93}, "groups": [{}]}),
            "",
            variant("holdout-4"),
        ),
    ];
    for (key, filters, id, expected) in rows {
        assert_eq!(value(&flag(key, &filters), &user(id), key), expected, "{key} {filters} {id:?}");
    }
    let cut = "a".repeat(205);
    assert_eq!(value(&flag("beta-search", &rollout(10.74)), &user(&cut), "beta-search"), off());
    assert_eq!(value(&flag("beta-search", &rollout(10.75)), &user(&cut), "beta-search"), on());
}

#[test]
fn groups_are_put_into_rollouts_by_their_key() {
    let of_group = |more: Value| {
        let mut filters = json!({"aggregation_group_type_index": 0, "groups": [{"rollout_percentage": 60}]});
        filters["groups"][0].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        flag("org-dashboard", &filters)
    };
    let member = |key: &str, properties: Value| json!({"distinct_id": "u", "groups": {"org": {"key": key, "properties": properties}}});
    let plan =
        json!({"properties": [{"key": "plan", "type": "group", "group_type_index": 0, "value": "pro"}]});
    let key_filter = json!({"properties": [{"key": "$group_key", "value": "org-9"}]});
    for (more, person, expected) in [
        (json!({}), member("org-9", json!({})), on()),
        (json!({}), member("org-9", Value::Null), on()),
        (json!({}), member("org-12", json!({})), off()),
        (json!({}), member("42", json!({})), on()),
        (json!({}), user("u"), off()),
        (plan.clone(), member("org-9", json!({"plan": "PRO"})), on()),
        (plan.clone(), member("org-9", json!({"plan": "free"})), off()),
        (plan.clone(), member("org-9", Value::Null), MISSING),
        (key_filter, member("org-9", Value::Null), on()),
        (json!({"aggregation_group_type_index": null, "rollout_percentage": 100}), user("u"), on()),
        (json!({"aggregation_group_type_index": 5}), member("org-9", json!({})), off()),
        // A group without a key counts as not given.
        (json!({"rollout_percentage": 100}), member("", json!({})), off()),
        (plan.clone(), member("", json!({"plan": "pro"})), off()),
    ] {
        assert_eq!(value(&of_group(more.clone()), &person, "org-dashboard"), expected, "{more} {person}");
    }
    let unknown_type = flag("f", &json!({"aggregation_group_type_index": 3, "groups": [{}]}));
    assert_eq!(value(&unknown_type, &member("x", json!({})), "f"), UNSUPPORTED);
    for person in [user("u"), member("", json!({}))] {
        let no_group = snapshot(&of_group(json!({})), &query(&person));
        assert_eq!(no_group.get("org-dashboard").unwrap().outcome.reason.name(), c"no_group_type");
    }
    // The hash of a holdout is made of an empty key, too.
    let held = |share: i64| json!({"aggregation_group_type_index": 0, "holdout": {"id": 4, "exclusion_percentage": share}, "groups": []});
    for person in [user("u"), member("", json!({}))] {
        assert_eq!(value(&flag("f", &held(92)), &person, "f"), off());
        assert_eq!(value(&flag("f", &held(93)), &person, "f"), variant("holdout-4"));
    }
}

#[test]
fn a_filter_compares_the_properties_of_its_own_type() {
    let definitions = |aggregation: Value, filter: Value| {
        let mut definitions = one_flag(&json!({"groups": [
            {"aggregation_group_type_index": aggregation, "properties": [filter]}]}));
        definitions["group_type_mapping"] = json!({"0": "org", "1": "team"});
        definitions
    };
    let filter = |value: &str, more: Value| {
        let mut filter = json!({"key": "plan", "value": value, "operator": "exact"});
        filter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        filter
    };
    let person = json!({"distinct_id": "u", "properties": {"plan": "person's"}, "groups": {
        "org": {"key": "o", "properties": {"plan": "org's"}}, "team": {"key": "t", "properties": {"plan": "team's"}}}});
    let without = |kind: &str| {
        let mut person = person.clone();
        person["groups"].as_object_mut().unwrap().remove(kind);
        person
    };
    let (of_person, of_group) = (json!({"type": "person"}), json!({"type": "group"}));
    let of_team = json!({"type": "group", "group_type_index": 1});
    for (aggregation, filter, person, expected) in [
        (json!(0), filter("person's", of_person.clone()), &person, on()),
        (json!(0), filter("org's", of_person.clone()), &person, off()),
        (json!(0), filter("org's", json!({})), &person, on()),
        (json!(0), filter("org's", of_group.clone()), &person, on()),
        (json!(0), filter("team's", of_team.clone()), &person, on()),
        (json!(0), filter("org's", of_team.clone()), &person, off()),
        (json!(null), filter("person's", json!({})), &person, on()),
        (json!(null), filter("person's", of_person), &person, on()),
        (json!(null), filter("team's", of_team.clone()), &person, on()),
        // A group that is not given may have any properties; that the person is in none decides before that.
        (json!(null), filter("team's", of_team.clone()), &without("team"), MISSING),
        (json!(0), filter("team's", of_team.clone()), &without("team"), MISSING),
        (json!(0), filter("team's", of_team), &without("org"), off()),
        (json!(null), filter("org's", of_group), &person, UNSUPPORTED),
        (json!(0), filter("org's", json!({"type": "group", "group_type_index": 7})), &person, UNSUPPORTED),
    ] {
        let found = value(&definitions(aggregation.clone(), filter.clone()), person, "f");
        assert_eq!(found, expected, "{aggregation} {filter} {person}");
    }
}

#[test]
fn devices_are_put_into_rollouts_by_their_own_id() {
    let mut definitions = flag("beta-search-rollout", &rollout(29.0));
    definitions["flags"][0]["bucketing_identifier"] = json!("device_id");
    for (person, expected) in [
        (json!({"distinct_id": "u", "device_id": "user-105"}), on()),
        (json!({"distinct_id": "user-105", "properties": {"$device_id": "user-105"}}), on()),
        (json!({"distinct_id": "user-105", "device_id": ""}), MISSING),
        (json!({"distinct_id": "user-105", "properties": {"$device_id": 105}}), MISSING),
        (json!({"distinct_id": "user-105", "properties": {"$device_id": null}}), MISSING),
        (json!({"distinct_id": "user-105", "properties": {"$device_id": ""}}), MISSING),
        (user("user-105"), MISSING),
    ] {
        assert_eq!(value(&definitions, &person, "beta-search-rollout"), expected, "{person}");
    }
}

#[test]
fn what_decides_before_the_conditions_is_in_the_order_of_the_server() {
    let with = |members: Value, filters: Value| {
        let mut flag = json!({"key": "f", "active": true, "filters": filters});
        flag.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({"flags": [flag]})
    };
    let all = json!({"groups": [{}]});
    let enrolled = |value: Value| json!({"distinct_id": "u", "properties": {"$feature_enrollment/f": value}});
    let enrollment = json!({"groups": [], "feature_enrollment": true});
    for (definitions, person, expected) in [
        (with(json!({"active": false}), all.clone()), user("u"), off()),
        (with(json!({"deleted": true}), all.clone()), user("u"), off()),
        (with(json!({"active": false, "ensure_experience_continuity": true}), all.clone()), user("u"), off()),
        (with(json!({"active": false}), json!("text")), user("u"), off()),
        (
            with(json!({"ensure_experience_continuity": true}), all.clone()),
            user("u"),
            Expected::Unknown("experience_continuity"),
        ),
        (with(json!({}), enrollment.clone()), enrolled(json!(true)), on()),
        (with(json!({}), enrollment.clone()), enrolled(json!("true")), on()),
        (with(json!({}), enrollment.clone()), enrolled(json!("TRUE")), off()),
        (with(json!({}), json!({"groups": [{}], "feature_enrollment": true})), enrolled(json!(false)), off()),
        (with(json!({}), enrollment), user("u"), MISSING),
    ] {
        assert_eq!(value(&definitions, &person, "f"), expected, "{definitions} {person}");
    }
}

#[test]
fn an_unknown_shape_makes_its_own_flag_unresolved_and_no_other() {
    for filters in [
        json!({"version": 2, "rules": []}),
        json!({"version": "1", "groups": [{}]}),
        json!({"version": true, "groups": [{}]}),
        json!({"groups": {}}),
        json!({"groups": ["x"]}),
        json!({"groups": [{"rollout_percentage": "50"}]}),
        json!({"groups": [{"properties": "x"}]}),
        json!({"groups": [{"properties": [1]}]}),
        json!({"groups": [{"properties": [{"operator": "exact", "value": 1}]}]}),
        json!({"groups": [{"properties": [{"key": "distinct_id", "operator": 1, "value": 1}]}]}),
        json!({"groups": [{"properties": [{"key": "distinct_id", "operator": "is_like", "value": 1}]}]}),
        json!({"groups": [{"properties": [{"key": "distinct_id", "type": "behavioral", "value": 1}]}]}),
        json!({"groups": [{"properties": [{"key": "id", "type": "cohort", "value": 99}]}]}),
        json!({"groups": [{"properties": [{"key": "id", "type": "cohort", "operator": "gt", "value": 1}]}]}),
        json!({"groups": [{}], "multivariate": {"variants": [{"key": "a"}]}}),
        json!({"groups": [{}], "multivariate": {"variants": "x"}}),
        json!({"groups": [{}], "payloads": [1]}),
        json!({"groups": [{}], "holdout": {"id": 1}}),
        json!({"groups": [{}], "holdout_groups": [{"rollout_percentage": 10}]}),
        json!({"groups": [{}], "super_groups": [{}]}),
        json!({"groups": [{}], "aggregation_group_type_index": "0"}),
        json!("text"),
    ] {
        let definitions = json!({"flags": [
            5, null, {"id": 1}, {"key": 7}, {"key": "f", "active": true, "filters": filters},
            {"key": "g", "active": true, "filters": {"groups": [{}]}},
        ], "cohorts": {"1": {"type": "AND", "values": []}}});
        assert_eq!(value(&definitions, &user("u"), "f"), UNSUPPORTED, "{filters}");
        assert_eq!(value(&definitions, &user("u"), "g"), on(), "{filters}");
    }
    for (text, part) in [
        ("", "byte 0"),
        ("[]", "a list \"flags\""),
        ("{\"flags\":{}}", "a list \"flags\""),
        ("{\"flags\":[}", "byte 10"),
    ] {
        let error = Definitions::new(text.as_bytes()).unwrap_err();
        assert!(error.message.contains(part), "{error}");
    }
    assert_eq!(Definitions::new(b"{\"flags\":[],\"cohorts\":5,\"group_type_mapping\":[]}").unwrap().len(), 0);
    // Of two flags with one key the last one counts.
    let twice = json!({"flags": [{"key": "f", "active": true, "filters": {"groups": [{}]}}, {"key": "f", "active": false}]});
    assert_eq!(value(&twice, &user("u"), "f"), off());
}

fn with_cohorts(properties: &Value, cohorts: Value) -> Value {
    let mut definitions = one_flag(&json!({"groups": [{"properties": properties}, {"variant": "later"}],
        "multivariate": {"variants": [{"key": "later", "rollout_percentage": 0}]}}));
    definitions["cohorts"] = cohorts;
    definitions["flags"][0]["filters"]["groups"][1]["rollout_percentage"] = json!(100);
    definitions
}

#[test]
fn cohorts_are_as_certain_as_their_parts_allow() {
    let pro = json!({"key": "plan", "value": "pro", "type": "person"});
    let not_pro = json!({"key": "plan", "value": "pro", "negation": true});
    let unknown = json!({"key": "nothing", "value": "x"});
    let cohort = |id: Value| json!({"type": "cohort", "key": "id", "value": id});
    let and = |values: Value| json!({"type": "AND", "values": values});
    let or = |values: Value| json!({"type": "OR", "values": values});
    let person = json!({"distinct_id": "u", "properties": {"plan": "pro"}});
    let later = variant("later");
    for (root, negated, expected) in [
        (json!({}), false, on()),
        (json!({}), true, later.clone()),
        (and(json!([])), false, on()),
        (or(json!([])), false, on()),
        (and(json!([pro])), false, on()),
        (and(json!([not_pro])), false, later.clone()),
        (or(json!([not_pro, {}])), false, on()),
        (and(json!([pro, or(json!([not_pro, pro]))])), false, on()),
        (and(json!([or(json!([not_pro])), pro])), true, on()),
        // One part that is certain can decide.
        (and(json!([unknown, not_pro])), false, later.clone()),
        (and(json!([unknown, not_pro])), true, on()),
        (or(json!([unknown, pro])), false, on()),
        (or(json!([cohort(json!("static")), pro])), false, on()),
        // Else a missing property leaves it to a later condition, and a static cohort to none.
        (and(json!([unknown, pro])), false, later.clone()),
        (or(json!([unknown, not_pro])), true, later.clone()),
        (and(json!([cohort(json!("static")), pro])), false, UNSUPPORTED),
        (and(json!([unknown, cohort(json!("static"))])), false, UNSUPPORTED),
        (and(json!([cohort(json!("static")), unknown])), false, UNSUPPORTED),
        (or(json!([not_pro, or(json!([unknown, cohort(json!("static"))]))])), false, UNSUPPORTED),
        (or(json!([unknown, cohort(json!("static"))])), true, UNSUPPORTED),
        (json!({"type": "XOR", "values": [pro]}), false, UNSUPPORTED),
        (json!({"type": "AND", "values": 5}), false, UNSUPPORTED),
        (json!("text"), false, UNSUPPORTED),
        (and(json!([cohort(json!(2))])), false, on()),
        (and(json!([cohort(json!("3"))])), false, UNSUPPORTED),
    ] {
        let operator = if negated { "not_in" } else { "in" };
        let filter =
            json!([{"type": "cohort", "key": "id", "value": 1, "operator": operator, "negation": true}]);
        let cohorts = json!({"1": root, "2": and(json!([pro])), "3": and(json!([cohort(json!(3))]))});
        let definitions = with_cohorts(&filter, cohorts);
        let found = value(&definitions, &person, "f");
        assert_eq!(found, expected, "{root} {operator}");
    }
}

#[test]
fn cohorts_in_circles_and_too_many_of_them_are_left_to_the_server() {
    let member = |id: String| json!({"type": "cohort", "key": "id", "value": id});
    let filter = json!([member("0".to_owned())]);
    // Each refers to the next one twice: a million ways.
    let mut cohorts = serde_json::Map::new();
    for id in 0..19 {
        let next = member((id + 1).to_string());
        cohorts.insert(id.to_string(), json!({"type": "OR", "values": [next, next]}));
    }
    cohorts.insert("19".to_owned(), json!({}));
    assert_eq!(value(&with_cohorts(&filter, Value::Object(cohorts)), &user("u"), "f"), UNSUPPORTED);
    let circle = json!({"0": {"type": "OR", "values": [member("1".to_owned())]}, "1": {"type": "OR", "values": [member("0".to_owned())]}});
    assert_eq!(value(&with_cohorts(&filter, circle), &user("u"), "f"), UNSUPPORTED);
}

#[test]
fn a_flag_can_depend_on_others() {
    let on_flag = |key: &str, value: Value, chain: Value| {
        json!({"groups": [{"properties": [
            {"type": "flag", "key": key, "operator": "flag_evaluates_to", "value": value, "dependency_chain": chain}]}]})
    };
    let flag = |key: &str, filters: Value| json!({"key": key, "active": true, "filters": filters});
    let two = json!([{"key": "test", "rollout_percentage": 100}]);
    let base = |first: Value| {
        json!({"flags": [
            first,
            flag("on", json!({"groups": [{}]})),
            flag("off", json!({"groups": []})),
            flag("variant", json!({"groups": [{}], "multivariate": {"variants": two}})),
            flag("unknown", json!({"groups": [{"properties": [{"key": "x", "value": 1}]}]})),
            {"key": "inactive", "active": false},
            flag("middle", on_flag("on", json!(true), json!(["on"]))),
            flag("circle", on_flag("circle2", json!(true), json!(["circle2"]))),
            flag("circle2", on_flag("circle", json!(true), json!(["circle"]))),
        ]})
    };
    let unresolved = Expected::Unknown("unresolved_dependency");
    for (key, wanted, chain, expected) in [
        ("on", json!(true), json!(["on"]), on()),
        ("on", json!(false), json!(["on"]), off()),
        ("off", json!(true), json!(["off"]), off()),
        ("off", json!(false), json!(["off"]), on()),
        ("inactive", json!(false), json!(["inactive"]), on()),
        ("variant", json!(true), json!(["variant"]), on()),
        ("variant", json!("test"), json!(["variant"]), on()),
        ("variant", json!("Test"), json!(["variant"]), off()),
        ("variant", json!(1), json!(["variant"]), off()),
        ("middle", json!(true), json!(["on", "middle"]), on()),
        ("unknown", json!(true), json!(["unknown"]), unresolved.clone()),
        ("on", json!(true), json!(["unknown", "on"]), unresolved),
        ("on", json!(true), json!([]), UNSUPPORTED),
        ("on", json!(true), Value::Null, UNSUPPORTED),
        ("nowhere", json!(true), json!(["nowhere"]), UNSUPPORTED),
        ("circle", json!(true), json!(["circle"]), UNSUPPORTED),
    ] {
        let definitions = base(flag("f", on_flag(key, wanted.clone(), chain.clone())));
        assert_eq!(value(&definitions, &user("u"), "f"), expected, "{key} {wanted} {chain}");
    }
    // Neither does a static cohort behind a dependency leave the flag to a later condition.
    let later = json!({"variant": "later"});
    let variants = json!({"variants": [{"key": "later", "rollout_percentage": 0}]});
    let of = |unknown: Value| flag("unknown", json!({"groups": [{"properties": [unknown]}]}));
    for (unknown, expected) in [
        (json!({"key": "id", "type": "cohort", "value": 9}), Expected::Unknown("unresolved_dependency")),
        (json!({"key": "x", "value": 1}), variant("later")),
    ] {
        for (target, chain) in [("unknown", json!(["unknown"])), ("middle", json!(["unknown", "middle"]))] {
            let mut filters = on_flag(target, json!(true), chain);
            filters["groups"].as_array_mut().unwrap().push(later.clone());
            filters["multivariate"] = variants.clone();
            let middle = flag("middle", on_flag("unknown", json!(true), json!(["unknown"])));
            let definitions = json!({"flags": [flag("f", filters.clone()), middle, of(unknown.clone())]});
            assert_eq!(value(&definitions, &user("u"), "f"), expected, "{unknown} {filters}");
        }
    }
    let other_operator = json!({"groups": [{"properties": [{"type": "flag", "key": "on", "operator": "exact", "value": true}]}]});
    assert_eq!(value(&base(flag("f", other_operator)), &user("u"), "f"), off());
    // A chain of a hundred flags is left to the server as a whole, its first half is not.
    let flags: Vec<Value> = (0..100)
        .map(|i| match i {
            0 => flag("0", json!({"groups": [{}]})),
            _ => {
                flag(&i.to_string(), on_flag(&(i - 1).to_string(), json!(true), json!([(i - 1).to_string()])))
            }
        })
        .collect();
    let deep = json!({"flags": flags});
    assert_eq!(value(&deep, &user("u"), "49"), on());
    assert_eq!(value(&deep, &user("u"), "50"), UNSUPPORTED);
}

#[test]
fn a_definite_false_is_not_spoilt_by_what_is_unknown_beside_it() {
    let filter = |key: &str| json!({"key": key, "value": "u"});
    let groups = |first: Value, second: Value| {
        one_flag(&json!({"groups": [{"properties": first}, {"properties": second}]}))
    };
    let early = |percentage: f64| {
        one_flag(&json!({"early_exit": true, "groups": [
            {"properties": [filter("x")]}, {"rollout_percentage": percentage}, {}]}))
    };
    let wrong = json!({"key": "distinct_id", "value": "other"});
    for (definitions, expected) in [
        (groups(json!([filter("x"), wrong]), json!([wrong])), off()),
        (groups(json!([filter("x")]), json!([wrong])), MISSING),
        (groups(json!([filter("x")]), json!([filter("distinct_id")])), on()),
        (early(0.0), MISSING),
    ] {
        assert_eq!(value(&definitions, &user("u"), "f"), expected, "{definitions}");
    }
}

#[test]
fn contexts_and_runtimes_decide_which_flags_exist() {
    let flag = |key: &str, more: Value| {
        let mut flag = json!({"key": key, "active": true, "filters": {"groups": [{}]}});
        flag.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        flag
    };
    let on_flag = |key: &str, value: bool, link: &str| {
        json!({"evaluation_contexts": ["web"], "filters": {"groups": [{"properties": [
            {"type": "flag", "key": key, "operator": "flag_evaluates_to", "value": value, "dependency_chain": [link, key]}]}]}})
    };
    let definitions = json!({"flags": [
        flag("plain", json!({})),
        flag("web", json!({"evaluation_contexts": ["web", "docs"]})),
        flag("app", json!({"evaluation_tags": ["app"]})),
        flag("client", json!({"evaluation_runtime": "client"})),
        flag("server", json!({"evaluation_runtime": "server"})),
        flag("on client", on_flag("client", true, "client")),
        flag("not on client", on_flag("client", false, "client")),
        flag("not on app", on_flag("app", false, "app")),
        flag("behind client", on_flag("plain", true, "client")),
    ]});
    let keys = |contexts: &[&str]| {
        let mut query = Query::new("u");
        for context in contexts {
            query.add_context(context);
        }
        let all = snapshot(&definitions, &query);
        assert!(all.is_complete());
        (0..all.len()).map(|i| all.at(i).unwrap().key().to_owned()).collect::<Vec<_>>().join(", ")
    };
    let dependent = "on client, not on client, not on app, behind client";
    assert_eq!(keys(&[]), format!("plain, web, app, server, {dependent}"));
    assert_eq!(keys(&["web"]), format!("plain, web, server, {dependent}"));
    assert_eq!(keys(&["x", "app"]), "plain, app, server");
    // One that does not exist is off for those that depend on it, whatever its rules are.
    for (contexts, not_on_app) in [(&[][..], off()), (&["web"], on()), (&["web", "app"], off())] {
        let mut query = Query::new("u");
        for context in contexts {
            query.add_context(context);
        }
        let all = snapshot(&definitions, &query);
        let values = ["on client", "not on client", "not on app", "behind client"];
        let values = values.map(|key| value_of(&all.get(key).unwrap()));
        assert_eq!(values, [off(), on(), not_on_app, on()], "{contexts:?}");
    }
    // It is known not to exist, so there is nothing to ask the server.
    let mut query = Query::new("u");
    query.add_key("client");
    let one = snapshot(&definitions, &query);
    assert!(one.get("client").is_none() && one.is_complete());
}

#[test]
fn a_snapshot_says_what_it_has_and_what_it_lacks() {
    let definitions = json!({"flags": [
        {"key": "a", "id": 5, "version": 2, "active": true, "has_experiment": false,
         "filters": {"groups": [{"properties": [{"key": "distinct_id", "value": "x"}]}, {}], "payloads": {"true": "{\"é\":1}", "x": "2"}}},
        {"key": "b\"", "active": true, "filters": {"groups": [{}],
         "multivariate": {"variants": [{"key": "w", "rollout_percentage": 0}, {"key": "v", "rollout_percentage": 100}]},
         "payloads": {"w": "no", "v": {"b": 1, "a": 2}, "true": "no"}}},
        {"key": "c", "active": true, "filters": {"groups": [{"properties": [{"key": "p", "value": 1}]}]}},
        {"key": "d", "active": false, "filters": {"payloads": {"true": "no"}}},
    ]});
    let all = snapshot(&definitions, &Query::new("u"));
    let tree: Value = serde_json::from_str(&all.to_json()).unwrap();
    assert_eq!(
        tree,
        json!({
            "flags": {
                "a": {"key": "a", "enabled": true, "variant": null, "reason": {"code": "condition_match", "condition_index": 1},
                    "metadata": {"id": 5, "version": 2, "payload": "{\"é\":1}", "has_experiment": false}, "locally_evaluated": true},
                "b\"": {"key": "b\"", "enabled": true, "variant": "v", "reason": {"code": "condition_match", "condition_index": 0},
                    "metadata": {"id": 0, "version": 0, "payload": "{\"a\":2,\"b\":1}"}, "locally_evaluated": true},
                "d": {"key": "d", "enabled": false, "variant": null, "reason": {"code": "flag_disabled", "condition_index": null},
                    "metadata": {"id": 0, "version": 0, "payload": null}, "locally_evaluated": true},
            },
            "unresolved": {"c": "missing_context"},
            "error": "local_evaluation_inconclusive",
        })
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&all.event_properties().unwrap()).unwrap(),
        json!({"$feature/a": true, "$feature/b\"": "v", "$feature/d": false, "$active_feature_flags": ["a", "b\""]})
    );
    assert!(all.get("nothing").is_none() && all.at(4).is_none() && !all.is_complete());
    // What was read, and only that.
    let none = all.only_accessed();
    assert_eq!((none.len(), none.event_properties().unwrap().as_slice()), (0, &b"{}"[..]));
    let (found, is_new) = all.read("a");
    assert_eq!((value_of(&found.unwrap()), is_new), (on(), true));
    assert!(!all.read("a").1, "it was read before");
    assert!(all.get("d").is_some() && all.read("nothing").0.is_none());
    let read = all.only_accessed();
    assert_eq!((read.len(), read.at(0).unwrap().key(), read.is_complete()), (1, "a", true));
    assert_eq!(read.only_accessed().len(), 1);
    let some = all.only(&["d", "b\"", "nothing"]);
    assert_eq!((some.len(), some.at(0).unwrap().key(), some.at(1).unwrap().key()), (2, "b\"", "d"));

    let mut query = Query::new("u");
    for key in ["d", "nothing", "c", "d"] {
        query.add_key(key);
    }
    let some = snapshot(&definitions, &query);
    assert_eq!((some.len(), some.error()), (2, c"local_evaluation_inconclusive,flag_missing"));
    let none = Snapshot::new(None, &query, AT_NOW);
    assert_eq!((none.len(), none.error(), none.is_complete()), (0, c"flag_missing", false));
    assert!(!Snapshot::new(None, &Query::new("u"), AT_NOW).is_complete());
}
