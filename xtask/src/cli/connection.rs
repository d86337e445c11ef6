//! `phc-cli check`: each step, as it is and as it fails.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::Cli;
use crate::authority::{Authority, LATER, NOW};
use crate::network::Proxy;
use crate::process::Outcome;
use crate::sink::Sink;

fn with<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["check", "--key", "phc_test", "--host", url], more].concat()
}

pub(super) fn all(test: &mut Cli) -> Outcome<()> {
    plain(test)?;
    secure(test)?;
    proxies(test)?;
    other_servers(test)
}

fn plain(test: &mut Cli) -> Outcome<()> {
    let sink = Sink::start(&["--api-key", "phc_test"])?;
    let url = sink.url();
    let expected = [
        "ok      name   127.0.0.1 is an address",
        "ok      tcp    connected to 127.0.0.1:",
        "ok      http   the server responds: HTTP/1.1 405",
        "ok      clock  agrees with the server's",
        "event  not sent: only --send",
    ];
    test.expect("a server over plain http", &with(&url, &[]), 0, &expected)?;
    let summary = sink.get("/_summary")?;
    test.checks.that("no event was sent", summary.contains("\"requests\":0"));
    let expected = ["ok      event  \"phc-cli check\" of \"phc-cli\", uuid ", ": delivered ("];
    test.expect("--send", &with(&url, &["--send"]), 0, &expected)?;
    let events = sink.get("/_events")?;
    let uuid = test.output.split("uuid ").nth(1).and_then(|rest| rest.get(..36)).unwrap_or("none").to_owned();
    test.checks
        .that("it is the event that it says", events.contains(&uuid) && events.contains("phc-cli check"));
    let outcome = sink.no_violations("");
    test.checks.check("no rule is broken", outcome);
    let wrong = ["check", "--key", "phc_wrong", "--host", &url, "--send"];
    let expected = ["failed  event  ", "rejected", "does not know the project key"];
    test.expect("a key that the server does not know", &wrong, 1, &expected)?;
    let named = format!("http://localhost:{}", sink.port);
    test.expect("a name", &with(&named, &[]), 0, &["ok      name   localhost is ", "127.0.0.1"])?;
    let none = [
        "failed  tcp    127.0.0.1:1: Connection refused",
        "nothing accepts connections there",
        "event  not sent",
    ];
    test.expect("no server there", &with("http://127.0.0.1:1", &["--send"]), 1, &none)?;
    let expected = ["failed  name   no such name: none.invalid", "check the name"];
    test.expect("no such name", &with("http://none.invalid", &[]), 1, &expected)?;
    let https = format!("https://127.0.0.1:{}", sink.port);
    test.expect("https to plain http", &with(&https, &[]), 1, &["failed  tls    not TLS: ", "http://"])?;
    test.expect("not a host", &with("ftp://x", &[]), 2, &["ftp"])?;
    test.expect(
        "a setting that is not accepted",
        &with(&url, &["--set", "ca_file=/nonexistent"]),
        2,
        &["/nonexistent"],
    )
}

