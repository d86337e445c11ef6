//! The test of a filter: an operator with its value, compiled once, and applied to a property.

use regex_automata::meta::Regex;
use semver::{Version, VersionReq};

use super::date::{Moment, Nanoseconds};
use super::operator::{Comparison, Order, Place};
use super::pattern;
use super::property::{Kind, Property};
use super::texts::{Span, TextRef, Texts};
use super::tree::Value;
use super::version;

/// A compiled test.
#[derive(Debug)]
pub(super) enum Test {
    /// The server has an error here, or no value to compare with: false, also for the opposite.
    False,
    IsSet,
    /// True and "true" are the same, and everything else is false.
    Truth(bool),
    /// One of these texts, which are sorted and in lower case.
    OneOf(Span),
    /// ASCII letters are compared without case. The text is in lower case.
    Contains(Place, TextRef),
    ContainsAny(Span),
    Regex(Box<Regex>),
    Number(Order, f64),
    Between(f64, f64),
    Date(Order, Moment),
    Version(Order, Box<Version>),
    VersionRange(Box<VersionReq>),
    /// It cannot be known here what the server would say.
    Unknown,
}

/// What a test says of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matches {
    Yes,
    No,
    /// No, whether or not the operator is turned round.
    Error,
    Unknown,
}

impl From<bool> for Matches {
    fn from(matches: bool) -> Self {
        if matches { Matches::Yes } else { Matches::No }
    }
}

/// What tests keep outside of themselves.
#[derive(Debug, Default)]
pub(super) struct TestTexts {
    pub texts: Texts,
    pub lists: Vec<TextRef>,
}

impl TestTexts {
    fn add_sorted(&mut self, mut texts: Vec<String>) -> Span {
        texts.sort_unstable();
        texts.dedup();
        let start = self.lists.len();
        for text in &texts {
            let added = self.texts.add(text);
            self.lists.push(added);
        }
        Span::since(start, &self.lists)
    }
}

impl Test {
    /// Compiles the comparison with a value. `by_text` is the rule of `property_matching_version` 2: only the empty
    /// list is compared as a truth value.
    pub(super) fn new(
        comparison: Comparison,
        value: &Value<'_>,
        by_text: bool,
        kept: &mut TestTexts,
    ) -> Self {
        match comparison {
            Comparison::Equals => {
                let is_empty_list = value.as_array().is_some_and(<[_]>::is_empty);
                if is_empty_list || (!by_text && value.is_boolean_like()) {
                    return Test::Truth(value.is_truthy());
                }
                Test::OneOf(kept.add_sorted(texts(value, str::to_lowercase)))
            }
            Comparison::IsSet => Test::IsSet,
            Comparison::Contains(place) => {
                Test::Contains(place, kept.texts.add(&value.text().to_ascii_lowercase()))
            }
            Comparison::ContainsAny => {
                Test::ContainsAny(kept.add_sorted(texts(value, str::to_ascii_lowercase)))
            }
            Comparison::Regex => {
                pattern::compile(&value.text()).map_or(Test::Unknown, |regex| Test::Regex(Box::new(regex)))
            }
            Comparison::Number(order) => {
                number_of_value(value).map_or(Test::False, |number| Test::Number(order, number))
            }
            Comparison::Between => between(value),
            Comparison::Date(order) => match value.as_text().map(Moment::of_filter) {
                None | Some(Moment::Never) => Test::False,
                Some(moment) => Test::Date(order, moment),
            },
            Comparison::Version(order) => version::version(&value.text())
                .map_or(Test::False, |version| Test::Version(order, Box::new(version))),
            Comparison::VersionRange(kind) => version::range(kind, &value.text())
                .map_or(Test::False, |range| Test::VersionRange(Box::new(range))),
            // The server refuses them for properties.
            Comparison::InCohort | Comparison::FlagEvaluatesTo => Test::False,
        }
    }

    /// Whether the test needs to know what time it is.
    pub(super) fn needs_now(&self) -> bool {
        matches!(self, Test::Date(..))
    }

