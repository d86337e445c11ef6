//! The adapter protocol of the official harness: HTTP in front, one worker
//! process a client behind. docs/conformance.md has the calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Map, Value, json};

use crate::case::Settings;
use crate::driver::{Answer, Called, Driver};
use crate::json::{Tree, members};
use crate::worker::Worker;

/// No harness waits longer for a flush.
const FLUSH_MS: u64 = 40_000;

/// What the front is told on the command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// How a worker is started.
    pub worker: String,
    /// The one codec that `enable_compression` turns on.
    pub compression: String,
}

/// The adapter: a client without a test id, and one for each test id.
pub struct Front {
    options: Options,
    sessions: Mutex<HashMap<String, Arc<Mutex<Session>>>>,
}

/// One client, and what it has reported.
#[derive(Default)]
struct Session {
    worker: Option<Worker>,
    running: bool,
    requests: Vec<Value>,
    last_error: Option<String>,
}

type Outcome = Result<Value, String>;

/// The HTTP service.
pub fn router(options: Options) -> Router {
    let front = Arc::new(Front { options, sessions: Mutex::default() });
    Router::new()
        .route("/health", get(|front, query, body| serve(front, query, body, Front::health)))
        .route("/init", post(|front, query, body| serve(front, query, body, Front::init)))
        .route("/capture", post(|front, query, body| serve(front, query, body, Front::capture)))
        .route("/flush", post(|front, query, body| serve(front, query, body, Front::flush)))
        .route("/state", get(|front, query, body| serve(front, query, body, Front::state)))
        .route("/reset", post(|front, query, body| serve(front, query, body, Front::reset)))
        .with_state(front)
}

async fn serve(
    State(front): State<Arc<Front>>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
    call: fn(&Front, &str, &str) -> Outcome,
) -> Response {
    let test_id = query.get("test_id").cloned().unwrap_or_default();
    let done = tokio::task::spawn_blocking(move || call(&front, &test_id, &String::from_utf8_lossy(&body)));
    let (status, answer) = match done.await {
        Ok(Ok(answer)) => (StatusCode::OK, answer),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error })),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, json!({"error": error.to_string()})),
    };
    let mut response = (status, answer.to_string()).into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

