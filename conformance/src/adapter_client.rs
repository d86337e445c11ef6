//! A driver for any SDK that has an adapter for PostHog's compliance harness.
//!
//! It translates calls into requests of the adapter protocol. What that protocol cannot express is
//! reported as unsupported, so that the case counts neither as passed nor as failed.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::adapter_server::LOCAL_FLAGS;
use crate::case::Settings;
use crate::driver::{CallResult, Driver, Hello, Response};
use crate::json::{Tree, members};
use crate::worker::RESPONSE_TIMEOUT;

/// The only form in which an adapter can be given an event.
pub(crate) const FORM: &str = "adapter";

/// An adapter at a URL.
pub(crate) struct AdapterClient {
    base: String,
    agent: ureq::Agent,
    hello: Hello,
    /// Selects the adapter's client; empty if it has only one.
    test_id: String,
    codecs: Vec<String>,
    /// Whether it evaluates flags by their definitions.
    has_local_flags: bool,
}

/// An HTTP client whose calls end within this time.
fn agent(limit: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(limit)).build().new_agent()
}

/// Why there is no response to a call.
fn no_response(path: &str, error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => format!(
            "{path}: the adapter has not responded within {} s. Look into its log for what it waits for, and start it \
             again",
            RESPONSE_TIMEOUT.as_secs()
        ),
        error => format!("{path}: {error}"),
    }
}

impl AdapterClient {
    /// Reads the adapter's `/health`. Each `test_id` selects a client of its own, if the adapter can do that.
    ///
    /// # Errors
    /// When no adapter responds there.
    pub(crate) fn connect(base: &str, test_id: &str) -> Result<AdapterClient, String> {
        let agent = agent(RESPONSE_TIMEOUT);
        let base = base.trim_end_matches('/').to_owned();
        let mut adapter = AdapterClient {
            base,
            agent,
            hello: Hello::default(),
            test_id: test_id.to_owned(),
            codecs: Vec::new(),
            has_local_flags: false,
        };
        let health = adapter.get("/health")?;
        let text = |key: &str| health.get(key).and_then(Tree::text).unwrap_or_default().to_owned();
        adapter.hello = Hello {
            sdk_name: text("sdk_name"),
            sdk_version: text("sdk_version"),
            forms: vec![FORM.to_owned()],
            faults: Vec::new(),
        };
        let capabilities = health.get("capabilities").map(Tree::elements).unwrap_or_default();
        adapter.codecs = capabilities
            .iter()
            .filter_map(|capability| capability.text()?.strip_prefix("encoding_").map(str::to_owned))
            .collect();
        adapter.has_local_flags =
            capabilities.iter().any(|capability| capability.text() == Some(LOCAL_FLAGS));
        if health.get("supports_parallel") != Some(&Tree::Bool(true)) {
            adapter.test_id.clear();
        }
        Ok(adapter)
    }

    /// Whether it can serve several clients at once.
    pub(crate) fn is_parallel(&self) -> bool {
        !self.test_id.is_empty()
    }

    fn url(&self, path: &str) -> String {
        let query =
            if self.test_id.is_empty() { String::new() } else { format!("?test_id={}", self.test_id) };
        format!("{}{path}{query}", self.base)
    }

    fn get(&self, path: &str) -> Result<Tree, String> {
        let response = self.agent.get(self.url(path)).call();
        let text = response.and_then(|mut response| response.body_mut().read_to_string());
        Tree::parse(&text.map_err(|error| no_response(&format!("{}{path}", self.base), &error))?)
    }

    /// The body of a 2xx, or the text of any other response.
    fn post(&self, path: &str, body: Option<&str>) -> Result<Result<Tree, String>, String> {
        let (status, text) = self.exchange(path, body)?;
        let tree = Tree::parse(&text)?;
        Ok(if (200..300).contains(&status) { Ok(tree) } else { Err(text) })
    }

    /// Status and body of the response.
    fn exchange(&self, path: &str, body: Option<&str>) -> Result<(u16, String), String> {
        let request = self.agent.post(self.url(path));
        let response = match body {
            Some(body) => request.content_type("application/json").send(body),
            None => request.send_empty(),
        };
        let mut response = response.map_err(|error| no_response(path, &error))?;
        let text = response.body_mut().read_to_string().map_err(|error| no_response(path, &error))?;
        Ok((response.status().as_u16(), text))
    }

