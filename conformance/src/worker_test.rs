//! Whether a worker speaks the protocol of docs/conformance.md: each check is about the worker and not about
//! the SDK behind it, so that what the cases then find is the SDK's.

use std::time::Duration;

use crate::case::Settings;
use crate::driver::{CallResult, Driver, Response};
use crate::json::Tree;
use crate::steps::{API_KEY, LONG_FLUSH_MS};
use crate::test_server::{CaseServer, TestServer};
use crate::worker::Worker;

/// A worker must notice that its input has ended, even while its SDK still waits for something.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A name that a reader of lines, or one of another encoding, does not pass on.
const EVENT: &str = "first line\\nsecond: \u{e9} \u{1f389}";

type Checked = Result<(), String>;

/// Runs every check, prints how each went, and returns whether all passed.
///
/// # Errors
/// When the worker does not start or does not respond any more.
pub(crate) fn run(command: &str) -> Result<bool, String> {
    let server = TestServer::start("127.0.0.1:0".parse().map_err(|_| "no address")?)?;
    let server = server_and_case(server);
    let mut worker = Worker::start(command)?;
    let form = worker.hello().forms.first().cloned().unwrap_or_default();
    let mut all = true;
    let mut report = |what: &str, checked: Checked| {
        all &= checked.is_ok();
        match checked {
            Ok(()) => println!("ok      {what}"),
            Err(reason) => println!("FAILED  {what}: {reason}"),
        }
    };
    report("hello has a name and a version", named(&worker));
    report("a setting that the SDK lacks creates no client", unknown_setting(&mut worker, &server.1)?);
    report("optional settings that the SDK lacks are left out", optional_settings(&mut worker, &server.1)?);
    let captured = call(&mut worker, "capture", &form, &event())?;
    report("a capture returns a status", status(&captured, &["ok"]));
    let flush = format!("{{\"timeout_ms\":{LONG_FLUSH_MS}}}");
    let flushed = call(&mut worker, "flush", &form, &flush)?;
    report("a flush returns ok, lost_events or timeout", status(&flushed, &["ok", "lost_events", "timeout"]));
    report("the event arrives with its name unchanged", arrived(&server.1));
    report("a uuid that a capture returns is that of the event", same_uuid(&captured, &server.1));
    for query in ["stats", "reports"] {
        let checked = counters(&call(&mut worker, query, &form, "{}")?);
        report(&format!("{query} returns a result, or is unsupported"), checked);
    }
    let unknown = call(&mut worker, "no_such_call", &form, "{}")?;
    report("an unknown call is unsupported, and the worker goes on", is_unsupported(&unknown));
    report("after it, a second client can be created", again(&mut worker, &server.1, &form)?);
    let ended = if worker.ends_within(END_WITHIN) { Ok(()) } else { Err("it goes on".to_owned()) };
    report("the worker ends with its input", ended);
    println!("{}", if all { "The worker is ready for the cases." } else { "Mend the worker first." });
    Ok(all)
}

/// The server must live as long as its case.
fn server_and_case(server: TestServer) -> (TestServer, CaseServer) {
    let case = server.case_server("worker-test");
    (server, case)
}

fn event() -> String {
    format!("{{\"event\":\"{EVENT}\",\"distinct_id\":\"u\",\"properties\":{{\"a\":[1,null]}}}}")
}

fn call(worker: &mut Worker, name: &str, form: &str, argument: &str) -> Result<CallResult, String> {
    worker.call(name, form, argument)
}

fn settings(server: &CaseServer) -> Settings {
    Settings::from([("host".to_owned(), format!("http://{}", server.host))])
}

fn named(worker: &Worker) -> Checked {
    let hello = worker.hello();
    if hello.sdk_name.is_empty() || hello.sdk_version.is_empty() {
        return Err("sdk_name and sdk_version must not be empty".to_owned());
    }
    Ok(())
}

fn unknown_setting(worker: &mut Worker, server: &CaseServer) -> Result<Checked, String> {
    let mut settings = settings(server);
    settings.insert("no_such_setting".to_owned(), "1".to_owned());
    Ok(match worker.init(API_KEY, &settings, &Settings::new())? {
        CallResult::Done(response) if response.status == "ok" => {
            Err("a client was created; respond with unsupported".to_owned())
        }
        _ => Ok(()),
    })
}

/// Those that the runner gives with every scenario.
fn optional_settings(worker: &mut Worker, server: &CaseServer) -> Result<Checked, String> {
    let given = [("reports", "all"), ("retry_initial_ms", "20"), ("flush_interval_ms", "60000")];
    let optional = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Ok(status(&worker.init(API_KEY, &settings(server), &optional)?, &["ok"]))
}

fn again(worker: &mut Worker, server: &CaseServer, form: &str) -> Result<Checked, String> {
    let created = worker.init(API_KEY, &settings(server), &Settings::new())?;
    let captured = call(worker, "capture", form, &event())?;
    Ok(status(&created, &["ok"]).and_then(|()| status(&captured, &["ok"])))
}

fn is_unsupported(result: &CallResult) -> Checked {
    match result {
        CallResult::Unsupported(reason) if !reason.is_empty() => Ok(()),
        CallResult::Unsupported(_) => Err("it gives no reason".to_owned()),
        CallResult::Done(response) => Err(format!("it returned the status {:?}", response.status)),
    }
}

fn status(result: &CallResult, allowed: &[&str]) -> Checked {
    match result {
        CallResult::Done(Response { status, .. }) if allowed.contains(&status.as_str()) => Ok(()),
        CallResult::Done(Response { status, message, .. }) => {
            Err(format!("it returned {status:?} ({message}), expected {}", allowed.join(" or ")))
        }
        CallResult::Unsupported(reason) => Err(format!("it is unsupported: {reason}")),
    }
}

fn counters(result: &CallResult) -> Checked {
    match result {
        CallResult::Unsupported(_) => Ok(()),
        CallResult::Done(response) if response.result.is_some() => Ok(()),
        CallResult::Done(_) => Err("the response has no result".to_owned()),
    }
}

fn received(server: &CaseServer) -> Result<Tree, String> {
    let namespace = server.namespace();
    let event = namespace.events().first().ok_or("no event arrived")?;
    Tree::parse(event.event.get())
}

fn arrived(server: &CaseServer) -> Checked {
    let event = received(server)?;
    let wanted = Tree::parse(&format!("\"{EVENT}\""))?;
    if event.get("event") == Some(&wanted) { Ok(()) } else { Err(format!("what arrived is {event}")) }
}

fn same_uuid(captured: &CallResult, server: &CaseServer) -> Checked {
    let CallResult::Done(Response { uuid: Some(uuid), .. }) = captured else { return Ok(()) };
    let event = received(server)?;
    let sent = event.get("uuid").and_then(Tree::text).unwrap_or_default();
    if sent == uuid { Ok(()) } else { Err(format!("it returned {uuid}, and {sent} was sent")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_or_a_reason_is_checked() {
        let done =
            |status: &str| CallResult::Done(Response { status: status.to_owned(), ..Response::default() });
        assert!(status(&done("ok"), &["ok"]).is_ok());
        assert!(status(&done("maybe"), &["ok", "timeout"]).unwrap_err().contains("ok or timeout"));
        assert!(is_unsupported(&done("ok")).is_err());
        assert!(is_unsupported(&CallResult::Unsupported(String::new())).is_err());
        assert!(counters(&done("ok")).is_err());
        assert!(counters(&CallResult::Unsupported("x".to_owned())).is_ok());
    }
}
