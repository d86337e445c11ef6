//! The format of the files in `vectors/` and `scenarios/`, and their loading.
//!
//! docs/conformance.md describes each key; an unknown key is an error. It knows nothing of how a case is run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use phc_sink::{Endpoint, Script};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Settings of the client, all as text.
pub(crate) type Settings = BTreeMap<String, String>;

/// One step of a case, and what its call must return.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    /// Captures an event, given as an object.
    pub(crate) capture: Option<Box<RawValue>>,
    /// Captures an event, given as a text that need not be JSON.
    pub(crate) capture_text: Option<String>,
    /// The same as bytes, two hexadecimal digits each.
    pub(crate) capture_hex: Option<String>,
    /// `distinct_id`, `set`, `set_once`
    pub(crate) identify: Option<Box<RawValue>>,
    /// `distinct_id`, `alias`
    pub(crate) alias: Option<Box<RawValue>>,
    /// `group_type`, `group_key`, `set`, `distinct_id`
    pub(crate) group_identify: Option<Box<RawValue>>,
    /// Adds a super property: `key`, `value`
    pub(crate) register: Option<Box<RawValue>>,
    /// Removes a super property: its key.
    pub(crate) unregister: Option<String>,
    /// `true`: opts out; `false`: opts in again.
    pub(crate) opt_out: Option<bool>,
    /// Evaluates and reads one feature flag: `key`, `distinct_id`, and what else is known of the person.
    pub(crate) get_feature_flag: Option<Box<RawValue>>,
    /// Fetches the definitions of feature flags, with this time limit in ms.
    pub(crate) reload_definitions: Option<u64>,
    /// Flushes, with this time limit in ms.
    pub(crate) flush: Option<u64>,
    /// Begins a flush without waiting; a label for `flush_wait`.
    pub(crate) flush_begin: Option<String>,
    /// Waits for a flush that was begun.
    pub(crate) flush_wait: Option<FlushWait>,
    /// Closes the client, with this time limit in ms.
    pub(crate) close: Option<u64>,
    /// Ends the client at once; it must send nothing more.
    pub(crate) reset: bool,
    /// Waits until the server has received this much.
    pub(crate) wait: Option<Counts>,
    /// Does nothing for this long.
    pub(crate) pause_ms: u64,
    /// Gives the server a new script, before anything else in this step.
    pub(crate) server: Option<Script>,
    /// Gives the server new definitions of feature flags, then.
    pub(crate) definitions: Option<Box<RawValue>>,

    /// Makes the call this many times.
    pub(crate) times: Option<usize>,
    /// Adds a property `filler` of this many bytes to a capture.
    pub(crate) filler: usize,
    /// The status that the call must return; `ok` if absent, `*` for any.
    pub(crate) status: Option<String>,
    /// A part of the message that it must return.
    pub(crate) message: Option<String>,
    /// Members of the result that it must return.
    pub(crate) result: Option<Box<RawValue>>,
    /// The least time that the call must take, in ms.
    pub(crate) at_least_ms: Option<u64>,
    /// The most time that the call may take, in ms.
    pub(crate) within_ms: Option<u64>,
}

/// A wait for a flush that was begun before.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlushWait {
    /// The label that `flush_begin` gave it.
    pub(crate) flush: String,
    /// The time limit in ms.
    pub(crate) timeout_ms: u64,
}

/// What the server must have received.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Counts {
    /// Requests.
    pub(crate) requests: Option<u64>,
    /// Events, each as often as it came.
    pub(crate) events: Option<u64>,
    /// Stored events.
    pub(crate) accepted: Option<u64>,
}

/// A vector: what one event becomes on the wire.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Vector {
    /// Unique.
    pub(crate) name: String,
    /// The rules of contract.json that it proves, separated by spaces.
    pub(crate) rule: String,
    /// Settings of the client.
    pub(crate) settings: Settings,
    /// The project key of the client, if it matters.
    pub(crate) api_key: Option<String>,
    /// The client must be refused, with this in the message.
    pub(crate) refused_client: Option<String>,
    /// Steps before the call.
    pub(crate) before: Vec<Step>,
    /// The call itself.
    pub(crate) call: Option<Step>,
    /// The event that the server must receive. Where it leaves them out, `uuid` is a new version 7, `timestamp`
    /// is now, and `options` is empty.
    pub(crate) wire: Option<Box<RawValue>>,
    /// Members of that event, byte for byte except for white space between tokens.
    pub(crate) text: BTreeMap<String, String>,
    /// The status of a call that must not capture an event.
    pub(crate) refused: Option<String>,
    /// A part of the message of that call.
    pub(crate) message: Option<String>,
    /// Members of the server's record of the request.
    pub(crate) request: Option<Box<RawValue>>,
    /// The first line of the request that a proxy must receive.
    pub(crate) proxied: Option<String>,
    /// Members of the client's counters afterwards.
    pub(crate) stats: Option<Box<RawValue>>,
}

/// A scenario: what a client does when the server behaves in some manner.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Scenario {
    /// Unique.
    pub(crate) name: String,
    /// The rules of contract.json that it proves, separated by spaces.
    pub(crate) rule: String,
    /// Settings of the client that the case is about.
    pub(crate) settings: Settings,
    /// Settings that only make the case fast. A client without them is still asked.
    pub(crate) pace: Settings,
    /// What the worker must make fail inside of the client: one of the `faults` of its hello.
    pub(crate) fault: Option<String>,
    /// What the server responds at first.
    pub(crate) server: Script,
    /// The definitions of feature flags that the server has at first.
    pub(crate) definitions: Option<Box<RawValue>>,
    /// What the client does, in order.
    pub(crate) steps: Vec<Step>,
    /// What must be observed at the end.
    pub(crate) expect: Expected,
}

