//! The adapter that PostHog's compliance harness drives: serves the adapter protocol over HTTP, and passes
//! each call on to a worker, of which each client has one.
//!
//! docs/conformance.md lists the calls. It knows no language: everything goes through the worker protocol.

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
use crate::driver::{CallResult, Driver, Response as CallResponse};
use crate::json::{Tree, members};
use crate::worker::Worker;

/// The time limit of a flush. No harness waits longer.
const FLUSH_MS: u64 = 40_000;
/// The time limit of a flag's evaluation; that of the library itself (`flags_timeout_ms`) is shorter.
pub(crate) const FLAG_MS: u64 = 10_000;
/// The time limit of a reload of definitions, if the harness names none.
const RELOAD_MS: u64 = 5_000;
/// The call that fetches definitions of feature flags. A worker that has it evaluates flags by them.
const RELOAD: &str = "reload_feature_flag_definitions";
/// What the harness calls the evaluation of flags by their definitions.
pub(crate) const LOCAL_FLAGS: &str = "feature_flags_local_evaluation_v1";

/// The options of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The command that starts a worker.
    pub(crate) worker: String,
    /// The codec that `enable_compression` turns on.
    pub(crate) compression: String,
}

/// The adapter with its clients by test id; the one without a test id is under the empty text.
struct Adapter {
    options: Options,
    sessions: Mutex<HashMap<String, Arc<Mutex<Session>>>>,
}

/// One client, and what it has reported so far.
#[derive(Default)]
struct Session {
    worker: Option<Worker>,
    running: bool,
    requests: Vec<Value>,
    last_error: Option<String>,
}

/// The JSON of a response, or the text of an error.
type Reply = Result<Value, String>;

/// Returns the HTTP service.
pub(crate) fn router(options: Options) -> Router {
    let adapter = Arc::new(Adapter { options, sessions: Mutex::default() });
    Router::new()
        .route("/health", get(|adapter, query, body| serve(adapter, query, body, Adapter::health)))
        .route("/init", post(|adapter, query, body| serve(adapter, query, body, Adapter::init)))
        .route("/capture", post(|adapter, query, body| serve(adapter, query, body, Adapter::capture)))
        .route("/flush", post(|adapter, query, body| serve(adapter, query, body, Adapter::flush)))
        .route("/state", get(|adapter, query, body| serve(adapter, query, body, Adapter::state)))
        .route("/reset", post(|adapter, query, body| serve(adapter, query, body, Adapter::reset)))
        .route("/get_feature_flag", post(|adapter, query, body| serve(adapter, query, body, Adapter::flag)))
        .route(
            &format!("/{RELOAD}"),
            post(|adapter, query, body| serve(adapter, query, body, Adapter::reload)),
        )
        .with_state(adapter)
}

async fn serve(
    State(adapter): State<Arc<Adapter>>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
    call: fn(&Adapter, &str, &str) -> Reply,
) -> Response {
    let test_id = query.get("test_id").cloned().unwrap_or_default();
    let done = tokio::task::spawn_blocking(move || call(&adapter, &test_id, &String::from_utf8_lossy(&body)));
    let (status, body) = match done.await {
        Ok(Ok(body)) => (StatusCode::OK, body),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error })),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, json!({"error": error.to_string()})),
    };
    let mut response = (status, body.to_string()).into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response
}

impl Adapter {
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

    fn health(&self, _: &str, _: &str) -> Reply {
        let mut worker = Worker::start(&self.options.worker)?;
        let mut capabilities =
            vec!["capture_v1".to_owned(), format!("encoding_{}", self.options.compression)];
        // A worker that has the call says that there is no client yet.
        if matches!(worker.call(RELOAD, "", "{}")?, CallResult::Done(_)) {
            capabilities.push(LOCAL_FLAGS.to_owned());
        }
        Ok(json!({
            "sdk_name": worker.hello().sdk_name,
            "sdk_version": worker.hello().sdk_version,
            "adapter_version": env!("CARGO_PKG_VERSION"),
            "supports_parallel": true,
            "capabilities": capabilities,
        }))
    }

