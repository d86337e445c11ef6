//! Feature flags of one namespace: the values, definitions and remote configs that a test has set, and what was asked
//! for.
//!
//! It checks each request and plans its response; it knows nothing of sockets, and evaluates nothing: `POST /flags`
//! returns the values that were set, for every person.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::check::{Findings, flags as rules};
use crate::decode::decode;
use crate::kept::{Kept, Size};
use crate::namespace::{MAX_RECORDS, Options};
use crate::read::header_texts;
use crate::script::{Endpoint, Step};

/// A flag request as it was received.
#[derive(Clone, Debug, Serialize)]
pub struct FlagRecord {
    /// Its number among those of its endpoint, from 1.
    pub n: u64,
    /// `flags`, `definitions` or `remote_config`.
    pub endpoint: Endpoint,
    /// Its path.
    pub path: String,
    /// The query of its URL.
    pub query: String,
    /// All its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body; null if it has none.
    pub body: Value,
    /// The HTTP status of the response, even if a cut connection kept it from the client.
    pub status: u16,
    /// When it had been received, in ms since the start of the sink.
    pub received_at_ms: f64,
    /// The number of the connection that it came on.
    pub connection: u64,
    #[serde(skip)]
    bytes: usize,
}

impl Size for FlagRecord {
    fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 48);
        // A tree of JSON takes a multiple of its text.
        size_of::<Self>() + self.path.len() + self.query.len() + headers.sum::<usize>() + 8 * self.bytes
    }
}

/// A flag request before it is read.
#[derive(Debug)]
pub(crate) struct FlagRequest<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) parts: &'a Parts,
    pub(crate) body: &'a [u8],
    pub(crate) connection: u64,
}

/// How a flag request is to be responded to.
#[derive(Debug, Default)]
pub(crate) struct FlagPlan {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) etag: Option<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Flags {
    values: Map<String, Value>,
    definitions: String,
    /// The payload of each remote config; null for one that has none.
    configs: Map<String, Value>,
    /// The number of the definitions, which is their ETag.
    revision: u64,
    /// How often anything here has changed.
    changes: u64,
    records: Kept<FlagRecord>,
    /// Requests of each endpoint so far.
    counts: BTreeMap<Endpoint, u64>,
}

/// The definitions of a project without any flag.
const NO_DEFINITIONS: &str = r#"{"flags":[],"group_type_mapping":{},"cohorts":{}}"#;

impl Flags {
    pub(crate) fn new(memory: usize) -> Self {
        Self {
            values: Map::new(),
            definitions: NO_DEFINITIONS.to_owned(),
            configs: Map::new(),
            revision: 1,
            changes: 0,
            records: Kept::new(MAX_RECORDS, memory),
            counts: BTreeMap::new(),
        }
    }

    /// Removes the records and counters.
    pub(crate) fn clear(&mut self, memory: usize) {
        self.records = Kept::new(MAX_RECORDS, memory);
        self.counts.clear();
        self.changes += 1;
    }

    /// The values that `POST /flags` returns from now on: for each key true, false, a variant, or a whole record.
    pub(crate) fn set_values(&mut self, text: &str) -> Result<(), String> {
        self.values =
            serde_json::from_str(text).map_err(|error| format!("an object of flags is expected: {error}"))?;
        self.changes += 1;
        Ok(())
    }

    /// The remote configs that the project has from now on: for each key its payload, as text or as JSON.
    pub(crate) fn set_configs(&mut self, text: &str) -> Result<(), String> {
        self.configs = serde_json::from_str(text)
            .map_err(|error| format!("an object of remote configs is expected: {error}"))?;
        self.changes += 1;
        Ok(())
    }

    /// What `GET /flags/definitions` returns from now on, under another ETag. Any text is accepted: a test may want
    /// one that no client can read.
    pub(crate) fn set_definitions(&mut self, text: String) {
        self.definitions = text;
        self.revision += 1;
        self.changes += 1;
    }

    /// About how many bytes of memory it uses.
    pub(crate) fn bytes(&self) -> usize {
        self.records.bytes() + self.definitions.len()
    }

    pub(crate) fn records(&self) -> &[FlagRecord] {
        self.records.items()
    }

    /// The values that were set.
    pub(crate) fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// The definitions as they were set.
    pub(crate) fn definitions(&self) -> &str {
        &self.definitions
    }

    /// Another number after each change of what is served or recorded.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// How many requests there were to an endpoint.
    pub(crate) fn count(&self, endpoint: Endpoint) -> u64 {
        self.counts.get(&endpoint).copied().unwrap_or(0)
    }

