//! `phc-cli send --spool`: imports that are killed, interrupted, and go on.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Cli;
use crate::process::{Outcome, command, run};
use crate::sink::Sink;

/// How many lines there are: more than are pending at once.
const LINES: usize = 50_000;
/// No attempt is given up on a machine that is busy: the server may have stored its events.
const PATIENT: &str = "request_timeout_ms=600000";
/// How many events may be on their way when a command is killed: those of `max_in_flight` batches.
const IN_FLIGHT: usize = 4 * 100;

pub(super) fn all(test: &mut Cli) -> Outcome<()> {
    let sink = Sink::start(&[])?;
    let file = test.path("import.ndjson");
    fs::write(&file, lines(LINES)?)?;
    killed(test, &sink, &file)?;
    interrupted(test, &sink, &file)?;
    refused(test, &sink)?;
    refused_after_a_kill(test, &sink)?;
    repaired(test, &sink)
}

fn lines(count: usize) -> Outcome<String> {
    let mut text = String::new();
    for n in 0..count {
        // The same event twice is two events.
        let n = if n % 10 == 9 { n - 1 } else { n };
        let time = "2020-01-31T12:00:00Z";
        writeln!(text, "{{\"event\":\"e{n}\",\"distinct_id\":\"x\",\"timestamp\":\"{time}\"}}")?;
    }
    Ok(text)
}

fn with<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["send", "--historical", "--key", "phc_test", "--host", url, "--spool"], more].concat()
}

/// How many events were stored, each as often as that was, and how many different ones.
fn stored(sink: &Sink, space: &str) -> Outcome<(usize, usize)> {
    let all = sink.get(&format!("{space}/_events?accepted=1&fields=uuid"))?;
    Ok((all.lines().count(), all.lines().collect::<HashSet<_>>().len()))
}

/// How many events have arrived, each as often as it did.
fn arrived(sink: &Sink, space: &str) -> Outcome<usize> {
    Ok(sink.get(&format!("{space}/_events?fields=uuid"))?.lines().count())
}

/// The records in a spool of how far files were read.
fn records(spool: &str) -> Outcome<Vec<PathBuf>> {
    let paths = fs::read_dir(spool)?.map(|entry| Ok(entry?.path())).collect::<Outcome<Vec<_>>>()?;
    let is_record = |path: &PathBuf| path.file_name().is_some_and(|name| starts_with(name, "phc-cli"));
    Ok(paths.into_iter().filter(is_record).collect())
}

fn starts_with(name: &OsStr, start: &str) -> bool {
    name.as_encoded_bytes().starts_with(start.as_bytes())
}

/// What stands between this text and the next quotation mark.
fn value<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split('"').next()
}

/// What is known once a command has ended: of the lines that were read, the next one sends what is in the spool alone.
struct Known {
    /// The events in the spool.
    pending: HashSet<String>,
    /// So many lines were read.
    lines: usize,
    /// How many events had arrived.
    arrived: usize,
}

impl Known {
    fn of(test: &mut Cli, sink: &Sink, space: &str, spool: &str) -> Outcome<Self> {
        test.expect("what is in the spool", &["spool", "export", spool], 0, &[])?;
        let uuid = |line: &str| value(line, "\"uuid\":\"").map(str::to_owned);
        let pending =
            test.output.lines().map(uuid).collect::<Option<_>>().ok_or("an event without a uuid")?;
        let mut lines = 0;
        for record in records(spool)?.iter().filter(|record| record.extension().is_none()) {
            let record = fs::read_to_string(record)?;
            let number = record.lines().find_map(|line| line.strip_prefix("lines "));
            lines = number.ok_or("a record without a number of lines")?.parse()?;
        }
        Ok(Known { pending, lines, arrived: arrived(sink, space)? })
    }

    /// Checks what has arrived since: nothing else, and, but for what was on its way when a command was killed, nothing
    /// twice.
    fn check(&self, test: &mut Cli, sink: &Sink, space: &str, on_its_way: usize) -> Outcome<()> {
        let count = arrived(sink, space)? - self.arrived;
        let events = sink.get(&format!("{space}/_events?tail={count}"))?;
        let (mut different, mut read) = (HashSet::new(), 0);
        for event in events.split("\"event\":{").skip(1) {
            let uuid = value(event, "\"uuid\":\"").ok_or("an event without a uuid")?;
            let number: usize = value(event, "\"event\":\"e").ok_or("an event without a name")?.parse()?;
            // The last line that is this event.
            let line = number + 1 + usize::from(number % 10 == 8);
            read += usize::from(line <= self.lines && !self.pending.contains(uuid));
            different.insert(uuid);
        }
        let twice = count - different.len();
        let of = format!("{count} events, {} in the spool, {} lines read", self.pending.len(), self.lines);
        test.checks.that(&format!("no line is sent that was read and has ended: {read} of {of}"), read == 0);
        test.checks.that(&format!("none is read that is in the spool: {twice} of {of}"), twice <= on_its_way);
        Ok(())
    }
}

