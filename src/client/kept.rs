//! What of a client can change while it captures, and stays in a forked child.
//!
//! Each capture reads it. A read that counts its readers writes to shared memory twice, which is a twentieth of a
//! capture; so a client in which nothing has changed yet, as in most, is read without that.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};

use super::callbacks::{BeforeSendFunction, Callback};
use crate::event::SuperProperties;

/// What every event of the client depends on.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) super_properties: SuperProperties,
    pub(super) opted_out: bool,
    pub(super) before_send: Option<Arc<Callback<BeforeSendFunction>>>,
}

/// The present [`Kept`], read and replaced without a lock, which a forked child could inherit locked.
pub(super) struct KeptCell {
    initial: Kept,
    /// Whether `current` counts. It never goes back.
    has_changed: AtomicBool,
    current: ArcSwap<Kept>,
}

/// Keeps what was read alive.
pub(super) enum KeptRef<'a> {
    Initial(&'a Kept),
    Current(Guard<Arc<Kept>>),
}

impl Deref for KeptRef<'_> {
    type Target = Kept;

    #[inline]
    fn deref(&self) -> &Kept {
        match self {
            KeptRef::Initial(kept) => kept,
            KeptRef::Current(kept) => kept,
        }
    }
}

impl KeptCell {
    pub(super) fn new(initial: Kept) -> Self {
        let current = ArcSwap::from_pointee(initial.clone());
        KeptCell { initial, has_changed: AtomicBool::new(false), current }
    }

    #[inline]
    pub(super) fn load(&self) -> KeptRef<'_> {
        if self.has_changed.load(Ordering::Acquire) {
            KeptRef::Current(self.current.load())
        } else {
            KeptRef::Initial(&self.initial)
        }
    }

    /// Replaces it; returns the one before. `change` is called again if another thread was quicker.
    pub(super) fn change(&self, mut change: impl FnMut(&Kept) -> Kept) -> Arc<Kept> {
        let before = self.current.rcu(|kept| change(kept));
        self.has_changed.store(true, Ordering::Release);
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_from_then_on_and_is_what_the_next_one_changes() {
        let cell = KeptCell::new(Kept { opted_out: true, ..Kept::default() });
        let toggle = || cell.change(|kept| Kept { opted_out: !kept.opted_out, ..kept.clone() }).opted_out;
        assert!(cell.load().opted_out);
        assert!(toggle());
        assert!(!cell.load().opted_out);
        assert!(!toggle());
        assert!(cell.load().opted_out);
    }
}
