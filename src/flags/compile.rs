//! Definitions as JSON become the compiled structure.
//!
//! What has an unknown shape makes its own flag unresolved, and no other: the definitions of a project are refused
//! only when they are not JSON, or not an object with a list of flags.

use std::collections::HashMap;

use super::definitions::{
    Aggregation, Condition, Definitions, Expected, Filter, Flag, Gate, Holdout, Name, Payload, Unknown,
    Unresolved, Variant,
};
use super::graph::Graph;
use super::matching::Test;
use super::operator::{Comparison, operator};
use super::property::fingerprint;
use super::texts::{Span, TextRef};
use super::tree::{self, Value};
use crate::status::{Error, Status};

/// The longest text of definitions, in bytes.
pub(crate) const MAX_BYTES: usize = 32 * 1024 * 1024;
/// A flag that depends on others deeper than this is not evaluated here.
const MAX_DEPTH: u32 = 50;

/// An unknown shape.
struct Unsupported;

type Known<T> = Result<T, Unsupported>;

impl Definitions {
    /// Compiles the definitions of a project, as the server returns them.
    pub(crate) fn new(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_BYTES {
            let text = format_args!("the definitions are longer than {MAX_BYTES} bytes");
            return Err(Error::new(Status::INVALID_ARGUMENT, text));
        }
        let refused = |what: String| Error::new(Status::INVALID_JSON, what);
        let compiled = tree::read(json, |tree| {
            let flags = tree.get("flags").and_then(Value::as_array)?;
            let by_text = matches!(tree.get("property_matching_version"), Some(Value::Number("2")));
            let mut compiler = Compiler { by_text, ..Compiler::default() };
            compiler.group_types(tree.get("group_type_mapping"));
            compiler.cohorts(tree.get("cohorts"));
            compiler.flags(flags);
            compiler.out.is_minimal =
                tree.get("minimal_flag_called_events").and_then(Value::as_bool) == Some(true);
            Some(compiler.out)
        });
        let compiled = compiled.map_err(|error| refused(format!("the definitions are refused {error}")))?;
        compiled.ok_or_else(|| refused("the definitions must be an object with a list \"flags\"".to_owned()))
    }
}

/// Definitions that grow.
#[derive(Default)]
pub(super) struct Compiler {
    pub(super) out: Definitions,
    /// Positions in `cohorts` by their id.
    pub(super) cohort_ids: HashMap<Box<str>, u32>,
    /// Positions in `group_types` by the number of the type.
    group_numbers: HashMap<Box<str>, u32>,
    by_text: bool,
}

impl Compiler {
    fn group_types(&mut self, mapping: Option<&Value<'_>>) {
        let Some(Value::Object(members)) = mapping else { return };
        for (number, name) in members {
            if let Some(name) = name.as_text() {
                let position = u32::try_from(self.out.group_types.len()).unwrap_or(u32::MAX);
                let name = self.add(name);
                self.out.group_types.push(name);
                self.group_numbers.insert((&**number).into(), position);
            }
        }
    }

    fn add(&mut self, text: &str) -> TextRef {
        self.out.kept.texts.add(text)
    }

    fn name(&mut self, key: &str) -> Name {
        Name { key: self.add(key), fingerprint: fingerprint(key) }
    }

