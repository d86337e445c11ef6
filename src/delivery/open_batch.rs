//! A batch body that grows: wire bytes with commas between them, where each event is in it, and its memory.

use std::time::Duration;

use uuid::Uuid;

use super::mark::Mark;
use crate::memory::NoMemory;
use crate::protocol::envelope::{FRONT, back};
use crate::runtime::provide_pages;

/// How much memory of a batch the system provides at once at most. One capture in some hundreds asks for it.
const PROVIDED_AT_ONCE: usize = 256 * 1024;
/// The least of it, where the batch seems to need less.
const LEAST_PROVIDED: usize = 8 * 1024;
/// Space that is reserved after the events for the end of the envelope, in bytes.
pub(super) const ENVELOPE_BACK: usize = 32;
const _: () = assert!(back(true).len() <= ENVELOPE_BACK && back(false).len() <= ENVELOPE_BACK);

/// Where one event is in its body, and its place in the order of captures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Offset of its first byte.
    pub(super) start: u32,
    /// Offset after its last byte.
    pub(super) end: u32,
    /// Its number in the order of captures, from 1.
    pub(super) seq: u64,
}

impl Span {
    /// The number of its wire bytes.
    pub(super) fn bytes(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// What it counts for in `queue_max_bytes`.
    pub(super) fn cost(&self) -> u64 {
        cost(self.bytes())
    }
}

/// A place in a body, as a [`Span`] holds it: the settings bound bodies far below 4 GiB.
pub(super) fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Bookkeeping bytes that are counted with every event.
const OVERHEAD: u64 = 48;

/// What an event of so many wire bytes counts for in `queue_max_bytes`.
pub(super) fn cost(wire_bytes: usize) -> u64 {
    wire_bytes as u64 + OVERHEAD
}

/// A batch body that is still growing, or one whose memory waits to be used again.
#[derive(Debug, Default)]
pub(super) struct OpenBatch {
    /// Space for the envelope's front, then events with commas between them.
    pub(super) body: Vec<u8>,
    /// The events' uuids.
    pub(super) uuids: Vec<Uuid>,
    /// The events' places in the body.
    pub(super) spans: Vec<Span>,
    /// How many of the first events have been evicted, or moved to another batch.
    pub(super) removed: usize,
    /// When its first event was captured, since the client's start.
    pub(super) opened_at: Duration,
    /// How many bytes of the body's memory have been touched or provided.
    pub(super) provided: usize,
    /// The segment that its events are in, on disk.
    pub(super) mark: Mark,
}

impl OpenBatch {
    /// An empty batch that uses this memory again. What was used of it, up to a whole step, is taken as provided.
    pub(super) fn reusing(body: Vec<u8>, uuids: Vec<Uuid>, spans: Vec<Span>) -> Self {
        let provided = body.len().next_multiple_of(PROVIDED_AT_ONCE);
        OpenBatch { body, uuids, spans, provided, ..OpenBatch::default() }
    }

    /// Writes what stands before the next event: the space for the envelope's front, or a comma. Returns where
    /// the event begins. `opened_at` is for the first event.
    #[inline]
    fn begin_event(&mut self, opened_at: impl FnOnce() -> Duration) -> usize {
        if self.spans.is_empty() {
            self.opened_at = opened_at();
            self.body.resize(FRONT, 0);
        } else {
            self.body.push(b',');
        }
        self.body.len()
    }

    /// Appends an event, for which memory has been reserved.
    #[inline]
    pub(super) fn append(&mut self, wire: &[u8], uuid: Uuid, seq: u64, now: impl FnOnce() -> Duration) {
        let start = self.begin_event(now);
        self.body.extend_from_slice(wire);
        self.spans.push(Span { start: offset(start), end: offset(start + wire.len()), seq });
        self.uuids.push(uuid);
    }