impl Front {
    fn session(&self, test_id: &str) -> Arc<Mutex<Session>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sessions.entry(test_id.to_owned()).or_default())
    }

    fn with<T>(
        &self,
        test_id: &str,
        call: impl FnOnce(&mut Session) -> Result<T, String>,
    ) -> Result<T, String> {
        let session = self.session(test_id);
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        call(&mut session)
    }

    fn health(&self, _: &str, _: &str) -> Outcome {
        let worker = Worker::start(&self.options.worker)?;
        Ok(json!({
            "sdk_name": worker.hello().sdk_name,
            "sdk_version": worker.hello().sdk_version,
            "adapter_version": env!("CARGO_PKG_VERSION"),
            "supports_parallel": true,
            "capabilities": ["capture_v1", format!("encoding_{}", self.options.compression)],
        }))
    }

    fn init(&self, test_id: &str, body: &str) -> Outcome {
        let wanted: Map<String, Value> =
            serde_json::from_str(body).map_err(|error| format!("the body of /init: {error}"))?;
        let key = wanted.get("api_key").and_then(Value::as_str).ok_or("/init needs api_key")?;
        let mut settings = self.settings(&wanted)?;
        if !test_id.is_empty() {
            settings.insert("header.X-Test-Id".to_owned(), test_id.to_owned());
        }
        self.with(test_id, |session| {
            let mut worker = match session.worker.take() {
                Some(worker) => worker,
                None => Worker::start(&self.options.worker)?,
            };
            let answer = worker.init(key, &settings, &Settings::new());
            *session = Session { worker: Some(worker), ..Session::default() };
            good(answer?)?;
            session.running = true;
            Ok(json!({"success": true}))
        })
    }

    fn settings(&self, wanted: &Map<String, Value>) -> Result<Settings, String> {
        let mut settings = Settings::from([("reports".to_owned(), "all".to_owned())]);
        const PLAIN: [&str; 6] =
            ["host", "flush_at", "flush_interval_ms", "max_retries", "disable_geoip", "historical_migration"];
        for key in PLAIN {
            let value = match wanted.get(key) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
                Some(value) => return Err(format!("/init: {key} cannot be {value}")),
            };
            settings.insert(key.to_owned(), value);
        }
        let compressed = wanted.get("enable_compression") == Some(&Value::Bool(true));
        let codec = if compressed { self.options.compression.clone() } else { "none".to_owned() };
        settings.insert("compression".to_owned(), codec);
        Ok(settings)
    }

    fn capture(&self, test_id: &str, body: &str) -> Outcome {
        const KNOWN: [&str; 5] = ["distinct_id", "event", "properties", "timestamp", "options"];
        let given = members(body).map_err(|error| format!("the body of /capture: {error}"))?;
        // Each value stays as it came, byte for byte; null is as good as absent.
        let taken: Vec<_> = given
            .iter()
            .filter(|(key, value)| KNOWN.contains(&key.as_str()) && value.get() != "null")
            .map(|(key, value)| format!("\"{key}\":{}", value.get()))
            .collect();
        self.with(test_id, |session| {
            let answer = session.ask("capture", &format!("{{{}}}", taken.join(",")))?;
            Ok(json!({"success": true, "uuid": answer.uuid}))
        })
    }

    fn flush(&self, test_id: &str, _: &str) -> Outcome {
        self.with(test_id, |session| {
            let answer = session.ask("flush", &json!({"timeout_ms": FLUSH_MS}).to_string())?;
            let flushed = answer.result.as_ref().and_then(|result| result.get("settled")?.number());
            Ok(json!({"success": true, "events_flushed": flushed.unwrap_or(0)}))
        })
    }

    fn state(&self, test_id: &str, _: &str) -> Outcome {
        self.with(test_id, |session| {
            if !session.running {
                return Ok(json!({"pending_events": 0, "total_events_captured": 0, "total_events_sent": 0,
                                 "total_retries": 0, "last_error": null, "requests_made": []}));
            }
            let reports = session.ask("reports", "{}")?.result;
            for report in reports.as_ref().map(Tree::elements).unwrap_or_default() {
                session.note(report);
            }
            let stats = session.ask("stats", "{}")?.result;
            let count = |key: &str| stats.as_ref().and_then(|stats| stats.get(key)?.number()).unwrap_or(0);
            Ok(json!({
                "pending_events": count("pending_events"),
                "total_events_captured": count("captured"),
                "total_events_sent": count("delivered"),
                "total_retries": count("retries"),
                "last_error": session.last_error,
                "requests_made": session.requests,
            }))
        })
    }

    fn reset(&self, test_id: &str, _: &str) -> Outcome {
        self.with(test_id, |session| {
            if session.running {
                session.ask("reset", "{}")?;
            }
            let worker = session.worker.take();
            *session = Session { worker, ..Session::default() };
            Ok(json!({"success": true}))
        })
    }
}

impl Session {
    fn ask(&mut self, call: &str, with: &str) -> Result<Answer, String> {
        if !self.running {
            return Err(format!("/{call} needs a client; call /init first"));
        }
        let worker = self.worker.as_mut().ok_or("the worker is gone")?;
        // What the first way cannot say is given in the next.
        let mut called = Called::NotOffered("the worker offers no way".to_owned());
        for way in worker.hello().ways.clone() {
            called = worker.call(call, &way, with)?;
            if matches!(called, Called::Answered(_)) {
                break;
            }
        }
        good(called)
    }

    fn note(&mut self, report: &Tree) {
        let number = |key: &str| report.get(key).and_then(Tree::number).unwrap_or(0);
        let error = report.get("error").and_then(Tree::text).unwrap_or_default();
        if !error.is_empty() {
            self.last_error = Some(error.to_owned());
        }
        if number("attempt") == 0 {
            return;
        }
        let list = |key: &str| report.get(key).map(Tree::elements).unwrap_or_default();
        let ended = list("events").iter().filter_map(|event| event.get("uuid")?.text());
        let uuids: Vec<_> = ended.chain(list("pending_events").iter().filter_map(Tree::text)).collect();
        self.requests.push(json!({
            "timestamp_ms": number("sent_at_ms"),
            "status_code": number("status"),
            "retry_attempt": number("attempt") - 1,
            "event_count": uuids.len(),
            "uuid_list": uuids,
        }));
    }
}

/// The answer of a call that went well. A flush that tells of losses did.
fn good(called: Called) -> Result<Answer, String> {
    match called {
        Called::Answered(answer) if matches!(answer.status.as_str(), "ok" | "lost_events") => Ok(answer),
        Called::Answered(answer) => Err(format!("{}: {}", answer.status, answer.message)),
        Called::NotOffered(why) => Err(why),
    }
}
