//! The benchmark's driver for the peer posthog-rs (blocking client, Capture v1). ../../README.md describes the
//! measures.

use std::collections::HashMap;
use std::io::Read;
use std::time::{Duration, Instant};

use posthog_rs::{CaptureCompression, Client, ClientOptionsBuilder, Event};
use serde_json::{Value, json};

struct Options(HashMap<String, String>);

impl Options {
    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str, default: usize) -> usize {
        self.0.get(key).map_or(default, |text| text.parse().expect("a number"))
    }
}

/// The event of ../../event.json.
fn event() -> Event {
    let mut event = Event::new("page_viewed", "user-1234567890");
    let add = |event: &mut Event, key: &str, value: Value| event.insert_prop(key, value).expect("serialises");
    event.insert_prop("path", "/products/kitchen/espresso-machine").expect("serialises");
    event
        .insert_prop("referrer", "https://example.com/search?q=espresso+machine&sort=price&page=2")
        .expect("serialises");
    event.insert_prop("browser", "Firefox 128.0").expect("serialises");
    event.insert_prop("country", "Norway").expect("serialises");
    event.insert_prop("width", 1920).expect("serialises");
    event.insert_prop("height", 1080).expect("serialises");
    event.insert_prop("items", 3).expect("serialises");
    event.insert_prop("price", 249.95).expect("serialises");
    event.insert_prop("logged_in", true).expect("serialises");
    add(&mut event, "cart", json!({"id": "c-77812-4f1b", "total": 512.4, "currency": "NOK"}));
    event
}

fn client(options: &Options, queue: usize) -> Client {
    let mut builder = ClientOptionsBuilder::default();
    builder.api_key("phc_bench".to_owned()).host(options.text("host").to_owned());
    if queue > 0 {
        builder.max_queue_size(queue);
    }
    if options.number("quiet", 0) > 0 {
        builder.flush_at(1_000_000_usize);
        builder.flush_interval_ms(3_600_000_u64);
    }
    match options.text("codec") {
        "gzip" => builder.capture_compression(CaptureCompression::Gzip),
        "deflate" => builder.capture_compression(CaptureCompression::Deflate),
        "br" => builder.capture_compression(CaptureCompression::Br),
        "zstd" => builder.capture_compression(CaptureCompression::Zstd),
        _ => &mut builder,
    };
    posthog_rs::client(builder.build().expect("the options are complete"))
}

/// Returns the nanoseconds of each call.
fn times(client: &Client, calls: usize, prebuilt: bool) -> Vec<u64> {
    let mut ready: Vec<Event> = if prebuilt { (0..calls).map(|_| event()).collect() } else { Vec::new() };
    let mut all = Vec::with_capacity(calls);
    let mut last = Instant::now();
    for _ in 0..calls {
        client.capture(ready.pop().unwrap_or_else(event));
        let now = Instant::now();
        all.push(u64::try_from((now - last).as_nanos()).expect("short"));
        last = now;
    }
    all
}

/// What a call takes from its caller.
fn capture(options: &Options) -> Value {
    let client = client(options, 1_000_000);
    let (calls, rounds) = (options.number("calls", 5000), options.number("rounds", 1));
    let threads = options.number("threads", 1);
    let prebuilt = options.text("call") == "handover";
    if options.number("warm", 0) > 0 {
        for _ in 0..3 {
            times(&client, calls, prebuilt);
            client.flush();
        }
    }
    let (mut all, mut seconds) = (Vec::new(), 0.0);
    for _ in 0..rounds {
        let start = Instant::now();
        if threads == 1 {
            all.append(&mut times(&client, calls, prebuilt));
        } else {
            std::thread::scope(|scope| {
                let running: Vec<_> =
                    (0..threads).map(|_| scope.spawn(|| times(&client, calls, prebuilt))).collect();
                for one in running {
                    all.append(&mut one.join().expect("no panic"));
                }
            });
        }
        seconds += start.elapsed().as_secs_f64();
        client.flush();
    }
    all.sort_unstable();
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    let mean = all.iter().sum::<u64>() as f64 / all.len() as f64;
    json!({"mean": mean, "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": at(1.0),
           "calls": all.len(), "seconds": seconds})
}

/// Captures so many events and waits for the last verdict.
fn throughput(options: &Options) -> Value {
    let events = options.number("events", 100_000);
    let client = client(options, events + 1);
    let start = Instant::now();
    for _ in 0..events {
        client.capture(event());
    }
    client.flush();
    json!({"seconds": start.elapsed().as_secs_f64(), "events": events})
}

/// Keeps a queue filled for so long. The server counts the events.
fn feed(options: &Options) -> Value {
    let client = client(options, 20_000);
    let end = Instant::now() + Duration::from_millis(options.number("ms", 3000) as u64);
    while Instant::now() < end {
        // The client discards what does not fit into its queue, so the queue stays full.
        for _ in 0..200 {
            client.capture(event());
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    println!("{{}}");
    std::process::exit(0)
}

/// Captures so many events at once, with the default queue.
fn burst(options: &Options) -> Value {
    let events = options.number("events", 50_000);
    let client = client(options, 0);
    let start = Instant::now();
    for _ in 0..events {
        client.capture(event());
    }
    let captured = start.elapsed().as_secs_f64();
    client.flush();
    json!({"capture_seconds": captured, "seconds": start.elapsed().as_secs_f64()})
}

/// A value of /proc/self/status, in kB.
fn status(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(key)).expect("it is there");
    line.split_whitespace().nth(1).expect("a value").parse().expect("a number")
}

/// Resident memory at some numbers of waiting events.
fn memory(options: &Options) -> Value {
    let before = status("VmRSS");
    let client = client(options, 1_000_000);
    let mut marks = Vec::new();
    for step in options.text("events").split(',') {
        let goal: usize = step.parse().expect("a number");
        for _ in marks.last().map_or(0, |(count, _): &(usize, u64)| *count)..goal {
            client.capture(event());
        }
        std::thread::sleep(Duration::from_millis(300));
        marks.push((goal, status("VmRSS")));
    }
    let figures = json!({"before_kb": before, "marks": marks, "peak_kb": status("VmHWM")});
    println!("{figures}");
    std::process::exit(0)
}

/// A client that has delivered an event and has nothing to do until the input ends.
fn idle(options: &Options) -> Value {
    let client = client(options, 0);
    client.capture(event());
    client.flush();
    println!("ready");
    let _ = std::io::stdin().read(&mut [0]);
    json!({})
}

/// Captures and delivers one event.
fn once(options: &Options) -> Value {
    let client = client(options, 0);
    client.capture(event());
    client.flush();
    json!({})
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let measure = arguments.next().expect("a measure");
    let options = Options(
        arguments
            .filter_map(|argument| {
                argument.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()))
            })
            .collect(),
    );
    let figures = match measure.as_str() {
        "capture" => capture(&options),
        "throughput" => throughput(&options),
        "feed" => feed(&options),
        "burst" => burst(&options),
        "memory" => memory(&options),
        "idle" => idle(&options),
        "once" => once(&options),
        other => panic!("there is no measure {other}"),
    };
    println!("{figures}");
}
