//! Events that wait to be sent, already as bodies of batches.
//!
//! A capture appends its bytes to the open segment, which is a batch body in the
//! making; a segment at a bound of a batch is sealed and the next one opened. So
//! cutting a batch copies nothing, and a backlog makes batches as large as they
//! may be. Bounds over everything that is pending are kept by the books, who
//! also know what is in flight.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use crate::fault;
use crate::protocol::envelope::FRONT;

/// Where one event is in its body, and its place in the order of captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Offset of its first byte.
    pub start: u32,
    /// Offset behind its last byte.
    pub end: u32,
    /// The how-many-th captured event it is.
    pub seq: u64,
}

impl Span {
    /// Its wire bytes.
    #[allow(clippy::len_without_is_empty, reason = "an event is never empty")]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// What it counts for in `queue_max_bytes`.
    pub fn cost(&self) -> u64 {
        cost(self.len())
    }
}

/// Bookkeeping that is counted with every event.
const OVERHEAD: u64 = 48;

/// What an event of so many wire bytes counts for in `queue_max_bytes`.
pub fn cost(wire_bytes: usize) -> u64 {
    wire_bytes as u64 + OVERHEAD
}

/// A batch body in the making.
#[derive(Debug, Default)]
pub struct Segment {
    /// Room for the envelope's front, then events with commas between them.
    pub body: Vec<u8>,
    /// The events' uuids.
    pub uuids: Vec<Uuid>,
    /// The events' places.
    pub spans: Vec<Span>,
    /// How many of the first events are gone, evicted.
    pub evicted: usize,
    /// When its first event was captured, since the client's start.
    pub opened_at: Duration,
}

impl Segment {
    /// Events that are still in it.
    pub fn len(&self) -> usize {
        self.spans.len() - self.evicted
    }

    /// Whether no event is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn first_seq(&self) -> Option<u64> {
        self.spans.get(self.evicted).map(|span| span.seq)
    }
}

/// When and how large batches are cut.
#[derive(Clone, Copy, Debug)]
pub struct Cutting {
    /// `flush_at`
    pub flush_at: usize,
    /// `flush_interval_ms`
    pub flush_interval: Duration,
    /// `max_batch_events`
    pub max_batch_events: usize,
    /// `max_batch_bytes`, without the envelope's back.
    pub max_body: usize,
}

/// The waiting events.
#[derive(Debug)]
pub struct Queue {
    cutting: Cutting,
    open: Segment,
    sealed: VecDeque<Segment>,
    /// Everything up to this place is wanted out now.
    flush_through: u64,
    /// Memory of finished batches, to be filled again.
    spare: Vec<Segment>,
}

/// How much of that is kept.
const MAX_SPARE: usize = 8;

impl Queue {
    /// An empty queue.
    pub fn new(cutting: Cutting) -> Self {
        Queue {
            cutting,
            open: Segment::default(),
            sealed: VecDeque::new(),
            flush_through: 0,
            spare: Vec::new(),
        }
    }

    /// Appends an event. `caller_uuid` says that the uuid is none of our own, so
    /// that it may be in the open segment already: then the event goes into the
    /// next one, for a uuid twice in a batch fails the whole batch.
    pub fn push(
        &mut self,
        wire: &[u8],
        uuid: Uuid,
        caller_uuid: bool,
        seq: u64,
        now: impl FnOnce() -> Duration,
    ) {
        fault::point("queue");
        if !self.open.spans.is_empty()
            && (self.open.spans.len() >= self.cutting.max_batch_events
                || self.open.body.len() + 1 + wire.len() > self.cutting.max_body
                || (caller_uuid && self.open.uuids.contains(&uuid)))
        {
            self.seal();
        }
        if self.open.spans.is_empty() {
            if self.open.body.capacity() == 0 {
                // The last one that was kept is the likeliest to be in a cache still.
                self.open = self.spare.pop().unwrap_or_default();
            }
            self.open.opened_at = now();
            self.open.body.resize(FRONT, 0);
        } else {
            self.open.body.push(b',');
        }
        self.reserve(wire.len());
        let start = self.open.body.len();
        self.open.body.extend_from_slice(wire);
        // Bodies are bounded far below 4 GiB by the settings.
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.open.spans.push(Span { start: offset(start), end: offset(start + wire.len()), seq });
        self.open.uuids.push(uuid);
    }

