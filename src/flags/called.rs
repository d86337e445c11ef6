//! What is said of a flag whose value was read: the events `$feature_flag_called` and `$experiment_exposure`.

use std::hash::{BuildHasher, Hash, Hasher};

use super::definitions::Unresolved;
use super::evaluate::Value;
use super::found::{Found, truth};
use super::remote::Remote;
use super::snapshot::{Snapshot, joined};
use crate::json::{read_checked, write_integer, write_string};

/// The event of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Every read of a value.
    Called,
    /// The first read of the variant that an experiment has put a person into.
    Exposure,
}

impl Kind {
    /// The name of the event.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Kind::Called => "$feature_flag_called",
            Kind::Exposure => "$experiment_exposure",
        }
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

    /// The events that it has.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> + use<> {
        let exposure = self.split().map(|_| Kind::Exposure);
        std::iter::once(Kind::Called).chain(exposure)
    }

    /// A number that is the same for another read that has the same event: of this value, or of this variant of an
    /// experiment, for this person in these groups.
    pub(crate) fn hash(&self, kind: Kind, keys: &impl BuildHasher) -> u64 {
        let whom = self.snapshot.whom();
        let mut hasher = keys.build_hasher();
        (kind, self.key, &whom.distinct_id).hash(&mut hasher);
        match kind {
            Kind::Called => (&whom.device_id, self.value()).hash(&mut hasher),
            Kind::Exposure => self.split().hash(&mut hasher),
        }
        // Their order does not matter.
        let groups = whom.groups.iter().map(|group| keys.hash_one(group));
        groups.fold(0, u64::wrapping_add).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether the event has few properties, as the server wants it for flags without an experiment.
    pub(crate) fn is_minimal(&self, kind: Kind) -> bool {
        let found = self.found.filter(|found| kind == Kind::Called && found.has_experiment() == Some(false));
        found.is_some_and(|found| self.snapshot.is_minimal(found.is_local()))
    }

    /// Whether there is a value, and it was evaluated here.
    fn is_local(&self) -> bool {
        self.found.is_some_and(|found| found.is_local() && found.is_enabled().is_some())
    }

    /// What the server returned, if the value is not one that was evaluated here.
    fn response(&self) -> Option<&'a Remote> {
        self.snapshot.remote().filter(|_| !self.is_local())
    }

    /// Why there is no value, or perhaps not the right one, in the words of `$feature_flag_error`; empty if nothing is
    /// wrong.
    fn error(&self) -> String {
        if let Some(failure) = self.snapshot.failure().filter(|_| self.value().is_none()) {
            return failure.to_string_lossy().into_owned();
        }
        let is = |wanted: fn(Unresolved) -> bool| {
            let value = self.found.map(|found| found.outcome.value);
            matches!(value, Some(Value::Unresolved(reason)) if wanted(reason))
        };
        joined(&[
            (self.response().is_some_and(|response| response.has_errors), "errors_while_computing_flags"),
            (is(|reason| reason == Unresolved::EvaluationFailed), "evaluation_failed"),
            (is(|reason| reason != Unresolved::EvaluationFailed), "local_evaluation_inconclusive"),
            (self.found.is_none(), "flag_missing"),
        ])
    }

    /// The rule of the experiment that has put the person into a variant, and that variant.
    fn split(&self) -> Option<(&'a str, &'a str)> {
        let found = self.found?;
        let rule = found.rule()?;
        Some((found.text(rule.id?.0), found.text(rule.split?)))
    }

    /// Whether it is on, and its variant.
    fn value(&self) -> Option<(bool, Option<&'a str>)> {
        self.found.and_then(|found| Some((found.is_enabled()?, found.variant())))
    }

    /// The event, and whether nothing is to be added to it, as one JSON object.
    pub(crate) fn event(&self, kind: Kind) -> Vec<u8> {
        let mut out = Members::default();
        out.text("event", kind.name());
        out.text("distinct_id", self.distinct_id());
        out.raw("properties", &self.properties(kind));
        out.raw("is_minimal", truth(self.is_minimal(kind)));
        out.end()
    }

    /// The properties of the event, as one JSON object.
    pub(crate) fn properties(&self, kind: Kind) -> Vec<u8> {
        let is_minimal = self.is_minimal(kind);
        let mut value = Vec::new();
        match self.value() {
            None => value.extend_from_slice(b"null"),
            Some((_, Some(variant))) => write_string(&mut value, variant),
            Some((enabled, None)) => value.extend_from_slice(truth(enabled)),
        }
        let mut out = Members::default();
        out.text("$feature_flag", self.key);
        out.raw("$feature_flag_response", &value);
        if kind == Kind::Called && !is_minimal {
            out.raw(&format!("$feature/{}", self.key), &value);
        }
        out.raw("locally_evaluated", truth(self.is_local()));
        if let Some(found) = self.found {
            for (name, number) in
                [("$feature_flag_id", found.id()), ("$feature_flag_version", found.version())]
            {
                if number != 0 {
                    out.number(name, number);
                }
            }
        }
        if let Some(response) = self.response() {
            if let Some(id) = response.request_id() {
                out.text("$feature_flag_request_id", id);
            }
            if let Some(at) = response.evaluated_at {
                out.number("$feature_flag_evaluated_at", at);
            }
        }
        match kind {
            Kind::Exposure => self.add_split(&mut out),
            Kind::Called => self.add_called(&mut out, is_minimal),
        }
        self.add_whom(&mut out);
        out.end()
    }

    fn add_split(&self, out: &mut Members) {
        if let Some((rule, variant)) = self.split() {
            out.text("$feature_flag_rule_id", rule);
            out.text("$feature_flag_variant_key", variant);
        }
    }

    /// What `$feature_flag_called` says beyond that.
    fn add_called(&self, out: &mut Members, is_minimal: bool) {
        if let Some(found) = self.found {
            self.add_details(out, &found, is_minimal);
        }
        let error = self.error();
        if !error.is_empty() {
            out.text("$feature_flag_error", &error);
        }
    }

    fn add_whom(&self, out: &mut Members) {
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
    }

    fn add_details(&self, out: &mut Members, found: &Found<'_>, is_minimal: bool) {
        if let Some(payload) = found.payload().filter(|_| !is_minimal) {
            match read_checked(payload.as_bytes(), |cursor| cursor.value(0, 0)) {
                Ok(sound) => out.raw("$feature_flag_payload", &sound.text),
                Err(_) => out.text("$feature_flag_payload", payload),
            }
        }
        if !found.reason_description().is_empty() {
            out.text("$feature_flag_reason", found.reason_description());
        }
        if let Some(has_experiment) = found.has_experiment() {
            out.raw("$feature_flag_has_experiment", truth(has_experiment));
        }
        if self.is_local()
            && let Some(at) = self.snapshot.definitions_loaded_at().filter(|_| !is_minimal)
        {
            out.number("$feature_flag_definitions_loaded_at", at);
        }
        if let Some(rule) = found.rule().filter(|_| !is_minimal) {
            out.number("$feature_flag_config_version", 2);
            out.text("$feature_flag_reason_code", &found.reason_code().to_string_lossy());
            if let Some((id, kind)) = rule.id {
                out.text("$feature_flag_rule_id", found.text(id));
                out.text("$feature_flag_rule_type", found.text(kind));
            }
            if let Some(variant) = rule.split {
                out.text("$feature_flag_variant_key", found.text(variant));
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

    use super::super::remote::{Decision, Exchange, decide};
    use super::super::{Definitions, OfClient, Query};
    use super::*;

    fn snapshot(query: &Query, json: &str) -> Snapshot {
        Snapshot::new(
            Some(Definitions::new(json.as_bytes()).unwrap().loaded_at(5).into()),
            query,
            OfClient { contexts: &[], now: 0 },
        )
    }

    fn remote(body: &str) -> Remote {
        let (body, etag) = (body.as_bytes().to_vec(), None);
        match decide(&Exchange::Response { status: 200, body, etag, retry_after: None }) {
            Decision::Known(remote) => remote,
            _ => panic!("the response has values"),
        }
    }

    fn properties(snapshot: &Snapshot, key: &str) -> Json {
        serde_json::from_slice(&Read::new(snapshot, key).properties(Kind::Called)).unwrap()
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
        // A flag that has no value was not evaluated.
        let unresolved = json!({
            "$feature_flag": "s", "$feature_flag_response": null, "$feature/s": null, "locally_evaluated": false,
            "$feature_flag_error": "local_evaluation_inconclusive", "$groups": {"company": "acme"},
            "$geoip_disable": true, "$device_id": "d",
        });
        assert_eq!(properties(&snapshot, "s"), unresolved);
        assert_eq!(properties(&snapshot, "x")["$feature_flag_error"], "flag_missing");
        assert_eq!(properties(&snapshot, "x")["locally_evaluated"], false);
    }

    #[test]
    fn a_read_says_which_response_its_value_is_from_or_missing_in() {
        let local = snapshot(
            &Query::new("user"),
            &format!(
                r#"{{"flags":[{FLAG},{{"key":"s","active":true,"ensure_experience_continuity":true}}]}}"#
            ),
        );
        let body = r#"{"flags":{"r":{"key":"r","enabled":true},"f":{"key":"f","enabled":false,"failed":true}},
            "errorsWhileComputingFlags":true,"requestId":"r-1","evaluatedAt":9}"#;
        let snapshot = local.with_server(&Query::new("user"), Ok(remote(body)));
        let expected = [
            ("r", "errors_while_computing_flags"),
            ("f", "errors_while_computing_flags,evaluation_failed"),
            ("s", "errors_while_computing_flags,local_evaluation_inconclusive"),
            ("x", "errors_while_computing_flags,flag_missing"),
        ];
        for (key, error) in expected {
            let read = properties(&snapshot, key);
            assert_eq!(read["$feature_flag_error"], error, "{key}");
            assert_eq!(read["$feature_flag_request_id"], "r-1", "{key}");
            assert_eq!(read["$feature_flag_evaluated_at"], 9, "{key}");
        }
        let evaluated_here = properties(&snapshot, "a");
        for name in ["$feature_flag_error", "$feature_flag_request_id", "$feature_flag_evaluated_at"] {
            assert_eq!(evaluated_here[name], Json::Null);
        }
    }

    #[test]
    fn a_variant_of_an_experiment_is_exposed_once_whatever_its_value_is() {
        let keys = RandomState::new();
        let of = |value: &str, metadata: &str| {
            let body = format!(
                r#"{{"flags":{{"a":{{"value":{value},"reason":{{"code":"experiment_split"}},"metadata":{{"id":7,
                    "version":3,"config_version":2,"rule_type":"experiment",{metadata}}}}}}},"requestId":"r-1"}}"#
            );
            let query = Query::new("user");
            let local = Snapshot::new(None, &query, OfClient { contexts: &[], now: 0 });
            local.with_server(&query, Ok(remote(&body)))
        };
        let rule = "018f4f9e-0000-7000-8000-000000000001";
        let metadata = format!(r#""rule_id":"{rule}","variant_key":"x""#);
        let snapshot = of("true", &metadata);
        let read = Read::new(&snapshot, "a");
        let event: Json = serde_json::from_slice(&read.event(Kind::Exposure)).unwrap();
        let expected = json!({
            "event": "$experiment_exposure", "distinct_id": "user", "is_minimal": false, "properties": {
                "$feature_flag": "a", "$feature_flag_response": true, "locally_evaluated": false,
                "$feature_flag_id": 7, "$feature_flag_version": 3, "$feature_flag_request_id": "r-1",
                "$feature_flag_rule_id": rule, "$feature_flag_variant_key": "x",
            },
        });
        assert_eq!(event, expected);
        let called = properties(&snapshot, "a");
        let typed = ["config_version", "reason_code", "rule_id", "rule_type", "variant_key"];
        let typed = typed.map(|name| called[format!("$feature_flag_{name}")].clone());
        assert_eq!(json!(typed), json!([2, "experiment_split", rule, "experiment", "x"]));

        let hash = |snapshot: &Snapshot, kind| Read::new(snapshot, "a").hash(kind, &keys);
        let (same, other) = (of("\"on\"", &metadata), of("true", &metadata.replace('x', "y")));
        assert_eq!(hash(&same, Kind::Exposure), hash(&snapshot, Kind::Exposure));
        assert_ne!(hash(&same, Kind::Called), hash(&snapshot, Kind::Called));
        assert_ne!(hash(&other, Kind::Exposure), hash(&snapshot, Kind::Exposure));
        assert_eq!(hash(&other, Kind::Called), hash(&snapshot, Kind::Called));
        assert_ne!(hash(&snapshot, Kind::Called), hash(&snapshot, Kind::Exposure));
        assert!(Read::new(&of("true", r#""rule_id":"7","variant_key":"x""#), "a").split().is_none());
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
        assert!(!Read::new(&snapshot, "x").is_minimal(Kind::Called));
    }

    #[test]
    fn reads_differ_by_what_the_official_libraries_distinguish() {
        let keys = RandomState::new();
        let hash = |id: &str, groups: &[(&str, &str)], key: &str, json: &str| {
            let mut query = Query::new(id);
            for (kind, group) in groups {
                query.set_group(kind, group, None).unwrap();
            }
            Read::new(&snapshot(&query, json), key).hash(Kind::Called, &keys)
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
