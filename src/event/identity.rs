//! Who an event is: version 7 uuids (RFC 9562 section 5.7) from buffered
//! randomness.

use crate::status::{Error, Status};

/// Random bytes of one uuid.
const RANDOM: usize = 10;
/// How many uuids one request to the system serves: it takes some microseconds,
/// and so is met by far fewer than one capture in a hundred.
const BUFFERED: usize = 256;

/// A buffer of randomness that is asked of the system for many uuids at a time: a
/// system call for each costs more than encoding the event.
pub struct Randomness {
    bytes: [u8; RANDOM * BUFFERED],
    used: usize,
}

impl Randomness {
    /// An empty buffer: the first uuid fills it.
    #[allow(clippy::new_without_default, reason = "a default that asks the system is no default")]
    pub const fn new() -> Self {
        Randomness { bytes: [0; RANDOM * BUFFERED], used: BUFFERED }
    }

    fn next(&mut self) -> Result<[u8; RANDOM], Error> {
        if self.used >= BUFFERED {
            getrandom::fill(&mut self.bytes).map_err(|error| {
                Error::new(Status::OUT_OF_RESOURCES, format!("no randomness for a uuid: {error}"))
            })?;
            self.used = 0;
        }
        let bytes = self.bytes.as_chunks::<RANDOM>().0.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        Ok(bytes)
    }

    /// A new version 7 uuid for this instant (milliseconds since the epoch).
    pub fn uuid_v7(&mut self, unix_ms: i64) -> Result<uuid::Uuid, Error> {
        let ms = u64::try_from(unix_ms).unwrap_or(0);
        Ok(uuid::Builder::from_unix_timestamp_millis(ms, &self.next()?).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_version_7_of_their_instant_and_distinct() {
        let mut randomness = Randomness::new();
        let made: Vec<_> = (0..1000).map(|_| randomness.uuid_v7(1_700_000_000_123).unwrap()).collect();
        for uuid in &made {
            assert_eq!(uuid.get_version_num(), 7);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(uuid.as_u128() >> 80, 1_700_000_000_123);
        }
        let distinct: std::collections::HashSet<_> = made.iter().collect();
        assert_eq!(distinct.len(), made.len());
    }
}
