//! The events of test mode: their wire bytes, kept in place of being sent until the
//! host's test has read them.

use std::collections::VecDeque;

use crate::memory::{NoMemory, copied};

/// Events in the order of their captures.
#[derive(Debug, Default)]
pub(super) struct TestQueue {
    events: VecDeque<Vec<u8>>,
    bytes: u64,
}

impl TestQueue {
    /// Keeps an event unless that would exceed a bound. Returns whether it was kept.
    pub(super) fn push(&mut self, wire: &[u8], max_events: u64, max_bytes: u64) -> Result<bool, NoMemory> {
        let bytes = self.bytes + wire.len() as u64;
        let fits = bytes <= max_bytes && (self.events.len() as u64) < max_events;
        if fits {
            self.events.try_reserve(1)?;
            self.events.push_back(copied(wire, 0)?);
            self.bytes = bytes;
        }
        Ok(fits)
    }

    /// The oldest event.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        self.events.front().map(Vec::as_slice)
    }

    /// Removes the oldest event.
    pub(super) fn remove_oldest(&mut self) {
        self.bytes -= self.events.pop_front().map_or(0, |event| event.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_its_bounds() {
        let mut queue = TestQueue::default();
        assert_eq!(queue.push(b"one", 2, 6), Ok(true));
        assert_eq!(queue.push(b"four", 2, 6), Ok(false));
        assert_eq!(queue.push(b"two", 2, 6), Ok(true));
        assert_eq!(queue.push(b"", 2, 6), Ok(false));
        assert_eq!(queue.peek(), Some(b"one".as_slice()));
        queue.remove_oldest();
        assert_eq!(queue.push(b"six", 2, 6), Ok(true));
        assert_eq!(queue.peek(), Some(b"two".as_slice()));
    }
}
