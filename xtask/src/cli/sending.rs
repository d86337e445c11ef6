//! `phc-cli send` to the sink: what arrives, what is refused or lost, and the exit code.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Cli;
use super::spool::{Spool, segment, write};
use crate::process::{Outcome, command, run};
use crate::sink::Sink;

/// The words of a command line, and more of them.
fn with<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["send", "--key", "phc_test", "--host", url], more].concat()
}

pub(super) fn all(test: &mut Cli) -> Outcome<()> {
    let sink = Sink::start(&[])?;
    one(test, &sink)?;
    lines(test, &sink)?;
    losses(test, &sink)?;
    late(test, &sink)?;
    import(test, &sink)?;
    export_is_sent(test, &sink)?;
    arguments(test, &sink.url())
}

fn one(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let url = format!("{}/one", sink.url());
    let properties =
        ["-p", "count=12", "-p", "text=hello there", "-p", "quoted=\"12\"", "-p", "list=[1,true]"];
    let event = ["--event", "bought", "--distinct-id", "me", "--timestamp", "2026-01-31T12:00:00Z"];
    let uuid = ["--uuid", "01980000-0000-7000-8000-00000000ABCD"];
    let arguments = [&event[..], &properties, &uuid].concat();
    let expected = ["01980000-0000-7000-8000-00000000abcd", "1 of 1 event delivered"];
    test.expect("one event", &with(&url, &arguments), 0, &expected)?;
    let arrived = sink.get("/one/_events")?;
    for words in [
        "\"event\":\"bought\"",
        "\"distinct_id\":\"me\"",
        "2026-01-31T12:00:00",
        "\"count\":12",
        "\"text\":\"hello there\"",
        "\"quoted\":\"12\"",
        "\"list\":[1,true]",
    ] {
        test.checks.that(&format!("it arrives with {words}"), arrived.contains(words));
    }
    let outcome = sink.no_violations("/one");
    test.checks.check("no rule is broken", outcome);
    Ok(())
}

fn lines(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let url = format!("{}/lines", sink.url());
    let input = "{\"event\":\"a\",\"distinct_id\":\"x\"}\r\n\n  {\"event\":\"b\",\"distinct_id\":\"y\"}\n{\"event\":\"c\"}\n\
                {\"event\":\"d\",\"distinct_id\":\"z\"}";
    let expected = ["line 4: refused: ", "distinct_id", "3 of 3 events delivered; 1 line refused"];
    test.expect_with("standard input", &[], &with(&url, &[]), input, 1, &expected)?;
    let marked = format!("\u{feff}{input}");
    let marked_url = format!("{}/marked", sink.url());
    test.expect_with("a byte order mark", &[], &with(&marked_url, &[]), &marked, 1, &expected)?;
    let names = sink.get("/lines/_events")?;
    let arrived = ["a", "b", "d"].iter().all(|name| names.contains(&format!("\"event\":\"{name}\"")));
    test.checks.that("the other lines arrive", arrived && !names.contains("\"event\":\"c\""));
    let file = test.path("events.ndjson");
    std::fs::write(&file, input)?;
    let url = format!("{}/file", sink.url());
    test.expect("a file", &with(&url, &[&file]), 1, &["line 4: refused: ", "3 of 3 events"])?;
    test.expect(
        "a file of that name",
        &with(&url, &["/nonexistent"]),
        3,
        &["/nonexistent cannot be read: No such file"],
    )?;
    test.expect("a folder", &with(&url, &["/"]), 3, &["/ cannot be read: Is a directory"])?;
    let csv = "event,distinct_id\n".repeat(30);
    test.expect_with("not NDJSON", &[], &with(&url, &[]), &csv, 2, &["the first 20 lines were refused"])?;
    // A queue of ten events waits for the server; nothing is lost on the way.
    let url = format!("{}/many", sink.url());
    let mut many = String::new();
    for n in 0..5000 {
        writeln!(many, "{{\"event\":\"e{n}\",\"distinct_id\":\"x\",\"properties\":{{\"n\":{n}}}}}")?;
    }
    let arguments = with(&url, &["--set", "queue_max_events=10"]);
    test.expect_with(
        "more than the queue holds",
        &[],
        &arguments,
        &many,
        0,
        &["5000 of 5000 events delivered"],
    )?;
    let accepted = sink.get("/many/_accepted")?.lines().count();
    test.checks.that("all of them are stored", accepted == 5000);
    let file = test.path("many.ndjson");
    std::fs::write(&file, &many)?;
    let shown = format!("{} send {file}", test.binary.display());
    let terminal = [
        "env",
        "POSTHOG_API_KEY=phc_test",
        &format!("POSTHOG_HOST={url}/terminal"),
        "script",
        "-qec",
        &shown,
        "/dev/null",
    ];
    test.run(&terminal, "")?;
    let bar = test.output.contains(" %  ") && test.output.contains("5000 of 5000 events delivered");
    test.checks.that("a bar on a terminal", bar);
    test.expect("none in a file", &with(&url, &[&file]), 0, &["5000 of 5000 events delivered"])?;
    test.checks.that("no bar in a file", !test.errors.contains(" %  "));
    let outcome = sink.no_violations("/many");
    test.checks.check("no rule is broken", outcome);
    Ok(())
}

