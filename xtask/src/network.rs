//! TLS, proxies, addresses and the environment: a program of its own sends one event, and what it prints is
//! looked at.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::c::{compile, shared_library};
use crate::checks::{Checks, ensure};
use crate::process::{self, Outcome, TempFolder, built, command, limited, quietly, said, ship, words, write};
use crate::sink::Sink;

/// Where a machine keeps the roots that it trusts.
const PLATFORM: &str = "/etc/ssl/certs/ca-certificates.crt";
const NOW: &str = "20260101000000Z";
const LATER: &str = "20490101000000Z";

/// Words that each expected line of output has; the first is the status with which it begins.
type Expected<'a> = &'a [&'a str];

/// One event a run.
struct OneEvent {
    work: TempFolder,
    program: PathBuf,
    sink: Option<Sink>,
    checks: Checks,
    /// What starts the program, such as a namespace in which files are hidden.
    prefix: Vec<String>,
    /// What it said last.
    said: String,
}

impl OneEvent {
    fn new() -> Outcome<Self> {
        built()?;
        let work = TempFolder::new()?;
        let library = shared_library(&ship());
        let options: Vec<&str> = library.iter().map(String::as_str).collect();
        let program = compile("tests/c/one_event.c", work.path(), &options)?;
        let (checks, prefix, said) = (Checks::default(), Vec::new(), String::new());
        Ok(Self { work, program, sink: None, checks, prefix, said })
    }

    /// Starts the sink anew.
    fn serve(&mut self, arguments: &[&str]) -> Outcome<()> {
        self.sink = None;
        self.sink = Some(Sink::start(arguments)?);
        Ok(())
    }

    /// The same with a certificate of this name.
    fn serve_tls(&mut self, name: &str) -> Outcome<()> {
        let (certificate, key) =
            (self.pem(name), self.work.join(format!("{name}.key")).display().to_string());
        self.serve(&["--tls-cert", &certificate, "--tls-key", &key])
    }

    /// The sink's address with another host.
    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.sink.as_ref().map_or(0, |sink| sink.port))
    }

    fn pem(&self, name: &str) -> String {
        self.work.join(format!("{name}.pem")).display().to_string()
    }

    /// Runs the program with these arguments (`HOST [KEY=VALUE]…`). What it prints begins with the first word, a
    /// status, and has all the others in it.
    fn expect(&mut self, what: &str, arguments: &[&str], expected: Expected<'_>) -> Outcome<()> {
        let mut program = command(&self.prefix);
        if self.prefix.is_empty() {
            program = command([&self.program]);
        } else {
            program.arg(&self.program);
        }
        self.said = said(&mut limited(60, program.args(arguments)))?.1;
        let status = expected.first().copied().unwrap_or_default();
        let mut missing = Vec::new();
        if !self.said.starts_with(&format!("{status} ")) {
            missing.push(status);
        }
        missing.extend(expected.iter().skip(1).filter(|word| !self.said.contains(**word)));
        let line = self.said.lines().next().unwrap_or_default();
        let outcome =
            ensure(missing.is_empty(), || format!("no {:?} in: {}", missing.join("\" and \""), self.said));
        self.checks.check(&format!("{what}: {line}"), outcome);
        Ok(())
    }

    /// From now on the program runs in a namespace of mounts in which this shell code has run.
    fn in_namespace(&mut self, setup: &str) -> Outcome<()> {
        let script = self.work.join("namespace.sh");
        write(&script, format!("set -e\n{setup}\nexec \"$@\"\n"))?;
        self.prefix = namespace()?;
        self.prefix.extend(["sh".to_owned(), script.display().to_string()]);
        Ok(())
    }
}

/// What gives a program mounts of its own here.
fn namespace() -> Outcome<Vec<String>> {
    for way in ["unshare -m", "unshare -rm", "sudo unshare -m"] {
        if said(&mut command(words(&format!("{way} mount -t tmpfs none /mnt"))))?.0 {
            return Ok(words(way));
        }
    }
    Err("unshare -m is not allowed here, and these tests need it".into())
}

