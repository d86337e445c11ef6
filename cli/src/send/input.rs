//! NDJSON, line by line, from a file or standard input, in bounded memory.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek as _, SeekFrom, stdin};
use std::path::Path;
use std::time::Instant;

use super::awaited::Awaited;
use super::has_passed;
use crate::outcome::Failure;

/// The longest line; the library takes no event that is larger than 16 MiB.
const MAX_LINE: u64 = 32 << 20;
/// What some programs write before UTF-8, as PowerShell and Excel do.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const STANDARD_INPUT: &str = "standard input";

/// How far an input was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// In bytes from its beginning.
    pub(super) bytes: u64,
    /// In lines; the number of the line that was read last.
    pub(super) lines: u64,
}

/// What came of a look for the next line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It was read, and is not empty.
    Line,
    /// There is none.
    End,
    /// The time limit has passed. What was read of a line nevertheless, if anything, is the line.
    Late,
}

/// See the module.
pub(super) struct Input {
    reader: Box<dyn BufRead>,
    /// For errors.
    name: String,
    length: Option<u64>,
    place: Place,
    line: Vec<u8>,
    deadline: Option<Instant>,
}

impl Input {
    /// Opens a file; without one, or for `-`, standard input. After the deadline no line is read.
    pub(super) fn open(path: Option<&Path>, deadline: Option<Instant>) -> Result<Self, Failure> {
        let path = path.filter(|path| *path != Path::new("-"));
        // Not of a regular file. Of a named pipe also the opening waits.
        let is_awaited = path.is_none_or(|path| fs::metadata(path).is_ok_and(|data| !data.is_file()));
        let input = match (path, deadline.filter(|_| is_awaited)) {
            (None, None) => {
                Input::new(Box::new(stdin().lock()), STANDARD_INPUT.to_owned(), None, Place::default())
            }
            (None, Some(deadline)) => Input::awaited(STANDARD_INPUT, || Ok(stdin()), deadline)?,
            (Some(path), None) => {
                let file = File::open(path).map_err(|error| unreadable(path, &error))?;
                Input::of(path, file, Place::default())?
            }
            (Some(path), Some(deadline)) => {
                let name = path.display().to_string();
                let path = path.to_owned();
                Input::awaited(&name, || File::open(path), deadline)?
            }
        };
        Ok(Input { deadline, ..input })
    }

    fn awaited<R: Read>(
        name: &str,
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let reader = Awaited::begin(open, deadline).map_err(|error| unreadable(Path::new(name), &error))?;
        Ok(Input::new(Box::new(reader), name.to_owned(), None, Place::default()))
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
        Input { reader, name, length, place, line: Vec::new(), deadline: None }
    }

    /// How many bytes there are, if that is known.
    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// How far it was read.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Its name, for people.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads the next line that is not empty.
    pub(super) fn next_line(&mut self) -> Result<Next, Failure> {
        loop {
            self.line.clear();
            let read = self.reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut self.line);
            let is_late = has_passed(self.deadline);
            let read = match read {
                Err(error) if error.kind() == ErrorKind::TimedOut && is_late => self.line.len(),
                Ok(0) => return Ok(Next::End),
                other => other.map_err(|error| unreadable(Path::new(&self.name), &error))?,
            } as u64;
            self.place.lines += u64::from(read > 0);
            self.place.bytes += read;
            if read > MAX_LINE {
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
            if is_late {
                return Ok(Next::Late);
            }
            if !self.line().is_empty() {
                return Ok(Next::Line);
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
    use std::time::Duration;

    use super::*;

    fn of(bytes: &'static [u8], place: Place) -> Input {
        Input::new(Box::new(bytes), "x".to_owned(), None, place)
    }

    /// The lines, and their numbers.
    fn lines(mut input: Input) -> Vec<(u64, String)> {
        let mut lines = Vec::new();
        while input.next_line().unwrap() == Next::Line {
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
        assert_eq!(input.next_line().unwrap(), Next::Line);
        assert_eq!(input.place(), Place { bytes: 5, lines: 1 });
    }

    #[test]
    fn no_line_is_read_after_the_time_limit() {
        let passed = Some(Instant::now());
        for (bytes, line, number) in [(&b"a\nb\n"[..], "a", 1), (b"\n\na\n", "", 1)] {
            let mut input = Input { deadline: passed, ..of(bytes, Place::default()) };
            assert_eq!(input.next_line().unwrap(), Next::Late);
            assert_eq!((input.line(), input.place().lines), (line.as_bytes(), number));
        }
        // There is nothing that could be late.
        let mut input = Input { deadline: passed, ..of(b"", Place::default()) };
        assert_eq!(input.next_line().unwrap(), Next::End);
    }

    /// Has nothing within the time limit.
    struct Blocked;

    impl Read for Blocked {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(ErrorKind::TimedOut.into())
        }
    }

    #[test]
    fn what_was_read_of_a_line_is_there_when_the_rest_is_late() {
        for (bytes, line, number) in [(&b"a\nb"[..], "b", 2), (b"a\n", "", 1), (b"a\n ", "", 2)] {
            let reader = BufReader::new(bytes.chain(Blocked));
            let mut input = Input::new(Box::new(reader), "x".to_owned(), None, Place::default());
            assert_eq!(input.next_line().unwrap(), Next::Line);
            input.deadline = Some(Instant::now());
            assert_eq!(input.next_line().unwrap(), Next::Late);
            assert_eq!((input.line(), input.place().lines), (line.as_bytes(), number));
        }
        // A system may say the same of a file.
        let mut input = Input::new(Box::new(BufReader::new(Blocked)), "x".to_owned(), None, Place::default());
        assert!(input.next_line().is_err());
    }

    #[test]
    fn a_line_of_an_input_that_is_awaited_has_a_bound() {
        let deadline = Instant::now() + Duration::from_secs(600);
        let mut input = Input::awaited("x", || Ok(io::repeat(b'a')), deadline).unwrap();
        let Err(failure) = input.next_line() else { panic!("it is taken") };
        assert_eq!(failure.to_string(), "line 1 of x is longer than 32 MiB; one event a line is expected");
        assert_eq!(input.line.len(), usize::try_from(MAX_LINE).unwrap() + 1);
    }
}
