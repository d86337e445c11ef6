//! What captures at `spool_safety` = `call` ask of the state, and the disk thread that lends them files.

use std::sync::Arc;

use super::DeliveryState;
use crate::delivery::segments::lending::{Lend, Lent, Writer};
use crate::spool::{Append, ErrorKind, SegmentId};

impl DeliveryState {
    /// Decides who writes the event of so many wire bytes that was just captured. `now` is in milliseconds since the
    /// start of the system.
    pub(crate) fn begin_append(&mut self, wire_bytes: usize, now: impl FnOnce() -> u64) -> Writer {
        let seq = self.stats.captured;
        let open = self.queue.open_mut();
        if open.first_seq() == Some(seq) {
            self.segments.begin_batch(&mut open.mark, seq, now);
        }
        let place = self.segments.begin_append(open.mark, seq, wire_bytes);
        place.map_or(Writer::DiskThread { seq }, Writer::Capture)
    }

    /// A thread has appended its event to this segment, or has met this error. Returns the number of an order to write,
    /// which is carried out when the disk thread has dealt with the error.
    pub(crate) fn end_append(&mut self, id: SegmentId, error: Option<ErrorKind>) -> Option<u64> {
        self.segments.end_append(id, error);
        error.map(|_| self.ask_write())
    }

    /// Whether that order was carried out, or cannot be.
    pub(crate) fn is_dealt_with(&self, order: u64) -> bool {
        self.is_written(order) || !self.segments.is_able || self.sender_stopped
    }

    /// What the disk thread is to lend to captures.
    pub(crate) fn lends(&self) -> Lend {
        self.segments.lends(self.queue.open_mark())
    }

    /// The disk thread lends the file of a segment for so many bytes; `is_spare` says that it is a new one, in which a
    /// batch may begin until `begin_by`, in milliseconds since the start of the system.
    pub(crate) fn lent(
        &mut self,
        is_spare: bool,
        id: SegmentId,
        file: Arc<dyn Append>,
        bytes: u64,
        begin_by: u64,
    ) {
        self.segments.lent(self.queue.open_mark(), is_spare, Lent::new(id, file, bytes, begin_by));
    }

    /// The disk thread has no file to lend for now.
    pub(crate) fn lend_nothing(&mut self) {
        self.segments.set_lending_refused(true);
    }

    /// Lets the disk thread lend files again that had none to lend.
    pub(crate) fn lend_again(&mut self) {
        self.segments.set_lending_refused(false);
    }
}
