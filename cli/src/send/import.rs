//! A file that is sent by way of a spool, and goes on where it was interrupted, however that was.
//!
//! What was read is on disk, in the spool, before the place in the file is recorded beside it. So after a kill every line
//! is before that place, and then its event has ended or is in the spool; or it is read again, under the same uuid. Of
//! those that are read again, events that are in the spool are left out, and the server counts the others once.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use phc::internals::tool::{SpoolFolder, ToolClient};
use ring::digest::{Context, Digest, SHA256, digest};
use uuid::Uuid;

use super::input::{Input, Place, unreadable};
use crate::outcome::Failure;

/// How often the place is recorded.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// How long the disk may take for what is recorded.
const DISK_LIMIT: Duration = Duration::from_secs(30);
/// How much at the beginning of a file, and before the place in it, is compared when it is opened again.
const COMPARED: u64 = 64 << 10;
/// The longest record.
const MAX_RECORD: u64 = 1024;
const TITLE: &str = "phc-cli import 1";

/// See the module.
pub(super) struct Import {
    /// To look at what was read of it. The lock of it is held as long as it is open.
    file: File,
    /// Where the place is recorded.
    record: PathBuf,
    recorded_at: Instant,
    recorded: Progressed,
    /// Whether the place was found recorded.
    is_continued: bool,
    /// The events that are in the spool already.
    in_spool: HashSet<Uuid>,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progressed {
    /// Up to here the file was read.
    pub(super) place: Place,
    /// How many lines were refused.
    pub(super) refused: u64,
}

impl Import {
    /// Begins or continues the import of a file by way of a spool, whose folder is there; `destination` is the name of the
    /// folder in it. Also returns the input, at its place, and what was recorded.
    pub(super) fn open(
        path: &Path,
        spool: &Path,
        destination: &str,
    ) -> Result<(Self, Input, Progressed), Failure> {
        // Before it is opened: that waits for the other end of a named pipe.
        let data = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !data.is_file() {
            let text =
                format!("{} is not a regular file: only that can be read again from a place", path.display());
            return Err(Failure::Usage(text));
        }
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        // Where there are no locks, nothing says that two imports of a file run at once.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let text = format!("{} is locked by another process: is it being sent already?", path.display());
            return Err(Failure::Files(text));
        }
        let record = spool.join(record_name(path, destination)?);
        let found = read_record(&record)?;
        let is_continued = found.is_some();
        let progressed = match found {
            None => Progressed::default(),
            Some((progressed, print)) => {
                let now = fingerprint(&file, progressed.place).map_err(|error| unreadable(path, &error))?;
                if now != print {
                    return Err(Failure::Files(format!(
                        "{} is not as it was when it was sent up to line {}: send that file, or remove {} to begin at \
                         the first line of this one",
                        path.display(),
                        progressed.place.lines,
                        record.display()
                    )));
                }
                progressed
            }
        };
        let again = file.try_clone().map_err(|error| unreadable(path, &error))?;
        let input = Input::of(path, file, progressed.place)?;
        let import = Import {
            file: again,
            record,
            recorded_at: Instant::now(),
            recorded: progressed,
            is_continued,
            in_spool: pending(spool, destination)?,
        };
        Ok((import, input, progressed))
    }

    /// Whether it was begun by an earlier command.
    pub(super) fn is_continued(&self) -> bool {
        self.is_continued
    }

    /// What is recorded: from there the next command goes on.
    pub(super) fn recorded(&self) -> Progressed {
        self.recorded
    }

    /// Whether this event is in the spool already, and is sent from there.
    pub(super) fn has(&self, uuid: Option<Uuid>) -> bool {
        uuid.is_some_and(|uuid| self.in_spool.contains(&uuid))
    }

    /// Whether it is time to record the place.
    pub(super) fn is_due(&self) -> bool {
        self.recorded_at.elapsed() >= RECORD_EVERY
    }

