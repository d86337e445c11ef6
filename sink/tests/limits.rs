//! Clients that try to fill the memory of the sink, or to keep its page from being served.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test may panic")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use support::{Sink, batch, event, headers};

/// How long the page may wait. It waits for milliseconds; the rest is for a machine that is busy.
const PAGE_MS: u128 = 5_000;

fn report(what: &str, sink: &Sink, slowest_page_ms: u128) {
    eprintln!("{what}: at most {} MB, the page within {slowest_page_ms} ms", sink.peak_mb());
}

#[test]
fn huge_heads_are_refused() {
    let sink = Sink::start(&[]);
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream = sink.connect();
        let _ = stream.write_all(b"POST /i/v1/analytics/events HTTP/1.1\r\nHost: localhost\r\nX-Huge: ");
        let filler = vec![b'x'; 64 << 10];
        // It stops reading; what was written until then is in the buffers of the system.
        stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let written = (0..160).take_while(|_| stream.write_all(&filler).is_ok()).count();
        assert!(written < 160, "all of 10 MiB was taken");
        streams.push(stream);
    }
    let page = sink.page_ms();
    report("10 heads of 10 MiB", &sink, page);
    assert!(page < PAGE_MS && sink.peak_mb() < 100, "{page} ms, {} MB", sink.peak_mb());
    // One that fits is taken, and what is kept of it is counted.
    let long = format!("{}X-Long: {}\r\n", headers(1, 1), "y".repeat(100_000));
    let events = batch(&[event(1, "a", &json!({}))]);
    assert_eq!(sink.request("POST", "/i/v1/analytics/events", &long, &events).0, 200);
    assert!(sink.get("/_page/state")["memory"].as_u64().unwrap() > 100_000);
}

#[test]
fn many_connections_that_send_slowly_do_not_stop_the_page() {
    // With fewer descriptors than its own bound of connections takes, so that it runs out of them.
    let sink = Sink::start_with("ulimit -n 250; exec \"$0\" \"$@\"", &[]);
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut slowest = 0;
    for n in 0..600 {
        let mut stream = sink.connect();
        let part: &[u8] = if n % 2 == 0 { b"POST /i/v1/analytics/events HT" } else { b"" };
        stream.write_all(part).unwrap();
        streams.push(stream);
        if n % 20 == 0 {
            // One byte more from each that is still open.
            for stream in &mut streams {
                let _ = stream.write_all(b"T");
            }
            slowest = slowest.max(sink.page_ms());
        }
    }
    report("600 connections that send a head slowly, 250 descriptors", &sink, slowest);
    assert!(slowest < PAGE_MS && sink.peak_mb() < 100, "{slowest} ms, {} MB", sink.peak_mb());
    let mut ended = 0;
    for stream in &mut streams {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        let is_open = stream.read(&mut [0]).is_err_and(|error| {
            matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
        });
        ended += u32::from(!is_open);
    }
    assert!(ended >= 350, "{ended} have ended; there are descriptors for fewer than 250");
}

#[test]
fn slow_bodies_do_not_fill_the_memory() {
    let sink = Sink::start(&[]);
    let filler = vec![b' '; 9 << 20];
    let mut streams = Vec::new();
    let mut slowest = 0;
    for n in 0..100 {
        let mut stream = sink.connect();
        let head = format!(
            "POST /i/v1/analytics/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n{}\r\n",
            headers(n, 1)
        );
        // The last bytes never come.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&filler));
        streams.push(stream);
        if n % 10 == 9 {
            slowest = slowest.max(sink.page_ms());
        }
    }
    report("100 bodies of 10 MB without their ends", &sink, slowest);
    assert!(slowest < PAGE_MS && sink.peak_mb() < 600, "{slowest} ms, {} MB", sink.peak_mb());
    let events = batch(&[event(1, "a", &json!({}))]);
    assert_eq!(sink.send("", 5000, 1, &events), 200, "a small body is taken while they wait");
}