/// Certificates by openssl.
struct Authority<'a>(&'a TempFolder);

impl Authority<'_> {
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// A key and a certificate that signs itself.
    fn self_signed(&self, name: &str, subject: &str, extensions: &[&str]) -> Outcome<()> {
        let mut request =
            command(words("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"));
        request.args([
            "-keyout",
            &self.path(&format!("{name}.key")),
            "-out",
            &self.path(&format!("{name}.pem")),
        ]);
        request.args(["-subj", &format!("/CN={subject}")]);
        for extension in extensions {
            request.args(["-addext", extension]);
        }
        quietly(&mut request).map(|_| ())
    }

    /// An authority of its own.
    fn authority(&self, name: &str) -> Outcome<()> {
        self.self_signed(name, name, &["basicConstraints=critical,CA:TRUE"])
    }

    /// A certificate for these subject alternative names, signed by the authority `ca`.
    fn issue(&self, name: &str, names: &str, from: &str, to: &str) -> Outcome<()> {
        let (issued, config) = (self.path("issued"), self.path("issued/config"));
        std::fs::create_dir_all(&issued)?;
        let index = self.0.join("issued/index.txt");
        if !index.exists() {
            write(&index, "")?;
        }
        write(
            Path::new(&config),
            format!(
                "[ca]\ndefault_ca = own\n[own]\ndatabase = {issued}/index.txt\nserial = {issued}/serial\n\
                 unique_subject = no\ndefault_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
            ),
        )?;
        let [key, request, extensions, certificate] =
            ["key", "csr", "ext", "pem"].map(|ending| self.path(&format!("{name}.{ending}")));
        let mut make = command(words("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"));
        quietly(make.args(["-keyout", &key, "-out", &request, "-subj", &format!("/CN={name}")]))?;
        write(Path::new(&extensions), format!("subjectAltName={names}\n"))?;
        let mut sign = command(words("openssl ca -batch -create_serial -notext"));
        sign.args(["-config", &config, "-cert", &self.path("ca.pem"), "-keyfile", &self.path("ca.key")]);
        sign.args([
            "-outdir",
            &issued,
            "-in",
            &request,
            "-out",
            &certificate,
            "-startdate",
            from,
            "-enddate",
            to,
        ]);
        quietly(sign.args(["-extfile", &extensions])).map(|_| ())
    }
}

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
    platform_roots(&mut test)?;
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
    test.expect("a self-signed certificate of openssl's defaults", &[url, own], expected)
}

/// What ca_file may hold. What cannot be read is reported when the client is made.
fn ca_files(test: &mut OneEvent) -> Outcome<()> {
    test.serve_tls("good")?;
    let url = &test.url("https", "127.0.0.1");
    let read = |name: &str| std::fs::read_to_string(test.pem(name));
    let broken = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    write(Path::new(&test.pem("many")), format!("{broken}{}{}", read("other-ca")?, read("ca")?))?;
    write(Path::new(&test.pem("garbage")), "garbage\n")?;
    let file = |name: &str| format!("ca_file={}", test.pem(name));
    let (many, garbage, none, gone) = (&file("many"), &file("garbage"), &file("none"), &file("gone"));
    test.expect("a broken certificate among good ones", &[url, many], &["ok"])?;
    let expected = &["ca_file", "garbage.pem", "no certificate", "PEM"];
    test.expect("a CA file with no certificate", &[url, garbage], expected)?;
    test.expect("a CA file that is not there", &[url, none], &["ca_file", "No such file"])?;
    for (what, vanish, status) in [
        ("a CA file that is gone at the first capture", "vanish=new", "invalid_setting"),
        ("a CA file that is gone at the first request", "vanish=capture", "lost_events"),
    ] {
        std::fs::copy(test.pem("ca"), test.pem("gone"))?;
        test.expect(what, &[url, gone, vanish], &[status, "gone.pem", "No such file"])?;
    }
    Ok(())
}

