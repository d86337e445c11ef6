//! What an evaluation found: immutable, but for what was read.

use std::ffi::{CStr, CString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::definitions::{Definitions, Unresolved};
use super::evaluate::{Evaluation, OfClient, Outcome, Value};
use super::found::{Found, Source, truth, write_c};
use super::query::{Query, Whom};
use super::remote::{Failure, Remote};
use crate::json::{escaped_length, write_escaped, write_string};
use crate::memory::{NoMemory, reserve};

/// One flag of a snapshot.
#[derive(Debug)]
struct Entry {
    /// In the definitions, or among the flags that the server has returned.
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
    /// What the server said, if it was asked.
    asked: Option<Box<Asked>>,
    whom: Arc<Whom>,
}

/// What the server has added to a snapshot.
#[derive(Debug)]
struct Asked {
    /// Without any flag if it failed.
    remote: Arc<Remote>,
    entries: Vec<Entry>,
    /// For `$feature_flag_error`.
    error: CString,
    /// Whether it was asked in vain.
    has_failed: bool,
}

impl Snapshot {
    /// Evaluates what the query asks for.
    pub(crate) fn new(definitions: Option<Arc<Definitions>>, query: &Query, of_client: OfClient<'_>) -> Self {
        let (entries, has_missing) = match &definitions {
            Some(definitions) => evaluate(definitions, query, of_client),
            None => (Entries::Several(Vec::new()), !query.keys.is_empty()),
        };
        Snapshot { definitions, entries, has_missing, asked: None, whom: Arc::clone(query.whom()) }
    }

    /// Adds what the server said. A value that was evaluated here stays; a flag that has none gets the server's. A
    /// failure is kept for [`Snapshot::error`].
    pub(crate) fn with_server(mut self, query: &Query, result: Result<Remote, &Failure>) -> Self {
        let (remote, failure) = match result {
            Ok(remote) => (remote, None),
            Err(failure) => (Remote::default(), Some(failure)),
        };
        let is_wanted = |key: &str| query.keys.is_empty() || query.keys.iter().any(|wanted| wanted == key);
        let mut entries = Vec::new();
        for (position, flag) in (0..).zip(remote.flags()) {
            let key = remote.texts.get(flag.key);
            if is_wanted(key) && self.get(key).is_none_or(|found| found.is_enabled().is_none()) {
                entries.push(Entry::new(position, flag.outcome));
            }
        }
        let is_replaced = |key: &str| {
            let position = remote.position(key);
            position.is_some_and(|position| {
                entries.binary_search_by_key(&position, |entry| entry.position).is_ok()
            })
        };
        let definitions = self.definitions.as_deref();
        let key_of = |entry: &Entry| {
            let flag = definitions?.flag(entry.position)?;
            Some(definitions?.text(flag.key))
        };
        if self.entries.as_slice().iter().any(|entry| key_of(entry).is_some_and(is_replaced)) {
            let kept = self.entries.as_slice().iter().filter(|entry| !key_of(entry).is_some_and(is_replaced));
            self.entries = Entries::Several(kept.map(Entry::copy).collect());
        }
        self.asked = Some(Box::new(Asked {
            remote: Arc::new(remote),
            entries,
            error: CString::default(),
            has_failed: failure.is_some(),
        }));
        self.has_missing = query.keys.iter().any(|key| self.get(key).is_none());
        let error = failure.map_or_else(|| self.words_of_server(), Failure::word);
        if let Some(asked) = &mut self.asked {
            asked.error = CString::new(error).unwrap_or_default();
        }
        self
    }

    /// What a response with values lacks.
    fn words_of_server(&self) -> String {
        let has_errors = self.asked.as_ref().is_some_and(|asked| asked.remote.has_errors);
        let has = |wanted: fn(Unresolved) -> bool| {
            self.all().any(|found| matches!(found.outcome.value, Value::Unresolved(reason) if wanted(reason)))
        };
        joined(&[
            (has_errors, "errors_while_computing_flags"),
            (has(|reason| reason == Unresolved::EvaluationFailed), "evaluation_failed"),
            (has(|reason| reason != Unresolved::EvaluationFailed), "local_evaluation_inconclusive"),
            (self.has_missing, "flag_missing"),
        ])
    }

    /// Whom it is about.
    pub(crate) fn whom(&self) -> &Whom {
        &self.whom
    }

    /// Why the server was asked in vain, if it was.
    pub(crate) fn failure(&self) -> Option<&CStr> {
        self.asked.as_ref().filter(|asked| asked.has_failed).map(|asked| &*asked.error)
    }

    /// Whether reads of flags without an experiment are reported with few properties, as the definitions or the
    /// server say.
    pub(crate) fn is_minimal(&self, is_local: bool) -> bool {
        if is_local {
            self.definitions.as_ref().is_some_and(|definitions| definitions.is_minimal)
        } else {
            self.remote().is_some_and(|remote| remote.is_minimal)
        }
    }

    /// When the definitions were loaded, in ms since 1970, if that is known.
    pub(crate) fn definitions_loaded_at(&self) -> Option<i64> {
        self.definitions.as_ref().map(|definitions| definitions.loaded_at).filter(|at| *at != 0)
    }

    /// What the server returned, if it was asked.
    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.asked.as_ref().map(|asked| &*asked.remote)
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
    pub(crate) fn error(&self) -> &CStr {
        if let Some(asked) = &self.asked {
            return &asked.error;
        }
        match (self.has_unresolved(), self.has_missing) {
            (false, false) => c"",
            (true, false) => c"local_evaluation_inconclusive",
            (false, true) => c"flag_missing",
            (true, true) => c"local_evaluation_inconclusive,flag_missing",
        }
    }

    /// How many flags there are, those without a value included.
    pub(crate) fn len(&self) -> usize {
        self.entries.as_slice().len() + self.remote_entries().len()
    }

    fn remote_entries(&self) -> &[Entry] {
        self.asked.as_ref().map_or(&[], |asked| &asked.entries)
    }

    /// The flag at this place: those that were evaluated here in the order of the definitions, then those of the server
    /// by key.
    pub(crate) fn at(&self, index: usize) -> Option<Found<'_>> {
        let local = self.entries.as_slice();
        match local.get(index) {
            Some(entry) => self.local(entry),
            None => self.of_server(self.remote_entries().get(index - local.len())?),
        }
    }

    fn all(&self) -> impl Iterator<Item = Found<'_>> {
        let local = self.entries.as_slice().iter().filter_map(|entry| self.local(entry));
        local.chain(self.remote_entries().iter().filter_map(|entry| self.of_server(entry)))
    }

    /// The flag with this key.
    pub(crate) fn get(&self, key: &str) -> Option<Found<'_>> {
        self.entry(key).map(|(_, found)| found)
    }

    /// The same, and notes that its value was read; also returns whether it was not before.
    pub(crate) fn read(&self, key: &str) -> (Option<Found<'_>>, bool) {
        match self.entry(key) {
            Some((entry, found)) => {
                let is_new = !entry.accessed.load(Ordering::Relaxed);
                if is_new {
                    entry.accessed.store(true, Ordering::Relaxed);
                }
                (Some(found), is_new)
            }
            None => (None, true),
        }
    }

    fn entry(&self, key: &str) -> Option<(&Entry, Found<'_>)> {
        let find = |entries, position: Option<u32>| by_position(entries, position?);
        let position = self.definitions.as_ref().and_then(|definitions| definitions.position(key));
        if let Some(entry) = find(self.entries.as_slice(), position) {
            return Some((entry, self.local(entry)?));
        }
        let asked = self.asked.as_ref()?;
        let entry = find(&asked.entries, asked.remote.position(key))?;
        Some((entry, self.of_server(entry)?))
    }

    fn local(&self, entry: &Entry) -> Option<Found<'_>> {
        let definitions = self.definitions.as_deref()?;
        let source = Source::Local(definitions, definitions.flag(entry.position)?);
        Some(Found { source, outcome: entry.outcome })
    }

    fn of_server(&self, entry: &Entry) -> Option<Found<'_>> {
        let remote = self.remote()?;
        let source = Source::Remote(remote, remote.flag(entry.position)?);
        Some(Found { source, outcome: entry.outcome })
    }

    /// A copy with these flags only.
    pub(crate) fn only(&self, keys: &[&str]) -> Self {
        self.filtered(|_, found| keys.contains(&found.key()))
    }

    /// A copy with those flags only whose value was read.
    pub(crate) fn only_accessed(&self) -> Self {
        self.filtered(|entry, _| entry.accessed.load(Ordering::Relaxed))
    }

    fn filtered(&self, keep: impl Fn(&Entry, &Found<'_>) -> bool) -> Self {
        let is_kept =
            |entry: &Entry, found: Option<Found<'_>>| found.is_some_and(|found| keep(entry, &found));
        let local = self.entries.as_slice().iter().filter(|entry| is_kept(entry, self.local(entry)));
        let remote = self.remote_entries().iter().filter(|entry| is_kept(entry, self.of_server(entry)));
        let asked = self.asked.as_ref().map(|asked| {
            let (remote, entries) = (Arc::clone(&asked.remote), remote.map(Entry::copy).collect());
            Box::new(Asked { remote, entries, error: asked.error.clone(), has_failed: asked.has_failed })
        });
        Snapshot {
            definitions: self.definitions.clone(),
            entries: Entries::Several(local.map(Entry::copy).collect()),
            has_missing: false,
            asked,
            whom: Arc::clone(&self.whom),
        }
    }

    /// The properties of an event that say which flags there are, as one JSON object.
    pub(crate) fn event_properties(&self) -> Result<Vec<u8>, NoMemory> {
        /// More than what stands around the texts of a flag, and at the end.
        const AROUND: usize = 40;
        let (mut out, mut active) = (Vec::new(), Vec::new());
        for found in self.all() {
            let Some(is_enabled) = found.is_enabled() else { continue };
            let (key, variant) = (found.key(), found.variant());
            let texts = [key, variant.unwrap_or_default()].map(|text| escaped_length(text.as_bytes()));
            reserve(&mut out, texts.iter().sum::<usize>() + AROUND)?;
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(b"\"$feature/");
            write_escaped(&mut out, key);
            out.extend_from_slice(b"\":");
            match variant {
                Some(variant) => write_string(&mut out, variant),
                None => out.extend_from_slice(truth(is_enabled)),
            }
            if is_enabled {
                reserve(&mut active, 1)?;
                active.push(key);
            }
        }
        active.sort_unstable();
        for (i, key) in active.iter().enumerate() {
            reserve(&mut out, escaped_length(key.as_bytes()) + AROUND)?;
            out.extend_from_slice(if i == 0 { b",\"$active_feature_flags\":[" } else { b"," });
            write_string(&mut out, key);
        }
        reserve(&mut out, AROUND)?;
        let end: &[u8] = match (out.is_empty(), active.is_empty()) {
            (true, _) => b"{}",
            (_, true) => b"}",
            _ => b"]}",
        };
        out.extend_from_slice(end);
        Ok(out)
    }

    /// The whole snapshot as one JSON object.
    pub(crate) fn to_json(&self) -> String {
        let mut out = b"{\"flags\":{".to_vec();
        let mut comma = "";
        for found in self.all().filter(|found| !matches!(found.outcome.value, Value::Unresolved(_))) {
            out.extend_from_slice(comma.as_bytes());
            found.write(&mut out);
            comma = ",";
        }
        out.extend_from_slice(b"},\"unresolved\":{");
        let mut comma = "";
        for found in self.all() {
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
        if let Some(request_id) = self.remote().and_then(Remote::request_id) {
            out.extend_from_slice(b",\"request_id\":");
            write_string(&mut out, request_id);
        }
        out.push(b'}');
        String::from_utf8(out).unwrap_or_default()
    }
}

fn by_position(entries: &[Entry], position: u32) -> Option<&Entry> {
    entries.get(entries.binary_search_by_key(&position, |entry| entry.position).ok()?)
}

fn evaluate(definitions: &Definitions, query: &Query, of_client: OfClient<'_>) -> (Entries, bool) {
    let mut evaluation = Evaluation::new(definitions, query, of_client);
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

/// The words of `$feature_flag_error` that apply, as one text.
pub(super) fn joined(words: &[(bool, &str)]) -> String {
    let that_apply = words.iter().filter(|(applies, _)| *applies);
    that_apply.map(|(_, word)| *word).collect::<Vec<_>>().join(",")
}
