//! What an evaluation found: immutable, but for what was read.

use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::date::Nanoseconds;
use super::definitions::{Definitions, Flag, Unresolved};
use super::evaluate::{Evaluation, Outcome, Reason, Value};
use super::query::Query;
use crate::json::{write_integer, write_string};

impl Unresolved {
    /// The name, as official libraries have it.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Unresolved::ExperienceContinuity => c"experience_continuity",
            Unresolved::UnsupportedDefinition => c"unsupported_definition",
            Unresolved::UnresolvedDependency => c"unresolved_dependency",
            Unresolved::MissingContext => c"missing_context",
        }
    }
}

impl Reason {
    /// The code of the server.
    pub(crate) const fn name(self) -> &'static CStr {
        match self {
            Reason::None => c"",
            Reason::FlagDisabled => c"flag_disabled",
            Reason::NoGroupType => c"no_group_type",
            Reason::NoConditionMatch => c"no_condition_match",
            Reason::OutOfRolloutBound => c"out_of_rollout_bound",
            Reason::ConditionMatch => c"condition_match",
            Reason::Holdout => c"holdout_condition_value",
            Reason::SuperCondition => c"super_condition_value",
        }
    }
}

/// One flag of a snapshot.
#[derive(Debug)]
struct Entry {
    position: u32,
    outcome: Outcome,
    accessed: AtomicBool,
}

impl Entry {
    fn new(position: u32, outcome: Outcome) -> Self {
        Entry { position, outcome, accessed: AtomicBool::new(false) }
    }

    fn copy(&self) -> Self {
        let accessed = AtomicBool::new(self.accessed.load(Ordering::Relaxed));
        Entry { position: self.position, outcome: self.outcome, accessed }
    }
}

/// The entries, by position. One, which is what a program asks for most, needs no memory of its own.
#[derive(Debug)]
enum Entries {
    One(Entry),
    Several(Vec<Entry>),
}

impl Entries {
    fn as_slice(&self) -> &[Entry] {
        match self {
            Entries::One(entry) => std::slice::from_ref(entry),
            Entries::Several(entries) => entries,
        }
    }
}

/// The values of some flags for one person.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// None were loaded.
    definitions: Option<Arc<Definitions>>,
    entries: Entries,
    /// Whether a flag was asked for that has no definition.
    has_missing: bool,
}

/// What is known of one flag.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    definitions: &'a Definitions,
    flag: &'a Flag,
    pub outcome: Outcome,
}

impl Snapshot {
    /// Evaluates what the query asks for.
    pub(crate) fn new(definitions: Option<Arc<Definitions>>, query: &Query, now: Nanoseconds) -> Self {
        let (entries, has_missing) = match &definitions {
            Some(definitions) => evaluate(definitions, query, now),
            None => (Entries::Several(Vec::new()), !query.keys.is_empty()),
        };
        Snapshot { definitions, entries, has_missing }
    }

    /// Whether each flag that was asked for has a value or does not exist for the query.
    pub(crate) fn is_complete(&self) -> bool {
        self.definitions.is_some() && !self.has_missing && !self.has_unresolved()
    }

    fn has_unresolved(&self) -> bool {
        let mut entries = self.entries.as_slice().iter();
        entries.any(|entry| matches!(entry.outcome.value, Value::Unresolved(_)))
    }

