//! What is said of a flag whose value was read: the properties of `$feature_flag_called`, and which reads have been
//! reported.

use std::hash::{BuildHasher, Hash, Hasher};

use super::Value;
use super::definitions::Unresolved;
use super::found::{Found, truth};
use super::snapshot::Snapshot;
use crate::json::{read_checked, write_integer, write_string};

/// The name of the event.
pub(crate) const NAME: &str = "$feature_flag_called";

/// How many reads share a bucket.
const WAYS: usize = 8;

/// The reads that were reported, each as a hash. It has a fixed size: in a full bucket the one goes whose last read is
/// the oldest.
#[derive(Debug)]
pub(crate) struct Reported {
    /// The newest read of each bucket first; 0 is a free place. Empty until the first read.
    buckets: Vec<[u64; WAYS]>,
    count: usize,
}

impl Reported {
    /// For so many reads, rounded up to whole buckets.
    pub(crate) fn new(reads: usize) -> Self {
        Reported { buckets: Vec::new(), count: reads.div_ceil(WAYS) }
    }

    /// Notes a read; returns whether it is a new one.
    pub(crate) fn add(&mut self, hash: u64) -> bool {
        if self.buckets.is_empty() {
            self.buckets = vec![[0; WAYS]; self.count];
        }
        let Some(bucket) = self.bucket(hash) else { return true };
        let found = bucket.iter().position(|known| *known == hash.max(1));
        let last = found.unwrap_or(WAYS - 1);
        bucket.get_mut(..=last).unwrap_or_default().rotate_right(1);
        if let Some(first) = bucket.first_mut() {
            *first = hash.max(1);
        }
        found.is_none()
    }

    /// Forgets a read that could not be reported.
    pub(crate) fn remove(&mut self, hash: u64) {
        let known =
            self.bucket(hash).and_then(|bucket| bucket.iter_mut().find(|known| **known == hash.max(1)));
        if let Some(known) = known {
            *known = 0;
        }
    }

    fn bucket(&mut self, hash: u64) -> Option<&mut [u64; WAYS]> {
        // The low bits choose among several of these.
        let at = usize::try_from(hash >> 8).unwrap_or(0).checked_rem(self.buckets.len())?;
        self.buckets.get_mut(at)
    }
}

/// The read of one flag in a snapshot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read<'a> {
    snapshot: &'a Snapshot,
    key: &'a str,
    found: Option<Found<'a>>,
}

