//! `phc-cli spool drain`: what it delivers, what it leaves, and how it ends.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::spool::{Spool, make_folder, segment, write};
use super::{Cli, requests, snapshot};
use crate::process::{Outcome, command, quietly};
use crate::sink::Sink;

/// More instances than a client takes over at once, twice.
const INSTANCES: u32 = 40;

/// A spool with instances of a space of the sink.
struct Held {
    spool: Spool,
    url: String,
    destination: PathBuf,
}

impl Held {
    fn new(test: &Cli, sink: &Sink, name: &str) -> Outcome<Self> {
        let spool = Spool::new(test, name)?;
        fs::remove_dir(spool.folder.join(super::spool::DESTINATION))?;
        let url = format!("{}/{name}", sink.url());
        let destination = spool.folder.join(destination(&url, "phc_test")?);
        make_folder(&destination)?;
        Ok(Held { spool, url, destination })
    }

    /// An instance of a dead process with one event, which was captured just now.
    fn dead(&self, number: u32) -> Outcome<PathBuf> {
        self.dead_since(number, Duration::ZERO)
    }

    /// The same with an event that was captured this long ago.
    fn dead_since(&self, number: u32, age: Duration) -> Outcome<PathBuf> {
        let name = self.destination.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let folder = self.spool.dead(&name, number, &[])?;
        let wire = format!(
            "{{\"uuid\":\"{}\",\"event\":\"kept {number}\",\"distinct_id\":\"x\",\
             \"timestamp\":\"2026-01-31T12:00:00.000Z\",\"options\":{{}},\"properties\":{{}}}}",
            uuid_text(number)
        );
        let captured = SystemTime::now().duration_since(UNIX_EPOCH)?.saturating_sub(age);
        write(&folder.join("00000001.phs"), &segment(&name, captured, &[(uuid(number), &wire)]))?;
        Ok(folder)
    }

    fn drain<'a>(&'a self, folder: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        [&["spool", "drain", "--key", "phc_test", "--host", &self.url, folder], more].concat()
    }
}

fn uuid(number: u32) -> u128 {
    0x0198_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)
}

fn uuid_text(number: u32) -> String {
    format!("01980000-0000-7000-8000-{number:012x}")
}

/// The name of the folder of a host and a key, after docs/spool-format.md.
fn destination(url: &str, key: &str) -> Outcome<String> {
    let script = format!("printf 'phc-spool-1\\0%s\\0%s' '{url}/i/v1/analytics/events' '{key}' | sha256sum");
    let digest = quietly(command(["sh", "-c"]).arg(script))?;
    Ok(format!("d-{}", digest.get(..32).ok_or("sha256sum says nothing")?))
}

pub(super) fn all(test: &mut Cli) -> Outcome<()> {
    let sink = Sink::start(&[])?;
    delivered(test, &sink)?;
    left(test, &sink)?;
    interrupted(test, &sink)?;
    lost(test, &sink)?;
    not_for_this_key(test, &sink)
}

fn delivered(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let held = Held::new(test, sink, "drained")?;
    let dead: Vec<PathBuf> = (1..=INSTANCES).map(|number| held.dead(number)).collect::<Outcome<_>>()?;
    let alive = held.dead(INSTANCES + 1)?;
    let lock = fs::File::open(alive.join("lock"))?;
    lock.try_lock().map_err(|error| format!("the lock of a new instance: {error}"))?;
    let (of_living, folder) = (snapshot(&alive)?, held.spool.shown());
    let expected = [
        &format!("{INSTANCES} of {INSTANCES} events delivered"),
        "1 event of living processes left to these",
    ];
    test.expect("drain", &held.drain(&folder, &[]), 0, &expected)?;
    let mut accepted: Vec<String> = sink.get("/drained/_accepted")?.lines().map(str::to_owned).collect();
    accepted.sort_unstable();
    let all: Vec<String> = (1..=INSTANCES).map(uuid_text).collect();
    test.checks.that("each event of the dead arrives once", accepted == all);
    test.checks.that("nothing of the living is touched", snapshot(&alive)? == of_living);
    test.checks.that("what was delivered is gone", dead.iter().all(|folder| !folder.exists()));
    test.expect("drain again", &held.drain(&folder, &[]), 0, &["0 of 0 events delivered"])?;
    let outcome = sink.no_violations("/drained");
    test.checks.check("no rule is broken", outcome);
    // A spool in which no process has kept an event yet.
    let empty = Spool::new(test, "drained-empty")?;
    fs::remove_dir(empty.folder.join(super::spool::DESTINATION))?;
    let folder = empty.shown();
    test.expect("an empty spool", &held.drain(&folder, &[]), 0, &["0 of 0 events delivered"])
}