/// The machine's own roots, and a machine without any.
fn platform_roots(test: &mut OneEvent) -> Outcome<()> {
    let ours = &format!("ca_file={}", test.pem("ca"));
    let hide = "for folder in /etc/ssl /etc/pki /usr/local/share/certs; do
    [ ! -d $folder ] || mount -t tmpfs none $folder
done";
    let url = &test.url("https", "127.0.0.1");
    test.in_namespace(&format!("{hide}\nmkdir -p /etc/ssl/certs; cp {} {PLATFORM}", test.pem("ca")))?;
    test.expect("the platform's roots", &[url], &["ok", &format!("checked against {PLATFORM}")])?;
    test.in_namespace(&format!("{hide}\nmkdir -p /etc/ssl/certs; echo garbage >{PLATFORM}"))?;
    let expected = &["lost_events", "unknown issuer", "bundled Mozilla roots"];
    test.expect("a platform file that is broken", &[url], expected)?;
    test.in_namespace(hide)?;
    let expected = &["lost_events", "unknown issuer", "checked against the bundled Mozilla roots"];
    test.expect("no CA files: https has the bundled roots", &[url], expected)?;
    test.expect("no CA files: ca_file works", &[url, ours], &["ok", "checked against ca_file"])?;
    test.serve(&[])?;
    test.expect("no CA files: http works", &[&test.url("http", "127.0.0.1")], &["ok"])?;
    test.prefix.clear();
    let https = &test.url("https", "127.0.0.1");
    test.expect("https to a port without TLS", &[https], &["lost_events", "not TLS: ", "http://"])
}

/// A proxy that people run.
struct Proxy {
    child: Child,
    address: String,
    log: PathBuf,
}