fn secure(test: &mut Cli) -> Outcome<()> {
    let with_authority = Authority(&test.work);
    with_authority.authority("ca")?;
    with_authority.issue("good", "IP:127.0.0.1,DNS:localhost", NOW, LATER)?;
    with_authority.issue("expired", "IP:127.0.0.1", "20200101000000Z", "20210101000000Z")?;
    with_authority.issue("wrong", "DNS:elsewhere.example", NOW, LATER)?;
    let ca = format!("ca_file={}", test.path("ca.pem"));
    for (name, authority, code, expected) in [
        (
            "good",
            true,
            0,
            ["ok      tls    TLS 1.3, ", "checked against ca_file", "valid until 2049-01-01T00:00:00Z, for "],
        ),
        (
            "good",
            false,
            1,
            ["failed  tls    unknown issuer", "set ca_file", "valid until 2049-01-01T00:00:00Z"],
        ),
        ("expired", true, 1, ["failed  tls    expired: ", "clock", "expired at 2021-01-01T00:00:00Z"]),
        ("wrong", true, 1, ["failed  tls    wrong host", "for elsewhere.example", "check `host`"]),
    ] {
        let (certificate, key) = (test.path(&format!("{name}.pem")), test.path(&format!("{name}.key")));
        let sink = Sink::start(&["--tls-cert", &certificate, "--tls-key", &key])?;
        let url = format!("https://127.0.0.1:{}", sink.port);
        let set = ["--set", &ca];
        let more = if authority { &set[..] } else { &[] };
        let subject = format!("certificate 1: CN={name} for ");
        let expected = [&expected[..], &[&subject, "; signed by CN=ca; "]].concat();
        test.expect(&format!("{name}, CA set: {authority}"), &with(&url, more), code, &expected)?;
        if code == 0 {
            let more = [more, &["--send"]].concat();
            test.expect("an event over TLS", &with(&url, &more), 0, &["ok      event "])?;
            let plain = format!("http://127.0.0.1:{}", sink.port);
            test.expect(
                "plain http to TLS",
                &with(&plain, &[]),
                1,
                &["failed  http ", "https:// in --host"],
            )?;
        }
    }
    let (certificate, key, ca_file) = (test.path("good.pem"), test.path("good.key"), test.path("ca.pem"));
    let sink = Sink::start(&["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca_file])?;
    let url = format!("https://127.0.0.1:{}", sink.port);
    let expected = ["failed  ", "client certificate required", "client_cert_file"];
    test.expect("a client certificate is required", &with(&url, &["--set", &ca]), 1, &expected)
}

fn proxies(test: &mut Cli) -> Outcome<()> {
    let open = Proxy::start(&test.work, "open", "")?;
    let strict = Proxy::start(&test.work, "strict", "ConnectPort 1")?;
    let guarded = Proxy::start(&test.work, "guarded", "BasicAuth me secret")?;
    let through = |proxy: &Proxy, credentials: &str| format!("proxy=http://{credentials}{}", proxy.address);
    let (certificate, key) = (test.path("good.pem"), test.path("good.key"));
    let ca = format!("ca_file={}", test.path("ca.pem"));
    let (plain, secure) = (Sink::start(&[])?, Sink::start(&["--tls-cert", &certificate, "--tls-key", &key])?);
    let (http, https) = (plain.url(), format!("https://127.0.0.1:{}", secure.port));
    let (by_open, by_strict) = (through(&open, ""), through(&strict, ""));
    let (right, without) = (through(&guarded, "me:se%63ret@"), through(&guarded, ""));
    let nowhere = "proxy=http://me:secret@127.0.0.1:1".to_owned();
    for (what, url, proxy, code, expected) in [
        ("http", &http, &by_open, 0, ["ok      proxy  requests for ", "ok      http "]),
        ("http, name and password", &http, &right, 0, ["ok      proxy  ", "ok      http "]),
        ("http, no password", &http, &without, 1, ["failed  http   HTTP/1.0 407", "http://name:password@"]),
        ("https", &https, &by_open, 0, [" has connected to 127.0.0.1:", "certificate 1: CN=good"]),
        ("https, name and password", &https, &right, 0, ["ok      proxy  ", "ok      tls "]),
        ("https, no password", &https, &without, 1, ["failed  proxy  ", "requires a name and a password"]),
        (
            "https, a port that is refused",
            &https,
            &by_strict,
            1,
            ["failed  proxy  ", "allow that host and port"],
        ),
        ("no proxy there", &https, &nowhere, 1, ["failed  tcp    127.0.0.1:1", "Connection refused"]),
    ] {
        let arguments = with(url, &["--set", proxy, "--set", &ca]);
        test.expect(&format!("proxy: {what}"), &arguments, code, &expected)?;
        let said = format!("{}{}", test.output, test.errors);
        test.checks.that("no password is shown", !said.contains("secret") && !said.contains("se%63"));
    }
    let not_one = format!("proxy=http://127.0.0.1:{}", secure.port);
    test.expect(
        "a proxy that is not one",
        &with(&https, &["--set", &not_one]),
        1,
        &["failed  proxy  ", "HTTP proxy"],
    )
}

/// Servers that respond once, with this text.
fn other_servers(test: &mut Cli) -> Outcome<()> {
    let now = "HTTP/1.1 405 x\r\nContent-Length: 0\r\n";
    for (what, response, code, expected) in [
        (
            "a clock that is ahead by years",
            format!("{now}Date: Fri, 31 Jan 2020 12:00:00 GMT\r\n\r\n"),
            1,
            ["failed  clock  the clock of this machine is ", " d ", " ahead of the server's: set it"],
        ),
        (
            "a clock that is behind by years",
            format!("{now}Date: Fri, 31 Jan 2098 12:00:00 GMT\r\n\r\n"),
            1,
            ["failed  clock  the clock of this machine is ", " d", " behind the server's: set it"],
        ),
        ("no Date", format!("{now}\r\n"), 0, ["ok      clock  not compared", "no Date", "ok      http "]),
        (
            "a redirect",
            "HTTP/1.1 302 Found\r\nLocation: https://x/\x1b[2J\r\n\r\n".to_owned(),
            1,
            ["failed  http ", "a redirect to https://x/", "does not follow"],
        ),
        (
            "a 404",
            "HTTP/1.1 404 No\r\n\r\n".to_owned(),
            1,
            ["failed  http ", "does not have Capture v1", "path prefix"],
        ),
        (
            "a 502",
            "HTTP/1.1 502 No\r\n\r\n".to_owned(),
            1,
            ["failed  http ", "HTTP/1.1 502", "cannot reach the server"],
        ),
        (
            "not HTTP",
            "220 mail.example ESMTP\r\n".to_owned(),
            1,
            ["failed  http ", "not HTTP", "https:// in --host"],
        ),
        ("nothing", String::new(), 1, ["failed  http ", "closed the connection", "before it responded"]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("http://{}", listener.local_addr()?);
        let server = std::thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            // All of the request is read, or the close would reset the connection.
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut part) {
                    Ok(length @ 1..) => request.extend_from_slice(part.get(..length).unwrap_or_default()),
                    _ => return,
                }
            }
            let _ = stream.write_all(response.as_bytes());
        });
        test.expect(what, &with(&url, &[]), code, &expected)?;
        test.checks.that("its text cannot control a terminal", !test.output.contains('\x1b'));
        let _ = server.join();
    }
    Ok(())
}
