//! NDJSON, line by line, from a file or standard input, in bounded memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, stdin};
use std::path::Path;

use crate::outcome::Failure;

/// The longest line; the library takes no event that is larger than 16 MiB.
const MAX_LINE: u64 = 32 << 20;

/// See the module.
pub(crate) struct Input {
    reader: Box<dyn BufRead>,
    /// For errors.
    name: String,
    length: Option<u64>,
    bytes_read: u64,
    number: u64,
    line: Vec<u8>,
}

impl Input {
    /// Opens a file; without one, or for `-`, standard input.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let (reader, name, length): (Box<dyn BufRead>, _, _) =
            match path.filter(|path| *path != Path::new("-")) {
                None => (Box::new(stdin().lock()), "standard input".to_owned(), None),
                Some(path) => {
                    let name = path.display().to_string();
                    let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
                    let (data, file) =
                        opened.map_err(|error| Failure::Files(format!("{name} cannot be read: {error}")))?;
                    (Box::new(BufReader::new(file)), name, data.is_file().then_some(data.len()))
                }
            };
        Ok(Input { reader, name, length, bytes_read: 0, number: 0, line: Vec::new() })
    }

    /// How many bytes there are, if that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// How many were read.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Reads the next line that is not empty. Returns false at the end.
    pub(crate) fn next_line(&mut self) -> Result<bool, Failure> {
        loop {
            self.line.clear();
            let read = self.reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut self.line);
            let read =
                read.map_err(|error| Failure::Files(format!("{} cannot be read: {error}", self.name)))?;
            if read == 0 {
                return Ok(false);
            }
            self.number += 1;
            self.bytes_read += read as u64;
            if read as u64 > MAX_LINE {
                return Err(Failure::Files(format!(
                    "line {} of {} is longer than {} MiB; one event a line is expected",
                    self.number,
                    self.name,
                    MAX_LINE >> 20
                )));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line that was read last.
    pub(crate) fn line(&self) -> &[u8] {
        self.line.trim_ascii()
    }

    /// Its number, from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}
