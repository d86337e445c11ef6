//! A map that remembers what was put into it last, within a number of bytes.
//!
//! It is two maps: when the newer one has used half of the bytes it becomes the older one, and the older one is
//! forgotten. So an insertion takes constant time, and at least the newest half of the bytes is remembered.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::mem::size_of;

/// See the module.
#[derive(Clone, Debug)]
pub struct Recent<K, V> {
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
    /// What `newer` takes, about.
    bytes: usize,
    older_bytes: usize,
    limit: usize,
    has_forgotten: bool,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            newer: HashMap::new(),
            older: HashMap::new(),
            bytes: 0,
            older_bytes: 0,
            limit,
            has_forgotten: false,
        }
    }

    /// Puts a value in, in place of the one that the key had. `heap` is what it has on the heap, in bytes.
    pub(crate) fn insert(&mut self, key: K, value: V, heap: usize) {
        self.older.remove(&key);
        // A table is between half full and full.
        self.bytes += heap + 2 * (size_of::<(K, V)>() + 1);
        self.newer.insert(key, value);
        if self.bytes > self.limit / 2 {
            self.has_forgotten |= !self.older.is_empty();
            self.older = std::mem::take(&mut self.newer);
            self.older_bytes = std::mem::take(&mut self.bytes);
        }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.newer.get(key).or_else(|| self.older.get(key))
    }

    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.newer.get_mut(key).or_else(|| self.older.get_mut(key))
    }

    /// Whether anything was forgotten so far.
    pub(crate) fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.older_bytes
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.newer.len() + self.older.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that is remembered, in any order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.older.iter().chain(&self.newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_half_is_remembered_and_the_bytes_are_bounded() {
        let limit = 100_000;
        let mut recent = Recent::new(limit);
        for n in 0..100_000_u64 {
            recent.insert(n, n, 0);
            assert!(recent.bytes() <= limit, "{n}: {}", recent.bytes());
            assert_eq!(recent.get(&n), Some(&n));
        }
        let remembered = limit / (2 * 17) / 2;
        assert!((remembered as u64..).contains(&(recent.len() as u64)), "{}", recent.len());
        assert!((100_000 - remembered as u64 + 1..100_000).all(|n| recent.get(&n).is_some()));
        assert!(recent.get(&0).is_none() && recent.has_forgotten());
    }

    #[test]
    fn a_key_is_there_once_and_what_it_has_on_the_heap_counts() {
        let mut recent = Recent::new(10_000);
        recent.insert(1_u64, "old", 4_000);
        recent.insert(2, "other", 2_000);
        recent.insert(1, "new", 0);
        assert_eq!((recent.len(), recent.get(&1)), (2, Some(&"new")));
        *recent.get_mut(&2).unwrap() = "changed";
        assert_eq!(recent.get(&2), Some(&"changed"));
        recent.insert(3, "large", 6_000);
        assert!(recent.get(&2).is_none(), "two large ones exceed it");
    }
}