fn losses(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let url = format!("{}/lost", sink.url());
    sink.post(
        "/lost/_script",
        r#"{"then":{"verdicts":{"bad":{"result":"drop","details":"no\u001b[2J"},"*":"ok"}}}"#,
    )?;
    let uuid = "01980000-0000-7000-8000-000000000001";
    let input = format!(
        "{{\"event\":\"good\",\"distinct_id\":\"x\"}}\n{{\"event\":\"bad\",\"distinct_id\":\"x\",\"uuid\":\"{uuid}\"}}"
    );
    let line = format!("lost {uuid} dropped: no");
    test.expect_with(
        "an event that the server drops",
        &[],
        &with(&url, &[]),
        &input,
        1,
        &[&line, "1 of 2 events delivered; 1 lost"],
    )?;
    test.checks.that("its text cannot control a terminal", !test.errors.contains('\x1b'));
    sink.post("/lost/_script", r#"{"then":{"status":401}}"#)?;
    let event = ["--event", "e", "--distinct-id", "x"];
    let expected = ["rejected", "does not know the project key", "0 of 1 event delivered; 1 lost"];
    test.expect("a key that is refused", &with(&url, &event), 1, &expected)?;
    sink.post("/lost/_script", r#"{"then":{"never":true}}"#)?;
    let late = [&event[..], &["--timeout", "4"]].concat();
    let expected = ["closed (the server may have stored it)", "1 of these may have been delivered"];
    test.expect("a time limit", &with(&url, &late), 1, &expected)?;
    // The first attempt is the one that is retried.
    sink.post("/lost/_script", r#"{"steps":[{"status":503,"times":2}]}"#)?;
    test.expect("a server that fails twice", &with(&url, &event), 0, &["1 of 1 event delivered"])?;
    sink.post("/lost/_script", r#"{"then":{"never":true}}"#)?;
    let mut many = String::new();
    for n in 0..50 {
        writeln!(many, "{{\"event\":\"e{n}\",\"distinct_id\":\"x\"}}")?;
    }
    let arguments = with(&url, &["--timeout", "1", "--set", "queue_max_events=10"]);
    let expected = [
        "the time limit has passed: line 11 and later ones were not sent",
        "0 of 10 events delivered; 10 lost",
    ];
    test.expect_with("a time limit in a file", &[], &arguments, &many, 1, &expected)
}

/// The time limit ends the command also while it waits for its input.
fn late(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let line = "{\"event\":\"e\",\"distinct_id\":\"x\"}\n";
    let url = format!("{}/late", sink.url());
    // The library's default of 5 s would be too long for events to wait for others.
    for (what, limit, more, events, words) in [
        ("an input that stays open", "8", "", 1, "standard input was read up to line 1, and not to its end"),
        ("a line without its end", "4", "{\"event\"", 2, "line 2 and later ones were not sent"),
    ] {
        let begun = Instant::now();
        let arguments = with(&url, &["--timeout", limit]);
        let mut running = test.spawn_reading(Stdio::piped(), command([&test.binary]), &arguments)?;
        let mut input = running.child.stdin.take().ok_or("no standard input")?;
        input.write_all(format!("{line}{more}").as_bytes())?;
        let waited = sink.get(&format!("/late/_wait?accepted={events}&timeout_ms=60000"))?;
        let is_so = waited.contains("\"ok\":true") && begun.elapsed() < Duration::from_secs(5);
        test.checks.that(&format!("{what}: the lines before arrive soon"), is_so);
        let ends = running.ends_within(Duration::from_secs(60))?;
        test.checks.that(&format!("{what}: the command ends"), ends);
        drop(input);
        let (code, said) = running.wait()?;
        let is_so = code == Some(1) && said.contains(words) && said.contains("1 of 1 event delivered");
        test.checks.that(&format!("{what}: it says what was not sent: {code:?} {said}"), is_so);
    }
    let pipe = test.path("pipe");
    run(&mut command(["mkfifo", &pipe]))?;
    let expected = ["pipe was read up to line 0, and not to its end", "0 of 0 events delivered"];
    let arguments = with(&url, &[&pipe, "--timeout", "1"]);
    test.expect("a named pipe without a writer", &arguments, 1, &expected)?;
    // An input that never ends, without an event.
    let endless = format!("yes '' | {} \"$@\"", test.binary.display());
    let before = ["sh", "-c", &endless, "sh"];
    let words = [&before[..], &with(&url, &["--timeout", "1"])].concat();
    let status = test.run(&words, "")?;
    let is_so = status.code() == Some(1) && test.errors.contains("standard input was read up to line ");
    test.checks.that(&format!("empty lines without an end: {status} {}", test.errors), is_so);
    Ok(())
}

fn import(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    for (space, option, expected) in
        [("/import", "--historical", true), ("/plain", "--set=flush_at=1", false)]
    {
        let url = format!("{}{space}", sink.url());
        let event = ["--event", "old", "--distinct-id", "x", option];
        test.expect(option, &with(&url, &event), 0, &["1 of 1 event delivered"])?;
        let is_import = sink.get(&format!("{space}/_requests"))?.contains("\"historical_migration\":true");
        test.checks.that("the batch is an import if asked for", is_import == expected);
    }
    Ok(())
}

/// What `spool export` writes is what `send` reads.
fn export_is_sent(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let spool = Spool::new(test, "moved")?;
    let destination = "d-000102030405060708090a0b0c0d0e0f";
    let instance = spool.dead(destination, 1, &[])?;
    let first = "{\"uuid\":\"01980000-0000-7000-8000-000000000001\",\"event\":\"a\",\"distinct_id\":\"x\",\
                 \"timestamp\":\"2026-01-31T12:00:00.000Z\",\n\"properties\":{\"n\":1.50}}";
    let second = first.replace("000000000001", "000000000002");
    let uuids = [0x0198_0000_0000_7000_8000_0000_0000_0001, 0x0198_0000_0000_7000_8000_0000_0000_0002];
    write(
        &instance.join("00000001.phs"),
        &segment(destination, Duration::from_secs(1_790_000_000), &[(uuids[0], first), (uuids[1], &second)]),
    )?;
    let file = test.path("moved.ndjson");
    let expected = ["2 events of 1 segment written"];
    test.expect("export", &["spool", "export", &spool.shown(), "-o", &file], 0, &expected)?;
    let url = format!("{}/moved", sink.url());
    test.expect("send what was exported", &with(&url, &[&file]), 0, &["2 of 2 events delivered"])?;
    let accepted = sink.get("/moved/_accepted")?;
    let all = ["000000000001", "000000000002"]
        .iter()
        .all(|end| accepted.contains(&format!("01980000-0000-7000-8000-{end}")));
    test.checks.that("under their uuids", all && sink.get("/moved/_events")?.contains("\"n\":1.50"));
    let outcome = sink.no_violations("/moved");
    test.checks.check("no rule is broken", outcome);
    Ok(())
}

fn arguments(test: &mut Cli, url: &str) -> Outcome<()> {
    let event = ["--event", "e", "--distinct-id", "x"];
    for (what, arguments, words) in [
        ("no distinct id", vec!["--event", "e"], "--distinct-id"),
        ("a property without a value", [&event[..], &["-p", "x"]].concat(), "KEY=VALUE is expected"),
        ("a property that is refused", vec!["--event", "", "--distinct-id", "x"], "1 to 200 bytes"),
        ("a timestamp", [&event[..], &["--timestamp", "today"]].concat(), "RFC 3339"),
        ("a uuid", [&event[..], &["--uuid", "12"]].concat(), "invalid value '12'"),
        ("a setting", [&event[..], &["--set", "flush_att=1"]].concat(), "did you mean \"flush_at\""),
        ("a file and an event", [&event[..], &["file"]].concat(), "cannot be used with"),
    ] {
        test.expect(what, &with(url, &arguments), 2, &[words])?;
    }
    test.expect(
        "no key",
        &["send", "--host", url, "--event", "e", "--distinct-id", "x"],
        2,
        &["--key <KEY>"],
    )?;
    let key = ["env", "POSTHOG_API_KEY=phc_test", &format!("POSTHOG_HOST={url}/environment")];
    let event = ["send", "--event", "e", "--distinct-id", "x"];
    test.expect_with("key and host from the environment", &key, &event, "", 0, &["1 of 1 event delivered"])
}
