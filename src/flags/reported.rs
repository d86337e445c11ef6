//! Which reads have been reported: a memory of a fixed size.

/// How many reads share a bucket.
const WAYS: usize = 8;

/// The reads that were reported, each as a hash. It has a fixed size: in a full bucket the one goes whose last read is
/// the oldest.
#[derive(Debug)]
pub(crate) struct Reported {
    /// The newest read of each bucket first; 0 is a free place. Empty until the first read.
    buckets: Vec<[u64; WAYS]>,
    count: usize,
}

impl Reported {
    /// For so many reads, rounded up to whole buckets.
    pub(crate) fn new(reads: usize) -> Self {
        Reported { buckets: Vec::new(), count: reads.div_ceil(WAYS) }
    }

    /// Notes a read; returns whether it is a new one.
    pub(crate) fn add(&mut self, hash: u64) -> bool {
        if self.buckets.is_empty() {
            self.buckets = vec![[0; WAYS]; self.count];
        }
        let Some(bucket) = self.bucket(hash) else { return true };
        let found = bucket.iter().position(|known| *known == hash.max(1));
        let last = found.unwrap_or(WAYS - 1);
        bucket.get_mut(..=last).unwrap_or_default().rotate_right(1);
        if let Some(first) = bucket.first_mut() {
            *first = hash.max(1);
        }
        found.is_none()
    }

    /// Forgets a read that could not be reported.
    pub(crate) fn remove(&mut self, hash: u64) {
        let known =
            self.bucket(hash).and_then(|bucket| bucket.iter_mut().find(|known| **known == hash.max(1)));
        if let Some(known) = known {
            *known = 0;
        }
    }

    fn bucket(&mut self, hash: u64) -> Option<&mut [u64; WAYS]> {
        // The low bits choose among several of these.
        let at = usize::try_from(hash >> 8).unwrap_or(0).checked_rem(self.buckets.len())?;
        self.buckets.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::random::Random;

    #[test]
    fn a_read_is_new_once_and_a_full_memory_forgets_a_few_at_a_time() {
        let mut reported = Reported::new(64);
        let mut random = Random::new(1);
        let reads: Vec<u64> = (0..1000).map(|_| random.next()).collect();
        for read in &reads {
            assert!(reported.add(*read));
            assert!(!reported.add(*read));
        }
        assert_eq!(reported.buckets.len(), 8);
        assert!(
            reported.buckets.iter().all(|bucket| bucket.iter().all(|read| *read != 0)),
            "nothing was cleared"
        );
        // Those that are kept are the newest of each bucket.
        let kept: HashSet<u64> = reported.buckets.iter().flatten().copied().collect();
        let last: Vec<_> = reads.iter().rev().take(8).collect();
        assert!(last.iter().all(|read| kept.contains(read)));
        reported.remove(*last[0]);
        assert!(reported.add(*last[0]));
        // A read that comes again and again is not forgotten.
        for read in &reads {
            assert!(!reported.add(*last[0]));
            reported.add(*read);
        }
        let mut none = Reported::new(0);
        assert!(none.add(1) && none.add(1));
        let mut zero = Reported::new(8);
        assert!(zero.add(0) && !zero.add(0));
    }
}
