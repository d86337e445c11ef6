//! What stands in for `segments` in a build without the spool: no event is ever on disk.

use super::mark::Mark;
use super::open_batch::Span;
use crate::config::Config;

/// See the module.
#[derive(Debug)]
pub(crate) struct Segments {
    /// There never are any.
    pub(super) recovered_pending: u64,
}

#[allow(clippy::unused_self, reason = "the interface of the build with the spool")]
impl Segments {
    pub(super) fn new(_: &Config) -> Self {
        Segments { recovered_pending: 0 }
    }

    #[inline]
    pub(super) fn event_captured(&mut self) {}

    pub(super) fn watches_captures(&self) -> bool {
        false
    }

    pub(super) fn event_ended(&mut self, _: Mark, _: &Span) {}

    #[inline]
    pub(super) fn events_ended<'a>(&mut self, _: Mark, _: impl Iterator<Item = &'a Span>) {}

    pub(super) fn batch_ended(&mut self, _: Mark) {}

    pub(super) fn batch_split(&mut self, _: Mark) {}

    pub(super) fn leaves_place(&mut self, _: Mark) {}

    #[inline]
    pub(super) fn changed(&mut self) {}

    pub(super) fn takes_place(&mut self, _: Mark) {}

    pub(super) fn is_holding(&self) -> bool {
        false
    }

    pub(super) fn set_holding(&mut self, _: bool) {}

    pub(super) fn crowded(&mut self) {}

    pub(super) fn largest_batch(&self, config: &Config) -> (usize, usize) {
        (config.max_batch_events, config.max_batch_bytes)
    }

    pub(super) fn uncrowded(&self, most: u64) -> u64 {
        most
    }

    pub(super) fn is_frozen(&self) -> bool {
        false
    }

    #[inline]
    pub(super) fn take_wake(&mut self) -> bool {
        false
    }

    pub(crate) fn spooled(&self) -> u64 {
        0
    }
}
