//! What of a client's pending events is on disk, and what the disk has not been given yet.
//!
//! The spool has a segment for each batch, from the open one to those in back-off. Nothing here writes: a [`Track`]
//! remembers what the disk thread was given of a segment, and the state works out the difference to what has become of
//! its events since. So what was lost with a file that failed is simply given again, and what happens and ends between
//! two looks never reaches the disk.
//!
//! The place of an event in its segment follows from its number in the order of captures, which is contiguous in a
//! batch that was just made.

mod appending;
pub(super) mod changes;
pub(super) mod lending;

use super::mark::Mark;
use super::open_batch::Span;
use crate::config::{Config, SpoolSafety};
use crate::memory::reserve;
use crate::spool::{AttemptRecord, PostponedRecord, SegmentId};
use crate::status::Status;
use lending::{Appending, Released};

/// From this number on, in the order of captures, events are those that other processes captured.
pub(super) const RECOVERED: u64 = 1 << 62;
/// How many segments that left memory, or that other processes left, are in memory at once.
const MAX_LOADED: usize = 2;

/// What is remembered of one segment.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) id: SegmentId,
    /// The number, in the order of captures, of the event in its first place.
    pub(super) first_seq: u64,
    /// One more than its last place.
    pub(super) places: u32,
    /// What the disk thread was given.
    pub(super) handed: Handed,
    /// How many of its first places are on disk.
    pub(super) stored: u32,
    /// A bit for each place whose event has ended.
    ended: Vec<u8>,
    ended_count: u32,
    /// How many batches its events are in: two after a split, none while they are on disk only.
    pub(super) users: u8,
    /// Two batches are in it, and their attempts are not distinguished.
    pub(super) is_shared: bool,
    /// How many of its first places the disk thread had been given before.
    pub(super) handed_at_split: u32,
    /// Its events were brought back into memory.
    is_loaded: bool,
    /// How many threads are appending to it.
    writers: u32,
    /// One more than the last place whose event a thread appends, or has appended.
    appended: u32,
    /// One more than the last place whose event no thread appends.
    unappended: u32,
    /// How many bytes threads have appended, or are appending, of which the store does not know.
    unreported: u64,
    /// The disk thread has something to write once no thread appends to it.
    is_awaited: bool,
    /// An append has failed, or its file: the disk thread writes what comes.
    has_failed: bool,
}

/// What the disk thread was given of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Handed {
    /// How many of the first places.
    pub(super) places: u32,
    /// How many of the ends.
    pub(super) ended: u32,
    pub(super) batch: bool,
    pub(super) response_unknown: bool,
    pub(super) attempt: Option<AttemptRecord>,
    pub(super) postponed: Option<PostponedRecord>,
}

impl Track {
    /// The place of the event with this number.
    pub(super) fn place(&self, seq: u64) -> u32 {
        u32::try_from(seq.saturating_sub(self.first_seq)).unwrap_or(u32::MAX)
    }

    /// Records that an event has ended.
    pub(super) fn end(&mut self, seq: u64) {
        let place = self.place(seq);
        self.places = self.places.max(place.saturating_add(1));
        let (byte, bit) = (place as usize / 8, 1 << (place % 8));
        let missing = (byte + 1).saturating_sub(self.ended.len());
        // Without memory for it, the event is sent again if the process ends now.
        if reserve(&mut self.ended, missing).is_err() {
            return;
        }
        self.ended.resize(self.ended.len() + missing, 0);
        if let Some(bits) = self.ended.get_mut(byte)
            && *bits & bit == 0
        {
            *bits |= bit;
            self.ended_count += 1;
        }
    }

    /// Records that all events have ended but those with these numbers, which are in order.
    pub(super) fn end_all_but(&mut self, pending: impl Iterator<Item = u64>) {
        let mut pending = pending.peekable();
        for seq in self.first_seq..self.first_seq + u64::from(self.places) {
            if pending.next_if_eq(&seq).is_none() {
                self.end(seq);
            }
        }
    }

    /// Whether the event in this place has ended.
    pub(super) fn has_ended(&self, place: u32) -> bool {
        self.ended.get(place as usize / 8).is_some_and(|bits| bits >> (place % 8) & 1 == 1)
    }

    /// A bit for each place whose event has ended.
    pub(super) fn ended(&self) -> &[u8] {
        &self.ended
    }