    /// Checks and records a request, and plans its response, of which `step` says what is special. Adds what it
    /// breaks to `findings`.
    pub(crate) fn receive(
        &mut self,
        request: &FlagRequest<'_>,
        step: &Step,
        options: &Options,
        started: Instant,
        findings: &mut Findings,
    ) -> FlagPlan {
        let FlagRequest { endpoint, parts, body, connection } = *request;
        let query = parts.uri.query().unwrap_or_default();
        let key = options.api_key.as_deref();
        let (value, planned) = match endpoint {
            Endpoint::Definitions => {
                let was_sent = |etag: &str| self.was_sent(etag);
                rules::definitions(&parts.headers, query, key, was_sent, findings);
                (Value::Null, self.definitions_for(parts))
            }
            Endpoint::RemoteConfig => {
                let segment =
                    remote_config(parts.uri.path().trim_end_matches('/')).map(|(_, segment)| segment);
                let name = rules::remote_config(&parts.headers, query, segment, body, key, findings);
                (Value::Null, self.config_for(&name))
            }
            Endpoint::Events | Endpoint::Flags => {
                let encoding = parts.headers.get("content-encoding").and_then(|value| value.to_str().ok());
                let text = decode(encoding, body, options.max_body).unwrap_or_default();
                let value = rules::evaluation(&parts.headers, query, &text, key, findings);
                let body = self.values_for(&value, query != "v=2").to_string();
                (value, FlagPlan { status: 200, body, etag: None })
            }
        };
        let refused = findings.status.filter(|_| step.status.is_none() && step.body.is_none());
        let mut plan = match (step.status, refused) {
            (Some(status), _) if status != planned.status => error(status, "as scripted"),
            (None, Some((status, rule))) => error(status, rule),
            _ => planned,
        };
        if let Some(body) = &step.body {
            plan.body.clone_from(body);
            plan.etag = None;
        }
        let count = self.counts.entry(endpoint).or_default();
        *count += 1;
        self.changes += 1;
        self.records.push(FlagRecord {
            n: *count,
            endpoint,
            path: parts.uri.path().to_owned(),
            query: query.to_owned(),
            headers: header_texts(&parts.headers),
            body: value,
            status: plan.status,
            received_at_ms: started.elapsed().as_secs_f64() * 1000.0,
            connection,
            bytes: body.len(),
        });
        plan
    }

    /// The ETag of the definitions.
    pub(crate) fn etag(&self) -> String {
        format!("W/\"{}\"", self.revision)
    }

    fn was_sent(&self, etag: &str) -> bool {
        let number = etag.strip_prefix("W/\"").and_then(|rest| rest.strip_suffix('"')?.parse().ok());
        number.is_some_and(|number: u64| (1..=self.revision).contains(&number))
    }

    fn definitions_for(&self, parts: &Parts) -> FlagPlan {
        let etag = self.etag();
        let is_known = parts.headers.get("if-none-match").is_some_and(|known| known == etag.as_str());
        if is_known {
            return FlagPlan { status: 304, body: String::new(), etag: Some(etag) };
        }
        FlagPlan { status: 200, body: self.definitions.clone(), etag: Some(etag) }
    }

    /// The payload as a JSON string, as the server sends it. One that it does not have, and a key that it does not know,
    /// are empty bodies.
    fn config_for(&self, key: &str) -> FlagPlan {
        let (status, body) = match self.configs.get(key) {
            None => (404, String::new()),
            Some(Value::Null) => (200, String::new()),
            Some(text @ Value::String(_)) => (200, text.to_string()),
            Some(other) => (200, Value::String(other.to_string()).to_string()),
        };
        FlagPlan { status, body, etag: None }
    }

    /// The response of the server in the form of `v=2`, or with typed records, as from `v=3` on.
    fn values_for(&self, request: &Value, is_typed: bool) -> Value {
        let wanted = request.get("flag_keys_to_evaluate").and_then(Value::as_array);
        let is_wanted = |key: &String| wanted.is_none_or(|wanted| wanted.iter().any(|name| name == key));
        let mut flags = Map::new();
        for (id, (key, value)) in self.values.iter().enumerate().filter(|(_, (key, _))| is_wanted(key)) {
            flags.insert(key.clone(), record(id + 1, key, value, is_typed));
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let number = self.count(Endpoint::Flags) + 1;
        json!({
            "errorsWhileComputingFlags": false,
            "flags": flags,
            "requestId": format!("00000000-0000-4000-8000-{number:012x}"),
            "evaluatedAt": u64::try_from(since.as_millis()).unwrap_or_default(),
        })
    }
}

/// The prefix of the namespace, and the segment with the key, if the path is that of a remote config.
pub(crate) fn remote_config(path: &str) -> Option<(&str, &str)> {
    let (prefix, segment) =
        path.strip_suffix("/remote_config")?.rsplit_once("/api/projects/@current/feature_flags/")?;
    (!segment.is_empty() && !segment.contains('/')).then_some((prefix, segment))
}

fn record(id: usize, key: &str, value: &Value, is_typed: bool) -> Value {
    if value.is_object() {
        return value.clone();
    }
    let enabled = value.is_string() || value == &Value::Bool(true);
    let (code, description) = if enabled {
        ("condition_match", "Matched condition set 1")
    } else {
        ("no_condition_match", "No matching condition set")
    };
    let reason = json!({"code": code, "condition_index": 0, "description": description});
    if is_typed {
        let metadata = json!({
            "id": id, "version": 1, "config_version": 1, "description": null, "payload": null,
            "has_experiment": false,
        });
        return json!({"key": key, "value": value, "reason": reason, "metadata": metadata});
    }
    json!({
        "key": key, "enabled": enabled, "variant": value.as_str(), "reason": reason,
        "metadata": {"id": id, "version": 1, "description": null, "payload": null, "has_experiment": false},
    })
}

/// The error response of the flag service.
fn error(status: u16, detail: &str) -> FlagPlan {
    let kind = if status == 401 { "authentication_error" } else { "server_error" };
    let code = if status == 429 { "rate_limit_exceeded" } else { kind };
    let body = json!({"type": kind, "code": code, "detail": detail, "attr": null}).to_string();
    FlagPlan { status, body: if status == 304 { String::new() } else { body }, etag: None }
}
