//! `phc-cli check`: the connection to the server, step by step, with the code and the settings of an attempt. Each
//! step is one line, and a failed one says what to do. No event is sent without `--send`.

mod certificates;
mod clock;
mod event;
mod http;
mod route;
mod tls;

use std::io::{self, Write as _};

use phc::internals::Config;
use phc::internals::tool::endpoint;

use crate::arguments::CheckArguments;
use crate::outcome::{Failure, Outcome};
use route::{Connection, Limits, Place, Proxy};

/// One attempt is enough here.
const DEFAULTS: &[(&str, &str)] = &[("max_retries", "0"), ("flush_at", "1")];

/// Why a step failed, and what to do. The steps after it are not made.
type Step<T> = Result<T, String>;

/// Makes the steps.
pub(crate) fn run(arguments: &CheckArguments) -> Result<Outcome, Failure> {
    let mut config = arguments.connection.config(DEFAULTS)?;
    let url = endpoint(&config);
    let _ = writeln!(io::stdout(), "{url}");
    let mut report = Report { failed: false };
    let arrived = steps(&mut config, &url, &mut report).is_some();
    match (arguments.send, arrived) {
        (true, true) => {
            report.step("event", || event::send(config).map(|text| ((), text)));
        }
        (true, false) => line("-", "event", "not sent, because a step before it failed"),
        (false, _) => {
            line("-", "event", "not sent: only --send, which sends one, can check the project key");
        }
    }
    Ok(if report.failed { Outcome::Bad } else { Outcome::Good })
}

/// Prints a line. A reader that has seen enough is not an error.
fn line(outcome: &str, step: &str, text: &str) {
    let _ = writeln!(io::stdout(), "{outcome:<7} {step:<6} {text}");
}

/// What the lines say so far.
struct Report {
    failed: bool,
}

impl Report {
    /// Makes a step. `None` if it failed.
    fn step<T>(&mut self, name: &str, step: impl FnOnce() -> Step<(T, String)>) -> Option<T> {
        match step() {
            Ok((result, text)) => {
                line("ok", name, &text);
                Some(result)
            }
            Err(text) => {
                self.failed = true;
                line("failed", name, &text);
                None
            }
        }
    }
}

/// The steps up to the response of the server. `None` if one failed.
fn steps(config: &mut Config, url: &str, report: &mut Report) -> Option<()> {
    let server = report.step("host", || {
        let server = Place::of(url).ok_or_else(|| format!("{url} names no host and port: check --host"))?;
        let text = server.to_string();
        Ok((server, text))
    })?;
    let proxy = Proxy::of(config);
    let first = proxy.as_ref().map_or(&server, |proxy| &proxy.place);
    let limits = Limits::of(config);
    let addresses = report.step("name", || route::look_up(config, first))?;
    let (stream, address) = report.step("tcp", || route::connect(&addresses, first.port, limits))?;
    let is_https = url.starts_with("https:");
    let config = &*config;
    let through_proxy = |stream: Connection| match &proxy {
        None => Ok(stream),
        Some(proxy) => proxy.pass(config, &server, is_https, stream),
    };
    let mut stream: Connection = Box::new(stream);
    if let Some(proxy) = &proxy {
        stream = report.step("proxy", || Ok((through_proxy(stream)?, proxy.way_to(&server, is_https))))?;
    }
    if is_https {
        let again = || through_proxy(Box::new(route::connect_to(address, limits)?));
        stream = tls::step(config, &server.host, stream, again, report)?;
    }
    let head = report.step("http", || http::get(&mut stream, url, proxy.as_ref().filter(|_| !is_https)))?;
    report.step("clock", || clock::compare(&head).map(|text| ((), text)))
}
