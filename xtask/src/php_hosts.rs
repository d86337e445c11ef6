//! A real PHP-FPM behind a real nginx, with opcache.preload (and PHP's default for FFI), without, and with the extension
//! in the place of FFI. The sink takes 500 ms to respond; a page with a capture may take 0.5 ms more than one without;
//! workers are recycled, PHP-FPM is reloaded in the middle and stopped gracefully at the end; every event arrives once.
//! What a spool promises holds when workers are killed (`killed`). And where FFI is refused, or the extension may not
//! load the library, the site goes on.

mod killed;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::checks::ensure;
use crate::php_extension;
use crate::process::{self, Outcome, TempFolder, at, built, command, files, limited, ship, stdout, write};
use crate::sink::Sink;

/// The site, and the program that asks for its pages.
const TESTS: &str = "bindings/php/tests/fpm";
/// What a page may take more with a capture, in microseconds.
const BOUND_US: f64 = 500.0;
/// More than one process serves in its life.
const FLAG_PAGES: usize = 120;
/// One flag, whose variant everyone has.
const DEFINITIONS: &str = r#"{"flags":[{"key":"layout","active":true,"filters":{"groups":[{}],
    "multivariate":{"variants":[{"key":"compact","rollout_percentage":100}]}}}]}"#;
/// Pages with a capture, and as many without, of the long round.
const LONG_PAIRS: usize = 100_000;
/// What its four workers may have more at the end than after a quarter of it: more events are pending at times. What 55
/// bytes a capture would add is more.
const LONG_GROWTH_KB: u64 = 4096;

/// `php-hosts [full]`
pub(crate) fn task(arguments: &[String]) -> Outcome<()> {
    let is_full = Arguments::new(arguments).flag("full");
    built()?;
    let (pairs, max_requests) = if is_full { (5000, 200) } else { (600, 50) };
    let mut site = Site::new(pairs, max_requests)?;
    let outcome = site.all(is_full);
    if outcome.is_err() {
        site.show_logs()?;
    }
    outcome
}

/// nginx and PHP-FPM over one folder.
struct Site {
    sink: Sink,
    work: TempFolder,
    /// The copy in the package.
    library: PathBuf,
    fpm: String,
    master: Option<Child>,
    nginx: Option<Child>,
    pairs: usize,
    max_requests: usize,
    rounds: usize,
}

impl Site {
    fn new(pairs: usize, max_requests: usize) -> Outcome<Self> {
        let work = TempFolder::new()?;
        let machine = stdout(&mut command(["uname", "-m"]))?;
        // The package as it is installed: with a copy of the library.
        let package = work.join("package");
        let folder = package.join(format!("lib/linux-{}", machine.trim()));
        std::fs::create_dir_all(&folder)?;
        std::fs::create_dir(work.join("tmp"))?;
        // With their times: the opcode cache takes no file that is younger than two seconds.
        let sources = ["src", "preload.php", "autoload.php"].map(|part| at("bindings/php").join(part));
        process::run(command(["cp", "-rp"]).args(sources).arg(&package))?;
        let library = folder.join("libphc.so");
        std::fs::copy(ship().join("libphc.so"), &library)?;
        process::run(command(["cp", "-r"]).arg(at(TESTS).join("site")).arg(work.join("site")))?;
        process::run(command(["chmod", "-R", "a+rX"]).arg(work.path()))?;
        process::run(command(["chmod", "a+rwx"]).arg(work.join("tmp")))?;
        let programs = files("/usr/sbin", "")?;
        let fpm = programs.iter().rfind(|file| file.to_string_lossy().starts_with("/usr/sbin/php-fpm"));
        let fpm = fpm.ok_or("there is no /usr/sbin/php-fpm*")?.display().to_string();
        let sink = Sink::start(&[])?;
        let site =
            Self { sink, work, library, fpm, master: None, nginx: None, pairs, max_requests, rounds: 0 };
        write(site.work.join("fpm.conf"), site.fpm_settings(max_requests)?)?;
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }

    fn fpm_settings(&self, max_requests: usize) -> Outcome<String> {
        // A master that is root must know who its workers are.
        let user = if is_root()? { "user = www-data\ngroup = www-data\n" } else { "" };
        let work = self.work.path().display();
        Ok(format!(
            "[global]
error_log = {work}/fpm.log
daemonize = no
; Without it a stop or a reload kills the workers before their exit handlers.
process_control_timeout = 10s
[www]
{user}listen = {work}/fpm.sock
listen.mode = 0666
listen.backlog = 511
pm = static
pm.max_children = 4
pm.max_requests = {max_requests}
catch_workers_output = yes
php_admin_value[error_log] = {work}/tmp/php.log
"
        ))
    }