    fn flags(&mut self, flags: &[Value<'_>]) {
        // Flags refer to each other, so all keys must be known first. Of two with one key the last one counts.
        let mut named: Vec<(&str, &Value<'_>)> = Vec::new();
        for flag in flags {
            let Some(key) = flag.get("key").and_then(Value::as_text) else { continue };
            let next = u32::try_from(named.len()).unwrap_or(u32::MAX);
            let position = *self.out.by_key.entry(key.into()).or_insert(next);
            match named.get_mut(position as usize) {
                Some(place) => *place = (key, flag),
                None => named.push((key, flag)),
            }
        }
        for (key, flag) in &named {
            let compiled = self.flag(key, flag);
            self.out.flags.push(compiled);
        }
        self.refuse_circles();
        let tests = self.out.filters.iter();
        self.out.needs_now = tests
            .into_iter()
            .any(|filter| matches!(filter, Filter::Property { test, .. } if test.needs_now()));
    }

    fn flag(&mut self, key: &str, value: &Value<'_>) -> Flag {
        let key_text = self.add(key);
        let is_true = |name| value.get(name).and_then(Value::as_bool) == Some(true);
        let mut flag = Flag {
            key: key_text,
            id: value.get("id").and_then(Value::as_whole).unwrap_or(0),
            version: value.get("version").and_then(Value::as_whole).unwrap_or(0),
            has_experiment: value.get("has_experiment").and_then(Value::as_bool),
            is_client_only: value.get("evaluation_runtime").and_then(Value::as_text) == Some("client"),
            contexts: self.contexts(value),
            gate: Gate::Open,
            aggregation: Aggregation::Person,
            by_device: false,
            early_exit: false,
            enrollment: None,
            holdout: None,
            conditions: Span::default(),
            variants: Span::default(),
            payloads: Span::default(),
        };
        if !is_true("active") || is_true("deleted") {
            flag.gate = Gate::Inactive;
        } else if is_true("ensure_experience_continuity") {
            flag.gate = Gate::Unresolved(Unresolved::ExperienceContinuity);
        } else if self.body(&mut flag, key, value).is_err() {
            flag.gate = Gate::Unresolved(Unresolved::UnsupportedDefinition);
        }
        flag
    }

    fn contexts(&mut self, value: &Value<'_>) -> Span {
        let contexts = value.get("evaluation_contexts").or_else(|| value.get("evaluation_tags"));
        let start = self.out.contexts.len();
        for context in contexts.and_then(Value::as_array).unwrap_or_default() {
            if let Some(context) = context.as_text() {
                let context = self.add(context);
                self.out.contexts.push(context);
            }
        }
        Span::since(start, &self.out.contexts)
    }

    /// Everything that decides an active flag.
    fn body(&mut self, flag: &mut Flag, key: &str, value: &Value<'_>) -> Known<()> {
        flag.by_device = match optional(value, "bucketing_identifier", Value::as_text)? {
            None | Some("distinct_id") => false,
            Some("device_id") => true,
            Some(_) => return Err(Unsupported),
        };
        let Some(filters) = value.get("filters") else { return Ok(()) };
        let Value::Object(_) = filters else { return Err(Unsupported) };
        // Version 2 is another language.
        if !matches!(optional(filters, "version", Value::as_number)?, None | Some(1.0)) {
            return Err(Unsupported);
        }
        let has_any =
            |name| Ok(optional(filters, name, Value::as_array)?.is_some_and(|list| !list.is_empty()));
        // A holdout of today comes with one of the older form.
        if has_any("super_groups")? || (has_any("holdout_groups")? && filters.get("holdout").is_none()) {
            return Err(Unsupported);
        }
        flag.aggregation = self.aggregation(filters)?.unwrap_or(Aggregation::Person);
        if flag.aggregation == Aggregation::UnknownGroup {
            return Err(Unsupported);
        }
        if filters.get("feature_enrollment").and_then(Value::as_bool) == Some(true) {
            if flag.aggregation != Aggregation::Person {
                return Err(Unsupported);
            }
            flag.enrollment = Some(self.name(&format!("$feature_enrollment/{key}")));
        }
        flag.early_exit = filters.get("early_exit").and_then(Value::as_bool) == Some(true);
        flag.holdout = self.holdout(filters)?;
        flag.variants = self.variants(filters)?;
        flag.payloads = self.payloads(filters)?;
        flag.conditions = self.conditions(filters, flag)?;
        Ok(())
    }

    /// The aggregation that an object names; `None` if it has no such member.
    fn aggregation(&self, value: &Value<'_>) -> Known<Option<Aggregation>> {
        match value.member("aggregation_group_type_index") {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(Aggregation::Person)),
            Some(number) => {
                let number = number.as_whole().ok_or(Unsupported)?;
                let known = self.group_numbers.get(&*number.to_string());
                Ok(Some(known.map_or(Aggregation::UnknownGroup, |position| Aggregation::Group(*position))))
            }
        }
    }

    fn holdout(&mut self, filters: &Value<'_>) -> Known<Option<Holdout>> {
        let Some(holdout) = filters.get("holdout") else { return Ok(None) };
        let id = holdout.get("id").ok_or(Unsupported)?;
        let share = holdout.get("exclusion_percentage").and_then(Value::as_number).ok_or(Unsupported)?;
        let variant = self.add(&format!("holdout-{}", id.text()));
        Ok(Some(Holdout { variant, share: share.clamp(0.0, 100.0) / 100.0 }))
    }

    fn variants(&mut self, filters: &Value<'_>) -> Known<Span> {
        let Some(multivariate) = filters.get("multivariate") else { return Ok(Span::default()) };
        let variants = optional(multivariate, "variants", Value::as_array)?.unwrap_or_default();
        let start = self.out.variants.len();
        // Added from left to right: the sums of the server have the same rounding.
        let mut end = 0.0;
        for variant in variants {
            let key = variant.get("key").and_then(Value::as_text).ok_or(Unsupported)?;
            let share = variant.get("rollout_percentage").and_then(Value::as_number).ok_or(Unsupported)?;
            end += share / 100.0;
            let key = self.add(key);
            self.out.variants.push(Variant { key, end });
        }
        Ok(Span::since(start, &self.out.variants))
    }

    fn payloads(&mut self, filters: &Value<'_>) -> Known<Span> {
        let start = self.out.payloads.len();
        match filters.get("payloads") {
            None => {}
            Some(Value::Object(members)) => {
                // The last of several with one key is found first.
                for (of, payload) in members.iter().rev().filter(|(_, value)| !matches!(value, Value::Null)) {
                    let (of, json) = (self.add(of), self.add(&payload.text()));
                    self.out.payloads.push(Payload { of, json });
                }
            }
            Some(_) => return Err(Unsupported),
        }
        Ok(Span::since(start, &self.out.payloads))
    }

    fn conditions(&mut self, filters: &Value<'_>, flag: &Flag) -> Known<Span> {
        let mut conditions = Vec::new();
        for value in optional(filters, "groups", Value::as_array)?.unwrap_or_default() {
            let Value::Object(_) = value else { return Err(Unsupported) };
            let aggregation = self.aggregation(value)?.unwrap_or(flag.aggregation);
            // 100 % needs no hash.
            let rollout = optional(value, "rollout_percentage", Value::as_number)?
                .filter(|percentage| !is_all(*percentage))
                .map(|percentage| percentage / 100.0);
            let variant = optional(value, "variant", Value::as_text)?;
            let variants = flag.variants.of(&self.out.variants);
            let variant = variant.and_then(|key| {
                variants.iter().find(|variant| self.out.text(variant.key) == key).map(|variant| variant.key)
            });
            let properties = optional(value, "properties", Value::as_array)?.unwrap_or_default();
            let compiled: Vec<Filter> =
                properties.iter().map(|property| self.filter(property, Some(aggregation))).collect();
            let start = self.out.filters.len();
            self.out.filters.extend(compiled);
            let filters = Span::since(start, &self.out.filters);
            conditions.push(Condition { filters, aggregation, rollout, variant });
        }
        let start = self.out.conditions.len();
        self.out.conditions.extend(conditions);
        Ok(Span::since(start, &self.out.conditions))
    }

    /// A filter of a condition, or of a cohort, whose properties are always those of the person.
    pub(super) fn filter(&mut self, value: &Value<'_>, aggregation: Option<Aggregation>) -> Filter {
        let unsupported = Filter::Unknown(Unknown::UNSUPPORTED);
        let kind = match value.get("type") {
            None => None,
            Some(Value::Text(kind)) => Some(&**kind),
            Some(_) => return unsupported,
        };
        match (kind, aggregation) {
            (Some("cohort"), _) => self.cohort_filter(value),
            (Some("flag"), _) => self.flag_filter(value),
            // As in definitions from before there were types.
            (None, _) => self.property_filter(value, aggregation.unwrap_or(Aggregation::Person)),
            // The type says whose properties count, and not the condition: PropertyContext::resolve_for_filter of the
            // server (PostHog/posthog#52503).
            (Some("person"), _) => self.property_filter(value, Aggregation::Person),
            (Some("group"), Some(own)) => match self.group_of_filter(value, own) {
                Some(of) => self.property_filter(value, of),
                None => unsupported,
            },
            // A column of the server's table of persons, not among their properties.
            (Some("person_metadata"), _) => Filter::Unknown(Unknown::MISSING),
            _ => unsupported,
        }
    }

    /// The group whose properties a filter of the type `group` compares: of the type that it names, else the one of its
    /// condition. `None` if that is not known.
    fn group_of_filter(&self, value: &Value<'_>, own: Aggregation) -> Option<Aggregation> {
        let of = match optional(value, "group_type_index", Value::as_whole).ok()? {
            Some(number) => Aggregation::Group(*self.group_numbers.get(&*number.to_string())?),
            None => own,
        };
        matches!(of, Aggregation::Group(_)).then_some(of)
    }

    fn property_filter(&mut self, value: &Value<'_>, of: Aggregation) -> Filter {
        let unsupported = Filter::Unknown(Unknown::UNSUPPORTED);
        let Some(key) = value.get("key").and_then(Value::as_text) else { return unsupported };
        let known = match value.get("operator") {
            None => operator("exact"),
            Some(name) => name.as_text().and_then(operator),
        };
        let Some((comparison, negated)) = known else { return unsupported };
        let test = match (comparison, value.get("value")) {
            (Comparison::IsSet, _) => Test::IsSet,
            (Comparison::InCohort | Comparison::FlagEvaluatesTo, _) | (_, None) => return Filter::Never,
            (comparison, Some(value)) => Test::new(comparison, value, self.by_text, &mut self.out.kept),
        };
        Filter::Property { name: self.name(key), test, negated, of }
    }

    fn flag_filter(&mut self, value: &Value<'_>) -> Filter {
        let unsupported = Filter::Unknown(Unknown::UNSUPPORTED);
        if value.get("operator").and_then(Value::as_text) != Some("flag_evaluates_to") {
            return Filter::Never;
        }
        let position = |value: Option<&Value<'_>>| self.out.position(value?.as_text()?);
        let chain: Option<Vec<u32>> = value
            .get("dependency_chain")
            .and_then(Value::as_array)
            .filter(|chain| !chain.is_empty())
            .and_then(|chain| chain.iter().map(|key| position(Some(key))).collect());
        let (Some(chain), Some(target)) = (chain, position(value.get("key"))) else { return unsupported };
        let expected = match value.get("value") {
            Some(Value::Bool(true)) => Expected::Enabled,
            Some(Value::Bool(false)) => Expected::Disabled,
            Some(Value::Text(variant)) => Expected::Variant(self.out.kept.texts.add(variant)),
            _ => Expected::Never,
        };
        let start = self.out.chains.len();
        self.out.chains.extend(chain);
        Filter::Flag { target, chain: Span::since(start, &self.out.chains), expected }
    }

    /// Flags that depend on themselves, or too deep on others, are not evaluated.
    fn refuse_circles(&mut self) {
        let mut graph = Graph::new(self.out.flags.len());
        for (from, flag) in self.out.flags.iter().enumerate().filter(|(_, flag)| flag.gate == Gate::Open) {
            let conditions = flag.conditions.of(&self.out.conditions).iter();
            for filter in conditions.flat_map(|condition| condition.filters.of(&self.out.filters)) {
                if let Filter::Flag { target, chain, .. } = filter {
                    for to in chain.of(&self.out.chains).iter().chain([target]) {
                        graph.add(from, *to);
                    }
                }
            }
        }
        for (flag, measure) in self.out.flags.iter_mut().zip(graph.measure()) {
            if flag.gate == Gate::Open && measure.is_none_or(|measure| measure.depth > MAX_DEPTH) {
                flag.gate = Gate::Unresolved(Unresolved::UnsupportedDefinition);
            }
        }
    }
}

#[allow(clippy::float_cmp, reason = "exactly 100, as at the server")]
fn is_all(percentage: f64) -> bool {
    percentage == 100.0
}

/// A member that may be absent or null, but not of another type.
fn optional<'v, 'a, T>(
    value: &'v Value<'a>,
    name: &str,
    read: impl FnOnce(&'v Value<'a>) -> Option<T>,
) -> Known<Option<T>> {
    value.get(name).map(|member| read(member).ok_or(Unsupported)).transpose()
}
