//! A conformance worker for posthog-rs, by its public API: the blocking client with the feature `capture-v1`.
//!
//! docs/conformance.md describes the protocol: JSON lines on standard input and output.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use chrono::DateTime;
use posthog_rs::{
    CaptureCompression, CaptureFailure, Client, ClientOptionsBuilder, Event, EventStatus, PostHogError,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// How a call did not succeed.
enum Stop {
    /// The SDK has nothing like it.
    Unsupported(String),
    /// The SDK refused it.
    Refused(String),
}

type Outcome<T> = Result<T, Stop>;
type Losses = Arc<Mutex<BTreeMap<&'static str, u64>>>;

fn unsupported<T>(reason: impl Into<String>) -> Outcome<T> {
    Err(Stop::Unsupported(reason.into()))
}

fn refused(error: impl std::fmt::Display) -> Stop {
    Stop::Refused(error.to_string())
}

#[derive(Default)]
struct Worker {
    client: Option<Arc<Client>>,
    losses: Losses,
    captured: u64,
    lost_before: u64,
    flushes: Vec<Receiver<()>>,
}

impl Worker {
    fn respond(&mut self, request: &Value) -> Value {
        let argument = request.get("with").cloned().unwrap_or_default();
        let call = request.get("do").and_then(Value::as_str).unwrap_or_default();
        match self.call(call, &argument) {
            Ok(mut response) => {
                if call != "hello" && response.get("status").is_none() {
                    response["status"] = json!("ok");
                }
                response
            }
            Err(Stop::Unsupported(reason)) => json!({ "unsupported": reason }),
            Err(Stop::Refused(message)) => json!({"status": "refused", "message": message}),
        }
    }

    fn call(&mut self, call: &str, argument: &Value) -> Outcome<Value> {
        match call {
            "hello" => {
                let version = env!("POSTHOG_RS_VERSION");
                return Ok(json!({"sdk_name": "posthog-rs", "sdk_version": version, "forms": ["builder"]}));
            }
            "init" => self.init(argument)?,
            "capture" => self.capture(argument)?,
            "capture_text" => {
                let text = argument.as_str().unwrap_or_default();
                exact(text)?;
                let event: Value = serde_json::from_str(text)
                    .map_err(|_| Stop::Unsupported("events are values, not JSON text".to_owned()))?;
                self.capture(&event)?;
            }
            "alias" => {
                let text = |key: &str| argument[key].as_str().unwrap_or_default();
                // Named as in the adapter of the official harness: the distinct id of the event first.
                self.client()?.alias(text("distinct_id"), text("alias"));
                self.captured += 1;
            }
            "group_identify" => {
                if argument.get("distinct_id").is_some() {
                    return unsupported("group_identify takes no distinct_id");
                }
                let text = |key: &str| argument[key].as_str().unwrap_or_default();
                let set = argument.get("set").cloned().unwrap_or_else(|| json!({}));
                self.client()?.group_identify(text("group_type"), text("group_key"), set).map_err(refused)?;
                self.captured += 1;
            }
            "flush" => {
                self.begin_flush()?;
                let flush = self.flushes.len() - 1;
                return self.settled(flush, argument);
            }
            "flush_begin" => {
                self.begin_flush()?;
                return Ok(json!({"result": {"flush": self.flushes.len() - 1}}));
            }
            "flush_wait" => {
                let flush = argument["flush"].as_u64().and_then(|flush| usize::try_from(flush).ok());
                return self.settled(flush.unwrap_or(0), argument);
            }
            "close" => {
                let client = self.client()?;
                self.begin(move || client.shutdown());
                return self.settled(self.flushes.len() - 1, argument);
            }
            "stats" => {
                let losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone();
                return Ok(json!({"result": {"captured": self.captured, "lost": losses}}));
            }
            other => return unsupported(format!("the SDK has no {other}")),
        }
        Ok(json!({}))
    }

    fn init(&mut self, argument: &Value) -> Outcome<()> {
        let empty = Map::new();
        let settings = argument["settings"].as_object().unwrap_or(&empty);
        let optional: Vec<_> = argument["optional"].as_array().into_iter().flatten().collect();
        let mut options = ClientOptionsBuilder::default();
        options.api_key(argument["api_key"].as_str().unwrap_or_default().to_owned()).is_server(false);
        for (key, value) in settings {
            let text = value.as_str().unwrap_or_default();
            match setting(&mut options, key, text) {
                Err(Stop::Unsupported(_)) if optional.contains(&&json!(key)) => {}
                done => done?,
            }
        }
        let losses = Losses::default();
        self.losses = Arc::clone(&losses);
        options.on_error(move |error| {
            if let PostHogError::Capture(failure) = error {
                count(failure, &losses);
            }
        });
        let options = options.build().map_err(refused)?;
        if let Some(before) = self.client.take() {
            thread::spawn(move || before.shutdown());
        }
        self.client = Some(Arc::new(posthog_rs::client(options)));
        (self.captured, self.lost_before) = (0, 0);
        self.flushes.clear();
        Ok(())
    }

    fn client(&self) -> Outcome<Arc<Client>> {
        self.client.clone().ok_or_else(|| Stop::Unsupported("there is no client".to_owned()))
    }

    fn capture(&mut self, given: &Value) -> Outcome<()> {
        let Some(members) = given.as_object() else { return unsupported("events are built") };
        let text = |key: &str| match members.get(key) {
            Some(Value::String(text)) => Ok(text.as_str()),
            _ => unsupported(format!("{key} is a string")),
        };
        let mut event = Event::new(text("event")?, text("distinct_id")?);
        for (key, value) in members {
            match (key.as_str(), value) {
                ("event" | "distinct_id", _) | ("properties" | "timestamp" | "uuid", Value::Null) => {}
                ("properties", Value::Object(properties)) => {
                    for (key, value) in properties {
                        event.insert_prop(key, value).map_err(refused)?;
                    }
                }
                ("timestamp", Value::String(text)) => match DateTime::parse_from_rfc3339(text) {
                    Ok(timestamp) => event.set_timestamp(timestamp).map_err(refused)?,
                    Err(_) => return unsupported("a timestamp is an instant"),
                },
                ("uuid", Value::String(text)) => match Uuid::parse_str(text) {
                    Ok(uuid) => event.set_uuid(uuid),
                    Err(_) => return unsupported("a uuid is one"),
                },
                _ => return unsupported(format!("an event has no {key} of this type")),
            }
        }
        self.client()?.capture(event);
        self.captured += 1;
        Ok(())
    }

    fn begin_flush(&mut self) -> Outcome<()> {
        let client = self.client()?;
        self.begin(move || client.flush());
        Ok(())
    }

    fn begin(&mut self, call: impl FnOnce() + Send + 'static) {
        let (sender, ended) = channel();
        thread::spawn(move || {
            call();
            let _ = sender.send(());
        });
        self.flushes.push(ended);
    }

    /// What a flush returns: it has a time limit here, since the SDK's own has none.
    fn settled(&mut self, flush: usize, argument: &Value) -> Outcome<Value> {
        let limit = Duration::from_millis(argument["timeout_ms"].as_u64().unwrap_or(0));
        let Some(ended) = self.flushes.get(flush) else { return unsupported("there is no such flush") };
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            return Ok(json!({"status": "timeout", "message": "events are still pending"}));
        }
        let lost = self.losses.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        let before = std::mem::replace(&mut self.lost_before, lost);
        Ok(if lost > before {
            json!({"status": "lost_events", "message": "events were lost"})
        } else {
            json!({})
        })
    }
}

