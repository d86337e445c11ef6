//! `cargo bench`: what a capture costs its caller, and how many events a second
//! get all the way to a local server that answers a verdict for each.
//!
//! Medians of rounds, with their spread. Times drift by machine; the share of a
//! plain validation of the same text by serde_json is printed beside them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark may panic"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use phc::client::Client;
use phc::config::Config;
use phc::event::{Additions, Draft, Scratch, encode};
use phc::status::Status;

/// The event of the benchmark: ten properties, about 300 bytes.
const EVENT: &str = r#"{"event":"page_viewed","distinct_id":"user-1234567890","properties":{"path":"/products/espresso-machine","referrer":"https://example.com/search?q=espresso","browser":"Firefox 128","country":"Norway","width":1920,"height":1080,"items":3,"price":249.95,"logged_in":true,"cart":{"id":"c-77812","total":512.4,"currency":"NOK"}}}"#;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A server that does no more than it must: reads a body, answers `ok` for each
/// uuid in it (or, when the body is compressed, an empty set of results).
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || while_connected(&stream));
        }
    });
    host
}

fn while_connected(stream: &TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::with_capacity(256 * 1024, stream);
    let (mut body, mut answer, mut line) = (Vec::new(), Vec::new(), String::new());
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        answer.clear();
        answer.extend_from_slice(b"{\"results\":{");
        for at in memchr::memmem::find_iter(&body, b",\"uuid\":\"") {
            answer.push(b'"');
            answer.extend_from_slice(&body[at + 9..at + 45]);
            answer.extend_from_slice(b"\":{\"result\":\"ok\"},");
        }
        if answer.last() == Some(&b',') {
            answer.pop();
        }
        answer.extend_from_slice(b"}}");
        let mut stream = stream;
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", answer.len()).ok()?;
        stream.write_all(&answer).ok()?;
    }
}

fn client(host: &str, compression: &str, settings: &[(&str, &str)]) -> Client {
    let mut config = Config::new("phc_bench");
    for (key, value) in settings {
        config.set(key, value).unwrap();
    }
    config.set("host", host).unwrap();
    config.set("compression", compression).unwrap();
    Client::new(config).unwrap()
}

/// Nanoseconds for each of `count` runs, several rounds.
fn timed(rounds: usize, count: u32, mut round: impl FnMut(u32), mut between: impl FnMut()) -> Vec<f64> {
    let mut all = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        round(count);
        all.push(start.elapsed().as_nanos() as f64 / f64::from(count));
        between();
    }
    all.sort_by(f64::total_cmp);
    all
}

fn show(what: &str, all: &[f64], unit: &str) -> f64 {
    let median = all[all.len() / 2];
    println!("{what:44} {median:9.0} {unit}   ({:.0} to {:.0})", all[0], all[all.len() - 1]);
    median
}

fn main() {
    let host = serve();
    let validation = timed(
        15,
        100_000,
        |count| {
            for _ in 0..count {
                std::hint::black_box(
                    serde_json::from_str::<serde::de::IgnoredAny>(std::hint::black_box(EVENT)).unwrap(),
                );
            }
        },
        || {},
    );
    let validation = show("serde_json validates the event's text", &validation, "ns");

    let additions = Additions::default();
    let mut scratch = Scratch::take(0);
    let encoding = timed(
        15,
        100_000,
        |count| {
            for _ in 0..count {
                let scratch = &mut *scratch;
                let json = std::hint::black_box(EVENT.as_bytes());
                let draft = Draft::from_json(json, &mut scratch.properties, &additions).unwrap();
                std::hint::black_box(encode(&draft, &additions, 900 * 1024, scratch).unwrap());
            }
        },
        || {},
    );
    let encoding = show("encode the event", &encoding, "ns");

    // Nothing is sent before the flush, so that the caller's own cost is seen.
    let patient = [("flush_at", "100000"), ("max_batch_events", "100000"), ("max_batch_bytes", "16777216")];
    let alone = capturing(&client(&host, "none", &patient), "capture it, nothing being sent meanwhile");
    let beside = capturing(&client(&host, "none", &[]), "capture it while the I/O thread sends");
    println!(
        "    encoding, these two: {:.1}, {:.1}, {:.1} times the validation",
        encoding / validation,
        alone / validation,
        beside / validation
    );

    for compression in ["none", "zstd", "gzip"] {
        let rates = timed(5, 300_000, |count| end_to_end(&host, compression, count), || {});
        let rates: Vec<f64> = rates.iter().rev().map(|ns| 1e9 / ns).collect();
        show(&format!("end to end, compression {compression}"), &rates, "events/s");
    }
}

/// Captures 5,000 events at a time, with an untimed flush between; the time of
/// one, and the allocations of 50,000.
fn capturing(client: &Client, what: &str) -> f64 {
    let capture = |count: u32| {
        for _ in 0..count {
            client.capture_json(std::hint::black_box(EVENT.as_bytes())).unwrap();
        }
    };
    let flush = || {
        client.flush(None).unwrap();
    };
    for _ in 0..20 {
        capture(5000);
        flush();
    }
    let captures = timed(30, 5000, capture, flush);
    let median = show(what, &captures, "ns");
    let mut allocated = 0;
    for _ in 0..10 {
        let start = ALLOCATIONS.with(Cell::get);
        capture(5000);
        allocated += ALLOCATIONS.with(Cell::get) - start;
        flush();
    }
    println!("    allocations in 50,000 of these, warm: {allocated}");
    median
}

/// Captures as fast as the queue takes them, and waits for the last verdict.
fn end_to_end(host: &str, compression: &str, count: u32) {
    let client = client(host, compression, &[]);
    let mut taken = 0;
    while taken < count {
        match client.capture_json(EVENT.as_bytes()) {
            Ok(_) => taken += 1,
            Err(error) if error.status == Status::QUEUE_FULL => {
                std::thread::sleep(Duration::from_micros(200));
            }
            Err(error) => panic!("{error}"),
        }
    }
    client.flush(None).unwrap();
    assert_eq!(client.stats().delivered, u64::from(count));
}
