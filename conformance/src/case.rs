//! The files of `vectors/` and `scenarios/`. docs/conformance.md tells what each
//! key means; a key that is not known is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use phc_sink::Script;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Settings of the client, all as text.
pub type Settings = BTreeMap<String, String>;

/// One thing that is done, and what it must answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Step {
    /// An event, as an object.
    pub capture: Option<Box<RawValue>>,
    /// An event as a text that is perhaps no JSON.
    pub capture_text: Option<String>,
    /// The same as bytes, two hex digits each.
    pub capture_hex: Option<String>,
    /// `distinct_id`, `set`, `set_once`
    pub identify: Option<Box<RawValue>>,
    /// `distinct_id`, `alias`
    pub alias: Option<Box<RawValue>>,
    /// `group_type`, `group_key`, `set`, `distinct_id`
    pub group_identify: Option<Box<RawValue>>,
    /// A super property: `key`, `value`
    pub register: Option<Box<RawValue>>,
    /// Its key.
    pub unregister: Option<String>,
    /// `true`: captures take nothing; `false`: they do again.
    pub opt_out: Option<bool>,
    /// For at most so many ms.
    pub flush: Option<u64>,
    /// For at most so many ms.
    pub close: Option<u64>,
    /// The client is ended and forgotten, at once and in silence.
    pub reset: bool,
    /// Until the server has seen as much.
    pub wait: Option<Seen>,
    /// For that long nothing is done.
    pub pause_ms: u64,
    /// From now on the server follows this script.
    pub server: Option<Script>,

    /// A capture is made so often.
    pub times: Option<usize>,
    /// A capture gets a property `filler` of so many bytes.
    pub filler: usize,
    /// What the call answers; `ok` when absent, `*` for anything.
    pub status: Option<String>,
    /// What its message contains.
    pub message: Option<String>,
    /// Members of what it answers besides.
    pub result: Option<Box<RawValue>>,
    /// It takes at least so long.
    pub at_least_ms: Option<u64>,
    /// It takes at most so long.
    pub within_ms: Option<u64>,
}

/// Counts of the server that are waited for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seen {
    /// Requests received.
    pub requests: Option<u64>,
    /// Events received, each time they come.
    pub events: Option<u64>,
    /// Events stored.
    pub accepted: Option<u64>,
}

/// What one event becomes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vector {
    /// Unique.
    pub name: String,
    /// The rules of contract.json that it proves, separated by blanks.
    pub rule: String,
    /// Settings of the client.
    pub settings: Settings,
    /// Its project key, when that matters.
    pub api_key: Option<String>,
    /// The client cannot be made, and the reason contains this.
    pub refused_client: Option<String>,
    /// What is done first.
    pub before: Vec<Step>,
    /// The call.
    pub call: Option<Step>,
    /// The event that it becomes. Left out, `uuid` is a fresh version 7,
    /// `timestamp` is now, and `options` is empty.
    pub wire: Option<Box<RawValue>>,
    /// Members of that event, byte for byte but for white space between tokens.
    pub text: BTreeMap<String, String>,
    /// The status of a call that takes nothing.
    pub refused: Option<String>,
    /// What its message contains.
    pub message: Option<String>,
    /// Members of the request's record at the server.
    pub request: Option<Box<RawValue>>,
    /// The first line of a request to a proxy.
    pub proxied: Option<String>,
    /// Counters afterwards.
    pub stats: Option<Box<RawValue>>,
}

/// What the client does when the server does something.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// Unique.
    pub name: String,
    /// The rules of contract.json that it proves, separated by blanks.
    pub rule: String,
    /// Settings that matter.
    pub settings: Settings,
    /// Settings that only make it quick: an adapter without them may still pass.
    pub pace: Settings,
    /// What the server does.
    pub server: Script,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What must be seen.
    pub expect: Expected,
}

