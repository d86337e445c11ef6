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

/// Puts two unknown results together: whether it is final says the first one, why says the more important reason. So
/// posthog-python treats the filters of a condition.
fn both(first: Option<Unknown>, second: Unknown) -> Unknown {
    first.map_or(second, |first| Unknown { reason: first.reason.min(second.reason), ..first })
}

/// The same of the parts of a cohort, where the official libraries end the flag by any one that is final.
fn either(first: Option<Unknown>, second: Unknown) -> Unknown {
    let is_final = second.is_final || first.is_some_and(|first| first.is_final);
    Unknown { is_final, ..both(first, second) }
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
    known: Vec<Option<Result<Outcome, Unknown>>>,
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

    /// The outcome of a flag.
    pub(super) fn outcome(&mut self, position: u32) -> Outcome {
        self.result(position).unwrap_or_else(|unknown| Outcome::unresolved(unknown.reason))
    }

    /// The outcome of a flag, or why it is unresolved. Those that others may depend on are remembered.
    fn result(&mut self, position: u32) -> Result<Outcome, Unknown> {
        if let Some(Some(outcome)) = self.known.get(position as usize) {
            return *outcome;
        }
        let flag = self.definitions.flag(position).ok_or(Unknown::UNSUPPORTED)?;
        let outcome = self.evaluate(flag);
        if let Some(place) = self.known.get_mut(position as usize) {
            *place = Some(outcome);
        }
        outcome
    }

    fn evaluate(&mut self, flag: &'a Flag) -> Result<Outcome, Unknown> {
        match flag.gate {
            Gate::Inactive => return Ok(Outcome::plain(Value::False, Reason::FlagDisabled)),
            Gate::Unresolved(reason) => return Err(Unknown::new(reason)),
            Gate::Open => {}
        }
        if let Some(name) = flag.enrollment {
            let key = self.definitions.text(name.key);
            let property = self.query.person().get(key, name.fingerprint).ok_or(Unknown::MISSING)?;
            let value = if property.text == "true" { Value::True } else { Value::False };
            return Ok(Outcome::plain(value, Reason::SuperCondition));
        }
        if let Some(outcome) = self.holdout(flag)? {
            return Ok(outcome);
        }
        self.conditions(flag)
    }

    fn holdout(&self, flag: &Flag) -> Result<Option<Outcome>, Unknown> {
        let Some(holdout) = flag.holdout else { return Ok(None) };
        let id = match self.subject(flag, flag.aggregation) {
            Subject::Known(id) => id,
            // The server hashes an empty key here.
            Subject::NoGroup => "",
            Subject::Unknown(unknown) => return Err(unknown),
        };
        let is_member = holdout.share >= 1.0 || hash(["holdout-", id, "", ""]) <= holdout.share;
        Ok(is_member.then(|| Outcome::plain(Value::Variant(holdout.variant), Reason::Holdout)))
    }

    fn conditions(&mut self, flag: &'a Flag) -> Result<Outcome, Unknown> {
        let mut unknown = None;
        let mut best = (Reason::NoConditionMatch, None);
        let conditions = flag.conditions.of(&self.definitions.conditions);
        // Without a condition there is no reason of one.
        let mut first = true;
        for (index, condition) in (0_u32..).zip(conditions) {
            match self.condition(flag, condition) {
                ControlFlow::Break(Ok(value)) => {
                    return Ok(Outcome { value, reason: Reason::ConditionMatch, condition: Some(index) });
                }
                ControlFlow::Break(Err(new)) => {
                    let all = either(unknown, new);
                    if new.is_final {
                        return Err(all);
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
            Some(unknown) => Err(unknown),
            None => Ok(Outcome { value: Value::False, reason: best.0, condition: best.1 }),
        }
    }

    /// A value, something unknown, or why the condition does not apply.
    fn condition(
        &mut self,
        flag: &'a Flag,
        condition: &'a Condition,
    ) -> ControlFlow<Result<Value, Unknown>, Reason> {
        let id = match self.subject(flag, condition.aggregation) {
            Subject::Known(id) => Ok(id),
            Subject::NoGroup => return ControlFlow::Continue(Reason::NoGroupType),
            Subject::Unknown(unknown) => Err(unknown),
        };
        match self.all(condition.filters.of(&self.definitions.filters)) {
            Truth::No => return ControlFlow::Continue(Reason::NoConditionMatch),
            Truth::Unknown(unknown) => return ControlFlow::Break(Err(unknown)),
            Truth::Yes => {}
        }
        let id = match id {
            Ok(id) => id,
            Err(unknown) => return ControlFlow::Break(Err(unknown)),
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
                let id = self.query.person_id(flag.by_device);
                if id.is_empty() && flag.by_device {
                    return Subject::Unknown(Unknown::MISSING);
                }
                Subject::Known(id)
            }
            Aggregation::Group(position) => {
                // The server counts a group without a key as not given.
                let group = self.group(position).filter(|(key, _)| !key.is_empty());
                group.map_or(Subject::NoGroup, |(key, _)| Subject::Known(key))
            }
            Aggregation::UnknownGroup => Subject::NoGroup,
        }
    }

    /// The key and the properties of the person's group of this type.
    fn group(&self, position: u32) -> Option<(&'a str, &'a Properties)> {
        let kind = self.definitions.group_types.get(position as usize)?;
        self.query.group(self.definitions.text(*kind))
    }

    /// Whose properties a filter compares; `None` if they were not given.
    fn properties(&self, of: Aggregation) -> Option<&'a Properties> {
        match of {
            Aggregation::Person => Some(self.query.person()),
            Aggregation::Group(position) => self.group(position).map(|(_, properties)| properties),
            Aggregation::UnknownGroup => None,
        }
    }

    /// Whether all filters match. One that certainly does not decides, whatever is unknown of the others.
    fn all(&mut self, filters: &'a [Filter]) -> Truth {
        let mut unknown = None;
        for filter in filters {
            match self.filter(filter) {
                Truth::Yes => {}
                Truth::No => return Truth::No,
                Truth::Unknown(new) => unknown = Some(both(unknown, new)),
            }
        }
        unknown.map_or(Truth::Yes, Truth::Unknown)
    }

    fn filter(&mut self, filter: &'a Filter) -> Truth {
        match filter {
            Filter::Never => Truth::No,
            Filter::Unknown(unknown) => Truth::Unknown(*unknown),
            Filter::Property { name, test, negated, of } => {
                let key = self.definitions.text(name.key);
                let properties = self.properties(*of);
                let Some(property) = properties.and_then(|all| all.get(key, name.fingerprint)) else {
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
                let filter = self.definitions.filters.get(index as usize);
                let truth = filter.map_or(Truth::No, |filter| self.filter(filter));
                return truth.negated_if(negated);
            }
            Node::All(span) => (span, Truth::No),
            Node::Any(span) => (span, Truth::Yes),
        };
        let mut unknown = None;
        for part in span.of(&self.definitions.nodes) {
            match self.node(*part) {
                truth if truth == decisive => return decisive,
                Truth::Unknown(new) => unknown = Some(either(unknown, new)),
                Truth::Yes | Truth::No => {}
            }
        }
        unknown.map_or(decisive.negated_if(true), Truth::Unknown)
    }

    fn dependency(&mut self, target: u32, chain: &[u32], expected: Expected) -> Truth {
        if self.known.is_empty() {
            self.remember();
        }
        let mut value = Value::False;
        for link in chain.iter().chain([&target]) {
            value = match self.value_for_others(*link) {
                Ok(value) => value,
                Err(unknown) => {
                    return Truth::Unknown(Unknown { reason: Unresolved::UnresolvedDependency, ..unknown });
                }
            };
        }
        Truth::of(match (expected, value) {
            (Expected::Enabled, value) => value != Value::False,
            (Expected::Disabled, value) => value == Value::False,
            (Expected::Variant(wanted), Value::Variant(variant)) => {
                self.definitions.text(wanted) == self.definitions.text(variant)
            }
            (Expected::Variant(_) | Expected::Never, _) => false,
        })
    }

    /// The value of a flag for those that depend on it. One that does not exist for the query is off: the server counts
    /// those that it leaves out as false before it evaluates the others.
    fn value_for_others(&mut self, position: u32) -> Result<Value, Unknown> {
        if self.exists(position) {
            self.result(position).map(|outcome| outcome.value)
        } else {
            Ok(Value::False)
        }
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

/// Who is put into a rollout, by their id.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Known(&'a str),
    /// The person is in no group of the type.
    NoGroup,
    Unknown(Unknown),
}