impl<'a> Read<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, key: &'a str) -> Self {
        Read { snapshot, key, found: snapshot.get(key) }
    }

    /// Whether it is about a person, and is to be reported at all.
    pub(crate) fn is_reportable(&self) -> bool {
        self.is_of_person() && !self.snapshot.whom().is_silent
    }

    /// Whether it is known whom it is about.
    pub(crate) fn is_of_person(&self) -> bool {
        !self.snapshot.whom().distinct_id.is_empty()
    }

    /// Whom it is about.
    pub(crate) fn distinct_id(&self) -> &'a str {
        &self.snapshot.whom().distinct_id
    }

    /// A number that is the same for another read of this value for this person in these groups.
    pub(crate) fn hash(&self, keys: &impl BuildHasher) -> u64 {
        let whom = self.snapshot.whom();
        let mut hasher = keys.build_hasher();
        (self.key, &whom.distinct_id, &whom.device_id).hash(&mut hasher);
        self.found.and_then(|found| Some((found.is_enabled()?, found.variant()))).hash(&mut hasher);
        // Their order does not matter.
        let groups = whom.groups.iter().map(|group| keys.hash_one(group));
        groups.fold(0, u64::wrapping_add).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the event has few properties, as the server wants it for flags without an experiment.
    pub(crate) fn is_minimal(&self) -> bool {
        let found = self.found.filter(|found| found.has_experiment() == Some(false));
        found.is_some_and(|found| self.snapshot.is_minimal(found.is_local()))
    }

    /// The word of `$feature_flag_error`; empty if nothing is wrong.
    fn error(&self) -> &'static str {
        let remote = self.snapshot.remote();
        match self.found.map(|found| (found.is_local(), found.outcome.value)) {
            Some((_, Value::Unresolved(Unresolved::EvaluationFailed))) => "evaluation_failed",
            Some((_, Value::Unresolved(_))) => "local_evaluation_inconclusive",
            Some((false, _)) if remote.is_some_and(|remote| remote.has_errors) => {
                "errors_while_computing_flags"
            }
            Some(_) => "",
            None => "flag_missing",
        }
    }

    /// The event, and whether nothing is to be added to it, as one JSON object.
    pub(crate) fn event(&self) -> Vec<u8> {
        let mut out = Members::default();
        out.text("event", NAME);
        out.text("distinct_id", self.distinct_id());
        out.raw("properties", &self.properties());
        out.raw("is_minimal", truth(self.is_minimal()));
        out.end()
    }

    /// The properties of the event, as one JSON object.
    pub(crate) fn properties(&self) -> Vec<u8> {
        let (key, found, is_minimal) = (self.key, self.found, self.is_minimal());
        let mut value = Vec::new();
        match found.and_then(|found| Some((found.is_enabled()?, found.variant()))) {
            None => value.extend_from_slice(b"null"),
            Some((_, Some(variant))) => write_string(&mut value, variant),
            Some((enabled, None)) => value.extend_from_slice(truth(enabled)),
        }
        let mut out = Members::default();
        out.text("$feature_flag", key);
        out.raw("$feature_flag_response", &value);
        if !is_minimal {
            out.raw(&format!("$feature/{key}"), &value);
        }
        out.raw("locally_evaluated", truth(found.is_some_and(|found| found.is_local())));
        if let Some(found) = found {
            self.add_details(&mut out, &found, is_minimal);
        }
        let failure =
            self.snapshot.failure().filter(|_| found.is_none_or(|found| found.is_enabled().is_none()));
        match failure.map_or_else(|| self.error().into(), std::ffi::CStr::to_string_lossy) {
            error if error.is_empty() => {}
            error => out.text("$feature_flag_error", &error),
        }
        let whom = self.snapshot.whom();
        if !whom.groups.is_empty() {
            let mut groups = Vec::new();
            whom.write_groups(&mut groups);
            out.raw("$groups", &groups);
        }
        if let Some(disable) = whom.geoip_disable {
            out.raw("$geoip_disable", truth(disable));
        }
        if !whom.device_id.is_empty() {
            out.text("$device_id", &whom.device_id);
        }
        out.end()
    }

    fn add_details(&self, out: &mut Members, found: &Found<'_>, is_minimal: bool) {
        if let Some(payload) = found.payload().filter(|_| !is_minimal) {
            match read_checked(payload.as_bytes(), |cursor| cursor.value(0, 0)) {
                Ok(sound) => out.raw("$feature_flag_payload", &sound.text),
                Err(_) => out.text("$feature_flag_payload", payload),
            }
        }
        for (name, number) in [("$feature_flag_id", found.id()), ("$feature_flag_version", found.version())] {
            if number != 0 {
                out.number(name, number);
            }
        }
        if !found.reason_description().is_empty() {
            out.text("$feature_flag_reason", found.reason_description());
        }
        if let Some(has_experiment) = found.has_experiment() {
            out.raw("$feature_flag_has_experiment", truth(has_experiment));
        }
        if found.is_local() {
            if let Some(at) = self.snapshot.definitions_loaded_at().filter(|_| !is_minimal) {
                out.number("$feature_flag_definitions_loaded_at", at);
            }
        } else if let Some(remote) = self.snapshot.remote() {
            if let Some(id) = remote.request_id() {
                out.text("$feature_flag_request_id", id);
            }
            if let Some(at) = remote.evaluated_at {
                out.number("$feature_flag_evaluated_at", at);
            }
        }
    }
}

/// The members of one JSON object.
#[derive(Default)]
struct Members(Vec<u8>);

