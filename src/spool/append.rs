//! How capturing threads append to the file of a segment by themselves (`call`).

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use super::disk::{Disk, DiskError, ErrorKind};
use super::record::before_wire;

/// The file of a segment, as capturing threads have it.
pub(crate) trait Append: fmt::Debug + Send + Sync {
    /// Appends an event by its place in its batch, in one call of the system. After an error the event is not on disk as
    /// a whole, and is added to the store like others.
    fn append(&self, index: u32, uuid: Uuid, wire: &[u8]) -> Result<(), DiskError>;
}

/// To copy so many bytes costs less than to hand the system two parts.
const COPIED: usize = 1024;

/// See the trait.
#[derive(Debug)]
pub(super) struct Appender<D: Disk> {
    pub(super) disk: D,
    pub(super) file: Arc<D::File>,
}

impl<D> Append for Appender<D>
where
    D: Disk<File: Send + Sync> + fmt::Debug + Send + Sync,
{
    fn append(&self, index: u32, uuid: Uuid, wire: &[u8]) -> Result<(), DiskError> {
        let head = before_wire(index, uuid, wire);
        let length = head.len() + wire.len();
        let mut copy = [0; COPIED];
        let written = match copy.get_mut(..length) {
            Some(copy) => {
                let (front, back) = copy.split_at_mut(head.len());
                front.copy_from_slice(&head);
                back.copy_from_slice(wire);
                self.disk.append(&self.file, copy, &[])?
            }
            None => self.disk.append(&self.file, &head, wire)?,
        };
        if written == length { Ok(()) } else { Err(DiskError::new(ErrorKind::Full, "a write was cut short")) }
    }
}