fn left(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let held = Held::new(test, sink, "left")?;
    (1..=3).try_for_each(|number| held.dead(number).map(drop))?;
    let folder = held.spool.shown();
    sink.post("/left/_script", r#"{"then":{"status":503}}"#)?;
    let expected = ["the time limit has passed: 0 of 3 events delivered; 3 left", "goes on with it"];
    test.expect("a server that fails", &held.drain(&folder, &["--timeout", "2"]), 4, &expected)?;
    let check = ["spool", "check", &folder];
    test.expect("the events are whole", &check, 0, &["3 of dead ones", "no damage"])?;
    // A file that is not a segment stays, and is said to.
    let other = held.dead(4)?.join("00000001.phs");
    write(&other, b"a text of another program")?;
    sink.post("/left/_script", "{}")?;
    let expected = ["3 of 3 events delivered", "1 segment left alone: phc-cli spool check"];
    test.expect("once it is back", &held.drain(&folder, &[]), 4, &expected)?;
    test.checks.that("what is not a segment stays", fs::read(&other)? == b"a text of another program");
    test.checks.that("all arrive", sink.get("/left/_accepted")?.lines().count() == 3);
    Ok(())
}

/// Waits until there were so many requests.
fn has_requests(sink: &Sink, count: usize) -> Outcome<bool> {
    Ok(sink.get(&format!("/ended/_wait?requests={count}&timeout_ms=60000"))?.contains("\"ok\":true"))
}

/// Ctrl-C leaves what is not delivered, and more often than a segment may be taken over by processes that die of it.
fn interrupted(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let held = Held::new(test, sink, "ended")?;
    (1..=3).try_for_each(|number| held.dead(number).map(drop))?;
    let folder = held.spool.shown();
    sink.post("/ended/_script", r#"{"then":{"never":true}}"#)?;
    for time in 1..=7 {
        let before = requests(sink, "/ended")?;
        let running = test.spawn(&held.drain(&folder, &[]))?;
        test.checks.that("a request is in flight", has_requests(sink, before + 1)?);
        let (code, said) = running.end("INT")?;
        let is_so = code == Some(4) && said.contains("interrupted: 0 of 3 events delivered; 3 left");
        test.checks.that(&format!("interrupted, the {time}. time: {code:?} {said}"), is_so);
    }
    test.expect("the events are whole", &["spool", "check", &folder], 0, &["3 of dead ones", "no damage"])?;
    // What nohup has had ignored is not a reason to end.
    sink.post("/ended/_script", r#"{"then":{"status":503}}"#)?;
    let before = requests(sink, "/ended")?;
    let mut nohup = command(["nohup"]);
    nohup.arg(&test.binary);
    let often = ["--set", "retry_initial_ms=100", "--set", "retry_max_ms=1000"];
    let running = test.spawn_by(nohup, &held.drain(&folder, &often))?;
    test.checks.that("the server is tried", has_requests(sink, before + 1)?);
    running.signal("HUP")?;
    let then = requests(sink, "/ended")?;
    test.checks.that("and again after a hang-up", has_requests(sink, then + 3)?);
    sink.post("/ended/_script", "{}")?;
    let (code, said) = running.wait()?;
    let is_so = code == Some(0) && said.contains("3 of 3 events delivered");
    test.checks.that(&format!("nohup lets it end: {code:?} {said}"), is_so);
    Ok(())
}

fn lost(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let held = Held::new(test, sink, "refused")?;
    (1..=2).try_for_each(|number| held.dead(number).map(drop))?;
    let folder = held.spool.shown();
    let script = r#"{"then":{"verdicts":{"kept 1":{"result":"drop","details":"no"},"*":"ok"}}}"#;
    sink.post("/refused/_script", script)?;
    // An attempt of the process that died may have stored it.
    let lost = format!("lost {} dropped (the server may have stored it): no", uuid_text(1));
    let expected = [&lost, "1 of 2 events delivered; 1 lost"];
    test.expect("an event that the server drops", &held.drain(&folder, &[]), 1, &expected)?;
    let month = Duration::from_secs(30 * 86_400);
    let held = Held::new(test, sink, "old")?;
    (1..=2).try_for_each(|number| held.dead_since(number, month).map(drop))?;
    let folder = held.spool.shown();
    let expected = ["3 of 3 events delivered"];
    held.dead(3)?;
    test.expect(
        "old events, if they may be",
        &held.drain(&folder, &["--set", "spool_max_age_ms=31536000000"]),
        0,
        &expected,
    )?;
    (4..=5).try_for_each(|number| held.dead_since(number, month).map(drop))?;
    held.dead(6)?;
    let lost = format!("lost {} expired", uuid_text(4));
    let expected = [&lost, "2 lost"];
    test.expect("old events", &held.drain(&folder, &[]), 1, &expected)?;
    test.checks.that("only the new one arrives", sink.get("/old/_accepted")?.lines().count() == 4);
    // An import goes on however late.
    held.dead_since(7, month)?;
    let file = test.path("one.ndjson");
    fs::write(&file, "{\"event\":\"one\",\"distinct_id\":\"x\"}\n")?;
    let import = ["send", "--key", "phc_test", "--host", &held.url, "--spool", &folder, &file];
    test.expect("what is left for an import", &import, 0, &["2 of 2 events delivered"])
}

fn not_for_this_key(test: &mut Cli, sink: &Sink) -> Outcome<()> {
    let held = Held::new(test, sink, "other-key")?;
    held.dead(1)?;
    let (before, folder) = (snapshot(&held.spool.folder)?, held.spool.shown());
    let wrong = ["spool", "drain", "--key", "phc_other", "--host", &held.url, &folder];
    let name = destination(&held.url, "phc_other")?;
    let expected = ["there is a destination for others: check --host and --key", &name];
    test.expect("another key", &wrong, 2, &expected)?;
    test.checks.that("nothing was touched", snapshot(&held.spool.folder)? == before);
    let empty = sink.get("/other-key/_summary")?.contains("\"requests\":0");
    test.checks.that("nothing was sent", empty);
    Ok(())
}
