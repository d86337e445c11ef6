//! JSON as a tree that keeps every digit of a number and every duplicate key, and the comparison of such a
//! tree with what a case expects.
//!
//! It knows nothing of events or cases.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use uuid::Uuid;

/// One JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// An object: its members in order, duplicates included.
    Object(Vec<(String, Tree)>),
    /// A list.
    List(Vec<Tree>),
    /// A string, unescaped.
    Text(String),
    /// A number, as it is written.
    Number(String),
    /// true or false.
    Bool(bool),
    /// null
    Null,
}

impl Tree {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// When the text is not one JSON value; the message says why.
    pub(crate) fn parse(text: &str) -> Result<Tree, String> {
        let text = text.trim();
        let wrong = |error: serde_json::Error| format!("{error} in {text}");
        Ok(match text.as_bytes().first() {
            Some(b'{') => {
                let members = members(text).map_err(wrong)?;
                let tree = |(key, value): (String, Box<RawValue>)| Ok((key, Tree::parse(value.get())?));
                Tree::Object(members.into_iter().map(tree).collect::<Result<_, String>>()?)
            }
            Some(b'[') => {
                let elements: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(wrong)?;
                Tree::List(elements.iter().map(|value| Tree::parse(value.get())).collect::<Result<_, _>>()?)
            }
            Some(b'"') => Tree::Text(serde_json::from_str(text).map_err(wrong)?),
            Some(b't' | b'f') => Tree::Bool(serde_json::from_str(text).map_err(wrong)?),
            Some(b'n') => serde_json::from_str::<()>(text).map(|()| Tree::Null).map_err(wrong)?,
            _ => {
                let number: Box<RawValue> = serde_json::from_str(text).map_err(wrong)?;
                Tree::Number(number.get().to_owned())
            }
        })
    }

    /// The value of a member of an object; the first one of several.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        match self {
            Tree::Object(members) => members.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The elements of a list; empty for anything else.
    pub(crate) fn elements(&self) -> &[Tree] {
        match self {
            Tree::List(elements) => elements,
            _ => &[],
        }
    }

    /// The value of a whole number.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Tree::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The text of a string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Tree::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
        match self {
            Tree::Object(members) => {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("{}:{value}", quoted(key))).collect();
                write!(f, "{{{}}}", members.join(","))
            }
            Tree::List(elements) => {
                let elements: Vec<_> = elements.iter().map(Tree::to_string).collect();
                write!(f, "[{}]", elements.join(","))
            }
            Tree::Text(text) => f.write_str(&quoted(text)),
            Tree::Number(text) => f.write_str(text),
            Tree::Bool(value) => write!(f, "{value}"),
            Tree::Null => f.write_str("null"),
        }
    }
}

/// Returns the members of an object, each value as its own text.
///
/// # Errors
/// When the text is not an object.
pub(crate) fn members(text: &str) -> Result<Vec<(String, Box<RawValue>)>, serde_json::Error> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, Box<RawValue>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Members)
}

/// Removes the white space between tokens.
pub(crate) fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside || !c.is_ascii_whitespace() {
            out.push(c);
        }
        inside ^= c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
    }
    out
}

/// How much of the actual value an expectation covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it: no other member, and no member twice.
    Whole,
    /// Only the members that it names; an object without members stands for just that.
    Named,
}

/// Returns the first difference between what is expected and what is there.
///
/// Numbers are equal if their decimal values are. An expected text may be a pattern: `<uuid7>`, `<uuid>`,
/// `<now>`, `<instant>`, `<any>`, or `<has>…` for a text that contains the rest.
pub(crate) fn difference(expected: &Tree, actual: &Tree, extent: Extent) -> Option<String> {
    at(expected, actual, extent, "")
}

fn at(expected: &Tree, actual: &Tree, extent: Extent, path: &str) -> Option<String> {
    let differs = || Some(format!("{path}: expected {expected}, found {actual}"));
    match (expected, actual) {
        (Tree::Text(pattern), actual) if is_pattern(pattern) => {
            if matches_pattern(pattern, actual) {
                None
            } else {
                differs()
            }
        }
        (Tree::Object(wanted), Tree::Object(found)) if wanted.is_empty() && !found.is_empty() => differs(),
        (Tree::Object(wanted), Tree::Object(found)) => {
            for (key, value) in wanted {
                let path = format!("{path}.{key}");
                let copies = found.iter().filter(|(name, _)| name == key).count();
                match actual.get(key) {
                    None => return Some(format!("{path}: missing in {actual}")),
                    Some(_) if copies > 1 && extent == Extent::Whole => {
                        return Some(format!("{path}: occurs {copies} times"));
                    }
                    Some(found) => {
                        if let Some(text) = at(value, found, extent, &path) {
                            return Some(text);
                        }
                    }
                }
            }
            let more = found.iter().find(|(key, _)| expected.get(key).is_none());
            let (key, value) = more.filter(|_| extent == Extent::Whole)?;
            Some(format!("{path}.{key}: not expected, found {value}"))
        }
        (Tree::List(wanted), Tree::List(found)) => {
            if wanted.len() != found.len() {
                return differs();
            }
            let pairs = wanted.iter().zip(found).enumerate();
            pairs.into_iter().find_map(|(i, (a, b))| at(a, b, extent, &format!("{path}[{i}]")))
        }
        (Tree::Number(a), Tree::Number(b)) if decimal(a) == decimal(b) => None,
        (a, b) if a == b => None,
        _ => differs(),
    }
}

