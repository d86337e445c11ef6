//! What the disk thread asks of the state: what it is to write, and which events go to or come from the disk.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::DeliveryState;
use crate::delivery::batch::Batch;
use crate::delivery::loss::LossReason;
use crate::delivery::mark::Mark;
use crate::delivery::open_batch::{OpenBatch, Span};
use crate::delivery::report::Report;
use crate::delivery::segments::changes::{Changes, change_of_batch, change_of_open};
use crate::delivery::segments::lending::{Lend, Released};
use crate::delivery::segments::{Handed, Order, RECOVERED, Segments, Track};
use crate::delivery::wake::Wake;
use crate::event::timestamp::Timestamp;
use crate::memory::{NoMemory, reserve};
use crate::spool::{Contents, LostEvents, SegmentId, StoredEvent};
use crate::status::Status;

/// How many wire bytes are copied at most while the state is locked.
const COPIED_AT_ONCE: usize = 16 * 1024;

/// What the disk thread is to do next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orders {
    /// There is something in memory that it has not seen, and that is to be written sooner or later.
    pub(crate) has_unseen: bool,
    /// It is to be written now.
    pub(crate) write_now: bool,
    /// Memory is short: batches leave it as soon as they are on disk.
    pub(crate) is_crowded: bool,
    /// The numbers of the last orders of each kind.
    pub(crate) write: Option<u64>,
    pub(crate) persist: Option<u64>,
    pub(crate) discard: Option<u64>,
    pub(crate) drain: Option<u64>,
    pub(crate) close: Option<u64>,
    /// Segments are to be removed, or have left memory.
    pub(crate) has_ended: bool,
    /// One more segment may be brought into memory: this one, if it is the client's own.
    pub(crate) may_load: bool,
    pub(crate) load: Option<SegmentId>,
}

/// A segment that was read.
#[derive(Debug)]
pub(crate) struct Loaded<'a> {
    /// What it says.
    pub(crate) contents: &'a Contents<'a>,
    /// The request id of its batch, unless it says one.
    pub(crate) request_id: Uuid,
    /// Name and version of the SDK of this client.
    pub(crate) sdk_info: &'a str,
    /// The time.
    pub(crate) now: Timestamp,
}

impl DeliveryState {
    // -- what the disk thread is to do

    /// What the disk thread is to do now.
    pub(crate) fn disk_orders(&self) -> Orders {
        let segments = &self.segments;
        let asked = |order: Order| order.is_open().then_some(order.asked);
        let load = segments.oldest_on_disk_only().map(|track| track.id);
        let has_unseen = segments.seen != self.stats.captured || segments.has_changed;
        Orders {
            has_unseen: has_unseen && segments.writes_all(),
            write_now: has_unseen && segments.writes_at_once(),
            is_crowded: segments.is_crowded,
            write: asked(segments.write),
            persist: asked(segments.persist),
            discard: asked(segments.discard),
            drain: asked(segments.drain),
            // A capture that has begun before the close appends its event first.
            close: asked(segments.close).filter(|_| segments.writers() == 0),
            has_ended: !segments.ended.is_empty() || !segments.released.is_empty(),
            may_load: segments.takes_recovered() && segments.may_load() && !self.is_crowded(),
            load,
        }
    }

    /// Lets the disk thread sleep, unless it was woken in the meantime. `is_timed` says that it will look at new
    /// events by itself soon.
    pub(crate) fn disk_sleeps(&mut self, is_timed: bool) {
        let writes = self.segments.writes_all();
        self.segments.sleep(!is_timed && writes, !is_timed);
        let orders = self.disk_orders();
        // A drain takes many turns, between which the thread sleeps.
        let drain = std::mem::replace(&mut self.segments.drain_noticed, self.segments.drain.asked);
        let is_asked = orders.write.or(orders.persist).or(orders.discard).or(orders.close).is_some()
            || drain != self.segments.drain.asked;
        let is_free = orders.has_ended && orders.may_load;
        let is_lending = self.segments.is_able && self.lends() != Lend::Nothing;
        if is_asked || is_free || (!is_timed && (orders.has_unseen || orders.has_ended || is_lending)) {
            self.segments.wake();
        }
    }

