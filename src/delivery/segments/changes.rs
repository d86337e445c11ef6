//! What is new in a segment since the disk thread looked last.
//!
//! A change is made and taken away in one go: what it says counts as given to the disk from then on.

use std::sync::Arc;

use uuid::Uuid;

use super::lending::{Appended, Released};
use super::{Handed, Segments, Track};
use crate::delivery::batch::{Batch, Payload};
use crate::delivery::mark::Mark;
use crate::delivery::open_batch::{OpenBatch, Span};
use crate::memory::{NoMemory, copied};
use crate::spool::{Append, AttemptRecord, BatchRecord, PostponedRecord, SegmentId, VerdictRecord};

/// What has become of segments since the disk thread looked last. Its memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// All their events have ended.
    pub(crate) ended: Vec<SegmentId>,
    /// Their events have left memory.
    pub(crate) released: Vec<Released>,
    /// The others that have changed.
    pub(crate) segments: Vec<SegmentChange>,
    /// Files that captures do not append to any more.
    pub(crate) retired: Vec<Arc<dyn Append>>,
    /// Segments in which a capture has met an error of the disk.
    pub(crate) failed: Vec<SegmentId>,
}

/// What is new in a segment.
#[derive(Debug)]
pub(crate) struct SegmentChange {
    pub(crate) id: SegmentId,
    pub(crate) batch: Option<BatchRecord>,
    pub(crate) attempt: Option<AttemptRecord>,
    pub(crate) postponed: Option<PostponedRecord>,
    pub(crate) appended: Option<Appended>,
    events: NewEvents,
    /// The last attempt that has ended, whether one of them went without a response, and a bit for each event that
    /// has ended.
    verdicts: Option<(u32, bool, Vec<u8>)>,
}

/// The new events of a segment.
#[derive(Debug)]
enum NewEvents {
    None,
    /// Of a batch that is still growing: copied.
    Copied {
        first_place: u32,
        uuids: Vec<Uuid>,
        ends: Vec<usize>,
        bytes: Vec<u8>,
    },
    /// Of a batch that was made: these of its events.
    OfBatch {
        first_seq: u64,
        from: usize,
        payload: Arc<Payload>,
    },
}

impl SegmentChange {
    fn new(id: SegmentId) -> Self {
        SegmentChange {
            id,
            batch: None,
            attempt: None,
            postponed: None,
            appended: None,
            events: NewEvents::None,
            verdicts: None,
        }
    }

    /// Calls `each` with the place, the uuid and the wire bytes of each new event, as long as it returns true.
    pub(crate) fn events(&self, mut each: impl FnMut(u32, Uuid, &[u8]) -> bool) {
        match &self.events {
            NewEvents::None => {}
            NewEvents::Copied { first_place, uuids, ends, bytes } => {
                let mut start = 0;
                for ((place, uuid), end) in (*first_place..).zip(uuids).zip(ends) {
                    if !each(place, *uuid, bytes.get(start..*end).unwrap_or_default()) {
                        return;
                    }
                    start = *end;
                }
            }
            NewEvents::OfBatch { first_seq, from, payload } => {
                for (uuid, span) in payload.uuids().iter().zip(payload.spans()).skip(*from) {
                    let place = u32::try_from(span.seq.saturating_sub(*first_seq)).unwrap_or(u32::MAX);
                    if !each(place, *uuid, payload.wire(span)) {
                        return;
                    }
                }
            }
        }
    }

    /// The verdicts, if there are new ones.
    pub(crate) fn verdicts(&self) -> Option<VerdictRecord<'_>> {
        let (attempt, response_unknown, ended) = self.verdicts.as_ref()?;
        Some(VerdictRecord { attempt: *attempt, response_unknown: *response_unknown, ended })
    }
}