/// See [`Scenario`].
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expected {
    /// Every request, in order.
    pub requests: Option<Vec<ExpectedRequest>>,
    /// How many there are, where their order does not matter.
    pub request_count: Option<[u64; 2]>,
    /// Names of the events that are stored, each as often as there are.
    pub accepted: Option<Vec<String>>,
    /// Requests open at once, at most: from, to.
    pub concurrent: Option<[u64; 2]>,
    /// Members of the sink's summary.
    pub summary: Option<Box<RawValue>>,
    /// Members of the counters.
    pub stats: Option<Box<RawValue>>,
    /// Reports that must be among those made.
    pub reports: Vec<ExpectedReport>,
    /// Rules of the sink that are broken on purpose.
    pub violations: BTreeSet<String>,
}

/// One request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedRequest {
    /// `PostHog-Attempt`
    pub attempt: Option<u64>,
    /// The status that it was answered.
    pub status: Option<u16>,
    /// The names of its events, in order.
    pub events: Option<Vec<String>>,
    /// How many they are.
    pub count: Option<usize>,
    /// Its codec.
    pub encoding: Option<String>,
    /// Requests with one label have one request id, others have others.
    pub batch: Option<String>,
    /// It comes at least so long after the request before.
    pub after_ms: Option<f64>,
    /// And at most so long.
    pub before_ms: Option<f64>,
    /// Members of its record.
    pub record: Option<Box<RawValue>>,
}

/// One report.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedReport {
    /// Members of the report besides its events.
    #[serde(rename = "is")]
    pub members: Option<Box<RawValue>>,
    /// Among its events are these, by name.
    pub events: BTreeMap<String, Box<RawValue>>,
}

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File<T> {
    /// What its cases have in common.
    pub about: String,
    /// The cases.
    pub cases: Vec<T>,
}

/// A case, and the file that it is in (`lifting` for vectors/lifting.json).
#[derive(Clone, Debug)]
pub struct Case {
    /// The file's name without its ending.
    pub file: String,
    /// `vectors` or `scenarios`
    pub kind: Kind,
    /// The case.
    pub body: Body,
}

/// The two kinds, by the names of their folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// vectors/
    Vectors,
    /// scenarios/
    Scenarios,
}

impl Kind {
    /// The folder's name.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Kind::Vectors => "vectors",
            Kind::Scenarios => "scenarios",
        }
    }
}

/// See [`Case`].
#[derive(Clone, Debug)]
pub enum Body {
    /// Of vectors/.
    Vector(Box<Vector>),
    /// Of scenarios/.
    Scenario(Box<Scenario>),
}

impl Case {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.body {
            Body::Vector(vector) => &vector.name,
            Body::Scenario(scenario) => &scenario.name,
        }
    }

    /// The rules that it proves.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        match &self.body {
            Body::Vector(vector) => vector.rule.split_whitespace(),
            Body::Scenario(scenario) => scenario.rule.split_whitespace(),
        }
    }
}

/// All cases below a folder, files in alphabetical order.
///
/// # Errors
/// The file, the line and what is wrong there.
pub fn load(root: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for (file, vectors) in files::<Vector>(&root.join("vectors"))? {
        cases.extend(vectors.into_iter().map(|vector| Case {
            file: file.clone(),
            kind: Kind::Vectors,
            body: Body::Vector(Box::new(vector)),
        }));
    }
    for (file, scenarios) in files::<Scenario>(&root.join("scenarios"))? {
        cases.extend(scenarios.into_iter().map(|scenario| Case {
            file: file.clone(),
            kind: Kind::Scenarios,
            body: Body::Scenario(Box::new(scenario)),
        }));
    }
    Ok(cases)
}

fn files<T: DeserializeOwned>(folder: &Path) -> Result<Vec<(String, Vec<T>)>, String> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut paths = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(|error| wrong(folder, &error))?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&path, &error))?;
        let file: File<T> = serde_json::from_str(&text).map_err(|error| wrong(&path, &error))?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, file.cases));
    }
    Ok(files)
}
