//! The evaluation of flags, in the order of the server.
//!
//! ```text
//! flag:       gate · enrolment · holdout · conditions, in their order
//! condition:  filters (all) · rollout (hash) · variant (selected, or by hash)
//! ```
//!
//! Whatever cannot be known here is carried along as [`Unknown`]: a condition that is certainly false stays false, a
//! cohort that is a group of filters is as certain as its parts allow, and only then is the flag unresolved.

use std::ops::ControlFlow;

use super::date::Nanoseconds;
use super::definitions::{
    Aggregation, Condition, Definitions, Expected, Filter, Flag, Gate, Node, Unknown, Unresolved,
};
use super::hash::hash;
use super::matching::Matches;
use super::property::Properties;
use super::query::Query;
use super::texts::TextRef;

/// The value of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    False,
    True,
    Variant(TextRef),
    Unresolved(Unresolved),
}

/// Why a flag has its value. The numbers are those of the server's precedence, shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// It has no value here.
    None,
    FlagDisabled,
    NoGroupType,
    NoConditionMatch,
    OutOfRolloutBound,
    ConditionMatch,
    Holdout,
    SuperCondition,
    /// Only the server says so: a flag that it depends on is missing.
    MissingDependency,
    /// A code of the server that is not known here.
    Other,
}

impl Reason {
    /// Those that have a code of the server.
    pub(super) const KNOWN: [Reason; 8] = [
        Reason::FlagDisabled,
        Reason::NoGroupType,
        Reason::NoConditionMatch,
        Reason::OutOfRolloutBound,
        Reason::ConditionMatch,
        Reason::Holdout,
        Reason::SuperCondition,
        Reason::MissingDependency,
    ];
}

/// What became of one flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub value: Value,
    pub reason: Reason,
    /// The condition of the reason.
    pub condition: Option<u32>,
}

impl Outcome {
    fn plain(value: Value, reason: Reason) -> Self {
        Outcome { value, reason, condition: None }
    }

    fn unresolved(reason: Unresolved) -> Self {
        Self::plain(Value::Unresolved(reason), Reason::None)
    }
}

/// Yes, no, or not known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    Unknown(Unknown),
}

impl Truth {
    fn of(is_true: bool) -> Self {
        if is_true { Truth::Yes } else { Truth::No }
    }

    fn negated_if(self, negated: bool) -> Self {
        match self {
            Truth::Yes if negated => Truth::No,
            Truth::No if negated => Truth::Yes,
            same => same,
        }
    }
}

/// Puts two unknown results together: whether it is final says the first one, why says the more important reason.
fn both(first: Option<Unknown>, second: Unknown) -> Unknown {
    first.map_or(second, |first| Unknown { reason: first.reason.min(second.reason), ..first })
}

/// What an evaluation takes from its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfClient<'a> {
    /// The evaluation contexts of a query that has none.
    pub contexts: &'a [String],
    pub now: Nanoseconds,
}