    /// Room for `more` bytes: doubling, but not beyond what a batch may need.
    fn reserve(&mut self, more: usize) {
        let body = &mut self.open.body;
        if body.capacity() - body.len() < more {
            let doubled = (body.capacity() * 2).max(16 * 1024).min(self.cutting.max_body + ENVELOPE_BACK);
            body.reserve_exact(doubled.saturating_sub(body.len()).max(more + ENVELOPE_BACK));
        }
    }

    fn seal(&mut self) {
        let full = std::mem::take(&mut self.open);
        if !full.is_empty() {
            let full = self.fitted(full);
            self.sealed.push_back(full);
        }
    }

    /// A segment that ends long before its memory is full gets memory of its own
    /// size. It may wait for long: a batch of one event in back-off, or a
    /// hundred thousand events of one uuid, each sealed by the next.
    fn fitted(&mut self, segment: Segment) -> Segment {
        let need = segment.body.len() + ENVELOPE_BACK;
        if segment.body.capacity() <= 4 * need {
            return segment;
        }
        let mut body = Vec::with_capacity(need);
        body.extend_from_slice(&segment.body);
        let (uuids, spans) = (segment.uuids.clone(), segment.spans.clone());
        let own = Segment { body, uuids, spans, evicted: segment.evicted, opened_at: segment.opened_at };
        self.recycle(segment);
        own
    }

    /// Whether a batch can be cut now.
    pub fn is_ready(&self, now: Duration) -> bool {
        self.is_full() || self.due_at().is_some_and(|due| due <= now)
    }

    /// Whether enough events wait that time does not matter.
    #[inline]
    pub fn is_full(&self) -> bool {
        !self.sealed.is_empty() || self.open.len() >= self.cutting.flush_at
    }

    /// When the open segment is to be sent at the latest; at once when a flush
    /// waits for it; never when it is empty.
    pub fn due_at(&self) -> Option<Duration> {
        let first = self.open.first_seq()?;
        if first <= self.flush_through {
            return Some(Duration::ZERO);
        }
        Some(self.open.opened_at + self.cutting.flush_interval)
    }

    /// Wants everything up to this place out now.
    pub fn flush_through(&mut self, seq: u64) {
        self.flush_through = self.flush_through.max(seq);
    }

    /// Takes the oldest segment: a sealed one, else the open one.
    pub fn cut(&mut self) -> Option<Segment> {
        if let Some(sealed) = self.sealed.pop_front() {
            return Some(sealed);
        }
        let open = std::mem::take(&mut self.open);
        (!open.is_empty()).then(|| self.fitted(open))
    }

    /// Takes out the oldest waiting event.
    pub fn evict(&mut self) -> Option<(Uuid, Span)> {
        let segment = self.sealed.front_mut().unwrap_or(&mut self.open);
        let evicted =
            (segment.uuids.get(segment.evicted).copied()).zip(segment.spans.get(segment.evicted).copied());
        segment.evicted += usize::from(evicted.is_some());
        if evicted.is_some() && segment.is_empty() {
            let empty = self.sealed.pop_front().unwrap_or_else(|| std::mem::take(&mut self.open));
            self.recycle(empty);
        }
        evicted
    }

    /// Keeps the memory of a finished batch for a next one. Where there is no place
    /// for all of it, the smallest goes: it is the largest that the system takes
    /// longest to give again, page by page.
    pub fn recycle(&mut self, finished: Segment) {
        let Segment { mut body, mut uuids, mut spans, .. } = finished;
        body.clear();
        uuids.clear();
        spans.clear();
        let spare = Segment { body, uuids, spans, ..Segment::default() };
        if self.spare.len() < MAX_SPARE {
            self.spare.push(spare);
        } else if let Some(smallest) = self.spare.iter_mut().min_by_key(|spare| spare.body.capacity())
            && smallest.body.capacity() < spare.body.capacity()
        {
            *smallest = spare;
        }
    }

    /// Gives spare memory back to the system.
    pub fn shrink(&mut self) {
        self.spare = Vec::new();
    }

    /// How many events wait.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        self.sealed.iter().map(Segment::len).sum::<usize>() + self.open.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.open.is_empty()
    }
}