/// What must be observed at the end of a [`Scenario`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expected {
    /// Every request that the server received, in order.
    pub(crate) requests: Option<Vec<ExpectedRequest>>,
    /// The least and the largest number of requests, where their order does not matter.
    pub(crate) request_count: Option<[u64; 2]>,
    /// The names of the stored events, in any order.
    pub(crate) accepted: Option<Vec<String>>,
    /// Members of stored events, by their names.
    pub(crate) events: BTreeMap<String, Box<RawValue>>,
    /// How far apart the timestamps of two events are.
    pub(crate) apart: Option<Apart>,
    /// The names of events whose timestamp is the same instant in every request.
    pub(crate) same_timestamp: Vec<String>,
    /// Every request of feature flags that the server received, in order.
    pub(crate) flag_requests: Option<Vec<ExpectedFlagRequest>>,
    /// The least and the largest value for the most requests that were open at once.
    pub(crate) concurrent: Option<[u64; 2]>,
    /// Members of the sink's summary.
    pub(crate) summary: Option<Box<RawValue>>,
    /// Members of the client's counters.
    pub(crate) stats: Option<Box<RawValue>>,
    /// Reports that must be among those of the client.
    pub(crate) reports: Vec<ExpectedReport>,
    /// How many reports the client makes.
    pub(crate) report_count: Option<usize>,
    /// Rules of the sink that the case breaks on purpose.
    pub(crate) violations: BTreeSet<String>,
}

/// How far apart the timestamps of two events are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Apart {
    /// The names of the earlier and of the later one.
    pub(crate) events: [String; 2],
    /// The least time between them, in ms.
    pub(crate) at_least_ms: i64,
}

/// What is expected of one request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExpectedRequest {
    /// `PostHog-Attempt`
    pub(crate) attempt: Option<u64>,
    /// The status of the response.
    pub(crate) status: Option<u16>,
    /// The names of its events, in order.
    pub(crate) events: Option<Vec<String>>,
    /// How many events it carries.
    pub(crate) count: Option<usize>,
    /// Its codec; `identity` if it is not compressed.
    pub(crate) encoding: Option<String>,
    /// A label: requests with the same one have the same request id, those with another have another.
    pub(crate) batch: Option<String>,
    /// The least time since the request before, in ms.
    pub(crate) after_ms: Option<f64>,
    /// The most time since the request before, in ms.
    pub(crate) before_ms: Option<f64>,
    /// Members of the server's record of it.
    pub(crate) record: Option<Box<RawValue>>,
}

/// What is expected of one request of feature flags.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedFlagRequest {
    /// `flags` or `definitions`.
    pub(crate) endpoint: Endpoint,
    /// The query of its URL.
    pub(crate) query: Option<String>,
    /// The status of the response.
    pub(crate) status: Option<u16>,
    /// Members of its body.
    pub(crate) body: Option<Box<RawValue>>,
}

/// What is expected of one report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ExpectedReport {
    /// Members of the report other than its events.
    #[serde(rename = "is")]
    pub(crate) members: Option<Box<RawValue>>,
    /// Members of some of its events, by event name.
    pub(crate) events: BTreeMap<String, Box<RawValue>>,
}

/// The content of a file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<T> {
    /// What its cases have in common.
    about: String,
    /// The cases.
    cases: Vec<T>,
}

/// A case and where it is from.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The file's name without its extension: `lifting` for vectors/lifting.json.
    pub(crate) file: String,
    /// What the cases of that file have in common.
    pub(crate) about: String,
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its content.
    pub(crate) body: Body,
}

/// The two kinds of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// In `vectors/`.
    Vectors,
    /// In `scenarios/`.
    Scenarios,
    /// The rules of contract.json that are reported once in a run.
    Rules,
}

impl Kind {
    /// The folder's name.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Kind::Vectors => "vectors",
            Kind::Scenarios => "scenarios",
            Kind::Rules => "rules",
        }
    }
}

/// The content of a [`Case`].
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// From `vectors/`.
    Vector(Box<Vector>),
    /// From `scenarios/`.
    Scenario(Box<Scenario>),
}

impl Case {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        match &self.body {
            Body::Vector(vector) => &vector.name,
            Body::Scenario(scenario) => &scenario.name,
        }
    }

    /// The rules that it proves.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &str> {
        match &self.body {
            Body::Vector(vector) => vector.rule.split_whitespace(),
            Body::Scenario(scenario) => scenario.rule.split_whitespace(),
        }
    }
}

/// Reads all cases below a folder, files in alphabetical order.
///
/// # Errors
/// The file, the line, and what is wrong there.
pub(crate) fn load(root: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    let mut add = |file: &str, about: &str, kind: Kind, body: Body| {
        cases.push(Case { file: file.to_owned(), about: about.to_owned(), kind, body });
    };
    for (name, file) in files::<Vector>(&root.join("vectors"))? {
        for vector in file.cases {
            add(&name, &file.about, Kind::Vectors, Body::Vector(Box::new(vector)));
        }
    }
    for (name, file) in files::<Scenario>(&root.join("scenarios"))? {
        for scenario in file.cases {
            add(&name, &file.about, Kind::Scenarios, Body::Scenario(Box::new(scenario)));
        }
    }
    Ok(cases)
}

fn files<T: DeserializeOwned>(folder: &Path) -> Result<Vec<(String, File<T>)>, String> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut paths = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| wrong(folder, &error))?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&path, &error))?;
        let file: File<T> = serde_json::from_str(&text).map_err(|error| wrong(&path, &error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, file));
    }
    Ok(files)
}
