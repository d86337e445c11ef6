//! phc-sink as a process of its own, and requests to it by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running sink, which ends with this value.
pub(crate) struct Sink {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl Sink {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with("exec \"$0\" \"$@\"", arguments)
    }

    /// Starts it from a shell that runs this first.
    pub(crate) fn start_with(shell: &str, arguments: &[&str]) -> Self {
        Self::spawn(shell, &[&["--quiet"], arguments].concat())
    }

    /// Starts one that prints every request; also returns what it prints from the second line on.
    pub(crate) fn start_printing() -> (Self, ChildStdout) {
        let mut sink = Self::spawn("exec \"$0\" \"$@\"", &[]);
        let stdout = sink.child.stdout.take().unwrap();
        (sink, stdout)
    }

    fn spawn(shell: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", shell, env!("CARGO_BIN_EXE_phc-sink"), "--exit-with-stdin"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = Vec::new();
        let stdout = child.stdout.as_mut().unwrap();
        while !line.ends_with(b"\n") {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "the sink ended");
            line.push(byte[0]);
        }
        let line = String::from_utf8(line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().parse().unwrap();
        Self { child, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends a request and returns the status, the head and the body of the response.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String, String) {
        let mut stream = self.connect();
        let host =
            if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        response(&mut stream)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, _, body) = self.request("GET", path, "", b"");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> u16 {
        self.request("POST", path, "", body.as_bytes()).0
    }

    /// Sends a batch to a namespace.
    pub(crate) fn send(&self, prefix: &str, id: u32, attempt: u32, body: &[u8]) -> u16 {
        self.request("POST", &format!("{prefix}/i/v1/analytics/events"), &headers(id, attempt), body).0
    }

    /// The most memory that it ever used, in MB.
    pub(crate) fn peak_mb(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1000
    }

    /// How long the page waits for its state.
    pub(crate) fn page_ms(&self) -> u128 {
        let begun = Instant::now();
        self.get("/_page/state");
        begun.elapsed().as_millis()
    }
}

pub(crate) fn response(stream: &mut TcpStream) -> (u16, String, String) {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, head.to_owned(), body.to_owned())
}

/// Headers of a request that breaks no rule.
pub(crate) fn headers(id: u32, attempt: u32) -> String {
    format!(
        "Authorization: Bearer phc_test\r\nContent-Type: application/json\r\nAccept-Encoding: identity\r\n\
         User-Agent: sdk/1.0\r\nPostHog-Sdk-Info: sdk/1.0\r\n\
         PostHog-Request-Id: 0190a5b4-0000-7abc-8def-0123{id:08x}\r\nPostHog-Attempt: {attempt}\r\n\
         PostHog-Request-Timestamp: 2026-01-02T03:04:{attempt:02}.000Z\r\n"
    )
}

pub(crate) fn event(n: u32, name: &str, properties: &Value) -> Value {
    json!({
        "event": name, "uuid": format!("0190a5b4-7c3d-7abc-8def-0123{n:08x}"), "distinct_id": format!("user-{n}"),
        "timestamp": "2026-01-02T03:04:05.006Z", "options": {}, "properties": properties,
    })
}

pub(crate) fn batch(events: &[Value]) -> Vec<u8> {
    json!({"created_at": "2026-01-02T03:04:05.006Z", "batch": events}).to_string().into_bytes()
}
