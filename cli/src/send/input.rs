//! NDJSON, line by line, from a file or standard input, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, stdin};
use std::path::Path;

use crate::outcome::Failure;

/// The longest line; the library takes no event that is larger than 16 MiB.
const MAX_LINE: u64 = 32 << 20;
/// What some programs write before UTF-8, as PowerShell and Excel do.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How far an input was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// In bytes from its beginning.
    pub(super) bytes: u64,
    /// In lines; the number of the line that was read last.
    pub(super) lines: u64,
}

/// See the module.
pub(super) struct Input {
    reader: Box<dyn BufRead>,
    /// For errors.
    name: String,
    length: Option<u64>,
    place: Place,
    line: Vec<u8>,
}

impl Input {
    /// Opens a file; without one, or for `-`, standard input.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            let name = "standard input".to_owned();
            return Ok(Input::new(Box::new(stdin().lock()), name, None, Place::default()));
        };
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        Input::of(path, file, Place::default())
    }

    /// Reads a file that is open, from this place on.
    pub(super) fn of(path: &Path, mut file: File, place: Place) -> Result<Self, Failure> {
        let data = file.metadata().map_err(|error| unreadable(path, &error))?;
        if place.bytes > 0 {
            file.seek(SeekFrom::Start(place.bytes)).map_err(|error| unreadable(path, &error))?;
        }
        let length = data.is_file().then_some(data.len());
        Ok(Input::new(Box::new(BufReader::new(file)), path.display().to_string(), length, place))
    }

    fn new(reader: Box<dyn BufRead>, name: String, length: Option<u64>, place: Place) -> Self {
        Input { reader, name, length, place, line: Vec::new() }
    }

    /// How many bytes there are, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// How far it was read.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Reads the next line that is not empty. Returns false at the end.
    pub(super) fn next_line(&mut self) -> Result<bool, Failure> {
        loop {
            self.line.clear();
            let read = self.reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| unreadable(Path::new(&self.name), &error))?;
            if read == 0 {
                return Ok(false);
            }
            self.place.lines += 1;
            self.place.bytes += read as u64;
            if read as u64 > MAX_LINE {
                return Err(Failure::Files(format!(
                    "line {} of {} is longer than {} MiB; one event a line is expected",
                    self.place.lines,
                    self.name,
                    MAX_LINE >> 20
                )));
            }
            if self.place.lines == 1 && self.line.starts_with(BYTE_ORDER_MARK) {
                self.line.drain(..BYTE_ORDER_MARK.len());
            }
            if !self.line().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line that was read last.
    pub(super) fn line(&self) -> &[u8] {
        self.line.trim_ascii()
    }
}

/// Why a file cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::Files(format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &'static [u8], place: Place) -> Input {
        Input::new(Box::new(bytes), "x".to_owned(), None, place)
    }

    /// The lines, and their numbers.
    fn lines(mut input: Input) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        while input.next_line().unwrap() {
            lines.push((input.place().lines, String::from_utf8(input.line().to_owned()).unwrap()));
        }
        lines
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let one = |number, text: &str| (number, text.to_owned());
        let begun = Place::default();
        assert_eq!(lines(of(b"\xEF\xBB\xBFa\r\n b\n", begun)), [one(1, "a"), one(2, "b")]);
        assert_eq!(lines(of(b"\xEF\xBB\xBF\n\na", begun)), [one(3, "a")]);
        assert_eq!(lines(of(b"\xEF\xBB\xBF", begun)), []);
        // Elsewhere it is text.
        assert_eq!(lines(of(b"a\n\xEF\xBB\xBFb", begun)), [one(1, "a"), one(2, "\u{feff}b")]);
        let continued = Place { bytes: 2, lines: 1 };
        assert_eq!(lines(of(b"\xEF\xBB\xBFb", continued)), [one(2, "\u{feff}b")]);
        // The place is that in the file.
        let mut input = of(b"\xEF\xBB\xBFa\nb", begun);
        assert!(input.next_line().unwrap());
        assert_eq!(input.place(), Place { bytes: 5, lines: 1 });
    }
}
