//! Every operator of a filter once: its name, what it compares, and whether it is the opposite of that.

/// Where a text must stand in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Start,
    End,
}

/// How two values must be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl Order {
    /// Whether values in this order fulfil it; `None` is for what cannot be ordered, such as NaN.
    pub(super) fn accepts(self, ordering: Option<std::cmp::Ordering>) -> bool {
        let Some(ordering) = ordering else { return false };
        match self {
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Equal => ordering.is_eq(),
            Order::NotEqual => ordering.is_ne(),
            Order::GreaterOrEqual => ordering.is_ge(),
            Order::Greater => ordering.is_gt(),
        }
    }
}

/// A range of versions, in the notation of npm and cargo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VersionRange {
    Tilde,
    Caret,
    Wildcard,
}

/// What an operator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equals,
    IsSet,
    Contains(Place),
    /// One of several texts.
    ContainsAny,
    Regex,
    Number(Order),
    Between,
    Date(Order),
    Version(Order),
    VersionRange(VersionRange),
    /// Filters of the type `cohort` only.
    InCohort,
    /// Filters of the type `flag` only.
    FlagEvaluatesTo,
}

/// One row: the name, what is compared, and whether the result is turned round.
type Operator = (&'static str, Comparison, bool);

/// Turned round.
const NOT: bool = true;

use Comparison::{
    Between, Contains, ContainsAny, Date, Equals, FlagEvaluatesTo, InCohort, IsSet, Number, Regex, Version,
    VersionRange as Range,
};

#[rustfmt::skip]
const OPERATORS: &[Operator] = &[
    ("exact",               Equals,                       false),
    ("is_not",              Equals,                       NOT),
    ("is_set",              IsSet,                        false),
    ("is_not_set",          IsSet,                        NOT),
    ("icontains",           Contains(Place::Anywhere),    false),
    ("not_icontains",       Contains(Place::Anywhere),    NOT),
    ("icontains_multi",     ContainsAny,                  false),
    ("not_icontains_multi", ContainsAny,                  NOT),
    ("starts_with",         Contains(Place::Start),       false),
    ("not_starts_with",     Contains(Place::Start),       NOT),
    ("ends_with",           Contains(Place::End),         false),
    ("not_ends_with",       Contains(Place::End),         NOT),
    ("regex",               Regex,                        false),
    ("not_regex",           Regex,                        NOT),
    ("gt",                  Number(Order::Greater),       false),
    ("gte",                 Number(Order::GreaterOrEqual), false),
    ("lt",                  Number(Order::Less),          false),
    ("lte",                 Number(Order::LessOrEqual),   false),
    ("between",             Between,                      false),
    ("not_between",         Between,                      NOT),
    ("is_date_before",      Date(Order::Less),            false),
    ("is_date_after",       Date(Order::Greater),         false),
    ("is_date_exact",       Date(Order::Equal),           false),
    ("semver_eq",           Version(Order::Equal),        false),
    ("semver_neq",          Version(Order::NotEqual),     false),
    ("semver_gt",           Version(Order::Greater),      false),
    ("semver_gte",          Version(Order::GreaterOrEqual), false),
    ("semver_lt",           Version(Order::Less),         false),
    ("semver_lte",          Version(Order::LessOrEqual),  false),
    ("semver_tilde",        Range(VersionRange::Tilde),   false),
    ("semver_caret",        Range(VersionRange::Caret),   false),
    ("semver_wildcard",     Range(VersionRange::Wildcard), false),
    ("in",                  InCohort,                     false),
    ("not_in",              InCohort,                     NOT),
    ("flag_evaluates_to",   FlagEvaluatesTo,              false),
];

/// What the operator of this name compares, and whether the result is turned round.
pub(super) fn operator(name: &str) -> Option<(Comparison, bool)> {
    let (_, comparison, negated) = OPERATORS.iter().find(|row| row.0 == name)?;
    Some((*comparison, *negated))
}

/// The names of all operators.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    OPERATORS.iter().map(|row| row.0)
}
