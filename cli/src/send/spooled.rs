//! `phc-cli send --spool`: the lines of a file become events of a client that keeps them on disk.

use std::path::Path;
use std::time::Duration;

use phc::internals::tool::{Drain, ToolClient, destination_name};
use phc::internals::{Config, Error, EventInput, Status};

use super::identity::with_uuid;
use super::import::{Import, Progressed};
use super::input::{Input, Next};
use super::{REFUSED_AT_FIRST, all_refused, summary};
use crate::interrupt::End;
use crate::losses::{TICK, with_losses};
use crate::outcome::{Failure, Outcome};
use crate::progress::Progress;
use crate::spool::with_spool;
use crate::text::{counted, say};

/// Settings in place of the library's defaults: however late it goes on, an import leaves no line out.
pub(super) const DEFAULTS: &[(&str, &str)] = &[("spool_max_age_ms", "31536000000")];
/// So many events are pending at most, so that what is read of a large file is not all written to the disk.
const MOST_PENDING: u64 = 20_000;

/// Sends a file, from where an earlier command with it has ended.
pub(super) fn run(
    config: Config,
    path: &Path,
    spool: &Path,
    timeout: Option<Duration>,
) -> Result<Outcome, Failure> {
    let end = End::after(timeout)?;
    let config = with_spool(config, spool)?;
    let destination = destination_name(&config);
    // This makes the folder.
    let client = ToolClient::open(config)?;
    let (import, input, progressed) = Import::open(path, spool, &destination)?;
    if import.is_continued() {
        say(format_args!("{} was read up to line {}: going on", path.display(), progressed.place.lines));
    }
    let progress = Progress::of(input.length());
    let above = progress.clone();
    client.set_log(move |line| above.print(line))?;
    let drain = client.begin_drain()?;
    let mut sending = Sending {
        client: &client,
        import,
        input,
        progressed,
        drain,
        end,
        progress: &progress,
        obstacle: None,
    };
    let failure = with_losses(&client, &progress, || sending.run());
    progress.end();
    sending.close(path, spool, failure)
}

/// See the module.
struct Sending<'a> {
    client: &'a ToolClient,
    import: Import,
    input: Input,
    /// After the last line that was taken or refused.
    progressed: Progressed,
    drain: Drain,
    end: End,
    progress: &'a Progress,
    /// Why the place could not be recorded when that was tried last: the same reason is said once.
    obstacle: Option<String>,
}

/// Why a file was not sent to its end.
enum Stop {
    /// The user or the time limit has ended it; this is how a sentence begins that says so.
    Ended(&'static str),
    /// It cannot be read on.
    Failed(Failure),
}

impl Sending<'_> {
    /// Sends the lines. Unless everything has ended then, what is pending is on disk.
    fn run(&mut self) -> Option<Stop> {
        let before = self.progressed;
        let stopped = self.send_lines().and_then(|()| self.wait()).err();
        if stopped.is_some() && self.progressed != before {
            self.record();
        }
        stopped
    }

    fn send_lines(&mut self) -> Result<(), Stop> {
        let before = self.progressed;
        let mut taken = before.place.lines;
        while self.input.next_line().map_err(Stop::Failed)? == Next::Line {
            let (uuid, line) = with_uuid(self.input.place().lines, self.input.line());
            if self.import.has(uuid) {
                // An earlier command has taken it.
                taken += 1;
            } else {
                match self.capture(line.as_deref())? {
                    Ok(()) => taken += 1,
                    Err(error) => {
                        self.progressed.refused += 1;
                        let number = self.input.place().lines;
                        self.progress.print(&format!("line {number}: refused: {}", error.message));
                    }
                }
            }
            self.progressed.place = self.input.place();
            self.progress.reached(self.progressed.place.bytes);
            if taken == 0 && self.progressed.refused == REFUSED_AT_FIRST {
                // It is probably another file that is to be sent.
                self.progressed = before;
                return Err(Stop::Failed(all_refused()));
            }
            if self.import.is_due() {
                self.record();
            }
        }
        Ok(())
    }

    /// Takes the event of the line that was read last, or of the one that stands for it, once there is space for it.
    fn capture(&mut self, line: Option<&[u8]>) -> Result<Result<(), Error>, Stop> {
        loop {
            if let Some(reason) = self.end.reason() {
                return Err(Stop::Ended(reason));
            }
            if self.client.counts().pending < MOST_PENDING {
                match self.client.capture(&EventInput::Json(line.unwrap_or(self.input.line()))) {
                    Err(error) if error.status == Status::QUEUE_FULL => {}
                    other => return Ok(other.map(|_| ())),
                }
            }
            self.client.flush(TICK);
            if self.import.is_due() {
                self.record();
            }
        }
    }

    fn record(&mut self) {
        let obstacle = self.import.record(self.client, self.progressed).err();
        if let Some(text) = obstacle.as_ref().filter(|_| obstacle != self.obstacle) {
            self.progress.print(&format!("how far the file was read is not recorded: {text}"));
        }
        self.obstacle = obstacle;
    }

    /// Waits until every event has ended.
    fn wait(&mut self) -> Result<(), Stop> {
        loop {
            self.client.flush(TICK);
            if self.client.wait_drained(&self.drain, TICK) {
                return Ok(());
            }
            if let Some(reason) = self.end.reason() {
                return Err(Stop::Ended(reason));
            }
            if self.import.is_due() {
                self.record();
            }
        }
    }

    /// Says what has become of the file. The client is closed.
    fn close(self, path: &Path, spool: &Path, stop: Option<Stop>) -> Result<Outcome, Failure> {
        let counts = self.client.counts();
        let outcome = summary(&counts, self.progressed.refused);
        match stop {
            None => self.import.finish().map(|()| outcome),
            Some(Stop::Failed(failure)) => Err(failure),
            Some(Stop::Ended(reason)) => {
                say(format_args!(
                    "{reason}: {} was read up to line {}, and {} left in {}; the same command goes on from there",
                    path.display(),
                    self.import.recorded().place.lines,
                    match counts.kept {
                        1 => "1 event is".to_owned(),
                        kept => format!("{} are", counted(kept, "event")),
                    },
                    spool.display()
                ));
                Ok(if outcome == Outcome::Good { Outcome::Left } else { outcome })
            }
        }
    }
}
