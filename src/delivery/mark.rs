//! The name of the segment that the events of a batch are in, if they are in any. A batch carries it along.

#[cfg(all(unix, feature = "spool"))]
use crate::spool::SegmentId;

/// See the module.
#[cfg(all(unix, feature = "spool"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark(pub(super) Option<SegmentId>);

/// See the module. Without the spool there are no segments.
#[cfg(not(all(unix, feature = "spool")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark(());
