//! PHP-FPM whose pages keep their events in a spool: each worker serves 50 requests, workers are killed at random, and
//! the server is away for a third of the time. What `spool_safety` promises for a page that said that its event was
//! captured is held against what the sink has stored, once new workers have taken over what the others left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{Site, children};
use crate::checks::ensure;
use crate::process::{Outcome, command, quietly, write};
use crate::random::Random;
use crate::sink::only_what_a_kill_breaks;
use crate::spool_proofs::{OUTAGE, STALL_MS, WRITE_MS, segments, unix_ms};

/// The levels, each with how old an event has to be when its worker is killed, in milliseconds, for the promise to hold.
/// At `call` it holds for each event, unless its capture has waited for the disk as long as it does.
pub(super) const LEVELS: [(&str, Option<u64>); 2] = [("call", None), ("crash", Some(WRITE_MS + STALL_MS))];
const SLOW_MS: u64 = 900;
const BROWSERS: u64 = 4;
/// As many as `pm.max_children`.
const WORKERS: u32 = 4;
const REQUESTS_OF_A_WORKER: usize = 50;
/// How long the new workers may take without delivering anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// An event whose page said that it was captured.
struct Taken {
    uuid: String,
    process: u32,
    at_ms: u64,
    took_ms: u64,
}

impl Site {
    /// For so long, at this level.
    pub(super) fn killed(
        &mut self,
        level: (&str, Option<u64>),
        time: Duration,
        options: &[String],
    ) -> Outcome<()> {
        let (level, age) = level;
        let space = format!("/killed-{level}");
        let host = format!("{}{space}", self.sink.url());
        write(self.path("fpm.conf"), self.fpm_settings(REQUESTS_OF_A_WORKER)?)?;
        self.start(&host, options)?;
        let end = Instant::now() + time;
        let site = &*self;
        let (taken, kills) = std::thread::scope(|scope| {
            let browsers: Vec<_> = (0..BROWSERS)
                .map(|browser| scope.spawn(move || site.captures(level, browser, end)))
                .collect();
            let kills = site.kill_workers(&space, time, end).map_err(|error| error.to_string());
            let taken: Vec<Taken> =
                browsers.into_iter().flat_map(|browser| browser.join().unwrap_or_default()).collect();
            (taken, kills)
        });
        let kills = kills?;
        self.end()?;

        self.start(&host, options)?;
        let is_promised = |event: &Taken| match (age, kills.get(&event.process)) {
            (Some(age), Some(killed)) => killed.saturating_sub(event.at_ms) > age,
            _ => event.took_ms < SLOW_MS,
        };
        let promised: BTreeSet<&str> =
            taken.iter().filter(|event| is_promised(event)).map(|event| event.uuid.as_str()).collect();
        let stored = self.takes_over(level, &space, &promised)?;
        self.stop()?;
        write(self.path("fpm.conf"), self.fpm_settings(self.max_requests)?)?;
        only_what_a_kill_breaks(&host)?;
        let gone = taken.iter().filter(|event| !stored.contains(&event.uuid)).count();
        println!(
            "ok php-fpm, {level}: of {} events that were captured by workers of {REQUESTS_OF_A_WORKER} requests, {} of which \
             were killed, {} were promised and all of these arrived; {gone} others did not",
            taken.len(),
            kills.len(),
            promised.len()
        );
        Ok(())
    }

    /// Asks for pages until the end. A page whose worker is killed is an error of the web server.
    fn captures(&self, level: &str, browser: u64, end: Instant) -> Vec<Taken> {
        let mut taken = Vec::new();
        let mut number = 0;
        while Instant::now() < end {
            number += 1;
            let uuid = format!("{browser:08x}-0000-4000-8000-{number:012x}");
            let page = self.page(&format!("/spool.php?level={level}&uuid={uuid}"));
            taken.extend(page.ok().and_then(|body| said(uuid, &body)));
            // Twenty milliseconds of a browser, so that the workers live for a while.
            std::thread::sleep(Duration::from_millis(20));
        }
        taken
    }

    /// Kills a worker now and then until the end; the server is away in the second third of the time. Returns when each
    /// of them was killed.
    fn kill_workers(&self, space: &str, time: Duration, end: Instant) -> Outcome<BTreeMap<u32, u64>> {
        let mut random = Random(19);
        let mut kills = BTreeMap::new();
        let mut behaviour = "{}";
        while Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            let wanted = if left < time / 3 || left > time * 2 / 3 { "{}" } else { OUTAGE };
            if wanted != behaviour {
                self.sink.post(&format!("{space}/_script"), wanted)?;
                behaviour = wanted;
            }
            std::thread::sleep(Duration::from_millis(50 + random.below(400)));
            let workers = children(self.master.as_ref().map_or(0, std::process::Child::id));
            let chosen = workers.get(usize::try_from(random.below(workers.len() as u64))?);
            let Some(worker) = chosen else { continue };
            // It may have ended by itself.
            if quietly(command(["kill", "-KILL"]).arg(worker.to_string())).is_ok() {
                kills.insert(*worker, unix_ms());
            }
        }
        self.sink.post(&format!("{space}/_script"), "{}")?;
        Ok(kills)
    }

    /// Waits until new workers have delivered what the others left; returns all that was stored.
    fn takes_over(&self, level: &str, space: &str, promised: &BTreeSet<&str>) -> Outcome<BTreeSet<String>> {
        // A client of each worker: they serve in turn.
        for number in 0..4 * WORKERS {
            self.page(&format!("/spool.php?level={level}&uuid=ffffffff-0000-4000-8000-{number:012x}"))?;
        }
        let spool = self.path(&format!("tmp/spool-{level}"));
        // At `call` each client has a file ready for its next batch.
        let ready = if level == "call" { WORKERS as usize } else { 0 };
        let (mut count, mut since) = (0, Instant::now());
        loop {
            let left = segments(&spool).len();
            let stored = self.sink.get(&format!("{space}/_accepted"))?;
            let stored: BTreeSet<String> = stored.lines().map(str::to_owned).collect();
            let missing = promised.iter().filter(|uuid| !stored.contains(**uuid)).count();
            if missing == 0 && left <= ready {
                return Ok(stored);
            }
            if stored.len() > count {
                (count, since) = (stored.len(), Instant::now());
            }
            ensure(since.elapsed() < PATIENCE, || {
                format!(
                    "{level}: {missing} of {} promised events are missing, and {left} segments are left",
                    promised.len()
                )
            })?;
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// What a page said.
fn said(uuid: String, body: &str) -> Option<Taken> {
    let mut words = body.strip_prefix("taken ")?.split(' ');
    let process = words.next()?.parse().ok()?;
    let (at_ms, took_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(Taken { uuid, process, at_ms, took_ms })
}
