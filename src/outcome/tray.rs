//! What test mode keeps in place of a server: the wire bytes of each event, until
//! the host's test has looked at them.

use std::collections::VecDeque;

/// Events in the order of their captures.
#[derive(Debug, Default)]
pub struct Tray {
    events: VecDeque<Vec<u8>>,
    bytes: u64,
}

impl Tray {
    /// Keeps an event, unless that would cross a bound.
    pub fn put(&mut self, wire: &[u8], max_events: u64, max_bytes: u64) -> bool {
        let bytes = self.bytes + wire.len() as u64;
        let fits = bytes <= max_bytes && (self.events.len() as u64) < max_events;
        if fits {
            self.events.push_back(wire.to_vec());
            self.bytes = bytes;
        }
        fits
    }

    /// The oldest event.
    pub fn oldest(&self) -> Option<&[u8]> {
        self.events.front().map(Vec::as_slice)
    }

    /// Throws the oldest one away.
    pub fn remove_oldest(&mut self) {
        self.bytes -= self.events.pop_front().map_or(0, |event| event.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_to_its_bounds() {
        let mut tray = Tray::default();
        assert!(tray.put(b"one", 2, 6));
        assert!(!tray.put(b"four", 2, 6));
        assert!(tray.put(b"two", 2, 6));
        assert!(!tray.put(b"", 2, 6));
        assert_eq!(tray.oldest(), Some(b"one".as_slice()));
        tray.remove_oldest();
        assert!(tray.put(b"six", 2, 6));
        assert_eq!(tray.oldest(), Some(b"two".as_slice()));
    }
}