impl Members {
    fn raw(&mut self, key: &str, json: &[u8]) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        write_string(&mut self.0, key);
        self.0.push(b':');
        self.0.extend_from_slice(json);
    }

    fn text(&mut self, key: &str, text: &str) {
        self.raw(key, b"");
        write_string(&mut self.0, text);
    }

    fn number(&mut self, key: &str, number: i64) {
        self.raw(key, b"");
        write_integer(&mut self.0, number);
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(if self.0.is_empty() { b"{}" } else { b"}" });
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::RandomState;

    use serde_json::{Value as Json, json};

    use super::super::{Definitions, Query};
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_read_is_new_once_and_a_full_memory_forgets_a_few_at_a_time() {
        let mut reported = Reported::new(64);
        let mut random = Random::new(1);
        let reads: Vec<u64> = (0..1000).map(|_| random.next()).collect();
        for read in &reads {
            assert!(reported.add(*read));
            assert!(!reported.add(*read));
        }
        assert_eq!(reported.buckets.len(), 8);
        assert!(
            reported.buckets.iter().all(|bucket| bucket.iter().all(|read| *read != 0)),
            "nothing was cleared"
        );
        // Those that are kept are the newest of each bucket.
        let kept: HashSet<u64> = reported.buckets.iter().flatten().copied().collect();
        let last: Vec<_> = reads.iter().rev().take(8).collect();
        assert!(last.iter().all(|read| kept.contains(read)));
        reported.remove(*last[0]);
        assert!(reported.add(*last[0]));
        // A read that comes again and again is not forgotten.
        for read in &reads {
            assert!(!reported.add(*last[0]));
            reported.add(*read);
        }
        let mut none = Reported::new(0);
        assert!(none.add(1) && none.add(1));
        let mut zero = Reported::new(8);
        assert!(zero.add(0) && !zero.add(0));
    }

    fn snapshot(query: &Query, json: &str) -> Snapshot {
        Snapshot::new(Some(Definitions::new(json.as_bytes()).unwrap().loaded_at(5).into()), query, 0)
    }

    fn properties(snapshot: &Snapshot, key: &str) -> Json {
        serde_json::from_slice(&Read::new(snapshot, key).properties()).unwrap()
    }

    const FLAG: &str = r#"{"id":7,"key":"a","version":3,"active":true,"has_experiment":false,
        "filters":{"groups":[{}],"payloads":{"true":"{\"n\": 1}"}}}"#;

    #[test]
    fn a_read_has_the_properties_of_the_official_libraries() {
        let mut query = Query::new("user");
        query.set_group("company", "acme", None).unwrap();
        query.set_device_id("d");
        query.set_geoip_disable(true);
        let snapshot = snapshot(
            &query,
            &format!(
                r#"{{"flags":[{FLAG},{{"key":"s","active":true,"ensure_experience_continuity":true}}]}}"#
            ),
        );
        let expected = json!({
            "$feature_flag": "a", "$feature_flag_response": true, "$feature/a": true, "locally_evaluated": true,
            "$feature_flag_payload": {"n": 1}, "$feature_flag_id": 7, "$feature_flag_version": 3,
            "$feature_flag_reason": "Evaluated locally", "$feature_flag_has_experiment": false,
            "$feature_flag_definitions_loaded_at": 5, "$groups": {"company": "acme"}, "$geoip_disable": true,
            "$device_id": "d",
        });
        assert_eq!(properties(&snapshot, "a"), expected);
        let unresolved = properties(&snapshot, "s");
        assert_eq!(unresolved["$feature_flag_error"], "local_evaluation_inconclusive");
        assert_eq!(unresolved["$feature_flag_response"], Json::Null);
        assert_eq!(properties(&snapshot, "x")["$feature_flag_error"], "flag_missing");
        assert_eq!(properties(&snapshot, "x")["locally_evaluated"], false);
    }

    #[test]
    fn a_flag_without_an_experiment_has_few_properties_where_the_server_wants_that() {
        let snapshot = snapshot(
            &Query::new("user"),
            &format!(r#"{{"flags":[{FLAG}],"minimal_flag_called_events":true}}"#),
        );
        let expected = json!({
            "$feature_flag": "a", "$feature_flag_response": true, "locally_evaluated": true, "$feature_flag_id": 7,
            "$feature_flag_version": 3, "$feature_flag_reason": "Evaluated locally",
            "$feature_flag_has_experiment": false,
        });
        assert_eq!(properties(&snapshot, "a"), expected);
        assert!(!Read::new(&snapshot, "x").is_minimal());
    }

    #[test]
    fn reads_differ_by_what_the_official_libraries_distinguish() {
        let keys = RandomState::new();
        let hash = |id: &str, groups: &[(&str, &str)], key: &str, json: &str| {
            let mut query = Query::new(id);
            for (kind, group) in groups {
                query.set_group(kind, group, None).unwrap();
            }
            Read::new(&snapshot(&query, json), key).hash(&keys)
        };
        let on = format!(r#"{{"flags":[{FLAG}]}}"#);
        let off = on.replace("{\"groups\":[{}]", "{\"groups\":[]");
        let same = hash("u", &[("a", "1"), ("b", "2")], "a", &on);
        assert_eq!(hash("u", &[("b", "2"), ("a", "1")], "a", &on), same);
        let others = [
            hash("v", &[("a", "1"), ("b", "2")], "a", &on),
            hash("u", &[("a", "1"), ("b", "3")], "a", &on),
            hash("u", &[("a", "2"), ("b", "1")], "a", &on),
            hash("u", &[], "a", &on),
            hash("u", &[("a", "1"), ("b", "2")], "b", &on),
            hash("u", &[("a", "1"), ("b", "2")], "a", &off),
        ];
        let distinct: HashSet<u64> = others.into_iter().chain([same]).collect();
        assert_eq!(distinct.len(), 7);
    }
}
