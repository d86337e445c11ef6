//! TLS: which certificates of servers are accepted, and how errors are reported.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::authority::{Authority, LATER, NOW};
use crate::ca_files::{ca_files, formats, platform_roots};
use crate::client_certificates::{client_certificates, client_keys};
use crate::network::{Expected, OneEvent};
use crate::process::{Outcome, command, words};

/// `tls`: what is trusted, what is refused, and how it is reported.
pub(crate) fn tls(_: &[String]) -> Outcome<()> {
    let mut test = OneEvent::new()?;
    let with = Authority(&test.work);
    with.authority("ca")?;
    with.authority("other-ca")?;
    with.issue("good", "IP:127.0.0.1,IP:::1,DNS:localhost", NOW, LATER)?;
    with.issue("wrong-host", "DNS:elsewhere.example", NOW, LATER)?;
    with.issue("expired", "IP:127.0.0.1", "20200101000000Z", "20210101000000Z")?;
    with.issue("too-early", "IP:127.0.0.1", "20480101000000Z", LATER)?;
    // As people make them: with openssl's defaults, which is a CA, and as a leaf.
    for kind in ["TRUE", "FALSE"] {
        let basic = format!("basicConstraints=critical,CA:{kind}");
        with.self_signed(&format!("self-{kind}"), "localhost", &["subjectAltName=IP:127.0.0.1", &basic])?;
    }
    certificates(&mut test)?;
    ca_files(&mut test)?;
    formats(&mut test)?;
    platform_roots(&mut test)?;
    client_keys(&mut test)?;
    client_certificates(&mut test)?;
    refusals(&mut test)?;
    lost_handshakes(&mut test)?;
    test.checks.finish("TLS")
}

fn certificates(test: &mut OneEvent) -> Outcome<()> {
    let ours = &format!("ca_file={}", test.pem("ca"));
    let other = &format!("ca_file={}", test.pem("other-ca"));
    test.serve_tls("good")?;
    let url = &test.url("https", "127.0.0.1");
    test.expect("a CA file of one's own", &[url, ours], &["ok", "checked against ca_file"])?;
    test.expect("a host name", &[&test.url("https", "localhost"), ours], &["ok"])?;
    test.expect("an unknown CA", &[url], &["lost_events", "unknown issuer", "set ca_file"])?;
    test.expect("another CA", &[url, other], &["lost_events", "unknown issuer", "set ca_file"])?;
    let plain = &test.url("http", "127.0.0.1");
    test.expect("plain http to a TLS port", &[plain], &["lost_events", "not HTTP: ", "https://"])?;
    for (what, certificate, words) in [
        ("a certificate for another host", "wrong-host", ["wrong host", "elsewhere.example"]),
        ("an expired certificate", "expired", ["expired: ", "clock"]),
        ("a certificate that is not valid yet", "too-early", ["not valid yet: ", "clock"]),
    ] {
        test.serve_tls(certificate)?;
        test.expect(what, &[&test.url("https", "127.0.0.1"), ours], &["lost_events", words[0], words[1]])?;
    }
    test.serve_tls("self-FALSE")?;
    let (url, own) = (&test.url("https", "127.0.0.1"), &format!("ca_file={}", test.pem("self-FALSE")));
    test.expect("a self-signed certificate", &[url], &["lost_events", "unknown issuer", "set ca_file"])?;
    test.expect("a self-signed certificate that is trusted", &[url, own], &["ok"])?;
    test.serve_tls("self-TRUE")?;
    let (url, own) = (&test.url("https", "127.0.0.1"), &format!("ca_file={}", test.pem("self-TRUE")));
    let expected = &["lost_events", "self-signed"];
    test.expect("a self-signed certificate of openssl's defaults", &[url, own], expected)?;
    let with = Authority(&test.work);
    with.self_signed("renamed-ca", "ca", &["basicConstraints=critical,CA:TRUE"])?;
    test.serve_tls("good")?;
    let (url, renamed) = (&test.url("https", "127.0.0.1"), &test.set("ca_file", "renamed-ca.pem"));
    let expected = &["lost_events", "bad signature: ", "renewed"];
    test.expect("another authority of the same name", &[url, renamed], expected)
}

/// `openssl s_server`, which has the faults that the sink has not.
struct Peer {
    child: Child,
    port: u16,
}

