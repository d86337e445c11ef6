//! Events that wait to be sent, already as the bodies of batches.
//!
//! A capture appends its bytes to the open batch, which is a batch body that is still
//! growing; a batch that has reached one of its limits is full and the next one is
//! opened. So taking a batch copies nothing, and a backlog makes batches as large as
//! they may be. The bounds over everything that is pending are kept by
//! [`super::state`], which also knows what is in flight.
//!
//! All memory that a batch needs is reserved when its events are enqueued, the end of the
//! envelope included. So it is the capture that fails when there is none, and an event
//! that was taken needs none to be sent.

use std::collections::VecDeque;
use std::time::Duration;

use uuid::Uuid;

use super::mark::Mark;
use super::open_batch::{ENVELOPE_BACK, OpenBatch, Span};
use crate::failpoint;
use crate::memory::{NoMemory, copied};
use crate::protocol::envelope::FRONT;
use crate::runtime::{expect_write, provide_pages};

/// When a batch is ready, and how large it may become.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    /// `flush_at`
    pub(super) flush_at: usize,
    /// `flush_interval_ms`
    pub(super) flush_interval: Duration,
    /// `max_batch_events`
    pub(super) max_events: usize,
    /// `max_batch_bytes`, without the envelope's back.
    pub(super) max_body: usize,
}

/// The waiting events.
#[derive(Debug)]
pub(super) struct Queue {
    limits: BatchLimits,
    open: OpenBatch,
    full: VecDeque<OpenBatch>,
    /// Every event up to this number is to be sent at once.
    flush_through: u64,
    /// Memory of finished batches, to be filled again.
    free_list: Vec<OpenBatch>,
}

/// An event that was removed to make room.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) uuid: Uuid,
    pub(super) span: Span,
    /// The segment of its batch.
    pub(super) mark: Mark,
    /// Whether its batch is empty now.
    pub(super) was_last: bool,
}

/// How many stages may move events into the queue, each of them by two batches at most.
pub(super) const MAX_STAGES: usize = 16;
/// The largest length of the free list.
const MAX_FREE: usize = 8;
/// The fewest items for which a list of a batch gets memory.
const FEWEST_ITEMS: usize = 256;

impl Queue {
    /// An empty queue.
    pub(super) fn new(limits: BatchLimits) -> Self {
        Queue {
            limits,
            open: OpenBatch::default(),
            full: VecDeque::new(),
            flush_through: 0,
            free_list: Vec::with_capacity(MAX_FREE),
        }
    }

    /// Appends an event. `caller_uuid` says that the uuid was given by the caller, so
    /// that it may be in the open batch already: then the event goes into the next
    /// one, because a uuid twice in a batch fails the whole batch. Without memory for it
    /// the waiting events are as before.
    pub(super) fn push(
        &mut self,
        wire: &[u8],
        uuid: Uuid,
        caller_uuid: bool,
        seq: u64,
        now: impl FnOnce() -> Duration,
    ) -> Result<(), NoMemory> {
        failpoint::pass("queue");
        if !self.open.spans.is_empty()
            && (self.open.spans.len() >= self.limits.max_events
                || self.open.body.len() + 1 + wire.len() > self.limits.max_body
                || (caller_uuid && self.open.uuids.contains(&uuid)))
        {
            self.finish_open()?;
        }
        if self.open.spans.is_empty() {
            self.begin_open();
        }
        self.reserve(1, wire.len() + 1)?;
        self.open.provide(wire.len() + 1, self.limits.max_events);
        self.open.append(wire, uuid, seq, now);
        expect_write(self.open.body.spare_capacity_mut());
        Ok(())
    }

    /// Moves what a stage holds to the end of the waiting events, and numbers it from `first_seq`
    /// on. Batches become what they would have become if each event had been pushed by itself.
    /// The stage had an allowance for it, so there is room; without memory for it in the open
    /// batch, it becomes a batch as it is.
    pub(super) fn take_in(&mut self, staged: &mut OpenBatch, first_seq: u64) {
        for (span, seq) in staged.spans.iter_mut().zip(first_seq..) {
            span.seq = seq;
        }
        while !staged.is_empty() {
            if self.open.spans.is_empty() {
                self.begin_open();
            }
            let (events, bytes) = self.open.fitting(staged, self.limits.max_events, self.limits.max_body);
            if events == 0 {
                self.push_full_open();
            } else if self.reserve(events, bytes + 1).is_ok() {
                self.open.provide(bytes + 1, self.limits.max_events);
                self.open.take_from(staged, events);
            } else {
                self.push_full_open();
                self.full.push_back(std::mem::take(staged));
            }
        }
        staged.clear();
    }

