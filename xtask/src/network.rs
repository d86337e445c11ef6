//! Proxies, addresses and the environment, and what TLS has in common with them: a program of its own sends one event, and what it prints is
//! looked at.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::authority::{Authority, LATER, NOW};
use crate::c::{compile, shared_library};
use crate::checks::{Checks, ensure};
use crate::process::{self, Outcome, TempFolder, built, command, limited, said, ship, words, write};
use crate::sink::Sink;

/// Words that each expected line of output has; the first is the status with which it begins.
pub(crate) type Expected<'a> = &'a [&'a str];

/// One event a run.
pub(crate) struct OneEvent {
    pub work: TempFolder,
    program: PathBuf,
    sink: Option<Sink>,
    pub checks: Checks,
    /// What starts the program, such as a namespace in which files are hidden.
    pub prefix: Vec<String>,
    /// What it said last.
    pub said: String,
}

impl OneEvent {
    pub(crate) fn new() -> Outcome<Self> {
        built()?;
        let work = TempFolder::new()?;
        let library = shared_library(&ship());
        let options: Vec<&str> = library.iter().map(String::as_str).collect();
        let program = compile("tests/c/one_event.c", work.path(), &options)?;
        let (checks, prefix, said) = (Checks::default(), Vec::new(), String::new());
        Ok(Self { work, program, sink: None, checks, prefix, said })
    }

    /// Starts the sink anew.
    pub(crate) fn serve(&mut self, arguments: &[&str]) -> Outcome<()> {
        self.sink = None;
        self.sink = Some(Sink::start(arguments)?);
        Ok(())
    }

    /// The same with a certificate of this name.
    pub(crate) fn serve_tls(&mut self, name: &str) -> Outcome<()> {
        self.serve_tls_with(name, &[])
    }

    pub(crate) fn serve_tls_with(&mut self, name: &str, arguments: &[&str]) -> Outcome<()> {
        let (certificate, key) = (self.pem(name), self.path(&format!("{name}.key")));
        self.serve(&[&["--tls-cert", &certificate, "--tls-key", &key], arguments].concat())
    }

    /// A file in the folder of the run.
    pub(crate) fn path(&self, file: &str) -> String {
        self.work.join(file).display().to_string()
    }

    /// The argument that sets a setting to a file in the folder of the run.
    pub(crate) fn set(&self, setting: &str, file: &str) -> String {
        format!("{setting}={}", self.path(file))
    }

    /// The sink's address with another host.
    pub(crate) fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.sink.as_ref().map_or(0, |sink| sink.port))
    }

    pub(crate) fn pem(&self, name: &str) -> String {
        self.path(&format!("{name}.pem"))
    }

    /// Runs the program with these arguments (`HOST [KEY=VALUE]…`). What it prints begins with the first word, a
    /// status, and has all the others in it.
    pub(crate) fn expect(&mut self, what: &str, arguments: &[&str], expected: Expected<'_>) -> Outcome<()> {
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
    pub(crate) fn in_namespace(&mut self, setup: &str) -> Outcome<()> {
        let script = self.work.join("namespace.sh");
        write(&script, format!("set -e\n{setup}\nexec \"$@\"\n"))?;
        self.prefix = namespace()?;
        self.prefix.extend(["sh".to_owned(), script.display().to_string()]);
        Ok(())
    }
}

/// What gives a program mounts of its own here.
pub(crate) fn namespace() -> Outcome<Vec<String>> {
    for way in ["unshare -m", "unshare -rm", "sudo unshare -m"] {
        if said(&mut command(words(&format!("{way} mount -t tmpfs none /mnt"))))?.0 {
            return Ok(words(way));
        }
    }
    Err("unshare -m is not allowed here, and these tests need it".into())
}

/// A proxy that people run.
pub(crate) struct Proxy {
    child: Child,
    pub address: String,
    log: PathBuf,
}

impl Proxy {
    /// tinyproxy with these lines in its configuration. A port that is free now may be taken before it listens:
    /// then it is tried again.
    pub(crate) fn start(work: &TempFolder, name: &str, lines: &str) -> Outcome<Self> {
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
    with.issue("client", "DNS:client.example", NOW, LATER)?;
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

    test.serve_tls_with("good", &["--tls-client-ca", &test.pem("ca")])?;
    let url = &test.url("https", "127.0.0.1");
    let (certificate, key) =
        (&test.set("client_cert_file", "client.pem"), &test.set("client_key_file", "client.key"));
    test.expect("https, a client certificate", &[url, by_open, ca, certificate, key], &["ok"])?;
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
    let address = v6.trim_start_matches("http://");
    test.expect("IPv4 only, asked by IPv6", &[v6], &["lost_events", address, "refused"])?;
    let none = &test.url("http", "none.invalid");
    test.expect("no such name", &[none], &["lost_events", "the name of the host was not found"])?;
    contacts(&mut test, &hosts)?;
    test.checks.finish("addresses")
}

/// What docs/privacy.md says of the addresses that are contacted.
fn contacts(test: &mut OneEvent, hosts: &Path) -> Outcome<()> {
    // Nothing responds there, and the kernel says so at once.
    const NAME_SERVER: &str = "127.0.0.7";
    let (resolv_conf, trace) = (test.work.join("resolv.conf"), test.work.join("contacts"));
    write(&resolv_conf, format!("nameserver {NAME_SERVER}\n"))?;
    let binds = [(hosts, "/etc/hosts"), (&resolv_conf, "/etc/resolv.conf")];
    let setup: Vec<_> =
        binds.iter().map(|(file, at)| format!("mount --bind {} {at}", file.display())).collect();
    test.in_namespace(&setup.join("\n"))?;
    let strace =
        ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"].map(str::to_owned);
    test.prefix.extend(strace);
    test.prefix.push(trace.display().to_string());
    test.serve(&[])?;
    let (by_address, by_name) = (test.url("http", "127.0.0.1"), test.url("http", "v4.test"));
    let sink = by_address.trim_start_matches("http://").to_owned();
    let (proxy, name_server) = (format!("proxy={by_address}"), format!("{NAME_SERVER}:53"));
    for (what, arguments, status, expected) in [
        ("an address", vec![by_address.as_str()], "ok", &sink),
        ("a name of /etc/hosts", vec![by_name.as_str()], "ok", &sink),
        ("a proxy", vec!["http://events.example", &proxy], "ok", &sink),
        ("a name that a name server must know", vec!["http://events.example"], "lost_events", &name_server),
    ] {
        test.expect(what, &arguments, &[status])?;
        let found = contacted(&std::fs::read_to_string(&trace)?);
        let outcome = ensure(found == [expected.as_str()], || format!("contacted: {found:?}"));
        test.checks.check(&format!("only {expected} is contacted"), outcome);
    }
    Ok(())
}

/// The addresses of IPv4 and IPv6 in a trace of system calls, each once.
fn contacted(trace: &str) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    for line in trace.lines() {
        for (family, begin) in [("sin_port", "inet_addr(\""), ("sin6_port", "inet_pton(AF_INET6, \"")] {
            let port =
                line.split_once(&format!("{family}=htons(")).and_then(|(_, rest)| rest.split_once(')'));
            let address = line.split_once(begin).and_then(|(_, rest)| rest.split_once('"'));
            if let (Some((port, _)), Some((address, _))) = (port, address) {
                found.insert(format!("{address}:{port}"));
            }
        }
    }
    found.into_iter().collect()
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