    fn init(&self, test_id: &str, body: &str) -> Reply {
        let wanted: Map<String, Value> =
            serde_json::from_str(body).map_err(|error| format!("the body of /init: {error}"))?;
        let key = wanted.get("api_key").and_then(Value::as_str).ok_or("/init needs api_key")?;
        let mut settings = self.settings(&wanted)?;
        if !test_id.is_empty() {
            settings.insert("header.X-Test-Id".to_owned(), test_id.to_owned());
        }
        self.with(test_id, |session| {
            let kept = std::mem::take(session).worker;
            let (worker, result) = self.worker_with_client(kept, key, &settings)?;
            session.worker = Some(worker);
            successful(result)?;
            session.running = true;
            Ok(json!({"success": true}))
        })
    }

    /// The worker that was there, or a new one if that has ended since its last call, after it has created a client.
    fn worker_with_client(
        &self,
        kept: Option<Worker>,
        key: &str,
        settings: &Settings,
    ) -> Result<(Worker, CallResult), String> {
        if let Some(mut worker) = kept
            && let Ok(result) = worker.init(key, settings, &Settings::new())
        {
            return Ok((worker, result));
        }
        let mut worker = Worker::start(&self.options.worker)?;
        let result = worker.init(key, settings, &Settings::new())?;
        Ok((worker, result))
    }

