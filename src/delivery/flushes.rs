//! The flushes of a client: each counts what becomes of the events that were captured
//! before it.

/// Names a flush within its client.
pub(crate) type FlushId = u64;

/// What became of the events that were captured before a flush.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlushResult {
    /// Delivered or lost since it began.
    pub(crate) settled: u64,
    /// Delivered since it began.
    pub(crate) delivered: u64,
    /// Lost since it began.
    pub(crate) lost: u64,
    /// Neither yet.
    pub(crate) pending: u64,
}

/// The largest number of flushes that are begun and waited for separately: a host may
/// never end them.
const MAX_SLICED: usize = 100;

/// The flushes that have not ended.
#[derive(Debug, Default)]
pub(super) struct Flushes {
    list: Vec<Flush>,
    last_id: FlushId,
}

#[derive(Debug)]
struct Flush {
    id: FlushId,
    /// It counts events up to this number.
    through: u64,
    /// Whether it is begun and waited for separately.
    sliced: bool,
    result: FlushResult,
}

impl Flushes {
    /// Begins a flush of `pending` events, the last of which has the number `through`.
    /// Of too many sliced flushes the oldest is forgotten.
    pub(super) fn begin(&mut self, sliced: bool, through: u64, pending: u64) -> FlushId {
        if sliced && self.list.iter().filter(|flush| flush.sliced).count() >= MAX_SLICED {
            let oldest = self.list.iter().position(|flush| flush.sliced);
            oldest.map(|position| self.list.remove(position));
        }
        self.last_id += 1;
        let result = FlushResult { pending, ..FlushResult::default() };
        self.list.push(Flush { id: self.last_id, through, sliced, result });
        self.last_id
    }

    /// What a flush has counted so far; `None` if it is not known or was forgotten.
    pub(super) fn result(&self, id: FlushId) -> Option<FlushResult> {
        self.list.iter().find(|flush| flush.id == id).map(|flush| flush.result)
    }

    /// Forgets a flush.
    pub(super) fn end(&mut self, id: FlushId) {
        self.list.retain(|flush| flush.id != id);
    }

    /// Counts an event, by its number, that ended.
    pub(super) fn settle(&mut self, seq: u64, delivered: bool) {
        for flush in self.list.iter_mut().filter(|flush| seq <= flush.through) {
            flush.result.pending -= 1;
            flush.result.settled += 1;
            flush.result.delivered += u64::from(delivered);
            flush.result.lost += u64::from(!delivered);
        }
    }

    /// Counts an event, by its number, that is left to a later client.
    #[cfg(all(unix, feature = "spool"))]
    pub(super) fn keep(&mut self, seq: u64) {
        for flush in self.list.iter_mut().filter(|flush| seq <= flush.through) {
            flush.result.pending -= 1;
            flush.result.settled += 1;
        }
    }

    /// Counts everything that is pending as lost: its events are not known one by one.
    pub(super) fn lose_pending(&mut self) {
        for flush in &mut self.list {
            let lost = std::mem::take(&mut flush.result.pending);
            flush.result.settled += lost;
            flush.result.lost += lost;
        }
    }
}
