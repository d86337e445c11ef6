//! A list that keeps what was added last, within a number of items and of bytes.
//!
//! Each item has a number, from 1, which stays its own when older ones are removed.

/// An item that knows how much memory it takes.
pub(crate) trait Size {
    /// About its bytes, with what it has on the heap.
    fn size(&self) -> usize;
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Kept<T> {
    items: Vec<T>,
    /// How many were removed.
    removed: u64,
    bytes: usize,
    max_items: usize,
    max_bytes: usize,
}

impl<T: Size> Kept<T> {
    pub(crate) fn new(max_items: usize, max_bytes: usize) -> Self {
        Self { items: Vec::new(), removed: 0, bytes: 0, max_items, max_bytes }
    }

    /// Adds an item. When the list is full its oldest eighth is removed, so that an addition takes constant time.
    pub(crate) fn push(&mut self, item: T) {
        self.bytes += item.size();
        self.items.push(item);
        if self.items.len() <= self.max_items && self.bytes <= self.max_bytes {
            return;
        }
        let (items, bytes) = (self.max_items / 8 * 7, self.max_bytes / 8 * 7);
        let mut gone = 0;
        for item in &self.items {
            if self.items.len() - gone <= items && self.bytes <= bytes {
                break;
            }
            self.bytes -= item.size();
            gone += 1;
        }
        self.items.drain(..gone);
        self.removed += gone as u64;
    }

    pub(crate) fn items(&self) -> &[T] {
        &self.items
    }

    /// The number of the oldest item; one more than `last` if there is none.
    pub(crate) fn first(&self) -> u64 {
        self.removed + 1
    }

    /// The number of the newest item.
    pub(crate) fn last(&self) -> u64 {
        self.removed + self.items.len() as u64
    }

    /// The item with this number.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.from(number).next().filter(|(found, _)| *found == number).map(|(_, item)| item)
    }

    /// The items from this number on, each with its own.
    pub(crate) fn from(&self, number: u64) -> impl Iterator<Item = (u64, &T)> {
        let skipped = usize::try_from(number.saturating_sub(self.first())).unwrap_or(usize::MAX);
        let rest = self.items.get(skipped..).unwrap_or_default();
        (self.first() + skipped as u64..).zip(rest)
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Size for usize {
        fn size(&self) -> usize {
            *self
        }
    }

    #[test]
    fn the_oldest_are_removed_by_number_or_by_bytes() {
        for (max_items, max_bytes) in [(80, 1_000_000), (1_000_000, 800)] {
            let mut kept = Kept::new(max_items, max_bytes);
            for n in 1..=1000_u64 {
                kept.push(10_usize);
                assert_eq!(kept.last(), n);
                assert!(kept.items().len() <= 80 && kept.bytes() <= 800);
                assert!(n < 70 || kept.items().len() >= 70, "{n}: {}", kept.items().len());
            }
            assert!(kept.get(1000).is_some() && kept.get(1001).is_none() && kept.get(1).is_none());
            assert!(kept.get(0).is_none());
            assert_eq!(kept.from(995).map(|(n, _)| n).collect::<Vec<_>>(), (995..=1000).collect::<Vec<_>>());
            assert_eq!(kept.from(1).next().unwrap().0, kept.first());
            assert_eq!(kept.from(u64::MAX).count(), 0);
        }
    }

    #[test]
    fn an_item_over_all_bytes_is_not_kept() {
        let mut kept = Kept::new(10, 100);
        kept.push(1_usize);
        kept.push(1000);
        assert_eq!((kept.items().len(), kept.bytes(), kept.last()), (0, 0, 2));
    }
}