    /// The disk thread has ended: nothing waits for it any more.
    pub(crate) fn disk_stopped(&mut self) -> Wake {
        (self.segments.is_able, self.segments.is_stopped) = (false, true);
        self.segments.stop_appending();
        // Also of orders that come later.
        (self.segments.persisted, self.segments.discarded) = (Status::SPOOL, Status::SPOOL);
        let orders = self.disk_orders();
        self.orders_done(&orders, Status::SPOOL, Status::SPOOL) | Wake { settled: true, ..Wake::NONE }
    }

    /// Whether the disk thread was woken since it went to sleep.
    pub(crate) fn is_disk_awake(&self) -> bool {
        self.segments.is_awake()
    }

    /// Takes what has become of segments. `with_events` says that the disk is able to take events. Returns whether
    /// there is more.
    pub(crate) fn take_changes(&mut self, with_events: bool, changes: &mut Changes) -> bool {
        // Here only: the store learns of it before it does anything else to these segments.
        self.release_full();
        changes.ended.append(&mut self.segments.ended);
        changes.released.append(&mut self.segments.released);
        self.segments.take_appending(&mut changes.retired, &mut changes.failed);
        if !with_events {
            return false;
        }
        let most = self.batches.len() + self.queue.batches_mut().count();
        if reserve(&mut changes.segments, most).is_err() {
            return false;
        }
        let at_once = self.segments.writes_at_once();
        let writes = self.segments.writes_all() || at_once;
        for batch in self.batches.values_mut() {
            changes.segments.extend(change_of_batch(batch, &mut self.segments, writes, at_once));
        }
        let mut left = COPIED_AT_ONCE;
        for open in self.queue.batches_mut() {
            changes.segments.extend(change_of_open(open, &mut self.segments, writes, at_once, &mut left));
            if left == 0 {
                return true;
            }
        }
        self.segments.seen = self.stats.captured;
        self.segments.has_changed = false;
        false
    }

    /// More than half of the queue's bounds is used by what is in memory.
    fn is_crowded(&self) -> bool {
        self.stats.pending_events > self.easy_events || self.stats.pending_bytes > self.easy_bytes
    }

    /// Whether memory is short, and the oldest waiting batch is on disk, so that it may leave memory.
    pub(crate) fn may_release(&self) -> bool {
        let Some(oldest) = self.queue.oldest_full().filter(|_| self.is_crowded()) else { return false };
        let last = oldest.spans.last().map_or(0, |last| last.seq);
        // It may have grown since the disk thread was given it.
        self.segments.track(oldest.mark).is_some_and(|track| {
            track.place(last) < track.stored && track.is_whole() && track.handed.ended == track.ended_count()
        })
    }

    /// Lets the oldest waiting batches leave memory, as long as they may.
    fn release_full(&mut self) {
        while self.may_release() {
            // The oldest batch is the full one.
            let Some(batch) = self.queue.take_batch() else { break };
            let (mark, bytes, events) = (batch.mark, batch.cost(), batch.len() as u64);
            self.queue.recycle(batch);
            if let Some(track) = self.segments.track_mut(mark) {
                track.users = 0;
                let released = Released { id: track.id, appended: track.take_appended() };
                self.segments.released.push(released);
            }
            self.segments.has_made_room = true;
            self.stats.pending_bytes -= bytes;
            self.count_on_disk_only(events, 0);
        }
        self.segments.is_crowded = self.is_crowded();
    }

    /// Events that are on disk only leave room for others.
    fn count_on_disk_only(&mut self, more: u64, fewer: u64) {
        self.max_events = self.max_events + more - fewer;
        self.easy_events = self.easy_events + more - fewer;
    }

    // -- what the disk thread has done

    /// Everything that was given of a segment is on disk.
    pub(crate) fn segment_stored(&mut self, id: SegmentId) {
        if let Some(track) = self.segments.track_mut(Mark(Some(id))) {
            track.stored = track.handed.places;
        }
    }

    /// The file of a segment is not to be trusted: all of it is given again.
    pub(crate) fn segment_failed(&mut self, id: SegmentId) {
        self.segments.file_failed(id);
        for batch in self.batches.values_mut().filter(|batch| batch.mark() == Mark(Some(id))) {
            batch.set_given(false);
        }
        self.segments.changed();
    }

    /// All events up to this number are on disk. `is_able` says whether the disk takes events.
    pub(crate) fn written_through(&mut self, seq: u64, is_able: bool) -> Wake {
        let segments = &mut self.segments;
        let is_new = seq > segments.written_through || segments.is_able != is_able;
        let is_written = segments.is_call() && is_new;
        segments.written_through = segments.written_through.max(seq);
        segments.is_able = is_able;
        if !is_able {
            // There may be less space when it takes events again.
            segments.stop_appending();
        }
        let settled = std::mem::take(&mut segments.has_made_room) || is_written;
        Wake { settled, ..Wake::NONE }
    }