    /// How many more events and bytes leave the open batch short of being ready.
    pub(super) fn space_until_ready(&self) -> (usize, usize) {
        let events = self.limits.flush_at.saturating_sub(self.open.len() + 1);
        (events, self.limits.max_body.saturating_sub(self.open.body.len()))
    }

    /// The largest number of events and of bytes of one batch.
    pub(super) fn largest_batch(&self) -> (usize, usize) {
        (self.limits.max_events, self.limits.max_body.saturating_sub(FRONT))
    }

    /// Gives the open batch memory to be filled.
    fn begin_open(&mut self) {
        if self.open.body.capacity() == 0 {
            // The memory that was freed last is the most likely to be in a cache.
            self.open = self.free_list.pop().unwrap_or_default();
        }
    }

    /// Reserves memory for more events of so many bytes in all, and for both ends of the
    /// envelope: four times as much as before, but not beyond what a batch may need.
    #[inline]
    fn reserve(&mut self, events: usize, bytes: usize) -> Result<(), NoMemory> {
        let OpenBatch { body, uuids, spans, .. } = &self.open;
        let bytes = bytes + FRONT + ENVELOPE_BACK;
        let is_enough = body.capacity() - body.len() >= bytes
            && uuids.capacity() - uuids.len() >= events
            && spans.capacity() - spans.len() >= events;
        if is_enough { Ok(()) } else { self.grow(events, bytes) }
    }

    #[inline(never)]
    fn grow(&mut self, events: usize, more: usize) -> Result<(), NoMemory> {
        let OpenBatch { body, uuids, spans, provided, .. } = &mut self.open;
        if body.capacity() - body.len() < more {
            let grown = (body.capacity() * 4).max(16 * 1024).min(self.limits.max_body + ENVELOPE_BACK);
            body.try_reserve_exact(grown.saturating_sub(body.len()).max(more))?;
            *provided = body.len();
        }
        grow_list(uuids, events, self.limits.max_events)?;
        grow_list(spans, events, self.limits.max_events)
    }

    /// Moves the open batch to the full ones.
    fn finish_open(&mut self) -> Result<(), NoMemory> {
        self.reserve_full(1)?;
        self.push_full_open();
        Ok(())
    }

    /// Makes space in the list of full batches: for those that stages may add, and more.
    pub(super) fn reserve_full(&mut self, more: usize) -> Result<(), NoMemory> {
        Ok(self.full.try_reserve(2 * MAX_STAGES + more)?)
    }

    fn push_full_open(&mut self) {
        let finished = std::mem::take(&mut self.open);
        if !finished.is_empty() {
            let finished = self.shrunk(finished);
            self.full.push_back(finished);
        }
    }

    /// Gives a batch that uses little of its memory memory of its own size. It may wait
    /// for long: a batch of one event in back-off, or a hundred thousand events of one
    /// uuid, each of which ends the batch before it. Without memory for that it keeps what
    /// it has.
    fn shrunk(&mut self, batch: OpenBatch) -> OpenBatch {
        let need = batch.body.len() + ENVELOPE_BACK;
        if batch.body.capacity() <= 4 * need {
            return batch;
        }
        let (Ok(body), Ok(uuids), Ok(spans)) =
            (copied(&batch.body, ENVELOPE_BACK), copied(&batch.uuids, 0), copied(&batch.spans, 0))
        else {
            return batch;
        };
        let own = OpenBatch {
            body,
            uuids,
            spans,
            removed: batch.removed,
            opened_at: batch.opened_at,
            mark: batch.mark,
            provided: 0,
        };
        self.recycle(batch);
        own
    }

    /// Whether a batch can be taken now.
    pub(super) fn is_ready(&self, now: Duration) -> bool {
        self.is_full() || self.due_at().is_some_and(|due| due <= now)
    }