impl Peer {
    fn start(test: &OneEvent, options: &str) -> Outcome<Self> {
        let mut server = command(words("setpriv --pdeathsig TERM openssl s_server -www -accept 127.0.0.1:0"));
        if !options.contains("-key ") {
            server.args(["-cert", "good.pem", "-key", "good.key"]);
        }
        server.args(words(options));
        let (log, name) = (test.work.join("peer.log"), "peer.log");
        let output = std::fs::File::create(&log)?;
        server.current_dir(test.work.path()).stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output);
        let mut child = server.spawn()?;
        let begun = Instant::now();
        while child.try_wait()?.is_none() && begun.elapsed() < Duration::from_secs(30) {
            let said = std::fs::read_to_string(&log)?;
            let port =
                said.lines().find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit_once(':')?.1.parse().ok());
            if let Some(port) = port {
                return Ok(Self { child, port });
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        Err(format!("openssl s_server did not start: {}", std::fs::read_to_string(test.path(name))?).into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Servers that refuse the handshake, each for a reason of its own.
fn refusals(test: &mut OneEvent) -> Outcome<()> {
    let ca = &test.set("ca_file", "ca.pem");
    let own = &test.set("client_cert_file", "both.pem");
    Authority(&test.work).issue_for("small", "rsa:1024", "DNS:localhost", NOW, LATER)?;
    for (what, options, client, expected) in [
        (
            "a server's key that is too small",
            "-cert small.pem -key small.key -cipher ALL:@SECLEVEL=0",
            None,
            &["lost_events", "bad signature: ", "2048"] as Expected<'_>,
        ),
        (
            "a server with old versions of TLS only",
            "-tls1_1 -cipher ALL:@SECLEVEL=0",
            None,
            &["lost_events", "only old versions of TLS", "TLS 1.2"],
        ),
        (
            "a server without a common cipher",
            "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA",
            None,
            &["lost_events", "no cipher", "client_cert_file"],
        ),
        (
            "TLS 1.2, no client certificate",
            "-tls1_2 -Verify 1 -verify_return_error -CAfile ca.pem",
            None,
            &["lost_events", "client certificate", "client_cert_file"],
        ),
        (
            "TLS 1.2, a client certificate of another authority",
            "-tls1_2 -Verify 1 -verify_return_error -CAfile other-ca.pem",
            Some(own),
            &["lost_events", "refused the client certificate", "authority"],
        ),
        (
            "a name that the server does not know",
            "-servername elsewhere.example -servername_fatal -cert2 good.pem -key2 good.key",
            None,
            &["lost_events", "no certificate for this name", "check `host`"],
        ),
    ] {
        let peer = Peer::start(test, options)?;
        let url = format!("https://localhost:{}", peer.port);
        let mut arguments = vec![url.as_str(), ca.as_str()];
        arguments.extend(client.map(String::as_str));
        test.expect(what, &arguments, expected)?;
        test.checks.that("nothing can have been delivered", test.said.contains("maybe_delivered=0"));
    }
    Ok(())
}

/// Connections that end before the handshake does.
fn lost_handshakes(test: &mut OneEvent) -> Outcome<()> {
    for (what, bytes, expected) in [
        // A socket that is closed with bytes unread resets the connection.
        ("reset in the handshake", 1, "the connection was reset during the TLS handshake"),
        ("closed in the handshake", usize::MAX, "the connection was closed during the TLS handshake"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let url = format!("https://{}", listener.local_addr()?);
        let server = std::thread::spawn(move || {
            let Ok((stream, _)) = listener.accept() else { return };
            let _ = read_some(stream, bytes);
        });
        test.expect(what, &[&url], &["lost_events", expected, "http://"])?;
        let ended = server.join().is_ok();
        test.checks.that("the server was asked", ended);
    }
    Ok(())
}

/// Reads that many bytes, or what comes at once.
fn read_some(mut stream: TcpStream, bytes: usize) -> std::io::Result<()> {
    stream.read_exact(&mut [0])?;
    if bytes > 1 {
        stream.set_nonblocking(true)?;
        std::thread::sleep(Duration::from_millis(200));
        let _ = stream.read_to_end(&mut Vec::new());
    }
    Ok(())
}
