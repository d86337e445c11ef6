//! What the disk thread does in each of its turns: it takes from the delivery what is to be written, gives it to the
//! store, has the store do what is due, and brings back what left memory or what ended processes have left.
//!
//! It has no thread and no clock of its own, so that the simulation of whole processes runs it, too.

use std::fmt;
use std::time::Duration;

use uuid::Uuid;

use crate::config::{Config, LogLevel, SpoolSafety};
use crate::delivery::{
    Appended, Changes, Delivery, DeliveryState, Lend, Loaded, LossReason, Orders, Released, Wake,
};
use crate::event::timestamp::Timestamp;
use crate::event::uuid::UuidSource;
use crate::memory::NoMemory;
use crate::spool::{
    Destination, Disk, ErrorKind, Health, Identity, LostEvents, LostOnDisk, Moment, Notice, Recovered,
    SegmentId, Settings, Store,
};
use crate::status::Status;

/// After how long a segment is read again that could not be, in milliseconds.
const LOAD_AGAIN_MS: u64 = 1000;
/// How many bytes captures may append before the disk thread looks again whether there is space (`call`).
const LENT_BYTES: u64 = 256 * 1024;
/// They are so small a part of `spool_max_bytes` at most.
const LENT_PART: u64 = 16;
/// After how long files are lent again when there was no space for it, in milliseconds.
const LEND_AGAIN_MS: u64 = 1000;
/// After how long no batch begins any more in a file that was made in advance.
const BEGIN_WITHIN: Duration = Duration::from_secs(3600);
/// It is so small a part of `spool_max_age_ms` at most, by which events expire early.
const BEGIN_PART: u32 = 16;

/// See the module.
pub(super) struct SpoolDriver<D: Disk> {
    /// `None` once it is closed.
    store: Option<Store<D>>,
    safety: SpoolSafety,
    write_every: Duration,
    sdk_info: String,
    /// When new events are written, in milliseconds since the start of the system.
    write_at: Option<u64>,
    /// The store was given all events up to this number, and none of them is to be given again.
    seen: u64,
    /// Before this time no segment is read again.
    load_at: u64,
    /// Before this time no file is lent.
    lend_at: u64,
    lent_bytes: u64,
    begin_within: Duration,
    /// A segment that was taken over, and for which there was no memory, or no use when it had been read.
    held: Option<Recovered>,
    uuids: UuidSource,
    /// Memory that is used again.
    changes: Changes,
}

/// What follows a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Another one, at once.
    Again,
    /// Another one at this time, in milliseconds since the start of the system, or when the thread is woken.
    /// `is_timed` says that this is the time to look at new events.
    Sleep { until: Option<u64>, is_timed: bool },
    /// None: everything is closed.
    Closed,
}