#[test]
fn endless_events_are_forgotten_from_the_oldest_on() {
    let sink = Sink::start(&["--memory", "32"]);
    let filler = "x".repeat(2000);
    let mut slowest = 0;
    for n in 0..60 {
        let events: Vec<_> =
            (0..1000).map(|k| event(n * 1000 + k, "e", &json!({"filler": filler}))).collect();
        // Every second one to a namespace of its own.
        let prefix = if n % 2 == 0 { String::new() } else { format!("/t/{n}") };
        assert_eq!(sink.send(&prefix, n, 1, &batch(&events)), 200);
        slowest = slowest.max(sink.page_ms());
    }
    report("130 MB of events with --memory 32", &sink, slowest);
    let state = sink.get("/_page/state");
    assert_eq!(state["summary"]["events"], 30_000, "the counters are exact");
    assert_eq!(state["summary"]["accepted"], 30_000);
    assert_eq!(state["events"][1], 30_000);
    let kept = 30_001 - state["events"][0].as_u64().unwrap();
    assert!((3_000..8_000).contains(&kept), "{kept}");
    assert_eq!(sink.get("/_violations"), json!([]));
    assert!(slowest < PAGE_MS && sink.peak_mb() < 150, "{slowest} ms, {} MB", sink.peak_mb());
    // Namespaces that were not used for the longest time are gone.
    assert_eq!(sink.get("/t/1/_summary")["events"], 0);
    assert_eq!(sink.get("/t/59/_summary")["events"], 1000);
}

#[test]
fn a_batch_of_millions_of_small_things_is_refused_in_time() {
    let sink = Sink::start(&[]);
    let mut slowest = 0;
    for (n, item) in
        ["{}", "0", "[]", r#"{"uuid":"0190a5b4-7c3d-7abc-8def-012345678901"}"#].iter().enumerate()
    {
        let count = (9 << 20) / (item.len() + 1);
        let body = format!(
            r#"{{"created_at":"2026-01-02T03:04:05.006Z","batch":[{}0]}}"#,
            format!("{item},").repeat(count)
        );
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| sink.send("", u32::try_from(n).unwrap(), 1, body.as_bytes()));
            while !sending.is_finished() {
                slowest = slowest.max(sink.page_ms());
            }
            assert_eq!(sending.join().unwrap(), 413, "{item}");
        });
        assert!(begun.elapsed().as_secs() < 30);
    }
    // The same, within the number of events: each of them breaks rules.
    let body = format!(r#"{{"created_at":"2026-01-02T03:04:05.006Z","batch":[{}0]}}"#, "{},".repeat(90_000));
    assert_eq!(sink.send("", 9, 1, body.as_bytes()), 400);
    let rules = sink.get("/_page/violations")["rules"].clone();
    let broken: u64 = rules.as_array().unwrap().iter().map(|rule| rule["count"].as_u64().unwrap()).sum();
    assert_eq!(broken, 1000, "the rest of them is not recorded");
    report("bodies of 9 MiB with millions of items", &sink, slowest);
    assert!(slowest < PAGE_MS && sink.peak_mb() < 400, "{slowest} ms, {} MB", sink.peak_mb());
}

#[test]
fn scripts_are_bounded() {
    let sink = Sink::start(&[]);
    assert_eq!(sink.post("/_script", &format!("{{\"steps\":[]}}{}", " ".repeat(5 << 20))), 413);
    let steps = format!(r#"{{"steps":[{}{{}}]}}"#, r#"{"status":503},"#.repeat(60_000));
    let taken = (0..20).take_while(|_| sink.post("/_next", &steps) == 200).count();
    assert!((1..6).contains(&taken), "{taken}");
    assert_eq!(sink.post("/_script", r#"{"steps":[{"more_headers":1000000000}]}"#), 200);
    assert_eq!(sink.send("", 1, 1, &batch(&[event(1, "a", &json!({}))])), 200);
    assert!(sink.peak_mb() < 400, "{} MB", sink.peak_mb());
}
