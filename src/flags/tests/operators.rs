//! Every operator: a row is a filter's value, a property, and whether they match; `None` is unknown.

use serde_json::{Value, json};

use super::super::operator;
use super::{Expected, one_flag, value};

/// Whether a filter matches a person with this property (or with none).
fn matches(operator: &str, wanted: &Value, property: Option<&Value>, version: i64) -> Option<bool> {
    let filter = json!({"key": "k", "operator": operator, "value": wanted, "type": "person"});
    let mut definitions = one_flag(&json!({"groups": [{"properties": [filter]}]}));
    definitions["property_matching_version"] = json!(version);
    let properties = property.map_or(json!({}), |property| json!({"k": property}));
    match value(&definitions, &json!({"distinct_id": "u", "properties": properties}), "f") {
        Expected::Value(value) => Some(value == true),
        Expected::Unknown(_) => None,
    }
}

#[test]
fn every_operator_has_the_semantics_of_the_server() {
    let yes = Some(true);
    let no = Some(false);
    let rows: Vec<(&str, Value, Value, Option<bool>)> = vec![
        ("exact", json!("pro"), json!("PRO"), yes),
        ("exact", json!("30"), json!(30), yes),
        ("exact", json!(30), json!(30.0), no),
        ("exact", json!(["us", 1]), json!("1"), yes),
        ("exact", json!("ss"), json!("ß"), no),
        ("exact", json!("İ"), json!("i\u{307}"), yes),
        ("exact", Value::Null, json!("null"), no),
        ("is_not", json!("pro"), json!("free"), yes),
        ("is_not", json!(["a", "b"]), json!("B"), no),
        ("is_not", Value::Null, json!("x"), no),
        ("is_set", Value::Null, Value::Null, yes),
        ("is_not_set", Value::Null, Value::Null, no),
        ("icontains", json!("LUE"), json!("a value"), yes),
        ("icontains", json!("ü"), json!("Ü"), no),
        ("icontains", json!("B"), json!("äbÖ"), yes),
        ("icontains", json!("ul"), Value::Null, yes),
        ("icontains", json!(""), json!("ä"), yes),
        ("icontains", json!(3), json!(1.35), yes),
        ("not_icontains", json!("v"), json!("value"), no),
        ("not_icontains", json!("x"), json!("value"), yes),
        ("icontains_multi", json!(["x", "LU"]), json!("value"), yes),
        ("icontains_multi", json!("lu"), json!("value"), yes),
        ("icontains_multi", json!([]), json!("value"), no),
        ("not_icontains_multi", json!(["x", "y"]), json!("value"), yes),
        ("not_icontains_multi", json!(["x", "V"]), json!("value"), no),
        ("starts_with", json!("VAL"), json!("value"), yes),
        ("starts_with", json!("ÄB"), json!("Äb"), yes),
        ("not_starts_with", json!("val"), json!("value"), no),
        ("ends_with", json!("UE"), json!("value"), yes),
        ("ends_with", json!("long value"), json!("ä"), no),
        ("not_ends_with", json!("x"), json!("value"), yes),
        ("regex", json!("^v.l"), json!("value"), yes),
        ("regex", json!("(?i)VALUE"), json!("value"), yes),
        ("regex", json!(r"^\w+$"), json!("Ünï"), yes),
        ("regex", json!("1.5"), json!(1.5), yes),
        ("regex", json!("^(a|a)*$"), json!("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"), no),
        // What the server's engine has beyond the one used here.
        ("regex", json!("(?<!x)lu"), json!("value"), None),
        ("regex", json!(r"(.)\1"), json!("book"), None),
        ("regex", json!("a++b"), json!("aab"), None),
        ("regex", json!("[*+]{2}"), json!("*+"), yes),
        ("regex", json!(r"\bü"), json!("x Übel ü"), None),
        ("not_regex", json!(r"\bbot\b"), json!("robot"), None),
        ("regex", json!("((?i)foo)bar"), json!("FOObar"), None),
        ("regex", json!("(?:(?i)foo)bar"), json!("FOObar"), yes),
        ("regex", json!("(?x)[a b]"), json!("a"), None),
        ("regex", json!("a{2}{3}"), json!("aaaaaa"), None),
        ("regex", json!(r"\p{Greek}"), json!("α"), None),
        ("regex", json!("["), json!("["), None),
        ("not_regex", json!("["), json!("x"), None),
        ("not_regex", json!("^v"), json!("value"), no),
        ("not_regex", json!("^x"), json!("value"), yes),
        ("gt", json!(9), json!("10"), yes),
        ("gt", json!("9"), json!(10), yes),
        ("gt", json!(9), json!("10abc"), no),
        ("gt", json!("x"), json!(10), no),
        ("gt", json!(9), json!("inf"), yes),
        ("gt", json!(9), json!("NaN"), no),
        ("gte", json!(10), json!(10.0), yes),
        ("lt", json!(10), json!(" 9"), no),
        ("lt", json!(10), json!("9"), yes),
        ("lte", json!(10), json!("1e1"), yes),
        ("lte", json!(10), json!(true), no),
        ("between", json!([1, "3"]), json!(3), yes),
        ("between", json!([1, 3]), json!(4), no),
        ("between", json!([3, 1]), json!(2), no),
        ("between", json!([1]), json!(1), no),
        ("not_between", json!([1, 3]), json!(4), yes),
        ("not_between", json!([3, 1]), json!(4), no),
        ("not_between", json!([1, 3]), json!("NaN"), no),
        ("not_between", json!([1, 3]), json!("x"), no),
        ("is_date_before", json!("2024-01-02T00:00:00Z"), json!("2024-01-02T00:00:00+00:01"), yes),
        ("is_date_before", json!("2024-01-02T00:00:00Z"), json!(1_704_067_200), yes),
        ("is_date_before", json!("-1d"), json!("2024-03-30T11:59:59Z"), yes),
        ("is_date_before", json!("1d"), json!("2024-03-30T12:00:00Z"), no),
        ("is_date_before", json!("2024-01-02"), json!("2024-01-01T00:00:00Z"), None),
        ("is_date_before", json!("2024-01-02T00:00:00Z"), json!("2024-01-01"), None),
        ("is_date_before", json!(5), json!("2024-01-01T00:00:00Z"), no),
        ("is_date_before", json!("2024-01-02"), json!("someday"), no),
        ("is_date_before", json!("someday"), json!("2024-01-02"), no),
        ("is_date_after", json!("-1m"), json!("2024-02-29T12:00:00.000000001Z"), yes),
        ("is_date_after", json!("-1m"), json!("2024-02-29T12:00:00Z"), no),
        ("is_date_after", json!("10000d"), json!("2024-02-29T12:00:00Z"), no),
        ("is_date_after", json!("2024-01-02T00:00:00Z"), json!("-1y"), no),
        ("is_date_exact", json!("2024-01-02T00:00:00Z"), json!("2024-01-02T01:00:00+01:00"), yes),
        ("is_date_exact", json!("2024-01-02T00:00:00Z"), json!("1704153600.0"), yes),
        ("semver_eq", json!("1.2.3"), json!("v1.2.3"), yes),
        ("semver_eq", json!("1.2.3"), json!("v1.2.3-rc1"), no),
        ("semver_eq", json!("1.2"), json!("1.02.0"), yes),
        ("semver_neq", json!("1.2.3"), json!("1.2.4"), yes),
        ("semver_neq", json!("1.2.3"), json!("x"), no),
        ("semver_gt", json!("1.2.3-alpha"), json!("1.2.3-beta"), yes),
        ("semver_gt", json!("1.2.3"), json!("1.2.3-beta"), no),
        ("semver_gte", json!("1.10"), json!("1.9.9"), no),
        ("semver_lt", json!("1.10.0"), json!("1.9.9"), yes),
        ("semver_lte", json!("1.2.3"), json!("1.2.3"), yes),
        ("semver_lte", json!("x"), json!("1.2.3"), no),
        ("semver_tilde", json!("1.2.3"), json!("1.2.9"), yes),
        ("semver_tilde", json!("1.2"), json!("1.3.0"), no),
        ("semver_caret", json!("0.2.3"), json!("0.3.0"), no),
        ("semver_caret", json!("v1"), json!("1.9.9"), yes),
        ("semver_wildcard", json!("1.2.*"), json!("1.2.7"), yes),
        ("semver_wildcard", json!("1.*.3"), json!("1.2.3"), no),
        ("in", json!("1"), json!("1"), no),
        ("not_in", json!("1"), json!("2"), no),
        ("flag_evaluates_to", json!(true), json!(true), no),
        ("is_like", json!("x"), json!("x"), None),
    ];
    for (operator, wanted, property, expected) in &rows {
        for version in [1, 2] {
            let found = matches(operator, wanted, Some(property), version);
            assert_eq!(found, *expected, "{operator} {wanted} of {property}, version {version}");
        }
    }
    for name in operator::names() {
        assert!(rows.iter().any(|row| row.0 == name), "{name} has no row");
        // Whether a person has a property that was not passed is not known.
        let decides_alone = ["in", "not_in", "flag_evaluates_to"].contains(&name);
        let expected = if decides_alone { no } else { None };
        assert_eq!(matches(name, &json!("x"), None, 1), expected, "{name}");
    }
}