    /// Records how far the file was read, once everything before that place is on disk or has ended. The error says why
    /// it was not recorded: then what was recorded before still holds.
    pub(super) fn record(&mut self, client: &ToolClient, progressed: Progressed) -> Result<(), String> {
        self.recorded_at = Instant::now();
        client.persist(DISK_LIMIT).map_err(|error| error.message.to_string())?;
        let write = || {
            let text = text_of(progressed, &fingerprint(&self.file, progressed.place)?);
            replace(&self.record, text.as_bytes())
        };
        write()
            .map_err(|error: io::Error| format!("{} cannot be written: {error}", self.record.display()))?;
        self.recorded = progressed;
        Ok(())
    }

    /// Everything was read and has ended: the next command with this file begins anew.
    pub(super) fn finish(self) -> Result<(), Failure> {
        // A kill may have left a new one that never took its place.
        for path in [&self.record, &new_of(&self.record)] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    let text = format!("{} cannot be removed: {error}", path.display());
                    return Err(Failure::Files(text));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The name of the record of a file that is sent to a destination.
fn record_name(path: &Path, destination: &str) -> Result<String, Failure> {
    let path = fs::canonicalize(path).map_err(|error| unreadable(path, &error))?;
    let whole = [destination.as_bytes(), b"\0", path.as_os_str().as_encoded_bytes()].concat();
    Ok(format!("phc-cli-import-{:.16}", hex(&digest(&SHA256, &whole))))
}

/// What is different for another file, as far as it was read.
fn fingerprint(file: &File, place: Place) -> io::Result<String> {
    let mut digest = Context::new(&SHA256);
    let mut buffer = Vec::new();
    for from in [0, place.bytes.saturating_sub(COMPARED)] {
        let length = usize::try_from((place.bytes - from).min(COMPARED)).unwrap_or(0);
        buffer.resize(length, 0);
        match file.read_exact_at(&mut buffer, from) {
            // It is shorter than it was.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(String::new()),
            other => other?,
        }
        digest.update(&buffer);
    }
    Ok(hex(&digest.finish()))
}

fn hex(digest: &Digest) -> String {
    digest.as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn text_of(progressed: Progressed, print: &str) -> String {
    let Progressed { place: Place { bytes, lines }, refused } = progressed;
    format!("{TITLE}\nbytes {bytes}\nlines {lines}\nrefused {refused}\nread {print}\n")
}

/// What a record says.
fn parsed(text: &str) -> Option<(Progressed, String)> {
    let mut lines = text.lines();
    (lines.next() == Some(TITLE)).then_some(())?;
    let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let mut number = |name| value(name)?.parse().ok();
    let place = Place { bytes: number("bytes")?, lines: number("lines")? };
    let refused = number("refused")?;
    Some((Progressed { place, refused }, value("read")?.to_owned()))
}

fn read_record(record: &Path) -> Result<Option<(Progressed, String)>, Failure> {
    let mut text = String::new();
    let read = File::open(record).and_then(|file| file.take(MAX_RECORD).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(record, &error)),
        Ok(_) => {}
    }
    match parsed(&text) {
        Some(found) => Ok(Some(found)),
        None => Err(Failure::Files(format!(
            "{} is not what phc-cli has written: remove it to begin at the first line",
            record.display()
        ))),
    }
}

/// Where a record is written before it takes the place of the one before.
fn new_of(record: &Path) -> PathBuf {
    record.with_extension("new")
}

/// Puts a file in the place of another one, so that after a power cut one of the two is there, whole.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = new_of(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The pending events of a destination, those of living processes too: one of these may have taken over what an
/// earlier command has left.
fn pending(spool: &Path, destination: &str) -> Result<HashSet<Uuid>, Failure> {
    let unusable =
        |text: String| Failure::Files(format!("{} cannot be used as a spool: {text}", spool.display()));
    let destinations = SpoolFolder::open(spool).and_then(|spool| spool.destinations()).map_err(unusable)?;
    let mut found = HashSet::new();
    for destination in destinations.iter().filter(|other| other.name() == destination) {
        for instance in destination.instances().map_err(unusable)? {
            // What cannot be read is read from the file again.
            for segment in instance.segments().unwrap_or_default() {
                if let Ok((summary, _)) = instance.read(&segment) {
                    found.extend(summary.pending.iter().map(|(_, uuid, _)| *uuid));
                }
            }
        }
    }
    Ok(found)
}