    fn settings(&self, wanted: &Map<String, Value>) -> Result<Settings, String> {
        let mut settings = Settings::from([("reports".to_owned(), "all".to_owned())]);
        // Their names for the harness and for the library.
        const PLAIN: [(&str, &str); 7] = [
            ("host", "host"),
            ("flush_at", "flush_at"),
            ("flush_interval_ms", "flush_interval_ms"),
            ("max_retries", "max_retries"),
            ("disable_geoip", "disable_geoip"),
            ("historical_migration", "historical_migration"),
            ("personal_api_key", "secret_key"),
        ];
        for (key, setting) in PLAIN {
            let value = match wanted.get(key) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(value @ (Value::Bool(_) | Value::Number(_))) => value.to_string(),
                Some(value) => return Err(format!("/init: {key} cannot be {value}")),
            };
            settings.insert(setting.to_owned(), value);
        }
        let compressed = wanted.get("enable_compression") == Some(&Value::Bool(true));
        let codec = if compressed { self.options.compression.clone() } else { "none".to_owned() };
        settings.insert("compression".to_owned(), codec);
        Ok(settings)
    }

    fn capture(&self, test_id: &str, body: &str) -> Reply {
        const KNOWN: [&str; 5] = ["distinct_id", "event", "properties", "timestamp", "options"];
        let event = format!("{{{}}}", taken("/capture", body, &KNOWN)?.join(","));
        self.with(test_id, |session| {
            let response = session.call("capture", &event)?;
            Ok(json!({"success": true, "uuid": response.uuid}))
        })
    }

    fn flag(&self, test_id: &str, body: &str) -> Reply {
        const KNOWN: [&str; 8] = [
            "key",
            "distinct_id",
            "person_properties",
            "groups",
            "group_properties",
            "disable_geoip",
            "force_remote",
            "only_evaluate_locally",
        ];
        let mut query = taken("/get_feature_flag", body, &KNOWN)?;
        query.push(format!("\"timeout_ms\":{FLAG_MS}"));
        self.with(test_id, |session| {
            let response = session.call("get_feature_flag", &format!("{{{}}}", query.join(",")))?;
            let result = response.result.unwrap_or(Tree::Null);
            let member = |name: &str| -> Result<Value, String> {
                let value = result.get(name).ok_or_else(|| format!("the worker's result has no {name}"))?;
                serde_json::from_str(&value.to_string()).map_err(|error| error.to_string())
            };
            // A flag that the server was asked for in vain has no value; the call has not failed.
            Ok(json!({"success": true, "value": member("value")?, "error": member("error")?,
                      "locally_evaluated": member("locally_evaluated")?}))
        })
    }

    fn reload(&self, test_id: &str, body: &str) -> Reply {
        let mut limit = taken(&format!("/{RELOAD}"), body, &["timeout_ms"])?;
        if limit.is_empty() {
            limit.push(format!("\"timeout_ms\":{RELOAD_MS}"));
        }
        self.with(test_id, |session| match session.made(RELOAD, &format!("{{{}}}", limit.join(",")))? {
            CallResult::Done(response) if response.status == "ok" => {
                Ok(json!({"success": true, "ready": true}))
            }
            CallResult::Done(response) => Ok(json!({"success": true, "ready": false,
                    "error": format!("{}: {}", response.status, response.message)})),
            CallResult::Unsupported(reason) => Err(reason),
        })
    }

    fn flush(&self, test_id: &str, _: &str) -> Reply {
        self.with(test_id, |session| {
            let response = session.call("flush", &json!({"timeout_ms": FLUSH_MS}).to_string())?;
            let flushed = response.result.as_ref().and_then(|result| result.get("settled")?.number());
            Ok(json!({"success": true, "events_flushed": flushed.unwrap_or(0)}))
        })
    }

    fn state(&self, test_id: &str, _: &str) -> Reply {
        self.with(test_id, |session| {
            if !session.running {
                return Ok(json!({"pending_events": 0, "total_events_captured": 0, "total_events_sent": 0,
                                 "total_retries": 0, "last_error": null, "requests_made": []}));
            }
            let reports = session.call("reports", "{}")?.result;
            for report in reports.as_ref().map(Tree::elements).unwrap_or_default() {
                session.record(report);
            }
            let stats = session.call("stats", "{}")?.result;
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

    fn reset(&self, test_id: &str, _: &str) -> Reply {
        self.with(test_id, |session| {
            // The client of a worker that has ended is silent.
            if session.running && session.worker.is_some() {
                session.call("reset", "{}")?;
            }
            let worker = session.worker.take();
            *session = Session { worker, ..Session::default() };
            Ok(json!({"success": true}))
        })
    }
}

/// The members of a request that the call knows, each byte for byte; null means the same as absent.
fn taken(call: &str, body: &str, known: &[&str]) -> Result<Vec<String>, String> {
    let body = if body.trim().is_empty() { "{}" } else { body };
    let given = members(body).map_err(|error| format!("the body of {call}: {error}"))?;
    let taken = given.iter().filter(|(key, value)| known.contains(&key.as_str()) && value.get() != "null");
    Ok(taken.map(|(key, value)| format!("\"{key}\":{}", value.get())).collect())
}

impl Session {
    fn call(&mut self, name: &str, argument: &str) -> Result<CallResponse, String> {
        successful(self.made(name, argument)?)
    }

    fn made(&mut self, name: &str, argument: &str) -> Result<CallResult, String> {
        if !self.running {
            return Err(format!("/{name} needs a client; call /init first"));
        }
        let mut worker = self.worker.take().ok_or("the worker has ended; call /init again")?;
        // What cannot be given in the first form is given in the next.
        let mut result = CallResult::Unsupported("the worker has no form for events".to_owned());
        for form in worker.hello().forms.clone() {
            // A worker without a response is not asked again: the next line could be that of this call. It ends here.
            result = worker.call(name, &form, argument)?;
            if matches!(result, CallResult::Done(_)) {
                break;
            }
        }
        self.worker = Some(worker);
        Ok(result)
    }

    /// Adds a report to what `/state` returns.
    fn record(&mut self, report: &Tree) {
        let number = |key: &str| report.get(key).and_then(Tree::number).unwrap_or(0);
        let error = report.get("error").and_then(Tree::text).unwrap_or_default();
        if !error.is_empty() {
            self.last_error = Some(error.to_owned());
        }
        if number("attempt") == 0 {
            return;
        }
        let list = |key: &str| report.get(key).map(Tree::elements).unwrap_or_default();
        let settled = list("events").iter().filter_map(|event| event.get("uuid")?.text());
        let uuids: Vec<_> = settled.chain(list("pending_events").iter().filter_map(Tree::text)).collect();
        self.requests.push(json!({
            "timestamp_ms": number("sent_at_ms"),
            "status_code": number("status"),
            "retry_attempt": number("attempt") - 1,
            "event_count": uuids.len(),
            "uuid_list": uuids,
        }));
    }
}

/// The response of a successful call. For the harness a flush that lost events is one: it asks `/state`.
fn successful(result: CallResult) -> Result<CallResponse, String> {
    match result {
        CallResult::Done(response) if matches!(response.status.as_str(), "ok" | "lost_events") => {
            Ok(response)
        }
        CallResult::Done(response) => Err(format!("{}: {}", response.status, response.message)),
        CallResult::Unsupported(reason) => Err(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A worker in sh: a uuid is the name of its event, which also says what the worker does. After `late`, the response
    /// comes before that of the next call.
    const WORKER: &str = r#"
        read hello; echo '{"sdk_name":"x","sdk_version":"1","forms":["json"]}'
        while read -r request; do
            event=${request#*'"event":"'}; event=${event%%'"'*}
            case $request in *'"capture"'*) ;; *) event= ;; esac
            if [ -n "$late" ]; then echo '{"status":"ok","uuid":"late"}'; late=; fi
            case $event in
                end-before) exit ;;
                late) late=1 ;;
                *) echo '{"status":"ok","uuid":"'$event'"}' ;;
            esac
            case $event in end-after) exit ;; esac
        done"#;

    fn adapter() -> (Adapter, std::path::PathBuf) {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("phc-adapter-{}-{number}.sh", std::process::id());
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, WORKER).unwrap();
        let options = Options { worker: format!("sh {}", file.display()), compression: "gzip".to_owned() };
        (Adapter { options, sessions: Mutex::default() }, file)
    }

    fn init(adapter: &Adapter) -> Reply {
        adapter.init("", r#"{"api_key":"k"}"#)
    }

    fn capture(adapter: &Adapter, event: &str) -> Result<Value, String> {
        Ok(adapter.capture("", &json!({"event": event, "distinct_id": "u"}).to_string())?["uuid"].clone())
    }

    #[test]
    fn a_worker_that_has_ended_is_replaced_by_the_next_init() {
        let (adapter, file) = adapter();
        for event in ["end-before", "end-after"] {
            init(&adapter).unwrap();
            assert_eq!(capture(&adapter, event).is_ok(), event == "end-after");
            while capture(&adapter, "e").is_ok() {}
            assert_eq!(capture(&adapter, "e").unwrap_err(), "the worker has ended; call /init again");
            // Nothing of it is sent any more, so that a reset has nothing to do.
            adapter.reset("", "").unwrap();
            init(&adapter).unwrap();
            assert_eq!(capture(&adapter, "e").unwrap(), "e");
            // One that has ended since its last call, without another one that failed.
            capture(&adapter, "end-after").unwrap();
            init(&adapter).unwrap();
        }
        let _ = std::fs::remove_file(file);
    }

    #[test]
    fn a_late_response_is_not_that_of_the_next_call() {
        let (adapter, file) = adapter();
        init(&adapter).unwrap();
        let short = |session: &mut Session| {
            session.worker.as_mut().unwrap().wait_at_most(Duration::from_millis(10));
            Ok(())
        };
        adapter.with("", short).unwrap();
        let error = capture(&adapter, "late").unwrap_err();
        assert!(error.starts_with("no response from the worker"), "{error}");
        init(&adapter).unwrap();
        assert_eq!(capture(&adapter, "e").unwrap(), "e");
        let _ = std::fs::remove_file(file);
    }
}
