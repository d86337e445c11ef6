//! Compiled definitions: an immutable structure of indices. A flag is a few numbers that point into vectors which all
//! flags share, so that evaluating one touches little memory and follows no chain of boxes.

use std::collections::HashMap;

use super::matching::{Test, TestTexts};
use super::texts::{Span, TextRef};

/// Why a flag has no value here, in the order of precedence when several reasons apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::enum_variant_names, reason = "the names of the official libraries")]
pub(crate) enum Unresolved {
    /// The flag keeps a person's earlier value, which only the server knows.
    ExperienceContinuity,
    /// Something in the definition is unknown here: a static cohort, an operator, a form of date, a shape.
    UnsupportedDefinition,
    /// A flag that it depends on has no value here.
    UnresolvedDependency,
    /// A property, the properties of a group, the device id or the distinct id was not given, or is of no use.
    MissingContext,
    /// The server could not evaluate it, or what it returned is not understood.
    EvaluationFailed,
}

/// What cannot be known, while a flag is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown {
    pub reason: Unresolved,
    /// Whether no later condition may decide the flag.
    pub is_final: bool,
}

impl Unknown {
    pub(super) const fn new(reason: Unresolved) -> Self {
        Unknown { reason, is_final: false }
    }

    /// A cohort that is not in the definitions, or has an unknown shape.
    pub(super) const COHORT: Self = Unknown { reason: Unresolved::UnsupportedDefinition, is_final: true };
    pub(super) const UNSUPPORTED: Self = Self::new(Unresolved::UnsupportedDefinition);
    pub(super) const MISSING: Self = Self::new(Unresolved::MissingContext);
}

/// What decides before any condition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Inactive,
    Unresolved(Unresolved),
}

/// Who is put into the rollout, or has a property: the person, or the group of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    Person,
    /// A position in `group_types`.
    Group(u32),
    /// A type that the definitions do not name.
    UnknownGroup,
}

#[derive(Debug)]
pub(super) struct Flag {
    pub key: TextRef,
    /// 0 when unknown.
    pub id: i64,
    pub version: i64,
    pub has_experiment: Option<bool>,
    /// Whether the flag does not exist for servers.
    pub is_client_only: bool,
    pub contexts: Span,
    pub gate: Gate,
    pub aggregation: Aggregation,
    pub by_device: bool,
    pub early_exit: bool,
    /// The person property that decides alone.
    pub enrollment: Option<Name>,
    pub holdout: Option<Holdout>,
    pub conditions: Span,
    pub variants: Span,
    pub payloads: Span,
}

/// A key of a property, and its fingerprint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub key: TextRef,
    pub fingerprint: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Holdout {
    pub variant: TextRef,
    /// A part of 1; from 1 on all.
    pub share: f64,
}

#[derive(Debug)]
pub(super) struct Condition {
    pub filters: Span,
    pub aggregation: Aggregation,
    /// A part of 1; all without it.
    pub rollout: Option<f64>,
    /// The variant that it selects, if it exists.
    pub variant: Option<TextRef>,
}

#[derive(Debug)]
pub(super) enum Filter {
    Never,
    Unknown(Unknown),
    Property {
        name: Name,
        test: Test,
        negated: bool,
        /// Whose property it is.
        of: Aggregation,
    },
    Cohort {
        index: u32,
        negated: bool,
    },
    Flag {
        target: u32,
        /// Flags to evaluate before, in their order.
        chain: Span,
        expected: Expected,
    },
}

/// The value that another flag must have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    Enabled,
    Disabled,
    Variant(TextRef),
    Never,
}

/// A part of a cohort.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    Always,
    Unknown(Unknown),
    All(Span),
    Any(Span),
    /// A position in `filters`.
    Filter {
        index: u32,
        negated: bool,
    },
}

#[derive(Debug)]
pub(super) struct Variant {
    pub key: TextRef,
    /// Where the variant ends, as a part of 1.
    pub end: f64,
}

#[derive(Debug)]
pub(super) struct Payload {
    /// A variant's key, or `true`.
    pub of: TextRef,
    pub json: TextRef,
}

/// All definitions of a project, as they were loaded.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    pub(super) kept: TestTexts,
    pub(super) flags: Vec<Flag>,
    pub(super) by_key: HashMap<Box<str>, u32>,
    pub(super) conditions: Vec<Condition>,
    pub(super) filters: Vec<Filter>,
    pub(super) variants: Vec<Variant>,
    pub(super) payloads: Vec<Payload>,
    pub(super) contexts: Vec<TextRef>,
    /// Positions in `flags`.
    pub(super) chains: Vec<u32>,
    pub(super) group_types: Vec<TextRef>,
    /// The root of each cohort.
    pub(super) cohorts: Vec<Node>,
    /// The parts of all groups of cohorts, those of one group side by side.
    pub(super) nodes: Vec<Node>,
    pub(super) needs_now: bool,
    /// Whether reads of flags without an experiment are reported with few properties.
    pub(super) is_minimal: bool,
    /// In ms since 1970; 0 if it is not known.
    pub(super) loaded_at: i64,
}

impl Definitions {
    /// How many flags there are.
    pub(crate) fn len(&self) -> usize {
        self.flags.len()
    }

    /// Notes when they were loaded, in ms since 1970.
    pub(crate) fn loaded_at(mut self, ms: i64) -> Self {
        self.loaded_at = ms;
        self
    }

    /// Whether the time has to be known to evaluate them.
    pub(crate) fn needs_now(&self) -> bool {
        self.needs_now
    }

    pub(super) fn text(&self, text: TextRef) -> &str {
        self.kept.texts.get(text)
    }

    /// The position of the flag with this key.
    pub(super) fn position(&self, key: &str) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(super) fn flag(&self, position: u32) -> Option<&Flag> {
        self.flags.get(position as usize)
    }

    /// The payload of a variant, or of `true`.
    pub(super) fn payload(&self, flag: &Flag, of: &str) -> Option<TextRef> {
        let mut payloads = flag.payloads.of(&self.payloads).iter();
        payloads.find(|payload| self.text(payload.of) == of).map(|payload| payload.json)
    }
}