    /// How many of the first events of `from` fit behind what is here, in a batch of at most so many
    /// events and bytes, and how many bytes they are. Where nothing is, at least one fits.
    pub(super) fn fitting(&self, from: &OpenBatch, max_events: usize, max_body: usize) -> (usize, usize) {
        let waiting = from.spans.get(from.removed..).unwrap_or_default();
        let start = waiting.first().map_or(0, |first| first.start);
        let bytes_up_to = |span: &Span| (span.end - start) as usize;
        let is_first = self.spans.is_empty();
        let before = if is_first { FRONT } else { self.body.len() + 1 };
        let fits = waiting.partition_point(|span| before + bytes_up_to(span) <= max_body);
        let events = fits.max(is_first.into()).min(max_events.saturating_sub(self.spans.len()));
        let last = events.checked_sub(1).and_then(|last| waiting.get(last));
        (events, last.map_or(0, bytes_up_to))
    }

    /// Moves the first events of `from` to the end, for which memory has been reserved.
    pub(super) fn take_from(&mut self, from: &mut OpenBatch, events: usize) {
        let moved = from.removed..from.removed + events;
        from.removed = moved.end;
        let (Some(spans), Some(uuids)) = (from.spans.get(moved.clone()), from.uuids.get(moved)) else {
            return;
        };
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else { return };
        let (start, moved_to) = (first.start, offset(self.begin_event(|| from.opened_at)));
        let text = from.body.get(start as usize..last.end as usize).unwrap_or_default();
        self.body.extend_from_slice(text);
        self.uuids.extend_from_slice(uuids);
        self.spans.extend(spans.iter().map(|span| Span {
            start: span.start - start + moved_to,
            end: span.end - start + moved_to,
            seq: span.seq,
        }));
    }

    /// Reserves memory for at least so many events of so many bytes in all, commas included.
    pub(super) fn reserve_exact(&mut self, events: usize, bytes: usize) -> Result<(), NoMemory> {
        let body = (FRONT + bytes + ENVELOPE_BACK).saturating_sub(self.body.len());
        self.body.try_reserve_exact(body)?;
        self.uuids.try_reserve_exact(events.saturating_sub(self.uuids.len()))?;
        self.spans.try_reserve_exact(events.saturating_sub(self.spans.len()))?;
        Ok(())
    }

    /// Has the system provide memory for so many more bytes and for the events after them, of which the batch
    /// has at most `most_events`, so that few captures meet a page that was never touched.
    #[inline]
    pub(super) fn provide(&mut self, bytes: usize, most_events: usize) {
        if self.body.len() + bytes > self.provided {
            self.provide_next(bytes, most_events);
        }
    }

    #[inline(never)]
    fn provide_next(&mut self, bytes: usize, most_events: usize) {
        // What is provided and not used is lost while the batch waits. So the last events get what those before
        // them needed, not a whole step.
        let mean = self.body.len() / self.spans.len().max(1);
        let expected = mean.saturating_mul(most_events.saturating_sub(self.spans.len()));
        let next = expected.clamp(LEAST_PROVIDED, PROVIDED_AT_ONCE).max(bytes);
        self.provided = self.body.len() + next;
        let spare = self.body.spare_capacity_mut();
        let next = next.min(spare.len());
        if let Some(next) = spare.get_mut(..next) {
            provide_pages(next);
        }
    }

    pub(super) fn clear(&mut self) {
        self.body.clear();
        self.uuids.clear();
        self.spans.clear();
        self.removed = 0;
        self.mark = Mark::default();
    }

    /// The events that have not been removed.
    pub(super) fn events(&self) -> impl Iterator<Item = (&Uuid, &Span)> {
        self.uuids.iter().zip(&self.spans).skip(self.removed)
    }

    /// The number of these events.
    pub(super) fn len(&self) -> usize {
        self.spans.len() - self.removed
    }

    /// What these events count for in `queue_max_bytes`.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn cost(&self) -> u64 {
        self.events().map(|(_, span)| span.cost()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn first_seq(&self) -> Option<u64> {
        self.spans.get(self.removed).map(|span| span.seq)
    }
}
