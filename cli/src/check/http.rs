//! As much of HTTP/1.1 as the steps need: a request without a body, and the head of its response.

use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant, SystemTime};

use phc::internals::tool::tls_meaning;
use url::Url;

use super::Step;
use super::route::{Connection, Place, Proxy};
use crate::text::{printable, time};

/// A longer head is not read.
const MAX_HEAD: usize = 64 << 10;

/// The head of a response.
#[derive(Debug)]
pub(super) struct Head {
    status: u16,
    lines: Vec<String>,
    /// When its last byte came, and how long after the request that was.
    pub(super) received: SystemTime,
    pub(super) took: Duration,
}

impl Head {
    /// The value of a header, by its name in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// What statuses of the endpoint mean that are not those of a server with Capture v1, which takes only POST there and
/// says so.
const STATUSES: [(std::ops::RangeInclusive<u16>, &str); 5] = [
    (
        404..=404,
        "probably this server, or a proxy before it, does not have Capture v1; check --host, which may lack a path prefix",
    ),
    (407..=407, "the proxy requires a name and a password: --set proxy=http://name:password@host:port"),
    (403..=403, "a proxy or a firewall before the server refuses the path: allow it there"),
    (502..=504, "a proxy cannot reach the server, or the server is overloaded or restarting"),
    (500..=599, "the server failed; the reason is in its log"),
];

/// Asks for the endpoint by GET, which sends no event. `proxy` is the one that passes requests of plain http on.
pub(super) fn get(stream: &mut Connection, url: &str, proxy: Option<&Proxy>) -> Step<(Head, String)> {
    let parsed = Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
    let (target, authorization) = match proxy {
        Some(proxy) => (url, proxy.authorization.as_str()),
        None => (parsed.path(), ""),
    };
    let host = Place::of(url).map(|place| place.to_string()).unwrap_or_default();
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: phc-cli/{}\r\nAccept: */*\r\nConnection: close\r\n{authorization}\r\n",
        env!("CARGO_PKG_VERSION")
    );
    let head = exchange(stream, &request).map_err(|error| explain(&error))?;
    let line = head.lines.first().map_or_else(String::new, |line| printable(line));
    if let (300..=399, target) = (head.status, head.header("location")) {
        let target = target.map(|target| format!(" to {}", printable(target))).unwrap_or_default();
        return Err(format!(
            "{line}: a redirect{target}, which libphc does not follow; set --host to where it leads"
        ));
    }
    if let Some((_, meaning)) = STATUSES.iter().find(|(statuses, _)| statuses.contains(&head.status)) {
        return Err(format!("{line}: {meaning}"));
    }
    let expected = if head.status == 405 { ", as expected: events are posted" } else { "" };
    let text = format!("the server responds: {line}{expected} ({})", time(head.took));
    Ok((head, text))
}

/// Asks a proxy to connect to the server.
pub(super) fn tunnel(stream: &mut Connection, server: &Place, proxy: &Proxy) -> Step<()> {
    let request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{}\r\n", proxy.authorization);
    let head = exchange(stream, &request).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => {
            format!("{} did not reply with HTTP: is it an HTTP proxy?", proxy.place)
        }
        _ => format!("{}: {error}: check that it is an HTTP proxy", proxy.place),
    })?;
    let line = head.lines.first().map_or_else(String::new, |line| printable(line));
    match head.status {
        200..=299 => Ok(()),
        407 => Err(format!(
            "{}: {line}: it requires a name and a password: --set proxy=http://name:password@host:port",
            proxy.place
        )),
        502..=504 => Err(format!("{}: {line}: it cannot reach {server}", proxy.place)),
        _ => Err(format!(
            "{}: {line}: it refuses to connect to {server}: allow that host and port in its configuration",
            proxy.place
        )),
    }
}

/// Sends a request, and reads the head of the response and not a byte more.
fn exchange(stream: &mut Connection, request: &str) -> io::Result<Head> {
    let begun = Instant::now();
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        if stream.read(&mut byte)? == 0 {
            break;
        }
        head.extend_from_slice(&byte);
        if head.len() == 5 && head != b"HTTP/" {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let (received, took) = (SystemTime::now(), begun.elapsed());
    if head.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(&head);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Head { status, lines, received, took })
}

fn explain(error: &io::Error) -> String {
    if let Some(meaning) = tls_meaning(error) {
        return format!("{meaning} ({error})");
    }
    match error.kind() {
        io::ErrorKind::InvalidData => {
            "not HTTP: the server did not reply with HTTP; if it expects TLS, use https:// in --host".to_owned()
        }
        io::ErrorKind::UnexpectedEof => "the server closed the connection before it responded; if it expects TLS, use \
                                         https:// in --host"
            .to_owned(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "no response within request_timeout_ms: the server is overloaded, or a firewall holds the response back"
                .to_owned()
        }
        _ => format!("{error}: the server, or something before it, ended the connection"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_whatever_its_case() {
        let lines = ["HTTP/1.1 200 OK", "date:  x ", "Other: y"].map(str::to_owned).to_vec();
        let head = Head { status: 200, lines, received: SystemTime::now(), took: Duration::ZERO };
        assert_eq!((head.header("Date"), head.header("location")), (Some("x"), None));
    }
}