fn setting(options: &mut ClientOptionsBuilder, key: &str, text: &str) -> Outcome<()> {
    let number = || text.parse::<u64>().map_err(refused);
    let count = || text.parse::<usize>().map_err(refused);
    let flag = matches!(text, "true" | "1");
    match key {
        "host" => options.host(text),
        "flush_at" => options.flush_at(count()?),
        "flush_interval_ms" => options.flush_interval_ms(number()?),
        "max_batch_events" => options.max_batch_size(count()?),
        "queue_max_events" => options.max_queue_size(count()?),
        "max_retries" => {
            options.max_capture_attempts(u32::try_from(number()?).map_err(refused)?.saturating_add(1))
        }
        "retry_initial_ms" => options.retry_initial_backoff_ms(number()?),
        "retry_max_ms" => options.retry_max_backoff_ms(number()?),
        "request_timeout_ms" => options.request_timeout_seconds(number()?.div_ceil(1000)),
        "shutdown_timeout_ms" => options.shutdown_timeout_ms(number()?),
        "disable_geoip" => options.disable_geoip(flag),
        "is_server" => options.is_server(flag),
        "compression" => match text {
            "none" => options,
            "gzip" => options.capture_compression(CaptureCompression::Gzip),
            "deflate" => options.capture_compression(CaptureCompression::Deflate),
            "br" => options.capture_compression(CaptureCompression::Br),
            "zstd" => options.capture_compression(CaptureCompression::Zstd),
            _ => return unsupported(format!("there is no compression {text}")),
        },
        _ => return unsupported(format!("there is no setting {key}")),
    };
    Ok(())
}

/// What `on_error` says about a batch that was not delivered, as an application would read it.
fn count(failure: &CaptureFailure<'_>, losses: &Losses) {
    let verdicts = |wanted: EventStatus| {
        failure.event_results().values().filter(|result| result.result == wanted).count() as u64
    };
    let dropped = verdicts(EventStatus::Drop);
    let retried = if failure.error().is_none() { verdicts(EventStatus::Retry) } else { 0 };
    let rest = (failure.event_count() as u64).saturating_sub(dropped + retried);
    let reason = if failure.status().is_some() { "rejected" } else { "transport" };
    let mut losses = losses.lock().unwrap_or_else(PoisonError::into_inner);
    for (reason, count) in [("dropped", dropped), ("retry_exhausted", retried), (reason, rest)] {
        if count > 0 {
            *losses.entry(reason).or_default() += count;
        }
    }
}

/// A `Value` rounds numbers, so what it does not hold is refused before.
fn exact(line: &str) -> Outcome<()> {
    let mut outside = String::new();
    let (mut inside, mut escaped) = (false, false);
    for c in line.chars() {
        if !inside {
            outside.push(if c == '"' { ' ' } else { c });
        }
        inside ^= c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
    }
    let words = outside.split(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit() || c == '-')) {
        let is_whole = word.parse::<i64>().is_ok() || word.parse::<u64>().is_ok();
        let digits: String = word.split(['e', 'E']).next().unwrap_or("").replace(['-', '.'], "");
        let digits = digits.trim_matches('0');
        let is_gone = !digits.is_empty() && word.parse::<f64>() == Ok(0.0);
        if !is_whole && (digits.len() > 15 || is_gone) {
            return unsupported(format!("a Value does not hold {word}"));
        }
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let mut worker = Worker::default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let response = match (exact(&line), serde_json::from_str(&line)) {
            (Err(Stop::Unsupported(reason) | Stop::Refused(reason)), _) => json!({ "unsupported": reason }),
            (Ok(()), Err(_)) => json!({"unsupported": "a Value does not hold this"}),
            (Ok(()), Ok(request)) => worker.respond(&request),
        };
        println!("{response}");
        std::io::stdout().flush()?;
    }
    // The client of the last case may still wait to send.
    std::process::exit(0)
}