    /// Whether so many events wait that a batch can be taken whatever the time.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        !self.full.is_empty() || self.open.len() >= self.limits.flush_at
    }

    /// When the open batch is to be sent at the latest: at once if a flush waits for
    /// it, `None` if it is empty.
    pub(super) fn due_at(&self) -> Option<Duration> {
        let first = self.open.first_seq()?;
        if first <= self.flush_through {
            return Some(Duration::ZERO);
        }
        Some(self.open.opened_at + self.limits.flush_interval)
    }

    /// Makes every event up to this number be sent at once.
    pub(super) fn flush_through(&mut self, seq: u64) {
        self.flush_through = self.flush_through.max(seq);
    }

    /// Makes the open batch be sent at once, whose last event has this number, unless a full one is before it; returns
    /// whether it would not have been.
    pub(super) fn flush_open(&mut self, last: u64) -> bool {
        let waits = !self.is_full() && self.open.first_seq().is_some_and(|first| first > self.flush_through);
        if waits {
            self.flush_through(last);
        }
        waits
    }

    /// Takes the oldest batch: a full one, else the open one.
    pub(super) fn take_batch(&mut self) -> Option<OpenBatch> {
        if let Some(full) = self.full.pop_front() {
            return Some(full);
        }
        let open = std::mem::take(&mut self.open);
        (!open.is_empty()).then(|| self.shrunk(open))
    }

    /// Removes the oldest waiting event. Also returns the segment of its batch, and whether that was the last event
    /// in it.
    pub(super) fn evict(&mut self) -> Option<Evicted> {
        let batch = self.full.front_mut().unwrap_or(&mut self.open);
        let (uuid, span) = batch.events().next().map(|(uuid, span)| (*uuid, *span))?;
        batch.removed += 1;
        let evicted = Evicted { uuid, span, mark: batch.mark, was_last: batch.is_empty() };
        if evicted.was_last {
            let empty = self.full.pop_front().unwrap_or_else(|| std::mem::take(&mut self.open));
            self.recycle(empty);
        }
        Some(evicted)
    }

    /// The batches of the waiting events, the oldest first.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn batches_mut(&mut self) -> impl Iterator<Item = &mut OpenBatch> {
        self.full.iter_mut().chain(Some(&mut self.open).filter(|open| !open.is_empty()))
    }

    /// The open batch, which is empty if no event has come since the last one was taken.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn open_mut(&mut self) -> &mut OpenBatch {
        &mut self.open
    }

    /// The segment of the open batch.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn open_mark(&self) -> Mark {
        self.open.mark
    }

    /// The oldest full batch.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn oldest_full(&self) -> Option<&OpenBatch> {
        self.full.front()
    }

    /// Keeps the memory of a finished batch for a later one. If the free list is full,
    /// the smallest memory is dropped: large ones are the most expensive to fault in
    /// again.
    pub(super) fn recycle(&mut self, finished: OpenBatch) {
        let mut free = finished;
        free.clear();
        if self.free_list.len() < MAX_FREE {
            self.free_list.push(free);
        } else if let Some(smallest) = self.free_list.iter_mut().min_by_key(|free| free.body.capacity())
            && smallest.body.capacity() < free.body.capacity()
        {
            *smallest = free;
        }
    }

    /// Returns free memory to the system.
    pub(super) fn shrink(&mut self) {
        self.free_list.clear();
    }

    /// The number of waiting events.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.full.iter().map(OpenBatch::len).sum::<usize>() + self.open.len()
    }

    /// Whether no event waits.
    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.is_empty()
    }
}