impl Proxy {
    /// tinyproxy with these lines in its configuration. A port that is free now may be taken before it listens:
    /// then it is tried again.
    fn start(work: &TempFolder, name: &str, lines: &str) -> Outcome<Self> {
        let (config, log) = (work.join(format!("{name}.conf")), work.join(format!("{name}.log")));
        for _ in 0..20 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let fixed = "Listen 127.0.0.1\nTimeout 60\nMaxClients 20\nLogLevel Connect";
            write(&config, format!("Port {port}\n{fixed}\n{lines}\n"))?;
            let output = std::fs::File::create(&log)?;
            let mut child = command(["setpriv", "--pdeathsig", "TERM", "tinyproxy", "-d", "-c"])
                .arg(&config)
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .spawn()?;
            let begun = Instant::now();
            while child.try_wait()?.is_none() && begun.elapsed() < Duration::from_secs(20) {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Ok(Self { child, address: format!("127.0.0.1:{port}"), log });
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        Err(format!("tinyproxy did not start: {}", std::fs::read_to_string(log)?).into())
    }

    /// Whether its log has such a request.
    fn has_passed(&self, request: &str) -> bool {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().any(|line| line.split_once("Request").is_some_and(|(_, rest)| rest.contains(request)))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where no proxy listens.
const NO_PROXY_THERE: &str = "proxy=http://me:secret@127.0.0.1:1";
const NO_SUCH_PROXY: &str = "proxy=http://no-such-proxy.invalid:3128";
const PROXY_NOT_FOUND: &str = "the name of the proxy was not found";
const WANTS_PASSWORD: &str = "the proxy requires a name and a password";

/// `proxies`: through a proxy, and when it is in the way. The password of a proxy is never repeated.
pub(crate) fn proxies(_: &[String]) -> Outcome<()> {
    let mut test = OneEvent::new()?;
    let open = Proxy::start(&test.work, "open", "")?;
    let strict = Proxy::start(&test.work, "strict", "ConnectPort 1")?;
    let guarded = Proxy::start(&test.work, "guarded", "BasicAuth me secret")?;
    let through = |proxy: &Proxy, credentials: &str| format!("proxy=http://{credentials}{}", proxy.address);
    let (by_open, by_guarded) = (&through(&open, ""), &through(&guarded, ""));
    let (right, wrong) = (&through(&guarded, "me:secret@"), &through(&guarded, "me:wrong@"));

    test.serve(&[])?;
    let (url, https) = (&test.url("http", "127.0.0.1"), &test.url("https", "127.0.0.1"));
    test.expect("http", &[url, by_open], &["ok"])?;
    test.checks.that("it went through the proxy", open.has_passed(&format!("POST {url}")));
    test.expect("http, name and password", &[url, right], &["ok"])?;
    test.expect("http, a wrong password", &[url, wrong], &["lost_events", "HTTP 401", "proxy"])?;
    test.expect("http, no password", &[url, by_guarded], &["lost_events", "HTTP 407", WANTS_PASSWORD])?;
    let expected =
        &["lost_events", "the proxy cannot be reached", "through the proxy http://127.0.0.1:1: ", "refused"];
    test.expect("http, no proxy there", &[url, NO_PROXY_THERE], expected)?;
    test.checks.that("the password is not in the log", !test.said.contains("secret"));
    test.expect("http, no such proxy", &[url, NO_SUCH_PROXY], &["lost_events", PROXY_NOT_FOUND])?;
    test.expect("https to a server without TLS", &[https, by_open], &["lost_events", "not TLS: "])?;
    // The sink itself is not a proxy: it knows no CONNECT.
    let by_sink = &format!("proxy={url}");
    let expected = &["lost_events", "the proxy refused"];
    test.expect("https, what is there is not a proxy", &["https://127.0.0.1:9", by_sink], expected)?;

    let with = Authority(&test.work);
    with.authority("ca")?;
    with.issue("good", "IP:127.0.0.1", NOW, LATER)?;
    test.serve_tls("good")?;
    let (url, ca) = (&test.url("https", "127.0.0.1"), &format!("ca_file={}", test.pem("ca")));
    test.expect("https", &[url, by_open, ca], &["ok"])?;
    let host = url.trim_start_matches("https://");
    let passed = open.has_passed(&format!("CONNECT {host}"));
    test.checks.that("it went through the proxy, by CONNECT", passed);
    let bare = &format!("proxy={}", open.address);
    test.expect("https, a proxy without a scheme", &[url, bare, ca], &["ok"])?;
    test.expect("https, an unknown CA", &[url, by_open], &["lost_events", "unknown issuer"])?;
    test.expect("https, name and password", &[url, right, ca], &["ok"])?;
    let expected = &["lost_events", "the proxy refused", "does not know the name and password"];
    test.expect("https, a wrong password", &[url, wrong, ca], expected)?;
    test.expect("https, no password", &[url, by_guarded, ca], &["lost_events", WANTS_PASSWORD])?;
    let by_strict = &through(&strict, "");
    let expected = &["lost_events", "the proxy refused"];
    test.expect("https, a proxy that refuses the port", &[url, by_strict, ca], expected)?;
    let expected = &["lost_events", "the proxy cannot be reached", "refused"];
    test.expect("https, no proxy there", &[url, NO_PROXY_THERE, ca], expected)?;
    test.checks.that("the password is not in the log", !test.said.contains("secret"));
    test.expect("https, no such proxy", &[url, NO_SUCH_PROXY, ca], &["lost_events", PROXY_NOT_FOUND])?;
    test.checks.finish("proxies")
}

/// `addresses`: IPv6, and names that stand for several addresses.
pub(crate) fn addresses(_: &[String]) -> Outcome<()> {
    let mut test = OneEvent::new()?;
    // Names of our own: which of their addresses responds is the test's choice.
    let hosts = test.work.join("hosts");
    write(
        &hosts,
        "127.0.0.1 v4.test both.test\n::1 v6.test both.test\n127.0.0.9 dead.test\n::1 dead.test\n",
    )?;
    test.in_namespace(&format!("mount --bind {} /etc/hosts", hosts.display()))?;
    for (listen, rows) in [
        (
            "[::1]:0",
            [
                ("an address of IPv6", "[::1]", ""),
                ("a name of IPv6", "v6.test", ""),
                ("both, and IPv6 responds", "both.test", ""),
                ("the first address refuses, the second responds", "dead.test", ""),
                ("a path behind an address of IPv6", "[::1]", "/ingest/"),
            ]
            .as_slice(),
        ),
        (
            "127.0.0.1:0",
            [
                ("an address of IPv4", "127.0.0.1", ""),
                ("a name of IPv4", "v4.test", ""),
                ("both, and IPv4 responds", "both.test", ""),
            ]
            .as_slice(),
        ),
    ] {
        test.serve(&["--listen", listen])?;
        for (what, host, path) in rows {
            test.expect(what, &[&format!("{}{path}", test.url("http", host))], &["ok"])?;
        }
    }
    let v6 = &test.url("http", "v6.test");
    test.expect("IPv4 only, asked by IPv6", &[v6], &["lost_events", "refused"])?;
    let none = &test.url("http", "none.invalid");
    test.expect("no such name", &[none], &["lost_events", "the name of the host was not found"])?;
    test.checks.finish("addresses")
}

/// `environment`: the library reads no environment variable, for reading one races a host's setenv. A preloaded
/// getenv that aborts proves it: over http, a host name, a proxy, and https.
pub(crate) fn environment(_: &[String]) -> Outcome<()> {
    built()?;
    let work = TempFolder::new()?;
    let library = shared_library(&ship());
    let options: Vec<&str> = library.iter().map(String::as_str).collect();
    let program = compile("tests/c/environment.c", work.path(), &options)?;
    let preload = preloaded("tests/c/no_getenv.c", &work)?;
    let sink = Sink::start(&[])?;
    let (here, by_name) = (sink.url(), format!("http://localhost:{}", sink.port));
    let mut checks = Checks::default();
    for (host, proxy, status) in [
        (here.as_str(), "", "ok"),
        (by_name.as_str(), "", "ok"),
        // By DNS, whatever comes of it: no name server knows this name.
        ("http://no-such-name.test", "", "lost_events"),
        // The sink takes a proxied request by its path, as any server does.
        ("http://events.example", here.as_str(), "ok"),
        (&here.replace("http", "https"), "", "lost_events"),
        ("https://events.example", here.as_str(), "lost_events"),
    ] {
        let mut run = command([&program]);
        run.args([host, proxy, status]).env("LD_PRELOAD", &preload);
        for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"] {
            run.env(variable, "http://127.0.0.1:1");
        }
        run.env("SSL_CERT_FILE", "/no/such/file")
            .env("RUST_BACKTRACE", "1")
            .env("TOKIO_WORKER_THREADS", "many")
            .env("RES_OPTIONS", "ndots:9")
            .env("LOCALDOMAIN", "example.test")
            .env("HOSTALIASES", "/no/such/file");
        let outcome = process::run(&mut limited_preload(&run, 60));
        checks.check(&format!("{host}, proxy {proxy:?}: {status}"), outcome);
    }
    // The proof can fail: a program that does read one is stopped.
    let mut reader = command([&program]);
    reader.args(["read-one", "", ""]).env("LD_PRELOAD", &preload);
    checks.that("a program that reads one is stopped", !said(&mut limited_preload(&reader, 10))?.0);
    checks.finish("environment")
}

/// A library to preload, from one file of C.
pub(crate) fn preloaded(source: &str, work: &TempFolder) -> Outcome<PathBuf> {
    let output = work.join(format!("{}.so", process::stem(Path::new(source))));
    let mut compile = command(["cc", "-shared", "-fPIC", "-O1", source]);
    process::run(compile.arg("-o").arg(&output).arg("-ldl"))?;
    Ok(output)
}

/// Under a time limit, with LD_PRELOAD for the program alone: `timeout` has its own ways.
pub(crate) fn limited_preload(inner: &std::process::Command, seconds: u64) -> std::process::Command {
    let mut through = command(["env"]);
    for (name, value) in inner.get_envs() {
        if let Some(value) = value {
            let mut pair = name.to_owned();
            pair.push("=");
            pair.push(value);
            through.arg(pair);
        }
    }
    through.arg(inner.get_program()).args(inner.get_args());
    limited(seconds, &through)
}
