//! Yardsticks of the machine, measured in the same run as everything else: how long it takes to check the text of
//! the event's properties, to parse it, to copy the event and to read the clock; and how many events per second the
//! benchmark's server accepts from a client whose bodies are made in advance.
//!
//!     yardstick steps event=event.json
//!     yardstick server host=http://127.0.0.1:1234 batch=100

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let measure = arguments.next().unwrap_or_default();
    let options: Vec<String> = arguments.collect();
    let option = |key: &str| {
        options
            .iter()
            .find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default()
            .to_owned()
    };
    let figures = match measure.as_str() {
        "steps" => steps(&std::fs::read_to_string(option("event")).expect("the event")),
        "server" => server(&option("host"), option("batch").parse().expect("a number")),
        other => panic!("there is no measure {other}"),
    };
    println!("{figures}");
}

/// Nanoseconds of one run of `what`: the median of rounds that are short beside a time slice of the scheduler, so
/// that few of them are interrupted.
fn timed(mut what: impl FnMut()) -> f64 {
    const COUNT: u32 = 1000;
    let mut all: Vec<f64> = (0..301)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..COUNT {
                what();
            }
            start.elapsed().as_nanos() as f64 / f64::from(COUNT)
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn steps(event: &str) -> Value {
    let event: Value = serde_json::from_str(event).expect("the event is JSON");
    let text = event["properties"].to_string();
    let wire = vec![b'x'; 480];
    let mut ring = vec![0_u8; 1 << 20];
    let mut at = 0;
    json!({
        "properties_bytes": text.len(),
        "validate": timed(|| {
            black_box(serde_json::from_str::<serde::de::IgnoredAny>(black_box(&text)).expect("JSON"));
        }),
        "parse": timed(|| {
            black_box(serde_json::from_str::<Value>(black_box(&text)).expect("JSON"));
        }),
        "copy": timed(|| {
            ring[at..at + wire.len()].copy_from_slice(black_box(&wire));
            at = (at + wire.len()) % (ring.len() - wire.len());
            black_box(&ring);
        }),
        "clock": timed(|| {
            black_box(Instant::now());
        }),
    })
}

/// Sends requests with a batch of this many events on four connections for a second.
fn server(host: &str, batch: usize) -> Value {
    let event = |index: usize| {
        format!(
            "{{\"event\":\"page_viewed\",\"uuid\":\"0190a5f0-0000-7000-8000-{index:012x}\",\"pad\":\"{}\"}}",
            "x".repeat(390)
        )
    };
    let events: Vec<String> = (0..batch).map(event).collect();
    let body = format!("{{\"created_at\":\"2026-01-01T00:00:00.000Z\",\"batch\":[{}]}}", events.join(","));
    let request =
        format!("POST /i/v1/analytics/events HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let address = host.trim_start_matches("http://");
    let mut connections: Vec<TcpStream> =
        (0..4).map(|_| TcpStream::connect(address).expect("the server")).collect();
    let mut buffer = vec![0; 1 << 20];
    let mut finish = |connection: &mut TcpStream| {
        let mut filled = 0;
        while !buffer[..filled].ends_with(b"}}}") {
            filled += connection.read(&mut buffer[filled..]).expect("a response");
        }
    };
    let (start, mut requests) = (Instant::now(), 0);
    for connection in &mut connections {
        connection.write_all(request.as_bytes()).expect("the server");
    }
    while start.elapsed() < Duration::from_secs(1) {
        for connection in &mut connections {
            finish(connection);
            connection.write_all(request.as_bytes()).expect("the server");
            requests += 1;
        }
    }
    json!({"events_per_second": (requests * batch) as f64 / start.elapsed().as_secs_f64()})
}