    /// The number of the last event that [`DeliveryState::take_changes`] has seen.
    pub(crate) fn seen_through(&self) -> u64 {
        self.segments.seen
    }

    /// What `phc_persist` and others asked for is done: this came of the orders to persist and to discard, if there
    /// were any.
    pub(crate) fn orders_done(&mut self, orders: &Orders, persisted: Status, discarded: Status) -> Wake {
        let Segments { write, persist, discard, drain, close, .. } = &mut self.segments;
        let all = [
            (write, orders.write),
            (persist, orders.persist),
            (discard, orders.discard),
            (drain, orders.drain),
            (close, orders.close),
        ];
        let any = all.iter().any(|(_, number)| number.is_some());
        for (order, number) in all {
            order.done = number.unwrap_or(order.done);
        }
        // A turn without such an order says nothing of the last one, which its caller may not have seen yet.
        if orders.persist.is_some() {
            self.segments.persisted = persisted;
        }
        if orders.discard.is_some() {
            self.segments.discarded = discarded;
        }
        Wake { settled: any, ..Wake::NONE }
    }

    // -- events that come from the disk

    /// Events that a dead process has left become a batch of this client, under the id that was taken for them. Returns
    /// whether they did: without memory for them, and while everything is discarded or closed, nothing has changed.
    pub(crate) fn add_recovered(&mut self, id: SegmentId, loaded: &Loaded<'_>) -> bool {
        self.segments.takes_recovered() && self.try_add_recovered(id, loaded).is_ok()
    }

    fn try_add_recovered(&mut self, id: SegmentId, loaded: &Loaded<'_>) -> Result<(), NoMemory> {
        let contents = loaded.contents;
        let open = opened(&contents.pending, RECOVERED)?;
        let pending: u64 = open.len() as u64;
        let bytes = open.cost();
        let places = contents.pending.last().map_or(0, |event| event.index + 1).max(contents.events);
        let Some(track) = self.segments.add_with_id(id, RECOVERED, places) else { return Err(NoMemory) };
        // What is not pending has ended, or is missing.
        track.end_all_but(contents.pending.iter().map(|event| RECOVERED + u64::from(event.index)));
        track.stored = places;
        track.handed = Handed {
            places,
            ended: track.ended_count(),
            batch: contents.batch.is_some(),
            response_unknown: contents.maybe_delivered,
            attempt: contents.attempt,
            postponed: contents.postponed,
        };
        self.stats.recovered += pending;
        self.stats.pending_events += pending;
        self.stats.pending_bytes += bytes;
        self.segments.recovered_pending += pending;
        self.add_loaded(id, open, loaded);
        Ok(())
    }

    /// Events of this client that were on disk only are in memory again. Without memory for them, nothing has changed.
    pub(crate) fn add_released(&mut self, id: SegmentId, loaded: &Loaded<'_>) -> Result<Wake, NoMemory> {
        let mark = Mark(Some(id));
        let Some(track) = self.segments.track(mark) else { return Ok(Wake::NONE) };
        let first_seq = track.first_seq;
        let is_pending = |event: &&StoredEvent<'_>| !track.has_ended(event.index);
        let events: Vec<_> = loaded.contents.pending.iter().filter(is_pending).copied().collect();
        let open = opened(&events, first_seq)?;
        let before = u64::from(track.pending());
        let missing: Vec<u64> = {
            let mut there = events.iter().map(|event| first_seq + u64::from(event.index)).peekable();
            track.pending_seqs().filter(|seq| there.next_if_eq(seq).is_none()).collect()
        };
        self.count_on_disk_only(0, before);
        let bytes = open.cost();
        self.stats.pending_bytes += bytes;
        let wake = self.lose_on_disk(mark, &missing, &LostEvents::default(), LossReason::Corrupt);
        if open.is_empty() {
            self.segments.remove(mark);
        } else {
            self.add_loaded(id, open, loaded);
        }
        Ok(wake)
    }