#[test]
fn both_versions_of_property_matching_are_those_of_the_server() {
    let rows = [
        (json!(false), json!("banana"), true, false),
        (json!(false), json!(0), true, false),
        (json!(false), json!(null), true, false),
        (json!(false), json!(""), true, false),
        (json!(false), json!("FALSE"), true, true),
        (json!(true), json!([true]), true, false),
        (json!(["true", "false"]), json!("true"), false, true),
        (json!(["true", "false"]), json!("pro"), true, false),
        (json!([]), json!(true), true, true),
        (json!([]), json!([]), true, true),
        (json!([]), json!([true, ["TRUE", []]]), true, true),
        (json!([]), json!([true, [false]]), false, false),
        (json!([]), json!(false), false, false),
        (json!([]), json!(null), false, false),
        (json!([]), json!(0), false, false),
        (json!([]), json!(1), false, false),
        (json!([]), json!("banana"), false, false),
        (json!([false, "PRO"]), json!("pro"), true, true),
        (json!([[true], "PRO"]), json!([true]), true, true),
        (json!([null, "PRO"]), json!("null"), true, true),
        (json!([1, "PRO"]), json!("1"), true, true),
        (json!("οδος"), json!("ΟΔΟΣ"), true, true),
        (json!("i\u{307}"), json!("İ"), true, true),
        (json!("ss"), json!("ß"), false, false),
    ];
    for (wanted, property, legacy, by_text) in &rows {
        for (version, expected) in [(0, legacy), (1, legacy), (3, legacy), (2, by_text)] {
            assert_eq!(
                matches("exact", wanted, Some(property), version),
                Some(*expected),
                "{wanted} {property} {version}"
            );
            assert_eq!(
                matches("is_not", wanted, Some(property), version),
                Some(!expected),
                "{wanted} {property} {version}"
            );
        }
    }
}