/// Room that is kept behind the events for the end of the envelope.
const ENVELOPE_BACK: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const CUTTING: Cutting = Cutting {
        flush_at: 3,
        flush_interval: Duration::from_secs(5),
        max_batch_events: 4,
        max_body: FRONT + 100,
    };

    fn push(queue: &mut Queue, seq: u64, bytes: usize) {
        queue.push(&vec![b'x'; bytes], Uuid::from_u128(seq.into()), false, seq, || Duration::from_secs(1));
    }

    fn sizes(queue: &mut Queue) -> Vec<usize> {
        std::iter::from_fn(|| queue.cut()).map(|segment| segment.len()).collect()
    }

    #[test]
    fn a_backlog_fills_batches_to_their_bounds() {
        let mut queue = Queue::new(CUTTING);
        (1..=9).for_each(|seq| push(&mut queue, seq, 10));
        assert_eq!(sizes(&mut queue), [4, 4, 1]);
        (1..=4).for_each(|seq| push(&mut queue, seq, 45));
        assert_eq!(sizes(&mut queue), [2, 2]);
        push(&mut queue, 1, 10);
        push(&mut queue, 2, 500);
        push(&mut queue, 3, 10);
        assert_eq!(sizes(&mut queue), [1, 1, 1]);
        assert!(queue.is_empty());
    }

    #[test]
    fn is_due_by_count_by_time_and_by_flush() {
        let mut queue = Queue::new(CUTTING);
        assert_eq!(queue.due_at(), None);
        push(&mut queue, 1, 10);
        assert_eq!(queue.due_at(), Some(Duration::from_secs(6)));
        assert!(!queue.is_ready(Duration::from_secs(5)));
        assert!(queue.is_ready(Duration::from_secs(6)));
        queue.flush_through(1);
        assert!(queue.is_ready(Duration::ZERO));
        queue.cut();
        push(&mut queue, 2, 10);
        assert!(!queue.is_ready(Duration::ZERO));
        push(&mut queue, 3, 10);
        push(&mut queue, 4, 10);
        assert!(queue.is_full());
    }

    #[test]
    fn one_uuid_never_twice_in_a_batch() {
        let mut queue = Queue::new(CUTTING);
        for seq in 1..=3 {
            queue.push(b"x", Uuid::nil(), true, seq, || Duration::ZERO);
        }
        assert_eq!(sizes(&mut queue), [1, 1, 1]);
    }

    #[test]
    fn what_waits_holds_no_more_memory_than_it_needs() {
        let mut queue =
            Queue::new(Cutting { max_body: 1 << 20, flush_at: 1000, max_batch_events: 1000, ..CUTTING });
        for seq in 1..=100 {
            queue.push(&[b'x'; 200], Uuid::nil(), true, seq, || Duration::ZERO);
        }
        let held: usize = std::iter::from_fn(|| queue.cut()).map(|segment| segment.body.capacity()).sum();
        assert!(held < 100 * 400, "{held}");
        // A batch of a usual size is still the memory that it was made in.
        (1..=1000).for_each(|seq| push(&mut queue, seq, 200));
        let place = queue.open.body.as_ptr();
        assert_eq!(queue.cut().unwrap().body.as_ptr(), place);
    }

    #[test]
    fn of_the_spare_memory_the_smallest_goes() {
        let mut queue = Queue::new(CUTTING);
        for capacity in [1, 9, 2, 8, 3, 7, 4, 6, 5, 10, 1, 3] {
            queue.recycle(Segment { body: Vec::with_capacity(capacity * 1000), ..Segment::default() });
        }
        let mut kept: Vec<_> = queue.spare.iter().map(|spare| spare.body.capacity() / 1000).collect();
        kept.sort_unstable();
        assert_eq!(kept, [3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn evicts_the_oldest_first() {
        let mut queue = Queue::new(CUTTING);
        (1..=6).for_each(|seq| push(&mut queue, seq, 10));
        let gone: Vec<_> = (0..5).map(|_| queue.evict().unwrap().1.seq).collect();
        assert_eq!(gone, [1, 2, 3, 4, 5]);
        assert_eq!(sizes(&mut queue), [1]);
        assert_eq!(queue.evict(), None);
        push(&mut queue, 7, 10);
        queue.evict();
        assert!(queue.is_empty());
        push(&mut queue, 8, 10);
        assert_eq!(queue.cut().unwrap().spans[0].start as usize, FRONT);
    }
}
