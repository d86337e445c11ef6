//! Scripts that are set while requests are open.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::json;
use support::{Sink, batch, event};

#[test]
fn a_held_response_is_sent_after_a_reset_and_another_script() {
    let sink = Sink::start(&[]);
    std::thread::scope(|scope| {
        // In several namespaces, since a response that happens to look between the two was always sent.
        let held: Vec<_> = (0..20)
            .map(|n| {
                let (sink, prefix) = (&sink, format!("/t/{n}"));
                assert_eq!(
                    sink.post(&format!("{prefix}/_script"), r#"{"then":{"wait_for_script":true}}"#),
                    200
                );
                let events = batch(&[event(n, "a", &json!({}))]);
                scope.spawn(move || sink.send(&prefix, n, 1, &events))
            })
            .collect();
        for (n, response) in held.into_iter().enumerate() {
            assert_eq!(sink.get(&format!("/t/{n}/_wait?requests=1"))["ok"], true);
            sink.post(&format!("/t/{n}/_reset"), "");
            sink.post(&format!("/t/{n}/_script"), "{}");
            assert_eq!(response.join().unwrap(), 200, "namespace {n}");
        }
    });
}