/// One evaluation of some flags for one query.
pub(super) struct Evaluation<'a> {
    definitions: &'a Definitions,
    query: &'a Query,
    /// If there are any, flags with contexts of their own must share one.
    contexts: &'a [String],
    now: Nanoseconds,
    /// By position; there is none until the first dependency, or when all flags are evaluated.
    known: Vec<Option<Outcome>>,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(definitions: &'a Definitions, query: &'a Query, of_client: OfClient<'a>) -> Self {
        let OfClient { contexts, now } = of_client;
        Evaluation { definitions, query, contexts: query.contexts_or(contexts), now, known: Vec::new() }
    }

    /// Whether the flag exists for this query: on a server, in its contexts.
    pub(super) fn exists(&self, position: u32) -> bool {
        let (definitions, wanted) = (self.definitions, self.contexts);
        let Some(flag) = definitions.flag(position) else { return false };
        let shares = || {
            let mut own = flag.contexts.of(&definitions.contexts).iter();
            own.any(|own| wanted.iter().any(|wanted| wanted == definitions.text(*own)))
        };
        !flag.is_client_only && (wanted.is_empty() || flag.contexts.is_empty() || shares())
    }

    /// The outcome of a flag. Those that others may depend on are remembered.
    pub(super) fn outcome(&mut self, position: u32) -> Outcome {
        if let Some(Some(outcome)) = self.known.get(position as usize) {
            return *outcome;
        }
        let Some(flag) = self.definitions.flag(position) else {
            return Outcome::unresolved(Unresolved::UnsupportedDefinition);
        };
        let outcome = self.evaluate(flag);
        if let Some(place) = self.known.get_mut(position as usize) {
            *place = Some(outcome);
        }
        outcome
    }

    fn evaluate(&mut self, flag: &'a Flag) -> Outcome {
        match flag.gate {
            Gate::Inactive => return Outcome::plain(Value::False, Reason::FlagDisabled),
            Gate::Unresolved(reason) => return Outcome::unresolved(reason),
            Gate::Open => {}
        }
        if let Some(name) = flag.enrollment {
            let key = self.definitions.text(name.key);
            let Some(property) = self.query.person().get(key, name.fingerprint) else {
                return Outcome::unresolved(Unresolved::MissingContext);
            };
            let value = if property.text == "true" { Value::True } else { Value::False };
            return Outcome::plain(value, Reason::SuperCondition);
        }
        if let Some(outcome) = self.holdout(flag) {
            return outcome;
        }
        self.conditions(flag)
    }

    fn holdout(&self, flag: &Flag) -> Option<Outcome> {
        let holdout = flag.holdout?;
        let id = match self.subject(flag, flag.aggregation) {
            Subject::Known { id, .. } => id,
            Subject::NoGroup => return None,
            Subject::Unknown(unknown) => return Some(Outcome::unresolved(unknown.reason)),
        };
        let is_member = holdout.share >= 1.0 || hash(["holdout-", id, "", ""]) <= holdout.share;
        is_member.then(|| Outcome::plain(Value::Variant(holdout.variant), Reason::Holdout))
    }

    fn conditions(&mut self, flag: &'a Flag) -> Outcome {
        let mut unknown = None;
        let mut best = (Reason::NoConditionMatch, None);
        let conditions = flag.conditions.of(&self.definitions.conditions);
        // Without a condition there is no reason of one.
        let mut first = true;
        for (index, condition) in (0_u32..).zip(conditions) {
            match self.condition(flag, condition) {
                ControlFlow::Break(Ok(value)) => {
                    return Outcome { value, reason: Reason::ConditionMatch, condition: Some(index) };
                }
                ControlFlow::Break(Err(new)) => {
                    let all = both(unknown, new);
                    if new.is_final {
                        return Outcome::unresolved(all.reason);
                    }
                    unknown = Some(all);
                }
                ControlFlow::Continue(reason) => {
                    if first || reason >= best.0 {
                        best = (reason, Some(index));
                    }
                    first = false;
                    if reason == Reason::OutOfRolloutBound && flag.early_exit {
                        break;
                    }
                }
            }
        }
        match unknown {
            Some(unknown) => Outcome::unresolved(unknown.reason),
            None => Outcome { value: Value::False, reason: best.0, condition: best.1 },
        }
    }

    /// A value, something unknown, or why the condition does not apply.
    fn condition(
        &mut self,
        flag: &'a Flag,
        condition: &'a Condition,
    ) -> ControlFlow<Result<Value, Unknown>, Reason> {
        let subject = self.subject(flag, condition.aggregation);
        let properties = match subject {
            Subject::Known { properties, .. } => properties,
            Subject::NoGroup => return ControlFlow::Continue(Reason::NoGroupType),
            Subject::Unknown(_) => self.query.person(),
        };
        match self.all(condition.filters.of(&self.definitions.filters), properties) {
            Truth::No => return ControlFlow::Continue(Reason::NoConditionMatch),
            Truth::Unknown(unknown) => return ControlFlow::Break(Err(unknown)),
            Truth::Yes => {}
        }
        let id = match subject {
            Subject::Known { id, .. } => id,
            Subject::Unknown(unknown) => return ControlFlow::Break(Err(unknown)),
            Subject::NoGroup => "",
        };
        let variants = flag.variants.of(&self.definitions.variants);
        let needs_hash = condition.rollout.is_some() || (condition.variant.is_none() && !variants.is_empty());
        if needs_hash && id.is_empty() {
            // The server does not hash an empty id.
            return ControlFlow::Break(Err(Unknown::MISSING));
        }
        let key = self.definitions.text(flag.key);
        if condition.rollout.is_some_and(|rollout| hash([key, ".", id, ""]) > rollout) {
            return ControlFlow::Continue(Reason::OutOfRolloutBound);
        }
        let variant = condition.variant.or_else(|| {
            if variants.is_empty() {
                return None;
            }
            let place = hash([key, ".", id, "variant"]);
            variants.iter().find(|variant| place < variant.end).map(|variant| variant.key)
        });
        ControlFlow::Break(Ok(variant.map_or(Value::True, Value::Variant)))
    }

    /// Who is put into the rollout.
    fn subject(&self, flag: &Flag, aggregation: Aggregation) -> Subject<'a> {
        match aggregation {
            Aggregation::Person => {
                let (id, properties) = (self.query.person_id(flag.by_device), self.query.person());
                if id.is_empty() && flag.by_device {
                    return Subject::Unknown(Unknown::MISSING);
                }
                Subject::Known { id, properties }
            }
            Aggregation::Group(position) => {
                let kind = self.definitions.group_types.get(position as usize);
                let group = kind.and_then(|kind| self.query.group(self.definitions.text(*kind)));
                group.map_or(Subject::NoGroup, |(id, properties)| Subject::Known { id, properties })
            }
            Aggregation::UnknownGroup => Subject::NoGroup,
        }
    }

    /// Whether all filters match. One that certainly does not decides, whatever is unknown of the others.
    fn all(&mut self, filters: &'a [Filter], properties: &Properties) -> Truth {
        let mut unknown = None;
        for filter in filters {
            match self.filter(filter, properties) {
                Truth::Yes => {}
                Truth::No => return Truth::No,
                Truth::Unknown(new) => unknown = Some(both(unknown, new)),
            }
        }
        unknown.map_or(Truth::Yes, Truth::Unknown)
    }

    fn filter(&mut self, filter: &'a Filter, properties: &Properties) -> Truth {
        match filter {
            Filter::Never => Truth::No,
            Filter::Unknown(unknown) => Truth::Unknown(*unknown),
            Filter::Property { name, test, negated, of_group } => {
                let properties = if *of_group { properties } else { self.query.person() };
                let key = self.definitions.text(name.key);
                let Some(property) = properties.get(key, name.fingerprint) else {
                    return Truth::Unknown(Unknown::MISSING);
                };
                match test.matches(&property, &self.definitions.kept, self.now) {
                    Matches::Yes => Truth::of(!negated),
                    Matches::No => Truth::of(*negated),
                    Matches::Error => Truth::No,
                    Matches::Unknown => Truth::Unknown(Unknown::UNSUPPORTED),
                }
            }
            Filter::Cohort { index, negated } => {
                let root = self.definitions.cohorts.get(*index as usize).copied();
                root.map_or(Truth::Unknown(Unknown::COHORT), |root| self.node(root)).negated_if(*negated)
            }
            Filter::Flag { target, chain, expected } => {
                self.dependency(*target, chain.of(&self.definitions.chains), *expected)
            }
        }
    }

    /// A part of a cohort. Circles were refused at load.
    fn node(&mut self, node: Node) -> Truth {
        let (span, decisive) = match node {
            Node::Always => return Truth::Yes,
            Node::Unknown(unknown) => return Truth::Unknown(unknown),
            Node::Filter { index, negated } => {
                let (definitions, query) = (self.definitions, self.query);
                let filter = definitions.filters.get(index as usize);
                let truth = filter.map_or(Truth::No, |filter| self.filter(filter, query.person()));
                return truth.negated_if(negated);
            }
            Node::All(span) => (span, Truth::No),
            Node::Any(span) => (span, Truth::Yes),
        };
        let mut unknown = None;
        for part in span.of(&self.definitions.nodes) {
            match self.node(*part) {
                truth if truth == decisive => return decisive,
                Truth::Unknown(new) => unknown = Some(both(unknown, new)),
                Truth::Yes | Truth::No => {}
            }
        }
        unknown.map_or(decisive.negated_if(true), Truth::Unknown)
    }

    fn dependency(&mut self, target: u32, chain: &[u32], expected: Expected) -> Truth {
        if self.known.is_empty() {
            self.remember();
        }
        for link in chain.iter().chain([&target]) {
            if matches!(self.outcome(*link).value, Value::Unresolved(_)) {
                return Truth::Unknown(Unknown::new(Unresolved::UnresolvedDependency));
            }
        }
        let value = self.outcome(target).value;
        Truth::of(match (expected, value) {
            (Expected::Enabled, value) => value != Value::False,
            (Expected::Disabled, value) => value == Value::False,
            (Expected::Variant(wanted), Value::Variant(variant)) => {
                self.definitions.text(wanted) == self.definitions.text(variant)
            }
            (Expected::Variant(_) | Expected::Never, _) => false,
        })
    }

    /// Remembers outcomes from now on.
    fn remember(&mut self) {
        self.known = vec![None; self.definitions.len()];
    }

    /// The same, if any flag depends on another.
    pub(super) fn remember_for_dependencies(&mut self) {
        if !self.definitions.chains.is_empty() {
            self.remember();
        }
    }
}

/// Who is put into a rollout, and whose properties count.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Known {
        id: &'a str,
        properties: &'a Properties,
    },
    /// The person is in no group of the type.
    NoGroup,
    Unknown(Unknown),
}