    /// How many have.
    pub(super) fn ended_count(&self) -> u32 {
        self.ended_count
    }

    /// How many have not.
    pub(super) fn pending(&self) -> u32 {
        self.places.saturating_sub(self.ended_count)
    }

    /// The numbers of those that have not, in the order of captures.
    pub(super) fn pending_seqs(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.places)
            .filter(|place| !self.has_ended(*place))
            .map(|place| self.first_seq + u64::from(place))
    }

    /// Whether every event that is in it is on disk.
    pub(super) fn is_whole(&self) -> bool {
        self.stored >= self.places && self.handed.places == self.places
    }

    /// Whether its events are on disk only.
    pub(super) fn is_on_disk_only(&self) -> bool {
        self.users == 0
    }

    /// Whether another process captured its events.
    pub(super) fn is_recovered(&self) -> bool {
        self.first_seq >= RECOVERED
    }
}

/// What hosts wait for, and who is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// The last that was asked for; they are numbered.
    pub(super) asked: u64,
    /// The last that was done.
    pub(super) done: u64,
}

impl Order {
    /// Asks for it once more; returns its number. An order that no thread can carry out any more is done at once.
    pub(super) fn ask(&mut self, is_stopped: bool) -> u64 {
        self.asked += 1;
        if is_stopped {
            self.done = self.asked;
        }
        self.asked
    }

