//! Files of the system that are read again when they have changed.

use std::fs::{File, Metadata};
use std::io;
use std::time::{Duration, SystemTime};

use crate::runtime::state_of_file;

/// A file that was changed less than this before it was read may change again within
/// the resolution of its times.
const SETTLED: Duration = Duration::from_secs(2);

/// Which file a path stood for, and in which state.
type State = [i64; 7];

/// What was made of a file, with the state of the file then.
#[derive(Debug)]
pub(super) struct Watched<T> {
    made: Option<(T, Option<State>)>,
    settled: bool,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Watched { made: None, settled: false }
    }
}

impl<T> Watched<T> {
    /// The value, made anew by `read` if the file may not be what it was. `read` gets the
    /// file, or `None` if there is none.
    pub(super) fn current(
        &mut self,
        path: &str,
        read: impl FnOnce(Option<File>) -> io::Result<T>,
    ) -> io::Result<&mut T> {
        if !self.is_current(path)? {
            self.made = None;
        }
        let value = match self.made.take() {
            Some(value) => value,
            None => self.read_now(path, read)?,
        };
        Ok(&mut self.made.insert(value).0)
    }

    fn is_current(&self, path: &str) -> io::Result<bool> {
        let now = existing(std::fs::metadata(path))?.as_ref().map(state_of_file);
        Ok(self.settled && self.made.as_ref().is_some_and(|(_, then)| *then == now))
    }

    fn read_now(
        &mut self,
        path: &str,
        read: impl FnOnce(Option<File>) -> io::Result<T>,
    ) -> io::Result<(T, Option<State>)> {
        let file = existing(File::open(path))?;
        let metadata = file.as_ref().map(File::metadata).transpose()?;
        self.settled = metadata.as_ref().is_none_or(has_settled);
        Ok((read(file)?, metadata.as_ref().map(state_of_file)))
    }
}

fn has_settled(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    age.is_some_and(|age| age >= SETTLED)
}

/// `None` for a file that does not exist.
fn existing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn text(file: Option<File>) -> io::Result<Option<String>> {
        let mut text = String::new();
        Ok(match file {
            Some(mut file) => file.read_to_string(&mut text).map(|_| Some(text))?,
            None => None,
        })
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed_come_or_gone() {
        let path = std::env::temp_dir().join(format!("phc-watched-{}", std::process::id()));
        let name = path.to_str().unwrap();
        let mut watched = Watched::default();
        assert_eq!(watched.current(name, text).unwrap(), &None);
        for written in ["one", "two", "six", "longer"] {
            std::fs::write(&path, written).unwrap();
            assert_eq!(watched.current(name, text).unwrap().as_deref(), Some(written));
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(watched.current(name, text).unwrap(), &None);
    }

    #[test]
    fn a_file_that_stays_is_read_once() {
        let path = std::env::temp_dir().join(format!("phc-watched-old-{}", std::process::id()));
        let name = path.to_str().unwrap();
        std::fs::write(&path, "one").unwrap();
        let old = SystemTime::now() - Duration::from_secs(60);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let mut watched = Watched::default();
        for read in [text, |_| Err(io::Error::other("it is read again"))] {
            assert_eq!(watched.current(name, read).unwrap().as_deref(), Some("one"));
        }
        std::fs::remove_file(&path).unwrap();
    }
}
