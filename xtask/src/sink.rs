//! phc-sink, the test server, as a child of a test run; and HTTP to it and to other local servers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use crate::checks::ensure;
use crate::process::{Outcome, TempFolder, at, command};

/// A running sink on a free port. It ends with this value, and with this program: it lives as long as its
/// standard input is open.
pub(crate) struct Sink {
    child: Child,
    input: Option<ChildStdin>,
    /// Its port and its log.
    _folder: TempFolder,
    /// On 127.0.0.1, or where `--listen` says.
    pub port: u16,
}

impl Sink {
    pub(crate) fn start(arguments: &[&str]) -> Outcome<Self> {
        let folder = TempFolder::new()?;
        let (port_file, log) = (folder.join("port"), folder.join("sink.log"));
        let output = std::fs::File::create(&log)?;
        let mut child = command([at("target/debug/phc-sink")])
            .args(["--exit-with-stdin", "--quiet", "--port-file"])
            .arg(&port_file)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .map_err(|error| format!("target/debug/phc-sink: {error}; run `make sink`"))?;
        let input = child.stdin.take();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            // The port is there in full once a line is.
            let port = std::fs::read_to_string(&port_file).unwrap_or_default();
            if let Ok(port) = port.trim().parse() {
                return Ok(Self { child, input, _folder: folder, port });
            }
            if child.try_wait()?.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("the sink did not start:\n{}", std::fs::read_to_string(log).unwrap_or_default()).into())
    }

    /// For PHC_SINK.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub(crate) fn get(&self, path: &str) -> Outcome<String> {
        get(&format!("{}{path}", self.url()))
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Outcome<String> {
        post(&format!("{}{path}", self.url()), body)
    }

    /// An error unless the space broke no rule.
    pub(crate) fn no_violations(&self, space: &str) -> Outcome<()> {
        let violations = self.get(&format!("{space}/_violations"))?;
        ensure(violations == "[]", || format!("rules of the contract were broken in {space}: {violations}"))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Only such rules of the contract were broken in this space, given as a URL, as a kill has to break when it comes between an attempt or a
/// response and what is written of it: the next process knows only what was written.
pub(crate) fn only_what_a_kill_breaks(space: &str) -> Outcome<()> {
    const BY_A_KILL: [&str; 5] = [
        "resent-after-acceptance",
        "resent-after-refusal",
        "uuid-in-second-batch",
        "attempt-gap",
        "event-added-on-retry",
    ];
    let summary = get(&format!("{space}/_summary"))?;
    let rules = summary.split_once("\"violations\":{").map_or("", |(_, rest)| rest);
    let rules = rules.split_once('}').map_or("", |(rules, _)| rules);
    let others: Vec<_> = rules
        .split(',')
        .filter(|rule| {
            !rule.is_empty() && !BY_A_KILL.iter().any(|known| rule.starts_with(&format!("\"{known}\":")))
        })
        .collect();
    ensure(others.is_empty(), || format!("rules of the contract were broken: {others:?}"))
}

/// The body of the response, whatever its status.
pub(crate) fn get(url: &str) -> Outcome<String> {
    request("GET", url, "")
}

/// The same for a body of JSON.
pub(crate) fn post(url: &str, body: &str) -> Outcome<String> {
    request("POST", url, body)
}

fn request(method: &str, url: &str, body: &str) -> Outcome<String> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    let mut stream = TcpStream::connect(host).map_err(|error| format!("{url}: {error}"))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text).map_err(|error| format!("{url}: {error}"))?;
    let text = String::from_utf8_lossy(&text);
    let (_, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{url}: no response"))?;
    Ok(body.to_owned())
}