    /// What is missing, in the words of `$feature_flag_error`.
    pub(crate) fn error(&self) -> &'static CStr {
        match (self.has_unresolved(), self.has_missing) {
            (false, false) => c"",
            (true, false) => c"local_evaluation_inconclusive",
            (false, true) => c"flag_missing",
            (true, true) => c"local_evaluation_inconclusive,flag_missing",
        }
    }

    /// How many flags there are, those without a value included.
    pub(crate) fn len(&self) -> usize {
        self.entries.as_slice().len()
    }

    /// The flag at this place, in the order of the definitions.
    pub(crate) fn at(&self, index: usize) -> Option<Found<'_>> {
        self.found(self.entries.as_slice().get(index)?)
    }

    /// The flag with this key.
    pub(crate) fn get(&self, key: &str) -> Option<Found<'_>> {
        self.found(self.entry(key)?)
    }

    /// The same, and notes that its value was read.
    pub(crate) fn read(&self, key: &str) -> Option<Found<'_>> {
        let entry = self.entry(key)?;
        entry.accessed.store(true, Ordering::Relaxed);
        self.found(entry)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        let position = self.definitions.as_ref()?.position(key)?;
        let entries = self.entries.as_slice();
        entries.get(entries.binary_search_by_key(&position, |entry| entry.position).ok()?)
    }

    fn found(&self, entry: &Entry) -> Option<Found<'_>> {
        let definitions = self.definitions.as_deref()?;
        Some(Found { definitions, flag: definitions.flag(entry.position)?, outcome: entry.outcome })
    }

    /// A copy with these flags only.
    pub(crate) fn only(&self, keys: &[&str]) -> Self {
        let position = |key: &&str| self.definitions.as_ref()?.position(key);
        let wanted: Vec<u32> = keys.iter().filter_map(position).collect();
        self.filtered(|entry| wanted.contains(&entry.position))
    }

    /// A copy with those flags only whose value was read.
    pub(crate) fn only_accessed(&self) -> Self {
        self.filtered(|entry| entry.accessed.load(Ordering::Relaxed))
    }

    fn filtered(&self, keep: impl Fn(&Entry) -> bool) -> Self {
        let kept = self.entries.as_slice().iter().filter(|entry| keep(entry)).map(Entry::copy);
        Snapshot {
            definitions: self.definitions.clone(),
            entries: Entries::Several(kept.collect()),
            has_missing: false,
        }
    }

    /// The properties of an event that say which flags there are, as one JSON object.
    pub(crate) fn event_properties(&self) -> String {
        let all = || self.entries.as_slice().iter().filter_map(|entry| self.found(entry));
        let mut out = b"{".to_vec();
        for found in all() {
            let Some(is_enabled) = found.is_enabled() else { continue };
            if out.len() > 1 {
                out.push(b',');
            }
            write_string(&mut out, &format!("$feature/{}", found.key()));
            out.push(b':');
            match found.variant() {
                Some(variant) => write_string(&mut out, variant),
                None => out.extend_from_slice(truth(is_enabled)),
            }
        }
        let mut active: Vec<&str> =
            all().filter(|found| found.is_enabled() == Some(true)).map(|found| found.key()).collect();
        active.sort_unstable();
        for (i, key) in active.iter().enumerate() {
            out.extend_from_slice(if i == 0 { b",\"$active_feature_flags\":[" } else { b"," });
            write_string(&mut out, key);
        }
        out.extend_from_slice(if active.is_empty() { b"}" } else { b"]}" });
        String::from_utf8(out).unwrap_or_default()
    }

    /// The whole snapshot as one JSON object.
    pub(crate) fn to_json(&self) -> String {
        let mut out = b"{\"flags\":{".to_vec();
        let all = || self.entries.as_slice().iter().filter_map(|entry| self.found(entry));
        let mut comma = "";
        for found in all().filter(|found| !matches!(found.outcome.value, Value::Unresolved(_))) {
            out.extend_from_slice(comma.as_bytes());
            found.write(&mut out);
            comma = ",";
        }
        out.extend_from_slice(b"},\"unresolved\":{");
        let mut comma = "";
        for found in all() {
            if let Value::Unresolved(reason) = found.outcome.value {
                out.extend_from_slice(comma.as_bytes());
                write_string(&mut out, found.key());
                out.push(b':');
                write_c(&mut out, reason.name());
                comma = ",";
            }
        }
        out.extend_from_slice(b"},\"error\":");
        write_c(&mut out, self.error());
        out.push(b'}');
        String::from_utf8(out).unwrap_or_default()
    }
}

fn evaluate(definitions: &Definitions, query: &Query, now: Nanoseconds) -> (Entries, bool) {
    let mut evaluation = Evaluation::new(definitions, query, now);
    if let [key] = &*query.keys
        && let Some(position) = definitions.position(key)
        && evaluation.exists(position)
    {
        return (Entries::One(Entry::new(position, evaluation.outcome(position))), false);
    }
    let mut entries = Vec::new();
    let mut has_missing = false;
    if query.keys.is_empty() {
        evaluation.remember_for_dependencies();
        entries.reserve_exact(definitions.len());
        for position in (0..).take(definitions.len()) {
            add(&mut entries, &mut evaluation, position);
        }
    } else {
        entries.reserve_exact(query.keys.len());
        for key in &query.keys {
            match definitions.position(key) {
                Some(position) => add(&mut entries, &mut evaluation, position),
                None => has_missing = true,
            }
        }
        entries.sort_unstable_by_key(|entry| entry.position);
        entries.dedup_by_key(|entry| entry.position);
    }
    (Entries::Several(entries), has_missing)
}