/// What is new in the segment of a batch that was made. A batch without one gets it, if `writes` says so.
/// `at_once` says that somebody waits for all of it to be written.
pub(in crate::delivery) fn change_of_batch(
    batch: &mut Batch,
    segments: &mut Segments,
    writes: bool,
    at_once: bool,
) -> Option<SegmentChange> {
    let payload = Arc::clone(batch.shared_payload());
    if batch.mark().0.is_none() {
        let (first, last) = (payload.spans().first()?, payload.spans().last()?);
        let places = u32::try_from(last.seq - first.seq + 1).unwrap_or(u32::MAX);
        let track = writes.then(|| segments.add(first.seq, places)).flatten()?;
        track.end_all_but(payload.spans().iter().map(|span| span.seq));
        batch.set_mark(Mark(Some(track.id)));
    }
    let track = segments.track_mut(batch.mark())?;
    if let Some(last) = payload.spans().last() {
        // It may have grown since the last look.
        track.places = track.places.max(track.place(last.seq) + 1);
    }
    let facts = batch.facts();
    track.note_appended();
    let before = track.handed;
    let given = if track.is_shared { track.handed_at_split } else { before.places };
    let given = if batch.is_given() { u32::MAX } else { given };
    let mut change = SegmentChange::new(track.id);
    change.appended = track.take_appended();
    let is_left = track.is_left_to_writers(at_once);
    if !is_left {
        let from = payload.spans().partition_point(|span| track.place(span.seq) < given);
        if from < payload.spans().len() {
            change.events = NewEvents::OfBatch { first_seq: track.first_seq, from, payload };
        }
        track.handed.places = track.places;
        batch.set_given(true);
    }
    // The record of the batch says how many events there are, so it is written after them.
    track.is_awaited = is_left;
    if !before.batch && !is_left {
        change.batch = Some(BatchRecord {
            request_id: facts.request_id,
            created_at_ms: facts.created_at_ms,
            events: track.places,
            maybe_delivered: facts.response_unknown,
        });
        track.handed.batch = true;
    }
    let mut response_unknown = facts.response_unknown;
    let mut ended_attempt = facts.attempt.attempt - u32::from(facts.in_flight);
    if track.is_shared {
        // Its batches have attempts of their own.
        (response_unknown, ended_attempt) = (true, u32::MAX);
    } else if facts.attempt.attempt > 0 && before.attempt != Some(facts.attempt) {
        change.attempt = Some(facts.attempt);
        track.handed.attempt = Some(facts.attempt);
    }
    let closes = change.attempt.is_some() && !facts.in_flight;
    change.verdicts = verdicts(track, ended_attempt, response_unknown, closes);
    if facts.postponed != before.postponed {
        change.postponed = facts.postponed;
        track.handed.postponed = facts.postponed;
    }
    // Of two batches in one segment, the second adds events only.
    let has_events = !matches!(change.events, NewEvents::None);
    let is_new =
        track.handed != before || has_events || change.verdicts.is_some() || change.appended.is_some();
    is_new.then_some(change)
}

/// What is new in the segment of a batch that is still growing. At most `left` wire bytes are copied, which is less
/// afterwards by what was. A batch without a segment gets one, if `writes` says so.
pub(in crate::delivery) fn change_of_open(
    open: &mut OpenBatch,
    segments: &mut Segments,
    writes: bool,
    at_once: bool,
    left: &mut usize,
) -> Option<SegmentChange> {
    let (first, last) = (open.first_seq()?, open.spans.last()?.seq);
    if open.mark.0.is_none() {
        let track = writes.then(|| segments.add(first, 0)).flatten()?;
        track.unappended = track.place(last) + 1;
        open.mark = Mark(Some(track.id));
    }
    let track = segments.track_mut(open.mark)?;
    track.places = track.place(last) + 1;
    track.note_appended();
    let before = track.handed;
    let mut change = SegmentChange::new(track.id);
    if before.places < track.places && !track.is_left_to_writers(at_once) {
        // Without memory for it, it is copied later.
        change.events = copied_events(open, track, left).ok()?;
    }
    change.appended = track.take_appended();
    change.verdicts = verdicts(track, 0, before.response_unknown, false);
    let is_new = track.handed != before || change.verdicts.is_some() || change.appended.is_some();
    is_new.then_some(change)
}

fn copied_events(open: &OpenBatch, track: &mut Track, left: &mut usize) -> Result<NewEvents, NoMemory> {
    let from =
        open.spans.partition_point(|span| track.place(span.seq) < track.handed.places).max(open.removed);
    let waiting = open.spans.get(from..).unwrap_or_default();
    let fits = |span: &&Span| {
        let fits = *left > 0;
        *left = left.saturating_sub(span.bytes());
        fits
    };
    let count = waiting.iter().take_while(fits).count();
    let taken = waiting.get(..count).unwrap_or_default();
    let (Some(first), Some(last)) = (taken.first(), taken.last()) else { return Ok(NewEvents::None) };
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(taken.iter().map(Span::bytes).sum())?;
    let mut ends = Vec::new();
    ends.try_reserve_exact(count)?;
    for span in taken {
        bytes.extend_from_slice(open.body.get(span.start as usize..span.end as usize).unwrap_or_default());
        ends.push(bytes.len());
    }
    let uuids = copied(open.uuids.get(from..from + count).unwrap_or_default(), 0)?;
    let first_place = track.place(first.seq);
    track.handed.places = track.place(last.seq) + 1;
    Ok(NewEvents::Copied { first_place, uuids, ends, bytes })
}

/// The verdicts of a segment, if they are to be written: when more events have ended, and when an attempt is over.
fn verdicts(
    track: &mut Track,
    attempt: u32,
    response_unknown: bool,
    attempt_is_over: bool,
) -> Option<(u32, bool, Vec<u8>)> {
    let now = Handed { ended: track.ended_count(), response_unknown, ..track.handed };
    if now == track.handed && !attempt_is_over {
        return None;
    }
    let ended = copied(track.ended(), 0).ok()?;
    track.handed = now;
    Some((attempt, response_unknown, ended))
}