    /// Whether somebody waits for it.
    pub(super) fn is_open(self) -> bool {
        self.asked > self.done
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Segments {
    /// Whether the client has a spool at all.
    is_on: bool,
    safety: SpoolSafety,
    /// Ordered by their ids.
    tracks: Vec<Track>,
    last_id: u64,
    /// Segments whose events have all ended.
    pub(super) ended: Vec<SegmentId>,
    /// Segments whose events have left memory.
    pub(super) released: Vec<Released>,
    /// Some have since captures that wait for that were woken.
    pub(super) has_made_room: bool,
    /// The server does not respond, or refuses: what waits is written.
    is_holding: bool,
    /// More than half of the queue is used: what waits is written, and leaves memory.
    pub(super) is_crowded: bool,
    /// Everything that is in memory is to be written, and for `persist` synced.
    pub(super) write: Order,
    pub(super) persist: Order,
    /// What came of the last one.
    pub(super) persisted: Status,
    pub(super) discard: Order,
    /// What came of the last one.
    pub(super) discarded: Status,
    /// Everything that ended processes have left is to be sent now.
    pub(super) drain: Order,
    /// The last such order for which the disk thread was kept from sleeping.
    pub(super) drain_noticed: u64,
    pub(super) close: Order,
    pub(super) is_frozen: bool,
    /// All events up to this number are on disk, or the disk cannot take them.
    pub(super) written_through: u64,
    /// Something changed that the disk thread has not seen, besides new events.
    pub(super) has_changed: bool,
    /// The last event that it has seen.
    pub(super) seen: u64,
    /// Whether the disk takes events.
    pub(super) is_able: bool,
    /// The disk thread has ended.
    pub(super) is_stopped: bool,
    /// It sleeps.
    is_asleep: bool,
    /// The next capture wakes it.
    wake_on_capture: bool,
    /// Whatever else changes wakes it.
    wake_on_change: bool,
    /// It is to be woken.
    wakes: bool,
    /// Events of other processes that are pending.
    pub(super) recovered_pending: u64,
    /// What captures append to by themselves.
    appending: Appending,
}

impl Segments {
    /// No segments yet.
    pub(super) fn new(config: &Config) -> Self {
        Segments {
            is_on: config.has_spool(),
            safety: config.spool_safety,
            tracks: Vec::new(),
            last_id: 0,
            ended: Vec::new(),
            released: Vec::new(),
            has_made_room: false,
            is_holding: false,
            is_crowded: false,
            write: Order::default(),
            persist: Order::default(),
            persisted: Status::OK,
            discard: Order::default(),
            discarded: Status::OK,
            drain: Order::default(),
            drain_noticed: 0,
            close: Order::default(),
            is_frozen: false,
            written_through: 0,
            has_changed: false,
            seen: 0,
            is_able: true,
            is_stopped: false,
            is_asleep: false,
            wake_on_capture: false,
            wake_on_change: false,
            wakes: false,
            recovered_pending: 0,
            appending: Appending::default(),
        }
    }

    // -- what happens to events

    /// An event was captured.
    #[inline]
    pub(super) fn event_captured(&mut self) {
        // At `call`, only an event that its thread does not write concerns the disk thread.
        if self.wake_on_capture && !self.is_call() {
            self.wake();
        }
    }

    /// Whether each capture matters by itself, so that events may not be staged.
    pub(super) fn watches_captures(&self) -> bool {
        self.wake_on_capture || self.is_call()
    }

    /// Whether captures wait for the disk.
    pub(super) fn is_call(&self) -> bool {
        self.is_on && self.safety == SpoolSafety::Call
    }

    /// An event of this batch has ended.
    pub(super) fn event_ended(&mut self, mark: Mark, span: &Span) {
        self.events_ended(mark, std::iter::once(span));
    }

    /// Events of this batch have ended.
    #[inline]
    pub(super) fn events_ended<'a>(&mut self, mark: Mark, spans: impl Iterator<Item = &'a Span>) {
        if mark.0.is_none() {
            return;
        }
        let mut recovered = 0;
        if let Some(track) = self.track_mut(mark) {
            let before = track.ended_count;
            spans.for_each(|span| track.end(span.seq));
            if track.is_recovered() {
                recovered = u64::from(track.ended_count - before);
            }
        }
        self.recovered_pending -= recovered;
        self.changed();
    }

    /// A batch has no events any more, or does not exist any more.
    pub(super) fn batch_ended(&mut self, mark: Mark) {
        let Some(track) = self.track_mut(mark) else { return };
        track.users = track.users.saturating_sub(1);
        if track.users == 0 {
            self.remove(mark);
        }
    }

    /// A batch has become two.
    pub(super) fn batch_split(&mut self, mark: Mark) {
        if let Some(track) = self.track_mut(mark) {
            track.users += 1;
            if !track.is_shared {
                (track.is_shared, track.handed_at_split) = (true, track.handed.places);
            }
        }
    }

    /// An attempt has begun or ended, or a batch was made.
    #[inline]
    pub(super) fn changed(&mut self) {
        if self.is_on {
            self.has_changed = true;
            if self.wake_on_change {
                self.wake();
            }
        }
    }

    /// Whether the server does not respond, or refuses.
    pub(super) fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// Sets that.
    pub(super) fn set_holding(&mut self, is_holding: bool) {
        if self.is_on && self.is_holding != is_holding {
            self.is_holding = is_holding;
            self.wake();
        }
    }

    /// More than half of the queue is used.
    pub(super) fn crowded(&mut self) {
        if self.is_on && !self.is_crowded {
            self.is_crowded = true;
            self.wake();
        }
    }

    /// The largest number of events and of bytes of a batch. Only full ones leave memory, so with a spool none may
    /// take up most of the queue.
    pub(super) fn largest_batch(&self, config: &Config) -> (usize, usize) {
        let part = |most: usize, queue: u64, least: usize| {
            let quarter = usize::try_from(queue / 4).unwrap_or(usize::MAX);
            if self.is_on { most.min(quarter.max(least)) } else { most }
        };
        (
            part(config.max_batch_events, config.queue_max_events, 1),
            part(config.max_batch_bytes, config.queue_max_bytes, 1024),
        )
    }

    /// How much of the queue may be used before [`Segments::crowded`] is called, of so much.
    pub(super) fn uncrowded(&self, most: u64) -> u64 {
        if self.is_on { most / 2 } else { most }
    }

    /// Nothing is sent any more; what is pending stays where it is until the close has settled it.
    pub(super) fn is_frozen(&self) -> bool {
        self.is_frozen
    }

    // -- what the disk thread asks

    /// Whether the client has a spool.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Whether what is in memory is written sooner or later, without being asked for.
    pub(super) fn writes_all(&self) -> bool {
        self.safety != SpoolSafety::Exit || self.is_holding || self.is_crowded
    }

    /// Whether somebody waits for what is in memory to be written.
    pub(super) fn writes_at_once(&self) -> bool {
        self.write.is_open() || self.persist.is_open() || self.close.is_open()
    }

    /// Records what the disk thread is to be woken for.
    pub(super) fn sleep(&mut self, captures: bool, changes: bool) {
        self.is_asleep = true;
        (self.wake_on_capture, self.wake_on_change) = (captures, changes);
    }

    /// Wakes the disk thread.
    #[cold]
    pub(super) fn wake(&mut self) {
        self.wakes |= std::mem::take(&mut self.is_asleep);
        (self.wake_on_capture, self.wake_on_change) = (false, false);
    }

    /// Whether it is to be woken; asked once.
    #[inline]
    pub(super) fn take_wake(&mut self) -> bool {
        std::mem::take(&mut self.wakes)
    }

    /// Whether it was woken, or is about to be.
    pub(super) fn is_awake(&self) -> bool {
        !self.is_asleep
    }

    // -- tracks

    /// A segment for events from this number on; `None` without memory for it.
    pub(super) fn add(&mut self, first_seq: u64, places: u32) -> Option<&mut Track> {
        let id = self.next_id();
        self.add_with_id(id, first_seq, places)
    }

    /// The same under an id that was taken before.
    pub(super) fn add_with_id(&mut self, id: SegmentId, first_seq: u64, places: u32) -> Option<&mut Track> {
        reserve(&mut self.tracks, 1).ok()?;
        let position = self.tracks.partition_point(|track| track.id < id);
        let track = Track {
            id,
            first_seq,
            places,
            handed: Handed::default(),
            stored: 0,
            ended: Vec::new(),
            ended_count: 0,
            users: 1,
            is_shared: false,
            handed_at_split: 0,
            is_loaded: false,
            writers: 0,
            appended: 0,
            unappended: 0,
            unreported: 0,
            is_awaited: false,
            has_failed: false,
        };
        self.tracks.insert(position, track);
        self.tracks.get_mut(position)
    }

    /// The id of the next segment.
    pub(super) fn next_id(&mut self) -> SegmentId {
        self.last_id += 1;
        SegmentId(self.last_id)
    }

    fn position(&self, mark: Mark) -> Option<usize> {
        self.tracks.binary_search_by_key(&mark.0?, |track| track.id).ok()
    }

    pub(super) fn track(&self, mark: Mark) -> Option<&Track> {
        self.tracks.get(self.position(mark)?)
    }

    pub(super) fn track_mut(&mut self, mark: Mark) -> Option<&mut Track> {
        let position = self.position(mark)?;
        self.tracks.get_mut(position)
    }

    /// Forgets a segment, whose file is to be removed.
    pub(super) fn remove(&mut self, mark: Mark) {
        if let Some(position) = self.position(mark) {
            let track = self.tracks.remove(position);
            self.stop_appending_to(track.id);
            self.ended.push(track.id);
            self.changed();
            if track.is_loaded {
                // Another one may be brought into memory.
                self.wake();
            }
        }
    }

    /// Forgets all segments, whose files stay.
    pub(super) fn take_all(&mut self) -> Vec<Track> {
        self.recovered_pending = 0;
        self.stop_appending();
        std::mem::take(&mut self.tracks)
    }

    /// The oldest segment whose events are on disk only.
    pub(super) fn oldest_on_disk_only(&self) -> Option<&Track> {
        self.tracks.iter().find(|track| track.is_on_disk_only())
    }

    /// Whether events that dead processes have left may come from the disk: none does that is to be discarded, or kept
    /// for a later client.
    pub(super) fn takes_recovered(&self) -> bool {
        !self.is_frozen && !self.discard.is_open()
    }

    /// Whether one more segment may be brought into memory.
    pub(super) fn may_load(&self) -> bool {
        self.tracks.iter().filter(|track| track.is_loaded).count() < MAX_LOADED
    }

    /// The events of a segment are in memory again.
    pub(super) fn loaded(&mut self, mark: Mark) {
        if let Some(track) = self.track_mut(mark) {
            (track.users, track.is_loaded) = (1, true);
        }
    }

    /// A batch waits for long: its place in memory is not one of those for what comes from the disk.
    pub(super) fn leaves_place(&mut self, mark: Mark) {
        if let Some(track) = self.track_mut(mark)
            && std::mem::take(&mut track.is_loaded)
        {
            self.wake();
        }
    }

    /// A batch has begun that waits while memory is short: its place is one of those for what comes from the disk.
    pub(super) fn takes_place(&mut self, mark: Mark) {
        if let Some(track) = self.track_mut(mark) {
            track.is_loaded = true;
        }
    }

    /// How many pending events are on disk.
    pub(crate) fn spooled(&self) -> u64 {
        self.tracks.iter().map(|track| u64::from(track.stored.saturating_sub(track.ended_count))).sum()
    }
}
