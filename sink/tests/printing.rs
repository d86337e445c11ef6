//! What the sink prints, while it is not read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};
use support::{Sink, batch, event};

/// A batch about which much is printed: each event breaks a rule, with a long message.
fn printed_at_length(n: u32, events: u32) -> Vec<u8> {
    let events = (0..events).map(|k| {
        let mut event = event(n * 1000 + k, "e", &json!({}));
        event.as_object_mut().unwrap().insert("x".repeat(900), Value::Null);
        event
    });
    batch(&events.collect::<Vec<_>>())
}

#[test]
fn requests_are_served_although_what_is_printed_is_not_read() {
    let (sink, stdout) = Sink::start_printing();
    // 12 MB of text, of which the pipe takes 64 KiB and the queue some MiB.
    const REQUESTS: u32 = 15;
    for n in 0..REQUESTS {
        assert_eq!(sink.send("", n, 1, &printed_at_length(n, 900)), 200);
        assert_eq!(sink.get("/_health")["ok"], true);
    }
    assert_eq!(sink.get("/_summary")["requests"], REQUESTS);
    // Once it is read, each request is there or among those that were left out.
    let (mut printed, mut left_out) = (0, 0);
    for line in BufReader::new(stdout).lines() {
        let line = line.unwrap();
        printed += u32::from(line.starts_with('#'));
        let count = line.strip_prefix('(').and_then(|line| line.split_once(" requests left out"));
        left_out += count.map_or(0, |(count, _)| count.parse::<u32>().unwrap());
        if printed + left_out == REQUESTS {
            break;
        }
    }
    assert_eq!(printed + left_out, REQUESTS);
    assert!(printed > 0 && left_out > 0, "{printed} printed, {left_out} left out");
}

#[test]
fn requests_are_served_when_standard_output_is_closed() {
    let (sink, stdout) = Sink::start_printing();
    drop(stdout);
    for n in 0..3 {
        assert_eq!(sink.send("", n, 1, &printed_at_length(n, 10)), 200);
    }
    assert_eq!(sink.get("/_summary")["delivered"], 30);
}

#[test]
fn what_is_printed_is_there_when_the_sink_ends() {
    let (sink, stdout) = Sink::start_printing();
    assert_eq!(sink.send("", 1, 1, &printed_at_length(1, 10)), 200);
    let reader = std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).count());
    drop(sink);
    assert_eq!(
        reader.join().unwrap(),
        1 + 10 + 10,
        "a line for the request, each event and each broken rule"
    );
}
