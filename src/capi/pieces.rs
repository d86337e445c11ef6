//! Pieces of the library's work, for `xtask guard`, which counts their instructions. Not in what ships, but compiled and
//! linked in the same way. Two counts are compared, so what a piece prepares does not count.
#![allow(clippy::unwrap_used, reason = "a measurement may panic")]

use std::ffi::c_char;
use std::hint::black_box;
use std::time::Duration;

use uuid::Uuid;

use super::guard::guard;
use super::rules;
use super::text::{required, utf8};
use crate::client::Client;
use crate::config::Config;
use crate::delivery::DeliveryState;
use crate::event::timestamp::Timestamp;
use crate::event::{EncodedEvent, Encoder, EventBuilder, EventInput, SuperProperties};
use crate::protocol::{Attempt, AttemptResult, decide};

/// The event of the benchmarks: ten properties, about 300 bytes.
const EVENT: &str = r#"{"event":"page_viewed","distinct_id":"user-1234567890","properties":{"path":"/products/espresso-machine","referrer":"https://example.com/search?q=espresso","browser":"Firefox 128","country":"Norway","width":1920,"height":1080,"items":3,"price":249.95,"logged_in":true,"cart":{"id":"c-77812","total":512.4,"currency":"NOK"}}}"#;

/// Events of a batch, where a piece has batches.
const BATCH: u32 = 1000;

/// Does the piece of this name so many times; returns 1, or 0 if there is no such piece.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn phc_piece(name: *const c_char, count: u32) -> i32 {
    guard(&rules::phc_piece, || {
        // SAFETY: the caller passes NULL or NUL-terminated text.
        let name = unsafe { required(name, "name") };
        let name = name.and_then(|name| Ok(utf8(name, "name")?.to_owned()));
        i32::from(name.is_ok_and(|name| run(&name, count)))
    })
}

fn run(name: &str, count: u32) -> bool {
    match name {
        "encode" => encode_events(count),
        "capture" => capture_events(count),
        "builder" => build_events(count),
        "batch" => make_batches(count),
        "response" => read_responses(count, &uuids()),
        "response-mixed" => read_responses(count, &mixed(uuids())),
        _ => return false,
    }
    true
}

/// An event as JSON becomes its wire bytes.
fn encode_events(count: u32) {
    let super_properties = SuperProperties::default();
    let mut encoder = Encoder::take(0);
    for _ in 0..count {
        let input = EventInput::Json(black_box(EVENT.as_bytes()));
        encoder.encode(&input, &super_properties, 900 * 1024).unwrap();
        black_box(encoder.encoded());
    }
}

/// A client whose queue is not sent during the measurement.
fn client() -> Client {
    let mut config = Config::new("phc_guard");
    for (key, value) in [
        ("host", "http://127.0.0.1:9"),
        ("flush_at", "100000"),
        ("max_batch_events", "100000"),
        ("max_batch_bytes", "16777216"),
        ("flush_interval_ms", "3600000"),
    ] {
        config.set(key, value).unwrap();
    }
    Client::new(config).unwrap()
}

/// The whole call.
fn capture_events(count: u32) {
    let client = client();
    for _ in 0..count {
        client.capture(&EventInput::Json(black_box(EVENT.as_bytes()))).unwrap();
    }
    // Without the wait of the client's end for what is pending.
    std::process::exit(0);
}

/// The same event, put together property by property.
fn build_events(count: u32) {
    const TEXTS: [(&str, &str); 4] = [
        ("path", "/products/espresso-machine"),
        ("referrer", "https://example.com/search?q=espresso"),
        ("browser", "Firefox 128"),
        ("country", "Norway"),
    ];
    let client = client();
    for _ in 0..count {
        let mut event = EventBuilder::take(black_box(b"user-1234567890"), black_box(b"page_viewed")).unwrap();
        for (key, value) in black_box(TEXTS) {
            event.set_text(Some(key.as_bytes()), value.as_bytes()).unwrap();
        }
        for (key, value) in black_box([("width", 1920), ("height", 1080), ("items", 3)]) {
            event.set_integer(Some(key.as_bytes()), value).unwrap();
        }
        event.set_number(Some(black_box(b"price")), black_box(249.95)).unwrap();
        event.set_bool(Some(black_box(b"logged_in")), black_box(true)).unwrap();
        let cart = br#"{"id":"c-77812","total":512.4,"currency":"NOK"}"#;
        event.set_json(Some(black_box(b"cart")), black_box(cart)).unwrap();
        client.capture(&EventInput::Built(&event)).unwrap();
        event.keep();
    }
    std::process::exit(0);
}

fn config() -> Config {
    let mut config = Config::new("phc_guard");
    config.set("max_batch_events", &BATCH.to_string()).unwrap();
    config
}

fn uuids() -> Vec<Uuid> {
    (0..u128::from(BATCH)).map(|n| Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 + n)).collect()
}

fn response(uuids: &[Uuid]) -> AttemptResult {
    let results: Vec<String> = uuids.iter().map(|uuid| format!("\"{uuid}\":{{\"result\":\"ok\"}}")).collect();
    let body = format!("{{\"results\":{{{}}}}}", results.join(",")).into_bytes();
    AttemptResult::Response { status: 200, retry_after: None, location: None, body }
}

/// Events are queued, made into batches, and settled: per event.
fn make_batches(count: u32) {
    let (config, uuids) = (config(), uuids());
    let mut deliveries = DeliveryState::new(&config);
    let wire = vec![b'x'; 480];
    let decision = decide(
        &response(&uuids),
        &Attempt { uuids: &uuids, used: 1, can_change_codec: false, random: 0, spooled: None },
        &config.retry_policy(),
    );
    let now = Timestamp::from_unix_ms(1_790_000_000_000).unwrap();
    for round in 0..count / BATCH {
        for uuid in &uuids {
            let encoded =
                EncodedEvent { uuid: *uuid, caller_uuid: false, repaired: false, uuid_replaced: false };
            deliveries.enqueue(black_box(&wire), &encoded, || Duration::ZERO).0.unwrap();
        }
        let batch = deliveries.take_batch(Uuid::from_u128(round.into()), now).unwrap();
        let _ = black_box(deliveries.begin_attempt(batch, now));
        let (again, _) =
            deliveries.complete_attempt(batch, &mut decision.clone(), 0, || Some(([Uuid::nil(); 2], now)));
        assert!(again.is_empty());
    }
}

/// In an order that has nothing to do with that of the batch, as from a server that
/// keeps its results in a map.
fn mixed(mut uuids: Vec<Uuid>) -> Vec<Uuid> {
    uuids.sort_by_key(|uuid| uuid.as_u64_pair().1.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    uuids
}

/// A response is read and decided on: per event.
fn read_responses(count: u32, order: &[Uuid]) {
    let (config, uuids) = (config(), uuids());
    let (result, policy) = (response(order), config.retry_policy());
    let attempt = Attempt { uuids: &uuids, used: 1, can_change_codec: false, random: 0, spooled: None };
    for _ in 0..count / BATCH {
        black_box(decide(black_box(&result), &attempt, &policy));
    }
}
