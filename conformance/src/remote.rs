//! Any SDK behind the adapter protocol of the official harness, as a driver.
//! What that protocol cannot say is not offered.

use serde_json::{Map, Value, json};

use crate::case::Settings;
use crate::driver::{Answer, Called, Driver, Hello};
use crate::json::{Tree, members};

/// An adapter at an address.
pub struct Remote {
    base: String,
    agent: ureq::Agent,
    hello: Hello,
    test_id: String,
    codecs: Vec<String>,
}

impl Remote {
    /// Asks it who it is. Each `test_id` is a client of its own.
    ///
    /// # Errors
    /// When nobody answers there.
    pub fn connect(base: &str, test_id: &str) -> Result<Remote, String> {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        let base = base.trim_end_matches('/').to_owned();
        let mut remote =
            Remote { base, agent, hello: Hello::default(), test_id: test_id.to_owned(), codecs: Vec::new() };
        let health = remote.get("/health")?;
        let text = |key: &str| health.get(key).and_then(Tree::text).unwrap_or_default().to_owned();
        remote.hello = Hello {
            sdk_name: text("sdk_name"),
            sdk_version: text("sdk_version"),
            ways: vec!["adapter".to_owned()],
        };
        let capabilities = health.get("capabilities").map(Tree::elements).unwrap_or_default();
        remote.codecs = capabilities
            .iter()
            .filter_map(|capability| capability.text()?.strip_prefix("encoding_").map(str::to_owned))
            .collect();
        if health.get("supports_parallel") != Some(&Tree::Bool(true)) {
            remote.test_id.clear();
        }
        Ok(remote)
    }

    /// Whether it can serve several clients at once.
    #[must_use]
    pub fn is_parallel(&self) -> bool {
        !self.test_id.is_empty()
    }

    fn url(&self, path: &str) -> String {
        let query =
            if self.test_id.is_empty() { String::new() } else { format!("?test_id={}", self.test_id) };
        format!("{}{path}{query}", self.base)
    }

    fn get(&self, path: &str) -> Result<Tree, String> {
        let answer = self.agent.get(self.url(path)).call();
        let text = answer.and_then(|mut answer| answer.body_mut().read_to_string());
        Tree::parse(&text.map_err(|error| format!("{path}: {error}"))?)
    }

    fn post(&self, path: &str, body: Option<&str>) -> Result<Result<Tree, String>, String> {
        let request = self.agent.post(self.url(path));
        let answer = match body {
            Some(body) => request.content_type("application/json").send(body),
            None => request.send_empty(),
        };
        let mut answer = answer.map_err(|error| format!("{path}: {error}"))?;
        let text = answer.body_mut().read_to_string().map_err(|error| format!("{path}: {error}"))?;
        let tree = Tree::parse(&text)?;
        Ok(if answer.status().is_success() { Ok(tree) } else { Err(text) })
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
                "compression" if value == "none" => ("enable_compression", json!(false)),
                "compression" if self.codecs.contains(value) => ("enable_compression", json!(true)),
                // Every harness wants to be told everything.
                "reports" => continue,
                _ => return Err(format!("the adapter protocol has no setting {key}")),
            };
            body.insert(key.to_owned(), value);
        }
        Ok(Value::Object(body))
    }
}

impl Driver for Remote {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn init(&mut self, api_key: &str, settings: &Settings, pace: &Settings) -> Result<Called, String> {
        let mut body = match self.body_of_init(api_key, settings) {
            Ok(body) => body,
            Err(why) => return Ok(Called::NotOffered(why)),
        };
        for (key, value) in pace {
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
        Ok(answered(self.post("/init", Some(&body.to_string()))?))
    }

    fn call(&mut self, name: &str, _way: &str, with: &str) -> Result<Called, String> {
        match name {
            "capture" => {
                let Ok(event) = members(with) else {
                    return Ok(Called::NotOffered("the adapter protocol takes objects only".to_owned()));
                };
                const KNOWN: [&str; 5] = ["distinct_id", "event", "properties", "timestamp", "options"];
                if let Some((key, _)) = event.iter().find(|(key, _)| !KNOWN.contains(&key.as_str())) {
                    return Ok(Called::NotOffered(format!("the adapter's capture has no {key}")));
                }
                // As it is, so that no digit is lost on the way.
                Ok(answered(self.post("/capture", Some(with))?))
            }
            "flush" => Ok(answered(self.post("/flush", None)?)),
            "reset" => Ok(answered(self.post("/reset", None)?)),
            _ => Ok(Called::NotOffered(format!("the adapter protocol has no {name}"))),
        }
    }
}

fn answered(answer: Result<Tree, String>) -> Called {
    Called::Answered(match answer {
        Ok(tree) => Answer {
            status: "ok".to_owned(),
            uuid: tree.get("uuid").and_then(Tree::text).map(str::to_owned),
            ..Answer::default()
        },
        Err(message) => Answer { status: "refused".to_owned(), message, ..Answer::default() },
    })
}
