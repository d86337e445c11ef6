//! A server in this process that responds to each request as the input says: well, badly,
//! late, cut off or not at all.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Connections that are served at once; others wait.
const WORKERS: usize = 4;
/// After this time without a byte a connection is given up.
const IDLE: Duration = Duration::from_millis(200);
/// Longer than the client's `request_timeout_ms`.
const LATE: Duration = Duration::from_millis(60);

/// The responses, one byte for each request, over and over; and the next one.
static SCRIPT: Mutex<(Vec<u8>, usize)> = Mutex::new((Vec::new(), 0));

static PORT: LazyLock<u16> = LazyLock::new(|| {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    for _ in 0..WORKERS {
        let listener = listener.try_clone().expect("a descriptor");
        std::thread::spawn(move || {
            loop {
                if let Ok((stream, _)) = listener.accept() {
                    serve(stream);
                }
            }
        });
    }
    port
});

/// Starts the server, if it does not run, and gives it a script. Returns its port.
pub fn start(script: &[u8]) -> u16 {
    *SCRIPT.lock().unwrap_or_else(PoisonError::into_inner) = (script.to_vec(), 0);
    *PORT
}

fn next_byte() -> u8 {
    let mut script = SCRIPT.lock().unwrap_or_else(PoisonError::into_inner);
    let (bytes, at) = &mut *script;
    let byte = bytes.get(*at % bytes.len().max(1)).copied().unwrap_or(0);
    *at += 1;
    byte
}

/// Requests of one connection, until the script or the client ends it.
fn serve(mut stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_millis(10)));
    let _ = stream.set_write_timeout(Some(IDLE));
    let mut buffer = Vec::new();
    while let Some(body) = read_request(&mut stream, &mut buffer) {
        if respond(&mut stream, next_byte(), &body).is_none() {
            return;
        }
    }
}

/// Returns a request's body, and leaves in `buffer` what came after it.
fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let deadline = Instant::now() + IDLE;
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let rest = buffer.split_off(whole);
                let request = std::mem::replace(buffer, rest);
                return Some(request[end + 4..].to_vec());
            }
        }
        let mut block = [0; 4096];
        match stream.read(&mut block) {
            Ok(0) => return None,
            Ok(length) => buffer.extend_from_slice(&block[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if Instant::now() >= deadline {
                    return None;
                }
            }
            Err(_) => return None,
        }
    }
}

/// The uuids of an uncompressed body.
fn uuids(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    text.split("\"uuid\":\"").skip(1).filter_map(|rest| rest.get(..36)).map(str::to_owned).collect()
}

/// Responds; `None` ends the connection.
fn respond(stream: &mut TcpStream, byte: u8, body: &[u8]) -> Option<()> {
    let verdicts = |word: &dyn Fn(usize) -> &'static str| {
        let results: Vec<_> = uuids(body)
            .iter()
            .enumerate()
            .map(|(i, uuid)| format!("\"{uuid}\":{{\"result\":\"{}\",\"details\":\"x\"}}", word(i)))
            .collect();
        format!("{{\"results\":{{{}}}}}", results.join(","))
    };
    let mixed = |i: usize| ["ok", "warning", "drop", "retry", "limited"][(i + usize::from(byte >> 4)) % 5];
    let (status, header, text) = match byte % 24 {
        0 | 1 => (200, "", "{\"results\":{}}".to_owned()),
        2 => (200, "", verdicts(&|_| "ok")),
        3 => (200, "", verdicts(&|_| "drop")),
        4 => (200, "", verdicts(&|_| "retry")),
        5 => (200, "", verdicts(&mixed)),
        6 => (200, "", "{}".to_owned()),
        7 => (204, "", String::new()),
        8 => (503, "Retry-After: 1\r\n", String::new()),
        9 => (500, "", "{\"error\":\"e\",\"error_description\":\"d\"}".to_owned()),
        10 => (413, "", String::new()),
        11 => (415, "", String::new()),
        12 => (400, "", "<html>".to_owned()),
        13 => (301, "Location: /elsewhere\r\n", String::new()),
        14 => (200, "Content-Encoding: gzip\r\n", "{\"results\":{}}".to_owned()),
        15 => (429, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", String::new()),
        16 => (200, "Connection: close\r\n", "{\"results\":{}}".to_owned()),
        17 => (504, "", "x".repeat(70_000)),
        18 => {
            // After the client's time limit, so that there is no response for it.
            std::thread::sleep(LATE);
            return None;
        }
        19 => return None,
        20 => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"results\":");
            return None;
        }
        21 => {
            let _ = stream.write_all(&[byte; 64]);
            return None;
        }
        22 => {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"res\r\nzz\r\n");
            return None;
        }
        _ => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            let _ = stream.write_all(&b"X-Filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(3000));
            return None;
        }
    };
    let head = format!("HTTP/1.1 {status} X\r\n{header}Content-Length: {}\r\n\r\n", text.len());
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(text.as_bytes())).ok()
}