    /// A call about feature flags, which not every adapter has. Its result is the whole body.
    fn flags(&self, path: &str, argument: &str) -> Result<CallResult, String> {
        let (status, text) = self.exchange(path, Some(argument))?;
        if status == 404 {
            return Ok(CallResult::Unsupported(format!("this adapter has no {path}")));
        }
        if !(200..300).contains(&status) {
            return Ok(done(Err(text)));
        }
        let body = Tree::parse(&text)?;
        let is_ready = body.get("ready") != Some(&Tree::Bool(false));
        let status = if is_ready { "ok" } else { "unavailable" }.to_owned();
        Ok(CallResult::Done(Response { status, result: Some(body), ..Response::default() }))
    }

    fn body_of_init(&self, api_key: &str, settings: &Settings) -> Result<Value, String> {
        let mut body = Map::from_iter([("api_key".to_owned(), json!(api_key))]);
        for (key, value) in settings {
            let number = || {
                value.parse::<u64>().map_err(|_| format!("the adapter protocol has no {key} of {value:?}"))
            };
            let (key, value) = match key.as_str() {
                "host" => ("host", json!(value)),
                "flush_at" | "flush_interval_ms" | "max_retries" => (key.as_str(), json!(number()?)),
                "disable_geoip" | "historical_migration" => (key.as_str(), json!(value == "true")),
                "secret_key" if self.has_local_flags => ("personal_api_key", json!(value)),
                "compression" if value == "none" => ("enable_compression", json!(false)),
                "compression" if self.codecs.contains(value) => ("enable_compression", json!(true)),
                _ => return Err(format!("the adapter protocol has no setting {key}")),
            };
            body.insert(key.to_owned(), value);
        }
        Ok(Value::Object(body))
    }
}

impl Driver for AdapterClient {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn init(
        &mut self,
        api_key: &str,
        settings: &Settings,
        optional: &Settings,
    ) -> Result<CallResult, String> {
        let mut body = match self.body_of_init(api_key, settings) {
            Ok(body) => body,
            Err(reason) => return Ok(CallResult::Unsupported(reason)),
        };
        for (key, value) in optional {
            if let Ok(Value::Object(more)) =
                self.body_of_init(api_key, &Settings::from([(key.clone(), value.clone())]))
                && let Value::Object(body) = &mut body
            {
                more.into_iter().for_each(|(key, value)| {
                    body.entry(key).or_insert(value);
                });
            }
        }
        let _ = self.post("/reset", None)?;
        Ok(done(self.post("/init", Some(&body.to_string()))?))
    }

    fn call(&mut self, name: &str, _form: &str, argument: &str) -> Result<CallResult, String> {
        match name {
            "capture" => {
                let Ok(event) = members(argument) else {
                    return Ok(CallResult::Unsupported("the adapter protocol takes objects only".to_owned()));
                };
                const KNOWN: [&str; 5] = ["distinct_id", "event", "properties", "timestamp", "options"];
                if let Some((key, _)) = event.iter().find(|(key, _)| !KNOWN.contains(&key.as_str())) {
                    return Ok(CallResult::Unsupported(format!(
                        "/capture of the adapter protocol has no {key}"
                    )));
                }
                // The text as it is, so that no digit of a number changes.
                Ok(done(self.post("/capture", Some(argument))?))
            }
            "flush" => Ok(done(self.post("/flush", None)?)),
            "reset" => Ok(done(self.post("/reset", None)?)),
            "get_feature_flag" | "reload_feature_flag_definitions" => {
                self.flags(&format!("/{name}"), argument)
            }
            _ => Ok(CallResult::Unsupported(format!("the adapter protocol has no {name}"))),
        }
    }
}

fn done(response: Result<Tree, String>) -> CallResult {
    CallResult::Done(match response {
        Ok(tree) => Response {
            status: "ok".to_owned(),
            uuid: tree.get("uuid").and_then(Tree::text).map(str::to_owned),
            ..Response::default()
        },
        Err(message) => Response { status: "refused".to_owned(), message, ..Response::default() },
    })
}

#[cfg(test)]
mod tests {
    use std::future::{IntoFuture, pending};
    use std::sync::mpsc::channel;

    use axum::Router;
    use axum::routing::{get, post};

    use super::*;

    #[test]
    fn a_call_that_is_never_responded_to_ends_with_an_error() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router =
            Router::new().route("/health", get(|| async { "{}" })).route("/flush", post(pending::<String>));
        runtime.spawn(axum::serve(listener, router).into_future());
        let mut adapter = AdapterClient::connect(&url, "").unwrap();
        assert_eq!(adapter.agent.config().timeouts().global, Some(RESPONSE_TIMEOUT));
        adapter.agent = agent(Duration::from_millis(100));
        let (sender, ended) = channel();
        std::thread::spawn(move || sender.send(adapter.call("flush", FORM, "{}")));
        let error = ended.recv_timeout(Duration::from_secs(60)).unwrap().unwrap_err();
        assert!(error.starts_with("/flush: the adapter has not responded within"), "{error}");
    }
}