    fn add_loaded(&mut self, id: SegmentId, open: OpenBatch, loaded: &Loaded<'_>) {
        let mark = Mark(Some(id));
        let contents = loaded.contents;
        let open = OpenBatch { mark, ..open };
        let created_at = contents.batch.and_then(|batch| Timestamp::from_unix_ms(batch.created_at_ms));
        let mut batch = Batch::new(
            open,
            contents.batch.map_or(loaded.request_id, |batch| batch.request_id),
            created_at.unwrap_or(loaded.now),
            contents.header.historical_migration,
        );
        let origin = contents.header.origin;
        batch.resume(contents, (origin != loaded.sdk_info).then(|| Arc::from(origin)));
        let wait = contents.postponed.map_or(0, |postponed| postponed.not_before_ms - loaded.now.unix_ms());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0)).min(LONGEST_WAIT);
        self.segments.loaded(mark);
        if !wait.is_zero() {
            self.segments.leaves_place(mark);
        }
        let batch = self.add_batch(batch);
        self.loaded.push((batch, wait));
    }

    /// The id of the next segment that a dead process has left.
    pub(crate) fn next_segment(&mut self) -> SegmentId {
        self.segments.next_id()
    }

    /// Events of a segment that were on disk only have ended there. Where the segment was never read, only their number
    /// and, if they could be read, their uuids are known.
    pub(crate) fn lost_on_disk(
        &mut self,
        id: Option<SegmentId>,
        events: &LostEvents,
        reason: LossReason,
    ) -> Wake {
        let mark = Mark(id);
        if let Some(track) = self.segments.track(mark) {
            let seqs: Vec<u64> = track.pending_seqs().collect();
            self.count_on_disk_only(0, seqs.len() as u64);
            let wake = self.lose_on_disk(mark, &seqs, events, reason);
            self.segments.remove(mark);
            return wake;
        }
        if id.is_some() {
            return Wake::NONE;
        }
        let count = u64::from(events.count);
        self.stats.recovered += count;
        self.stats.pending_events += count;
        let seqs: Vec<u64> = (0..count).map(|_| RECOVERED).collect();
        self.segments.recovered_pending += count;
        let wake = self.lose_on_disk(mark, &seqs, events, reason);
        self.segments.recovered_pending -= count;
        wake
    }

    fn lose_on_disk(&mut self, mark: Mark, seqs: &[u64], events: &LostEvents, reason: LossReason) -> Wake {
        if seqs.is_empty() {
            return Wake::NONE;
        }
        let track = self.segments.track_mut(mark);
        let is_unknown = track.as_ref().is_some_and(|track| track.handed.response_unknown);
        let maybe_delivered = events.maybe_delivered || is_unknown;
        if let Some(track) = track {
            for seq in seqs {
                track.end(*seq);
            }
        }
        let mut report = Report::default();
        for (position, seq) in seqs.iter().enumerate() {
            self.stats.pending_events -= 1;
            self.stats.count_lost(reason, maybe_delivered);
            self.flushes.settle(*seq, false);
            match events.uuids.get(position) {
                Some(uuid) => self.report_event(&mut report, *uuid, Some(reason), maybe_delivered, None),
                None => report.missed_events += 1,
            }
        }
        self.push_report(report) | Wake { settled: true, ..self.wake_for_log() }
    }

    // -- what hosts ask for

    /// Has everything that is pending written; returns the number of this order.
    pub(crate) fn ask_write(&mut self) -> u64 {
        self.segments.wake();
        self.segments.has_changed = true;
        self.segments.write.ask(self.segments.is_stopped)
    }

    /// Whether an order to write was carried out.
    pub(crate) fn is_written(&self, order: u64) -> bool {
        self.segments.write.done >= order
    }

    /// Has everything that is pending written and synced; returns the number of this order.
    pub(crate) fn ask_persist(&mut self) -> u64 {
        self.segments.wake();
        self.segments.has_changed = true;
        self.segments.persist.ask(self.segments.is_stopped)
    }

    /// What came of an order to persist; `None` while it is not carried out.
    pub(crate) fn persisted(&self, order: u64) -> Option<Status> {
        (self.segments.persist.done >= order).then_some(self.segments.persisted)
    }

    /// Ends everything that is pending, in memory and on disk (`discarded`); returns the number of this order, which is
    /// carried out when the files are removed.
    pub(crate) fn ask_discard(&mut self) -> (u64, Wake) {
        let mut wake = Wake::NONE;
        while let Some(id) = self.segments.oldest_on_disk_only().map(|track| track.id) {
            wake = wake | self.lost_on_disk(Some(id), &LostEvents::default(), LossReason::Discarded);
        }
        wake = wake | self.fail_all_pending(LossReason::Discarded);
        self.segments.wake();
        (self.segments.discard.ask(self.segments.is_stopped), wake)
    }

    /// What came of an order to discard; `None` while it is not carried out.
    pub(crate) fn discarded(&self, order: u64) -> Option<Status> {
        (self.segments.discard.done >= order).then_some(self.segments.discarded)
    }

    /// Has everything that ended processes have left taken over and sent now; returns the number of this order.
    #[cfg(feature = "internals")]
    pub(crate) fn ask_drain(&mut self) -> u64 {
        self.segments.wake();
        self.segments.drain.ask(self.segments.is_stopped)
    }

    /// Whether an order to drain was carried out: nothing is left that could be taken over, or the disk does not allow
    /// that; and nothing is pending.
    #[cfg(feature = "internals")]
    pub(crate) fn is_drained(&self, order: u64) -> bool {
        self.segments.drain.done >= order && self.stats.pending_events == 0
    }

    /// Whether this event is on disk, or the disk cannot take it.
    pub(crate) fn is_written_through(&self, seq: u64) -> bool {
        self.segments.written_through >= seq || !self.segments.is_able || self.sender_stopped
    }

    /// Sends nothing any more, and has everything that is pending written for a later client.
    pub(crate) fn freeze(&mut self) -> Wake {
        self.segments.is_frozen = true;
        self.segments.stop_appending();
        self.segments.has_changed = true;
        self.segments.wake();
        self.segments.close.ask(self.segments.is_stopped);
        Wake { sender: true, ..Wake::NONE }
    }

    /// Whether that was written, or could not be.
    pub(crate) fn is_disk_closed(&self) -> bool {
        !self.segments.close.is_open()
    }

    /// Ends everything that is pending: what is on disk is kept, the rest is lost for this reason.
    pub(crate) fn end_all(&mut self, reason: LossReason) -> Wake {
        if !self.segments.is_on() {
            return self.fail_all_pending(reason);
        }
        let tracks = self.segments.take_all();
        let find = |mark: Mark| tracks.iter().find(|track| Some(track.id) == mark.0);
        let mut wake = Wake { settled: true, ..Wake::NONE };
        for (_, batch) in std::mem::take(&mut self.batches) {
            let payload = batch.payload();
            let events = payload.uuids().iter().zip(payload.spans());
            wake =
                wake | self.keep(batch.report(), events, find(batch.mark()), reason, batch.maybe_delivered());
        }
        while let Some(open) = self.queue.take_batch() {
            wake = wake | self.keep(Report::default(), open.events(), find(open.mark), reason, false);
        }
        for track in tracks.iter().filter(|track| track.is_on_disk_only()) {
            self.count_on_disk_only(0, u64::from(track.pending()));
            track.pending_seqs().for_each(|seq| self.count_kept(seq));
        }
        wake | self.fail_all_pending(reason)
    }

    fn keep<'a>(
        &mut self,
        mut report: Report,
        events: impl Iterator<Item = (&'a Uuid, &'a Span)>,
        track: Option<&Track>,
        reason: LossReason,
        maybe_delivered: bool,
    ) -> Wake {
        for (uuid, span) in events {
            let place = track.map(|track| (track.place(span.seq), track));
            if place.is_some_and(|(place, track)| place < track.stored) {
                self.stats.pending_bytes -= span.cost();
                self.count_kept(span.seq);
                continue;
            }
            // It may be on disk nevertheless, and be sent by a later client.
            let may_be_there =
                |(place, track): (u32, &Track)| place < track.handed.places || track.is_appended_to();
            let maybe = maybe_delivered || place.is_some_and(may_be_there);
            self.settle(span, Some(reason), maybe);
            self.report_event(&mut report, *uuid, Some(reason), maybe, None);
        }
        self.push_report(report)
    }

    fn count_kept(&mut self, seq: u64) {
        self.stats.pending_events -= 1;
        self.stats.kept += 1;
        self.flushes.keep(seq);
    }
}

/// The longest time that a batch from the disk waits.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A batch body of events that were read.
fn opened(events: &[StoredEvent<'_>], first_seq: u64) -> Result<OpenBatch, NoMemory> {
    let mut open = OpenBatch::default();
    open.reserve_exact(events.len(), events.iter().map(|event| event.wire.len() + 1).sum())?;
    for event in events {
        open.append(event.wire, event.uuid, first_seq + u64::from(event.index), || Duration::ZERO);
    }
    Ok(open)
}