    /// Applies the test.
    pub(super) fn matches(&self, property: &Property<'_>, kept: &TestTexts, now: Nanoseconds) -> Matches {
        match self {
            Test::False => Matches::Error,
            Test::Unknown => Matches::Unknown,
            Test::IsSet => Matches::Yes,
            Test::Truth(truth) => (property.is_truthy == *truth).into(),
            Test::OneOf(texts) => {
                let texts = texts.of(&kept.lists);
                texts.binary_search_by(|text| kept.texts.get(*text).cmp(property.lower)).is_ok().into()
            }
            Test::Contains(place, needle) => contains(property, kept.texts.get(*needle), *place).into(),
            Test::ContainsAny(needles) => {
                let mut needles = needles.of(&kept.lists).iter();
                needles.any(|needle| contains(property, kept.texts.get(*needle), Place::Anywhere)).into()
            }
            Test::Regex(regex) => regex.is_match(property.text).into(),
            Test::Number(order, bound) => match property.text.parse::<f64>() {
                Ok(number) => order.accepts(number.partial_cmp(bound)).into(),
                Err(_) => Matches::Error,
            },
            Test::Between(low, high) => match property.text.parse::<f64>() {
                Ok(number) if !number.is_nan() => (*low <= number && number <= *high).into(),
                _ => Matches::Error,
            },
            Test::Date(order, moment) => date(property, *order, *moment, now),
            Test::Version(order, bound) => match version::version(property.text) {
                Some(version) => order.accepts(Some(version.cmp(bound))).into(),
                None => Matches::Error,
            },
            Test::VersionRange(range) => match version::version(property.text) {
                Some(version) => range.matches(&version).into(),
                None => Matches::Error,
            },
        }
    }
}

/// The texts of the elements of a list, or of the one value, in lower case.
fn texts(value: &Value<'_>, lower: fn(&str) -> String) -> Vec<String> {
    let elements = value.as_array().unwrap_or(std::slice::from_ref(value));
    elements.iter().map(|element| lower(&element.text())).collect()
}

/// A number, or a text that is one as a whole.
fn number_of_value(value: &Value<'_>) -> Option<f64> {
    value.as_number().or_else(|| value.text().parse().ok())
}

fn between(value: &Value<'_>) -> Test {
    let Some([low, high]) = value.as_array() else { return Test::False };
    match (number_of_value(low), number_of_value(high)) {
        (Some(low), Some(high)) if low <= high => Test::Between(low, high),
        _ => Test::False,
    }
}

fn contains(property: &Property<'_>, needle: &str, place: Place) -> bool {
    // The lower case of text that is not ASCII differs from it in more than ASCII letters.
    if property.text.is_ascii() {
        return match place {
            Place::Anywhere => property.lower.contains(needle),
            Place::Start => property.lower.starts_with(needle),
            Place::End => property.lower.ends_with(needle),
        };
    }
    let (text, needle) = (property.text.as_bytes(), needle.as_bytes());
    let is_needle = |part: Option<&[u8]>| part.is_some_and(|part| part.eq_ignore_ascii_case(needle));
    match place {
        Place::Anywhere if needle.is_empty() => true,
        Place::Anywhere => text.windows(needle.len()).any(|part| is_needle(Some(part))),
        Place::Start => is_needle(text.get(..needle.len())),
        Place::End => is_needle(text.len().checked_sub(needle.len()).and_then(|start| text.get(start..))),
    }
}

fn date(property: &Property<'_>, order: Order, bound: Moment, now: Nanoseconds) -> Matches {
    let moment = match property.kind {
        Kind::Text => Moment::of_property(property.text),
        Kind::Number => property.text.parse().map_or(Moment::Never, Moment::of_seconds),
        Kind::Other => Moment::Never,
    };
    match (moment, bound) {
        (Moment::Never, _) => Matches::Error,
        (Moment::Unknown, _) | (_, Moment::Unknown) => Matches::Unknown,
        _ => match (moment.resolve(now), bound.resolve(now)) {
            (Some(instant), Some(bound)) => order.accepts(Some(instant.cmp(&bound))).into(),
            _ => Matches::Error,
        },
    }
}
