//! Prints what the sink says of requests, without ever waiting for standard output.
//!
//! Its reader may be slow, stopped or gone, and requests must be served nevertheless. So a thread of its own writes, and
//! text that finds no space in its queue is left out and counted. It knows nothing of what it prints.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The bytes that wait to be written at most.
const MAX_WAITING: usize = 4 << 20;

/// See the module.
pub(crate) struct Printer(Arc<Shared>);

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<String>,
    bytes: usize,
    /// The texts that were left out since the last one in the queue.
    left_out: u64,
    /// Whether a text is being written.
    is_writing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Whether everything was written.
    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.left_out == 0 && !self.is_writing
    }

    fn push(&mut self, text: String) {
        if self.bytes + text.len() > MAX_WAITING {
            self.left_out += 1;
            return;
        }
        if let Some(note) = self.note() {
            self.add(note);
        }
        self.add(text);
    }

    fn add(&mut self, text: String) {
        self.bytes += text.len();
        self.waiting.push_back(text);
    }

    /// What stands in place of the texts that were left out.
    fn note(&mut self) -> Option<String> {
        let count = std::mem::take(&mut self.left_out);
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("({count} request{plural} left out: standard output was not read)\n"))
    }

    fn next(&mut self) -> Option<String> {
        let text = self.waiting.pop_front();
        self.bytes -= text.as_ref().map_or(0, String::len);
        text.or_else(|| self.note())
    }
}

impl Printer {
    /// Starts the thread that writes to this place, whose errors are ignored.
    pub(crate) fn new(mut out: impl Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let printer = Self(Arc::clone(&shared));
        let write = move || {
            let mut queue = shared.lock();
            loop {
                queue.is_writing = false;
                shared.changed.notify_all();
                queue = shared
                    .changed
                    .wait_while(queue, |queue| queue.is_done())
                    .unwrap_or_else(PoisonError::into_inner);
                let Some(text) = queue.next() else { continue };
                queue.is_writing = true;
                drop(queue);
                let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
                queue = shared.lock();
            }
        };
        // Without a thread nothing is printed.
        let _ = std::thread::Builder::new().name("phc-sink-print".to_owned()).spawn(write);
        printer
    }

    /// Prints the text about one request soon, or counts it among those that are left out.
    pub(crate) fn print(&self, text: String) {
        self.0.lock().push(text);
        self.0.changed.notify_all();
    }

    /// Waits until everything was written, for this long at most.
    pub(crate) fn finish(&self, limit: Duration) {
        let queue = self.0.lock();
        let _ = self.0.changed.wait_timeout_while(queue, limit, |queue| !queue.is_done());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A place that takes a text only when it is let to.
    struct Gate {
        opened: Receiver<()>,
        written: Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.opened.recv();
            let _ = self.written.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (Printer, Sender<()>, Receiver<String>) {
        let ((open, opened), (written, texts)) = (channel(), channel());
        (Printer::new(Gate { opened, written }), open, texts)
    }

    #[test]
    fn what_finds_no_space_is_left_out_and_counted_in_its_place() {
        let (printer, open, texts) = gate();
        printer.print("first\n".to_owned());
        // The first one is being written, so that all the space is free.
        while !printer.0.lock().is_writing {
            std::thread::yield_now();
        }
        let large = "x".repeat(MAX_WAITING - 10);
        printer.print(large.clone());
        (0..3).for_each(|_| printer.print("does not fit\n".to_owned()));
        printer.print("fits\n".to_owned());
        (0..2).for_each(|_| printer.print("does not fit\n".to_owned()));
        drop(open);
        printer.finish(Duration::from_secs(60));
        let texts: Vec<_> = texts.try_iter().collect();
        let note = |count| format!("({count} requests left out: standard output was not read)\n");
        assert_eq!(texts, ["first\n".to_owned(), large, note(3), "fits\n".to_owned(), note(2)]);
    }

    #[test]
    fn errors_are_ignored() {
        struct Closed(Sender<usize>);
        impl Write for Closed {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.send(bytes.len());
                Err(std::io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
        }
        let (sender, attempts) = channel();
        let printer = Printer::new(Closed(sender));
        printer.print("a".to_owned());
        printer.print("bc".to_owned());
        printer.finish(Duration::from_secs(60));
        assert_eq!(attempts.try_iter().collect::<Vec<_>>(), [1, 2]);
    }
}