fn is_pattern(text: &str) -> bool {
    matches!(text, "<uuid7>" | "<uuid>" | "<now>" | "<instant>" | "<any>") || text.starts_with("<has>")
}

fn matches_pattern(pattern: &str, actual: &Tree) -> bool {
    let Some(text) = actual.text() else { return pattern == "<any>" };
    let canonical = || Uuid::try_parse(text).ok().filter(|id| id.hyphenated().to_string() == text);
    match pattern {
        "<any>" => true,
        "<uuid>" => canonical().is_some(),
        "<uuid7>" => canonical().is_some_and(|id| id.get_version_num() == 7),
        "<now>" => has_wire_form(text) && is_now(text),
        "<instant>" => is_now(text),
        _ => pattern.strip_prefix("<has>").is_some_and(|part| text.contains(part)),
    }
}

/// Whether the text has the form of UTC with milliseconds.
fn has_wire_form(text: &str) -> bool {
    text.len() == 24 && text.ends_with('Z') && text.as_bytes().get(19) == Some(&b'.')
}

/// Whether the text is an instant within a minute of this machine's clock.
fn is_now(text: &str) -> bool {
    let time = text.parse::<jiff::Timestamp>().ok();
    time.is_some_and(|time| (jiff::Timestamp::now().as_second() - time.as_second()).abs() <= 60)
}

/// The sign of a number, its digits without zeros at either end, and its exponent.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut exponent = exponent.parse::<i64>().ok()? - i64::try_from(fraction.len()).ok()?;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let plain = digits.trim_end_matches('0');
    exponent += i64::try_from(digits.len() - plain.len()).ok()?;
    Some((negative, plain.to_owned(), if plain.is_empty() { 0 } else { exponent }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(expected: &str, actual: &str, extent: Extent) -> Option<String> {
        difference(&Tree::parse(expected).unwrap(), &Tree::parse(actual).unwrap(), extent)
    }

    #[test]
    fn numbers_are_compared_digit_by_digit() {
        for (a, b, same) in [
            ("1", "1.0", true),
            ("100", "1e2", true),
            ("0", "0.000", true),
            ("12345678901234567890", "12345678901234567891", false),
            ("0.1", "0.10000000000000001", false),
            ("1", "-1", false),
            ("-0", "0", false),
            ("1", "\"1\"", false),
        ] {
            assert_eq!(differs(a, b, Extent::Whole).is_none(), same, "{a} {b}");
        }
    }

    #[test]
    fn a_difference_names_its_place() {
        let text = differs(r#"{"a":{"b":[1,2]}}"#, r#"{"a":{"b":[1,3]}}"#, Extent::Whole).unwrap();
        assert_eq!(text, ".a.b[1]: expected 2, found 3");
        assert!(
            differs(r#"{"a":1}"#, r#"{"a":1,"b":2}"#, Extent::Whole).unwrap().starts_with(".b: not expected")
        );
        assert_eq!(differs(r#"{"a":1}"#, r#"{"a":1,"b":2}"#, Extent::Named), None);
        assert_eq!(differs(r#"{"a":{}}"#, r#"{"a":{},"b":2}"#, Extent::Named), None);
        assert!(
            differs(r#"{"a":{}}"#, r#"{"a":{"b":2}}"#, Extent::Named).unwrap().starts_with(".a: expected {}")
        );
        assert!(differs(r#"{"a":1}"#, r#"{"b":2}"#, Extent::Named).unwrap().starts_with(".a: missing"));
        assert!(differs(r#"{"a":1}"#, r#"{"a":1,"a":1}"#, Extent::Whole).unwrap().contains("occurs 2 times"));
    }

    #[test]
    fn white_space_inside_strings_stays() {
        assert_eq!(compact(r#" {"a b" : "\" c" , "d":[ 1 ]}"#), r#"{"a b":"\" c","d":[1]}"#);
    }

    #[test]
    fn patterns_match_what_they_stand_for() {
        let v7 = "\"01932c5e-8a1b-7c3d-9e4f-a1b2c3d4e5f6\"";
        for (pattern, actual, fits) in [
            ("\"<uuid7>\"", v7, true),
            ("\"<uuid7>\"", &v7.to_uppercase(), false),
            ("\"<uuid7>\"", "\"01932c5e-8a1b-4c3d-9e4f-a1b2c3d4e5f6\"", false),
            ("\"<uuid>\"", "\"01932c5e-8a1b-4c3d-9e4f-a1b2c3d4e5f6\"", true),
            ("\"<now>\"", "\"2020-01-01T00:00:00.000Z\"", false),
            ("\"<instant>\"", "\"2020-01-01T00:00:00Z\"", false),
            ("\"<has>b\"", "\"abc\"", true),
            ("\"<has>x\"", "\"abc\"", false),
            ("\"<any>\"", "17", true),
        ] {
            assert_eq!(differs(pattern, actual, Extent::Whole).is_none(), fits, "{pattern} {actual}");
        }
    }
}
