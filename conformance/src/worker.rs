//! A worker: a process that offers one client of one language over JSON lines.
//! The protocol is in docs/conformance.md.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::case::Settings;
use crate::driver::{Answer, Called, Driver, Hello};
use crate::json::Tree;

/// A worker that answers nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(45);

/// A running worker.
pub struct Worker {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    hello: Hello,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Line {
    not_offered: Option<String>,
    status: String,
    message: String,
    uuid: Option<String>,
    result: Option<Box<RawValue>>,
    sdk_name: String,
    sdk_version: String,
    ways: Vec<String>,
}

impl Worker {
    /// Starts one, through the shell.
    ///
    /// # Errors
    /// When it does not start or does not say hello.
    pub fn start(command: &str) -> Result<Worker, String> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{command}: {error}"))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{command}: no pipes"));
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut worker = Worker { child, stdin, answers, hello: Hello::default() };
        let line = worker.exchange("{\"do\":\"hello\"}")?;
        worker.hello = Hello { sdk_name: line.sdk_name, sdk_version: line.sdk_version, ways: line.ways };
        Ok(worker)
    }

    fn exchange(&mut self, request: &str) -> Result<Line, String> {
        writeln!(self.stdin, "{request}").map_err(|error| format!("the worker is gone ({error})"))?;
        let answer = self
            .answers
            .recv_timeout(PATIENCE)
            .map_err(|error| format!("no answer from the worker to {request:.200} ({error})"))?;
        serde_json::from_str(&answer).map_err(|error| format!("the worker answered {answer:.200}: {error}"))
    }

    fn ask(&mut self, request: &str) -> Result<Called, String> {
        let line = self.exchange(request)?;
        if let Some(why) = line.not_offered {
            return Ok(Called::NotOffered(why));
        }
        let result = line.result.map(|result| Tree::parse(result.get())).transpose()?;
        Ok(Called::Answered(Answer { status: line.status, message: line.message, uuid: line.uuid, result }))
    }
}

impl Driver for Worker {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn init(&mut self, api_key: &str, settings: &Settings, pace: &Settings) -> Result<Called, String> {
        let mut all = pace.clone();
        all.extend(settings.clone());
        let request = json!({"do": "init", "with": {"api_key": api_key, "settings": all}});
        self.ask(&request.to_string())
    }

    fn call(&mut self, name: &str, way: &str, with: &str) -> Result<Called, String> {
        // One line, whatever the case file's own layout.
        let with = with.replace(['\n', '\r'], " ");
        self.ask(&format!("{{\"do\":\"{name}\",\"way\":\"{way}\",\"with\":{with}}}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