/// Evaluates a flag, if it exists for the query.
fn add(entries: &mut Vec<Entry>, evaluation: &mut Evaluation<'_>, position: u32) {
    if evaluation.exists(position) {
        entries.push(Entry::new(position, evaluation.outcome(position)));
    }
}

impl<'a> Found<'a> {
    pub(crate) fn key(&self) -> &'a str {
        self.definitions.text(self.flag.key)
    }

    pub(crate) fn key_c(&self) -> &'a CStr {
        self.definitions.kept.texts.c(self.flag.key)
    }

    /// Whether the flag is on; `None` if it has no value.
    pub(crate) fn is_enabled(&self) -> Option<bool> {
        match self.outcome.value {
            Value::Unresolved(_) => None,
            value => Some(value != Value::False),
        }
    }

    /// The variant, for C.
    pub(crate) fn variant_c(&self) -> Option<&'a CStr> {
        let Value::Variant(variant) = self.outcome.value else { return None };
        Some(self.definitions.kept.texts.c(variant))
    }

    /// The variant.
    pub(crate) fn variant(&self) -> Option<&'a str> {
        let Value::Variant(variant) = self.outcome.value else { return None };
        Some(self.definitions.text(variant))
    }

    fn payload_text(&self) -> Option<super::texts::TextRef> {
        match self.outcome.value {
            Value::True => self.definitions.payload(self.flag, "true"),
            Value::Variant(variant) => self.definitions.payload(self.flag, self.definitions.text(variant)),
            Value::False | Value::Unresolved(_) => None,
        }
    }

    /// The payload of the value, as JSON text.
    pub(crate) fn payload(&self) -> Option<&'a str> {
        self.payload_text().map(|text| self.definitions.text(text))
    }

    /// The payload for C.
    pub(crate) fn payload_c(&self) -> Option<&'a CStr> {
        self.payload_text().map(|text| self.definitions.kept.texts.c(text))
    }

    pub(crate) fn id(&self) -> i64 {
        self.flag.id
    }

    pub(crate) fn version(&self) -> i64 {
        self.flag.version
    }

    pub(crate) fn has_experiment(&self) -> Option<bool> {
        self.flag.has_experiment
    }

    /// Writes the member of a flag with a value, in the form of the server's responses.
    fn write(&self, out: &mut Vec<u8>) {
        let optional = |out: &mut Vec<u8>, text: Option<&str>| match text {
            Some(text) => write_string(out, text),
            None => out.extend_from_slice(b"null"),
        };
        write_string(out, self.key());
        out.extend_from_slice(b":{\"key\":");
        write_string(out, self.key());
        out.extend_from_slice(b",\"enabled\":");
        out.extend_from_slice(truth(self.is_enabled() == Some(true)));
        out.extend_from_slice(b",\"variant\":");
        optional(out, self.variant());
        out.extend_from_slice(b",\"reason\":{\"code\":");
        write_c(out, self.outcome.reason.name());
        out.extend_from_slice(b",\"condition_index\":");
        match self.outcome.condition {
            Some(index) => write_integer(out, index.into()),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b"},\"metadata\":{\"id\":");
        write_integer(out, self.id());
        out.extend_from_slice(b",\"version\":");
        write_integer(out, self.version());
        out.extend_from_slice(b",\"payload\":");
        optional(out, self.payload());
        if let Some(has_experiment) = self.has_experiment() {
            out.extend_from_slice(b",\"has_experiment\":");
            out.extend_from_slice(truth(has_experiment));
        }
        out.extend_from_slice(b"},\"locally_evaluated\":true}");
    }
}

fn truth(value: bool) -> &'static [u8] {
    if value { b"true" } else { b"false" }
}

fn write_c(out: &mut Vec<u8>, name: &CStr) {
    write_string(out, &name.to_string_lossy());
}
