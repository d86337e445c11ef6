//! Memory whose size depends on what the host gives: events, and batches of them. Without it a
//! call fails, and the process goes on.

use std::collections::TryReserveError;

use crate::status::{Error, Status};

/// There is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemory;

impl From<TryReserveError> for NoMemory {
    fn from(_: TryReserveError) -> Self {
        NoMemory
    }
}

impl From<NoMemory> for Error {
    #[cold]
    fn from(_: NoMemory) -> Self {
        Error::new(Status::OUT_OF_RESOURCES, "there is not enough memory for the event; try again later")
    }
}

/// Makes space for so many more items. Where there is space already, this is a comparison.
#[inline]
pub(crate) fn reserve<T>(items: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    if items.capacity() - items.len() < more { grow(items, more) } else { Ok(()) }
}

#[cold]
#[inline(never)]
fn grow<T>(items: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    Ok(items.try_reserve(more)?)
}

/// A copy with space for so many more items.
pub(crate) fn copied<T: Copy>(items: &[T], more: usize) -> Result<Vec<T>, NoMemory> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(items.len() + more)?;
    copy.extend_from_slice(items);
    Ok(copy)
}

/// Empties a buffer, and gives its memory back if that is more than so many bytes. To make it
/// smaller instead could fail.
#[inline]
pub(crate) fn keep_at_most<T>(buffer: &mut Vec<T>, bytes: usize) {
    buffer.clear();
    if buffer.capacity() * size_of::<T>() > bytes {
        *buffer = Vec::new();
    }
}