impl<D> SpoolDriver<D>
where
    D: Disk<File: Send + Sync> + Clone + fmt::Debug + Send + Sync + 'static,
{
    /// A driver for the spool of a client with these settings.
    pub(super) fn new(config: &Config, disk: D, pid: u32, random: u64, now: Moment) -> Self {
        let identity = Identity {
            folder: config.spool_dir.clone().into(),
            destination: Destination::of(&crate::config::host::endpoint(&config.host), &config.api_key),
            historical_migration: config.historical_migration,
            origin: config.sdk_info(),
            pid,
            random,
        };
        SpoolDriver {
            store: Some(Store::new(disk, settings(config), identity, now)),
            safety: config.spool_safety,
            write_every: config.spool_write,
            sdk_info: config.sdk_info(),
            write_at: None,
            seen: 0,
            load_at: 0,
            lend_at: 0,
            lent_bytes: LENT_BYTES.min(config.spool_max_bytes / LENT_PART),
            begin_within: BEGIN_WITHIN.min(config.spool_max_age / BEGIN_PART),
            held: None,
            uuids: UuidSource::new(),
            changes: Changes::default(),
        }
    }

    /// Does what there is to do.
    pub(super) fn turn(&mut self, delivery: &Delivery, now: Moment) -> Turn {
        let Some(mut store) = self.store.take() else { return Turn::Closed };
        let mut orders = delivery.read(DeliveryState::disk_orders);
        // Who waits for a sync gets it: the next turn closes.
        orders.close = orders.close.filter(|_| orders.persist.is_none());
        let is_asked = orders.persist.or(orders.close).or(orders.discard).is_some();
        let was_able = store.health() == Health::Ok;
        let (is_able, notices) = store.revive(is_asked, now);
        Self::apply(delivery, notices);
        if orders.has_unseen && is_able {
            store.announce(now);
            let wait =
                if self.safety == SpoolSafety::Call || !was_able { Duration::ZERO } else { self.write_every };
            self.write_at.get_or_insert(now.after(wait));
        }
        let with_events =
            is_able && (orders.write_now || is_asked || self.write_at.is_some_and(|at| at <= now.boot_ms));
        self.seen = self.give(&mut store, delivery, with_events).unwrap_or(self.seen);
        let (mut persisted, mut discarded, mut is_rewritten) = (Status::OK, Status::OK, false);
        if orders.discard.is_some() {
            let (done, notices) = store.discard(self.held.take(), now);
            is_rewritten |= Self::apply(delivery, notices);
            discarded = if done { Status::OK } else { Status::SPOOL };
        }
        if orders.close.is_some() {
            let (_, notices) = store.close(now);
            Self::apply(delivery, notices);
            delivery.update(|state| ((), state.orders_done(&orders, persisted, discarded)));
            return Turn::Closed;
        }
        if orders.persist.is_some() {
            let (done, notices) = store.persist(now);
            is_rewritten |= Self::apply(delivery, notices);
            persisted = if done && with_events { Status::OK } else { Status::SPOOL };
        }
        store.seek(orders.drain.is_some(), now);
        if orders.is_crowded {
            store.sync_soon();
        }
        let notices = store.step(now);
        is_rewritten |= Self::apply(delivery, notices);
        is_rewritten |= self.lend(&mut store, delivery, now);
        let is_usable = matches!(store.health(), Health::Ok | Health::Full);
        let is_drained = self.held.is_none() && store.has_found_none() || !is_usable;
        orders.drain = orders.drain.filter(|_| is_drained);
        let is_able = store.health() == Health::Ok;
        if is_rewritten {
            self.seen = 0;
        }
        delivery.update(|state| {
            // What is written again is written when that is done, in the next turn.
            let orders = Orders { write: orders.write.filter(|_| !(is_able && is_rewritten)), ..orders };
            let wake = state.written_through(if is_able { self.seen } else { 0 }, is_able);
            ((), wake | state.orders_done(&orders, persisted, discarded))
        });
        // To send what is on disk is what frees it. What may be loaded has changed in the meantime.
        let orders = delivery.read(DeliveryState::disk_orders);
        let has_loaded = is_usable && self.load(&mut store, delivery, &orders, now);
        if !is_able {
            self.write_at = None;
        }
        let turn = if has_loaded || (is_able && !was_able) || delivery.read(DeliveryState::may_release) {
            Turn::Again
        } else {
            let has_left = self.held.is_some() || store.waiting() > 0;
            let load_at = (has_left && self.load_at > now.boot_ms).then_some(self.load_at);
            let until = [store.due(), self.write_at, load_at].into_iter().flatten().min();
            Turn::Sleep { until, is_timed: self.write_at.is_some() || !is_able }
        };
        self.store = Some(store);
        turn
    }

    /// Gives the store what has changed. Returns the number of the last event that was seen, if events were.
    fn give(&mut self, store: &mut Store<D>, delivery: &Delivery, with_events: bool) -> Option<u64> {
        let changes = &mut self.changes;
        loop {
            let (is_more, seen) = delivery.update(|state| {
                let is_more = state.take_changes(with_events, changes);
                ((is_more, state.seen_through()), Wake::NONE)
            });
            changes.retired.clear();
            let failed: Vec<_> = changes.failed.drain(..).flat_map(|id| store.give_up(id)).collect();
            let is_more = Self::apply(delivery, failed) || is_more;
            changes.ended.drain(..).for_each(|id| store.end(id));
            for change in changes.segments.drain(..) {
                let id = change.id;
                if let Some(Appended { places, bytes }) = change.appended {
                    store.appended(id, places, bytes);
                }
                // What the store does not take is asked for again, or costs a duplicate after a crash.
                change.events(|place, uuid, wire| store.add_event(id, place, uuid, wire));
                if let Some(batch) = change.batch {
                    store.add_batch(id, batch);
                }
                if let Some(attempt) = change.attempt {
                    store.add_attempt(id, attempt);
                }
                if let Some(verdicts) = change.verdicts() {
                    store.add_verdicts(id, verdicts);
                }
                if let Some(postponed) = change.postponed {
                    store.add_postponed(id, postponed);
                }
            }
            for Released { id, appended } in changes.released.drain(..) {
                if let Some(Appended { places, bytes }) = appended {
                    store.appended(id, places, bytes);
                }
                store.release(id);
            }
            if !is_more {
                if with_events {
                    self.write_at = None;
                }
                return with_events.then_some(seen);
            }
        }
    }

    /// Lends captures at `call` the files that they append to; returns whether a segment is to be written again.
    fn lend(&mut self, store: &mut Store<D>, delivery: &Delivery, now: Moment) -> bool {
        let mut is_rewritten = false;
        if self.safety != SpoolSafety::Call || store.health() != Health::Ok {
            return is_rewritten;
        }
        if self.lend_at <= now.boot_ms {
            delivery.update(|state| (state.lend_again(), Wake::NONE));
        }
        // One for the open batch and one for the next. Captures that take more come after what else is to be done.
        for _ in 0..2 {
            let (is_spare, id) = match delivery.read(DeliveryState::lends) {
                Lend::Nothing => break,
                Lend::Open(id) => (false, id),
                Lend::Spare => (true, delivery.update(|state| (state.next_segment(), Wake::NONE))),
            };
            let (file, notices) = store.lend(id, self.lent_bytes, now);
            is_rewritten |= Self::apply(delivery, notices);
            let Some(file) = file else {
                if is_spare {
                    store.end(id);
                }
                self.lend_at = now.boot_ms + LEND_AGAIN_MS;
                delivery.update(|state| (state.lend_nothing(), Wake::NONE));
                break;
            };
            let begin_by = now.after(self.begin_within);
            delivery.update(|state| (state.lent(is_spare, id, file, self.lent_bytes, begin_by), Wake::NONE));
        }
        is_rewritten
    }

    /// Applies what the store has reported; returns whether a segment is to be written again.
    fn apply(delivery: &Delivery, notices: Vec<Notice>) -> bool {
        let is_rewritten = notices.iter().any(|notice| matches!(notice, Notice::Rewrite(_)));
        for notice in notices {
            delivery.update(|state| {
                let wake = match notice {
                    Notice::Stored { segment, .. } => {
                        state.segment_stored(segment);
                        Wake::NONE
                    }
                    Notice::Rewrite(segment) => {
                        state.segment_failed(segment);
                        Wake::NONE
                    }
                    Notice::Lost { segment, events, reason } => {
                        state.lost_on_disk(segment, &events, loss(reason))
                    }
                    Notice::Health(Health::Ok, text) | Notice::Log(text) => state.log(LogLevel::Info, text),
                    Notice::Health(_, text) => {
                        let line = format!("{text}; events are kept in memory only until this is over");
                        state.log(LogLevel::Warning, line)
                    }
                };
                ((), wake)
            });
        }
        is_rewritten
    }

    /// Brings a segment into memory; returns whether it did.
    fn load(&mut self, store: &mut Store<D>, delivery: &Delivery, orders: &Orders, now: Moment) -> bool {
        if !orders.may_load || self.load_at > now.boot_ms {
            return false;
        }
        if let Some(id) = orders.load {
            return self.load_own(store, delivery, id, now);
        }
        let recovered = match self.held.take() {
            Some(held) => held,
            None if store.waiting() == 0 => return false,
            None => {
                let id = delivery.update(|state| (state.next_segment(), Wake::NONE));
                let (recovered, notices) = store.recover(id, now);
                Self::apply(delivery, notices);
                let Some(recovered) = recovered else {
                    self.load_at = now.boot_ms + LOAD_AGAIN_MS;
                    return false;
                };
                recovered
            }
        };
        let added = self.with_contents(&recovered, |loaded| {
            delivery.update(|state| {
                let added = state.add_recovered(recovered.segment, loaded);
                (added, Wake { sender: added, ..Wake::NONE })
            })
        });
        if added != Some(true) {
            self.held = Some(recovered);
            self.load_at = now.boot_ms + LOAD_AGAIN_MS;
        }
        added == Some(true)
    }

    fn load_own(&mut self, store: &mut Store<D>, delivery: &Delivery, id: SegmentId, now: Moment) -> bool {
        let added = match store.load(id) {
            Ok(recovered) => self.with_contents(&recovered, |loaded| {
                delivery.update(|state| match state.add_released(id, loaded) {
                    Ok(wake) => (true, wake | Wake { sender: true, ..Wake::NONE }),
                    Err(NoMemory) => (false, Wake::NONE),
                })
            }),
            Err(error) if error.kind == ErrorKind::Missing => None,
            Err(_) => Some(false),
        };
        match added {
            Some(true) => return true,
            // The disk, or memory, may be back later.
            Some(false) => {
                store.release(id);
                self.load_at = now.boot_ms + LOAD_AGAIN_MS;
            }
            None => delivery.update(|state| {
                ((), state.lost_on_disk(Some(id), &LostEvents::default(), LossReason::Corrupt))
            }),
        }
        false
    }

    /// Calls `add` with what a segment says; `None` if it cannot be read.
    fn with_contents<T>(&mut self, recovered: &Recovered, add: impl FnOnce(&Loaded<'_>) -> T) -> Option<T> {
        let contents = recovered.contents().ok()?;
        let now = Timestamp::now();
        // Without randomness, the uuid of an event serves as well.
        let own = contents.pending.first().map_or(Uuid::nil(), |event| event.uuid);
        let request_id = self.uuids.uuid_v7(now.unix_ms()).unwrap_or(own);
        Some(add(&Loaded { contents: &contents, request_id, sdk_info: &self.sdk_info, now }))
    }
}

fn settings(config: &Config) -> Settings {
    Settings {
        safety: config.spool_safety,
        write_every: config.spool_write,
        sync_every: config.spool_sync,
        max_bytes: config.spool_max_bytes,
        min_free_bytes: config.spool_min_free_bytes,
        max_age: config.spool_max_age,
        adopts: config.spool_adopt,
        evicts: config.overflow == crate::config::Overflow::DropOldest,
    }
}

fn loss(reason: LostOnDisk) -> LossReason {
    match reason {
        LostOnDisk::Expired => LossReason::Expired,
        LostOnDisk::Corrupt => LossReason::Corrupt,
        LostOnDisk::Evicted => LossReason::Evicted,
        LostOnDisk::Discarded => LossReason::Discarded,
    }
}
