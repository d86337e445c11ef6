//! An input that may keep its reader waiting, such as a pipe, read on a thread of its own: a read that is blocked cannot
//! be ended on every system, but it need not be waited for.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Instant;

/// How many bytes are read at once.
const CHUNK: usize = 64 << 10;
/// So many chunks are read ahead at most, besides the one that the thread has.
const CHUNKS_AHEAD: usize = 4;

/// See the module. Once the time limit has passed, what would have to be waited for is [`ErrorKind::TimedOut`].
pub(super) struct Awaited {
    chunks: Receiver<io::Result<Vec<u8>>>,
    /// What is read now, and how much of it was.
    chunk: Vec<u8>,
    used: usize,
    deadline: Instant,
}

impl Awaited {
    /// Opens and reads it. The thread ends with the input, or when it has read something after this value has gone, or
    /// with the process.
    pub(super) fn begin<R: Read>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
        deadline: Instant,
    ) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS_AHEAD);
        thread::Builder::new().spawn(move || {
            if let Err(error) = open().and_then(|input| pass_on(input, &sender)) {
                let _ = sender.send(Err(error));
            }
        })?;
        Ok(Awaited { chunks, chunk: Vec::new(), used: 0, deadline })
    }
}

/// Reads to the end, or until the receiver has gone.
fn pass_on(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match input.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        };
        let chunk = buffer.get(..read).unwrap_or_default().to_vec();
        if chunk.is_empty() || sender.send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

impl BufRead for Awaited {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used >= self.chunk.len() {
            let left = self.deadline.saturating_duration_since(Instant::now());
            match self.chunks.recv_timeout(left) {
                Ok(chunk) => (self.chunk, self.used) = (chunk?, 0),
                Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::TimedOut.into()),
                // The end: nothing comes after it.
                Err(RecvTimeoutError::Disconnected) => {}
            }
        }
        Ok(self.chunk.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_byte_arrives_and_then_the_end() {
        let bytes: Vec<u8> = (0..=255).cycle().take(10 * CHUNK + 7).collect();
        let source = io::Cursor::new(bytes.clone());
        let mut input = Awaited::begin(|| Ok(source), Instant::now() + Duration::from_secs(600)).unwrap();
        let mut read = Vec::new();
        assert_eq!(input.read_to_end(&mut read).unwrap(), bytes.len());
        assert!(read == bytes);
        assert_eq!(input.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn nothing_is_waited_for_after_the_time_limit() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"one\ntw").unwrap();
        let mut input = Awaited::begin(|| Ok(reader), Instant::now() + Duration::from_secs(600)).unwrap();
        let mut line = Vec::new();
        input.read_until(b'\n', &mut line).unwrap();
        assert_eq!(line, b"one\n");
        // The writer stays open.
        input.deadline = Instant::now() + Duration::from_millis(10);
        line.clear();
        assert_eq!(input.read_until(b'\n', &mut line).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(line, b"tw");
        drop(writer);
    }

    #[test]
    fn an_error_is_passed_on() {
        let open = || Err::<io::Empty, _>(ErrorKind::NotFound.into());
        let mut input = Awaited::begin(open, Instant::now() + Duration::from_secs(600)).unwrap();
        assert_eq!(input.fill_buf().unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(input.fill_buf().unwrap(), b"");
    }
}