/// Makes space for more items of a list that may have so many, and has the system provide it.
fn grow_list<T>(items: &mut Vec<T>, more: usize, most: usize) -> Result<(), NoMemory> {
    if items.capacity() - items.len() < more {
        let grown = (items.capacity() * 4).max(FEWEST_ITEMS).min(most);
        items.try_reserve_exact(grown.saturating_sub(items.len()).max(more))?;
        provide_pages(items.spare_capacity_mut());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        flush_at: 3,
        flush_interval: Duration::from_secs(5),
        max_events: 4,
        max_body: FRONT + 100,
    };

    fn push(queue: &mut Queue, seq: u64, bytes: usize) {
        let uuid = Uuid::from_u128(seq.into());
        queue.push(&vec![b'x'; bytes], uuid, false, seq, || Duration::from_secs(1)).unwrap();
    }

    fn sizes(queue: &mut Queue) -> Vec<usize> {
        std::iter::from_fn(|| queue.take_batch()).map(|batch| batch.len()).collect()
    }

    #[test]
    fn a_backlog_fills_batches_to_their_bounds() {
        let mut queue = Queue::new(LIMITS);
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
        let mut queue = Queue::new(LIMITS);
        assert_eq!(queue.due_at(), None);
        push(&mut queue, 1, 10);
        assert_eq!(queue.due_at(), Some(Duration::from_secs(6)));
        assert!(!queue.is_ready(Duration::from_secs(5)));
        assert!(queue.is_ready(Duration::from_secs(6)));
        queue.flush_through(1);
        assert!(queue.is_ready(Duration::ZERO));
        queue.take_batch();
        push(&mut queue, 2, 10);
        assert!(!queue.is_ready(Duration::ZERO));
        push(&mut queue, 3, 10);
        push(&mut queue, 4, 10);
        assert!(queue.is_full());
    }

    #[test]
    fn one_uuid_never_twice_in_a_batch() {
        let mut queue = Queue::new(LIMITS);
        for seq in 1..=3 {
            queue.push(b"x", Uuid::nil(), true, seq, || Duration::ZERO).unwrap();
        }
        assert_eq!(sizes(&mut queue), [1, 1, 1]);
    }

    #[test]
    fn a_waiting_batch_holds_no_more_memory_than_it_needs() {
        let mut queue =
            Queue::new(BatchLimits { max_body: 1 << 20, flush_at: 1000, max_events: 1000, ..LIMITS });
        for seq in 1..=100 {
            queue.push(&[b'x'; 200], Uuid::nil(), true, seq, || Duration::ZERO).unwrap();
        }
        let held: usize = std::iter::from_fn(|| queue.take_batch()).map(|batch| batch.body.capacity()).sum();
        assert!(held < 100 * 400, "{held}");
        // A batch of a common size keeps the memory that it grew in.
        (1..=1000).for_each(|seq| push(&mut queue, seq, 200));
        let place = queue.open.body.as_ptr();
        assert_eq!(queue.take_batch().unwrap().body.as_ptr(), place);
    }

    #[test]
    fn an_enqueued_event_needs_no_more_memory_to_be_sent() {
        let mut queue = Queue::new(BatchLimits { max_events: 50, max_body: 4000, ..LIMITS });
        for (seq, bytes) in (1..).zip((1..2000).chain([3959, 3960, 4000, 16_000, 16_352, 16_384])) {
            push(&mut queue, seq, bytes);
            assert!(queue.open.body.capacity() - queue.open.body.len() >= ENVELOPE_BACK, "{bytes}");
        }
        while let Some(batch) = queue.take_batch() {
            assert!(batch.body.capacity() - batch.body.len() >= ENVELOPE_BACK);
        }
    }

    #[test]
    fn the_free_list_drops_the_smallest_memory() {
        let mut queue = Queue::new(LIMITS);
        for capacity in [1, 9, 2, 8, 3, 7, 4, 6, 5, 10, 1, 3] {
            queue.recycle(OpenBatch { body: Vec::with_capacity(capacity * 1000), ..OpenBatch::default() });
        }
        let mut kept: Vec<_> = queue.free_list.iter().map(|free| free.body.capacity() / 1000).collect();
        kept.sort_unstable();
        assert_eq!(kept, [3, 4, 5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn evicts_the_oldest_first() {
        let mut queue = Queue::new(LIMITS);
        (1..=6).for_each(|seq| push(&mut queue, seq, 10));
        let gone: Vec<_> = (0..5).map(|_| queue.evict().unwrap().span.seq).collect();
        assert_eq!(gone, [1, 2, 3, 4, 5]);
        assert_eq!(sizes(&mut queue), [1]);
        assert_eq!(queue.evict(), None);
        push(&mut queue, 7, 10);
        queue.evict();
        assert!(queue.is_empty());
        push(&mut queue, 8, 10);
        assert_eq!(queue.take_batch().unwrap().spans[0].start as usize, FRONT);
    }
}