    fn nginx_settings(&self, host: &str) -> Outcome<String> {
        let user = if is_root()? { "user www-data;" } else { "" };
        let work = self.work.path().display();
        Ok(format!(
            "{user}
worker_processes 1;
daemon off;
pid {work}/nginx.pid;
error_log {work}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {work}/tmp/body; fastcgi_temp_path {work}/tmp/fastcgi; proxy_temp_path {work}/tmp/proxy;
    uwsgi_temp_path {work}/tmp/uwsgi; scgi_temp_path {work}/tmp/scgi;
    keepalive_requests 1000000;
    server {{
        listen unix:{work}/http.sock;
        location / {{
            fastcgi_pass unix:{work}/fpm.sock;
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {work}/site$fastcgi_script_name;
            fastcgi_param PACKAGE {work}/package;
            fastcgi_param SINK {host};
            fastcgi_param SPOOL {work}/tmp/spool;
            fastcgi_param POSTHOG_HOST {host};
            fastcgi_param POSTHOG_API_KEY phc_hosts_key;
        }}
    }}
}}
"
        ))
    }

    fn all(&mut self, is_full: bool) -> Outcome<()> {
        let mut preload = vec![format!("opcache.preload={}", self.path("package/preload.php").display())];
        if is_root()? {
            preload.push("opcache.preload_user=www-data".to_owned());
        }
        self.until_quick("preload", &preload, is_full)?;
        self.until_quick("ffi", &["ffi.enable=true".to_owned()], is_full)?;
        let extension = format!("extension={}", php_extension::build()?.display());
        let library = format!("phc.library={}", self.library.display());
        let with_extension = [extension.clone(), library];
        self.until_quick("extension", &with_extension, is_full)?;
        if is_full {
            self.long("long", &with_extension)?;
        }
        for level in killed::LEVELS {
            self.killed(level, Duration::from_secs(if is_full { 300 } else { 9 }), &with_extension)?;
        }
        self.flags("flags", &with_extension)?;
        self.flags("flags-preload", &preload)?;
        self.example("example", &with_extension)?;
        self.example("example-preload", &preload)?;
        preload.extend([extension.clone(), "ffi.enable=false".to_owned()]);
        self.until_quick("preloaded-extension", &preload, is_full)?;
        self.refused("refused", &[], "FFI is refused here")?;
        self.refused("restricted", &[extension], "the PHP extension phc loads no library here")
    }

    /// Rounds until one is quick enough. What else the machine does can only add to the cost, so one of three
    /// decides.
    fn until_quick(&mut self, name: &str, options: &[String], is_full: bool) -> Outcome<()> {
        let (mut cost, mut limit) = (0.0, 0.0);
        for _ in 0..3 {
            limit = if is_full { BOUND_US } else { BOUND_US * crowding()? };
            cost = self.round(name, options)?;
            if cost <= limit {
                println!("ok php-fpm, {name}: a capture costs a page {cost} µs, at most {limit:.0}");
                return Ok(());
            }
        }
        Err(format!("{name}: a capture costs a page {cost} µs, more than {limit:.0}").into())
    }

    /// All of it, once. Returns what a capture costs, in microseconds.
    fn round(&mut self, name: &str, options: &[String]) -> Outcome<f64> {
        self.rounds += 1;
        let space = format!("/{name}/{}", self.rounds);
        self.sink.post(&format!("{space}/_script"), r#"{"then":{"delay_ms":500}}"#)?;
        self.start(&format!("{}{space}", self.sink.url()), options)?;
        let cost_file = self.path("cost");
        let master = self.master.as_ref().map_or(0, Child::id).to_string();
        let mut load = command(["php"]);
        load.arg(at(TESTS).join("load.php")).arg(self.path("http.sock"));
        load.args(["2", &self.pairs.to_string()]).arg(&cost_file).arg(master);
        let taken = stdout(&mut limited(600, &load))?;
        let cost = std::fs::read_to_string(cost_file)?.trim().parse()?;
        let stopped = self.stop()?;

        // Nothing is left that could send: what is there now is all.
        let arrived = sorted(&self.sink.get(&format!("{space}/_events?fields=uuid"))?);
        let taken = sorted(&taken);
        ensure(taken == arrived, || {
            let only = |these: &[String], those: &[String]| {
                these
                    .iter()
                    .filter(|uuid| !those.contains(uuid))
                    .take(5)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            format!(
                "{name}: taken only: {}; arrived only: {}",
                only(&taken, &arrived),
                only(&arrived, &taken)
            )
        })?;
        ensure(arrived.len() == self.pairs, || format!("{name}: {} events arrived", arrived.len()))?;
        self.sink.no_violations(&space)?;
        let errors = std::fs::read_to_string(self.path("tmp/php.log")).unwrap_or_default();
        ensure(errors.is_empty(), || format!("{name}: the error log says {errors}"))?;
        let log = std::fs::read_to_string(self.path("fpm.last"))?;
        let recycled = log.lines().filter(|line| line.contains("exited with code 0")).count();
        ensure(recycled >= self.pairs / self.max_requests, || {
            format!("{name}: only {recycled} workers were recycled")
        })?;
        ensure(log.contains("reloading"), || format!("{name}: no reload"))?;
        println!(
            "   {name}: {} events arrived once; {recycled} workers recycled, one reload, stopped in {} ms",
            self.pairs,
            stopped.as_millis()
        );
        Ok(cost)
    }

    /// A hundred thousand pages with a capture, and as many without, by workers that are not recycled: every event
    /// arrives once, and the workers do not grow.
    fn long(&mut self, name: &str, options: &[String]) -> Outcome<()> {
        let space = format!("/{name}");
        write(self.path("fpm.conf"), self.fpm_settings(0)?)?;
        self.start(&format!("{}{space}", self.sink.url()), options)?;
        let master = self.master.as_ref().map_or(0, Child::id);
        let ended = AtomicBool::new(false);
        let mut load = command(["php"]);
        load.arg(at(TESTS).join("load.php")).arg(self.path("http.sock"));
        load.args(["2", &LONG_PAIRS.to_string()]).arg(self.path("cost"));
        let begun = Instant::now();
        let (taken, resident) = std::thread::scope(|scope| {
            let samples = scope.spawn(|| {
                let mut samples = Vec::new();
                while !ended.load(Ordering::Relaxed) {
                    samples.push(resident_kb(master));
                    std::thread::sleep(Duration::from_millis(200));
                }
                samples
            });
            let taken = stdout(&mut limited(1800, &load));
            ended.store(true, Ordering::Relaxed);
            (taken, samples.join().unwrap_or_default())
        });
        let taken = taken?;
        let took = begun.elapsed();
        self.stop()?;
        write(self.path("fpm.conf"), self.fpm_settings(self.max_requests)?)?;
        let arrived = sorted(&self.sink.get(&format!("{space}/_events?fields=uuid"))?);
        ensure(sorted(&taken) == arrived && arrived.len() == LONG_PAIRS, || {
            format!("{name}: {} events were taken, and {} arrived", taken.lines().count(), arrived.len())
        })?;
        self.sink.no_violations(&space)?;
        let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len().max(1) as u64;
        let tenth = resident.len() / 10;
        let (early, late) = (
            mean(resident.get(tenth * 2..tenth * 3).unwrap_or_default()),
            mean(resident.get(tenth * 9..).unwrap_or_default()),
        );
        ensure(early > 0 && late <= early + LONG_GROWTH_KB, || {
            format!("{name}: the workers grew from {early} to {late} kB")
        })?;
        println!(
            "ok php-fpm, {name}: {LONG_PAIRS} events of as many pages arrived once, of {} pages in {} s; the workers have \
             {early} kB after a quarter and {late} kB at the end",
            2 * LONG_PAIRS,
            took.as_secs()
        );
        Ok(())
    }

    /// Pages that read a feature flag: each process fetches the definitions once, and captures the read once.
    fn flags(&mut self, name: &str, options: &[String]) -> Outcome<()> {
        let space = format!("/{name}");
        self.sink.post(&format!("{space}/_definitions"), DEFINITIONS)?;
        self.start(&format!("{}{space}", self.sink.url()), options)?;
        let mut processes = BTreeSet::new();
        for _ in 0..FLAG_PAGES {
            let body = self.page("/flags.php")?;
            let (process, value) = body.split_once(' ').unwrap_or_default();
            ensure(value == r#""compact""#, || format!("{name}: the page says {body}"))?;
            processes.insert(process.to_owned());
        }
        self.stop()?;
        let flags = self.sink.get(&format!("{space}/_flags"))?;
        let events = self.sink.get(&format!("{space}/_events?fields=uuid&accepted=1"))?;
        for (what, found) in [
            ("requests for definitions", flags.matches(r#""endpoint":"definitions""#).count()),
            ("captured reads", events.lines().count()),
        ] {
            ensure(found == processes.len(), || {
                format!("{name}: {} processes made {found} {what}", processes.len())
            })?;
        }
        ensure(!flags.contains(r#""endpoint":"flags""#), || {
            format!("{name}: the server was asked: {flags}")
        })?;
        self.sink.no_violations(&space)?;
        println!(
            "ok php-fpm, {name}: {FLAG_PAGES} pages in {} processes, each with one request for definitions and one captured read",
            processes.len()
        );
        Ok(())
    }

    /// The pages of examples/php-fpm.
    fn example(&mut self, name: &str, options: &[String]) -> Outcome<()> {
        let folder = self.path("site/example");
        if !folder.exists() {
            process::run(command(["cp", "-r"]).arg(at("examples/php-fpm")).arg(&folder))?;
            std::fs::create_dir_all(folder.join("vendor"))?;
            let autoload = self.path("package/autoload.php");
            write(folder.join("vendor/autoload.php"), format!("<?php\nrequire '{}';\n", autoload.display()))?;
            process::run(command(["chmod", "-R", "a+rX"]).arg(&folder))?;
        }
        let space = format!("/{name}");
        self.start(&format!("{}{space}", self.sink.url()), options)?;
        let ids = "X-PostHog-Distinct-Id: customer\r\nX-PostHog-Session-Id: session\r\n";
        let (head, body) = self.response("/example/public/order.php?card=secret", ids)?;
        ensure(head.contains(" 200 ") && body == "thank you", || format!("{name}: {head}: {body}"))?;
        let (head, _) = self.response("/example/public/broken.php", ids)?;
        ensure(head.contains(" 500 "), || format!("{name}: {head}"))?;
        self.stop()?;
        let events = self.sink.get(&format!("{space}/_events?accepted=1"))?;
        for (what, count) in [
            (r#""event":"order placed""#, 1),
            (r#""distinct_id":"customer""#, 2),
            (r#""$request_path":"/example/public/order.php""#, 1),
            (r#""$exception_source":"php_exception_handler""#, 1),
            (r#""value":"the cart is gone""#, 1),
            ("secret", 0),
        ] {
            // The sink shows each event twice: as JSON, and as its text.
            let found = events.matches(what).count();
            ensure(found == count, || format!("{name}: {what} is there {found} times: {events}"))?;
        }
        self.sink.no_violations(&space)?;
        let log = std::fs::read_to_string(self.path("tmp/php.log"))?;
        ensure(log.contains("Uncaught RuntimeException: the cart is gone"), || {
            format!("{name}: the log says {log}")
        })?;
        std::fs::remove_file(self.path("tmp/php.log"))?;
        println!("ok php-fpm, {name}: a page with a capture, and one with an exception");
        Ok(())
    }

    /// PHP's defaults without the preload script, and these options.
    fn refused(&mut self, name: &str, options: &[String], reason: &str) -> Outcome<()> {
        self.start("http://127.0.0.1:1", options)?;
        for number in 1..=40 {
            let body = self.page(&format!("/with.php?uuid={number}"))?;
            ensure(body.starts_with(&format!("not taken: {reason}")), || {
                format!("{name}: the page says {body}")
            })?;
        }
        self.stop()?;
        let log = std::fs::read_to_string(self.path("tmp/php.log"))?;
        let line = format!("events are not captured: {reason}");
        ensure(log.lines().filter(|each| each.contains(&line)).count() == 1, || {
            format!("{name}: the error log says {log}")
        })?;
        println!("ok php-fpm, {name}: 40 pages, one line in the error log");
        Ok(())
    }

    /// PHP-FPM with these options of PHP, and nginx.
    fn start(&mut self, host: &str, options: &[String]) -> Outcome<()> {
        write(self.path("nginx.conf"), self.nginx_settings(host)?)?;
        let mut fpm = command([&self.fpm, "-F", "-y"]);
        fpm.arg(self.path("fpm.conf"));
        for option in options {
            fpm.args(["-d", option]);
        }
        self.master = Some(spawn(&fpm, self.path("master.log"))?);
        let socket = self.path("fpm.sock");
        reached("PHP-FPM listens", || socket.exists())?;
        let mut nginx = command(["/usr/sbin/nginx", "-p"]);
        nginx.arg(self.work.path()).arg("-c").arg(self.path("nginx.conf"));
        self.nginx = Some(spawn(&nginx, self.path("nginx.out"))?);
        reached("nginx serves a page", || self.page("/without.php").is_ok_and(|body| !body.is_empty()))
    }

    /// The body of a page, or an error when it is not there.
    fn page(&self, path: &str) -> Outcome<String> {
        let (head, body) = self.response(path, "")?;
        ensure(head.contains(" 200 "), || head)?;
        Ok(body)
    }

    /// The head and the body of a response.
    fn response(&self, path: &str, headers: &str) -> Outcome<(String, String)> {
        let mut stream = UnixStream::connect(self.path("http.sock"))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (head, body) = text.split_once("\r\n\r\n").ok_or("no response")?;
        Ok((head.to_owned(), body.to_owned()))
    }

    /// Stops both gracefully, and returns how long PHP-FPM took.
    fn end(&mut self) -> Outcome<Duration> {
        quit(&mut self.nginx, "QUIT")?;
        let begun = Instant::now();
        quit(&mut self.master, "QUIT")?;
        let took = begun.elapsed();
        std::fs::rename(self.path("fpm.log"), self.path("fpm.last"))?;
        for socket in ["fpm.sock", "http.sock"] {
            let _ = std::fs::remove_file(self.path(socket));
        }
        Ok(took)
    }

    /// The same, after which no worker may have crashed.
    fn stop(&mut self) -> Outcome<Duration> {
        let took = self.end()?;
        let log = std::fs::read_to_string(self.path("fpm.last"))?;
        ensure(!log.contains("exited on signal"), || format!("a worker crashed: {log}"))?;
        Ok(took)
    }

    /// The end of every log, for a failure.
    fn show_logs(&self) -> Outcome<()> {
        for folder in [self.work.path().to_owned(), self.path("tmp")] {
            for log in files(folder, ".log")? {
                process::run(command(["tail", "-n", "20", "-v"]).arg(log))?;
            }
        }
        Ok(())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = quit(&mut self.nginx, "QUIT");
        let _ = quit(&mut self.master, "TERM");
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The memory of the children of a process together, without what they share, such as the opcode cache: 0 if it cannot
/// be read.
fn resident_kb(parent: u32) -> u64 {
    let resident = |child: u32| -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).ok()?;
        status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))?
            .trim()
            .trim_end_matches(" kB")
            .parse()
            .ok()
    };
    children(parent).into_iter().filter_map(resident).sum()
}

/// The children of a process.
fn children(parent: u32) -> Vec<u32> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

fn is_root() -> Outcome<bool> {
    Ok(stdout(&mut command(["id", "-u"]))?.trim() == "0")
}

/// A server that ends with this program.
fn spawn(inner: &Command, log: PathBuf) -> Outcome<Child> {
    let output = std::fs::File::create(log)?;
    let mut outer = command(["setpriv", "--pdeathsig", "TERM"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    Ok(outer.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?)
}

fn quit(child: &mut Option<Child>, signal: &str) -> Outcome<()> {
    if let Some(mut child) = child.take() {
        process::run(command(["kill", "-s", signal]).arg(child.id().to_string()))?;
        child.wait()?;
    }
    Ok(())
}

/// Waits until it is so, for at most 20 seconds.
fn reached(what: &str, holds: impl Fn() -> bool) -> Outcome<()> {
    let begun = Instant::now();
    while !holds() {
        ensure(begun.elapsed() < Duration::from_secs(20), || format!("not reached: {what}"))?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// How many others want each processor, at least 1: a page waits for its turn then, with a capture and without.
fn crowding() -> Outcome<f64> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load: f64 = load.split(' ').next().unwrap_or_default().parse()?;
    let cores = stdout(&mut command(["nproc"]))?.trim().parse::<f64>()?;
    Ok((load / cores).max(1.0))
}