/// Waits for one.
fn is_recorded(spool: &str) -> Outcome<bool> {
    let begun = Instant::now();
    while records(spool)?.iter().all(|record| record.extension().is_some()) {
        if begun.elapsed() > Duration::from_secs(60) {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(true)
}

/// Killed at any time and started again, every line arrives, each under one uuid.
fn killed(test: &mut Cli, sink: &Sink, file: &str) -> Outcome<()> {
    let (url, spool) = (format!("{}/killed", sink.url()), test.path("import-killed"));
    let arguments = with(&url, &[&spool, file, "--set", "max_batch_events=100", "--set", PATIENT]);
    let (mut requests, mut known) = (0, None::<Known>);
    for kill in 1..=8 {
        // Some more batches are stored each time; of the next ones the server says nothing, stored or not.
        let last = if kill % 2 == 0 { "\"never\":true" } else { "\"wait_for_script\":true" };
        let script = format!("{{\"steps\":[{{\"times\":{}}}],\"then\":{{{last}}}}}", 3 * kill);
        sink.post("/killed/_script", &script)?;
        let running = test.spawn(&arguments)?;
        requests += 3 * kill + 1;
        let waited = sink.get(&format!("/killed/_wait?requests={requests}&timeout_ms=60000"))?;
        test.checks.that("something arrives", waited.contains("\"ok\":true"));
        // The first ones come before anything is recorded, in most cases.
        if kill > 3 {
            test.checks.that("the place is recorded", is_recorded(&spool)?);
        }
        let (code, said) = running.end("KILL")?;
        test.checks.that(&format!("kill {kill} meets it: {code:?} {said}"), code.is_none());
        if let Some(known) = known {
            known.check(test, sink, "/killed", IN_FLIGHT)?;
        }
        known = Some(Known::of(test, sink, "/killed", &spool)?);
        requests = super::requests(sink, "/killed")?;
    }
    sink.post("/killed/_script", "{}")?;
    test.expect("the command again", &arguments, 0, &["was read up to line ", "going on", " delivered"])?;
    if let Some(known) = known {
        known.check(test, sink, "/killed", IN_FLIGHT)?;
    }
    let (_, different) = stored(sink, "/killed")?;
    test.checks.that(&format!("each line is one event: {different} of {LINES}"), different == LINES);
    let is_import = !sink.get("/killed/_requests")?.contains("\"historical_migration\":false");
    test.checks.that("all of them are an import", is_import);
    test.checks.that("no record is left", records(&spool)?.is_empty());
    test.expect("nothing is left in the spool", &["spool", "check", &spool], 0, &["= 0 pending"])
}

/// Ctrl-C says how far it was, and nothing is sent twice.
fn interrupted(test: &mut Cli, sink: &Sink, file: &str) -> Outcome<()> {
    let (url, spool) = (format!("{}/ended", sink.url()), test.path("import-ended"));
    let arguments = with(&url, &[&spool, file, "--set", PATIENT, "--set", "max_in_flight=1"]);
    let script =
        r#"{"steps":[{"times":3},{"status":503,"times":2}],"then":{"status":503,"wait_for_script":true}}"#;
    sink.post("/ended/_script", script)?;
    let running = test.spawn(&arguments)?;
    // Three batches were stored. The server has failed since, and has the attempt that is under way.
    let waited = sink.get("/ended/_wait?requests=6&timeout_ms=60000")?;
    test.checks.that("the server is tried again", waited.contains("\"ok\":true"));
    test.expect(
        "a second command for the file",
        &arguments,
        3,
        &["is locked by another process: is it being sent already?"],
    )?;
    let (code, said) = running.end("INT")?;
    let is_so = code == Some(4) && said.contains("interrupted: ") && said.contains("goes on from there");
    test.checks.that(&format!("it ends in order: {code:?} {said}"), is_so);
    let lines = fs::read_to_string(file)?;
    fs::write(file, lines.replacen("e1\"", "E1\"", 1))?;
    let expected = ["is not as it was when it was sent up to line", "to begin at the first line of this one"];
    test.expect("another file of that name", &arguments, 3, &expected)?;
    fs::write(file, lines)?;
    let known = Known::of(test, sink, "/ended", &spool)?;
    sink.post("/ended/_script", "{}")?;
    test.expect("the command again", &arguments, 0, &["going on", " delivered"])?;
    known.check(test, sink, "/ended", 0)?;
    let (count, different) = stored(sink, "/ended")?;
    let is_so = (count, different) == (LINES, LINES);
    test.checks.that(&format!("each line arrives once: {count} of {different}"), is_so);
    let outcome = sink.no_violations("/ended");
    test.checks.check("no rule is broken", outcome);
    let url = format!("{}/limited", sink.url());
    let limit = with(&url, &[&spool, file, "--timeout", "1", "--set", "queue_max_events=100"]);
    sink.post("/limited/_script", r#"{"then":{"never":true}}"#)?;
    let expected = ["the time limit has passed: ", "goes on from there"];
    test.expect("a time limit", &limit, 4, &expected)
}

fn refused(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let (url, spool) = (format!("{}/lines", sink.url()), test.path("import-refused"));
    let file = test.path("refused.ndjson");
    fs::write(&file, "{\"event\":\"a\",\"distinct_id\":\"x\"}\n{\"event\":\"b\"}\nno\n")?;
    let expected = ["line 2: refused: ", "line 3: refused: ", "1 of 1 event delivered; 2 lines refused"];
    test.expect("lines that are refused", &with(&url, &[&spool, &file]), 1, &expected)?;
    fs::write(&file, "event,distinct_id\n".repeat(30))?;
    let expected = ["the first 20 lines were refused"];
    test.expect("not NDJSON", &with(&url, &[&spool, &file]), 2, &expected)?;
    test.expect("no file", &with(&url, &[&spool]), 2, &["<FILE>"])?;
    test.expect("a folder", &with(&url, &[&spool, "/"]), 2, &["/ is not a regular file"])?;
    let pipe = test.path("import-pipe");
    run(&mut command(["mkfifo", &pipe]))?;
    let expected = ["import-pipe is not a regular file"];
    test.expect("a named pipe without a writer", &with(&url, &[&spool, &pipe]), 2, &expected)?;
    let folder = test.path("");
    let expected = ["and no file \"phc-spool\": name a folder that is empty or new"];
    test.expect("a folder that is not a spool", &with(&url, &[&folder, &file]), 2, &expected)
}

/// A kill before the place was first recorded: lines whose events are in the spool were taken, so that refused ones
/// behind them do not look like the beginning of another file.
fn refused_after_a_kill(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let (url, spool) = (format!("{}/begun", sink.url()), test.path("import-begun"));
    let file = test.path("begun.ndjson");
    let (first, last) = (lines(300)?, lines(5)?);
    fs::write(&file, format!("{first}{}{last}", "no\n".repeat(20)))?;
    let arguments = with(&url, &[&spool, &file, "--set", PATIENT]);
    sink.post("/begun/_script", r#"{"then":{"wait_for_script":true}}"#)?;
    let running = test.spawn(&arguments)?;
    let waited = sink.get("/begun/_wait?requests=1&timeout_ms=60000")?;
    test.checks.that("something arrives", waited.contains("\"ok\":true"));
    // Then everything is on disk.
    test.checks.that("the place is recorded", is_recorded(&spool)?);
    running.end("KILL")?;
    // As if the kill had come before that.
    records(&spool)?.iter().try_for_each(fs::remove_file)?;
    sink.post("/begun/_script", "{}")?;
    let expected = ["line 301: refused: ", "305 of 305 events delivered; 20 lines refused"];
    test.expect("it goes on behind refused lines", &arguments, 1, &expected)?;
    let (_, different) = stored(sink, "/begun")?;
    test.checks.that(&format!("each other line is one event: {different} of 305"), different == 305);
    test.expect("nothing is left in the spool", &["spool", "check", &spool], 0, &["= 0 pending"])
}

/// What is not text, in place of a uuid, is replaced by the same one each time.
fn repaired(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let (url, spool) = (format!("{}/repaired", sink.url()), test.path("import-repaired"));
    let file = test.path("repaired.ndjson");
    let of = |value: &[u8]| [b"{\"event\":\"a\",\"distinct_id\":\"x\",\"uuid\":", value, b"}\n"].concat();
    fs::write(&file, [of(b"\"a\xFF\""), of(b"\"\\ud800\""), of(b"[\"\xFF\"]")].concat())?;
    // The second one begins anew.
    for what in ["text that libphc repairs", "the same file again"] {
        test.expect(what, &with(&url, &[&spool, &file]), 0, &["3 of 3 events delivered"])?;
    }
    let counts = stored(sink, "/repaired")?;
    test.checks.that(&format!("each line has one uuid: {counts:?}"), counts == (6, 3));
    Ok(())
}
