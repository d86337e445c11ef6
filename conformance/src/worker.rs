//! A driver for a worker: a process that offers one client of one language over JSON lines.
//!
//! docs/conformance.md describes the protocol. This module only speaks it, and knows no cases.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::case::Settings;
use crate::driver::{CallResult, Driver, Hello, Response};
use crate::json::Tree;

/// A worker or an adapter that does not respond for this long is broken. No call of a case waits as long.
pub(crate) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(45);

/// A running worker.
pub(crate) struct Worker {
    child: Child,
    /// `None` once it is closed.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    hello: Hello,
    /// The longest wait for a line.
    limit: Duration,
}

/// A line from the worker. An unknown member is an error, so that a worker of another version of the
/// protocol is not misunderstood.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Line {
    unsupported: Option<String>,
    status: String,
    message: String,
    uuid: Option<String>,
    result: Option<Box<RawValue>>,
    sdk_name: String,
    sdk_version: String,
    forms: Vec<String>,
    faults: Vec<String>,
}

impl Worker {
    /// Starts a worker through the shell.
    ///
    /// # Errors
    /// When it does not start, or does not respond to `hello` as the protocol asks.
    pub(crate) fn start(command: &str) -> Result<Worker, String> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {command}: {error}"))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("cannot start {command}: it has no pipes"));
        };
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (stdin, hello, limit) = (Some(stdin), Hello::default(), RESPONSE_TIMEOUT);
        let mut worker = Worker { child, stdin, lines, hello, limit };
        let line = worker.exchange("{\"do\":\"hello\"}")?;
        if line.forms.is_empty() {
            return Err(format!("{command}: its response to hello must name at least one of its forms"));
        }
        worker.hello = Hello {
            sdk_name: line.sdk_name,
            sdk_version: line.sdk_version,
            forms: line.forms,
            faults: line.faults,
        };
        Ok(worker)
    }

    fn exchange(&mut self, request: &str) -> Result<Line, String> {
        let stdin = self.stdin.as_mut().ok_or("the worker's input is closed")?;
        writeln!(stdin, "{request}").map_err(|error| format!("the worker has ended: {error}"))?;
        let line = self
            .lines
            .recv_timeout(self.limit)
            .map_err(|error| format!("no response from the worker to {request:.200}: {error}"))?;
        serde_json::from_str(&line).map_err(|error| {
            format!("the worker's line is not a response ({error}; see docs/conformance.md): {line:.200}")
        })
    }

    fn send(&mut self, request: &str) -> Result<CallResult, String> {
        let line = self.exchange(request)?;
        if let Some(reason) = line.unsupported {
            return Ok(CallResult::Unsupported(reason));
        }
        let result = line.result.map(|result| Tree::parse(result.get())).transpose()?;
        let (status, message, uuid) = (line.status, line.message, line.uuid);
        Ok(CallResult::Done(Response { status, message, uuid, result }))
    }
}

impl Driver for Worker {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn init(
        &mut self,
        api_key: &str,
        settings: &Settings,
        optional: &Settings,
    ) -> Result<CallResult, String> {
        let mut all = optional.clone();
        all.extend(settings.clone());
        let optional: Vec<_> = optional.keys().filter(|key| !settings.contains_key(*key)).collect();
        let with = json!({"api_key": api_key, "settings": all, "optional": optional});
        let request = json!({"do": "init", "with": with});
        self.send(&request.to_string())
    }

    fn call(&mut self, name: &str, form: &str, argument: &str) -> Result<CallResult, String> {
        // The case file may spread a value over several lines.
        let argument = argument.replace(['\n', '\r'], " ");
        self.send(&format!("{{\"do\":\"{name}\",\"form\":\"{form}\",\"with\":{argument}}}"))
    }
}

impl Worker {
    /// Lets the calls that follow wait for this long only.
    #[cfg(test)]
    pub(crate) fn wait_at_most(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Closes the worker's input, and returns whether it ended within this time.
    pub(crate) fn ends_within(mut self, limit: Duration) -> bool {
        self.stdin = None;
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker that responds to its first request with this line.
    fn start(line: &str) -> Result<Worker, String> {
        Worker::start(&format!("sh -c 'read request; echo \"$0\"; read request' '{line}'"))
    }

    #[test]
    fn a_worker_names_its_forms() {
        let worker = start(r#"{"sdk_name":"x","sdk_version":"1","forms":["json","args"]}"#).unwrap();
        assert_eq!(worker.hello().forms, ["json", "args"]);
        let error = start(r#"{"sdk_name":"x","sdk_version":"1"}"#).map(|_| ()).unwrap_err();
        assert!(error.contains("must name at least one of its forms"), "{error}");
    }

    #[test]
    fn an_unknown_member_of_a_response_is_an_error() {
        let error = start(r#"{"sdk_name":"x","sdk_version":"1","ways":["json"]}"#).map(|_| ()).unwrap_err();
        assert!(error.contains("unknown field `ways`") && error.contains("docs/conformance.md"), "{error}");
    }
}
